"""Which sessions are open: what the store is asked, how often, and what is believed meanwhile."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest

from flask_parjar.errors import StoreUnavailable
from flask_parjar.flows.open_sessions import (
    TRUSTED_FOR,
    TRUSTED_IN_AN_OUTAGE,
    OpenSession,
    OpenSessions,
)
from flask_parjar.protocol.logout import MAX_NOTICE_AGE
from flask_parjar.stores import MemoryStore
from tests.after_login import Clock

NOW = 1_800_000_000
LIFETIME = 3600
ADA = OpenSession(
    handle="h1",
    provider="default",
    issuer="https://op.example",
    subject="ada",
    sid="s1",
    logged_in_at=NOW,
)
SECOND = dataclasses.replace(ADA, handle="h2", sid="s2")
NAMELESS = dataclasses.replace(ADA, handle="h3", sid=None)
GRACE = dataclasses.replace(ADA, handle="h4", subject="grace", sid="s4")
ELSEWHERE = dataclasses.replace(ADA, handle="h5", issuer="https://other.example")
EVERYBODY = (ADA, SECOND, NAMELESS, GRACE, ELSEWHERE)


class Watched:
    """A store that counts what it is asked, and is away when it is told to be."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.asked: list[str] = []
        self.away = False

    def _note(self, what: str) -> MemoryStore:
        self.asked.append(what)
        if self.away:
            raise StoreUnavailable("store_unreachable", "away")
        return self._store

    def put(self, key: str, value: str, *, ttl: int) -> None:
        self._note("put").put(key, value, ttl=ttl)

    def add(self, key: str, value: str, *, ttl: int) -> bool:
        return self._note("add").add(key, value, ttl=ttl)

    def replace(self, key: str, value: str, *, expected: str, ttl: int) -> bool:
        return self._note("replace").replace(key, value, expected=expected, ttl=ttl)

    def get(self, *keys: str) -> Sequence[str | None]:
        return self._note("get").get(*keys)

    def delete(self, key: str) -> None:
        self._note("delete").delete(key)

    def keys(self, prefix: str) -> Iterator[str]:
        return self._note("keys").keys(prefix)

    def lock(self, key: str, *, ttl: int, wait: float) -> AbstractContextManager[None]:
        return self._note("lock").lock(key, ttl=ttl, wait=wait)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Watched:
    return Watched(MemoryStore(clock))


def process(store: Watched, clock: Clock, *secrets: bytes) -> OpenSessions:
    """What one process knows of the sessions in a store."""
    keys = secrets or (b"secret",)
    return OpenSessions(store, lifetime=LIFETIME, secrets=lambda: keys, clock=clock)


@pytest.fixture
def sessions(store: Watched, clock: Clock) -> OpenSessions:
    """Those of one process, with everybody in."""
    opened = process(store, clock)
    for each in EVERYBODY:
        opened.open(each)
    store.asked.clear()
    return opened


def open_ones(sessions: OpenSessions) -> list[str]:
    return [each.handle for each in EVERYBODY if sessions.is_open(each)]


# What is believed, and for how long.


def test_the_store_is_asked_once_in_a_while(
    sessions: OpenSessions, store: Watched, clock: Clock
) -> None:
    for _ in range(10):
        assert sessions.is_open(ADA)
    assert store.asked == []  # it was opened here just now
    clock.now += TRUSTED_FOR
    for _ in range(10):
        assert sessions.is_open(ADA)
    assert store.asked == ["get"]
    clock.now += TRUSTED_FOR - 0.1
    assert sessions.is_open(ADA) and store.asked == ["get"]
    clock.now += 0.1
    assert sessions.is_open(ADA) and store.asked == ["get", "get"]


def test_what_is_not_open_is_asked_for_each_time(sessions: OpenSessions, store: Watched) -> None:
    stranger = dataclasses.replace(ADA, handle="nobody's")
    for _ in range(3):
        assert not sessions.is_open(stranger)
    assert store.asked.count("get") == 3


def test_a_session_ends_with_its_lifetime(
    sessions: OpenSessions, store: Watched, clock: Clock
) -> None:
    clock.now += LIFETIME - 1
    assert sessions.is_open(ADA)
    clock.now += TRUSTED_FOR
    assert not sessions.is_open(ADA)


def test_a_closed_session_is_closed(sessions: OpenSessions, store: Watched, clock: Clock) -> None:
    other = process(store, clock)
    assert other.is_open(ADA)
    sessions.close(ADA)
    assert not sessions.is_open(ADA)
    assert other.is_open(ADA)  # for a moment
    clock.now += TRUSTED_FOR
    assert not other.is_open(ADA)
    assert open_ones(sessions) == ["h2", "h3", "h4", "h5"]


