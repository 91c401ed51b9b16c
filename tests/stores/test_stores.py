"""One suite that every store passes, and what each of them does besides."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
import trustme

from flask_parjar.errors import StoreUnavailable
from flask_parjar.stores import CookieStore, MemoryStore, Store, open_store
from flask_parjar.stores.cookies import CHUNK, MAX_CHUNKS
from flask_parjar.stores.redis import RedisStore
from tests.support.clock import Clock
from tests.support.lossy_proxy import LossyProxy
from tests.support.raw_server import raw_server
from tests.support.redis_process import RedisProcess
from tests.support.threads import at_once

KINDS = ("memory", "redis over TCP", "redis over a socket", "redis over TLS", "cookies")
THREADS = 32
NAMES = itertools.count()

#: What a busy machine may add to a bound before a test calls it broken.
SLACK = 1.0


@dataclass
class Place:
    """Where a store is, and a way to open it once more, as another process would."""

    kind: str
    again: Callable[[], Store]
    clock: Clock | None = None
    address: str = ""
    prefix: str = ""
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = self.again()

    def let_pass(self, seconds: float) -> None:
        """Turn the clock; in Redis, which has a clock of its own, bring every expiry nearer."""
        if self.clock is not None:
            self.clock.now += seconds
            return
        with redis.Redis.from_url(self.address) as client:
            for name in client.scan_iter(f"{self.prefix}*"):
                client.pexpire(name, client.pttl(name) - int(seconds * 1000))


@pytest.fixture(scope="session")
def tls_url(tmp_path_factory: pytest.TempPathFactory, redis_process: RedisProcess) -> Iterator[str]:
    """A Redis that speaks TLS, too; and its address, which names whom to trust."""
    folder = tmp_path_factory.mktemp("redis-tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    if not _speaks_tls(folder):
        pytest.skip("this redis-server was built without TLS")
    with raw_server(lambda connection: None) as unused:
        port = unused.port
    options = [
        *("--tls-port", str(port), "--tls-cert-file", str(folder / "cert.pem")),
        *("--tls-key-file", str(folder / "key.pem"), "--tls-auth-clients", "no"),
    ]
    with RedisProcess(folder, *options):
        yield f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={quote(str(folder / 'ca.pem'))}"


def _speaks_tls(folder: Path) -> bool:
    """Whether redis-server knows the option at all (with a certificate missing, it says so)."""
    command = ["redis-server", "--port", "0", "--tls-port", "1", "--dir", str(folder)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30).stdout
    return "tls-cert-file" in said


def make_place(kind: str, request: pytest.FixtureRequest) -> Place:
    if kind == "memory":
        clock = Clock(1_800_000_000.0)
        memory = MemoryStore(clock)
        return Place(kind, lambda: memory, clock)
    if kind == "cookies":
        clock = Clock(1_800_000_000.0)
        process, jar = MemoryStore(clock), dict[str, str]()
        return Place(
            kind,
            lambda: CookieStore(
                jar, name="session_parjar", owner="a", process=process, clock=clock
            ),
            clock,
        )
    if kind == "redis over TLS":
        # redis-py reads the trust store of the machine for each connection, though the address
        # names another one. An empty one is read in no time.
        request.getfixturevalue("monkeypatch").setenv("SSL_CERT_FILE", os.devnull)
        address = request.getfixturevalue("tls_url")
    else:
        server: RedisProcess = request.getfixturevalue("redis_process")
        address = server.url if kind == "redis over TCP" else server.unix_url
    prefix = f"parjar:{next(NAMES)}:"
    return Place(
        kind,
        lambda: open_store(address, prefix=prefix, timeout=5),
        address=address,
        prefix=prefix,
    )


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest) -> Place:
    return make_place(request.param, request)


@pytest.fixture
def store(place: Place) -> Store:
    return place.store


@pytest.fixture(params=KINDS[1:4])
def redis_place(request: pytest.FixtureRequest) -> Place:
    return make_place(request.param, request)


# What every store does.


def test_a_value_that_was_put_is_read(store: Store) -> None:
    store.put("a", "1", ttl=60)
    assert list(store.get("a")) == ["1"]
    store.put("a", "2", ttl=60)
    assert list(store.get("a")) == ["2"]


def test_several_keys_in_one_get(store: Store) -> None:
    store.put("a", "1", ttl=60)
    store.put("c", "3", ttl=60)
    assert list(store.get("c", "b", "a", "c")) == ["3", None, "1", "3"]


def test_a_missing_key(store: Store) -> None:
    assert list(store.get("a")) == [None]
    store.delete("a")
    assert list(store.get("a")) == [None]


def test_a_deleted_key_is_missing(store: Store) -> None:
    store.put("a", "1", ttl=60)
    store.put("ab", "2", ttl=60)
    store.delete("a")
    assert list(store.get("a", "ab")) == [None, "2"]
    store.put("a", "3", ttl=60)
    assert list(store.get("a")) == ["3"]


@pytest.mark.parametrize("value", ["", " ", "0", "x" * 5000, "a.b", "1800000000000.x"])
def test_a_text_comes_back_as_it_was(store: Store, value: str) -> None:
    store.put("a", value, ttl=60)
    assert list(store.get("a")) == [value]


def test_add_writes_only_a_missing_key(store: Store) -> None:
    assert store.add("a", "1", ttl=60) is True
    assert store.add("a", "2", ttl=60) is False
    assert list(store.get("a")) == ["1"]
    store.delete("a")
    assert store.add("a", "3", ttl=60) is True
    store.put("b", "1", ttl=60)
    assert store.add("b", "2", ttl=60) is False


def test_of_many_concurrent_adds_one_succeeds(place: Place) -> None:
    stores = [place.again() for _ in range(THREADS)]
    won = at_once([partial(each.add, "a", str(n), ttl=60) for n, each in enumerate(stores)])
    assert won.count(True) == 1
    assert won.count(False) == THREADS - 1
    assert list(place.again().get("a")) == [str(won.index(True))]


def test_only_the_expected_value_is_replaced(store: Store) -> None:
    assert store.replace("a", "2", expected="1", ttl=60) is False
    assert store.replace("a", "2", expected="", ttl=60) is False
    assert list(store.get("a")) == [None]
    store.put("a", "1", ttl=60)
    assert store.replace("a", "2", expected="", ttl=60) is False
    assert store.replace("a", "2", expected="1 ", ttl=60) is False
    assert store.replace("a", "2", expected="1", ttl=60) is True
    assert store.replace("a", "3", expected="1", ttl=60) is False
    assert list(store.get("a")) == ["2"]


def test_of_many_concurrent_replacements_one_succeeds(place: Place) -> None:
    place.store.put("a", "before", ttl=60)
    stores = [place.again() for _ in range(THREADS)]
    won = at_once(
        [
            partial(each.replace, "a", str(n), expected="before", ttl=60)
            for n, each in enumerate(stores)
        ]
    )
    assert won.count(True) == 1
    assert list(place.again().get("a")) == [str(won.index(True))]


def test_only_the_expected_value_is_removed(store: Store) -> None:
    assert store.remove("a", expected="") is False
    store.put("a", "1", ttl=60)
    assert store.remove("a", expected="") is False
    assert store.remove("a", expected="1 ") is False
    assert list(store.get("a")) == ["1"]
    assert store.remove("a", expected="1") is True
    assert store.remove("a", expected="1") is False
    assert list(store.get("a")) == [None]
    assert store.add("a", "2", ttl=60) is True


def test_of_many_concurrent_removals_one_succeeds(place: Place) -> None:
    place.store.put("a", "1", ttl=60)
    stores = [place.again() for _ in range(THREADS)]
    won = at_once([partial(each.remove, "a", expected="1") for each in stores])
    assert won.count(True) == 1
    assert list(place.again().get("a")) == [None]


def test_every_value_expires(place: Place) -> None:
    store = place.store
    store.put("put", "1", ttl=1)
    store.add("added", "1", ttl=1)
    store.put("replaced", "1", ttl=60)
    store.replace("replaced", "2", expected="1", ttl=1)
    store.put("longer", "1", ttl=60)
    assert list(store.get("put", "added", "replaced")) == ["1", "1", "2"]
    place.let_pass(1)
    assert list(store.get("put", "added", "replaced", "longer")) == [None, None, None, "1"]
    assert list(store.keys("")) == ["longer"]
    assert store.add("added", "2", ttl=60) is True
    assert store.replace("put", "2", expected="1", ttl=60) is False


def test_a_value_that_is_put_again_has_a_new_expiry(place: Place) -> None:
    place.store.put("longer", "1", ttl=1)
    place.store.put("longer", "1", ttl=60)
    place.store.put("shorter", "1", ttl=60)
    place.store.put("shorter", "1", ttl=1)
    place.let_pass(1)
    assert list(place.store.get("longer", "shorter")) == ["1", None]


def test_keys_are_found_by_their_prefix(store: Store) -> None:
    for key in ("session:a:1", "session:a:2", "session:b:1", "sessions", "tokens:session:a:"):
        store.put(key, "x", ttl=60)
    assert sorted(store.keys("session:a:")) == ["session:a:1", "session:a:2"]
    assert sorted(store.keys("session:")) == ["session:a:1", "session:a:2", "session:b:1"]
    assert list(store.keys("x")) == []
    assert len(list(store.keys(""))) == 5


@pytest.mark.parametrize("odd", ["*", "?", "[", "]", "[a-z]", "[^x]", "\\", "\\*", "^", ".*", "ü"])
def test_a_prefix_is_no_pattern(store: Store, odd: str) -> None:
    for key in (f"k{odd}1", "kb1", "k1", "kbb1", "kx1"):
        store.put(key, "x", ttl=60)
    assert list(store.keys(f"k{odd}")) == [f"k{odd}1"]
    assert list(store.get(f"k{odd}1")) == ["x"]
    store.delete(f"k{odd}1")
    assert sorted(store.keys("k")) == ["k1", "kb1", "kbb1", "kx1"]


# Locks.


def test_a_lock_lets_one_caller_in_at_a_time(place: Place) -> None:
    inside, most = 0, 0

    def work(store: Store) -> None:
        nonlocal inside, most
        with store.lock("work", ttl=60, wait=30):
            inside += 1
            most = max(most, inside)
            time.sleep(0.002)
            inside -= 1

    stores = [place.again() for _ in range(THREADS)]
    at_once([partial(work, each) for each in stores])
    assert (inside, most) == (0, 1)


def test_a_waiter_gets_the_lock_when_it_is_free(place: Place) -> None:
    first, second = place.store, place.again()
    order, held = list[str](), threading.Event()

    def hold() -> None:
        with first.lock("work", ttl=60, wait=0):
            held.set()
            time.sleep(0.05)
            order.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(5)
    with second.lock("work", ttl=60, wait=10):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_that_is_not_freed_in_time_raises(place: Place) -> None:
    with place.store.lock("work", ttl=60, wait=0):
        began = time.monotonic()
        with (
            pytest.raises(StoreUnavailable) as caught,
            place.again().lock("work", ttl=60, wait=0.1),
        ):
            pytest.fail("two at a time")
        waited = time.monotonic() - began
        assert caught.value.error_code == "store_busy" and "0.1" in str(caught.value.detail)
        assert 0.1 <= waited < 0.1 + SLACK
        with place.again().lock("another", ttl=60, wait=0):
            pass  # one lock is not the other


def test_a_lock_opens_when_its_holder_fails(place: Place) -> None:
    with pytest.raises(KeyError), place.store.lock("work", ttl=60, wait=0):
        raise KeyError
    with place.again().lock("work", ttl=60, wait=0):
        pass


def test_a_lock_is_no_value(place: Place) -> None:
    with place.store.lock("work", ttl=60, wait=0):
        assert place.store.add("work", "1", ttl=60)
    assert list(place.store.get("work")) == ["1"]
    assert list(place.store.keys("")) == ["work"]


# Memory.


def test_memory_does_not_grow_with_what_has_ended() -> None:
    clock = Clock(1_800_000_000.0)
    store = MemoryStore(clock)
    with store.lock("held", ttl=1, wait=0):
        for number in range(5000):
            store.put(str(number), "x", ttl=1)
            clock.now += 1
        assert len(store._entries) < 1100
    with store.lock("held", ttl=1, wait=0):
        pass


# Redis.


def test_a_lock_opens_by_itself_when_its_holder_has_died(redis_place: Place) -> None:
    dead = redis_place.again().lock("work", ttl=60, wait=0)
    dead.__enter__()
    redis_place.let_pass(30)
    with pytest.raises(StoreUnavailable), redis_place.store.lock("work", ttl=60, wait=0):
        pytest.fail("two at a time")
    redis_place.let_pass(30)
    with redis_place.store.lock("work", ttl=60, wait=0):
        # The first was not dead after all: it opens no one else's lock.
        dead.__exit__(None, None, None)
        with pytest.raises(StoreUnavailable), redis_place.again().lock("work", ttl=60, wait=0):
            pytest.fail("two at a time")


@pytest.fixture
def lossy(redis_process: RedisProcess) -> Iterator[LossyProxy]:
    with LossyProxy(redis_process.port) as proxy:
        yield proxy


@pytest.fixture
def lossy_store(lossy: LossyProxy) -> Store:
    """A Redis of which an answer gets lost; a connection to it is open."""
    store = open_store(lossy.url, prefix=f"parjar:{next(NAMES)}:", timeout=2)
    store.get("warm")
    return store


def test_an_add_whose_answer_was_lost_has_succeeded(lossy: LossyProxy, lossy_store: Store) -> None:
    """Redis took the first try, and refuses the second: that is no other caller."""
    lossy.lose_answer(to=":a")
    assert lossy_store.add("a", "ours", ttl=60) is True
    assert lossy.has_lost
    assert list(lossy_store.get("a")) == ["ours"]
    lossy.lose_answer(to=":a")
    assert lossy_store.add("a", "of another caller", ttl=60) is False
    assert lossy.has_lost
    assert list(lossy_store.get("a")) == ["ours"]


def test_a_replacement_whose_answer_was_lost_has_succeeded(
    lossy: LossyProxy, lossy_store: Store
) -> None:
    lossy_store.put("a", "before", ttl=60)
    lossy.lose_answer(to=":a")
    assert lossy_store.replace("a", "ours", expected="before", ttl=60) is True
    assert lossy.has_lost
    assert list(lossy_store.get("a")) == ["ours"]
    lossy.lose_answer(to=":a")
    assert lossy_store.replace("a", "of another caller", expected="before", ttl=60) is False
    assert lossy.has_lost
    assert list(lossy_store.get("a")) == ["ours"]


def test_a_lock_is_held_also_if_the_answer_was_lost(lossy: LossyProxy, lossy_store: Store) -> None:
    lossy.lose_answer(to="lock:work")
    with lossy_store.lock("work", ttl=60, wait=0):
        assert lossy.has_lost
    with lossy_store.lock("work", ttl=60, wait=0):
        pass


def test_nothing_stays_in_redis_for_ever(redis_process: RedisProcess) -> None:
    with redis_process.client() as client:
        before = set(client.scan_iter())
        store = open_store(redis_process.url, prefix=f"parjar:{next(NAMES)}:", timeout=5)
        store.put("put", "1", ttl=60)
        store.add("added", "1", ttl=60)
        store.put("replaced", "1", ttl=60)
        store.replace("replaced", "2", expected="1", ttl=60)
        with store.lock("work", ttl=60, wait=0):
            names = set(client.scan_iter()) - before
            assert len(names) == 4
            assert all(0 < client.ttl(name) <= 60 for name in names)
        assert len(set(client.scan_iter()) - before) == 3


def test_no_test_has_left_anything_in_redis_for_ever(redis_process: RedisProcess) -> None:
    with redis_process.client() as client:
        assert [name for name in client.scan_iter() if client.ttl(name) == -1] == []


def test_two_apps_on_one_server_never_meet(redis_process: RedisProcess) -> None:
    names = next(NAMES)
    one, other = (
        open_store(redis_process.url, prefix=f"parjar:{names}:{app}:", timeout=5)
        for app in ("*", "b")
    )
    other.put("a", "theirs", ttl=60)
    assert list(one.get("a")) == [None]
    assert one.add("a", "ours", ttl=60)
    assert not one.replace("a", "x", expected="theirs", ttl=60)
    assert list(one.keys("")) == ["a"]
    with one.lock("work", ttl=60, wait=0), other.lock("work", ttl=60, wait=0):
        pass
    one.delete("a")
    assert list(other.get("a")) == ["theirs"]
    with redis_process.client() as client:
        assert [*client.scan_iter(f"parjar:{names}:*")] == [f"parjar:{names}:b:a"]


CALLS: dict[str, Callable[[Store], object]] = {
    "put": lambda store: store.put("a", "1", ttl=60),
    "add": lambda store: store.add("a", "1", ttl=60),
    "replace": lambda store: store.replace("a", "1", expected="0", ttl=60),
    "remove": lambda store: store.remove("a", expected="0"),
    "get": lambda store: store.get("a", "b"),
    "delete": lambda store: store.delete("a"),
    "keys": lambda store: list(store.keys("a")),
    "lock": lambda store: store.lock("a", ttl=60, wait=0).__enter__(),
}


def unreachable(store: Store, call: str) -> BaseException:
    """Expect the one error that leaves a store, and give what was behind it."""
    with pytest.raises(StoreUnavailable) as caught:
        CALLS[call](store)
    error = caught.value
    assert type(error) is StoreUnavailable
    assert error.error_code == "store_unreachable"
    assert error.__cause__ is not None
    assert type(error.__cause__).__name__ in str(error.detail)
    return error.__cause__


#: Over TCP or a socket, and with a connection that is open already or none.
HANGS_TOO = [(False, True), (True, False), (False, False)]


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A Redis that was there when the store was opened, and is no more."""
    process = RedisProcess(tmp_path_factory.mktemp("away"))
    yield process
    process.stop()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("tcp", [True, False])
