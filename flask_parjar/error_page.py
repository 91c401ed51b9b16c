"""How an error is shown: a page for a person, JSON for a script, a login for who must log in."""

from __future__ import annotations

from flask import Response, current_app, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from .errors import AccessDenied, LoginRequired, ParJarError, ProviderUnavailable
from .state import current_state
from .transactions import read_state
from .visit import in_this_app, is_navigation, page_that_asked, page_to_return_to

_HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Cookie",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "base-uri 'none'; object-src 'none'; frame-ancestors 'none'",
}


def show_error(error: ParJarError) -> ResponseReturnValue:
    """Answer for an error: a page for a person, JSON for a script, or the app's own way."""
    if isinstance(error, LoginRequired) and is_navigation():
        next_path = page_to_return_to() or in_this_app(current_state().settings.after_login)
        to_login = redirect(url_for("parjar.login", next=next_path, step_up=error.step_up))
        return add_headers(current_app.make_response(to_login))
    answer: ResponseReturnValue
    custom = None if isinstance(error, LoginRequired) else current_state().hooks.error_handler
    if custom is not None:
        answer = custom(error)
    else:
        answer = _error_page(error) if is_navigation() else _error_json(error)
    response = current_app.make_response(answer)
    if isinstance(answer, str | dict | list) or custom is None:
        response.status_code = error.status_hint  # nobody has said another
    if isinstance(error, ProviderUnavailable) and error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return add_headers(response)


def _error_page(error: ParJarError) -> str:
    return render_template(
        "parjar/error.html",
        error=error,
        denied=isinstance(error, AccessDenied),
        login_url=url_for("parjar.login", provider=_provider_tried(), next=_page_wanted(error)),
        home_url=in_this_app(current_state().settings.after_logout),
        shown_to_operator=current_app.debug,
    )


def _provider_tried() -> str | None:
    """The named provider whose login failed: a new one skips the choice."""
    name = (request.view_args or {}).get("provider") if request.blueprint == "parjar" else None
    return name if name in current_state().providers else None


def _page_wanted(error: ParJarError) -> str | None:
    """Where a new login is to lead: where this one would have, or to the page that was refused."""
    if isinstance(error, AccessDenied):
        return page_to_return_to()
    if _at_login():
        return request.args.get("next")
    if request.endpoint != "parjar.callback" or error.code == "response_malformed":
        return None  # (a form that was refused for its size is not read for this either)
    try:
        return read_state(request.values["state"]).next
    except (ParJarError, KeyError):
        return None


def _error_json(error: ParJarError) -> Response:
    body = {"error": error.code, "message": str(error)}
    if isinstance(error, LoginRequired):
        next_path = request.args.get("next") if _at_login() else _page_of_script()
        body["login_url"] = url_for("parjar.login", next=next_path, step_up=error.step_up)
    return jsonify(body)


def _at_login() -> bool:
    return request.endpoint == "parjar.login"


def _page_of_script() -> str | None:
    """The page whose script asked: nobody wants to land on the address of an API."""
    return page_that_asked() or (page_to_return_to() if request.method == "GET" else None)


def add_headers(response: Response) -> Response:
    """Forbid that an answer of ours is kept, framed or guessed at; what it says itself stays."""
    headers = response.headers
    for name, value in _HEADERS.items():
        if name not in headers:
            headers.add(name, value)
    return response
