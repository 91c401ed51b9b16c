"""ID-porten, the national login of Norway."""

from __future__ import annotations

from ..demands import Demands
from .preset import Preset, Rule

_DOCS = "felleslosninger/docs: _docs/idporten/oidc"
_READ = "2026-11-30"

IDPORTEN = Preset(
    title="ID-porten",
    settings={
        "PARJAR_ISSUER": "https://idporten.no",
        "PARJAR_CLIENT_ID": "the-client-id",
        "PARJAR_SIGNING_KEY": "rsa-key.pem",
        "PARJAR_REQUEST": "pushed",
        "PARJAR_SCOPES": "openid profile",
    },
    rules=(
        Rule(
            name="state",
            demand="``state`` is there.",
            source=f"{_DOCS}/oidc_protocol_nye_idporten.md",
            read=_READ,
            demands=Demands(request_parameters={"state": ".+"}),
        ),
        Rule(
            name="nonce",
            demand="``nonce`` is there.",
            source=f"{_DOCS}/oidc_protocol_nye_idporten.md",
            read=_READ,
            demands=Demands(request_parameters={"nonce": ".+"}),
        ),
        Rule(
            name="client_auth",
            demand="The site authenticates with a client assertion, or with its secret.",
            source=f"{_DOCS}/oidc_func_clientreg.md",
            read=_READ,
            metadata={
                "token_endpoint_auth_methods_supported": [
                    *("client_secret_basic", "client_secret_post", "private_key_jwt"),
                ]
            },
        ),
        Rule(
            name="assertion_algorithm",
            demand="Client assertions are signed with RS256, RS384 or RS512.",
            source=f"{_DOCS}/oidc_func_clientreg.md",
            read=_READ,
            metadata={
                "token_endpoint_auth_signing_alg_values_supported": ["RS256", "RS384", "RS512"]
            },
        ),
        Rule(
            name="assertion_audience",
            demand="The ``aud`` of client assertions is the issuer or the token endpoint.",
            source=f"{_DOCS}/oidc_protocol_token.md",
            read=_READ,
            demands=Demands(assertion_audience="issuer token_endpoint"),
        ),
        Rule(
            name="acr",
            demand="Levels are ``idporten-loa-substantial`` and ``idporten-loa-high``.",
            source=f"{_DOCS}/oidc_protocol_par.md",
            read=_READ,
            metadata={"acr_values_supported": ["idporten-loa-substantial", "idporten-loa-high"]},
        ),
        Rule(
            name="response_mode",
            demand="The response mode is ``query``, ``fragment`` or ``form_post``.",
            source=f"{_DOCS}/oidc_protocol_par.md",
            read=_READ,
            metadata={"response_modes_supported": ["query", "fragment", "form_post"]},
        ),
        Rule(
            name="id_token_algorithm",
            demand="ID tokens are signed with RS256.",
            source=f"{_DOCS}/oidc_protocol_id_token.md",
            read=_READ,
            metadata={"id_token_signing_alg_values_supported": ["RS256"]},
        ),
    ),
)
