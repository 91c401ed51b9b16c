"""Checks of the values in ``flask.session`` under our keys.

The session is signed or on the server, so no attacker wrote it. But another version of this library
or the app itself may have. A value of another shape is ignored.

They run at each request of somebody logged in. So types are compared with a tuple and not with
``list | tuple``, which makes a new object each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeGuard, TypeVar

from ..protocol.encoding import is_number

R = TypeVar("R")


def copy_json(value: Any) -> Any:
    """Copy a JSON value with all that is inside it."""
    if isinstance(value, str):  # most are
        return value
    if isinstance(value, dict):
        return {name: copy_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [copy_json(each) for each in value]
    return value


def is_list(value: object) -> TypeGuard[Sequence[Any]]:
    """Say whether a value is a list, or a tuple, which some session serializers return instead."""
    return isinstance(value, (list, tuple))


def are_words(values: object) -> TypeGuard[Sequence[str]]:
    """Say whether a value is a list of strings."""
    if not is_list(values):
        return False
    for each in values:  # a generator with `all` takes twice the time
        if not isinstance(each, str):
            return False
    return True


def read_text_and_time(value: object) -> tuple[str, int] | None:
    """Read a list of a text and of seconds since 1970; None for anything else."""
    if not is_list(value) or len(value) != 2:
        return None
    text, seconds = value
    if not isinstance(text, str) or not is_number(seconds):
        return None
    return text, int(seconds)


def read_each(values: object, read: Callable[[object], R | None]) -> list[R]:
    """Read each entry of a list; leave out an entry for which `read` returns None."""
    found = [read(each) for each in values] if is_list(values) else []
    return [each for each in found if each is not None]
