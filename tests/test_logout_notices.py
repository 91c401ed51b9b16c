"""Notices of the provider that somebody logged out: proved, taken once, heard at every process."""

from __future__ import annotations

import io
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_parjar import Identity, ParJar, logged_out, login_required
from flask_parjar.testing import DevProvider
from tests.after_login import (
    BAD_NOTICES,
    FROM_HERE,
    SCRIPT,
    Clock,
    code_of,
    copy_of,
    mint,
    set_clock,
    store_address,
    token_site,
    token_views,
)
from tests.redis_process import RedisProcess
from tests.site import ISSUER, Visitor, make_site, path_and_query, query

DOOR = "/backchannel-logout"


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, redis_process: RedisProcess) -> str:
    return store_address(request.param, redis_process)


@pytest.fixture
def site(provider: DevProvider, store: str) -> Flask:
    return token_site(provider, store)


@pytest.fixture
def visitor(site: Flask, provider: DevProvider) -> Visitor:
    somebody = Visitor(site, provider)
    somebody.log_in()
    return somebody


def is_logged_in(visitor: Visitor) -> bool:
    status = visitor.get("/me").status_code
    assert status in (200, 302)
    return status == 200


def sid_of(visitor: Visitor) -> str:
    return str(visitor.get("/me").json["claims"]["sid"])


def tell(app: Flask, provider: DevProvider, token: str, path: str = DOOR) -> TestResponse:
    """Bring a notice, as the provider's server does: without cookies, and no browser."""
    return Visitor(app, provider).post(path, data={"logout_token": token})


def refused(response: TestResponse) -> str:
    """The code of a refusal, which must be as the standard wants it."""
    assert response.status_code == 400
    assert response.headers["Cache-Control"] == "no-store"
    assert response.content_type == "application/json"
    assert response.json["error"] == "invalid_request" and response.json["error_description"]
    assert "Set-Cookie" not in response.headers
    return str(response.json["code"])


def without_sid(visitor: Visitor) -> None:
    """As if the provider named no sessions."""
    with visitor.client.session_transaction() as stored:
        del stored["_parjar_user"][3]["sid"]
        stored.modified = True


# A good notice.


