"""The levels of protection that an authorization request can have: PARJAR_REQUEST."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class RequestLevel(NamedTuple):
    """How an authorization request travels.

    :param pushed: whether our server sends it to the provider (RFC 9126); else the browser does.
    :param signed: whether it is a request object (RFC 9101).
    """

    pushed: bool
    signed: bool


REQUEST_LEVELS: Mapping[str, RequestLevel] = {
    "pushed+signed": RequestLevel(pushed=True, signed=True),
    "pushed": RequestLevel(pushed=True, signed=False),
    "signed": RequestLevel(pushed=False, signed=True),
    "plain": RequestLevel(pushed=False, signed=False),
}
DEFAULT_LEVEL = "pushed+signed"
