"""Telling the clients that a person signed out: by a logout token, or by a frame in the page.

OpenID Connect Back-Channel Logout 1.0, OpenID Connect Front-Channel Logout 1.0
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping

import requests
from joserfc.jws import JWSRegistry

from .answers import with_query
from .clients import Client
from .id_token import id_token_alg
from .jws import encode, encode_json
from .keys import ID_TOKEN_ALGORITHMS
from .sessions import ClientSession
from .state import ProviderState, fresh_secret

EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_TOKEN_SECONDS = 120
_TIMEOUT_SECONDS = 5
log: logging.Logger = logging.getLogger("flask_parjar")


def mint_logout_token(
    client: Client,
    *,
    sub: str | None,
    sid: str | None,
    provider: ProviderState,
    header: Mapping[str, object] | None = None,
    claims: Mapping[str, object] | None = None,
) -> str:
    """A signed logout token.

    :param sub: the person, if the token names them
    :param sid: the session as this client knows it, if the token names it
    :param header: members to put over the honest ones; None takes one away
    :param claims: likewise

    OpenID Connect Back-Channel Logout section 2.4
    """
    now, spoilt = int(provider.now()), {**(header or {})}
    wished = str(spoilt.get("alg"))
    alg = wished if wished in ID_TOKEN_ALGORITHMS else id_token_alg(client, provider=provider)
    key = provider.keys.signing_key(alg)
    protected = {"typ": "logout+jwt", "alg": alg, "kid": key.kid, **spoilt}
    members: dict[str, object] = {
        "iss": provider.issuer,
        "aud": client.client_id,
        "iat": now,
        "exp": now + LOGOUT_TOKEN_SECONDS,
        "jti": fresh_secret(),
        "events": {EVENT: {}},
        "sub": sub,
        "sid": sid,
        **(claims or {}),
    }
    payload = json.dumps(_without_none(members)).encode()
    signing_input = f"{encode_json(_without_none(protected))}.{encode(payload)}"
    # Under an alg that is not ours the signature stays the honest one, and the header lies; but to
    # sign with "none" is not to sign (RFC 7515 appendix A.5).
    honest = JWSRegistry.algorithms[alg].sign(signing_input.encode("ascii"), key)
    signature = b"" if wished == "none" else honest
    return f"{signing_input}.{encode(signature)}"


def notify_session(ended: Iterable[ClientSession], *, provider: ProviderState) -> None:
    """Tell each client that a session is over, by the name under which that client knows it.

    OpenID Connect Back-Channel Logout section 2.5
    """
    for joined in ended:
        client = provider.clients[joined.client_id]
        if client.backchannel_logout_uri is not None:
            token = mint_logout_token(client, sub=joined.sub, sid=joined.sid, provider=provider)
            _post(client.client_id, client.backchannel_logout_uri, token, http=provider.http)


def notify_person(ended: Iterable[ClientSession], *, sub: str, provider: ProviderState) -> None:
    """Tell each client once that all sessions of a person are over: by a token without ``sid``.

    OpenID Connect Back-Channel Logout section 2.5
    """
    for client_id in dict.fromkeys(joined.client_id for joined in ended):
        client = provider.clients[client_id]
        if client.backchannel_logout_uri is not None:
            token = mint_logout_token(client, sub=sub, sid=None, provider=provider)
            _post(client.client_id, client.backchannel_logout_uri, token, http=provider.http)


def logout_frames(ended: Iterable[ClientSession], *, provider: ProviderState) -> list[str]:
    """What the signed-out page loads in frames, so that the clients see their own cookies.

    OpenID Connect Front-Channel Logout section 3
    """
    frames = []
    for joined in ended:
        uri = provider.clients[joined.client_id].frontchannel_logout_uri
        if uri is not None:
            frames.append(with_query(uri, [("iss", provider.issuer), ("sid", joined.sid)]))
    return frames


def _post(client_id: str, uri: str, token: str, *, http: requests.Session) -> None:
    """Whatever a client makes of it, the person is signed out here and the next one is told."""
    try:
        answer = http.post(
            uri, data={"logout_token": token}, timeout=_TIMEOUT_SECONDS, allow_redirects=False
        )
    except Exception as exc:  # without a socket, whatever the client's app raises comes here
        log.warning("the client %r was not told of a logout: %s", client_id, type(exc).__name__)
        return
    if answer.status_code not in (200, 204):
        log.warning("the client %r refused a logout: %d", client_id, answer.status_code)


def _without_none(members: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None}
