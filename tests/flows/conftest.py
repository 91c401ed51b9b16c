from __future__ import annotations

from collections.abc import Iterator

import pytest

from flask_parjar.stores import MemoryStore, Store, open_store
from tests.support.logged_in import LoggedIn
from tests.support.redis_process import RedisProcess


@pytest.fixture
def login() -> LoggedIn:
    return LoggedIn()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A Redis that this test may stop."""
    with RedisProcess(tmp_path_factory.mktemp("redis")) as process:
        yield process


@pytest.fixture
def redis_store(own_redis: RedisProcess) -> Store:
    return open_store(own_redis.url, prefix="x:", timeout=0.5)
