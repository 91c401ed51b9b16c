"""Whether this machine can run a browser."""

from __future__ import annotations

import importlib.util
import shutil

COMMANDS = ("chromium", "chromium-browser", "google-chrome")


def chromium_command() -> str | None:
    """The first of the commands that is installed."""
    return next(filter(None, map(shutil.which, COMMANDS)), None)


def missing_browser() -> str | None:
    """What is missing, and the command that installs it; None if all is there."""
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is not installed: run `pip install playwright`"
    if chromium_command() is None:
        return f"none of {', '.join(COMMANDS)} is on the PATH: run `apt install chromium`"
    return None
