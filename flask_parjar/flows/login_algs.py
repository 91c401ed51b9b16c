"""The algorithms of the ID tokens that a client gets, remembered in the store.

A provider may list several algorithms. Which one it uses for this client was registered there, and
logins show it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..protocol.encoding import is_number
from .sealed_records import SealedRecords


class LoginAlgs:
    """The records in a store, one for each client.

    :param lifetime: seconds that a session lasts at most. An algorithm is remembered for longer.
    """

    def __init__(self, records: SealedRecords, *, lifetime: int) -> None:
        self._records = records
        self._kept_for = 2 * lifetime

    def note(self, key: str, alg: str, *, found: str | None, now: int) -> None:
        """Remember that an ID token was signed with an algorithm.

        It is written again only when half of the time is over, so most logins write nothing.

        :param found: the text that was just read under the key.
        :param now: seconds since 1970.
        :raises StoreUnavailable: the store does not answer, or is busy.
        """

        def note(record: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
            seen = {
                each: moment
                for each, moment in ({} if record is None else record).items()
                if is_number(moment) and now - moment < self._kept_for
            }
            if now - seen.get(alg, 0) < self._kept_for // 2:
                return None
            return {**seen, alg: now}

        self._records.update(key, found, note, ttl=self._kept_for)

    def read(self, key: str, found: str | None) -> Collection[str]:
        """The algorithms of the logins since a while; none if no login is known.

        :param found: the text that was just read under the key.
        """
        try:
            return () if found is None else frozenset(self._records.read(key, found))
        except ValueError:
            return ()
