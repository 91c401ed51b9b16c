"""Curity Identity Server as its documentation sets it up for financial-grade security."""

from __future__ import annotations

from ..demands import Demands
from .preset import Preset, Rule

_GUIDE = "https://curity.io/docs/idsvr/latest/token-service-admin-guide/financial-grade.html"
_EXAMPLE = "curityio/dpop-end-to-end: idsvr/config-backup.xml"
_READ = "2026-11-30"

CURITY = Preset(
    title="Curity Identity Server, financial-grade",
    settings={
        "PARJAR_ISSUER": "https://id.your-company.example",
        "PARJAR_CLIENT_ID": "my-site",
        "PARJAR_SIGNING_KEY": "key.pem",
        "PARJAR_PROFILE": "fapi2-message-signing",
        "PARJAR_DPOP": True,
    },
    rules=(
        Rule(
            name="pushed",
            demand="Requests are pushed.",
            source="https://curity.io/resources/learn/par-tutorial/",
            read=_READ,
            metadata={"require_pushed_authorization_requests": True},
        ),
        Rule(
            name="signed",
            demand="Requests are signed: ``none`` is not among the algorithms of request objects.",
            source=_GUIDE,
            read=_READ,
            metadata={"require_signed_request_object": True},
        ),
        Rule(
            name="assertion_algorithm",
            demand="Client assertions are signed with ES256.",
            source=_EXAMPLE,
            read=_READ,
            metadata={"token_endpoint_auth_signing_alg_values_supported": ["ES256"]},
        ),
        Rule(
            name="dpop",
            demand=(
                "A request has ``dpop_jkt``, and the token request a DPoP proof "
                "(``authorization-code-dpop-binding`` and ``token-dpop-binding``)."
            ),
            source=_EXAMPLE,
            read=_READ,
            demands=Demands(dpop_at=("token_endpoint",), request_parameters={"dpop_jkt": ".+"}),
        ),
        Rule(
            name="dpop_nonce",
            demand="DPoP proofs have a nonce of the server.",
            source="curityio/dpop-end-to-end: README.md",
            read=_READ,
            demands=Demands(dpop_nonces=True),
        ),
    ),
)
