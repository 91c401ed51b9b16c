"""Which sessions are open: entries, logout tokens, and how long a look at them counts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from flask_parjar.errors import StoreUnavailable
from flask_parjar.flows.sealed_records import SealedRecords
from flask_parjar.flows.session_registry import (
    GRACE_PERIOD,
    TRUSTED_FOR,
    TRUSTED_IN_AN_OUTAGE,
    Registration,
    RenewedClaims,
    SessionEntry,
    SessionRegistry,
    tokens_key,
)
from flask_parjar.flows.subject_sessions import MAX_SESSIONS
from flask_parjar.protocol.sealing import MAX_SEALED, seal
from flask_parjar.stores import MemoryStore, Store
from tests.support.clock import Clock
from tests.support.logged_in import ISSUER, SECRETS
from tests.support.redis_process import RedisProcess
from tests.support.registry import end_by_token, is_active, register
from tests.support.threads import switching_often

LOGIN = 1_800_000_000
SESSION = SessionEntry(
    handle="handle-1",
    provider="default",
    issuer=ISSUER,
    client_id="client",
    subject="ada",
    sid="sid-1",
    logged_in_at=LOGIN,
)
WITHOUT_SID = replace(SESSION, handle="handle-2", sid=None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock)


#: Open the sessions once more, as another process has them.
Process = Callable[[], SessionRegistry]


@pytest.fixture
def process(store: MemoryStore, clock: Clock) -> Process:
    return lambda: SessionRegistry(store, lifetime=3600, secrets=lambda: SECRETS, clock=clock)


@pytest.fixture
def sessions(process: Process) -> SessionRegistry:
    return process()


def kinds(store: MemoryStore) -> list[str]:
    """What there is in a store."""
    return sorted(key.partition(":")[0] for key in store.keys(""))


# Opened and closed.


def test_a_session_is_open_from_its_login_on(process: Process) -> None:
    assert not is_active(process(), SESSION)
    sessions = process()
    register(sessions, SESSION)
    assert is_active(sessions, SESSION)
    assert is_active(process(), SESSION)
    assert not is_active(process(), replace(SESSION, handle="another"))
    assert not is_active(process(), replace(SESSION, subject="bob"))
    assert not is_active(process(), replace(SESSION, issuer="https://other.example"))


def test_the_store_does_not_show_who_is_logged_in(
    sessions: SessionRegistry, store: MemoryStore
) -> None:
    register(sessions, SESSION)
    assert kinds(store) == ["algs", "session", "subject"]
    keys = list(store.keys(""))
    written = f"{keys} {store.get(*keys)}"
    assert not any(word in written for word in ("ada", "sid-1", "op.example", '"handle-1"'))


def test_a_session_ends_with_its_lifetime(sessions: SessionRegistry, clock: Clock) -> None:
    register(sessions, SESSION)
    clock.now += 3599
    assert is_active(sessions, SESSION)
    clock.now += TRUSTED_FOR
    assert not is_active(sessions, SESSION)


def test_a_closed_session_is_closed_at_once_here_and_soon_elsewhere(
    process: Process, clock: Clock, store: MemoryStore
) -> None:
    here, elsewhere = process(), process()
    register(here, SESSION)
    register(here, WITHOUT_SID)
    store.put(tokens_key(SESSION), "x", ttl=60)
    assert is_active(elsewhere, SESSION)
    here.revoke(SESSION)
    assert not is_active(here, SESSION)
    assert is_active(elsewhere, SESSION)
    clock.now += TRUSTED_FOR
    assert not is_active(elsewhere, SESSION)
    assert is_active(elsewhere, WITHOUT_SID)
    assert store.get(tokens_key(SESSION))[0] is None
    here.revoke(SESSION)


def test_a_replaced_session_goes_on_for_a_minute(
    process: Process, clock: Clock, store: MemoryStore
) -> None:
    """The requests that its browser has under way come with the old cookie."""
    sessions = process()
    register(sessions, SESSION)
    store.put(tokens_key(SESSION), "x", ttl=3600)
    sessions.expire_soon(SESSION)
    clock.now += 59
    assert is_active(process(), SESSION)
    clock.now += 1
    assert not is_active(process(), SESSION)


def test_a_session_that_is_replaced_again_and_again_ends_all_the_same(
    process: Process, clock: Clock
) -> None:
    """As by logins with a copy of its cookie."""
    sessions = process()
    register(sessions, SESSION)
    began = clock.now
    while clock.now < began + GRACE_PERIOD:
        assert is_active(process(), SESSION)
        sessions.expire_soon(SESSION)
        clock.now += GRACE_PERIOD / 3
    assert not is_active(process(), SESSION)


def test_a_session_that_is_gone_does_not_come_back_to_be_replaced(
    sessions: SessionRegistry, store: MemoryStore
) -> None:
    sessions.expire_soon(SESSION)
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
    here = SessionRegistry(store, lifetime=3600, secrets=lambda: SECRETS, clock=clock)
    other = SessionRegistry(store, lifetime=3600, secrets=lambda: SECRETS, clock=clock)
    register(here, SESSION)
    store.meanwhile = lambda: other.revoke(SESSION)
    here.expire_soon(SESSION)
    assert list(store.keys("session:")) == []


def test_a_read_that_began_before_a_logout_proves_nothing(clock: Clock) -> None:
    """Another thread of this very process has logged them out: that counts at once."""
    store = Interrupted(clock)
    sessions = SessionRegistry(store, lifetime=3600, secrets=lambda: SECRETS, clock=clock)
    register(sessions, SESSION)
    clock.now += TRUSTED_FOR
    store.meanwhile = lambda: sessions.revoke(SESSION)
    assert is_active(sessions, SESSION)  # as it was when the look began
    assert not is_active(sessions, SESSION)


def test_a_session_that_was_replaced_can_be_ended_before_its_time(
    process: Process, sessions: SessionRegistry, store: MemoryStore
) -> None:
    register(sessions, SESSION)
    store.put(tokens_key(SESSION), "x", ttl=60)
    name = sessions.expire_soon(SESSION)
    assert is_active(process(), SESSION)
    sessions.revoke_replaced(name)
    assert not is_active(sessions, SESSION)
    assert not is_active(process(), SESSION)
    assert [*store.keys("session:"), *store.keys("tokens:")] == []


# How many there are of one subject.


def many(process: Process, *names: str) -> list[SessionEntry]:
    """Sessions of Ada that began one after the other."""
    sessions = [replace(SESSION, handle=name) for name in names]
    for session in sessions:
        register(process(), session)
    return sessions


def test_of_too_many_sessions_the_oldest_end_with_their_tokens(
    process: Process, clock: Clock, store: MemoryStore
) -> None:
    assert MAX_SESSIONS == 100
    bob, elsewhere = (
        replace(SESSION, subject="bob"),
        replace(SESSION, provider="another", handle="x"),
    )
    for each in (bob, elsewhere):
        register(process(), each)
    full = many(process, *map(str, range(100)))
    for session in full:
        store.put(tokens_key(session), "x", ttl=3600)
    assert ended(process, clock, *full) == [False] * 100
    more = many(process, "a", "b")
    assert ended(process, clock, *full, *more) == [True, True, *[False] * 100]
    assert store.get(*(tokens_key(each) for each in full[:3])) == [None, None, "x"]
    assert ended(process, clock, bob, elsewhere) == [False, False]


def test_what_has_ended_by_itself_leaves_room(
    process: Process, clock: Clock, store: MemoryStore
) -> None:
    full = many(process, *map(str, range(100)))
    process().revoke(full[50])
    process().expire_soon(full[60])
    clock.now += 60
    more = many(process, "a", "b")
    assert ended(process, clock, full[0], *more) == [False, False, False]
    assert ended(process, clock, *many(process, "c"), full[0], full[1]) == [False, True, False]


def test_a_session_that_is_registered_twice_is_listed_once(process: Process, clock: Clock) -> None:
    """As when the list was written and the answer lost, and another login came in between."""
    first, again, *others = many(process, "0", "0", *map(str, range(1, 100)))
    assert first == again
    assert ended(process, clock, first, *others) == [False] * 100


def test_the_process_that_ends_the_oldest_knows_at_once(sessions: SessionRegistry) -> None:
    for number in range(101):
        register(sessions, replace(SESSION, handle=str(number)))
    assert not is_active(sessions, replace(SESSION, handle="0"))
    assert is_active(sessions, replace(SESSION, handle="1"))


def test_many_logins_of_one_person_at_once_are_all_counted(
    process: Process, clock: Clock, store: MemoryStore
) -> None:
    """None is lost, and at the end there are not too many."""
    sessions = [replace(SESSION, handle=str(number)) for number in range(120)]
    with switching_often(), ThreadPoolExecutor(4) as threads:
        for each in [threads.submit(register, process(), session) for session in sessions]:
            each.result()
    assert len(list(store.keys("session:"))) == 100
    assert ended(process, clock, *sessions).count(False) == 100


def test_a_list_that_somebody_else_wrote_stops_no_login(
    process: Process, clock: Clock, store: MemoryStore
) -> None:
    register(process(), SESSION)
    (key,) = store.keys("subject:")
    store.put(key, "x", ttl=60)
    (session,) = many(process, "a")
    assert ended(process, clock, SESSION, session) == [False, False]


# The algorithms of the logins.

SITE = Registration("default", ISSUER, "client")


def test_the_algorithms_of_a_client_are_known_as_long_as_its_sessions_last(
    process: Process, clock: Clock
) -> None:
    def log_in(alg: str, *, later: int) -> None:
        session = replace(SESSION, handle=f"{alg} {later}", logged_in_at=LOGIN + later)
        register(process(), session, alg=alg)

    assert not process().login_algs(SITE)
    log_in("RS256", later=0)
    log_in("ES256", later=10)
    assert sorted(process().login_algs(SITE)) == ["ES256", "RS256"]
    assert not process().login_algs(Registration("another", ISSUER, "client"))
    clock.now += 3599  # the session of RS256 still lasts
    log_in("ES256", later=3610)
    assert sorted(process().login_algs(SITE)) == ["ES256", "RS256"]
    clock.now += 3600
    log_in("ES256", later=7211)
    assert sorted(process().login_algs(SITE)) == ["ES256"]
    clock.now += 7200
    assert not process().login_algs(SITE)


def test_most_logins_write_no_algorithm(process: Process, store: MemoryStore) -> None:
    register(process(), SESSION)
    (key,) = store.keys("algs:")
    written = store.get(key)
    register(process(), replace(SESSION, handle="handle-3", logged_in_at=LOGIN + 3599))
    assert store.get(key) == written
    register(process(), replace(SESSION, handle="handle-4", logged_in_at=LOGIN + 3600))
    assert store.get(key) != written


def test_of_algorithms_that_somebody_else_wrote_none_is_known(
    process: Process, store: MemoryStore
) -> None:
    register(process(), SESSION)
    (key,) = store.keys("algs:")
    store.put(key, "x", ttl=60)
    assert not process().login_algs(SITE)
    register(process(), replace(SESSION, handle="handle-3"))
    assert list(process().login_algs(SITE)) == ["ES256"]


# How often the store is asked.


def test_a_look_counts_for_a_few_seconds(process: Process, clock: Clock) -> None:
    assert TRUSTED_FOR == 5
    here, elsewhere = process(), process()
    register(here, SESSION)
    clock.now += 4.9
    end_by_token(elsewhere, ISSUER, subject="ada", sid=None, now=LOGIN + 10)
    assert is_active(here, SESSION)
    clock.now += 0.1
    assert not is_active(here, SESSION)


def test_an_open_session_is_looked_for_anew_each_time(process: Process, clock: Clock) -> None:
    here = process()
    register(here, SESSION)
    for _ in range(10):
        clock.now += TRUSTED_FOR
        assert is_active(here, SESSION)
    process().revoke(SESSION)
    clock.now += TRUSTED_FOR
    assert not is_active(here, SESSION)


def test_the_cache_of_active_sessions_is_bounded(store: MemoryStore, clock: Clock) -> None:
    """A session that is not in it any more is read from the store again, and that is all."""
    sessions = SessionRegistry(
        store, lifetime=3600, secrets=lambda: SECRETS, clock=clock, at_most=100
    )
    for number in range(250):
        register(sessions, replace(SESSION, handle=str(number), subject=str(number)))
        assert len(sessions._seen_active) <= 100
    for name in map(str, range(250)):
        assert is_active(sessions, replace(SESSION, handle=name, subject=name))
        assert len(sessions._seen_active) <= 100
    assert not is_active(sessions, replace(SESSION, handle="x", subject="0"))


# Ended from elsewhere.


def ended(process: Process, clock: Clock, *sessions: SessionEntry) -> list[bool]:
    """Whether each is ended, in a process that has trusted none."""
    return [not is_active(process(), session) for session in sessions]


def test_a_sid_ends_its_session_alone(process: Process, clock: Clock) -> None:
    other = replace(SESSION, handle="handle-3", sid="sid-2")
    for session in (SESSION, WITHOUT_SID, other):
        register(process(), session)
    end_by_token(process(), ISSUER, subject=None, sid="sid-1", now=LOGIN)
    assert ended(process, clock, SESSION, WITHOUT_SID, other) == [True, False, False]


def test_a_subject_ends_all_of_its_sessions(process: Process, clock: Clock) -> None:
    bob = replace(SESSION, handle="handle-3", subject="bob")
    for session in (SESSION, WITHOUT_SID, bob):
        register(process(), session)
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN)
    assert ended(process, clock, SESSION, WITHOUT_SID, bob) == [True, True, False]


def test_a_sid_of_a_subject_ends_also_what_has_no_sid(process: Process, clock: Clock) -> None:
    """Who told us no sid at the login may still tell one in a logout token."""
    other = replace(SESSION, handle="handle-3", sid="sid-2")
    for session in (SESSION, WITHOUT_SID, other):
        register(process(), session)
    end_by_token(process(), ISSUER, subject="ada", sid="sid-1", now=LOGIN)
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
def test_a_logout_token_of_another_subject(
    process: Process, clock: Clock, issuer: str, subject: str | None, sid: str | None
) -> None:
    register(process(), SESSION)
    register(process(), WITHOUT_SID)
    end_by_token(process(), issuer, subject=subject, sid=sid, now=LOGIN + 10)
    assert ended(process, clock, SESSION, WITHOUT_SID) == [False, False]


@pytest.mark.parametrize("sid", [None, "sid-1"])
def test_a_later_login_is_not_ended(process: Process, clock: Clock, sid: str | None) -> None:
    """Of the logins in the second of the token, those are later that it was there before."""
    before, after, later = (
        replace(SESSION, handle=handle, logged_in_at=LOGIN + seconds)
        for handle, seconds in (("before", 10), ("after", 10), ("later", 11))
    )
    for session in (SESSION, before, later):
        register(process(), session)
    end_by_token(process(), ISSUER, subject="ada", sid=sid, now=LOGIN + 10)
    register(process(), after)
    assert ended(process, clock, SESSION, before, after, later) == [True, True, False, False]
    end_by_token(process(), ISSUER, subject="ada", sid=sid, now=LOGIN + 10)
    assert ended(process, clock, after, later) == [True, False]


def test_a_login_that_is_under_way_while_its_logout_token_comes_is_ended(
    process: Process, clock: Clock
) -> None:
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN + 10)
    sessions = process()
    register(sessions, SESSION, issued_at=LOGIN + 9)
    assert ended(process, clock, SESSION) == [True]
    assert not is_active(sessions, SESSION)  # at once: it is not trusted for a while


def test_the_provider_s_times_are_compared_with_each_other_alone(
    process: Process, clock: Clock
) -> None:
    """Its clock is an hour behind ours."""
    older, newer = replace(SESSION, handle="older"), replace(SESSION, handle="newer")
    register(process(), older, issued_at=LOGIN - 3600)
    register(process(), newer, issued_at=LOGIN - 3590)
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN - 3595)
    assert ended(process, clock, older, newer) == [True, False]


def test_a_logout_token_that_comes_late_does_not_undo_a_later_one(
    process: Process, clock: Clock
) -> None:
    register(process(), SESSION)
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN + 10)
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN - 10)
    assert ended(process, clock, SESSION) == [True]


def test_the_same_logout_token_ends_nothing_a_second_time(process: Process, clock: Clock) -> None:
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN, jti="one")
    register(process(), SESSION)
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN, jti="one")
    assert ended(process, clock, SESSION) == [False]


@pytest.mark.parametrize("again", ["one", "two"])
def test_a_logout_token_that_comes_again_after_another_one_of_its_second_ends_nothing(
    process: Process, clock: Clock, again: str
) -> None:
    """Nor does it take the place of the other one."""
    (before,) = many(process, "before")
    for jti in ("one", "two"):
        end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN, jti=jti)
    register(process(), SESSION)
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN, jti=again)
    assert ended(process, clock, before, SESSION) == [True, False]
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN, jti="three")
    assert ended(process, clock, SESSION) == [True]


def test_a_mark_names_only_some_of_very_many_logouts_of_one_second(
    process: Process, clock: Clock, store: MemoryStore
) -> None:
    for number in range(200):
        end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN, jti=f"{number:0255}")
    (key,) = store.keys("ended:")
    assert len(store.get(key)[0] or "") < MAX_SEALED / 4
    register(process(), SESSION)
    assert ended(process, clock, SESSION) == [False]
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN, jti=f"{199:0255}")
    assert ended(process, clock, SESSION) == [False]


def spoil_marks(store: MemoryStore) -> None:
    """Overwrite every mark, as somebody may who can write into the store."""
    for key in store.keys("ended:"):
        store.put(key, "rubbish", ttl=3600)


def test_a_mark_that_is_overwritten_ends_what_began_before_and_no_later_login(
    process: Process, clock: Clock, store: MemoryStore
) -> None:
    register(process(), SESSION)
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN - 10)
    assert ended(process, clock, SESSION) == [False]
    spoil_marks(store)
    assert ended(process, clock, SESSION) == [True]
    (later,) = many(process, "later")
    assert ended(process, clock, SESSION, later) == [True, False]
    (latest,) = many(process, "latest")
    assert ended(process, clock, SESSION, later, latest) == [True, False, False]


def test_a_late_logout_token_in_place_of_an_overwritten_one_undoes_nothing(
    process: Process, clock: Clock, store: MemoryStore
) -> None:
    register(process(), SESSION)
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN + 10)
    spoil_marks(store)
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN - 10)
    (later,) = many(process, "later")
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN - 5)
    assert ended(process, clock, SESSION, later) == [True, False]
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN)
    assert ended(process, clock, SESSION, later) == [True, True]


def test_what_was_written_before_a_login_does_not_undo_its_logout(
    process: Process, clock: Clock, store: MemoryStore
) -> None:
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN - 10)
    spoil_marks(store)
    register(process(), SESSION)
    assert ended(process, clock, SESSION) == [False]
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN)
    spoil_marks(store)
    assert ended(process, clock, SESSION) == [True]


def test_a_mark_of_another_version_ends_the_session(
    process: Process, clock: Clock, store: MemoryStore
) -> None:
    """What it says is not known, so the session may have ended."""
    for record in ({}, {"at": "x", "id": "y"}, {"at": LOGIN - 10}):
        register(process(), SESSION)
        end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN)
        (key,) = store.keys("ended:")
        SealedRecords(store, secrets=lambda: SECRETS).put(key, record, ttl=60)
        assert ended(process, clock, SESSION) == [True]
        store.delete(key)
        assert ended(process, clock, SESSION) == [False]


def test_an_operator_ends_by_our_clock(process: Process, clock: Clock) -> None:
    """Whatever the provider's clock shows."""
    before = replace(SESSION, handle="before", logged_in_at=LOGIN + 10)
    for session in (SESSION, before, WITHOUT_SID):
        register(process(), session, issued_at=LOGIN + 3600)
    process().end_by_operator(Registration("default", ISSUER, "client"), "ada", now=LOGIN + 10)
    after = replace(before, handle="after")
    register(process(), after, issued_at=LOGIN - 3600)
    everybody = ended(process, clock, SESSION, before, WITHOUT_SID, after)
    assert everybody == [True, True, True, False]


