"""Where tokens lie: sealed for one session, and replaced only by whoever read them."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from flask_parjar.errors import StoreUnavailable
from flask_parjar.protocol.sealing import seal
from flask_parjar.protocol.tokens import TokenSet
from flask_parjar.stores import CookieStore, MemoryStore
from tests.flows.logged_in import HANDLE, SECRETS, make_vault

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


def test_tokens_are_kept_and_nobody_reads_them(store: MemoryStore) -> None:
    make_vault(store).save(TOKENS)
    assert make_vault(store).load() == TOKENS
    assert list(store.keys("")) == [KEY]
    assert "access-1" not in str(store.get(KEY))


def test_where_there_are_none(store: MemoryStore) -> None:
    assert make_vault(store).load() is None
    vault = make_vault(store)
    vault.save(TOKENS)
    vault.empty()
    assert vault.load() is None
    vault.empty()


@pytest.mark.parametrize(
    "other", [{"session": "another"}, {"secrets": (b"another",)}, {"secrets": ()}]
)
def test_they_open_in_no_other_session_and_under_no_other_secret(
    store: MemoryStore, other: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    make_vault(store).save(TOKENS)
    with caplog.at_level(logging.WARNING):
        assert make_vault(store, **other).load() is None
    assert "stored tokens cannot be read (was SECRET_KEY changed?)" in caplog.text


def test_they_open_under_a_secret_that_was_rotated(store: MemoryStore) -> None:
    make_vault(store).save(TOKENS)
    rotated = make_vault(store, secrets=(b"new", *SECRETS))
    assert rotated.load() == TOKENS
    assert rotated.renew(NEWER)
    assert make_vault(store, secrets=(b"new",)).load() == NEWER


@pytest.mark.parametrize("text", ["{}", "[]", "", json.dumps({"scopes": [], "x": 1})])
def test_something_else_that_was_sealed(store: MemoryStore, text: str) -> None:
    store.put(KEY, seal(text, secrets=SECRETS, purpose=KEY), ttl=60)
    assert make_vault(store).load() is None


def test_tokens_are_renewed_by_whoever_read_them_last(store: MemoryStore) -> None:
    slow, quick = make_vault(store), make_vault(store)
    slow.save(TOKENS)
    quick.load()
    assert quick.renew(NEWER)
    assert not slow.renew(TOKENS)
    assert make_vault(store).load() == NEWER
    assert quick.renew(TOKENS)  # it knows what it wrote itself
    slow.load()
    assert slow.renew(NEWER)


def test_tokens_that_were_emptied_meanwhile_do_not_come_back(store: MemoryStore) -> None:
    """A logout in one request, a renewal in another."""
    vault = make_vault(store)
    vault.save(TOKENS)
    make_vault(store).empty()
    assert not vault.renew(NEWER)
    assert list(store.keys("")) == []


def test_tokens_end_with_the_session() -> None:
    now = 0.0
    store = MemoryStore(lambda: now)
    vault = make_vault(store, lifetime=100)
    vault.save(TOKENS)
    now = 99.0
    assert vault.load() == TOKENS
    vault.renew(NEWER)
    now = 198.0
    assert vault.load() == NEWER
    now = 199.0
    assert vault.load() is None


def test_a_pause_is_short_and_ends_with_the_tokens() -> None:
    now = 0.0
    store = MemoryStore(lambda: now)
    vault, other = make_vault(store), make_vault(store, key="tokens:another")
    assert not vault.is_paused()
    vault.pause()
    assert vault.is_paused()
    assert not other.is_paused()
    now = 4.9
    assert vault.is_paused()
    now = 5.0
    assert not vault.is_paused()
    vault.pause()
    vault.empty()
    assert not vault.is_paused()


def test_one_session_waits_for_itself_alone(store: MemoryStore) -> None:
    vault = make_vault(store, patience=0.05)
    with vault.lock():
        with make_vault(store, key="tokens:another").lock():
            pass
        with pytest.raises(StoreUnavailable) as caught, make_vault(store, patience=0.05).lock():
            pytest.fail("two at a time")
        assert caught.value.code == "store_busy"
    with vault.lock():
        pass


# In a browser's cookies, where there is little room.


def cookies(jar: dict[str, str] | None = None) -> CookieStore:
    return CookieStore(jar or {}, name="s", owner=HANDLE, process=MemoryStore())


def test_renewed_tokens_that_are_too_large_are_kept_without_the_id_token() -> None:
    vault = make_vault(cookies(), key="tokens")
    vault.save(TOKENS)
    large = make_tokens(access_token="access-2", id_token="x" * 6000)
    assert vault.renew(large)
    assert vault.load() == large.without_id_token()
    assert vault.renew(NEWER)
    assert vault.load() == NEWER


def test_tokens_that_are_too_large_all_the_same() -> None:
    vault = make_vault(cookies(), key="tokens")
    vault.save(TOKENS)
    for keep in (vault.renew, vault.save):
        with pytest.raises(StoreUnavailable) as caught:
            keep(make_tokens(access_token="x" * 6000))
        assert caught.value.code == "tokens_too_large"
    assert vault.load() == TOKENS


def test_another_fault_of_the_store_is_not_about_room(own_redis: Any, redis_store: Any) -> None:
    vault = make_vault(redis_store)
    vault.save(TOKENS)
    own_redis.stop()
    with pytest.raises(StoreUnavailable) as caught:
        vault.renew(NEWER)
    assert caught.value.code == "store_unreachable"
