"""What comes after a login, for the tests of it: a store, views with tokens, bad logout tokens."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import redis
from flask import Flask, jsonify, request

from flask_parjar import ParJar
from flask_parjar.flows.session_registry import SessionRegistry
from flask_parjar.provider import Provider
from flask_parjar.runtime import sealing_secrets
from flask_parjar.testing import DevProvider
from flask_parjar.web import tokens
from flask_parjar.web.session import current_entry
from tests.support.clock import Clock
from tests.support.headers import SCRIPT
from tests.support.redis_process import RedisProcess
from tests.support.site import ISSUER, Visitor, make_site
from tests.support.tenants import TENANTS, make_tenants_provider

TOKEN_SCOPES = "openid profile offline_access"
COOKIES = (
    "session",
    *(f"session_parjar_tokens_{number}" for number in range(4)),
    "session_parjar_seen",
)
EVENT = "http://schemas.openid.net/event/backchannel-logout"


def store_address(name: str | None, process: RedisProcess) -> Any:
    """What to write into PARJAR_STORE; a Redis is emptied first."""
    with process.client() as client:
        client.flushall()
    return process.url if name == "redis" else name


def token_views(app: Flask, parjar: ParJar) -> None:
    """Views that hand out what a site would keep to itself."""

    @app.get("/token")
    def token() -> str:
        return parjar.access_token()

    @app.get("/kept")
    def kept() -> Any:
        session = current_entry()
        found = None if session is None else tokens._token_store(session).load()
        return jsonify(None if found is None else dataclasses.asdict(found))

    @app.post("/age")
    def age() -> str:
        """Let the time come to renew the access token; it has this many seconds left."""
        session = current_entry()
        assert session is not None
        token_store, now = tokens._token_store(session), int(time.time())
        found = token_store.load()
        assert found is not None
        left = int(request.args["left"])
        token_store.save(dataclasses.replace(found, renew_at=now - 1, expires_at=now + left))
        return ""


def token_site(provider: DevProvider, store: str | None, **config: Any) -> Flask:
    """A site that keeps tokens."""
    given = {"PARJAR_SCOPES": TOKEN_SCOPES, "prepare": token_views, **config}
    return make_site(provider, PARJAR_STORE=store, **given)


def age(visitor: Visitor, *, left: int) -> None:
    """Make a visitor's access token due, with so many seconds to live."""
    assert visitor.post(f"/age?left={left}").status_code == 200


def copy_of(visitor: Visitor, app: Flask | None = None) -> Visitor:
    """Another browser with the same cookies, perhaps at another process."""
    copy = Visitor(app or visitor.app, visitor.provider)
    move_cookies(visitor, copy, COOKIES)
    return copy


def move_cookies(source: Visitor, target: Visitor, names: tuple[str, ...]) -> None:
    for name in names:
        found = source.client.get_cookie(name)
        if found is None:
            target.client.delete_cookie(name)
        else:
            target.client.set_cookie(name, found.value)


def renewals(provider: DevProvider) -> int:
    """How often tokens were asked to be renewed."""
    return sum(call.form.get("grant_type") == "refresh_token" for call in provider.calls)


@contextmanager
def everything_logged() -> Iterator[None]:
    """Let every logger of this process be at its most talkative, for a while."""
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    levels = [logger.level for logger in (logging.root, *loggers)]
    try:
        for logger in (logging.root, *loggers):
            logger.setLevel(logging.DEBUG)
        yield
    finally:
        for logger, level in zip((logging.root, *loggers), levels, strict=True):
            logger.setLevel(level)


def set_clock(app: Flask) -> Clock:
    """Let the time that a site trusts its last look into the store be a test's own."""
    state, clock = app.extensions["parjar"], Clock()
    assert state.store is not None
    sessions = SessionRegistry(
        state.store,
        lifetime=state.settings.session_lifetime,
        secrets=sealing_secrets,
        clock=clock,
    )
    app.extensions["parjar"] = dataclasses.replace(state, sessions=sessions)
    return clock


def set_provider_clock(app: Flask) -> Clock:
    """Let the time that a site leaves a provider alone after a failure be a test's own.

    The provider's documents are fetched anew: as at a process that has just started.
    """
    state, clock = app.extensions["parjar"], Clock()
    providers = {
        name: Provider(each.client, each.http, on_call=lambda describe: None, clock=clock)
        for name, each in state.providers.items()
    }
    app.extensions["parjar"] = dataclasses.replace(state, providers=providers)
    return clock


def use_sockets(app: Flask) -> None:
    """Let a site reach its providers by real sockets, and not by pools into their WSGI apps."""
    for each in app.extensions["parjar"].providers.values():
        each.http._mounted.clear()
        each.http._open_pools()


