"""Ours, as the quickstart has it: one key for the request object and for `private_key_jwt`."""

from __future__ import annotations

from flask import Flask

from flask_parjar import ParJar, current_user, login_required
from tests.benchmark.contract import SECRET_KEY, Competitor, Registration
from tests.benchmark.stub import CLIENT_ID, ENCRYPTION


def make_app(registration: Registration, *, store: str | None = None) -> Flask:
    """A site of four lines.

    :param store: ``PARJAR_STORE``: what keeps the tokens, if anything does.
    """
    app = Flask("ours")
    app.config.update(
        SECRET_KEY=SECRET_KEY,
        PARJAR_ISSUER=registration.issuer,
        PARJAR_CLIENT_ID=CLIENT_ID,
        PARJAR_CLIENT_AUTH="private_key_jwt",
        PARJAR_SIGNING_KEY=registration.private_key,
        PARJAR_CA_BUNDLE=registration.ca_bundle,
        PARJAR_INSECURE_HTTP=not registration.is_https,
        PARJAR_STORE=store,
    )
    if registration.is_fapi:
        app.config.update(
            PARJAR_DPOP=True,
            PARJAR_ENCRYPTION_KEY=registration.encryption_key,
            PARJAR_ID_TOKEN_ENCRYPTION=ENCRYPTION,
        )
    ParJar(app)

    @app.get("/who")
    def who() -> str:
        return current_user.subject if current_user else ""

    @app.get("/open")
    def open_to_all() -> str:
        return "page"

    @app.get("/guarded")
    @login_required
    def guarded() -> str:
        return "page"

    return app


OURS = Competitor(name="Flask-ParJar", make_app=make_app)
