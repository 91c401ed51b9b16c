"""Logins at Curity Identity Server that break one rule."""

from tests.support.altered_requests import Alteration
from tests.support.breaches.breach import ED25519, NO_PROFILE, Breach
from tests.testing.hand_made_client import GONE

BREACHES = {
    "pushed": Breach(code="par_required", config={**NO_PROFILE, "PARJAR_REQUEST": "signed"}),
    "signed": Breach(code="jar_required", config={**NO_PROFILE, "PARJAR_REQUEST": "pushed"}),
    "assertion_algorithm": Breach(
        code="client_auth_unsupported", config={"PARJAR_ASSERTION_KEY": ED25519}
    ),
    "dpop": Breach(code="push_refused", config={**NO_PROFILE, "PARJAR_DPOP": False}),
    "dpop_nonce": Breach(code="dpop_refused", sends=Alteration(proof={"nonce": GONE})),
}
