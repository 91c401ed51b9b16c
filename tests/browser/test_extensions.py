"""What docs/extensions says of browsers: policies for forms and scripts; scripts that log in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from flask import Flask
from werkzeug.serving import make_server

from flask_parjar.testing import DevProvider
from flask_parjar.testing.serving import running
from tests.browser.window import Window, expect
from tests.support.page_app import run_app, text_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.fixture
def serve(
    provider: DevProvider,
    free_port: Callable[[], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., str]]:
    """``serve(page, …)`` serves the app of a page, and gives its origin."""
    with ExitStack() as servers:

        def serve_one(
            page: str, caption: str = "", *, replace: dict[str, str] | None = None, **settings: str
        ) -> str:
            namespace = run_app(
                page,
                caption,
                issuer=provider.issuer,
                folder=tmp_path,
                monkeypatch=monkeypatch,
                replace=replace or {},
                settings={"DEBUG": "1", **settings},  # else Flask-Talisman redirects to https
            )
            app, origin = namespace["app"], f"http://localhost:{free_port()}"
            provider.connect(app, base_urls=[origin])
            server = make_server("localhost", urlsplit(origin).port or 0, app, threaded=True)
            servers.enter_context(running(server))
            return origin

        yield serve_one


def sign_in(page: Page) -> None:
    page.get_by_role("button", name="Ada Lovelace").click()
    page.get_by_role("button", name="Agree").click()


def test_form_post_and_logout_under_the_policy_of_flask_talisman(
    provider: DevProvider, serve: Callable[..., str], open_window: Callable[..., Window]
) -> None:
    site = serve(
        "extensions/flask-talisman",
        replace={"https://id.example.com": provider.issuer},
        PARJAR_RESPONSE_MODE="form_post",
    )
    window = open_window(site)
    page = window.page
    page.goto(f"{site}/login")
    sign_in(page)
    expect(page.locator("p")).to_have_text("Ada Lovelace")  # no one pressed Continue
    window.open("/callback?state=forged")
    assert page.evaluate("getComputedStyle(document.querySelector('main')).borderRadius") != "0px"
    window.open("/")
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile(re.escape(f"{provider.issuer}/")))
    assert [line for line in window.console if "Content Security Policy" in line] == []


def test_without_a_nonce_a_person_presses_continue(
    provider: DevProvider, serve: Callable[..., str], open_window: Callable[..., Window]
) -> None:
    site = serve(
        "extensions/flask-talisman",
        replace={
            "https://id.example.com": provider.issuer,
            'content_security_policy_nonce_in=["script-src", "style-src"],': "",
        },
        PARJAR_RESPONSE_MODE="form_post",
    )
    page = open_window(site).page
    page.goto(f"{site}/login")
    sign_in(page)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("p")).to_have_text("Ada Lovelace")


def test_a_script_on_the_same_host_logs_in(
    serve: Callable[..., str], open_window: Callable[..., Window], tmp_path: Path
) -> None:
    site = serve("extensions/single-page-apps", "spa.py")
    (tmp_path / "static").mkdir()
    script = text_of("extensions/single-page-apps", "javascript", "static/spa.js", {})
    (tmp_path / "static" / "spa.js").write_text(script, encoding="utf-8")
    page = open_window(site).page
    page.goto(site)
    sign_in(page)
    expect(page).to_have_url(f"{site}/")
    expect(page.locator("#orders")).to_have_text('{"orders of":"Ada Lovelace"}')


def test_a_script_on_another_host_logs_in_and_saves(
    serve: Callable[..., str],
    open_window: Callable[..., Window],
    free_port: Callable[[], int],
) -> None:
    spa_url = f"http://localhost:{free_port()}"
    api_url = serve(
        "extensions/single-page-apps", "api.py", replace={"https://app.example.com": spa_url}
    )
    script = text_of(
        "extensions/single-page-apps",
        "javascript",
        "at app.example.com",
        {"https://api.example.com": api_url},
    )
    spa = Flask("spa")
    spa.get("/")(lambda: f"<!doctype html><title>App</title><h1>App</h1><script>{script}</script>")
    with running(make_server("localhost", urlsplit(spa_url).port or 0, spa, threaded=True)):
        page = open_window(spa_url).page
        page.goto(spa_url)
        page.evaluate("() => { saveOrder(7, {book: 1}) }")  # not awaited: it leaves the page
        sign_in(page)
        expect(page).to_have_url(f"{spa_url}/")
        assert page.evaluate("saveOrder(7, {book: 1})") == {"saved": 7, "by": "Ada Lovelace"}
