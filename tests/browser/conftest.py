"""Fixtures that start the example application."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.example_process import ExampleProcess
from tests.support.ports import find_free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def demo(chromium: Browser) -> Iterator[ExampleProcess]:
    """The example without any configuration, with its own provider."""
    with ExampleProcess("--provider-port", str(find_free_port())) as process:
        yield process