def test_a_client_is_told_of_its_own_sessions(process: Process, clock: Clock) -> None:
    register(process(), replace(SESSION, provider="another"))
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN)
    assert ended(process, clock, replace(SESSION, provider="another")) == [False]


def test_the_process_that_accepts_a_logout_token_knows_at_once(sessions: SessionRegistry) -> None:
    register(sessions, SESSION)
    assert is_active(sessions, SESSION)
    end_by_token(sessions, ISSUER, subject="ada", sid=None, now=LOGIN)
    assert not is_active(sessions, SESSION)


def test_a_session_that_was_found_ended_is_revoked_with_its_tokens(
    process: Process, store: MemoryStore
) -> None:
    """To ask deletes nothing: the caller that finds a session ended revokes it."""
    register(process(), SESSION)
    store.put(tokens_key(SESSION), "x", ttl=3600)
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN)
    sessions = process()
    assert not is_active(sessions, SESSION)
    assert list(sessions.find_all(Registration("default", ISSUER, "client"))) == []
    assert kinds(store) == ["algs", "ended", "session", "subject", "tokens"]
    sessions.revoke(SESSION)
    assert kinds(store) == ["algs", "ended", "subject"]


def test_an_ending_is_kept_longer_than_the_sessions_that_it_ended(
    process: Process, clock: Clock, store: MemoryStore
) -> None:
    register(process(), SESSION)
    clock.now += 10
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN + 10)
    clock.now += 3589
    assert ended(process, clock, SESSION) == [True]
    clock.now += 20
    assert list(store.keys("ended:")) == []


