"""The sessions of one account, for an operator: on a page of the app, or in a command."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from flask import has_request_context

from ..errors import LoginError
from ..flows.refresh import revoke_tokens
from ..flows.session_registry import Registration, SessionEntry, SessionRegistry
from ..protocol.identity import Identity
from ..runtime import Runtime, current_runtime, require_shared_store
from ..signals import send_logged_out
from .session import peek_session
from .tokens import take_tokens_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """One active session, for a page of an administrator. Nothing in it is secret.

    :param id: a name of this session: the same in the signals. It gives access to nothing, so a
        form may send it.
    :param provider: the name in PARJAR_PROVIDERS, or ``default``.
    :param logged_in_at: seconds since 1970.
    :param is_current: whether it is the session of the browser that asks.
    """

    id: str
    provider: str
    issuer: str
    subject: str
    logged_in_at: int
    is_current: bool = False


def sessions(subject: str, *, provider: str | None, issuer: str | None) -> list[SessionInfo]:
    """See `ParJar.sessions`."""
    registry = _session_registry(current_runtime())
    found = registry.find(_registration(provider, issuer), _checked(subject))
    record = peek_session() if has_request_context() else None
    current = None if record is None or record.entry is None else record.entry.id
    return [
        SessionInfo(
            id=each.id,
            provider=each.provider,
            issuer=each.issuer,
            subject=each.subject,
            logged_in_at=each.logged_in_at,
            is_current=each.id == current,
        )
        for each in found
    ]


def end_sessions(whose: str | SessionInfo, *, provider: str | None, issuer: str | None) -> int:
    """See `ParJar.end_sessions`."""
    registry = _session_registry(current_runtime())
    if isinstance(whose, SessionInfo):
        if provider is not None or issuer is not None:
            raise TypeError("a SessionInfo says where its login was: leave out provider and issuer")
        registration = _registration(whose.provider, whose.issuer)
        found = registry.find(registration, whose.subject)
        return _end(registry, [each for each in found if each.id == whose.id])
    return len(end_sessions_of(_checked(whose), [_registration(provider, issuer)]))


def end_sessions_of(subject: str, registrations: Iterable[Registration]) -> list[SessionEntry]:
    """End all sessions of one subject, wherever they are.

    :returns: the sessions that were active.
    :raises StoreUnavailable: the store does not answer.
    """
    registry, ended = _session_registry(current_runtime()), []
    for each in registrations:
        found = registry.find(each, subject)
        # First: it ends also those that begin meanwhile, or whose entry cannot be found.
        registry.end_by_operator(each, subject, now=int(time.time()))
        _end(registry, found)
        ended += found
    return ended


def registrations(provider: str | None, issuer: str | None) -> list[Registration]:
    """Our clients, at all providers or at one; with tenants, there is one for each issuer.

    :raises LoginError: ``provider_unknown``.
    """
    runtime = current_runtime()
    chosen = runtime.providers.values() if provider is None else [runtime.provider(provider)]
    return [
        Registration(found.name, each, found.client.client_id)
        for found in chosen
        for each in found.client.accepted_issuer.issuers
        if issuer in (None, each)
    ]


def _registration(provider: str | None, issuer: str | None) -> Registration:
    """The one client where an account is.

    :raises LoginError: ``provider_unknown``.
    :raises TypeError: there are several.
    """
    found = registrations(provider, issuer)
    if not found:
        raise LoginError("provider_unknown", f"issuer {issuer!r:.200}")
    if len(found) > 1:
        where = ", ".join(f"{each.provider} ({each.issuer})" for each in found)
        raise TypeError(
            "the same subject is another person at each issuer: write provider= or issuer=, "
            f"one of {where:.500}"
        )
    return found[0]


def _session_registry(runtime: Runtime) -> SessionRegistry:
    if runtime.sessions is None:
        raise RuntimeError(
            f"PARJAR_STORE is {runtime.settings.store or 'not set'}, so no list of sessions is "
            "kept: set it to redis://… or, in a test, memory."
        )
    if has_request_context():
        require_shared_store(runtime)
    return runtime.sessions


def _checked(subject: object) -> str:
    if not isinstance(subject, str):
        raise TypeError(f"{subject!r:.80} is no subject: write current_user.subject, a string")
    return subject


def _end(registry: SessionRegistry, ended: list[SessionEntry]) -> int:
    """End sessions, then revoke their tokens.

    :returns: how many there were.
    """
    taken = []
    for session in ended:
        taken.append((session.provider, take_tokens_of(session)))
        registry.revoke(session)
        send_logged_out(_identity_of(session), session=session.id)
    for name, tokens in taken:
        provider = current_runtime().provider(name)
        if tokens is not None and not revoke_tokens(provider, tokens, now=int(time.time())):
            break  # somebody waits for this, and the others would take as long
    return len(ended)


def _identity_of(session: SessionEntry) -> Identity:
    """What the store says of the person: the claims are in the session alone."""
    return Identity(
        issuer=session.issuer,
        subject=session.subject,
        provider=session.provider,
        claims={} if session.sid is None else {"sid": session.sid},
    )
