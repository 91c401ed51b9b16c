"""Who is logged in: for how long, in which cookie, and on which session back end."""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import redis
from flask import Flask, Request, Response, jsonify, request, session
from flask.sessions import SecureCookieSessionInterface, SessionInterface, SessionMixin
from flask_session import Session
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import TestResponse

from flask_parjar import (
    Identity,
    LoginOptions,
    ParJar,
    claims_required,
    current_user,
    logged_in,
    login_required,
    login_started,
)
from flask_parjar.flows.session_registry import TRUSTED_FOR
from flask_parjar.testing import Browser, DevProvider, Person
from flask_parjar.web.signing import dumps_signed, loads_signed
from tests.support.after_login import (
    age,
    all_of,
    copy_of,
    move_cookies,
    set_clock,
    store_address,
    token_site,
    token_views,
)
from tests.support.clock import WallClock
from tests.support.headers import FROM_HERE, SCRIPT
from tests.support.redis_process import RedisProcess
from tests.support.site import ISSUER, SCOPES, Visitor, make_site, path_and_query


def test_a_session_ends_after_its_lifetime(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, PARJAR_SESSION_LIFETIME=60), provider)
    visitor.log_in()
    for passed, status in ((58, 200), (62, 302)):
        with visitor.client.session_transaction() as stored:
            record = stored["_parjar_user"]
            stored["_parjar_user"] = [*record[:5], int(time.time()) - passed, *record[6:]]
        assert visitor.get("/me").status_code == status


def let_pass(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """Turn this machine's clock on."""
    later = time.time() + seconds
    monkeypatch.setattr(time, "time", lambda: later)


def cart_views(app: Flask, parjar: ParJar) -> None:
    """What a shop keeps in the session: a page that writes, and two that only read."""

    @app.get("/add")
    @login_required
    def add() -> str:
        session["cart"] = ["book"]
        return "added"

    @app.get("/cart")
    def cart() -> object:
        return jsonify(session.get("cart"))


@pytest.mark.parametrize("store", [None, "cookie", "memory"])
def test_the_content_of_a_session_ends_with_its_lifetime(
    provider: DevProvider, monkeypatch: pytest.MonkeyPatch, store: str | None
) -> None:
    """The next person at this browser does not find it."""
    app = token_site(provider, store, prepare=cart_views, PARJAR_SESSION_LIFETIME=60)
    visitor = Visitor(app, provider)
    visitor.log_in()
    visitor.get("/add")
    assert visitor.get("/cart").json == ["book"]
    let_pass(monkeypatch, 62)
    assert visitor.get("/me").status_code == 302
    assert visitor.get("/cart").json is None


def test_a_session_of_another_configuration_does_not_count(provider: DevProvider) -> None:
    """A session made at one issuer is no one's where the name means another one."""
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


def test_a_login_at_one_client_is_none_at_another(provider: DevProvider) -> None:
    """Two apps on one host share a SECRET_KEY, a cookie and an issuer, and not their clients."""
    shop = make_site(provider, connect=False, PARJAR_CLIENT_ID="shop")
    office = make_site(provider, connect=False, PARJAR_CLIENT_ID="office")
    provider.connect(shop, base_urls=["http://localhost"])
    provider.connect(office, base_urls=["http://localhost/office"])
    below = {"/office": office.wsgi_app}
    shop.wsgi_app = DispatcherMiddleware(shop.wsgi_app, below)  # type: ignore[method-assign]
    visitor = Visitor(shop, provider)
    visitor.log_in()
    assert visitor.get("/me").status_code == 200
    assert visitor.get("/office/me").location == "/office/login?next=/office/me"
    assert visitor.log_in("/office/login?next=/office/me").location == "/office/me"
    assert visitor.get("/office/me").json["sub"] == "ada"


def test_a_login_that_redis_does_not_take_leaves_the_session_of_before(
    provider: DevProvider, tmp_path: Path
) -> None:
    with RedisProcess(tmp_path) as own:
        visitor = Visitor(make_site(provider, PARJAR_STORE=own.url), provider)
        visitor.log_in(person="grace")
        back = visitor.come_back(visitor.leave(), "ada")
        with own.client() as client:
            client.acl_setuser("default", keys=["*:claimed:*"], reset_keys=True)
            assert visitor.get(back).status_code == 503
            client.acl_setuser("default", keys=["*"])
        assert '"sub":"grace"' in visitor.get("/me").text


def test_a_session_of_another_client_id_does_not_count(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider), provider)
    visitor.log_in()
    moved = copy_of(visitor, make_site(provider, PARJAR_CLIENT_ID="another"))
    assert moved.get("/me").status_code == 302
    moved.log_in()
    assert moved.get("/me").json["sub"] == "ada"


