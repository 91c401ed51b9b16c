"""Somebody else can write into the Redis: what they write ends sessions, and reopens none.

Each look is taken by a process that has not seen the session yet, so that nothing is remembered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from flask import Flask

from flask_parjar import Identity, logged_out
from flask_parjar.testing import DevProvider
from tests.support.after_login import copy_of, store_address, token_site
from tests.support.headers import FROM_HERE
from tests.support.redis_process import RedisProcess
from tests.support.site import ISSUER, Visitor

Value = str | bytes

#: What anybody can write without knowing SECRET_KEY.
RUBBISH: dict[str, Value] = {
    "nothing": "",
    "a word": "x",
    "a number": "1",
    "JSON": '{"handle": "x", "subject": "ada"}',
    "no UTF-8": b"\xff\xfe",
    "three dots": "a.b.c.d",
}


@pytest.fixture
def provider() -> DevProvider:
    """A provider that goes by the same clock as the site, where a test turns it."""
    return DevProvider(ISSUER, now=lambda: time.time())


@pytest.fixture
def start(provider: DevProvider, redis_process: RedisProcess) -> Callable[[], Flask]:
    """Start one more process of the same site."""
    key = provider.config()["PARJAR_SIGNING_KEY"]
    address = store_address("redis", redis_process)
    return lambda: token_site(provider, address, PARJAR_SIGNING_KEY=key)


@pytest.fixture
def site(start: Callable[[], Flask]) -> Flask:
    return start()


@pytest.fixture
def store(redis_process: RedisProcess) -> Iterator[redis.Redis]:
    with redis_process.client() as client:
        yield client


def log_in(app: Flask, provider: DevProvider, person: str = "ada") -> Visitor:
    visitor = Visitor(app, provider)
    assert visitor.log_in(person=person).status_code == 302
    return visitor


def content(store: redis.Redis) -> dict[str, str]:
    """All keys and their values; of what is no text, the key alone."""
    keys = [str(key) for key in store.scan_iter("*")]  # type: ignore[misc]
    return {key: str(store.get(key)) if store.type(key) == "string" else "" for key in keys}


def write(store: redis.Redis, key: str, value: Value) -> None:
    store.set(key, value, ex=3600)


def notify(app: Flask, provider: DevProvider, **claims: Any) -> None:
    """Bring a logout token, as the provider does."""
    form = {"logout_token": provider.logout_token(**claims)}
    assert Visitor(app, provider).post("/backchannel-logout", data=form).status_code == 200


# A session that its owner has ended.


@pytest.fixture
def ended(site: Flask, store: redis.Redis, provider: DevProvider) -> tuple[Visitor, dict[str, str]]:
    """A copy of the cookies from before a logout, and what the logout took out of the store."""
    visitor = log_in(site, provider)
    copy, before = copy_of(visitor), content(store)
    visitor.post("/logout", headers=FROM_HERE)
    left = content(store)
    gone = {key: value for key, value in before.items() if key not in left}
    assert gone
    return copy, gone


def test_a_copied_cookie_is_dead_at_every_process(
    ended: tuple[Visitor, dict[str, str]], start: Callable[[], Flask]
) -> None:
    assert copy_of(ended[0], start()).get("/me").status_code == 302


@pytest.mark.parametrize("value", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_reopens_no_session(
    ended: tuple[Visitor, dict[str, str]],
    start: Callable[[], Flask],
    store: redis.Redis,
    value: Value,
) -> None:
    copy, gone = ended
    for key in gone:
        write(store, key, value)
    answer = copy_of(copy, start()).get("/me")
    assert (answer.status_code, answer.location) == (302, "/login?next=/me")


def test_an_entry_of_another_key_makes_no_session_active(
    ended: tuple[Visitor, dict[str, str]],
    start: Callable[[], Flask],
    site: Flask,
    store: redis.Redis,
    provider: DevProvider,
) -> None:
    """Values of other open sessions, and of this one's other keys."""
    copy, gone = ended
    for person in ("ada", "grace"):
        log_in(site, provider, person)
    others = [*content(store).values()]
    assert others
    for key in gone:
        for value in [*others, *(gone[other] for other in gone if other != key)]:
            write(store, key, value)
            assert copy_of(copy, start()).get("/me").status_code == 302
        store.delete(key)


# A session that the provider has ended.


