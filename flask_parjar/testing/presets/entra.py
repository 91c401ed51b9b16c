"""Microsoft Entra ID: requests are neither pushed nor signed."""

from __future__ import annotations

from ..demands import Demands
from .preset import Preset, Rule

_DOCS = "MicrosoftDocs/entra-docs: docs/identity-platform"
_FLOW = f"{_DOCS}/v2-oauth2-auth-code-flow.md"
_CERTIFICATE = f"{_DOCS}/certificate-credentials.md"
_READ = "2026-11-30"

ENTRA = Preset(
    title="Microsoft Entra ID",
    settings={
        "PARJAR_ISSUER": "https://login.microsoftonline.com/THE-TENANT-ID/v2.0",
        "PARJAR_CLIENT_ID": "the-application-id",
        "PARJAR_CLIENT_SECRET": "the-client-secret",
        "PARJAR_REQUEST": "plain",
    },
    rules=(
        Rule(
            name="not_pushed",
            demand="There are no pushed requests.",
            source=_FLOW,
            read=_READ,
            metadata={"pushed_authorization_request_endpoint": None},
        ),
        Rule(
            name="unsigned",
            demand="There are no signed requests.",
            source=_FLOW,
            read=_READ,
            metadata={"request_parameter_supported": False},
        ),
        Rule(
            name="response_mode",
            demand="The response mode is ``query``, ``fragment`` or ``form_post``.",
            source=_FLOW,
            read=_READ,
            metadata={"response_modes_supported": ["query", "fragment", "form_post"]},
        ),
        Rule(
            name="client_auth",
            demand="The site authenticates with its secret, or with a client assertion.",
            source=_FLOW,
            read=_READ,
            metadata={
                "token_endpoint_auth_methods_supported": [
                    *("client_secret_post", "private_key_jwt", "client_secret_basic"),
                ]
            },
        ),
        Rule(
            name="certificate",
            demand="A client assertion names its certificate, with ``x5t#S256``.",
            source=_CERTIFICATE,
            read=_READ,
            demands=Demands(key_headers=("x5t#S256",)),
        ),
        Rule(
            name="assertion_typ",
            demand="The ``typ`` of client assertions is ``JWT``.",
            source=_CERTIFICATE,
            read=_READ,
            demands=Demands(assertion_typ="JWT"),
        ),
        Rule(
            name="assertion_audience",
            demand="The ``aud`` of client assertions is the token endpoint.",
            source=_CERTIFICATE,
            read=_READ,
            demands=Demands(assertion_audience="token_endpoint"),
        ),
    ),
)
