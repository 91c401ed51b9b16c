"""The way out: what is signed, pushed, remembered, and carried by the browser."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from flask import Flask, render_template_string, request
from werkzeug.test import TestResponse

from flask_parjar import LoginOptions, ParJar, claims_required, login_required
from flask_parjar.testing import Browser, DevProvider
from tests.protocol.examples import RSA_JWK
from tests.support.after_login import token_site
from tests.support.altered_answers import PUSH, AlteredAnswers
from tests.support.headers import FROM_HERE
from tests.support.jwt import read_jwt
from tests.support.pages import code_of
from tests.support.raw_server import always, answer, raw_server
from tests.support.site import (
    ISSUER,
    SCOPES,
    Visitor,
    make_site,
    make_site_of_two,
    path_and_query,
    query,
)


def pushed(provider: DevProvider) -> dict[str, list[str]]:
    """The form of the last push, as it arrived."""
    calls = [call for call in provider.calls if call.endpoint == "pushed_authorization_request"]
    return calls[-1].form.to_dict(flat=False)


def request_object(provider: DevProvider) -> dict[str, Any]:
    return read_jwt(pushed(provider)["request"][0])[1]


def test_the_browser_carries_two_parameters(visitor: Visitor, provider: DevProvider) -> None:
    response = visitor.get("/login")
    assert response.status_code == 302
    assert response.location.startswith(f"{ISSUER}/")
    assert set(query(response.location)) == {"client_id", "request_uri"}
    assert query(response.location)["client_id"] == ["flask-parjar"]
    assert response.headers["Cache-Control"] == "no-store"
    assert "Cookie" in response.headers["Vary"]


def test_the_push_carries_three_kinds_of_thing(visitor: Visitor, provider: DevProvider) -> None:
    visitor.leave()
    assert set(pushed(provider)) == {
        "client_id",
        "request",
        "client_assertion_type",
        "client_assertion",
    }
    assert all(len(values) == 1 for values in pushed(provider).values())


def test_the_request_object(visitor: Visitor, provider: DevProvider) -> None:
    before = int(time.time())
    visitor.leave("/login?next=/me")
    after = int(time.time())
    header, claims = read_jwt(pushed(provider)["request"][0])
    key = visitor.app.extensions["parjar"].providers["default"].client.signing_keys[0]
    assert header == {"alg": "ES256", "typ": "oauth-authz-req+jwt", "kid": key.kid}
    assert before - 10 <= claims["iat"] <= after - 10
    assert claims["nbf"] == claims["iat"]
    assert claims["exp"] == claims["iat"] + 600
    assert 32 <= len(claims["jti"]) <= 64
    assert 43 <= len(claims["nonce"]) and 43 == len(claims["code_challenge"])
    assert {name: claims[name] for name in claims if name not in VARYING} == {
        "iss": "flask-parjar",
        "aud": ISSUER,
        "client_id": "flask-parjar",
        "response_type": "code",
        "redirect_uri": "http://localhost/callback",
        "scope": SCOPES,
        "code_challenge_method": "S256",
    }


VARYING = {"iat", "nbf", "exp", "jti", "state", "nonce", "code_challenge"}


@pytest.mark.parametrize(
    "config, seconds",
    [
        ({}, 600),
        ({"PARJAR_REQUEST_LIFETIME": 60}, 60),
        ({"PARJAR_REQUEST_LIFETIME": 3600}, 3600),
    ],
)
def test_a_request_object_lives_as_long_as_a_login_may_take(
    provider: DevProvider, config: dict[str, Any], seconds: int
) -> None:
    """Some providers prove it once more when the person has signed in, or end the push with it."""
    Visitor(make_site(provider, **config), provider).leave()
    claims = request_object(provider)
    assert claims["exp"] - claims["nbf"] == seconds


@pytest.mark.parametrize("path", ["/authorize", "/other"])
def test_a_provider_that_wants_its_authorization_endpoint_as_audience(
    provider: DevProvider, path: str
) -> None:
    provider.demands.request_audience = f"{ISSUER}{path}"
    app = make_site(provider, PARJAR_REQUEST_AUDIENCE="authorization_endpoint")
    page = Visitor(app, provider).get("/login?next=/me")
    assert page.status_code == (302 if path == "/authorize" else 502)
    assert request_object(provider)["aud"] == provider.metadata["authorization_endpoint"]


@pytest.mark.parametrize("names", [["scope"], ["scope", "audience", "resource", "login_hint"]])
def test_parameters_that_a_provider_wants_beside_the_request_object(
    provider: DevProvider, names: list[str]
) -> None:
    """Those that this login has; the request object has them too, as without the setting."""
    provider.demands.request_beside = ("scope",) if len(names) == 1 else ("scope", "audience")
    more = {"audience": "a"} if len(names) > 1 else {}
    app = make_site(provider, PARJAR_REQUEST_BESIDE=names, PARJAR_AUTHORIZATION_PARAMS=more)
    assert Visitor(app, provider).log_in("/login?next=/me").location == "/me"
    form, inside = pushed(provider), request_object(provider)
    credentials = {"client_assertion", "client_assertion_type"}
    beside = {name: form[name] for name in set(form) - {"client_id", "request", *credentials}}
    assert beside == {name: [inside[name]] for name in ("scope", *more)}


def test_without_the_setting_that_provider_refuses(provider: DevProvider) -> None:
    provider.demands.request_beside = ("scope",)
    page = Visitor(make_site(provider), provider).get("/login")
    assert (page.status_code, code_of(page)) == (502, "push_refused")
    assert set(pushed(provider)) == {
        *("client_id", "request", "client_assertion", "client_assertion_type")
    }


def test_the_client_assertion(visitor: Visitor, provider: DevProvider) -> None:
    visitor.leave()
    header, claims = read_jwt(pushed(provider)["client_assertion"][0])
    assert set(header) == {"alg", "typ", "kid"}
    assert set(claims) == {"iss", "sub", "aud", "jti", "iat", "nbf", "exp"}
    assert claims["iss"] == claims["sub"] == "flask-parjar"
    assert (claims["aud"], claims["exp"] - claims["iat"]) == (ISSUER, 70)


def test_a_provider_whose_clock_is_ten_seconds_behind_needs_no_leeway() -> None:
    """RFC 9101 has no leeway, and AT Protocol's server takes no ``iat`` of the next second."""
    provider = DevProvider(ISSUER, now=lambda: time.time() - 10)
    provider.clock_skew = 0
    assert Visitor(make_site(provider), provider).log_in("/login?next=/me").location == "/me"