# An outage.


@pytest.fixture
def far(redis_store: Store, clock: Clock) -> SessionRegistry:
    """Sessions in a Redis that can be stopped."""
    return SessionRegistry(redis_store, lifetime=3600, secrets=lambda: SECRETS, clock=clock)


def test_in_an_outage_trust_lasts_a_minute(
    far: SessionRegistry, own_redis: RedisProcess, clock: Clock
) -> None:
    assert TRUSTED_IN_AN_OUTAGE == 60
    register(far, SESSION)
    clock.now += 10
    assert is_active(far, SESSION)
    own_redis.stop()
    clock.now += 59.9
    assert is_active(far, SESSION)
    clock.now += 0.1
    with pytest.raises(StoreUnavailable) as caught:
        is_active(far, SESSION)
    assert caught.value.error_code == "store_unreachable"


def test_in_an_outage_an_unknown_session_is_not_trusted(
    far: SessionRegistry, own_redis: RedisProcess
) -> None:
    own_redis.stop()
    with pytest.raises(StoreUnavailable):
        is_active(far, SESSION)


def test_a_session_that_was_found_ended_stays_so_in_an_outage(
    far: SessionRegistry, redis_store: Store, own_redis: RedisProcess, clock: Clock
) -> None:
    register(far, SESSION)
    other = SessionRegistry(redis_store, lifetime=3600, secrets=lambda: SECRETS, clock=clock)
    end_by_token(other, ISSUER, subject="ada", sid=None, now=LOGIN)
    clock.now += TRUSTED_FOR
    assert not is_active(far, SESSION)
    own_redis.stop()
    clock.now += TRUSTED_FOR
    with pytest.raises(StoreUnavailable):
        is_active(far, SESSION)


