"""The pages on moving here: both apps of each page run, the one before with its own package."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import flask
import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc.jwk import ECKey

from flask_parjar import ParJar, logged_in
from flask_parjar.testing import ClientMetadata, DevProvider, Person
from tests.support.doc_pages import blocks, run
from tests.support.pages import code_of
from tests.support.ports import find_free_port
from tests.support.site import path_and_query
from tests.support.without_pkce import accept_logins_without_pkce

SITE = "https://your.site"
SECRET = "the-secret-of-the-client"


class Package(NamedTuple):
    """What the page of a package says.

    :param callback: the path of its callback, which stays
    :param auth: how its client authenticates
    :param left: the names that it leaves in ``flask.session``
    """

    page: str
    callback: str
    auth: str
    left: frozenset[str]


AUTHLIB = Package("moving-from-authlib", "/auth", "client_secret_basic", frozenset({"user"}))
FLASK_OIDC = Package(
    "moving-from-flask-oidc",
    "/authorize",
    "client_secret_post",
    frozenset({"oidc_auth_token", "oidc_auth_profile"}),
)
FLASK_PYOIDC = Package(
    "moving-from-flask-pyoidc",
    "/redirect_uri",
    "client_secret_basic",
    frozenset(
        {
            *("access_token", "access_token_expires_at", "current_provider", "id_token"),
            *("id_token_jwt", "last_authenticated", "last_session_refresh", "userinfo"),
            *("refresh_token", "_permanent"),
        }
    ),
)
FLASK_DANCE = Package(
    "moving-from-flask-dance",
    "/login/work/authorized",
    "client_secret_basic",
    frozenset({"work_oauth_token"}),
)
PACKAGES = [AUTHLIB, FLASK_OIDC, FLASK_PYOIDC, FLASK_DANCE]

each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda each: each.page)


@pytest.fixture
def op() -> Iterator[DevProvider]:
    """A provider on this machine, where the packages of before can log in too."""
    provider = DevProvider(f"http://127.0.0.1:{find_free_port()}")
    provider.allow_requests("plain")
    accept_logins_without_pkce(provider)
    with provider.running():
        yield provider


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the app, with its key."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key.pem").write_bytes(ECKey.generate_key("P-256").as_pem(private=True))
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # this provider is on plain http
    return tmp_path


class Pages:
    """Makes the apps of a page, each with the configuration beside it."""

    def __init__(self, op: DevProvider, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.op = op
        self._folder = folder
        self._monkeypatch = monkeypatch

    def before(self, package: Package) -> Flask:
        for file in blocks(package.page, "json") if package is FLASK_OIDC else []:
            name = file.caption.removeprefix("before: ")
            (self._folder / name).write_text(self._at_op(file.text), encoding="utf-8")
        self.op.register(
            ClientMetadata(
                client_id="my-site",
                client_secret=SECRET,
                redirect_uris=[SITE + package.callback],
                token_endpoint_auth_method=package.auth,
                require_pushed_authorization_requests=False,
                require_signed_request_object=False,
                scope="openid profile email",
            )
        )
        return self._app(package, "before", {})

    def after(self, package: Package, **settings: str) -> Flask:
        app = self._app(package, "after", settings)
        self.op.connect(app, base_urls=[SITE])
        return app

    def _app(self, package: Package, when: str, settings: dict[str, str]) -> Flask:
        (code,) = [each for each in blocks(package.page, "python") if when in each.caption]
        (ini,) = [each for each in blocks(package.page, "ini") if when in each.caption]
        lines = dict(line.split("=", 1) for line in ini.text.split("\n") if line)
        with self._monkeypatch.context() as environment:
            for name, value in {**lines, **settings}.items():
                environment.setenv(name, self._at_op(value))
            namespace: dict[str, Any] = {"__name__": "app"}
            run(self._at_op(code.text), namespace, page=package.page)
        app: Flask = namespace["app"]
        return app

    def _at_op(self, text: str) -> str:
        return text.replace("https://id.your.site", self.op.issuer)


@pytest.fixture
def pages(op: DevProvider, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Pages:
    return Pages(op, folder, monkeypatch)


@pytest.fixture
def old_warnings() -> Iterator[None]:
    """The packages of before warn of themselves, and close their connections late."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        gc.collect()


def leave(client: FlaskClient, provider: DevProvider, path: str = "/") -> str:
    """Follow the site's redirects: the URL at the provider that they lead to."""
    url = path
    for _ in range(4):
        url = str(client.get(path_and_query(url), base_url=SITE).location)
        if url.startswith(provider.issuer):
            return url
    raise AssertionError(url)


def log_in(client: FlaskClient, provider: DevProvider) -> None:
    """Open the guarded page, and come back to it, logged in."""
    back = provider.sign_in(leave(client, provider))
    done = client.get(path_and_query(back), base_url=SITE)
    assert path_and_query(str(done.location)) == "/", done.text


def hello(client: FlaskClient) -> Any:
    return client.get("/", base_url=SITE).json


def session_of(client: FlaskClient) -> dict[str, Any]:
    with client.session_transaction(base_url=SITE) as session:
        return dict(session)


def cookie_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("session", domain="your.site")
    assert cookie is not None
    return cookie.value