# What a request does to the claims stays in that request.


@pytest.fixture
def mia(provider: DevProvider) -> Person:
    """Somebody with claims that hold lists and objects."""
    claims = {"name": "Mia", "groups": ["staff"], "rights": {"shop": ["read"]}}
    provider.people["mia"] = Person(username="mia", claims=claims)
    return provider.people["mia"]


def admin_page(app: Flask, parjar: ParJar) -> None:
    @app.get("/admin")
    @claims_required(groups="admins")
    def admin() -> str:
        return "admin"

    @app.get("/change")
    @login_required
    def change() -> str:
        claims: Any = current_user.claims
        claims["groups"].append("admins")
        claims["rights"]["shop"].append("write")
        claims["rights"]["office"] = ["read"]
        session["touched"] = True  # so that Flask writes the session
        return "changed"


def test_a_nested_claim_that_a_view_changes_is_itself_again_in_the_next_request(
    provider: DevProvider, mia: Person
) -> None:
    visitor = Visitor(make_site(provider, prepare=admin_page), provider)
    visitor.log_in(person="mia")
    assert visitor.get("/admin").status_code == 403
    visitor.get("/change")
    claims = visitor.get("/me").json["claims"]
    assert (claims["groups"], claims["rights"]) == (["staff"], {"shop": ["read"]})
    assert visitor.get("/admin").status_code == 403


def test_a_nested_claim_that_a_receiver_changes_at_login_is_not_kept(
    provider: DevProvider, mia: Person
) -> None:
    def hear(sender: Flask, identity: Identity, **more: Any) -> None:
        groups: Any = identity.claims["groups"]
        groups.append("admins")

    visitor = Visitor(make_site(provider, prepare=admin_page), provider)
    with logged_in.connected_to(hear):
        visitor.log_in(person="mia")
    assert visitor.get("/me").json["claims"]["groups"] == ["staff"]
    assert visitor.get("/admin").status_code == 403


def test_a_nested_claim_that_a_user_loader_changes_at_login_is_not_kept(
    provider: DevProvider, mia: Person
) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        admin_page(app, parjar)

        @parjar.user_loader
        def load(identity: Identity) -> str:
            groups: Any = identity.claims["groups"]
            if is_login.is_set():
                groups.append("admins")
            return "user"

    is_login = threading.Event()
    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    is_login.set()
    visitor.log_in(person="mia")
    is_login.clear()
    assert visitor.get("/admin").status_code == 403


