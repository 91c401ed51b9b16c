"""A page of another site begins a login: with real cookies, as a browser sends and keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from flask import Flask, render_template_string, request
from werkzeug.serving import make_server

from flask_parjar.testing import DevProvider
from flask_parjar.testing.serving import running
from tests.support.site import make_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PORTAL = """
<title>Portal</title>
<form method="{{ method }}" action="{{ site }}/login">
  <input name="iss" value="{{ iss }}">
  <input name="login_hint" value="ada@people.example">
  <input name="target_link_uri" value="{{ site }}/me">
  <button>Open the site</button>
</form>
"""

pytestmark = pytest.mark.browser


@pytest.fixture
def provider(free_port: Callable[[], int]) -> Iterator[DevProvider]:
    """For a browser, ``localhost`` is another site than ``127.0.0.1``."""
    provider = DevProvider(f"http://localhost:{free_port()}")
    with provider.running():
        yield provider


@pytest.fixture
def site(provider: DevProvider, free_port: Callable[[], int]) -> Iterator[str]:
    site = f"http://127.0.0.1:{free_port()}"
    app = make_site(provider, connect=False)
    provider.connect(app, base_urls=[site])
    with running(make_server("127.0.0.1", urlsplit(site).port or 0, app, threaded=True)):
        yield site


@pytest.fixture
def portal(site: str, provider: DevProvider, free_port: Callable[[], int]) -> Iterator[str]:
    """A page of another site, with a form for the method of its query."""
    app, port = Flask("portal"), free_port()

    @app.get("/")
    def page() -> str:
        method = request.args["method"]
        return render_template_string(PORTAL, method=method, site=site, iss=provider.issuer)

    with running(make_server("127.0.0.1", port, app, threaded=True)):
        yield f"http://localhost:{port}"


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with ExitStack() as opened:
        context = chromium.new_context()
        opened.callback(context.close)
        context.set_default_timeout(10_000)
        yield context.new_page()


def sign_in(page: Page, name: str) -> None:
    page.locator("button.person").filter(has_text=name).click()
    page.get_by_role("button", name="Agree").click()


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_login_that_another_site_begins(page: Page, site: str, portal: str, method: str) -> None:
    page.goto(f"{portal}/?method={method}")
    page.get_by_role("button").click()
    sign_in(page, "Ada")
    page.wait_for_url(f"{site}/me")
    assert '"sub":"ada"' in page.inner_text("body").replace(" ", "")


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_person_who_is_logged_in_stays_so_until_it_is_complete(
    page: Page, site: str, portal: str, method: str
) -> None:
    page.goto(f"{site}/login?next=/me")
    sign_in(page, "Ada")
    page.wait_for_url(f"{site}/me")
    page.context.clear_cookies(domain="localhost")  # the provider asks again who is there
    page.goto(f"{portal}/?method={method}")
    page.get_by_role("button").click()
    page.locator("button.person").first.wait_for()
    page.goto(f"{site}/me")
    assert '"sub":"ada"' in page.inner_text("body").replace(" ", "")
