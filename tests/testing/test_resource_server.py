"""An API of a test: what `parjar.api` sends reaches it without a socket, and is verified."""

from __future__ import annotations

import hashlib
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask, Response, jsonify, redirect, request
from flask.testing import FlaskClient
from werkzeug.test import Client

from flask_parjar import LoginOptions, ParJar, login_required
from flask_parjar.testing import DevProvider, LogInAs, ResourceServer, WSGIAdapter, mount_api
from tests.support.certificates import make_pair
from tests.testing.hand_made_client import KEYS, b64, sign

API = "https://api.example.com"


def make_api() -> Flask:
    """An API that says what it got."""
    api = Flask("api")

    @api.route("/<path:path>", methods=["GET", "POST"])
    def answer(path: str) -> Any:
        return jsonify(
            path=path,
            host=request.host,
            body=request.get_data(as_text=True),
            scheme=request.headers.get("Authorization", "").partition(" ")[0],
            token=request.environ.get("parjar.token"),
        )

    api.get("/away", endpoint="away")(lambda: redirect("https://other.example/there"))
    return api


class Site:
    """A site that hands on what an API answers, and a person who is logged in."""

    def __init__(self, provider: DevProvider, **config: Any) -> None:
        self.provider = provider
        self.app, self.parjar = Flask("site"), ParJar()
        base = {"PARJAR_STORE": "memory", "PARJAR_SCOPES": "openid offline_access orders:read"}
        self.app.config.update(SECRET_KEY="of the tests", **provider.config({**base, **config}))
        self.parjar.init_app(self.app)
        self.client: FlaskClient = self.app.test_client()
        self.log_in_as = LogInAs(provider)

        @self.app.get("/call/<path:path>")
        @login_required
        def call(path: str) -> Any:
            answer = self.parjar.api(request.args.get("at", API)).get(path)
            return Response(answer.content, answer.status_code, content_type="application/json")

        @self.app.get("/headers")
        def headers() -> Any:
            return self.parjar.authorization_headers("GET", request.args["url"])

    def call(self, path: str = "v1/orders", **query: str) -> Any:
        return self.client.get(f"/call/{path}", query_string=query)

    def headers(self, url: str = f"{API}/v1/orders") -> dict[str, str]:
        """What a call is sent with."""
        headers: dict[str, str] = self.client.get("/headers", query_string={"url": url}).get_json()
        return headers


def logged_in(**config: Any) -> Site:
    site = Site(DevProvider("https://op.example"), **config)
    site.log_in_as(site.client)
    return site


def guarded(site: Site, **wants: Any) -> ResourceServer:
    """The API that asks the provider, mounted."""
    api = site.provider.resource_server(make_api(), **wants)
    mount_api(site.app, API, api)
    return api


def sent(api: ResourceServer, url: str = f"{API}/v1/orders", **headers: str) -> requests.Response:
    """The answer to a request by hand."""
    session = requests.Session()
    session.mount(f"{API}/", WSGIAdapter(api))
    return session.get(url, headers=headers)


def proof(token: str) -> str:
    """A valid proof for a token and the orders, with a key of the test."""
    key = KEYS["ES256"]
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False)}
    claims = {
        "htm": "GET",
        "htu": f"{API}/v1/orders",
        "iat": int(time.time()),
        "jti": secrets.token_urlsafe(16),
        "ath": b64(hashlib.sha256(token.encode()).digest()),
    }
    return sign(header, claims, key)