def test_a_replaced_session_ends_soon(sessions: OpenSessions, store: Watched, clock: Clock) -> None:
    store.put("tokens:h1", "sealed", ttl=LIFETIME)
    sessions.retire(ADA)
    clock.now += 59
    assert sessions.is_open(ADA) and store.get("tokens:h1") == ["sealed"]
    clock.now += TRUSTED_FOR
    assert not sessions.is_open(ADA) and store.get("tokens:h1") == [None]
    sessions.retire(dataclasses.replace(ADA, handle="never opened"))
    assert not sessions.is_open(dataclasses.replace(ADA, handle="never opened"))


def test_what_has_ended_takes_its_tokens_along(sessions: OpenSessions, store: Watched) -> None:
    for number in range(1, 3):
        store.put(f"tokens:h{number}", "sealed", ttl=LIFETIME)
    sessions.close(ADA)
    sessions.end(ADA.issuer, subject="ada", sid=None, now=NOW)
    assert not sessions.is_open(SECOND)
    assert store.get("tokens:h1", "tokens:h2") == [None, None]


@pytest.mark.parametrize(
    "subject, sid, left",
    [
        ("ada", None, ["h4", "h5"]),
        (None, "s1", ["h2", "h3", "h4", "h5"]),
        ("ada", "s1", ["h2", "h4", "h5"]),
        ("grace", "s1", ["h2", "h3", "h4", "h5"]),
        ("nobody", "s0", ["h1", "h2", "h3", "h4", "h5"]),
        (None, None, ["h1", "h2", "h3", "h4", "h5"]),
    ],
)
def test_what_a_notice_ends(
    sessions: OpenSessions,
    store: Watched,
    clock: Clock,
    subject: str | None,
    sid: str | None,
    left: list[str],
) -> None:
    other = process(store, clock)
    sessions.end(ADA.issuer, subject=subject, sid=sid, now=NOW)
    for each in (sessions, other):
        assert open_ones(each) == left
    clock.now += TRUSTED_FOR
    assert open_ones(sessions) == left


def test_names_are_not_mixed_up(sessions: OpenSessions) -> None:
    """A sid that reads like a subject, a subject like a sid, an issuer that continues in one."""
    sessions.end(ADA.issuer, subject="s1", sid="ada", now=NOW)
    sessions.end(f"{ADA.issuer}ada", subject="", sid="", now=NOW)
    assert len(open_ones(sessions)) == 5


@pytest.mark.parametrize("ended_at, is_open", [(NOW - 1, True), (NOW, False), (NOW + 1, False)])
def test_a_notice_is_about_what_began_before_it(
    sessions: OpenSessions, ended_at: int, is_open: bool
) -> None:
    sessions.end(ADA.issuer, subject="ada", sid=None, now=ended_at)
    assert sessions.is_open(ADA) is is_open


def test_a_notice_holds_as_long_as_a_session_may(
    store: Watched, clock: Clock, sessions: OpenSessions
) -> None:
    sessions.end(ADA.issuer, subject="ada", sid=None, now=NOW)
    clock.now += LIFETIME - 1
    late = dataclasses.replace(ADA, handle="late")
    sessions.open(late)  # as if its cookie said so
    clock.now -= TRUSTED_FOR
    assert not process(store, clock).is_open(late)


# While the store is away.


def test_an_outage(sessions: OpenSessions, store: Watched, clock: Clock) -> None:
    store.away = True
    clock.now += TRUSTED_IN_AN_OUTAGE - 0.1
    assert sessions.is_open(ADA)
    clock.now += 0.1
    with pytest.raises(StoreUnavailable) as caught:
        sessions.is_open(ADA)
    assert (caught.value.code, caught.value.status_hint) == ("store_unreachable", 503)
    with pytest.raises(StoreUnavailable):
        process(store, clock).is_open(ADA)  # which has never seen it
    store.away = False
    clock.now += TRUSTED_FOR
    assert sessions.is_open(ADA)


def test_an_outage_is_waited_for_by_one_request_in_a_while(
    sessions: OpenSessions, store: Watched, clock: Clock
) -> None:
    store.away = True
    clock.now += TRUSTED_FOR
    for _ in range(10):
        assert open_ones(sessions) == ["h1", "h2", "h3", "h4", "h5"]
    assert store.asked == ["get"]
    clock.now += TRUSTED_FOR
    assert sessions.is_open(ADA)
    assert store.asked == ["get", "get"]


@pytest.mark.parametrize("what", ["open", "close", "end", "find"])
def test_what_cannot_be_written_is_told(sessions: OpenSessions, store: Watched, what: str) -> None:
    store.away = True
    with pytest.raises(StoreUnavailable):
        match what:
            case "open":
                sessions.open(dataclasses.replace(ADA, handle="new"))
            case "close":
                sessions.close(ADA)
            case "end":
                sessions.end(ADA.issuer, subject="ada", sid=None, now=NOW)
            case "find":
                list(sessions.find(ADA.issuer))


