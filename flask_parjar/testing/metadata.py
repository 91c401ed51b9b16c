"""What the provider says of itself.

The document is a plain dict that a test may change while the provider runs. The provider obeys what
it says of algorithms, of authentication methods, of response modes and of ``iss`` in the response.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from .jws import ASYMMETRIC, SYMMETRIC
from .keys import ID_TOKEN_ALGORITHMS
from .people import STANDARD_SCOPES

AUTH_METHODS = (
    "private_key_jwt", "client_secret_basic", "client_secret_post", "client_secret_jwt", "none",
)  # fmt: skip
#: How sure the login was, weakest first: a password, two factors, a key that phishing cannot use.
ACR_LEVELS = ("pwd", "mfa", "phr")

#: Where everything lies, below the issuer.
PATHS = {
    "authorization_endpoint": "/authorize",
    "pushed_authorization_request_endpoint": "/par",
    "token_endpoint": "/token",
    "revocation_endpoint": "/revoke",
    "userinfo_endpoint": "/userinfo",
    "end_session_endpoint": "/end-session",
    "jwks_uri": "/jwks.json",
}


def provider_metadata(issuer: str) -> dict[str, object]:
    """The discovery document of a provider with that issuer.

    OpenID Connect Discovery section 3, RFC 8414 section 2; RFC 9126 section 5, RFC 9101
    section 10.5, RFC 9207 section 3, RFC 7009 section 2; OpenID Connect Back-Channel Logout section
    2.1, Front-Channel Logout section 3
    """
    return {
        "issuer": issuer,
        **{name: endpoint_url(issuer, name) for name in PATHS},
        "scopes_supported": list(STANDARD_SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "acr_values_supported": list(ACR_LEVELS),
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "id_token_signing_alg_values_supported": list(ID_TOKEN_ALGORITHMS),
        "request_object_signing_alg_values_supported": list(ASYMMETRIC),
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": [*ASYMMETRIC, *SYMMETRIC],
        "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": [*ASYMMETRIC, *SYMMETRIC],
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": [
            *("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid"),
            *("name", "given_name", "family_name", "preferred_username", "locale"),
            *("email", "email_verified", "phone_number"),
        ],
        "claims_parameter_supported": True,
        "request_parameter_supported": True,
        "request_uri_parameter_supported": False,
        "require_pushed_authorization_requests": True,
        "require_signed_request_object": True,
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
    }


def endpoint_url(issuer: str, name: str) -> str:
    """The URL of one of the endpoints in ``PATHS``."""
    return issuer.rstrip("/") + PATHS[name]


def path_prefix(issuer: str) -> str:
    """The path under which all of the provider's own URLs lie: empty, or ``/tenant``."""
    return urlsplit(issuer).path.rstrip("/")