@pytest.fixture
def no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **more: object) -> None:
        raise AssertionError("a test opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


# Where it is mounted.


@pytest.mark.usefixtures("no_socket")
def test_any_wsgi_app_can_be_the_api() -> None:
    site = logged_in()
    mount_api(site.app, f"{API}/", make_api())
    for at in (API, f"{API}:443", f"{API.upper().replace('HTTPS', 'https')}/"):
        answer = site.call(at=at).get_json()
        assert answer["scheme"] == "Bearer"
        assert (answer["path"], answer["token"]) == ("v1/orders", None)


@pytest.mark.usefixtures("no_socket")
def test_a_redirect_to_another_api_brings_no_token() -> None:
    site = logged_in()
    mount_api(site.app, API, make_api())
    mount_api(site.app, "https://other.example", make_api())
    answer = site.call("away").get_json()
    assert (answer["host"], answer["scheme"]) == ("other.example", "")


@pytest.mark.usefixtures("no_socket")
def test_the_provider_itself_is_an_api_too() -> None:
    site = logged_in()
    assert site.call("userinfo", at="https://op.example").get_json()["sub"] == "ada"


def test_the_api_of_one_app_is_not_that_of_another() -> None:
    one, other = logged_in(), logged_in()
    mount_api(one.app, API, make_api())
    mount_api(other.app, API, Flask("nothing"))
    assert (one.call().status_code, other.call().status_code) == (200, 404)


@pytest.mark.parametrize(
    "url",
    [f"{API}/v1", f"{API}?a=b", f"{API}#a", "api.example.com", "ftp://api.example.com", "https://"],
)
def test_an_api_is_mounted_at_an_origin(url: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        mount_api(logged_in().app, url, make_api())


def test_an_app_without_logins_calls_no_api() -> None:
    with pytest.raises(ValueError, match="init_app"):
        mount_api(Flask("site"), API, make_api())


# What is verified.


@pytest.mark.usefixtures("no_socket")
def test_the_api_is_told_what_the_provider_knows() -> None:
    details = [{"type": "payment_initiation"}]
    site = logged_in()
    site.log_in_as(site.client, acr="mfa", scopes=["orders:read"], authorization_details=details)
    guarded(site)
    token = site.call().get_json()["token"]
    assert isinstance(token.pop("auth_time"), int)
    assert token == {
        "active": True,
        "token_type": "Bearer",
        "iss": "https://op.example",
        "sub": "ada",
        "client_id": "flask-parjar",
        "scope": "openid orders:read",
        "acr": "mfa",
        "authorization_details": details,
    }


@pytest.mark.parametrize("authorization", ["", "Basic YTpi", "Bearer", "Bearer ", "DPoP "])
def test_a_request_without_a_token(authorization: str) -> None:
    api = guarded(logged_in())
    answer = sent(api, Authorization=authorization)
    assert (answer.status_code, answer.json()) == (401, {})
    assert "error" not in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("token", ["made-up", "", "\xe9", "a b", "x" * 100_000])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "DPoP"])
def test_a_token_that_was_never_issued(scheme: str, token: str) -> None:
    api = guarded(logged_in())
    environ = {"HTTP_AUTHORIZATION": f"{scheme} {token}"}
    answer = Client(api).get("/v1/orders", base_url=API, environ_overrides=environ)
    assert answer.status_code == 401


def test_a_token_that_was_revoked_is_renewed() -> None:
    site = logged_in()
    guarded(site)
    before = site.headers()
    site.provider.revoke_access_tokens()
    token = before["Authorization"].partition(" ")[2]
    assert site.provider.introspect(token) == {"active": False}
    assert site.call().status_code == 200
    assert site.headers() != before


def test_without_a_refresh_token_the_view_gets_the_401() -> None:
    site = logged_in(PARJAR_SCOPES="openid")
    guarded(site)
    assert site.call().status_code == 200
    site.provider.revoke_access_tokens()
    answer = site.call()
    assert (answer.status_code, answer.get_json()) == (401, {"error": "invalid_token"})


def test_a_token_that_has_expired() -> None:
    now = [1_800_000_000.0]
    provider = DevProvider("https://op.example", now=lambda: now[0])
    api = provider.resource_server(make_api())
    assert provider.introspect("x") == {"active": False}
    assert sent(api, Authorization="Bearer x").status_code == 401
    site = logged_in()
    guarded(site)
    site.provider.access_token_seconds = 0
    site.provider.revoke_access_tokens()
    assert site.call().status_code == 401, "each of its tokens has expired when it is there"


def test_a_token_of_another_provider() -> None:
    site, other = logged_in(), DevProvider("https://op.example")
    api = other.resource_server(make_api())
    assert sent(api, **site.headers()).json() == {"error": "invalid_token"}


def test_the_scopes_of_an_api() -> None:
    site = logged_in()
    api = guarded(site, scopes=["orders:read"])
    assert site.call().status_code == 200
    api.scopes = ("orders:read", "orders:write")
    answer = sent(api, **site.headers())
    assert (answer.status_code, answer.json()) == (403, {"error": "insufficient_scope"})
    assert 'scope="orders:read orders:write"' in answer.headers["WWW-Authenticate"]
    assert site.call().status_code == 403


