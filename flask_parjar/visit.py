"""What kind of request this is: a person's navigation, a script's, a browser guessing ahead."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from flask import Response, request

from .errors import ResponseRejected
from .protocol.urls import check_endpoint, parse_return_path

#: Bytes of a form that is read: those that come here are small, and a larger one is a stranger's.
MAX_FORM = 32 * 1024

_IN_A_PATH = "/:@!$&'()*+,;=~-._"


def is_speculative() -> bool:
    """Whether a browser asks ahead of its user (prefetch, prerender), or only for the headers."""
    purpose = request.headers.get("Sec-Purpose") or request.headers.get("Purpose") or ""
    return request.method == "HEAD" or "prefetch" in purpose or "prerender" in purpose


def is_navigation() -> bool:
    """Whether a page will be shown: a script's request is better answered with JSON.

    Fetch Metadata Request Headers (W3C) where the browser sends them, else what it accepts.
    """
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    if request.headers.get("X-Requested-With") == "XMLHttpRequest":
        return False
    accepted = request.accept_mimetypes
    return accepted.best_match(("text/html", "application/json")) != "application/json"


def is_same_origin() -> bool:
    """Whether a page of this very site sent the request; False where that cannot be known."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    sender = request.headers.get("Origin") or request.headers.get("Referer") or ""
    return _origin(sender) == _own_origin()


def is_cross_site() -> bool:
    """Whether a page of another site sent the request; False where that cannot be known."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("cross-site", "same-site")
    origin = request.headers.get("Origin")
    return origin is not None and _origin(origin) != _own_origin()


def page_to_return_to() -> str | None:
    """The page to come back to after a login: this one, or the one that holds the form for it."""
    if request.method in ("GET", "HEAD"):
        path = quote(f"{request.script_root}{request.path}", safe=_IN_A_PATH)
        query = quote(request.query_string, safe=_IN_A_PATH + "?%")
        return parse_return_path(f"{path}?{query}" if query else path)
    return page_that_asked()


def page_that_asked() -> str | None:
    """The page of this site that sent the request, by a form, a link or a script; else None."""
    referrer = request.headers.get("Referer", "")
    return _path_of(referrer) if _origin(referrer) == _own_origin() else None


def not_now() -> Response:
    """Refuse a browser that asks ahead of its user, so that it asks again when they do."""
    return Response(status=200 if request.method == "HEAD" else 503)


def usable_url(url: str) -> str:
    """A URL of this site is made of the Host header: refuse one that is no URL.

    :raises ResponseRejected: ``redirect_uri_unusable``.
    """
    try:
        return check_endpoint(url, allow_http=True)
    except ValueError as exc:
        raise ResponseRejected("redirect_uri_unusable", f"{url!r:.200}: {exc}") from exc


def in_this_app(path: str) -> str:
    """A configured path as the browser must write it, where the app is mounted below the root."""
    return f"{request.script_root}{path}"


def _own_origin() -> tuple[str, str] | None:
    """The origin this request was made to; None, which equals no other, where the Host is none."""
    try:
        return _origin(request.url)
    except ValueError:  # pragma: no cover - only older Werkzeugs fail so; `tox -e min` is here
        return None


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ("", "")
    return parts.scheme, parts.netloc


def _path_of(url: str) -> str | None:
    parts = urlsplit(url)
    return parse_return_path(f"{parts.path}?{parts.query}" if parts.query else parts.path)
