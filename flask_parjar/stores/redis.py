"""A store in Redis or Valkey: for many processes on many machines. Alone knows redis-py."""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ..errors import StoreUnavailable

T = TypeVar("T")

log: logging.Logger = logging.getLogger("flask_parjar")

_FIRST_WAIT, _LONGEST_WAIT = 0.005, 0.05  # seconds between two looks at a lock
_GLOB = str.maketrans({each: f"\\{each}" for each in "*?[]\\^"})

# Each runs in Redis as one step, so that nothing comes between its look and its write.
_REPLACE = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""
_UNLOCK = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end"


class RedisStore:
    """Texts in Redis, each with an expiry.

    :param address: ``redis://``, ``rediss://`` or ``unix://``, as redis-py reads it.
    :param prefix: begins every key: two apps on one server never meet.
    :param timeout: seconds that one answer may take.
    :raises ValueError: the address cannot be read.

    Nothing is connected yet: the site starts while Redis is away.
    """

    def __init__(self, address: str, *, prefix: str, timeout: float) -> None:
        # A connection that Redis closed while nobody used it is opened once more; a Redis that is
        # slow is not asked twice.
        retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        try:
            self._redis: Any = redis.Redis.from_url(
                address,
                decode_responses=True,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                retry=retry,
            )
            pool = self._redis.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # refuses an option that there is not
        except (ValueError, TypeError, redis.RedisError):
            # (What redis-py says may quote the password.)
            raise ValueError(
                "redis-py cannot read the address: are its options right, and / ? # in its "
                "password written as %2F %3F %23?"
            ) from None
        self._prefix = prefix

    def put(self, key: str, value: str, *, ttl: int) -> None:
        """See `Store.put`."""
        self._ask(lambda: self._redis.set(self._prefix + key, value, ex=ttl))

    def add(self, key: str, value: str, *, ttl: int) -> bool:
        """See `Store.add`."""
        return self._ask(lambda: bool(self._redis.set(self._prefix + key, value, ex=ttl, nx=True)))

    def replace(self, key: str, value: str, *, expected: str, ttl: int) -> bool:
        """See `Store.replace`."""
        name = self._prefix + key
        return self._ask(lambda: bool(self._redis.eval(_REPLACE, 1, name, expected, value, ttl)))

    def get(self, *keys: str) -> Sequence[str | None]:
        """See `Store.get`."""
        found = self._ask(lambda: self._redis.mget([self._prefix + key for key in keys]))
        return list(found)

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        self._ask(lambda: self._redis.delete(self._prefix + key))

    def keys(self, prefix: str) -> Iterator[str]:
        """See `Store.keys`."""
        pattern = (self._prefix + prefix).translate(_GLOB) + "*"
        found = self._ask(lambda: list(self._redis.scan_iter(pattern, count=1000)))
        return iter(sorted({key[len(self._prefix) :] for key in found}))  # SCAN may repeat itself

    @contextmanager
    def lock(self, key: str, *, ttl: int, wait: float) -> Iterator[None]:
        """See `Store.lock`. The lock's value is its holder's own: nobody opens another's."""
        name, mine = f"lock:{key}", secrets.token_hex(16)
        deadline, pause = time.monotonic() + wait, _FIRST_WAIT
        while not self.add(name, mine, ttl=ttl):
            if self.get(name)[0] == mine:
                break  # it was taken, and only the answer was lost
            if time.monotonic() > deadline:
                raise StoreUnavailable("store_busy", f"waited {wait} s")
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - so that waiters spread
            pause = min(pause * 2, _LONGEST_WAIT)
        try:
            yield
        finally:
            try:
                self._ask(lambda: self._redis.eval(_UNLOCK, 1, self._prefix + name, mine))
            except StoreUnavailable as exc:  # it opens by itself, after its ttl
                log.warning("a lock was left to expire: %s", exc.detail)

    def _ask(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except (redis.RedisError, OSError) as exc:
            # (redis-py's messages name the host and may quote a command: the class is enough.)
            raise StoreUnavailable("store_unreachable", f"Redis: {type(exc).__name__}") from exc
