"""The demo in a real browser, with the provider that it starts itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from tests.browser.story import walk_through_the_example
from tests.browser.window import LOOKS, Look, Window, expect
from tests.support.example_process import ExampleProcess
from tests.support.ports import find_free_port

pytestmark = pytest.mark.browser

OpenWindow = Callable[..., Window]

#: One for each look, so that no one's consent is remembered from before.
PEOPLE = {
    "ada": "Ada Lovelace",
    "grace": "Grace Hopper",
    "alan": "Alan Turing",
    "emilie": "Émilie du Châtelet",
}


def sign_in(window: Window, name: str = "Ada Lovelace", *, decline: str | None = None) -> None:
    """Choose a person at the embedded provider, and agree where it asks."""
    page = window.page
    page.get_by_role("button", name=name).click()
    agree = page.get_by_role("button", name="Agree")
    if not page.url.startswith(window.site):
        if decline is not None:
            page.get_by_role("checkbox", name=decline).uncheck()
        agree.click()


@pytest.mark.parametrize(
    ("look", "person"), list(zip(LOOKS, PEOPLE, strict=True)), ids=map(str, LOOKS)
)
def test_from_the_first_page_to_the_account_and_out_again(
    demo: ExampleProcess, open_window: OpenWindow, look: Look, person: str
) -> None:
    window = open_window(demo.url, look=look, name="demo")
    page = window.page

    def at_the_provider() -> None:
        window.look_at("3a-provider-sign-in")
        page.get_by_role("button", name="Ada Lovelace").click()
        page.wait_for_selector("#consent")
        window.look_at("3b-provider-consent")
        page.get_by_role("button", name="Agree").click()

    def out_at_the_provider() -> None:
        window.look_at("7a-provider-sign-out")
        page.get_by_role("button", name="Sign out", exact=True).click()

    walk_through_the_example(
        window,
        authorization_endpoint=f"{demo.provider_url}/authorize",
        sign_in=at_the_provider,
        sign_out=out_at_the_provider,
        name="Ada Lovelace",
        email="ada@people.example",
    )


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_pages_of_the_library(
    demo: ExampleProcess, open_window: OpenWindow, look: Look
) -> None:
    window = open_window(demo.url, look=look, name="library")
    page = window.page

    window.open("/reports")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Login not finished")
    window.look_at("1-cancelled")
    page.get_by_role("link", name="Back to the site").click()
    page.get_by_role("link", name="The wire").first.click()
    expect(page.locator(".steps section").last).to_contain_text("access_denied")
    window.look_at("2-wire-of-a-cancelled-login")

    window.open("/callback?code=x&state=made-up")
    expect(page.get_by_role("main")).to_contain_text("state_forged")
    window.look_at("3-forged")

    # Who refuses the scope is kept out, may log in once more, and arrives where they wanted to go.
    window.open("/account")
    sign_in(window, "Grace Hopper", decline="reports:read")
    page.wait_for_url(f"{demo.url}/account")
    window.open("/reports")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not allowed")
    window.look_at("4-not-allowed")
    page.get_by_role("link", name="Log in again").click()
    page.get_by_role("button", name="Agree").click()
    page.wait_for_url(f"{demo.url}/reports")

    # An address typed is no wish of this site's own pages: it is asked about.
    window.open("/logout")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log out?")
    window.look_at("5-log-out")
    page.get_by_role("link", name="Stay logged in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Grace Hopper.")
    window.end(expected_on_console=("/callback: Failed to load", "/reports: Failed to load"))


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_a_stronger_login_and_a_logout_that_begins_at_the_provider(
    demo: ExampleProcess, open_window: OpenWindow, look: Look
) -> None:
    window = open_window(demo.url, look=look, name="tokens")
    page = window.page
    window.open("/tokens")
    sign_in(window)
    page.get_by_role("link", name="Open the transfer").click()
    page.get_by_role("button", name="Ada Lovelace").click()  # who is asked for a second factor
    page.wait_for_url(f"{demo.url}/transfer")
    expect(page.get_by_role("main")).to_contain_text("otp")
    window.look_at("1-transfer")

    page.get_by_role("link", name="Tokens").click()
    with window.context.expect_page() as opened:
        page.get_by_role("link", name="Go there").click()
    there = opened.value
    there.get_by_role("button", name="Sign out", exact=True).click()
    expect(there.get_by_role("heading", level=1)).to_have_text("Signed out")
    page.reload()
    page.wait_for_url(f"{demo.provider_url}/**")  # no one is logged in at the site any more
    window.end()


def test_the_name_of_the_user_is_visible_on_a_phone(
    demo: ExampleProcess, open_window: OpenWindow
) -> None:
    window = open_window(demo.url, look=Look("light", 360))
    window.open("/account")
    sign_in(window)
    window.page.wait_for_url(f"{demo.url}/account")
    name = window.page.get_by_role("banner").get_by_text("Ada Lovelace")
    assert name.is_visible()


def test_a_login_by_the_keyboard_alone(demo: ExampleProcess, open_window: OpenWindow) -> None:
    window = open_window(demo.url)
    page = window.page
    window.open("/wire")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Log in and come back here")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_selector("#sign-in")
    page.keyboard.press("Enter")  # the first of the people
    page.wait_for_selector("#consent")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{demo.url}/wire")
    expect(page.get_by_role("heading", name="Ada Lovelace is logged in")).to_be_visible()
    window.end()


def test_a_login_without_javascript(demo: ExampleProcess, open_window: OpenWindow) -> None:
    window = open_window(demo.url, javascript=False)
    window.open("/account")
    sign_in(window)
    window.page.wait_for_url(f"{demo.url}/account")
    window.page.get_by_role("button", name="Log out").click()
    window.page.get_by_role("button", name="Sign out", exact=True).click()
    expect(window.page.get_by_role("link", name="Log in").first).to_be_visible()
    window.end()


def test_two_tabs_at_once_and_a_callback_opened_again(
    demo: ExampleProcess, open_window: OpenWindow
) -> None:
    window = open_window(demo.url)
    window.open("/login?next=/account")
    first, window.page = window.page, window.new_tab()
    window.open("/login?next=/wire")
    sign_in(window)
    window.page.wait_for_url(f"{demo.url}/wire")
    expect(window.page.locator(".wire")).to_contain_text("/wire")
    used = window.url_of(f"{demo.url}/callback")

    window.page = first
    sign_in(window)
    first.wait_for_url(f"{demo.url}/account")
    window.open("/wire")
    expect(first.locator(".steps section").first).to_contain_text("/account")

    first.goto(used)  # Back, or a reload: nothing is wrong with that
    first.wait_for_url(f"{demo.url}/")
    window.end()


def test_a_browser_that_guesses_ahead_starts_no_login(
    demo: ExampleProcess, open_window: OpenWindow
) -> None:
    window = open_window(demo.url)
    window.open("/")
    with window.page.expect_response("**/login") as guessed:
        window.page.evaluate(
            "document.head.append(Object.assign(document.createElement('link'),"
            " {rel: 'prefetch', href: '/login'}))"
        )
    assert guessed.value.request.headers["sec-purpose"] == "prefetch"
    assert guessed.value.status >= 400, "so that it is asked again in earnest"
    window.open("/wire")
    expect(window.page.locator(".wire")).to_have_count(0)
    window.end(expected_on_console=("/login: Failed to load",))


def test_another_site_cannot_log_a_user_out(demo: ExampleProcess, open_window: OpenWindow) -> None:
    window = open_window(demo.url)
    page = window.page
    window.open("/account")
    sign_in(window)
    page.wait_for_url(f"{demo.url}/account")
    elsewhere = "http://elsewhere.example/"
    form = f'<form method="post" action="{demo.url}/logout"><button>Win!</button></form>'
    link = f'<a href="{demo.url}/logout">A kitten</a>'
    window.context.route(
        elsewhere, lambda route: route.fulfill(body=form + link, content_type="text/html")
    )

    page.goto(elsewhere)
    page.get_by_role("button", name="Win!").click()
    expect(page.get_by_role("main")).to_contain_text("cross_site")
    window.look_at("form-from-elsewhere")
    page.goto(elsewhere)
    page.get_by_role("link", name="A kitten").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log out?")
    window.open("/account")
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada Lovelace")
    window.end(expected_on_console=("/logout: Failed to load",))


def test_an_answer_posted_from_another_site_finds_its_login(open_window: OpenWindow) -> None:
    """Chromium sends no Lax cookie with such a POST; the library has it posted once more."""
    with ExampleProcess(
        "--provider-port",
        str(find_free_port()),
        environment={"FLASK_PARJAR_RESPONSE_MODE": "form_post"},
    ) as example:
        # By this name the site is another site than the provider, which is at 127.0.0.1.
        site = example.url.replace("127.0.0.1", "localhost")
        window = open_window(site)
        window.open("/account")
        sign_in(window)
        window.page.wait_for_url(f"{site}/account")
        posts = [r for r in window.requests if r.method == "POST" and r.url == f"{site}/callback"]
        assert len(posts) == 2
        window.open("/wire")
        expect(window.page.locator(".steps")).to_contain_text("Form")
        window.end()

        # Without JavaScript it takes a button on either side.
        window = open_window(site, javascript=False)
        window.open("/login?next=/account")
        sign_in(window, "Émilie du Châtelet")
        window.page.get_by_role("button", name="Continue").click()
        expect(window.page.get_by_role("heading", level=1)).to_have_text("One more step")
        window.look_at("form-post")
        window.page.get_by_role("button", name="Continue").click()
        window.page.wait_for_url(f"{site}/account")
        window.end()


def test_a_choice_of_providers(demo: ExampleProcess, open_window: OpenWindow) -> None:
    key = {
        "kty": "EC",
        "crv": "P-256",
        "kid": "of the tests",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
    }
    section = {"issuer": demo.provider_url, "client_id": "unknown", "signing_key": key}
    environment = {"FLASK_PARJAR_PROVIDERS": json.dumps({"work": section, "home": section})}
    with ExampleProcess(environment=environment) as example:
        assert "DEVELOPMENT" not in example.output
        window = open_window(example.url)
        window.open("/account")
        names = window.page.get_by_role("main").get_by_role("link")
        expect(names).to_have_text(["work", "home"])
        window.look_at("choose")
        window.page.get_by_role("link", name="home").click()
        expect(window.page.get_by_role("main")).to_contain_text("client_refused")
        window.look_at("client-refused")
        again = window.page.get_by_role("link", name="Try again")
        expect(again).to_have_attribute("href", "/login/home?next=/account")
        window.open("/wire")
        expect(window.page.locator(".diagram .bad").first).to_be_visible()
        window.look_at("wire-of-a-refused-push")
        window.end(expected_on_console=("/login/home: Failed to load",))


def test_used_ports_are_reported_and_ctrl_c_ends_both(demo: ExampleProcess) -> None:
    taken = [str(urlsplit(url).port) for url in (demo.url, demo.provider_url)]
    with ExampleProcess("--provider-port", taken[1], port=int(taken[0])) as second:
        named = re.findall(r"Port (\d+)", second.output)
        assert sorted(named) == sorted(taken)
        assert second.url != demo.url
        assert second.stop() == 0
        assert "Traceback" not in second.output
