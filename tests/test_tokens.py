"""Tokens after a login: alive when asked for, renewed once, sealed wherever they lie."""

from __future__ import annotations

import contextlib
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, jsonify, request, session
from werkzeug.test import TestResponse, run_wsgi_app

from flask_parjar import (
    AccessDenied,
    Identity,
    LoginOptions,
    ParJar,
    current_user,
    logged_in,
    provider_called,
    scopes_required,
    tokens_refreshed,
)
from flask_parjar.flows.session_registry import Registration
from flask_parjar.testing import DevProvider, Person
from flask_parjar.testing.serving import wsgi_pool
from tests.support.after_login import (
    COOKIES,
    age,
    all_of,
    attempt_renewal,
    copy_of,
    everything_logged,
    move_cookies,
    renewals,
    set_provider_clock,
    store_address,
    token_site,
    token_views,
    use_sockets,
)
from tests.support.clock import WallClock
from tests.support.headers import FROM_HERE, SCRIPT
from tests.support.pages import code_of
from tests.support.redis_process import RedisProcess
from tests.support.site import ISSUER, Visitor, make_site, make_site_of_two
from tests.support.threads import at_once, switching_often
from tests.test_callback import signature_of_flask_s_session

STORES = ("cookie", "memory", "redis")
LOST = ("tokens_missing", 401)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, redis_process: RedisProcess) -> str:
    """What stands in PARJAR_STORE."""
    return store_address(request.param, redis_process)


@pytest.fixture
def visitor(provider: DevProvider, store: str) -> Visitor:
    """Somebody who is logged in, and whose tokens are kept; the provider's calls are forgotten."""
    somebody = Visitor(token_site(provider, store), provider)
    assert somebody.log_in().location == "/"
    provider.calls.clear()
    return somebody


@pytest.fixture
def switch_often() -> Iterator[None]:
    with switching_often():
        yield


def opens(provider: DevProvider, token: str) -> str | None:
    """Whose userinfo an access token opens at the provider."""
    answer = provider.app.test_client().get(
        "/userinfo", base_url=ISSUER, headers={"Authorization": f"Bearer {token}"}
    )
    return answer.json["sub"] if answer.status_code == 200 else None


def script_error(response: TestResponse) -> tuple[str, int]:
    """What a script is told."""
    return response.json["error"], response.status_code


# A live token.


def test_the_token_that_the_provider_gave(visitor: Visitor, provider: DevProvider) -> None:
    token = visitor.get("/token").text
    assert token == visitor.get("/kept").json["access_token"]
    assert visitor.get("/token").text == token
    assert provider.calls == []
    assert opens(provider, token) == "ada"


def test_a_token_that_is_due_is_renewed(visitor: Visitor, provider: DevProvider) -> None:
    heard: list[tuple[Any, str, str]] = []

    def hear(sender: Any, identity: Identity, **_: Any) -> None:
        heard.append((sender, identity.subject, identity.provider))

    before = visitor.get("/kept").json
    age(visitor, left=60)
    with tokens_refreshed.connected_to(hear):
        token = visitor.get("/token").text
        assert visitor.get("/token").text == token
    assert heard == [(visitor.app, "ada", "default")]
    assert [call.endpoint for call in provider.calls if call.endpoint != "jwks"] == ["token"]
    after = visitor.get("/kept").json
    assert after["access_token"] == token
    for name in ("access_token", "refresh_token", "id_token"):
        assert after[name] != before[name], name
    assert after["scopes"] == before["scopes"]
    assert abs(after["expires_at"] - time.time() - 600) < 5
    assert after["expires_at"] - after["renew_at"] == 30
    assert opens(provider, token) == "ada"
    assert visitor.get("/me").json["sub"] == "ada"


def test_tokens_are_renewed_again_and_again(visitor: Visitor, provider: DevProvider) -> None:
    """Each refresh token is used once: the provider would detect a second use."""
    seen = {visitor.get("/token").text}
    for _ in range(4):
        age(visitor, left=-1)
        seen.add(visitor.get("/token").text)
    assert len(seen) == 5 and renewals(provider) == 4


def test_a_provider_whose_tokens_live_shortly(
    store: str, provider: DevProvider, wall_clock: WallClock
) -> None:
    provider.access_token_seconds = 1
    visitor = Visitor(token_site(provider, store), provider)
    visitor.log_in()
    first = visitor.get("/token").text
    assert visitor.get("/kept").json["renew_at"] == visitor.get("/kept").json["expires_at"]
    before = renewals(provider)
    wall_clock.turn(1.1)
    provider.access_token_seconds = 600
    assert visitor.get("/token").text != first
    assert renewals(provider) == before + 1


def test_many_requests_at_once_renew_once(visitor: Visitor, provider: DevProvider) -> None:
    """As a page with many parts does; at a provider that takes a second use for a theft."""
    before = visitor.get("/token").text
    age(visitor, left=-1)
    browsers = [copy_of(visitor) for _ in range(32)]
    heard: list[str] = []

    def hear(sender: Any, identity: Identity, **_: Any) -> None:
        heard.append(identity.subject)

    with tokens_refreshed.connected_to(hear):
        answers = at_once([partial(each.get, "/token") for each in browsers])
    assert {answer.status_code for answer in answers} == {200}
    (token,) = {answer.text for answer in answers}
    assert token != before and opens(provider, token) == "ada"
    assert renewals(provider) == 1 and heard == ["ada"]
    # Whichever answer the browser kept, it has the tokens that hold.
    age(browsers[7], left=-1)
    assert opens(provider, browsers[7].get("/token").text) == "ada"


@pytest.mark.parametrize("late_in_its_second", [True, False])
def test_whichever_answer_a_browser_keeps_it_has_the_newest_tokens(
    provider: DevProvider, switch_often: None, late_in_its_second: bool
) -> None:
    """Also at a process that did not see the renewal, and whatever part of a second it is."""
    key = provider.config()["PARJAR_SIGNING_KEY"]
    here, there = (token_site(provider, "cookie", PARJAR_SIGNING_KEY=key) for _ in range(2))
    visitor = Visitor(here, provider)
    visitor.log_in()
    while late_in_its_second and time.time() % 1 < 0.8:
        time.sleep(0.05)
    age(visitor, left=-1)
    while late_in_its_second and time.time() % 1 > 0.5:
        time.sleep(0.05)
    browsers = [copy_of(visitor) for _ in range(4)]
    answers = at_once([partial(each.get, "/token") for each in browsers])
    (token,) = {answer.text for answer in answers}
    for each in browsers:
        assert copy_of(each, there).get("/token").text == token
    assert renewals(provider) == 1


# What is known of the tokens.


