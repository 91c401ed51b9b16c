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
from flask_parjar.flows.session_registry import (
    TRUSTED_FOR,
    TRUSTED_IN_AN_OUTAGE,
    Registration,
    SessionEntry,
    SessionRegistry,
)
from flask_parjar.stores import MemoryStore
from tests.support.clock import Clock
from tests.support.registry import end_by_token, is_active, register
from tests.support.threads import switching_often

NOW = 1_800_000_000
LIFETIME = 3600
ADA = SessionEntry(
    handle="h1",
    provider="default",
    issuer="https://op.example",
    client_id="client",
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

    def remove(self, key: str, *, expected: str) -> bool:
        return self._note("remove").remove(key, expected=expected)

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


def process(store: Watched, clock: Clock, *secrets: bytes) -> SessionRegistry:
    """What one process knows of the sessions in a store."""
    keys = secrets or (b"secret",)
    return SessionRegistry(store, lifetime=LIFETIME, secrets=lambda: keys, clock=clock)


@pytest.fixture
def sessions(store: Watched, clock: Clock) -> SessionRegistry:
    """Those of one process, with everybody in."""
    opened = process(store, clock)
    for each in EVERYBODY:
        register(opened, each)
    store.asked.clear()
    return opened


def open_ones(sessions: SessionRegistry) -> list[str]:
    return [each.handle for each in EVERYBODY if is_active(sessions, each)]


# What is believed, and for how long.


def test_the_store_is_asked_once_in_a_while(
    sessions: SessionRegistry, store: Watched, clock: Clock
) -> None:
    for _ in range(10):
        assert is_active(sessions, ADA)
    assert store.asked == []  # it was opened here just now
    clock.now += TRUSTED_FOR
    for _ in range(10):
        assert is_active(sessions, ADA)
    assert store.asked == ["get"]
    clock.now += TRUSTED_FOR - 0.1
    assert is_active(sessions, ADA) and store.asked == ["get"]
    clock.now += 0.1
    assert is_active(sessions, ADA) and store.asked == ["get", "get"]


def test_a_session_that_is_not_active_is_looked_up_each_time(
    sessions: SessionRegistry, store: Watched
) -> None:
    unregistered = dataclasses.replace(ADA, handle="unknown")
    for _ in range(3):
        assert not is_active(sessions, unregistered)
    assert store.asked.count("get") == 3


def test_a_session_ends_with_its_lifetime(
    sessions: SessionRegistry, store: Watched, clock: Clock
) -> None:
    clock.now += LIFETIME - 1
    assert is_active(sessions, ADA)
    clock.now += TRUSTED_FOR
    assert not is_active(sessions, ADA)


def test_a_closed_session_is_closed(
    sessions: SessionRegistry, store: Watched, clock: Clock
) -> None:
    other = process(store, clock)
    assert is_active(other, ADA)
    sessions.revoke(ADA)
    assert not is_active(sessions, ADA)
    assert is_active(other, ADA)  # for a moment
    clock.now += TRUSTED_FOR
    assert not is_active(other, ADA)
    assert open_ones(sessions) == ["h2", "h3", "h4", "h5"]


class SlowToAnswer(MemoryStore):
    """A store whose answer to a look comes only after the session was struck out."""

    def __init__(self) -> None:
        super().__init__()
        self.closing, self.looked, self.closed = (threading.Event() for _ in range(3))

    def get(self, *keys: str) -> Sequence[str | None]:
        found = super().get(*keys)
        if self.closing.is_set() and not self.looked.is_set():
            self.looked.set()
            self.closed.wait(5)
        return found

    def delete(self, key: str) -> None:
        if not self.closing.is_set():
            self.closing.set()
            self.looked.wait(5)
        super().delete(key)


def test_a_look_that_a_logout_overtakes_is_not_believed(clock: Clock) -> None:
    store = SlowToAnswer()
    sessions = SessionRegistry(store, lifetime=LIFETIME, secrets=lambda: (b"secret",), clock=clock)
    register(sessions, ADA)
    clock.now += TRUSTED_FOR
    with ThreadPoolExecutor(2) as threads:
        closing = threads.submit(sessions.revoke, ADA)
        assert store.closing.wait(5)
        looking = threads.submit(is_active, sessions, ADA)
        closing.result(5)
        store.closed.set()
        looking.result(5)
    assert not is_active(sessions, ADA)


def test_a_replaced_session_ends_soon(
    sessions: SessionRegistry, store: Watched, clock: Clock
) -> None:
    sessions.expire_soon(ADA)
    clock.now += 59
    assert is_active(sessions, ADA)
    clock.now += TRUSTED_FOR
    assert not is_active(sessions, ADA)
    sessions.expire_soon(dataclasses.replace(ADA, handle="never opened"))
    assert not is_active(sessions, dataclasses.replace(ADA, handle="never opened"))


def test_revoking_a_session_deletes_its_tokens(sessions: SessionRegistry, store: Watched) -> None:
    store.put("tokens:h1", "sealed", ttl=LIFETIME)
    sessions.revoke(ADA)
    assert store.get("tokens:h1") == [None]


def test_to_ask_writes_nothing(sessions: SessionRegistry, store: Watched, clock: Clock) -> None:
    end_by_token(sessions, ADA.issuer, subject="ada", sid="s1", now=NOW)
    clock.now += TRUSTED_FOR
    store.asked.clear()
    assert open_ones(sessions) == ["h2", "h4", "h5"]
    assert set(store.asked) == {"get"}


@pytest.mark.parametrize(
    "subject, sid, left",
    [
        ("ada", None, ["h4", "h5"]),
        (None, "s1", ["h2", "h3", "h4", "h5"]),
        ("ada", "s1", ["h2", "h4", "h5"]),
        ("grace", "s1", ["h2", "h3", "h4", "h5"]),
        ("anonymous", "s0", ["h1", "h2", "h3", "h4", "h5"]),
        (None, None, ["h1", "h2", "h3", "h4", "h5"]),
    ],
)
def test_the_sessions_that_a_logout_token_ends(
    sessions: SessionRegistry,
    store: Watched,
    clock: Clock,
    subject: str | None,
    sid: str | None,
    left: list[str],
) -> None:
    other = process(store, clock)
    end_by_token(sessions, ADA.issuer, subject=subject, sid=sid, now=NOW)
    for each in (sessions, other):
        assert open_ones(each) == left
    clock.now += TRUSTED_FOR
    assert open_ones(sessions) == left


def test_names_are_not_mixed_up(sessions: SessionRegistry) -> None:
    """A sid that reads like a subject, a subject like a sid, an issuer that continues in one."""
    end_by_token(sessions, ADA.issuer, subject="s1", sid="ada", now=NOW)
    end_by_token(sessions, f"{ADA.issuer}ada", subject="", sid="", now=NOW)
    assert len(open_ones(sessions)) == 5


@pytest.mark.parametrize("ended_at, is_open", [(NOW - 1, True), (NOW, False), (NOW + 1, False)])
def test_a_logout_token_is_about_sessions_that_began_before_it(
    sessions: SessionRegistry, ended_at: int, is_open: bool
) -> None:
    end_by_token(sessions, ADA.issuer, subject="ada", sid=None, now=ended_at)
    assert is_active(sessions, ADA) is is_open


def test_an_ending_is_kept_as_long_as_a_session_may_last(
    store: Watched, clock: Clock, sessions: SessionRegistry
) -> None:
    end_by_token(sessions, ADA.issuer, subject="ada", sid=None, now=NOW)
    clock.now += LIFETIME - 1
    late = dataclasses.replace(ADA, handle="late")
    register(sessions, late, issued_at=NOW - 1)  # its login was under way at that time
    clock.now -= TRUSTED_FOR
    assert not is_active(process(store, clock), late)


# While the store is away.


def test_an_outage(sessions: SessionRegistry, store: Watched, clock: Clock) -> None:
    store.away = True
    clock.now += TRUSTED_IN_AN_OUTAGE - 0.1
    assert is_active(sessions, ADA)
    clock.now += 0.1
    with pytest.raises(StoreUnavailable) as caught:
        is_active(sessions, ADA)
    assert (caught.value.error_code, caught.value.status_hint) == ("store_unreachable", 503)
    with pytest.raises(StoreUnavailable):
        is_active(process(store, clock), ADA)  # which has never seen it
    store.away = False
    clock.now += TRUSTED_FOR
    assert is_active(sessions, ADA)


def test_an_outage_is_waited_for_by_one_request_in_a_while(
    sessions: SessionRegistry, store: Watched, clock: Clock
) -> None:
    store.away = True
    clock.now += TRUSTED_FOR
    for _ in range(10):
        assert open_ones(sessions) == ["h1", "h2", "h3", "h4", "h5"]
    assert store.asked == ["get"]
    clock.now += TRUSTED_FOR
    assert is_active(sessions, ADA)
    assert store.asked == ["get", "get"]


@pytest.mark.parametrize("what", ["register", "revoke", "end_by_logout_token", "find"])
def test_a_failed_write_is_an_error(sessions: SessionRegistry, store: Watched, what: str) -> None:
    store.away = True
    with pytest.raises(StoreUnavailable):
        match what:
            case "register":
                register(sessions, dataclasses.replace(ADA, handle="new"))
            case "revoke":
                sessions.revoke(ADA)
            case "end_by_logout_token":
                end_by_token(sessions, ADA.issuer, subject="ada", sid=None, now=NOW)
            case "find":
                sessions.find(Registration("default", ADA.issuer, "client"), "ada")


def test_a_session_that_could_not_be_entered_is_not_believed(store: Watched, clock: Clock) -> None:
    opened = process(store, clock)
    store.away = True
    with pytest.raises(StoreUnavailable):
        register(opened, ADA)
    store.away = False
    assert not is_active(opened, ADA)


# Who is there.


def found(sessions: SessionRegistry, issuer: str, subject: str | None = None) -> set[str]:
    client = Registration("default", issuer, "client")
    of_all = sessions.find_all(client) if subject is None else sessions.find(client, subject)
    return {each.handle for each in of_all}


def test_open_sessions_are_found(sessions: SessionRegistry, store: Watched, clock: Clock) -> None:
    assert found(sessions, ADA.issuer) == {"h1", "h2", "h3", "h4"}
    assert found(sessions, ADA.issuer, "ada") == {"h1", "h2", "h3"}
    assert found(sessions, ELSEWHERE.issuer, "ada") == {"h5"}
    assert found(sessions, ADA.issuer, "anonymous") == set()
    assert {
        *process(store, clock).find(Registration("default", ADA.issuer, "client"), "grace")
    } == {GRACE}
    end_by_token(sessions, ADA.issuer, subject=None, sid="s1", now=NOW)
    sessions.revoke(SECOND)
    assert found(sessions, ADA.issuer, "ada") == {"h3"}


def test_nothing_of_a_session_lies_there_in_clear_text(
    sessions: SessionRegistry, store: Watched
) -> None:
    end_by_token(sessions, ADA.issuer, subject="ada", sid="s1", now=NOW)
    keys = list(store.keys(""))
    texts = [*keys, *(str(value) for value in store.get(*keys))]
    assert len(keys) == 12
    for word in (
        "ada",
        "grace",
        "op.example",
        "default",
        "of the logout token",
        '"s1"',
        str(NOW)[:-1],
    ):
        assert [text for text in texts if word in text] == [], word


def test_an_entry_that_cannot_be_read_is_left_out(
    sessions: SessionRegistry, store: Watched, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """That of a deployment with another SECRET_KEY, of another version, or moved by an attacker."""
    (entry,) = (key for key in store.keys("session:") if key.endswith(":h4"))
    stolen = store.get(entry)[0]
    assert stolen is not None
    store.put(entry.replace("h4", "h9"), stolen, ttl=60)
    store.put(entry.replace("h4", "h8"), "x", ttl=60)
    with caplog.at_level(logging.WARNING, "flask_parjar"):
        assert found(sessions, ADA.issuer, "grace") == {"h4"}
        assert found(process(store, clock, b"another"), ADA.issuer) == set()
    assert len(caplog.messages) >= 2
    assert found(process(store, clock, b"new", b"secret"), ADA.issuer, "grace") == {"h4"}


# Many threads.


def test_threads_share_it(sessions: SessionRegistry, clock: Clock) -> None:
    stop = threading.Event()

    def look() -> int:
        looks = 0
        while not stop.is_set():
            assert is_active(sessions, GRACE)
            looks += 1
        return looks

    with switching_often(), ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(look) for _ in range(3)]
        for number in range(200):
            passing = dataclasses.replace(ADA, handle=f"t{number}")
            register(sessions, passing)
            assert is_active(sessions, passing)
            end_by_token(sessions, ADA.issuer, subject="anonymous", sid=None, now=NOW)
            sessions.revoke(passing)
            clock.now += 0.1
        stop.set()
        assert all(reader.result() > 0 for reader in readers)
