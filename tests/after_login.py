"""What comes after a login, for the tests of it: a store, views with tokens, spoilt notices."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import redis
from flask import Flask, jsonify, request
from werkzeug.test import TestResponse

from flask_parjar import ParJar, tokens
from flask_parjar.flows.open_sessions import OpenSessions
from flask_parjar.session import open_session
from flask_parjar.state import sealing_secrets
from flask_parjar.testing import DevProvider
from tests.redis_process import RedisProcess
from tests.site import ISSUER, Visitor, make_site

TOKEN_SCOPES = "openid profile offline_access"
FROM_HERE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
SCRIPT = {"Accept": "application/json"}
COOKIES = ("session", *(f"session_parjar_tokens_{number}" for number in range(4)))
EVENT = "http://schemas.openid.net/event/backchannel-logout"


def store_address(name: str, process: RedisProcess) -> str:
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
        session = open_session()
        found = None if session is None else tokens._vault(session).load()
        return jsonify(None if found is None else dataclasses.asdict(found))

    @app.post("/age")
    def age() -> str:
        """Let the time come to renew the access token; it has this many seconds left."""
        session = open_session()
        assert session is not None
        vault, now = tokens._vault(session), int(time.time())
        found = vault.load()
        assert found is not None
        left = int(request.args["left"])
        vault.save(dataclasses.replace(found, renew_at=now - 1, expires_at=now + left))
        return ""


def token_site(provider: DevProvider, store: str, **config: Any) -> Flask:
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


def code_of(response: TestResponse) -> str | None:
    """The code of an error page, where there is one."""
    _, _, after = response.text.partition("Code: <code>")
    return after.partition("</code>")[0] or None


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


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def set_clock(app: Flask) -> Clock:
    """Let the time that a site trusts its last look into the store be a test's own."""
    state, clock = app.extensions["parjar"], Clock()
    assert state.store is not None
    sessions = OpenSessions(
        state.store,
        lifetime=state.settings.session_lifetime,
        secrets=sealing_secrets,
        clock=clock,
    )
    app.extensions["parjar"] = dataclasses.replace(state, sessions=sessions)
    return clock


def all_of(client: redis.Redis) -> dict[str, str]:
    """Every key and value that lies in a Redis."""
    return {str(key): str(client.get(key)) for key in client.scan_iter("*")}  # type: ignore[misc]


# Renewals that go wrong.


def attempt_renewal(fault: str, store: str = "memory") -> tuple[str | None, bool]:
    """Renew tokens while the provider misbehaves.

    :returns: the error code, if any, and whether tokens are left.
    """
    provider = DevProvider(ISSUER)
    visitor = Visitor(token_site(provider, store), provider)
    visitor.log_in()
    age(visitor, left=-1)
    with provider.fault(fault):
        response = visitor.get("/token", headers=SCRIPT)
    code = None if response.status_code == 200 else response.json["error"]
    return code, visitor.get("/kept").json is not None


# Notices that are spoilt.


class Notice(NamedTuple):
    """A logout token that must not be taken: what is wrong with it, and the code for that.

    :param claims: as `DevProvider.logout_token` has them; text such as ``+60`` is seconds from now.
    """

    code: str
    claims: Mapping[str, Any] = {}
    header: Mapping[str, Any] = {}


BAD_NOTICES: dict[str, Notice] = {
    "alg none": Notice("token_algorithm", header={"alg": "none"}),
    "alg symmetric": Notice("token_algorithm", header={"alg": "HS256"}),
    "kid unknown": Notice("token_key", header={"kid": "nobody's"}),
    "crit": Notice("token_header", header={"crit": ["exp"]}),
    "jwk in the header": Notice("token_header", header={"jwk": {"kty": "EC"}}),
    "typ of an access token": Notice("token_kind", header={"typ": "at+jwt"}),
    "typ of a request": Notice("token_kind", header={"typ": "oauth-authz-req+jwt"}),
    "iss foreign": Notice("token_issuer", {"iss": "https://evil.example"}),
    "iss missing": Notice("token_issuer", {"iss": None}),
    "aud foreign": Notice("token_audience", {"aud": "another-client"}),
    "aud missing": Notice("token_audience", {"aud": None}),
    "aud with a stranger": Notice("token_audience", {"aud": ["flask-parjar", "another"]}),
    "iat missing": Notice("token_claim", {"iat": None}),
    "iat text": Notice("token_claim", {"iat": "now"}),
    "iat boolean": Notice("token_claim", {"iat": True}),
    "iat in the future": Notice("token_from_the_future", {"iat": "+120"}),
    "iat long ago": Notice("token_too_old", {"iat": "-400"}),
    "exp over": Notice("token_expired", {"exp": "-70"}),
    "exp text": Notice("token_claim", {"exp": "tomorrow"}),
    "events missing": Notice("token_kind", {"events": None}),
    "events of another kind": Notice("token_kind", {"events": {"http://other.example": {}}}),
    "events a list": Notice("token_kind", {"events": [EVENT]}),
    "events with no object": Notice("token_kind", {"events": {EVENT: "yes"}}),
    "nonce": Notice("token_kind", {"nonce": "of an ID token"}),
    "neither sub nor sid": Notice("token_claim", {"sub": None, "sid": None}),
    "sub empty": Notice("token_claim", {"sub": ""}),
    "sub a number": Notice("token_claim", {"sub": 7}),
    "sub too long": Notice("token_claim", {"sub": "x" * 256}),
    "sid empty": Notice("token_claim", {"sid": ""}),
    "sid a list": Notice("token_claim", {"sid": ["a"]}),
    "jti missing": Notice("token_claim", {"jti": None}),
    "jti empty": Notice("token_claim", {"jti": ""}),
    "jti too long": Notice("token_claim", {"jti": "x" * 256}),
}


def mint(provider: DevProvider, notice: Notice) -> str:
    """The token of a spoilt notice; but for its fault it would end all sessions of Ada."""
    now = int(time.time())
    claims = {
        name: now + int(value) if str(value)[:1] in ("+", "-") else value
        for name, value in notice.claims.items()
    }
    return provider.logout_token(**{"sub": "ada", **claims}, header=notice.header)


def attempt_notice(name: str) -> tuple[str | None, bool]:
    """Bring a spoilt notice to a site; or, as ``replay``, a good one twice.

    :returns: the code that refuses it, if any, and whether its victim is still logged in.
    """
    provider = DevProvider(ISSUER)
    visitor = Visitor(make_site(provider, PARJAR_STORE="memory"), provider)
    visitor.log_in()
    stranger = Visitor(visitor.app, provider)
    if name == "replay":
        form = {"logout_token": provider.logout_token(sub="grace")}
        assert stranger.post("/backchannel-logout", data=form).status_code == 200
    else:
        form = {"logout_token": mint(provider, BAD_NOTICES[name])}
    response = stranger.post("/backchannel-logout", data=form)
    code = None if response.status_code == 200 else response.json["code"]
    return code, visitor.get("/me").status_code == 200