@pytest.mark.parametrize("by", ["sub", "sid"])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(value, id=name)
        for name, value in {**RUBBISH, "less": "-1", "5,000 digits": "9" * 5000}.items()
    ],
)
def test_rubbish_in_the_place_of_a_logout_token_leaves_the_session_ended(
    start: Callable[[], Flask],
    site: Flask,
    store: redis.Redis,
    provider: DevProvider,
    by: str,
    value: Value,
) -> None:
    visitor = log_in(site, provider)
    claims = {"sub": "ada"} if by == "sub" else {"sid": visitor.get("/me").json["claims"]["sid"]}
    before = content(store)
    notify(site, provider, **claims)
    new = content(store).keys() - before.keys()
    assert new
    for key in new:
        write(store, key, value)
    answer = copy_of(visitor, start()).get("/me")
    assert (answer.status_code, answer.location) == (302, "/login?next=/me")


@pytest.mark.parametrize("value", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_that_was_there_before_the_login_does_not_undo_the_logout(
    start: Callable[[], Flask],
    site: Flask,
    store: redis.Redis,
    provider: DevProvider,
    value: Value,
) -> None:
    before = content(store)
    notify(site, provider, sub="ada")
    marks = content(store).keys() - before.keys()
    for key in marks:
        write(store, key, value)
    visitor = log_in(site, provider)
    assert copy_of(visitor, start()).get("/me").status_code == 200
    notify(site, provider, sub="ada")
    for key in marks:
        write(store, key, value)
    assert copy_of(visitor, start()).get("/me").status_code == 302
    visitor.log_in()
    assert copy_of(visitor, start()).get("/me").status_code == 200


def test_an_older_logout_token_of_another_subject_leaves_the_session_ended(
    start: Callable[[], Flask],
    site: Flask,
    store: redis.Redis,
    provider: DevProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_in(site, provider, "grace")
    before = content(store)
    notify(site, provider, sub="grace")
    older = [value for key, value in content(store).items() if key not in before]
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 60)
    visitor = log_in(site, provider)
    before = content(store)
    notify(site, provider, sub="ada")
    new = content(store).keys() - before.keys()
    assert older and new
    for value in older:
        for key in new:
            write(store, key, value)
        assert copy_of(visitor, start()).get("/me").status_code == 302


@pytest.mark.parametrize("value", ["x", b"\xff\xfe"])
def test_a_logout_token_whose_name_is_overwritten_with_rubbish_counts_no_second_time(
    site: Flask, store: redis.Redis, provider: DevProvider, value: Value
) -> None:
    before, token = content(store), provider.logout_token(sub="ada")
    form, stranger = {"logout_token": token}, Visitor(site, provider)
    heard: list[str] = []

    def hear(sender: Any, identity: Identity, **_: Any) -> None:
        heard.append(identity.subject)

    with logged_out.connected_to(hear):
        assert stranger.post("/backchannel-logout", data=form).status_code == 200
        for key in content(store).keys() - before.keys():
            write(store, key, value)
        assert stranger.post("/backchannel-logout", data=form).status_code == 200
    assert heard == ["ada"]


# A session that is open.


@pytest.mark.parametrize("value", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_in_every_key_of_a_person_is_the_end_of_their_session(
    start: Callable[[], Flask],
    site: Flask,
    store: redis.Redis,
    provider: DevProvider,
    value: Value,
) -> None:
    """No page breaks, and the next login works."""
    visitor = log_in(site, provider)
    for key in content(store):
        write(store, key, value)
    answers = {
        path: copy_of(visitor, start()).get(path).status_code for path in ("/", "/me", "/token")
    }
    assert answers == {"/": 200, "/me": 302, "/token": 302}
    away = copy_of(visitor, start())
    assert away.post("/logout", headers=FROM_HERE).status_code == 302
    assert away.get("/me").status_code == 302
    away.log_in()
    assert [away.get(path).status_code for path in ("/me", "/token")] == [200, 200]


@pytest.mark.parametrize("value", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_in_the_place_of_the_tokens_is_the_end_of_them(
    start: Callable[[], Flask],
    site: Flask,
    store: redis.Redis,
    provider: DevProvider,
    value: Value,
) -> None:
    visitor = log_in(site, provider)
    assert visitor.get("/token").status_code == 200
    (key,) = (key for key in content(store) if ":tokens:" in key)
    write(store, key, value)
    elsewhere = copy_of(visitor, start())
    assert elsewhere.get("/me").status_code == 200
    assert elsewhere.get("/token").location == "/login?next=/token"
