"""Rich authorization requests: what tokens shall allow, in detail, and what was granted of it.

RFC 9396.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import LoginError, TokenRejected

#: Each is one JSON object with a ``type``.
Details = tuple[Mapping[str, Any], ...]

MAX_DETAILS = 50
MAX_LENGTH = 16 * 1024  # characters of JSON: they are stored with the tokens
MAX_DEPTH = 10


def types_of(details: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The ``type`` of each of the details, as often as it is there."""
    return tuple(str(each["type"]) for each in details)


def check_types(asked: Sequence[str], listed: Sequence[str] | None) -> None:
    """Refuse a type that the provider does not know, before the browser leaves.

    :param listed: ``authorization_details_types_supported``; None if the provider has no such list.
    :raises LoginError: ``authorization_details_unsupported``.

    RFC 9396 section 10.
    """
    unknown = sorted({*asked}.difference(asked if listed is None else listed))
    if unknown:
        raise LoginError(
            "authorization_details_unsupported", f"unknown: {unknown}; listed: {list(listed or ())}"
        )


def parse_granted(value: object, *, asked: Sequence[str]) -> Details:
    """Read the ``authorization_details`` of a token response.

    What a provider adds inside of one is accepted: it may enrich what was asked for.

    :param asked: the types that were asked for; if there are none, nothing is read.
    :raises TokenRejected: ``token_details``: they have no right shape, or are too large;
        ``token_details_unasked``: a type was not asked for.

    RFC 9396 sections 7 and 7.1.
    """
    if not asked or value is None:
        return ()
    if not isinstance(value, list):
        raise TokenRejected("token_details", "authorization_details is not a list")
    if len(value) > MAX_DETAILS or len(json.dumps(value)) > MAX_LENGTH:
        limits = f"more than {MAX_DETAILS} details or {MAX_LENGTH} characters"
        raise TokenRejected("token_details", limits)
    for each in value:
        if not isinstance(each, Mapping) or not _is_type(each.get("type")):
            raise TokenRejected("token_details", "not each is an object with a type")
    if _is_deeper(value, MAX_DEPTH):
        raise TokenRejected("token_details", f"nested in more than {MAX_DEPTH} levels")
    if unasked := sorted({*types_of(value)}.difference(asked)):
        raise TokenRejected("token_details_unasked", f"types: {str(unasked)[:200]}")
    return tuple(value)


def missing_types(asked: Sequence[str], granted: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The types that were asked for and not granted; one twice if two of it are missing."""
    if not asked:  # as in most logins
        return ()
    return tuple(sorted((Counter(asked) - Counter(types_of(granted))).elements()))


def _is_type(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, Mapping | list):
        return False
    inner = value.values() if isinstance(value, Mapping) else value
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner)
