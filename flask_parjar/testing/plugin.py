"""pytest fixtures for the tests of apps that log in with flask_parjar.

pytest loads this file by itself where the package is installed, so it imports the provider only
when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from . import DevProvider


class LogInAs(Protocol):
    """The type of the ``log_in_as`` fixture."""

    def __call__(
        self,
        client: FlaskClient,
        *,
        subject: str = "ada",
        claims: Mapping[str, object] | None = None,
        provider: str | None = None,
        decline: tuple[str, ...] = (),
    ) -> None:
        """Log somebody in, through the app's own login and callback.

        :param client: the app's test client, in which they are logged in afterwards
        :param subject: one of the provider's people, or anybody else, who is made up
        :param claims: what the provider tells of them, besides what it tells anyway
        :param provider: which of the app's providers, where it has several
        :param decline: scopes that they do not agree to
        """


@pytest.fixture
def parjar_provider() -> DevProvider:
    """A fresh :class:`DevProvider`; give its ``config()`` to your app, then ``connect(app)``."""
    from . import DevProvider

    return DevProvider()


@pytest.fixture
def log_in_as(parjar_provider: DevProvider) -> LogInAs:
    """Log somebody in at the provider that the app is configured for, whichever that is.

    An app with another issuer than ``parjar_provider`` is given a provider of that issuer: nothing
    leaves this process.
    """
    from . import DevProvider

    providers = {parjar_provider.issuer: parjar_provider}
    connected: set[tuple[int, str]] = set()

    def log_in(
        client: FlaskClient,
        *,
        subject: str = "ada",
        claims: Mapping[str, object] | None = None,
        provider: str | None = None,
        decline: tuple[str, ...] = (),
    ) -> None:
        app = client.application
        settings = _settings(app, provider)
        if settings.issuer not in providers:
            providers[settings.issuer] = DevProvider(settings.issuer)
        dev_provider = providers[settings.issuer]
        if (id(app), settings.issuer) not in connected:
            dev_provider.connect(app)
            connected.add((id(app), settings.issuer))
        _make_up(dev_provider, subject, claims or {})
        begun = client.get(_login_path(app, settings.name))
        if begun.status_code != 302:
            pytest.fail(f"login answered {begun.status_code}:\n{begun.text}")
        callback = dev_provider.sign_in(begun.headers["Location"], subject, decline=decline)
        done = client.get(callback)
        if done.status_code != 302:
            pytest.fail(f"callback answered {done.status_code}:\n{done.text}")

    return log_in


def _settings(app: Flask, name: str | None) -> Any:
    """The settings of that provider, or of the only one."""
    settings = app.extensions["parjar"].settings.providers
    if name is None and len(settings) == 1:
        return next(iter(settings.values()))
    if name not in settings:
        pytest.fail(f"provider={name!r} is not one of the app's: {', '.join(settings)}")
    return settings[name]


def _make_up(provider: DevProvider, subject: str, claims: Mapping[str, object]) -> None:
    """Let somebody live at the provider, with these claims besides those they have."""
    from . import Person

    known = provider.people.get(subject)
    if known is None or claims:
        before = {} if known is None else known.claims
        provider.people[subject] = Person(subject, {**before, **claims})


def _login_path(app: Flask, name: str) -> str:
    from flask import url_for

    from .connect import route_values

    with app.test_request_context():
        return url_for("parjar.login", **route_values(app, "parjar.login", name))
