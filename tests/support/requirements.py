"""What a test needs of the machine: where it is missing, the test is skipped, or it fails."""

from __future__ import annotations

import os

import pytest


class NotPrepared(RuntimeError):
    """What tests need could not be downloaded or built."""


def is_on(variable: str) -> bool:
    """Whether an environment variable is set, and not to a word for no."""
    return os.environ.get(variable, "").lower() not in ("", "0", "false", "no")


def need(missing: str | None, *, required_by: str) -> None:
    """Skip the test that is running, or fail it, where the machine lacks something.

    :param missing: what is missing, and the command that installs it; None if all is there
    :param required_by: an environment variable. If it or ``CI`` is on, the test fails
    """
    if missing is None:
        return
    if is_on("CI") or is_on(required_by):
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)
