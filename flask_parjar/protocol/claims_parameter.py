"""The ``claims`` parameter: its shape, and what the ID token must have because of it.

Only three of its members are checked in the ID token: ``acr`` and ``auth_time`` if they are
essential, and a ``sub`` with a value. Every other claim may be missing from a valid ID token,
essential or not (OpenID Connect Core 5.5.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_PLACES = ("id_token", "userinfo")
#: Microsoft Entra ID takes requests for the access token too, and asks for them in challenges.
_MERGED = (*_PLACES, "access_token")
_BINDING = ("acr", "auth_time", "sub")


class Demands(NamedTuple):
    """What an ID token must have, because it was asked for.

    :param acr_values: its ``acr`` must be one of these; empty for any.
    :param present: claims that must be there, with any value: ``acr``, ``auth_time``.
    :param subjects: its ``sub`` must be one of these; empty for any.
    """

    acr_values: tuple[str, ...]
    present: tuple[str, ...]
    subjects: tuple[str, ...]


def check_claims(claims: object) -> None:
    """Check the parts of a ``claims`` parameter that are read here.

    :raises ValueError: with the member that is wrong.

    OpenID Connect Core 5.5 and 5.5.1.
    """
    if not isinstance(claims, Mapping):
        raise ValueError("claims is a dict, with id_token and userinfo in it")
    for place in _PLACES:
        if not isinstance(claims.get(place), Mapping | None):
            raise ValueError(f"claims: {place} is a dict of single claims, or None")
    for name in _BINDING:
        request = (claims.get("id_token") or {}).get(name)
        if request is not None:
            _check_request(name, request)


def _check_request(name: str, request: object) -> None:
    if not isinstance(request, Mapping):
        raise ValueError(f"claims: {name} of id_token is a dict, or None")
    if not isinstance(request.get("essential", False), bool):
        raise ValueError(f"claims: essential of {name} is True or False")
    values = requested_values(request)
    if not isinstance(values, list | tuple):
        raise ValueError(f"claims: values of {name} is a list")
    if name != "auth_time" and not all(isinstance(value, str) for value in values):
        raise ValueError(f"claims: value and values of {name} are strings")


def requested_values(request: Mapping[str, Any]) -> Sequence[Any]:
    """The values that are wanted for a single claim, best first; empty if any value will do."""
    single: Sequence[Any] = [request["value"]] if "value" in request else []
    values: Sequence[Any] = request.get("values", single)
    return values


def merge_claims(*requests: Mapping[str, Any] | None) -> dict[str, Any]:
    """Merge ``claims`` parameters, claim by claim; a later one wins."""
    merged: dict[str, Any] = {}
    for request in requests:
        for place, wanted in (request or {}).items():
            before = merged.get(place) if place in _MERGED else None
            both = isinstance(before, Mapping) and isinstance(wanted, Mapping | None)
            merged[place] = {**before, **(wanted or {})} if before and both else wanted
    return merged


def demands_of(claims: Mapping[str, Any]) -> Demands:
    """What the ID token must have because of a ``claims`` parameter.

    OpenID Connect Core 5.5.1 and 5.5.1.1.
    """
    id_token = claims.get("id_token") or {}
    acr, auth_time, sub = (id_token.get(name) or {} for name in _BINDING)
    acr_values = tuple(requested_values(acr)) if acr.get("essential") else ()
    present = []
    if acr.get("essential") and not acr_values:
        present.append("acr")
    if auth_time.get("essential"):
        present.append("auth_time")
    return Demands(acr_values, tuple(present), tuple(requested_values(sub)))
