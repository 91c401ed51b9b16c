"""Who is logged in, kept in ``flask.session``."""

from __future__ import annotations

import logging
import secrets
import time
from typing import Any, NamedTuple, cast

from flask import current_app, request
from flask import session as flask_session
from flask.sessions import SecureCookieSessionInterface, SessionInterface
from werkzeug.local import LocalProxy

from ..errors import LoginError, StoreUnavailable
from ..flows.session_registry import (
    GRACE_PERIOD,
    RenewedClaims,
    SessionEntry,
    SessionRegistry,
)
from ..protocol.client import ClientConfig
from ..protocol.id_token import IDTokenClaims, is_fresh
from ..protocol.identity import ANONYMOUS, Identity
from ..runtime import Runtime, current_runtime, require_shared_store
from ..signals import send_access_refused
from .errors import AccessDenied
from .last_use import forget_use, is_idle, note_use
from .session_record import ReplacedSession, SessionRecord
from .shape import read_each
from .transactions import get_pending_logins, put_pending_logins

log: logging.Logger = logging.getLogger("flask_parjar")

SESSION_KEY = "_parjar_user"
REPLACED_KEY = "_parjar_replaced"  # the sessions that this one replaced
IDLE_KEY = "_parjar_idle"  # whether a session ended because it was not used
_MAX_REPLACED = 5
_CACHED = "flask_parjar.identity"  # a key of the WSGI environ, which ends with the request


class NewSession(NamedTuple):
    """What `log_in` began.

    :param identity: the person, with the app's own user where a `user_loader` gives one.
    :param replaced: the session that this one replaced, of the same person or another one.
    """

    record: SessionRecord
    identity: Identity
    replaced: SessionRecord | None


class CurrentSession:
    """What a request knows of its session, kept in the WSGI environ.

    :param stored: the value in ``flask.session`` that it was read from.
    :param record: None where no one is logged in.
    :param identity: None to make it from the record at its first use. A guard that only requires
        a login needs no copy of the claims.
    :param failure: why the store could not be asked; there is no record then.
    """

    def __init__(
        self,
        stored: object,
        record: SessionRecord | None,
        identity: Identity | None = None,
        *,
        failure: StoreUnavailable | None = None,
    ) -> None:
        self.stored = stored
        self.record = record
        self.failure = failure
        self._identity = identity

    @property
    def identity(self) -> Identity:
        """Who is logged in: `ANONYMOUS` where no one is."""
        if self._identity is None:
            self._identity = ANONYMOUS if self.record is None else self.record.identity
        return self._identity


def log_in(identity: Identity, *, id_token: IDTokenClaims, now: int) -> NewSession:
    """Start a new session in place of the one before.

    Unless the old session is active and of the same person, its content is removed, except for
    logins under way in other tabs. A session that is kept on the server gets a new identifier, so
    that one that was known before the login (session fixation) is of no use after it.

    :raises LoginError: ``user_refused``.
    :raises StoreUnavailable: the new session cannot be registered; the old one is as it was.
    """
    runtime = current_runtime()
    # Made before user_loader is called, which may change the claims that it is given.
    record = SessionRecord.of(
        identity,
        client_id=runtime.provider(identity.provider).client.client_id,
        logged_in_at=now,
        handle=_new_handle(runtime),
        store=runtime.store_kind,
        in_cookie=isinstance(current_app.session_interface, SecureCookieSessionInterface),
    )
    identity = _with_user(runtime, identity)
    if not identity:
        raise LoginError("user_refused", "user_loader returned None")
    former, replaced = _peek_session(runtime), _replaced_sessions(now)
    goes_on = former is not None and former.is_of(identity) and not _has_ended(runtime, former, now)
    entry = record.entry
    if runtime.sessions is not None and entry is not None:
        runtime.sessions.register(
            entry,
            issued_at=id_token.issued_at,
            alg=id_token.alg,
            ttl=record.seconds_left(lifetime=runtime.settings.session_lifetime, now=now),
        )
        replaced += _expire_replaced(runtime.sessions, former, now=now)
    if not goes_on:  # not before: if the store fails, the session of before goes on
        _start_over(runtime, now=now)
    new = NewSession(record, identity, former)
    _put_session(runtime, new, replaced=replaced[-_MAX_REPLACED:])
    if _has_just_signed_in(runtime, identity.provider, id_token, now):
        flask_session.pop(IDLE_KEY, None)
    return new


