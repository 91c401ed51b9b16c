"""What is done with a session registry, without a site and a provider around it."""

from __future__ import annotations

import uuid

from flask_parjar.flows.session_registry import Registration, SessionEntry, SessionRegistry
from flask_parjar.protocol.logout import LogoutToken


def register(
    sessions: SessionRegistry,
    session: SessionEntry,
    *,
    issued_at: int | None = None,
    alg: str = "ES256",
) -> None:
    """Register a session.

    :param issued_at: the ``iat`` of its ID token; the time of the login if both clocks agree
    """
    issued_at = session.logged_in_at if issued_at is None else issued_at
    sessions.register(session, issued_at=issued_at, alg=alg)


def is_active(sessions: SessionRegistry, session: SessionEntry) -> bool:
    """Whether a session is active: the store has it, or had it a moment ago."""
    return sessions.look_up(session) is not None


def end_by_token(
    sessions: SessionRegistry,
    issuer: str,
    *,
    subject: str | None,
    sid: str | None,
    now: int,
    jti: str | None = None,
) -> None:
    """Accept a logout token.

    :param now: its ``iat``
    """
    token = LogoutToken(
        issuer=issuer,
        alg="ES256",
        jti=jti or uuid.uuid4().hex,
        issued_at=now,
        subject=subject,
        sid=sid,
    )
    sessions.end_by_logout_token(Registration("default", issuer, "client"), token)
