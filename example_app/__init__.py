"""A small site with a login by Flask-ParJar. Start with ``create_app``."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from importlib.metadata import version
from platform import python_version
from typing import Any

from flask import Flask, Response, render_template, session
from werkzeug.exceptions import HTTPException

import flask_parjar
from flask_parjar import (
    ParJar,
    current_user,
    logged_in,
    login_required,
    scopes_required,
    step_up_required,
)

from .tokens import add_tokens
from .wire import Wire

parjar = ParJar()


def create_app(defaults: Mapping[str, Any] | None = None) -> Flask:
    """Create the site. ``FLASK_…`` environment variables override the defaults."""
    app = Flask(__name__)
    # Cookies are shared between ports: another site on this host could overwrite "session".
    app.config["SESSION_COOKIE_NAME"] = "example_site"
    app.config.from_mapping(defaults or {})
    app.config.from_prefixed_env()  # FLASK_SECRET_KEY, FLASK_PARJAR_ISSUER, …
    app.config.setdefault("EXAMPLE_ACR", "mfa")  # the provider's name for a stronger login
    if not app.secret_key:
        app.secret_key = secrets.token_bytes(32)  # a restart logs everyone out

    parjar.init_app(app)
    Wire(app)
    add_tokens(app, parjar)
    logged_in.connect(remember_when, app)
    app.add_template_filter(ago)
    app.after_request(set_private_cache_control)

    app.register_error_handler(404, not_found)
    app.add_url_rule("/favicon.ico", "icon", redirect_to="/static/jar.svg")

    @app.get("/")
    def home() -> str:
        return render_template("home.html", levels=request_levels(app.config))

    @app.get("/account")
    @login_required
    def account() -> str:
        return render_template("account.html", since=session.get("since"))

    @app.get("/reports")
    @scopes_required("reports:read")
    def reports() -> str:
        return render_template("reports.html", versions=versions())

    @app.get("/transfer")
    @step_up_required(acr=app.config["EXAMPLE_ACR"])
    def transfer() -> str:
        return render_template("transfer.html")

    @app.get("/api/me")
    @login_required
    def api_me() -> dict[str, Any]:
        return {"name": current_user.name, "scopes": sorted(current_user.scopes)}

    return app


def request_levels(config: Mapping[str, Any]) -> list[str]:
    """The request levels of this site's providers."""
    level = config.get("PARJAR_REQUEST", "pushed+signed")
    sections = config.get("PARJAR_PROVIDERS") or {"": {}}
    return sorted({section.get("request", level) for section in sections.values()})


def not_found(error: HTTPException) -> tuple[str, int]:
    """Answer for an address without a page."""
    return render_template("not_found.html"), 404


def versions() -> dict[str, str]:
    """The versions of the software that this site uses."""
    packages = ("Flask", "Authlib", "joserfc", "requests", "itsdangerous")
    return {
        "Flask-ParJar": flask_parjar.__version__,
        "Python": python_version(),
        **{name: version(name) for name in packages},
    }


def remember_when(app: Flask, **_: object) -> None:
    """Store the time of the login. The new session exists when this signal is sent."""
    session["since"] = int(time.time())


def set_private_cache_control(response: Response) -> Response:
    """Forbid caches to store pages that show who is logged in."""
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def ago(seconds: float) -> str:
    """Say in words how long ago a time was."""
    passed = max(0, int(time.time() - seconds))
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if passed >= size:
            count = passed // size
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "less than a minute ago"
