"""Logins at ID-porten that break one rule."""

from tests.support.altered_requests import Alteration
from tests.support.breaches.breach import EC, Breach
from tests.testing.hand_made_client import GONE

OTHER_LEVEL = {"id_token": {"acr": {"essential": True, "values": ["phr"]}}}

BREACHES = {
    "state": Breach(code="push_refused", sends=Alteration(parameters={"state": GONE})),
    "nonce": Breach(code="push_refused", sends=Alteration(parameters={"nonce": GONE})),
    "client_auth": Breach(code="client_refused", config={"PARJAR_CLIENT_AUTH": "none"}),
    "assertion_algorithm": Breach(
        code="client_auth_unsupported", config={"PARJAR_SIGNING_KEY": EC}
    ),
    "assertion_audience": Breach(
        code="client_refused", config={"PARJAR_ASSERTION_AUDIENCE": "endpoint"}
    ),
    "acr": Breach(
        code="acr_unsupported", config={"PARJAR_AUTHORIZATION_PARAMS": {"claims": OTHER_LEVEL}}
    ),
    "response_mode": Breach(
        code="response_mode_unsupported", config={"PARJAR_RESPONSE_MODE": "jwt"}
    ),
    "id_token_algorithm": Breach(
        code="id_token_alg_unsupported", config={"PARJAR_ID_TOKEN_ALGS": "ES256"}
    ),
}
