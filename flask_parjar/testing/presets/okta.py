"""Okta, and Okta with an app that requires DPoP."""

from __future__ import annotations

from dataclasses import replace

from ..demands import Demands
from .preset import Preset, Rule

_SITE = "okta/okta-developer-docs: packages/@okta/vuepress-site"
_ERRORS = f"{_SITE}/data/oauth2-error-codes.json"
_JWT = f"{_SITE}/docs/guides/build-self-signed-jwt/main/index.md"
_DPOP = f"{_SITE}/docs/guides/dpop/main/index.md"
_READ = "2026-11-30"

OKTA = Preset(
    title="Okta",
    settings={
        "PARJAR_ISSUER": "https://YOUR-DOMAIN.okta.com/oauth2/default",
        "PARJAR_CLIENT_ID": "the-client-id",
        "PARJAR_SIGNING_KEY": "key.pem",
        "PARJAR_ASSERTION_AUDIENCE": "endpoint",
    },
    rules=(
        Rule(
            name="assertion_audience",
            demand="The ``aud`` of client assertions is the URL that is called.",
            source=_ERRORS,
            read=_READ,
            demands=Demands(assertion_audience="endpoint"),
        ),
        Rule(
            name="assertion_algorithm",
            demand="Client assertions are signed with RS256, ES256 or longer; or with the secret.",
            source=_JWT,
            read=_READ,
            metadata={
                "token_endpoint_auth_signing_alg_values_supported": [
                    *("RS256", "RS384", "RS512", "ES256", "ES384", "ES512"),
                    *("HS256", "HS384", "HS512"),
                ]
            },
        ),
        Rule(
            name="one_credential",
            demand="A push with ``client_secret_basic`` is refused: its form has a ``client_id``.",
            source=_ERRORS,
            read=_READ,
            demands=Demands(basic_alone=True),
        ),
    ),
)

OKTA_DPOP = replace(
    OKTA,
    title="Okta, with DPoP",
    settings={
        "PARJAR_ISSUER": "https://your-domain.okta.com/oauth2/default",
        "PARJAR_CLIENT_ID": "the-client-id",
        "PARJAR_SIGNING_KEY": "key.pem",
        "PARJAR_ASSERTION_AUDIENCE": "endpoint",
        "PARJAR_DPOP": True,
    },
    rules=(
        *OKTA.rules,
        Rule(
            name="dpop",
            demand="A token request has a DPoP proof, if the app requires it.",
            source=_DPOP,
            read=_READ,
            demands=Demands(dpop_at=("token_endpoint",)),
        ),
        Rule(
            name="dpop_nonce",
            demand="DPoP proofs have the nonce of the provider's answer.",
            source=_DPOP,
            read=_READ,
            demands=Demands(dpop_nonces=True),
        ),
    ),
)
