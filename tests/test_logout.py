"""Logging out: by whose wish, here, and at the provider."""

from __future__ import annotations

import base64
import dataclasses
import json
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_parjar import Identity, ParJar, logged_out, login_required
from flask_parjar.stores import MemoryStore
from flask_parjar.testing import DevProvider
from tests.support.after_login import age, copy_of, renewals, store_address, token_site
from tests.support.altered_answers import REVOKE, AlteredAnswers
from tests.support.clock import WallClock
from tests.support.headers import FROM_HERE
from tests.support.pages import is_logged_in, is_logged_out_page
from tests.support.redis_process import RedisProcess
from tests.support.site import ISSUER, Visitor, make_site, path_and_query, query


@pytest.mark.parametrize(
    "headers",
    [
        FROM_HERE,
        {"Origin": "http://localhost"},
        {"Referer": "http://localhost/account"},
    ],
)
@pytest.mark.parametrize("method", ["post", "get"])
def test_a_page_of_the_site_logs_out_here_and_there(
    visitor: Visitor, method: str, headers: dict[str, str]
) -> None:
    visitor.log_in()
    response = getattr(visitor, method)("/logout", headers=headers)
    assert response.status_code == 302
    assert response.location.startswith(f"{ISSUER}/")
    sent = query(response.location)
    (state,) = sent.pop("state")
    assert len(state) >= 20
    assert sent == {
        "client_id": ["flask-parjar"],
        "logout_hint": ["ada"],
        "post_logout_redirect_uri": ["http://localhost/"],
    }
    assert response.headers["Cache-Control"] == "no-store"
    assert not is_logged_in(visitor)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:81"},
        {"Origin": "http://[evil"},
    ],
)
def test_a_form_of_another_site_is_refused(visitor: Visitor, headers: dict[str, str]) -> None:
    visitor.log_in()
    page = visitor.post("/logout", headers=headers)
    assert (page.status_code, "cross_site" in page.text) == (403, True)
    assert is_logged_in(visitor)


def test_a_logout_at_the_provider_comes_back_to_this_site_alone(visitor: Visitor) -> None:
    visitor.log_in()
    away = visitor.get("/logout?next=//evil.example", headers=FROM_HERE).location
    assert away.startswith(f"{ISSUER}/") and "evil" not in away


def test_a_logout_deletes_the_session_cookie(visitor: Visitor) -> None:
    visitor.log_in()
    visitor.post("/logout", headers=FROM_HERE)
    assert visitor.client.get_cookie("session") is None


@pytest.mark.parametrize("length", [str(200 * 2**20), None])
def test_a_logout_reads_no_large_body(visitor: Visitor, length: str | None) -> None:
    class Endless:
        taken = 0

        def read(self, size: int = -1) -> bytes:
            Endless.taken += max(size, 0)
            return b"x" * max(size, 0)

        readline = read

    environ = {
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "wsgi.input": Endless(),
        "HTTP_SEC_FETCH_SITE": "same-origin",
    }
    if length is None:
        environ["HTTP_TRANSFER_ENCODING"] = "chunked"
        environ["wsgi.input_terminated"] = True
    else:
        environ["CONTENT_LENGTH"] = length
    response = visitor.client.post("/logout", environ_overrides=environ)
    assert is_logged_out_page(response)
    assert Endless.taken < 2**20


@pytest.mark.parametrize(
    "method, headers",
    [
        ("get", {}),
        ("get", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}),
        ("get", {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}),
        ("get", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors"}),  # an image
        ("get", {"Referer": "https://evil.example/"}),
        ("post", {}),
    ],
)
def test_a_visitor_from_another_site_is_asked(
    visitor: Visitor, method: str, headers: dict[str, str]
) -> None:
    visitor.log_in()
    page = getattr(visitor, method)("/logout?next=/bye", headers=headers)
    assert page.status_code == 200
    assert 'method="post"' in page.text and 'value="/bye"' in page.text
    assert is_logged_in(visitor)


