"""After a failure, an endpoint is left alone for a while."""

from __future__ import annotations

import pytest

from flask_parjar.provider.backoff import LONGEST_PAUSE, PAUSE, Backoff
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backoff(clock: Clock) -> Backoff:
    return Backoff(clock)


@pytest.mark.parametrize(
    "retry_after, pause", [(None, PAUSE), (0, 1), (60, 60), (10**9, LONGEST_PAUSE)]
)
def test_a_failure_starts_a_pause(
    backoff: Backoff, clock: Clock, retry_after: int | None, pause: int
) -> None:
    assert backoff.wait() == 0
    backoff.failed(retry_after)
    assert backoff.wait() == pause
    clock.now += pause - 0.5
    assert backoff.wait() == 1
    clock.now += 0.5
    assert backoff.wait() == 0


def test_after_a_pause_one_caller_tries(backoff: Backoff, clock: Clock) -> None:
    backoff.failed()
    clock.now += PAUSE
    assert [backoff.wait() for _ in range(3)] == [0, PAUSE, PAUSE]
    backoff.succeeded()
    assert [backoff.wait() for _ in range(3)] == [0, 0, 0]


def test_a_failure_beside_a_success_is_no_outage(backoff: Backoff, clock: Clock) -> None:
    began = clock.now
    clock.now += 1
    backoff.succeeded()
    backoff.failed(began=began)
    assert backoff.wait() == 0
    clock.now += 1
    backoff.failed(began=clock.now)
    assert backoff.wait() == PAUSE