def test_the_algorithm_of_request_objects_is_not_that_of_assertions(provider: DevProvider) -> None:
    """Each is agreed on with what the provider lists for it."""
    provider.metadata["token_endpoint_auth_signing_alg_values_supported"] = ["RS256"]
    app = make_site(provider, PARJAR_SIGNING_KEY=RSA_JWK, PARJAR_SIGNING_ALG="PS256")
    visitor = Visitor(app, provider)
    assert visitor.log_in("/login?next=/me").location == "/me"
    form = pushed(provider)
    signed = [read_jwt(form[name][0])[0]["alg"] for name in ("request", "client_assertion")]
    assert signed == ["PS256", "RS256"]


def test_nothing_is_used_twice(visitor: Visitor, provider: DevProvider) -> None:
    seen: list[str] = []
    for _ in range(20):
        visitor.leave()
        claims = request_object(provider)
        assertion = read_jwt(pushed(provider)["client_assertion"][0])[1]
        seen += [claims[name] for name in ("jti", "state", "nonce", "code_challenge")]
        seen.append(assertion["jti"])
    assert len(set(seen)) == 100


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_secret_is_sent_where_the_method_says(provider: DevProvider, method: str) -> None:
    app = make_site(provider, PARJAR_CLIENT_SECRET="s/e:c r%et", PARJAR_CLIENT_AUTH=method)
    visitor = Visitor(app, provider)
    assert visitor.log_in("/login?next=/me").location == "/me"
    form, headers = pushed(provider), provider.calls[1].headers
    if method == "client_secret_post":
        assert form["client_secret"] == ["s/e:c r%et"] and "Authorization" not in headers
    else:
        assert set(form) == {"client_id", "request"}
        pair = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
        assert pair == "flask-parjar:s%2Fe%3Ac+r%25et"


def test_head_and_prefetch_push_nothing(visitor: Visitor, provider: DevProvider) -> None:
    assert visitor.client.head("/login").status_code == 200
    for purpose in ("prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip"):
        response = visitor.get("/login", headers={"Sec-Purpose": purpose})
        assert (response.status_code, response.headers["Cache-Control"]) == (503, "no-store")
    assert visitor.get("/login", headers={"Purpose": "prefetch"}).status_code == 503
    assert provider.calls == []
    assert "session" not in {cookie.key for cookie in visitor.client._cookies.values()}


def test_head_and_prefetch_push_nothing_from_a_login_view_of_the_app(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/special")(lambda: parjar.login())

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.client.head("/special")
    visitor.get("/special", headers={"Sec-Purpose": "prefetch"})
    assert provider.calls == []
    response = visitor.get("/special")
    assert (response.status_code, response.headers["Cache-Control"]) == (302, "no-store")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Mode": "cors"},
        {"Accept": "application/json"},
    ],
)
def test_only_a_navigation_begins_a_login(
    visitor: Visitor, provider: DevProvider, headers: dict[str, str]
) -> None:
    response = visitor.get("/login?next=/me", headers=headers)
    assert (response.status_code, response.json["login_url"]) == (401, "/login?next=/me")
    assert provider.calls == []


def test_a_post_without_an_issuer_is_no_login(visitor: Visitor, provider: DevProvider) -> None:
    page = visitor.post("/login")
    assert (page.status_code, code_of(page)) == (400, "initiation_malformed")
    assert provider.calls == []


@pytest.mark.parametrize(
    "next_path, goes_to",
    [
        ("/me", "/me"),
        ("/me?a=1%262", "/me?a=1%262"),
        (None, "/home"),
        ("//evil.example", "/home"),
        ("https://evil.example/", "/home"),
        ("/login", "/home"),
        ("/login?next=/x", "/home"),
        ("/logout", "/home"),
        ("/\\evil.example", "/home"),
    ],
)
def test_where_a_login_leads(provider: DevProvider, next_path: str | None, goes_to: str) -> None:
    visitor = Visitor(make_site(provider, PARJAR_AFTER_LOGIN="/home"), provider)
    response = visitor.client.get("/login", query_string={"next": next_path} if next_path else None)
    assert visitor.get(visitor.come_back(response.location)).location == goes_to


@pytest.mark.parametrize(
    "asked",
    [
        "/me?q=m%C3%BCller",
        "/caf%C3%A9",
        "/me?q=a%7Cb",
        "/me?q=%22a%22",
        "/me?f=%7B1%7D",
        "/50%25",
        "/a%2520b",
        "/me?next=https://elsewhere.example/",
    ],
)
def test_a_login_leads_back_to_any_page_of_the_site(provider: DevProvider, asked: str) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/<path:anything>")
        @login_required
        def page(anything: str) -> str:
            return anything

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    to_login = visitor.get(asked).location
    assert visitor.log_in(to_login).location == asked


