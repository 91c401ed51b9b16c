"""Keycloak's own pages in a real browser, at a site on another host name.

The site is on ``localhost`` and Keycloak on ``127.0.0.1``: for the browser these are two sites, as
``https://your.site`` and a provider elsewhere are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask, render_template_string
from werkzeug.serving import make_server

from flask_parjar import current_user, step_up_required
from flask_parjar.testing.serving import running
from tests.browser.window import Window, expect
from tests.interop.keycloak_browser import PASSWORDS, one_time_password
from tests.interop.keycloak_client import keycloak_client, site_of
from tests.interop.keycloak_process import KeycloakProcess
from tests.support.interop_table import shows_at

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.interop

shows = shows_at("Keycloak")

HOME = """<!doctype html><title>Home</title><h1>{{ current_user.name or "no one" }}</h1>
<a href="{{ url_for("parjar.login", next="/who") }}">Log in</a>
<form method="post" action="{{ url_for("parjar.logout") }}"><button>Log out</button></form>"""


@dataclass
class Site:
    """A site on a socket that is a client of Keycloak."""

    client_id: str
    url: str
    keycloak: KeycloakProcess

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What Keycloak recorded of this client, the newest first."""
        return self.keycloak.events(self.client_id, kind)


NO_MORE: Mapping[str, Any] = MappingProxyType({})

StartSite = Callable[..., Site]
OpenWindow = Callable[..., Window]


def make_app(keycloak: KeycloakProcess, client_id: str, **config: Any) -> Flask:
    """A site with two pages that say who is logged in, and one for a second factor."""
    app: Flask = site_of(keycloak, client_id, **{"PARJAR_STORE": "memory", **config}).application
    for name in ("home", "who"):
        app.add_url_rule(f"/{name}", f"{name}_page", lambda: render_template_string(HOME))
    strong = step_up_required(acr="mfa")(lambda: {"acr": current_user.claims["acr"]})
    app.add_url_rule("/strong", "strong", strong)
    return app


@pytest.fixture
def start_site(keycloak: KeycloakProcess, request: pytest.FixtureRequest) -> Iterator[StartSite]:
    """``start_site(client={…}, PARJAR_…=…)`` serves a site; `client` has Keycloak's names."""
    with ExitStack() as serving:

        def start(
            *, host: str = "localhost", client: Mapping[str, Any] = NO_MORE, **config: Any
        ) -> Site:
            client_id = request.node.name
            app = make_app(keycloak, client_id, **config)
            serving.enter_context(running(server := make_server(host, 0, app, threaded=True)))
            url = f"http://{host}:{server.port}"
            registered = keycloak_client(
                client_id,
                alg="ES256",
                method="private_key_jwt",
                site=url,
                frontchannel_logout_url=f"{url}/frontchannel-logout",
                frontchannel_logout_session_required="true",
            )
            keycloak.add_client({**registered, **client})
            return Site(client_id, url, keycloak)

        yield start


def sign_in(page: Page, person: str = "ada") -> None:
    """Fill in Keycloak's form."""
    page.fill("#username", person)
    page.fill("#password", PASSWORDS[person])
    page.click("#kc-login")


def test_log_in_and_out(start_site: StartSite, open_window: OpenWindow) -> None:
    site = start_site()
    window = open_window(site.url)
    page = window.page
    window.open("/home")
    page.get_by_role("link", name="Log in").click()
    window.photograph("1-keycloak")
    sign_in(page)
    page.wait_for_url(f"{site.url}/who")
    expect(page.get_by_role("heading")).to_have_text("Ada Lovelace")
    (login,) = site.events("LOGIN")
    assert login["userId"] == site.keycloak.user_id("ada")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(lambda url: url.partition("?")[0] == f"{site.url}/")
    window.open("/home")
    expect(page.get_by_role("heading")).to_have_text("no one")
    assert login["sessionId"] not in {each["id"] for each in site.keycloak.sessions("ada")}
    window.end()


def test_a_wrong_password_can_be_corrected(start_site: StartSite, open_window: OpenWindow) -> None:
    site = start_site()
    window = open_window(site.url)
    page = window.page
    window.open("/login?next=/who")
    page.fill("#username", "ada")
    page.fill("#password", "a wrong one")
    page.click("#kc-login")
    expect(page.locator("#username[aria-invalid]")).to_be_visible()
    page.fill("#password", PASSWORDS["ada"])
    page.click("#kc-login")
    page.wait_for_url(f"{site.url}/who")
    assert [each["error"] for each in site.events("LOGIN_ERROR")] == ["invalid_user_credentials"]
    window.end()


def test_consent(start_site: StartSite, open_window: OpenWindow) -> None:
    """*No* leads to a page of ours, from which the person can begin again."""
    site = start_site(client={"consentRequired": True})
    window = open_window(site.url)
    page = window.page
    window.open("/login?next=/who")
    sign_in(page)
    window.photograph("1-consent")
    page.click("#kc-cancel")
    page.wait_for_url(f"{site.url}/callback*")
    expect(page.get_by_role("main")).to_contain_text("access_denied")
    window.look_at("2-refused")
    (refused,) = site.events("LOGIN_ERROR")
    assert refused["error"] == "rejected_by_user"

    page.get_by_role("link", name="Try again").click()
    sign_in(page)
    page.click("#kc-login")
    page.wait_for_url(f"{site.url}/who")
    (login,) = site.events("LOGIN")
    assert login["details"]["consent"] == "consent_granted"
    window.end(expected_on_console=("/callback: Failed to load resource",))