def log_out() -> SessionRecord | None:
    """End this browser's session.

    The sessions that it replaced in the last minute end too. If the store does not answer, the
    session in the browser still ends.

    :returns: the session that ended; None where no one was logged in.
    """
    runtime = current_runtime()
    record = _peek_session(runtime)
    entry = None if record is None else record.entry
    if entry is not None and runtime.sessions is not None:
        try:
            runtime.sessions.revoke(entry)
            for replaced in _replaced_sessions(int(time.time())):
                runtime.sessions.revoke_replaced(replaced.name)
        except StoreUnavailable as exc:
            log.warning("a session's entry was left to expire: %s", exc.detail)
    _clear(runtime, now=int(time.time()))
    return record


def end_session() -> None:
    """End this browser's session because the provider says that its time is over.

    :raises StoreUnavailable: the store does not answer.
    """
    runtime = current_runtime()
    record = _peek_session(runtime)
    if record is not None:
        _end(runtime, record, now=int(time.time()))


def renew_session(identity: Identity, *, at: int) -> None:
    """Let the claims and the scopes of a renewal count, in this request and in those that follow.

    They are kept in the store of PARJAR_STORE if all processes share it, so that the session cookie
    stays as it is, and no request with an older one brings back what was taken away.

    :param identity: who is logged in, as the renewal says.
    :param at: when the tokens were renewed, in seconds since 1970.
    """
    runtime, current = current_runtime(), _current_or_raise()
    if current.record is None:
        return  # the session has ended meanwhile
    in_cookie = isinstance(current_app.session_interface, SecureCookieSessionInterface)
    renewed = current.record.renewed_by(identity, in_cookie=in_cookie)
    if renewed == current.record:
        return
    stored, entry = current.stored, renewed.entry
    if runtime.sessions is None or entry is None:
        flask_session[SESSION_KEY] = stored = renewed.to_cookie()
    else:
        _renew_in_store(runtime.sessions, renewed, entry, at=at)
    user = current.identity.user
    request.environ[_CACHED] = CurrentSession(stored, renewed, renewed.identity.with_user(user))


def _renew_in_store(
    sessions: SessionRegistry, renewed: SessionRecord, entry: SessionEntry, *, at: int
) -> None:
    claims = RenewedClaims(renewed.claims, renewed.scopes, at)
    lifetime = current_runtime().settings.session_lifetime
    try:
        sessions.renew(entry, claims, ttl=renewed.seconds_left(lifetime=lifetime, now=at))
    except StoreUnavailable as exc:  # the next renewal brings them
        log.warning("the claims of a renewal were not kept: %s: %s", exc.error_code, exc.detail)


def peek_session() -> SessionRecord | None:
    """Read this browser's session alone, even if it has ended; None where there is none.

    Neither the store nor the ``user_loader`` is asked: at a logout it does not matter what they
    say. A person whose session is too old may still be signed in at the provider.
    """
    return _peek_session(current_runtime())


def _peek_session(runtime: Runtime) -> SessionRecord | None:
    return _read_record(runtime, flask_session.get(SESSION_KEY))


def ended_idle(runtime: Runtime, *, now: int) -> bool:
    """Whether a session in this browser ended because it was not used, or ends so now.

    The person may have left, and may still be signed in at the provider. So it is remembered until
    a login proves that somebody has just signed in there.
    """
    record = _peek_session(runtime)
    return IDLE_KEY in flask_session or (record is not None and is_idle(runtime, record, now=now))


def known_session() -> CurrentSession | None:
    """What this request has found out of its session; None if it has not looked. Asks no store."""
    known: CurrentSession | None = request.environ.get(_CACHED)
    return known


def report_refusal(error: AccessDenied) -> AccessDenied:
    """Signal that a person may not do something; the caller raises the error.

    :returns: the error.
    """
    known = known_session()
    record = None if known is None else known.record
    identity, session = (ANONYMOUS, None) if record is None else (record.identity, record.id)
    send_access_refused(identity, error, session=session, endpoint=request.endpoint)
    return error


def current_session() -> SessionRecord | None:
    """The session of the person who is logged in; None where no one is.

    Reads the session once in a request. With a shared PARJAR_STORE, the store is asked too, every
    few seconds. A session that has ended is emptied.

    :raises StoreUnavailable: the store has not answered for a while.
    """
    return _current_or_raise().record


def current_entry() -> SessionEntry | None:
    """The registry's entry of this session; None where no one is logged in or no store is set."""
    record = current_session()
    return None if record is None else record.entry


