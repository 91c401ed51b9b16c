"""FranceConnect and FranceConnect+, the logins of France."""

from __future__ import annotations

from ..clients import Encryption
from ..demands import Demands
from .preset import Preset, Rule

_SOURCES = "france-connect/sources"
_CONFIGURATIONS = f"{_SOURCES}: back/instances"
_PARAMETERS = f"{_SOURCES}: back/apps/core-fcp/src/dto/authorize-params.dto.ts"
_PLUS = "france-connect/Documentation-FranceConnect-Plus: fs/technique"
_ENDPOINTS = f"{_PLUS}/technique-endpoints.md"
_TOKENS = f"{_PLUS}/technique-oidc-fc.md"
_READ = "2026-11-30"
_KNOWN = (
    *("client_id", "response_type", "redirect_uri", "scope", "state", "nonce", "acr_values"),
    *("claims", "prompt", "idp_hint", "ui_locales"),
)
_ENCRYPTION = Encryption("RSA-OAEP", "A256GCM")


def _rules(configuration: str, *, levels: list[str]) -> tuple[Rule, ...]:
    """The rules that both have.

    :param configuration: where the configuration of one is
    :param levels: its authentication context classes, weakest first
    """
    return (
        Rule(
            name="unpushed",
            demand="There are no pushed requests.",
            source=configuration,
            read=_READ,
            metadata={"pushed_authorization_request_endpoint": None},
        ),
        Rule(
            name="parameters",
            demand=(
                "Parameters that it does not know are refused, such as ``request`` and "
                "``code_challenge``."
            ),
            source=_PARAMETERS,
            read=_READ,
            demands=Demands(known_parameters=_KNOWN),
        ),
        Rule(
            name="client_auth",
            demand="The site authenticates with ``client_secret_post`` or ``private_key_jwt``.",
            source=configuration,
            read=_READ,
            metadata={
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"]
            },
        ),
        Rule(
            name="acr",
            demand=f"Levels: {', '.join(f'``{each}``' for each in levels)}.",
            source=configuration,
            read=_READ,
            metadata={"acr_values_supported": levels},
        ),
    )


FRANCECONNECT = Preset(
    title="FranceConnect",
    settings={
        "PARJAR_ISSUER": "https://oidc.franceconnect.gouv.fr/api/v2",
        "PARJAR_CLIENT_ID": "the-client-id",
        "PARJAR_CLIENT_SECRET": "the-client-secret",
        "PARJAR_CLIENT_AUTH": "client_secret_post",
        "PARJAR_REQUEST": "plain",
        "PARJAR_PKCE": False,
        "PARJAR_ID_TOKEN_ALGS": "ES256",
        "PARJAR_USERINFO": True,
        "PARJAR_SCOPES": "openid given_name family_name",
        "PARJAR_AUTHORIZATION_PARAMS": {"acr_values": "eidas1"},
    },
    rules=(
        *_rules(f"{_CONFIGURATIONS}/core-fcp-low/src/config/oidc-provider.ts", levels=["eidas1"]),
        Rule(
            name="acr_values",
            demand="``acr_values`` is there.",
            source=_PARAMETERS,
            read=_READ,
            demands=Demands(request_parameters={"acr_values": ".+"}),
        ),
        Rule(
            name="state",
            demand="``state`` is there.",
            source=_PARAMETERS,
            read=_READ,
            demands=Demands(request_parameters={"state": ".+"}),
        ),
        Rule(
            name="nonce",
            demand="``nonce`` has at least 22 characters.",
            source=_PARAMETERS,
            read=_READ,
            demands=Demands(request_parameters={"nonce": ".{22,}"}),
        ),
        Rule(
            name="id_token_algorithm",
            demand="ID tokens are signed with ES256 or RS256.",
            source=(
                "https://docs.partenaires.franceconnect.gouv.fr/fs/migration/fs-migration-diff-v1-v2/"
            ),
            read=_READ,
            metadata={"id_token_signing_alg_values_supported": ["ES256", "RS256"]},
        ),
    ),
)

FRANCECONNECT_PLUS = Preset(
    title="FranceConnect+",
    settings={
        **FRANCECONNECT.settings,
        "PARJAR_ISSUER": "https://auth.franceconnect.gouv.fr/api/v2",
        "PARJAR_ENCRYPTION_KEY": "rsa-decryption-key.pem",
        "PARJAR_ID_TOKEN_ENCRYPTION": "RSA-OAEP A256GCM",
        "PARJAR_USERINFO_ENCRYPTION": "RSA-OAEP A256GCM",
        "PARJAR_AUTHORIZATION_PARAMS": {"acr_values": "eidas2"},
    },
    rules=(
        *_rules(
            f"{_CONFIGURATIONS}/core-fcp-high/src/config/oidc-provider.ts",
            levels=["eidas2", "eidas3"],
        ),
        Rule(
            name="acr_values",
            demand="``acr_values`` is ``eidas2`` or ``eidas3``.",
            source=_ENDPOINTS,
            read=_READ,
            demands=Demands(request_parameters={"acr_values": "eidas2|eidas3"}),
        ),
        Rule(
            name="state",
            demand="``state`` has at least 32 characters.",
            source=_ENDPOINTS,
            read=_READ,
            demands=Demands(request_parameters={"state": ".{32,}"}),
        ),
        Rule(
            name="nonce",
            demand="``nonce`` has at least 32 characters.",
            source=_ENDPOINTS,
            read=_READ,
            demands=Demands(request_parameters={"nonce": ".{32,}"}),
        ),
        Rule(
            name="id_token_algorithm",
            demand="ID tokens are signed with ES256.",
            source=_TOKENS,
            read=_READ,
            metadata={"id_token_signing_alg_values_supported": ["ES256"]},
        ),
        Rule(
            name="id_token_encryption",
            demand="ID tokens are encrypted, with A256GCM.",
            source=_TOKENS,
            read=_READ,
            metadata={"id_token_encryption_enc_values_supported": ["A256GCM"]},
            demands=Demands(id_token_encryption=_ENCRYPTION),
        ),
        Rule(
            name="userinfo_encryption",
            demand="Userinfo is signed and encrypted, with A256GCM.",
            source=_TOKENS,
            read=_READ,
            metadata={"userinfo_encryption_enc_values_supported": ["A256GCM"]},
            demands=Demands(userinfo_encryption=_ENCRYPTION),
        ),
    ),
)
