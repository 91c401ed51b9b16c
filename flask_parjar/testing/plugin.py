"""pytest fixtures for the tests of apps that log in with flask_parjar.

pytest loads this file by itself where the package is installed.
"""

from __future__ import annotations

import pytest

from .log_in import LogInAs
from .provider import DevProvider


@pytest.fixture
def parjar_provider() -> DevProvider:
    """A fresh :class:`DevProvider`; give its ``config()`` to your app, then ``connect(app)``."""
    return DevProvider()


@pytest.fixture
def parjar_log_in_as(parjar_provider: DevProvider) -> LogInAs:
    """A `LogInAs`: call it to log a person in at the provider that the app is configured for."""
    return LogInAs(parjar_provider)
