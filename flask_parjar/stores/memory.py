"""A store in the memory of one process: for tests, and for a site that has one worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..errors import StoreUnavailable

_SWEEP_EVERY = 1000  # writes between two looks for what has ended


class MemoryStore:
    """Texts in a dict, shared by the threads of this process.

    :param clock: seconds that only ever grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._entries: dict[str, tuple[str, float]] = {}
        self._writes = 0

    def put(self, key: str, value: str, *, ttl: int) -> None:
        """See `Store.put`."""
        with self._changed:
            self._write(key, value, ttl)

    def add(self, key: str, value: str, *, ttl: int) -> bool:
        """See `Store.add`."""
        with self._changed:
            if self._read(key) is not None:
                return False
            self._write(key, value, ttl)
            return True

    def replace(self, key: str, value: str, *, expected: str, ttl: int) -> bool:
        """See `Store.replace`."""
        with self._changed:
            if self._read(key) != expected:
                return False
            self._write(key, value, ttl)
            return True

    def get(self, *keys: str) -> Sequence[str | None]:
        """See `Store.get`."""
        with self._changed:
            return [self._read(key) for key in keys]

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        with self._changed:
            self._entries.pop(key, None)

    def keys(self, prefix: str) -> Iterator[str]:
        """See `Store.keys`."""
        with self._changed:
            found = [key for key in self._entries if key.startswith(prefix)]
            return iter([key for key in found if self._read(key) is not None])

    @contextmanager
    def lock(self, key: str, *, ttl: int, wait: float) -> Iterator[None]:
        """See `Store.lock`. A thread of a living process lets go by itself: `ttl` counts not."""
        name = f"lock:{key}"
        with self._changed:
            if not self._changed.wait_for(lambda: name not in self._entries, wait):
                raise StoreUnavailable("store_busy", f"waited {wait} s")
            self._entries[name] = ("", float("inf"))
        try:
            yield
        finally:
            with self._changed:
                del self._entries[name]
                self._changed.notify_all()

    def _read(self, key: str) -> str | None:
        value, until = self._entries.get(key, (None, 0.0))
        return value if self._clock() < until else None

    def _write(self, key: str, value: str, ttl: int) -> None:
        self._writes += 1
        if self._writes % _SWEEP_EVERY == 0:
            now = self._clock()
            self._entries = {key: entry for key, entry in self._entries.items() if now < entry[1]}
        self._entries[key] = (value, self._clock() + ttl)
