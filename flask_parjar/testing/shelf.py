"""What the provider remembers for a while: codes, tokens, pushed requests, spent identifiers.

Here is one small store: timed, bounded, safe under threads. What the values mean is the business of
those who keep them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shelf(Generic[T]):
    """Values that fall off when their time is over, or, oldest first, when the shelf is full.

    :param now: the clock, in seconds since 1970
    :param at_most: how many values may lie here
    """

    def __init__(self, *, now: Callable[[], float], at_most: int = 10_000) -> None:
        self._now = now
        self._at_most = at_most
        self._values: dict[str, tuple[float, T]] = {}
        self._lock = threading.Lock()

    def put(self, key: str, value: T, *, until: float) -> None:
        """Keep a value, in the place of any older one of that name."""
        with self._lock:
            self._values.pop(key, None)
            self._make_room()
            self._values[key] = (until, value)

    def add(self, key: str, value: T, *, until: float) -> bool:
        """Keep a value unless one of that name lies here already; say whether it was kept."""
        with self._lock:
            if self._live(key) is not None:
                return False
            self._values.pop(key, None)
            self._make_room()
            self._values[key] = (until, value)
            return True

    def get(self, key: str) -> T | None:
        """Look at a value and leave it here."""
        with self._lock:
            entry = self._live(key)
            return None if entry is None else entry[1]

    def pop(self, key: str) -> T | None:
        """Take a value away: the second caller gets nothing."""
        with self._lock:
            entry = self._live(key)
            self._values.pop(key, None)
            return None if entry is None else entry[1]

    def take(self, wanted: Callable[[T], bool]) -> list[T]:
        """Take every value that is wanted away, oldest first."""
        with self._lock:
            now, before = self._now(), self._values
            self._values = {k: e for k, e in before.items() if not wanted(e[1])}
            return [value for until, value in before.values() if until > now and wanted(value)]

    def __len__(self) -> int:
        return len(self._values)

    def _live(self, key: str) -> tuple[float, T] | None:
        entry = self._values.get(key)
        return None if entry is None or entry[0] <= self._now() else entry

    def _make_room(self) -> None:
        if len(self._values) < self._at_most:
            return
        now = self._now()
        self._values = {k: e for k, e in self._values.items() if e[0] > now}
        # A tenth at once, so that a full shelf is not swept again at each new value.
        surplus = len(self._values) - self._at_most
        for key in list(self._values)[: 0 if surplus < 0 else surplus + self._at_most // 10 + 1]:
            del self._values[key]