def test_in_an_outage_not_every_request_waits(
    far: SessionRegistry, own_redis: RedisProcess, clock: Clock
) -> None:
    """One in five seconds does; a Redis that hangs costs its time-out."""
    register(far, SESSION)
    clock.now += TRUSTED_FOR
    own_redis.pause()
    began = time.monotonic()
    assert is_active(far, SESSION)
    assert time.monotonic() - began > 0.4
    began = time.monotonic()
    for _ in range(20):
        assert is_active(far, SESSION)
    with pytest.raises(StoreUnavailable) as caught:
        is_active(far, WITHOUT_SID)
    assert caught.value.error_code == "store_unreachable"
    assert time.monotonic() - began < 0.4
    own_redis.resume()
    clock.now += TRUSTED_FOR
    assert is_active(far, SESSION)
    assert not is_active(far, WITHOUT_SID)


def test_in_an_outage_nothing_is_opened_closed_or_ended_as_if_it_were(
    far: SessionRegistry, own_redis: RedisProcess, clock: Clock
) -> None:
    register(far, SESSION)
    own_redis.stop()
    for fails in (
        lambda: register(far, WITHOUT_SID),
        lambda: far.expire_soon(SESSION),
        lambda: end_by_token(far, ISSUER, subject="ada", sid=None, now=LOGIN),
        lambda: list(far.find_all(Registration("default", ISSUER, "client"))),
    ):
        with pytest.raises(StoreUnavailable):
            fails()
    assert is_active(far, SESSION)  # the logout token was not kept, so it did not count
    with pytest.raises(StoreUnavailable):
        far.revoke(SESSION)
    with pytest.raises(StoreUnavailable):
        is_active(far, SESSION)  # but it is closed here


