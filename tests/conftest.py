"""What every test shares: on CI, a test that did not run is a test that failed.

Somebody without Node.js or Chromium sees such tests skipped, with the reason. Where the environment
variable CI is set, everything was installed beforehand, so there a skip means that a check is gone.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from coverage import Coverage
from flask import Flask

from flask_parjar.testing import DevProvider
from tests.browser.needed import chromium_command, missing_browser
from tests.browser.window import Window
from tests.support.clock import WallClock
from tests.support.interop_table import Recorder
from tests.support.made_once import make_once
from tests.support.ports import find_free_port
from tests.support.redis_process import RedisProcess
from tests.support.requirements import is_on, need
from tests.support.site import ISSUER, SCOPES, Visitor, make_site

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

#: Node ids that may be skipped on CI, each with its reason in a comment beside it.
MAY_BE_SKIPPED_ON_CI: frozenset[str] = frozenset()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-interop-table",
        action="store_true",
        help="write docs/interop.csv, what the tests in tests/interop have shown",
    )


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """With ``-n auto``, three workers for two cores: many tests wait until a time-out is over."""
    found = yield  # the cores that this process may use, or the number in the variable
    return found if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS") else found * 3 // 2


def pytest_configure(config: pytest.Config) -> None:
    """Make once what the apps have in common, and let Ctrl-C end a child.

    It would not where this run is itself in the background. A shell starts a job of a script
    (``&``) with SIGINT ignored, and every child inherits that.
    """
    config.pluginmanager.register(Recorder(write=config.getoption("--write-interop-table")))
    make_once()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let the garbage collector run less often, and leave alone what was there before the tests.

    The modules and the thousands of tests stay until the end, and each app of a test is garbage
    that only the collector can free. It took a fifth of the time of all tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000, 10, 10)
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Save the coverage of a worker: pytest-xdist kills one that takes ten seconds to exit."""
    measured = Coverage.current()
    if measured is not None and hasattr(session.config, "workerinput"):
        measured.save()


def fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail") or not is_on("CI"):
        return
    if report.nodeid in MAY_BE_SKIPPED_ON_CI:
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"On CI a skip is a failure. {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_if_skipped(report)
    return report


@pytest.fixture
def provider() -> DevProvider:
    """A provider of this test's own."""
    return DevProvider(ISSUER)


@pytest.fixture
def site(provider: DevProvider) -> Flask:
    """A site that logs in there, with the least configuration and one more scope."""
    return make_site(provider, PARJAR_SCOPES=SCOPES)


@pytest.fixture
def visitor(site: Flask, provider: DevProvider) -> Visitor:
    """Somebody at that site, not logged in."""
    return Visitor(site, provider)


@pytest.fixture
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    """Turns `time.time`. A DevProvider and the stores were given theirs before."""
    clock, right = WallClock(), time.time
    monkeypatch.setattr(time, "time", lambda: right() + clock.ahead)
    return clock


@pytest.fixture
def free_port() -> Callable[[], int]:
    """``free_port()`` finds a port of this machine that no one listens on."""
    return find_free_port


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A Redis that many tests share: a test that stops or fills one starts one of its own."""
    with RedisProcess(tmp_path_factory.mktemp("redis")) as process:
        yield process


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium without a window, driven by Playwright.

    Where the machine lacks one of the two, the tests that ask for it are skipped. Under ``CI`` or
    ``PARJAR_REQUIRE_BROWSER=1`` they fail.
    """
    need(missing_browser(), required_by="PARJAR_REQUIRE_BROWSER")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_command(), args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def open_window(
    chromium: Browser, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Window]]:
    """``open_window(site, …)`` opens a window on a site; see ``Window`` for its arguments."""
    with ExitStack() as opened:

        def open_one(site: str, **more: Any) -> Window:
            more.setdefault("name", request.node.originalname.removeprefix("test_"))
            window = Window(browser=chromium, site=site, **more)
            opened.callback(window.context.close)
            return window

        yield open_one
