"""Logins at Okta that break one rule."""

from joserfc.jwk import OKPKey

from tests.support.altered_requests import Alteration
from tests.support.breaches.breach import SECRET, Breach
from tests.testing.hand_made_client import GONE

ED25519 = OKPKey.generate_key("Ed25519").as_dict(private=True)

BREACHES = {
    "assertion_audience": Breach(
        code="client_refused", config={"PARJAR_ASSERTION_AUDIENCE": "issuer"}
    ),
    "assertion_algorithm": Breach(
        code="client_auth_unsupported", config={"PARJAR_SIGNING_KEY": ED25519}
    ),
    "one_credential": Breach(code="client_refused", config={"PARJAR_CLIENT_SECRET": SECRET}),
}
WITH_DPOP = {
    **BREACHES,
    "dpop": Breach(code="dpop_refused", config={"PARJAR_DPOP": False}),
    "dpop_nonce": Breach(code="dpop_refused", sends=Alteration(proof={"nonce": GONE})),
}
