"""A client of Glewlwyd: its registration there, and the configuration of its site."""

from __future__ import annotations

from typing import Any

from tests.interop.client_site import KEYS, SECRET, SITE
from tests.interop.glewlwyd_process import GlewlwydProcess
from tests.support.recipes import recipe

#: Its at_hash beside EdDSA is made with SHA-256; the OpenID Connect working group says SHA-512.
ID_TOKEN_ALGORITHMS = {"RS256": "RS256", "PS256": "PS256", "ES256": "ES256", "EdDSA": "ES256"}


def glewlwyd_client(client_id: str, alg: str, method: str, **more: Any) -> dict[str, Any]:
    """Return the registration of a client in Glewlwyd's own names.

    Glewlwyd takes a signed request as authentication with that key, whatever else was sent. So
    ``private_key_jwt`` is registered beside every other method.
    """
    client = {
        "client_id": client_id,
        "name": client_id,
        "enabled": True,
        "confidential": True,
        "scope": [],
        "authorization_type": ["code", "refresh_token"],
        "redirect_uri": [f"{SITE}/callback"],
        "post_logout_redirect_uris": [f"{SITE}/"],
        "token_endpoint_auth_method": sorted({method, "private_key_jwt"}),
        "token_endpoint_signing_alg": alg if method == "private_key_jwt" else "HS256",
        "request_object_signing_alg": alg,
        "sign_kid": ID_TOKEN_ALGORITHMS[alg],
        "jwks": {"keys": [KEYS[alg].as_dict(private=False)]},
    }
    if method.startswith("client_secret"):
        client["client_secret"] = SECRET
    return client | more


def client_id_for(alg: str, method: str) -> str:
    """Return the name of a client of the matrix."""
    return f"{alg}-{method}"


def settings(
    provider: GlewlwydProcess,
    alg: str = "ES256",
    method: str = "private_key_jwt",
    *,
    plugin: str = "oidc",
    **more: Any,
) -> dict[str, Any]:
    """Return the configuration of a site that is a client there.

    It is that of ``docs/providers``. RS256 must be set, because an RSA key signs PS256 by default.
    """
    config = recipe(
        "Glewlwyd",
        issuer=provider.issuer(plugin),
        key=KEYS[alg],
        PARJAR_CLIENT_ID=client_id_for(alg, method),
        PARJAR_CLIENT_AUTH=method,
    )
    if alg == "RS256":
        config["PARJAR_SIGNING_ALG"] = alg
    if method.startswith("client_secret"):
        config["PARJAR_CLIENT_SECRET"] = SECRET
    return config | more