def test_prefetch_and_head_do_not_log_out(visitor: Visitor) -> None:
    visitor.log_in()
    prefetch = visitor.get("/logout", headers={**FROM_HERE, "Sec-Purpose": "prefetch"})
    assert prefetch.status_code == 503
    assert visitor.client.head("/logout", headers=FROM_HERE).status_code == 200
    assert is_logged_in(visitor)


@pytest.mark.parametrize("target", ["/bye", "http://localhost/bye"])
def test_a_visitor_who_is_not_logged_in_just_goes_on(visitor: Visitor, target: str) -> None:
    response = visitor.post("/logout", headers=FROM_HERE, data={"next": target})
    assert (response.status_code, response.location) == (302, "/bye")


@pytest.mark.parametrize(
    "target",
    [
        *("//evil.example", "https://evil.example", "/\\evil", "bye.html"),
        *("http://localhost:81/bye", "http://localhost//evil.example"),
    ],
)
def test_a_logout_leads_to_no_other_site(visitor: Visitor, target: str) -> None:
    response = visitor.post("/logout", headers=FROM_HERE, data={"next": target})
    assert is_logged_out_page(response) and target not in response.text
    assert target not in visitor.client.get("/logout", query_string={"next": target}).text


def test_a_provider_without_an_end_session_endpoint(
    visitor: Visitor, provider: DevProvider
) -> None:
    del provider.metadata["end_session_endpoint"]
    visitor.log_in()
    response = visitor.post("/logout", headers=FROM_HERE, data={"next": "/bye"})
    assert response.location == "/bye"
    assert not is_logged_in(visitor)


def test_a_logout_is_not_followed_by_a_login(provider: DevProvider) -> None:
    """As on a site without a public page, at a provider that would log straight in again."""
    del provider.metadata["end_session_endpoint"]
    app = Flask(__name__)
    app.config.update(SECRET_KEY="of the tests", **provider.config())
    ParJar(app)
    app.get("/")(login_required(lambda: "home"))
    provider.connect(app)
    visitor = Visitor(app, provider)
    visitor.log_in()
    provider.calls.clear()
    page = visitor.post("/logout", headers=FROM_HERE)
    for _ in range(5):
        if page.status_code not in (302, 303):
            break
        page = visitor.get(page.location, headers=FROM_HERE)
    assert provider.calls == []
    assert page.status_code == 200
    assert visitor.get("/").status_code == 302


def test_the_provider_s_query_is_kept(visitor: Visitor, provider: DevProvider) -> None:
    provider.metadata["end_session_endpoint"] = f"{ISSUER}/out?tenant=a"
    visitor.log_in()
    location = visitor.post("/logout", headers=FROM_HERE).location
    assert location.startswith(f"{ISSUER}/out?tenant=a&client_id=flask-parjar&")


def test_a_logout_address_of_the_provider_s_own(provider: DevProvider) -> None:
    """As at Cognito, whose metadata has none; a parameter that it says itself is said once."""
    del provider.metadata["end_session_endpoint"]
    url = f"{ISSUER}/signed-out?logout_uri=https%3A%2F%2Fa.site%2F&state="
    for more, led_there in (({}, True), ({"PARJAR_PROVIDER_LOGOUT": False}, False)):
        visitor = Visitor(make_site(provider, PARJAR_END_SESSION_URL=url, **more), provider)
        visitor.log_in()
        location = visitor.post("/logout", headers=FROM_HERE).location or ""
        assert location.startswith(f"{url}&client_id=flask-parjar&") is led_there
        if led_there:
            given = query(location)
            assert given["state"] == [""] and given["logout_uri"] == ["https://a.site/"]
            assert "post_logout_redirect_uri" in given
        assert not is_logged_in(visitor)