def logged_in_at() -> int:
    """When the login was, in seconds since 1970; 0 where no one is logged in."""
    record = current_session()
    return 0 if record is None else record.logged_in_at


def get_identity() -> Identity:
    """Who is logged in, as `current_session` has it: `ANONYMOUS` where no one is.

    :raises StoreUnavailable: the store has not answered for a while.
    """
    return _current_or_raise().identity


def _identity_to_show() -> Identity:
    """Who is logged in, for `current_user`: while the store does not answer, it is no one.

    So pages that need no login are still shown, the app's own error pages too. Guards refuse: they
    call `get_identity`.
    """
    return _current().identity


def check_session_interface(interface: SessionInterface) -> None:
    """Warn if a session on the server keeps its identifier at a login (session fixation)."""
    in_cookie = isinstance(interface, SecureCookieSessionInterface)
    if not in_cookie and not hasattr(interface, "regenerate"):
        log.warning(
            "%s keeps sessions on the server and has no method `regenerate`, so a person who knew "
            "the identifier of a session before the login is logged in after it: use Flask-Session "
            "0.6 or later, or give your session interface this method",
            type(interface).__name__,
        )


#: Who is logged in, as a proxy to an `Identity`; falsy when no one is. In templates too.
current_user: Identity = cast(Identity, LocalProxy(_identity_to_show))


def _current_or_raise() -> CurrentSession:
    current = _current()
    if current.failure is not None:
        raise current.failure
    return current


def _current() -> CurrentSession:
    """What this request knows of its session, looked up once."""
    stored: object = flask_session.get(SESSION_KEY)
    environ = request.environ
    cached: CurrentSession | None = environ.get(_CACHED)
    # Reuse the cached identity only if it was built from this very value. A login in this request
    # replaces the value, and a dispatcher may pass the environ to an app with its own session.
    if cached is not None and cached.stored is stored:
        return cached
    return _look_up(current_runtime(), stored, environ)


def _look_up(runtime: Runtime, stored: object, environ: dict[str, Any]) -> CurrentSession:
    record = _read_record(runtime, stored)
    if record is not None:
        try:
            record = _active_or_ended(runtime, record)
        except StoreUnavailable as exc:
            log.warning("who is logged in is not known: %s: %s", exc.error_code, exc.detail)
            environ[_CACHED] = current = CurrentSession(stored, None, failure=exc)
            return current
        stored = None if record is None else stored
    if record is None:
        environ[_CACHED] = current = CurrentSession(stored, None)
        return current
    # Cache the identity before calling user_loader: it may use current_user itself, and then sees
    # the person without their user, in place of calling itself for ever.
    environ[_CACHED] = current = CurrentSession(stored, record)
    if runtime.hooks.user_loader is not None:
        try:
            identity = _with_user(runtime, current.identity)
        except BaseException:
            # Without the app's user this identity is not complete: the next look must load again.
            del environ[_CACHED]
            raise
        current = CurrentSession(stored, record if identity else None, identity)
        environ[_CACHED] = current
    return current


def _read_record(runtime: Runtime, stored: object) -> SessionRecord | None:
    """The record of a session that fits the configuration."""
    record = SessionRecord.from_cookie(stored)
    if record is None:
        return None
    provider = runtime.providers.get(record.provider)
    fits = provider is not None and _fits(runtime, provider.client, record)
    return record if fits else None


def _fits(runtime: Runtime, client: ClientConfig, record: SessionRecord) -> bool:
    """Whether a session is one of this configuration.

    The name of a provider may have another issuer or client now, and another app may share our
    cookie and SECRET_KEY. Without the shared store that a session began with, it would be active
    again after its end.
    """
    began_in_shared, is_shared = record.store == "shared", runtime.store_kind == "shared"
    return client.accepted_issuer.includes(record.issuer) and (
        record.client_id,
        began_in_shared,
    ) == (client.client_id, is_shared)


def _put_session(runtime: Runtime, new: NewSession, *, replaced: list[ReplacedSession]) -> None:
    """Write a login into ``flask.session``, and into the cache of this request."""
    if replaced:
        flask_session[REPLACED_KEY] = [each.to_cookie() for each in replaced]
    flask_session[SESSION_KEY] = stored = new.record.to_cookie()
    # Flask-Session and others change the identifier of a session this way. They do nothing while
    # the session is empty, so this comes after the writes.
    interface = current_app.session_interface
    check_session_interface(interface)  # again: the app may have set it after init_app
    regenerate = getattr(interface, "regenerate", None)
    if regenerate is not None:
        regenerate(flask_session)
    request.environ[_CACHED] = CurrentSession(stored, new.record, new.identity)


