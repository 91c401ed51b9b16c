"""How an error is answered: a page for a person, JSON for a script, or a redirect to the login."""

from __future__ import annotations

from flask import Response, current_app, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue

from ..errors import CodedError, ProviderUnavailable
from ..runtime import current_runtime
from .errors import AccessDenied, LoginRequired
from .own_urls import (
    OWN_ENDPOINTS,
    page_that_asked,
    page_to_return_to,
    url_of_login,
    with_script_root,
)
from .request_kind import is_navigation, is_of_htmx

#: Errors of an account that another account of the same person may not have.
_OF_THE_ACCOUNT = frozenset(
    (
        "access_denied",
        "insufficient_authorization_details",
        "insufficient_claims",
        "insufficient_scope",
        "tenant_refused",
        "user_refused",
    )
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Cookie",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "base-uri 'none'; object-src 'none'; frame-ancestors 'none'",
}


_PAGE = "flask_parjar.page"  # where the page of this request's login is, in its environ


def remember_page(page: str) -> None:
    """Remember for this request which page its login leads to: an error page links to it."""
    request.environ[_PAGE] = page


def page_of_login() -> str | None:
    """The page that the login of this request leads to; None if its session was lost."""
    page: str | None = request.environ.get(_PAGE)
    return page


def show_error(error: CodedError) -> ResponseReturnValue:
    """Make the answer for an error: a redirect to the login, the app's own answer, or ours."""
    if isinstance(error, LoginRequired) and is_navigation():
        next_path = page_to_return_to() or with_script_root(current_runtime().settings.after_login)
        url = url_of_login(error.provider, next=next_path, step_up=error.step_up)
        return add_headers(current_app.make_response(redirect(url)))
    answer: ResponseReturnValue
    custom = None if isinstance(error, LoginRequired) else current_runtime().hooks.error_handler
    if custom is not None:
        answer = custom(error)
    else:
        answer = _error_page(error) if is_navigation() else _answer_script(error)
    response = current_app.make_response(answer)
    if isinstance(answer, str | dict | list) or custom is None:
        response.status_code = error.status_hint  # the app's handler did not set a status
    if isinstance(error, ProviderUnavailable) and error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if error.error_code == "response_method":  # RFC 9110 section 15.5.6
        response.headers["Allow"] = "GET" if request.method == "POST" else "POST"
    return add_headers(response)


def _error_page(error: CodedError) -> str:
    return render_template(
        "parjar/error.html",
        error=error,
        denied=isinstance(error, AccessDenied) or error.error_code == "step_up_failed",
        retry_url=_way_on(error),
        other_account_url=_way_on_as_another(error),
        home_url=with_script_root(current_runtime().settings.after_logout or "/"),
        shown_to_operator=current_app.debug,
    )


def _way_on(error: CodedError) -> str:
    """The URL to try again: the login, or the page that asks for the login it needs."""
    page = _page_wanted(error)
    if error.error_code == "other_person" and page is not None and not _at_login():
        return page  # a plain login would log the other person in with one click
    return url_of_login(_provider_of(error), next=page)


def _way_on_as_another(error: CodedError) -> str | None:
    """The URL of a login with another account; None where that would not help."""
    if error.error_code not in _OF_THE_ACCOUNT:
        return None
    return url_of_login(_provider_of(error), next=_page_wanted(error), other_account=True)


def _provider_of(error: CodedError) -> str | None:
    """The provider that the next login is at: the one that a guard names, or that was tried."""
    if isinstance(error, LoginRequired | AccessDenied) and error.provider is not None:
        return error.provider
    arguments = request.view_args or {}
    name = arguments.get("provider") if request.endpoint in OWN_ENDPOINTS else None
    return name if name in current_runtime().providers else None


def _page_wanted(error: CodedError) -> str | None:
    """The page that a new login leads to: that of the failed login, or the one that was refused."""
    if isinstance(error, AccessDenied):
        return page_to_return_to()
    if _at_login():
        return request.args.get("next")
    return page_of_login()


def _answer_script(error: CodedError) -> Response:
    """JSON for a script. htmx goes to the login, where one is needed."""
    body = {"error": error.error_code, "message": str(error)}
    if not isinstance(error, LoginRequired):
        return jsonify(body)
    ours = request.endpoint in OWN_ENDPOINTS
    next_path = _page_wanted(error) if ours else _page_of_script()
    url = url_of_login(_provider_of(error), next=next_path, step_up=error.step_up)
    response = jsonify({**body, "login_url": url})
    if is_of_htmx():
        response.headers["HX-Redirect"] = url
    return response


def _at_login() -> bool:
    return request.endpoint == "parjar.login"


def _page_of_script() -> str | None:
    """The page whose script asked, because a person must not be sent to the URL of an API."""
    return page_that_asked() or (page_to_return_to() if request.method == "GET" else None)


def add_headers(response: Response) -> Response:
    """Add headers against caching, framing and content sniffing; keep those that are set."""
    headers = response.headers
    present = {name.lower() for name, _ in headers}
    if "cache-control" in present and response.cache_control.public:
        present.add("vary")  # it is the same for everyone
    headers.extend(each for each in _HEADERS.items() if each[0].lower() not in present)
    return response
