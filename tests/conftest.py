"""What every test shares: on CI, a test that did not run is a test that failed.

Somebody without Node.js or Chromium sees such tests skipped, with the reason. Where the environment
variable CI is set, everything was installed beforehand, so there a skip means that a check is gone.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Generator, Iterator

import pytest
from flask import Flask

from flask_parjar.testing import DevProvider
from tests.redis_process import RedisProcess
from tests.site import ISSUER, SCOPES, Visitor, make_site

#: Node ids that may be skipped on CI, each with its reason in a comment beside it.
MAY_BE_SKIPPED_ON_CI: frozenset[str] = frozenset()


def pytest_configure() -> None:
    """Let Ctrl-C end a child, also where this run is itself in the background.

    A shell starts a job of a script (``&``) with SIGINT ignored, and every child inherits that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def on_ci() -> bool:
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


def fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail") or not on_ci():
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
def free_port() -> Callable[[], int]:
    """Find a port of this machine that nobody listens on."""

    def find() -> int:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port: int = listener.getsockname()[1]
        return port

    return find


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A Redis that many tests share: whoever stops or fills one starts their own."""
    with RedisProcess(tmp_path_factory.mktemp("redis")) as process:
        yield process
