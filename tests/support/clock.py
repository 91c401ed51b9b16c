"""Clocks that a test turns."""

from __future__ import annotations

from typing import Any


class Clock:
    """Seconds that pass when a test says so.

    :param now: what it shows at first; whole seconds stay whole
    """

    def __init__(self, now: float = 1000.0) -> None:
        self.now: Any = now

    def __call__(self) -> Any:
        return self.now


class WallClock:
    """The time of day as this process sees it: right, until a test turns it on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def turn(self, seconds: float) -> None:
        self.ahead += seconds
