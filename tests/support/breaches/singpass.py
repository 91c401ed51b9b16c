"""Logins at Singpass that break one rule."""

from tests.support.altered_requests import Alteration
from tests.support.breaches.breach import RSA, SECRET, Breach, valid_for
from tests.testing.hand_made_client import GONE

BREACHES = {
    "pushed": Breach(code="par_required", config={"PARJAR_REQUEST": "plain"}),
    "unsigned": Breach(code="jar_unsupported", config={"PARJAR_REQUEST": "pushed+signed"}),
    "state": Breach(code="push_refused", sends=Alteration(parameters={"state": "s" * 29})),
    "nonce": Breach(code="push_refused", sends=Alteration(parameters={"nonce": GONE})),
    "acr": Breach(
        code="push_refused", config={"PARJAR_AUTHORIZATION_PARAMS": {"acr_values": "phr"}}
    ),
    "private_key_jwt": Breach(
        code="client_auth_unsupported",
        config={"PARJAR_CLIENT_SECRET": SECRET, "PARJAR_CLIENT_AUTH": "client_secret_basic"},
    ),
    "assertion_algorithm": Breach(
        code="client_auth_unsupported", config={"PARJAR_SIGNING_KEY": RSA}
    ),
    "assertion_audience": Breach(
        code="client_refused", config={"PARJAR_ASSERTION_AUDIENCE": "endpoint"}
    ),
    "assertion_lifetime": Breach(code="client_refused", sends=Alteration(assertion=valid_for(121))),
    "dpop": Breach(code="dpop_refused", config={"PARJAR_DPOP": False}),
    "dpop_exp": Breach(code="dpop_refused", sends=Alteration(proof={"exp": GONE})),
    "dpop_algorithm": Breach(code="dpop_refused", sends=Alteration(proof_curve="P-384")),
    "encryption": Breach(
        code="exchange_refused",
        config={"PARJAR_ENCRYPTION_KEY": None, "PARJAR_ID_TOKEN_ENCRYPTION": None},
    ),
    "id_token_algorithm": Breach(
        code="id_token_alg_unsupported", config={"PARJAR_ID_TOKEN_ALGS": "PS256"}
    ),
}
