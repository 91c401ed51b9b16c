"""A worker killed at the worst moment: the provider renewed the tokens, and nothing is written."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path

import pytest

from flask_parjar.testing import DevProvider
from tests.distributed.conftest import NewVisitor, StartSite, log_in_until_the_token_expires
from tests.support.site_process import Visitor

pytestmark = pytest.mark.distributed

PATIENCE = 1  # seconds: PARJAR_HTTP_TIMEOUT
LOCK = 4 * PATIENCE + 1  # seconds, at most, that the lock of a dead process stays


@pytest.fixture
def bereaved(
    start_site: StartSite, provider: DevProvider, new_visitor: NewVisitor, tmp_path: Path
) -> Callable[[], Visitor]:
    """Somebody whose renewal has just died with its worker; another worker is there."""

    def make() -> Visitor:
        die_once = tmp_path / "die"
        site = start_site(workers=2, DIE_ONCE=str(die_once), PARJAR_HTTP_TIMEOUT=PATIENCE)
        visitor = new_visitor(site)
        log_in_until_the_token_expires(provider, visitor)
        die_once.touch()
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            visitor.get("/token")
        assert not die_once.exists()
        return visitor

    return make


def answers_until_the_lock_opens(visitor: Visitor) -> list[str]:
    """What a script that asks on and on is told, until it is something else than to come again."""
    told: list[str] = []
    waited = 0.0
    while waited < LOCK + 2:
        answer = visitor.fetch("/token")
        assert answer.seconds < PATIENCE + 1, "a request waits no longer than one renewal takes"
        waited += answer.seconds
        told.append("token" if answer.status == 200 else answer.code)
        if told[-1] != "store_busy":
            break
    return told


def test_where_refresh_tokens_rotate_the_user_logs_in_again(
    bereaved: Callable[[], Visitor],
) -> None:
    """No request hangs: 503 store_busy for some seconds, then the lock is open and a login due."""
    visitor = bereaved()
    told = answers_until_the_lock_opens(visitor)
    assert {*told[:-1]} == {"store_busy"}
    assert told[-1] == "refresh_refused"
    assert visitor.get("/token").asks_for_a_login
    visitor.log_in()
    assert visitor.get("/token").status == 200


def test_where_they_do_not_rotate_the_next_request_succeeds(
    bereaved: Callable[[], Visitor], provider: DevProvider
) -> None:
    """503 store_busy for some seconds, then a renewed token: no one is logged out."""
    with provider.fault("refresh_without_new_token"):
        told = answers_until_the_lock_opens(bereaved())
    assert {*told[:-1]} == {"store_busy"}
    assert told[-1] == "token"
