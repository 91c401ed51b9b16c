"""Who is logged in: for how long, in which cookie, and on which session back end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest
import redis
from flask import Flask
from flask_session import Session

from flask_parjar import ParJar
from flask_parjar.testing import DevProvider, Person
from tests.redis_process import RedisProcess
from tests.site import SCOPES, Visitor, make_site


def test_a_session_ends_after_its_lifetime(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, PARJAR_SESSION_LIFETIME=60), provider)
    visitor.log_in()
    for age, status in ((58, 200), (62, 302)):
        with visitor.client.session_transaction() as stored:
            record = stored["_parjar_user"]
            stored["_parjar_user"] = [*record[:5], int(time.time()) - age]
        assert visitor.get("/me").status_code == status


def test_another_configuration_knows_nobody(provider: DevProvider) -> None:
    """A session made at one issuer is nobody's where the name means another one."""
    visitor = Visitor(make_site(provider), provider)
    visitor.log_in()
    with visitor.client.session_transaction() as stored:
        stored["_parjar_user"][1] = "https://other.example"
        stored.modified = True
    assert visitor.get("/me").status_code == 302
    with visitor.client.session_transaction() as stored:
        stored["_parjar_user"][:2] = ["gone", "https://op.example"]
        stored.modified = True
    assert visitor.get("/me").status_code == 302


def test_claims_that_do_not_fit_are_left_out_and_told(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.people["big"] = Person(
        username="big", claims={"name": "Big", "org": "x" * 3000, "email": "big@people.example"}
    )
    visitor = Visitor(make_site(provider), provider)
    with caplog.at_level(logging.WARNING, "flask_parjar"):
        response = visitor.log_in(person="big")
    assert len(response.headers["Set-Cookie"]) < 2000
    me = visitor.get("/me").json
    assert (me["sub"], me["name"], "org" in me["claims"]) == ("big", "Big", False)
    assert "the claim 'org'" in caplog.text


@pytest.mark.parametrize("given, used", [(None, "Lax"), ("Strict", "Strict"), ("None", "None")])
def test_the_session_cookie_s_same_site(
    provider: DevProvider, given: str | None, used: str
) -> None:
    app = make_site(provider, SESSION_COOKIE_SAMESITE=given)
    response = app.test_client().get("/login")
    assert f"SameSite={used}" in response.headers["Set-Cookie"]
    assert "HttpOnly" in response.headers["Set-Cookie"]


def test_one_app_one_parjar(provider: DevProvider) -> None:
    app = make_site(provider)
    with pytest.raises(RuntimeError, match="has a ParJar already"):
        ParJar(app)


def test_an_app_that_was_not_initialised() -> None:
    from flask_parjar import current_user

    app = Flask(__name__)
    app.secret_key = "s"
    with app.test_request_context(), pytest.raises(RuntimeError, match="init_app"):
        _ = current_user.subject


def test_the_identity_is_of_this_request_alone(provider: DevProvider) -> None:
    """Two requests inside one app context, as test suites make them, never share an identity."""
    app = make_site(provider)
    ada, nobody = Visitor(app, provider), Visitor(app, provider)
    ada.log_in()
    with app.app_context():
        assert ada.get("/me").status_code == 200
        assert nobody.get("/me").status_code == 302
        assert ada.get("/me").status_code == 200


def test_flask_session_on_redis(provider: DevProvider, redis_process: RedisProcess) -> None:
    store = redis.Redis.from_url(redis_process.url)

    def prepare(app: Flask, parjar: ParJar) -> None:
        app.config.update(SESSION_TYPE="redis", SESSION_REDIS=store)
        Session(app)

    provider.people["big"] = Person(username="big", claims={"name": "Big", "org": "x" * 3000})
    app = make_site(provider, prepare=prepare, PARJAR_SCOPES=SCOPES)
    visitor = Visitor(app, provider)
    away = visitor.leave("/login?next=/me")
    before = cookie(visitor)
    assert visitor.get(visitor.come_back(away, "big")).location == "/me"
    assert cookie(visitor) != before  # session fixation: a new session has a new name
    assert store.keys(f"*{before}*") == []
    me = visitor.get("/me").json
    assert (me["sub"], len(me["claims"]["org"])) == ("big", 3000)
    tabs = [visitor.leave(f"/login?next=/tab{n}") for n in range(3)]
    for n in (2, 0, 1):
        assert visitor.get(visitor.come_back(tabs[n], "big")).location == f"/tab{n}"
    used = visitor.come_back(visitor.leave("/login?next=/x"))
    visitor.get(used)
    provider.calls.clear()
    assert visitor.get(used).location == "/x"
    assert provider.calls == []
    visitor.post("/logout", headers={"Sec-Fetch-Site": "same-origin"})
    assert visitor.get("/me").status_code == 302
    store.close()


def cookie(visitor: Visitor) -> str:
    found = visitor.client.get_cookie("session")
    assert found is not None
    return str(found.value)


def test_several_apps_in_one_process(free_port: Callable[[], int]) -> None:
    providers = [DevProvider(f"https://op{n}.example") for n in range(2)]
    parjar = ParJar()
    apps = []
    for n, provider in enumerate(providers):
        app = Flask(f"app{n}")
        app.config.update(SECRET_KEY=f"s{n}", **provider.config(client_id=f"client{n}"))
        parjar.init_app(app)
        provider.connect(app)
        apps.append(app)
    for n, app in enumerate(apps):
        visitor = Visitor(app, providers[n])
        assert visitor.log_in().status_code == 302
        with visitor.client.session_transaction() as stored:
            assert stored["_parjar_user"][1] == f"https://op{n}.example"