def told_views(app: Flask, parjar: ParJar) -> None:
    """Views that show what an app may know of the tokens, and what it sends to an API."""
    token_views(app, parjar)

    @app.get("/tokens")
    def tokens() -> Any:
        found = parjar.tokens()
        return jsonify(
            access_token=found.access_token,
            token_type=found.token_type.lower(),
            expires_at=found.expires_at,
            scopes=sorted(found.scopes),
            authorization_details=list(found.authorization_details or ()),
        )

    @app.get("/headers")
    def headers() -> Any:
        url = "https://api.example/v1/orders?open=yes"
        return jsonify(dict(parjar.authorization_headers("GET", url)))

    app.get("/offline")(scopes_required("offline_access")(lambda: "in"))


@pytest.fixture
def told(provider: DevProvider, store: str) -> Visitor:
    """Somebody who is logged in at a site with those views."""
    somebody = Visitor(token_site(provider, store, prepare=told_views), provider)
    somebody.log_in()
    return somebody


def test_an_app_knows_how_long_its_tokens_live_and_for_what(
    told: Visitor, provider: DevProvider
) -> None:
    now = time.time()
    found = told.get("/tokens").json
    assert found.pop("access_token") == told.get("/token").text
    assert abs(found.pop("expires_at") - now - provider.access_token_seconds) < 10
    assert found == {
        "token_type": "bearer",
        "scopes": ["offline_access", "openid", "profile"],
        "authorization_details": [],
    }
    age(told, left=-1)
    renewed = told.get("/tokens").json
    assert renewed["access_token"] == told.get("/token").text
    assert renewed["expires_at"] > now + 10
    assert renewals(provider) == 1


def test_an_app_knows_what_to_send_with_a_client_of_its_own(
    told: Visitor, provider: DevProvider
) -> None:
    assert told.get("/headers").json == {"Authorization": f"Bearer {told.get('/token').text}"}
    age(told, left=-1)
    header = told.get("/headers").json["Authorization"]
    assert opens(provider, header.removeprefix("Bearer ")) == "ada"
    assert renewals(provider) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example/v1",
        "//api.example/v1",
        "/v1",
        "https://",
        "https://ada:secret@api.example/",
        "ftp://api.example/",
        "",
        None,
    ],
)
def test_no_headers_are_given_for_a_url_that_would_carry_a_token_in_clear_text(
    provider: DevProvider, url: Any
) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/call")(lambda: parjar.authorization_headers("GET", url))

    app = token_site(provider, "memory", prepare=prepare)
    app.testing = True
    visitor = Visitor(app, provider)
    visitor.log_in()
    with pytest.raises(ValueError):
        visitor.get("/call")


