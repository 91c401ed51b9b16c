"""What a login costs, and what each request after it; counted and not timed."""

from __future__ import annotations

import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from flask_parjar.testing import DevProvider
from tests.after_login import FROM_HERE, age, renewals, set_clock, store_address, token_site
from tests.redis_process import RedisProcess
from tests.site import Visitor, make_site

KEYS = {
    "RS256": RSAKey.generate_key(2048),
    "ES256": ECKey.generate_key("P-256"),
    "EdDSA": OKPKey.generate_key("Ed25519"),
}


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count, in this thread alone, what is dear: signatures, key imports, trust stores.

    The provider of these tests serves from a thread of its own, so its work is not counted.
    """
    counts: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call":
            owner = type(getattr(called, "__self__", None)).__module__
            if owner.startswith("cryptography.") and called.__name__ in ("sign", "verify"):
                counts[called.__name__] += 1
            if called.__name__ in ("load_verify_locations", "set_default_verify_paths"):
                counts["trust store"] += 1
        elif event == "call":
            name, module = frame.f_code.co_name, frame.f_globals.get("__name__", "")
            if module.startswith("joserfc") and name in ("import_key", "import_key_set"):
                counts["key import"] += 1

    sys.setprofile(profile)
    try:
        yield counts
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("alg", KEYS)
@pytest.mark.parametrize("userinfo", [False, True])
def test_a_login_after_warm_up(free_port: Callable[[], int], alg: str, userinfo: bool) -> None:
    provider = DevProvider(f"http://127.0.0.1:{free_port()}")
    app = make_site(
        provider,
        connect=False,
        PARJAR_SIGNING_KEY=KEYS[alg].as_dict(private=True),
        PARJAR_SIGNING_ALG=alg,
        PARJAR_USERINFO=userinfo,
    )
    provider.connect(app)
    app.extensions["parjar"].http._open_session()  # a real socket, and not the shortcut
    visitor = Visitor(app, provider)
    with provider.running():
        visitor.log_in()
        provider.calls.clear()
        with counted() as going_out:
            away = visitor.leave()
        back = visitor.come_back(away)
        with counted() as coming_back:
            assert visitor.get(back).status_code == 302
    assert going_out == {"sign": 2}
    assert coming_back == {"sign": 1, "verify": 1}
    asked = [call.endpoint for call in provider.calls if call.endpoint in FROM_THE_SITE]
    assert asked == ["pushed_authorization_request", "token"] + ["userinfo"] * userinfo


FROM_THE_SITE = ("discovery", "jwks", "pushed_authorization_request", "token", "userinfo")


def test_a_protected_request_costs_a_look_into_the_session(
    visitor: Visitor, provider: DevProvider
) -> None:
    visitor.log_in()
    provider.calls.clear()
    with counted() as counts:
        response = visitor.get("/me")
    assert (response.status_code, counts, provider.calls) == (200, {}, [])
    assert "Set-Cookie" not in response.headers


def test_nothing_is_fetched_or_loaded_at_start(provider: DevProvider) -> None:
    before = threading.active_count()
    with counted() as counts:
        make_site(provider, connect=False)
    assert "trust store" not in counts
    assert (provider.calls, threading.active_count()) == ([], before)


# What comes after it.

_TALK = {"connect", "connect_ex", "send", "sendall", "sendto", "recv", "recv_into", "getaddrinfo"}


@contextmanager
def talk() -> Iterator[Counter[str]]:
    """Count what this thread says on sockets, hears there, and opens of files."""
    counts: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call":
            return
        name, owner = called.__name__, getattr(called, "__self__", None)
        if name in _TALK and (isinstance(owner, socket.socket) or name == "getaddrinfo"):
            counts[name] += 1
        if name == "open" and owner is not None and owner.__class__.__name__ == "module":
            counts["open"] += 1

    sys.setprofile(profile)
    try:
        yield counts
    finally:
        sys.setprofile(None)


@contextmanager
def commands(process: RedisProcess) -> Iterator[Counter[str]]:
    """Count what a Redis was asked, by the names of the commands; those in scripts count too."""
    counts: Counter[str] = Counter()
    with process.client() as client:
        client.ping()
        client.config_resetstat()
        yield counts
        statistics: Any = client.info("commandstats")
    for name, numbers in statistics.items():
        command = name.removeprefix("cmdstat_")
        if command not in ("info", "config|resetstat"):
            counts[command] += numbers["calls"]


def test_the_count_counts(redis_process: RedisProcess) -> None:
    with talk() as said, redis_process.client() as client:
        client.ping()
        open(__file__, encoding="utf-8").close()
    assert said["connect"] == 1 and said["sendall"] >= 1 and said["recv"] >= 1
    assert said["open"] >= 1


@pytest.mark.parametrize("store", ["session", "sealed", "memory"])
def test_a_protected_request_does_no_io(provider: DevProvider, store: str) -> None:
    visitor = Visitor(token_site(provider, store), provider)
    visitor.log_in()
    visitor.get("/me")
    provider.calls.clear()
    paths = ("/me", "/") if store == "session" else ("/me", "/", "/token")
    with talk() as said, counted() as dear:
        for path in paths:
            response = visitor.get(path)
            assert response.status_code == 200
            assert "Set-Cookie" not in response.headers
    assert (said, provider.calls) == ({}, [])
    assert dear == {} if store == "session" else set(dear) == {"key import"}


def test_nobody_costs_nothing(provider: DevProvider, redis_process: RedisProcess) -> None:
    address = store_address("redis", redis_process)
    nobody = Visitor(token_site(provider, address), provider)
    nobody.get("/me")
    with talk() as said, commands(redis_process) as asked:
        assert nobody.get("/me").status_code == 302
        assert nobody.get("/").status_code == 200
    # (The count of commands itself talks to Redis.)
    assert asked == {}, said


def test_with_redis_a_request_costs_a_round_trip_now_and_then(
    provider: DevProvider, redis_process: RedisProcess
) -> None:
    app = token_site(provider, store_address("redis", redis_process))
    clock = set_clock(app)
    visitor = Visitor(app, provider)
    visitor.log_in()
    clock.now += 5
    visitor.get("/me")
    provider.calls.clear()
    with commands(redis_process) as asked:
        for _ in range(20):
            assert visitor.get("/me").status_code == 200
            clock.now += 0.2
    assert asked == {}
    clock.now += 2
    with commands(redis_process) as asked:
        for _ in range(20):
            assert visitor.get("/me").status_code == 200
    assert asked == {"mget": 1}
    assert provider.calls == []


def test_a_round_trip_is_one_message_there_and_back(
    provider: DevProvider, redis_process: RedisProcess
) -> None:
    app = token_site(provider, store_address("redis", redis_process))
    clock = set_clock(app)
    visitor = Visitor(app, provider)
    visitor.log_in()
    clock.now += 5
    with talk() as said:
        visitor.get("/me")
    assert said["sendall"] + said["send"] == 1 and said["connect"] == said["open"] == 0


def test_a_live_token_costs_one_round_trip(
    provider: DevProvider, redis_process: RedisProcess
) -> None:
    visitor = Visitor(token_site(provider, store_address("redis", redis_process)), provider)
    visitor.log_in()
    visitor.get("/token")
    provider.calls.clear()
    with commands(redis_process) as asked, counted() as dear:
        assert visitor.get("/token").status_code == 200
    assert asked == {"mget": 1} and provider.calls == []
    assert "sign" not in dear and "verify" not in dear


@pytest.mark.parametrize("store", ["sealed", "memory", "redis"])
def test_a_renewal_costs_one_request(
    provider: DevProvider, redis_process: RedisProcess, store: str
) -> None:
    visitor = Visitor(token_site(provider, store_address(store, redis_process)), provider)
    visitor.log_in()
    age(visitor, left=60)
    provider.calls.clear()
    with commands(redis_process) as asked:
        assert visitor.get("/token").status_code == 200
    assert [call.endpoint for call in provider.calls] == ["token"]
    assert renewals(provider) == 1
    if store == "redis":
        # Look, lock, look again, ask for the pause; replace (get, set) and unlock (get, del).
        assert asked == {"mget": 3, "set": 2, "eval": 2, "get": 2, "del": 1}
    else:
        assert asked == {}


def test_a_login_with_redis(provider: DevProvider, redis_process: RedisProcess) -> None:
    """Its entry and its tokens are written, and nothing is read or searched for."""
    visitor = Visitor(token_site(provider, store_address("redis", redis_process)), provider)
    visitor.log_in()
    visitor.post("/logout", headers=FROM_HERE)
    back = visitor.come_back(visitor.leave())
    with commands(redis_process) as asked:
        assert visitor.get(back).status_code == 302
    assert asked == {"set": 2}


def test_no_request_searches_redis(provider: DevProvider, redis_process: RedisProcess) -> None:
    """SCAN reads all keys: it is the operator's, not a visitor's."""
    with commands(redis_process) as asked:
        app = token_site(provider, store_address("redis", redis_process))
        visitor = Visitor(app, provider)
        visitor.log_in()
        visitor.log_in()
        age(visitor, left=60)
        visitor.get("/token")
        form = {"logout_token": provider.logout_token(sub="grace")}
        visitor.post("/backchannel-logout", data=form)
        visitor.post("/logout", headers=FROM_HERE)
    assert asked["mget"] > 0
    assert not {"scan", "keys"} & set(asked)


@pytest.mark.parametrize("store", ["session", "sealed", "memory", "redis"])
def test_no_store_connects_at_start(
    provider: DevProvider, redis_process: RedisProcess, store: str
) -> None:
    address = store_address(store, redis_process)
    make_site(provider, connect=False)  # (what is imported once is imported)
    token_site(provider, address, connect=False)
    with talk() as said:
        token_site(provider, address, connect=False)
    assert not _TALK & set(said)
