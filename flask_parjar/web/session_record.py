"""The record of a login in ``flask.session``, and how it is written there."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..flows.session_registry import Registration, RenewedClaims, SessionEntry, session_id
from ..protocol.encoding import is_number
from ..protocol.identity import Identity
from ..protocol.logout import MAX_IDENTIFIER
from .shape import are_words, copy_json, is_list, read_text_and_time

log: logging.Logger = logging.getLogger("flask_parjar")

_MAX_CLAIMS_IN_COOKIE = 1200
_LEFT_OUT = "_parjar_left_out"  # beside the claims in the cookie: the names of those left out
_MAX_LEFT_OUT = 5  # names of the largest: others are only in the log
_MAX_NAME = 40
_MAX_CLAIMS_IN_STORE = 32_000  # those of a renewal; encrypted they must not exceed `MAX_SEALED`


class SessionRecord(NamedTuple):
    """One login, as it is in the browser's session.

    :param scopes: what the login was granted, sorted.
    :param logged_in_at: seconds since 1970.
    :param client_id: the client of the login: another one's people may not be ours.
    :param handle: names this session in the store; None where no store was set at the login.
    :param store: the kind of that store, as `Runtime.store_kind` has it.
    """

    provider: str
    issuer: str
    subject: str
    claims: Mapping[str, Any]
    scopes: tuple[str, ...]
    logged_in_at: int
    client_id: str
    handle: str | None = None
    store: str | None = None

    @classmethod
    def of(
        cls,
        identity: Identity,
        *,
        client_id: str,
        logged_in_at: int,
        handle: str | None,
        store: str | None,
        in_cookie: bool,
    ) -> SessionRecord:
        """Make the record of a login that was just completed.

        :param in_cookie: whether the session is kept in a cookie, which limits the claims.
        """
        claims = copy_json(dict(identity.claims))
        return cls(
            provider=identity.provider,
            issuer=identity.issuer,
            subject=identity.subject,
            claims=_claims_that_fit(claims, room=_MAX_CLAIMS_IN_COOKIE) if in_cookie else claims,
            scopes=tuple(sorted(identity.scopes)),
            logged_in_at=logged_in_at,
            client_id=client_id,
            handle=handle,
            store=store,
        )

    @classmethod
    def from_cookie(cls, value: object) -> SessionRecord | None:
        """Read what `to_cookie` wrote; None for anything else."""
        if not is_list(value) or len(value) not in (7, 9):
            return None
        provider, issuer, subject, claims, scopes, logged_in_at, client_id, *in_store = value
        if not (
            are_words([provider, issuer, subject, client_id, *in_store])
            and subject
            and isinstance(claims, dict)
            and are_words(scopes)
            and is_number(logged_in_at)
        ):
            return None
        return cls(
            *(provider, issuer, subject, claims, tuple(scopes), int(logged_in_at), client_id),
            *in_store,
        )

    def to_cookie(self) -> list[Any]:
        """Write a list without member names, because a cookie has little room."""
        fields = [
            self.provider,
            self.issuer,
            self.subject,
            self.claims,
            list(self.scopes),
            self.logged_in_at,
            self.client_id,
        ]
        return fields if self.handle is None else [*fields, self.handle, self.store]

    def renewed_by(self, identity: Identity, *, in_cookie: bool) -> SessionRecord:
        """The record after a renewal, with the claims and the scopes of `identity`."""
        renewed = self._replace(scopes=tuple(sorted(identity.scopes)))
        if identity.claims == self.identity.claims:
            return renewed  # with the names of those that were left out
        room = _MAX_CLAIMS_IN_COOKIE if in_cookie else _MAX_CLAIMS_IN_STORE
        return renewed._replace(
            claims=_claims_that_fit(copy_json(dict(identity.claims)), room=room)
        )

    def as_renewed(self, renewed: RenewedClaims | None) -> SessionRecord:
        """The record with what the store has of a renewal."""
        if renewed is None:
            return self
        return self._replace(claims=renewed.claims, scopes=renewed.scopes)

    @property
    def expires_at(self) -> int | None:
        """When the provider wants it to end, in seconds since 1970; None if it does not say.

        OpenID Connect Enterprise Extensions 1.0 section 2.1.
        """
        expiry = self.claims.get("session_expiry")
        return int(expiry) if is_number(expiry) else None

    def seconds_left(self, *, lifetime: int, now: int) -> int:
        """For how long the store keeps its entry: one second at least."""
        end = self.logged_in_at + lifetime
        return max(1, (end if self.expires_at is None else min(end, self.expires_at)) - now)

    def __repr__(self) -> str:
        """Leave out the claims and the handle, which must not be in a log."""
        return f"SessionRecord(provider={self.provider!r}, subject={self.subject!r})"

    def is_of(self, identity: Identity) -> bool:
        """Whether this is a session of the same account."""
        return (self.issuer, self.subject) == (identity.issuer, identity.subject)

    @property
    def identity(self) -> Identity:
        """The person, without the app's own user."""
        claims = copy_json(self.claims)  # the app may change its copy, but not the session's
        left_out = claims.pop(_LEFT_OUT, [])
        return Identity(
            provider=self.provider,
            issuer=self.issuer,
            subject=self.subject,
            claims=claims,
            claims_left_out=frozenset(left_out if are_words(left_out) else ()),
            scopes=frozenset(self.scopes),
        )

    @property
    def id(self) -> str:
        """A name of this session that gives access to nothing: `SessionEntry.id`, in any store."""
        return session_id(
            Registration(self.provider, self.issuer, self.client_id),
            self.subject,
            logged_in_at=self.logged_in_at,
            handle=self.handle,
        )

    @property
    def entry(self) -> SessionEntry | None:
        """This session's entry for the session registry; None where no store was set."""
        if self.handle is None:
            return None
        return SessionEntry(
            handle=self.handle,
            provider=self.provider,
            issuer=self.issuer,
            client_id=self.client_id,
            subject=self.subject,
            sid=_sid_of(self.claims),
            logged_in_at=self.logged_in_at,
        )


