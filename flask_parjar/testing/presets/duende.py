"""Duende IdentityServer as its documentation sets it up for FAPI 2.0, with strict audiences."""

from __future__ import annotations

from ..demands import Demands
from .preset import Preset, Rule

_TOKENS = "astro/src/content/docs/identityserver/tokens"
_FAPI = f"DuendeSoftware/docs.duendesoftware.com: {_TOKENS}/fapi-2-0-specification.md"
_AUTHENTICATION = f"DuendeSoftware/docs.duendesoftware.com: {_TOKENS}/client-authentication.md"
_READ = "2026-11-30"
_ALGORITHMS = ["PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]

DUENDE = Preset(
    title="Duende IdentityServer, FAPI 2.0",
    settings={
        "PARJAR_ISSUER": "https://id.your-company.example",
        "PARJAR_CLIENT_ID": "my-site",
        "PARJAR_SIGNING_KEY": "key.pem",
        "PARJAR_PROFILE": "fapi2-security",
        "PARJAR_DPOP": True,
        "PARJAR_ASSERTION_TYP": "client-authentication+jwt",
    },
    rules=(
        Rule(
            name="pushed",
            demand="Requests are pushed (``RequirePushedAuthorization``).",
            source=_FAPI,
            read=_READ,
            metadata={"require_pushed_authorization_requests": True},
        ),
        Rule(
            name="request_algorithm",
            demand="Request objects are signed with PS256 to PS512 or ES256 to ES512.",
            source=_FAPI,
            read=_READ,
            metadata={"request_object_signing_alg_values_supported": _ALGORITHMS},
        ),
        Rule(
            name="private_key_jwt",
            demand="The site authenticates with ``private_key_jwt``.",
            source=_FAPI,
            read=_READ,
            metadata={"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
        ),
        Rule(
            name="assertion_algorithm",
            demand="Client assertions are signed with PS256 to PS512 or ES256 to ES512.",
            source=_FAPI,
            read=_READ,
            metadata={"token_endpoint_auth_signing_alg_values_supported": _ALGORITHMS},
        ),
        Rule(
            name="assertion_audience",
            demand="The ``aud`` of client assertions is the issuer.",
            source=_FAPI,
            read=_READ,
            demands=Demands(assertion_audience="issuer"),
        ),
        Rule(
            name="assertion_typ",
            demand=(
                "The ``typ`` of client assertions is ``client-authentication+jwt`` "
                "(``StrictClientAssertionAudienceValidation``)."
            ),
            source=_AUTHENTICATION,
            read=_READ,
            demands=Demands(assertion_typ="client-authentication+jwt"),
        ),
        Rule(
            name="dpop",
            demand="Token requests have a DPoP proof (``RequireDPoP``).",
            source=_FAPI,
            read=_READ,
            demands=Demands(dpop_at=("token_endpoint",)),
        ),
        Rule(
            name="dpop_nonce",
            demand="DPoP proofs have a nonce of the server.",
            source=_FAPI,
            read=_READ,
            demands=Demands(dpop_nonces=True),
        ),
    ),
)
