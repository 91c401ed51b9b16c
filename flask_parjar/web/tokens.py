"""The tokens of the person who is logged in: kept at login, renewed, removed at logout."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Response, request
from flask import session as flask_session

from ..errors import LoginError, ParJarError, StoreUnavailable, TokensEnded
from ..flows.follow_renewal import follow_renewal
from ..flows.refresh import live_tokens, remove_refresh_token, revoke_tokens
from ..flows.session_registry import SessionEntry, tokens_key
from ..flows.token_store import TokenStore
from ..protocol.authorization_details import Details
from ..protocol.challenge import StepUpChallenge
from ..protocol.outbound import Outbound, Proof
from ..protocol.tokens import TokenSet
from ..protocol.urls import check_endpoint
from ..provider import ApiSession, Provider
from ..runtime import Runtime, current_runtime, sealing_secrets
from ..signals import send_refresh_failed, send_tokens_refreshed
from ..stores import CookieStore
from .errors import AccessDenied, LoginRequired
from .own_cookies import own_cookie_name, set_own_cookies
from .session import (
    current_entry,
    end_session,
    get_identity,
    logged_in_at,
    peek_session,
    renew_session,
    report_refusal,
)
from .session_record import SessionRecord
from .step_up import StepUp, demand_step_up

log: logging.Logger = logging.getLogger("flask_parjar")

_MISSED = "_parjar_tokens_missed"  # in the session: the handle of a session that had no tokens
_JUST_NOW = 60  # seconds after a login in which ended tokens are an error
_NO_STORE = (
    "PARJAR_STORE is not set, so no tokens are kept: set it to cookie, redis://… or, in a test, "
    "memory."
)


def keep_tokens(record: SessionRecord, tokens: TokenSet, *, replaced: SessionRecord | None) -> None:
    """Store the tokens of a login that was just completed, where the site has a store.

    :param record: the session that the login began.
    :param replaced: the session that it replaced. The tokens of another person are revoked at
        once, those of the same person at the logout (see `TokenSet.in_place_of`).
    :raises StoreUnavailable: they could not be stored.
    """
    if record.entry is None:
        return
    former = None if replaced is None else _remove_refresh_token_of(replaced)
    token_store, now = _token_store(record.entry), int(time.time())
    if replaced is None or former is None:
        token_store.save(tokens)
        return
    provider = current_runtime().provider(replaced.provider)
    if _account(replaced) != _account(record):
        revoke_tokens(provider, former, now=now)
        token_store.save(tokens)
        return
    try:
        token_store.save(tokens.in_place_of(former, now=now))
    except StoreUnavailable:
        revoke_tokens(provider, former, now=now)  # they are in no store any more
        raise


def _account(record: SessionRecord) -> tuple[str, str, str]:
    return record.provider, record.issuer, record.subject


def _remove_refresh_token_of(replaced: SessionRecord) -> TokenSet | None:
    """Take the refresh token out of a session that was replaced, and return its tokens."""
    if replaced.entry is None:
        return None
    try:
        # Cookies too, which the new tokens are about to overwrite: a request that is under way with
        # the old cookies would still renew their tokens, and no one would revoke the renewed ones.
        return remove_refresh_token(_token_store(replaced.entry))
    except StoreUnavailable as exc:
        log.warning("tokens of the login before were left to expire: %s", exc.detail)
        return None


def take_tokens() -> TokenSet | None:
    """Remove the tokens of this browser's session: see `take_tokens_of`."""
    record = peek_session()
    return None if record is None or record.entry is None else take_tokens_of(record.entry)


