"""Which sessions are open: entries, notices, and how long a look at them counts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from flask_parjar.errors import StoreUnavailable
from flask_parjar.flows.open_sessions import (
    TRUSTED_FOR,
    TRUSTED_IN_AN_OUTAGE,
    OpenSession,
    OpenSessions,
    tokens_key,
)
from flask_parjar.protocol.sealing import seal
from flask_parjar.stores import MemoryStore, Store
from tests.flows.logged_in import ISSUER, SECRETS
from tests.redis_process import RedisProcess

LOGIN = 1_800_000_000
SESSION = OpenSession(
    handle="handle-1",
    provider="default",
    issuer=ISSUER,
    subject="ada",
    sid="sid-1",
    logged_in_at=LOGIN,
)
WITHOUT_SID = replace(SESSION, handle="handle-2", sid=None)


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock)


#: Open the sessions once more, as another process has them.
Process = Callable[[], OpenSessions]


@pytest.fixture
def process(store: MemoryStore, clock: Clock) -> Process:
    return lambda: OpenSessions(store, lifetime=3600, secrets=lambda: SECRETS, clock=clock)


@pytest.fixture
def sessions(process: Process) -> OpenSessions:
    return process()


# Opened and closed.


def test_a_session_is_open_from_its_login_on(process: Process) -> None:
    assert not process().is_open(SESSION)
    sessions = process()
    sessions.open(SESSION)
    assert sessions.is_open(SESSION)
    assert process().is_open(SESSION)
    assert not process().is_open(replace(SESSION, handle="another"))
    assert not process().is_open(replace(SESSION, subject="bob"))
    assert not process().is_open(replace(SESSION, issuer="https://other.example"))


def test_nobody_reads_in_the_store_who_is_logged_in(
    sessions: OpenSessions, store: MemoryStore
) -> None:
    sessions.open(SESSION)
    (key,) = store.keys("")
    written = f"{key} {store.get(key)}"
    assert not any(word in written for word in ("ada", "sid-1", "op.example"))


def test_a_session_ends_with_its_lifetime(sessions: OpenSessions, clock: Clock) -> None:
    sessions.open(SESSION)
    clock.now += 3599
    assert sessions.is_open(SESSION)
    clock.now += TRUSTED_FOR
    assert not sessions.is_open(SESSION)


def test_a_closed_session_is_closed_at_once_here_and_soon_elsewhere(
    process: Process, clock: Clock, store: MemoryStore
) -> None:
    here, elsewhere = process(), process()
    here.open(SESSION)
    here.open(WITHOUT_SID)
    store.put(tokens_key(SESSION), "x", ttl=60)
    assert elsewhere.is_open(SESSION)
    here.close(SESSION)
    assert not here.is_open(SESSION)
    assert elsewhere.is_open(SESSION)
    clock.now += TRUSTED_FOR
    assert not elsewhere.is_open(SESSION)
    assert elsewhere.is_open(WITHOUT_SID)
    assert store.get(tokens_key(SESSION))[0] is None
    here.close(SESSION)


def test_a_replaced_session_goes_on_for_a_minute(
    process: Process, clock: Clock, store: MemoryStore
) -> None:
    """The requests that its browser has under way come with the old cookie."""
    sessions = process()
    sessions.open(SESSION)
    store.put(tokens_key(SESSION), "x", ttl=3600)
    sessions.retire(SESSION)
    clock.now += 59
    assert process().is_open(SESSION)
    assert store.get(tokens_key(SESSION))[0] == "x"
    clock.now += 1
    assert not process().is_open(SESSION)
    assert store.get(tokens_key(SESSION))[0] is None


def test_a_session_that_is_gone_does_not_come_back_to_be_replaced(
    sessions: OpenSessions, store: MemoryStore
) -> None:
    sessions.retire(SESSION)
    assert list(store.keys("")) == []


class Interrupted(MemoryStore):
    """A store in which something happens right after a look."""

    meanwhile: Callable[[], object] | None = None

    def get(self, *keys: str) -> Sequence[str | None]:
        found = super().get(*keys)
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        return found


def test_a_session_that_is_closed_while_it_is_replaced_stays_closed(clock: Clock) -> None:
    store = Interrupted(clock)
    here = OpenSessions(store, lifetime=3600, secrets=lambda: SECRETS, clock=clock)
    other = OpenSessions(store, lifetime=3600, secrets=lambda: SECRETS, clock=clock)
    here.open(SESSION)
    store.meanwhile = lambda: other.close(SESSION)
    here.retire(SESSION)
    assert list(store.keys("")) == []


def test_a_look_that_was_under_way_vouches_for_nobody(clock: Clock) -> None:
    """Another thread of this very process has logged them out: that counts at once."""
    store = Interrupted(clock)
    sessions = OpenSessions(store, lifetime=3600, secrets=lambda: SECRETS, clock=clock)
    sessions.open(SESSION)
    clock.now += TRUSTED_FOR
    store.meanwhile = lambda: sessions.close(SESSION)
    assert sessions.is_open(SESSION)  # as it was when the look began
    assert not sessions.is_open(SESSION)


def test_tokens_that_are_renewed_while_their_session_is_replaced_are_kept(clock: Clock) -> None:
    """What was read before is spent by then."""
    store = Interrupted(clock)
    sessions = OpenSessions(store, lifetime=3600, secrets=lambda: SECRETS, clock=clock)
    store.put(tokens_key(SESSION), "spent", ttl=60)
    store.meanwhile = lambda: setattr(
        store, "meanwhile", lambda: store.put(tokens_key(SESSION), "renewed", ttl=60)
    )
    sessions.retire(SESSION)
    assert store.get(tokens_key(SESSION))[0] == "renewed"


# How often the store is asked.


def test_a_look_counts_for_a_few_seconds(process: Process, clock: Clock) -> None:
    assert TRUSTED_FOR == 5
    here, elsewhere = process(), process()
    here.open(SESSION)
    clock.now += 4.9
    elsewhere.end(ISSUER, subject="ada", sid=None, now=LOGIN + 10)
    assert here.is_open(SESSION)
    clock.now += 0.1
    assert not here.is_open(SESSION)


def test_an_open_session_is_looked_for_anew_each_time(process: Process, clock: Clock) -> None:
    here = process()
    here.open(SESSION)
    for _ in range(10):
        clock.now += TRUSTED_FOR
        assert here.is_open(SESSION)
    process().close(SESSION)
    clock.now += TRUSTED_FOR
    assert not here.is_open(SESSION)


def test_what_is_trusted_is_bounded(process: Process) -> None:
    """Once in 10,000 logins, each session is looked for once more, and that is all."""
    sessions = process()
    for number in range(10_001):
        sessions.open(replace(SESSION, handle=str(number)))
        assert len(sessions._seen_open) <= 10_000
    assert sessions.is_open(replace(SESSION, handle="0"))
    assert not sessions.is_open(replace(SESSION, handle="x"))


# Ended from elsewhere.


def ended(process: Process, clock: Clock, *sessions: OpenSession) -> list[bool]:
    """Whether each is ended, in a process that has trusted none."""
    return [not process().is_open(session) for session in sessions]


def test_a_sid_ends_its_session_alone(process: Process, clock: Clock) -> None:
    other = replace(SESSION, handle="handle-3", sid="sid-2")
    for session in (SESSION, WITHOUT_SID, other):
        process().open(session)
    process().end(ISSUER, subject=None, sid="sid-1", now=LOGIN)
    assert ended(process, clock, SESSION, WITHOUT_SID, other) == [True, False, False]


def test_a_subject_ends_all_of_its_sessions(process: Process, clock: Clock) -> None:
    bob = replace(SESSION, handle="handle-3", subject="bob")
    for session in (SESSION, WITHOUT_SID, bob):
        process().open(session)
    process().end(ISSUER, subject="ada", sid=None, now=LOGIN)
    assert ended(process, clock, SESSION, WITHOUT_SID, bob) == [True, True, False]


def test_a_sid_of_a_subject_ends_also_what_has_no_sid(process: Process, clock: Clock) -> None:
    """Who told us no sid at the login may still tell one in a notice."""
    other = replace(SESSION, handle="handle-3", sid="sid-2")
    for session in (SESSION, WITHOUT_SID, other):
        process().open(session)
    process().end(ISSUER, subject="ada", sid="sid-1", now=LOGIN)
    assert ended(process, clock, SESSION, WITHOUT_SID, other) == [True, True, False]


@pytest.mark.parametrize(
    ("issuer", "subject", "sid"),
    [
        ("https://other.example", "ada", None),
        ("https://other.example", None, "sid-1"),
        (ISSUER, "bob", None),
        (ISSUER, "sid-1", None),
        (ISSUER, None, "ada"),
        (ISSUER, None, "sid-2"),
        (ISSUER, None, None),
    ],
)
def test_a_notice_of_somebody_else(
    process: Process, clock: Clock, issuer: str, subject: str | None, sid: str | None
) -> None:
    process().open(SESSION)
    process().open(WITHOUT_SID)
    process().end(issuer, subject=subject, sid=sid, now=LOGIN + 10)
    assert ended(process, clock, SESSION, WITHOUT_SID) == [False, False]


@pytest.mark.parametrize("sid", [None, "sid-1"])
def test_a_later_login_is_not_ended(process: Process, clock: Clock, sid: str | None) -> None:
    """One of the same second is: it may have been the one that was meant."""
    later = replace(SESSION, handle="handle-4", logged_in_at=LOGIN + 11)
    for session in (SESSION, later):
        process().open(session)
    process().end(ISSUER, subject="ada", sid=sid, now=LOGIN + 10)
    assert ended(process, clock, SESSION, later) == [True, False]
    same_second = replace(later, handle="handle-5", logged_in_at=LOGIN + 10)
    process().open(same_second)
    assert ended(process, clock, same_second) == [True]


def test_whoever_takes_the_notice_knows_at_once(sessions: OpenSessions) -> None:
    sessions.open(SESSION)
    assert sessions.is_open(SESSION)
    sessions.end(ISSUER, subject="ada", sid=None, now=LOGIN)
    assert not sessions.is_open(SESSION)


def test_a_session_that_was_ended_takes_its_tokens_along(
    process: Process, store: MemoryStore
) -> None:
    process().open(SESSION)
    store.put(tokens_key(SESSION), "x", ttl=3600)
    process().end(ISSUER, subject="ada", sid=None, now=LOGIN)
    assert not process().is_open(SESSION)
    assert [key.partition(":")[0] for key in store.keys("")] == ["ended"]


def test_a_notice_outlives_every_session_that_it_ended(
    process: Process, clock: Clock, store: MemoryStore
) -> None:
    process().open(SESSION)
    clock.now += 10
    process().end(ISSUER, subject="ada", sid=None, now=LOGIN + 10)
    clock.now += 3589
    assert ended(process, clock, SESSION) == [True]
    clock.now += 20
    assert list(store.keys("ended:")) == []


# Notices that come again.


def test_a_notice_is_taken_once(sessions: OpenSessions, clock: Clock) -> None:
    assert not sessions.was_taken(ISSUER, "jti-1")
    sessions.take(ISSUER, "jti-1", leeway=60)
    assert sessions.was_taken(ISSUER, "jti-1")
    assert not sessions.was_taken(ISSUER, "jti-2")
    assert not sessions.was_taken("https://other.example", "jti-1")


def test_its_name_is_remembered_for_as_long_as_it_could_come_again(
    sessions: OpenSessions, clock: Clock
) -> None:
    """300 s after its iat, which may be a minute ahead of us, and we a minute behind it."""
    sessions.take(ISSUER, "jti-1", leeway=60)
    clock.now += 300 + 2 * 60 - 1
    assert sessions.was_taken(ISSUER, "jti-1")
    clock.now += 60
    assert not sessions.was_taken(ISSUER, "jti-1")


# An outage.


@pytest.fixture
def far(redis_store: Store, clock: Clock) -> OpenSessions:
    """Sessions in a Redis that can be stopped."""
    return OpenSessions(redis_store, lifetime=3600, secrets=lambda: SECRETS, clock=clock)


def test_in_an_outage_trust_lasts_a_minute(
    far: OpenSessions, own_redis: RedisProcess, clock: Clock
) -> None:
    assert TRUSTED_IN_AN_OUTAGE == 60
    far.open(SESSION)
    clock.now += 10
    assert far.is_open(SESSION)
    own_redis.stop()
    clock.now += 59.9
    assert far.is_open(SESSION)
    clock.now += 0.1
    with pytest.raises(StoreUnavailable) as caught:
        far.is_open(SESSION)
    assert caught.value.code == "store_unreachable"


def test_in_an_outage_nobody_is_trusted_whom_this_process_has_not_seen(
    far: OpenSessions, own_redis: RedisProcess
) -> None:
    own_redis.stop()
    with pytest.raises(StoreUnavailable):
        far.is_open(SESSION)


def test_a_session_that_was_found_ended_stays_so_in_an_outage(
    far: OpenSessions, redis_store: Store, own_redis: RedisProcess, clock: Clock
) -> None:
    far.open(SESSION)
    other = OpenSessions(redis_store, lifetime=3600, secrets=lambda: SECRETS, clock=clock)
    other.end(ISSUER, subject="ada", sid=None, now=LOGIN)
    clock.now += TRUSTED_FOR
    assert not far.is_open(SESSION)
    own_redis.stop()
    clock.now += TRUSTED_FOR
    with pytest.raises(StoreUnavailable):
        far.is_open(SESSION)


def test_in_an_outage_not_every_request_waits(
    far: OpenSessions, own_redis: RedisProcess, clock: Clock
) -> None:
    """One in five seconds does; a Redis that hangs costs its time-out."""
    far.open(SESSION)
    clock.now += TRUSTED_FOR
    own_redis.pause()
    began = time.monotonic()
    assert far.is_open(SESSION)
    assert time.monotonic() - began > 1.5
    began = time.monotonic()
    for _ in range(20):
        assert far.is_open(SESSION)
    with pytest.raises(StoreUnavailable) as caught:
        far.is_open(WITHOUT_SID)
    assert caught.value.detail == "it did not answer a moment ago"
    assert time.monotonic() - began < 1
    own_redis.resume()
    clock.now += TRUSTED_FOR
    assert far.is_open(SESSION)
    assert not far.is_open(WITHOUT_SID)


def test_in_an_outage_nothing_is_opened_closed_or_ended_as_if_it_were(
    far: OpenSessions, own_redis: RedisProcess, clock: Clock
) -> None:
    far.open(SESSION)
    own_redis.stop()
    for fails in (
        lambda: far.open(WITHOUT_SID),
        lambda: far.retire(SESSION),
        lambda: far.end(ISSUER, subject="ada", sid=None, now=LOGIN),
        lambda: far.was_taken(ISSUER, "jti"),
        lambda: far.take(ISSUER, "jti", leeway=0),
        lambda: list(far.find(ISSUER)),
    ):
        with pytest.raises(StoreUnavailable):
            fails()
    assert far.is_open(SESSION)  # the notice was not kept, so it did not count
    with pytest.raises(StoreUnavailable):
        far.close(SESSION)
    with pytest.raises(StoreUnavailable):
        far.is_open(SESSION)  # but it is closed here


# For operators.


def test_sessions_are_found(process: Process) -> None:
    bob = replace(SESSION, handle="handle-3", subject="bob")
    elsewhere = replace(SESSION, handle="handle-4", issuer="https://other.example")
    for session in (SESSION, WITHOUT_SID, bob, elsewhere):
        process().open(session)
    sessions = process()
    by_handle = {session.handle: session for session in sessions.find(ISSUER)}
    assert by_handle == {each.handle: each for each in (SESSION, WITHOUT_SID, bob)}
    assert {each.handle for each in sessions.find(ISSUER, "ada")} == {"handle-1", "handle-2"}
    assert list(sessions.find("https://other.example")) == [elsewhere]
    assert list(sessions.find(ISSUER, "nobody")) == []
    assert list(sessions.find("https://nobody.example")) == []


def test_what_was_ended_is_not_found(process: Process) -> None:
    process().open(SESSION)
    process().open(WITHOUT_SID)
    process().end(ISSUER, subject=None, sid="sid-1", now=LOGIN)
    assert list(process().find(ISSUER)) == [WITHOUT_SID]


@pytest.mark.parametrize("text", ["{}", "[]", '{"handle": "x"}', "x"])
def test_an_entry_that_cannot_be_read_is_passed_over(
    process: Process, store: MemoryStore, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    process().open(SESSION)
    store.put("session:x:y", seal(text, secrets=SECRETS, purpose="session:x:y"), ttl=60)
    store.put("session:x:z", text, ttl=60)
    with caplog.at_level(logging.WARNING):
        assert list(process().find(ISSUER)) == [SESSION]
    assert len(caplog.messages) == 2
    assert all("cannot be read" in message for message in caplog.messages)


def test_an_entry_counts_under_its_own_name_alone(process: Process, store: MemoryStore) -> None:
    """Whoever can write into the store cannot make one session out of another."""
    process().open(SESSION)
    (key,) = store.keys("session:")
    sealed = store.get(key)[0]
    assert sealed is not None
    store.put(f"{key}x", sealed, ttl=60)
    assert list(process().find(ISSUER)) == [SESSION]


def test_an_entry_that_ends_while_it_is_looked_for(
    process: Process, store: MemoryStore, clock: Clock
) -> None:
    process().open(SESSION)
    found = process().find(ISSUER)
    keys = store.keys("session:")
    assert next(found) == SESSION
    assert list(found) == []
    process().close(SESSION)
    assert len(list(keys)) == 1
    assert list(process().find(ISSUER)) == []
