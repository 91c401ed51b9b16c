"""What caches may do with a page that was made for one person."""

from __future__ import annotations

from flask import Response
from flask import session as flask_session

from .session import SESSION_KEY, known_session


def set_private_cache_control(response: Response) -> Response:
    """Forbid shared caches to keep a page that was made for one person.

    A page that sets no Cache-Control is not stored at all. From a header that it sets, what lets
    shared caches store the page is removed: ``send_file`` writes ``public`` by itself, from a
    setting that is meant for static files.

    RFC 9111 sections 3 and 5.2.2.
    """
    if not _is_for_one_person(response):
        return response
    headers = response.headers
    present = {name.lower() for name, _ in headers}
    if "vary" in present:
        response.vary.add("Cookie")
    else:
        headers.add("Vary", "Cookie")
    if "cache-control" not in present:
        headers.add("Cache-Control", "private, no-store")
        return response
    if headers["Cache-Control"] == "no-store":
        return response  # as our own routes have it: nothing is to be removed
    control = response.cache_control
    control.pop("public", None)
    control.pop("s-maxage", None)
    if "no-store" not in control and control.get("private", "") is not None:
        control["private"] = None
    return response


def _is_for_one_person(response: Response) -> bool:
    known = known_session()
    if known is not None:
        return known.record is not None
    # A streamed page may use current_user after its headers were sent. A file does not.
    if not response.is_streamed or response.direct_passthrough or response.cache_control.public:
        return False
    return SESSION_KEY in flask_session
