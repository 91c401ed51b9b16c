"""A store in one browser's cookies: chunks of what a caller has sealed.

One of these stands for one request: it reads what the browser brought and gathers what the answer
must set. What a parallel request of the same browser has just written is known within this process
(so that a token renewed by one is renewed for all of them), and nowhere else.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

from ..errors import StoreUnavailable
from .base import Store

CHUNK = 3000  # characters: browsers keep 4,096 of a cookie, its name and attributes included
MAX_CHUNKS = 2  # with the session's own cookie less than 8 kB, which is all that servers read
_RECENT = 60  # seconds that a write is known to the requests that were under way
_WAIT = 5.0
_GONE = "gone"  # in place of a text that another request has deleted


class CookieStore:
    """Texts in cookies named ``<name>_<key>_<number>``.

    Each text begins with the time of its end, by which the newer of two is known. It is the
    browser's to change, as all of a cookie is: what must hold is in what was sealed.

    :param cookies: what the browser brought.
    :param name: begins the name of every cookie of ours.
    :param owner: tells this browser from all others.
    :param process: a store that the requests of this process share.
    """

    def __init__(
        self,
        cookies: Mapping[str, str],
        *,
        name: str,
        owner: str,
        process: Store,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cookies = cookies
        self._name = name
        self.owner = owner
        self._process = process
        self._clock = clock
        #: What the answer must set, by cookie name; None where a cookie must go.
        self.changes: dict[str, str | None] = {}

    def put(self, key: str, value: str, *, ttl: int) -> None:
        """See `Store.put`.

        :raises StoreUnavailable: ``tokens_too_large``, before anything is set.
        """
        entry = f"{int((self._clock() + ttl) * 1000)}.{value}"
        self._set_cookies(key, entry)
        self._process.put(self._shared(key), entry, ttl=min(ttl, _RECENT))

    def add(self, key: str, value: str, *, ttl: int) -> bool:
        """See `Store.add`."""
        with self.lock(f"write:{key}", ttl=1, wait=_WAIT):
            if self._read(key) is not None:
                return False
            self.put(key, value, ttl=ttl)
            return True

    def replace(self, key: str, value: str, *, expected: str, ttl: int) -> bool:
        """See `Store.replace`."""
        with self.lock(f"write:{key}", ttl=1, wait=_WAIT):
            if self._read(key) != expected:
                return False
            self.put(key, value, ttl=ttl)
            return True

    def get(self, *keys: str) -> Sequence[str | None]:
        """See `Store.get`. More, or longer, chunks than we ever set are not even joined."""
        return [self._read(key) for key in keys]

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        self._clear_cookies(key)
        self._process.put(self._shared(key), _GONE, ttl=_RECENT)

    def keys(self, prefix: str) -> Iterator[str]:
        """See `Store.keys`."""
        cookie = re.compile(rf"{re.escape(f'{self._name}_{prefix}')}.*_\d+")
        names = [name for name in {**self._cookies, **self.changes} if cookie.fullmatch(name)]
        found = {name[len(self._name) + 1 :].rpartition("_")[0] for name in names}
        return iter([key for key in found if self._read(key) is not None])

    def lock(self, key: str, *, ttl: int, wait: float) -> AbstractContextManager[None]:
        """See `Store.lock`: among the threads of this process."""
        return self._process.lock(self._shared(key), ttl=ttl, wait=wait)

    def _read(self, key: str) -> str | None:
        brought, recent = self._joined(key), self._process.get(self._shared(key))[0]
        if recent == _GONE:
            return None
        entry = max(brought or "", recent or "", key=_end)
        if not self._clock() * 1000 < _end(entry):
            return None
        if entry != brought:
            self._set_cookies(key, entry)  # another request wrote it: this browser may not know yet
        return entry.partition(".")[2]

    def _joined(self, key: str) -> str | None:
        current = {**self._cookies, **self.changes}
        chunks = [current.get(f"{self._name}_{key}_{number}") for number in range(MAX_CHUNKS)]
        there = [chunk for chunk in chunks if chunk]
        if chunks[: len(there)] != there or any(len(each) > CHUNK for each in there):
            return None
        return "".join(there)

    def _set_cookies(self, key: str, entry: str) -> None:
        chunks = [entry[start : start + CHUNK] for start in range(0, len(entry), CHUNK)]
        if len(chunks) > MAX_CHUNKS:
            raise StoreUnavailable(
                "tokens_too_large", f"{len(entry)} characters, at most {CHUNK * MAX_CHUNKS}"
            )
        self._clear_cookies(key)
        for number, chunk in enumerate(chunks):
            self.changes[f"{self._name}_{key}_{number}"] = chunk

    def _clear_cookies(self, key: str) -> None:
        """Let whatever chunk the browser has go, also one too many."""
        prefix = f"{self._name}_{key}_"
        for name in [*self._cookies, *self.changes]:
            if name.startswith(prefix):
                self.changes[name] = None

    def _shared(self, key: str) -> str:
        return f"{self.owner}:{key}"


def _end(entry: str) -> int:
    """When a text ends, in milliseconds; 0 where it does not say so as we write it."""
    end = entry.partition(".")[0]
    return int(end) if re.fullmatch(r"[0-9]{1,15}", end) else 0