@pytest.mark.parametrize("wanted", ["/login-history", "/logins", "/logout-policy", "/callbacks"])
def test_a_login_leads_to_pages_with_names_like_our_routes(visitor: Visitor, wanted: str) -> None:
    assert visitor.log_in(f"/login?next={wanted}").location == wanted


@pytest.mark.parametrize("ours", ["/login", "/%6cogin", "/login/x", "/logout", "/callback?x=1"])
def test_a_login_never_leads_to_our_own_routes(visitor: Visitor, ours: str) -> None:
    assert visitor.log_in(f"/login?next={ours}").location == "/"


@pytest.mark.parametrize(
    "next_url, goes_to",
    [
        ("http://localhost/me?tab=1", "/me?tab=1"),
        ("http://localhost/a%20page", "/a%20page"),
        ("http://localhost:81/me", "/home"),
        ("http://localhost.evil.example/me", "/home"),
        ("http://localhost@evil.example/me", "/home"),
        ("http://evil.example/http://localhost/me", "/home"),
        ("http://localhost//evil.example", "/home"),
        ("http://localhost/\\evil.example", "/home"),
        ("ftp://localhost/me", "/home"),
        ("http://localhost/login", "/home"),
    ],
)
def test_a_whole_address_of_this_site_leads_to_its_page(
    provider: DevProvider, next_url: str, goes_to: str
) -> None:
    """As a template writes it that takes ``request.url``."""
    visitor = Visitor(make_site(provider, PARJAR_AFTER_LOGIN="/home"), provider)
    response = visitor.client.get("/login", query_string={"next": next_url})
    assert visitor.get(visitor.come_back(response.location)).location == goes_to


@pytest.mark.parametrize(
    "path, as_browsers_write_it",
    [("/café", "/caf%C3%A9"), ("/a b", "/a%20b"), ("/plain", "/plain")],
)
def test_a_link_to_the_login_comes_back_to_any_path(
    provider: DevProvider, path: str, as_browsers_write_it: str
) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get(path)
        def page() -> Any:
            return parjar.login_url(request.path)

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    link = visitor.get(as_browsers_write_it)
    assert link.status_code == 200
    assert visitor.log_in(link.text).location == as_browsers_write_it


def test_the_provider_s_own_query_is_kept(visitor: Visitor, provider: DevProvider) -> None:
    endpoint = str(provider.metadata["authorization_endpoint"])
    provider.metadata["authorization_endpoint"] = endpoint + "?tenant=a%20b"
    assert visitor.leave().startswith(f"{endpoint}?tenant=a%20b&client_id=flask-parjar&request_uri")


def test_an_app_under_a_prefix(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, PARJAR_URL_PREFIX="/auth"), provider)
    assert visitor.get("/login").status_code == 404
    away = visitor.leave("/auth/login?next=/me")
    assert request_object(provider)["redirect_uri"] == "http://localhost/auth/callback"
    assert visitor.get(visitor.come_back(away)).location == "/me"
    assert visitor.get("/auth/.well-known/jwks.json").status_code == 200


def test_all_urls_of_a_mounted_app_are_below_its_mount_point(provider: DevProvider) -> None:
    app = make_site(provider, PARJAR_AFTER_LOGIN="/home", PARJAR_AFTER_LOGOUT="/bye")
    provider.connect(app, base_urls=["http://localhost/app"])
    visitor = Visitor(app, provider, base_url="http://localhost/app")
    response = visitor.get("/login")
    back = provider.sign_in(response.location)
    assert visitor.get(back.partition("/app")[2]).location == "/app/home"
    assert visitor.get("/me").status_code == 200
    out = visitor.post("/logout", headers={"Sec-Fetch-Site": "same-origin"})
    assert query(out.location)["post_logout_redirect_uri"] == ["http://localhost/app/bye"]
    assert 'href="/app/bye"' in visitor.get("/callback").text
    assert visitor.get("/me").location == "/app/login?next=/app/me"


def test_a_pinned_redirect_uri(provider: DevProvider) -> None:
    app = make_site(provider, PARJAR_REDIRECT_URI="https://www.example/callback")
    visitor = Visitor(app, provider)
    away = visitor.leave()
    assert request_object(provider)["redirect_uri"] == "https://www.example/callback"
    assert visitor.get(visitor.come_back(away)).status_code == 302
    token = next(call for call in provider.calls if call.endpoint == "token")
    assert token.form["redirect_uri"] == "https://www.example/callback"


