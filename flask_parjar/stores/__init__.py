"""What is remembered beyond the session. No Flask here, and nothing of the protocol."""

from .base import Store
from .cookies import CookieStore
from .memory import MemoryStore
from .opening import REDIS_SCHEMES, open_store

__all__ = ["REDIS_SCHEMES", "CookieStore", "MemoryStore", "Store", "open_store"]
