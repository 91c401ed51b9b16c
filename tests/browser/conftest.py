"""Fixtures that bring Chromium, and the example to visit with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.example_process import ExampleProcess, free_port
from tests.browser.needed import chromium_command, is_required, missing_piece
from tests.browser.visit import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SWITCHES = [
    "--no-sandbox",  # root in a container has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium without a window, driven by Playwright.

    Where the machine lacks one of the two, the tests that ask for it are skipped with the command
    that brings it; under ``CI`` or ``PARJAR_REQUIRE_BROWSER=1`` they fail.
    """
    if reason := missing_piece():
        if is_required():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_command(), args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def demo(chromium: Browser) -> Iterator[ExampleProcess]:
    """The example with no configuration at all: it brings its own provider, to whom all is new."""
    with ExampleProcess("--provider-port", str(free_port())) as process:
        yield process


@pytest.fixture
def visit(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Visit]]:
    """``visit(site, …)`` opens a window on a site; see ``Visit`` for what may be said of it."""
    with ExitStack() as opened:

        def open_one(site: str, **more: Any) -> Visit:
            more.setdefault("name", request.node.originalname.removeprefix("test_"))
            window = Visit(browser=chromium, site=site, **more)
            opened.callback(window.context.close)
            return window

        yield open_one