def site_with_a_callback_of_before(provider: DevProvider, method: str, **config: Any) -> Visitor:
    """Its redirect URI, which is registered at the provider, is not the one of our route."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        app.add_url_rule("/oidc/return", "parjar.callback", methods=[method])

    uri = "https://www.example/oidc/return"
    app = make_site(provider, prepare=prepare, PARJAR_REDIRECT_URI=uri, **config)
    return Visitor(app, provider, base_url="https://www.example")


def test_a_callback_at_a_path_that_the_app_adds(provider: DevProvider) -> None:
    visitor = site_with_a_callback_of_before(provider, "GET")
    back = visitor.come_back(visitor.leave("/login?next=/me"))
    assert request_object(provider)["redirect_uri"] == "https://www.example/oidc/return"
    assert back.startswith("/oidc/return?")
    done = visitor.get(back)
    assert (done.location, done.headers["Cache-Control"]) == ("/me", "no-store")
    assert visitor.get("/me").status_code == 200
    assert visitor.log_in(f"/login?{urlencode({'next': back})}").location == "/"


def test_the_callback_of_one_of_several_providers_at_a_path_that_the_app_adds() -> None:
    app, work, _ = make_site_of_two()
    app.add_url_rule("/login/work/done", "parjar.callback", defaults={"provider": "work"})
    work.connect(app)
    visitor = Visitor(app, work)
    back = visitor.come_back(visitor.leave("/login/work?next=/me"))
    assert back.startswith("/login/work/done?")
    assert visitor.get(back).location == "/me"
    assert visitor.get("/me").json["provider"] == "work"


def test_a_form_is_posted_to_a_path_that_the_app_adds(provider: DevProvider) -> None:
    visitor = site_with_a_callback_of_before(provider, "POST", PARJAR_RESPONSE_MODE="form_post")
    path, _, response = visitor.come_back(visitor.leave("/login?next=/me")).partition("?")
    assert visitor.post(path, data=dict(parse_qsl(response)), headers=FROM_HERE).location == "/me"


def test_options_of_one_login(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/special")
        def special() -> Any:
            options = LoginOptions(
                scopes=["openid", "email"],
                login_hint="ada",
                prompt="login",
                max_age=300,
                acr_values=["pwd", "mfa"],
                essential_acr=True,
                ui_locales="de en",
                claims={"userinfo": {"name": None}},
                authorization_details=[{"type": "payment_initiation"}],
                resource=["https://a.example", "https://b.example"],
                params={"organization": "acme", "number": 7},
            )
            return parjar.login(options, next="/me")

    app = make_site(
        provider, prepare=prepare, PARJAR_AUTHORIZATION_PARAMS={"audience": "x", "number": 1}
    )
    visitor = Visitor(app, provider)
    away = visitor.leave("/special")
    claims = request_object(provider)
    assert {name: claims[name] for name in OPTIONS} == OPTIONS
    assert "acr_values" not in claims  # an acr is asked for once (OpenID Connect Core 5.5.1.1)
    assert visitor.get(visitor.come_back(away)).location == "/me"
    assert visitor.get("/me").json["scopes"] == ["email", "openid"]


OPTIONS = {
    "scope": "openid email",
    "login_hint": "ada",
    "prompt": "login",
    "max_age": 300,
    "ui_locales": "de en",
    "claims": {
        "userinfo": {"name": None},
        "id_token": {"acr": {"essential": True, "values": ["pwd", "mfa"]}},
    },
    "authorization_details": [{"type": "payment_initiation"}],
    "resource": ["https://a.example", "https://b.example"],
    "organization": "acme",
    "number": 7,
    "audience": "x",
}


def test_options_are_written_in_one_place(provider: DevProvider) -> None:
    """A view of the app's own says with `LoginOptions` what its login asks for."""
    asked = LoginOptions(
        provider="home", scopes=["openid", "email"], login_hint="ada", prompt="login"
    )

    def prepare(app: Flask, parjar: ParJar) -> None:
        start: Any = parjar.login
        for name, view in {
            "special": lambda: start(asked, next="/me"),
            "named": lambda: start(options=LoginOptions(provider="work")),
            "twice": lambda: start(prompt="login", next="/me"),
            "text": lambda: start("work", next="/me"),
        }.items():
            app.add_url_rule(f"/{name}", name, view)

    sections = {"work": {"client_id": "w"}, "home": {"client_id": "h"}}
    app = make_site(provider, prepare=prepare, PARJAR_PROVIDERS=sections)
    visitor = Visitor(app, provider)
    away = visitor.leave("/special")
    claims = request_object(provider)
    assert {name: claims[name] for name in ("client_id", "scope", "login_hint", "prompt")} == {
        "client_id": "h",
        "scope": "openid email",
        "login_hint": "ada",
        "prompt": "login",
    }
    assert visitor.get(visitor.come_back(away)).location == "/me"
    visitor.leave("/named")
    assert request_object(provider)["client_id"] == "w"
    app.testing = True
    for path in ("/twice", "/text"):
        with pytest.raises(TypeError):
            visitor.get(path)


