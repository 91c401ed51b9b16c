"""Documents: who fetches, when, and what is served meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest

from flask_parjar.errors import ProviderUnavailable
from flask_parjar.provider.cached_document import (
    DEFAULT_TTL,
    FIRST_FORCED_COOLDOWN,
    FORCED_COOLDOWN,
    MAX_STALE_AGE,
    MAX_TTL,
    MIN_TTL,
    CachedDocument,
    time_to_live,
)
from tests.support.clock import Clock
from tests.support.threads import at_once

NOW = 1_800_000_000
TTL = 600


class Source:
    """Something to fetch from, that can be slow or away; counts."""

    def __init__(self) -> None:
        self.fetches = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.away = False
        self.seconds = 0.0
        self._lock = threading.Lock()

    def __call__(self, now: int) -> tuple[str, int]:
        with self._lock:
            self.fetches += 1
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            version = f"v{self.fetches}"
        try:
            time.sleep(self.seconds)
            if self.away:
                raise ProviderUnavailable("provider_unreachable", "away")
            return version, TTL
        finally:
            with self._lock:
                self.in_flight -= 1


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> Clock:
    """The seconds by which pauses are counted, which say nothing of the time of day."""
    return Clock(0)


@pytest.fixture
def document(source: Source, clock: Clock) -> CachedDocument[str]:
    return CachedDocument(source, clock=clock)


@pytest.mark.parametrize(
    "header, seconds",
    [
        (None, DEFAULT_TTL),
        ("", DEFAULT_TTL),
        ("no-store", DEFAULT_TTL),
        ("no-cache", DEFAULT_TTL),
        ("public, max-age=3600", 3600),
        ("max-age=0", MIN_TTL),
        (f"max-age={MIN_TTL}", MIN_TTL),
        ("max-age=999999999", MAX_TTL),
        ("max-age=99999999999999999999", MAX_TTL),
        ("max-age=-5", DEFAULT_TTL),
        ("max-age=x", DEFAULT_TTL),
        ("Max-Age=3600", 3600),
        ("public, MAX-AGE=3600", 3600),
        ('max-age="3600"', 3600),
        ("s-max-age=3600", DEFAULT_TTL),
    ],
)
def test_time_to_live(header: str | None, seconds: int) -> None:
    assert time_to_live(header) == seconds


@pytest.mark.parametrize(
    "age, seconds",
    [
        ("0", 600),
        ("480", 120),
        ("599", MIN_TTL),
        ("9999999999", MIN_TTL),
        ("", 600),
        ("-5", 600),
        ("x", 600),
        ("480, 3", 120),
    ],
)
def test_the_time_that_a_document_was_in_a_cache_counts(age: str, seconds: int) -> None:
    assert time_to_live("max-age=600", age) == seconds
    assert time_to_live(None, age) == DEFAULT_TTL


def test_fetched_once_while_fresh(document: CachedDocument[str], source: Source) -> None:
    assert [document.get(NOW), document.get(NOW + TTL - 1)] == ["v1", "v1"]
    assert source.fetches == 1
    assert document.get(NOW + TTL) == "v2"


def test_many_threads_wait_for_one_fetch(document: CachedDocument[str], source: Source) -> None:
    source.seconds = 0.1
    assert at_once([lambda: document.get(NOW)] * 16) == ["v1"] * 16
    assert (source.fetches, source.most_in_flight) == (1, 1)


def test_one_renews_and_the_others_go_on(document: CachedDocument[str], source: Source) -> None:
    document.get(NOW)
    source.seconds = 0.3
    answers = at_once([lambda: document.get(NOW + TTL)] * 16)
    assert sorted(answers) == ["v1"] * 15 + ["v2"]
    assert source.fetches == 2


class LateNow(int):
    """A moment whose thread is held up where it is first compared with another."""

    meanwhile: Callable[[], object] | None = None

    def _held_up(self) -> int:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return int(self)

    def __lt__(self, other: int) -> bool:
        return self._held_up() < other

    def __le__(self, other: int) -> bool:
        return self._held_up() <= other

    def __gt__(self, other: int) -> bool:
        return self._held_up() > other

    def __ge__(self, other: int) -> bool:
        return self._held_up() >= other


def test_a_copy_that_another_thread_has_just_renewed_is_not_renewed_again(
    document: CachedDocument[str], source: Source
) -> None:
    """This thread sees that the copy is old; before it goes on, another one renews it."""
    document.get(NOW)
    other = threading.Thread(target=document.get, args=[NOW + TTL], daemon=True)

    def renewed_elsewhere() -> None:
        other.start()
        other.join(timeout=0.1)  # (no longer: this thread may hold the lock that it waits for)

    now = LateNow(NOW + TTL)
    now.meanwhile = renewed_elsewhere
    assert document.get(now) in ("v1", "v2")
    other.join(timeout=1)
    assert source.fetches == 2


def test_the_last_copy_serves_an_outage_up_to_the_hard_age(
    document: CachedDocument[str], source: Source, clock: Clock
) -> None:
    document.get(NOW)
    source.away = True
    assert document.get(NOW + TTL) == "v1"
    assert document.get(NOW + MAX_STALE_AGE - 1) == "v1"
    clock.now += 100
    with pytest.raises(ProviderUnavailable) as caught:
        document.get(NOW + MAX_STALE_AGE + 100)
    assert caught.value.error_code == "provider_unreachable"


def test_an_outage_is_asked_about_ever_more_rarely(
    document: CachedDocument[str], source: Source, clock: Clock
) -> None:
    document.get(NOW)
    source.away = True
    begin = NOW + TTL
    asked_at = []
    for second in range(200):
        before, clock.now = source.fetches, second
        assert document.get(begin + second) == "v1"
        if source.fetches > before:
            asked_at.append(second)
    assert asked_at == [0, 1, 3, 7, 15, 31, 63, 123, 183]


def test_without_a_copy_a_failure_is_remembered_too(
    document: CachedDocument[str], source: Source, clock: Clock
) -> None:
    source.away = True
    for _ in range(10):
        with pytest.raises(ProviderUnavailable) as caught:
            document.get(NOW)
        assert (caught.value.error_code, caught.value.detail) == ("provider_unreachable", "away")
    assert source.fetches == 1
    source.away = False
    clock.now += 1
    assert document.get(NOW + 1) == "v2"
    assert document.get(NOW + 2) == "v2"


def test_a_pause_is_counted_by_a_clock_that_no_one_sets(
    document: CachedDocument[str], source: Source, clock: Clock
) -> None:
    """The time of day was an hour ahead when the fetch failed, and is set right then."""
    source.away = True
    with pytest.raises(ProviderUnavailable):
        document.get(NOW + 3600)
    source.away = False
    with pytest.raises(ProviderUnavailable):
        document.get(NOW)
    clock.now += 1
    seen = document.get(NOW)
    assert seen == "v2"
    newer = document.get_newer_than(seen, NOW + 3600)
    assert document.get_newer_than(newer, NOW) is newer
    clock.now += FIRST_FORCED_COOLDOWN
    assert document.get_newer_than(newer, NOW) == "v4"


def test_threads_that_waited_for_a_failure_do_not_repeat_it(
    document: CachedDocument[str], source: Source
) -> None:
    source.away, source.seconds = True, 0.2

    def attempt() -> str:
        with pytest.raises(ProviderUnavailable):
            document.get(NOW)
        return "failed"

    began = time.monotonic()
    assert at_once([attempt] * 16) == ["failed"] * 16
    assert source.fetches == 1
    assert time.monotonic() - began < 1


def test_a_forced_fetch_once_a_cooldown(document: CachedDocument[str], source: Source) -> None:
    first = document.get(NOW)
    second = document.get_newer_than(first, NOW)
    assert second == "v2"
    assert document.get_newer_than(first, NOW) == "v2"  # another thread has fetched already
    assert document.get_newer_than(second, NOW) is second
    assert source.fetches == 2


def test_the_cooldown_is_short_at_first_and_doubles(
    document: CachedDocument[str], clock: Clock
) -> None:
    """A provider may show its new key a moment after it signs with it."""
    seen, fetched_at = document.get(NOW), []
    for second in range(120):
        clock.now = second
        newer = document.get_newer_than(seen, NOW)
        if newer is not seen:
            seen = newer
            fetched_at.append(second)
    assert fetched_at == [0, 1, 3, 7, 15, 31, 61, 91]


def test_the_cooldown_starts_anew_after_a_quiet_time(
    document: CachedDocument[str], clock: Clock
) -> None:
    seen = document.get(NOW)
    for second in (0, 1, 3, 7):
        clock.now = second
        seen = document.get_newer_than(seen, NOW)
    clock.now = 7 + 8 + FORCED_COOLDOWN
    seen = document.get_newer_than(seen, NOW)
    clock.now += FIRST_FORCED_COOLDOWN
    assert document.get_newer_than(seen, NOW) is not seen


def test_a_fetch_that_any_client_can_cause_delays_no_login(
    document: CachedDocument[str], clock: Clock
) -> None:
    seen = document.get(NOW)
    seen = document.get_newer_than(seen, NOW, anybody_asks=True)
    clock.now = FORCED_COOLDOWN - 1
    assert document.get_newer_than(seen, NOW, anybody_asks=True) is seen
    seen = document.get_newer_than(seen, NOW)
    assert seen == "v3"
    clock.now = FORCED_COOLDOWN
    assert document.get_newer_than(seen, NOW, anybody_asks=True) == "v4"


def test_a_forced_fetch_that_fails_gives_the_old_copy(
    document: CachedDocument[str], source: Source
) -> None:
    first = document.get(NOW)
    source.away = True
    assert document.get_newer_than(first, NOW) is first
    assert document.get_newer_than(first, NOW) is first
    assert source.fetches == 2


def test_a_flood_forces_one_fetch(document: CachedDocument[str], source: Source) -> None:
    first = document.get(NOW)
    source.seconds = 0.1
    assert at_once([lambda: document.get_newer_than(first, NOW)] * 32) == ["v2"] * 32
    assert (source.fetches, source.most_in_flight) == (2, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_worker_forked_during_a_fetch_fetches_by_itself() -> None:
    started, forked = threading.Event(), threading.Event()

    def fetch(now: int) -> tuple[str, int]:
        if not started.is_set():
            started.set()
            forked.wait(5)
        return "value", 60

    document = CachedDocument(fetch)
    thread = threading.Thread(target=document.get, args=(1,))
    thread.start()
    started.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if document.get(1) == "value" else 1)
    forked.set()
    deadline = time.monotonic() + 5
    done = (0, 0)
    while done == (0, 0) and time.monotonic() < deadline:
        done = os.waitpid(child, os.WNOHANG)
        time.sleep(0.02)
    if done == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
    thread.join()
    assert done == (child, 0)
