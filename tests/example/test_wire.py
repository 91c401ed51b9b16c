"""The wire: what it draws of logins that end well, and of every one that does not."""

from __future__ import annotations

import re
from html import unescape
from threading import Thread

import pytest
from flask import Flask

from example_app import create_app
from example_app.wire import MAX_BROWSERS, Wire, clock
from flask_parjar.testing import FAULTS, DevProvider, Stopped
from tests.site import ISSUER, Visitor, query

SECRETS = ("code", "state", "request_uri")


@pytest.fixture
def provider() -> DevProvider:
    return DevProvider(ISSUER)


@pytest.fixture
def app(provider: DevProvider) -> Flask:
    return make_app(provider)


def make_app(provider: DevProvider, **config: object) -> Flask:
    app = create_app(provider.config(TESTING=True, **config))
    provider.connect(app)
    return app


def titles(visitor: Visitor) -> list[str]:
    """The headings of the steps drawn for this visitor."""
    page = visitor.get("/wire")
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    found = re.findall(r"<h2><span class=\"number\">\d+</span><span>(.*?) <small>", page.text)
    return [unescape(title) for title in found]


def test_a_login_is_drawn_in_order(app: Flask, provider: DevProvider) -> None:
    ada = Visitor(app, provider)
    assert titles(ada) == []
    ada.log_in("/login?next=/account")
    assert titles(ada) == [
        "Somebody wants to log in",
        "The provider is asked what it can do",
        "The request is signed",
        "The signed request is pushed",
        "The browser is sent to the provider",
        "The person is asked",
        "The browser comes back",
        "The code is exchanged for tokens",
        "The provider's public keys are fetched",
        "The ID token is proved",
        "Ada Lovelace is logged in",
    ]
    page = ada.get("/wire").text
    for shown in ("oauth-authz-req+jwt", "at_hash", "nonce", "/account", "4 calls", "ES256"):
        assert shown in page

    ada.log_in()
    assert len(titles(ada)) == 9, "the documents were known"
    assert "2 calls" in ada.get("/wire").text


def test_userinfo_is_drawn(provider: DevProvider) -> None:
    ada = Visitor(make_app(provider, PARJAR_USERINFO=True), provider)
    ada.log_in()
    assert "The provider is asked about the person" in titles(ada)
    assert "about the same sub" in ada.get("/wire").text


def test_an_answer_that_is_posted_is_drawn(provider: DevProvider) -> None:
    ada = Visitor(make_app(provider, PARJAR_RESPONSE_MODE="form_post"), provider)
    away = ada.leave()
    assert "A login under way" in ada.get("/wire").text
    callback = provider.sign_in(away, "ada")
    ada.post("/callback", data={name: values[0] for name, values in query(callback).items()})
    page = ada.get("/wire").text
    assert "POST /callback" in page.replace("<wbr>", "")
    assert "a form to post" in page


@pytest.fixture(scope="module")
def faulty() -> DevProvider:
    """One for all the faults: its keys take longer to make than a login."""
    return DevProvider(ISSUER)


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_every_fault_is_drawn_up_to_where_it_ends(faulty: DevProvider, name: str) -> None:
    app = make_app(faulty, PARJAR_USERINFO=name.startswith("userinfo"))
    visitor = Visitor(app, faulty)
    whole: list[str] = []
    ended = 0
    with faulty.fault(name):
        left = visitor.get("/login")
        if left.status_code == 302:
            whole += secrets_in(left.location)
            try:
                callback = visitor.come_back(left.location)
            except Stopped:
                pass  # at a page of the provider's own, and nobody comes back
            else:
                whole += secrets_in(callback)
                ended = visitor.get(callback).status_code
        else:
            ended = left.status_code
    page = visitor.get("/wire").text
    last = titles(visitor)[-1]
    if ended == 302:
        assert last == "Ada Lovelace is logged in"
    elif ended:
        assert last == "The login ends here"
        assert "A login that failed" in page
    else:
        assert last == "The browser is sent to the provider"
    assert [secret for secret in whole if len(secret) > 20 and secret in page] == []


