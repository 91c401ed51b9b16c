"""How the browser brings a response back, and how its parameters are found in what it brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .opener import TokenOpener
from .response import ResponseParameters

#: Calls a function with an opener. The provider's keys are fetched where this is called, and not
#: before; where they have none for a token, the function is called once more with newer ones.
OpenWith = Callable[[Callable[[TokenOpener], ResponseParameters]], ResponseParameters]


class ResponseMode(NamedTuple):
    """How a response comes back.

    :param posted: whether as a form.
    :param unwrap: gives the parameters of the response that are in what was received, verified, at
        a time in seconds since 1970.
    :param peek: gives the same parameters without verifying anything, and so without a key; None if
        they are encrypted. They say which login the response is for, and no more.
    """

    posted: bool
    unwrap: Callable[[ResponseParameters, OpenWith, int], ResponseParameters]
    peek: Callable[[ResponseParameters], ResponseParameters | None]


def unwrap_plain(received: ResponseParameters, open_with: OpenWith, now: int) -> ResponseParameters:
    """The parameters themselves: nothing is around them."""
    return received


def peek_plain(received: ResponseParameters) -> ResponseParameters:
    """The parameters themselves: nothing is around them."""
    return received


_PLAIN = ResponseMode(posted=False, unwrap=unwrap_plain, peek=peek_plain)

#: The modes that a client may choose (OAuth 2.0 Multiple Response Types; Form Post Response Mode).
#: None is the provider's default.
RESPONSE_MODES: Mapping[str | None, ResponseMode] = {
    None: _PLAIN,
    "query": _PLAIN,
    "form_post": _PLAIN._replace(posted=True),
}
