"""Which sessions are open, and which were ended from elsewhere: by the provider, or an operator.

The session itself stays where Flask keeps it, perhaps in a cookie that no server can take away. So
the store knows two things: an entry for each open session, and notices of what was ended. A session
counts while its entry is there and no notice is younger than its login.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from ..errors import StoreUnavailable
from ..protocol.encoding import b64encode, parse_json_object
from ..protocol.logout import MAX_NOTICE_AGE
from ..protocol.sealing import seal, unseal
from ..stores import Store

log: logging.Logger = logging.getLogger("flask_parjar")

TRUSTED_FOR = 5  # seconds that a look into the store counts, in one process
TRUSTED_IN_AN_OUTAGE = 60  # the same while the store does not answer
_MAX_TRUSTED = 10_000
_RETIREMENT = 60  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """One login at this site.

    :param handle: names it, and is known to the session and the store alone.
    :param sid: the provider's name for its own session, where it tells one.
    :param logged_in_at: seconds since 1970.
    """

    handle: str
    provider: str
    issuer: str
    subject: str
    sid: str | None
    logged_in_at: int


class OpenSessions:
    """The open sessions of one app, in a store that its processes share.

    :param lifetime: seconds that a session lasts at most.
    :param secrets: gives the app's secrets, newest first.
    :param clock: seconds that only ever grow.
    """

    def __init__(
        self,
        store: Store,
        *,
        lifetime: int,
        secrets: Callable[[], Sequence[bytes]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._lifetime = lifetime
        self._secrets = secrets
        self._clock = clock
        self._seen_open: dict[str, float] = {}  # handle: when the store last said so
        self._failed_at = float("-inf")
        self._endings = 0  # a look that was under way when something ended vouches for nobody

    def open(self, session: OpenSession) -> None:
        """Enter a session that has just begun.

        :raises StoreUnavailable: it could not be entered, so it must not begin.
        """
        purpose = _entry(session)
        sealed = seal(json.dumps(asdict(session)), secrets=self._secrets(), purpose=purpose)
        self._store.put(purpose, sealed, ttl=self._lifetime)
        self._trust(session)

    def close(self, session: OpenSession) -> None:
        """Strike a session out, with its tokens: a cookie that is left of it opens nothing more.

        :raises StoreUnavailable: the store does not answer.
        """
        self._endings += 1
        self._seen_open.pop(session.handle, None)
        self._store.delete(_entry(session))
        self._store.delete(tokens_key(session))

    def retire(self, session: OpenSession) -> None:
        """Let a session end soon, because a new one has taken its place in the same browser.

        Not at once: the browser's requests that are under way still come with the old cookie.
        """
        for key in (_entry(session), tokens_key(session)):
            value = self._store.get(key)[0]
            if value is not None:
                self._store.replace(key, value, expected=value, ttl=_RETIREMENT)

    def end(self, issuer: str, *, subject: str | None, sid: str | None, now: int) -> None:
        """End sessions wherever they are: those of a `sid`, or else all of a subject.

        A session whose provider told no ``sid`` is ended by its subject.

        :raises StoreUnavailable: the notice could not be kept.
        """
        ended = [_notice(issuer, "sid", sid)] if sid is not None else []
        if subject is not None:
            kind = "subject" if sid is None else "subject without sid"
            ended.append(_notice(issuer, kind, subject))
        for key in ended:
            self._store.put(key, str(now), ttl=self._lifetime)
        self._endings += 1
        self._seen_open.clear()

    def is_open(self, session: OpenSession) -> bool:
        """Whether a session still counts. Asks the store once in `TRUSTED_FOR` seconds.

        :raises StoreUnavailable: the store has not answered for `TRUSTED_IN_AN_OUTAGE` seconds.
        """
        endings = self._endings
        seen, now = self._seen_open.get(session.handle, float("-inf")), self._clock()
        if now - seen < TRUSTED_FOR:
            return True
        try:
            if now - self._failed_at < TRUSTED_FOR:  # not every request need wait for a time-out
                raise StoreUnavailable("store_unreachable", "it did not answer a moment ago")
            entry, *notices = self._ask(_entry(session), *_notices(session))
        except StoreUnavailable:
            if now - seen < TRUSTED_IN_AN_OUTAGE:
                return True
            raise
        ended_at = max(int(notice or -1) for notice in notices)
        if entry is None or ended_at >= session.logged_in_at:
            self.close(session)
            return False
        if endings == self._endings:
            self._trust(session)
        return True

    def find(self, issuer: str, subject: str | None = None) -> Iterator[OpenSession]:
        """The open sessions at an issuer, or of one subject. Reads all of the store's keys.

        :raises StoreUnavailable: the store does not answer.
        """
        prefix = "session:" if subject is None else f"session:{_digest(issuer, subject)}:"
        for key in self._store.keys(prefix):
            session = self._read(key)
            if session is not None and session.issuer == issuer and self.is_open(session):
                yield session

    def was_taken(self, issuer: str, jti: str) -> bool:
        """Whether a notice of this name was taken before: then it is a replay."""
        return self._store.get(_taken(issuer, jti))[0] is not None

    def take(self, issuer: str, jti: str, *, leeway: int) -> None:
        """Remember the name of a notice for as long as it could come again.

        :param leeway: seconds that clocks may differ.
        """
        self._store.put(_taken(issuer, jti), "1", ttl=MAX_NOTICE_AGE + 2 * leeway + 1)

    def _ask(self, *keys: str) -> Sequence[str | None]:
        try:
            return self._store.get(*keys)
        except StoreUnavailable:
            self._failed_at = self._clock()
            raise

    def _read(self, key: str) -> OpenSession | None:
        sealed = self._store.get(key)[0]
        try:
            text = unseal(sealed or "", secrets=self._secrets(), purpose=key)
            return OpenSession(**parse_json_object(text.encode("utf-8")))
        except (ValueError, TypeError) as exc:
            log.warning("an entry of an open session cannot be read: %s", exc)
            return None

    def _trust(self, session: OpenSession) -> None:
        if len(self._seen_open) >= _MAX_TRUSTED:  # the half that was seen longest ago goes
            for handle in list(self._seen_open)[: _MAX_TRUSTED // 2]:
                self._seen_open.pop(handle, None)
        self._seen_open.pop(session.handle, None)
        self._seen_open[session.handle] = self._clock()


def tokens_key(session: OpenSession) -> str:
    """Where the tokens of a session lie."""
    return f"tokens:{session.handle}"


def _entry(session: OpenSession) -> str:
    return f"session:{_digest(session.issuer, session.subject)}:{session.handle}"


def _notices(session: OpenSession) -> tuple[str, str]:
    """The notices that would end a session."""
    about_sid = (
        _notice(session.issuer, "subject without sid", session.subject)
        if session.sid is None
        else _notice(session.issuer, "sid", session.sid)
    )
    return about_sid, _notice(session.issuer, "subject", session.subject)


def _notice(issuer: str, kind: str, name: str) -> str:
    return f"ended:{_digest(issuer, kind, name)}"


def _taken(issuer: str, jti: str) -> str:
    return f"jti:{_digest(issuer, jti)}"


def _digest(*words: str) -> str:
    """Make a key of bounded length and plain letters from a stranger's words."""
    return b64encode(hashlib.sha256(json.dumps(words).encode("utf-8")).digest()[:16])
