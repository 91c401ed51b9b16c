"""Text from a stranger, read strictly: base64url with one spelling, JSON with one meaning."""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any, NoReturn, TypeGuard

MAX_DEPTH = 32

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)


def b64encode(value: bytes) -> str:
    """Encode as base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def b64decode(text: str) -> bytes:
    """Decode base64url without padding, and only its one canonical spelling.

    :raises ValueError: for any other character, padding, or left-over bits.
    """
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64encode(value) != text:
        raise ValueError("not canonical base64url")
    return value


def _object_of_distinct_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number beyond a float")
    return number


_decoder = json.JSONDecoder(
    object_pairs_hook=_object_of_distinct_members,
    parse_float=_finite_float,
    parse_constant=_refuse_constant,
)


def parse_json_object(text: bytes) -> dict[str, Any]:
    """Read one JSON object (RFC 8259), stricter than Python does.

    A repeated member, ``NaN``, ``Infinity``, a number beyond a float, more than `MAX_DEPTH` levels,
    half a surrogate pair, and text that is not UTF-8 are refused: two readers must never see two
    things (RFC 8725 section 2.4, RFC 7493 section 2).

    :raises ValueError: with the reason.
    """
    try:
        value = _decoder.decode(text.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    _check_depth(value)
    if b"\\u" in text:  # half a pair can only have been written as an escape
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _check_depth(value: dict[str, Any]) -> None:
    """Bound the levels, so that whoever prints or walks a value meets no RecursionError."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for node in level
            for item in (node.values() if isinstance(node, dict) else node)
            if isinstance(item, dict | list)
        ]
        if not level:
            return
    raise ValueError("nested too deeply")


def is_number(value: object) -> TypeGuard[float]:
    """Say whether a JSON value is a number of a sensible size, and no boolean and no string."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -1e15 < value < 1e15  # false for NaN, and for integers that are no time
