"""Logout marks: each says in the store that the sessions which began before it have ended.

A provider's mark has the ``iat`` of the logout token and ends sessions by the ``iat`` of their ID
tokens. Both are times of the provider's clock. So it does not matter when the token arrives, nor
what our clocks show. An operator's mark and the logins that it ends have times of our clock.

Both clocks are read in whole seconds. A session that began in the second of a mark is older than
the mark, unless the mark was in the store before the session was.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ..protocol.encoding import is_number
from .sealed_records import SealedRecords, store_key

_MAX_IDS = 20  # if more logouts are of one second, the first of them may count again


class LogoutMark(NamedTuple):
    """The latest logout; or several, if they are of the same second.

    :param at: sessions that began before have ended; seconds since 1970.
    :param ids: names the logouts of this second, so that one that comes again ends nothing more.
    :param repair: names the last repair, in which this mark replaced one that could not be read.
        Which sessions that one had ended is not known, so all that began before the repair have.
    """

    at: int
    ids: tuple[str, ...] = ()
    repair: str = ""


class BeganAt(NamedTuple):
    """When a session began, and which marks it is newer than.

    :param by_provider: the ``iat`` of its ID token.
    :param by_us: the time of the login.
    :param known: the names of the logouts and repairs in the marks that were there before it.
    """

    by_provider: int
    by_us: int
    known: Collection[str]


class MarkKeys(NamedTuple):
    """The keys of the marks that can end one session."""

    sid: str
    subject: str
    operator: str

    @classmethod
    def of(cls, registration: Sequence[str], *, subject: str, sid: str | None) -> MarkKeys:
        """Find the keys for a session.

        :param registration: where subjects and sids are unique: the client and the issuer.
        :param sid: None where the provider named no session. It is then ended by any logout token
            of the subject.
        """
        return cls(
            sid=key_of_mark(registration, "subject without sid", subject)
            if sid is None
            else key_of_mark(registration, "sid", sid),
            subject=key_of_mark(registration, "subject", subject),
            operator=key_of_mark(registration, "operator", subject),
        )


def key_of_mark(registration: Sequence[str], kind: str, name: str) -> str:
    """The key of the mark of one kind for one subject or sid."""
    return f"ended:{store_key(*registration, kind, name)}"


class LogoutMarks:
    """The marks in a store."""

    def __init__(self, records: SealedRecords, *, lifetime: int) -> None:
        self._records = records
        self._lifetime = lifetime

    def put(self, key: str, mark: LogoutMark, *, found: str | None) -> None:
        """Write a mark, unless the one that is there ends more, or is of the same logout.

        :param found: the text that was just read under the key.
        :raises StoreUnavailable: the store does not answer, or is busy.
        """
        self._change(key, mark, found)

    def known(self, keys: MarkKeys, texts: Sequence[str | None]) -> list[str]:
        """What a session that is about to begin must know of the marks that are there.

        A mark that cannot be read is repaired, so that it does not end the new session too.

        :param texts: what the store has under these keys.
        :raises StoreUnavailable: the store does not answer, or is busy.
        """
        known: list[str] = []
        for key, text in zip(keys, texts, strict=True):
            if text is not None:
                mark = self._read(key, text) or self._change(key, LogoutMark(0), text)
                known += [*mark.ids, mark.repair]
        return known

    def end(self, keys: MarkKeys, texts: Sequence[str | None], began: BeganAt) -> bool:
        """Whether any of the marks of a session ends it.

        :param texts: what the store has under these keys. A text that cannot be read ends the
            session.
        """
        moments = (began.by_provider, began.by_provider, began.by_us)
        for key, text, moment in zip(keys, texts, moments, strict=True):
            if text is None:
                continue
            mark = self._read(key, text)
            if mark is None or mark.at > moment:
                return True
            if mark.at == moment and not {*mark.ids} <= {*began.known}:
                return True
            if mark.repair and mark.repair not in began.known:
                return True
        return False

    def _change(self, key: str, mark: LogoutMark, found: str | None) -> LogoutMark:
        """Write a mark in place of one that ends less.

        :returns: the mark that is there afterwards.
        """
        written, repair = mark, secrets.token_urlsafe(8)

        def newer(record: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
            nonlocal written
            before = LogoutMark(0) if record is None else _parse(record)
            written = mark._replace(repair=repair) if before is None else _later(before, mark)
            return None if written == before else written._asdict()

        self._records.update(key, found, newer, ttl=self._lifetime)
        return written

    def _read(self, key: str, text: str) -> LogoutMark | None:
        try:
            return _parse(self._records.read(key, text))
        except ValueError:
            return None


def _later(before: LogoutMark, mark: LogoutMark) -> LogoutMark:
    """Of two marks the later one; of one second, both in one."""
    if before.at > mark.at:
        return before
    if before.at < mark.at:
        return mark._replace(repair=before.repair)
    new = [each for each in mark.ids if each not in before.ids]
    return before._replace(ids=(*before.ids, *new)[-_MAX_IDS:])


def _parse(record: Mapping[str, Any]) -> LogoutMark | None:
    at, ids, repair = (record.get(each) for each in LogoutMark._fields)
    if not is_number(at) or not isinstance(ids, list) or not isinstance(repair, str):
        return None  # written by another version
    return LogoutMark(int(at), tuple(str(each) for each in ids), repair)
