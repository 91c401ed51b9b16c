"""Whole logins at each request level: what the provider got, and what the browser carried."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask

from flask_parjar import LoginOptions, ParJar
from flask_parjar.error_codes import CODES
from flask_parjar.protocol.request_level import REQUEST_LEVELS
from flask_parjar.testing import DevProvider
from flask_parjar.testing.browser import Stopped
from flask_parjar.testing.state import Call
from tests.support.jwt import read_jwt
from tests.support.pages import code_of
from tests.support.site import ISSUER, SCOPES, Visitor, make_site, query
from tests.support.threads import at_once

SECRET = "a secret that client and provider share"
AUTHS: Mapping[str, dict[str, Any]] = {
    "private_key_jwt": {},
    "client_secret_basic": {"PARJAR_CLIENT_SECRET": SECRET},
    "none": {"PARJAR_CLIENT_AUTH": "none"},
}
UNSIGNED = {
    *("client_id", "response_type", "redirect_uri", "scope", "state", "nonce"),
    *("code_challenge", "code_challenge_method"),
}
BESIDE = {"client_id", "response_type", "scope", "request"}
#: A provider for each level, by the level.
NAMES = {"pushed+signed": "bank", "pushed": "health", "signed": "state", "plain": "shop"}
CREDENTIALS = {"client_assertion", "client_assertion_type", "client_secret"}


@pytest.fixture
def provider() -> DevProvider:
    return DevProvider(ISSUER)


def site_of(provider: DevProvider, level: str, **more: Any) -> Flask:
    provider.allow_requests(level)
    return make_site(provider, PARJAR_REQUEST=level, **more)


def pushes(provider: DevProvider) -> list[Call]:
    return [call for call in provider.calls if call.endpoint == "pushed_authorization_request"]


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("name", REQUEST_LEVELS)
def test_a_whole_login(provider: DevProvider, name: str, auth: str) -> None:
    level, config = REQUEST_LEVELS[name], dict(AUTHS[auth])
    if not level.signed and auth != "private_key_jwt":
        config["PARJAR_SIGNING_KEY"] = None
    visitor = Visitor(site_of(provider, name, **config), provider)
    away = query(visitor.leave("/login?next=/me"))
    assert len(pushes(provider)) == level.pushed
    if level.pushed:
        assert set(away) == {"client_id", "request_uri"}
        sent = {*pushes(provider)[0].form} - CREDENTIALS
        assert sent == ({"client_id", "request"} if level.signed else UNSIGNED)
    else:
        assert set(away) == (BESIDE if level.signed else UNSIGNED)
    assert visitor.log_in("/login?next=/me").location == "/me"
    assert (visitor.get("/me").json or {})["sub"] == "ada"
    assert len(pushes(provider)) == 2 * level.pushed


@pytest.mark.parametrize("name", REQUEST_LEVELS)
def test_a_login_without_pkce(provider: DevProvider, name: str) -> None:
    """At a provider that refuses parameters which it does not know."""
    challenge = ("code_challenge", "code_challenge_method")
    provider.demands.known_parameters = tuple({*UNSIGNED, *BESIDE, "request_uri"} - {*challenge})
    app = site_of(provider, name, PARJAR_PKCE=False)
    visitor = Visitor(app, provider)
    assert visitor.log_in("/login?next=/me").location == "/me"
    (form,) = [call.form for call in provider.calls if call.endpoint == "token"]
    assert "code_verifier" not in form
    sent: dict[str, Any] = {name: value for name, (value,) in query(visitor.leave()).items()}
    for push in pushes(provider):
        sent |= push.form.to_dict()
    asked = read_jwt(sent["request"])[1] if "request" in sent else sent
    assert UNSIGNED - {*challenge} <= {*asked} and not {*challenge} & {*asked, *sent}


@pytest.mark.parametrize("pkce, code", [(True, "code_refused"), (False, "token_nonce")])
def test_the_code_of_another_login_is_refused(provider: DevProvider, pkce: bool, code: str) -> None:
    """RFC 9700 section 4.5.3: by PKCE, or by the nonce alone."""
    if not pkce:
        provider.demands.known_parameters = tuple(
            UNSIGNED - {"code_challenge", "code_challenge_method"}
        )
    app = site_of(provider, "plain", PARJAR_PKCE=pkce)
    victim, thief = Visitor(app, provider), Visitor(app, provider)
    stolen = query(victim.come_back(victim.leave()))["code"][0]
    own = thief.come_back(thief.leave(), "grace")
    assert code_of(thief.get(own.replace(query(own)["code"][0], stolen))) == code


def test_a_provider_that_refuses_pkce_refuses_the_browser(provider: DevProvider) -> None:
    provider.demands.known_parameters = tuple(
        UNSIGNED - {"code_challenge", "code_challenge_method"}
    )
    visitor = Visitor(site_of(provider, "plain"), provider)
    with pytest.raises(Stopped) as stopped:
        visitor.log_in()
    assert stopped.value.status == 400


def test_what_is_beside_a_request_object_is_inside_too(provider: DevProvider) -> None:
    away = query(Visitor(site_of(provider, "signed", PARJAR_SCOPES=SCOPES), provider).leave())
    claims = read_jwt(away["request"][0])[1]
    for name in BESIDE - {"request"}:
        assert away[name] == [claims[name]]
    assert (claims["aud"], claims["scope"]) == (ISSUER, SCOPES)
    assert UNSIGNED <= set(claims)


@pytest.mark.parametrize("level", ["signed", "plain"])
def test_the_authorization_endpoint_keeps_its_own_query(provider: DevProvider, level: str) -> None:
    provider.metadata["authorization_endpoint"] = f"{ISSUER}/authorize?tenant=a"
    visitor = Visitor(site_of(provider, level), provider)
    away = visitor.leave("/login?next=/me")
    assert query(away)["tenant"] == ["a"]
    assert visitor.get(visitor.come_back(away)).location == "/me"


@pytest.mark.parametrize("level", REQUEST_LEVELS)
def test_what_one_login_asks_for_reaches_the_provider(provider: DevProvider, level: str) -> None:
    def prepare(app: Flask, parjar: ParJar) -> None:
        @app.get("/prove-it")
        def prove_it() -> Any:
            acr = {"id_token": {"acr": {"essential": True, "values": ["mfa"]}}}
            resource = ["https://a.example", "https://b.example"]
            options = LoginOptions(max_age=60, claims=acr, resource=resource)
            return parjar.login(options, next="/me")

    visitor = Visitor(site_of(provider, level, prepare=prepare), provider)
    assert visitor.log_in("/prove-it").location == "/me"
    claims = (visitor.get("/me").json or {})["claims"]
    assert claims["acr"] == "mfa" and "auth_time" in claims
    if level == "pushed":
        form = pushes(provider)[0].form
        assert form["max_age"] == "60"
        assert json.loads(form["claims"])["id_token"]["acr"]["values"] == ["mfa"]
        assert form.getlist("resource") == ["https://a.example", "https://b.example"]


@pytest.mark.parametrize(
    ("level", "changes", "code"),
    [
        ("pushed+signed", {"pushed_authorization_request_endpoint": None}, "par_unsupported"),
        ("pushed", {"pushed_authorization_request_endpoint": None}, "par_unsupported"),
        ("signed", {"require_pushed_authorization_requests": True}, "par_required"),
        ("plain", {"require_pushed_authorization_requests": True}, "par_required"),
        ("pushed+signed", {"request_parameter_supported": False}, "jar_unsupported"),
        ("signed", {"request_parameter_supported": False}, "jar_unsupported"),
        ("pushed", {"require_signed_request_object": True}, "jar_required"),
        ("plain", {"require_signed_request_object": True}, "jar_required"),
    ],
)
def test_metadata_that_does_not_fit_the_level_ends_the_login(
    provider: DevProvider,
    caplog: pytest.LogCaptureFixture,
    level: str,
    changes: dict[str, Any],
    code: str,
) -> None:
    """Before the browser leaves, and nothing else is tried."""
    app = site_of(provider, level)
    provider.metadata.update(changes)
    page = app.test_client().get("/login")
    assert (page.status_code, code_of(page)) == (502, code)
    assert "Location" not in page.headers
    assert [call.endpoint for call in provider.calls] == ["discovery"]
    assert f"PARJAR_REQUEST is {level}" in caplog.text
    assert "PARJAR_REQUEST" in CODES[code].operator


@pytest.mark.parametrize("level", ["pushed+signed", "signed"])
def test_a_provider_that_forgets_to_say_that_it_takes_signed_requests(
    provider: DevProvider, level: str
) -> None:
    """As many do; they list the algorithms, at least."""
    del provider.metadata["request_parameter_supported"]
    visitor = Visitor(site_of(provider, level), provider)
    assert visitor.log_in("/login?next=/me").location == "/me"


@pytest.mark.parametrize("fault", ["par_error_request_ignored", "par_redirect", "par_500"])
@pytest.mark.parametrize("level", ["pushed+signed", "pushed"])
def test_a_push_that_fails_is_not_replaced_by_a_weaker_request(
    provider: DevProvider, level: str, fault: str
) -> None:
    provider.allow_requests("plain")
    app = site_of(provider, level)
    with provider.fault(fault):
        page = app.test_client().get("/login")
    assert page.status_code == 502
    assert "Location" not in page.headers
    assert len(pushes(provider)) == 1


def test_providers_at_different_levels_in_one_app_under_threads() -> None:
    providers = {level: DevProvider(f"https://op{n}.example") for n, level in enumerate(NAMES)}
    sections = {
        name: {"issuer": providers[level].issuer, "client_id": name, "request": level}
        for level, name in NAMES.items()
    }
    first = next(iter(providers.values()))
    app = make_site(first, connect=False, PARJAR_ISSUER=None, PARJAR_PROVIDERS=sections)
    for level, provider in providers.items():
        provider.allow_requests(level)
        provider.connect(app)

    def log_in_everywhere() -> None:
        for level, name in NAMES.items():
            visitor = Visitor(app, providers[level])
            assert visitor.log_in(f"/login/{name}?next=/me").location == "/me"
            assert (visitor.get("/me").json or {})["provider"] == name

    at_once([log_in_everywhere] * 4)
    for level, provider in providers.items():
        assert len(pushes(provider)) == 4 * REQUEST_LEVELS[level].pushed
        asked = [call.query for call in provider.calls if call.endpoint == "authorization"]
        forms = [call.form for call in pushes(provider)] or asked
        assert len(forms) == 4
        assert {"request" in form for form in forms} == {REQUEST_LEVELS[level].signed}
        assert {form["client_id"] for form in forms} == {NAMES[level]}
