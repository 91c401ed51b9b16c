"""Introducing an app to the provider: what is registered, and that a login goes through."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask, jsonify, request
from werkzeug.test import Client

from flask_parjar import ParJar, current_user, login_required
from flask_parjar.testing import DevProvider
from tests.testing.hand_made_client import SECRET

OP = "https://op.example"


def make_site(config: dict[str, Any], prepare: Any = None) -> Flask:
    app = Flask("site")
    app.config.update(SECRET_KEY="of the tests", **config)
    ParJar(app)

    @app.get("/me")
    @login_required
    def me() -> Any:
        return jsonify(sub=current_user.subject, name=current_user.name)

    return app


def log_in(app: Flask, provider: DevProvider, login: str = "/login") -> Any:
    visitor = app.test_client()
    begun = visitor.get(login)
    assert begun.status_code == 302, begun.text
    done = visitor.get(provider.sign_in(begun.headers["Location"]))
    assert done.status_code == 302, done.text
    return visitor.get("/me").get_json()


@pytest.fixture
def provider() -> DevProvider:
    return DevProvider(OP)


def test_a_login(provider: DevProvider) -> None:
    app = make_site(provider.config({"PARJAR_SCOPES": "openid profile reports:read"}))
    provider.connect(app)
    assert log_in(app, provider) == {"sub": "ada", "name": "Ada Lovelace"}
    client = provider.clients["flask-parjar"]
    assert client.redirect_uris == ("http://localhost/callback", "https://localhost/callback")
    assert client.post_logout_redirect_uris == ("http://localhost/", "https://localhost/")
    assert client.token_endpoint_auth_method == "private_key_jwt"
    assert "reports:read" in client.scopes
    assert client.client_name == "site"


def test_connecting_twice_changes_nothing(provider: DevProvider) -> None:
    app = make_site(provider.config())
    provider.connect(app)
    provider.connect(app)
    assert log_in(app, provider)["sub"] == "ada"


def test_providers_by_name() -> None:
    one, two = DevProvider("https://one.example"), DevProvider("https://two.example")
    providers = {
        name: {key.removeprefix("PARJAR_").lower(): value for key, value in op.config().items()}
        for name, op in (("work", one), ("home", two))
    }
    app = make_site({"PARJAR_PROVIDERS": providers})
    one.connect(app)
    two.connect(app)
    assert one.clients["flask-parjar"].redirect_uris[0] == "http://localhost/callback/work"
    assert two.clients["flask-parjar"].redirect_uris[0] == "http://localhost/callback/home"
    assert log_in(app, one, "/login/work")["sub"] == "ada"
    assert log_in(app, two, "/login/home")["sub"] == "ada"


def test_what_the_configuration_pins(provider: DevProvider) -> None:
    app = make_site(
        provider.config(
            {
                "PARJAR_CLIENT_SECRET": SECRET,
                "PARJAR_CLIENT_AUTH": "client_secret_jwt",
                "PARJAR_REDIRECT_URI": "https://site.example/in",
                "PARJAR_POST_LOGOUT_REDIRECT_URI": "https://site.example/out",
                "PARJAR_ID_TOKEN_ALGS": ["PS256"],
            }
        )
    )
    provider.connect(app)
    client = provider.clients["flask-parjar"]
    assert client.redirect_uris == ("https://site.example/in",)
    assert client.post_logout_redirect_uris == ("https://site.example/out",)
    assert client.token_endpoint_auth_method == "client_secret_jwt"
    assert client.id_token_signed_response_alg == "PS256"


@pytest.mark.parametrize(
    ("offered", "method"),
    [
        (["client_secret_post", "client_secret_basic"], "client_secret_basic"),
        (["client_secret_post"], "client_secret_post"),
        (None, "client_secret_basic"),
    ],
)
def test_a_secret_without_a_method(provider: DevProvider, offered: Any, method: str) -> None:
    provider.metadata["token_endpoint_auth_methods_supported"] = offered
    app = make_site(provider.config({"PARJAR_CLIENT_SECRET": SECRET}))
    provider.connect(app)
    assert provider.clients["flask-parjar"].token_endpoint_auth_method == method


def test_the_urls_of_the_app(provider: DevProvider) -> None:
    app = make_site(provider.config({"PARJAR_URL_PREFIX": "/auth", "PARJAR_AFTER_LOGOUT": "/bye"}))
    provider.connect(app, base_urls=["http://127.0.0.1:5000/"])
    client = provider.clients["flask-parjar"]
    assert client.redirect_uris == ("http://127.0.0.1:5000/auth/callback",)
    assert client.post_logout_redirect_uris == ("http://127.0.0.1:5000/bye",)


@pytest.mark.parametrize("after_logout", ["/", "/bye"])
def test_an_app_below_a_path_is_left_for_its_own_page(
    provider: DevProvider, after_logout: str
) -> None:
    app = make_site(provider.config({"PARJAR_AFTER_LOGOUT": after_logout}))
    provider.connect(app, base_urls=["http://localhost/shop"])
    client = provider.clients["flask-parjar"]
    assert client.post_logout_redirect_uris == (f"http://localhost/shop{after_logout}",)
    visitor, browser = Client(app), provider.browser()
    away = visitor.get("/login", base_url="http://localhost/shop").headers["Location"]
    back = urlsplit(browser.sign_in(away))
    visitor.get(
        back.path.removeprefix("/shop"), base_url="http://localhost/shop", query_string=back.query
    )
    left = visitor.post(
        "/logout", base_url="http://localhost/shop", headers={"Sec-Fetch-Site": "same-origin"}
    )
    home = str(browser.sign_out(left.headers["Location"]))
    assert home.partition("?")[0] == f"http://localhost/shop{after_logout}"


def test_an_app_without_parjar(provider: DevProvider) -> None:
    with pytest.raises(ValueError, match=r"ParJar.init_app\(app\) comes first"):
        provider.connect(Flask("bare"))


def test_an_app_that_logs_in_elsewhere(provider: DevProvider) -> None:
    app = make_site(DevProvider("https://other.example").config())
    with pytest.raises(ValueError, match="logs in at 'https://other.example', and this is"):
        provider.connect(app)


def record_logouts(app: Flask) -> list[tuple[str, ...]]:
    """Replace an app's two logout endpoints by views that record what arrives."""
    came: list[tuple[str, ...]] = []

    def arrived(provider: str = "") -> str:
        came.append((request.url, provider, *request.form))
        return ""

    for kind in ("backchannel", "frontchannel"):
        app.view_functions[f"parjar.{kind}_logout"] = arrived
    return came


