"""``session_expiry``: the provider says when the session of the site must end."""

from __future__ import annotations

import time
from typing import Any

import pytest
from flask import Flask

from flask_parjar import refresh_failed
from flask_parjar.testing import DevProvider
from tests.support.after_login import age, copy_of, store_address, token_site
from tests.support.clock import WallClock
from tests.support.headers import SCRIPT
from tests.support.redis_process import RedisProcess
from tests.support.site import ISSUER, Visitor, make_site

HOUR = 3600
STORES = ["cookie", "memory", "redis"]


@pytest.fixture
def store(request: pytest.FixtureRequest, redis_process: RedisProcess) -> str | None:
    address: str | None = store_address(request.param, redis_process)
    return address


@pytest.fixture
def op(wall_clock: WallClock) -> DevProvider:
    """A provider whose clock is turned too."""
    return DevProvider(ISSUER, now=lambda: time.time())


def visitor_at(app: Flask, provider: DevProvider) -> Visitor:
    visitor = Visitor(app, provider)
    assert visitor.log_in().status_code == 302
    return visitor


def is_logged_in(visitor: Visitor) -> bool:
    return bool(visitor.get("/me").status_code == 200)


@pytest.mark.parametrize("store", [None, *STORES], indirect=True)
@pytest.mark.parametrize(
    "seconds, lifetime, lasts", [(HOUR, 8 * HOUR, HOUR), (8 * HOUR, HOUR, HOUR + 1)]
)
def test_the_earlier_of_two_ends_counts(
    provider: DevProvider,
    wall_clock: WallClock,
    store: str | None,
    seconds: int,
    lifetime: int,
    lasts: int,
) -> None:
    assert provider.session_seconds is None
    provider.session_seconds = seconds
    assert provider.session_seconds == seconds
    app = make_site(provider, PARJAR_STORE=store, PARJAR_SESSION_LIFETIME=lifetime)
    visitor = visitor_at(app, provider)
    wall_clock.turn(lasts - 10)
    assert is_logged_in(visitor)
    wall_clock.turn(10)
    assert not is_logged_in(visitor)


def test_without_the_claim_the_lifetime_counts(
    provider: DevProvider, wall_clock: WallClock
) -> None:
    visitor = visitor_at(make_site(provider), provider)
    assert "session_expiry" not in visitor.get("/me").json["claims"]
    wall_clock.turn(8 * HOUR - 10)
    assert is_logged_in(visitor)


def test_the_claim_is_shown_and_never_left_out(provider: DevProvider) -> None:
    provider.session_seconds = HOUR
    ada = provider.people["ada"].claims
    ada.update({f"claim{n}": "x" * 100 for n in range(40)})  # type: ignore[attr-defined]
    visitor = visitor_at(make_site(provider), provider)
    claims = visitor.get("/me").json["claims"]
    assert abs(claims["session_expiry"] - time.time() - HOUR) < 60
    assert "claim39" not in claims or "claim0" not in claims


def test_userinfo_says_nothing_of_it(provider: DevProvider, wall_clock: WallClock) -> None:
    """As with all that says how and how long a person is logged in, the ID token alone does."""
    provider.metadata["claims_supported"] = ["session_expiry"]
    visitor = visitor_at(make_site(provider, PARJAR_USERINFO=True), provider)
    ada = provider.people["ada"].claims
    ada["session_expiry"] = int(time.time()) - 1  # type: ignore[index]
    with provider.fault("id_token_session_expiry_null"):
        visitor = visitor_at(make_site(provider, PARJAR_USERINFO=True), provider)
    assert is_logged_in(visitor)
    assert visitor.get("/me").json["claims"].get("session_expiry") is None


@pytest.mark.parametrize("store", ["memory", "redis"], indirect=True)
def test_the_tokens_of_a_session_that_ended_are_deleted(
    provider: DevProvider, wall_clock: WallClock, store: str
) -> None:
    provider.session_seconds = HOUR
    app = token_site(provider, store)
    visitor = visitor_at(app, provider)
    copy = copy_of(visitor)
    kept = app.extensions["parjar"].store
    assert [*kept.keys("tokens:")] != []
    wall_clock.turn(HOUR)
    assert not is_logged_in(visitor) and not is_logged_in(copy)
    assert [*kept.keys("tokens:")] == []


