"""Where tokens lie: sealed for one session, and replaced only by the one that read them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from flask_parjar.errors import StoreUnavailable
from flask_parjar.flows.token_store import TokenStore
from flask_parjar.protocol.sealing import MAX_SEALED, seal
from flask_parjar.protocol.tokens import TokenSet
from flask_parjar.stores import CookieStore, MemoryStore
from tests.support.logged_in import HANDLE, SECRETS, make_token_store

KEY = f"tokens:{HANDLE}"


def make_tokens(**fields: Any) -> TokenSet:
    given: dict[str, Any] = {
        "access_token": "access-1",
        "id_token": "a.b.c",
        "refresh_token": "refresh-1",
        "scopes": ("openid",),
        "expires_at": 1000,
        "renew_at": 970,
    }
    return TokenSet(**(given | fields))


TOKENS = make_tokens()
NEWER = make_tokens(access_token="access-2", refresh_token="refresh-2")


def test_tokens_are_kept_sealed(store: MemoryStore) -> None:
    make_token_store(store).save(TOKENS)
    assert make_token_store(store).load() == TOKENS
    assert list(store.keys("")) == [KEY]
    assert "access-1" not in str(store.get(KEY))


def test_without_stored_tokens(store: MemoryStore) -> None:
    assert make_token_store(store).load() is None
    token_store = make_token_store(store)
    token_store.save(TOKENS)
    token_store.empty()
    assert token_store.load() is None
    token_store.empty()


@pytest.mark.parametrize(
    "other", [{"session": "another"}, {"secrets": (b"another",)}, {"secrets": ()}]
)
def test_they_open_in_no_other_session_and_under_no_other_secret(
    store: MemoryStore, other: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    make_token_store(store).save(TOKENS)
    with caplog.at_level(logging.WARNING):
        assert make_token_store(store, **other).load() is None
    assert "SECRET_KEY" in caplog.text


def test_they_open_under_a_secret_that_was_rotated(store: MemoryStore) -> None:
    make_token_store(store).save(TOKENS)
    rotated = make_token_store(store, secrets=(b"new", *SECRETS))
    assert rotated.load() == TOKENS
    assert rotated.renew(NEWER)
    assert make_token_store(store, secrets=(b"new",)).load() == NEWER


@pytest.mark.parametrize("text", ["{}", "[]", "", json.dumps({"scopes": [], "x": 1})])
def test_something_else_that_was_sealed(store: MemoryStore, text: str) -> None:
    store.put(KEY, seal(text, secrets=SECRETS, purpose=KEY), ttl=60)
    assert make_token_store(store).load() is None


def test_tokens_are_replaced_only_by_the_one_who_read_the_newest(store: MemoryStore) -> None:
    slow, quick = make_token_store(store), make_token_store(store)
    slow.save(TOKENS)
    quick.load()
    assert quick.renew(NEWER)
    assert not slow.renew(TOKENS)
    assert make_token_store(store).load() == NEWER
    assert quick.renew(TOKENS)  # it knows what it wrote itself
    slow.load()
    assert slow.renew(NEWER)


def test_tokens_that_were_emptied_meanwhile_do_not_come_back(store: MemoryStore) -> None:
    """A logout in one request, a renewal in another."""
    token_store = make_token_store(store)
    token_store.save(TOKENS)
    make_token_store(store).empty()
    assert not token_store.renew(NEWER)
    assert list(store.keys("")) == []


def test_tokens_end_with_the_session() -> None:
    now = 0.0
    store = MemoryStore(lambda: now)
    token_store = make_token_store(store, lifetime=100)
    token_store.save(TOKENS)
    now = 99.0
    assert token_store.load() == TOKENS
    token_store.renew(NEWER)
    now = 198.0
    assert token_store.load() == NEWER
    now = 199.0
    assert token_store.load() is None


def test_one_session_waits_for_itself_alone(store: MemoryStore) -> None:
    token_store = make_token_store(store, lock_timeout=0.05)
    with token_store.lock():
        with make_token_store(store, key="tokens:another").lock():
            pass
        with (
            pytest.raises(StoreUnavailable) as caught,
            make_token_store(store, lock_timeout=0.05).lock(),
        ):
            pytest.fail("two at a time")
        assert caught.value.error_code == "store_busy"
    with token_store.lock():
        pass


@pytest.mark.parametrize("keep", [TokenStore.save, TokenStore.renew])
def test_tokens_that_could_not_be_read_again_are_not_stored(
    store: MemoryStore, keep: Callable[[TokenStore, TokenSet], object]
) -> None:
    token_store = make_token_store(store)
    token_store.save(TOKENS)
    large = make_tokens(id_token="x" * MAX_SEALED)
    keep(token_store, large)
    assert token_store.load() == large.without_id_token()
    with pytest.raises(StoreUnavailable) as caught:
        keep(token_store, make_tokens(access_token="x" * MAX_SEALED))
    assert caught.value.error_code == "tokens_too_large"
    assert token_store.load() == large.without_id_token()


# In a browser's cookies, where there is little room.


def cookies(jar: dict[str, str] | None = None) -> CookieStore:
    return CookieStore(jar or {}, name="s", owner=HANDLE, process=MemoryStore())


def test_renewed_tokens_that_are_too_large_are_kept_without_the_id_token() -> None:
    token_store = make_token_store(cookies(), key="tokens")
    token_store.save(TOKENS)
    large = make_tokens(access_token="access-2", id_token="x" * 6000)
    assert token_store.renew(large)
    assert token_store.load() == large.without_id_token()
    assert token_store.renew(NEWER)
    assert token_store.load() == NEWER


def test_tokens_that_are_too_large_all_the_same() -> None:
    token_store = make_token_store(cookies(), key="tokens")
    token_store.save(TOKENS)
    for keep in (token_store.renew, token_store.save):
        with pytest.raises(StoreUnavailable) as caught:
            keep(make_tokens(access_token="x" * 6000))
        assert caught.value.error_code == "tokens_too_large"
    assert token_store.load() == TOKENS


def test_another_fault_of_the_store_is_not_about_room(own_redis: Any, redis_store: Any) -> None:
    token_store = make_token_store(redis_store)
    token_store.save(TOKENS)
    own_redis.stop()
    with pytest.raises(StoreUnavailable) as caught:
        token_store.renew(NEWER)
    assert caught.value.error_code == "store_unreachable"
