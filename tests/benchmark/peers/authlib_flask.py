"""Authlib's Flask client as its documentation has it."""

from __future__ import annotations

from typing import Any

from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, session

from tests.benchmark.contract import CALLBACK_URL, SCOPE, SECRET_KEY, Competitor, Registration
from tests.benchmark.stub import CLIENT_ID


def make_app(registration: Registration) -> Flask:
    """The example of its documentation, with PKCE switched on."""
    app = Flask("authlib_flask")
    app.config.update(SECRET_KEY=SECRET_KEY)
    provider = OAuth(app).register(
        "provider",
        server_metadata_url=f"{registration.issuer}/.well-known/openid-configuration",
        client_id=CLIENT_ID,
        client_secret="a secret of the two",
        client_kwargs={"scope": SCOPE, "code_challenge_method": "S256"},
    )

    @app.get("/login")
    def login() -> Any:
        return provider.authorize_redirect(CALLBACK_URL)

    @app.get("/callback")
    def callback() -> Any:
        session["user"] = provider.authorize_access_token()["userinfo"]
        return redirect("/")

    @app.get("/who")
    def who() -> str:
        return str(session.get("user", {}).get("sub", ""))

    return app


AUTHLIB = Competitor(
    name="Authlib flask_client",
    make_app=make_app,
    does_less="no PAR, no JAR, a shared secret",
)
