"""The sessions of each subject, listed in the store, so that one person's logins do not fill it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..stores import Store
from .sealed_records import SealedRecords

#: The sessions of one subject. If there are more, the oldest end.
MAX_SESSIONS = 100


class SubjectSessions:
    """The lists in a store, each with the handles of one subject's sessions, oldest first.

    :param lifetime: seconds that a session lasts at most.
    """

    def __init__(self, store: Store, records: SealedRecords, *, lifetime: int) -> None:
        self._store = store
        self._records = records
        self._lifetime = lifetime

    def handles(self, key: str, text: str | None) -> Sequence[str]:
        """The handles in a list, oldest first; some of these sessions may have ended.

        :param text: what the store has under the key. A list that cannot be read is empty: the
            sessions in it go on, and the next login begins another list.
        """
        try:
            return [] if text is None else list(self._records.read(key, text).get("handles", ()))
        except ValueError:
            return []

    def add(
        self, key: str, handle: str, *, found: str | None, entry_key: Callable[[str], str]
    ) -> Sequence[str]:
        """Add a session to a list.

        :param found: the text that was just read under the key.
        :param entry_key: gives the key of a session's entry.
        :returns: the handles that the list has no room for: these sessions must end.
        :raises StoreUnavailable: the store does not answer, or is busy.
        """
        left_out: Sequence[str] = ()

        def add(record: Mapping[str, Any] | None) -> Mapping[str, Any]:
            nonlocal left_out
            listed = ({} if record is None else record).get("handles", ())
            # Not twice: this may be a second try, after a first one whose answer was lost.
            handles = [*(each for each in listed if each != handle), handle]
            if len(handles) > MAX_SESSIONS:  # first without those that have ended by themselves
                entries = self._store.get(*map(entry_key, handles))
                pairs = zip(handles, entries, strict=True)
                handles = [each for each, entry in pairs if entry is not None]
            left_out = handles[:-MAX_SESSIONS]
            return {"handles": handles[-MAX_SESSIONS:]}

        self._records.update(key, found, add, ttl=self._lifetime)
        return left_out
