"""Authlete as its documentation sets it up for FAPI 2.0 Message Signing."""

from __future__ import annotations

from ..demands import Demands
from .preset import Preset, Rule

_SECURITY = "https://www.authlete.com/developers/fapi2/sp"
_SIGNED = "https://www.authlete.com/developers/fapi2/ms/authreq/"
_READ = "2026-11-30"
_ALGORITHMS = ["PS256", "ES256", "EdDSA"]

AUTHLETE = Preset(
    title="Authlete, FAPI 2.0 Message Signing",
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
            source=_SECURITY,
            read=_READ,
            metadata={"require_pushed_authorization_requests": True},
        ),
        Rule(
            name="signed",
            demand="Requests are signed.",
            source=_SIGNED,
            read=_READ,
            metadata={"require_signed_request_object": True},
        ),
        Rule(
            name="private_key_jwt",
            demand="The site authenticates with ``private_key_jwt``.",
            source=_SIGNED,
            read=_READ,
            metadata={"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
        ),
        Rule(
            name="assertion_algorithm",
            demand="Client assertions are signed with PS256, ES256 or EdDSA.",
            source=_SECURITY,
            read=_READ,
            metadata={"token_endpoint_auth_signing_alg_values_supported": _ALGORITHMS},
        ),
        Rule(
            name="dpop",
            demand="Token requests have a DPoP proof.",
            source=_SECURITY,
            read=_READ,
            demands=Demands(dpop_at=("token_endpoint",)),
        ),
    ),
)
