"""What a store can do. Texts under keys, each of which ends by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol


class Store(Protocol):
    """Texts under keys, with an end to each; shared by all that open the same one.

    Every method raises `StoreUnavailable` (``store_unreachable``) where the store does not answer.
    Whoever calls has sealed what nobody else should read.
    """

    def put(self, key: str, value: str, *, ttl: int) -> None:
        """Keep a text for `ttl` seconds, in place of what was there."""
        ...

    def add(self, key: str, value: str, *, ttl: int) -> bool:
        """Keep a text unless there is one; say whether it was kept. One caller wins."""
        ...

    def replace(self, key: str, value: str, *, expected: str, ttl: int) -> bool:
        """Keep a text where exactly `expected` is; say whether it was. One caller wins."""
        ...

    def get(self, *keys: str) -> Sequence[str | None]:
        """The texts under some keys, in one look; None where there is none (any more)."""
        ...

    def delete(self, key: str) -> None:
        """Forget a key; it need not be there."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin so, in no order. Slow: for operators, and never in a request."""
        ...

    def lock(self, key: str, *, ttl: int, wait: float) -> AbstractContextManager[None]:
        """Let one caller at a time go on.

        :param ttl: seconds after which the lock opens by itself, if its holder died.
        :param wait: seconds to wait for it.
        :raises StoreUnavailable: ``store_busy``, after waiting in vain.
        """
        ...
