"""The interface of a store: strings under keys, each with an expiry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol


class Store(Protocol):
    """Strings under keys, each with an expiry; shared by all that open the same store.

    Callers encrypt what is secret. Every method can raise `StoreUnavailable`
    (``store_unreachable``).
    """

    def put(self, key: str, value: str, *, ttl: int) -> None:
        """Store a string for `ttl` seconds, in place of the one that is there."""
        ...

    def add(self, key: str, value: str, *, ttl: int) -> bool:
        """Store a string if the key has none. Atomic: of several callers, one gets True.

        :param value: one that no other caller stores. A store on the network finds by it whether
            a write whose answer was lost was its own.
        """
        ...

    def replace(self, key: str, value: str, *, expected: str, ttl: int) -> bool:
        """Store a string if the key has `expected`. Atomic: of several callers, one gets True.

        :param value: one that no other caller stores, as for `add`.
        """
        ...

    def get(self, *keys: str) -> Sequence[str | None]:
        """The strings under some keys, in one request; None for a key that has none."""
        ...

    def delete(self, key: str) -> None:
        """Delete a key; it need not exist."""
        ...

    def remove(self, key: str, *, expected: str) -> bool:
        """Delete a key if it has `expected`. Atomic: of several callers, one gets True."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys with this prefix, in no order. Slow: for operators, never in a request."""
        ...

    def lock(self, key: str, *, ttl: int, wait: float) -> AbstractContextManager[None]:
        """Let one caller at a time enter the block.

        :param ttl: seconds after which the lock is released if its holder died.
        :param wait: seconds to wait for it.
        :raises StoreUnavailable: ``store_busy``, after waiting in vain.
        """
        ...