def _new_handle(runtime: Runtime) -> str | None:
    """A random name for a new session in the store; None where no store is set."""
    if runtime.settings.store is None:
        return None
    require_shared_store(runtime)
    return secrets.token_urlsafe(16)


def _expire_replaced(
    sessions: SessionRegistry, former: SessionRecord | None, *, now: int
) -> list[ReplacedSession]:
    """Let the session that a new one replaces end soon.

    It does not end at once, because the browser may have other requests under way with the old
    cookie. Its name is kept in the new session, so that a logout within this time ends it too.
    """
    former_entry = None if former is None else former.entry
    if former_entry is None:
        return []
    return [ReplacedSession(sessions.expire_soon(former_entry), now + GRACE_PERIOD)]


def _active_or_ended(runtime: Runtime, record: SessionRecord) -> SessionRecord | None:
    """The record of a session as it is now. A session that has ended is emptied.

    :returns: None where it was emptied.
    :raises StoreUnavailable: the store has not answered for a while.
    """
    now, lifetime = int(time.time()), runtime.settings.session_lifetime
    if is_idle(runtime, record, now=now) or now - record.logged_in_at > lifetime:
        _start_over(runtime, now=now)
        return None
    note_use(runtime, record, now=now)
    active = _active(runtime, record, now)
    if active is None:
        _end(runtime, record, now=now)
    return active


def _active(runtime: Runtime, record: SessionRecord, now: int) -> SessionRecord | None:
    """The record with what the store has of a renewal; None if the session has ended.

    :raises StoreUnavailable: the store has not answered for a while.
    """
    if runtime.sessions is not None and (entry := record.entry) is not None:
        stored = runtime.sessions.look_up(entry)
        if stored is None:
            return None
        record = record.as_renewed(stored.renewed)
    expires_at = record.expires_at
    return record if expires_at is None or now < expires_at else None


def _end(runtime: Runtime, record: SessionRecord, *, now: int) -> None:
    """Empty a session, and delete its entry and its tokens.

    :raises StoreUnavailable: the store does not answer.
    """
    if runtime.sessions is not None and record.entry is not None:
        runtime.sessions.revoke(record.entry)
    _start_over(runtime, now=now)


def _has_ended(runtime: Runtime, record: SessionRecord, now: int) -> bool:
    """Whether a session is too old, was idle for too long, or was ended by someone else.

    :raises StoreUnavailable: the store has not answered for a while.
    """
    too_old = now - record.logged_in_at > runtime.settings.session_lifetime
    return too_old or is_idle(runtime, record, now=now) or _active(runtime, record, now) is None


def _replaced_sessions(now: int) -> list[ReplacedSession]:
    """The sessions that were replaced in this browser within the last minute."""
    replaced = read_each(flask_session.get(REPLACED_KEY), ReplacedSession.from_cookie)
    return [each for each in replaced if now <= each.ends_at]


def _start_over(runtime: Runtime, *, now: int) -> None:
    """Empty the session, except for logins under way in other tabs."""
    pending = get_pending_logins()
    _clear(runtime, now=now)
    put_pending_logins(pending)


def _clear(runtime: Runtime, *, now: int) -> None:
    """Empty the session, but remember an idle end.

    Otherwise a logout, or a login that was begun before the idle end, would lead around the
    question that must follow.
    """
    was_idle = ended_idle(runtime, now=now)
    flask_session.clear()
    forget_use(runtime)
    if was_idle:
        flask_session[IDLE_KEY] = True


def _has_just_signed_in(runtime: Runtime, provider: str, id_token: IDTokenClaims, now: int) -> bool:
    """Whether a person signed in at the provider within PARJAR_IDLE_TIMEOUT."""
    max_age, skew = runtime.settings.idle_timeout or 0, runtime.provider(provider).client.clock_skew
    return is_fresh(id_token.claims.get("auth_time"), max_age=max_age, now=now, skew=skew)


def _with_user(runtime: Runtime, identity: Identity) -> Identity:
    """Add the app's own user; a person without one in the app is not logged in."""
    load = runtime.hooks.user_loader
    if load is None:
        return identity
    user: Any = load(identity)
    return ANONYMOUS if user is None else identity.with_user(user)