def take_tokens_of(session: SessionEntry) -> TokenSet | None:
    """Remove the tokens of a session from the store, because it ends.

    If the store does not answer, the session still ends, and the stored tokens expire.

    :returns: the tokens; None where there are none.
    """
    tokens = None
    try:
        token_store = _token_store(session)
        # A renewal may write between the read and the removal. Then its tokens must be revoked.
        while (found := token_store.load()) is not None:
            tokens = found
            if token_store.remove():
                return tokens
        token_store.empty()  # what cannot be read
    except StoreUnavailable as exc:
        log.warning("tokens were left to expire: %s", exc.detail)
    return tokens  # also where they could not be removed: the provider can still revoke them


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What an app may know of the tokens of the person who is logged in.

    :param access_token: secret; to be sent to an API and shown to no one.
    :param token_type: how it is sent: ``Bearer`` or ``DPoP``, in the letters of the provider.
    :param expires_at: when it ends, in seconds since 1970; None where the provider does not say.
    :param scopes: what it is for; after a renewal there may be fewer than at the login.
    :param authorization_details: what was granted in detail (RFC 9396), as the provider wrote it;
        empty if the login did not ask for any.
    """

    access_token: str = field(repr=False)
    token_type: str
    expires_at: int | None
    scopes: frozenset[str]
    authorization_details: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)


def live(*, fresh: bool = False) -> Tokens:
    """Make the public value of what `current_tokens` gives."""
    tokens = current_tokens(fresh=fresh)
    return Tokens(
        access_token=tokens.access_token,
        token_type=tokens.token_type,
        expires_at=tokens.expires_at,
        scopes=frozenset(tokens.scopes),
        authorization_details=tokens.authorization_details,
    )


def granted_details() -> Details:
    """The ``authorization_details`` of the person who is logged in. Nothing is renewed for it.

    :raises LoginRequired: no one is logged in, or the tokens have ended.
    :raises LoginError: ``tokens_lost``: the tokens have ended just after a login.
    :raises StoreUnavailable: the store does not answer.
    :raises RuntimeError: PARJAR_STORE keeps no tokens.

    RFC 9396 section 7.
    """
    session = _session_with_tokens()
    tokens = _token_store(session).load()
    if tokens is None:
        ended = TokensEnded("no tokens are kept for this session", error_code="tokens_missing")
        raise _unless_just_tried(ended, session)
    return tokens.authorization_details


def _session_with_tokens() -> SessionEntry:
    """The entry of the session in the store.

    :raises LoginRequired: no one is logged in.
    :raises RuntimeError: PARJAR_STORE keeps no tokens.
    """
    if current_runtime().settings.store is None:
        raise RuntimeError(_NO_STORE)
    session = current_entry()
    if session is None:
        raise LoginRequired
    return session


def current_tokens(*, fresh: bool = False, refused: str | None = None) -> TokenSet:
    """The tokens of the person who is logged in, renewed first if they are about to end.

    :param fresh: whether to renew them in any case.
    :param refused: an access token for which they are renewed too, if it is the stored one.
    :raises LoginRequired: no one is logged in, or the tokens have ended.
    :raises LoginError: ``tokens_lost``: the tokens have ended just after a login.
    :raises ProviderUnavailable: the tokens must be renewed, and the provider cannot do it now.
    :raises StoreUnavailable: the store does not answer.
    :raises RuntimeError: PARJAR_STORE keeps no tokens.
    """
    session, identity = _session_with_tokens(), get_identity()
    provider = current_runtime().provider(identity.provider)
    try:
        found = live_tokens(
            provider,
            _token_store(session),
            issuer=session.issuer,
            subject=session.subject,
            clock=lambda: int(time.time()),
            fresh=fresh,
            refused=refused,
        )
    except ParJarError as error:
        send_refresh_failed(identity, error, session=session.id, usable=False)
        if isinstance(error, TokensEnded):
            raise _after_the_tokens(error, session) from error
        raise
    if found.failure is not None:
        send_refresh_failed(identity, found.failure, session=session.id, usable=True)
    if found.renewed_at is not None:
        renewed = follow_renewal(provider, identity, found, now=found.renewed_at)
        renew_session(renewed, at=found.renewed_at)
        send_tokens_refreshed(get_identity(), session=session.id)
    return found.tokens


def _after_the_tokens(ended: TokensEnded, session: SessionEntry) -> LoginRequired | LoginError:
    """The error to answer with after the end of the tokens; the session may end with them."""
    if ended.error_code != "session_expired":
        return _unless_just_tried(ended, session)
    end_session()
    if time.time() - session.logged_in_at < _JUST_NOW:  # the next login would end in the same way
        return LoginError("tokens_lost", ended.detail)
    return LoginRequired(ended.detail, error_code=ended.error_code)


def authorization_headers(method: str, url: str) -> dict[str, str]:
    """The headers that a request to an API needs (RFC 6750 section 2.1, RFC 9449 section 7.1).

    :raises ValueError: the token would be sent in clear text.
    """
    _check_destination(url)
    outbound = Outbound(method=method, url=url)
    for proof in _api_proofs():
        outbound = proof.apply(outbound, now=int(time.time()))
    return dict(outbound.headers)


def _unless_just_tried(ended: TokensEnded, session: SessionEntry) -> LoginRequired | LoginError:
    """The error to answer with: `LoginError` if a login was just completed and did not help.

    This prevents a redirect loop if the provider issues expired tokens, or if the browser drops
    the cookies that the tokens are in.
    """
    missed_before = flask_session.get(_MISSED)
    flask_session[_MISSED] = session.handle
    just_now = time.time() - session.logged_in_at < _JUST_NOW
    if just_now and missed_before not in (None, session.handle):
        return LoginError("tokens_lost", ended.detail)
    return LoginRequired(ended.detail, error_code=ended.error_code)


def open_api(base_url: str) -> ApiSession:
    """A session for calls to an API in the name of the person who is logged in.

    :raises ValueError: the token would be sent in clear text.
    """
    provider = _check_destination(base_url)
    return provider.http.api(
        base_url, proofs=_api_proofs, renewed_proofs=_renewed_proofs, on_challenge=_step_up
    )


def _api_proofs(refused: str | None = None) -> tuple[Proof, ...]:
    """The proofs that a request to an API carries: the access token.

    :param refused: an access token that the API does not accept any more.
    """
    tokens = current_tokens(refused=refused)
    nonces = current_runtime().provider(get_identity().provider).nonces
    return tokens.binding.proofs(tokens.access_token, nonces=nonces)


def _renewed_proofs(refused: str) -> tuple[Proof, ...]:
    """The proofs after an API did not accept a token; none where there is no refresh token.

    Then the view gets the answer of the API. It is not known whether a login would help: the API
    may accept no token of this provider.
    """
    session = current_entry()
    stored = None if session is None else _token_store(session).load()
    if stored is not None and stored.access_token == refused and stored.refresh_token is None:
        return ()
    return _api_proofs(refused)


def _runtime_with_store() -> Runtime:
    runtime = current_runtime()
    if runtime.settings.store is None:
        raise RuntimeError(_NO_STORE)
    return runtime


def _check_destination(url: str) -> Provider:
    """Check that a token may be sent to a URL.

    :returns: the provider of the person who is logged in.
    :raises ValueError: the token would be sent in clear text.
    :raises LoginRequired: no one is logged in.
    :raises RuntimeError: PARJAR_STORE keeps no tokens.
    """
    runtime = _runtime_with_store()
    identity = get_identity()
    if not identity:
        raise LoginRequired
    provider = runtime.provider(identity.provider)
    check_endpoint(url, allow_http=provider.client.insecure_http)
    return provider


def _step_up(challenge: StepUpChallenge) -> None:
    """Raise the error that leads to the login that an API asks for."""
    identity = get_identity()
    claims = json.dumps(challenge.claims, sort_keys=True, separators=(",", ":"))
    wanted = StepUp(
        identity.provider,
        challenge.acr_values,
        challenge.max_age,
        essential=False,
        claims=claims if challenge.claims else "",
    )
    error = demand_step_up(wanted, logged_in_at=logged_in_at(), now=int(time.time()))
    raise report_refusal(error) if isinstance(error, AccessDenied) else error


def set_token_cookies(response: Response) -> Response:
    """Set the token cookies that a request changed, with the attributes of the session cookie."""
    store: CookieStore | None = request.environ.get(_place_of_cookies(current_runtime()))
    if store is None or not store.changes:
        return response
    set_own_cookies(response, store.changes)
    return response


def _token_store(session: SessionEntry) -> TokenStore:
    runtime = current_runtime()
    settings = runtime.settings
    return TokenStore(
        runtime.store or _cookie_store(runtime, session),
        key="tokens" if runtime.store is None else tokens_key(session),
        session=session.handle,
        secrets=sealing_secrets(),
        lifetime=max(1, session.logged_in_at + settings.session_lifetime - int(time.time())),
        lock_timeout=settings.http_timeout,
    )


def _cookie_store(runtime: Runtime, session: SessionEntry) -> CookieStore:
    """This browser's token cookies, as one store for the whole request."""
    place = _place_of_cookies(runtime)
    before: CookieStore | None = request.environ.get(place)
    if before is not None and before.owner == session.handle:
        return before
    store = request.environ[place] = CookieStore(
        request.cookies,
        name=own_cookie_name("parjar"),
        owner=session.handle,
        process=runtime.process_cache,
    )
    if before is not None:  # a login in this request: the old session's cookies must go too
        store.changes.update(before.changes)
    return store


def _place_of_cookies(runtime: Runtime) -> str:
    """The environ key of one app's cookies: a dispatcher may pass the environ to another app."""
    return f"flask_parjar.cookies.{id(runtime)}"