def with_cookie(app: Flask, cookie: str) -> FlaskClient:
    """A browser that was logged in before the site moved."""
    client = app.test_client()
    client.set_cookie("session", cookie, domain="your.site")
    return client


def old_cookie(pages: Pages, package: Package) -> str:
    """Log Ada in with the package of before."""
    client = pages.before(package).test_client()
    log_in(client, pages.op)
    assert hello(client) == {"hello": "Ada Lovelace"}
    assert session_of(client).keys() == package.left - {"refresh_token"}
    return cookie_of(client)


FIRST_AS_BEFORE = {"FLASK_PARJAR_REQUEST": "plain", "FLASK_PARJAR_CLIENT_SECRET": SECRET}


@each_package
@pytest.mark.parametrize("settings", [{}, FIRST_AS_BEFORE], ids=["signed", "as before"])
def test_an_old_session_ends_and_a_new_one_begins(
    pages: Pages, old_warnings: None, package: Package, settings: dict[str, str]
) -> None:
    cookie = old_cookie(pages, package)
    browser = with_cookie(pages.after(package, **settings), cookie)
    away = leave(browser, pages.op)
    assert not session_of(browser).keys() & (package.left - {"_permanent"})
    back = path_and_query(pages.op.sign_in(away))
    assert back.startswith(f"{package.callback}?")
    assert browser.get(back, base_url=SITE).location == "/"
    assert hello(browser) == {"hello": "Ada Lovelace"}
    assert session_of(browser).keys() == {"_parjar_user"}


def test_the_settings_of_the_first_step_are_those_of_the_page() -> None:
    (ini,) = blocks("moving", "ini")
    assert dict(line.split("=", 1) for line in ini.text.split()) == FIRST_AS_BEFORE


def test_signed_requests_after_plain_ones_need_no_new_login(pages: Pages) -> None:
    browser = pages.after(AUTHLIB, **FIRST_AS_BEFORE).test_client()
    log_in(browser, pages.op)
    signed = with_cookie(pages.after(AUTHLIB), cookie_of(browser))
    assert hello(signed) == {"hello": "Ada Lovelace"}


@each_package
def test_a_login_that_began_before_may_be_tried_again(
    pages: Pages, old_warnings: None, package: Package
) -> None:
    browser = pages.before(package).test_client()
    back = path_and_query(pages.op.sign_in(leave(browser, pages.op)))
    moved = with_cookie(pages.after(package), cookie_of(browser))
    page = moved.get(back, base_url=SITE)
    assert (page.status_code, code_of(page)) == (400, "state_forged")
    assert 'href="/login' in page.text
    log_in(moved, pages.op)
    assert session_of(moved).keys() == {"_parjar_user"}


def test_a_full_cookie_of_before_has_no_room_for_a_login(pages: Pages, old_warnings: None) -> None:
    """A browser keeps a cookie of 4,096 bytes, with its name and attributes."""
    groups = [f"{number * 7919**5:x}" for number in range(1, 66)]
    pages.op.people["ada"] = Person("ada", {**pages.op.people["ada"].claims, "groups": groups})
    cookie = old_cookie(pages, FLASK_OIDC)
    assert 3700 < len(cookie) < 4000
    app = pages.after(FLASK_OIDC)
    assert len(with_cookie(app, cookie).get("/login", base_url=SITE).headers["Set-Cookie"]) < 1000
    assert app.before_request_funcs[None].pop().__name__ == "end_old_session"
    assert len(with_cookie(app, cookie).get("/login", base_url=SITE).headers["Set-Cookie"]) > 4096


def test_a_permanent_session_stays_possible(pages: Pages) -> None:
    """As the page of Flask-pyoidc has it, whose sessions are permanent."""
    app = pages.after(FLASK_PYOIDC)

    def keep(app: Flask, **_: Any) -> None:
        flask.session.permanent = True

    logged_in.connect(keep, app)
    browser = app.test_client()
    log_in(browser, pages.op)
    assert session_of(browser)["_permanent"] is True
    cookie = browser.get_cookie("session", domain="your.site")
    assert cookie is not None and cookie.expires is not None


def test_old_keys_are_those_of_flask_pyoidc(old_warnings: None) -> None:
    from flask_pyoidc.user_session import UserSession

    assert frozenset(UserSession.KEYS) == FLASK_PYOIDC.left - {"_permanent"}


def test_the_examples_for_all_packages(pages: Pages) -> None:
    callback, sign_in, end = blocks("moving", "python")
    app = Flask("app")
    app.config.update(SECRET_KEY="of the tests", **pages.op.config())
    namespace: dict[str, Any] = {**vars(flask), "app": app, "ParJar": ParJar}
    for block in (callback, sign_in, end):
        run(block.text, namespace, page="moving")
    pages.op.connect(app)
    browser = app.test_client()
    with browser.session_transaction(base_url=SITE) as session:
        session["user"] = {"name": "Ada"}
    away = leave(browser, pages.op, "/sign-in?next=/account")
    back = path_and_query(pages.op.sign_in(away))
    assert back.startswith("/auth?")
    assert browser.get(back, base_url=SITE).location == "/account"
    assert "user" not in session_of(browser)