def test_a_login_of_one_provider_needs_no_options(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        start: Any = parjar.login
        app.add_url_rule("/plain", "plain", lambda: start())
        app.add_url_rule("/back", "back", lambda: start(None, next="/me"))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    for path, landed in (("/plain", "/"), ("/back", "/me")):
        assert visitor.log_in(path).location == landed


def test_templates_know_the_link_to_the_login(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        template = "{{ login_url() }}|{{ login_url(next='/me', provider='home') }}"
        app.add_url_rule("/page", "page", lambda: render_template_string(template))

    sections = {"work": {"client_id": "w"}, "home": {"client_id": "h"}}
    visitor = Visitor(make_site(provider, prepare=prepare, PARJAR_PROVIDERS=sections), provider)
    page = visitor.get("/page?x=1")
    assert page.status_code == 200
    here, _, there = page.text.partition("|")
    assert query(here)["next"] == ["/page?x=1"]
    assert (there.partition("?")[0], query(there)["next"]) == ("/login/home", ["/me"])


def test_an_essential_acr_at_a_provider_that_reads_no_claims(provider: DevProvider) -> None:
    """It goes by ``acr_values``, which every provider may read, and is proved all the same."""

    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/special")
        def special() -> Any:
            return parjar.login(LoginOptions(acr_values=["mfa"], essential_acr=True), next="/me")

    provider.metadata["claims_parameter_supported"] = False
    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    away = visitor.leave("/special")
    claims = request_object(provider)
    assert claims["acr_values"] == "mfa" and "claims" not in claims
    with provider.fault("id_token_acr_other"):
        assert "token_acr" in visitor.get(visitor.come_back(away)).text
    assert visitor.log_in("/special").location == "/me"
    assert visitor.get("/me").json["claims"]["acr"] == "mfa"


def test_free_parameters_may_not_speak_for_the_library() -> None:
    with pytest.raises(ValueError, match="request.*state"):
        LoginOptions(params={"state": "x", "request": "y", "organization": "z"})


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(asked, id=name)
        for name, asked in {
            "max_age text": {"max_age": "300"},
            "max_age negative": {"max_age": -5},
            "max_age boolean": {"max_age": True},
            "max_age with a fraction": {"max_age": 1.5},
            "scopes without openid": {"scopes": ["profile"]},
            "authorization_details without a list": {"authorization_details": {"type": "a"}},
            "login_hint a number": {"login_hint": 5},
            "ui_locales a list": {"ui_locales": ["de", "en"]},
            "prompt a list": {"prompt": ["login"]},
            "other_account as text": {"other_account": "yes"},
            "an acr value with a space": {"acr_values": ["a b"]},
            "a parameter that is no JSON": {"params": {"x": float("nan")}},
            "claims as text": {"claims": '{"userinfo": {}}'},
        }.items()
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_before_anything_is_sent(
    provider: DevProvider, asked: dict[str, Any]
) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.config["PROPAGATE_EXCEPTIONS"] = True
        parjar.login_options(lambda: LoginOptions(**asked))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    with pytest.raises((TypeError, ValueError)):
        visitor.get("/login")
    assert "pushed_authorization_request" not in {call.endpoint for call in provider.calls}


def test_login_options_chooses_for_each_request(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @parjar.login_options
        def choose() -> LoginOptions | None:
            from flask import request

            org = request.args.get("org")
            return LoginOptions(params={"organization": org}) if org else None

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    visitor.leave("/login?org=acme")
    assert request_object(provider)["organization"] == "acme"
    visitor.leave("/login")
    assert "organization" not in request_object(provider)


def test_several_providers_have_a_login_each(provider: DevProvider) -> None:
    sections = {"work": {"client_id": "w"}, "home": {"client_id": "h"}}
    app = make_site(provider, PARJAR_PROVIDERS=sections)
    visitor = Visitor(app, provider)
    page = visitor.get("/login?next=/me")
    assert page.status_code == 200
    assert 'href="/login/work?next=/me"' in page.text and "/login/home" in page.text
    away = visitor.leave("/login/work?next=/me")
    assert request_object(provider)["redirect_uri"] == "http://localhost/callback/work"
    assert visitor.get(visitor.come_back(away)).location == "/me"
    assert visitor.get("/me").json["provider"] == "work"
    assert visitor.get("/callback").status_code == 404
    unknown = visitor.get("/login/other")
    assert (unknown.status_code, "provider_unknown" in unknown.text) == (404, True)
    keys = visitor.get("/.well-known/jwks.json").json["keys"]
    assert len(keys) == 1


def test_a_key_that_two_providers_know_for_different_algorithms_is_published_once_for_both(
    provider: DevProvider,
) -> None:
    key = {**RSA_JWK, "kid": "one name"}
    sections = {
        "work": {"client_id": "w", "signing_key": {**key, "alg": "PS256"}},
        "home": {"client_id": "h", "signing_key": {**key, "alg": "RS256"}},
    }
    client = make_site(provider, PARJAR_PROVIDERS=sections).test_client()
    keys = client.get("/.well-known/jwks.json").json["keys"]
    assert [(jwk["kid"], jwk.get("alg")) for jwk in keys] == [("one name", None)]


def test_the_choice_of_a_provider_shows_labels(provider: DevProvider) -> None:
    """Where a provider has none, its name."""
    sections = {"work": {"client_id": "w", "label": "Staff & friends"}, "home": {"client_id": "h"}}
    page = make_site(provider, PARJAR_PROVIDERS=sections).test_client().get("/login").text
    links = re.findall(r'<a[^>]* href="(/login/\w+)[^>]*>\s*([^<]+?)\s*</a>', page)
    assert links == [("/login/work", "Staff &amp; friends"), ("/login/home", "home")]


def test_one_named_provider_needs_no_choice(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, PARJAR_PROVIDERS={"work": {}}), provider)
    assert visitor.log_in("/login?next=/me").location == "/me"
    assert visitor.log_in("/login/work?next=/me").location == "/me"


def test_the_published_keys(visitor: Visitor) -> None:
    response = visitor.get("/.well-known/jwks.json")
    (jwk,) = response.json["keys"]
    assert response.content_type == "application/json"
    assert set(jwk) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_the_published_keys_may_be_kept_for_a_while(visitor: Visitor) -> None:
    """They are the same for everybody; a provider may need them for each assertion."""
    response = visitor.get("/.well-known/jwks.json")
    assert response.cache_control.public and not response.cache_control.no_store
    assert 60 <= (response.cache_control.max_age or 0) <= 3600
    assert "Cookie" not in response.vary


def test_the_published_keys_in_python(provider: DevProvider) -> None:
    seen: list[Any] = []
    app = make_site(provider, prepare=lambda app, parjar: seen.append(parjar))
    with app.test_request_context():
        assert seen[0].public_jwks() == app.test_client().get("/.well-known/jwks.json").json


def test_the_site_starts_while_its_provider_is_down(provider: DevProvider) -> None:
    app = make_site(provider, connect=False, PARJAR_ISSUER="http://127.0.0.1:1")
    response = app.test_client().get("/login")
    assert response.status_code == 503
    assert "provider_unreachable" in response.text
    assert app.test_client().get("/").text == "home"


def test_metadata_by_hand(provider: DevProvider) -> None:
    app = make_site(provider, PARJAR_METADATA=dict(provider.metadata))
    assert Visitor(app, provider).log_in("/login?next=/me").location == "/me"
    assert "discovery" not in {call.endpoint for call in provider.calls}


def test_metadata_of_rfc_8414(provider: DevProvider) -> None:
    """Where there is no OpenID document, the one of RFC 8414 serves."""
    visitor = Visitor(make_site(provider), provider)
    with provider.fault("metadata_openid_404"):
        visitor.leave()
    paths = [call.endpoint for call in provider.calls][:3]
    assert paths == ["discovery", "discovery", "pushed_authorization_request"]


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"pushed_authorization_request_endpoint": None}, "par_unsupported"),
        ({"request_object_signing_alg_values_supported": ["RS256"]}, "signing_alg_unsupported"),
        ({"request_object_signing_alg_values_supported": []}, "signing_alg_unsupported"),
        ({"token_endpoint_auth_methods_supported": ["none"]}, "client_auth_unsupported"),
        ({"token_endpoint_auth_signing_alg_values_supported": ["X"]}, "client_auth_unsupported"),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, "id_token_alg_unsupported"),
        ({"code_challenge_methods_supported": ["plain"]}, "pkce_unsupported"),
        ({"response_modes_supported": ["jwt"]}, "response_mode_unsupported"),
        ({"response_modes_supported": ["fragment", "form_post"]}, "response_mode_unsupported"),
        ({"request_parameter_supported": False}, "jar_unsupported"),
    ],
)
def test_no_agreement_no_login(
    visitor: Visitor, provider: DevProvider, changes: dict[str, Any], code: str
) -> None:
    """The refusal comes before the browser leaves, and nothing weaker is tried."""
    provider.metadata.update(changes)
    response = visitor.get("/login")
    assert (response.status_code, code in response.text) == (502, True)
    assert [call.endpoint for call in provider.calls] == ["discovery"]


