"""What a login costs, and what each request after it; counted and not timed."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask
from joserfc.jwk import ECKey, OKPKey, RSAKey

from flask_parjar import ParJar
from flask_parjar.protocol import dpop
from flask_parjar.testing import DevProvider
from tests.support.after_login import (
    age,
    renewals,
    set_clock,
    store_address,
    token_site,
    token_views,
    use_sockets,
)
from tests.support.headers import FROM_HERE
from tests.support.redis_process import RedisProcess
from tests.support.site import Visitor, make_site

DERIVED = (EllipticCurvePrivateKey, Ed25519PrivateKey)
KEYS = {
    "RS256": RSAKey.generate_key(2048),
    "ES256": ECKey.generate_key("P-256"),
    "EdDSA": OKPKey.generate_key("Ed25519"),
}


#: What a private or a public key computes; ``exchange`` is the key agreement of ECDH.
DEAR = ("sign", "verify", "exchange")
IMPORTS = ("import_key", "import_key_set")
DECRYPTION_KEYS = {
    "RSA-OAEP-256": RSAKey.generate_key(2048),
    "ECDH-ES+A256KW": ECKey.generate_key("P-256"),
    "ECDH-ES": OKPKey.generate_key("X25519"),
}


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count, in this thread alone, what is dear: work with keys, key imports, trust stores.

    A key is derived, or it is imported from a text: that is three times as dear.

    The provider of these tests serves from a thread of its own, so its work is not counted.
    """
    counts: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call":
            owner = type(getattr(called, "__self__", None)).__module__
            if owner.startswith("cryptography.") and called.__name__ in DEAR:
                counts[called.__name__] += 1
            if owner.endswith(".rsa") and called.__name__ == "decrypt":
                counts["decrypt"] += 1
            if called.__name__ in ("derive_private_key", "from_private_bytes"):
                counts["key derivation"] += 1
            if called.__name__ in ("load_verify_locations", "set_default_verify_paths"):
                counts["trust store"] += 1
        elif event == "call":
            name, module = frame.f_code.co_name, frame.f_globals.get("__name__", "")
            if module.startswith("joserfc") and name in IMPORTS:
                derived = isinstance(frame.f_locals.get("value"), DERIVED)
                caller = frame.f_back
                # One import passes several functions of this name.
                is_first = caller is None or caller.f_code.co_name not in IMPORTS
                if is_first and not derived:
                    counts["key import"] += 1

    sys.setprofile(profile)
    try:
        yield counts
    finally:
        sys.setprofile(None)


@contextmanager
def calls_of(name: str) -> Iterator[Counter[str]]:
    """Count, in this thread alone, the calls of a built-in function by its name."""
    counts: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and called.__name__ == name:
            counts[name] += 1

    sys.setprofile(profile)
    try:
        yield counts
    finally:
        sys.setprofile(None)


class Cost(NamedTuple):
    """What a login costs: each half of it, and the endpoints that were asked in both."""

    going_out: Counter[str]
    coming_back: Counter[str]
    asked: list[str]


def cost_of_a_login(provider: DevProvider, **config: Any) -> Cost:
    """Count what a site's second login costs, over sockets.

    The key of a proof is derived in each half, as where another process completes the login.
    """
    app = make_site(provider, connect=False, **config)
    provider.connect(app)
    use_sockets(app)
    visitor = Visitor(app, provider)
    with provider.running():
        visitor.log_in()
        provider.calls.clear()
        with counted() as going_out:
            away = visitor.leave()
        back = visitor.come_back(away)
        dpop._open_key.cache_clear()
        with counted() as coming_back:
            assert visitor.get(back).status_code == 302
    asked = [call.endpoint for call in provider.calls if call.endpoint in FROM_THE_SITE]
    return Cost(going_out, coming_back, asked)


