"""Who is logged in, kept in ``flask.session``."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any, TypeGuard, cast

from flask import Response, current_app, request, session
from flask.sessions import SecureCookieSessionInterface
from werkzeug.local import LocalProxy

from .errors import LoginError
from .protocol.encoding import is_number
from .protocol.identity import NOBODY, Identity
from .state import AppState, current_state
from .transactions import keep_waiting, waiting

log: logging.Logger = logging.getLogger("flask_parjar")

SESSION_KEY = "_parjar_user"
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
    previous = _read_identity(state, session.get(SESSION_KEY))
    if (previous.issuer, previous.subject) != (identity.issuer, identity.subject):
        others = waiting()
        session.clear()
        keep_waiting(others)
    session[SESSION_KEY] = [
        identity.provider,
        identity.issuer,
        identity.subject,
        _claims_that_fit(identity.claims),
        sorted(identity.scopes),
        now,
    ]
    # Flask-Session and its kin give a session a new identifier so, but not while it is empty.
    regenerate = getattr(current_app.session_interface, "regenerate", None)
    if regenerate is not None:
        regenerate(session)
    request.environ[_CACHED] = (session[SESSION_KEY], identity)
    return identity


def log_out() -> Identity:
    """End this browser's session, and say whose it was (falsy for nobody's)."""
    identity = get_identity()
    session.clear()
    return identity


def get_identity() -> Identity:
    """Who is logged in: `NOBODY` where nobody is. Costs a look into the session, and no more."""
    record = session.get(SESSION_KEY)
    cached = request.environ.get(_CACHED)
    if cached is not None and cached[0] is record:
        return cast(Identity, cached[1])
    # (The very same record, or it is that of another app which was handed the same environ.)
    state = current_state()
    identity = _read_identity(state, record)
    # Before the app's loader is asked, which may itself look at current_user.
    request.environ[_CACHED] = (record, identity)
    if identity:
        try:
            identity = _with_user(state, identity)
        except BaseException:
            del request.environ[_CACHED]
            raise
        request.environ[_CACHED] = (record, identity)
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
    provider, issuer, subject, claims, scopes, logged_in_at = record
    known = state.providers.get(provider)
    if known is None or known.client.issuer != issuer:
        return NOBODY  # the configuration changed since: the same name may be somebody else now
    if time.time() - logged_in_at > state.settings.session_lifetime:
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
    if not isinstance(record, list | tuple) or len(record) != 6:
        return False
    *words, claims, scopes, logged_in_at = record
    return (
        all(isinstance(word, str) for word in words)
        and isinstance(claims, dict)
        and isinstance(scopes, list | tuple)
        and all(isinstance(scope, str) for scope in scopes)
        and is_number(logged_in_at)
    )


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
    sizes = {name: len(json.dumps([name, value])) for name, value in kept.items()}
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
