"""Logins at Auth0 that break one rule."""

from tests.support.breaches.breach import EC, Breach

BREACHES = {
    "pushed": Breach(code="par_required", config={"PARJAR_REQUEST": "signed"}),
    "signed": Breach(code="jar_required", config={"PARJAR_REQUEST": "pushed"}),
    "request_algorithm": Breach(
        code="signing_alg_unsupported",
        config={"PARJAR_SIGNING_KEY": EC, "PARJAR_SIGNING_ALG": None},
    ),
    "client_auth": Breach(
        code="client_refused",
        config={"PARJAR_CLIENT_AUTH": "none", "PARJAR_ASSERTION_KEY": None},
    ),
    "assertion_algorithm": Breach(
        code="client_auth_unsupported", config={"PARJAR_ASSERTION_KEY": EC}
    ),
    "assertion_audience": Breach(
        code="client_refused", config={"PARJAR_ASSERTION_AUDIENCE": "endpoint"}
    ),
    "assertion_length": Breach(
        code="client_refused", config={"PARJAR_ASSERTION_CLAIMS": {"note": "x" * 1500}}
    ),
    "id_token_algorithm": Breach(
        code="id_token_alg_unsupported", config={"PARJAR_ID_TOKEN_ALGS": "ES256"}
    ),
}