def all_of(client: redis.Redis) -> dict[str, str]:
    """Every key and value that lies in a Redis."""
    return {str(key): str(client.get(key)) for key in client.scan_iter("*")}  # type: ignore[misc]


# Renewals that go wrong.


def attempt_renewal(fault: str, store: str = "memory") -> tuple[str | None, bool]:
    """Renew tokens while the provider misbehaves.

    :returns: the error code, if any, and whether tokens are left.
    """
    provider, config = DevProvider(ISSUER), {}
    if "tenant" in fault:
        provider, config = make_tenants_provider(), {"PARJAR_TENANTS": TENANTS}
    visitor = Visitor(token_site(provider, store, **config), provider)
    visitor.log_in()
    age(visitor, left=-1)
    with provider.fault(fault):
        response = visitor.get("/token", headers=SCRIPT)
    code = None if response.status_code == 200 else response.json["error"]
    return code, visitor.get("/kept").json is not None


# Logout tokens that are spoilt.


class BadLogoutToken(NamedTuple):
    """A logout token that must not be taken: what is wrong with it, and the code for that.

    :param claims: as `DevProvider.logout_token` has them; text such as ``+60`` is seconds from now.
    """

    code: str
    claims: Mapping[str, Any] = {}
    header: Mapping[str, Any] = {}


BAD_LOGOUT_TOKENS: dict[str, BadLogoutToken] = {
    "alg none": BadLogoutToken("token_algorithm", header={"alg": "none"}),
    "alg symmetric": BadLogoutToken("token_algorithm", header={"alg": "HS256"}),
    "kid unknown": BadLogoutToken("token_key", header={"kid": "unknown"}),
    "crit": BadLogoutToken("token_header", header={"crit": ["exp"]}),
    "b64 in the header": BadLogoutToken("token_header", header={"b64": False}),
    "typ of an access token": BadLogoutToken("token_kind", header={"typ": "at+jwt"}),
    "typ of a request": BadLogoutToken("token_kind", header={"typ": "oauth-authz-req+jwt"}),
    "iss foreign": BadLogoutToken("token_issuer", {"iss": "https://evil.example"}),
    "iss missing": BadLogoutToken("token_issuer", {"iss": None}),
    "aud foreign": BadLogoutToken("token_audience", {"aud": "another-client"}),
    "aud missing": BadLogoutToken("token_audience", {"aud": None}),
    "aud with an untrusted client": BadLogoutToken(
        "token_audience", {"aud": ["flask-parjar", "another"]}
    ),
    "iat missing": BadLogoutToken("token_claim", {"iat": None}),
    "iat text": BadLogoutToken("token_claim", {"iat": "now"}),
    "iat boolean": BadLogoutToken("token_claim", {"iat": True}),
    "iat in the future": BadLogoutToken("token_from_the_future", {"iat": "+120"}),
    "iat long ago": BadLogoutToken("token_too_old", {"iat": "-400"}),
    "exp over": BadLogoutToken("token_expired", {"exp": "-70"}),
    "exp text": BadLogoutToken("token_claim", {"exp": "tomorrow"}),
    "events missing": BadLogoutToken("token_kind", {"events": None}),
    "events of another kind": BadLogoutToken(
        "token_kind", {"events": {"http://other.example": {}}}
    ),
    "events a list": BadLogoutToken("token_kind", {"events": [EVENT]}),
    "events with no object": BadLogoutToken("token_kind", {"events": {EVENT: "yes"}}),
    "nonce": BadLogoutToken("token_kind", {"nonce": "of an ID token"}),
    "neither sub nor sid": BadLogoutToken("token_claim", {"sub": None, "sid": None}),
    "sub empty": BadLogoutToken("token_claim", {"sub": ""}),
    "sub a number": BadLogoutToken("token_claim", {"sub": 7}),
    "sub too long": BadLogoutToken("token_claim", {"sub": "x" * 256}),
    "sid empty": BadLogoutToken("token_claim", {"sid": ""}),
    "sid a list": BadLogoutToken("token_claim", {"sid": ["a"]}),
    "jti missing": BadLogoutToken("token_claim", {"jti": None}),
    "jti empty": BadLogoutToken("token_claim", {"jti": ""}),
    "jti too long": BadLogoutToken("token_claim", {"jti": "x" * 256}),
}


def mint(provider: DevProvider, bad: BadLogoutToken) -> str:
    """A bad logout token; but for its fault it would end all sessions of Ada."""
    now = int(time.time())
    claims = {
        name: now + int(value) if str(value)[:1] in ("+", "-") else value
        for name, value in bad.claims.items()
    }
    return provider.logout_token(sub="ada", claims=claims, header=bad.header)
