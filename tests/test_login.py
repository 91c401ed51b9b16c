"""The way out: what is signed, pushed, remembered, and carried by the browser."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from flask import Flask

from flask_parjar import LoginOptions, ParJar
from flask_parjar.testing import DevProvider
from tests.site import ISSUER, SCOPES, Visitor, make_site, query


def pushed(provider: DevProvider) -> dict[str, list[str]]:
    """The form of the last push, as it arrived."""
    calls = [call for call in provider.calls if call.endpoint == "pushed_authorization_request"]
    return calls[-1].form.to_dict(flat=False)


def decode(jwt: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims = (
        json.loads(base64.urlsafe_b64decode(part + "==")) for part in jwt.split(".")[:2]
    )
    return header, claims


def request_object(provider: DevProvider) -> dict[str, Any]:
    return decode(pushed(provider)["request"][0])[1]


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
    header, claims = decode(pushed(provider)["request"][0])
    key = visitor.app.extensions["parjar"].providers["default"].client.signing_keys[0]
    assert header == {"alg": "ES256", "typ": "oauth-authz-req+jwt", "kid": key.kid}
    assert before <= claims["iat"] <= after
    assert claims["nbf"] == claims["iat"] - 10
    assert claims["exp"] == claims["iat"] + 60
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


def test_the_client_assertion(visitor: Visitor, provider: DevProvider) -> None:
    visitor.leave()
    header, claims = decode(pushed(provider)["client_assertion"][0])
    assert set(header) == {"alg", "kid"}
    assert set(claims) == {"iss", "sub", "aud", "jti", "iat", "exp"}
    assert claims["iss"] == claims["sub"] == "flask-parjar"
    assert (claims["aud"], claims["exp"] - claims["iat"]) == (ISSUER, 60)


def test_nothing_is_used_twice(visitor: Visitor, provider: DevProvider) -> None:
    seen: list[str] = []
    for _ in range(20):
        visitor.leave()
        claims = request_object(provider)
        assertion = decode(pushed(provider)["client_assertion"][0])[1]
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


def test_a_post_is_no_login(visitor: Visitor, provider: DevProvider) -> None:
    assert visitor.post("/login").status_code == 405
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


def test_a_pinned_redirect_uri(provider: DevProvider) -> None:
    app = make_site(provider, PARJAR_REDIRECT_URI="https://www.example/callback")
    visitor = Visitor(app, provider)
    away = visitor.leave()
    assert request_object(provider)["redirect_uri"] == "https://www.example/callback"
    assert visitor.get(visitor.come_back(away)).status_code == 302
    token = next(call for call in provider.calls if call.endpoint == "token")
    assert token.form["redirect_uri"] == "https://www.example/callback"


def test_options_of_one_login(provider: DevProvider) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/special")
        def special() -> Any:
            return parjar.login(
                next="/me",
                scopes=["openid", "email"],
                login_hint="ada",
                prompt="login",
                max_age=300,
                acr_values=["pwd", "mfa"],
                essential_acr=True,
                ui_locales="de en",
                claims={"userinfo": {"name": None}},
                authorization_details=[{"type": "payment"}],
                resource=["https://a.example", "https://b.example"],
                params={"organization": "acme", "number": 7},
            )

    app = make_site(
        provider, prepare=prepare, PARJAR_AUTHORIZATION_PARAMS={"audience": "x", "number": 1}
    )
    visitor = Visitor(app, provider)
    away = visitor.leave("/special")
    claims = request_object(provider)
    assert {name: claims[name] for name in OPTIONS} == OPTIONS
    assert visitor.get(visitor.come_back(away)).location == "/me"
    assert visitor.get("/me").json["scopes"] == ["email", "openid"]


OPTIONS = {
    "scope": "openid email",
    "login_hint": "ada",
    "prompt": "login",
    "max_age": 300,
    "acr_values": "pwd mfa",
    "ui_locales": "de en",
    "claims": {
        "userinfo": {"name": None},
        "id_token": {"acr": {"essential": True, "values": ["pwd", "mfa"]}},
    },
    "authorization_details": [{"type": "payment"}],
    "resource": ["https://a.example", "https://b.example"],
    "organization": "acme",
    "number": 7,
    "audience": "x",
}


def test_free_parameters_may_not_speak_for_the_library() -> None:
    with pytest.raises(ValueError, match="params may not set request, state"):
        LoginOptions(params={"state": "x", "request": "y", "organization": "z"})


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


def test_one_named_provider_needs_no_choice(provider: DevProvider) -> None:
    visitor = Visitor(make_site(provider, PARJAR_PROVIDERS={"work": {}}), provider)
    assert visitor.log_in("/login?next=/me").location == "/me"
    assert visitor.log_in("/login/work?next=/me").location == "/me"


def test_the_published_keys(visitor: Visitor) -> None:
    response = visitor.get("/.well-known/jwks.json")
    (jwk,) = response.json["keys"]
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert set(jwk) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


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


@pytest.mark.parametrize(
    "config, required, code",
    [
        ("UNPUSHED", "require_pushed_authorization_requests", "par_required"),
        ("UNSIGNED", "require_signed_request_object", "jar_required"),
    ],
)
def test_what_the_provider_requires_no_key_can_waive(
    provider: DevProvider, config: str, required: str, code: str
) -> None:
    app = make_site(provider, **{f"PARJAR_INSECURE_{config}_REQUEST": True})
    assert provider.metadata[required] is True
    response = app.test_client().get("/login")
    assert (response.status_code, code in response.text) == (502, True)


def test_an_unpushed_request_where_the_operator_says_so(provider: DevProvider) -> None:
    provider.metadata["require_pushed_authorization_requests"] = False
    app = make_site(provider, PARJAR_INSECURE_UNPUSHED_REQUEST=True)
    away = query(Visitor(app, provider).leave())
    assert set(away) == {"client_id", "response_type", "scope", "request"}
    assert decode(away["request"][0])[1]["iss"] == "flask-parjar"
    assert [call.endpoint for call in provider.calls] == ["discovery"]


def test_an_unsigned_request_where_the_operator_says_so(provider: DevProvider) -> None:
    provider.metadata["require_signed_request_object"] = False
    app = make_site(
        provider,
        PARJAR_INSECURE_UNSIGNED_REQUEST=True,
        PARJAR_AUTHORIZATION_PARAMS={"claims": {"id_token": {"acr": None}}},
    )
    app.test_client().get("/login")
    form = pushed(provider)
    assert "request" not in form
    assert form["claims"] == ['{"id_token": {"acr": null}}']
    assert {"state", "nonce", "code_challenge"} < set(form)


def test_one_retry_with_everything_fresh(visitor: Visitor, provider: DevProvider) -> None:
    visitor.leave()
    provider.calls.clear()
    with provider.fault("par_503_once"):
        visitor.leave()
    first, second = [call.form.to_dict() for call in provider.calls]
    assert decode(first["request"])[1]["jti"] != decode(second["request"])[1]["jti"]
    ours = decode(first["client_assertion"])[1], decode(second["client_assertion"])[1]
    assert ours[0]["jti"] != ours[1]["jti"]
    same = decode(first["request"])[1]["state"], decode(second["request"])[1]["state"]
    assert same[0] == same[1]
