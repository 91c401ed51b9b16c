from __future__ import annotations

import pytest

from flask_parjar.testing import DevProvider
from tests.testing.hand_made_client import NOW, HandMadeClient


class Clock:
    """The provider's clock; it stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def provider(clock: Clock) -> DevProvider:
    return DevProvider("https://op.example", now=clock)


@pytest.fixture
def client(provider: DevProvider, clock: Clock) -> HandMadeClient:
    return HandMadeClient(provider, now=clock)
