"""Strict parsers for untrusted text: base64url with one spelling, JSON with one meaning."""

from __future__ import annotations

import base64
import codecs
import functools
import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn, TypeGuard

MAX_DEPTH = 32

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,9}")


def b64encode(value: bytes) -> str:
    """Encode as base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def b64decode(text: str) -> bytes:
    """Decode base64url without padding, in its canonical spelling only.

    :raises ValueError: for any other character, padding, or left-over bits.
    """
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64encode(value) != text:
        raise ValueError("not canonical base64url")
    return value


_encoder = json.JSONEncoder(separators=(",", ":"))  # json.dumps would make one for each value


def encode_json(value: Mapping[str, Any]) -> str:
    """Write a JSON object as one part of a compact JWS (RFC 7515 section 7.1)."""
    return b64encode(_encoder.encode(value).encode())


def _object_of_distinct_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _object_of_agreeing_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members and not (isinstance(value, str) and members[name] == value):
            raise ValueError("a member stands twice")
        members[name] = value
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number beyond a float")
    return number


_decoder = functools.partial(
    json.JSONDecoder, parse_float=_finite_float, parse_constant=_refuse_constant
)
_strict = _decoder(object_pairs_hook=_object_of_distinct_members)
_agreeing = _decoder(object_pairs_hook=_object_of_agreeing_members)


def parse_json_object(text: bytes, *, may_repeat: bool = False) -> dict[str, Any]:
    """Read one JSON object, more strictly than Python does.

    A repeated member, ``NaN``, ``Infinity``, a number beyond a float, more than `MAX_DEPTH` levels,
    half a surrogate pair, and text that is not UTF-8 are refused: two parsers must never read two
    different values.

    :param may_repeat: whether a member may be repeated if it is the same string each time.
    :raises ValueError: with the reason.

    RFC 8259, RFC 8725 section 2.4, RFC 7493 section 2.
    """
    if text.startswith(codecs.BOM_UTF8):  # otherwise the reason would name an invisible character
        raise ValueError("it begins with a byte order mark")
    try:
        value = (_agreeing if may_repeat else _strict).decode(text.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    _check_depth(value)
    if b"\\u" in text:  # in valid UTF-8, half a surrogate pair can only be written as an escape
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _check_depth(value: dict[str, Any]) -> None:
    """Limit the levels, so that code that walks or prints the value gets no RecursionError."""
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


def parse_seconds(value: object) -> int:
    """Read a duration in seconds, as a number or, from less careful servers, as digits in a string.

    :raises ValueError: for anything else, and for a negative number.
    """
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if not is_number(value) or value < 0:
        raise ValueError("no number of seconds")
    return int(value)


def printable_text(text: str, *, at_most: int) -> str:
    """Cut an untrusted text, and replace each character that is not printable with a space.

    Control characters that turn the direction of the text (Unicode Technical Report 36 section 2.5)
    would act on the text of the page around it, however it is escaped.
    """
    return "".join(each if each.isprintable() else " " for each in text[:at_most])


def is_number(value: object) -> TypeGuard[float]:
    """Say whether a JSON value is a number of a sensible size; booleans are not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return -1e15 < value < 1e15  # False for NaN, and for integers too large for a time
