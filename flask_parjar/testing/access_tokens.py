"""What the provider knows of an access token, and how an API refuses one."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flask import Response

from .state import Grant, ProviderState


def find_grant(
    access_token: str, *, jkt: str | None, x5t: str | None, provider: ProviderState
) -> Grant | None:
    """The grant of a live access token that comes with what it is bound to; else None.

    :param jkt: the thumbprint of the key of the DPoP proof; None for a bearer token
    :param x5t: that of the client certificate of the connection; None if there was none

    RFC 9449 section 7.1, RFC 8705 section 3
    """
    grant = provider.memory.access_tokens.get(access_token)
    if grant is None or grant.jkt != jkt or grant.x5t not in (None, x5t):
        return None
    return grant


def introspect(access_token: str, *, provider: ProviderState) -> dict[str, object]:
    """What an API may know of an access token; of one that is not valid, nothing.

    RFC 7662 section 2.2, RFC 9470 section 6.2, RFC 9449 section 6.2, RFC 8705 section 3.2,
    RFC 9396 section 9.2
    """
    grant = provider.memory.access_tokens.get(access_token)
    if grant is None:
        return {"active": False}
    request, sign_in = grant.request, grant.sign_in
    bound_to = {"jkt": grant.jkt, "x5t#S256": grant.x5t}
    members: dict[str, object] = {
        "cnf": {name: value for name, value in bound_to.items() if value is not None},
        "aud": [*request.resources],
        "authorization_details": [*request.authorization_details],
    }
    return {
        "active": True,
        "token_type": "Bearer" if grant.jkt is None else "DPoP",
        "iss": provider.issuer_for(sign_in.sub),
        "sub": sign_in.sub,
        "client_id": request.client.client_id,
        "scope": " ".join(grant.scopes),
        "auth_time": sign_in.at,
        "acr": sign_in.acr,
        **{name: value for name, value in members.items() if value},
    }


def challenge(
    scheme: str, error: str, more: Mapping[str, str] | None = None, *, status: int = 401
) -> Response:
    """A refusal of an access token (RFC 6750 section 3, RFC 9449 section 7.1).

    :param scheme: that of the request; empty if it had none that is known here
    :param error: empty if the request had no token
    :param more: further parameters of the challenge
    """
    parameters = ", ".join(
        f'{name}="{value}"' for name, value in {"error": error, **(more or {})}.items()
    )
    response = Response(
        json.dumps({"error": error} if error else {}),
        status=status,
        content_type="application/json",
    )
    response.headers["WWW-Authenticate"] = (
        f"{scheme} {parameters}" if error else 'Bearer, DPoP algs="ES256 Ed25519"'
    )
    response.headers["Cache-Control"] = "no-store"
    return response
