"""What a person does with the demo, the same at every provider: log in, open each page, log out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.browser.window import Window, expect

#: The steps of one login, in this order.
STEPS = [
    "start",
    "sign",
    "pushed_authorization_request",
    "redirect",
    "sign_in",
    "return",
    "token",
    "verify",
    "logged_in",
]
#: These steps are there only if the answer is not cached.
CACHED = ["discovery", "jwks", "userinfo"]


def walk_through_the_example(
    window: Window,
    *,
    authorization_endpoint: str,
    sign_in: Callable[[], None],
    sign_out: Callable[[], None],
    name: str,
    email: str,
) -> None:
    """Log in, open every page, and log out.

    :param sign_in: what the person does at the provider until it sends them back.
    :param sign_out: the same, after *Log out* was pressed here.
    """
    page = window.page
    window.open("/")
    window.look_at("1-home")
    page.get_by_role("button", name="Call it").click()
    expect(page.locator("#api-answer")).to_contain_text("login_required")
    window.look_at("2-api-refuses")
    assert window.fetch("/api/me")[0] == 401
    window.open("/wire")
    expect(page.get_by_role("heading", level=2)).to_have_count(0)
    window.look_at("3-wire-empty")

    # A protected page asks for a login; after it, the browser is on that page.
    page.get_by_role("link", name="Account").click()
    sign_in()
    page.wait_for_url(f"{window.site}/account")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.get_by_role("main")).to_contain_text(email)
    expect(page.get_by_role("main")).to_contain_text("logged in less than a minute ago")
    window.look_at("4-account")

    redirect = window.query_of(authorization_endpoint)
    assert [parameter for parameter, _ in redirect] == ["client_id", "request_uri"]
    _look_at_the_wire(window, name=name, redirect=redirect)

    page.get_by_role("link", name="Reports").click()
    expect(page.get_by_role("main")).to_contain_text("reports:read")
    window.look_at("6-reports")

    page.get_by_role("link", name="Tokens").first.click()
    expect(page.get_by_role("main")).to_contain_text("characters)")
    page.get_by_role("button", name="Call it").click()
    expect(page.locator("#api-answer")).to_contain_text(f'"name": "{name}"')
    window.look_at("6-tokens-and-api")

    page.get_by_role("link", name="Flask-ParJar").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Hello, {name}.")
    page.get_by_role("button", name="Call it").click()
    expect(page.locator("#api-answer")).to_contain_text("200 OK")
    window.look_at("7-home-and-api")
    status, body = window.fetch("/api/me")
    assert (status, body["name"]) == (200, name)
    _check_cookie(window)

    page.get_by_role("button", name="Log out").click()
    sign_out()
    page.wait_for_url(lambda url: url.partition("?")[0] == f"{window.site}/")  # it brings a state
    expect(page.get_by_role("link", name="Log in").first).to_be_visible()
    assert window.fetch("/api/me")[0] == 401
    window.look_at("8-out-again")
    window.open("/wire")
    expect(page.locator("[data-step]")).to_have_count(0)

    # Only the three refusals of the API.
    window.end(expected_on_console=("/api/me: Failed to load resource",))


def _look_at_the_wire(window: Window, *, name: str, redirect: list[tuple[str, str]]) -> None:
    page = window.page
    page.get_by_role("link", name="The wire").click()
    found = [section.get_attribute("data-step") for section in page.locator("[data-step]").all()]
    assert [step for step in found if step not in CACHED] == STEPS
    expect(page.locator('[data-step="logged_in"] h2')).to_contain_text(name)
    window.look_at("5-wire")

    text = page.locator(".wire").inner_text()
    for shown in ("oauth-authz-req+jwt", "code_challenge_method", "client_assertion", "id_token"):
        assert shown in text
    assert page.locator(".checks li").count() >= 6
    carried = page.locator('[data-step="redirect"] th').all_inner_texts()
    assert carried == ["client_id", "request_uri"]

    # The browser had these values in its address bar; the page shows only their beginning.
    whole = [value for parameter, value in redirect if parameter == "request_uri"]
    callback = window.query_of(f"{window.site}/callback")
    whole += [value for parameter, value in callback if parameter in ("code", "state")]
    assert len(whole) == 3
    source = page.content()
    assert [secret for secret in whole if secret in source] == []
    # Arrows and headings are joined by their numbers.
    page.locator(".diagram a").last.click()
    expect(page.locator(".steps section").last).to_be_in_viewport()


def _check_cookie(window: Window) -> None:
    cookies: list[Any] = window.context.cookies(window.site)
    (session,) = [cookie for cookie in cookies if cookie["name"] == "example_site"]
    assert (session["httpOnly"], session["sameSite"]) == (True, "Lax")
    assert len(session["value"]) < 2048
