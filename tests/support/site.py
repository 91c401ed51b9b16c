"""A small site under test and a visitor, both as a browser does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask, jsonify
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_parjar import ParJar, claims_required, current_user, login_required, scopes_required
from flask_parjar.testing import DevProvider

ISSUER = "https://op.example"
SCOPES = "openid profile email reports:read"


def make_site(
    provider: DevProvider,
    *,
    prepare: Callable[[Flask, ParJar], None] | None = None,
    connect: bool = True,
    **config: Any,
) -> Flask:
    """A Flask app that logs in at a provider, as its author would write it."""
    app = Flask(__name__)
    app.config.update(SECRET_KEY="of the tests", **provider.config())
    app.config.update(config)
    parjar = ParJar()
    parjar.init_app(app)
    if prepare is not None:
        prepare(app, parjar)

    @app.get("/")
    def home() -> str:
        return "home"

    @app.get("/me")
    @login_required
    def me() -> Any:
        return jsonify(
            sub=current_user.subject,
            iss=current_user.issuer,
            provider=current_user.provider,
            name=current_user.name,
            email=current_user.email,
            scopes=sorted(current_user.scopes),
            claims=dict(current_user.claims),
        )

    @app.get("/reports")
    @scopes_required("reports:read")
    def reports() -> str:
        return "reports"

    @app.get("/acme")
    @claims_required(org="acme")
    def acme() -> str:
        return "acme"

    @app.post("/save")
    @login_required
    def save() -> str:
        return "saved"

    if connect:
        provider.connect(app)
    return app


def make_site_of_two(
    make: Callable[..., Flask] = make_site, **config: Any
) -> tuple[Flask, DevProvider, DevProvider]:
    """A site where people log in with ``/login/work`` or ``/login/home``, and both providers.

    :param make: makes the app.
    """
    work, home = DevProvider("https://work.example"), DevProvider("https://home.example")
    sections = {
        name: {"issuer": each.issuer, "client_id": name}
        for name, each in (("work", work), ("home", home))
    }
    app = make(work, connect=False, PARJAR_ISSUER=None, PARJAR_PROVIDERS=sections, **config)
    work.connect(app)
    home.connect(app)
    return app, work, home


def path_and_query(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def query(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query, keep_blank_values=True)


class Visitor:
    """A browser at the site: keeps its cookies, and signs in at the provider when sent there."""

    def __init__(self, app: Flask, provider: DevProvider, *, base_url: str | None = None) -> None:
        self.app = app
        self.provider = provider
        self.client: FlaskClient = app.test_client()
        self._base_url = base_url

    def get(self, url: str, **more: Any) -> TestResponse:
        return self.client.get(url, base_url=self._base_url, **more)

    def post(self, url: str, **more: Any) -> TestResponse:
        return self.client.post(url, base_url=self._base_url, **more)

    def leave(self, login_url: str = "/login") -> str:
        """Start a login: the URL at the provider that the browser is sent to."""
        response = self.get(login_url)
        assert response.status_code == 302, response.text
        return str(response.location)

    def come_back(self, away: str, person: str = "ada", **more: Any) -> str:
        """Sign in at the provider: the path and query of the callback."""
        return path_and_query(self.provider.sign_in(away, person, **more))

    def log_in(self, login_url: str = "/login", person: str = "ada") -> TestResponse:
        """A whole login; the answer of the callback."""
        return self.get(self.come_back(self.leave(login_url), person))