def test_the_address_of_the_configuration_comes_before_that_of_the_metadata(
    provider: DevProvider,
) -> None:
    app = make_site(provider, PARJAR_END_SESSION_URL=f"{ISSUER}/bye")
    visitor = Visitor(app, provider)
    visitor.log_in()
    assert visitor.post("/logout", headers=FROM_HERE).location.startswith(f"{ISSUER}/bye?")


def test_an_outage_keeps_no_one_logged_in(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_site(provider)
    visitor = Visitor(app, provider)
    visitor.log_in()
    with visitor.client.session_transaction() as kept:
        cookie = dict(kept)
    # The same session at a process that started while the provider was away.
    other = make_site(provider, connect=False)
    elsewhere = Visitor(other, provider)
    with elsewhere.client.session_transaction() as stored:
        stored.update(cookie)
    with provider.fault("metadata_500"):
        provider_away(other, provider)
        response = elsewhere.post("/logout", headers=FROM_HERE)
    assert is_logged_out_page(response)
    assert not is_logged_in(elsewhere)
    assert any(ISSUER in each and "provider_failed" in each for each in caplog.messages)


def provider_away(app: Flask, provider: DevProvider) -> None:
    provider.connect(app)


def test_pinned_and_configured_places(provider: DevProvider) -> None:
    app = make_site(
        provider,
        PARJAR_AFTER_LOGOUT="/bye",
        PARJAR_POST_LOGOUT_REDIRECT_URI="https://www.example/bye",
    )
    visitor = Visitor(app, provider)
    visitor.log_in()
    location = visitor.post("/logout", headers=FROM_HERE).location
    assert query(location)["post_logout_redirect_uri"] == ["https://www.example/bye"]
    assert visitor.post("/logout", headers=FROM_HERE).location == "/bye"


def test_the_signal_says_who_left(site: Flask, visitor: Visitor) -> None:
    left: list[Identity] = []

    def hear(sender: Any, identity: Identity, **_: Any) -> None:
        assert sender is site
        left.append(identity)

    with logged_out.connected_to(hear):
        visitor.log_in()
        visitor.post("/logout", headers=FROM_HERE)
        visitor.post("/logout", headers=FROM_HERE)
    assert [identity.subject for identity in left] == ["ada"]


@pytest.mark.parametrize("store", [None, "memory"])
def test_a_logout_of_this_site_alone(provider: DevProvider, store: str | None) -> None:
    """As where the provider asks, or shows an error, because it was shown no ID token."""
    app = make_site(provider, PARJAR_STORE=store, PARJAR_PROVIDER_LOGOUT=False)
    visitor = Visitor(app, provider)
    visitor.log_in()
    response = visitor.post("/logout", headers=FROM_HERE, data={"next": "/bye"})
    assert (response.status_code, response.location) == (302, "/bye")
    assert not is_logged_in(visitor)


def test_a_whole_round_trip(visitor: Visitor, provider: DevProvider) -> None:
    visitor.log_in()
    away = visitor.post("/logout", headers=FROM_HERE).location
    back = str(provider.browser().sign_out(away))
    assert back == f"http://localhost/?state={query(away)['state'][0]}"
    assert visitor.get(path_and_query(back)).text == "home"


# What a store adds.

STORES = ["cookie", "memory", "redis"]


def site_with_store(
    provider: DevProvider, redis_process: RedisProcess, store: str, **config: Any
) -> Flask:
    return make_site(
        provider,
        PARJAR_STORE=redis_process.url if store == "redis" else store,
        PARJAR_SCOPES="openid profile offline_access",
        SECRET_KEY=uuid.uuid4().hex,
        **config,
    )


@pytest.mark.parametrize("store", STORES)
def test_the_provider_is_shown_the_id_token_of_the_login(
    provider: DevProvider, redis_process: RedisProcess, store: str
) -> None:
    visitor = Visitor(site_with_store(provider, redis_process, store), provider)
    visitor.log_in()
    provider.calls.clear()
    away = visitor.post("/logout", headers=FROM_HERE).location
    sent = query(away)
    assert "logout_hint" not in sent and sent["client_id"] == ["flask-parjar"]
    header, claims, _ = sent["id_token_hint"][0].split(".")
    assert json.loads(b64decode(claims))["sub"] == "ada"
    assert str(provider.browser().sign_out(away)).startswith("http://localhost/?state=")
    assert not is_logged_in(visitor)


@pytest.mark.parametrize("store", STORES)
def test_both_tokens_are_revoked_the_refresh_token_first(
    provider: DevProvider, redis_process: RedisProcess, store: str
) -> None:
    visitor = Visitor(site_with_store(provider, redis_process, store), provider)
    visitor.log_in()
    provider.calls.clear()
    visitor.post("/logout", headers=FROM_HERE)
    revoked = [call.form for call in provider.calls if call.endpoint == "revocation"]
    assert [form["token_type_hint"] for form in revoked] == ["refresh_token", "access_token"]
    assert all(form["client_assertion"] and form["token"] for form in revoked)
    provider.calls.clear()
    visitor.post("/logout", headers=FROM_HERE)
    assert provider.calls == []  # there is nothing left to give back


class Meanwhile(MemoryStore):
    """A store in which something happens right after a read."""

    def __init__(self) -> None:
        super().__init__()
        self.actions: list[Callable[[], object]] = []  # one after each of the next reads

    def get(self, *keys: str) -> Sequence[str | None]:
        found = super().get(*keys)
        if self.actions:
            self.actions.pop(0)()
        return found


@pytest.mark.parametrize("store, reads", [("memory", 1), ("cookie", 2)])
def test_tokens_that_are_renewed_during_a_logout_are_revoked(
    provider: DevProvider, store: str, reads: int
) -> None:
    """The renewal ends after the logout has read the tokens, and before it removes them."""
    app = token_site(provider, store)
    slow, place = Meanwhile(), "store" if store == "memory" else "process_cache"
    runtime = app.extensions["parjar"]
    app.extensions["parjar"] = dataclasses.replace(runtime, **{place: slow})
    visitor = Visitor(app, provider)
    visitor.log_in()
    age(visitor, left=30)
    other, renewed = copy_of(visitor), list[str]()
    slow.actions = [lambda: None] * (reads - 1)
    slow.actions += [lambda: renewed.append(other.get("/token").text)]
    visitor.post("/logout", headers=FROM_HERE)
    assert renewals(provider) == 1
    revoked = [call.form["token"] for call in provider.calls if call.endpoint == "revocation"]
    assert len(revoked) == 2 and revoked[1] == renewed[0]
    assert other.get("/token").status_code == 302


def test_tokens_that_the_store_does_not_remove_are_revoked(
    provider: DevProvider, tmp_path: Path
) -> None:
    with RedisProcess(tmp_path) as own:
        visitor = Visitor(site_with_store(provider, own, "redis"), provider)
        visitor.log_in()
        provider.calls.clear()
        with own.client() as client:
            client.acl_setuser("default", commands=["-del"])
        visitor.post("/logout", headers=FROM_HERE)
        assert [call.endpoint for call in provider.calls] == ["revocation", "revocation"]
        assert not is_logged_in(visitor)


@pytest.mark.parametrize("store", [None, *STORES])
def test_a_logout_after_the_session_s_end_is_one_at_the_provider(
    provider: DevProvider,
    redis_process: RedisProcess,
    monkeypatch: pytest.MonkeyPatch,
    store: str | None,
) -> None:
    """The person is still signed in there, and the tokens may still lie in the cookies."""
    app = site_with_store(provider, redis_process, store, PARJAR_SESSION_LIFETIME=60)
    visitor = Visitor(app, provider)
    visitor.log_in()
    later = time.time() + 62
    monkeypatch.setattr(time, "time", lambda: later)
    away = visitor.post("/logout", headers=FROM_HERE).location
    assert away.startswith(f"{ISSUER}/end-session?")
    assert str(provider.browser().sign_out(away)).startswith("http://localhost/")
    for cookie in ("session", "session_parjar_tokens_0"):
        assert visitor.client.get_cookie(cookie) is None


@pytest.mark.parametrize("letters", [4_000, 16_000])
def test_a_large_id_token_does_not_swell_the_answer(provider: DevProvider, letters: int) -> None:
    """Many servers in front of a site refuse more than 4 kB of headers, and the logout with it."""
    provider.people["ada"].claims["groups"] = "x" * letters  # type: ignore[index]
    visitor = Visitor(token_site(provider, "memory"), provider)
    visitor.log_in()
    assert len(visitor.get("/kept").json["id_token"]) > letters
    response = visitor.post("/logout", headers=FROM_HERE)
    assert response.location.startswith(f"{ISSUER}/end-session?")
    assert query(response.location)["logout_hint"] == ["ada"]
    assert sum(len(name) + len(value) + 4 for name, value in response.headers) < 4096
    assert not is_logged_in(visitor)


@pytest.mark.parametrize("fault", ["revocation_503", "revocation_refused"])
def test_a_refresh_token_that_is_not_revoked_does_not_keep_the_access_token(
    provider: DevProvider, fault: str
) -> None:
    visitor = Visitor(token_site(provider, "memory"), provider)
    visitor.log_in()
    bearer = {"Authorization": f"Bearer {visitor.get('/token').text}"}
    userinfo = provider.app.test_client()
    assert userinfo.get("/userinfo", base_url=ISSUER, headers=bearer).status_code == 200
    with provider.fault(fault, times=1):
        visitor.post("/logout", headers=FROM_HERE)
    revoked = [call.form for call in provider.calls if call.endpoint == "revocation"]
    assert [form["token_type_hint"] for form in revoked] == ["refresh_token", "access_token"]
    assert userinfo.get("/userinfo", base_url=ISSUER, headers=bearer).status_code == 401


@pytest.mark.parametrize("fault", ["revocation_503", "revocation_refused"])
def test_a_failed_revocation_keeps_no_one_logged_in(
    provider: DevProvider, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    app = make_site(provider, PARJAR_STORE="cookie", PARJAR_SCOPES="openid offline_access")
    visitor = Visitor(app, provider)
    visitor.log_in()
    with provider.fault(fault):
        response = visitor.post("/logout", headers=FROM_HERE)
    assert response.location.startswith(f"{ISSUER}/end-session?")
    for kind in ("refresh_token", "access_token"):
        assert any(kind in message and ISSUER in message for message in caplog.messages)
    assert not is_logged_in(visitor)


STORES = ["cookie", "memory", "redis"]


def revoked(provider: DevProvider) -> list[str]:
    """The tokens that were brought to the revocation endpoint."""
    return [call.form["token"] for call in provider.calls if call.endpoint == "revocation"]


def tokens_of(visitor: Visitor) -> set[str]:
    """The access token and the refresh token that the site keeps for this browser."""
    kept = visitor.get("/kept").json
    return {kept["access_token"], kept["refresh_token"]}


@pytest.mark.parametrize("store", STORES)
def test_a_logout_revokes_the_tokens_of_the_logins_before_too(
    provider: DevProvider, redis_process: RedisProcess, store: str
) -> None:
    """Each step-up is a login that takes the place of the one before it."""
    visitor = Visitor(token_site(provider, store_address(store, redis_process)), provider)
    expected: set[str] = set()
    for _ in range(3):
        visitor.log_in()
        expected |= tokens_of(visitor)
    assert len(expected) == 6
    assert revoked(provider) == []  # at some providers that would end the new login, too
    visitor.post("/logout", headers=FROM_HERE)
    assert sorted(revoked(provider)) == sorted(expected)


@pytest.mark.parametrize("store", ["memory", "redis"])
@pytest.mark.parametrize("second", ["ada", "grace"])
def test_a_logout_ends_the_session_before_too(
    provider: DevProvider, redis_process: RedisProcess, store: str, second: str
) -> None:
    visitor = Visitor(token_site(provider, store_address(store, redis_process)), provider)
    visitor.log_in()
    copied = copy_of(visitor)
    visitor.log_in(person=second)
    assert copied.get("/me").json["sub"] == "ada"  # what was under way may finish
    visitor.post("/logout", headers=FROM_HERE)
    for path in ("/me", "/token"):
        assert copied.get(path).status_code == 302
    assert copied.get("/kept").json is None


@pytest.mark.parametrize("store", STORES)
def test_the_tokens_of_another_person_are_revoked_by_the_login_that_replaces_theirs(
    provider: DevProvider, redis_process: RedisProcess, store: str
) -> None:
    visitor = Visitor(token_site(provider, store_address(store, redis_process)), provider)
    visitor.log_in()
    former = tokens_of(visitor)
    visitor.log_in(person="grace")
    assert set(revoked(provider)) == former
    assert visitor.get("/kept").json["replaced"] == []
    assert visitor.get("/me").json["sub"] == "grace"


@pytest.mark.parametrize("store", STORES)
def test_a_session_that_was_replaced_renews_no_tokens(
    provider: DevProvider, redis_process: RedisProcess, store: str
) -> None:
    visitor = Visitor(token_site(provider, store_address(store, redis_process)), provider)
    visitor.log_in()
    copied = copy_of(visitor)
    token = copied.get("/token").text
    visitor.log_in()
    assert copied.get("/token").text == token
    assert copied.get("/kept").json["refresh_token"] is None
    age(copied, left=-1)
    assert copied.get("/token").location == "/login?next=/token"
    assert renewals(provider) == 0


def test_a_login_whose_tokens_are_not_stored_revokes_those_that_it_replaced(
    provider: DevProvider, tmp_path: Path
) -> None:
    with RedisProcess(tmp_path) as own:
        visitor = Visitor(token_site(provider, own.url), provider)
        visitor.log_in()
        former = tokens_of(visitor)
        back = visitor.come_back(visitor.leave())
        with own.client() as client:
            (there,) = client.scan_iter("*:tokens:*")
            others = [f"*:{kind}:*" for kind in ("session", "subject", "algs", "ended", "claimed")]
            keys = [*others, "*:lock:*", str(there)]
            client.acl_setuser("default", keys=keys, reset_keys=True)
            assert visitor.get(back).status_code == 503
        assert former <= set(revoked(provider)) and len(revoked(provider)) == 4
        assert not is_logged_in(visitor)


def test_of_very_many_logins_in_one_browser_the_newest_tokens_are_revoked(
    provider: DevProvider,
) -> None:
    visitor = Visitor(token_site(provider, "memory"), provider)
    for _ in range(12):
        visitor.log_in()
    newest = tokens_of(visitor)
    visitor.post("/logout", headers=FROM_HERE)
    assert len(revoked(provider)) == 22
    assert set(revoked(provider)[:2]) == newest


def test_tokens_that_have_ended_since_are_not_revoked(
    provider: DevProvider, wall_clock: WallClock
) -> None:
    visitor = Visitor(token_site(provider, "memory", PARJAR_SCOPES="openid"), provider)
    provider.access_token_seconds = 1
    visitor.log_in()
    provider.access_token_seconds = 600
    wall_clock.turn(1.1)
    visitor.log_in()
    newest = visitor.get("/kept").json["access_token"]
    visitor.post("/logout", headers=FROM_HERE)
    assert revoked(provider) == [newest]


def test_where_the_tokens_do_not_fit_the_replaced_ones_go_first(
    provider: DevProvider,
) -> None:
    """What remains is the login that counts."""
    visitor = Visitor(token_site(provider, "cookie"), provider)
    for _ in range(60):
        visitor.log_in()
    kept = visitor.get("/kept").json
    assert kept["refresh_token"] is not None
    assert len(kept["replaced"]) < 22


def test_a_store_that_is_busy_keeps_no_login_away(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = Visitor(token_site(provider, "memory", PARJAR_HTTP_TIMEOUT=3), provider)
    visitor.log_in()
    store = visitor.app.extensions["parjar"].store
    (key,) = store.keys("tokens:")
    with store.lock(f"renewal-{key}", ttl=60, wait=0):
        assert visitor.log_in().status_code == 302
    assert "store_busy" in caplog.text or "waited" in caplog.text
    assert visitor.get("/token").status_code == 200


@pytest.mark.parametrize(
    "entries", [None, "x", 7, {}, [1], [[]], [["a"]], [["a", "b"]], [[1, 2**40]], [["a", 0]]]
)
def test_any_value_in_place_of_the_replaced_sessions(provider: DevProvider, entries: Any) -> None:
    """An older version, or the app itself, may have put anything there."""
    visitor = Visitor(token_site(provider, "memory"), provider)
    visitor.log_in()
    with visitor.client.session_transaction() as stored:
        stored["_parjar_replaced"] = entries
    assert visitor.post("/logout", headers=FROM_HERE).status_code == 302
    assert not is_logged_in(visitor)


@pytest.mark.parametrize("status", [200, 202, 204, 400, 503])
def test_the_access_token_is_revoked_whatever_became_of_the_refresh_token(
    provider: DevProvider, status: int
) -> None:
    visitor = Visitor(
        make_site(provider, PARJAR_STORE="cookie", PARJAR_SCOPES="openid offline_access"), provider
    )
    visitor.log_in()
    body = '{"error": "unsupported_token_type"}' if status == 400 else None
    AlteredAnswers(provider).instead(REVOKE, status, body)
    provider.calls.clear()
    assert visitor.post("/logout", headers=FROM_HERE).status_code == 302
    revoked = [call.form for call in provider.calls if call.endpoint == "revocation"]
    assert [form["token_type_hint"] for form in revoked] == ["refresh_token", "access_token"]


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_success_of_a_revocation_is_one(
    provider: DevProvider, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """RFC 7009 section 2.2 says 200; what counts is that the provider did not refuse."""
    visitor = Visitor(make_site(provider, PARJAR_STORE="cookie"), provider)
    visitor.log_in()
    AlteredAnswers(provider).instead(REVOKE, status)
    caplog.clear()
    visitor.post("/logout", headers=FROM_HERE)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_provider_without_revocation_is_not_asked(provider: DevProvider) -> None:
    del provider.metadata["revocation_endpoint"]
    visitor = Visitor(make_site(provider, PARJAR_STORE="cookie"), provider)
    visitor.log_in()
    provider.calls.clear()
    assert visitor.post("/logout", headers=FROM_HERE).status_code == 302
    assert provider.calls == []


def test_a_logout_while_redis_is_away(provider: DevProvider, tmp_path: Path) -> None:
    """No one is kept logged in: this browser's cookie goes, the entry ends by itself."""
    with RedisProcess(tmp_path) as own:
        visitor = Visitor(site_with_store(provider, own, "redis"), provider)
        visitor.log_in()
        own.stop()
        response = visitor.post("/logout", headers=FROM_HERE)
        assert (response.status_code, "logout_hint" in response.location) == (302, True)
        assert visitor.get("/me").status_code == 302


def test_a_copied_cookie_is_dead_after_the_logout(
    provider: DevProvider, redis_process: RedisProcess
) -> None:
    app = site_with_store(provider, redis_process, "redis")
    visitor, thief = Visitor(app, provider), Visitor(app, provider)
    visitor.log_in()
    copied = visitor.client.get_cookie("session")
    assert copied is not None
    thief.client.set_cookie("session", copied.value)
    assert is_logged_in(thief)
    visitor.post("/logout", headers=FROM_HERE)
    assert not is_logged_in(thief)


def b64decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
