"""Logins at Microsoft Entra ID that break one rule."""

from tests.support.breaches.breach import RSA, SECRET, Breach

#: A site that authenticates with its certificate.
CERTIFIED = {
    "PARJAR_CLIENT_SECRET": None,
    "PARJAR_SIGNING_KEY": {**RSA, "x5t#S256": "A1bC2dE3fH4iJ5kL6mN7oP8qR9s"},
    "PARJAR_KEY_HEADERS": ["x5t#S256"],
    "PARJAR_ASSERTION_AUDIENCE": "token_endpoint",
}

BREACHES = {
    "not_pushed": Breach(code="par_unsupported", config={**CERTIFIED, "PARJAR_REQUEST": "pushed"}),
    "unsigned": Breach(code="jar_unsupported", config={**CERTIFIED, "PARJAR_REQUEST": "signed"}),
    "response_mode": Breach(
        code="response_mode_unsupported", config={"PARJAR_RESPONSE_MODE": "jwt"}
    ),
    "client_auth": Breach(
        code="client_auth_unsupported",
        config={"PARJAR_CLIENT_SECRET": SECRET, "PARJAR_CLIENT_AUTH": "client_secret_jwt"},
    ),
    "certificate": Breach(code="client_refused", config={**CERTIFIED, "PARJAR_KEY_HEADERS": None}),
    "assertion_typ": Breach(
        code="client_refused",
        config={**CERTIFIED, "PARJAR_ASSERTION_TYP": "client-authentication+jwt"},
    ),
    "assertion_audience": Breach(
        code="client_refused", config={**CERTIFIED, "PARJAR_ASSERTION_AUDIENCE": "issuer"}
    ),
}
