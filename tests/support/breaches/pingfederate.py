"""Logins at PingFederate that break one rule."""

from tests.support.altered_requests import Alteration
from tests.support.breaches.breach import BY_SECRET, EC, ED25519, NO_PROFILE, Breach
from tests.testing.hand_made_client import GONE

BREACHES = {
    "pushed": Breach(code="par_required", config={**NO_PROFILE, "PARJAR_REQUEST": "signed"}),
    "signed": Breach(code="jar_required", config={**NO_PROFILE, "PARJAR_REQUEST": "pushed"}),
    "request_algorithm": Breach(
        code="signing_alg_unsupported",
        config={"PARJAR_SIGNING_KEY": ED25519, "PARJAR_ASSERTION_KEY": EC},
    ),
    "private_key_jwt": Breach(code="client_auth_unsupported", config={**NO_PROFILE, **BY_SECRET}),
    "assertion_algorithm": Breach(
        code="client_auth_unsupported", config={"PARJAR_ASSERTION_KEY": ED25519}
    ),
    "dpop": Breach(code="dpop_refused", config={**NO_PROFILE, "PARJAR_DPOP": False}),
    "dpop_nonce": Breach(code="dpop_refused", sends=Alteration(proof={"nonce": GONE})),
}
