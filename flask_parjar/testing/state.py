"""The state of one provider: its settings, the values that it remembers, and their maps."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import requests
from werkzeug.datastructures import Headers, MultiDict

from ..protocol.issuer import PLACEHOLDER
from .clients import Client, ClientMetadata, KeyCache, make_client
from .demands import Demands
from .documents import ACR_LEVELS, PATHS, ProviderKeys, endpoint_url
from .faults import FAULTS, REFRESH_FAULTS, ActiveFaults
from .people import Person

MAX_CALLS = 10_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that reached the provider, unchanged.

    :param endpoint: ``discovery``, ``jwks``, ``pushed_authorization_request``, ``authorization``,
        ``token``, ``revocation``, ``userinfo``, ``end_session``; or the name of one of the
        provider's own pages; empty if the URL is none of these
    :param certificate: the thumbprint of the client certificate of the connection
    """

    endpoint: str
    method: str
    form: MultiDict[str, str] = field(repr=False)
    query: MultiDict[str, str] = field(repr=False)
    headers: Headers = field(repr=False)
    certificate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnAddress:
    """Where the authorization response goes, and how.

    :param redirect_uri: one that is registered for the client
    :param mode: the response mode
    """

    redirect_uri: str
    mode: str
    state: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """What a client asked for, and may ask for.

    Only a pushed or signed request is proved to come from that client.

    :param code_challenge: None where requests have none
    :param max_age: in seconds
    :param acr_values: in the client's order of preference
    :param acr_is_essential: whether the login is useless to the client without one of them
    :param id_token_claims: the names of the claims that were requested for the ID token
    :param userinfo_claims: the names of the claims that were requested for userinfo
    :param dpop_jkt: the thumbprint of the key that the code is bound to (RFC 9449 section 10)
    :param resources: the APIs that the tokens are for (RFC 8707)
    :param assertion_kid: the key of the client that authenticated the push
    :param authorization_details: what the tokens shall allow, in detail (RFC 9396)
    """

    client: Client
    address: ReturnAddress
    scopes: tuple[str, ...]
    nonce: str | None = field(repr=False)
    code_challenge: str | None = field(repr=False)
    prompt: frozenset[str]
    max_age: int | None
    acr_values: tuple[str, ...]
    acr_is_essential: bool
    login_hint: str
    id_token_claims: tuple[str, ...]
    userinfo_claims: tuple[str, ...]
    dpop_jkt: str | None
    resources: tuple[str, ...]
    assertion_kid: str | None = None
    authorization_details: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A person who is signed in at the provider with one browser.

    :param at: when, in seconds since 1970
    :param acr: the authentication context class
    :param amr: the authentication methods
    :param session_id: stays the same when the same person signs in again
    """

    sub: str
    at: int
    acr: str
    amr: tuple[str, ...]
    session_id: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSession:
    """A person's session at the provider, as one client knows it.

    :param sid: identifies the session between the provider and this client only

    OpenID Connect Back-Channel Logout section 2.1
    """

    client_id: str
    sub: str
    sid: str
    session_id: str = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Interaction:
    """One authorization request while the person goes through the provider's pages.

    :param browser: identifies the browser that brought the request; no other may continue it
    :param signed_in: whether the person signed in during it, so that ``prompt=login`` is satisfied
    :param granted: the scopes that the person agreed to during it
    """

    request: AuthorizationRequest
    browser: str = field(repr=False)
    signed_in: bool = False
    granted: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a code and the tokens that are issued for it stand for.

    :param id: the same for all tokens of one code, so that they can be revoked together
    :param sid: identifies the person's session at the provider for this client
    :param jkt: the thumbprint of the key that tokens are bound to; None for bearer tokens
    :param x5t: the thumbprint of the certificate that they are bound to; None if they are not
    """

    id: str = field(repr=False)
    request: AuthorizationRequest
    sign_in: SignIn
    sid: str
    scopes: tuple[str, ...]
    jkt: str | None = None
    x5t: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOut:
    """A request to sign out, until the person says yes or no.

    :param browser: identifies the browser that brought it; no other may decide
    :param redirect_uri: where the browser goes afterwards; registered for the client
    """

    browser: str = field(repr=False)
    client: Client | None
    redirect_uri: str | None
    state: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    """A value, and when it expires, in seconds since 1970."""

    value: T
    until: float