def test_redis_is_away(away: RedisProcess, call: str, tcp: bool) -> None:
    away.start()
    address = away.url if tcp else away.unix_url
    store = open_store(address, prefix="x:", timeout=2)
    store.put("b", "1", ttl=60)
    away.stop()
    began = time.monotonic()
    assert isinstance(unreachable(store, call), redis.ConnectionError)
    fresh = open_store(address, prefix="x:", timeout=2)
    assert isinstance(unreachable(fresh, call), redis.ConnectionError)
    assert time.monotonic() - began < 2
    away.start()
    assert list(store.get("b")) == [None]  # it comes back by itself, as empty as Redis is
    away.stop()


@pytest.mark.parametrize(
    "call, tcp, connected",
    [*((call, True, True) for call in CALLS), *(("get", *more) for more in HANGS_TOO)],
)
def test_redis_hangs(tmp_path: Path, call: str, tcp: bool, connected: bool) -> None:
    with RedisProcess(tmp_path) as server:
        address = server.url if tcp else server.unix_url
        store = open_store(address, prefix="x:", timeout=0.3)
        if connected:
            store.put("b", "1", ttl=60)
        server.pause()
        began = time.monotonic()
        assert isinstance(unreachable(store, call), redis.TimeoutError)
        assert 0.3 <= time.monotonic() - began < 0.58  # one time-out, and not two
        server.resume()
        assert list(store.get("b")) == ["1" if connected else None]


