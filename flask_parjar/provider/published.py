"""What a provider publishes: its metadata, its keys, and the agreement made from the metadata."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from ..errors import LoginError, ProviderUnavailable, TokenRejected
from ..protocol.agreement import Agreement, Disagreement, agree
from ..protocol.client import ClientConfig
from ..protocol.jwe import EncryptionKey
from ..protocol.key_set import KeySet
from ..protocol.metadata import ProviderMetadata, metadata_urls
from ..protocol.opener import TokenOpener
from ..protocol.outbound import Answer, Outbound
from ..protocol.profiles import PROFILES
from .cached_document import MAX_TTL, MIN_TTL, CachedDocument, time_to_live
from .endpoint import Endpoints

T = TypeVar("T")

log: logging.Logger = logging.getLogger("flask_parjar")

#: Seconds after which the keys are fetched again, even if ``Cache-Control`` allows more: a provider
#: must be able to withdraw a key that was stolen.
MAX_KEYS_TTL = 3600
#: Errors of a token that newer keys may correct. The second is for a provider that replaced a key
#: and kept its ``kid``, or whose only key has none (OpenID Connect Core 10.1).
_OF_OLD_KEYS = ("token_key", "token_signature")
_SHOWN_OF_A_REFUSAL = 200  # bytes
_NOTHING_THERE = frozenset((404, 410, 421))  # RFC 9110 sections 15.5.5, 15.5.11 and 15.5.20


class _Agreed(NamedTuple):
    """What follows from our configuration and the metadata, until one of the two is another."""

    client: ClientConfig
    metadata: ProviderMetadata
    agreement: Agreement | tuple[Disagreement, ...]


class Published:
    """The cached documents of one provider: shared by all threads.

    :param find_client: gives our client there, with the keys of the moment.
    """

    def __init__(
        self,
        find_client: Callable[[], ClientConfig],
        endpoints: Endpoints,
        clock: Callable[[], float],
    ) -> None:
        self._find_client = find_client
        self._endpoints = endpoints
        self._agreed: _Agreed | None = None
        issuer = find_client().issuer
        self._metadata = CachedDocument(
            self._fetch_metadata, name=f"metadata of {issuer}", clock=clock
        )
        self._keys = CachedDocument(self._fetch_keys, name=f"keys of {issuer}", clock=clock)

    def metadata(self, now: int) -> ProviderMetadata:
        """The provider's metadata, from memory while it is fresh.

        :raises ProviderUnavailable: it cannot be fetched, or is not valid.
        """
        return self._metadata.get(now)

    def agreement(self, now: int) -> Agreement:
        """What this client and the provider use with each other.

        :raises LoginError: with the code of the first field that they cannot agree on.
        :raises ProviderUnavailable: the metadata cannot be fetched, or is not valid.
        """
        agreement = self._agree(self._metadata.get(now))
        if isinstance(agreement, tuple):
            raise LoginError(agreement[0].code, agreement[0].detail)
        return agreement

    def _agree(self, metadata: ProviderMetadata) -> Agreement | tuple[Disagreement, ...]:
        """Negotiate, unless it was done for this metadata and these keys."""
        client, agreed = self._find_client(), self._agreed
        if agreed is None or agreed.client is not client or agreed.metadata is not metadata:
            agreement = agree(client, metadata, PROFILES[client.profile])
            # Replaced as a whole: two threads may do the same, and the result is the same.
            agreed = _Agreed(client=client, metadata=metadata, agreement=agreement)
            self._agreed = agreed
        return agreed.agreement

    def keys(self, now: int) -> KeySet:
        """The provider's keys, from memory while they are fresh.

        :raises ProviderUnavailable: they cannot be fetched, or are not valid.
        """
        return self._keys.get(now)

    def encryption_key(self, alg: str, *, now: int) -> EncryptionKey:
        """The key that encrypts for the provider; if none fits, the keys are fetched once more.

        :raises LoginError: ``request_encryption_key``: the newest keys have none either.
        :raises ProviderUnavailable: the keys cannot be fetched, or are not valid.

        OpenID Connect Core 10.2.1.
        """
        keys = self.keys(now)
        try:
            return keys.encryption_key(alg)
        except LoginError:
            # Anybody can begin a login: that may not delay the keys that one under way needs.
            newer = self._keys.get_newer_than(keys, now, anybody_asks=True)
            if newer is keys:
                raise
            return newer.encryption_key(alg)

    def open_with(
        self, verify: Callable[[TokenOpener], T], *, now: int, anybody_asks: bool = False
    ) -> T:
        """Verify a token with the cached keys; if they do not fit, fetch them once more.

        :param verify: verifies the token with the opener that it gets.
        :param anybody_asks: whether any client on the network can send us such a token.
        :raises TokenRejected: the token breaks a rule.

        OpenID Connect Core 10.1.1.
        """
        agreement, keys = self.agreement(now), self._keys.get(now)
        try:
            return verify(TokenOpener(agreement, keys))
        except TokenRejected as exc:
            if exc.error_code not in _OF_OLD_KEYS:
                raise
            newer = self._keys.get_newer_than(keys, now, anybody_asks=anybody_asks)
            if newer is keys:
                raise
            return verify(TokenOpener(agreement, newer))

    def _fetch_metadata(self, now: int) -> tuple[ProviderMetadata, int]:
        client = self._find_client()
        document, ttl = self._read_metadata(client, now)
        metadata = ProviderMetadata.parse(
            document,
            expected_issuer=client.accepted_issuer.published,
            allow_http=client.insecure_http,
        )
        for reason in metadata.ignored:
            log.warning("metadata of %s counts as without %s", client.issuer, reason)
        if isinstance(self._agree(metadata), tuple):
            ttl = MIN_TTL  # fetch again soon: it is probably being corrected
        return metadata, ttl

    def _read_metadata(self, client: ClientConfig, now: int) -> tuple[Mapping[str, Any], int]:
        if client.metadata is not None:
            return client.metadata, MAX_TTL
        first, second = metadata_urls(client.issuer)
        try:
            answer = self._fetch("discovery", first, now)
        except ProviderUnavailable as exc:
            if exc.error_code != "provider_failed":
                raise
            answer = self._fetch_second(second, now, after=exc)
        return answer.document or {}, _time_to_live(answer)

    def _fetch_second(self, url: str, now: int, *, after: ProviderUnavailable) -> Answer:
        try:
            return self._fetch("discovery", url, now)
        except ProviderUnavailable as exc:
            detail = (
                f"{after.detail}; {exc.detail}; is PARJAR_ISSUER exactly the provider's issuer?"
            )
            if {after.received, exc.received} <= _NOTHING_THERE:
                raise ProviderUnavailable("metadata_missing", detail) from exc
            raise ProviderUnavailable(
                exc.error_code, detail, status=exc.status_hint, retry_after=exc.retry_after
            ) from exc

    def _fetch_keys(self, now: int) -> tuple[KeySet, int]:
        answer = self._fetch("jwks", self.metadata(now).jwks_uri, now)
        try:
            keys = KeySet.parse(answer.document or {})
        except ValueError as exc:
            raise ProviderUnavailable("jwks", str(exc)) from exc
        for reason in keys.left_out:
            log.info("a key of %s was left out: %s", self._find_client().issuer, reason)
        return keys, min(_time_to_live(answer), MAX_KEYS_TTL)

    def _fetch(self, endpoint: str, url: str, now: int) -> Answer:
        answer = self._endpoints.send(endpoint, lambda: Outbound(method="GET", url=url), now=now)
        if answer.status != 200:
            raise ProviderUnavailable(
                "provider_failed",
                f"{endpoint}: HTTP {answer.status} from {url}{_beginning(answer)}",
                received=answer.status,
            )
        if answer.document is None:
            reason = f"{endpoint}: no JSON object from {url}: {answer.fault}"
            raise ProviderUnavailable("provider_answer", reason)
        return answer


def _time_to_live(answer: Answer) -> int:
    return time_to_live(answer.headers.get("Cache-Control"), answer.headers.get("Age"))


def _beginning(answer: Answer) -> str:
    """What a refusal says, cut short and quoted: it is text of unknown origin."""
    text = answer.body[:_SHOWN_OF_A_REFUSAL].decode("utf-8", "replace").strip()
    return "" if not text or text.startswith("<") else f", which says {text!r}"
