"""Who is logged in, kept in ``flask.session``."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard, cast

from flask import Response, current_app, request, session
from flask.sessions import SecureCookieSessionInterface
from werkzeug.local import LocalProxy

from .errors import LoginError, StoreUnavailable
from .flows.open_sessions import OpenSession
from .protocol.encoding import is_number
from .protocol.identity import NOBODY, Identity
from .state import AppState, check_shared, current_state
from .transactions import keep_waiting, waiting

log: logging.Logger = logging.getLogger("flask_parjar")

SESSION_KEY = "_parjar_user"
SEEN_KEY = "_parjar_seen"
_SEEN_STEPS = 10  # an idle time-out is kept to a tenth of it
_MAX_CLAIMS_IN_COOKIE = 1200
_CACHED = "flask_parjar.identity"  # in the WSGI environ: as short-lived as the request itself


def log_in(identity: Identity, *, now: int) -> Identity:
    """Start a new session for somebody; only logins under way in other tabs outlive the old one.

    The session's content goes, unless it is the same person's, and where the session lives on the
    server it gets a new name: what was known before the login is worth nothing after it.

    :returns: the identity with the app's own user, where a `user_loader` gives one.
    :raises LoginError: ``user_refused``.
    """
    state = current_state()
    identity = _with_user(state, identity)
    if not identity:
        raise LoginError("user_refused", "user_loader returned None")
    before: Any = session.get(SESSION_KEY)
    previous = _read_identity(state, before)
    if (previous.issuer, previous.subject) != (identity.issuer, identity.subject):
        _start_over()
    record = [
        identity.provider,
        identity.issuer,
        identity.subject,
        _claims_that_fit(identity.claims),
        sorted(identity.scopes),
        now,
    ]
    if state.settings.store != "session":
        check_shared(state)
        record.append(secrets.token_urlsafe(16))
    if state.sessions is not None:
        state.sessions.open(_open_session(record))
        if previous:
            state.sessions.retire(_open_session(before))
    session[SESSION_KEY] = record
    if state.settings.idle_timeout is not None:
        session[SEEN_KEY] = now
    # Flask-Session and its kin give a session a new identifier so, but not while it is empty.
    regenerate = getattr(current_app.session_interface, "regenerate", None)
    if regenerate is not None:
        regenerate(session)
    request.environ[_CACHED] = (session[SESSION_KEY], identity)
    return identity


def log_out() -> Identity:
    """End this browser's session, and say whose it was (falsy for nobody's).

    A store that does not answer keeps nobody logged in.
    """
    state = current_state()
    identity, open_session = named_in_session()
    if open_session is not None and state.sessions is not None:
        try:
            state.sessions.close(open_session)
        except StoreUnavailable as exc:
            log.warning("a session's entry was left to expire: %s", exc.detail)
    session.clear()
    return identity


def named_in_session() -> tuple[Identity, OpenSession | None]:
    """Whom this browser's session names, and their session where the site has a store.

    Nobody else is asked, neither the store nor the app: it is for those who leave.
    """
    record: Any = session.get(SESSION_KEY)
    identity = _read_identity(current_state(), record)
    return identity, _open_session(record) if identity and len(record) == 7 else None


def open_session() -> OpenSession | None:
    """The session of whoever is logged in; None where nobody is, or the site has no store."""
    record: Any = session.get(SESSION_KEY)
    return _open_session(record) if get_identity() and len(record) == 7 else None


def logged_in_at() -> int:
    """When whoever is logged in did so, in seconds since 1970; 0 where nobody is."""
    return int(session[SESSION_KEY][5]) if get_identity() else 0


def get_identity() -> Identity:
    """Who is logged in: `NOBODY` where nobody is. Costs a look into the session, and no more.

    Where PARJAR_STORE is one that many share, the store is asked every few seconds besides.

    :raises StoreUnavailable: it has not answered for a while.
    """
    record: Any = session.get(SESSION_KEY)
    environ = request.environ
    cached = environ.get(_CACHED)
    if cached is not None and cached[0] is record:
        return cast(Identity, cached[1])
    # (The very same record, or it is that of another app which was handed the same environ.)
    state = current_state()
    identity = _read_identity(state, record)
    if identity and state.watches_sessions:
        # Before the store is asked: an error page that looks once more must not fail as the page.
        environ[_CACHED] = (record, NOBODY)
        if not _is_open(state, record):
            _start_over()
            record, identity = None, NOBODY
    # Before the app's loader is asked, which may itself look at current_user.
    environ[_CACHED] = (record, identity)
    if identity and state.hooks.user_loader is not None:
        try:
            identity = _with_user(state, identity)
        except BaseException:
            del environ[_CACHED]
            raise
        environ[_CACHED] = (record, identity)
    return identity


def keep_private(response: Response) -> Response:
    """Forbid that anybody keeps a page made for somebody, unless the page says itself who may."""
    _, identity = request.environ.get(_CACHED, (None, NOBODY))
    if identity:
        response.headers.setdefault("Cache-Control", "private, no-store")
    return response


#: Who is logged in, as a proxy to an `Identity`; falsy when nobody is. In templates too.
current_user: Identity = cast(Identity, LocalProxy(get_identity))


def _read_identity(state: AppState, record: Any) -> Identity:
    if not _is_record(record):
        return NOBODY
    provider, issuer, subject, claims, scopes, began = record[:6]
    known = state.providers.get(provider)
    if known is None or known.client.issuer != issuer:
        return NOBODY  # the configuration changed since: the same name may be somebody else now
    if time.time() - began > state.settings.session_lifetime:
        return NOBODY
    return Identity(
        provider=provider,
        issuer=issuer,
        subject=subject,
        claims=dict(claims),  # the app's to change, and not the session's
        scopes=frozenset(scopes),
    )


def _is_record(record: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Say whether this is what `log_in` wrote: a session may hold what an older version did."""
    if not isinstance(record, (list, tuple)) or len(record) not in (6, 7):
        return False
    *words, claims, scopes, began = record[:6]
    return (
        all(isinstance(word, str) for word in [*words, *record[6:]])
        and isinstance(claims, dict)
        and isinstance(scopes, (list, tuple))
        and all(isinstance(scope, str) for scope in scopes)
        and is_number(began)
    )


