"""What kind of request this is: a navigation, a script's request, or a prefetch."""

from __future__ import annotations

from flask import Response, request

from .own_urls import is_of_this_site

#: Bytes of a form that we read at most. Forms of this site and of a provider are smaller.
MAX_FORM = 32 * 1024


def is_speculative() -> bool:
    """Whether this is a prefetch or prerender of the browser, or a HEAD request."""
    # From the environ: `headers.get` raises and catches where a header is missing, as most often.
    environ = request.environ
    purpose = environ.get("HTTP_SEC_PURPOSE") or environ.get("HTTP_PURPOSE") or ""
    return request.method == "HEAD" or "prefetch" in purpose or "prerender" in purpose


def is_navigation() -> bool:
    """Whether the browser will show the answer as a page; a script gets JSON instead.

    Decided by the Fetch Metadata Request Headers (W3C) if the browser sends them, else by
    ``X-Requested-With``, ``HX-Request`` and ``Accept``: a browser that opens a page names
    ``text/html``, and scripts and programs (``*/*``) do not.
    """
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    if request.headers.get("X-Requested-With") == "XMLHttpRequest" or is_of_htmx():
        return False
    accepted = request.accept_mimetypes
    if not accepted:
        return True
    names_a_page = any(name.startswith("text/") for name, _ in accepted)
    best = accepted.best_match(("text/html", "application/json"))
    return names_a_page and best != "application/json"


def is_of_htmx() -> bool:
    """Whether htmx sent the request: it shows no answer with an error status."""
    return request.headers.get("HX-Request") == "true"


def is_same_origin() -> bool:
    """Whether a page of this origin sent the request; False if that cannot be known."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    sender = request.headers.get("Origin") or request.headers.get("Referer") or ""
    return is_of_this_site(sender)


def is_cross_site() -> bool:
    """Whether a page of another origin sent the request; False if that cannot be known."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("cross-site", "same-site")
    origin = request.headers.get("Origin")
    return origin is not None and not is_of_this_site(origin)


def is_of_unknown_site() -> bool:
    """Whether the browser hides which page sent the request (``Origin: null``, RFC 6454 7.3)."""
    return "Sec-Fetch-Site" not in request.headers and request.headers.get("Origin") == "null"


def is_small_form() -> bool:
    """Whether Content-Length says that the body is short, before anything of it is read."""
    return (request.content_length or MAX_FORM) < MAX_FORM


def decline_prefetch() -> Response:
    """Refuse a prefetch, so that the browser asks again when the user follows the link."""
    return Response(status=200 if request.method == "HEAD" else 503)
