"""Leaving: here at once, at the provider where it has a door for that, and at its word."""

from __future__ import annotations

import logging

from ..errors import LoginError, ParJarError
from ..protocol.identity import Identity
from ..protocol.logout import LogoutToken, end_session_url
from ..protocol.tokens import TokenSet
from ..provider import Provider
from .open_sessions import OpenSessions

log: logging.Logger = logging.getLogger("flask_parjar")


def begin_logout(
    provider: Provider,
    identity: Identity,
    tokens: TokenSet | None,
    *,
    post_logout_redirect_uri: str,
    now: int,
) -> str | None:
    """The URL at the provider where the browser logs out there too; None where there is none.

    The provider's state never keeps anybody logged in here: if it cannot be reached, the logout is
    a local one.

    :param tokens: those of the session, where they were kept.
    """
    try:
        metadata = provider.metadata(now)
    except ParJarError as exc:
        log.warning("logout at %s left out: %s", provider.client.issuer, exc.code)
        return None
    return end_session_url(
        metadata,
        provider.client,
        identity,
        id_token=tokens.id_token if tokens else None,
        post_logout_redirect_uri=post_logout_redirect_uri,
    )


def accept_logout_token(
    provider: Provider, sessions: OpenSessions, token: str, *, now: int
) -> LogoutToken:
    """Prove a provider's notice, and end the sessions that it is about, wherever they are.

    :raises LoginError: the first rule that is broken.
    :raises ProviderUnavailable: the provider's keys cannot be had.
    :raises StoreUnavailable: the notice cannot be kept; it was not taken.

    OpenID Connect Back-Channel Logout 1.0 sections 2.6 and 2.7.
    """
    notice = provider.verify_logout_token(token, now=now)
    issuer, leeway = provider.client.issuer, provider.client.clock_skew
    if sessions.was_taken(issuer, notice.jti):
        raise LoginError("notice_repeated")
    sessions.end(issuer, subject=notice.subject, sid=notice.sid, now=now)
    sessions.take(issuer, notice.jti, leeway=leeway)  # last: what failed half-way may come again
    return notice