# A login.


def test_a_login_that_would_end_at_once_is_refused(provider: DevProvider) -> None:
    visitor = Visitor(token_site(provider, "memory"), provider)
    with provider.fault("id_token_session_expiry_past"):
        answer = visitor.log_in()
    assert (answer.status_code, "token_session_expiry" in answer.text) == (502, True)
    assert not is_logged_in(visitor)
    assert [call.endpoint for call in provider.calls].count("revocation") == 2


# A renewal.


@pytest.mark.parametrize("store", STORES, indirect=True)
def test_a_renewed_id_token_moves_the_end(
    op: DevProvider, wall_clock: WallClock, store: str
) -> None:
    op.session_seconds = HOUR
    visitor = visitor_at(token_site(op, store), op)
    wall_clock.turn(HOUR // 2)
    assert visitor.get("/token").status_code == 200
    wall_clock.turn(HOUR - 10)
    assert is_logged_in(visitor)
    op.session_seconds = 100
    assert visitor.get("/token").status_code == 200
    wall_clock.turn(90)
    assert is_logged_in(visitor)
    wall_clock.turn(10)
    assert not is_logged_in(visitor)


@pytest.mark.parametrize("store", STORES, indirect=True)
def test_the_lifetime_is_the_end_of_all(op: DevProvider, wall_clock: WallClock, store: str) -> None:
    op.session_seconds = HOUR
    app = token_site(op, store, PARJAR_SESSION_LIFETIME=2 * HOUR)
    visitor = visitor_at(app, op)
    for _ in range(3):
        wall_clock.turn(HOUR * 2 // 3 - 10)
        assert visitor.get("/token").status_code == 200
    wall_clock.turn(31)
    assert not is_logged_in(visitor)


@pytest.mark.parametrize("store", STORES, indirect=True)
def test_a_renewal_that_says_nothing_of_it_leaves_the_end(
    provider: DevProvider, wall_clock: WallClock, store: str
) -> None:
    provider.session_seconds = HOUR
    visitor = visitor_at(token_site(provider, store), provider)
    provider.session_seconds = None
    age(visitor, left=60)
    assert visitor.get("/token").status_code == 200
    wall_clock.turn(HOUR)
    assert not is_logged_in(visitor)


@pytest.mark.parametrize("store", STORES, indirect=True)
def test_a_renewal_that_says_that_the_session_is_over_ends_it(
    op: DevProvider, wall_clock: WallClock, store: str
) -> None:
    visitor = visitor_at(token_site(op, store), op)
    copy = copy_of(visitor)
    heard: list[Any] = []

    def note(app: Flask, error: Any, **_: Any) -> None:
        heard.append(error.error_code)

    wall_clock.turn(HOUR)
    op.calls.clear()
    with op.fault("refresh_session_expiry_past"), refresh_failed.connected_to(note):
        answer = visitor.get("/token", headers=SCRIPT)
    assert (answer.status_code, answer.json["error"]) == (401, "session_expired")
    assert heard == ["session_expired"]
    assert [call.endpoint for call in op.calls][-3:] == ["token", "revocation", "revocation"]
    assert not is_logged_in(visitor)
    # A cookie that was copied before is what a store is for.
    assert is_logged_in(copy) is (store == "cookie")


def test_a_provider_that_ends_each_session_at_once_is_no_loop(provider: DevProvider) -> None:
    visitor = Visitor(token_site(provider, "memory"), provider)
    provider.access_token_seconds = 0
    for _ in range(2):
        visitor.log_in()
        with provider.fault("refresh_session_expiry_past"):
            answer = visitor.get("/token")
        assert (answer.status_code, "tokens_lost" in answer.text) == (500, True)
        assert not is_logged_in(visitor)


@pytest.mark.parametrize(
    "fault", ["id_token_session_expiry_string", "id_token_session_expiry_milliseconds"]
)
def test_a_renewed_claim_that_cannot_be_read_changes_nothing(
    provider: DevProvider, wall_clock: WallClock, fault: str
) -> None:
    provider.session_seconds = HOUR
    visitor = visitor_at(token_site(provider, "memory"), provider)
    age(visitor, left=60)
    with provider.fault(fault):
        assert visitor.get("/token").status_code == 200
    wall_clock.turn(HOUR)
    assert not is_logged_in(visitor)
