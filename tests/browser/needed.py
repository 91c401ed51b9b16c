"""What a machine needs to drive a browser, and what is said where it lacks something."""

from __future__ import annotations

import importlib.util
import os
import shutil

COMMANDS = ("chromium", "chromium-browser", "google-chrome")


def chromium_command() -> str | None:
    """The first of the commands that is installed."""
    return next(filter(None, map(shutil.which, COMMANDS)), None)


def missing_piece() -> str | None:
    """What this machine lacks, with the command that brings it; or nothing."""
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is not installed: run `pip install playwright`"
    if chromium_command() is None:
        return f"none of {', '.join(COMMANDS)} is on the PATH: run `apt install chromium`"
    return None


def is_required() -> bool:
    """Whether a missing browser is a failure here and not a reason to skip."""
    asked = (os.environ.get("CI", ""), os.environ.get("PARJAR_REQUIRE_BROWSER", ""))
    return any(value.lower() not in ("", "0", "false") for value in asked)