def test_a_second_factor(start_site: StartSite, open_window: OpenWindow) -> None:
    site = start_site()
    window = open_window(site.url)
    page = window.page
    window.open("/login?next=/who")
    sign_in(page)
    page.wait_for_url(f"{site.url}/who")
    window.open("/strong")
    expect(page.locator("#otp")).to_be_visible()
    window.photograph("1-second-factor")
    page.fill("#otp", one_time_password())
    page.click("#kc-login")
    page.wait_for_url(f"{site.url}/strong")
    expect(page.locator("body")).to_contain_text('"acr":"mfa"')
    assert len(site.events("LOGIN")) == 2
    window.end()


@shows("form_post")
def test_form_post_from_another_site(start_site: StartSite, open_window: OpenWindow) -> None:
    """The session cookie does not come with Keycloak's form: our page sends the form once more."""
    site = start_site(PARJAR_RESPONSE_MODE="form_post")
    window = open_window(site.url)
    page = window.page
    window.open("/login?next=/who")
    sign_in(page)
    page.wait_for_url(f"{site.url}/who")
    expect(page.get_by_role("heading")).to_have_text("Ada Lovelace")
    posted = [each for each in window.requests if each.url == f"{site.url}/callback"]
    assert [each.method for each in posted] == ["POST", "POST"]
    (login,) = site.events("LOGIN")
    assert login["details"]["response_mode"] == "form_post"
    window.end()


def test_the_back_button_at_keycloak(start_site: StartSite, open_window: OpenWindow) -> None:
    """Somebody who goes back from the form of Keycloak can begin once more."""
    site = start_site()
    window = open_window(site.url)
    page = window.page
    window.open("/home")
    page.get_by_role("link", name="Log in").click()
    expect(page.locator("#username")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading")).to_have_text("no one")
    page.get_by_role("link", name="Log in").click()
    sign_in(page)
    page.wait_for_url(f"{site.url}/who")
    expect(page.get_by_role("heading")).to_have_text("Ada Lovelace")
    window.end()


def test_the_back_button_after_the_login(start_site: StartSite, open_window: OpenWindow) -> None:
    """It leads to Keycloak, and from there back to the site: the person stays logged in."""
    site = start_site(PARJAR_AFTER_LOGIN="/who")
    window = open_window(site.url)
    page = window.page
    window.open("/home")
    page.get_by_role("link", name="Log in").click()
    sign_in(page)
    page.wait_for_url(f"{site.url}/who")
    page.go_back()
    page.wait_for_url(f"{site.url}/who")
    expect(page.get_by_role("heading")).to_have_text("Ada Lovelace")
    # Keycloak's page sent the browser to the callback once more, with an error.
    answer = dict(window.query_of(f"{site.url}/callback"))
    assert answer["error"] == "temporarily_unavailable"
    assert len(site.events("LOGIN")) == 1
    window.end()


def test_two_tabs(start_site: StartSite, open_window: OpenWindow) -> None:
    """Both wait at Keycloak. The person signs in in one, and both come to the page they wanted."""
    site = start_site()
    window = open_window(site.url)
    first, second = window.page, window.new_tab()
    first.goto(f"{site.url}/login?next=/who")
    second.goto(f"{site.url}/login?next=/home")
    for tab in (first, second):
        expect(tab.locator("#username")).to_be_visible()
    sign_in(first)
    first.wait_for_url(f"{site.url}/who")
    second.wait_for_url(f"{site.url}/home")
    for tab in (first, second):
        expect(tab.get_by_role("heading")).to_have_text("Ada Lovelace")
    window.end()


@pytest.mark.parametrize(
    ("host", "name"),
    [
        pytest.param("127.0.0.1", "no one", marks=shows("front-channel logout")),
        ("localhost", "Grace Hopper"),
    ],
)
def test_front_channel_logout(
    start_site: StartSite, open_window: OpenWindow, keycloak: KeycloakProcess, host: str, name: str
) -> None:
    """It works if both are one site for the browser; else the frame gets no session cookie."""
    site = start_site(host=host, client={"frontchannelLogout": True})
    window = open_window(site.url)
    page = window.page
    window.open("/login?next=/who")
    sign_in(page, "grace")
    page.wait_for_url(f"{site.url}/who")

    with page.expect_response(re.compile("/frontchannel-logout")) as framed:
        page.goto(keycloak.metadata()["end_session_endpoint"])
        page.click("#kc-logout")
    assert framed.value.status == 200
    window.photograph("1-frame")
    (sid,) = parse_qs(urlsplit(framed.value.url).query)["sid"]
    assert sid not in {each["id"] for each in keycloak.sessions("grace")}
    window.open("/home")
    expect(page.get_by_role("heading")).to_have_text(name)
    window.end()
