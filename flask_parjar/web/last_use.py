"""When a session was last used, for PARJAR_IDLE_TIMEOUT, in a signed cookie of its own.

In ``flask.session`` it would make each page a writer of the whole session: a slow page that only
reads would put back what another page has changed meanwhile.

The login itself is a use, and its time is in the session. So the cookie is set only later, and
a slow answer to a request of the session before cannot end the new one with its older cookie.
"""

from __future__ import annotations

from typing import NamedTuple

from flask import Response, request

from ..runtime import Runtime, current_runtime
from .own_cookies import own_cookie_name, set_own_cookies
from .session_record import SessionRecord
from .signing import dumps_signed, loads_signed

_COOKIE = "parjar_seen"
_PURPOSE = "last_use"
_STEPS = 10  # the time is written at most this often in one PARJAR_IDLE_TIMEOUT


class _LastUse(NamedTuple):
    """The last use of a session, kept in the WSGI environ.

    :param session: names the session; None where its cookie is to be deleted.
    :param at: seconds since 1970; the time of the login where no later use is known.
    :param is_changed: whether the response sets the cookie.
    """

    session: str | None
    at: int
    is_changed: bool


def is_idle(runtime: Runtime, record: SessionRecord, *, now: int) -> bool:
    """Whether a session was not used for longer than PARJAR_IDLE_TIMEOUT."""
    idle_timeout = runtime.settings.idle_timeout
    return idle_timeout is not None and now - _last_use(runtime, record).at > idle_timeout


def note_use(runtime: Runtime, record: SessionRecord, *, now: int) -> None:
    """Write the time of use; not at each request, because it sets a cookie."""
    idle_timeout = runtime.settings.idle_timeout
    if idle_timeout is None:
        return
    used = _last_use(runtime, record)
    if now - used.at >= idle_timeout // _STEPS:
        request.environ[_place(runtime)] = _LastUse(used.session, now, is_changed=True)


def forget_use(runtime: Runtime) -> None:
    """Delete the cookie, because its session has ended."""
    if runtime.settings.idle_timeout is not None:
        request.environ[_place(runtime)] = _LastUse(None, 0, is_changed=True)


def set_last_use_cookie(response: Response) -> Response:
    """Set the cookie, where a request has changed the time."""
    used: _LastUse | None = request.environ.get(_place(current_runtime()))
    if used is None or not used.is_changed:
        return response
    name = own_cookie_name(_COOKIE)
    if used.session is not None:
        set_own_cookies(response, {name: dumps_signed(used.session, purpose=_PURPOSE)})
    elif name in request.cookies:
        set_own_cookies(response, {name: None})
    return response


def _last_use(runtime: Runtime, record: SessionRecord) -> _LastUse:
    """What the cookie says of this session; it is read once in a request."""
    session, place = record.id, _place(runtime)
    known: _LastUse | None = request.environ.get(place)
    if known is None or known.session != session:
        at = _read_cookie(session)
        used = _LastUse(session, record.logged_in_at if at is None else at, is_changed=False)
        request.environ[place] = known = used
    return known


def _read_cookie(session: str) -> int | None:
    """The time in the cookie; None if it is not ours, or is of another session."""
    try:
        named, signed_at = loads_signed(
            request.cookies.get(own_cookie_name(_COOKIE), ""), purpose=_PURPOSE
        )
    except ValueError:
        return None
    return signed_at if named == session else None


def _place(runtime: Runtime) -> str:
    """The environ key of one app: a dispatcher may pass the environ to another app."""
    return f"flask_parjar.last_use.{id(runtime)}"
