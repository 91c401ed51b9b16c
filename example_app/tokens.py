"""Tokens: what this site may do at the provider in somebody's name, at ``/tokens``.

When a token ends is told by signals alone; whoever only uses tokens need not know it, because
``parjar.access_token()`` renews them in time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import requests
from flask import Flask, current_app, g, has_request_context, render_template, session

from flask_parjar import (
    ParJar,
    current_user,
    logged_in,
    login_required,
    provider_called,
    tokens_refreshed,
)

SESSION_KEY = "tokens"
DISCOVERY = ".well-known/openid-configuration"


def add_tokens(app: Flask, parjar: ParJar) -> None:
    """Add the page, and the call to an API that its button makes."""
    provider_called.connect(note_lifetime, app)
    logged_in.connect(note_login, app)
    tokens_refreshed.connect(note_renewal, app)
    app.add_template_filter(ahead)

    @app.get("/tokens")
    @login_required
    def tokens() -> str:
        kept = keeps_tokens()
        token = parjar.access_token() if kept else ""
        return render_template(
            "tokens.html",
            kept=kept,
            token=f"{token[:8]}… ({len(token)} characters)",
            told=session.get(SESSION_KEY, {}),
            store=current_app.config.get("PARJAR_STORE", "session").partition(":")[0],
        )

    @app.get("/api/userinfo")
    @login_required
    def api_userinfo() -> Any:
        """Ask the provider's userinfo endpoint, an API like any other."""
        api = parjar.api(current_user.issuer)
        try:
            answer = api.get(api.get(DISCOVERY).json()["userinfo_endpoint"])
            return answer.json(), answer.status_code
        except (requests.RequestException, KeyError) as error:
            return {"error": type(error).__name__}, 502


def keeps_tokens() -> bool:
    """Whether this site has a store for them."""
    return bool(current_app.config.get("PARJAR_STORE", "session") != "session")


def note_lifetime(app: Flask, endpoint: str, received: Mapping[str, Any], **_: object) -> None:
    """Take down what the token endpoint says, until it is known what came of it."""
    if endpoint == "token" and has_request_context():
        g.token_lifetime = received.get("expires_in")


def note_login(app: Flask, **_: object) -> None:
    """Remember when the tokens of a new login end."""
    session[SESSION_KEY] = {"ends": _end()}


def note_renewal(app: Flask, **_: object) -> None:
    """Remember when renewed tokens end, and that they are renewed ones."""
    session[SESSION_KEY] = {"ends": _end(), "renewed": int(time.time())}


def _end() -> int | None:
    lifetime = g.pop("token_lifetime", None)
    return None if lifetime is None else int(time.time()) + lifetime


def ahead(seconds: float) -> str:
    """Say how far off a time is, in words."""
    left = int(seconds - time.time())
    if left <= 0:
        return "over"
    count, unit = (left, "second") if left < 120 else (left // 60, "minute")
    return f"in {count} {unit}{'s' if count > 1 else ''}"
