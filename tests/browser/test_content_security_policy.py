"""A site whose Content-Security-Policy says where its forms may lead (form-action).

Chromium compares every redirect that answers a form with it, and reports it only in the console. So
the origin of the provider must be in it, as the page on logouts says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from flask import Flask, Response, render_template_string
from werkzeug.serving import make_server

from flask_parjar import ParJar, login_required
from flask_parjar.testing import DevProvider
from flask_parjar.testing.serving import running
from tests.browser.window import Window

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOME = """<!doctype html><title>Home</title>
<p>{{ current_user.name or "logged out" }}</p>
<form method="post" action="{{ url_for("parjar.logout") }}"><button>Log out</button></form>
<form method="post" action="/save"><button>Save</button></form>"""
SHORTLY = 4000  # milliseconds

pytestmark = pytest.mark.browser


@pytest.fixture
def site(provider: DevProvider, free_port: Callable[[], int]) -> Iterator[str]:
    site = f"http://localhost:{free_port()}"
    app = Flask(__name__)
    app.config.update(SECRET_KEY="of the tests", **provider.config())
    ParJar(app)
    app.add_url_rule("/", "home", lambda: render_template_string(HOME))
    app.add_url_rule("/save", "save", login_required(lambda: "saved"), methods=["POST"])

    @app.after_request
    def restrict(response: Response) -> Response:
        forms = f"form-action 'self' {provider.issuer}"
        response.headers["Content-Security-Policy"] = f"default-src 'self'; {forms}"
        return response

    provider.connect(app, base_urls=[site])
    with running(make_server("localhost", urlsplit(site).port or 0, app, threaded=True)):
        yield site


def press(page: Page, button: str) -> None:
    page.get_by_role("button", name=button, exact=True).click()


def check_is_at(page: Page, origin: str) -> None:
    from playwright.sync_api import expect

    expect(page).to_have_url(re.compile(re.escape(origin) + "/"), timeout=SHORTLY)


def test_a_logout_ends_at_the_provider(
    site: str, provider: DevProvider, open_window: Callable[..., Window]
) -> None:
    page = open_window(site).page
    page.goto(f"{site}/login")
    page.get_by_role("button", name="Ada Lovelace").click()
    press(page, "Agree")
    check_is_at(page, site)
    assert page.inner_text("p") == "Ada Lovelace"
    press(page, "Log out")
    check_is_at(page, provider.issuer)
    press(page, "Sign out")
    check_is_at(page, site)
    assert page.inner_text("p") == "logged out"


def test_a_form_without_a_login_leads_to_the_provider(
    site: str, provider: DevProvider, open_window: Callable[..., Window]
) -> None:
    page = open_window(site).page
    page.goto(site)
    press(page, "Save")
    check_is_at(page, provider.issuer)
