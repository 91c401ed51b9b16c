"""Documents that a provider publishes, kept: fetched once, renewed by one, and not lost with it."""

from __future__ import annotations

import logging
import math
import os
import re
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from ..errors import ParJarError, ProviderUnavailable

T = TypeVar("T")

log: logging.Logger = logging.getLogger("flask_parjar")

DEFAULT_TTL = 600
MIN_TTL = 60
MAX_TTL = 24 * 3600
MAX_STALE_AGE = 24 * 3600
FORCED_COOLDOWN = 30
_FIRST_BACKOFF = 1
_MAX_BACKOFF = 60


def time_to_live(cache_control: str | None) -> int:
    """Seconds that a document may be used unrenewed, from its ``Cache-Control`` header."""
    found = re.search(r"max-age=(\d{1,9})", cache_control or "")
    return min(max(int(found[1]), MIN_TTL), MAX_TTL) if found else DEFAULT_TTL


class Document(Generic[T]):
    """One document: the newest good copy, and who may fetch the next.

    One thread fetches and the others go on with the copy they have; only where there is none do
    they wait for it. A failure is remembered for a while that doubles, so that an outage costs one
    time-out and not one for each visitor; the last good copy serves meanwhile, up to a hard age.

    :param fetch: given the time, gets the value and the seconds it may live unrenewed.
    :param name: what the log calls it.
    """

    def __init__(self, fetch: Callable[[int], tuple[T, int]], *, name: str = "a document") -> None:
        self._fetch = fetch
        self._name = name
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._copy: tuple[T, int, int] | None = None  # value, fetched at, fresh until
        self._failure: ParJarError | None = None
        self._backoff = 0
        self._not_before = 0
        self._forced_not_before = 0

    def get(self, now: int) -> T:
        """The document, from memory if it is fresh.

        :raises ProviderUnavailable: where there is no copy, or only one past its hard age.
        """
        copy = self._copy
        if copy is not None:
            value, fetched_at, fresh_until = copy
            if now < fresh_until:
                return value
            if now < fetched_at + MAX_STALE_AGE:
                return self._renew_or_serve_stale(value, now)
        with self._own_lock():
            if self._copy is not None and now < self._copy[2]:
                return self._copy[0]  # another thread fetched while this one waited
            return self._try_fetch(now)

    def _renew_or_serve_stale(self, stale: T, now: int) -> T:
        lock = self._own_lock()
        if now < self._not_before or not lock.acquire(blocking=False):
            return stale
        try:
            return self._try_fetch(now)
        except ProviderUnavailable as exc:
            log.warning("%s not renewed, the last good copy serves: %s", self._name, _reason(exc))
            return stale
        finally:
            lock.release()

    def get_newer_than(self, seen: T, now: int) -> T:
        """Fetch because `seen` does not serve; at most once a cooldown, whoever asks.

        Gives `seen` itself back where it may not, or cannot, be renewed now.
        """
        with self._own_lock():
            if self._copy is not None and self._copy[0] is not seen:
                return self._copy[0]
            if now < self._forced_not_before:
                return seen
            try:
                newer = self._try_fetch(now)
            except ProviderUnavailable as exc:  # a failure has a back-off of its own
                log.warning("%s cannot be fetched anew: %s", self._name, _reason(exc))
                return seen
            self._forced_not_before = now + FORCED_COOLDOWN
            return newer

    def _own_lock(self) -> threading.Lock:
        """The lock of this process: one forked in mid-fetch would wait for a thread it has not."""
        if self._process != os.getpid():
            # (The coverage of a forked worker is lost with it; its test is in test_reviewed.py.)
            self._process, self._lock = os.getpid(), threading.Lock()  # pragma: no cover
        return self._lock

    def _try_fetch(self, now: int) -> T:
        """Fetch with the lock held, unless the last failure is too fresh."""
        if self._failure is not None and now < self._not_before:
            failure = self._failure
            raise ProviderUnavailable(failure.code, failure.detail, status=failure.status_hint)
        began = time.monotonic()
        try:
            value, ttl = self._fetch(now)
        except ProviderUnavailable as exc:
            self._failure = exc
            self._backoff = min(max(_FIRST_BACKOFF, self._backoff * 2), _MAX_BACKOFF)
            # From the end of the attempt: who came while it lasted must not wait for another.
            took = math.ceil(round(time.monotonic() - began, 1))
            self._not_before = now + took + self._backoff
            raise
        self._failure, self._backoff, self._not_before = None, 0, 0
        self._copy = (value, now, now + ttl)
        return value


def _reason(error: ParJarError) -> str:
    return f"{error.code} ({error.detail})"