@pytest.fixture
def op(free_port: Callable[[], int]) -> DevProvider:
    """A provider that serves on sockets."""
    return DevProvider(f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize("alg", KEYS)
@pytest.mark.parametrize("userinfo", [False, True])
def test_a_login_after_warm_up(op: DevProvider, alg: str, userinfo: bool) -> None:
    cost = cost_of_a_login(
        op,
        PARJAR_SIGNING_KEY=KEYS[alg].as_dict(private=True),
        PARJAR_SIGNING_ALG=alg,
        PARJAR_USERINFO=userinfo,
    )
    assert cost.going_out == {"sign": 2}
    assert cost.coming_back == {"sign": 1, "verify": 1}
    assert cost.asked == ["pushed_authorization_request", "token"] + ["userinfo"] * userinfo


def calls_in_a_login(provider: DevProvider, name: str) -> tuple[int, int]:
    """Count the calls of a built-in function in each half of a site's second login."""
    app = make_site(provider, connect=False)
    provider.connect(app)
    use_sockets(app)
    visitor = Visitor(app, provider)
    with provider.running():
        visitor.log_in()
        with calls_of(name) as going_out:
            away = visitor.leave()
        back = visitor.come_back(away)
        with calls_of(name) as coming_back:
            assert visitor.get(back).status_code == 302
    return going_out[name], coming_back[name]


def test_what_all_logins_share_is_derived_once(op: DevProvider) -> None:
    """Each half derives the secret of this login, and from it state, nonce and code verifier."""
    assert calls_in_a_login(op, "hmac_digest") == (4, 4)


def test_each_request_is_sent_in_one_piece(op: DevProvider) -> None:
    """Two pieces are two packets, or two TLS records: http.client sends head and body apart."""
    assert calls_in_a_login(op, "sendall") == (1, 1)


@pytest.mark.parametrize("alg", DECRYPTION_KEYS)
def test_an_encrypted_login_after_warm_up(op: DevProvider, alg: str) -> None:
    """Our keys are never imported. A token has one new key in its header (``epk``) with ECDH-ES."""
    cost = cost_of_a_login(
        op,
        PARJAR_ENCRYPTION_KEY=DECRYPTION_KEYS[alg].as_dict(private=True),
        PARJAR_ID_TOKEN_ENCRYPTION=f"{alg} A256GCM",
        PARJAR_USERINFO=True,
        PARJAR_USERINFO_ENCRYPTION=f"{alg} A256GCM",
        PARJAR_REQUEST_ENCRYPTION_ALG=alg,
    )
    of_rsa = alg.startswith("RSA")
    assert cost.going_out == {"sign": 2} | ({} if of_rsa else {"exchange": 1})
    assert cost.coming_back == {"sign": 1, "verify": 2} | (
        {"decrypt": 2} if of_rsa else {"exchange": 2, "key import": 2}
    )
    assert cost.asked == ["pushed_authorization_request", "token", "userinfo"]


@pytest.mark.parametrize("alg", ["ES256", "ES384", "Ed25519"])
@pytest.mark.parametrize("nonces", [False, True])
def test_a_login_with_dpop_after_warm_up(op: DevProvider, alg: str, nonces: bool) -> None:
    """A proof for each request; one derivation in each half; no configured key is imported."""
    op.dpop_nonces = nonces
    op.metadata["dpop_signing_alg_values_supported"] = [alg]
    cost = cost_of_a_login(op, PARJAR_DPOP=True, PARJAR_USERINFO=True)
    assert cost.going_out == {"sign": 3, "key derivation": 1}
    assert cost.coming_back == {"sign": 3, "verify": 1, "key derivation": 1}
    assert cost.asked == ["pushed_authorization_request", "token", "userinfo"]


def test_a_login_with_dpop_and_an_encrypted_id_token_after_warm_up(op: DevProvider) -> None:
    """The costs of both, and no more: the only key that is imported is the token's ``epk``."""
    cost = cost_of_a_login(
        op,
        PARJAR_DPOP=True,
        PARJAR_ENCRYPTION_KEY=DECRYPTION_KEYS["ECDH-ES+A256KW"].as_dict(private=True),
        PARJAR_ID_TOKEN_ENCRYPTION="ECDH-ES+A256KW A256GCM",
    )
    assert cost.going_out == {"sign": 3, "key derivation": 1}
    assert cost.coming_back == {
        "sign": 2,
        "verify": 1,
        "exchange": 1,
        "key import": 1,
        "key derivation": 1,
    }
    assert cost.asked == ["pushed_authorization_request", "token"]


def test_where_nonces_are_wanted_and_not_known_a_push_and_an_exchange_are_four_requests(
    provider: DevProvider,
) -> None:
    provider.dpop_nonces = True
    visitor = Visitor(make_site(provider, PARJAR_DPOP=True), provider)
    away = visitor.leave()
    provider.rotate_dpop_nonces()
    back = visitor.come_back(away)
    assert visitor.get(back).status_code == 302
    asked = [call.endpoint for call in provider.calls if call.endpoint in FROM_THE_SITE]
    pushes, exchanges = ["pushed_authorization_request"] * 2, ["token"] * 2
    assert asked == ["discovery", *pushes, *exchanges, "jwks"]


def test_a_proof_for_an_api_costs_one_signature(provider: DevProvider) -> None:
    """The key of a session stays in the process: it is not derived again in each request."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        token_views(app, parjar)
        app.get("/headers")(lambda: parjar.authorization_headers("GET", "https://api.example/"))

    app = token_site(provider, "memory", PARJAR_DPOP=True, prepare=prepare)
    visitor = Visitor(app, provider)
    visitor.log_in()
    dpop._open_key.cache_clear()
    provider.calls.clear()
    with counted() as first:
        visitor.get("/headers")
    with counted() as second:
        visitor.get("/headers")
    with counted() as token_alone:
        visitor.get("/token")
    assert (first["sign"], first["key derivation"]) == (1, 1)
    assert (second["sign"], second["key derivation"]) == (1, 0)
    assert not token_alone.keys() & {"sign", "key derivation"}
    assert provider.calls == []


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


def test_a_site_imports_no_command() -> None:
    """They would be a large part of the import, and serve no page."""
    look = "import sys, flask_parjar; print([m for m in sys.modules if 'parjar.cli' in m])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['flask_parjar.cli']"


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


@pytest.mark.parametrize("store", [None, "cookie", "memory"])
def test_a_protected_request_does_no_io(provider: DevProvider, store: str | None) -> None:
    visitor = Visitor(token_site(provider, store), provider)
    visitor.log_in()
    visitor.get("/me")
    provider.calls.clear()
    paths = ("/me", "/") if store is None else ("/me", "/", "/token")
    with talk() as said, counted() as dear:
        for path in paths:
            response = visitor.get(path)
            assert response.status_code == 200
            assert "Set-Cookie" not in response.headers
    assert (said, provider.calls) == ({}, [])
    assert dear == {} if store is None else set(dear) == {"key import"}


def test_a_request_without_a_login_costs_nothing(
    provider: DevProvider, redis_process: RedisProcess
) -> None:
    address = store_address("redis", redis_process)
    anonymous = Visitor(token_site(provider, address), provider)
    anonymous.get("/me")
    with talk() as said, commands(redis_process) as asked:
        assert anonymous.get("/me").status_code == 302
        assert anonymous.get("/").status_code == 200
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


@pytest.mark.parametrize("store", ["cookie", "memory", "redis"])
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
        # Look, lock, look again; replace (get, set) and unlock (get, del).
        assert asked == {"mget": 2, "set": 2, "eval": 2, "get": 2, "del": 1}
    else:
        assert asked == {}


def test_a_login_with_redis(provider: DevProvider, redis_process: RedisProcess) -> None:
    """It is claimed; one look at the person; the session, their list and the tokens are written.

    (The list is replaced by a script, and its commands count too.)
    """
    visitor = Visitor(token_site(provider, store_address("redis", redis_process)), provider)
    visitor.log_in()
    visitor.post("/logout", headers=FROM_HERE)
    back = visitor.come_back(visitor.leave())
    with commands(redis_process) as asked:
        assert visitor.get(back).status_code == 302
    assert asked == {"mget": 1, "set": 4, "eval": 1, "get": 1}


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


@pytest.mark.parametrize("store", [None, "cookie", "memory", "redis"])
def test_no_store_connects_at_start(
    provider: DevProvider, redis_process: RedisProcess, store: str | None
) -> None:
    address = store_address(store, redis_process)
    make_site(provider, connect=False)  # (what is imported once is imported)
    token_site(provider, address, connect=False)
    with talk() as said:
        token_site(provider, address, connect=False)
    assert not _TALK & set(said)
