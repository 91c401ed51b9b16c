"""Script in every text that a provider, a person or a URL can bring to a page: shown, not run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest
from werkzeug.serving import make_server

from example_app import create_app
from flask_parjar.testing import DevProvider, Person
from flask_parjar.testing.serving import running
from tests.browser.window import Window

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCRIPT = "\"'><script>window.owned=1</script><img src=x onerror=window.owned=1><svg onload=owned=1>"
EVERYWHERE = quote(SCRIPT)
CLAIMS = ("name", "given_name", "email", "preferred_username", "org", "locale", "picture", "acr")

pytestmark = pytest.mark.browser


@pytest.fixture
def provider(free_port: Callable[[], int]) -> Iterator[DevProvider]:
    mallory = Person(username="mallory", claims=dict.fromkeys(CLAIMS, SCRIPT))
    provider = DevProvider(f"http://127.0.0.1:{free_port()}", people=[mallory])
    with provider.running():
        yield provider


@pytest.fixture
def site(provider: DevProvider, free_port: Callable[[], int]) -> Iterator[str]:
    """The example, in debug mode: its error pages say most then."""
    site = f"http://127.0.0.1:{free_port()}"
    app = create_app(provider.config({"PARJAR_USERINFO": True}))
    app.debug = True
    provider.connect(app, base_urls=[site])
    with running(make_server("127.0.0.1", urlsplit(site).port or 0, app, threaded=True)):
        yield site


def check(page: Page, *, shown: bool = True) -> None:
    """The text is on the page as text, and nothing of it has become an element or has run."""
    page.wait_for_load_state()
    if shown:
        assert "window.owned=1" in page.inner_text("body")
    assert page.evaluate("window.owned") is None
    assert page.locator("img[src=x], svg[onload]").count() == 0
    assert page.title() != "owned"


def sign_in(page: Page) -> None:
    page.locator("button.person").first.click()
    agree = page.get_by_role("button", name="Agree")
    if agree.count():
        agree.click()


def test_of_a_person(site: str, open_window: Callable[..., Window]) -> None:
    page = open_window(site).page
    page.goto(f"{site}/account")
    check(page)  # the provider's own page, with the person's name
    sign_in(page)
    page.wait_for_url(f"{site}/account")
    check(page)
    for path in ("/wire", "/", "/api/me"):
        page.goto(site + path)
        check(page)


@pytest.mark.parametrize(
    "path",
    [
        f"/login?next={EVERYWHERE}",
        f"/login?next=/{EVERYWHERE}",
        f"/logout?next={EVERYWHERE}",
        f"/callback?state={EVERYWHERE}&code={EVERYWHERE}",
        f"/callback?state={EVERYWHERE}&error={EVERYWHERE}&error_description={EVERYWHERE}",
        f"/callback?iss={EVERYWHERE}",
        f"/reports?{EVERYWHERE}={EVERYWHERE}",
        f"/{EVERYWHERE}",
    ],
)
def test_of_a_url(site: str, open_window: Callable[..., Window], path: str) -> None:
    page = open_window(site).page
    page.goto(site + path)
    check(page, shown=False)


@pytest.mark.parametrize(
    "fault, page_of", [("response_error_markup", "provider_refused"), ("token_html", "Code:")]
)
def test_of_a_provider(
    site: str, provider: DevProvider, open_window: Callable[..., Window], fault: str, page_of: str
) -> None:
    page = open_window(site).page
    with provider.fault(fault):
        page.goto(f"{site}/login")
        sign_in(page)
        page.wait_for_url(f"{site}/callback*")
    assert page_of in page.inner_text("body")
    check(page, shown=False)
    page.goto(f"{site}/wire")
    check(page, shown=False)


def test_of_metadata(site: str, provider: DevProvider, open_window: Callable[..., Window]) -> None:
    provider.metadata["issuer"] = SCRIPT
    page = open_window(site).page
    page.goto(f"{site}/login")
    check(page)  # in debug mode the page says what was found