def _is_open(state: AppState, record: Sequence[Any]) -> bool:
    """Whether a session still counts: not idle for too long, and not ended from elsewhere."""
    idle_timeout = state.settings.idle_timeout
    if idle_timeout is not None:
        seen, now = session.get(SEEN_KEY), int(time.time())
        if not is_number(seen) or now - seen > idle_timeout:
            return False
        if now - seen >= idle_timeout // _SEEN_STEPS:
            session[SEEN_KEY] = now  # seldom: each time costs a cookie
    if state.sessions is None:
        return True
    # (A session without a handle began before the site had a store.)
    return len(record) == 7 and state.sessions.is_open(_open_session(record))


def _open_session(record: Sequence[Any]) -> OpenSession:
    provider, issuer, subject, claims, _, began, *handle = record
    sid = claims.get("sid")
    return OpenSession(
        handle=handle[0] if handle else "",
        provider=provider,
        issuer=issuer,
        subject=subject,
        sid=sid if isinstance(sid, str) else None,
        logged_in_at=began,
    )


def _start_over() -> None:
    """Empty the session; only logins under way in other tabs stay."""
    others = waiting()
    session.clear()
    keep_waiting(others)


def _with_user(state: AppState, identity: Identity) -> Identity:
    """Add the app's own user; nobody is logged in for whom the app has none."""
    load = state.hooks.user_loader
    if load is None:
        return identity
    user = load(identity)
    return NOBODY if user is None else identity.with_user(user)


def _claims_that_fit(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the largest claims where Flask's cookie would grow past what browsers keep."""
    kept = dict(claims)
    if not isinstance(current_app.session_interface, SecureCookieSessionInterface):
        return kept
    if len(json.dumps(kept)) <= _MAX_CLAIMS_IN_COOKIE:
        return kept
    # (Without the sid no notice of the provider would ever find this session.)
    sizes = {name: len(json.dumps([name, kept[name]])) for name in kept if name != "sid"}
    excess = sum(sizes.values()) - _MAX_CLAIMS_IN_COOKIE
    by_size = sorted(sizes, key=lambda each: sizes[each])
    while excess > 0:
        name = by_size.pop()
        del kept[name]
        excess -= sizes[name]
        log.warning(
            "the claim %.80r (%d bytes) does not fit into the session cookie and was left out: "
            "ask for fewer scopes, or keep sessions on the server with Flask-Session",
            name,
            sizes[name],
        )
    return kept
