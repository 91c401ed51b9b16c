"""A store in the cookies of one browser: encrypted strings, in chunks.

An instance is made for one request: it reads the cookies of the request and gathers those that the
response must set. What a parallel request of the same browser has just written is known within this
process, so that tokens renewed by one request are renewed for all of them. Other processes do not
know it.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from ..errors import StoreUnavailable
from .base import Store

CHUNK = 3000  # characters: browsers keep 4,096 of a cookie, its name and attributes included
MAX_CHUNKS = 2  # with the session's own cookie less than 8 kB: servers refuse larger headers
_RECENT = 60  # seconds that a write is remembered for requests that were under way
_WAIT = 5.0  # seconds
_GONE = "gone"  # in the process cache, in place of a value that another request has deleted


class CookieStore:
    """Strings in cookies named ``<name>_<key>_<number>``.

    Each value is written with the time of the write: of two copies the later one wins. Each cookie
    after the first has a digest of the whole value, so that cookies of two responses are never
    joined to one value. The time would not do: two processes whose clocks are behind that of the
    last write choose the same one. Neither is authenticated, as the browser can change any cookie;
    the encrypted value is.

    :param cookies: the cookies of the request.
    :param name: the prefix of all our cookie names.
    :param owner: names the session of this browser, and no other one.
    :param process: a store that all requests of this process share.
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
        #: What the response must set, by cookie name; None for a cookie to be deleted.
        self.changes: dict[str, str | None] = {}

    def put(self, key: str, value: str, *, ttl: int) -> None:
        """See `Store.put`.

        :raises StoreUnavailable: ``tokens_too_large``, before anything is set.
        """
        now = self._clock()
        # Later than the newest write we know of: two writes may have the same clock reading, and a
        # clock may be set back.
        written = max(int(now * 1_000_000), self._newest(key).written + 1)
        entry = _Entry(written, int((now + ttl) * 1000), value)
        self._set_cookies(key, entry)
        self._process.put(self._shared(key), entry.to_text(), ttl=min(ttl, _RECENT))

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
        """See `Store.get`. Chunks that are longer than ours are not read."""
        return [self._read(key) for key in keys]

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        # A parallel request still brings the old cookies: the mark says that they do not count.
        self._clear_cookies(key)
        self._process.put(self._shared(key), _GONE, ttl=_RECENT)

    def remove(self, key: str, *, expected: str) -> bool:
        """See `Store.remove`."""
        with self.lock(f"write:{key}", ttl=1, wait=_WAIT):
            if self._read(key) != expected:
                return False
            self.delete(key)
            return True

    def keys(self, prefix: str) -> Iterator[str]:
        """See `Store.keys`."""
        cookie = re.compile(rf"{re.escape(f'{self._name}_{prefix}')}.*_\d+")
        names = [name for name in {**self._cookies, **self.changes} if cookie.fullmatch(name)]
        found = {name[len(self._name) + 1 :].rpartition("_")[0] for name in names}
        return iter([key for key in found if self._read(key) is not None])

    def lock(self, key: str, *, ttl: int, wait: float) -> AbstractContextManager[None]:
        """See `Store.lock`. It works among the threads of this process only."""
        return self._process.lock(self._shared(key), ttl=ttl, wait=wait)

    def _read(self, key: str) -> str | None:
        if self._process.get(self._shared(key))[0] == _GONE:
            return None
        entry = self._newest(key)
        if not self._clock() * 1000 < entry.end:
            return None
        # Another request wrote a newer value. Set it in this response too: if the browser gets the
        # responses in another order, or never gets the other one, it still has the newest value.
        if entry != self._brought(key):
            self._set_cookies(key, entry)
        return entry.value

    def _newest(self, key: str) -> _Entry:
        """The later one of the cookies' value and the one in the process cache."""
        recent = self._process.get(self._shared(key))[0]
        return max(self._brought(key), _Entry.from_text(recent or ""))

    def _brought(self, key: str) -> _Entry:
        current = {**self._cookies, **self.changes}
        return _Entry.from_chunks(
            [current.get(f"{self._name}_{key}_{number}") or "" for number in range(MAX_CHUNKS)]
        )

    def _set_cookies(self, key: str, entry: _Entry) -> None:
        chunks = entry.to_chunks()
        if len(chunks) > MAX_CHUNKS:
            room = f"{len(entry.value)} characters, more than {MAX_CHUNKS} cookies hold"
            raise StoreUnavailable("tokens_too_large", room)
        self._clear_cookies(key)  # a shorter value must not leave old chunks behind
        for number, chunk in enumerate(chunks):
            self.changes[f"{self._name}_{key}_{number}"] = chunk

    def _clear_cookies(self, key: str) -> None:
        """Delete every chunk that the browser has, also more than `MAX_CHUNKS`."""
        prefix = f"{self._name}_{key}_"
        for name in [*self._cookies, *self.changes]:
            if name.startswith(prefix):
                self.changes[name] = None

    def _shared(self, key: str) -> str:
        return f"{self.owner}:{key}"


class _Entry(NamedTuple):
    """A value and its times. Of two entries the greater one was written later.

    :param written: microseconds since 1970; 0 for the missing entry.
    :param end: when it expires, in milliseconds since 1970.
    """

    written: int
    end: int
    value: str

    def to_text(self) -> str:
        return f"{self.written}.{self.end}.{self.value}"

    @classmethod
    def from_text(cls, text: str) -> _Entry:
        found = _TEXT.fullmatch(text)
        return cls(int(found[1]), int(found[2]), found[3]) if found else _NO_ENTRY

    def to_chunks(self) -> list[str]:
        """The values of the cookies; the first one has the number of chunks and the expiry."""
        more = f"{_digest(self.value)}."
        first = f"{self.written}.1.{self.end}."
        room, rest = CHUNK - len(first), self.value
        pieces = [rest[:room]]
        for start in range(room, len(rest), CHUNK - len(more)):
            pieces.append(rest[start : start + CHUNK - len(more)])
        head = f"{self.written}.{len(pieces)}.{self.end}."
        return [head + pieces[0], *(more + piece for piece in pieces[1:])]

    @classmethod
    def from_chunks(cls, chunks: Sequence[str]) -> _Entry:
        """Read the values of the cookies; anything that `to_chunks` does not write is no entry.

        More cookies than the first one says are ignored: a longer value left them behind.
        """
        first = _FIRST_CHUNK.fullmatch(chunks[0])
        if first is None or any(len(each) > CHUNK for each in chunks):
            return _NO_ENTRY
        written, count, end, value = first.groups()
        others = [each.partition(".") for each in chunks[1 : int(count)]]
        value += "".join(piece for _, _, piece in others)
        are_all_there = len(others) == int(count) - 1
        if not are_all_there or any(digest != _digest(value) for digest, _, _ in others):
            return _NO_ENTRY
        return cls(int(written), int(end), value)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:16]


_TEXT = re.compile(r"([0-9]{1,17})\.([0-9]{1,15})\.(.*)", re.ASCII | re.DOTALL)
_FIRST_CHUNK = re.compile(r"([0-9]{1,17})\.([1-9])\.([0-9]{1,15})\.(.*)", re.ASCII | re.DOTALL)
_NO_ENTRY = _Entry(0, 0, "")
