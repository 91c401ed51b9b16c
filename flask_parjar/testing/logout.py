"""Logout at the provider: asked for by a client, and reported to the clients of the session.

OpenID Connect RP-Initiated Logout 1.0, Back-Channel Logout 1.0, Front-Channel Logout 1.0
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from urllib.parse import parse_qsl

from flask import Blueprint, Response, request
from flask import session as flask_session
from joserfc.jws import JWSRegistry

from .answers import InvalidRequestError, OAuth2Error, refusal, with_query
from .app import error_page, page, query_parameters, see_other
from .authorization import current_person, end_this_session
from .clients import Client, home_of
from .documents import ID_TOKEN_ALGORITHMS, PATHS, path_prefix
from .encryption import encrypt_for_client
from .jws import Unproven, encode, encode_json, parse, verify
from .state import ClientSession, ProviderState, SignOut, fresh_secret
from .tokens import id_token_alg

SIGN_OUT_SECONDS = 600
LOGOUT_TOKEN_SECONDS = 120
EVENT = "http://schemas.openid.net/event/backchannel-logout"
_TIMEOUT_SECONDS = 5
log: logging.Logger = logging.getLogger("flask_parjar")


class LogoutEndpoints:
    """The end-session endpoint of one provider, and the page that asks the person."""

    def __init__(self, provider: ProviderState) -> None:
        self.provider = provider
        self._prefix = path_prefix(provider.issuer)

    def blueprint(self) -> Blueprint:
        """The routes."""
        routes = Blueprint("sign_out", __name__)
        path = self._prefix + PATHS["end_session_endpoint"]
        routes.add_url_rule(path, "end_session", self.end_session, methods=["GET", "POST"])
        routes.add_url_rule(f"{path}/<sign_out_id>", "sign_out", self.decide, methods=["POST"])
        routes.register_error_handler(OAuth2Error, partial(error_page, provider=self.provider))
        return routes

    def end_session(self) -> Response:
        """Ask the person whether to sign out at the provider too.

        RP-Initiated Logout section 2
        """
        if request.method == "POST":
            # A cross-site POST has no cookie of ours: send the browser here again, by GET.
            return see_other(with_query(request.base_url, request.form.items(multi=True)))
        sign_out = self._sign_out(query_parameters())
        person = current_person(self.provider)
        if person is None:
            return _signed_out(sign_out)
        sign_out_id = fresh_secret()
        self.provider.memory.sign_outs.put(
            sign_out_id, sign_out, until=self.provider.now() + SIGN_OUT_SECONDS
        )
        action = f"{self._prefix}{PATHS['end_session_endpoint']}/{sign_out_id}"
        return page(
            "sign_out.html", {"person": person, "client": sign_out.client, "action": action}
        )

    def decide(self, sign_out_id: str) -> Response:
        """Accept the person's yes or no."""
        sign_out = self.provider.memory.sign_outs.pop(sign_out_id)
        if sign_out is None or sign_out.browser != flask_session.get("browser"):
            raise refusal(InvalidRequestError, "this was decided before, or in another browser")
        if request.form.get("decision") != "approve":
            values = {"person": current_person(self.provider), "home": _home(sign_out)}
            return page("signed_out.html", values)
        ended = end_this_session(self.provider)
        notify_session(ended, provider=self.provider)
        return _signed_out(sign_out, frames=logout_frames(ended, provider=self.provider))

    def _sign_out(self, parameters: dict[str, str]) -> SignOut:
        client = self._client(parameters)
        redirect_uri = parameters.get("post_logout_redirect_uri")
        if redirect_uri is not None:
            if client is None:
                raise refusal(
                    InvalidRequestError,
                    "post_logout_redirect_uri needs a client_id or an id_token_hint",
                )
            if redirect_uri not in client.post_logout_redirect_uris:
                raise refusal(
                    InvalidRequestError,
                    f"post_logout_redirect_uri {redirect_uri!r} is not registered",
                )
        return SignOut(
            browser=str(flask_session.get("browser", "")),
            client=client,
            redirect_uri=redirect_uri,
            state=parameters.get("state"),
        )

    def _client(self, parameters: dict[str, str]) -> Client | None:
        client_id = parameters.get("client_id")
        if "id_token_hint" in parameters:
            audience = self._audience(parameters["id_token_hint"])
            if client_id not in (None, audience):
                raise refusal(InvalidRequestError, "id_token_hint was issued to another client")
            client_id = audience
        if client_id is None:
            return None
        if client_id not in self.provider.clients:
            raise refusal(InvalidRequestError, f"no client is registered as {client_id!r}")
        return self.provider.clients[client_id]

    def _audience(self, hint: str) -> str:
        """The client that one of our ID tokens was issued to. It may have expired."""
        try:
            claims = verify(
                parse(hint), find_key=self.provider.keys.find, algorithms=ID_TOKEN_ALGORITHMS
            )
        except Unproven as exc:
            raise refusal(InvalidRequestError, f"id_token_hint: {exc}") from exc
        return str(claims.get("aud"))