def test_headers_are_given_for_an_api_on_this_machine(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/call")(lambda: parjar.authorization_headers("GET", "http://127.0.0.1:9000/v1"))

    visitor = Visitor(token_site(provider, "memory", prepare=prepare), provider)
    visitor.log_in()
    assert list(visitor.get("/call").json) == ["Authorization"]


def test_the_repr_of_the_tokens_shows_no_token(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/shown")
        def shown() -> Any:
            found = parjar.tokens()
            return jsonify(shown=repr(found), token=found.access_token)

    visitor = Visitor(token_site(provider, "memory", prepare=prepare), provider)
    visitor.log_in()
    found = visitor.get("/shown").json
    assert "Bearer" in found["shown"] and found["token"] not in found["shown"]


@pytest.mark.parametrize("path", ["/tokens", "/headers"])
def test_there_is_nothing_to_know_where_there_are_no_tokens(
    told: Visitor, provider: DevProvider, path: str
) -> None:
    assert script_error(Visitor(told.app, provider).get(path, headers=SCRIPT)) == (
        "login_required",
        401,
    )
    told.post("/logout", headers=FROM_HERE)
    assert script_error(told.get(path, headers=SCRIPT)) == ("login_required", 401)


def test_a_refresh_that_narrows_what_a_token_is_for_narrows_who_may_see_a_page(
    told: Visitor, provider: DevProvider
) -> None:
    age(told, left=-1)
    with provider.fault("token_scope_narrower"):
        assert told.get("/tokens").json["scopes"] == ["openid"]
    assert told.get("/offline").status_code == 403
    assert told.get("/me").json["scopes"] == ["openid"]


# Renewals.


def test_what_a_refresh_leaves_out_stays(visitor: Visitor, provider: DevProvider) -> None:
    before = visitor.get("/kept").json
    age(visitor, left=-1)
    with provider.fault("refresh_without_id_token"), provider.fault("refresh_without_new_token"):
        visitor.get("/token")
    after = visitor.get("/kept").json
    assert (after["id_token"], after["refresh_token"]) == (
        before["id_token"],
        before["refresh_token"],
    )
    assert after["access_token"] != before["access_token"]


def test_a_token_without_an_end_is_not_renewed(store: str, provider: DevProvider) -> None:
    visitor = Visitor(token_site(provider, store), provider)
    with provider.fault("token_expires_in_missing"):
        visitor.log_in()
    kept = visitor.get("/kept").json
    assert (kept["expires_at"], kept["renew_at"]) == (None, None)
    assert visitor.get("/token").text == kept["access_token"]
    assert renewals(provider) == 0


def fresh_token_view(app: Flask, parjar: ParJar) -> None:
    """The token views, and one that has the access token renewed whatever its age."""
    token_views(app, parjar)

    @app.get("/fresh-token")
    def fresh_token() -> str:
        return parjar.access_token(fresh=True)


@pytest.mark.parametrize("fault", ["token_expires_in_missing", None])
def test_an_app_may_have_a_token_renewed_before_its_time(
    store: str, provider: DevProvider, fault: str | None
) -> None:
    """Where the provider does not say when it ends, the app alone knows that it has."""
    visitor = Visitor(token_site(provider, store, prepare=fresh_token_view), provider)
    with contextlib.ExitStack() as faults:
        if fault is not None:
            faults.enter_context(provider.fault(fault))
        visitor.log_in()
        before = visitor.get("/token").text
        answer = visitor.get("/fresh-token")
        assert answer.status_code == 200
        assert answer.text != before and opens(provider, answer.text) == "ada"
        assert visitor.get("/token").text == answer.text
    assert renewals(provider) == 1


def test_a_token_that_cannot_be_renewed_before_its_time(store: str, provider: DevProvider) -> None:
    visitor = Visitor(token_site(provider, store, prepare=fresh_token_view), provider)
    visitor.log_in()
    with provider.fault("refresh_invalid_grant"):
        script = visitor.get("/fresh-token", headers=SCRIPT)
    assert script.status_code == 401
    assert script_error(script) == ("refresh_refused", 401)
    assert visitor.get("/kept").json is None


def test_many_that_ask_for_a_fresh_token_at_once_get_the_same(
    store: str, provider: DevProvider, switch_often: None
) -> None:
    visitor = Visitor(token_site(provider, store, prepare=fresh_token_view), provider)
    visitor.log_in()
    before = visitor.get("/token").text
    browsers = [copy_of(visitor) for _ in range(8)]
    with provider.fault("refresh_slow"):
        answers = at_once(partial(each.get, "/fresh-token") for each in browsers)
    (token,) = {answer.text for answer in answers}
    assert token != before and opens(provider, token) == "ada"
    assert renewals(provider) == 1


@pytest.mark.parametrize(
    "fault, code, status",
    [
        ("refresh_503", "provider_busy", 503),
        ("token_500", "provider_failed", 502),
        ("token_error_invalid_client", "client_refused", 502),
    ],
)
def test_a_fresh_token_that_cannot_be_had_now_is_an_error_and_the_old_one_stays(
    store: str, provider: DevProvider, fault: str, code: str, status: int
) -> None:
    """The app said that it is of no use, so it does not get it again."""
    visitor = Visitor(token_site(provider, store, prepare=fresh_token_view), provider)
    visitor.log_in()
    before = visitor.get("/token").text
    with provider.fault(fault):
        assert script_error(visitor.get("/fresh-token", headers=SCRIPT)) == (code, status)
    assert visitor.get("/token").text == before


def test_without_a_refresh_token_a_fresh_token_needs_a_login(
    store: str, provider: DevProvider
) -> None:
    """One, and no circle of them."""
    app = token_site(provider, store, prepare=fresh_token_view, PARJAR_SCOPES="openid")
    visitor = Visitor(app, provider)
    visitor.log_in()
    assert script_error(visitor.get("/fresh-token", headers=SCRIPT)) == LOST
    page = visitor.get("/fresh-token")
    assert page.status_code == 302
    page = visitor.get(visitor.log_in(page.location).location)
    assert (page.status_code, code_of(page)) == (500, "tokens_lost")


@pytest.mark.parametrize(
    "resource", ["https://a.example/", ["https://a.example/", "https://b.example/"]]
)
@pytest.mark.parametrize("where", ["the configuration", "the login"])
def test_the_apis_that_a_login_asked_for_are_named_in_each_token_request(
    provider: DevProvider, where: str, resource: str | list[str]
) -> None:
    """RFC 8707 section 2.2; some providers give a token for none of them otherwise."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        token_views(app, parjar)

        @app.get("/for-apis")
        def for_apis() -> Any:
            return parjar.login(LoginOptions(resource=resource if where == "the login" else None))

    config = {"resource": resource} if where == "the configuration" else {}
    app = token_site(provider, "memory", prepare=prepare, PARJAR_AUTHORIZATION_PARAMS=config)
    visitor = Visitor(app, provider)
    assert visitor.log_in("/for-apis").location == "/"
    age(visitor, left=-1)
    assert visitor.get("/token").status_code == 200
    forms = [call.form for call in provider.calls if call.endpoint == "token"]
    wanted = [resource] if isinstance(resource, str) else resource
    assert [form.getlist("resource") for form in forms] == [wanted, wanted]


def test_another_login_has_other_tokens(visitor: Visitor, provider: DevProvider) -> None:
    other = Visitor(visitor.app, provider)
    other.log_in(person="grace")
    tokens = [each.get("/token").text for each in (visitor, other)]
    assert [opens(provider, token) for token in tokens] == ["ada", "grace"]
    visitor.log_in(person="grace")
    assert visitor.get("/token").text not in tokens
    assert other.get("/token").text == tokens[1]


def test_after_a_logout_there_are_none(visitor: Visitor) -> None:
    visitor.post("/logout", headers=FROM_HERE)
    assert visitor.get("/kept").json is None
    assert visitor.get("/token").status_code == 302
    assert all(visitor.client.get_cookie(name) is None for name in COOKIES[1:])


# Where it ends.


def test_a_refused_refresh_ends_the_tokens(visitor: Visitor, provider: DevProvider) -> None:
    age(visitor, left=60)
    with provider.fault("refresh_invalid_grant"):
        script = visitor.get("/token", headers=SCRIPT)
    assert script_error(script) == ("refresh_refused", 401)
    assert script.json["login_url"] == "/login?next=/token"
    assert visitor.get("/kept").json is None
    assert visitor.get("/me").status_code == 200  # the session itself is the site's
    provider.calls.clear()
    assert script_error(visitor.get("/token", headers=SCRIPT)) == LOST
    assert provider.calls == []
    page = visitor.get("/token")
    assert (page.status_code, page.location) == (302, "/login?next=/token")
    assert visitor.log_in(page.location).location == "/token"
    assert opens(provider, visitor.get("/token").text) == "ada"


def test_a_refused_refresh_leads_a_page_to_the_login(
    visitor: Visitor, provider: DevProvider
) -> None:
    age(visitor, left=60)
    with provider.fault("refresh_invalid_grant"):
        page = visitor.get("/token?x=1")
    assert (page.status_code, page.location) == (302, "/login?next=/token?x%3D1")


def test_without_a_refresh_token_it_ends_with_the_access_token(
    store: str, provider: DevProvider
) -> None:
    visitor = Visitor(token_site(provider, store, PARJAR_SCOPES="openid profile"), provider)
    visitor.log_in()
    provider.calls.clear()
    token = visitor.get("/token").text
    age(visitor, left=60)
    assert visitor.get("/token").text == token  # due, and nothing to renew it with
    age(visitor, left=0)
    assert script_error(visitor.get("/token", headers=SCRIPT)) == LOST
    assert visitor.get("/token").location == "/login?next=/token"
    assert provider.calls == []


@pytest.mark.parametrize(
    "fault, tokens_left", [("refresh_503", True), ("token_500", True), ("token_html", False)]
)
def test_while_the_provider_is_away_the_old_token_serves(
    visitor: Visitor, provider: DevProvider, fault: str, tokens_left: bool
) -> None:
    token = visitor.get("/token").text
    age(visitor, left=60)
    with provider.fault(fault):
        for _ in range(4):
            assert visitor.get("/token").text == token
    assert renewals(provider) == 1  # and the next try is a few seconds away
    kept = visitor.get("/kept").json
    assert kept["access_token"] == token
    assert (kept["refresh_token"] is not None) == tokens_left  # it was used up by a 200


@pytest.mark.parametrize(
    "fault, code, status", [("refresh_503", "provider_busy", 503), ("token_500", None, 502)]
)
def test_when_it_has_expired_the_page_says_so(
    visitor: Visitor, provider: DevProvider, fault: str, code: str | None, status: int
) -> None:
    age(visitor, left=-1)
    with provider.fault(fault):
        page = visitor.get("/token")
        assert (code_of(page), page.status_code) == (code or "provider_failed", status)
        for _ in range(3):
            again = visitor.get("/token", headers=SCRIPT)
            assert script_error(again) == ("provider_unreachable", 503)
    assert renewals(provider) == 1
    assert visitor.get("/kept").json is not None and visitor.get("/me").status_code == 200


def test_after_the_pause_it_is_tried_again(visitor: Visitor, provider: DevProvider) -> None:
    clock = set_provider_clock(visitor.app)
    age(visitor, left=60)
    with provider.fault("refresh_503"):
        visitor.get("/token")
    clock.now += 4.9
    visitor.get("/token")
    assert renewals(provider) == 1
    clock.now += 0.1
    assert opens(provider, visitor.get("/token").text) == "ada"
    assert renewals(provider) == 2


def test_one_pause_holds_for_all_sessions_of_a_provider(
    visitor: Visitor, provider: DevProvider
) -> None:
    """It is as long as the provider asks for, and a page that must wait says how long."""
    clock = set_provider_clock(visitor.app)
    others = [Visitor(visitor.app, provider) for _ in range(3)]
    for each in others:
        each.log_in("/login", "grace")
    for each in (visitor, *others):
        age(each, left=-1)
    with provider.fault("refresh_429"):
        assert visitor.get("/token").headers["Retry-After"] == "120"
    for each in (visitor, *others):
        page = each.get("/token")
        assert (page.status_code, page.headers["Retry-After"]) == (503, "120")
    clock.now += 119
    assert others[0].get("/token").headers["Retry-After"] == "1"
    assert renewals(provider) == 1
    clock.now += 1
    assert all(each.get("/token").status_code == 200 for each in (visitor, *others))
    assert renewals(provider) == 5


@pytest.mark.parametrize("fault", ["refresh_invalid_grant", "refresh_invalid_grant_401"])
def test_a_dead_refresh_token_leads_to_a_login(
    visitor: Visitor, provider: DevProvider, fault: str
) -> None:
    age(visitor, left=-1)
    with provider.fault(fault):
        assert visitor.get("/token").location == "/login?next=/token"
    assert visitor.log_in("/login?next=/token").location == "/token"
    assert opens(provider, visitor.get("/token").text) == "ada"


def test_a_refusal_in_other_words_leads_to_a_login_once_the_access_token_is_dead(
    visitor: Visitor, provider: DevProvider
) -> None:
    age(visitor, left=-1)
    with provider.fault("refresh_invalid_request"):
        assert visitor.get("/token").location == "/login?next=/token"


def test_a_worker_that_has_no_keys_yet_sends_no_refresh_token(
    visitor: Visitor, provider: DevProvider
) -> None:
    """It has just started, and the provider's keys are away: nothing is used up, nothing lost."""
    token = visitor.get("/token").text
    age(visitor, left=60)
    set_provider_clock(visitor.app)
    with provider.fault("jwks_500"):
        assert visitor.get("/token").text == token
        age(visitor, left=-1)
        page = visitor.get("/token")
    assert (code_of(page), renewals(provider)) == ("provider_failed", 0)
    set_provider_clock(visitor.app)  # (its own pause after a failed fetch is over)
    assert opens(provider, visitor.get("/token").text) == "ada"
    assert renewals(provider) == 1


def test_a_provider_whose_new_key_is_shown_late_costs_no_tokens(
    visitor: Visitor, provider: DevProvider
) -> None:
    """It signs with a key that its JWKS does not have yet: the ID token alone is left out."""
    before = visitor.get("/kept").json
    age(visitor, left=-1)
    with provider.fault("id_token_kid_unknown"):
        assert opens(provider, visitor.get("/token").text) == "ada"
    kept = visitor.get("/kept").json
    assert kept["id_token"] == before["id_token"]
    assert kept["refresh_token"] not in (before["refresh_token"], None)
    age(visitor, left=-1)
    assert opens(provider, visitor.get("/token").text) == "ada"
    assert visitor.get("/kept").json["id_token"] != before["id_token"]


def test_an_auth_time_that_has_moved_on_is_no_fault(
    visitor: Visitor, provider: DevProvider
) -> None:
    age(visitor, left=-1)
    with provider.fault("refresh_auth_time_moved"):
        assert opens(provider, visitor.get("/token").text) == "ada"


def test_a_provider_that_hangs_up_in_its_answer(visitor: Visitor, provider: DevProvider) -> None:
    """A 200 began to come, so the token was used up: the visitor logs in, and no theft is seen."""
    age(visitor, left=-1)
    with provider.fault("refresh_hangs_up"):
        assert visitor.get("/token").status_code == 503
    assert visitor.get("/token").location == "/login?next=/token"
    assert renewals(provider) == 1


def test_a_provider_that_is_slow(
    free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_parjar.testing.faults.tokens.SLOW_SECONDS", 1.5)
    provider = DevProvider(f"http://127.0.0.1:{free_port()}")
    app = token_site(provider, "memory", PARJAR_HTTP_TIMEOUT=1)
    use_sockets(app)
    visitor = Visitor(app, provider)
    with provider.running():
        visitor.log_in()
        token = visitor.get("/token").text
        age(visitor, left=60)
        with provider.fault("refresh_slow"):
            began = time.monotonic()
            assert visitor.get("/token").text == token
            assert time.monotonic() - began > 0.9
            assert visitor.get("/token").text == token
            assert renewals(provider) == 1  # the second request sent none


@pytest.mark.parametrize(
    "fault, code",
    [
        ("refresh_other_subject", "token_subject"),
        ("refresh_other_issuer", "token_issuer"),
        ("id_token_aud_foreign", "token_audience"),
        ("id_token_sub_missing", "token_subject"),
        ("refresh_tenant_other", "token_issuer"),
        ("refresh_tenant_foreign", "tenant_refused"),
        ("refresh_tenant_missing", "token_issuer"),
    ],
)
@pytest.mark.parametrize("where", ["memory", "cookie"])
def test_tokens_of_another_person_end_the_tokens(fault: str, code: str, where: str) -> None:
    assert attempt_renewal(fault, where) == (code, False)


@pytest.mark.parametrize(
    "fault",
    [
        "id_token_bad_signature",
        "id_token_alg_none",
        "id_token_typ_access_token",
        "id_token_expired",
        "id_token_iat_absurdly_old",
        "id_token_nonce_wrong",
        "id_token_at_hash_wrong",
        "id_token_is_number",
        "id_token_at_hash_missing",
        "id_token_aud_array",
    ],
)
@pytest.mark.parametrize("where", ["memory", "cookie"])
def test_an_id_token_that_cannot_be_proved_costs_no_tokens(fault: str, where: str) -> None:
    assert attempt_renewal(fault, where) == (None, True)


@pytest.mark.parametrize(
    "fault, code",
    [
        ("token_type_mac", "token_type"),
        ("token_access_token_missing", "token_response"),
        ("token_expires_in_string", "token_response"),
    ],
)
@pytest.mark.parametrize("where", ["memory", "cookie"])
def test_an_answer_without_usable_tokens_uses_the_refresh_token_up(
    fault: str, code: str, where: str
) -> None:
    """The access token is kept for as long as it lives: here it is dead."""
    assert attempt_renewal(fault, where) == (code, True)


def test_a_client_that_is_refused_keeps_its_tokens(visitor: Visitor, provider: DevProvider) -> None:
    """Our key or secret is wrong: that is ours to mend, and no reason to log everybody out."""
    age(visitor, left=-1)
    with provider.fault("token_error_invalid_client"):
        page = visitor.get("/token")
    assert (code_of(page), page.status_code) == ("client_refused", 502)
    assert visitor.get("/kept").json is not None


def test_there_is_no_token_where_no_one_is_logged_in(store: str, provider: DevProvider) -> None:
    anonymous = Visitor(token_site(provider, store), provider)
    assert anonymous.get("/token").location == "/login?next=/token"
    assert script_error(anonymous.get("/token", headers=SCRIPT)) == ("login_required", 401)


def test_a_session_from_before_the_site_had_a_store(store: str, provider: DevProvider) -> None:
    """Where the store knows the open sessions it is over; where it does not, it has no tokens."""
    before = Visitor(make_site(provider), provider)
    before.log_in()
    after = copy_of(before, token_site(provider, store))
    assert after.get("/me").status_code == (200 if store == "cookie" else 302)
    assert after.get("/token").location == "/login?next=/token"


def test_a_new_login_in_a_session_from_before_the_site_had_a_store_has_tokens(
    store: str, provider: DevProvider
) -> None:
    before = Visitor(make_site(provider), provider)
    before.log_in()
    after = copy_of(before, token_site(provider, store))
    assert after.log_in("/login?next=/token").location == "/token"
    assert after.get("/token").status_code == 200
    assert after.get("/me").status_code == 200


def test_a_site_without_a_store_is_told_what_to_write(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        told_views(app, parjar)
        app.add_url_rule("/api", "api", lambda: str(parjar.api("https://api.example")))

    app = make_site(provider, prepare=prepare)
    app.testing = True
    visitor = Visitor(app, provider)
    visitor.log_in()
    for path in ("/token", "/tokens", "/headers", "/api"):
        with pytest.raises(RuntimeError, match=r"PARJAR_STORE.*cookie.*redis://"):
            visitor.get(path)


def test_several_providers(store: str) -> None:
    """Tokens are renewed where they came from."""
    app, work, home = make_site_of_two(lambda work, **config: token_site(work, store, **config))
    visitor = Visitor(app, home)
    visitor.log_in("/login/home")
    age(visitor, left=-1)
    assert visitor.get("/token").status_code == 200
    assert (renewals(work), renewals(home)) == (0, 1)


# Sealed wherever they lie.


class Witness:
    """Everything that leaves a site in one test: cookies, pages, log lines, signals."""

    def __init__(self, visitor: Visitor, log: pytest.LogCaptureFixture) -> None:
        self.visitor = visitor
        self.seen: list[str] = []
        self.cookies: list[str] = []
        self._log = log

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.noted(self.visitor.get(path, **more))

    def post(self, path: str, **more: Any) -> TestResponse:
        return self.noted(self.visitor.post(path, **more))

    def noted(self, response: TestResponse) -> TestResponse:
        self.seen.append(f"{response.status}\n{response.headers}\n{response.text}")
        self.cookies += response.headers.getlist("Set-Cookie")
        with self.visitor.client.session_transaction() as stored:
            self.seen.append(json.dumps(dict(stored)))
        return response

    def hear(self, sender: Any, **said: Any) -> None:
        self.seen.append(repr(said))

    def everything(self) -> str:
        lines = [repr(record.__dict__) for record in self._log.records]
        return "\n".join([*self.seen, *self.cookies, *lines, self._log.text])


def pieces(kept: dict[str, Any]) -> Iterable[str]:
    """What of a set of tokens no one may read: whole, and in its parts."""
    for name in ("access_token", "refresh_token", "id_token"):
        yield kept[name]
        yield kept[name][-24:]
    yield from kept["id_token"].split(".")[1:]


@pytest.mark.parametrize("name", STORES)
def test_no_token_is_ever_seen(
    provider: DevProvider,
    redis_process: RedisProcess,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    person = Person("a-name-that-is-found-nowhere", {"name": "Somebody"})
    provider.people[person.username] = person
    address = store_address(name, redis_process)
    app = token_site(provider, address)
    app.debug = True
    visitor = Visitor(app, provider)
    witness, secret, stored = Witness(visitor, caplog), set[str](), dict[str, str]()

    def look() -> None:
        secret.update(pieces(visitor.get("/kept").json))
        with redis_process.client() as client:
            stored.update(all_of(client))
            for key in client.scan_iter("*"):
                assert client.ttl(key) > 0, key  # type: ignore[operator]

    caplog.handler.setLevel(logging.DEBUG)
    with everything_logged(), provider_called.connected_to(witness.hear):
        callback = visitor.come_back(visitor.leave("/login?next=/me"), person.username)
        witness.get(callback)
        look()
        witness.get("/me")
        age(visitor, left=60)
        with provider.fault("refresh_503"):
            assert visitor.get("/token").status_code == 200
        witness.get(callback)
        again = Visitor(app, provider)
        again.log_in(person=person.username)
        age(again, left=-1)
        secret.update(pieces(again.get("/kept").json))
        for fault in ("refresh_503", "refresh_other_subject"):
            with provider.fault(fault):
                witness.noted(again.get("/token"))
        look()
        provider.end_session("grace")
        witness.post("/backchannel-logout", data={"logout_token": "x.y.z"})
        kept = visitor.get("/kept").json
        away = visitor.post("/logout", headers=FROM_HERE)
        assert kept["id_token"] in away.location  # the one place where it belongs
    everything = witness.everything()
    assert "refresh_token" in everything and len(secret) >= 14
    assert "token: HTTP 200, ok" in everything  # (logged at DEBUG)
    for piece in secret:
        assert piece not in everything
        assert all(piece not in f"{key} {value}" for key, value in stored.items())
    if name == "redis":
        assert sum(":tokens:" in key for key in stored) == 2
        assert sum(":session:" in key for key in stored) == 2
        assert all(key.startswith("parjar:tests.support.site:") for key in stored)
        assert person.username not in repr(stored)
    else:
        assert stored == {}


def morsels(cookies: Iterable[str]) -> dict[str, dict[str, str]]:
    """The attributes of cookies that are set, by name."""
    found: dict[str, dict[str, str]] = {}
    for header in cookies:
        pair, *attributes = header.split("; ")
        named = (attribute.partition("=") for attribute in attributes)
        found[pair.partition("=")[0]] = {key.lower(): value or "yes" for key, _, value in named}
    return found


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_SAMESITE": "None"},
        {"SESSION_COOKIE_SAMESITE": "Strict", "SESSION_COOKIE_PATH": "/"},
        {"SESSION_COOKIE_NAME": "sid"},
        {"SESSION_COOKIE_NAME": "__Host-id", "SESSION_COOKIE_SECURE": True},
        {"SESSION_COOKIE_PARTITIONED": True, "SESSION_COOKIE_SECURE": True},
        {"SESSION_COOKIE_DOMAIN": "localhost"},
        {"PARJAR_REDIRECT_URI": "https://localhost/callback"},
    ],
)
def test_the_cookies_are_as_the_session_s(provider: DevProvider, config: dict[str, Any]) -> None:
    app = token_site(provider, "cookie", **config)
    visitor = Visitor(app, provider, base_url="https://localhost")
    response = visitor.get(visitor.come_back(visitor.leave("/login")))
    found = morsels(response.headers.getlist("Set-Cookie"))
    name = config.get("SESSION_COOKIE_NAME", "session")
    assert found[f"{name}_parjar_tokens_0"] == found[name]
    assert found[name]["httponly"] == "yes" and found[name]["path"] == "/"
    secure = "PARJAR_REDIRECT_URI" in config or config.get("SESSION_COOKIE_SECURE", False)
    assert ("secure" in found[name]) is secure
    assert "Cookie" in response.headers["Vary"]
    gone = visitor.post("/logout", headers=FROM_HERE).headers.getlist("Set-Cookie")
    left = morsels(gone)[f"{name}_parjar_tokens_0"]
    assert (left.pop("max-age"), left.pop("expires")[-3:]) == ("0", "GMT")
    assert left == found[name]  # or it would stay


def test_a_session_that_outlives_the_browser_keeps_its_tokens(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        token_views(app, parjar)

        @app.before_request
        def stay() -> None:
            session.permanent = True

    visitor = Visitor(token_site(provider, "cookie", prepare=prepare), provider)
    visitor.log_in()
    age(visitor, left=-1)
    found = morsels(visitor.get("/token").headers.getlist("Set-Cookie"))
    assert found["session_parjar_tokens_0"] == found["session"]
    assert "expires" in found["session"]


def test_unchanged_tokens_are_not_set_again(provider: DevProvider) -> None:
    visitor = Visitor(token_site(provider, "cookie"), provider)
    visitor.log_in()
    for path in ("/", "/me", "/token"):
        assert "Set-Cookie" not in visitor.get(path).headers


@pytest.fixture
def person_with(provider: DevProvider) -> Callable[[int], str]:
    """Let somebody live at the provider of whom so many letters are told."""

    def make(size: int) -> str:
        name = f"p{size}"
        # What no compression would shorten.
        provider.people[name] = Person(name, {"name": name, "org": uuid.uuid4().hex * (size // 32)})
        return name

    return make


def token_cookies(visitor: Visitor) -> list[str]:
    found = [visitor.client.get_cookie(name) for name in COOKIES[1:]]
    return [each.key for each in found if each is not None]


def test_large_tokens_lie_in_several_cookies_and_leave_none_behind(
    provider: DevProvider, person_with: Callable[[int], str]
) -> None:
    visitor = Visitor(token_site(provider, "cookie"), provider)
    response = visitor.log_in(person=person_with(1600))
    assert token_cookies(visitor) == ["session_parjar_tokens_0", "session_parjar_tokens_1"]
    assert all(len(header) < 4096 for header in response.headers.getlist("Set-Cookie"))
    kept = visitor.get("/kept").json
    assert len(kept["id_token"]) > 2000
    age(visitor, left=-1)
    assert visitor.get("/token").status_code == 200
    assert len(token_cookies(visitor)) == 2
    response = visitor.log_in(person="ada")
    assert token_cookies(visitor) == ["session_parjar_tokens_0"]
    gone = [h for h in response.headers.getlist("Set-Cookie") if "parjar_tokens_1" in h]
    assert len(gone) == 1 and "Max-Age=0" in gone[0]
    assert opens(provider, visitor.get("/token").text) == "ada"


def test_where_the_id_token_does_not_fit_it_stays_out(
    provider: DevProvider, person_with: Callable[[int], str]
) -> None:
    visitor = Visitor(token_site(provider, "cookie"), provider)
    name = person_with(4000)
    visitor.log_in(person=name)
    assert token_cookies(visitor) == ["session_parjar_tokens_0"]
    kept = visitor.get("/kept").json
    assert kept["id_token"] == "" and kept["refresh_token"]
    assert opens(provider, visitor.get("/token").text) == name
    sent = visitor.post("/logout", headers=FROM_HERE).location
    assert "id_token_hint" not in sent and f"logout_hint={name}" in sent


def test_tokens_without_their_id_token_are_renewed(
    provider: DevProvider, person_with: Callable[[int], str]
) -> None:
    """The provider sends the ID token that was left out once more: it must not stand in the way."""
    visitor = Visitor(token_site(provider, "cookie"), provider)
    name = person_with(4000)
    visitor.log_in(person=name)
    tokens = {visitor.get("/token").text}
    for _ in range(3):
        age(visitor, left=-1)
        response = visitor.get("/token")
        assert response.status_code == 200, code_of(response)
        tokens.add(response.text)
        assert opens(provider, response.text) == name
    assert len(tokens) == 4 and visitor.get("/kept").json["id_token"] == ""


def test_tokens_that_grow_are_kept_without_the_id_token(
    provider: DevProvider, person_with: Callable[[int], str]
) -> None:
    visitor = Visitor(token_site(provider, "cookie"), provider)
    name = person_with(1600)
    visitor.log_in(person=name)
    provider.people[name].claims["more"] = "x" * 2400  # type: ignore[index]
    age(visitor, left=-1)
    assert opens(provider, visitor.get("/token").text) == name
    kept = visitor.get("/kept").json
    assert (kept["id_token"], opens(provider, kept["access_token"])) == ("", name)


class LongTokens:
    """A provider's app whose refresh tokens are longer than they were made."""

    def __init__(self, app: Any, size: int) -> None:
        self._app = app
        self._size = size

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        pieces, status, headers = run_wsgi_app(self._app, environ)
        body = b"".join(pieces)
        if environ["PATH_INFO"] == "/token" and status.startswith("200"):
            document = json.loads(body)
            document["refresh_token"] = uuid.uuid4().hex * (self._size // 32)
            body = json.dumps(document).encode()
            headers["Content-Length"] = str(len(body))
        start_response(status, list(headers.items()))
        return [body]


def test_tokens_that_do_not_fit_are_an_error_before_any_cookie_is_set(
    provider: DevProvider,
) -> None:
    app = token_site(provider, "cookie")
    visitor = Visitor(app, provider)
    visitor.log_in()
    http = app.extensions["parjar"].providers["default"].http
    http.mount(ISSUER, wsgi_pool(LongTokens(provider.app, 6000), ISSUER))
    response = visitor.log_in(person="grace")
    assert (code_of(response), response.status_code) == ("tokens_too_large", 500)
    assert "redis://" not in response.text  # that is for the log
    for name, attributes in morsels(response.headers.getlist("Set-Cookie")).items():
        assert attributes.get("max-age") == "0", name
    assert visitor.get("/me").status_code == 302
    assert visitor.get("/kept").json is None
    http.mount(ISSUER, wsgi_pool(provider.app, ISSUER))
    assert visitor.log_in().location == "/"
    assert opens(provider, visitor.get("/token").text) == "ada"


def two_visitors(provider: DevProvider) -> tuple[Visitor, Visitor, Flask]:
    """Two who are logged in, and another process of their site."""
    key = provider.config()["PARJAR_SIGNING_KEY"]
    here, there = (token_site(provider, "cookie", PARJAR_SIGNING_KEY=key) for _ in range(2))
    ada, grace = Visitor(here, provider), Visitor(here, provider)
    ada.log_in()
    grace.log_in(person="grace")
    return ada, grace, there


def test_sealed_cookies_open_in_no_other_session(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    ada, grace, there = two_visitors(provider)
    assert copy_of(ada, there).get("/token").text == ada.get("/token").text
    for place in (ada.app, there):
        thief = copy_of(ada, place)
        move_cookies(grace, thief, COOKIES[1:])
        assert script_error(thief.get("/token", headers=SCRIPT)) == LOST
        assert thief.get("/kept").json is None
    assert "SECRET_KEY" in caplog.text
    other = Visitor(there, provider)
    other.log_in()  # the same person's other session
    again = copy_of(other, ada.app)
    move_cookies(ada, again, COOKIES[1:])
    assert script_error(again.get("/token", headers=SCRIPT)) == LOST


@pytest.mark.parametrize("change", range(7))
def test_a_changed_cookie_leads_to_the_login(provider: DevProvider, change: int) -> None:
    ada, grace, there = two_visitors(provider)
    victim = copy_of(ada, there)
    found = victim.client.get_cookie(COOKIES[1])
    assert found is not None
    written, count, end, sealed = found.value.split(".", 3)
    head = f"{written}.{count}.{end}"
    other = grace.client.get_cookie(COOKIES[1])
    assert other is not None
    changed = [
        f"{head}.{sealed[:-9]}{'A' if sealed[-9] != 'A' else 'B'}{sealed[-8:]}",
        f"{head}.{sealed[:200]}{'A' if sealed[200] != 'A' else 'B'}{sealed[201:]}",
        f"{head}.{other.value.split('.', 3)[3]}",
        f"{written}.{count}.{int(time.time() - 1) * 1000}.{sealed}",
        sealed,
        "x" * 3000,
        "",
    ][change]
    victim.client.set_cookie(COOKIES[1], changed)
    assert script_error(victim.get("/token", headers=SCRIPT)) == LOST
    assert victim.get("/token").location == "/login?next=/token"
    assert victim.get("/me").status_code == 200


def test_too_many_or_too_long_cookies_are_not_read(
    provider: DevProvider, person_with: Callable[[int], str]
) -> None:
    _, _, there = two_visitors(provider)
    visitor = Visitor(there, provider)
    visitor.log_in(person=person_with(1600))
    first, second = (visitor.client.get_cookie(name) for name in COOKIES[1:3])
    assert first is not None and second is not None
    whole = Visitor(there, provider)
    for name, value in (
        (COOKIES[1], first.value + second.value[:900]),
        (COOKIES[2], "x" * 3001),
    ):
        whole.client.set_cookie(name, value)
    move_cookies(visitor, whole, ("session",))
    # (The process that wrote them a moment ago would know them still.)
    key = there.config["PARJAR_SIGNING_KEY"]
    misconfigured = copy_of(whole, token_site(provider, "cookie", PARJAR_SIGNING_KEY=key))
    assert script_error(misconfigured.get("/token", headers=SCRIPT)) == LOST
    alone = copy_of(visitor, misconfigured.app)
    alone.client.delete_cookie(COOKIES[1])
    assert script_error(alone.get("/token", headers=SCRIPT)) == LOST
    for number in range(2, 30):
        alone.client.set_cookie(f"session_parjar_tokens_{number}", "x")
    response = alone.log_in()
    cleared = [h for h in response.headers.getlist("Set-Cookie") if "Max-Age=0" in h]
    assert len(cleared) == 29


def test_nothing_of_ours_is_left_after_a_logout(provider: DevProvider) -> None:
    visitor = Visitor(token_site(provider, "cookie"), provider)
    visitor.log_in()
    age(visitor, left=60)
    with provider.fault("refresh_503"):
        visitor.get("/token")
    visitor.post("/logout", headers=FROM_HERE)
    jar = visitor.client._cookies  # werkzeug's client lists its cookies nowhere else
    assert [cookie.key for cookie in jar.values() if "parjar" in cookie.key] == []


# Keys, deployments, apps.


def test_a_new_secret_key(visitor: Visitor, provider: DevProvider) -> None:
    token = visitor.get("/token").text
    app = visitor.app
    app.config.update(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["older", "of the tests"])
    if "fallback_keys" not in signature_of_flask_s_session():
        # Flask 3.0 has no former keys: its own session is lost, and everybody logs in again.
        assert visitor.get("/token").status_code == 302
        visitor.log_in()
        token = visitor.get("/token").text
    assert visitor.get("/token").text == token
    age(visitor, left=-1)
    renewed = visitor.get("/token").text
    assert opens(provider, renewed) == "ada"
    visitor.log_in()  # (writes the session anew, with the new key)
    app.config.update(SECRET_KEY_FALLBACKS=[])
    assert opens(provider, visitor.get("/token").text) == "ada"
    app.config.update(SECRET_KEY="another")
    assert visitor.get("/token").status_code == 302


def test_tokens_sealed_with_a_key_that_is_gone(
    provider: DevProvider, redis_process: RedisProcess
) -> None:
    """Where only the session moved on: as nothing to read, and no error."""
    app = token_site(provider, store_address("redis", redis_process))
    visitor = Visitor(app, provider)
    visitor.log_in()
    with visitor.client.session_transaction() as stored:
        content = dict(stored)
    app.config.update(SECRET_KEY="new")
    with visitor.client.session_transaction() as stored:
        stored.update(content)
    assert visitor.get("/me").status_code == 200
    assert script_error(visitor.get("/token", headers=SCRIPT)) == LOST


# Logins that come to nothing.


@pytest.mark.parametrize("by", ["user_loader", "receiver"])
def test_the_tokens_of_a_login_that_is_refused_are_revoked(
    store: str, provider: DevProvider, by: str
) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        if by == "user_loader":
            parjar.user_loader(lambda identity: None)

    def refuse(sender: Any, **said: Any) -> None:
        raise AccessDenied("insufficient_claims")

    app = token_site(provider, store, prepare=prepare)
    if by == "receiver":
        logged_in.connect(refuse, app)
    visitor = Visitor(app, provider)
    assert visitor.log_in().status_code == 403
    assert revocations(provider) == ["refresh_token", "access_token"]
    assert visitor.get("/me").status_code == 302


def test_the_tokens_of_a_session_that_a_frame_has_ended_are_revoked(
    visitor: Visitor, provider: DevProvider
) -> None:
    token, me = visitor.get("/token").text, visitor.get("/me").json
    frame = {"iss": me["iss"], "sid": me["claims"]["sid"]}
    assert visitor.client.get("/frontchannel-logout", query_string=frame).status_code == 200
    assert visitor.get("/me").status_code == 302
    assert revocations(provider) == ["refresh_token", "access_token"]
    assert opens(provider, token) is None


def revocations(provider: DevProvider) -> list[str]:
    """What kinds of tokens were given back, in order."""
    calls = [call for call in provider.calls if call.endpoint == "revocation"]
    return [call.form["token_type_hint"] for call in calls]


def test_two_deployments_on_one_redis(provider: DevProvider, redis_process: RedisProcess) -> None:
    """With a SECRET_KEY each they neither read nor destroy what is the other's."""
    address = store_address("redis", redis_process)
    key = provider.config()["PARJAR_SIGNING_KEY"]
    blue, green = (
        token_site(provider, address, SECRET_KEY=secret, PARJAR_SIGNING_KEY=key)
        for secret in ("blue", "green")
    )
    here, there = Visitor(blue, provider), Visitor(green, provider)
    here.log_in()
    there.log_in()
    tokens = [each.get("/token").text for each in (here, there)]
    assert len({*tokens}) == 2
    assert copy_of(here, green).get("/token").status_code == 302
    for each in (here, there):
        age(each, left=-1)
        assert opens(provider, each.get("/token").text) == "ada"
    there.post("/logout", headers=FROM_HERE)
    assert here.get("/me").status_code == 200
    assert opens(provider, here.get("/token").text) == "ada"
    with green.app_context():
        sessions = green.extensions["parjar"].sessions
        assert sessions.find_all(Registration("default", ISSUER, "flask-parjar")) == []


def test_two_apps_on_one_redis(provider: DevProvider, redis_process: RedisProcess) -> None:
    address = store_address("redis", redis_process)
    first = token_site(provider, address)
    second = token_site(provider, address, PARJAR_CLIENT_ID="second")
    here, there = Visitor(first, provider), Visitor(second, provider)
    here.log_in()
    there.log_in()
    with redis_process.client() as client:
        clients = {key.split(":")[3] for key in all_of(client) if ":session:" in key}
    assert len(clients) == 2
    assert copy_of(here, second).get("/me").status_code == 302  # (the same SECRET_KEY, even)
    logout_token = provider.logout_token(client_id="second", sub="ada")
    assert there.post("/backchannel-logout", data={"logout_token": logout_token}).status_code == 200
    assert (here.get("/me").status_code, there.get("/me").status_code) == (200, 302)
    assert opens(provider, here.get("/token").text) == "ada"


def test_redis_behind_a_socket_file(provider: DevProvider, redis_process: RedisProcess) -> None:
    visitor = Visitor(token_site(provider, redis_process.unix_url), provider)
    visitor.log_in()
    age(visitor, left=-1)
    assert opens(provider, visitor.get("/token").text) == "ada"


def test_a_login_that_cannot_be_registered_fails(provider: DevProvider, tmp_path: Path) -> None:
    with RedisProcess(tmp_path) as own:
        visitor = Visitor(token_site(provider, own.url), provider)
        back = visitor.come_back(visitor.leave())
        own.stop()
        page = visitor.get(back)
    assert (code_of(page), page.status_code) == ("store_unreachable", 503)
    with visitor.client.session_transaction() as stored:
        assert "_parjar_user" not in stored


def test_a_refresh_that_is_refused_from_the_start_ends_in_a_sentence(provider: DevProvider) -> None:
    provider.access_token_seconds = 0
    visitor = Visitor(token_site(provider, "memory"), provider)
    visitor.log_in()
    with provider.fault("refresh_invalid_grant"):
        assert visitor.get("/token").status_code == 302
        visitor.log_in()
        page = visitor.get("/token")
    assert (page.status_code, code_of(page)) == (500, "tokens_lost")


def test_tokens_that_were_renewed_in_the_request_of_a_new_login(provider: DevProvider) -> None:
    """As by an app that looks for its API before each request: the new login's tokens count."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        token_views(app, parjar)

        @app.before_request
        def before() -> None:
            if current_user and request.endpoint == "parjar.callback":
                parjar.access_token()

    visitor = Visitor(token_site(provider, "cookie", prepare=prepare), provider)
    visitor.log_in()
    back = visitor.come_back(visitor.leave())
    age(visitor, left=0)
    provider.calls.clear()
    assert visitor.get(back).status_code == 302
    assert renewals(provider) == 1
    assert opens(provider, visitor.get("/token").text) == "ada"
    assert renewals(provider) == 1


def test_apps_that_share_an_environ_have_cookies_of_their_own(provider: DevProvider) -> None:
    """As where an app answers some of its pages by another one, mounted in it."""
    inner = token_site(provider, "cookie", SESSION_COOKIE_NAME="inner", PARJAR_CLIENT_ID="inner")
    seen: list[str] = []

    def prepare(app: Flask, parjar: ParJar) -> None:
        token_views(app, parjar)

        @app.get("/both")
        def both() -> str:
            seen.append(parjar.access_token())
            environ = {**request.environ, "PATH_INFO": "/token"}
            for name in list(environ):
                if name.startswith("werkzeug."):
                    del environ[name]
            body, status, _ = run_wsgi_app(inner.wsgi_app, environ)
            return f"{status} {b''.join(body).decode()}"

    outer = token_site(provider, "cookie", prepare=prepare)
    visitor = Visitor(outer, provider)
    visitor.log_in()
    inside = Visitor(inner, provider)
    inside.log_in()
    for name in ("inner", "inner_parjar_tokens_0"):
        found = inside.client.get_cookie(name)
        assert found is not None
        visitor.client.set_cookie(name, found.value)
    token = inside.get("/token").text
    assert visitor.get("/both").text == f"200 OK {token}"
    assert seen == [visitor.get("/token").text]


def test_tokens_that_are_dead_from_the_start_end_in_a_sentence(provider: DevProvider) -> None:
    """One login is tried for them; a second would end like the first, and so for ever."""
    provider.access_token_seconds = 0
    visitor = Visitor(token_site(provider, "memory", PARJAR_SCOPES="openid"), provider)
    visitor.log_in()
    assert visitor.get("/token").status_code == 302
    assert visitor.get("/token").status_code == 302  # nothing was tried yet
    visitor.log_in()
    page = visitor.get("/token")
    assert (page.status_code, code_of(page)) == (500, "tokens_lost")
    assert visitor.get("/me").status_code == 200
