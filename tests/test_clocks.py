"""Clocks: one that is set while the site runs, and documents that were old when they came."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flask_parjar.testing import DevProvider
from tests.support.altered_answers import KEYS, METADATA, AlteredAnswers
from tests.support.site import ISSUER, Visitor, make_site


@pytest.fixture(scope="module")
def after_the_clock_was_set() -> dict[str, object]:
    """How logins end on a machine whose clock was an hour ahead for a while."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.set_clock"],
        cwd=Path(__file__).parents[1],
        check=True,
        capture_output=True,
        timeout=60,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("moment", ["outage", "rotation"])
def test_waiting_times_do_not_depend_on_the_wall_clock(
    after_the_clock_was_set: dict[str, object], moment: str
) -> None:
    """Whatever the clock on the wall said when the pause began."""
    assert after_the_clock_was_set[moment] == 302


class Later:
    """Seconds that pass on both clocks when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        wall, steady = time.time, time.monotonic
        monkeypatch.setattr(time, "time", lambda: wall() + self.seconds)
        monkeypatch.setattr(time, "monotonic", lambda: steady() + self.seconds)


@pytest.mark.parametrize("path, endpoint", [(METADATA, "discovery"), (KEYS, "jwks")])
def test_a_document_that_comes_out_of_a_cache_is_as_old_as_that_says(
    monkeypatch: pytest.MonkeyPatch, path: str, endpoint: str
) -> None:
    """RFC 9111 section 4.2.3: of ten minutes it has spent eight on its way."""
    later = Later(monkeypatch)
    provider = DevProvider(ISSUER, now=lambda: time.time())
    headers = {"Cache-Control": "max-age=600", "Age": "480"}
    AlteredAnswers(provider).headers(path, headers)
    visitor = Visitor(make_site(provider), provider)
    asked = []
    for seconds in (0, 100, 121):  # (a login itself may take a second or two)
        later.seconds = seconds
        assert visitor.log_in().status_code == 302
        asked.append(sum(call.endpoint == endpoint for call in provider.calls))
    assert asked == [1, 1, 2]
