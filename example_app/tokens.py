"""The page ``/tokens``: what this site can do with the tokens of the user."""

from __future__ import annotations

import time
from typing import Any

import requests
from flask import Flask, current_app, render_template, session

from flask_parjar import ParJar, current_user, logged_in, login_required, tokens_refreshed

SESSION_KEY = "tokens_renewed"
DISCOVERY = ".well-known/openid-configuration"


def add_tokens(app: Flask, parjar: ParJar) -> None:
    """Add the page, and the call to an API that its button makes."""
    logged_in.connect(forget_renewal, app)
    tokens_refreshed.connect(note_renewal, app)
    app.add_template_filter(ahead)

    @app.get("/tokens")
    @login_required
    def tokens() -> str:
        found = parjar.tokens() if keeps_tokens() else None
        token = "" if found is None else found.access_token
        return render_template(
            "tokens.html",
            found=found,
            token=f"{token[:8]}… ({len(token)} characters)",
            renewed=session.get(SESSION_KEY),
            store=(current_app.config.get("PARJAR_STORE") or "").partition(":")[0],
        )

    @app.get("/api/userinfo")
    @login_required
    def api_userinfo() -> Any:
        """Call the provider's userinfo endpoint, as an example of an API."""
        api = parjar.api(current_user.issuer)
        try:
            answer = api.get(api.get(DISCOVERY).json()["userinfo_endpoint"])
            return answer.json(), answer.status_code
        except (requests.RequestException, KeyError) as error:
            return {"error": type(error).__name__}, 502


def keeps_tokens() -> bool:
    """Whether this site has a store for tokens."""
    return current_app.config.get("PARJAR_STORE") is not None


def forget_renewal(app: Flask, **_: object) -> None:
    """Forget the last renewal: the tokens of a new login are new."""
    session.pop(SESSION_KEY, None)


def note_renewal(app: Flask, **_: object) -> None:
    """Store when tokens were renewed."""
    session[SESSION_KEY] = int(time.time())


def ahead(seconds: float) -> str:
    """Say in words how far in the future a time is."""
    left = int(seconds - time.time())
    if left <= 0:
        return "expired"
    count, unit = (left, "second") if left < 120 else (left // 60, "minute")
    return f"in {count} {unit}{'s' if count > 1 else ''}"