def test_a_notice_about_a_session_ends_that_one(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    other, grace = Visitor(site, provider), Visitor(site, provider)
    other.log_in()
    grace.log_in(person="grace")
    assert sid_of(visitor) != sid_of(other)
    answer = tell(site, provider, provider.logout_token(sub="ada", sid=sid_of(visitor)))
    assert (answer.status_code, answer.text) == (200, "")
    assert answer.headers["Cache-Control"] == "no-store"
    assert [is_logged_in(each) for each in (visitor, other, grace)] == [False, True, True]
    assert tell(site, provider, provider.logout_token(sid=sid_of(other))).status_code == 200
    assert [is_logged_in(each) for each in (other, grace)] == [False, True]


def test_a_notice_about_a_person_ends_all_of_theirs(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    other, nameless, grace = (Visitor(site, provider) for _ in range(3))
    other.log_in()
    nameless.log_in()
    without_sid(nameless)
    grace.log_in(person="grace")
    assert tell(site, provider, provider.logout_token(sub="ada")).status_code == 200
    everybody = (visitor, other, nameless, grace)
    assert [is_logged_in(each) for each in everybody] == [False, False, False, True]


def test_a_session_without_a_name_is_ended_by_its_person(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    """A notice with both ends the session it names, and those that nobody could name."""
    nameless, other = Visitor(site, provider), Visitor(site, provider)
    nameless.log_in()
    without_sid(nameless)
    other.log_in()
    tell(site, provider, provider.logout_token(sub="ada", sid=sid_of(visitor)))
    assert [is_logged_in(each) for each in (visitor, nameless, other)] == [False, False, True]


def test_a_later_login_is_another_matter(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    tell(site, provider, provider.logout_token(sub="ada"))
    assert not is_logged_in(visitor)
    time.sleep(1.1)  # a login within the second of the notice would be ended with the others
    visitor.log_in()
    assert is_logged_in(visitor)
    with visitor.client.session_transaction() as stored:
        assert stored["_parjar_user"][5] >= int(time.time()) - 5


def test_what_is_ended_takes_its_tokens_along(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    copy = copy_of(visitor)
    tell(site, provider, provider.logout_token(sub="ada"))
    assert visitor.get("/token").location == "/login?next=/token"
    script = copy.get("/token", headers=SCRIPT)
    assert (script.status_code, script.json["error"]) == (401, "login_required")
    with visitor.client.session_transaction() as stored:
        assert "_parjar_user" not in stored


def test_the_signal_says_who_and_which(
    visitor: Visitor, site: Flask, provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[Any, Identity]] = []

    def hear(sender: Any, identity: Identity) -> None:
        heard.append((sender, identity))

    sid = sid_of(visitor)
    tokens = [provider.logout_token(sub="ada"), provider.logout_token(sid=sid)]
    with logged_out.connected_to(hear), caplog.at_level(logging.DEBUG, "flask_parjar"):
        for token in tokens:
            tell(site, provider, token)
        tell(site, provider, tokens[0])
    said = [(sender, i.subject, i.issuer, i.provider, dict(i.claims)) for sender, i in heard]
    assert said == [
        (site, "ada", ISSUER, "default", {}),
        (site, "", ISSUER, "default", {"sid": sid}),
    ]
    assert caplog.text.count("logout notice taken from provider 'default'") == 2
    assert all(token not in caplog.text and token[-20:] not in caplog.text for token in tokens)


def test_the_provider_s_own_notices(visitor: Visitor, site: Flask, provider: DevProvider) -> None:
    """The whole way: somebody logs out at the provider, an administrator ends sessions."""
    browser = provider.browser()
    second = Visitor(site, provider)
    away = second.leave()
    assert second.get(path_and_query(browser.sign_in(away))).status_code == 302
    third = Visitor(site, provider)  # the same browser at another client, as it were
    assert third.get(path_and_query(browser.sign_in(third.leave()))).status_code == 302
    assert sid_of(second) == sid_of(third)
    leaving = second.post("/logout", headers=FROM_HERE).location
    assert is_logged_in(third)
    browser.sign_out(leaving)
    assert not is_logged_in(third)
    assert is_logged_in(visitor)
    provider.end_session("ada")
    assert not is_logged_in(visitor)


def test_named_providers_have_a_door_each(store: str) -> None:
    work, home = DevProvider("https://work.example"), DevProvider("https://home.example")
    sections = {
        name: {"issuer": each.issuer, "client_id": name}
        for name, each in (("work", work), ("home", home))
    }
    app = make_site(
        work, connect=False, PARJAR_ISSUER=None, PARJAR_PROVIDERS=sections, PARJAR_STORE=store
    )
    work.connect(app)
    home.connect(app)
    at_work, at_home = Visitor(app, work), Visitor(app, home)
    at_work.log_in("/login/work")
    at_home.log_in("/login/home")
    token = work.logout_token(client_id="work", sub="ada")
    assert refused(tell(app, work, token, f"{DOOR}/home")) in ("token_issuer", "token_key")
    assert refused(tell(app, work, token, f"{DOOR}/nobody")) == "provider_unknown"
    assert tell(app, work, token, DOOR).status_code == 404
    assert is_logged_in(at_work)
    assert tell(app, work, token, f"{DOOR}/work").status_code == 200
    assert [is_logged_in(each) for each in (at_work, at_home)] == [False, True]  # both are "ada"


# Bad ones.


@pytest.mark.parametrize("name", BAD_NOTICES)
def test_a_bad_notice_ends_nothing(provider: DevProvider, name: str) -> None:
    visitor = Visitor(make_site(provider, PARJAR_STORE="memory"), provider)
    visitor.log_in()
    answer = tell(visitor.app, provider, mint(provider, BAD_NOTICES[name]))
    assert refused(answer) == BAD_NOTICES[name].code
    assert is_logged_in(visitor)


@pytest.mark.parametrize(
    "token, code",
    [
        ("x", "token_malformed"),
        ("a.b.c", "token_malformed"),
        ("e30.e30.", "token_algorithm"),
        ("x" * 30_000, "token_malformed"),
        ("", "notice_missing"),
    ],
)
def test_what_is_no_token_ends_nothing(provider: DevProvider, token: str, code: str) -> None:
    visitor = Visitor(make_site(provider, PARJAR_STORE="memory"), provider)
    visitor.log_in()
    assert refused(tell(visitor.app, provider, token)) == code
    assert is_logged_in(visitor)


def test_an_id_token_is_no_notice(visitor: Visitor, site: Flask, provider: DevProvider) -> None:
    """Nor the other way round: see the fault ``id_token_is_logout_token``."""
    id_token = visitor.get("/kept").json["id_token"]
    assert refused(tell(site, provider, id_token)) == "token_kind"
    assert is_logged_in(visitor)


def test_a_notice_of_another_provider(visitor: Visitor, site: Flask, provider: DevProvider) -> None:
    """Of the same name, with keys of its own."""
    impostor = DevProvider(ISSUER)
    impostor.connect(make_site(impostor))
    code = refused(tell(site, provider, impostor.logout_token(sub="ada")))
    assert code in ("token_key", "token_signature")
    assert is_logged_in(visitor)


def test_a_notice_by_a_new_key_is_taken(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    provider.rotate_keys()
    assert tell(site, provider, provider.logout_token(sub="ada")).status_code == 200
    assert not is_logged_in(visitor)


def test_strangers_do_not_make_us_fetch_keys(site: Flask, provider: DevProvider) -> None:
    """Anybody reaches this door: an unknown key is looked for once in a while."""
    Visitor(site, provider).log_in()
    provider.calls.clear()
    for n in range(5):
        token = provider.logout_token(sub="ada", header={"kid": f"unknown {n}"})
        assert refused(tell(site, provider, token)) == "token_key"
    assert [call.endpoint for call in provider.calls] == ["jwks"]


def test_a_replay_is_refused(visitor: Visitor, site: Flask, provider: DevProvider) -> None:
    token = provider.logout_token(sub="grace")
    assert tell(site, provider, token).status_code == 200
    for _ in range(2):
        assert refused(tell(site, provider, token)) == "notice_repeated"
    grace = Visitor(site, provider)
    time.sleep(1.1)
    grace.log_in(person="grace")
    assert refused(tell(site, provider, token)) == "notice_repeated"
    assert is_logged_in(grace) and is_logged_in(visitor)


def test_a_refused_notice_is_not_remembered(
    visitor: Visitor, site: Flask, provider: DevProvider
) -> None:
    """Whoever spoils a notice on its way must not keep the honest one out."""
    claims = {"sub": "ada", "jti": "one and the same"}
    spoilt = provider.logout_token(**claims, aud="another")
    assert refused(tell(site, provider, spoilt)) == "token_audience"
    assert tell(site, provider, provider.logout_token(**claims)).status_code == 200
    assert not is_logged_in(visitor)


def test_a_body_that_is_none(visitor: Visitor, site: Flask, provider: DevProvider) -> None:
    token = provider.logout_token(sub="ada")
    client = site.test_client()
    bodies: list[dict[str, Any]] = [
        {},
        {"data": {"other": token}},
        {"data": {"logout_token": [token, token]}},
        {"data": {"logout_token": token, "padding": "x" * 33_000}},
        {"json": {"logout_token": token}},
        {"query_string": {"logout_token": token}},
        {"data": token, "content_type": "application/logout+jwt"},
        {"data": f"logout_token={token}", "content_type": "text/plain"},
    ]
    for body in bodies:
        assert refused(client.post(DOOR, **body)) == "notice_missing", body.keys()
    endless = client.post(
        DOOR,
        input_stream=io.BytesIO(f"logout_token={token}".encode()),
        content_type="application/x-www-form-urlencoded",
        headers={"Transfer-Encoding": "chunked"},
    )
    assert refused(endless) == "notice_missing"
    assert is_logged_in(visitor)
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        answer = client.open(DOOR, method=method, query_string={"logout_token": token})
        assert answer.status_code == 405, method
    assert is_logged_in(visitor)
    assert client.post(DOOR, data={"logout_token": token}).status_code == 200
    assert not is_logged_in(visitor)


@pytest.mark.parametrize("where", ["session", "sealed"])
def test_a_store_that_cannot_keep_a_notice_says_so(
    provider: DevProvider, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    """Better than a 200 that ends nothing: the provider's log shows it."""
    visitor = Visitor(make_site(provider, PARJAR_STORE=where), provider)
    visitor.log_in()
    answer = tell(visitor.app, provider, provider.logout_token(sub="ada"))
    assert refused(answer) == "notices_unsupported"
    assert is_logged_in(visitor)
    assert "use redis://" in caplog.text


def test_a_browser_s_cookies_are_not_looked_at(visitor: Visitor, provider: DevProvider) -> None:
    """A form of another site, posted by the victim's browser, is proved like any other."""
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    answer = visitor.post(DOOR, data={"logout_token": "x"}, headers=foreign)
    assert refused(answer) == "token_malformed"
    assert is_logged_in(visitor)


# Several processes.


def two_processes(provider: DevProvider, address: str) -> tuple[Flask, Flask]:
    key = provider.config()["PARJAR_SIGNING_KEY"]
    first, second = (
        token_site(provider, address, PARJAR_SIGNING_KEY=key, PARJAR_HTTP_TIMEOUT=1)
        for _ in range(2)
    )
    return first, second


@pytest.fixture
def redis_address(redis_process: RedisProcess) -> str:
    return store_address("redis", redis_process)


def test_a_notice_reaches_the_other_process(provider: DevProvider, redis_address: str) -> None:
    first, second = two_processes(provider, redis_address)
    clock = set_clock(second)
    visitor = Visitor(second, provider)
    visitor.log_in()
    elsewhere = copy_of(visitor, first)
    assert is_logged_in(elsewhere)
    assert tell(first, provider, provider.logout_token(sub="ada")).status_code == 200
    assert not is_logged_in(copy_of(elsewhere))  # where it arrived, at once
    clock.now += 4.9
    assert is_logged_in(visitor)
    clock.now += 0.1
    assert not is_logged_in(visitor)


def test_a_notice_reaches_it_within_seconds_of_the_wall(
    provider: DevProvider, redis_address: str
) -> None:
    first, second = two_processes(provider, redis_address)
    visitor = Visitor(second, provider)
    visitor.log_in()
    began = time.monotonic()
    tell(first, provider, provider.logout_token(sub="ada", sid=sid_of(visitor)))
    while is_logged_in(visitor) and time.monotonic() - began < 8:
        time.sleep(0.2)
    assert time.monotonic() - began < 6


def test_a_logout_reaches_the_other_process(provider: DevProvider, redis_address: str) -> None:
    first, second = two_processes(provider, redis_address)
    clock = set_clock(second)
    visitor = Visitor(first, provider)
    visitor.log_in()
    thief = copy_of(visitor, second)
    assert is_logged_in(thief)
    visitor.post("/logout", headers=FROM_HERE)
    clock.now += 5
    assert not is_logged_in(thief)


def test_a_replay_at_the_other_process(provider: DevProvider, redis_address: str) -> None:
    first, second = two_processes(provider, redis_address)
    token = provider.logout_token(sub="ada")
    assert tell(first, provider, token).status_code == 200
    assert refused(tell(second, provider, token)) == "notice_repeated"


def test_a_process_that_started_later_knows_what_was_ended(
    provider: DevProvider, redis_address: str
) -> None:
    first, second = two_processes(provider, redis_address)
    visitor = Visitor(first, provider)
    visitor.log_in()
    copy = copy_of(visitor, second)
    tell(first, provider, provider.logout_token(sid=sid_of(visitor)))
    assert not is_logged_in(copy)


# While the store is away.


def test_a_notice_that_could_not_be_kept_may_come_again(
    provider: DevProvider, tmp_path: Path
) -> None:
    with RedisProcess(tmp_path) as own:
        visitor = Visitor(token_site(provider, own.url, PARJAR_HTTP_TIMEOUT=1), provider)
        visitor.log_in()
        token = provider.logout_token(sub="ada")
        own.pause()
        answer = tell(visitor.app, provider, token)
        assert answer.status_code == 503
        assert answer.json["error"] == answer.json["code"] == "store_unreachable"
        assert answer.headers["Cache-Control"] == "no-store"
        own.resume()
        assert tell(visitor.app, provider, token).status_code == 200
        assert not is_logged_in(visitor)


def test_a_notice_while_the_provider_s_keys_cannot_be_had(
    provider: DevProvider, redis_address: str
) -> None:
    first, second = two_processes(provider, redis_address)
    visitor = Visitor(first, provider)
    visitor.log_in()
    token = provider.logout_token(sub="ada")
    with provider.fault("metadata_500"):  # the second one has read nothing yet
        answer = tell(second, provider, token)
    assert (answer.status_code, answer.json["error"]) == (502, "provider_failed")
    assert is_logged_in(visitor)


def outage(app: Flask, process: RedisProcess) -> Clock:
    clock = set_clock(app)
    process.stop()
    return clock


def test_sessions_outlive_a_short_outage_and_not_a_long_one(
    provider: DevProvider, tmp_path: Path
) -> None:
    with RedisProcess(tmp_path) as own:
        app = token_site(provider, own.url)
        clock = set_clock(app)
        visitor, stranger = Visitor(app, provider), Visitor(app, provider)
        visitor.log_in()
        stranger.log_in(person="grace")
        fresh = copy_of(visitor, token_site(provider, own.url))
        own.stop()
        clock.now += 59
        assert is_logged_in(visitor)
        clock.now += 1
        for each in (visitor, fresh):  # (another process has never seen it)
            page = each.get("/me")
            assert (page.status_code, code_of(page)) == (503, "store_unreachable")
            script = each.get("/me", headers=SCRIPT)
            assert (script.status_code, script.json["error"]) == (503, "store_unreachable")
        assert visitor.get("/").text == "home"  # what is for everybody stays


def test_after_a_restart_everybody_logs_in_again(provider: DevProvider, tmp_path: Path) -> None:
    """An empty store knows nobody: closed rather than open."""
    with RedisProcess(tmp_path) as own:
        app = token_site(provider, own.url)
        clock = set_clock(app)
        visitor = Visitor(app, provider)
        visitor.log_in()
        own.stop()
        own.start()
        clock.now += 5
        assert not is_logged_in(visitor)
        assert visitor.log_in().location == "/"
        assert is_logged_in(visitor)


# By the browser.


def front(visitor: Visitor, **asked: str) -> TestResponse:
    response = visitor.client.get("/frontchannel-logout", query_string=asked)
    assert response.status_code == 200
    policy = response.headers["Content-Security-Policy"].split("; ")
    assert f"frame-ancestors {ISSUER}" in policy and "default-src 'none'" in policy
    assert "X-Frame-Options" not in response.headers
    assert response.headers["Cache-Control"] == "no-store"
    assert "ada" not in response.text
    return response


def test_a_browser_that_asks_ahead_of_its_user_is_not_logged_out(provider: DevProvider) -> None:
    visitor = Visitor(token_site(provider, "memory"), provider)
    visitor.log_in()
    asked = {"iss": ISSUER, "sid": sid_of(visitor)}
    visitor.client.head("/frontchannel-logout", query_string=asked)
    assert is_logged_in(visitor)
    front(visitor, **asked)
    assert not is_logged_in(visitor)


def test_whoever_leaves_is_let_go_while_redis_is_away(
    provider: DevProvider, tmp_path: Path
) -> None:
    """By the button and by a frame, also where a guard stands before the whole app."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        token_views(app, parjar)
        app.before_request(login_required(lambda: None))

    with RedisProcess(tmp_path) as redis:
        app = token_site(provider, redis.url, prepare=prepare, PARJAR_HTTP_TIMEOUT=1)
        clock = set_clock(app)
        by_button, by_frame = Visitor(app, provider), Visitor(app, provider)
        for visitor in (by_button, by_frame):
            visitor.log_in()
        asked = {"iss": ISSUER, "sid": sid_of(by_frame)}
        redis.stop()
        clock.now += 61
        assert by_button.get("/me").status_code == 503
        left = by_button.post("/logout", headers={"Sec-Fetch-Site": "same-origin"})
        assert left.status_code == 302
        front(by_frame, **asked)
        for visitor in (by_button, by_frame):
            assert visitor.client.get_cookie("session") is None


def test_who_has_no_account_any_more_leaves_no_token_behind(provider: DevProvider) -> None:
    banned: set[str] = set()

    def prepare(app: Flask, parjar: ParJar) -> None:
        token_views(app, parjar)
        parjar.user_loader(lambda user: None if user.subject in banned else user)

    visitor = Visitor(token_site(provider, "sealed", prepare=prepare), provider)
    visitor.log_in()
    banned.add("ada")
    provider.calls.clear()
    visitor.post("/logout", headers={"Sec-Fetch-Site": "same-origin"})
    revoked = [call for call in provider.calls if call.endpoint == "revocation"]
    assert len(revoked) == 2
    assert visitor.client.get_cookie("session_parjar_tokens_0") is None


@pytest.mark.parametrize("where", ["session", "sealed", "memory"])
def test_a_frame_of_the_provider_logs_this_browser_out(provider: DevProvider, where: str) -> None:
    visitor = Visitor(token_site(provider, where), provider)
    visitor.log_in()
    sid = sid_of(visitor)
    heard: list[str] = []

    def hear(sender: Any, identity: Identity) -> None:
        heard.append(identity.subject)

    with logged_out.connected_to(hear):
        for asked in (
            {},
            {"iss": ISSUER},
            {"sid": sid},
            {"iss": ISSUER, "sid": ""},
            {"iss": ISSUER, "sid": sid[:-1]},
            {"iss": ISSUER, "sid": f"{sid}x"},
            {"iss": "https://evil.example", "sid": sid},
            {"iss": f"{ISSUER}/", "sid": sid},
        ):
            front(visitor, **asked)
            assert is_logged_in(visitor), asked
        assert heard == []
        front(visitor, iss=ISSUER, sid=sid)
        assert not is_logged_in(visitor)
        front(visitor, iss=ISSUER, sid=sid)
    assert heard == ["ada"]


def test_a_session_that_has_no_name_is_not_ended_by_a_frame(visitor: Visitor) -> None:
    without_sid(visitor)
    for asked in ({"iss": ISSUER}, {"iss": ISSUER, "sid": ""}, {"iss": ISSUER, "sid": "None"}):
        front(visitor, **asked)
        assert is_logged_in(visitor)


def test_a_copy_is_dead_after_a_frame(visitor: Visitor) -> None:
    copy = copy_of(visitor)
    front(visitor, iss=ISSUER, sid=sid_of(visitor))
    assert not is_logged_in(copy)


def test_the_frames_of_the_provider_s_page(provider: DevProvider) -> None:
    """For a site that has nowhere to keep a notice of the other kind."""
    visitor, browser = Visitor(make_site(provider), provider), provider.browser()
    visitor.get(path_and_query(browser.sign_in(visitor.leave())))
    sid = sid_of(visitor)
    browser.sign_out(f"{ISSUER}/end-session")
    assert is_logged_in(visitor)
    (frame,) = browser.frames
    assert query(frame) == {"iss": [ISSUER], "sid": [sid]}
    assert visitor.get(path_and_query(frame)).status_code == 200
    assert not is_logged_in(visitor)


def test_a_frame_of_a_named_provider(store: str) -> None:
    work = DevProvider("https://work.example:8443/tenant")
    sections = {"work": {"issuer": work.issuer}, "home": {"issuer": "https://home.example"}}
    app = make_site(
        work, connect=False, PARJAR_ISSUER=None, PARJAR_PROVIDERS=sections, PARJAR_STORE=store
    )
    work.connect(app)
    visitor = Visitor(app, work)
    visitor.log_in("/login/work")
    asked = {"iss": work.issuer, "sid": sid_of(visitor)}
    other = visitor.client.get("/frontchannel-logout/home", query_string=asked)
    assert "frame-ancestors https://home.example" in other.headers["Content-Security-Policy"]
    assert is_logged_in(visitor)
    assert visitor.client.get("/frontchannel-logout/x", query_string=asked).status_code == 404
    answer = visitor.client.get("/frontchannel-logout/work", query_string=asked)
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert "frame-ancestors https://work.example:8443" in policy
    assert not is_logged_in(visitor)


# What ends a session besides.


def test_a_copied_cookie_is_dead_after_the_logout(visitor: Visitor) -> None:
    copy, other = copy_of(visitor), Visitor(visitor.app, visitor.provider)
    other.log_in()
    assert is_logged_in(copy)
    visitor.post("/logout", headers=FROM_HERE)
    assert not is_logged_in(copy)
    assert copy.get("/token").status_code == 302
    assert is_logged_in(other)  # the same person's other session


def test_memory_is_refused_where_there_are_several_processes(provider: DevProvider) -> None:
    several = {"wsgi.multiprocess": True}
    visitor = Visitor(make_site(provider, PARJAR_STORE="memory"), provider)
    back = visitor.come_back(visitor.leave())
    page = visitor.get(back, environ_overrides=several)
    assert (page.status_code, code_of(page)) == (500, "store_unshared")
    assert not is_logged_in(visitor)
    form = {"logout_token": provider.logout_token(sub="ada")}
    answer = visitor.post(DOOR, data=form, environ_overrides=several)
    assert (answer.status_code, answer.json["error"]) == (500, "store_unshared")
    visitor.log_in()
    assert is_logged_in(visitor)


def test_other_stores_serve_several_processes(provider: DevProvider, redis_address: str) -> None:
    for where in ("session", "sealed", redis_address):
        visitor = Visitor(make_site(provider, PARJAR_STORE=where), provider)
        back = visitor.come_back(visitor.leave())
        answer = visitor.get(back, environ_overrides={"wsgi.multiprocess": True})
        assert answer.location == "/"