class ReplacedSession(NamedTuple):
    """A session that a new login in the same browser replaced.

    :param name: what `SessionRegistry.expire_soon` gave.
    :param ends_at: when its entry in the store ends, in seconds since 1970.
    """

    name: str
    ends_at: int

    @classmethod
    def from_cookie(cls, value: object) -> ReplacedSession | None:
        """Read what `to_cookie` wrote; None for anything else."""
        found = read_text_and_time(value)
        return None if found is None else cls(*found)

    def to_cookie(self) -> list[Any]:
        """Write a list without member names."""
        return list(self)


def _sid_of(claims: Mapping[str, Any]) -> str | None:
    """The ``sid``; None where there is none that a logout token can have.

    Then the session is ended by every logout token of the subject.
    """
    sid = claims.get("sid")
    return sid if isinstance(sid, str) and 0 < len(sid) <= MAX_IDENTIFIER else None


def _claims_that_fit(claims: Mapping[str, Any], *, room: int) -> dict[str, Any]:
    """Leave out the largest claims until the others fit, for example into a cookie.

    :param room: how many bytes they may have.
    """
    kept = dict(claims)
    if len(json.dumps(kept)) <= room:
        return kept
    # The sid stays: a logout token names the session by it. So does the end of the session.
    always = ("session_expiry",) if _sid_of(claims) is None else ("session_expiry", "sid")
    sizes = {name: len(json.dumps([name, kept[name]])) for name in kept if name not in always}
    excess = sum(sizes.values()) - room
    by_size = sorted(sizes, key=lambda each: sizes[each])
    left_out: list[str] = []
    while excess + len(json.dumps({_LEFT_OUT: left_out})) > 0:
        name = by_size.pop()
        del kept[name]
        excess -= sizes[name]
        if len(left_out) < _MAX_LEFT_OUT and len(name) <= _MAX_NAME:
            left_out.append(name)
        log.warning(
            "the claim %.80r (%d bytes) does not fit into the %d bytes of the session and was left "
            "out: ask for fewer scopes, or, where this is a session cookie, keep sessions on the "
            "server with Flask-Session",
            name,
            sizes[name],
            room,
        )
    return {**kept, _LEFT_OUT: left_out}
