"""Tabs and bad luck: several logins in one browser; cookies overwritten, and cookies lost."""

from __future__ import annotations

import logging
import random
import string
import time
import warnings
from collections.abc import Callable
from functools import partial
from http.cookies import SimpleCookie
from typing import Any

import pytest
from flask import Flask, session
from flask.sessions import SecureCookieSessionInterface
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import TestResponse

from flask_parjar import LoginOptions, ParJar, logged_in
from flask_parjar.testing import DevProvider
from tests.support.after_login import age, copy_of, store_address, token_site
from tests.support.altered_answers import TOKEN, AlteredAnswers
from tests.support.headers import FROM_HERE
from tests.support.lossy_proxy import LossyProxy
from tests.support.pages import code_of, endpoints
from tests.support.redis_process import RedisProcess
from tests.support.site import ISSUER, Visitor, make_site, query
from tests.support.threads import at_once

#: What browsers keep of a cookie: its name, value and attributes.
LARGEST_COOKIE = 4093


def cookie_of(visitor: Visitor) -> str:
    cookie = visitor.client.get_cookie("session")
    assert cookie is not None
    return str(cookie.value)


# Many logins in one browser.


def test_three_parallel_logins_finish_in_any_order(visitor: Visitor, provider: DevProvider) -> None:
    """Three people even, one after the other; the last to come back is who is logged in."""
    people = ["ada", "grace", "alan"]
    away = [visitor.leave(f"/login?next=/tab{n}") for n in range(3)]
    back = [visitor.come_back(away[n], people[n]) for n in range(3)]
    for n in (2, 0, 1):
        assert visitor.get(back[n]).location == f"/tab{n}"
        assert visitor.get("/me").json["sub"] == people[n]
    assert endpoints(provider).count("token") == 3
    with visitor.client.session_transaction() as stored:
        assert "_parjar_logins" not in stored


def test_a_tab_may_fail_and_the_others_go_on(visitor: Visitor) -> None:
    away = [visitor.leave(f"/login?next=/tab{n}") for n in range(3)]
    refused = visitor.get(visitor.come_back(away[1], approve=False))
    assert (refused.status_code, code_of(refused)) == (403, "access_denied")
    for n in (0, 2):
        assert visitor.get(visitor.come_back(away[n])).location == f"/tab{n}"


def test_a_logout_in_one_tab_while_another_logs_in(visitor: Visitor) -> None:
    """The login that was under way is lost with the session, and starts once more."""
    visitor.log_in()
    away = visitor.leave("/login?next=/tab")
    visitor.post("/logout", headers=FROM_HERE)
    again = visitor.get(visitor.come_back(away)).location
    assert again.startswith(f"{ISSUER}/")
    assert visitor.get(visitor.come_back(again)).location == "/"


