"""The site of these tests, as gunicorn loads it; its configuration lies in the environment."""

from __future__ import annotations

import os
import signal
from typing import Any

from flask import Flask, Response

from flask_parjar import ParJar, current_user, login_required
from flask_parjar.flows import session_registry
from flask_parjar.signals import provider_called

app = Flask("site_of_the_tests")
app.config.from_prefixed_env()
parjar = ParJar(app)

# The same rules with shorter times, where a test would wait a minute for them.
session_registry.TRUSTED_FOR = app.config.get("TRUSTED_FOR", session_registry.TRUSTED_FOR)
session_registry.TRUSTED_IN_AN_OUTAGE = app.config.get(
    "TRUSTED_IN_AN_OUTAGE", session_registry.TRUSTED_IN_AN_OUTAGE
)


@app.after_request
def name_the_process(response: Response) -> Response:
    response.headers["Process"] = str(os.getpid())
    return response


@app.get("/")
def public() -> str:
    return "a page for everybody"


@app.get("/me")
@login_required
def me() -> dict[str, Any]:
    return {"subject": current_user.subject, "process": os.getpid()}


@app.get("/token")
@login_required
def token() -> dict[str, Any]:
    return {"token": parjar.access_token(), "process": os.getpid()}


@app.get("/renew")
@login_required
def renew() -> dict[str, Any]:
    return {"token": parjar.access_token(fresh=True)}


@app.get("/whose")
@login_required
def whose() -> Any:
    """Ask the API that belongs to the person's provider: APIS has one for each provider."""
    answer = parjar.api(app.config["APIS"][current_user.provider]).get("whose")
    return answer.json() if answer.status_code == 200 else (answer.text, 502)


@provider_called.connect_via(app)
def die(_: Flask, *, sent: dict[str, Any], status: int | None, **told: Any) -> None:
    """Die as a machine does, when the provider has renewed tokens and nothing is written yet.

    It happens as often as there is the file that DIE_ONCE names; this removes it.
    """
    if (sent.get("grant_type"), status) != ("refresh_token", 200) or "DIE_ONCE" not in app.config:
        return
    try:
        os.unlink(app.config["DIE_ONCE"])
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
