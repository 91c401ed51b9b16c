"""The session registry: which sessions are active, and which the provider or an operator ended.

The session itself is where Flask keeps it, perhaps in a cookie that no server can delete. So the
store has an entry for each active session, and a mark for each logout by the provider or an
operator. A session is active while its entry exists and no mark ends it.

The store also lists the sessions of each subject, so that one person's logins do not fill it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from ..errors import StoreUnavailable
from ..protocol.logout import LogoutToken
from ..stores import Store
from ..stores.newest import put_newest
from .login_algs import LoginAlgs
from .logout_marks import BeganAt, LogoutMark, LogoutMarks, MarkKeys, key_of_mark
from .sealed_records import SealedRecords, store_key
from .subject_sessions import SubjectSessions

log: logging.Logger = logging.getLogger("flask_parjar")

TRUSTED_FOR = 5  # seconds that one process relies on its last read of the store
TRUSTED_IN_AN_OUTAGE = 60  # the same while the store does not answer
_ENTRY = "session:"
_REPLACED = "replaced"  # a member of an entry: whether a new login has replaced the session
_RENEWED = "renewed"  # a member of an entry: `RenewedClaims`
GRACE_PERIOD = 60  # seconds that a session still lasts after a new login has replaced it


class Registration(NamedTuple):
    """One client at an issuer. Its sessions are apart from those of another client there.

    :param provider: the name in PARJAR_PROVIDERS.
    """

    provider: str
    issuer: str
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEntry:
    """One login at this site.

    :param handle: a random name, known only to the session and the store.
    :param sid: the provider's name for its own session; None where it gives none.
    :param logged_in_at: seconds since 1970.
    """

    handle: str
    provider: str
    issuer: str
    client_id: str
    subject: str
    sid: str | None
    logged_in_at: int

    @property
    def registration(self) -> Registration:
        """The client that the login was at."""
        return Registration(self.provider, self.issuer, self.client_id)

    @property
    def id(self) -> str:
        """A name of the session that gives access to nothing: for lists, forms and logs."""
        return session_id(
            self.registration, self.subject, logged_in_at=self.logged_in_at, handle=self.handle
        )


def session_id(
    registration: Registration, subject: str, *, logged_in_at: int, handle: str | None
) -> str:
    """Make the name of a session: see `SessionEntry.id`.

    :param handle: None for a session that is in no store.
    """
    text = json.dumps([*registration, subject, logged_in_at, handle])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:24]


class RenewedClaims(NamedTuple):
    """What a renewal of the tokens said of a person, in place of what the login said.

    :param at: when, in seconds since 1970.
    """

    claims: Mapping[str, Any]
    scopes: tuple[str, ...]
    at: int


class StoredSession(NamedTuple):
    """What the store says of a session.

    :param text: as it is in the store.
    :param renewed: None if no renewal has said anything else than the login.
    """

    session: SessionEntry
    began: BeganAt
    text: str
    renewed: RenewedClaims | None


class _Seen(NamedTuple):
    """What this process last read of an active session.

    :param at: when, by the registry's clock.
    """

    at: float
    stored: StoredSession


class SessionRegistry:
    """The active sessions of one app, in a store that its processes share.

    :param lifetime: seconds that a session lasts at most.
    :param secrets: gives the app's secrets, newest first.
    :param clock: gives seconds that never go back.
    :param at_most: how many active sessions this process remembers.
    """

    def __init__(
        self,
        store: Store,
        *,
        lifetime: int,
        secrets: Callable[[], Sequence[bytes]],
        clock: Callable[[], float] = time.monotonic,
        at_most: int = 10_000,
    ) -> None:
        self._store = store
        self._lifetime = lifetime
        self._clock = clock
        self._at_most = at_most
        self._records = SealedRecords(store, secrets=secrets)
        self._marks = LogoutMarks(self._records, lifetime=lifetime)
        self._algs = LoginAlgs(self._records, lifetime=lifetime)
        self._lists = SubjectSessions(store, self._records, lifetime=lifetime)
        self._seen_active: dict[str, _Seen] = {}  # by handle, in order of time
        self._failed_at = float("-inf")
        # Incremented at each logout, so that a store read that began earlier does not mark the
        # session as active.
        self._endings = 0
        self._changing = threading.Lock()  # held while _endings and _seen_active are changed

    def register(
        self, session: SessionEntry, *, issued_at: int, alg: str, ttl: int | None = None
    ) -> None:
        """Add a session that is about to begin.

        Of more than `MAX_SESSIONS` of one subject, the oldest end, and their tokens are deleted.

        :param issued_at: the ``iat`` of its ID token.
        :param alg: the algorithm of its ID token.
        :param ttl: seconds that it lasts at most; None for its whole lifetime.
        :raises StoreUnavailable: the store does not answer; the session must not begin.
        """
        endings, person = self._endings, _person(session.registration, session.subject)
        list_key, algs_key = f"subject:{person}", _algs_key(session.registration)
        mark_keys = _mark_keys(session)
        listed, algs, *marks = self._store.get(list_key, algs_key, *mark_keys)
        known = self._marks.known(mark_keys, marks)
        entry = {**asdict(session), "issued_at": issued_at, "known": known}
        text = self._records.put(_entry(session), entry, ttl=ttl or self._lifetime)
        left_out = self._lists.add(
            list_key, session.handle, found=listed, entry_key=lambda each: _entry_key(person, each)
        )
        self._algs.note(algs_key, alg, found=algs, now=session.logged_in_at)
        began = BeganAt(issued_at, session.logged_in_at, known)
        # The provider may have ended it already, while its ID token was on its way.
        if not self._marks.end(mark_keys, marks, began):
            self._trust(StoredSession(session, began, text, None), endings)
        for handle in left_out:
            self._forget(handle, _entry_key(person, handle))

    def revoke(self, session: SessionEntry) -> None:
        """Remove a session and its tokens, so that an old cookie of it is not valid any more.

        :raises StoreUnavailable: the store does not answer.
        """
        self._forget(session.handle, _entry(session))

    def expire_soon(self, session: SessionEntry) -> str:
        """Let a session end soon, because a new one has replaced it in the same browser.

        It does not end at once: requests that are under way still come with the old cookie. A
        second login with that cookie, perhaps with a copy of it, does not let it last longer.

        :returns: the name for `revoke_replaced`, which ends it at once.
        :raises StoreUnavailable: the store does not answer.
        """
        key = _entry(session)
        (found,) = self._store.get(key)
        self._records.update(key, found, _as_replaced, ttl=GRACE_PERIOD)
        return key.removeprefix(_ENTRY)

    def renew(self, session: SessionEntry, renewed: RenewedClaims, *, ttl: int) -> None:
        """Let what a renewal said of the person count in all processes.

        Nothing happens if the session has ended, is about to end because a new one has replaced it,
        or has claims of a later renewal.

        :param ttl: seconds that the session still lasts at most.
        :raises StoreUnavailable: the store does not answer, or is busy.
        """

        def with_renewed(entry: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
            if not entry or _REPLACED in entry:
                return None
            before = _read_renewed(entry.get(_RENEWED))
            is_late = before is not None and before.at > renewed.at
            return None if is_late else {**entry, _RENEWED: list(renewed)}

        key = _entry(session)
        self._records.update(key, self._store.get(key)[0], with_renewed, ttl=ttl)
        self._distrust(session.handle)

    def revoke_replaced(self, name: str) -> None:
        """End a replaced session and its tokens at once.

        :param name: what `expire_soon` returned.
        :raises StoreUnavailable: the store does not answer.
        """
        handle = name.rpartition(":")[2]
        self._forget(handle, f"{_ENTRY}{name}")

    def end_by_logout_token(self, registration: Registration, token: LogoutToken) -> None:
        """End sessions in whatever browser they are: those of a ``sid``, or else of a subject.

        A session without a ``sid`` is ended by its subject. A session whose ID token is newer than
        the logout token goes on. The same token may come again: it ends nothing more.

        :param token: verified, for this client.
        :raises StoreUnavailable: the store does not answer.

        OpenID Connect Back-Channel Logout 1.0 section 2.7.
        """
        mark = LogoutMark(token.issued_at, (token.jti,))
        if token.sid is not None:
            self._mark(key_of_mark(registration, "sid", token.sid), mark)
        if token.subject is not None:
            kind = "subject" if token.sid is None else "subject without sid"
            self._mark(key_of_mark(registration, kind, token.subject), mark)

    def login_algs(self, registration: Registration) -> Collection[str]:
        """The algorithms of the ID tokens of a client; none if no login is known.

        :raises StoreUnavailable: the store does not answer.
        """
        key = _algs_key(registration)
        return self._algs.read(key, self._store.get(key)[0])

    def end_by_operator(self, registration: Registration, subject: str, *, now: int) -> None:
        """End all sessions of a subject that began before now.

        :param now: seconds since 1970.
        :raises StoreUnavailable: the store does not answer.
        """
        mark = LogoutMark(now, (secrets.token_urlsafe(16),))
        self._mark(key_of_mark(registration, "operator", subject), mark)

    def look_up(self, session: SessionEntry) -> StoredSession | None:
        """What the store says of a session; None if it has ended.

        Asks the store once in `TRUSTED_FOR` seconds. It deletes nothing: the caller must `revoke` a
        session that has ended.

        :raises StoreUnavailable: the store has not answered for `TRUSTED_IN_AN_OUTAGE` seconds.
        """
        endings, now = self._endings, self._clock()
        if seen := self._seen_within(TRUSTED_FOR, session, now):
            return seen
        entry, mark_keys = _entry(session), _mark_keys(session)
        try:
            # The store failed a moment ago. Do not let each request wait for a time-out again.
            if now - self._failed_at < TRUSTED_FOR:
                raise StoreUnavailable("store_unreachable", "it did not answer a moment ago")
            text, *marks = self._ask(entry, *mark_keys)
        except StoreUnavailable:
            # Looked up once more: the session may have ended while the store did not answer.
            if seen := self._seen_within(TRUSTED_IN_AN_OUTAGE, session, now):
                return seen
            raise
        stored = self._open(session.handle, entry, text)
        if stored is None or self._marks.end(mark_keys, marks, stored.began):
            # Forget the last good answer: in an outage it would make this session active again.
            self._distrust(session.handle)
            return None
        self._trust(stored, endings)
        return stored

    def find_all(self, registration: Registration) -> list[SessionEntry]:
        """The active sessions of a client, oldest first. Reads all keys of the store.

        :raises StoreUnavailable: the store does not answer.
        """
        keys = self._store.keys(f"{_ENTRY}{store_key(*registration)}:")
        return self._active(registration, ((key, self._store.get(key)[0]) for key in keys))

    def find(self, registration: Registration, subject: str) -> list[SessionEntry]:
        """The active sessions of one subject at a client, oldest first.

        There are `MAX_SESSIONS` at most. The store is asked three times, however many there are.

        :raises StoreUnavailable: the store does not answer.
        """
        person = _person(registration, subject)
        list_key = f"subject:{person}"
        handles = self._lists.handles(list_key, self._store.get(list_key)[0])
        keys = [_entry_key(person, handle) for handle in handles]
        texts = self._store.get(*keys) if keys else ()
        return self._active(registration, zip(keys, texts, strict=True))

    def _active(
        self, registration: Registration, entries: Iterable[tuple[str, str | None]]
    ) -> list[SessionEntry]:
        """The sessions of a client that no mark ends, oldest first.

        :param entries: keys, with what the store has under each.
        """
        read = (self._read(key, text) for key, text in entries)
        found = [each for each in read if each and each.session.registration == registration]
        mark_keys = [_mark_keys(each.session) for each in found]
        wanted = [*dict.fromkeys(key for keys in mark_keys for key in keys)]
        marks = dict(zip(wanted, self._store.get(*wanted) if wanted else (), strict=True))
        active = [
            each.session
            for each, keys in zip(found, mark_keys, strict=True)
            if not self._marks.end(keys, [marks[key] for key in keys], each.began)
        ]
        return sorted(active, key=lambda each: each.logged_in_at)

    def _mark(self, key: str, mark: LogoutMark) -> None:
        self._marks.put(key, mark, found=self._store.get(key)[0])
        # Which of the handles in this process have this sid or subject is not known here.
        with self._changing:
            self._endings += 1
            self._seen_active.clear()

    def _forget(self, handle: str, entry: str) -> None:
        # This process first: if the store fails, at least it does not rely on the session any more.
        self._distrust(handle)
        self._store.delete(entry)
        self._store.delete(_tokens(handle))
        # And once more: a request may have read the entry while it was being deleted.
        self._distrust(handle)

    def _ask(self, *keys: str) -> Sequence[str | None]:
        try:
            return self._store.get(*keys)
        except StoreUnavailable:
            self._failed_at = self._clock()
            raise

    def _open(self, handle: str, key: str, text: str | None) -> StoredSession | None:
        """What the store says of a session. The same text is decrypted only once, to save time."""
        seen = self._seen_active.get(handle)
        return (
            seen.stored if seen is not None and seen.stored.text == text else self._read(key, text)
        )

    def _read(self, key: str, text: str | None) -> StoredSession | None:
        if text is None:
            return None
        try:
            members = self._records.read(key, text)
            issued_at, known = members.pop("issued_at"), members.pop("known")
            members.pop(_REPLACED, None)
            renewed = _read_renewed(members.pop(_RENEWED, None))
            session = SessionEntry(**members)
            began = BeganAt(issued_at, session.logged_in_at, known)
            return StoredSession(session, began, text, renewed)
        except (ValueError, TypeError, KeyError) as exc:
            log.warning("an entry of a session cannot be read: %s", exc)
            return None

    def _seen_within(
        self, seconds: float, session: SessionEntry, now: float
    ) -> StoredSession | None:
        seen = self._seen_active.get(session.handle)
        return seen.stored if seen is not None and now - seen.at < seconds else None

    def _trust(self, stored: StoredSession, endings: int) -> None:
        """Rely on what was just read, for a while.

        :param endings: `_endings` as it was before the store was read. If a session has ended since
            then, what was read may be older than that.
        """
        with self._changing:
            if endings != self._endings:
                return
            seen = _Seen(self._clock(), stored)
            put_newest(self._seen_active, stored.session.handle, seen, at_most=self._at_most)

    def _distrust(self, handle: str) -> None:
        with self._changing:
            self._endings += 1
            self._seen_active.pop(handle, None)


def tokens_key(session: SessionEntry) -> str:
    """The key of a session's tokens in the store."""
    return _tokens(session.handle)


def _tokens(handle: str) -> str:
    return f"tokens:{handle}"


def _as_replaced(entry: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Mark an entry as replaced; None where it is marked already, or is none that we can read."""
    return None if not entry or _REPLACED in entry else {**entry, _REPLACED: True}


def _read_renewed(value: Any) -> RenewedClaims | None:
    """:raises ValueError, TypeError: another version wrote it."""
    if value is None:
        return None
    claims, scopes, at = value
    return RenewedClaims({**claims}, tuple(scopes), int(at))


def _person(registration: Registration, subject: str) -> str:
    # In two parts, so that the sessions of one client are found without reading those of another.
    return f"{store_key(*registration)}:{store_key(subject)}"


def _entry_key(person: str, handle: str) -> str:
    return f"{_ENTRY}{person}:{handle}"


def _entry(session: SessionEntry) -> str:
    return _entry_key(_person(session.registration, session.subject), session.handle)


def _algs_key(registration: Registration) -> str:
    return f"algs:{store_key(*registration)}"


def _mark_keys(session: SessionEntry) -> MarkKeys:
    return MarkKeys.of(session.registration, subject=session.subject, sid=session.sid)
