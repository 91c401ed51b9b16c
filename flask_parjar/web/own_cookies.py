"""Our own cookies beside that of the session, with the same attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, current_app
from flask import session as flask_session


def own_cookie_name(suffix: str) -> str:
    """The name of a cookie of ours, which begins with that of the session cookie."""
    return f"{current_app.config['SESSION_COOKIE_NAME']}_{suffix}"


def set_own_cookies(response: Response, changes: Mapping[str, str | None]) -> None:
    """Set cookies, or delete those whose value is None."""
    interface, app = current_app.session_interface, current_app
    attributes: dict[str, Any] = {
        "httponly": True,
        "secure": interface.get_cookie_secure(app),
        "samesite": interface.get_cookie_samesite(app),
        "domain": interface.get_cookie_domain(app),
        "path": interface.get_cookie_path(app),
    }
    partitioned = getattr(interface, "get_cookie_partitioned", None)  # since Flask 3.1
    if partitioned is not None and partitioned(app):
        attributes["partitioned"] = True
    expires = interface.get_expiration_time(app, flask_session)
    for name, value in changes.items():
        if value is None:  # browsers delete a __Host- cookie only with all its attributes
            response.delete_cookie(name, **attributes)
        else:
            response.set_cookie(name, value, expires=expires, **attributes)
    response.vary.add("Cookie")
