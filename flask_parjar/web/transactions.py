"""Logins under way, in ``flask.session``: limited in number and time, and used once.

A transaction has two halves. The secret half (`PendingLogin`) is in the browser's session, with the
page that the login leads to. The other half (`SignedState`) travels as ``state``, signed and with
its time. It names the half in the session. Alone it completes no login. But if the half in the
session is gone, ``state`` is enough to begin the login again, and its signature distinguishes a
lost login from a forged one. The provider reads ``state``, so no page of the site is in it.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from flask import session as flask_session

from ..errors import LoginError, ResponseRejected
from ..protocol.authorization import (
    LoginOptions,
    asked_claims,
    asked_details_types,
    asked_resources,
    configured_details_types,
    configured_resources,
)
from ..protocol.claims_parameter import demands_of
from ..protocol.client import ClientConfig
from ..protocol.encoding import is_number
from ..protocol.identity import ANONYMOUS, Identity
from ..protocol.transaction import Transaction, derive, mix, new_seed
from ..protocol.urls import MAX_RETURN_PATH, parse_return_path
from ..runtime import current_runtime, sealing_secrets
from .own_urls import return_path
from .shape import are_words, is_list, read_each
from .signing import read_text, sign_text

SESSION_KEY = "_parjar_logins"
MAX_WAITING = 5
#: Characters of the pages of all waiting logins: a cookie has room for 4096 bytes.
MAX_PAGES = MAX_RETURN_PATH
#: The first 132 bits of what is derived for it, whether to start again, and the provider.
_STATE = re.compile(r"([A-Za-z0-9_-]{22})([01])([A-Za-z0-9_-]{1,40})")
_LISTS_OF_WORDS = ("scopes", "resources", "details_types", "acr_values", "present", "subjects")
_OTHER_KINDS = ("max_age", "next", "assertion_claims", "key", "tenant_issuer")
_NO_OTHERS: Mapping[str, Any] = MappingProxyType({})


class SignedState(NamedTuple):
    """What a ``state`` says once its signature is verified.

    :param id: names the `PendingLogin`.
    :param may_start_again: whether we may begin the login again if it is lost. Not if it replaces
        a lost login already, and not if it asked for more than a plain ``/login`` does.
    :param signed_at: seconds since 1970.
    """

    id: str
    provider: str
    may_start_again: bool
    signed_at: int


class PendingLogin(NamedTuple):
    """The half of a transaction that is in the browser's session.

    :param started_at: seconds since 1970.
    :param scopes: those that were asked for; None where they are the configured ones.
    :param resources: likewise.
    :param details_types: likewise.
    :param next: the path that the login leads to; None for PARJAR_AFTER_LOGIN.
    :param key: names our key that signs the client assertions; None if we have only one.
    :param others: what a later version of this library asked for. It is written back unchanged:
        otherwise a process of this version would remove a demand from the login.
    """

    seed: str
    started_at: int
    provider: str
    issuer: str
    redirect_uri: str
    scopes: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    details_types: tuple[str, ...] | None = None
    max_age: int | None = None
    acr_values: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    next: str | None = None
    assertion_claims: Mapping[str, Any] = _NO_OTHERS
    key: str | None = None
    tenant_issuer: str = ""
    others: Mapping[str, Any] = _NO_OTHERS

    @classmethod
    def of(cls, transaction: Transaction, client: ClientConfig) -> PendingLogin:
        """Keep what is needed of a transaction until the browser is back."""
        scopes, resources = transaction.scopes, transaction.resources
        types = transaction.details_types
        configured = configured_resources(client.authorization_params)
        configured_types = configured_details_types(client.authorization_params)
        return cls(
            seed=transaction.seed,
            started_at=transaction.started_at,
            provider=transaction.provider,
            issuer=transaction.issuer,
            redirect_uri=transaction.redirect_uri,
            scopes=None if scopes == client.scopes else scopes,
            resources=None if resources == configured else resources,
            details_types=None if types == configured_types else types,
            max_age=transaction.max_age,
            acr_values=transaction.acr_values,
            present=transaction.present,
            subjects=transaction.subjects,
            next=None if transaction.next == return_path(None) else transaction.next,
            assertion_claims=transaction.assertion_claims,
            key=transaction.assertion_key,
            tenant_issuer=transaction.tenant_issuer,
        )

    @classmethod
    def from_cookie(cls, value: object) -> PendingLogin | None:
        """Read what `to_cookie` wrote; None for anything else."""
        if not is_list(value) or len(value) not in (5, 6):
            return None
        seed, started_at, provider, issuer, redirect_uri, *asked = value
        if not (
            are_words([seed, provider, issuer, redirect_uri])
            and seed.isascii()
            and is_number(started_at)
        ):
            return None
        login = cls(seed, int(started_at), provider, issuer, redirect_uri)
        return login._with_asked(asked[0]) if asked else login

    def _with_asked(self, asked: object) -> PendingLogin | None:
        """Add what a login asked for; None if it has not the shape that `to_cookie` gave it."""
        if not (
            isinstance(asked, dict)
            and all(are_words(asked.get(name, ())) for name in _LISTS_OF_WORDS)
            and is_number(asked.get("max_age", 0))
            and parse_return_path(asked.get("next", "/")) is not None
            and isinstance(asked.get("assertion_claims", {}), dict)
            and are_words([asked.get("key", ""), asked.get("tenant_issuer", "")])
        ):
            return None
        known = {name: tuple(asked[name]) for name in _LISTS_OF_WORDS if name in asked}
        return self._replace(
            scopes=known.get("scopes"),
            resources=known.get("resources"),
            details_types=known.get("details_types"),
            max_age=asked.get("max_age"),
            acr_values=known.get("acr_values", ()),
            present=known.get("present", ()),
            subjects=known.get("subjects", ()),
            next=asked.get("next"),
            assertion_claims=asked.get("assertion_claims", _NO_OTHERS),
            key=asked.get("key"),
            tenant_issuer=asked.get("tenant_issuer", ""),
            others={name: asked[name] for name in asked if name not in (*known, *_OTHER_KINDS)},
        )

    def to_cookie(self) -> list[Any]:
        """Write a list without member names and without what was not asked, to save bytes."""
        asked: dict[str, Any] = {
            "scopes": self.scopes,
            "resources": self.resources,
            "details_types": self.details_types,
            "max_age": self.max_age,
            "acr_values": self.acr_values or None,
            "present": self.present or None,
            "subjects": self.subjects or None,
            "next": self.next,
            "assertion_claims": dict(self.assertion_claims) or None,
            "key": self.key,
            "tenant_issuer": self.tenant_issuer or None,
        }
        asked = {name: value for name, value in asked.items() if value is not None}
        asked.update(self.others)
        fields = [self.seed, self.started_at, self.provider, self.issuer, self.redirect_uri]
        return [*fields, asked] if asked else fields

    def to_transaction(self, client: ClientConfig, *, secret: str) -> Transaction:
        """Make the transaction again, to verify the provider's response with it.

        :param secret: the login's, made with the app's secret of then.
        """
        configured = configured_resources(client.authorization_params)
        configured_types = configured_details_types(client.authorization_params)
        return Transaction(
            seed=self.seed,
            secret=secret,
            state="",
            provider=self.provider,
            issuer=self.issuer,
            redirect_uri=self.redirect_uri,
            started_at=self.started_at,
            next=return_path(None) if self.next is None else self.next,
            assertion_claims=dict(self.assertion_claims),
            assertion_key=self.key,
            tenant_issuer=self.tenant_issuer,
            scopes=client.scopes if self.scopes is None else self.scopes,
            resources=configured if self.resources is None else self.resources,
            details_types=configured_types if self.details_types is None else self.details_types,
            max_age=self.max_age,
            acr_values=self.acr_values,
            present=self.present,
            subjects=self.subjects,
        )

    def __repr__(self) -> str:
        """Leave out the seed, which is secret."""
        return f"PendingLogin(provider={self.provider!r}, started_at={self.started_at})"


def start_transaction(
    client: ClientConfig,
    options: LoginOptions,
    *,
    redirect_uri: str,
    next: str,
    may_start_again: bool,
    now: int,
    person: Identity = ANONYMOUS,
) -> Transaction:
    """Make the secrets of one login. Nothing is stored yet: see `put_transaction`.

    :param person: who must come back; `ANONYMOUS` where any person may.
    :raises LoginError: ``other_person``, where the options ask for another person.
    """
    seed = new_seed()
    # Read as if the provider supported ``claims``: in whichever parameter an essential acr is sent,
    # the ID token is checked for it.
    claims, _ = asked_claims(client.authorization_params, options, claims_parameter=True)
    demands = demands_of(claims)
    if person:
        if demands.subjects and person.subject not in demands.subjects:
            raise LoginError("other_person", f"sub={person.subject!r}, and claims ask for another")
        demands = demands._replace(subjects=(person.subject,))
    secret = mix(seed, sealing_secrets()[0])
    named = f"{_state_id(secret)}{int(may_start_again)}{client.name}"
    return Transaction(
        seed=seed,
        secret=secret,
        state=sign_text(named, purpose="state"),
        provider=client.name,
        issuer=client.issuer,
        redirect_uri=redirect_uri,
        started_at=now,
        next=next,
        scopes=client.scopes if options.scopes is None else tuple(options.scopes),
        resources=asked_resources(client.authorization_params, options),
        details_types=asked_details_types(client.authorization_params, options),
        assertion_claims=dict(options.assertion_claims or {}),
        assertion_key=_key_to_remember(client),
        max_age=options.max_age,
        acr_values=demands.acr_values,
        present=demands.present,
        subjects=demands.subjects,
        tenant_issuer=person.issuer if client.tenants else "",
    )


def _key_to_remember(client: ClientConfig) -> str | None:
    """Name the key of a login if we have several: while it is under way, another may come first."""
    key = client.first_assertion_key if client.former_assertion_keys else None
    return None if key is None else key.mark


def put_transaction(transaction: Transaction, client: ClientConfig) -> None:
    """Put a transaction into this browser's session; of more than `MAX_WAITING` drop the oldest.

    If the pages that the logins lead to are too long together, those of the oldest are dropped.
    """
    pending = PendingLogin.of(transaction, client)
    logins, room = [*get_pending_logins(), pending][-MAX_WAITING:], MAX_PAGES
    for position, login in reversed(list(enumerate(logins))):
        room -= len(login.next or "")
        if room < 0:
            logins[position] = login._replace(next=None)
    put_pending_logins(logins)


def read_state(state: str) -> SignedState:
    """Verify that we signed a ``state``, for this browser or another one.

    :raises ResponseRejected: ``state_forged``.
    """
    try:
        text, signed_at = read_text(state, purpose="state")
    except ValueError as exc:
        raise ResponseRejected("state_forged", str(exc)) from exc
    named = _STATE.fullmatch(text)
    if named is None:
        raise ResponseRejected("state_forged", "not a state of ours")
    identifier, again, provider = named.groups()
    return SignedState(
        id=identifier, provider=provider, may_start_again=again == "1", signed_at=signed_at
    )


def _state_id(secret: str) -> str:
    """The name of a login in its ``state``, made from its secret."""
    return derive(secret, "state")[:22]


def is_expired(state: SignedState, *, now: int) -> bool:
    """Say whether a login took longer than PARJAR_TRANSACTION_LIFETIME allows."""
    return now - state.signed_at > current_runtime().settings.transaction_lifetime


def claim(state: SignedState) -> bool:
    """Let one request alone complete a login.

    A browser may send the provider's answer twice, both times with the cookie of before, from which
    nothing was removed yet. So this is remembered in the store, or without one in this process.

    :returns: False if another request has claimed it.
    :raises StoreUnavailable: the store does not answer; the login is not completed.
    """
    runtime = current_runtime()
    store = runtime.process_cache if runtime.store is None else runtime.store
    ttl, mine = runtime.settings.transaction_lifetime, secrets.token_urlsafe(9)
    return store.add(f"claimed:{state.id}", mine, ttl=ttl)


def find_transaction(state: SignedState, client: ClientConfig, *, now: int) -> Transaction | None:
    """The transaction that a state names in this browser's session.

    :returns: None where this browser has none: it was lost, used before, too old, or begun in
        another browser.
    :raises ResponseRejected: ``state_mismatch``, at another provider's callback.
    """
    if state.provider != client.name:
        raise ResponseRejected("state_mismatch", f"{state.provider!r} at {client.name!r}")
    found = _find(get_pending_logins(), state)
    if found is None:
        return None
    login, secret = found
    too_old = now - login.started_at > current_runtime().settings.transaction_lifetime
    if too_old or (login.provider, login.issuer) != (state.provider, client.issuer):
        return None
    return login.to_transaction(client, secret=secret)


def is_login_under_way(client: ClientConfig, *, now: int) -> bool:
    """Say whether this browser has a login under way at a provider, whatever its state."""
    lifetime = current_runtime().settings.transaction_lifetime
    return any(
        (login.provider, login.issuer) == (client.name, client.issuer)
        and now - login.started_at <= lifetime
        for login in get_pending_logins()
    )


def remove_transaction(seed: str) -> None:
    """Remove a login from this browser's session, so that none is tried twice."""
    put_pending_logins([each for each in get_pending_logins() if each.seed != seed])


def remove_outdated(state: SignedState) -> PendingLogin | None:
    """Remove the login that a state names, although it cannot be completed any more.

    :returns: what was removed; None where there was nothing.
    """
    found = _find(get_pending_logins(), state)
    if found is None:
        return None
    remove_transaction(found[0].seed)
    return found[0]


def _find(logins: list[PendingLogin], state: SignedState) -> tuple[PendingLogin, str] | None:
    """The login that a state names, and its secret.

    SECRET_KEY may have been replaced since the login began, so each former one is tried too.
    """
    for app_secret in sealing_secrets():
        for login in logins:
            secret = mix(login.seed, app_secret)
            if hmac.compare_digest(_state_id(secret), state.id):
                return login, secret
    return None


def get_pending_logins() -> list[PendingLogin]:
    """The logins under way in this browser, oldest first."""
    return read_each(flask_session.get(SESSION_KEY), PendingLogin.from_cookie)


def put_pending_logins(logins: list[PendingLogin]) -> None:
    """Put the logins under way into the session; where there are none, remove the key."""
    if logins:
        flask_session[SESSION_KEY] = [each.to_cookie() for each in logins]
    else:
        flask_session.pop(SESSION_KEY, None)
