"""Token refresh: an access token is renewed shortly before it ends, once for all requests.

The first request whose token is due takes the lock and renews it. The others wait for the lock,
read the store again, and find the renewed tokens. A refresh token that was answered with 200 is
never sent again by us: a provider that rotates refresh tokens takes a second use for a theft, and
ends the login. After no answer, 429 or 5xx it is sent again after a pause.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from ..errors import (
    ParJarError,
    ProviderRefused,
    ProviderUnavailable,
    StoreUnavailable,
    TokenRejected,
    TokensEnded,
)
from ..protocol.id_token import IDTokenClaims
from ..protocol.tokens import Renewal, TokenSet
from ..provider import Provider
from .token_store import TokenStore

#: Errors that end the tokens at once, because the refresh token is no longer valid. (The second is
#: what Glewlwyd answers.) After any other refusal the access token is used until it ends.
_ENDINGS = ("invalid_grant", "HTTP 400 without a reason")
#: Errors of an ID token with a valid signature: the renewed tokens are not those of this session.
_OF_ANOTHER = ("token_issuer", "token_audience", "token_subject", "tenant_refused")
#: The provider ended the session.
_OVER = "token_session_expiry"

log: logging.Logger = logging.getLogger("flask_parjar")


class LiveTokens(NamedTuple):
    """Tokens with an access token that can be used.

    :param renewed_at: when this call renewed them, in seconds since 1970; None if it did not.
    :param id_token: the ID token of that renewal; None if there was none, or none that is valid.
    :param failure: why this call did not renew them although they were due.
    """

    tokens: TokenSet
    renewed_at: int | None = None
    id_token: IDTokenClaims | None = None
    failure: ParJarError | None = None


class _Need(NamedTuple):
    """What a request needs of an access token.

    :param clock: gives seconds since 1970; called again after each wait.
    :param refused: an access token that is of no use, even if it has not expired.
    """

    clock: Callable[[], int]
    refused: str | None

    def is_due(self, tokens: TokenSet) -> bool:
        """Whether to renew the tokens now."""
        return tokens.access_token == self.refused or tokens.is_due(self.clock())

    def is_met_by(self, tokens: TokenSet) -> bool:
        """Whether the access token can be used."""
        return tokens.access_token != self.refused and tokens.lives(self.clock())

    def met_by(self, tokens: TokenSet, *, otherwise: ParJarError) -> LiveTokens:
        """The tokens as they are, after a renewal that failed.

        :raises ParJarError: `otherwise`, if they cannot be used.
        """
        if self.is_met_by(tokens):
            return LiveTokens(tokens, failure=otherwise)
        raise otherwise


def live_tokens(
    provider: Provider,
    token_store: TokenStore,
    *,
    issuer: str,
    subject: str,
    clock: Callable[[], int],
    fresh: bool = False,
    refused: str | None = None,
) -> LiveTokens:
    """The session's tokens with an access token that can be used, renewed first if it is due.

    :param issuer: the ``iss`` of the session.
    :param subject: the ``sub`` of the session.
    :param clock: gives seconds since 1970; called again after each wait.
    :param fresh: whether the access token that is stored now is of no use any more.
    :param refused: an access token that is of no use any more; the one that is stored now may be a
        newer one.
    :raises TokensEnded: ``tokens_missing``, ``refresh_refused``, ``session_expired``: the person
        must log in again.
    :raises TokenRejected: the renewed tokens are of another session, or the answer breaks a rule
        and the access token has ended.
    :raises ProviderRefused: ``client_refused``, and the access token has ended.
    :raises ProviderUnavailable: the access token has ended, and the provider cannot renew it now.
    :raises StoreUnavailable: the store does not answer; or it is busy, and the access token has
        ended.

    RFC 6749 section 6, RFC 9700 section 4.14.
    """
    tokens = _kept(token_store)
    need = _Need(clock, tokens.access_token if fresh else refused)
    if (found := _without_a_renewal(tokens, need)) is not None:
        return found
    try:
        with token_store.lock():
            # While this request waited, another one may have renewed them, or have used or
            # removed the refresh token.
            tokens = _kept(token_store)
            if (found := _without_a_renewal(tokens, need)) is not None:
                return found
            return _renew(provider, token_store, tokens, (issuer, subject), need)
    except StoreUnavailable as exc:
        return need.met_by(tokens, otherwise=exc)


def remove_refresh_token(token_store: TokenStore) -> TokenSet | None:
    """Remove the refresh token of a session that a new login replaces.

    Requests that are under way in the old session may use the access token, but renew nothing.

    :returns: the tokens as they were; None where there are none.
    :raises StoreUnavailable: the store does not answer or is busy.
    """
    # With the lock, a renewal that is under way ends first, and its new refresh token is returned
    # here. Without it, that token would never be revoked.
    with token_store.lock():
        tokens = token_store.load()
        if tokens is not None:
            token_store.renew(tokens.without_refresh_token())
        return tokens


def revoke_tokens(provider: Provider, tokens: TokenSet, *, now: int) -> bool:
    """Revoke tokens at the provider, one by one.

    A failure does not stop the logout: it is logged, and the next token is tried. Only after a
    time-out the others are left to expire: a person waits for this, and there may be many.

    :returns: False after a time-out: other tokens at this provider should be left to expire too.

    RFC 7009 section 2.1.
    """
    for kind, token, binding in tokens.to_revoke(now):
        try:
            provider.revoke(
                token,
                kind,
                binding=binding,
                assertions=tokens.assertions,
                now=now,
            )
        except ParJarError as exc:
            log.warning("%s not revoked at %s: %s", kind, provider.issuer, exc.error_code)
            if exc.error_code == "provider_timeout":
                return False
    return True


def _kept(token_store: TokenStore) -> TokenSet:
    tokens = token_store.load()
    if tokens is None:
        raise TokensEnded("no tokens are kept for this session", error_code="tokens_missing")
    return tokens


def _without_a_renewal(tokens: TokenSet, need: _Need) -> LiveTokens | None:
    """The tokens, if they are not due, or cannot be renewed and live; None if they can be renewed.

    :raises TokensEnded: ``tokens_missing``: they are due, and there is no refresh token.
    """
    if not need.is_due(tokens):
        return LiveTokens(tokens)
    if tokens.refresh_token is not None:
        return None
    ended = TokensEnded("there is no refresh token", error_code="tokens_missing")
    return need.met_by(tokens, otherwise=ended)


def _renew(
    provider: Provider,
    token_store: TokenStore,
    tokens: TokenSet,
    account: tuple[str, str],
    need: _Need,
) -> LiveTokens:
    """Renew the tokens; the caller holds the lock.

    :param account: the ``iss`` and the ``sub`` of the session.
    """
    clock, (issuer, subject) = need.clock, account
    try:
        renewal = provider.refresh(tokens, now=clock())
    except ProviderRefused as exc:
        return _after_refusal(token_store, tokens, need, exc)
    except TokenRejected as exc:
        return _without_an_answer(token_store, tokens, need, exc)
    except ParJarError as exc:
        # After a success the provider has used the refresh token, even if its answer was lost.
        if isinstance(exc, ProviderUnavailable) and exc.carried_out:
            return _without_an_answer(token_store, tokens, need, exc)
        log.warning("tokens not renewed: %s: %s", exc.error_code, exc.detail)
        return need.met_by(tokens, otherwise=exc)
    id_token = _verified(provider, token_store, renewal, (tokens, issuer, subject), clock)
    renewed = renewal.tokens
    if id_token is not None:
        renewed = replace(renewed, id_token=id_token.jws)
    found = LiveTokens(renewed, clock(), id_token)
    return _kept_renewal(provider, token_store, found, clock=clock)


def _verified(
    provider: Provider,
    token_store: TokenStore,
    renewal: Renewal,
    session: tuple[TokenSet, str, str],
    clock: Callable[[], int],
) -> IDTokenClaims | None:
    """Verify the ID token of a renewal; None if there is none that can be used.

    :param session: its tokens as they were before, its ``iss`` and its ``sub``.
    :raises ParJarError: the renewed tokens are of another session, or the session has ended.
    """
    original, issuer, subject = session
    try:
        return provider.verify_renewal(
            renewal, original=original, issuer=issuer, subject=subject, now=clock()
        )
    except ParJarError as exc:  # also if the provider's documents can no longer be used
        if exc.error_code in (*_OF_ANOTHER, _OVER):
            revoke_tokens(provider, renewal.tokens, now=clock())  # first: the store may be away
            token_store.empty()
            if exc.error_code == _OVER:
                raise TokensEnded(exc.detail, error_code="session_expired") from exc
            raise
        # The tokens came from the provider itself, over TLS, so they are used. The ID token that
        # could not be verified is dropped: the identity stays as it was verified before.
        log.warning("the ID token of a renewal was left out: %s: %s", exc.error_code, exc.detail)
        return None


def _kept_renewal(
    provider: Provider, token_store: TokenStore, found: LiveTokens, *, clock: Callable[[], int]
) -> LiveTokens:
    """Keep renewed tokens, or return what has taken their place meanwhile."""
    renewed = found.tokens
    try:
        if token_store.renew(renewed):
            return found
    except StoreUnavailable as exc:
        log.error("renewed tokens could not be kept, a login will be needed: %s", exc.detail)
        return found
    # The stored tokens changed during the renewal. If they are gone, a logout removed them and
    # could not revoke the new ones; do it here.
    if token_store.load() is None:
        revoke_tokens(provider, renewed, now=clock())
    return LiveTokens(_kept(token_store))


def _after_refusal(
    token_store: TokenStore, tokens: TokenSet, need: _Need, refused: ProviderRefused
) -> LiveTokens:
    """Decide after a refusal: use the access token, use newer tokens, or end the tokens.

    :raises TokensEnded: ``refresh_refused``.
    """
    # Codes such as client_refused are faults of our configuration and say nothing of the tokens.
    ours_to_mend = refused.error_code != "refresh_refused"
    if ours_to_mend or (refused.error not in _ENDINGS and need.is_met_by(tokens)):
        log.warning("tokens not renewed: %s: %s", refused.error_code, refused.detail)
        return need.met_by(tokens, otherwise=refused)
    # A newer refresh token in the store means that another process renewed the tokens meanwhile,
    # so the refused one was only old.
    latest = _kept(token_store)
    if latest.refresh_token != tokens.refresh_token:
        return LiveTokens(latest)
    token_store.empty()
    log.warning("tokens ended: %s: %s", refused.error_code, refused.detail)
    raise TokensEnded(refused.detail, error_code="refresh_refused") from refused


def _without_an_answer(
    token_store: TokenStore, tokens: TokenSet, need: _Need, error: ParJarError
) -> LiveTokens:
    """Use the access token until it ends: the refresh token was used, and gave no new tokens."""
    log.warning("tokens not renewed, and the refresh token is used up: %s", error.detail)
    if not token_store.renew(tokens.without_refresh_token()):
        return LiveTokens(_kept(token_store))  # others came in between
    return need.met_by(tokens, otherwise=error)
