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
from tests.after_login import age, all_of, store_address, token_site, token_views
from tests.redis_process import RedisProcess
from tests.site import SCOPES, Visitor, make_site


def test_a_session_ends_after_its_lifetime(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, PARJAR_SESSION_LIFETIME=60), provider)
    visitor.log_in()
    for passed, status in ((58, 200), (62, 302)):
        with visitor.client.session_transaction() as stored:
            record = stored["_parjar_user"]
            stored["_parjar_user"] = [*record[:5], int(time.time()) - passed]
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


# Nobody at the keyboard.

IDLE = 100


@pytest.fixture
def idle_visitor(provider: DevProvider) -> Visitor:
    """Somebody at a site that ends a session which nobody uses."""
    visitor = Visitor(make_site(provider, PARJAR_IDLE_TIMEOUT=IDLE), provider)
    visitor.log_in()
    return visitor


def seen(visitor: Visitor, value: object) -> None:
    with visitor.client.session_transaction() as stored:
        stored["_parjar_seen"] = value


def test_an_unused_session_ends(idle_visitor: Visitor) -> None:
    now = int(time.time())
    seen(idle_visitor, now - IDLE + 2)
    assert idle_visitor.get("/me").status_code == 200
    seen(idle_visitor, now - IDLE - 2)
    assert idle_visitor.get("/me").location == "/login?next=/me"
    seen(idle_visitor, now)  # what has ended stays so
    assert idle_visitor.get("/me").status_code == 302


@pytest.mark.parametrize("value", [None, "now", True, [], {}])
def test_a_session_of_which_nobody_knows_when_it_was_used(
    idle_visitor: Visitor, value: object
) -> None:
    seen(idle_visitor, value)
    assert idle_visitor.get("/me").status_code == 302


def test_a_session_from_before_there_was_a_time_out(provider: DevProvider) -> None:
    before = Visitor(make_site(provider), provider)
    before.log_in()
    with before.client.session_transaction() as stored:
        assert "_parjar_seen" not in stored
        content = dict(stored)
    after = Visitor(make_site(provider, PARJAR_IDLE_TIMEOUT=IDLE), provider)
    with after.client.session_transaction() as stored:
        stored.update(content)
    assert after.get("/me").status_code == 302


def test_use_is_written_down_now_and_then(idle_visitor: Visitor) -> None:
    """To a tenth of the time-out: each time costs a cookie."""
    now = int(time.time())
    seen(idle_visitor, now - 5)
    assert "Set-Cookie" not in idle_visitor.get("/me").headers
    seen(idle_visitor, now - 12)
    assert "Set-Cookie" in idle_visitor.get("/me").headers
    with idle_visitor.client.session_transaction() as stored:
        assert stored["_parjar_seen"] >= now
    assert "Set-Cookie" not in idle_visitor.get("/me").headers


def test_use_does_not_outlive_the_lifetime(provider: DevProvider) -> None:
    app = make_site(provider, PARJAR_IDLE_TIMEOUT=IDLE, PARJAR_SESSION_LIFETIME=600)
    visitor = Visitor(app, provider)
    visitor.log_in()
    with visitor.client.session_transaction() as stored:
        stored["_parjar_user"][5] -= 602
        stored.modified = True
    assert visitor.get("/me").status_code == 302


def test_an_idle_end_keeps_the_logins_of_other_tabs(
    idle_visitor: Visitor, provider: DevProvider
) -> None:
    back = idle_visitor.come_back(idle_visitor.leave("/login?next=/me"))
    seen(idle_visitor, 1)
    assert idle_visitor.get("/me").status_code == 302
    assert idle_visitor.get(back).location == "/me"
    assert idle_visitor.get("/me").status_code == 200


def test_pages_for_everybody_leave_no_trace_of_nobody(idle_visitor: Visitor) -> None:
    nobody = Visitor(idle_visitor.app, idle_visitor.provider)
    for path in ("/", "/me"):
        assert "Set-Cookie" not in nobody.get(path).headers


@pytest.mark.parametrize("name", ["session", "sealed", "memory", "redis"])
def test_a_session_s_lifetime_with_every_store(
    provider: DevProvider, redis_process: RedisProcess, name: str
) -> None:
    address = store_address(name, redis_process)
    visitor = Visitor(token_site(provider, address, PARJAR_SESSION_LIFETIME=60), provider)
    visitor.log_in()
    for older, status in ((57, 200), (5, 302)):
        with visitor.client.session_transaction() as stored:
            stored["_parjar_user"][5] -= older
            stored.modified = True
        assert visitor.get("/me").status_code == status
    with redis_process.client() as client:
        assert all(0 < client.ttl(key) <= 60 for key in all_of(client))  # type: ignore[operator]


def test_flask_session_with_tokens_and_notices(
    provider: DevProvider, redis_process: RedisProcess
) -> None:
    """Sessions on the server, tokens in a store: the same Redis may hold both."""
    connection = redis.Redis.from_url(redis_process.url)

    def prepare(app: Flask, parjar: ParJar) -> None:
        app.config.update(SESSION_TYPE="redis", SESSION_REDIS=connection)
        Session(app)
        token_views(app, parjar)

    address = store_address("redis", redis_process)
    visitor = Visitor(token_site(provider, address, prepare=prepare), provider)
    visitor.log_in()
    first = visitor.get("/token").text
    age(visitor, left=-1)
    assert visitor.get("/token").text != first
    form = {"logout_token": provider.logout_token(sub="ada")}
    assert Visitor(visitor.app, provider).post("/backchannel-logout", data=form).status_code == 200
    assert visitor.get("/me").status_code == 302
    connection.close()
