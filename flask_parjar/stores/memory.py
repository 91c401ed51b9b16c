"""A store in the memory of one process: for tests, and for sites with one worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from ..errors import StoreUnavailable

_SWEEP_EVERY = 1000  # writes between two searches for expired entries


class _Entry(NamedTuple):
    value: str
    until: float  # by the store's clock


class MemoryStore:
    """Strings in a dict, shared by the threads of this process.

    :param clock: gives seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._entries: dict[str, _Entry] = {}
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

    def remove(self, key: str, *, expected: str) -> bool:
        """See `Store.remove`."""
        with self._changed:
            if self._read(key) != expected:
                return False
            del self._entries[key]
            return True

    def keys(self, prefix: str) -> Iterator[str]:
        """See `Store.keys`."""
        with self._changed:
            found = [key for key in self._entries if key.startswith(prefix)]
            return iter([key for key in found if self._read(key) is not None])

    @contextmanager
    def lock(self, key: str, *, ttl: int, wait: float) -> Iterator[None]:
        """See `Store.lock`. `ttl` is ignored: the lock is released in ``finally``."""
        name = f"lock:{key}"
        with self._changed:
            if not self._changed.wait_for(lambda: name not in self._entries, wait):
                raise StoreUnavailable("store_busy", f"waited {wait} s")
            self._entries[name] = _Entry("", float("inf"))
        try:
            yield
        finally:
            with self._changed:
                del self._entries[name]
                self._changed.notify_all()

    def _read(self, key: str) -> str | None:
        entry = self._entries.get(key)
        return entry.value if entry is not None and self._clock() < entry.until else None

    def _write(self, key: str, value: str, ttl: int) -> None:
        self._writes += 1
        if self._writes % _SWEEP_EVERY == 0:
            now = self._clock()
            self._entries = {
                key: entry for key, entry in self._entries.items() if now < entry.until
            }
        self._entries[key] = _Entry(value, self._clock() + ttl)
