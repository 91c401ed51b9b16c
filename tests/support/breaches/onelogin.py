"""Logins at GOV.UK One Login that break one rule."""

from tests.support.altered_requests import Alteration
from tests.support.breaches.breach import EC, SECRET, STOPPED, Breach
from tests.testing.hand_made_client import GONE

BREACHES = {
    "not_pushed": Breach(code="par_unsupported", config={"PARJAR_REQUEST": "pushed+signed"}),
    "signed": Breach(code="jar_required", config={"PARJAR_REQUEST": "plain"}),
    "request_audience": Breach(code=STOPPED, config={"PARJAR_REQUEST_AUDIENCE": "issuer"}),
    "state": Breach(
        code="state_missing", error="invalid_request", sends=Alteration(parameters={"state": GONE})
    ),
    "nonce": Breach(
        code="provider_refused",
        error="invalid_request",
        sends=Alteration(parameters={"nonce": GONE}),
    ),
    "login_hint": Breach(
        code="provider_refused",
        error="invalid_request",
        config={"PARJAR_AUTHORIZATION_PARAMS": {"login_hint": "a" * 257}},
    ),
    "scopes": Breach(
        code="provider_refused",
        error="invalid_request",
        config={"PARJAR_SCOPES": "openid profile email"},
    ),
    "response_mode": Breach(
        code="response_mode_unsupported", config={"PARJAR_RESPONSE_MODE": "form_post"}
    ),
    "client_auth": Breach(
        code="client_auth_unsupported",
        config={"PARJAR_CLIENT_SECRET": SECRET, "PARJAR_CLIENT_AUTH": "client_secret_basic"},
    ),
    "algorithms": Breach(code="client_auth_unsupported", config={"PARJAR_SIGNING_KEY": EC}),
    "user_agent": Breach(
        code="exchange_refused", sends=Alteration(headers={"HTTP_USER_AGENT": GONE})
    ),
    "id_token_algorithm": Breach(
        code="id_token_alg_unsupported", config={"PARJAR_ID_TOKEN_ALGS": "PS256"}
    ),
}
