"""How the browser brings a response back, and how its parameters are found in what it brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .jarm import peek_signed, unwrap_signed
from .opener import OpenWith
from .response import ResponseParameters


class ResponseMode(NamedTuple):
    """How a response comes back.

    :param posted: whether as a form.
    :param unwrap: gives the parameters of the response that are in what was received, verified, at
        a time in seconds since 1970.
    :param peek: gives the same parameters without verifying anything, and so without a key; None if
        they are encrypted. They say which login the response is for, and no more.
    """

    posted: bool
    unwrap: Callable[[ResponseParameters, OpenWith[ResponseParameters], int], ResponseParameters]
    peek: Callable[[ResponseParameters], ResponseParameters | None]


def unwrap_plain(
    received: ResponseParameters, open_with: OpenWith[ResponseParameters], now: int
) -> ResponseParameters:
    """The parameters themselves: nothing is around them."""
    return received


def peek_plain(received: ResponseParameters) -> ResponseParameters:
    """The parameters themselves: nothing is around them."""
    return received


_PLAIN = ResponseMode(posted=False, unwrap=unwrap_plain, peek=peek_plain)
_SIGNED = ResponseMode(posted=False, unwrap=unwrap_signed, peek=peek_signed)

#: The modes that a client may choose (OAuth 2.0 Multiple Response Types; Form Post Response Mode;
#: JARM section 2.3). None is the provider's default. ``jwt`` means ``query.jwt`` for a code.
RESPONSE_MODES: Mapping[str | None, ResponseMode] = {
    None: _PLAIN,
    "query": _PLAIN,
    "form_post": _PLAIN._replace(posted=True),
    "jwt": _SIGNED,
    "query.jwt": _SIGNED,
    "form_post.jwt": _SIGNED._replace(posted=True),
}
