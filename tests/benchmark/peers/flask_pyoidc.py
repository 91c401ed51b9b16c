"""Flask-pyoidc as its documentation has it."""

from __future__ import annotations

from typing import Any

from flask import Flask, redirect, session
from flask_pyoidc import OIDCAuthentication
from flask_pyoidc.provider_configuration import ClientMetadata, ProviderConfiguration

from tests.benchmark.contract import CALLBACK_URL, SECRET_KEY, Competitor, Registration
from tests.benchmark.stub import CLIENT_ID


def make_app(registration: Registration) -> Flask:
    """Its decorator is the login, so `/login` is a protected view."""
    app = Flask("flask_pyoidc_site")
    app.config.update(SECRET_KEY=SECRET_KEY, OIDC_REDIRECT_URI=CALLBACK_URL)
    configuration = ProviderConfiguration(
        issuer=registration.issuer,
        client_metadata=ClientMetadata(CLIENT_ID, "a secret of the two"),
        auth_request_params={"scope": ["openid", "profile", "email"]},
    )
    auth = OIDCAuthentication({"provider": configuration}, app)

    @app.get("/login")
    @auth.oidc_auth("provider")
    def login() -> Any:
        return redirect("/")

    @app.get("/who")
    def who() -> str:
        return str(session.get("id_token", {}).get("sub", ""))

    return app


FLASK_PYOIDC = Competitor(
    name="Flask-pyoidc",
    make_app=make_app,
    does_less="no PAR, no JAR, no PKCE, a shared secret",
)