def test_a_redis_that_hangs_is_asked_once() -> None:
    """It answers the greeting, and never the question."""
    asked: list[bytes] = []

    def script(connection: socket.socket) -> None:
        while received := connection.recv(65536):
            if b"MGET" in received:
                asked.append(received)
                continue
            connection.sendall(b"+OK\r\n" * received.count(b"*"))

    with raw_server(script) as server:
        store = open_store(
            f"redis://127.0.0.1:{server.port}/0?protocol=2", prefix="x:", timeout=0.3
        )
        began = time.monotonic()
        assert isinstance(unreachable(store, "get"), redis.TimeoutError)
        assert time.monotonic() - began < 0.3 + SLACK
        assert (len(asked), server.connections) == (1, 1)


def test_a_host_that_accepts_no_connection_is_waited_for_once() -> None:
    """No one accepts, and so many wait already that the kernel lets no more in."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listener.getsockname()[1]
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        store = open_store(f"redis://127.0.0.1:{port}/0", prefix="x:", timeout=0.5)
        began = time.monotonic()
        assert isinstance(unreachable(store, "get"), redis.TimeoutError)
        assert 0.5 <= time.monotonic() - began < 0.95


def test_a_connection_that_redis_closed_meanwhile_is_opened_again(
    redis_process: RedisProcess,
) -> None:
    store = open_store(redis_process.url, prefix=f"parjar:{next(NAMES)}:", timeout=5)
    store.put("a", "1", ttl=60)
    with redis_process.client() as client:
        for other in client.client_list():
            if other["id"] != str(client.client_id()):
                client.client_kill_filter(_id=other["id"])
    assert list(store.get("a")) == ["1"]


@pytest.mark.parametrize("answer", [b"-ERR no\r\n", b"HTTP/1.1 400 Bad\r\n\r\n", b"\xff\xff", b""])
def test_a_server_that_is_no_redis(answer: bytes) -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    with raw_server(script) as server:
        store = open_store(f"redis://127.0.0.1:{server.port}/0", prefix="x:", timeout=0.5)
        assert isinstance(unreachable(store, "get"), redis.RedisError)


def test_redis_is_full(tmp_path: Path) -> None:
    with RedisProcess(tmp_path, "--maxmemory-policy", "noeviction") as server:
        store = open_store(server.url, prefix="x:", timeout=5)
        store.put("a", "0", ttl=60)
        with server.client() as client:
            client.set("filling", "x" * 3_000_000)
            client.config_set("maxmemory", "1mb")
        for call in ("put", "add", "replace", "lock"):
            assert isinstance(unreachable(store, call), redis.ResponseError), call
        assert list(store.get("a")) == ["0"]  # what is there can still be read, and deleted
        store.delete("a")
        assert list(store.get("a")) == [None]


def test_redis_wants_a_password(tmp_path: Path) -> None:
    with RedisProcess(tmp_path) as server:
        with server.client() as client:
            client.config_set("requirepass", "of-the-tests")
        without_password = open_store(server.url, prefix="x:", timeout=5)
        assert isinstance(unreachable(without_password, "get"), redis.RedisError)
        wrong = f"redis://:wrong-password@127.0.0.1:{server.port}/0"
        with pytest.raises(StoreUnavailable) as caught:
            open_store(wrong, prefix="x:", timeout=5).get("a")
        assert "wrong-password" not in f"{caught.value} {caught.value.detail}"
        right = f"redis://:of-the-tests@127.0.0.1:{server.port}/0"
        assert list(open_store(right, prefix="x:", timeout=5).get("a")) == [None]


def test_tls_is_verified(tls_url: str) -> None:
    """Without our authority's certificate, no one is spoken to."""
    store = open_store(tls_url.partition("?")[0], prefix="x:", timeout=5)
    cause = unreachable(store, "get")
    assert isinstance(cause, redis.ConnectionError)


