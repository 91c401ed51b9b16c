"""Singpass Login and Myinfo, with FAPI 2.0."""

from __future__ import annotations

from ..clients import Encryption
from ..demands import Demands
from .preset import Preset, Rule

_DOCS = "https://docs.developer.singpass.gov.sg/docs/technical-specifications"
_CONCEPTS = f"{_DOCS}/technical-concepts"
_MOCKPASS = "opengovsg/mockpass: lib/express/fapi/fapi.service.js"
_READ = "2026-11-30"
_LEVEL = "urn:singpass:authentication:loa:"
_STATE = "[A-Za-z0-9/+_=.-]{30,255}"

SINGPASS = Preset(
    title="Singpass Login and Myinfo",
    settings={
        "PARJAR_ISSUER": "https://id.singpass.gov.sg/fapi",
        "PARJAR_CLIENT_ID": "the-client-id",
        "PARJAR_SIGNING_KEY": "key.pem",
        "PARJAR_REQUEST": "pushed",
        "PARJAR_DPOP": True,
        "PARJAR_SCOPES": "openid",
        "PARJAR_ENCRYPTION_KEY": "decryption-key.pem",
        "PARJAR_ID_TOKEN_ENCRYPTION": "ECDH-ES+A256KW A256CBC-HS512",
    },
    rules=(
        Rule(
            name="pushed",
            demand="Requests are pushed.",
            source=f"{_DOCS}/integration-guide/1.-authorization-request",
            read=_READ,
            metadata={"require_pushed_authorization_requests": True},
        ),
        Rule(
            name="unsigned",
            demand="A push has the parameters themselves, and no request object.",
            source=_MOCKPASS,
            read=_READ,
            metadata={"request_parameter_supported": False},
        ),
        Rule(
            name="state",
            demand="``state`` has 30 to 255 characters: letters, digits and ``/+_-=.``.",
            source=_MOCKPASS,
            read=_READ,
            demands=Demands(request_parameters={"state": _STATE}),
        ),
        Rule(
            name="nonce",
            demand="``nonce`` is there, and is like ``state``.",
            source=_MOCKPASS,
            read=_READ,
            demands=Demands(request_parameters={"nonce": _STATE}),
        ),
        Rule(
            name="acr",
            demand="Levels are ``urn:singpass:authentication:loa:1`` to ``3``.",
            source=_MOCKPASS,
            read=_READ,
            metadata={"acr_values_supported": [f"{_LEVEL}{number}" for number in (1, 2, 3)]},
            demands=Demands(request_parameters={"acr_values": f"({_LEVEL}[123])?"}),
        ),
        Rule(
            name="private_key_jwt",
            demand="The site authenticates with a client assertion.",
            source=f"{_CONCEPTS}/generation-of-client-assertion",
            read=_READ,
            metadata={"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
        ),
        Rule(
            name="assertion_algorithm",
            demand="Client assertions are signed with ES256, ES384 or ES512.",
            source=f"{_CONCEPTS}/generation-of-client-assertion",
            read=_READ,
            metadata={
                "token_endpoint_auth_signing_alg_values_supported": ["ES256", "ES384", "ES512"]
            },
        ),
        Rule(
            name="assertion_audience",
            demand="The ``aud`` of client assertions is the issuer.",
            source=_MOCKPASS,
            read=_READ,
            demands=Demands(assertion_audience="issuer"),
        ),
        Rule(
            name="assertion_lifetime",
            demand="The ``exp`` of client assertions is at most two minutes after ``iat``.",
            source=(
                f"{_DOCS}/singpass-authentication-api/2.-token-endpoint/authorization-code-grant"
            ),
            read=_READ,
            demands=Demands(assertion_seconds=120),
        ),
        Rule(
            name="dpop",
            demand="A push and a token request have a DPoP proof.",
            source=_MOCKPASS,
            read=_READ,
            demands=Demands(
                dpop_at=("pushed_authorization_request_endpoint", "token_endpoint"),
            ),
        ),
        Rule(
            name="dpop_exp",
            demand="DPoP proofs have an ``exp``.",
            source=_MOCKPASS,
            read=_READ,
            demands=Demands(dpop_claims=("exp",)),
        ),
        Rule(
            name="dpop_algorithm",
            demand="DPoP proofs are signed with ES256.",
            source="opengovsg/mockpass: lib/express/fapi/utils.js",
            read=_READ,
            metadata={"dpop_signing_alg_values_supported": ["ES256"]},
        ),
        Rule(
            name="encryption",
            demand="ID tokens are encrypted, with ECDH-ES+A256KW and A256CBC-HS512.",
            source=f"{_DOCS}/integration-guide/4.-parsing-the-id-token",
            read=_READ,
            metadata={
                "id_token_encryption_alg_values_supported": ["ECDH-ES+A256KW"],
                "id_token_encryption_enc_values_supported": ["A256CBC-HS512"],
            },
            demands=Demands(id_token_encryption=Encryption("ECDH-ES+A256KW", "A256CBC-HS512")),
        ),
        Rule(
            name="id_token_algorithm",
            demand="ID tokens are signed with ES256.",
            source=(
                f"{_DOCS}/singpass-authentication-api/.well-known-endpoints/openid-discovery-endpoint"
            ),
            read=_READ,
            metadata={"id_token_signing_alg_values_supported": ["ES256"]},
        ),
    ),
)
