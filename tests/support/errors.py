"""What a test expects of an error: its class, its code and its values, never its sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest

from flask_parjar.errors import ParJarError


@contextmanager
def refused(
    kind: type[ParJarError], code: str, *values: str, status: int | None = None
) -> Generator[None, None, None]:
    """Expect exactly this refusal: its class and its code.

    :param values: what the operator finds in the detail: a name, an algorithm, a number
    """
    with pytest.raises(ParJarError) as caught:
        yield
    error = caught.value
    assert (type(error), error.error_code) == (kind, code)
    missing = [
        each for each in values if not re.search(rf"(?<!\w){re.escape(each)}(?!\w)", error.detail)
    ]
    assert missing == [], error.detail
    if status is not None:
        assert error.status_hint == status


@contextmanager
def invalid(*values: str) -> Generator[None, None, None]:
    """Expect a ValueError that names these values."""
    with pytest.raises(ValueError) as caught:
        yield
    assert str(caught.value) not in ("", "None")
    assert [value for value in values if value not in str(caught.value)] == []


def error_of(call: Callable[..., object], *args: Any, **more: Any) -> ParJarError:
    """Call what must fail with an error of this package, and give the error."""
    with pytest.raises(ParJarError) as caught:
        call(*args, **more)
    return caught.value