def test_an_app_is_sent_logout_tokens(provider: DevProvider) -> None:
    app = make_site(provider.config())
    came = record_logouts(app)
    provider.connect(app)
    client = provider.clients["flask-parjar"]
    assert client.backchannel_logout_uri == "http://localhost/backchannel-logout"
    assert client.frontchannel_logout_uri == "http://localhost/frontchannel-logout"
    log_in(app, provider)
    provider.end_session("ada")
    assert came == [("http://localhost/backchannel-logout", "", "logout_token")]


def test_an_app_of_two_providers_is_sent_logout_tokens() -> None:
    one, two = DevProvider("https://one.example"), DevProvider("https://two.example")
    providers = {
        name: {key.removeprefix("PARJAR_").lower(): value for key, value in op.config().items()}
        for name, op in (("work", one), ("home", two))
    }
    app = make_site({"PARJAR_PROVIDERS": providers})
    came = record_logouts(app)
    one.connect(app)
    two.connect(app, base_urls=["https://localhost", "http://localhost"])
    assert log_in(app, two, "/login/home")["sub"] == "ada"
    two.end_session("ada")
    assert came == [("https://localhost/backchannel-logout/home", "home", "logout_token")]
    uri = one.clients["flask-parjar"].frontchannel_logout_uri
    assert uri == "http://localhost/frontchannel-logout/work"


def test_an_app_below_a_path_is_sent_logout_tokens(provider: DevProvider) -> None:
    app = make_site(provider.config())
    came = record_logouts(app)
    provider.connect(app, base_urls=["http://localhost/app/"])
    back = Client(app).get("/login", base_url="http://localhost/app").headers["Location"]
    provider.sign_in(back)
    provider.end_session("ada")
    assert came == [("http://localhost/app/backchannel-logout", "", "logout_token")]


def test_an_app_behind_a_socket_is_called_through_it(provider: DevProvider) -> None:
    app = make_site(provider.config())
    record_logouts(app)
    provider.connect(app, base_urls=["http://localhost:5000", "http://127.0.0.1:5000"])
    client = provider.clients["flask-parjar"]
    assert client.backchannel_logout_uri == "http://localhost:5000/backchannel-logout"
    assert sorted(provider.http.adapters) == ["http://", "https://"]


def test_an_app_without_a_url_is_sent_no_logout_tokens(provider: DevProvider) -> None:
    app = make_site(provider.config({"PARJAR_REDIRECT_URI": "https://site.example/in"}))
    record_logouts(app)
    provider.connect(app, base_urls=[])
    assert provider.clients["flask-parjar"].backchannel_logout_uri is None