@pytest.mark.parametrize(
    ("resource", "audience", "status"),
    [
        (None, None, 200),
        (None, API, 401),
        (API, None, 200),
        (f"{API}/", None, 200),
        (f"{API}/v1", None, 200),
        (f"{API}/v1/orders", None, 200),
        (f"{API}/v1/ord", None, 401),
        (f"{API}/v2", None, 401),
        ("https://api.example.co", None, 401),
        (["https://other.example", API], None, 200),
        ("urn:orders", None, 401),
        ("urn:orders", "urn:orders", 200),
        (["urn:others", "urn:orders"], "urn:orders", 200),
        (API, "urn:orders", 401),
    ],
)
def test_tokens_are_for_one_api(resource: Any, audience: str | None, status: int) -> None:
    params = {} if resource is None else {"PARJAR_AUTHORIZATION_PARAMS": {"resource": resource}}
    site = logged_in(**params)
    guarded(site, audience=audience)
    assert site.call().status_code == status


# Tokens that are bound.


@pytest.mark.parametrize("path", ["v1/orders", "v1/caf%C3%A9", "v1/a%20b", "v1/a%252Fb", "v1//x"])
@pytest.mark.usefixtures("no_socket")
def test_a_proof_for_each_call(path: str) -> None:
    site = logged_in(PARJAR_DPOP=True)
    guarded(site)
    for at in (API, f"{API}:443"):
        answer = site.call(path, at=at)
        assert (answer.status_code, answer.get_json()["scheme"]) == (200, "DPoP")
    assert answer.get_json()["token"]["token_type"] == "DPoP"
    assert answer.get_json()["token"]["cnf"].keys() == {"jkt"}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda site, given: {**given, "DPoP": given["DPoP"][:-4] + "AAAA"}, "invalid_dpop_proof"),
        (lambda site, given: {**given, "DPoP": "x"}, "invalid_dpop_proof"),
        (lambda site, given: {"Authorization": given["Authorization"]}, "invalid_token"),
        (
            lambda site, given: {"Authorization": f"Bearer{given['Authorization'][4:]}"},
            "invalid_token",
        ),
        (
            lambda site, given: {**given, "Authorization": f"Bearer{given['Authorization'][4:]}"},
            "invalid_token",
        ),
        (
            lambda site, given: {**given, "DPoP": site.headers(f"{API}/v2")["DPoP"]},
            "invalid_dpop_proof",
        ),
        (
            lambda site, given: {**given, "DPoP": proof(given["Authorization"][5:])},
            "invalid_token",
        ),
        (
            lambda site, given: {**given, "DPoP": proof("another token")},
            "invalid_dpop_proof",
        ),
    ],
    ids=[
        *("signature", "no JWT", "none", "Bearer", "Bearer and proof"),
        *("another URL", "another key", "another token"),
    ],
)
def test_a_proof_that_is_wrong(change: Callable[[Site, dict[str, str]], Any], error: str) -> None:
    site = logged_in(PARJAR_DPOP=True)
    api = guarded(site)
    answer = sent(api, **change(site, site.headers()))
    assert (answer.status_code, answer.json()) == (401, {"error": error})


def test_a_proof_is_good_once() -> None:
    site = logged_in(PARJAR_DPOP=True)
    api, headers = guarded(site), site.headers()
    assert [sent(api, **headers).status_code for _ in range(2)] == [200, 401]


def test_an_unbound_token_needs_no_proof_and_gains_nothing_by_one() -> None:
    site = logged_in()
    api, token = guarded(site), site.headers()["Authorization"].removeprefix("Bearer ")
    assert sent(api, Authorization=f"Bearer {token}", DPoP="x").status_code == 200
    for headers in ({}, {"DPoP": proof(token)}):
        answer = sent(api, Authorization=f"DPoP {token}", **headers)
        assert (answer.status_code, answer.json()) == (401, {"error": "invalid_token"})