def test_claims_that_do_not_fit_are_left_out_and_logged(
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
    with pytest.raises(RuntimeError):
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
    ada, anonymous = Visitor(app, provider), Visitor(app, provider)
    ada.log_in()
    with app.app_context():
        assert ada.get("/me").status_code == 200
        assert anonymous.get("/me").status_code == 302
        assert ada.get("/me").status_code == 200


def test_an_environ_handed_to_another_app_carries_no_identity(provider: DevProvider) -> None:
    """Apps that share a WSGI environ do not share who is logged in."""
    other = make_site(DevProvider("https://other.example"), SESSION_COOKIE_NAME="other")

    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/elsewhere")
        @login_required
        def elsewhere() -> Response:
            environ = {**request.environ, "PATH_INFO": "/me"}
            return Response.from_app(other.wsgi_app, environ)  # type: ignore[return-value]

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    assert visitor.get("/elsewhere").status_code == 302


def test_the_end_of_a_session_is_seen_in_the_same_request(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/clear")
        def clear() -> str:
            before = bool(current_user)
            session.clear()
            return f"{before} {bool(current_user)}"

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    assert visitor.get("/clear").text == "True False"


def test_claims_that_a_view_changes_are_not_kept(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/change")
        def change() -> str:
            current_user.claims["org"] = "acme"  # type: ignore[index]
            session["touched"] = True
            return "changed"

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    visitor.get("/change")
    assert visitor.get("/acme").status_code == 403


def test_a_user_loader_may_read_the_current_user(provider: DevProvider) -> None:
    calls = []

    def prepare(app: Flask, parjar: ParJar) -> None:
        @parjar.user_loader
        def load(identity: Identity) -> str:
            calls.append(current_user.subject)
            return identity.subject

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    calls.clear()
    assert visitor.get("/me").status_code == 200
    assert calls == ["ada"]


def test_a_user_loader_that_fails_lets_no_one_in(provider: DevProvider) -> None:
    broken = threading.Event()

    def prepare(app: Flask, parjar: ParJar) -> None:
        @parjar.user_loader
        def load(identity: Identity) -> str:
            if broken.is_set():
                raise LookupError("no database")
            return "user"

        @app.get("/twice")
        def twice() -> str:
            for _ in range(2):
                with pytest.raises(LookupError):
                    _ = current_user.subject
            return "failed twice"

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.log_in()
    broken.set()
    assert visitor.get("/me").status_code == 500
    assert visitor.get("/twice").text == "failed twice"


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
    assert visitor.get(used).location == "/"
    assert provider.calls == []
    visitor.post("/logout", headers={"Sec-Fetch-Site": "same-origin"})
    assert visitor.get("/me").status_code == 302
    store.close()


def cookie(visitor: Visitor) -> str:
    found = visitor.client.get_cookie("session")
    assert found is not None
    return str(found.value)


class ServerSession(dict, SessionMixin):  # type: ignore[misc,type-arg]
    """A session that lies on the server, under an identifier."""

    sid = ""


class ServerSessions(SessionInterface):
    """Sessions on the server, as a few lines of an app's own make them."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    def open_session(self, app: Flask, request: Request) -> ServerSession:
        sid = request.cookies.get("session", "")
        found = ServerSession(self.kept.get(sid, {}))
        found.sid = sid if sid in self.kept else secrets.token_hex(16)
        return found

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        self.kept[session.sid] = dict(session)
        response.set_cookie("session", session.sid)


class RenewedSessions(ServerSessions):
    """The same with what Flask-Session has since 0.6."""

    def regenerate(self, session: Any) -> None:
        self.kept.pop(session.sid, None)
        session.sid = secrets.token_hex(16)


def sessions_in_redis(process: RedisProcess) -> Callable[[Flask], None]:
    def prepare(app: Flask) -> None:
        app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.Redis.from_url(process.url))
        Session(app)

    return prepare


def warnings_about_regenerate(caplog: pytest.LogCaptureFixture) -> list[str]:
    texts = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    return [text for text in texts if "regenerate" in text]


def test_a_server_side_session_that_gets_no_new_identifier_is_warned_of_at_start(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    app = Flask(__name__)
    app.session_interface = ServerSessions()
    app.config.update(SECRET_KEY="of the tests", **provider.config())
    ParJar(app)
    assert len(warnings_about_regenerate(caplog)) == 1


def test_a_server_side_session_that_is_set_later_is_warned_of_at_the_first_login(
    provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """The app gets its own sessions after `init_app`, which cannot know of them."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        app.session_interface = ServerSessions()

    Visitor(make_site(provider, prepare=prepare), provider).log_in()
    assert warnings_about_regenerate(caplog)


@pytest.mark.parametrize("where", ["cookie", "home-made", "Flask-Session"])
def test_a_session_that_is_renewed_at_login_is_not_warned_of(
    provider: DevProvider,
    redis_process: RedisProcess,
    caplog: pytest.LogCaptureFixture,
    where: str,
) -> None:
    app = Flask(__name__)
    if where == "cookie":
        app.session_interface = type("Signed", (SecureCookieSessionInterface,), {})()
    elif where == "home-made":
        app.session_interface = RenewedSessions()
    else:
        sessions_in_redis(redis_process)(app)
    app.config.update(SECRET_KEY="of the tests", **provider.config())
    ParJar(app)
    provider.connect(app)
    Visitor(app, provider).log_in()
    assert warnings_about_regenerate(caplog) == []


@pytest.mark.parametrize("where", ["home-made", "Flask-Session"])
def test_a_session_identifier_from_before_the_login_opens_nothing(
    provider: DevProvider, redis_process: RedisProcess, where: str
) -> None:
    """An attacker planted their own identifier in the victim's browser."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        if where == "home-made":
            app.session_interface = RenewedSessions()
        else:
            sessions_in_redis(redis_process)(app)

        @app.get("/touch")
        def touch() -> str:
            session["touched"] = True
            return "touched"

    app = make_site(provider, prepare=prepare)
    attacker, victim = Visitor(app, provider), Visitor(app, provider)
    attacker.get("/touch")
    victim.client.set_cookie("session", cookie(attacker))
    victim.log_in()
    assert victim.get("/me").json["sub"] == "ada"
    assert cookie(victim) != cookie(attacker)
    assert attacker.get("/me").status_code == 302


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


# No one at the keyboard.

IDLE = 100


@pytest.fixture
def idle_visitor() -> Visitor:
    """Somebody at a site that ends a session which no one uses; a test may turn all clocks."""
    provider = DevProvider(ISSUER, now=lambda: time.time())
    visitor = Visitor(make_site(provider, PARJAR_IDLE_TIMEOUT=IDLE), provider)
    visitor.log_in()
    return visitor


SEEN = "session_parjar_seen"  # the cookie with the time of the last use


def last_use(visitor: Visitor) -> str:
    found = visitor.client.get_cookie(SEEN)
    assert found is not None
    return str(found.value)


def test_an_unused_session_ends(idle_visitor: Visitor, wall_clock: WallClock) -> None:
    kept = copy_of(idle_visitor)
    wall_clock.turn(IDLE - 2)
    assert idle_visitor.get("/me").status_code == 200
    wall_clock.turn(IDLE - 2)
    assert idle_visitor.get("/me").status_code == 200
    assert kept.get("/me").status_code == 302  # (it has an older time)
    used = last_use(idle_visitor)
    wall_clock.turn(IDLE + 2)
    assert idle_visitor.get("/me").location == "/login?next=/me"
    assert idle_visitor.client.get_cookie(SEEN) is None
    idle_visitor.client.set_cookie(SEEN, used)  # what has ended stays so
    wall_clock.turn(-IDLE)
    assert idle_visitor.get("/me").status_code == 302


def use_later(visitor: Visitor, wall_clock: WallClock) -> None:
    """Use a new session late enough for the cookie: before, the login is its last use."""
    wall_clock.turn(IDLE // 10 + 1)
    assert visitor.get("/me").status_code == 200


@pytest.mark.parametrize("case", ["missing", "", "x", "of another session"])
def test_without_the_time_of_a_later_use_that_of_the_login_counts(
    idle_visitor: Visitor, wall_clock: WallClock, case: str
) -> None:
    """So no one makes a session last by deleting the cookie."""
    use_later(idle_visitor, wall_clock)
    idle_visitor.client.delete_cookie(SEEN)
    if case == "of another session":  # somebody else's, at the same site
        grace = Visitor(idle_visitor.app, idle_visitor.provider)
        grace.log_in(person="grace")
        use_later(grace, wall_clock)
        idle_visitor.client.set_cookie(SEEN, last_use(grace))
    elif case != "missing":
        idle_visitor.client.set_cookie(SEEN, case)
    kept = copy_of(idle_visitor)
    assert idle_visitor.get("/me").status_code == 200
    wall_clock.turn(IDLE - 9)
    assert kept.get("/me").status_code == 302
    assert idle_visitor.get("/me").status_code == 200


def test_a_slow_answer_of_the_session_before_does_not_end_a_new_one(
    wall_clock: WallClock,
) -> None:
    """It comes after the answer of the login, and brings the older session's cookie once more."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/slow")
        @login_required
        def slow() -> str:
            visitor.log_in(person="grace")
            return "slow"

    provider = DevProvider(ISSUER, now=lambda: time.time())
    visitor = Visitor(make_site(provider, prepare=prepare, PARJAR_IDLE_TIMEOUT=IDLE), provider)
    visitor.log_in()
    use_later(visitor, wall_clock)
    of_ada = last_use(visitor)
    wall_clock.turn(IDLE // 2)
    assert visitor.get("/slow").text == "slow"
    with visitor.app.test_request_context():
        old, new = (
            loads_signed(each, purpose="last_use")[0] for each in (of_ada, last_use(visitor))
        )
    assert old == new
    assert visitor.get("/me").json["sub"] == "grace"


def test_a_signed_value_of_another_purpose_is_no_time_of_use(
    idle_visitor: Visitor, wall_clock: WallClock
) -> None:
    """The session that the cookie names is right, and the cookie is one of ours."""
    use_later(idle_visitor, wall_clock)
    wall_clock.turn(IDLE - 9)
    assert copy_of(idle_visitor).get("/me").status_code == 200
    with idle_visitor.app.test_request_context():
        named, _ = loads_signed(last_use(idle_visitor), purpose="last_use")
        idle_visitor.client.set_cookie(SEEN, dumps_signed(named, purpose="state"))
    assert idle_visitor.get("/me").status_code == 302


def test_a_session_from_before_there_was_a_time_out(
    provider: DevProvider, wall_clock: WallClock
) -> None:
    before = Visitor(make_site(provider), provider)
    before.log_in()
    after = copy_of(before, make_site(provider, PARJAR_IDLE_TIMEOUT=IDLE))
    use_later(after, wall_clock)
    assert before.client.get_cookie(SEEN) is None
    wall_clock.turn(IDLE - 9)
    assert after.get("/me").status_code == 200
    assert copy_of(before, after.app).get("/me").status_code == 302


def test_use_is_written_down_now_and_then(idle_visitor: Visitor, wall_clock: WallClock) -> None:
    """To a tenth of the time-out: each time costs a cookie, and not that of the session."""
    wall_clock.turn(IDLE // 10 - 5)
    assert "Set-Cookie" not in idle_visitor.get("/me").headers
    wall_clock.turn(7)
    (written,) = idle_visitor.get("/me").headers.getlist("Set-Cookie")
    assert written.startswith(f"{SEEN}=") and "HttpOnly" in written and "SameSite=Lax" in written
    assert "Set-Cookie" not in idle_visitor.get("/me").headers


def test_the_time_of_use_goes_with_the_logout(idle_visitor: Visitor, wall_clock: WallClock) -> None:
    use_later(idle_visitor, wall_clock)
    assert last_use(idle_visitor)
    idle_visitor.post("/logout", headers=FROM_HERE)
    assert idle_visitor.client.get_cookie(SEEN) is None


def test_a_slow_page_that_only_reads_undoes_nothing(
    provider: DevProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins before another page of the same browser writes, and is answered after that one."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        cart_views(app, parjar)

        @app.get("/slow")
        @login_required
        def slow() -> str:
            return visitor.get("/add").text

    visitor = Visitor(make_site(provider, prepare=prepare, PARJAR_IDLE_TIMEOUT=IDLE), provider)
    visitor.log_in()
    let_pass(monkeypatch, IDLE // 2)
    assert visitor.get("/slow").text == "added"
    assert visitor.get("/me").status_code == 200
    assert visitor.get("/cart").json == ["book"]


def test_use_does_not_outlive_the_lifetime(provider: DevProvider) -> None:
    app = make_site(provider, PARJAR_IDLE_TIMEOUT=IDLE, PARJAR_SESSION_LIFETIME=600)
    visitor = Visitor(app, provider)
    visitor.log_in()
    with visitor.client.session_transaction() as stored:
        stored["_parjar_user"][5] -= 602
        stored.modified = True
    assert visitor.get("/me").status_code == 302


def test_an_idle_end_keeps_the_logins_of_other_tabs(
    idle_visitor: Visitor, wall_clock: WallClock
) -> None:
    wall_clock.turn(IDLE - 10)
    away = idle_visitor.leave("/login?next=/me")
    wall_clock.turn(12)
    assert idle_visitor.get("/me").status_code == 302
    assert idle_visitor.get(idle_visitor.come_back(away)).location == "/me"
    assert idle_visitor.get("/me").status_code == 200


def test_public_pages_set_no_cookie_where_no_one_is_logged_in(idle_visitor: Visitor) -> None:
    anonymous = Visitor(idle_visitor.app, idle_visitor.provider)
    for path in ("/", "/me"):
        assert "Set-Cookie" not in anonymous.get(path).headers


class PassingBy:
    """Somebody at a browser that was left open: goes where it is sent, and types nothing.

    :param at_provider: what that browser has of the provider's session.
    """

    def __init__(self, visitor: Visitor, at_provider: Browser) -> None:
        self.visitor = visitor
        self.at_provider = at_provider
        self.url = ""

    def open(self, path: str) -> TestResponse:
        """The page at the end of all redirects; `url` is where it is."""
        self.url = urljoin("http://localhost/", path)
        for _ in range(12):
            if self.is_at_provider:
                page = self.at_provider.get(self.url)
            else:
                page = self.visitor.get(path_and_query(self.url))
            if page.status_code not in (302, 303):
                return page
            self.url = urljoin(self.url, page.location)
        raise AssertionError(f"still under way: {self.url}")

    @property
    def is_at_provider(self) -> bool:
        return self.url.startswith(f"{ISSUER}/")


@pytest.fixture
def open_browser(monkeypatch: pytest.MonkeyPatch) -> Callable[..., PassingBy]:
    """``open_browser(away, **config)``: Ada logged in, and left so many seconds ago."""

    def leave_open(away: int, **config: Any) -> PassingBy:
        provider = DevProvider(ISSUER, now=lambda: time.time())
        ada = Visitor(make_site(provider, **config), provider)
        at_provider = provider.browser()
        assert ada.get(path_and_query(at_provider.sign_in(ada.leave()))).status_code == 302
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + away)
        return PassingBy(ada, at_provider)

    return leave_open


@pytest.mark.parametrize("lifetime", [28800, 3600])
@pytest.mark.parametrize("first", ["the page", "the login", "a script"])
def test_after_an_idle_end_the_provider_asks_who_is_there(
    open_browser: Callable[..., PassingBy], lifetime: int, first: str
) -> None:
    """Whatever is asked for first, and whether or not the session's lifetime is over as well."""
    passer_by = open_browser(2 * 3600, PARJAR_IDLE_TIMEOUT=600, PARJAR_SESSION_LIFETIME=lifetime)
    if first == "a script":
        assert passer_by.visitor.get("/me", headers=SCRIPT).status_code == 401
    page = passer_by.open("/login?next=/me" if first == "the login" else "/me")
    assert passer_by.is_at_provider and page.status_code == 200
    assert passer_by.visitor.get("/me").status_code == 302

    back = passer_by.at_provider.sign_in(passer_by.url)
    assert passer_by.visitor.get(path_and_query(back)).location == "/me"
    me = passer_by.visitor.get("/me").json
    assert (me["sub"], time.time() - me["claims"]["auth_time"] < 60) == ("ada", True)
    passer_by.open("/login?next=/me")
    assert passer_by.url == "http://localhost/me"  # signed in just now, and not asked again


def test_a_logout_of_an_idle_session_does_not_lead_around_the_question(
    open_browser: Callable[..., PassingBy],
) -> None:
    """The provider has no logout, so its own session goes on."""
    passer_by = open_browser(2 * 3600, PARJAR_IDLE_TIMEOUT=600, PARJAR_PROVIDER_LOGOUT=False)
    passer_by.visitor.post("/logout", headers=FROM_HERE)
    for _ in range(2):
        page = passer_by.open("/login?next=/me")
        assert passer_by.is_at_provider and page.status_code == 200
        passer_by.visitor.post("/logout", headers=FROM_HERE)


@pytest.mark.parametrize("ended", [False, True])
def test_a_login_that_was_begun_before_the_idle_end_does_not_lead_around_the_question(
    wall_clock: WallClock, open_browser: Callable[..., PassingBy], ended: bool
) -> None:
    """The provider answers it from its own session, without a question."""
    passer_by = open_browser(0, PARJAR_IDLE_TIMEOUT=600, PARJAR_CLOCK_SKEW=30)
    wall_clock.turn(590)
    away = passer_by.visitor.leave("/login?next=/me")
    wall_clock.turn(12 + 30)
    if ended:  # else nothing is asked of the site in between
        assert passer_by.visitor.get("/me").status_code == 302
    assert passer_by.open(away).status_code == 200
    assert passer_by.url == "http://localhost/me"
    page = passer_by.open("/login?next=/me")
    assert passer_by.is_at_provider and page.status_code == 200

    answer = path_and_query(passer_by.at_provider.sign_in(passer_by.url))
    assert passer_by.visitor.get(answer).location == "/me"
    passer_by.open("/login?next=/me")
    assert passer_by.url == "http://localhost/me"


def test_a_login_that_was_begun_before_the_idle_end_and_is_recent_is_enough(
    wall_clock: WallClock, open_browser: Callable[..., PassingBy]
) -> None:
    """It was not asked with ``max_age``; but the ID token says that somebody has just signed in."""
    passer_by = open_browser(0, PARJAR_IDLE_TIMEOUT=600)
    wall_clock.turn(590)
    away = passer_by.visitor.leave("/login?next=/me")
    wall_clock.turn(12)
    assert passer_by.visitor.get("/me").status_code == 302
    passer_by.at_provider = passer_by.visitor.provider.browser()
    back = path_and_query(passer_by.at_provider.sign_in(away))
    assert passer_by.visitor.get(back).location == "/me"
    passer_by.open("/login?next=/me")
    assert passer_by.url == "http://localhost/me"


@pytest.mark.parametrize("chosen, sent", [(None, 600), (60, 60), (3600, 600)])
def test_after_an_idle_end_the_shorter_max_age_counts(
    open_browser: Callable[..., PassingBy], chosen: int | None, sent: int
) -> None:
    asked: list[Any] = []

    def hear(sender: Flask, **said: Any) -> None:
        asked.append(said["request_object"]["claims"]["max_age"])

    def prepare(app: Flask, parjar: ParJar) -> None:
        app.add_url_rule(
            "/start", "start", lambda: parjar.login(LoginOptions(max_age=chosen), next="/me")
        )

    passer_by = open_browser(2 * 3600, PARJAR_IDLE_TIMEOUT=600, prepare=prepare)
    with login_started.connected_to(hear):
        assert passer_by.visitor.get("/start").status_code == 302
    assert asked == [sent]


def test_without_an_idle_end_the_provider_s_session_is_enough(
    open_browser: Callable[..., PassingBy],
) -> None:
    """Somebody who comes back within the time-out, or to a site that has none, types nothing."""
    for away, config in ((60, {"PARJAR_IDLE_TIMEOUT": 600}), (7200, {})):
        somebody = open_browser(away, **config)
        somebody.open("/login?next=/me")
        assert somebody.url == "http://localhost/me"
        somebody.visitor.client.delete_cookie("session")
        assert somebody.open("/me").status_code == 200


@pytest.mark.parametrize("name", [None, "cookie", "memory", "redis"])
def test_a_session_s_lifetime_with_every_store(
    provider: DevProvider, redis_process: RedisProcess, name: str | None
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
        kept = [key for key in all_of(client) if re.search(":(session|tokens|subject):", key)]
        assert all(0 < client.ttl(key) <= 60 for key in kept)  # type: ignore[operator]


def test_flask_session_with_tokens_and_logout_tokens(
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


# What a session leaves behind.


def approving(app: Flask, parjar: ParJar) -> None:
    @app.get("/approve")
    def approve() -> str:
        session["approved"] = True
        return "approved"

    @app.get("/approved")
    def approved() -> str:
        return str(session.get("approved"))


@pytest.mark.parametrize(
    "ended, left",
    [
        pytest.param(None, "True", id="nothing"),
        pytest.param("by the provider", "None", id="a logout token"),
        pytest.param("idle", "None", id="the idle time-out"),
    ],
)
def test_a_new_login_keeps_the_content_of_a_session_only_while_that_is_open(
    wall_clock: WallClock, ended: str | None, left: str
) -> None:
    """The same person logs in again, and no page was asked for in between."""
    provider = DevProvider(ISSUER, now=lambda: time.time())
    app = make_site(provider, prepare=approving, PARJAR_STORE="memory", PARJAR_IDLE_TIMEOUT=IDLE)
    visitor = Visitor(app, provider)
    visitor.log_in()
    visitor.get("/approve")
    if ended == "by the provider":
        provider.end_session("ada")
    elif ended == "idle":
        wall_clock.turn(IDLE + 2)
    visitor.log_in()
    assert visitor.get("/approved").text == left


@pytest.mark.parametrize("logged_out", [True, False])
@pytest.mark.parametrize("after", [None, "cookie"])
@pytest.mark.parametrize("before", ["memory", "redis"])
def test_a_session_with_a_handle_is_ignored_without_a_store(
    provider: DevProvider,
    redis_process: RedisProcess,
    before: str,
    after: str | None,
    logged_out: bool,
) -> None:
    """The store was changed: what a logout ended must not live again for that."""
    key = provider.config()["PARJAR_SIGNING_KEY"]
    address = store_address(before, redis_process)
    visitor = Visitor(token_site(provider, address, PARJAR_SIGNING_KEY=key), provider)
    visitor.log_in()
    kept = copy_of(visitor, token_site(provider, after, PARJAR_SIGNING_KEY=key))
    if logged_out:
        visitor.post("/logout", headers=FROM_HERE)
    assert kept.get("/me").status_code == 302
    kept.log_in()
    assert kept.get("/me").status_code == 200


# How many sessions one person has.

#: What is remembered of a login, for as long as its answer could come again.
CLAIM = "claimed:"
MOST_SESSIONS = 100  # however many a site keeps of one person, they are no more


def test_the_newest_sessions_of_one_person_stay_and_the_oldest_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began = time.time()
    clock = [began]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    provider = DevProvider(ISSUER, now=lambda: time.time())
    app = token_site(provider, "memory")
    trust, browser = set_clock(app), provider.browser()
    grace = Visitor(app, provider)
    grace.log_in(person="grace")

    def log_in() -> Visitor:
        clock[0] += 1  # each in a second of its own
        ada = Visitor(app, provider)
        assert ada.get(path_and_query(browser.sign_in(ada.leave()))).status_code == 302
        return ada

    def entries() -> int:
        keys = app.extensions["parjar"].store.keys("")
        return len([key for key in keys if CLAIM not in key])

    everybody = [log_in() for _ in range(MOST_SESSIONS + 2)]
    full = entries()
    everybody += [log_in() for _ in range(10)]
    trust.now += TRUSTED_FOR
    is_open = [each.get("/me").status_code == 200 for each in everybody]
    kept = sum(is_open)
    assert 1 <= kept <= MOST_SESSIONS
    assert is_open == [False] * (len(everybody) - kept) + [True] * kept
    assert [each.get("/token").status_code for each in (everybody[0], everybody[-1])] == [302, 200]
    assert entries() < full + 10
    assert grace.get("/me").status_code == 200


# A configuration that grows, one process after the other.


@pytest.fixture
def before_and_after(provider: DevProvider, redis_process: RedisProcess) -> tuple[Visitor, Visitor]:
    """Somebody who logged in at a process with one provider, and their cookies at one with two."""
    address = store_address("redis", redis_process)
    another = DevProvider("https://two.example")
    key = provider.config()["PARJAR_SIGNING_KEY"]
    sections = {"staff": {"issuer": provider.issuer}, "partners": {"issuer": another.issuer}}
    old, new = (
        token_site(
            provider,
            address,
            PARJAR_SIGNING_KEY=key,
            PARJAR_PROVIDERS={name: sections[name] for name in names},
        )
        for names in (["staff"], ["staff", "partners"])
    )
    another.connect(new)
    visitor = Visitor(old, provider)
    assert visitor.log_in("/login/staff").status_code == 302
    return visitor, copy_of(visitor, new)


def test_one_provider_more_ends_no_session(
    before_and_after: tuple[Visitor, Visitor],
) -> None:
    old, new = before_and_after
    assert new.get("/me").status_code == 200
    assert new.get("/token").text == old.get("/token").text
    move_cookies(new, old, ("session",))
    assert old.get("/me").status_code == 200


def test_a_logout_token_reaches_processes_with_one_provider_less(
    before_and_after: tuple[Visitor, Visitor], provider: DevProvider
) -> None:
    old, new = before_and_after
    form = {"logout_token": provider.logout_token(sub="ada")}
    assert new.post("/backchannel-logout/staff", data=form).status_code == 200
    set_clock(old.app)  # so that the store is asked at once
    assert old.get("/me").status_code == 302