def test_the_provider_s_error_at_the_push_is_shown_in_debug_mode_alone(
    visitor: Visitor, provider: DevProvider
) -> None:
    with provider.fault("par_error_invalid_client"):
        page = visitor.get("/login")
    assert "client_refused" in page.text and "invalid_client" not in page.text
    visitor.app.debug = True
    with provider.fault("par_error_invalid_client"):
        assert "invalid_client" in visitor.get("/login").text


def test_form_post_is_asked_for_only_where_it_is_listed(provider: DevProvider) -> None:
    """A provider that lists no response modes has query and fragment (Discovery 3)."""
    metadata = {**provider.metadata, "response_modes_supported": None}
    app = make_site(provider, PARJAR_RESPONSE_MODE="form_post", PARJAR_METADATA=metadata)
    response = app.test_client().get("/login")
    assert (response.status_code, code_of(response)) == (502, "response_mode_unsupported")
    assert provider.calls == []


@pytest.mark.parametrize(
    "listed, alg",
    [
        (["PS256", "ES256"], "PS256"),
        (["RS256"], "RS256"),
        (None, "RS256"),
    ],
)
def test_where_no_algorithms_of_request_objects_are_listed(
    provider: DevProvider, listed: list[str] | None, alg: str
) -> None:
    """Those of client assertions say what the provider takes; without them it is RS256."""
    metadata = {
        **provider.metadata,
        "request_object_signing_alg_values_supported": None,
        "token_endpoint_auth_signing_alg_values_supported": listed,
    }
    app = make_site(provider, PARJAR_SIGNING_KEY=RSA_JWK, PARJAR_METADATA=metadata)
    Visitor(app, provider).leave()
    assert read_jwt(pushed(provider)["request"][0])[0]["alg"] == alg


NO_ENDPOINTS = ["", 7, "/x", "http://op.example/x", f"{ISSUER}/#/x", f"{ISSUER}/{{tenant}}/x"]


@pytest.mark.parametrize("url", NO_ENDPOINTS)
@pytest.mark.parametrize("name", ["end_session", "revocation", "userinfo"])
def test_an_optional_endpoint_that_is_no_good_counts_as_absent(
    provider: DevProvider, caplog: pytest.LogCaptureFixture, name: str, url: Any
) -> None:
    provider.metadata[f"{name}_endpoint"] = url
    visitor = Visitor(token_site(provider, "memory"), provider)
    with caplog.at_level(logging.WARNING, "flask_parjar"):
        assert visitor.log_in("/login?next=/me").location == "/me"
    assert any(f"{name}_endpoint" in message for message in caplog.messages)
    away = visitor.post("/logout", headers=FROM_HERE).location or ""
    assert away.startswith(f"{ISSUER}/end-session?") is (name != "end_session")
    revocations = [call for call in provider.calls if call.endpoint == "revocation"]
    assert bool(revocations) is (name != "revocation")


def test_userinfo_that_is_asked_for_needs_an_endpoint_that_is_good(provider: DevProvider) -> None:
    provider.metadata["userinfo_endpoint"] = ""
    response = make_site(provider, PARJAR_USERINFO=True).test_client().get("/login")
    assert (response.status_code, code_of(response)) == (502, "userinfo_unsupported")


@pytest.mark.parametrize("url", NO_ENDPOINTS)
def test_a_push_endpoint_that_is_no_good_ends_the_login(
    visitor: Visitor, provider: DevProvider, url: Any
) -> None:
    """Nothing weaker than a push is tried in its place."""
    provider.metadata["pushed_authorization_request_endpoint"] = url
    response = visitor.get("/login")
    assert (response.status_code, code_of(response)) == (502, "metadata")
    assert [call.endpoint for call in provider.calls] == ["discovery"]


