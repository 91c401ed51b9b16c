"""Fixtures that start a provider or the example application."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from flask_parjar.testing import DevProvider
from tests.support.example_process import ExampleProcess
from tests.support.ports import find_free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def provider(free_port: Callable[[], int]) -> Iterator[DevProvider]:
    """For a browser, a site at ``localhost`` is another site than this one."""
    provider = DevProvider(f"http://127.0.0.1:{free_port()}")
    with provider.running():
        yield provider


@pytest.fixture
def demo(chromium: Browser) -> Iterator[ExampleProcess]:
    """The example without any configuration, with its own provider."""
    with ExampleProcess("--provider-port", str(find_free_port())) as process:
        yield process