class ExpiringMap(Generic[T]):
    """Values by name, each with an expiry. Thread-safe; when it is full, the oldest go.

    :param now: the clock, in seconds since 1970
    :param at_most: how many values there may be
    """

    def __init__(self, *, now: Callable[[], float], at_most: int = 10_000) -> None:
        self._now = now
        self._at_most = at_most
        self._values: dict[str, _Entry[T]] = {}
        self._lock = threading.Lock()

    def put(self, key: str, value: T, *, until: float) -> None:
        """Keep a value, in place of any older one of that name.

        :param until: when it expires, in seconds since 1970
        """
        with self._lock:
            self._store(key, value, until)

    def add(self, key: str, value: T, *, until: float) -> bool:
        """Keep a value unless there is one of that name already; return whether it was kept.

        :param until: when it expires, in seconds since 1970
        """
        with self._lock:
            if self._live(key) is not None:
                return False
            self._store(key, value, until)
            return True

    def get(self, key: str) -> T | None:
        """A value that has not expired. It stays."""
        with self._lock:
            entry = self._live(key)
            return None if entry is None else entry.value

    def pop(self, key: str) -> T | None:
        """Remove a value and return it. Of two callers at once only one gets it."""
        with self._lock:
            entry = self._live(key)
            self._values.pop(key, None)
            return None if entry is None else entry.value

    def pop_all(self, wanted: Callable[[T], bool]) -> list[T]:
        """Remove and return every value that ``wanted`` accepts, oldest first."""
        with self._lock:
            now, before = self._now(), self._values
            self._values = {k: e for k, e in before.items() if not wanted(e.value)}
            return [e.value for e in before.values() if e.until > now and wanted(e.value)]

    def __len__(self) -> int:
        return len(self._values)

    def _store(self, key: str, value: T, until: float) -> None:
        self._values.pop(key, None)
        self._make_room()
        self._values[key] = _Entry(value, until)

    def _live(self, key: str) -> _Entry[T] | None:
        entry = self._values.get(key)
        return None if entry is None or entry.until <= self._now() else entry

    def _make_room(self) -> None:
        if len(self._values) < self._at_most:
            return
        now = self._now()
        self._values = {k: e for k, e in self._values.items() if e.until > now}
        # Remove a tenth at once, so that a full map is not swept again for each new value.
        surplus = len(self._values) - self._at_most
        for key in list(self._values)[: 0 if surplus < 0 else surplus + self._at_most // 10 + 1]:
            del self._values[key]


class Memory:
    """What the provider remembers for a limited time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.seen_jti: ExpiringMap[bool] = ExpiringMap(now=now, at_most=100_000)
        self.pushed: ExpiringMap[AuthorizationRequest] = ExpiringMap(now=now)
        self.interactions: ExpiringMap[Interaction] = ExpiringMap(now=now)
        self.sign_ins: ExpiringMap[SignIn] = ExpiringMap(now=now)
        self.client_sessions: ExpiringMap[ClientSession] = ExpiringMap(now=now)
        self.sign_outs: ExpiringMap[SignOut] = ExpiringMap(now=now)
        self.consents: ExpiringMap[frozenset[str]] = ExpiringMap(now=now)
        self.codes: ExpiringMap[Grant] = ExpiringMap(now=now)
        self.used: ExpiringMap[Grant] = ExpiringMap(now=now)
        self.access_tokens: ExpiringMap[Grant] = ExpiringMap(now=now)
        self.refresh_tokens: ExpiringMap[Grant] = ExpiringMap(now=now)


class DPoPNonces:
    """The nonces that proofs must have: one at userinfo, and one at the other endpoints.

    RFC 9449 sections 8 and 9
    """

    def __init__(self) -> None:
        self.rotate()

    def rotate(self) -> None:
        """Want new nonces from now on."""
        self._of_api, self._of_server = fresh_secret(), fresh_secret()

    def current(self, *, of_api: bool) -> str:
        """The nonce that a proof must have now."""
        return self._of_api if of_api else self._of_server


class ProviderState:
    """What the endpoints of one provider share. Nothing in it belongs to one request."""

    def __init__(
        self,
        *,
        issuer: str,
        metadata: dict[str, object],
        people: dict[str, Person],
        now: Callable[[], float],
        http: requests.Session,
        mtls: str | None = None,
    ) -> None:
        self.issuer = issuer
        #: The URL below which the endpoints take client certificates; None for the issuer.
        self.mtls = mtls
        self.metadata = metadata
        self.people = people
        self.now = now
        self.http = http
        #: How far, in seconds, a client's clock may be ahead (FAPI 2.0 Security Profile 5.3.2.1).
        self.clock_skew: int = 10
        self.demands: Demands = Demands()
        self.key_cache: KeyCache = KeyCache()
        #: What to do about a redirect URI that is not registered; for an error message.
        self.advice_for_redirect_uri: str = ""
        #: The lifetime, in seconds, of the access tokens that are issued from now on.
        self.access_token_seconds: int = 600
        #: How long the sessions of apps may last from an ID token on; None if it says nothing.
        self.session_seconds: int | None = None
        self.dpop_nonces: DPoPNonces = DPoPNonces()
        self.keys: ProviderKeys = ProviderKeys(issuer)
        self.clients: dict[str, Client] = {}
        self.memory: Memory = Memory(now)
        self.faults: ActiveFaults = ActiveFaults({**FAULTS, **REFRESH_FAULTS})
        self.calls: list[Call] = []
        self._calls_lock = threading.Lock()

    def record(self, call: Call) -> None:
        """Append to ``calls``, and remove the oldest above ``MAX_CALLS``."""
        with self._calls_lock:
            self.calls.append(call)
            del self.calls[:-MAX_CALLS]

    def register(self, metadata: ClientMetadata) -> Client:
        """Accept a client, in place of any with the same ``client_id``.

        :raises ValueError: what is wrong with the metadata
        """
        client = make_client(metadata, cache=self.key_cache, http=self.http, now=self.now)
        client = replace(
            client,
            id_token_encryption=self.demands.id_token_encryption or client.id_token_encryption,
            userinfo_encryption=self.demands.userinfo_encryption or client.userinfo_encryption,
        )
        self.clients[client.client_id] = client
        if client.request_object_encryption is not None:
            self.keys.publish_decryption_keys()
        return client

    def offered(self, member: str) -> list[str]:
        """A list of the metadata as it is now; empty if the member is missing or no list."""
        value = self.metadata.get(member)
        return [str(entry) for entry in value] if isinstance(value, list) else []

    @property
    def acr_levels(self) -> Sequence[str]:
        """The authentication context classes, weakest first, as the metadata lists them."""
        return self.offered("acr_values_supported") or ACR_LEVELS

    def audiences(self, demanded: str, *, called: str) -> list[str]:
        """The values of ``aud`` that an audience of `Demands` stands for.

        :param called: the URL of the endpoint that is called
        """
        known = {"issuer": self.issuer, "endpoint": called}
        known |= {name: self.url(name) for name in PATHS}
        return [known.get(name, name) for name in demanded.split()]

    def url(self, name: str) -> str:
        """The URL of one of the endpoints, even if a test changed it in the metadata."""
        return endpoint_url(self.issuer, name)

    @property
    def published_issuer(self) -> str:
        """The issuer, or the template for tenants where the metadata has one."""
        published = str(self.metadata.get("issuer"))
        return published if PLACEHOLDER in published else self.issuer

    def issuer_for(self, sub: object) -> str:
        """The ``iss`` of tokens about a person: for tenants, that of the person's ``tid``."""
        person = self.person(sub)
        tenant = "" if person is None else str(person.claims.get("tid", ""))
        return self.published_issuer.replace(PLACEHOLDER, tenant)

    def person(self, sub: object) -> Person | None:
        """The person with that subject identifier."""
        return next((person for person in list(self.people.values()) if person.sub == sub), None)


def fresh_secret() -> str:
    """256 random bits as base64url: for codes, tokens and request URIs."""
    return secrets.token_urlsafe(32)
