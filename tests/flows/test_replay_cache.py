"""Logout tokens that come again."""

from __future__ import annotations

import uuid

import pytest

from flask_parjar.errors import StoreUnavailable
from flask_parjar.flows.replay_cache import ReplayCache
from flask_parjar.flows.session_registry import Registration
from flask_parjar.protocol.logout import MAX_LOGOUT_TOKEN_AGE
from flask_parjar.stores import MemoryStore, Store, open_store
from tests.support.clock import Clock
from tests.support.lossy_proxy import LossyProxy
from tests.support.redis_process import RedisProcess

SITE = Registration("default", "https://op.example", "client")


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_a_jti_counts_once(redis_process: RedisProcess, kind: str) -> None:
    address = redis_process.url if kind == "redis" else kind
    store = open_store(address, prefix=f"{uuid.uuid4()}:", timeout=5)
    here, elsewhere = ReplayCache(store), ReplayCache(store)
    assert here.remember(SITE, "jti-1", leeway=60)
    for each in (here, elsewhere):
        assert not each.remember(SITE, "jti-1", leeway=60)
    assert here.remember(SITE, "jti-2", leeway=60)
    assert here.remember(SITE._replace(provider="other"), "jti-1", leeway=60)
    assert here.remember(SITE._replace(issuer="https://other.example"), "jti-1", leeway=60)


def test_a_jti_is_known_for_as_long_as_the_token_could_come_again() -> None:
    """300 s after its ``iat``, which may be a minute ahead of us, and we a minute behind it."""
    clock = Clock()
    replays = ReplayCache(MemoryStore(clock))
    assert replays.remember(SITE, "jti-1", leeway=60)
    clock.now += MAX_LOGOUT_TOKEN_AGE + 2 * 60
    assert not replays.remember(SITE, "jti-1", leeway=60)
    clock.now += 1
    assert replays.remember(SITE, "jti-1", leeway=60)


def test_a_jti_is_remembered_if_the_answer_of_redis_was_lost(redis_process: RedisProcess) -> None:
    """Otherwise the logout would count as one that was heard of before."""
    with LossyProxy(redis_process.port) as proxy:
        store = open_store(proxy.url, prefix=f"{uuid.uuid4()}:", timeout=5)
        replays = ReplayCache(store)
        proxy.lose_answer(to="jti:")
        assert replays.remember(SITE, "jti-1", leeway=60)
        assert proxy.has_lost
        assert not replays.remember(SITE, "jti-1", leeway=60)


def test_a_store_that_is_away_remembers_nothing(
    own_redis: RedisProcess, redis_store: Store
) -> None:
    replays = ReplayCache(redis_store)
    own_redis.stop()
    with pytest.raises(StoreUnavailable):
        replays.remember(SITE, "jti-1", leeway=60)


def test_the_store_holds_no_name_in_clear_text() -> None:
    store = MemoryStore()
    ReplayCache(store).remember(SITE, "of this logout", leeway=60)
    (key,) = store.keys("")
    assert "of this logout" not in key and SITE.issuer not in key