def test_many_abandoned_logins_of_the_largest_kind(provider: DevProvider) -> None:
    """Two providers, long addresses, scopes and strength asked for: the cookie stays small."""
    host = "a-rather-long-name-of-a-web-site.department.example"
    sections = {
        "employees": {"client_id": "w", "redirect_uri": f"https://{host}/auth/callback/employees"},
        "customers": {"client_id": "h", "redirect_uri": f"https://{host}/auth/callback/customers"},
    }

    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/strong/<name>")
        def strong(name: str) -> Any:
            wishes = {"scopes": ["openid", "email"], "max_age": 300, "acr_values": ["pwd", "mfa"]}
            return parjar.login(
                LoginOptions(provider=name, essential_acr=True, **wishes), next=f"/{name}"
            )

    app = make_site(provider, prepare=prepare, PARJAR_PROVIDERS=sections, PARJAR_URL_PREFIX="/auth")
    visitor = Visitor(app, provider, base_url=f"https://{host}")
    visitor.client = app.test_client()
    for n in range(1000 // 20):
        for name in sections:
            response = visitor.get(f"/strong/{name}")
            assert len(response.headers["Set-Cookie"]) < 1000, n
            assert len(cookie_of_host(visitor, host)) < 800, n
    back = visitor.come_back(response.location)
    assert visitor.get(back).location == "/customers"


def cookie_of_host(visitor: Visitor, host: str) -> str:
    cookie = visitor.client.get_cookie("session", domain=host)
    assert cookie is not None
    return str(cookie.value)


def test_the_newest_of_a_thousand_works_in_a_browser_that_is_logged_in(visitor: Visitor) -> None:
    visitor.log_in()
    logged_in = len(cookie_of(visitor))
    for n in range(1000 // 5):
        away = visitor.leave(f"/login?next=/tab{n}")
    assert len(cookie_of(visitor)) < logged_in + 500
    assert visitor.get(visitor.come_back(away)).location == "/tab199"


# Parallel answers: the later cookie wins.


def overwritten(visitor: Visitor) -> tuple[str, str]:
    """Begin two logins at once, from the same cookie; the second answer's cookie is what stays."""
    other = Visitor(visitor.app, visitor.provider)
    kept = visitor.client.get_cookie("session")
    if kept is not None:
        other.client.set_cookie("session", str(kept.value))
    first, second = visitor.leave("/login?next=/first"), other.leave("/login?next=/second")
    visitor.client.set_cookie("session", cookie_of(other))
    return first, second


def test_tabs_whose_cookies_overwrite_each_other(visitor: Visitor, provider: DevProvider) -> None:
    first, second = overwritten(visitor)
    provider.calls.clear()
    again = visitor.get(visitor.come_back(first)).location
    assert again.startswith(f"{ISSUER}/")
    assert "token" not in endpoints(provider)
    assert visitor.get(visitor.come_back(second)).location == "/second"
    assert visitor.get(visitor.come_back(again)).location == "/"


def test_the_overwritten_tab_comes_back_last(visitor: Visitor, provider: DevProvider) -> None:
    """Somebody is logged in by then: the tab shows the page after a login."""
    first, second = overwritten(visitor)
    first_back = visitor.come_back(first)
    assert visitor.get(visitor.come_back(second)).location == "/second"
    provider.calls.clear()
    assert visitor.get(first_back).location == "/"
    assert provider.calls == []


def test_callbacks_whose_cookies_overwrite_each_other(
    visitor: Visitor, provider: DevProvider
) -> None:
    """Both tabs come back at once; the cookie that stays is of one, and both are where they were
    going. The other's login, found again in the old cookie, is not finished twice."""
    away = [visitor.leave(f"/login?next=/tab{n}") for n in range(2)]
    back = [visitor.come_back(url) for url in away]
    other = Visitor(visitor.app, provider)
    other.client.set_cookie("session", cookie_of(visitor))
    assert visitor.get(back[0]).location == "/tab0"
    assert other.get(back[1]).location == "/tab1"
    visitor.client.set_cookie("session", cookie_of(other))
    assert visitor.get("/me").status_code == 200
    provider.calls.clear()
    assert visitor.get(back[0]).location == "/tab0"
    assert endpoints(provider) == []
    assert visitor.get("/me").status_code == 200  # who is logged in stays so


def test_a_lost_login_is_started_again_once_and_no_more(
    visitor: Visitor, provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """A browser without cookies is not sent round in circles."""
    rounds = 0
    response = visitor.get("/login?next=/me")
    while response.status_code == 302 and response.location.startswith(ISSUER):
        back = visitor.come_back(response.location)
        visitor.client.delete_cookie("session")
        response = visitor.get(back)
        rounds += 1
        assert rounds < 5
    assert (rounds, response.status_code, code_of(response)) == (2, 400, "login_lost")
    assert "token" not in endpoints(provider)
    assert len(details(caplog, "login_lost")) == 2  # begun once more, and given up


# Back, reload, and too late.


@pytest.mark.parametrize("times", [1, 3])
def test_back_and_reload_on_a_used_callback(
    visitor: Visitor, provider: DevProvider, times: int
) -> None:
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    visitor.get(back)
    before = cookie_of(visitor)
    provider.calls.clear()
    for _ in range(times):
        assert visitor.get(back).location == "/"
    assert provider.calls == [] and cookie_of(visitor) == before


# One answer, brought twice.


def take_cookies(visitor: Visitor, response: TestResponse) -> None:
    """As the browser does that sent another request at the same moment."""
    for header in response.headers.getlist("Set-Cookie"):
        for name, morsel in SimpleCookie(header).items():
            if morsel["max-age"] == "0":
                visitor.client.delete_cookie(name)
            else:
                visitor.client.set_cookie(name, morsel.value)


def assert_still_logged_in(visitor: Visitor, provider: DevProvider) -> None:
    """And the provider has no reason to void the tokens: the code came once."""
    assert endpoints(provider).count("token") == 1
    assert visitor.get("/me").status_code == 200
    if visitor.get("/kept").json is not None:
        age(visitor, left=-1)
        assert visitor.get("/token").status_code == 200


@pytest.mark.parametrize("store, processes", [(None, 1), ("memory", 1), ("redis", 2)])
def test_an_answer_that_comes_again_with_the_old_cookie_changes_nothing(
    provider: DevProvider, redis_process: RedisProcess, store: str | None, processes: int
) -> None:
    """The browser sent it twice, and both times with the cookie of before."""
    key = provider.config()["PARJAR_SIGNING_KEY"]
    address = store_address(store, redis_process)
    apps = [token_site(provider, address, PARJAR_SIGNING_KEY=key) for _ in range(processes)]
    visitor = Visitor(apps[0], provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    again = copy_of(visitor, apps[-1])
    assert visitor.get(back).location == "/me"
    answer = again.get(back)
    take_cookies(visitor, answer)
    assert (answer.status_code, answer.location) == (302, "/me")
    assert_still_logged_in(visitor, provider)


def test_a_login_whose_claim_lost_its_answer_is_completed(
    provider: DevProvider, redis_process: RedisProcess
) -> None:
    """Redis keeps the claim, and the connection failed: that is not another request."""
    store_address("redis", redis_process)
    with LossyProxy(redis_process.port) as proxy:
        visitor = Visitor(token_site(provider, proxy.url), provider)
        back = visitor.come_back(visitor.leave("/login?next=/me"))
        proxy.lose_answer(to="claimed:")
        assert visitor.get(back).location == "/me"
        assert proxy.has_lost
        assert_still_logged_in(visitor, provider)


def test_a_refusal_that_comes_again_with_the_old_cookie_is_shown_again(visitor: Visitor) -> None:
    back = visitor.come_back(visitor.leave("/login?next=/me"), approve=False)
    again = copy_of(visitor)
    for each in (visitor, again):
        page = each.get(back)
        assert (page.status_code, code_of(page)) == (403, "access_denied")


@pytest.mark.parametrize("store", [None, "memory"])
def test_an_answer_that_comes_twice_at_once_is_one_login(
    provider: DevProvider, store: str | None
) -> None:
    """A double click, or a browser that sends it once more: the later answer counts for nothing."""
    visitor = Visitor(token_site(provider, store), provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    AlteredAnswers(provider).change(TOKEN, lambda response: time.sleep(0.05))
    browsers = [copy_of(visitor) for _ in range(2)]
    came = at_once([partial(browser.get, back) for browser in browsers])
    for response in came:
        take_cookies(visitor, response)
    assert [(each.status_code, each.location) for each in came] == [(302, "/me")] * 2
    assert_still_logged_in(visitor, provider)


def test_back_to_the_provider_s_page_after_the_login(
    visitor: Visitor, provider: DevProvider
) -> None:
    """A person who goes back two pages and signs in again there comes with the state of before."""
    away = visitor.leave("/login?next=/me")
    browser = provider.browser()
    assert visitor.get(browser_path(browser.sign_in(away))).location == "/me"
    provider.calls.clear()
    used = query(visitor.come_back(visitor.leave("/login?next=/me")))
    assert visitor.get(f"/callback?state={used['state'][0]}&code=x").status_code == 400
    assert visitor.get("/me").status_code == 200


def browser_path(url: str) -> str:
    return url.partition("http://localhost")[2]


def test_a_login_that_outlives_its_transaction(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """The coffee was long: the login begins once more, and still ends at its own page."""
    visitor = Visitor(make_site(provider, PARJAR_TRANSACTION_LIFETIME=60), provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    with visitor.client.session_transaction() as stored:
        seed, started_at, *rest = stored["_parjar_logins"][0]
        stored["_parjar_logins"] = [[seed, started_at - 61, *rest]]
    provider.calls.clear()
    again = visitor.get(back).location
    assert again.startswith(f"{ISSUER}/")
    assert endpoints(provider) == ["pushed_authorization_request"]
    assert visitor.get(visitor.come_back(again)).location == "/me"
    assert len(details(caplog, "login_lost")) == 1


def test_a_form_that_was_lost_is_started_again_too(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, PARJAR_RESPONSE_MODE="form_post"), provider)
    form = {n: v[0] for n, v in query(visitor.come_back(visitor.leave("/login?next=/me"))).items()}
    visitor.client.delete_cookie("session")
    away = visitor.post("/callback", data=form, headers=FROM_HERE).location
    form = {n: v[0] for n, v in query(visitor.come_back(away)).items()}
    assert visitor.post("/callback", data=form, headers=FROM_HERE).location == "/"


# The cookie that was lost on its way: the operator is told why.

WWW = "http://www.site.example"


def site_at(provider: DevProvider, base_url: str, **config: Any) -> Visitor:
    app = make_site(provider, **config)
    provider.connect(app, base_urls=[base_url])
    return Visitor(app, provider, base_url=base_url)


def details(caplog: pytest.LogCaptureFixture, code: str) -> list[str]:
    """What the log says of each failure with this code, without the advice that comes with it."""
    arguments = [record.args for record in caplog.records if isinstance(record.args, tuple)]
    return [
        str(detail)
        for found, detail, *_ in (each for each in arguments if len(each) > 1)
        if found == code
    ]


def lose(visitor: Visitor, cookie: str | None = None, *, twice: bool = True) -> Any:
    """Come back to the callback with no cookie, or with this one; the page at the end."""
    response = visitor.get("/login?next=/me")
    for _ in range(2 if twice else 1):
        back = visitor.come_back(response.location)
        visitor.client = visitor.app.test_client(use_cookies=False)
        headers = {} if cookie is None else {"Cookie": cookie}
        response = visitor.get(back, headers=headers)
    return response


@pytest.mark.parametrize(
    "config, values",
    [
        ({"SESSION_COOKIE_SECURE": True}, ["SESSION_COOKIE_SECURE", f"{WWW}/callback"]),
        ({"SESSION_COOKIE_SAMESITE": "Strict"}, ["SESSION_COOKIE_SAMESITE", "Strict"]),
        ({"SESSION_COOKIE_SAMESITE": "strict"}, ["SESSION_COOKIE_SAMESITE", "Strict"]),
        (
            {"SESSION_COOKIE_SAMESITE": "None"},
            ["SESSION_COOKIE_SAMESITE", "None", "SESSION_COOKIE_SECURE"],
        ),
        (
            {"SESSION_COOKIE_DOMAIN": "other.example"},
            ["SESSION_COOKIE_DOMAIN", "other.example", "www.site.example"],
        ),
        ({"SESSION_COOKIE_DOMAIN": "ite.example"}, ["SESSION_COOKIE_DOMAIN", "ite.example"]),
        ({"SESSION_COOKIE_PATH": "/app"}, ["/app", "/callback"]),
        ({"SESSION_COOKIE_PATH": "/call"}, ["/call,", "/callback"]),
        ({"APPLICATION_ROOT": "/app"}, ["/app"]),
    ],
)
def test_a_loss_that_the_configuration_makes_certain(
    provider: DevProvider,
    caplog: pytest.LogCaptureFixture,
    config: dict[str, Any],
    values: list[str],
) -> None:
    """It is in the log at the login already, and again when it has happened; on no page."""
    visitor = site_at(provider, WWW, **config)
    caplog.clear()
    response = visitor.get("/login?next=/me")
    assert response.status_code == 302
    (warning,) = caplog.messages
    assert [value for value in values if value not in warning] == []
    caplog.clear()
    page = lose(visitor)
    assert (page.status_code, code_of(page)) == (400, "login_lost")
    assert values[0] not in page.text
    told = details(caplog, "login_lost")
    assert len(told) == 2  # begun once more, and given up
    assert [value for value in values for detail in told if value not in detail] == []


@pytest.mark.parametrize(
    "config, base_url",
    [
        ({}, WWW),
        ({}, "https://www.site.example"),
        ({"SESSION_COOKIE_SECURE": True}, "https://www.site.example"),
        ({"SESSION_COOKIE_SECURE": True}, "http://localhost"),  # as good as https, say browsers
        ({"SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_SAMESITE": "None"}, "https://a.example"),
        ({"SESSION_COOKIE_DOMAIN": "site.example"}, WWW),
        ({"SESSION_COOKIE_DOMAIN": ".site.example"}, WWW),
        ({"SESSION_COOKIE_DOMAIN": "www.site.example"}, WWW),
        ({"SESSION_COOKIE_PATH": "/callback"}, WWW),
        ({"SESSION_COOKIE_PATH": "/"}, WWW),
        ({"SESSION_COOKIE_SAMESITE": "Strict", "PARJAR_ISSUER": ISSUER}, "http://www.op.example"),
    ],
)
def test_no_warning_where_nothing_is_wrong(
    provider: DevProvider,
    caplog: pytest.LogCaptureFixture,
    config: dict[str, Any],
    base_url: str,
) -> None:
    """In the last case the provider is of the same site, to which a strict cookie comes along."""
    visitor = site_at(provider, base_url, **config)
    caplog.clear()  # at start the address of the site was not known
    assert visitor.get("/login?next=/me").status_code == 302
    assert "lost" not in caplog.text


def test_a_pinned_callback_is_what_counts(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """Behind a proxy that ends TLS the request looks plain; the configuration knows better."""
    app = make_site(
        provider,
        SESSION_COOKIE_SECURE=True,
        PARJAR_REDIRECT_URI="https://www.site.example/callback",
    )
    Visitor(app, provider, base_url=WWW).get("/login")
    assert "lost" not in caplog.text


def test_a_loss_that_nothing_explains(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    page = lose(site_at(provider, WWW))
    assert code_of(page) == "login_lost"
    for detail in details(caplog, "login_lost"):
        assert f"{WWW}/callback" in detail and "SESSION_COOKIE" not in detail


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:5000", "http://localhost:5000"])
def test_a_secure_cookie_that_a_browser_drops_on_loopback(
    provider: DevProvider, caplog: pytest.LogCaptureFixture, base_url: str
) -> None:
    """Some browsers keep it there, so that nothing is said before it is lost."""
    visitor = site_at(provider, base_url, SESSION_COOKIE_SECURE=True)
    assert visitor.get("/login?next=/me").status_code == 302
    assert "lost" not in caplog.text
    page = lose(visitor)
    assert code_of(page) == "login_lost"
    told = details(caplog, "login_lost")
    assert ["SESSION_COOKIE_SECURE" in detail for detail in told] == [True, True]


def signed(app: Flask, key: str, content: dict[str, Any]) -> str:
    other = Flask("other")
    other.secret_key = key
    serializer = SecureCookieSessionInterface().get_signing_serializer(other)
    assert serializer is not None
    return str(serializer.dumps(content))


OF_THIS_SITE = "of the tests"  # the SECRET_KEY of `make_site`


@pytest.mark.parametrize(
    "cookie, value",
    [
        (lambda app: f"session={signed(app, 'another', {'a': 1})}", "SECRET_KEY"),
        (lambda app: "session=rubbish", "SECRET_KEY"),
        (lambda app: f"session={signed(app, OF_THIS_SITE, {'a': 1})}; session=old", "2 cookies"),
        (lambda app: f"session={signed(app, OF_THIS_SITE, {'cart': 'x'})}", "the session"),
        (
            lambda app: f"session={signed(app, OF_THIS_SITE, {'cart': noise(3680)})}",
            str(LARGEST_COOKIE),
        ),
    ],
)
def test_the_log_says_what_is_wrong_with_the_cookie_that_came(
    provider: DevProvider,
    caplog: pytest.LogCaptureFixture,
    cookie: Callable[[Flask], str],
    value: str,
) -> None:
    visitor = site_at(provider, WWW)
    page = lose(visitor, cookie(visitor.app))
    assert code_of(page) == "login_lost"
    told = details(caplog, "login_lost")
    assert told and all(value in detail for detail in told)
    assert f"{WWW}/callback" not in caplog.text  # it is not said that no cookie came


def noise(length: int) -> str:
    """Text that does not compress."""
    return "".join(random.Random(7).choices(string.ascii_letters + string.digits, k=length))


def test_a_cookie_that_a_browser_drops_for_its_size(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """A whole story: the cart fills the cookie, the login makes it too large, the browser keeps the
    old one, and the log says which of the two it was."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/fill")
        def fill() -> str:
            session["cart"] = noise(3850)
            return "filled"

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.get("/fill")
    old = cookie_of(visitor)
    with warnings.catch_warnings(record=True) as warned:  # Werkzeug's own, which few people see
        warnings.simplefilter("always")
        response = visitor.get("/login?next=/me")
    assert len(response.headers["Set-Cookie"]) > LARGEST_COOKIE and len(warned) == 1
    visitor.client.set_cookie("session", old)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        visitor.get(visitor.come_back(response.location))
    assert str(LARGEST_COOKIE) in caplog.text


@pytest.mark.parametrize("entries, code", [(1000, None), (5000, "session_too_large")])
def test_a_login_whose_cookie_no_browser_will_keep_ends_with_an_error(
    provider: DevProvider, caplog: pytest.LogCaptureFixture, entries: int, code: str | None
) -> None:
    """The app itself fills the session at the login: to go on would be one login after another."""

    def fill(sender: Flask, **said: Any) -> None:
        session["permissions"] = noise(entries)

    app = make_site(provider)
    visitor = Visitor(app, provider)
    with logged_in.connected_to(fill, app):
        answer = visitor.log_in("/login?next=/me")
    assert (answer.status_code, code_of(answer)) == (302 if code is None else 500, code)
    assert ("permissions" in caplog.text) is (code is not None)
    assert visitor.get("/me").status_code == (200 if code is None else 302)


@pytest.mark.parametrize("store", [None, "memory"])
def test_a_login_with_more_scopes_than_a_cookie_holds_ends_with_an_error(
    provider: DevProvider, store: str | None
) -> None:
    visitor = Visitor(make_site(provider, PARJAR_STORE=store), provider)
    AlteredAnswers(provider).members(TOKEN, scope=f"openid {noise(5000)}")
    answer = visitor.log_in("/login?next=/me")
    assert (answer.status_code, code_of(answer)) == (500, "session_too_large")
    assert visitor.get("/me").status_code == 302


def test_sessions_that_are_no_single_cookie_may_be_of_any_size(provider: DevProvider) -> None:
    """Only of Flask's own way to write the cookie is it known what a browser gets."""

    class Elsewhere(SecureCookieSessionInterface):
        def save_session(self, *args: Any) -> None:
            kept.append(len(args[1]["permissions"]))

    def fill(sender: Flask, **said: Any) -> None:
        session["permissions"] = noise(5000)

    kept: list[int] = []
    app = make_site(provider)
    visitor = Visitor(app, provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    app.session_interface = Elsewhere()
    with logged_in.connected_to(fill, app):
        assert visitor.get(back).location == "/me"
    assert kept == [5000]


def test_the_developer_sees_why(provider: DevProvider) -> None:
    visitor = site_at(provider, WWW, SESSION_COOKIE_SECURE=True)
    visitor.app.debug = True
    assert "SESSION_COOKIE_SECURE" in lose(visitor).text


def test_no_cookie_is_in_the_log(provider: DevProvider, caplog: pytest.LogCaptureFixture) -> None:
    visitor = site_at(provider, WWW)
    value = signed(visitor.app, "another", {"cart": "secret"})
    with caplog.at_level(logging.DEBUG):
        lose(visitor, f"session={value}")
    assert value not in caplog.text and value[:20] not in caplog.text


# The cookie's attributes, where the app left them unset.

PINNED = "https://www.site.example/callback"


@pytest.mark.parametrize(
    "config, secure",
    [
        ({}, False),
        ({"PARJAR_REDIRECT_URI": PINNED}, True),
        ({"PARJAR_REDIRECT_URI": PINNED, "SESSION_COOKIE_SECURE": True}, True),
        ({"PARJAR_REDIRECT_URI": PINNED, "SESSION_COOKIE_SECURE": None}, False),
        ({"PARJAR_REDIRECT_URI": "http://www.site.example/callback"}, False),
        ({"SESSION_COOKIE_SECURE": True}, True),
        ({"PARJAR_PROVIDERS": {"a": {"redirect_uri": PINNED}, "b": {"client_id": "b"}}}, False),
        (
            {
                "PARJAR_PROVIDERS": {
                    "a": {"redirect_uri": PINNED},
                    "b": {"client_id": "b", "redirect_uri": PINNED},
                }
            },
            True,
        ),
    ],
)
def test_secure_where_the_configuration_says_https(
    provider: DevProvider, config: dict[str, Any], secure: bool
) -> None:
    """On plain http, as in development, it would lose every cookie: so not everywhere."""
    app = make_site(provider, **config)
    path = "/login/a" if "PARJAR_PROVIDERS" in config else "/login"
    cookie = app.test_client().get(path).headers["Set-Cookie"]
    assert ("Secure" in cookie) is secure
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie


def login_behind_a_proxy(provider: DevProvider, scheme: str, **config: Any) -> Any:
    """The answer that begins a login at a site whose proxy says how it was reached."""
    app = make_site(provider, **config)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)  # type: ignore[method-assign]
    provider.connect(app, base_urls=[f"{scheme}://www.site.example"])
    forwarded = {"X-Forwarded-Proto": scheme, "X-Forwarded-Host": "www.site.example"}
    answers = [app.test_client().get("/login", headers=forwarded) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 302]
    return answers[0]


def test_a_cookie_of_a_site_on_https_that_is_not_for_https_alone_is_warned_of_once(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """Behind a proxy that ends TLS the configuration cannot know of it; a request does."""
    begun = login_behind_a_proxy(provider, "https")
    assert "Secure" not in begun.headers["Set-Cookie"]
    told = [each for each in caplog.records if "SESSION_COOKIE_SECURE" in each.getMessage()]
    assert len(told) == 1


@pytest.mark.parametrize(
    "scheme, config",
    [
        ("http", {}),
        ("https", {"SESSION_COOKIE_SECURE": True}),
        ("https", {"PARJAR_REDIRECT_URI": PINNED}),
        ("https", {"SESSION_COOKIE_SECURE": None}),
    ],
)
def test_a_cookie_that_is_as_it_should_be_is_not_spoken_of(
    provider: DevProvider, caplog: pytest.LogCaptureFixture, scheme: str, config: dict[str, Any]
) -> None:
    login_behind_a_proxy(provider, scheme, **config)
    assert "SESSION_COOKIE_SECURE" not in caplog.text


def test_a_lost_login_with_options_is_not_begun_again_without_them(provider: DevProvider) -> None:
    """The page leads back to where they are made."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        parjar.login_options(lambda: LoginOptions(max_age=300))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    visitor.client.delete_cookie("session")
    page = visitor.get(back)
    assert (page.status_code, code_of(page)) == (400, "login_lost")
    assert 'href="/login"' in page.text
    assert visitor.log_in("/login?next=/me").location == "/me"