def test_a_refused_push_says_that_the_provider_may_take_no_signed_requests(
    visitor: Visitor, provider: DevProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """Where its metadata says nothing of them; this is how Spring refuses."""
    for silent in (
        "request_parameter_supported",
        "require_signed_request_object",
        "request_object_signing_alg_values_supported",
    ):
        del provider.metadata[silent]
    refusal = {"error": "invalid_request", "error_description": "response_type"}
    AlteredAnswers(provider).instead(PUSH, 400, json.dumps(refusal))
    page = visitor.get("/login")
    assert (page.status_code, code_of(page)) == (502, "push_refused")
    assert "PARJAR_REQUEST" in caplog.text


LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize(
    "endpoint", ["token_endpoint", "jwks_uri", "pushed_authorization_request_endpoint"]
)
def test_a_provider_elsewhere_names_no_service_of_this_machine(
    visitor: Visitor, provider: DevProvider, endpoint: str, host: str
) -> None:
    """Plain http is for a provider that is itself on loopback."""
    with raw_server(always(answer(b"{}"))) as service:
        provider.metadata[endpoint] = f"http://{host}:{service.port}/"
        page = visitor.get("/login")
        assert (page.status_code, code_of(page)) == (502, "metadata")
        assert service.connections == 0


@pytest.mark.parametrize("host", ["id..example", ".example", f"{'a' * 64}.example"])
def test_a_host_that_no_name_server_knows_how_to_ask_for(
    visitor: Visitor, provider: DevProvider, host: str
) -> None:
    """A label is of 1 to 63 characters (RFC 1035 section 2.3.4)."""
    provider.metadata["pushed_authorization_request_endpoint"] = f"https://{host}/par"
    page = visitor.get("/login")
    assert (page.status_code, code_of(page)) == (502, "metadata")


@pytest.mark.parametrize(
    "level, required, code",
    [
        ("signed", "require_pushed_authorization_requests", "par_required"),
        ("pushed", "require_signed_request_object", "jar_required"),
        ("plain", "require_signed_request_object", "par_required"),
    ],
)
def test_no_key_can_switch_off_what_the_provider_requires(
    provider: DevProvider, level: str, required: str, code: str
) -> None:
    app = make_site(provider, PARJAR_REQUEST=level)
    assert provider.metadata[required] is True
    response = app.test_client().get("/login")
    assert (response.status_code, code in response.text) == (502, True)


def test_an_unpushed_request_where_the_operator_says_so(provider: DevProvider) -> None:
    provider.metadata["require_pushed_authorization_requests"] = False
    app = make_site(provider, PARJAR_REQUEST="signed")
    away = query(Visitor(app, provider).leave())
    assert set(away) == {"client_id", "response_type", "scope", "request"}
    assert read_jwt(away["request"][0])[1]["iss"] == "flask-parjar"
    assert [call.endpoint for call in provider.calls] == ["discovery"]


@pytest.mark.parametrize("signed", [True, False])
def test_an_unpushed_request_that_is_too_long_does_not_leave(
    provider: DevProvider, signed: bool
) -> None:
    for kind in ("signed_request_object", "pushed_authorization_requests"):
        provider.metadata[f"require_{kind}"] = False
    app = make_site(
        provider,
        PARJAR_REQUEST="signed" if signed else "plain",
        PARJAR_AUTHORIZATION_PARAMS={"long": "x" * 9000},
    )
    visitor = Visitor(app, provider)
    page = visitor.get("/login")
    assert (page.status_code, code_of(page)) == (502, "request_too_long")
    with visitor.client.session_transaction() as stored:
        assert "_parjar_logins" not in stored


def test_an_unsigned_request_where_the_operator_says_so(provider: DevProvider) -> None:
    provider.metadata["require_signed_request_object"] = False
    app = make_site(
        provider,
        PARJAR_REQUEST="pushed",
        PARJAR_AUTHORIZATION_PARAMS={"claims": {"id_token": {"acr": None}}},
    )
    app.test_client().get("/login")
    form = pushed(provider)
    assert "request" not in form
    assert form["claims"] == ['{"id_token": {"acr": null}}']
    assert {"state", "nonce", "code_challenge"} < set(form)


APIS = ["https://a.example/", "https://b.example/"]


@pytest.mark.parametrize("name", ["resource", "audience"])
def test_a_list_in_an_unsigned_push_is_a_parameter_for_each(
    provider: DevProvider, name: str
) -> None:
    """RFC 8707 section 2."""
    provider.metadata["require_signed_request_object"] = False
    app = make_site(provider, PARJAR_REQUEST="pushed", PARJAR_AUTHORIZATION_PARAMS={name: APIS})
    app.test_client().get("/login")
    assert pushed(provider)[name] == APIS


DETAILS = [{"type": "payment_initiation"}]


def test_a_list_in_a_plain_request_is_a_parameter_for_each(provider: DevProvider) -> None:
    for kind in ("signed_request_object", "pushed_authorization_requests"):
        provider.metadata[f"require_{kind}"] = False
    app = make_site(
        provider,
        PARJAR_REQUEST="plain",
        PARJAR_AUTHORIZATION_PARAMS={"resource": APIS, "authorization_details": DETAILS},
    )
    away = query(Visitor(app, provider).leave())
    assert json.loads(away["authorization_details"][0]) == DETAILS  # JSON stays one text
    assert away["resource"] == APIS


def test_one_retry_with_everything_fresh(visitor: Visitor, provider: DevProvider) -> None:
    visitor.leave()
    provider.calls.clear()
    with provider.fault("par_503_once"):
        visitor.leave()
    first, second = [call.form.to_dict() for call in provider.calls]
    assert read_jwt(first["request"])[1]["jti"] != read_jwt(second["request"])[1]["jti"]
    ours = read_jwt(first["client_assertion"])[1], read_jwt(second["client_assertion"])[1]
    assert ours[0]["jti"] != ours[1]["jti"]
    same = read_jwt(first["request"])[1]["state"], read_jwt(second["request"])[1]["state"]
    assert same[0] == same[1]


# Another account than the one that the provider knows already.


def people_to_be(visitor: Visitor, browser: Browser, page: TestResponse) -> set[str | None]:
    """Follow each link of a page to a login, and be Grace wherever the provider asks."""
    people = set()
    for link in re.findall(r'href="(/login[^"]*)"', page.text):
        away = visitor.get(html.unescape(link)).location
        visitor.get(path_and_query(browser.sign_in(away, "grace")))
        people.add((visitor.get("/me").json or {}).get("sub"))
    return people


def test_a_page_that_refuses_a_user_leads_to_another_account(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/navy")(claims_required(org="navy")(lambda: "navy"))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    browser = provider.browser()
    visitor.get(path_and_query(browser.sign_in(visitor.leave("/login?next=/navy"))))
    page = visitor.get("/navy")
    assert page.status_code == 403
    assert "grace" in people_to_be(visitor, browser, page)
    assert visitor.get("/navy").text == "navy"


@pytest.mark.parametrize(
    "listed, configured, wanted",
    [
        (["none", "login", "select_account"], None, "select_account"),
        (["none", "login"], None, "login"),
        (None, None, "login"),
        ("select_account", None, "login"),  # no list
        ([None, 5, "select_account"], None, "select_account"),
        (["select_account"], "consent", "consent select_account"),
        (["select_account"], "login", "login"),
        (["login"], "consent select_account", "consent select_account"),
        (["select_account"], "none", "select_account"),
    ],
)
def test_another_account_is_asked_for_as_the_provider_can(
    provider: DevProvider, listed: Any, configured: str | None, wanted: str
) -> None:
    """Whether the configuration has a prompt, or the app chooses one."""
    provider.metadata["prompt_values_supported"] = listed
    params = {} if configured is None else {"prompt": configured}
    site = make_site(provider, PARJAR_AUTHORIZATION_PARAMS=params)
    Visitor(site, provider).leave("/login?prompt=select_account")
    assert request_object(provider)["prompt"] == wanted

    def prepare(app: Flask, parjar: ParJar) -> None:
        parjar.login_options(lambda: LoginOptions(prompt=configured))

    Visitor(make_site(provider, prepare=prepare), provider).leave("/login?prompt=select_account")
    assert request_object(provider)["prompt"] == wanted


@pytest.mark.parametrize("prompt", ["none", "login", "create", "select_account login", ""])
def test_a_link_can_ask_for_no_other_prompt(
    visitor: Visitor, provider: DevProvider, prompt: str
) -> None:
    visitor.get("/login", query_string={"prompt": prompt})
    assert "prompt" not in request_object(provider)


def test_another_account_may_be_at_another_provider() -> None:
    app, _, home = make_site_of_two()
    visitor = Visitor(app, home)
    page = visitor.get("/login?next=/me&prompt=select_account")
    links = [html.unescape(link) for link in re.findall(r'href="(/login[^"]*)"', page.text)]
    assert [link.partition("?")[0] for link in links] == ["/login/work", "/login/home"]
    away = visitor.leave(links[1])
    assert request_object(home)["prompt"] == "select_account"
    assert visitor.get(visitor.come_back(away)).location == "/me"


def test_a_view_can_let_the_person_choose_another_account(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        app.get("/switch")(lambda: parjar.login(LoginOptions(other_account=True), next="/me"))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    browser = provider.browser()
    visitor.get(path_and_query(browser.sign_in(visitor.leave())))
    visitor.get(path_and_query(browser.sign_in(visitor.leave("/switch"), "grace")))
    assert visitor.get("/me").json["sub"] == "grace"


@pytest.mark.parametrize(
    "path, fault, code, helps",
    [
        ("/login", "response_error_access_denied", "access_denied", True),
        ("/reports", None, "insufficient_scope", True),
        ("/acme", None, "insufficient_claims", True),
        ("/login", "response_error_server_error", "provider_refused", False),
        ("/login", "id_token_nonce_missing", "token_nonce", False),
    ],
)
def test_another_account_is_offered_where_it_may_help(
    provider: DevProvider, path: str, fault: str | None, code: str, helps: bool
) -> None:
    visitor = Visitor(make_site(provider, PARJAR_SCOPES="openid"), provider)
    if fault is None:
        visitor.log_in()
        page = visitor.get(path)
    else:
        with provider.fault(fault):
            page = visitor.log_in(path)
    assert code_of(page) == code
    assert ("prompt=select_account" in page.text) is helps


def test_a_person_without_an_account_is_led_to_another_one(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        parjar.user_loader(lambda identity: {"grace": "of the navy"}.get(identity.subject))

    visitor = Visitor(make_site(provider, prepare=prepare), provider)
    browser = provider.browser()
    page = visitor.get(path_and_query(browser.sign_in(visitor.leave())))
    assert (page.status_code, "user_refused" in page.text) == (403, True)
    assert "grace" in people_to_be(visitor, browser, page)