def secrets_in(url: str) -> list[str]:
    return [value for name, values in query(url).items() if name in SECRETS for value in values]


def test_a_provider_that_is_down_is_drawn(app: Flask, provider: DevProvider) -> None:
    app.extensions["parjar"].http.session.adapters.clear()  # nothing leads anywhere any more
    app.extensions["parjar"].http.session.mount("https://", Unreachable())
    visitor = Visitor(app, provider)
    assert visitor.get("/login").status_code == 503
    assert titles(visitor) == [
        "Somebody wants to log in",
        "The provider is asked what it can do",
        "The login ends here",
    ]
    assert "provider_unreachable" in visitor.get("/wire").text


class Unreachable:
    def send(self, *_: object, **__: object) -> None:
        raise ConnectionError("no route")

    def close(self) -> None: ...


def test_each_browser_sees_its_own_login_and_no_other(app: Flask, provider: DevProvider) -> None:
    ada, grace, stranger = (Visitor(app, provider) for _ in range(3))
    ada.log_in()
    grace.log_in(person="grace")
    assert titles(ada)[-1] == "Ada Lovelace is logged in"
    assert titles(grace)[-1] == "Grace Hopper is logged in"
    assert titles(stranger) == []


def test_after_the_logout_there_is_nothing_to_see(app: Flask, provider: DevProvider) -> None:
    ada = Visitor(app, provider)
    ada.log_in()
    ada.post("/logout", headers={"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"})
    assert titles(ada) == []


def test_two_logins_at_once_are_not_mixed_up(app: Flask, provider: DevProvider) -> None:
    ada = Visitor(app, provider)
    first, second = ada.leave("/login?next=/account"), ada.leave("/login?next=/reports")
    ada.get(ada.come_back(first))
    page = ada.get("/wire").text
    assert "/account" in page.partition("The request is signed")[0].partition("<main")[2]
    ada.get(ada.come_back(second, approve=False))
    assert titles(ada)[0] == "Somebody wants to log in"
    assert titles(ada)[-1] == "The login ends here"
    assert titles(ada).count("The browser comes back") == 1


def test_an_answer_to_nothing_is_drawn_without_a_beginning(
    app: Flask, provider: DevProvider
) -> None:
    visitor = Visitor(app, provider)
    assert visitor.get("/callback?state=made-up&code=x").status_code == 400
    assert titles(visitor) == ["The browser comes back", "The login ends here"]


def test_the_oldest_browsers_are_forgotten(app: Flask, provider: DevProvider) -> None:
    visitors = [Visitor(app, provider) for _ in range(MAX_BROWSERS + 1)]
    for visitor in visitors:
        visitor.get("/callback?state=made-up")
    assert titles(visitors[0]) == []
    assert titles(visitors[1]) != []


def test_many_threads_at_once(app: Flask, provider: DevProvider) -> None:
    Visitor(app, provider).log_in()
    failures: list[object] = []

    def log_in_often() -> None:
        try:
            for _ in range(5):
                visitor = Visitor(app, provider)
                visitor.log_in()
                assert len(titles(visitor)) == 9
        except BaseException as failure:
            failures.append(failure)

    threads = [Thread(target=log_in_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_two_apps_have_two_wires(app: Flask, provider: DevProvider) -> None:
    other = make_app(provider, PARJAR_CLIENT_ID="another")
    ada = Visitor(app, provider)
    ada.log_in()
    wires = [each.extensions["wire"] for each in (app, other)]
    assert all(isinstance(wire, Wire) for wire in wires)
    assert [len(wire._browsers) for wire in wires] == [1, 0]


def test_calls_outside_of_requests_are_not_its_business(app: Flask) -> None:
    with app.app_context():
        app.extensions["parjar"].providers["default"].metadata(0)


@pytest.mark.parametrize("beyond", [1e30, float("nan"), float("inf"), -1e18])
def test_a_time_beyond_the_calendar_breaks_no_page(beyond: float) -> None:
    assert clock(beyond) == "beyond the calendar"
