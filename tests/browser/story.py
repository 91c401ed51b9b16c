"""The demo as a person walks through it, the same at every provider: in, around, and out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.browser.visit import Visit, expect

#: What one login tells the wire, in this order; documents are fetched where they are not known yet.
STEPS = [
    "Somebody wants to log in",
    "The request is signed",
    "The signed request is pushed",
    "The browser is sent to the provider",
    "The person is asked",
    "The browser comes back",
    "The code is exchanged for tokens",
    "The ID token is proved",
]
DOCUMENTS = [
    "The provider is asked what it can do",
    "The provider's public keys are fetched",
    "The provider is asked about the person",
]


def walk_in_around_and_out(
    visit: Visit,
    *,
    authorization_endpoint: str,
    sign_in: Callable[[], None],
    sign_out: Callable[[], None],
    name: str,
    email: str,
) -> None:
    """From the first page through a login to every other page, and out.

    :param sign_in: what the person does at the provider until it sends them back.
    :param sign_out: the same, after *Log out* was pressed here.
    """
    page = visit.page
    visit.open("/")
    visit.look_at("1-home")
    page.get_by_role("button", name="Call it").click()
    expect(page.locator("#api-answer")).to_contain_text("login_required")
    visit.look_at("2-api-refuses")
    assert visit.fetch("/api/me")[0] == 401
    visit.open("/wire")
    expect(page.get_by_role("heading", level=2)).to_have_count(0)
    visit.look_at("3-wire-empty")

    # Protected pages ask for a login and come back to themselves.
    page.get_by_role("link", name="Account").click()
    sign_in()
    page.wait_for_url(f"{visit.site}/account")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.get_by_role("main")).to_contain_text(email)
    expect(page.get_by_role("main")).to_contain_text("logged in less than a minute ago")
    visit.look_at("4-account")

    redirect = visit.query_of(authorization_endpoint)
    assert [parameter for parameter, _ in redirect] == ["client_id", "request_uri"]
    _look_at_the_wire(visit, name=name, redirect=redirect)

    page.get_by_role("link", name="Reports").click()
    expect(page.get_by_role("main")).to_contain_text("granted reports:read")
    visit.look_at("6-reports")

    page.get_by_role("link", name="Tokens").first.click()
    expect(page.get_by_role("main")).to_contain_text("characters)")
    page.get_by_role("button", name="Call it").click()
    expect(page.locator("#api-answer")).to_contain_text(f'"name": "{name}"')
    visit.look_at("6-tokens-and-api")

    page.get_by_role("link", name="Flask-ParJar").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Hello, {name}.")
    page.get_by_role("button", name="Call it").click()
    expect(page.locator("#api-answer")).to_contain_text("200 OK")
    visit.look_at("7-home-and-api")
    status, body = visit.fetch("/api/me")
    assert (status, body["name"]) == (200, name)
    _check_cookie(visit)

    page.get_by_role("button", name="Log out").click()
    sign_out()
    page.wait_for_url(lambda url: url.partition("?")[0] == f"{visit.site}/")  # it brings a state
    expect(page.get_by_role("link", name="Log in").first).to_be_visible()
    assert visit.fetch("/api/me")[0] == 401
    visit.look_at("8-out-again")
    visit.open("/wire")
    expect(page.get_by_role("main")).to_contain_text("There is no login to show")

    # Only the three times that the API said no.
    visit.end(expected_on_console=("/api/me: Failed to load resource",))


def _look_at_the_wire(visit: Visit, *, name: str, redirect: list[tuple[str, str]]) -> None:
    page = visit.page
    page.get_by_role("link", name="The wire").click()
    headings = [
        text.strip().partition("\n")[0]
        for text in page.locator(".steps h2 > span:last-child").all_inner_texts()
    ]
    titles = [next((s for s in [*STEPS, *DOCUMENTS] if h.startswith(s)), h) for h in headings]
    assert [title for title in titles if title not in DOCUMENTS] == [*STEPS, f"{name} is logged in"]
    visit.look_at("5-wire")

    text = page.locator(".wire").inner_text()
    for shown in ("oauth-authz-req+jwt", "code_challenge_method", "client_assertion", "id_token"):
        assert shown in text
    assert page.locator(".checks li").count() >= 6
    carried = page.locator(".steps section", has_text=STEPS[3]).locator("th").all_inner_texts()
    assert carried == ["client_id", "request_uri"]

    # What the browser saw whole in its address bar is cut short here.
    whole = [value for parameter, value in redirect if parameter == "request_uri"]
    callback = visit.query_of(f"{visit.site}/callback")
    whole += [value for parameter, value in callback if parameter in ("code", "state")]
    assert len(whole) == 3
    source = page.content()
    assert [secret for secret in whole if secret in source] == []
    # Arrows and headings are joined by their numbers.
    page.locator(".diagram a").last.click()
    expect(page.locator(".steps section").last).to_be_in_viewport()


def _check_cookie(visit: Visit) -> None:
    cookies: list[Any] = visit.context.cookies(visit.site)
    (session,) = [cookie for cookie in cookies if cookie["name"] == "example_site"]
    assert (session["httpOnly"], session["sameSite"]) == (True, "Lax")
    assert len(session["value"]) < 2048
