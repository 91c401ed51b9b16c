"""What one provider holds: its name, clock, keys, clients, people, and what it remembers."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import requests
from werkzeug.datastructures import Headers, MultiDict

from .clients import Client
from .faults import FAULTS, REFRESH_FAULTS, ActiveFaults
from .keys import ProviderKeys
from .metadata import endpoint_url
from .people import Person
from .shelf import Shelf

if TYPE_CHECKING:
    from .authorization import Grant, Interaction
    from .request_object import AuthorizationRequest
    from .sessions import ClientSession, SignIn
    from .sign_out import SignOut

MAX_CALLS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that reached the provider, as it came.

    :param endpoint: ``discovery``, ``jwks``, ``pushed_authorization_request``, ``authorization``,
        ``token``, ``revocation``, ``userinfo``, ``end_session``; or the name of a page of the
        provider's own, empty where there is none
    """

    endpoint: str
    method: str
    form: MultiDict[str, str] = field(repr=False)
    query: MultiDict[str, str] = field(repr=False)
    headers: Headers = field(repr=False)


class Memory:
    """What the provider remembers for a while, each kind on a shelf of its own."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.spent: Shelf[bool] = Shelf(now=now, at_most=100_000)
        self.pushed: Shelf[AuthorizationRequest] = Shelf(now=now)
        self.interactions: Shelf[Interaction] = Shelf(now=now)
        self.sign_ins: Shelf[SignIn] = Shelf(now=now)
        self.client_sessions: Shelf[ClientSession] = Shelf(now=now)
        self.sign_outs: Shelf[SignOut] = Shelf(now=now)
        self.consents: Shelf[frozenset[str]] = Shelf(now=now)
        self.codes: Shelf[Grant] = Shelf(now=now)
        self.used: Shelf[Grant] = Shelf(now=now)
        self.access_tokens: Shelf[Grant] = Shelf(now=now)
        self.refresh_tokens: Shelf[Grant] = Shelf(now=now)


class ProviderState:
    """Everything that the endpoints of one provider share. Nothing in it belongs to one request."""

    def __init__(
        self,
        *,
        issuer: str,
        metadata: dict[str, object],
        people: dict[str, Person],
        now: Callable[[], float],
        http: requests.Session,
    ) -> None:
        self.issuer = issuer
        self.metadata = metadata
        self.people = people
        self.now = now
        self.http = http
        #: How far, in seconds, a client's clock may be ahead (FAPI 2.0 Security Profile 5.3.2.1).
        self.clock_skew: int = 10
        #: How long, in seconds, the access tokens hold that are given out from now on.
        self.access_token_seconds: int = 600
        self.keys: ProviderKeys = ProviderKeys(issuer)
        self.clients: dict[str, Client] = {}
        self.memory: Memory = Memory(now)
        self.faults: ActiveFaults = ActiveFaults({**FAULTS, **REFRESH_FAULTS})
        self.calls: list[Call] = []
        self._calls_lock = threading.Lock()

    def record(self, call: Call) -> None:
        """Write a call down; the oldest are forgotten."""
        with self._calls_lock:
            self.calls.append(call)
            del self.calls[:-MAX_CALLS]

    def offered(self, member: str) -> list[str]:
        """A list of the metadata, as it stands now."""
        value = self.metadata.get(member)
        return [str(entry) for entry in value] if isinstance(value, list) else []

    def url(self, name: str) -> str:
        """The URL of one of our endpoints, whatever a test made of the metadata."""
        return endpoint_url(self.issuer, name)

    def person(self, sub: object) -> Person | None:
        """The person with that subject identifier."""
        return next((person for person in list(self.people.values()) if person.sub == sub), None)


def fresh_secret() -> str:
    """256 bits that nobody guesses: codes, tokens, request URIs."""
    return secrets.token_urlsafe(32)
