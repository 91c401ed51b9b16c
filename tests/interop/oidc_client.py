"""A client of oidc-provider: its registration there, and the configuration of its site."""

from __future__ import annotations

from typing import Any

from tests.interop.client_site import KEYS, SECRET, SITE
from tests.interop.provider_process import ProviderProcess
from tests.support.recipes import recipe


def client_metadata(client_id: str, alg: str, method: str, **more: Any) -> dict[str, Any]:
    """Return the registration of a client. Only this algorithm and this method are accepted."""
    metadata = {
        "client_id": client_id,
        "redirect_uris": [f"{SITE}/callback"],
        "post_logout_redirect_uris": [f"{SITE}/"],
        "jwks": {"keys": [KEYS[alg].as_dict(private=False)]},
        "request_object_signing_alg": alg,
        "id_token_signed_response_alg": alg,
        "token_endpoint_auth_method": method,
    }
    if method.startswith("client_secret"):
        metadata["client_secret"] = SECRET
    if method.endswith("_jwt"):
        signing = alg if method == "private_key_jwt" else "HS256"
        metadata["token_endpoint_auth_signing_alg"] = signing
    return metadata | more


def client_id_for(alg: str, method: str) -> str:
    """Return the name of a client of the matrix."""
    return f"{alg}-{method}"


def settings(provider: ProviderProcess, alg: str, method: str, **more: Any) -> dict[str, Any]:
    """Return the configuration of a site that is a client of the matrix: that of the documentation.

    The algorithm is set where the key has two: an RSA key signs PS256 by default, an Ed25519 key
    has two names for one algorithm.
    """
    config = recipe(
        "Your own provider",
        issuer=provider.issuer,
        key=KEYS[alg],
        PARJAR_CLIENT_ID=client_id_for(alg, method),
        PARJAR_CLIENT_AUTH=method,
    )
    if alg not in ("PS256", "ES256"):
        config["PARJAR_SIGNING_ALG"] = alg
    if method.startswith("client_secret"):
        config["PARJAR_CLIENT_SECRET"] = SECRET
    if provider.ca_bundle is not None:
        config["PARJAR_CA_BUNDLE"] = str(provider.ca_bundle)
    return config | more
