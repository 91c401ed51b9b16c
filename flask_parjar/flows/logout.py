"""Logout: RP-initiated logout at the provider, and back-channel logout by the provider."""

from __future__ import annotations

import logging
from collections.abc import Collection

from ..errors import ParJarError, TokenRejected
from ..protocol.algorithms import is_same_algorithm
from ..protocol.identity import Identity
from ..protocol.logout import MAX_HINT, LogoutToken, end_session_url
from ..protocol.tokens import TokenSet
from ..provider import Provider
from .replay_cache import ReplayCache
from .session_registry import Registration, SessionRegistry

log: logging.Logger = logging.getLogger("flask_parjar")


def begin_logout(
    provider: Provider,
    identity: Identity,
    tokens: TokenSet | None,
    *,
    post_logout_redirect_uri: str,
    now: int,
) -> str | None:
    """The URL where the browser logs out at the provider too; None where there is none.

    A provider that cannot be reached does not stop the logout: it is then a local one.

    :param tokens: those of the session, if they were stored.

    OpenID Connect RP-Initiated Logout 1.0 section 2.
    """
    try:
        agreement = provider.agreement(now)
    except ParJarError as exc:
        log.warning("logout at %s left out: %s", provider.issuer, exc.error_code)
        return None
    id_token = tokens.id_token if tokens else ""
    if len(id_token) > MAX_HINT:
        log.info("logout at %s without id_token_hint: it is too long", provider.issuer)
        id_token = ""
    return end_session_url(
        agreement,
        identity,
        id_token=id_token,
        post_logout_redirect_uri=post_logout_redirect_uri,
    )


def accept_logout_token(
    provider: Provider,
    token: str,
    *,
    sessions: SessionRegistry,
    replays: ReplayCache,
    now: int,
) -> LogoutToken | None:
    """Verify a logout token, and end the sessions that it names, in whatever browser they are.

    The provider may send it again, because our answer was lost. That ends nothing more.

    :returns: None if it was accepted before.
    :raises LoginError: with the code of the first check that fails.
    :raises ProviderUnavailable: the provider's keys cannot be fetched.
    :raises StoreUnavailable: the store does not answer; the token was not accepted.

    OpenID Connect Back-Channel Logout 1.0 sections 2.6 and 2.7.
    """
    logout_token = provider.verify_logout_token(token, now=now)
    registration = Registration(provider.name, logout_token.issuer, provider.client.client_id)
    _verify_alg(logout_token.alg, sessions.login_algs(registration))
    sessions.end_by_logout_token(registration, logout_token)
    # Remember the token last: if the store fails before, the provider may send it again.
    leeway = provider.agreement(now).clock_skew
    is_new = replays.remember(registration, logout_token.jti, leeway=leeway)
    return logout_token if is_new else None


def _verify_alg(alg: str, login_algs: Collection[str]) -> None:
    """A logout token has the algorithm of the ID tokens of its client.

    The provider may list others, but one was registered for this client.

    OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6.
    """
    if login_algs and not any(is_same_algorithm(alg, each) for each in login_algs):
        raise TokenRejected("token_algorithm", f"alg={alg}; ID tokens have {sorted(login_algs)}")
