"""Sealed records: JSON objects in a store, encrypted, each bound to the name of its key.

Somebody else may be able to write into the store. What they write cannot be read here, nor can a
record that they moved from another key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import StoreUnavailable
from ..protocol.encoding import b64encode, parse_json_object
from ..protocol.sealing import seal, unseal
from ..stores import Store

_TRIES = 100

#: Makes a new record from the one that is there. It gets None where there is none, and an empty
#: record where what is there cannot be read. If it returns None, the store stays as it is.
Change = Callable[[Mapping[str, Any] | None], Mapping[str, Any] | None]


class SealedRecords:
    """The records in a store.

    :param secrets: gives the app's secrets, newest first.
    """

    def __init__(self, store: Store, *, secrets: Callable[[], Sequence[bytes]]) -> None:
        self._store = store
        self._secrets = secrets

    def read(self, key: str, text: str) -> dict[str, Any]:
        """Open the text that the store has under a key.

        :raises ValueError: we did not write it, or not under this key.
        """
        opened = unseal(text, secrets=self._secrets(), purpose=key)
        return parse_json_object(opened.encode("utf-8"))

    def put(self, key: str, record: Mapping[str, Any], *, ttl: int) -> str:
        """Write a record in place of whatever is there.

        :returns: the text that the store has now.
        :raises StoreUnavailable: the store does not answer.
        """
        text = self._seal(key, record)
        self._store.put(key, text, ttl=ttl)
        return text

    def update(self, key: str, found: str | None, change: Change, *, ttl: int) -> None:
        """Change a record so that no change of another process is lost.

        :param found: the text that was just read under the key; None where there was none.
        :param change: called again if another process has changed the record meanwhile.
        :raises StoreUnavailable: the store does not answer; or ``store_busy``.
        """
        for _ in range(_TRIES):
            changed = change(None if found is None else self._read_or_empty(key, found))
            if changed is None or self._swap(key, found, self._seal(key, changed), ttl=ttl):
                return
            (found,) = self._store.get(key)
        raise StoreUnavailable("store_busy", f"a record was changed {_TRIES} times meanwhile")

    def _read_or_empty(self, key: str, found: str) -> dict[str, Any]:
        try:
            return self.read(key, found)
        except ValueError:
            return {}

    def _swap(self, key: str, found: str | None, text: str, *, ttl: int) -> bool:
        if found is None:
            return self._store.add(key, text, ttl=ttl)
        return self._store.replace(key, text, expected=found, ttl=ttl)

    def _seal(self, key: str, record: Mapping[str, Any]) -> str:
        return seal(json.dumps(record), secrets=self._secrets(), purpose=key)


def store_key(*words: str) -> str:
    """Make a key of bounded length and plain characters from untrusted text."""
    return b64encode(hashlib.sha256(json.dumps(words).encode("utf-8")).digest()[:16])