def test_a_lock_whose_redis_went_away_expires(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The one that held it has done its work: that is not taken back."""
    done = False
    with RedisProcess(tmp_path) as server:
        store = open_store(server.url, prefix="x:", timeout=5)
        with caplog.at_level(logging.WARNING), store.lock("work", ttl=60, wait=0):
            server.stop()
            done = True
    assert done
    (message,) = caplog.messages
    assert "ConnectionError" in message


# Cookies.

NAME = "session_parjar"


class Browser:
    """Keeps the cookies that answers set."""

    def __init__(self, owner: str = "a", process: MemoryStore | None = None) -> None:
        self.clock = Clock(1_800_000_000.0)
        self.process = process or MemoryStore(self.clock)
        self.owner = owner
        self.jar: dict[str, str] = {}

    def request(
        self, jar: dict[str, str] | None = None, process: Store | None = None
    ) -> CookieStore:
        return CookieStore(
            dict(self.jar if jar is None else jar),
            name=NAME,
            owner=self.owner,
            process=process or self.process,
            clock=self.clock,
        )

    def take(self, answered: CookieStore) -> None:
        for name, value in answered.changes.items():
            if value is None:
                self.jar.pop(name, None)
            else:
                self.jar[name] = value

    def elsewhere(self, jar: dict[str, str] | None = None) -> CookieStore:
        """A request that another process answers."""
        return self.request(jar, MemoryStore(self.clock))


@pytest.fixture
def browser() -> Browser:
    return Browser()


#: What stands before a text: when it was written, in how many cookies, when it ends.
HEAD = len("1800000000000000.1.1800000060000.")
#: What stands before the rest of it in the second cookie: a digest.
MORE = len("0123456789abcdef.")


@pytest.mark.parametrize(
    ("length", "chunks"),
    [
        (0, [HEAD]),
        (CHUNK - HEAD - 1, [CHUNK - 1]),
        (CHUNK - HEAD, [CHUNK]),
        (CHUNK - HEAD + 1, [CHUNK, MORE + 1]),
        (2 * CHUNK - HEAD - MORE, [CHUNK, CHUNK]),
    ],
)
def test_a_text_in_as_many_cookies_as_it_needs(
    browser: Browser, length: int, chunks: list[int]
) -> None:
    assert (CHUNK, MAX_CHUNKS) == (3000, 2)
    value = "".join(str(number % 10) for number in range(length))
    request = browser.request()
    request.put("tokens", value, ttl=60)
    assert list(request.get("tokens")) == [value]
    browser.take(request)
    assert [len(browser.jar[f"{NAME}_tokens_{number}"]) for number in range(len(chunks))] == chunks
    assert len(browser.jar) == len(chunks)
    later = browser.elsewhere()
    assert list(later.get("tokens")) == [value]
    assert later.changes == {}  # what the browser has need not be set again


@pytest.mark.parametrize("length", [2 * CHUNK - HEAD - MORE + 1, 6000, 100_000])
def test_a_value_that_is_too_large_is_refused_before_anything_changes(
    browser: Browser, length: int
) -> None:
    request = browser.request()
    request.put("tokens", "before", ttl=60)
    browser.take(request)
    request = browser.request()
    with pytest.raises(StoreUnavailable) as caught:
        request.put("tokens", "x" * length, ttl=60)
    assert caught.value.error_code == "tokens_too_large"
    assert str(length) in caught.value.detail
    assert request.changes == {}
    assert list(request.get("tokens")) == ["before"]
    with pytest.raises(StoreUnavailable):
        request.replace("tokens", "x" * length, expected="before", ttl=60)
    with pytest.raises(StoreUnavailable):
        browser.request({}).add("other", "x" * length, ttl=60)
    assert list(browser.request().get("tokens", "other")) == ["before", None]


def test_a_shorter_value_deletes_the_old_chunks(browser: Browser) -> None:
    request = browser.request()
    request.put("tokens", "x" * 5000, ttl=60)
    browser.take(request)
    request = browser.request()
    request.put("tokens", "y", ttl=60)
    assert request.changes[f"{NAME}_tokens_1"] is None
    browser.take(request)
    assert list(browser.elsewhere().get("tokens")) == ["y"]
    assert list(browser.jar) == [f"{NAME}_tokens_0"]


def test_delete_deletes_every_chunk_also_one_that_we_never_set(browser: Browser) -> None:
    request = browser.request()
    request.put("tokens", "x" * 5000, ttl=60)
    request.put("tokens2", "y", ttl=60)
    browser.take(request)
    browser.jar[f"{NAME}_tokens_7"] = "z"
    browser.jar["session"] = "of the app"
    request = browser.request()
    request.delete("tokens")
    browser.take(request)
    assert sorted(browser.jar) == ["session", f"{NAME}_tokens2_0"]
    assert list(browser.request().get("tokens", "tokens2")) == [None, "y"]


def stored(browser: Browser, length: int = 5000) -> dict[str, str]:
    request = browser.request()
    request.put("tokens", "x" * length, ttl=600)
    browser.take(request)
    return browser.jar


def test_chunks_that_are_not_all_there(browser: Browser) -> None:
    jar = stored(browser)
    second = {f"{NAME}_tokens_1": jar[f"{NAME}_tokens_1"]}
    empty = {f"{NAME}_tokens_0": "", **second}
    first = {f"{NAME}_tokens_0": jar[f"{NAME}_tokens_0"]}
    for brought in (second, empty, first):
        request = browser.elsewhere(brought)
        assert list(request.get("tokens")) == [None]


def test_cookies_of_two_answers_are_never_read_as_one_text(browser: Browser) -> None:
    older = dict(stored(browser))
    browser.clock.now += 1
    request = browser.request()
    request.put("tokens", "y" * 5000, ttl=600)
    browser.take(request)
    newer = dict(browser.jar)
    first, second = f"{NAME}_tokens_0", f"{NAME}_tokens_1"
    for mixed in (
        {first: newer[first], second: older[second]},
        {first: older[first], second: newer[second]},
    ):
        assert list(browser.elsewhere(mixed).get("tokens")) == [None]


def test_cookies_of_two_writes_at_the_same_time_are_never_read_as_one_text(
    browser: Browser,
) -> None:
    """In two processes whose clocks are behind the one that wrote before."""
    before = dict(stored(browser))
    browser.clock.now -= 1
    first, second = browser.elsewhere(before), browser.elsewhere(before)
    first.put("tokens", "y" * 5000, ttl=600)
    second.put("tokens", "z" * 5000, ttl=600)
    names = [f"{NAME}_tokens_0", f"{NAME}_tokens_1"]
    written = [str(each.changes[names[0]]).partition(".")[0] for each in (first, second)]
    assert written[0] == written[1]
    for one, other in itertools.product((first, second), repeat=2):
        mixed = {names[0]: str(one.changes[names[0]]), names[1]: str(other.changes[names[1]])}
        expected = list(one.get("tokens")) if one is other else [None]
        assert list(browser.elsewhere(mixed).get("tokens")) == expected


def test_a_cookie_that_a_longer_text_has_left_behind_is_passed_over(browser: Browser) -> None:
    longer = dict(stored(browser))
    browser.clock.now += 1
    shorter = dict(stored(browser, 5))
    left_behind = {**longer, **shorter}
    assert len(left_behind) == 2
    assert list(browser.elsewhere(left_behind).get("tokens")) == ["xxxxx"]


@pytest.mark.parametrize("number", [0, 1])
def test_a_chunk_that_is_longer_than_any_of_ours(browser: Browser, number: int) -> None:
    length = 2 * CHUNK - HEAD - MORE
    jar = stored(browser, length)
    assert list(browser.elsewhere().get("tokens")) == ["x" * length]
    jar[f"{NAME}_tokens_{number}"] += "x"
    assert list(browser.elsewhere().get("tokens")) == [None]


def test_500_foreign_cookies(browser: Browser) -> None:
    junk = {f"{NAME}_tokens_{number}": "x" * CHUNK for number in range(2, 500)}
    junk |= {f"{NAME}_tokens_{odd}": "x" for odd in ("", "-1", "00", "٠", "a", "0_0")}
    request = browser.elsewhere(stored(browser) | junk)
    assert list(request.get("tokens")) == ["x" * 5000]
    assert list(request.keys("tok")) == ["tokens"]
    request = browser.elsewhere(junk)
    assert list(request.get("tokens")) == [None]
    assert list(request.keys("")) == []
    request.put("tokens", "y", ttl=60)
    browser.jar = dict(junk)
    browser.take(request)
    assert browser.jar == {f"{NAME}_tokens_0": "1800000000000000.1.1800000060000.y"}


@pytest.mark.parametrize(
    "entry",
    [
        "",
        ".",
        "x",
        ".x",
        "x.x",
        "1.1.-1800000060000.x",
        "1.1.+1800000060000.x",
        "1.1. 1800000060000.x",
        "1.1.1800000060000 .x",
        "1.1.1_800_000_060_000.x",
        "1.1.1800000060000e1.x",
        "1.1.١٨٠٠٠٠٠٠٦٠٠٠٠.x",
        "1.1.0x1a.x",
        "1.1.0.x",
        "1.1.1800000000000.x",
        "1.1." + "9" * 16 + ".x",
        "1.1." + "9" * 2900 + ".x",
        "1.0.1800000060000.x",
        "1.2.1800000060000.x",
        "1.9.1800000060000.x",
        "1.11.1800000060000.x",
        "1.x.1800000060000.x",
        "-1.1.1800000060000.x",
        "٤.1.1800000060000.x",
        "9" * 18 + ".1.1800000060000.x",
        "9" * 2900 + ".1.1800000060000.x",
    ],
)
def test_a_malformed_first_chunk(browser: Browser, entry: str) -> None:
    """Or a text that is over. Huge numbers are not even read."""
    request = browser.elsewhere({f"{NAME}_tokens_0": entry})
    assert list(request.get("tokens")) == [None]
    assert request.add("tokens", "y", ttl=60)


def test_a_browser_can_change_only_its_own_expiry(browser: Browser) -> None:
    """It keeps its own text longer; what is in there has an end of its own, and is sealed."""
    jar = stored(browser, 5)
    jar[f"{NAME}_tokens_0"] = "9" * 17 + ".1." + "9" * 15 + ".forged"
    assert list(browser.request().get("tokens")) == ["forged"]
    assert list(Browser("b", browser.process).request().get("tokens")) == [None]


def test_one_browser_never_has_what_another_wrote() -> None:
    ada = Browser("ada")
    bob = Browser("bob", ada.process)
    ada.request().put("tokens", "hers", ttl=60)
    request = bob.request()
    assert list(request.get("tokens")) == [None]
    assert request.changes == {}
    assert list(request.keys("")) == []
    bob.request().put("tokens", "his", ttl=60)
    bob.request().delete("tokens")
    assert list(ada.request().get("tokens")) == ["hers"]
    with ada.request().lock("work", ttl=60, wait=0), bob.request().lock("work", ttl=60, wait=0):
        pass


def test_a_request_that_was_under_way_learns_of_a_write(browser: Browser) -> None:
    """And its answer, which may come last, sets the newer text as well."""
    stored(browser, 5)
    browser.clock.now += 1
    first, second, third = (browser.request() for _ in range(3))
    assert list(second.get("tokens")) == ["xxxxx"]
    assert first.replace("tokens", "newer", expected="xxxxx", ttl=600)
    assert list(second.get("tokens")) == ["newer"]
    assert not second.replace("tokens", "other", expected="xxxxx", ttl=600)
    assert list(third.get("tokens")) == ["newer"]
    assert (
        third.changes
        == second.changes
        == first.changes
        == {f"{NAME}_tokens_0": "1800000001000000.1.1800000601000.newer"}
    )


def test_a_request_that_was_under_way_learns_of_a_deletion(browser: Browser) -> None:
    """Tokens that were refused are not to be tried by fifteen more."""
    stored(browser, 5)
    first, second = browser.request(), browser.request()
    first.delete("tokens")
    assert list(second.get("tokens")) == [None]
    assert not second.replace("tokens", "other", expected="xxxxx", ttl=600)
    assert second.add("tokens", "new", ttl=600)
    assert list(first.get("tokens")) == ["new"]


def test_a_write_is_known_for_a_minute(browser: Browser) -> None:
    jar = dict(stored(browser, 5))
    browser.clock.now += 1
    browser.request().put("tokens", "newer", ttl=600)
    browser.clock.now += 59
    assert list(browser.request(jar).get("tokens")) == ["newer"]
    browser.clock.now += 1
    assert list(browser.request(jar).get("tokens")) == ["xxxxx"]


def test_of_the_browsers_text_and_the_process_the_newer_one_counts(browser: Browser) -> None:
    """Another process wrote what the browser brings here."""
    stored(browser, 5)
    browser.clock.now += 1
    other = browser.elsewhere()
    other.put("tokens", "newer", ttl=600)
    browser.take(other)
    request = browser.request()
    assert list(request.get("tokens")) == ["newer"]
    assert request.changes == {}


@pytest.mark.parametrize("later", [0.0, 0.4, -3600.0])
@pytest.mark.parametrize("ttl", [600, 599, 1])
def test_the_newer_text_counts_whenever_it_ends(browser: Browser, later: float, ttl: int) -> None:
    """Also where it was written in the same moment, or the clock was set back."""
    stored(browser, 5)
    browser.clock.now += later
    first, second = browser.request(), browser.request()
    assert first.replace("tokens", "newer", expected="xxxxx", ttl=ttl)
    assert list(second.get("tokens")) == ["newer"]
    browser.take(first)
    assert list(browser.elsewhere().get("tokens")) == ["newer"]


def test_every_order_of_the_answers_ends_with_the_newest_text(browser: Browser) -> None:
    """Four requests at once: two came before the renewal, one does it, one came after it."""
    before = dict(stored(browser))
    browser.clock.now += 0.3
    requests = [browser.request(before) for _ in range(4)]
    requests[0].get("tokens")
    assert requests[1].replace("tokens", "y" * 3200, expected="x" * 5000, ttl=600)
    for each in requests[2:]:
        assert list(each.get("tokens")) == ["y" * 3200]
    for order in itertools.permutations(requests):
        browser.jar = dict(before)
        for answered in order:
            browser.take(answered)
        assert list(browser.elsewhere().get("tokens")) == ["y" * 3200]


def test_an_answer_that_comes_after_a_later_renewal_is_made_good(browser: Browser) -> None:
    """A cookie jar keeps what comes last. The process still knows which text is the newest."""
    before = dict(stored(browser))
    first = browser.request(before)
    assert first.replace("tokens", "second", expected="x" * 5000, ttl=600)
    browser.take(first)
    later = browser.request()
    assert later.replace("tokens", "third", expected="second", ttl=600)
    browser.take(later)
    browser.take(first)
    request = browser.request()
    assert list(request.get("tokens")) == ["third"]
    browser.take(request)
    assert list(browser.elsewhere().get("tokens")) == ["third"]


def test_a_text_ends_in_the_cookie_too(browser: Browser) -> None:
    stored(browser, 5)
    browser.clock.now += 599.99
    assert list(browser.elsewhere().get("tokens")) == ["xxxxx"]
    browser.clock.now += 0.01
    assert list(browser.elsewhere().get("tokens")) == [None]


def test_keys_of_one_request(browser: Browser) -> None:
    stored(browser)
    request = browser.request()
    request.put("tokens_of_b", "y", ttl=60)
    request.put("pause", "1", ttl=5)
    assert sorted(request.keys("tokens")) == ["tokens", "tokens_of_b"]
    request.delete("pause")
    assert list(request.keys("p")) == []


# Opening one.


def test_memory_is_opened() -> None:
    assert isinstance(open_store("memory", prefix="x", timeout=1), MemoryStore)


@pytest.mark.parametrize(
    "address", ["redis://127.0.0.1:1/0", "rediss://127.0.0.1:1/0", "unix:///nowhere/redis.sock"]
)
def test_redis_is_opened_while_it_is_away(address: str) -> None:
    store = open_store(address, prefix="x", timeout=1)
    assert isinstance(store, RedisStore)
    unreachable(store, "get")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "redis",
        "Memory",
        "memcached://localhost",
        "http://localhost",
        "redis://localhost:port/0",
        "redis://localhost:99999/0",
        "redis://localhost/0?socket_timeout=soon",
    ],
)
def test_an_address_that_cannot_be_read(address: str) -> None:
    with pytest.raises(ValueError):
        open_store(address, prefix="x", timeout=1)


def test_redis_py_is_not_installed() -> None:
    program = (
        "import sys; sys.modules['redis'] = None\n"
        "from flask_parjar.stores import open_store\n"
        "open_store('memory', prefix='x', timeout=1)\n"
        "try: open_store('redis://localhost', prefix='x', timeout=1)\n"
        "except ValueError as error: print(error)"
    )
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert child.stderr == ""
    assert "pip install 'Flask-ParJar[redis]'" in child.stdout