# What a renewal says of the person.

RENEWED = RenewedClaims({"org": "acme"}, ("openid",), LOGIN + 60)


def test_what_a_renewal_says_is_kept_in_the_entry(process: Process, clock: Clock) -> None:
    here, there = process(), process()
    register(here, SESSION)
    for each in (here, there):
        found = each.look_up(SESSION)
        assert found is not None and found.renewed is None
    here.renew(SESSION, RENEWED, ttl=100)
    found = here.look_up(SESSION)
    assert found is not None and found.renewed == RENEWED
    clock.now += TRUSTED_FOR
    found = there.look_up(SESSION)
    assert found is not None and found.renewed == RENEWED
    clock.now += 100
    assert not is_active(there, SESSION)


def test_a_renewal_brings_no_session_back(process: Process, store: MemoryStore) -> None:
    register(process(), SESSION)
    process().revoke(SESSION)
    process().renew(SESSION, RENEWED, ttl=3600)
    assert list(store.keys("session:")) == []


def test_a_renewal_does_not_let_a_replaced_session_last_longer(
    process: Process, clock: Clock
) -> None:
    register(process(), SESSION)
    process().expire_soon(SESSION)
    process().renew(SESSION, RENEWED, ttl=3600)
    clock.now += GRACE_PERIOD
    assert not is_active(process(), SESSION)