def mint_logout_token(
    client: Client,
    *,
    sub: str | None,
    sid: str | None,
    provider: ProviderState,
    header: Mapping[str, object] | None = None,
    claims: Mapping[str, object] | None = None,
) -> str:
    """A signed logout token, encrypted as the ID tokens of the client are.

    :param sub: the person; None leaves the claim out
    :param sid: the session as this client knows it; None leaves the claim out
    :param header: members that replace the correct ones; None as a value removes one
    :param claims: likewise

    OpenID Connect Back-Channel Logout section 2.4
    """
    now, changes = int(provider.now()), {**(header or {})}
    asked = str(changes.get("alg"))
    alg = asked if asked in ID_TOKEN_ALGORITHMS else id_token_alg(client, provider=provider)
    key = provider.keys.signing_key(alg)
    protected = {"typ": "logout+jwt", "alg": alg, "kid": key.kid, **changes}
    members: dict[str, object] = {
        "iss": provider.issuer_for(sub),
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
    # With an alg that we do not have, the header is wrong and the signature is still of `alg`. But
    # with "none" there is no signature (RFC 7515 appendix A.5).
    signature = JWSRegistry.algorithms[alg].sign(signing_input.encode("ascii"), key)
    token = f"{signing_input}.{encode(b'' if asked == 'none' else signature)}"
    return encrypt_for_client(
        token, client.id_token_encryption, kind="logout_token", client=client, provider=provider
    )


def notify_session(ended: Iterable[ClientSession], *, provider: ProviderState) -> None:
    """Send each client a logout token with the ``sid`` by which it knew the session.

    OpenID Connect Back-Channel Logout section 2.5
    """
    for joined in ended:
        client = provider.clients[joined.client_id]
        _send_logout_token(client, sub=joined.sub, sid=joined.sid, provider=provider)


def notify_person(ended: Iterable[ClientSession], *, sub: str, provider: ProviderState) -> None:
    """Send each client one logout token without ``sid``: all sessions of the person ended.

    OpenID Connect Back-Channel Logout section 2.5
    """
    for client_id in dict.fromkeys(joined.client_id for joined in ended):
        client = provider.clients[client_id]
        _send_logout_token(client, sub=sub, sid=None, provider=provider)


def logout_frames(ended: Iterable[ClientSession], *, provider: ProviderState) -> list[str]:
    """The URLs that the signed-out page loads in frames, one for each client that has one.

    OpenID Connect Front-Channel Logout section 3
    """
    frames = []
    for joined in ended:
        uri = provider.clients[joined.client_id].frontchannel_logout_uri
        if uri is not None:
            issuer = provider.issuer_for(joined.sub)
            frames.append(with_query(uri, [("iss", issuer), ("sid", joined.sid)]))
    return frames


def _send_logout_token(
    client: Client, *, sub: str, sid: str | None, provider: ProviderState
) -> None:
    """Post a logout token. If that fails, the person is signed out all the same: it is logged."""
    if client.backchannel_logout_uri is None:
        return
    token = mint_logout_token(client, sub=sub, sid=sid, provider=provider)
    try:
        answer = provider.http.post(
            client.backchannel_logout_uri,
            data={"logout_token": token},
            timeout=_TIMEOUT_SECONDS,
            allow_redirects=False,
        )
    except Exception as exc:  # without a socket, any exception of the client's app comes here
        log.warning("no logout token reached %r: %s", client.client_id, type(exc).__name__)
        return
    if answer.status_code not in (200, 204):
        log.warning("%r refused a logout token: %d", client.client_id, answer.status_code)


def _signed_out(sign_out: SignOut, *, frames: Collection[str] = ()) -> Response:
    """Redirect to the client, or show a page; a page also where frames must be loaded first.

    RP-Initiated Logout section 3, OpenID Connect Front-Channel Logout section 3
    """
    if sign_out.redirect_uri is None:
        away = {"person": None, "home": _home(sign_out)}
        return page("signed_out.html", away, frames=frames)
    state = [] if sign_out.state is None else [("state", sign_out.state)]
    if not frames:
        return see_other(with_query(sign_out.redirect_uri, state))
    # A form with method GET drops the query of its action, so the query becomes fields.
    action, _, query = sign_out.redirect_uri.partition("?")
    parameters = [*parse_qsl(query, keep_blank_values=True), *state]
    values = {"person": None, "action": action, "parameters": parameters}
    return page("signed_out.html", values, frames=frames)


def _home(sign_out: SignOut) -> str | None:
    """A page of the site that asked for the logout; None if no site did."""
    if sign_out.redirect_uri is not None or sign_out.client is None:
        return sign_out.redirect_uri
    return home_of(sign_out.client)


def _without_none(members: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None}
