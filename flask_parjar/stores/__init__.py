"""What is stored beyond the session: strings under keys, each with an expiry."""

from __future__ import annotations

from .base import Store
from .cookies import CookieStore
from .memory import MemoryStore

__all__ = ["REDIS_SCHEMES", "CookieStore", "MemoryStore", "Store", "open_store"]

#: How the address of a Redis begins.
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


def open_store(address: str, *, prefix: str, timeout: float) -> Store:
    """Open a store that all visitors share; nothing is connected yet.

    :param address: ``memory``, or one of `REDIS_SCHEMES`.
    :raises ValueError: the address cannot be read, or redis-py is not installed.
    """
    if address == "memory":
        return MemoryStore()
    try:
        from .redis import RedisStore  # an optional dependency: most sites have no Redis
    except ImportError as exc:
        raise ValueError("redis-py is not installed: pip install 'Flask-ParJar[redis]'") from exc
    return RedisStore(address, prefix=prefix, timeout=timeout)
