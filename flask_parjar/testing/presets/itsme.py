"""itsme, the login of Belgium."""

from __future__ import annotations

from ..clients import Encryption
from ..demands import Demands
from .preset import Preset, Rule

_DOCS = "belgianmobileid/doc"
_REQUEST = f"{_DOCS}: _OIDC/chapters/authorization_request.md"
_TOKEN = f"{_DOCS}: _OIDC/chapters/token_request.md"
_JOSE = f"{_DOCS}: _Appendix/JOSE.md"
_READ = "2026-11-30"
_ENCRYPTION = Encryption("RSA-OAEP-256", "A128CBC-HS256")

ITSME = Preset(
    title="itsme",
    settings={
        "PARJAR_ISSUER": "https://idp.prd.itsme.services/v2",
        "PARJAR_CLIENT_ID": "the-client-id",
        "PARJAR_SIGNING_KEY": "rsa-key.pem",
        "PARJAR_REQUEST": "plain",
        "PARJAR_ASSERTION_AUDIENCE": "token_endpoint",
        "PARJAR_SCOPES": "openid profile service:THE_SERVICE",
        "PARJAR_USERINFO": True,
        "PARJAR_ENCRYPTION_KEY": "rsa-decryption-key.pem",
        "PARJAR_ID_TOKEN_ENCRYPTION": "RSA-OAEP-256 A128CBC-HS256",
        "PARJAR_USERINFO_ENCRYPTION": "RSA-OAEP-256 A128CBC-HS256",
    },
    rules=(
        Rule(
            name="unpushed",
            demand="There are no pushed requests: its documentation has no endpoint for them.",
            source=f"{_DOCS}: _OIDC/authentication.md",
            read=_READ,
            metadata={"pushed_authorization_request_endpoint": None},
        ),
        Rule(
            name="request_encryption",
            demand="A signed request is also encrypted.",
            source=_REQUEST,
            read=_READ,
            demands=Demands(request_encrypted=True),
        ),
        Rule(
            name="service",
            demand="``scope`` has ``service:`` with the code of the service.",
            source=_REQUEST,
            read=_READ,
            demands=Demands(request_parameters={"scope": r"(.* )?service:\S+( .*)?"}),
        ),
        Rule(
            name="acr",
            demand="Levels are ``…/acr_basic`` and ``…/acr_advanced``.",
            source=_REQUEST,
            read=_READ,
            metadata={
                "acr_values_supported": [
                    f"http://itsme.services/v2/claim/acr_{level}" for level in ("basic", "advanced")
                ]
            },
        ),
        Rule(
            name="client_auth",
            demand="The site authenticates with ``private_key_jwt`` or ``client_secret_post``.",
            source=f"{_DOCS}: _OIDCplatforms/IAM.md",
            read=_READ,
            metadata={
                "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_post"]
            },
        ),
        Rule(
            name="assertion_algorithm",
            demand="Client assertions are signed with RS256.",
            source=_JOSE,
            read=_READ,
            metadata={"token_endpoint_auth_signing_alg_values_supported": ["RS256"]},
        ),
        Rule(
            name="assertion_audience",
            demand="The ``aud`` of client assertions is the token endpoint.",
            source=_TOKEN,
            read=_READ,
            demands=Demands(assertion_audience="token_endpoint"),
        ),
        Rule(
            name="id_token_algorithm",
            demand="ID tokens are signed with RS256.",
            source=_JOSE,
            read=_READ,
            metadata={"id_token_signing_alg_values_supported": ["RS256"]},
        ),
        Rule(
            name="id_token_encryption",
            demand="ID tokens are encrypted.",
            source=_TOKEN,
            read=_READ,
            demands=Demands(id_token_encryption=_ENCRYPTION),
        ),
        Rule(
            name="userinfo_encryption",
            demand="Userinfo is signed and encrypted.",
            source=f"{_DOCS}: _OIDC/chapters/userinfo_request_variant_a.md",
            read=_READ,
            demands=Demands(userinfo_encryption=_ENCRYPTION),
        ),
    ),
)
