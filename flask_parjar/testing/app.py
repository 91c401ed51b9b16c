"""The provider's WSGI app: the channels put together, its cookie, what each answer carries."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.datastructures import Headers

from .back_channel import BackChannel
from .front_channel import FrontChannel
from .metadata import path_prefix
from .sign_out import SignOutChannel
from .state import Call, ProviderState

_MAX_REQUEST_BYTES = 262_144


def create_app(state: ProviderState) -> Flask:
    """The app that answers for the provider: every endpoint, and what they have in common."""
    app = Flask("flask_parjar.testing", static_folder=None, template_folder="templates")
    parts = urlsplit(state.issuer)
    app.config.update(
        SECRET_KEY=secrets.token_bytes(32),
        # Cookies on 127.0.0.1 are shared by all ports: this name is no other site's.
        SESSION_COOKIE_NAME=f"parjar_dev_provider_{parts.port or 0}",
        SESSION_COOKIE_PATH=path_prefix(state.issuer) or "/",
        SESSION_COOKIE_SECURE=parts.scheme == "https",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=_MAX_REQUEST_BYTES,
    )

    @app.before_request
    def _arrive() -> Response | None:
        state.record(
            Call(
                endpoint=(request.endpoint or "").rpartition(".")[2],
                method=request.method,
                form=request.form,
                query=request.args,
                headers=Headers(list(request.headers)),
            )
        )
        if request.host != parts.netloc.rpartition("@")[2]:
            # A foreign name that leads to this machine is how a page elsewhere would reach us.
            return Response(f"This is {state.issuer}\n", status=421, content_type="text/plain")
        return None

    @app.after_request
    def _leave(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["Referrer-Policy"] = "strict-origin"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    for channel in (BackChannel(state), FrontChannel(state), SignOutChannel(state)):
        app.register_blueprint(channel.blueprint())
    return app
