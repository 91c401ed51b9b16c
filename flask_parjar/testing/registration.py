"""What a client must be to be registered. What it is then, is in ``clients.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import requests

from .clients import Client, FixedKeys, PublishedKeys, redirect_uri_fault
from .keys import ID_TOKEN_ALGORITHMS
from .metadata import AUTH_METHODS

_MIN_SECRET_BYTES = 32


def client_keys(
    jwks: Mapping[str, object] | None,
    jwks_uri: str | None,
    *,
    http: requests.Session,
    now: Callable[[], float],
) -> FixedKeys | PublishedKeys:
    """The keys of a client, from the one of the two that it gives.

    :raises ValueError: it gives both or neither, or keys that are of no use
    """
    if jwks is not None and jwks_uri is None:
        return FixedKeys(jwks)
    if jwks_uri is not None and jwks is None:
        return PublishedKeys(jwks_uri, http=http, now=now)
    raise ValueError("signed requests need the client's keys: give jwks or jwks_uri, not both")


def check_registration(client: Client) -> None:
    """Refuse a client that this provider could not serve.

    :raises ValueError: what is wrong with the registration

    RFC 7591 section 2
    """
    if not client.client_id:
        raise ValueError("client_id is empty")
    notices = (client.backchannel_logout_uri, client.frontchannel_logout_uri)
    uris = (*client.redirect_uris, *client.post_logout_redirect_uris, *notices)
    for uri in uris:
        if uri is not None and (fault := redirect_uri_fault(uri)):
            raise ValueError(fault)
    if not client.redirect_uris:
        raise ValueError("a client has at least one redirect URI")
    method, secret = client.token_endpoint_auth_method, client.client_secret
    if method not in AUTH_METHODS:
        raise ValueError(
            f"token_endpoint_auth_method {method!r} is not one of {', '.join(AUTH_METHODS)}"
        )
    if method.startswith("client_secret_") and not secret:
        raise ValueError(f"{method} needs a client_secret")
    if method == "client_secret_jwt" and len(str(secret)) < _MIN_SECRET_BYTES:
        raise ValueError(f"{method} needs a client_secret of {_MIN_SECRET_BYTES} characters")
    if client.id_token_signed_response_alg not in (None, *ID_TOKEN_ALGORITHMS):
        raise ValueError(f"ID tokens are signed by {', '.join(ID_TOKEN_ALGORITHMS)} here")
