"""PingFederate, with all that a client can be held to for FAPI 2.0."""

from __future__ import annotations

from ..demands import Demands
from .preset import Preset, Rule

_PROVIDER = "pingidentity/terraform-provider-pingfederate"
_CLIENT = f"{_PROVIDER}: docs/resources/oauth_client.md"
_SERVER = f"{_PROVIDER}: docs/resources/oauth_server_settings.md"
_READ = "2026-11-30"
_ALGORITHMS = [f"{kind}{size}" for kind in ("RS", "ES", "PS") for size in ("256", "384", "512")]

PINGFEDERATE = Preset(
    title="PingFederate, FAPI 2.0",
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
            demand="Requests are pushed (``require_pushed_authorization_requests``).",
            source=_CLIENT,
            read=_READ,
            metadata={"require_pushed_authorization_requests": True},
        ),
        Rule(
            name="signed",
            demand="Requests are signed (``require_signed_requests``).",
            source=_CLIENT,
            read=_READ,
            metadata={"require_signed_request_object": True},
        ),
        Rule(
            name="request_algorithm",
            demand="Request objects are signed with an RSA or EC key, not with EdDSA.",
            source=_CLIENT,
            read=_READ,
            metadata={"request_object_signing_alg_values_supported": _ALGORITHMS},
        ),
        Rule(
            name="private_key_jwt",
            demand="The site authenticates with ``private_key_jwt`` (``client_auth``).",
            source=_CLIENT,
            read=_READ,
            metadata={"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
        ),
        Rule(
            name="assertion_algorithm",
            demand="Client assertions are signed with an RSA or EC key, not with EdDSA.",
            source=_CLIENT,
            read=_READ,
            metadata={"token_endpoint_auth_signing_alg_values_supported": _ALGORITHMS},
        ),
        Rule(
            name="dpop",
            demand="Token requests have a DPoP proof (``require_dpop``).",
            source=_CLIENT,
            read=_READ,
            demands=Demands(dpop_at=("token_endpoint",)),
        ),
        Rule(
            name="dpop_nonce",
            demand="DPoP proofs have a nonce of the server (``dpop_proof_require_nonce``).",
            source=_SERVER,
            read=_READ,
            demands=Demands(dpop_nonces=True),
        ),
    ),
)
