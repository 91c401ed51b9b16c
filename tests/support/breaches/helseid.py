"""Logins at HelseID that break one rule."""

from tests.support.altered_requests import Alteration
from tests.support.breaches.breach import SECRET, Breach
from tests.testing.hand_made_client import GONE

BREACHES = {
    "pushed": Breach(code="par_required", config={"PARJAR_REQUEST": "plain"}),
    "private_key_jwt": Breach(
        code="client_auth_unsupported",
        config={
            "PARJAR_CLIENT_SECRET": SECRET,
            "PARJAR_CLIENT_AUTH": "client_secret_post",
            "PARJAR_ASSERTION_TYP": None,
        },
    ),
    "assertion_typ": Breach(code="client_refused", config={"PARJAR_ASSERTION_TYP": None}),
    "assertion_claims": Breach(code="client_refused", sends=Alteration(assertion={"nbf": GONE})),
    "assertion_lifetime": Breach(
        code="client_refused",
        sends=Alteration(assertion={"exp": lambda claims: claims["exp"] + 10}),
    ),
    "assertion_audience": Breach(
        code="client_refused", config={"PARJAR_ASSERTION_AUDIENCE": "endpoint"}
    ),
    "dpop": Breach(code="dpop_refused", config={"PARJAR_DPOP": False}),
    "dpop_nonce": Breach(code="dpop_refused", sends=Alteration(proof={"nonce": GONE})),
}
