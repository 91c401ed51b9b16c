"""Cached documents of a provider: fetched by one thread, and still used while it is down."""

from __future__ import annotations

import logging
import math
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..errors import ParJarError, ProviderUnavailable

T = TypeVar("T")

log: logging.Logger = logging.getLogger("flask_parjar")

DEFAULT_TTL = 600
MIN_TTL = 60
MAX_TTL = 24 * 3600
MAX_STALE_AGE = 24 * 3600
FIRST_FORCED_COOLDOWN = 1
FORCED_COOLDOWN = 30
_FIRST_BACKOFF = 1
_MAX_BACKOFF = 60

_MAX_AGE = re.compile(r'(?<![\w-])max-age="?([0-9]{1,9})', re.IGNORECASE)
_AGE = re.compile(r"[0-9]{1,9}")


def time_to_live(cache_control: str | None, age: str | None = None) -> int:
    """Seconds until a document must be fetched again, from the headers of its answer.

    :param cache_control: the ``Cache-Control`` header.
    :param age: the ``Age`` header: seconds that the document was in a cache on its way.

    RFC 9111 sections 4.2 and 5.2.2.1.
    """
    found = _MAX_AGE.search(cache_control or "")
    if found is None:
        return DEFAULT_TTL
    spent = _AGE.match(age or "")
    left = int(found[1]) - (int(spent[0]) if spent else 0)
    return min(max(left, MIN_TTL), MAX_TTL)


@dataclass(frozen=True, slots=True, eq=False)
class _Copy(Generic[T]):
    """A document as it was fetched. (A generic NamedTuple would need Python 3.11.)"""

    value: T
    fetched_at: int
    fresh_until: int


class _Cooldown:
    """The time between two forced fetches. It doubles each time, up to `FORCED_COOLDOWN`.

    After `FORCED_COOLDOWN` seconds without a forced fetch it starts with the first value again.

    :param first: seconds.
    :param clock: gives seconds that never go back.
    """

    def __init__(self, first: int, clock: Callable[[], float]) -> None:
        self._first = first
        self._next = first
        self._clock = clock
        self._not_before = -math.inf

    def is_over(self) -> bool:
        return self._clock() >= self._not_before

    def begin(self) -> None:
        now = self._clock()
        if now >= self._not_before + FORCED_COOLDOWN:
            self._next = self._first
        self._not_before = now + self._next
        self._next = min(self._next * 2, FORCED_COOLDOWN)


class CachedDocument(Generic[T]):
    """One cached document: its newest valid copy, and when it may be fetched again.

    One thread fetches, and the others use the copy that is there; they wait only if there is none.
    After a failure no fetch is tried for a time that doubles, so that not each visitor waits for a
    time-out. Meanwhile the last copy is used, until it is `MAX_STALE_AGE` seconds old.

    :param fetch: given the time, returns the value and the seconds until it must be fetched again.
    :param name: its name in the log.
    :param clock: gives seconds that never go back. Pauses are counted by it: while a clock that was
        ahead is set back, no pause becomes longer.
    """

    def __init__(
        self,
        fetch: Callable[[int], tuple[T, int]],
        *,
        name: str = "a document",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._name = name
        self._clock = clock
        self._lock_of = os.getpid(), threading.Lock()
        self._copy: _Copy[T] | None = None
        self._failure: ParJarError | None = None
        self._backoff = 0
        self._not_before = -math.inf
        self._cooldown = _Cooldown(FIRST_FORCED_COOLDOWN, clock)
        # Any client can send us a logout token with an unknown key, or begin a login. With a
        # cooldown of its own, it cannot use up the one that a login under way needs.
        self._cooldown_of_anybody = _Cooldown(FORCED_COOLDOWN, clock)

    def get(self, now: int) -> T:
        """The document, from memory if it is fresh.

        :raises ProviderUnavailable: there is no copy that is young enough, and a fetch failed.
        """
        # Without the lock: a copy is never changed, only replaced as a whole.
        copy = self._copy
        if copy is not None:
            if now < copy.fresh_until:
                return copy.value
            if now < copy.fetched_at + MAX_STALE_AGE:
                return self._renew_or_serve_stale(copy.value, now)
        with self._own_lock():
            return self._fetch_if_due(now)

    def _renew_or_serve_stale(self, stale: T, now: int) -> T:
        lock = self._own_lock()
        # If another thread is fetching, do not wait for it: the old copy can still be used.
        if self._clock() < self._not_before or not lock.acquire(blocking=False):
            return stale
        try:
            return self._fetch_if_due(now)
        except ProviderUnavailable as exc:
            log.warning("%s not renewed, the last good copy serves: %s", self._name, _reason(exc))
            return stale
        finally:
            lock.release()

    def get_newer_than(self, seen: T, now: int, *, anybody_asks: bool = False) -> T:
        """Fetch because `seen` has no key that fits; at most once in each cooldown.

        The cooldown is short at first: a provider may publish its new key a moment after it has
        signed with it.

        :param anybody_asks: whether any client on the network can cause this fetch, by a token that
            it posts to us, or by a login that it begins. Such fetches have their own cooldown,
            which does not delay logins that are under way.
        :returns: `seen` itself if it may not, or cannot, be fetched now.
        """
        with self._own_lock():
            # Another thread has fetched since the caller read its copy: that may be enough.
            if self._copy is not None and self._copy.value is not seen:
                return self._copy.value
            cooldown = self._cooldown_of_anybody if anybody_asks else self._cooldown
            if not cooldown.is_over():
                return seen
            try:
                newer = self._try_fetch(now)
            except ProviderUnavailable as exc:  # no cooldown: a failure has its own back-off
                log.warning("%s cannot be fetched anew: %s", self._name, _reason(exc))
                return seen
            cooldown.begin()
            return newer

    def _own_lock(self) -> threading.Lock:
        """The lock of this process.

        A worker that was forked during a fetch has a copy of the locked lock, and not the thread
        that would release it.
        """
        process, lock = self._lock_of
        if process != os.getpid():
            # Runs in forked workers only, where coverage is not measured. Written at once, so that
            # no other thread of the worker sees its process with the parent's lock.
            lock = threading.Lock()  # pragma: no cover
            self._lock_of = os.getpid(), lock  # pragma: no cover
        return lock

    def _fetch_if_due(self, now: int) -> T:
        """Fetch, unless another thread did it just before this one got the lock, which it holds."""
        if self._copy is not None and now < self._copy.fresh_until:
            return self._copy.value
        return self._try_fetch(now)

    def _try_fetch(self, now: int) -> T:
        """Fetch, or raise the last failure again if it is too recent; the caller holds the lock."""
        if self._failure is not None and self._clock() < self._not_before:
            failure = self._failure
            raise ProviderUnavailable(
                failure.error_code, failure.detail, status=failure.status_hint
            )
        try:
            value, ttl = self._fetch(now)
        except ProviderUnavailable as exc:
            self._failure = exc
            self._backoff = min(max(_FIRST_BACKOFF, self._backoff * 2), _MAX_BACKOFF)
            # Count from the end of the attempt: threads that waited for it must not try again.
            self._not_before = self._clock() + self._backoff
            raise
        self._failure, self._backoff, self._not_before = None, 0, -math.inf
        self._copy = _Copy(value, fetched_at=now, fresh_until=now + ttl)
        return value


def _reason(error: ParJarError) -> str:
    return f"{error.error_code} ({error.detail})"
