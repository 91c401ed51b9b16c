"""Clients of Spring Authorization Server: their registrations, the configuration of their sites."""

from __future__ import annotations

from typing import Any

import requests

from tests.interop.client_site import KEYS, SECRET, SITE
from tests.interop.spring_process import SpringProcess
from tests.support.recipes import recipe

METHODS = ("private_key_jwt", "client_secret_basic", "client_secret_post", "client_secret_jwt")

#: The endpoints that a login calls, and how each answers.
A_LOGIN = [
    ("discovery", 200),
    ("pushed_authorization_request", 201),
    ("token", 200),
    ("jwks", 200),
]

HOLD = 1  # seconds that the access tokens of the client `renewing` hold


def secret_of(client_id: str) -> str:
    """Return the secret of a client: no two may have the same."""
    return f"{SECRET}-{client_id}"


def spring_client(
    client_id: str, method: str, *, published_keys: str, **token: str
) -> dict[str, Any]:
    """Return the registration of a client, in the names of Spring Boot's properties.

    :param published_keys: the URL of the site's JWK Set.
    :param token: how long its tokens hold, and how they are signed.
    """
    registration = {
        "client-id": client_id,
        "client-authentication-methods": [method],
        "authorization-grant-types": ["authorization_code", "refresh_token"],
        "redirect-uris": [f"{SITE}/callback"],
        "post-logout-redirect-uris": [f"{SITE}/"],
        "scopes": ["openid", "profile", "email"],
    }
    client: dict[str, Any] = {
        "registration": registration,
        "require-proof-key": True,
        "token": {"reuse-refresh-tokens": False, **token},
    }
    if method.startswith("client_secret"):
        # A secret that is compared is stored by a password encoder, one that signs as it is.
        encoder = "" if method == "client_secret_jwt" else "{noop}"
        registration["client-secret"] = encoder + secret_of(client_id)
    if method.endswith("_jwt"):
        signing = "RS256" if method == "private_key_jwt" else "HS256"
        client["token-endpoint-authentication-signing-algorithm"] = signing
    if method == "private_key_jwt":  # it takes a URL, and no keys themselves
        client["jwk-set-uri"] = published_keys
    return client


def registrations(published_keys: str) -> dict[str, dict[str, Any]]:
    """Return all clients of these tests.

    Of ``my-site``, the client of ``docs/providers``, only the address of the site is another one.
    """
    clients = {
        "my-site": {
            "registration": {
                "redirect-uris": [f"{SITE}/callback"],
                "post-logout-redirect-uris": [f"{SITE}/"],
            },
            "jwk-set-uri": published_keys,
        }
    }
    for method in METHODS:
        clients[method] = spring_client(method, method, published_keys=published_keys)
    for client_id, token in {
        "renewing": {"access-token-time-to-live": f"{HOLD}s"},
        "signed-with-ps256": {"id-token-signature-algorithm": "PS256"},
    }.items():
        clients[client_id] = spring_client(
            client_id, "client_secret_basic", published_keys=published_keys, **token
        )
    return clients


def settings(
    provider: SpringProcess,
    client_id: str,
    method: str = "client_secret_basic",
    alg: str = "RS256",
    **more: Any,
) -> dict[str, Any]:
    """Return the configuration of a site that is a client there: that of ``docs/providers``.

    A test that keeps tokens sets the store.
    """
    config = recipe(
        "Spring Authorization Server",
        issuer=provider.issuer,
        key=KEYS[alg],
        PARJAR_CLIENT_ID=client_id,
        PARJAR_CLIENT_AUTH=method,
        PARJAR_STORE=None,
    )
    if method.startswith("client_secret"):
        config["PARJAR_CLIENT_SECRET"] = secret_of(client_id)
    return config | more


def is_live(provider: SpringProcess, token: str) -> bool:
    """Ask the provider's introspection endpoint (RFC 7662) whether a token is active."""
    client = "client_secret_basic"
    answer = requests.post(
        provider.metadata["introspection_endpoint"],
        data={"token": token},
        auth=(client, secret_of(client)),
        timeout=10,
    )
    answer.raise_for_status()
    active: bool = answer.json()["active"]
    return active