@pytest.mark.usefixtures("no_socket")
def test_an_api_that_wants_nonces() -> None:
    site = logged_in(PARJAR_DPOP=True)
    api = guarded(site, dpop_nonces=True)
    refused = sent(api, **site.headers())
    assert (refused.status_code, refused.json()) == (401, {"error": "use_dpop_nonce"})
    assert site.call().status_code == 200
    assert sent(api, **site.headers()).headers["DPoP-Nonce"] == refused.headers["DPoP-Nonce"]
    api.rotate_dpop_nonces()
    assert sent(api, **site.headers()).json() == {"error": "use_dpop_nonce"}
    assert site.call().status_code == 200
    api.dpop_nonces = False
    assert "DPoP-Nonce" not in sent(api, **site.headers()).headers


def test_the_nonces_of_the_provider_are_not_those_of_the_api() -> None:
    site = logged_in(PARJAR_DPOP=True)
    api = guarded(site)
    site.provider.dpop_nonces = True
    assert site.call().status_code == 200
    api.dpop_nonces = True
    assert site.call().status_code == 200


@pytest.mark.parametrize("mtls", [None, "https://mtls.op.example"])
@pytest.mark.usefixtures("no_socket")
def test_a_token_that_is_bound_to_a_certificate(tmp_path: Path, mtls: str | None) -> None:
    pair = make_pair()
    (tmp_path / "site.pem").write_text(pair.pem + pair.key_pem)
    files = dict.fromkeys(
        ("PARJAR_CLIENT_CERT", "PARJAR_CLIENT_CERT_KEY"), str(tmp_path / "site.pem")
    )
    site = Site(DevProvider("https://op.example", mtls=mtls), PARJAR_BOUND_TOKENS=True, **files)
    site.log_in_as(site.client)
    api = guarded(site)
    answer = site.call()
    assert answer.status_code == 200
    assert answer.get_json()["token"]["cnf"].keys() == {"x5t#S256"}
    assert sent(api, **site.headers()).json() == {"error": "invalid_token"}
    elsewhere = Client(api).get(
        "/v1/orders",
        base_url=API,
        headers=site.headers(),
        environ_overrides={"SSL_CLIENT_CERT": make_pair().pem},
    )
    assert elsewhere.status_code == 401


# An API that asks for another login.


def test_an_api_that_asks_for_a_stronger_login() -> None:
    site = logged_in()
    guarded(site, acr_values=["mfa", "phr"])
    login = site.call().location
    back = site.provider.sign_in(site.client.get(login).location)
    page = site.client.get(back).location
    assert site.client.get(page).get_json()["token"]["acr"] == "mfa"
    site.log_in_as(site.client, acr="phr")
    assert site.call().status_code == 200


def test_an_api_that_asks_for_a_recent_login() -> None:
    later = [0.0]
    site = Site(DevProvider("https://op.example", now=lambda: time.time() + later[0]))
    site.provider.access_token_seconds = 86_400
    site.log_in_as(site.client)
    api = guarded(site, max_age=3600)
    assert site.call().status_code == 200
    later[0] = 3700.0
    answer = sent(api, **site.headers())
    assert (answer.status_code, answer.json()) == (
        401,
        {"error": "insufficient_user_authentication"},
    )
    assert 'max_age="3600"' in answer.headers["WWW-Authenticate"]
    assert site.call().status_code == 302


# Several providers.


def test_the_tokens_of_each_provider() -> None:
    work, home = DevProvider("https://work.example"), DevProvider("https://home.example")
    sections = {
        name: {"issuer": each.issuer, "client_id": name}
        for name, each in (("work", work), ("home", home))
    }
    site = Site(work, PARJAR_ISSUER=None, PARJAR_CLIENT_ID=None, PARJAR_PROVIDERS=sections)
    log_in_as = LogInAs(work, home)
    guarded(site)
    statuses = []
    for name in ("work", "home"):
        log_in_as(site.client, provider=name)
        statuses.append(site.call().status_code)
    assert statuses == [200, 401]


def test_options_of_a_login_are_seen_by_the_api() -> None:
    site = Site(DevProvider("https://op.example"))
    site.parjar.login_options(lambda: LoginOptions(resource=API))
    site.log_in_as(site.client)
    guarded(site, audience=API)
    assert site.call().get_json()["token"]["aud"] == [API]
