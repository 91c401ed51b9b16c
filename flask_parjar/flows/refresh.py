"""Tokens that stay alive: renewed shortly before their end, once, however many ask.

The first request whose token is due takes the lock and renews it. The others wait for the lock,
look again, and find what the first one kept. A refresh token is never sent twice by us: providers
that rotate them take a second use for a theft, and end the login.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..errors import (
    LoginRequired,
    ParJarError,
    ProviderRefused,
    ProviderUnavailable,
    StoreUnavailable,
    TokenRejected,
)
from ..protocol.tokens import TokenSet
from ..provider import Provider
from .vault import Vault

#: What says that a refresh token is dead; all else may pass. (The second is Glewlwyd's.)
_ENDINGS = ("invalid_grant", "HTTP 400 without a reason")

log: logging.Logger = logging.getLogger("flask_parjar")


def live_tokens(
    provider: Provider, vault: Vault, *, subject: str, clock: Callable[[], int]
) -> tuple[TokenSet, bool]:
    """The session's tokens with an access token that can be used, and whether we renewed it now.

    :param subject: whose session it is.
    :param clock: seconds since 1970; asked again after each wait.
    :raises LoginRequired: ``tokens_missing``, ``refresh_refused``: somebody must log in again.
    :raises ProviderUnavailable: no live token, and the provider cannot renew it now.
    :raises StoreUnavailable: no live token, and the store cannot be asked or is busy.

    RFC 6749 section 6, RFC 9700 section 4.14.
    """
    tokens = _kept(vault)
    if not tokens.is_due(clock()):
        return tokens, False
    if tokens.refresh_token is None:
        return _while_it_lives(tokens, clock, LoginRequired("expired", code="tokens_missing"))
    try:
        with vault.lock():
            tokens = _kept(vault)
            if not tokens.is_due(clock()):
                return tokens, False  # whoever had the lock before has renewed them
            return _renew(provider, vault, tokens, subject, clock)
    except StoreUnavailable as exc:
        return _while_it_lives(tokens, clock, exc)


def revoke_tokens(provider: Provider, tokens: TokenSet, *, now: int) -> None:
    """Tell the provider that a session's tokens are done with; a failure keeps nobody logged in.

    RFC 7009.
    """
    try:
        if tokens.refresh_token is not None:
            provider.revoke(tokens.refresh_token, "refresh_token", now=now)
        if tokens.lives(now):
            provider.revoke(tokens.access_token, "access_token", now=now)
    except ParJarError as exc:
        log.warning("tokens not revoked at %s: %s", provider.client.issuer, exc.code)


def _kept(vault: Vault) -> TokenSet:
    tokens = vault.load()
    if tokens is None:
        raise LoginRequired("no tokens are kept for this session", code="tokens_missing")
    return tokens


def _renew(
    provider: Provider, vault: Vault, tokens: TokenSet, subject: str, clock: Callable[[], int]
) -> tuple[TokenSet, bool]:
    """Renew with the lock held."""
    if vault.is_paused():
        failed = ProviderUnavailable("provider_unreachable", "a renewal failed a moment ago")
        return _while_it_lives(tokens, clock, failed)
    try:
        renewed = provider.refresh(tokens, subject=subject, now=clock())
    except ProviderRefused as exc:
        if exc.code != "refresh_refused" or exc.error not in _ENDINGS:
            return _after_failure(vault, tokens, clock, exc)
        return _after_refusal(vault, tokens, exc)
    except TokenRejected:
        vault.empty()  # the refresh token is spent, and what came for it is not to be trusted
        raise
    except ParJarError as exc:
        return _after_failure(vault, tokens, clock, exc)
    try:
        if vault.renew(renewed):
            return renewed, True
    except StoreUnavailable as exc:
        log.error("renewed tokens could not be kept, a login will be needed: %s", exc.detail)
        return renewed, True
    if vault.load() is None:  # somebody has logged out meanwhile
        revoke_tokens(provider, renewed, now=clock())
    return _kept(vault), False


def _after_refusal(
    vault: Vault, tokens: TokenSet, refused: ProviderRefused
) -> tuple[TokenSet, bool]:
    """End the tokens, unless others were kept meanwhile: then the refused ones were just old."""
    latest = _kept(vault)
    if latest.refresh_token != tokens.refresh_token:
        return latest, False
    vault.empty()
    log.warning("tokens ended: %s: %s", refused.code, refused.detail)
    raise LoginRequired(refused.detail, code="refresh_refused") from refused


def _after_failure(
    vault: Vault, tokens: TokenSet, clock: Callable[[], int], error: ParJarError
) -> tuple[TokenSet, bool]:
    log.warning("tokens not renewed: %s: %s", error.code, error.detail)
    vault.pause()
    return _while_it_lives(tokens, clock, error)


def _while_it_lives(
    tokens: TokenSet, clock: Callable[[], int], error: ParJarError
) -> tuple[TokenSet, bool]:
    if tokens.lives(clock()):
        return tokens, False
    raise error
