"""pytest fixtures for the tests of apps that log in with flask_parjar.

pytest loads this file by itself where the package is installed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import pytest
from flask import Flask

from .log_in import LogInAs
from .provider import DevProvider
from .unguarded import assert_no_unguarded_routes


class NoUnguardedRoutes(Protocol):
    """The type of the ``parjar_no_unguarded_routes`` fixture."""

    def __call__(self, app: Flask, *, public: Collection[str] = ()) -> None:
        """See `assert_no_unguarded_routes`."""


@pytest.fixture
def parjar_provider() -> DevProvider:
    """A fresh :class:`DevProvider`; give its ``config()`` to your app, then ``connect(app)``."""
    return DevProvider()


@pytest.fixture
def parjar_log_in_as(parjar_provider: DevProvider) -> LogInAs:
    """A `LogInAs`: call it to log a person in at the provider that the app is configured for."""
    return LogInAs(parjar_provider)


@pytest.fixture
def parjar_no_unguarded_routes() -> NoUnguardedRoutes:
    """`assert_no_unguarded_routes`: call it with the app and the endpoints that are public.

    In the fixture that makes your app, it fails every test of an app with a page that has no guard.
    """
    return assert_no_unguarded_routes