def test_a_session_that_could_not_be_entered_is_not_believed(store: Watched, clock: Clock) -> None:
    opened = process(store, clock)
    store.away = True
    with pytest.raises(StoreUnavailable):
        opened.open(ADA)
    store.away = False
    assert not opened.is_open(ADA)


# Who is there.


def found(sessions: OpenSessions, issuer: str, subject: str | None = None) -> set[str]:
    return {each.handle for each in sessions.find(issuer, subject)}


def test_open_sessions_are_found(sessions: OpenSessions, store: Watched, clock: Clock) -> None:
    assert found(sessions, ADA.issuer) == {"h1", "h2", "h3", "h4"}
    assert found(sessions, ADA.issuer, "ada") == {"h1", "h2", "h3"}
    assert found(sessions, ELSEWHERE.issuer, "ada") == {"h5"}
    assert found(sessions, ADA.issuer, "nobody") == set()
    assert {*process(store, clock).find(ADA.issuer, "grace")} == {GRACE}
    sessions.end(ADA.issuer, subject=None, sid="s1", now=NOW)
    sessions.close(SECOND)
    assert found(sessions, ADA.issuer, "ada") == {"h3"}


def test_nothing_of_a_session_lies_there_in_clear_text(
    sessions: OpenSessions, store: Watched
) -> None:
    sessions.end(ADA.issuer, subject="ada", sid="s1", now=NOW)
    sessions.take(ADA.issuer, "of the notice", leeway=60)
    keys = list(store.keys(""))
    texts = [*keys, *(str(value) for value in store.get(*keys))]
    assert len(keys) == 8
    for word in ("ada", "grace", "op.example", "default", "of the notice", '"s1"', str(NOW)[:-1]):
        clear = [text for text in texts if word in text and not text.isdigit()]
        assert clear == [], word


def test_an_entry_that_cannot_be_read_is_left_out(
    sessions: OpenSessions, store: Watched, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """That of a deployment with another SECRET_KEY, of another version, or moved by a stranger."""
    (entry,) = (key for key in store.keys("session:") if key.endswith(":h4"))
    stolen = store.get(entry)[0]
    assert stolen is not None
    store.put(entry.replace("h4", "h9"), stolen, ttl=60)
    store.put(entry.replace("h4", "h8"), "x", ttl=60)
    with caplog.at_level(logging.WARNING, "flask_parjar"):
        assert found(sessions, ADA.issuer, "grace") == {"h4"}
        assert found(process(store, clock, b"another"), ADA.issuer) == set()
    assert caplog.text.count("cannot be read") >= 2
    assert found(process(store, clock, b"new", b"secret"), ADA.issuer, "grace") == {"h4"}


# Replays.


def test_a_notice_is_taken_once(sessions: OpenSessions, store: Watched, clock: Clock) -> None:
    assert not sessions.was_taken(ADA.issuer, "n1")
    sessions.take(ADA.issuer, "n1", leeway=60)
    for each in (sessions, process(store, clock)):
        assert each.was_taken(ADA.issuer, "n1")
        assert not each.was_taken(ADA.issuer, "n2")
        assert not each.was_taken(ELSEWHERE.issuer, "n1")
    clock.now += MAX_NOTICE_AGE + 2 * 60
    assert sessions.was_taken(ADA.issuer, "n1")  # it could be brought again until then
    clock.now += 1
    assert not sessions.was_taken(ADA.issuer, "n1")


# Many.


def test_memory_has_a_bound(store: Watched, clock: Clock) -> None:
    sessions = process(store, clock)
    many = [dataclasses.replace(ADA, handle=f"n{number}") for number in range(10_050)]
    for each in many:
        sessions.open(each)
    assert len(sessions._seen_open) <= 10_000
    assert all(sessions.is_open(each) for each in many[:100])  # forgotten, and asked for again


def test_threads_share_it(sessions: OpenSessions, clock: Clock) -> None:
    stop = threading.Event()

    def look() -> int:
        looks = 0
        while not stop.is_set():
            assert sessions.is_open(GRACE)
            looks += 1
        return looks

    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(look) for _ in range(3)]
        for number in range(200):
            passing = dataclasses.replace(ADA, handle=f"t{number}")
            sessions.open(passing)
            assert sessions.is_open(passing)
            sessions.end(ADA.issuer, subject="nobody", sid=None, now=NOW)
            sessions.close(passing)
            clock.now += 0.1
        stop.set()
        assert all(reader.result() > 0 for reader in readers)
