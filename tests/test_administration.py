"""Sessions of one account, listed and ended by a page of an administrator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, jsonify, request

from flask_parjar import ParJar, SessionInfo, logged_out
from flask_parjar.testing import DevProvider
from tests.support.after_login import copy_of, set_clock, store_address, token_site, token_views
from tests.support.headers import SCRIPT
from tests.support.redis_process import RedisProcess
from tests.support.site import ISSUER, Visitor, make_site, make_site_of_two
from tests.support.tenants import TENANTS, make_tenants_provider


def admin_views(app: Flask, parjar: ParJar) -> None:
    """A page of an administrator, which takes what the browser sends."""
    app.testing = True  # what the view raises reaches the test
    token_views(app, parjar)

    def where() -> dict[str, Any]:
        return {name: request.args.get(name) for name in ("provider", "issuer")}

    @app.get("/sessions/<subject>")
    def sessions(subject: str) -> Any:
        return jsonify(parjar.sessions(subject, **where()))

    @app.post("/sessions/<subject>/end")
    def end_all(subject: str) -> Any:
        return jsonify(parjar.end_sessions(subject, **where()))

    @app.post("/sessions/<subject>/end/<name>")
    def end_one(subject: str, name: str) -> Any:
        wanted = [each for each in parjar.sessions(subject, **where()) if each.id == name]
        return jsonify([parjar.end_sessions(each) for each in wanted])


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, redis_process: RedisProcess) -> str:
    return str(store_address(request.param, redis_process))


@pytest.fixture
def app(provider: DevProvider, store: str) -> Flask:
    return token_site(provider, store, prepare=admin_views)


def logged_in_visitor(app: Flask, provider: DevProvider, person: str = "ada") -> Visitor:
    visitor = Visitor(app, provider)
    assert visitor.log_in(person=person).status_code == 302
    return visitor


def is_logged_in(visitor: Visitor) -> bool:
    return bool(visitor.get("/me").status_code == 200)


def revoked(provider: DevProvider) -> int:
    return sum(call.endpoint == "revocation" for call in provider.calls)


def test_the_sessions_of_one_subject_are_listed(app: Flask, provider: DevProvider) -> None:
    ada, again, _ = (logged_in_visitor(app, provider, each) for each in ("ada", "ada", "grace"))
    listed = ada.get("/sessions/ada").json
    assert [(each["provider"], each["issuer"], each["subject"]) for each in listed] == [
        ("default", ISSUER, "ada")
    ] * 2
    assert [each["is_current"] for each in listed].count(True) == 1
    of_again = again.get("/sessions/ada").json
    assert [each["is_current"] for each in listed] != [each["is_current"] for each in of_again]
    assert [each["id"] for each in listed] == [each["id"] for each in of_again]
    assert listed == sorted(listed, key=lambda each: each["logged_in_at"])
    assert ada.get("/sessions/of-another-name").json == []


def test_a_list_of_sessions_has_no_secret(app: Flask, provider: DevProvider) -> None:
    ada = logged_in_visitor(app, provider)
    (listed,) = ada.get("/sessions/ada").json
    with ada.client.session_transaction() as session:
        handle = session["_parjar_user"][7]
    assert len(handle) == 22 and handle not in str(listed)
    assert set(listed) == {"id", "provider", "issuer", "subject", "logged_in_at", "is_current"}


def test_all_sessions_of_a_subject_end_at_once(app: Flask, provider: DevProvider) -> None:
    ada, again, grace = (logged_in_visitor(app, provider, each) for each in ("ada", "ada", "grace"))
    copy = copy_of(again)
    provider.calls.clear()
    assert grace.post("/sessions/ada/end").json == 2
    assert [is_logged_in(each) for each in (ada, again, copy, grace)] == [False] * 3 + [True]
    assert revoked(provider) == 4  # two refresh tokens and two access tokens
    assert grace.get("/sessions/ada").json == []
    assert grace.post("/sessions/ada/end").json == 0


def test_one_session_ends_and_the_others_go_on(app: Flask, provider: DevProvider) -> None:
    ada, again = logged_in_visitor(app, provider), logged_in_visitor(app, provider)
    (current,) = (each for each in again.get("/sessions/ada").json if each["is_current"])
    provider.calls.clear()
    assert ada.post(f"/sessions/ada/end/{current['id']}").json == [1]
    assert [is_logged_in(each) for each in (ada, again)] == [True, False]
    assert revoked(provider) == 2
    assert ada.post(f"/sessions/ada/end/{current['id']}").json == []
    assert ada.get("/token").status_code == 200


def test_another_process_knows_of_it_after_five_seconds(
    provider: DevProvider, redis_process: RedisProcess
) -> None:
    address = store_address("redis", redis_process)
    key = provider.config()["PARJAR_SIGNING_KEY"]
    here, there = (
        token_site(provider, address, prepare=admin_views, PARJAR_SIGNING_KEY=key) for _ in range(2)
    )
    clock = set_clock(there)
    ada, grace = logged_in_visitor(there, provider), logged_in_visitor(here, provider, "grace")
    assert grace.post("/sessions/ada/end").json == 1
    clock.now += 5
    assert not is_logged_in(ada)


def test_a_session_that_has_ended_is_ended_once(provider: DevProvider) -> None:
    """A page may keep what it was given, and the person may have logged out meanwhile."""
    parjars: list[ParJar] = []
    app = token_site(provider, "memory", prepare=lambda app, parjar: parjars.append(parjar))
    ada, (parjar,) = logged_in_visitor(app, provider), parjars
    with app.app_context():  # as in a command of the app
        (listed,) = parjar.sessions("ada")
        assert isinstance(listed, SessionInfo) and not listed.is_current
        assert parjar.end_sessions(listed) == 1
        assert parjar.end_sessions(listed) == 0
    assert not is_logged_in(ada)


def test_each_session_that_ends_is_signalled(app: Flask, provider: DevProvider) -> None:
    heard: list[dict[str, Any]] = []

    def note(sender: Flask, **said: Any) -> None:
        heard.append(said)

    visitor = logged_in_visitor(app, provider)
    logged_in_visitor(app, provider)
    with logged_out.connected_to(note, app):
        visitor.post("/sessions/ada/end")
    assert [each["identity"].subject for each in heard] == ["ada", "ada"]
    assert all(each["identity"].claims["sid"] for each in heard)


# Where an account is.


def test_with_several_providers_the_account_is_at_one(redis_process: RedisProcess) -> None:
    app, work, home = make_site_of_two(
        PARJAR_STORE=store_address("redis", redis_process), prepare=admin_views
    )
    visitors = []
    for name, each in (("work", work), ("home", home)):
        visitors.append(visitor := Visitor(app, each))
        visitor.log_in(f"/login/{name}")
    with pytest.raises(TypeError, match="provider="):
        visitors[0].get("/sessions/ada")
    with pytest.raises(TypeError, match="provider="):
        visitors[0].post("/sessions/ada/end")
    assert [is_logged_in(each) for each in visitors] == [True, True]
    (listed,) = visitors[0].get("/sessions/ada?provider=home").json
    assert listed["issuer"] == home.issuer
    assert visitors[0].get(f"/sessions/ada?issuer={home.issuer}").json == [listed]
    assert visitors[0].post("/sessions/ada/end?provider=home").json == 1
    assert [is_logged_in(each) for each in visitors] == [True, False]


@pytest.mark.parametrize(
    "where", ["provider=elsewhere", "issuer=https://other.example", "issuer=", "provider="]
)
def test_an_account_at_an_unknown_provider(app: Flask, provider: DevProvider, where: str) -> None:
    answer = Visitor(app, provider).get(f"/sessions/ada?{where}", headers=SCRIPT)
    assert (answer.status_code, answer.json["error"]) == (404, "provider_unknown")


def test_with_tenants_the_account_is_at_one_issuer(redis_process: RedisProcess) -> None:
    provider = make_tenants_provider()
    app = token_site(
        provider,
        store_address("redis", redis_process),
        PARJAR_TENANTS=TENANTS,
        prepare=admin_views,
    )
    visitor = logged_in_visitor(app, provider)
    issuer = visitor.get("/me").json["iss"]
    with pytest.raises(TypeError, match="issuer="):
        visitor.get("/sessions/ada")
    (listed,) = visitor.get(f"/sessions/ada?issuer={issuer}").json
    assert (listed["issuer"], listed["is_current"]) == (issuer, True)
    assert visitor.post(f"/sessions/ada/end?issuer={issuer}").json == 1
    assert not is_logged_in(visitor)


# What cannot be done.


@pytest.mark.parametrize("kept", [None, "cookie"])
@pytest.mark.parametrize("url", ["/sessions/ada", "/sessions/ada/end"])
def test_without_a_store_that_is_shared(provider: DevProvider, kept: str | None, url: str) -> None:
    app = make_site(provider, PARJAR_STORE=kept, prepare=admin_views)
    visitor = Visitor(app, provider)
    ask: Callable[[str], Any] = visitor.post if url.endswith("end") else visitor.get
    with pytest.raises(RuntimeError, match=r"PARJAR_STORE is .*redis://"):
        ask(url)


def test_with_a_memory_that_other_processes_do_not_see(provider: DevProvider) -> None:
    app = token_site(provider, "memory", prepare=admin_views)
    answer = app.test_client().get(
        "/sessions/ada", headers=SCRIPT, environ_overrides={"wsgi.multiprocess": True}
    )
    assert (answer.status_code, answer.json["error"]) == (500, "store_unshared")


def test_while_the_store_is_away(provider: DevProvider) -> None:
    app = make_site(provider, PARJAR_STORE="redis://127.0.0.1:1/0", prepare=admin_views)
    client = app.test_client()
    for answer in (
        client.get("/sessions/ada", headers=SCRIPT),
        client.post("/sessions/ada/end", headers=SCRIPT),
    ):
        assert (answer.status_code, answer.json["error"]) == (503, "store_unreachable")


def test_arguments_that_name_no_account(provider: DevProvider) -> None:
    parjars: list[ParJar] = []
    app = make_site(
        provider, PARJAR_STORE="memory", prepare=lambda app, parjar: parjars.append(parjar)
    )
    with app.app_context():
        for wrong in (None, 7, ["ada"]):
            with pytest.raises(TypeError, match="subject"):
                parjars[0].sessions(wrong)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="subject"):
                parjars[0].end_sessions(wrong)  # type: ignore[arg-type]
        session = SessionInfo(
            id="x", provider="default", issuer=ISSUER, subject="ada", logged_in_at=0
        )
        assert parjars[0].end_sessions(session) == 0
        with pytest.raises(TypeError, match="leave out"):
            parjars[0].end_sessions(session, provider="default")
