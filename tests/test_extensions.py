"""The apps of docs/extensions: each runs as it is on its page, and people log in to it.

An extension handles errors, forms and sessions in its own way. So each app is used as in production
(neither TESTING nor debug), through its own login.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import flask_login
import pytest
from celery.contrib.testing.worker import start_worker
from celery.signals import setup_logging
from cryptography.fernet import Fernet
from flask import Flask, render_template_string, request
from flask_admin.contrib.sqla import ModelView
from flask_login import UserMixin, fresh_login_required, login_user
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from flask_parjar import Identity, claims_required, logged_in
from flask_parjar.testing import DevProvider, Person
from flask_parjar.testing.serving import running
from tests.support.headers import FROM_HERE, SCRIPT
from tests.support.jwt import read_jwt
from tests.support.page_app import run_app
from tests.support.pages import code_of
from tests.support.redis_process import RedisProcess
from tests.support.site import Visitor

ISSUER = "https://id.example.com"


class App:
    """An app of a page, with its provider and a visitor."""

    def __init__(self, namespace: dict[str, Any], provider: DevProvider) -> None:
        self.namespace = namespace
        self.provider = provider
        self.flask: Flask = namespace["app"]
        provider.connect(self.flask)

    def visitor(self, **more: Any) -> Visitor:
        return Visitor(self.flask, self.provider, **more)

    def unguarded(self) -> set[str]:
        with self.flask.app_context():
            return {rule.endpoint for rule in self.namespace["parjar"].unguarded_routes()}


@pytest.fixture
def provider() -> DevProvider:
    return DevProvider(ISSUER)


@pytest.fixture
def app_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: DevProvider
) -> Callable[..., App]:
    """``app_of(page, …)`` runs the app of a page, with the settings of the quickstart."""

    def make(
        page: str, caption: str = "", *, replace: dict[str, str] | None = None, **settings: str
    ) -> App:
        namespace = run_app(
            page,
            caption,
            issuer=ISSUER,
            folder=tmp_path,
            monkeypatch=monkeypatch,
            replace=replace or {},
            settings=settings,
        )
        return App(namespace, provider)

    return make


# Flask-Login.


def test_flask_login_knows_who_is_logged_in(app_of: Callable[..., App]) -> None:
    visitor = app_of("extensions/flask-login").visitor()
    assert visitor.get("/account?tab=1").location == "/login?next=/account?tab%3D1"
    script = visitor.get("/account", headers=SCRIPT)
    assert (script.status_code, script.json["login_url"]) == (401, "/login?next=/account")
    assert visitor.log_in("/login?next=/account").location == "/account"
    assert visitor.get("/account").json == {"name": "Ada Lovelace"}
    visitor.post("/logout", headers=FROM_HERE)
    assert visitor.get("/account").status_code == 302


def test_flask_login_keeps_nothing_in_the_session(app_of: Callable[..., App]) -> None:
    visitor = app_of("extensions/flask-login").visitor()
    visitor.log_in()
    visitor.get("/account")
    with visitor.client.session_transaction() as session:
        assert set(session) == {"_parjar_user"}


def test_flask_login_follows_a_logout_that_begins_at_the_provider(
    app_of: Callable[..., App],
) -> None:
    app = app_of("extensions/flask-login", PARJAR_STORE="memory")
    visitor = app.visitor()
    visitor.log_in()
    assert visitor.get("/account").status_code == 200
    app.provider.end_session("ada")
    assert visitor.get("/account").status_code == 302


@pytest.mark.parametrize(
    "replace, name",
    [
        ({}, "User"),
        ({"LoginManager(app)": "LoginManager(app, add_context_processor=False)"}, "Identity"),
    ],
)
def test_what_the_page_on_flask_login_says_of_its_other_functions(
    replace: dict[str, str], name: str, app_of: Callable[..., App]
) -> None:
    app = app_of("extensions/flask-login", replace=replace)
    class_of_user = "{{ current_user.__class__.__name__ }}"
    app.flask.get("/fresh")(fresh_login_required(lambda: "fresh"))
    app.flask.get("/class", endpoint="class")(lambda: render_template_string(class_of_user))
    visitor = app.visitor()
    visitor.log_in()
    assert visitor.get("/fresh").status_code == 401
    assert visitor.get("/class").text == name


def test_a_login_of_flask_login_itself_goes_on_after_ours(app_of: Callable[..., App]) -> None:
    """That is why the page has a request_loader, and no `login_user`."""
    app = app_of("extensions/flask-login", PARJAR_STORE="memory")
    app.namespace["login_manager"].user_loader(lambda _: UserMixin())

    @logged_in.connect_via(app.flask)
    def log_in_twice(app: Flask, identity: Identity, **_: Any) -> None:
        login_user(identity.user)

    app.flask.get("/open")(flask_login.login_required(lambda: "open"))
    visitor = app.visitor()
    visitor.log_in()
    app.provider.end_session("ada")
    assert visitor.get("/open").text == "open"


# Flask-Admin.


def test_flask_admin_is_for_admins(app_of: Callable[..., App]) -> None:
    app = app_of("extensions/flask-admin")
    app.provider.people["mia"] = Person("mia", {"name": "Mia", "groups": ["admins"]})
    pages = ("/admin/", "/admin/reports/", "/admin/static/admin/css/bootstrap4/admin.css")
    statuses = {}
    for person in ("", "ada", "mia"):
        visitor = app.visitor()
        if person:
            visitor.log_in(person=person)
        answers = [visitor.get(page) for page in pages]
        statuses[person] = [each.status_code for each in answers]
    assert statuses == {"": [302] * 3, "ada": [403] * 3, "mia": [200] * 3}
    assert answers[1].text == "Reports for Mia"


def test_the_routes_of_flask_admin_are_known_as_guarded(app_of: Callable[..., App]) -> None:
    assert app_of("extensions/flask-admin").unguarded() == {"static"}


def test_a_view_of_a_table_in_flask_admin_is_for_admins(app_of: Callable[..., App]) -> None:
    app = app_of("extensions/flask-admin")
    app.flask.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    db = SQLAlchemy(app.flask)

    class Order(db.Model):  # type: ignore[name-defined, misc]
        id = db.Column(db.Integer, primary_key=True)

    class Orders(app.namespace["OnlyAdmins"], ModelView):  # type: ignore[misc]
        """As the page says: first in each class."""

    app.namespace["admin"].add_view(Orders(Order, db))
    assert app.unguarded() == {"static"}
    visitor = app.visitor()
    visitor.log_in()
    assert visitor.post("/admin/order/new/").status_code == 403


def test_the_index_view_that_flask_admin_makes_itself_is_open(app_of: Callable[..., App]) -> None:
    app = app_of("extensions/flask-admin", replace={"index_view=Home()": ""})
    assert app.visitor().get("/admin/").status_code == 200
    assert "admin.index" in app.unguarded()


# Flask-RESTX, Flask-RESTful, flask-smorest.

REST = ("with Flask-RESTX", "with Flask-RESTful", "with flask-smorest")


@pytest.mark.parametrize("caption", REST)
def test_resources_answer_as_other_pages(caption: str, app_of: Callable[..., App]) -> None:
    app = app_of("extensions/rest", caption)
    assert app.flask.testing is False
    visitor = app.visitor()
    script = visitor.get("/orders", headers=SCRIPT)
    assert (script.status_code, script.json["error"]) == (401, "login_required")
    assert script.json["login_url"] == "/login?next=/orders"
    assert visitor.get("/orders").location == "/login?next=/orders"
    visitor.log_in()
    assert visitor.get("/orders", headers=SCRIPT).json == {"orders of": "Ada Lovelace"}
    refused = visitor.post("/orders", headers=SCRIPT)
    assert (refused.status_code, refused.json["error"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("caption", REST)
def test_resources_with_all_that_they_need(caption: str, app_of: Callable[..., App]) -> None:
    app = app_of("extensions/rest", caption, PARJAR_SCOPES="openid profile orders:write")
    visitor = app.visitor()
    visitor.log_in()
    answer = visitor.post("/orders", headers=SCRIPT)
    assert (answer.status_code, answer.json) == (201, {"ordered": True})
    assert "orders" not in app.unguarded() and "orders.Orders" not in app.unguarded()


@pytest.mark.parametrize("caption", REST)
def test_a_resource_while_the_provider_is_busy(caption: str, app_of: Callable[..., App]) -> None:
    """What `parjar.access_token()` raises is 503, and not 500."""
    scopes = "openid profile offline_access"
    app = app_of("extensions/rest", caption, PARJAR_STORE="memory", PARJAR_SCOPES=scopes)
    parjar = app.namespace["parjar"]
    app.namespace["Orders"].get = lambda self: {"token": parjar.access_token()}
    app.provider.access_token_seconds = 0
    visitor = app.visitor()
    visitor.log_in()
    with app.provider.fault("refresh_503"):
        answer = visitor.get("/orders", headers=SCRIPT)
    assert (answer.status_code, answer.json["error"]) == (503, "provider_busy")


@pytest.mark.parametrize(
    "caption, lines",
    [
        ("with Flask-RESTX", {"@api.errorhandler": "# "}),
        ("with Flask-RESTful", {"OurApi(app)": "Api(app)"}),
    ],
)
def test_resources_that_answer_errors_themselves(
    caption: str, lines: dict[str, str], app_of: Callable[..., App]
) -> None:
    """401 and 403 even so, and neither a redirect nor our members."""
    visitor = app_of("extensions/rest", caption, replace=lines).visitor()
    asked = visitor.get("/orders")
    assert (asked.status_code, list(asked.json)) == (401, ["message"])
    visitor.log_in()
    refused = visitor.post("/orders")
    assert (refused.status_code, list(refused.json)) == (403, ["message"])


@pytest.mark.parametrize("caption", REST[:2])
def test_a_guard_of_all_resources(caption: str, app_of: Callable[..., App]) -> None:
    lines = {"Api(app)": "Api(app, decorators=[login_required])", "decorators = [l": "_ = [l"}
    app = app_of("extensions/rest", caption, replace=lines)
    assert app.visitor().get("/orders", headers=SCRIPT).status_code == 401
    assert "orders" not in app.unguarded()


@pytest.mark.parametrize("caption", REST[:2])
def test_what_the_page_says_of_method_decorators(caption: str, app_of: Callable[..., App]) -> None:
    app = app_of("extensions/rest", caption, replace={"decorators": "method_decorators"})
    visitor = app.visitor()
    assert visitor.get("/orders", headers=SCRIPT).status_code == 401
    assert "orders" in app.unguarded()
    described = visitor.get("/swagger.json").status_code
    assert described == (200 if caption == "with Flask-RESTX" else 404)


# Flask-WTF.


def csrf_token(page: str) -> str:
    (token,) = re.findall(r'name="csrf_token" value="([^"]+)"', page)
    return token


def test_flask_wtf_refuses_a_form_without_its_token(app_of: Callable[..., App]) -> None:
    visitor = app_of("extensions/flask-wtf").visitor()
    visitor.log_in()
    form = {"text": "hello"}
    assert visitor.post("/comment", data=form).status_code == 400
    form["csrf_token"] = csrf_token(visitor.get("/comment").text)
    assert visitor.post("/comment", data=form).json == {"sent": "hello"}


def test_a_form_after_the_session_leads_to_the_login(app_of: Callable[..., App]) -> None:
    visitor = app_of("extensions/flask-wtf").visitor()
    form = {"csrf_token": "of a session that is gone", "text": "hello"}
    referrer = {"Referer": "http://localhost/comment?on=7"}
    answer = visitor.post("/comment", data=form, headers=referrer)
    assert answer.location == "/login?next=/comment?on%3D7"
    script = visitor.post("/comment", data=form, headers=SCRIPT | referrer)
    assert (script.status_code, script.json["login_url"]) == (401, answer.location)


def test_a_form_that_was_opened_before_another_login_is_refused(
    app_of: Callable[..., App],
) -> None:
    visitor = app_of("extensions/flask-wtf").visitor()
    visitor.log_in()
    form = {"text": "hello", "csrf_token": csrf_token(visitor.get("/comment").text)}
    visitor.log_in(person="grace")
    assert visitor.post("/comment", data=form).status_code == 400


def test_flask_wtf_lets_our_routes_through(app_of: Callable[..., App]) -> None:
    app = app_of("extensions/flask-wtf", PARJAR_STORE="memory", PARJAR_RESPONSE_MODE="form_post")
    visitor = app.visitor()
    answer = post_answer(visitor)
    assert answer.location == "/comment"
    assert visitor.get("/comment").status_code == 200
    app.provider.end_session("ada")  # posts a logout token
    assert visitor.get("/comment").status_code == 302
    post_answer(visitor)
    assert visitor.post("/logout", headers=FROM_HERE).location.startswith(ISSUER)


def test_without_the_exemption_flask_wtf_stops_our_routes(app_of: Callable[..., App]) -> None:
    app = app_of("extensions/flask-wtf", replace={'csrf.exempt(app.blueprints["parjar"])': ""})
    visitor = app.visitor()
    visitor.log_in()
    assert visitor.post("/logout", headers=FROM_HERE).status_code == 400


def post_answer(visitor: Visitor) -> TestResponse:
    """Log in with ``response_mode=form_post``: the provider's page posts, and then ours."""
    path, _, fields = visitor.come_back(visitor.leave("/login?next=/comment")).partition("?")
    form = dict(parse_qsl(fields))
    elsewhere = visitor.app.test_client()  # a Lax cookie does not come with a form of another site
    page = elsewhere.post(path, data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert page.status_code == 200
    return visitor.post(path, data=form, headers=FROM_HERE)


# Flask-Talisman.

HTTPS = "https://localhost"


def test_flask_talisman_lets_forms_lead_to_the_provider(app_of: Callable[..., App]) -> None:
    """tests/browser/test_extensions.py has the same in a browser."""
    visitor = app_of("extensions/flask-talisman").visitor(base_url=HTTPS)
    visitor.log_in()
    policy = visitor.get("/").headers["Content-Security-Policy"]
    assert f"form-action 'self' {ISSUER}" in policy
    assert visitor.post("/logout", headers=FROM_HERE).location.startswith(ISSUER)


def test_our_pages_have_the_nonce_of_flask_talisman(app_of: Callable[..., App]) -> None:
    app = app_of("extensions/flask-talisman", PARJAR_RESPONSE_MODE="form_post")
    visitor = app.visitor(base_url=HTTPS)
    headers = {"Sec-Fetch-Site": "cross-site"}
    page = visitor.post("/callback", data={"code": "x", "state": "y"}, headers=headers)
    nonces = re.findall(r'<(style|script) nonce="([^"]+)"', page.text)
    assert [tag for tag, _ in nonces] == ["style", "script"]
    policy = page.headers["Content-Security-Policy"]
    assert all(f"{tag}-src 'self' 'nonce-{nonce}'" in policy for tag, nonce in nonces)


def test_a_login_with_flask_talisman_is_on_https(app_of: Callable[..., App]) -> None:
    app = app_of("extensions/flask-talisman")
    assert app.visitor().get("/login").location == f"{HTTPS}/login"
    app.visitor().get("/login", headers={"X-Forwarded-Proto": "https"})  # without ProxyFix
    _, claims = read_jwt(app.provider.calls[-1].form["request"])
    assert claims["redirect_uri"] == "http://localhost/callback"


# Flask-Session.


@pytest.fixture
def sessions_in_redis(app_of: Callable[..., App], redis_process: RedisProcess) -> App:
    redis = {"redis://localhost:6379/0": redis_process.url}
    return app_of("extensions/flask-session", replace=redis)


def test_flask_session_changes_the_identifier_at_a_login(sessions_in_redis: App) -> None:
    visitor, attacker = sessions_in_redis.visitor(), sessions_in_redis.visitor()
    attacker.get("/cart")
    planted = attacker.client.get_cookie("session")
    visitor.client.set_cookie("session", planted.value)
    assert visitor.get("/cart").json == {"cart": ["a book", "a book"]}
    visitor.log_in()
    assert visitor.client.get_cookie("session").value != planted.value
    assert visitor.get("/orders").json == {"orders": []}
    assert attacker.get("/orders").status_code == 302
    assert attacker.get("/cart").json == {"cart": ["a book"]}


def test_a_logout_at_the_provider_with_flask_session(sessions_in_redis: App) -> None:
    visitor = sessions_in_redis.visitor()
    visitor.log_in()
    assert visitor.get("/orders").status_code == 200
    sessions_in_redis.provider.end_session("ada")
    assert visitor.get("/orders").status_code == 302


def test_claims_of_any_size_fit_with_flask_session(sessions_in_redis: App) -> None:
    groups = [f"group {number}" for number in range(1000)]
    sessions_in_redis.provider.people["mia"] = Person("mia", {"groups": groups})
    in_the_last = claims_required(groups="group 999")(lambda: "in")
    sessions_in_redis.flask.get("/last")(in_the_last)
    visitor = sessions_in_redis.visitor()
    visitor.log_in(person="mia")
    assert visitor.get("/last").text == "in"
    assert len(visitor.client.get_cookie("session").value) < 100


# Flask-SQLAlchemy.


@pytest.fixture
def with_users(app_of: Callable[..., App]) -> Iterator[App]:
    app = app_of("extensions/users")
    yield app
    with app.flask.app_context():
        app.namespace["db"].engine.dispose()


def people_of(app: App) -> list[Any]:
    with app.flask.app_context():
        db, user = app.namespace["db"], app.namespace["User"]
        return [*db.session.scalars(db.select(user).order_by(user.id))]


def test_the_first_login_adds_a_user_and_later_ones_do_not(with_users: App) -> None:
    for person in ("ada", "grace", "ada"):
        visitor = with_users.visitor()
        visitor.log_in(person=person)
    ada = {"id": 1, "name": "Ada Lovelace", "email": "ada@people.example"}
    assert visitor.get("/account").json == ada
    assert [(user.issuer, user.subject) for user in people_of(with_users)] == [
        (ISSUER, with_users.provider.people[person].sub) for person in ("ada", "grace")
    ]


def test_a_subject_of_another_issuer_is_another_user(with_users: App) -> None:
    with_users.visitor().log_in()
    with with_users.flask.test_request_context("/"):
        elsewhere = Identity(
            issuer="https://other.example", subject="ada", provider="default", claims={}
        )
        assert with_users.namespace["find_user"](elsewhere) is None


def test_the_name_of_a_user_is_kept_fresh(with_users: App) -> None:
    visitor = with_users.visitor()
    visitor.log_in()
    with_users.provider.people["ada"].claims["name"] = "Ada King"
    assert visitor.get("/account").json["name"] == "Ada Lovelace"
    visitor.log_in()
    assert visitor.get("/account").json["name"] == "Ada King"


def test_a_user_whose_row_was_deleted_is_not_logged_in(with_users: App) -> None:
    visitor = with_users.visitor()
    visitor.log_in()
    with with_users.flask.app_context():
        db = with_users.namespace["db"]
        db.session.delete(db.session.get(with_users.namespace["User"], 1))
        db.session.commit()
    assert visitor.get("/account").status_code == 302
    assert people_of(with_users) == []
    visitor.log_in()
    assert visitor.get("/account").status_code == 200


def test_a_blocked_user_is_kept_out(with_users: App) -> None:
    visitor = with_users.visitor()
    visitor.log_in()
    with with_users.flask.app_context():
        db = with_users.namespace["db"]
        db.session.get(with_users.namespace["User"], 1).blocked = True
        db.session.commit()
    assert visitor.get("/account").status_code == 302
    refused = visitor.log_in()
    assert (refused.status_code, code_of(refused)) == (403, "user_refused")


def test_two_first_logins_at_the_same_time_add_one_user(with_users: App) -> None:
    db, user = with_users.namespace["db"], with_users.namespace["User"]
    row = (ISSUER, with_users.provider.people["ada"].sub, False)

    @event.listens_for(user, "before_insert", once=True)
    def be_quicker(mapper: Any, connection: Any, target: Any) -> None:
        with closing(sqlite3.connect(db.engine.url.database)) as other:
            other.execute("INSERT INTO user (issuer, subject, blocked) VALUES (?, ?, ?)", row)
            other.commit()

    visitor = with_users.visitor()
    visitor.log_in()
    assert visitor.get("/account").json["id"] == 1
    assert len(people_of(with_users)) == 1


# htmx.


def test_htmx_is_led_to_the_login_and_back(app_of: Callable[..., App]) -> None:
    visitor = app_of("extensions/htmx").visitor()
    page = "http://localhost/?tab=orders"
    headers = {"HX-Request": "true", "HX-Current-URL": page, "Sec-Fetch-Mode": "cors"}
    answer = visitor.get("/orders", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/login?next=/?tab%3Dorders"
    assert visitor.log_in(answer.headers["HX-Redirect"]).location == "/?tab=orders"
    assert visitor.get("/orders", headers=headers).text == "Orders of Ada Lovelace"


# Scripts.

SPA = "https://app.example.com"
OF_THE_SPA = {"Origin": SPA, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-site"}


def test_a_script_on_the_same_host_is_led_to_the_login_and_back(
    app_of: Callable[..., App],
) -> None:
    visitor = app_of("extensions/single-page-apps", "spa.py").visitor()
    headers = {"Sec-Fetch-Mode": "cors", "Referer": "http://localhost/"}
    answer = visitor.get("/api/orders", headers=headers)
    assert (answer.status_code, answer.json["login_url"]) == (401, "/login?next=/")
    assert visitor.log_in(answer.json["login_url"]).location == "/"
    assert visitor.get("/api/orders", headers=headers).json == {"orders of": "Ada Lovelace"}


def test_a_preflight_is_answered_before_the_login(app_of: Callable[..., App]) -> None:
    visitor = app_of("extensions/single-page-apps", "api.py").visitor()
    asks = {
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = visitor.client.options("/orders/7", headers=OF_THE_SPA | asks)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == SPA
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    assert "content-type" in answer.headers["Access-Control-Allow-Headers"]
    elsewhere = {**OF_THE_SPA, "Origin": "https://evil.example"} | asks
    refused = visitor.client.options("/orders/7", headers=elsewhere)
    assert "Access-Control-Allow-Origin" not in refused.headers


def test_a_script_on_another_host_logs_in_and_saves(app_of: Callable[..., App]) -> None:
    visitor = app_of("extensions/single-page-apps", "api.py").visitor()
    refused = visitor.client.put("/orders/7", json={}, headers=OF_THE_SPA)
    assert (refused.status_code, refused.json["error"]) == (401, "login_required")
    assert refused.headers["Access-Control-Allow-Origin"] == SPA  # so the script can read it
    assert visitor.log_in("/login?next=/").location == "/"
    assert visitor.get("/").location == f"{SPA}/"
    saved = visitor.client.put("/orders/7", json={}, headers=OF_THE_SPA)
    assert saved.json == {"saved": 7, "by": "Ada Lovelace"}
    assert saved.headers["Access-Control-Allow-Credentials"] == "true"
    form = {**OF_THE_SPA, "Sec-Fetch-Mode": "navigate"}
    assert code_of(visitor.post("/logout", headers=form)) == "cross_site"
    link = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-site"}
    assert visitor.get("/logout", headers=link).status_code == 200
    assert visitor.get("/").status_code == 302


# Celery.


class Api:
    """An API on this machine. Who a token is of, and whether it is live, the provider says."""

    def __init__(self, provider: DevProvider) -> None:
        self.owners: list[str | None] = []
        self.was_called = threading.Event()
        self._provider = provider
        self.flask = Flask("api")
        self.flask.post("/reports")(self._order)

    def _order(self) -> tuple[str, int]:
        header = request.headers["Authorization"]
        answer = self._provider.app.test_client().get(
            "/userinfo", headers={"Authorization": header}, base_url=self._provider.issuer
        )
        self.owners.append(answer.json["sub"] if answer.status_code == 200 else None)
        self.was_called.set()
        return "ordered", answer.status_code


@pytest.fixture
def api(provider: DevProvider) -> Api:
    return Api(provider)


@pytest.fixture
def job_app(
    app_of: Callable[..., App],
    api: Api,
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[App]:
    """The app with jobs, at an API and with a broker in this process."""
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("JOB_KEY", Fernet.generate_key().decode())
    replace = {
        "https://api.example.com": url,
        "redis://localhost:6379/0": "memory",
        "redis://localhost:6379/1": "memory://",
    }
    with running(make_server("127.0.0.1", urlsplit(url).port or 0, api.flask)):
        app = app_of("extensions/celery", replace=replace)
        yield app
        app.namespace["jobs"].control.purge()  # all apps of this process share that broker


def let_a_worker_run(app: App, api: Api) -> None:
    """Let a worker of Celery run in this process until it has called the API."""

    def leave_as_it_is(**_: Any) -> None:
        """Otherwise Celery changes the logging of the whole process."""

    setup_logging.connect(leave_as_it_is)
    try:
        with start_worker(app.namespace["jobs"], pool="solo", perform_ping_check=False):
            assert api.was_called.wait(60)
    finally:
        setup_logging.disconnect(leave_as_it_is)


def test_a_job_calls_an_api_for_the_person_who_ordered_it(job_app: App, api: Api) -> None:
    visitor = job_app.visitor()
    visitor.log_in()
    assert visitor.post("/reports", headers=SCRIPT).status_code == 202
    let_a_worker_run(job_app, api)
    assert api.owners == [job_app.provider.people["ada"].sub]


def test_the_token_of_a_job_is_encrypted_in_the_broker(job_app: App) -> None:
    job_app.provider.access_token_seconds = 120
    visitor = job_app.visitor()
    visitor.log_in()
    visitor.post("/reports", headers=SCRIPT)
    with job_app.namespace["jobs"].connection() as connection:
        job = connection.SimpleQueue("celery").get(block=False)
    token = job_app.namespace["box"].decrypt(json.loads(job.body)[0][0]).decode()
    assert token not in f"{job.headers} {job.body}"
    left = datetime.fromisoformat(job.headers["expires"]).timestamp() - time.time()
    assert 0 < left <= 120


def test_the_token_of_a_job_ends_at_the_logout(job_app: App, api: Api) -> None:
    visitor = job_app.visitor()
    visitor.log_in()
    visitor.post("/reports", headers=SCRIPT)
    visitor.post("/logout", headers=FROM_HERE)
    let_a_worker_run(job_app, api)
    assert api.owners == [None]
