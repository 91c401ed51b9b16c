"""Logins at itsme that break one rule."""

from tests.support.breaches.breach import BY_SECRET, EC, STOPPED, Breach
from tests.support.breaches.idporten import OTHER_LEVEL

BREACHES = {
    "unpushed": Breach(code="par_unsupported", config={"PARJAR_REQUEST": "pushed"}),
    "request_encryption": Breach(code=STOPPED, config={"PARJAR_REQUEST": "signed"}),
    "service": Breach(
        code="provider_refused",
        error="invalid_request",
        config={"PARJAR_SCOPES": "openid profile"},
    ),
    "acr": Breach(
        code="acr_unsupported", config={"PARJAR_AUTHORIZATION_PARAMS": {"claims": OTHER_LEVEL}}
    ),
    "client_auth": Breach(code="client_auth_unsupported", config=BY_SECRET),
    "assertion_algorithm": Breach(
        code="client_auth_unsupported", config={"PARJAR_SIGNING_KEY": EC}
    ),
    "assertion_audience": Breach(
        code="client_refused", config={"PARJAR_ASSERTION_AUDIENCE": "issuer"}
    ),
    "id_token_algorithm": Breach(
        code="id_token_alg_unsupported", config={"PARJAR_ID_TOKEN_ALGS": "ES256"}
    ),
    "id_token_encryption": Breach(
        code="token_encrypted", config={"PARJAR_ID_TOKEN_ENCRYPTION": None}
    ),
    "userinfo_encryption": Breach(
        code="token_encrypted", config={"PARJAR_USERINFO_ENCRYPTION": None}
    ),
}