@pytest.mark.parametrize("renewed", [5, [], [{}, []], [[1], ["openid"], 5], [{}, None, 5]])
def test_an_entry_whose_renewal_cannot_be_read_is_of_no_session(
    process: Process, store: MemoryStore, renewed: object
) -> None:
    register(process(), SESSION)
    (key,) = store.keys("session:")
    records = SealedRecords(store, secrets=lambda: SECRETS)
    entry = records.read(key, str(store.get(key)[0]))
    records.put(key, {**entry, "renewed": renewed}, ttl=60)
    assert not is_active(process(), SESSION)


# For operators.


def test_sessions_are_found(process: Process) -> None:
    bob = replace(SESSION, handle="handle-3", subject="bob")
    elsewhere = replace(SESSION, handle="handle-4", issuer="https://other.example")
    for session in (SESSION, WITHOUT_SID, bob, elsewhere):
        register(process(), session)
    sessions = process()
    by_handle = {
        session.handle: session
        for session in sessions.find_all(Registration("default", ISSUER, "client"))
    }
    assert by_handle == {each.handle: each for each in (SESSION, WITHOUT_SID, bob)}
    assert {
        each.handle for each in sessions.find(Registration("default", ISSUER, "client"), "ada")
    } == {
        "handle-1",
        "handle-2",
    }
    assert list(sessions.find_all(Registration("default", "https://other.example", "client"))) == [
        elsewhere
    ]
    assert list(sessions.find(Registration("default", ISSUER, "client"), "anonymous")) == []
    assert (
        list(sessions.find_all(Registration("default", "https://anonymous.example", "client")))
        == []
    )


