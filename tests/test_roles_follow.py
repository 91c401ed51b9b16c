"""Claims and scopes after a renewal of the tokens: the newer ones count, everywhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask, jsonify, session
from flask_session import Session

from flask_parjar import (
    ParJar,
    current_user,
    provider_called,
    step_up_required,
    tokens_refreshed,
)
from flask_parjar.flows.session_registry import Registration, RenewedClaims
from flask_parjar.testing import DevProvider
from tests.support.after_login import (
    COOKIES,
    age,
    copy_of,
    set_clock,
    store_address,
    token_site,
    token_views,
)
from tests.support.altered_answers import USERINFO, AlteredAnswers
from tests.support.headers import FROM_HERE
from tests.support.redis_process import RedisProcess
from tests.support.site import ISSUER, Visitor

SCOPES = "openid profile email offline_access reports:read"


def views(app: Flask, parjar: ParJar) -> None:
    token_views(app, parjar)

    @app.get("/renew")
    def renew() -> Any:
        """What the view sees before and after a renewal."""
        before = dict(current_user.claims)
        parjar.access_token()
        return jsonify(before=before, after=dict(current_user.claims))

    @app.get("/strong")
    @step_up_required(acr=["pwd", "mfa"])
    def strong() -> str:
        return "strong"


@pytest.fixture(params=["cookie", "memory", "redis"])
def store(request: pytest.FixtureRequest, redis_process: RedisProcess) -> str:
    return str(store_address(request.param, redis_process))


def make(provider: DevProvider, store: str, **config: Any) -> Flask:
    return token_site(provider, store, prepare=views, PARJAR_SCOPES=SCOPES, **config)


@pytest.fixture
def app(provider: DevProvider, store: str) -> Flask:
    say(provider, org="acme")
    return make(provider, store)


@pytest.fixture
def visitor(app: Flask, provider: DevProvider) -> Visitor:
    visitor = Visitor(app, provider)
    visitor.log_in()
    assert visitor.get("/acme").status_code == 200
    return visitor


def say(provider: DevProvider, **claims: Any) -> None:
    """Let the provider say something else of Ada from now on; None takes a claim away."""
    ada = provider.people["ada"]
    said = {**ada.claims, **claims}
    kept = {name: value for name, value in said.items() if value is not None}
    provider.people["ada"] = dataclasses.replace(ada, claims=kept)


def renew(visitor: Visitor) -> None:
    age(visitor, left=60)
    assert visitor.get("/token").status_code == 200


def claims_of(visitor: Visitor) -> dict[str, Any]:
    return dict(visitor.get("/me").json["claims"])


# What changes.


def test_a_role_that_was_taken_away_is_gone(visitor: Visitor, provider: DevProvider) -> None:
    say(provider, org=None)
    assert visitor.get("/acme").status_code == 200  # nothing was renewed yet
    renew(visitor)
    assert visitor.get("/acme").status_code == 403
    assert "org" not in claims_of(visitor)


def test_a_role_that_was_given_counts(visitor: Visitor, provider: DevProvider) -> None:
    for org, status in (("other", 403), (["other", "acme"], 200), (None, 403), ("acme", 200)):
        say(provider, org=org)
        renew(visitor)
        assert visitor.get("/acme").status_code == status, org


def test_it_counts_in_the_request_that_renews(visitor: Visitor, provider: DevProvider) -> None:
    heard: list[Any] = []

    def note(app: Any, identity: Any, **_: Any) -> None:
        heard.append(identity.claims["org"])

    say(provider, org="other")
    age(visitor, left=60)
    with tokens_refreshed.connected_to(note):
        seen = visitor.get("/renew").json
    assert (seen["before"]["org"], seen["after"]["org"]) == ("acme", "other")
    assert heard == ["other"]


def test_scopes_are_those_of_the_renewed_tokens(visitor: Visitor, provider: DevProvider) -> None:
    assert visitor.get("/reports").status_code == 200
    with provider.fault("token_scope_narrower"):
        renew(visitor)
    assert visitor.get("/reports").status_code == 403
    assert visitor.get("/me").json["scopes"] == ["openid"]
    renew(visitor)
    assert visitor.get("/reports").status_code == 200


def test_the_user_of_the_app_stays_in_the_request_and_is_loaded_anew_in_the_next(
    provider: DevProvider, store: str
) -> None:
    def with_users(app: Flask, parjar: ParJar) -> None:
        views(app, parjar)
        parjar.user_loader(lambda identity: {"org": identity.claims.get("org")})

        @app.get("/user")
        def user() -> Any:
            before = current_user.user
            parjar.access_token()
            return jsonify([before, current_user.user, current_user.claims["org"]])

    say(provider, org="acme")
    visitor = Visitor(token_site(provider, store, prepare=with_users), provider)
    visitor.log_in()
    say(provider, org="other")
    age(visitor, left=60)
    assert visitor.get("/user").json == [{"org": "acme"}, {"org": "acme"}, "other"]
    assert visitor.get("/user").json == [{"org": "other"}, {"org": "other"}, "other"]


# What never changes.


def test_how_and_when_the_person_signed_in_stays(visitor: Visitor, provider: DevProvider) -> None:
    before = claims_of(visitor)
    with provider.fault("refresh_auth_time_moved"):
        renew(visitor)
    after = claims_of(visitor)
    assert {name: after[name] for name in ("acr", "amr", "auth_time", "sid")} == {
        name: before[name] for name in ("acr", "amr", "auth_time", "sid")
    }


def test_another_acr_leaves_the_session_without_one(
    visitor: Visitor, provider: DevProvider
) -> None:
    assert visitor.get("/strong").status_code == 200
    with provider.fault("refresh_acr_other"):
        renew(visitor)
    assert claims_of(visitor).keys().isdisjoint(("acr", "amr"))
    assert visitor.get("/strong").location.startswith("/login?next=/strong&step_up=")
    renew(visitor)  # the provider says again what it said at the login: no sign-in proves it
    assert "acr" not in claims_of(visitor)
    visitor.log_in(visitor.get("/strong").location)
    assert visitor.get("/strong").status_code == 200


def test_claims_that_describe_the_person_may_be_left_out(
    visitor: Visitor, provider: DevProvider
) -> None:
    before = claims_of(visitor)
    assert before["name"] == "Ada Lovelace" and before["email_verified"] is True
    say(provider, name=None, email=None, email_verified=None, org=None)
    renew(visitor)
    after = claims_of(visitor)
    assert {name: value for name, value in before.items() if name != "org"} == after


def test_a_verified_address_does_not_make_another_one_verified(
    visitor: Visitor, provider: DevProvider
) -> None:
    say(provider, email="ada@other.example", email_verified=None)
    renew(visitor)
    after = claims_of(visitor)
    assert after["email"] == "ada@other.example" and "email_verified" not in after


@pytest.mark.parametrize(
    "fault", ["refresh_without_id_token", "id_token_bad_signature", "id_token_expired"]
)
def test_without_an_id_token_that_is_valid_the_claims_stay(
    visitor: Visitor, provider: DevProvider, fault: str
) -> None:
    before = claims_of(visitor)
    say(provider, org="other", name="Somebody")
    with provider.fault(fault):
        renew(visitor)
    assert claims_of(visitor) == before


# Userinfo.


@pytest.fixture
def with_userinfo(provider: DevProvider, store: str) -> Visitor:
    say(provider, org="acme")
    visitor = Visitor(make(provider, store, PARJAR_USERINFO=True), provider)
    visitor.log_in()
    return visitor


@pytest.mark.parametrize("org, status", [("other", 403), (None, 403), ("acme", 200)])
@pytest.mark.parametrize("fault", [None, "refresh_without_id_token"])
def test_userinfo_is_fetched_again(
    with_userinfo: Visitor, provider: DevProvider, org: str | None, status: int, fault: str | None
) -> None:
    """Without a new ID token, what userinfo says now counts more than the ID token of the login."""
    say(provider, org=org, nickname="Countess")
    if fault and org is None:
        status = 200  # the ID token of the login is the newest that speaks of it
    if fault:
        provider.fault(fault)
    provider.calls.clear()
    renew(with_userinfo)
    assert [call.endpoint for call in provider.calls] == ["token", "userinfo"]
    assert with_userinfo.get("/acme").status_code == status
    assert claims_of(with_userinfo)["nickname"] == "Countess"


@pytest.mark.parametrize("fault", ["userinfo_500", "userinfo_sub_foreign"])
def test_userinfo_that_cannot_be_used_changes_nothing(
    with_userinfo: Visitor,
    provider: DevProvider,
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = claims_of(with_userinfo)
    say(provider, org="other")
    with provider.fault(fault):
        renew(with_userinfo)
    assert claims_of(with_userinfo) == before
    assert "claims not renewed" in caplog.text
    renew(with_userinfo)
    assert claims_of(with_userinfo)["org"] == "other"


# In all processes, whatever the cookie says.


@pytest.fixture
def processes(
    provider: DevProvider, redis_process: RedisProcess
) -> Callable[[], tuple[Flask, Flask]]:
    say(provider, org="acme")
    address, key = store_address("redis", redis_process), provider.config()["PARJAR_SIGNING_KEY"]
    return lambda: (
        make(provider, address, PARJAR_SIGNING_KEY=key),
        make(provider, address, PARJAR_SIGNING_KEY=key),
    )


def test_another_process_knows_after_five_seconds(
    processes: Callable[[], tuple[Flask, Flask]], provider: DevProvider
) -> None:
    here, there = processes()
    clock = set_clock(there)
    visitor = Visitor(here, provider)
    visitor.log_in()
    elsewhere = copy_of(visitor, there)
    assert elsewhere.get("/acme").status_code == 200
    say(provider, org=None)
    renew(visitor)
    clock.now += 5
    assert elsewhere.get("/acme").status_code == 403


@pytest.mark.parametrize("kept", ["memory", "redis"])
def test_an_old_cookie_brings_nothing_back(
    provider: DevProvider, redis_process: RedisProcess, kept: str
) -> None:
    """A slow page may write the session as it was when it began; a copy may be of any age."""
    say(provider, org="acme")
    visitor = Visitor(make(provider, store_address(kept, redis_process)), provider)
    visitor.log_in()
    copy = copy_of(visitor)
    before = [visitor.client.get_cookie(name) for name in COOKIES]
    say(provider, org=None)
    renew(visitor)
    assert [visitor.client.get_cookie(name) for name in COOKIES] == before
    assert copy.get("/acme").status_code == 403


def test_claims_of_any_size_do_not_end_the_session(
    provider: DevProvider, redis_process: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """A session on the server has room for them; its entry in the store has not."""

    def on_server(app: Flask, parjar: ParJar) -> None:
        views(app, parjar)
        address = redis.Redis.from_url(redis_process.url)
        app.config.update(SESSION_TYPE="redis", SESSION_REDIS=address)
        Session(app)

    say(provider, org="acme")
    AlteredAnswers(provider).members(USERINFO, many=["x" * 100] * 1000)
    address = store_address("redis", redis_process)
    app = token_site(
        provider, address, prepare=on_server, PARJAR_SCOPES=SCOPES, PARJAR_USERINFO=True
    )
    visitor = Visitor(app, provider)
    visitor.log_in()
    assert len(claims_of(visitor)["many"]) == 1000
    say(provider, org="other")
    renew(visitor)
    after = claims_of(visitor)
    assert after["org"] == "other" and "many" not in after
    assert "'many'" in caplog.text


def test_a_session_that_ended_is_not_brought_back_by_a_renewal(
    provider: DevProvider, redis_process: RedisProcess
) -> None:
    say(provider, org="acme")
    visitor = Visitor(make(provider, store_address("redis", redis_process)), provider)
    visitor.log_in()
    copy = copy_of(visitor)
    say(provider, org="other")
    renew(visitor)
    visitor.post("/logout", headers=FROM_HERE)
    assert copy.get("/me").status_code == 302


def test_the_store_is_away_when_the_claims_are_to_be_kept(
    provider: DevProvider, tmp_path: Path
) -> None:
    """They count in this request; the next renewal brings them to the others."""
    say(provider, org="acme")
    with RedisProcess(tmp_path) as process:

        def stop(app: Flask, endpoint: str, **_: Any) -> None:
            if endpoint == "userinfo":
                process.stop()

        visitor = Visitor(make(provider, process.url, PARJAR_USERINFO=True), provider)
        visitor.log_in()
        say(provider, org="other")
        age(visitor, left=60)
        with provider_called.connected_to(stop):
            seen = visitor.get("/renew")
        assert seen.json["after"]["org"] == "other"


@pytest.mark.parametrize("fault", [None, "refresh_session_expiry_past"])
def test_a_session_that_ends_during_a_renewal_stays_ended(
    visitor: Visitor, provider: DevProvider, fault: str | None
) -> None:
    def clear(app: Flask, endpoint: str, **_: Any) -> None:
        if endpoint == "token":
            session.clear()

    say(provider, org="other")
    age(visitor, left=60)
    if fault:
        provider.fault(fault)
    with provider_called.connected_to(clear):
        visitor.get("/token")
    assert visitor.get("/me").status_code == 302


def test_of_two_renewals_the_later_one_counts(provider: DevProvider) -> None:
    """Whichever of them comes first to the store."""
    visitor = Visitor(make(provider, "memory"), provider)
    visitor.log_in()
    runtime = visitor.app.extensions["parjar"]
    client = Registration("default", ISSUER, runtime.providers["default"].client.client_id)
    with visitor.app.app_context():
        (entry,) = runtime.sessions.find(client, "ada")
        for org, at in (("new", 20), ("old", 10)):
            runtime.sessions.renew(entry, RenewedClaims({"org": org}, ("openid",), at), ttl=60)
    assert claims_of(visitor) == {"org": "new"}
