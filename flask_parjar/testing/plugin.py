"""pytest fixtures for the tests of apps that log in with flask_parjar.

pytest loads this file by itself where the package is installed, so it imports the provider only
when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import pytest

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from . import DevProvider


class LogInAs(Protocol):
    """The type of the ``parjar_log_in_as`` fixture."""

    def __call__(
        self,
        client: FlaskClient,
        *,
        subject: str = "ada",
        claims: Mapping[str, object] | None = None,
        provider: str | None = None,
        decline: tuple[str, ...] = (),
    ) -> None:
        """Log a person in, through the app's own login and callback.

        :param client: the app's test client, in which they are logged in afterwards
        :param subject: one of the provider's people; another one is added
        :param claims: claims of this person, besides those that they have already. With
            PARJAR_TENANTS, ``tid`` is their tenant; by default one that the app allows
        :param provider: which of the app's providers, where it has several
        :param decline: scopes that they do not agree to
        """


@pytest.fixture
def parjar_provider() -> DevProvider:
    """A fresh :class:`DevProvider`; give its ``config()`` to your app, then ``connect(app)``."""
    from . import DevProvider

    return DevProvider()


@pytest.fixture
def parjar_log_in_as(parjar_provider: DevProvider) -> LogInAs:
    """Log a person in at the provider that the app is configured for.

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
        base_url = _base_url(app)
        if (id(app), settings.issuer) not in connected:
            _connect(dev_provider, app, base_url=base_url)
            connected.add((id(app), settings.issuer))
        _make_up(dev_provider, subject, claims or {})
        if settings.tenants:
            tenant = dev_provider.people[subject].claims.get("tid", min(settings.tenants))
            dev_provider.serve_tenants({subject: str(tenant)})
        begun = client.get(_path(app, "parjar.login", settings.name), base_url=base_url)
        if begun.status_code != 302:
            pytest.fail(f"login answered {begun.status_code}:\n{begun.text}")
        back = dev_provider.sign_in(begun.headers["Location"], subject, decline=decline)
        _come_back(client, back, settings.name, base_url=base_url)

    return log_in


def _connect(dev_provider: DevProvider, app: Flask, *, base_url: str) -> None:
    """Register the app at the provider, with the request level that it is configured for."""
    from .provider import TEST_CLIENT_BASE_URLS

    for each in app.extensions["parjar"].settings.providers.values():
        if each.issuer == dev_provider.issuer:
            dev_provider.allow_requests(each.request)
    dev_provider.connect(app, base_urls=(*TEST_CLIENT_BASE_URLS, base_url))


def _come_back(client: FlaskClient, url: str, name: str, *, base_url: str) -> None:
    """Bring the provider's answer to the callback, whatever host PARJAR_REDIRECT_URI names."""
    app = client.application
    path, response = _path(app, "parjar.callback", name), parse_qsl(urlsplit(url).query)
    if app.extensions["parjar"].providers[name].posts_responses:
        done = client.post(path, base_url=base_url, data=dict(response))
    else:
        done = client.get(path, base_url=base_url, query_string=dict(response))
    if done.status_code != 302:
        pytest.fail(f"callback answered {done.status_code}:\n{done.text}")
    if urlsplit(done.headers["Location"]).netloc:
        pytest.fail(
            f"the session cookie of the login did not come back to {base_url}, so the callback "
            "began the login again; see SESSION_COOKIE_DOMAIN and SESSION_COOKIE_PATH"
        )


def _base_url(app: Flask) -> str:
    """Where the test client opens the app; or a host that gets its session cookie."""
    config = app.config
    host = config["SERVER_NAME"] or "localhost"
    domain = str(config["SESSION_COOKIE_DOMAIN"] or "").lstrip(".")
    if domain and not f".{host}".endswith(f".{domain}"):
        host = domain
    return f"{config['PREFERRED_URL_SCHEME']}://{host}{config['APPLICATION_ROOT']}"


def _settings(app: Flask, name: str | None) -> Any:
    """The settings of that provider, or of the only one."""
    settings = app.extensions["parjar"].settings.providers
    if name is None and len(settings) == 1:
        return next(iter(settings.values()))
    if name not in settings:
        pytest.fail(f"provider={name!r} is not one of the app's: {', '.join(settings)}")
    return settings[name]


def _make_up(provider: DevProvider, subject: str, claims: Mapping[str, object]) -> None:
    """Add a person to the provider, or add claims to one who is there."""
    from . import Person

    known = provider.people.get(subject)
    if known is None or claims:
        before = {} if known is None else known.claims
        provider.people[subject] = Person(subject, {**before, **claims})


def _path(app: Flask, endpoint: str, name: str) -> str:
    """The path of a route inside the app."""
    from ..web.own_urls import route_values

    return app.url_map.bind("").build(endpoint, route_values(app, endpoint, name))