def test_a_session_that_ended_is_not_found(process: Process) -> None:
    register(process(), SESSION)
    register(process(), WITHOUT_SID)
    end_by_token(process(), ISSUER, subject=None, sid="sid-1", now=LOGIN)
    assert list(process().find_all(Registration("default", ISSUER, "client"))) == [WITHOUT_SID]


@pytest.mark.parametrize("text", ["{}", "[]", '{"handle": "x"}', "x"])
def test_an_entry_that_cannot_be_read_is_passed_over(
    process: Process, store: MemoryStore, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    register(process(), SESSION)
    (key,) = store.keys("session:")
    of_ada = key.rpartition(":")[0]
    store.put(f"{of_ada}:y", seal(text, secrets=SECRETS, purpose=f"{of_ada}:y"), ttl=60)
    store.put(f"{of_ada}:z", text, ttl=60)
    with caplog.at_level(logging.WARNING):
        assert list(process().find_all(Registration("default", ISSUER, "client"))) == [SESSION]
    assert len(caplog.messages) == 2


def test_the_sessions_of_another_client_are_apart(process: Process) -> None:
    """Two apps of the same name may share a Redis, an issuer and their people."""
    other = replace(SESSION, client_id="other")
    for each in (SESSION, other):
        register(process(), each)
    assert list(process().find_all(Registration("default", ISSUER, "other"))) == [other]
    end_by_token(process(), ISSUER, subject="ada", sid=None, now=LOGIN)
    assert [is_active(process(), each) for each in (SESSION, other)] == [False, True]


def test_an_entry_counts_under_its_own_name_alone(process: Process, store: MemoryStore) -> None:
    """A person who can write into the store cannot make one session out of another."""
    register(process(), SESSION)
    (key,) = store.keys("session:")
    sealed = store.get(key)[0]
    assert sealed is not None
    store.put(f"{key}x", sealed, ttl=60)
    assert list(process().find_all(Registration("default", ISSUER, "client"))) == [SESSION]


def test_an_entry_that_ends_while_it_is_looked_for(
    clock: Clock,
) -> None:
    """Between the list of keys and the read of each of them."""

    class Slow(MemoryStore):
        def keys(self, prefix: str) -> Iterator[str]:
            found = list(super().keys(prefix))
            sessions.revoke(SESSION)
            return iter(found)

    sessions = SessionRegistry(Slow(clock), lifetime=3600, secrets=lambda: SECRETS, clock=clock)
    register(sessions, SESSION)
    register(sessions, WITHOUT_SID)
    assert sessions.find_all(Registration("default", ISSUER, "client")) == [WITHOUT_SID]


def test_a_subject_s_sessions_are_found_with_three_requests(clock: Clock) -> None:
    """However often the subject has logged in: the list has the newest sessions alone."""
    asked: list[int] = []

    class Counted(MemoryStore):
        def get(self, *keys: str) -> Sequence[str | None]:
            asked.append(len(keys))
            return super().get(*keys)

        def keys(self, prefix: str) -> Iterator[str]:
            raise AssertionError("no list of all keys is needed")

    sessions = SessionRegistry(Counted(clock), lifetime=3600, secrets=lambda: SECRETS, clock=clock)
    for number in range(500):
        login = replace(SESSION, handle=f"h{number}", sid=None, logged_in_at=LOGIN + number)
        register(sessions, login)
    asked.clear()
    found = sessions.find(Registration("default", ISSUER, "client"), "ada")
    assert [each.handle for each in found] == [f"h{each}" for each in range(400, 500)]
    assert asked == [1, MAX_SESSIONS, 3]


def test_a_list_of_sessions_that_cannot_be_read_is_empty(
    process: Process, store: MemoryStore
) -> None:
    register(process(), SESSION)
    (key,) = store.keys("subject:")
    store.put(key, "x", ttl=60)
    assert process().find(Registration("default", ISSUER, "client"), "ada") == []
    assert is_active(process(), SESSION)
    register(process(), WITHOUT_SID)
    assert process().find(Registration("default", ISSUER, "client"), "ada") == [WITHOUT_SID]
