"""A store in Redis or Valkey, for many processes on many machines. Only this file uses redis-py."""

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

_FIRST_WAIT, _LONGEST_WAIT = 0.005, 0.05  # seconds between two attempts to get a lock
_GLOB = str.maketrans({each: f"\\{each}" for each in "*?[]\\^"})

# Each script runs in Redis as one atomic step: no other write comes between its read and its write.
# If the new value is there already, this is the second try, and the first one's answer was lost.
_REPLACE = """
local found = redis.call('get', KEYS[1])
if found == ARGV[1] then redis.call('set', KEYS[1], ARGV[2], 'EX', ARGV[3]) return 1 end
if found == ARGV[2] then return 1 end
return 0
"""
_REMOVE = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('del', KEYS[1])
"""


class RedisStore:
    """Strings in Redis, each with an expiry.

    Nothing is connected yet, so a site can start while Redis is down.

    :param address: ``redis://``, ``rediss://`` or ``unix://``, as redis-py reads it.
    :param prefix: the prefix of all keys, so that several apps can share one server.
    :param timeout: seconds that one answer may take.
    :raises ValueError: the address cannot be read.
    """

    def __init__(self, address: str, *, prefix: str, timeout: float) -> None:
        # Retry once if the connection failed: Redis closes idle connections. Do not retry after a
        # time-out, because a slow Redis would then take twice the time.
        retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        try:
            self._redis: Any = redis.Redis.from_url(
                address,
                decode_responses=True,
                # Another program may have written bytes that are no text. They become a text that
                # cannot be decrypted, in place of an exception. It is the same bytes again when it
                # is sent, for a comparison.
                encoding_errors="surrogateescape",
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                retry=retry,
            )
            pool = self._redis.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # raises for an unknown option
        except (ValueError, TypeError, redis.RedisError):
            # Without the cause: redis-py's message may quote the password.
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
        name = self._prefix + key
        if self._ask(lambda: bool(self._redis.set(name, value, ex=ttl, nx=True))):
            return True
        # This may have been the second try: then the first one stored it, and its answer was lost.
        return self.get(key)[0] == value

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

    def remove(self, key: str, *, expected: str) -> bool:
        """See `Store.remove`."""
        return self._ask(lambda: bool(self._redis.eval(_REMOVE, 1, self._prefix + key, expected)))

    def keys(self, prefix: str) -> Iterator[str]:
        """See `Store.keys`."""
        pattern = (self._prefix + prefix).translate(_GLOB) + "*"
        found = self._ask(lambda: list(self._redis.scan_iter(pattern, count=1000)))
        return iter(sorted({key[len(self._prefix) :] for key in found}))  # SCAN may repeat itself

    @contextmanager
    def lock(self, key: str, *, ttl: int, wait: float) -> Iterator[None]:
        """See `Store.lock`. Its value is random for each holder: only the holder releases it."""
        name, mine = f"lock:{key}", secrets.token_hex(16)
        deadline, pause = time.monotonic() + wait, _FIRST_WAIT
        while not self.add(name, mine, ttl=ttl):
            if time.monotonic() > deadline:
                raise StoreUnavailable("store_busy", f"waited {wait} s")
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - so that waiters spread
            pause = min(pause * 2, _LONGEST_WAIT)
        try:
            yield
        finally:
            try:
                self.remove(name, expected=mine)
            except StoreUnavailable as exc:  # it expires after its ttl
                log.warning("a lock was left to expire: %s", exc.detail)

    def _ask(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except (redis.RedisError, OSError) as exc:
            # Only the class: redis-py's messages name the host and may quote a command.
            raise StoreUnavailable("store_unreachable", f"Redis: {type(exc).__name__}") from exc
