"""One Redis, several secret keys: two deployments side by side, and a key that is replaced."""

from __future__ import annotations

import time
from importlib.metadata import version

import pytest
import requests

from flask_parjar.testing import DevProvider
from tests.distributed.conftest import NewVisitor, StartSite
from tests.support.site_process import Visitor, eventually

pytestmark = pytest.mark.distributed

#: Flask's own session knows former keys since 3.1: before, a new key logs everybody out.
FORMER_KEYS = tuple(int(part) for part in version("Flask").split(".")[:2]) >= (3, 1)


def test_two_deployments_with_different_keys_share_a_redis_and_nothing_else(
    start_site: StartSite, new_visitor: NewVisitor
) -> None:
    """Each knows its own visitors alone, and a logout at one ends nothing at the other."""
    one, other = start_site(SECRET_KEY="of the one"), start_site(SECRET_KEY="of the other")
    at_one, at_other = new_visitor(one), new_visitor(other)
    at_one.log_in()
    at_other.log_in()
    tokens = {visitor.get("/token").json["token"] for visitor in (at_one, at_other)}
    assert len(tokens) == 2
    assert at_one.get("/me", at=other).asks_for_a_login
    assert at_other.get("/me", at=one).asks_for_a_login
    at_one.log_out()
    assert at_one.get("/me").asks_for_a_login
    assert at_other.get("/token").status == 200


def test_a_logout_token_of_the_provider_reaches_both_of_them(
    start_site: StartSite, new_visitor: NewVisitor, provider: DevProvider
) -> None:
    """It is about a person at the client that both are, and is sealed by neither."""
    one = start_site(SECRET_KEY="of the one")
    other = start_site(SECRET_KEY="of the other", TRUSTED_FOR=1)
    visitor = new_visitor(other)
    visitor.log_in()
    form = {"logout_token": provider.logout_token(client_id="site", sub="ada")}
    assert requests.post(f"{one.url}/backchannel-logout", data=form, timeout=10).ok
    assert eventually(lambda: visitor.get("/me").asks_for_a_login, within=3)


def renewed(visitor: Visitor, provider: DevProvider) -> str:
    """Let the visitor's token end, and have it renewed; the new one."""
    time.sleep(1.1)
    provider.access_token_seconds = 60
    return str(visitor.get("/token").json["token"])


def test_a_new_key_with_the_old_one_as_a_fallback(
    start_site: StartSite, new_visitor: NewVisitor, provider: DevProvider
) -> None:
    """Sessions and tokens outlive the change, where Flask's own session does (3.1 or later)."""
    old = start_site(SECRET_KEY="old")
    visitor = new_visitor(old)
    provider.access_token_seconds = 1
    visitor.log_in()
    first = visitor.get("/token").json["token"]
    old.stop()

    new = start_site(port=old.port, SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"])
    assert visitor.get("/me", at=new).asks_for_a_login is not FORMER_KEYS
    if not FORMER_KEYS:
        return
    second = renewed(visitor, provider)
    assert second != first
    new.stop()

    # What was renewed meanwhile needs the old key no more; a session that was not, does.
    start_site(port=old.port, SECRET_KEY="new")
    assert visitor.get("/me").asks_for_a_login
    visitor.log_in()
    assert visitor.get("/token").status == 200


def test_a_new_key_while_old_workers_still_run(
    start_site: StartSite, new_visitor: NewVisitor, provider: DevProvider
) -> None:
    """Told to all as a fallback first, the new key can be introduced one worker at a time."""
    old = start_site(SECRET_KEY="old", SECRET_KEY_FALLBACKS=["new"])
    new = start_site(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"])
    visitor = new_visitor(new)
    provider.access_token_seconds = 1
    visitor.log_in()
    assert visitor.get("/me", at=old).asks_for_a_login is not FORMER_KEYS
    if not FORMER_KEYS:
        return
    token = renewed(visitor, provider)  # sealed with the new key
    assert visitor.get("/token", at=old).json["token"] == token
    visitor.cookies.clear()
    visitor.site = old
    visitor.log_in()
    assert visitor.get("/token", at=new).status == 200
