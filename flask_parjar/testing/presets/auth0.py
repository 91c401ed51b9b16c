"""Auth0 with Highly Regulated Identity: requests are pushed and signed."""

from __future__ import annotations

from ..demands import Demands
from .preset import Preset, Rule

_DOCS = "auth0/docs-v2: main/docs/get-started"
_FLOWS = f"{_DOCS}/authentication-and-authorization-flow"
_CODE = f"{_FLOWS}/authorization-code-flow"
_ASSERTION = f"{_FLOWS}/authenticate-with-private-key-jwt.mdx"
_READ = "2026-11-30"
_RSA = ("RS256", "RS384", "PS256")

AUTH0 = Preset(
    title="Auth0 with Highly Regulated Identity",
    settings={
        "PARJAR_ISSUER": "https://YOUR-TENANT.eu.auth0.com/",
        "PARJAR_CLIENT_ID": "the-client-id",
        "PARJAR_SIGNING_KEY": "jar-key.json",
        "PARJAR_ASSERTION_KEY": "assertion-key.json",
        "PARJAR_SIGNING_ALG": "PS256",
    },
    rules=(
        Rule(
            name="pushed",
            demand="Requests are pushed, if the application requires it.",
            source=f"{_DOCS}/applications/configure-par.mdx",
            read=_READ,
            metadata={"require_pushed_authorization_requests": True},
        ),
        Rule(
            name="signed",
            demand="Requests are signed, if the application requires it.",
            source=f"{_DOCS}/applications/configure-jar.mdx",
            read=_READ,
            metadata={"require_signed_request_object": True},
        ),
        Rule(
            name="request_algorithm",
            demand="Requests are signed with RS256, RS384 or PS256.",
            source=f"{_CODE}/authorization-code-flow-with-jar.mdx",
            read=_READ,
            metadata={"request_object_signing_alg_values_supported": [*_RSA]},
        ),
        Rule(
            name="client_auth",
            demand="The site authenticates: with an assertion, a secret or a certificate.",
            source=f"{_CODE}/authorization-code-flow-with-par.mdx",
            read=_READ,
            metadata={
                "token_endpoint_auth_methods_supported": [
                    *("client_secret_basic", "client_secret_post", "private_key_jwt"),
                    *("tls_client_auth", "self_signed_tls_client_auth"),
                ]
            },
        ),
        Rule(
            name="assertion_algorithm",
            demand="Client assertions are signed with RS256, RS384 or PS256.",
            source=_ASSERTION,
            read=_READ,
            metadata={"token_endpoint_auth_signing_alg_values_supported": [*_RSA]},
        ),
        Rule(
            name="assertion_audience",
            demand="The ``aud`` of client assertions is the issuer, with its slash.",
            source=_ASSERTION,
            read=_READ,
            demands=Demands(assertion_audience="issuer"),
        ),
        Rule(
            name="assertion_length",
            demand="A client assertion has at most 2,048 bytes.",
            source=_ASSERTION,
            read=_READ,
            demands=Demands(assertion_length=2048),
        ),
        Rule(
            name="id_token_algorithm",
            demand="ID tokens are signed with RS256 or PS256.",
            source=f"{_DOCS}/applications/signing-algorithms.mdx",
            read=_READ,
            metadata={"id_token_signing_alg_values_supported": ["RS256", "PS256"]},
        ),
    ),
)
