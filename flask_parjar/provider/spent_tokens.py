"""Refresh tokens that were used: this process never sends them again."""

from __future__ import annotations

import hashlib

from ..stores.newest import put_newest

_MAX_REMEMBERED = 10_000


class SpentTokens:
    """The refresh tokens that were answered with 200, as hashes; of very many the newest.

    Usually the new token replaces the old one in the store. This class is for the case that the
    store could not be written, or that a browser sends an old cookie: a provider takes a second use
    of a token for a theft (RFC 9700 section 4.14.2).
    """

    def __init__(self) -> None:
        self._digests: dict[bytes, None] = {}  # in the order in which they were added

    def add(self, token: str) -> None:
        """Remember that a token was used."""
        put_newest(self._digests, _digest(token), None, at_most=_MAX_REMEMBERED)

    def discard(self, token: str) -> None:
        """Forget a token, because the provider has issued it again."""
        self._digests.pop(_digest(token), None)

    def __contains__(self, token: str) -> bool:
        return _digest(token) in self._digests


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8")).digest()
