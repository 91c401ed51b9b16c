"""Documents: who fetches, when, and what is served meanwhile."""

from __future__ import annotations

import threading
import time

import pytest

from flask_parjar.errors import ProviderUnavailable
from flask_parjar.provider.documents import (
    DEFAULT_TTL,
    FORCED_COOLDOWN,
    MAX_STALE_AGE,
    MAX_TTL,
    MIN_TTL,
    Document,
    time_to_live,
)

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
def document(source: Source) -> Document[str]:
    return Document(source)


@pytest.mark.parametrize(
    "header, seconds",
    [
        (None, DEFAULT_TTL),
        ("", DEFAULT_TTL),
        ("no-store", DEFAULT_TTL),
        ("public, max-age=3600", 3600),
        ("max-age=0", MIN_TTL),
        (f"max-age={MIN_TTL}", MIN_TTL),
        ("max-age=999999999", MAX_TTL),
        ("max-age=99999999999999999999", MAX_TTL),
        ("max-age=-5", DEFAULT_TTL),
        ("max-age=x", DEFAULT_TTL),
    ],
)
def test_time_to_live(header: str | None, seconds: int) -> None:
    assert time_to_live(header) == seconds


def test_fetched_once_while_fresh(document: Document[str], source: Source) -> None:
    assert [document.get(NOW), document.get(NOW + TTL - 1)] == ["v1", "v1"]
    assert source.fetches == 1
    assert document.get(NOW + TTL) == "v2"


def test_many_threads_wait_for_one_fetch(document: Document[str], source: Source) -> None:
    source.seconds = 0.1
    assert in_threads(16, lambda: document.get(NOW)) == ["v1"] * 16
    assert (source.fetches, source.most_in_flight) == (1, 1)


def test_one_renews_and_the_others_go_on(document: Document[str], source: Source) -> None:
    document.get(NOW)
    source.seconds = 0.3
    answers = in_threads(16, lambda: document.get(NOW + TTL))
    assert sorted(answers) == ["v1"] * 15 + ["v2"]
    assert source.fetches == 2


def test_an_outage_stops_nobody_up_to_the_hard_age(document: Document[str], source: Source) -> None:
    document.get(NOW)
    source.away = True
    assert document.get(NOW + TTL) == "v1"
    assert document.get(NOW + MAX_STALE_AGE - 1) == "v1"
    with pytest.raises(ProviderUnavailable) as caught:
        document.get(NOW + MAX_STALE_AGE + 100)
    assert caught.value.code == "provider_unreachable"


def test_an_outage_is_asked_about_ever_more_rarely(document: Document[str], source: Source) -> None:
    document.get(NOW)
    source.away = True
    begin = NOW + TTL
    asked_at = []
    for second in range(200):
        before = source.fetches
        assert document.get(begin + second) == "v1"
        if source.fetches > before:
            asked_at.append(second)
    assert asked_at == [0, 1, 3, 7, 15, 31, 63, 123, 183]


def test_without_a_copy_a_failure_is_remembered_too(
    document: Document[str], source: Source
) -> None:
    source.away = True
    for _ in range(10):
        with pytest.raises(ProviderUnavailable) as caught:
            document.get(NOW)
        assert (caught.value.code, caught.value.detail) == ("provider_unreachable", "away")
    assert source.fetches == 1
    source.away = False
    assert document.get(NOW + 1) == "v2"
    assert document.get(NOW + 2) == "v2"


def test_threads_that_waited_for_a_failure_do_not_repeat_it(
    document: Document[str], source: Source
) -> None:
    source.away, source.seconds = True, 0.2

    def attempt() -> str:
        with pytest.raises(ProviderUnavailable):
            document.get(NOW)
        return "failed"

    began = time.monotonic()
    in_threads(16, attempt)
    assert source.fetches == 1
    assert time.monotonic() - began < 1


def test_a_forced_fetch_once_a_cooldown(document: Document[str], source: Source) -> None:
    first = document.get(NOW)
    second = document.get_newer_than(first, NOW)
    assert second == "v2"
    assert document.get_newer_than(first, NOW) == "v2"  # somebody has fetched already
    assert document.get_newer_than(second, NOW + FORCED_COOLDOWN - 1) is second
    assert source.fetches == 2
    assert document.get_newer_than(second, NOW + FORCED_COOLDOWN) == "v3"


def test_a_forced_fetch_that_fails_gives_the_old_copy(
    document: Document[str], source: Source
) -> None:
    first = document.get(NOW)
    source.away = True
    assert document.get_newer_than(first, NOW) is first
    assert document.get_newer_than(first, NOW) is first
    assert source.fetches == 2


def test_a_flood_forces_one_fetch(document: Document[str], source: Source) -> None:
    first = document.get(NOW)
    source.seconds = 0.1
    assert in_threads(32, lambda: document.get_newer_than(first, NOW)) == ["v2"] * 32
    assert (source.fetches, source.most_in_flight) == (2, 1)


def in_threads(count: int, work) -> list[str]:
    results: list[str] = []
    barrier = threading.Barrier(count)

    def run() -> None:
        barrier.wait()
        results.append(work())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == count
    return results
