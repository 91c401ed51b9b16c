"""The tokens of whoever is logged in: kept at login, live when asked for, gone at logout."""

from __future__ import annotations

import logging
import time
from typing import Any

from flask import Response, current_app, request
from flask import session as web_session

from .announcements import tell_tokens_ended, tell_tokens_refreshed
from .errors import LoginError, LoginRequired, StoreUnavailable
from .flows.open_sessions import OpenSession, tokens_key
from .flows.refresh import live_tokens
from .flows.vault import Vault
from .protocol.challenge import StepUpChallenge
from .protocol.tokens import TokenSet
from .protocol.urls import check_endpoint
from .provider import ApiSession
from .session import get_identity, logged_in_at, named_in_session, open_session
from .state import AppState, current_state, sealing_secrets
from .step_up import StepUp, demand_step_up
from .stores import CookieStore

log: logging.Logger = logging.getLogger("flask_parjar")

_MISSED = "_parjar_tokens_missed"  # in the session: the handle of the one that had no tokens
_JUST_NOW = 60  # seconds
_NO_STORE = (
    "PARJAR_STORE is session, which keeps no tokens: set it to sealed, redis://… or, in a test, "
    "memory."
)


def keep_tokens(tokens: TokenSet) -> None:
    """Keep the tokens of the login that was just finished, where the site has a store.

    :raises StoreUnavailable: they could not be kept.
    """
    session = open_session()
    if session is not None:
        _vault(session).save(tokens)


def take_tokens() -> TokenSet | None:
    """Take the tokens of who is leaving out of the store; None where there are none.

    A store that does not answer keeps nobody logged in: what it has will expire.
    """
    _, session = named_in_session()
    if session is None:
        return None
    try:
        vault = _vault(session)
        tokens = vault.load()
        vault.empty()
        return tokens
    except StoreUnavailable as exc:
        log.warning("tokens were left to expire: %s", exc.detail)
        return None


def access_token() -> str:
    """A live access token of whoever is logged in.

    :raises LoginRequired: nobody is, or their tokens have ended.
    :raises LoginError: ``tokens_lost``, where the login was just now.
    :raises ProviderUnavailable: it must be renewed, and the provider cannot do it now.
    :raises StoreUnavailable: the store does not answer.
    :raises RuntimeError: PARJAR_STORE keeps no tokens.
    """
    state = current_state()
    if state.settings.store == "session":
        raise RuntimeError(_NO_STORE)
    identity, session = get_identity(), open_session()
    if session is None:
        raise LoginRequired
    provider = state.provider(identity.provider)
    try:
        tokens, renewed = live_tokens(
            provider, _vault(session), subject=session.subject, clock=lambda: int(time.time())
        )
    except LoginRequired as ended:
        tell_tokens_ended(identity, ended)
        raise _unless_it_was_tried(ended, session) from ended
    if renewed:
        tell_tokens_refreshed(identity)
    return tokens.access_token


def _unless_it_was_tried(ended: LoginRequired, session: OpenSession) -> LoginRequired | LoginError:
    """The error to answer with: where a login for the same want is just over, one more is in vain.

    So a provider whose tokens are dead from the start, and a browser that drops the cookies they
    lie in, end in a sentence and not in a circle of redirects.
    """
    missed_before = web_session.get(_MISSED)
    web_session[_MISSED] = session.handle
    just_now = time.time() - session.logged_in_at < _JUST_NOW
    if just_now and missed_before not in (None, session.handle):
        return LoginError("tokens_lost", ended.detail)
    return ended


def open_api(base_url: str) -> ApiSession:
    """A session for calls to an API in the name of whoever is logged in.

    :raises ValueError: the token would travel in clear text.
    """
    state = current_state()
    if state.settings.store == "session":
        raise RuntimeError(_NO_STORE)
    identity = get_identity()
    if not identity:
        raise LoginRequired
    client = state.provider(identity.provider).client
    check_endpoint(base_url, allow_http=client.insecure_http)
    return state.http.api(base_url, access_token=access_token, on_challenge=_step_up)


def _step_up(challenge: StepUpChallenge) -> None:
    """Turn what an API asks for into a login."""
    identity = get_identity()
    wanted = StepUp(identity.provider, challenge.acr_values, challenge.max_age, essential=False)
    raise demand_step_up(wanted, logged_in_at=logged_in_at(), now=int(time.time()))


def set_token_cookies(response: Response) -> Response:
    """Set what a request changed in its sealed cookies, as Flask sets the session's."""
    store: CookieStore | None = request.environ.get(_place_of_cookies(current_state()))
    if store is None or not store.changes:
        return response
    interface, app = current_app.session_interface, current_app
    attributes: dict[str, Any] = {
        "httponly": True,
        "secure": interface.get_cookie_secure(app),
        "samesite": interface.get_cookie_samesite(app),
        "domain": interface.get_cookie_domain(app),
        "path": interface.get_cookie_path(app),
    }
    partitioned = getattr(interface, "get_cookie_partitioned", None)  # since Flask 3.1
    if partitioned is not None and partitioned(app):
        attributes["partitioned"] = True
    expires = interface.get_expiration_time(app, web_session)
    for name, value in store.changes.items():
        if value is None:  # with all attributes, or a __Host- cookie would stay
            response.delete_cookie(name, **attributes)
        else:
            response.set_cookie(name, value, expires=expires, **attributes)
    response.vary.add("Cookie")
    return response


def _vault(session: OpenSession) -> Vault:
    state = current_state()
    settings = state.settings
    return Vault(
        state.store or _cookie_store(state, session),
        key="tokens" if state.store is None else tokens_key(session),
        session=session.handle,
        secrets=sealing_secrets(),
        lifetime=max(1, session.logged_in_at + settings.session_lifetime - int(time.time())),
        patience=settings.http_timeout,
    )


def _cookie_store(state: AppState, session: OpenSession) -> CookieStore:
    """This browser's cookies, read and changed by all of one request."""
    place = _place_of_cookies(state)
    before: CookieStore | None = request.environ.get(place)
    if before is not None and before.owner == session.handle:
        return before
    store = request.environ[place] = CookieStore(
        request.cookies,
        name=f"{current_app.config['SESSION_COOKIE_NAME']}_parjar",
        owner=session.handle,
        process=state.process,
    )
    if before is not None:  # of the session before this login
        store.changes.update(before.changes)
    return store


def _place_of_cookies(state: AppState) -> str:
    """Where in the environ one app's cookies are, which may hand it on to another app."""
    return f"flask_parjar.cookies.{id(state)}"
