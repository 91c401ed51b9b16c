"""From what PARJAR_STORE says to a store."""

from __future__ import annotations

from .base import Store
from .memory import MemoryStore

#: How the address of a Redis begins.
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


def open_store(address: str, *, prefix: str, timeout: float) -> Store:
    """Open the store that many share; nothing is connected yet.

    :param address: ``memory``, or one of `REDIS_SCHEMES`.
    :raises ValueError: the address cannot be read, or redis-py is not installed.
    """
    if address == "memory":
        return MemoryStore()
    try:
        from .redis import RedisStore  # an extra: most sites have no Redis
    except ImportError as exc:
        raise ValueError("redis-py is not installed: pip install 'Flask-ParJar[redis]'") from exc
    return RedisStore(address, prefix=prefix, timeout=timeout)
