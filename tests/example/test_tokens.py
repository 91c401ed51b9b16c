"""The tokens of the example: shown, used at an API, renewed, and gone when the provider says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from time import time
from typing import TYPE_CHECKING

import pytest
import requests
from flask import Flask

from example_app import create_app
from example_app.__main__ import free_port
from example_app.tokens import ahead
from flask_parjar.testing import DevProvider, mount_api
from tests.support.site import ISSUER, Visitor

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SCOPES = "openid profile email reports:read offline_access"
SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def provider() -> DevProvider:
    return DevProvider(ISSUER)


def make_app(provider: DevProvider, **config: object) -> Flask:
    settings = {"PARJAR_SCOPES": SCOPES, "PARJAR_STORE": "memory", "TESTING": True, **config}
    app = create_app(provider.config(settings))
    provider.connect(app)
    return app


@pytest.fixture
def ada(provider: DevProvider) -> Visitor:
    """Ada, logged in at a site that keeps tokens."""
    visitor = Visitor(make_app(provider), provider)
    visitor.log_in()
    return visitor


@pytest.fixture
def at_a_real_provider() -> Iterator[Visitor]:
    """The same at a provider behind a socket, which is what an API is called through."""
    provider = DevProvider(f"http://127.0.0.1:{free_port(0)}")
    with provider.running():
        visitor = Visitor(make_app(provider), provider)
        visitor.log_in()
        yield visitor


def test_the_page_shows_a_token_cut_short(ada: Visitor) -> None:
    page = ada.get("/tokens").text
    assert re.search(r"[\w-]{8}… \(43 characters\)", page)
    assert not re.search(r"[\w-]{43}", page)
    assert "in 9 minutes" in page
    assert "not yet" in page
    assert "memory" in page


def test_an_anonymous_visitor_sees_no_tokens(provider: DevProvider) -> None:
    assert Visitor(make_app(provider), provider).get("/tokens").location == "/login?next=/tokens"


def test_a_renewal_is_shown_here_and_on_the_wire(provider: DevProvider, ada: Visitor) -> None:
    provider.access_token_seconds = 0  # over as soon as it is there
    ada.log_in()
    assert 'data-step="refresh"' not in ada.get("/wire").text
    for _ in range(2):
        page = ada.get("/tokens").text
        assert "expired" in page
        assert "less than a minute ago" in page
    provider.access_token_seconds = 600
    assert "in 9 minutes" in ada.get("/tokens").text
    wire = ada.get("/wire").text
    assert wire.count('data-step="refresh"') == 1, "the last of the three"
    assert "refresh_token" in wire


def test_a_site_that_keeps_none_says_so(provider: DevProvider) -> None:
    ada = Visitor(make_app(provider, PARJAR_STORE=None), provider)
    ada.log_in()
    page = ada.get("/tokens").text
    assert "PARJAR_STORE" in page
    assert "Call it" not in page


def test_tokens_in_cookies_are_shown_as_such(provider: DevProvider) -> None:
    ada = Visitor(make_app(provider, PARJAR_STORE="cookie"), provider)
    ada.log_in()
    assert "<dd>cookie</dd>" in ada.get("/tokens").text


def test_the_address_of_the_store_is_not_shown_whole(provider: DevProvider) -> None:
    app = make_app(provider, PARJAR_STORE="cookie")
    app.config["PARJAR_STORE"] = "redis://:secret@cache.example:6379"  # read once, at the start
    ada = Visitor(app, provider)
    ada.log_in()
    page = ada.get("/tokens").text
    assert "redis" in page
    assert "secret" not in page
    assert "cache.example" not in page


def test_the_button_calls_an_api_of_the_provider(at_a_real_provider: Visitor) -> None:
    answer = at_a_real_provider.get("/api/userinfo", headers=SCRIPT)
    assert answer.status_code == 200
    assert answer.json["name"] == "Ada Lovelace"
    calls = [call.endpoint for call in at_a_real_provider.provider.calls]
    assert calls[-1] == "userinfo"


def test_a_missing_api_url_is_shown(at_a_real_provider: Visitor) -> None:
    del at_a_real_provider.provider.metadata["userinfo_endpoint"]
    answer = at_a_real_provider.get("/api/userinfo", headers=SCRIPT)
    assert (answer.status_code, answer.json) == (502, {"error": "KeyError"})


def test_an_api_that_is_down_is_shown(provider: DevProvider) -> None:
    def down(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        raise requests.ConnectionError

    app = make_app(provider)
    mount_api(app, ISSUER, down)
    ada = Visitor(app, provider)
    ada.log_in()
    answer = ada.get("/api/userinfo", headers=SCRIPT)
    assert (answer.status_code, answer.json) == (502, {"error": "ConnectionError"})


def test_a_page_for_those_who_proved_more(provider: DevProvider, ada: Visitor) -> None:
    stronger = ada.get("/transfer").location
    assert stronger.startswith("/login?next=/transfer&step_up=")
    assert ada.log_in(stronger).location == "/transfer"
    page = ada.get("/transfer").text
    assert "mfa" in page
    assert "pwd, otp, mfa" in page


def test_a_logout_at_the_provider_ends_the_session_here(
    provider: DevProvider, ada: Visitor
) -> None:
    assert "/backchannel-logout" in ada.get("/tokens").text
    provider.end_session("ada")
    assert ada.get("/tokens").location == "/login?next=/tokens"


def test_a_way_to_the_provider_s_logout_where_there_is_one(provider: DevProvider) -> None:
    ada = Visitor(make_app(provider, EXAMPLE_SIGN_OUT_URL=f"{ISSUER}/end-session"), provider)
    ada.log_in()
    assert f'href="{ISSUER}/end-session"' in ada.get("/tokens").text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "expired"), (1.5, "in 1 second"), (59.5, "in 59 seconds"), (600.5, "in 10 minutes")],
)
def test_how_far_off(seconds: float, words: str) -> None:
    assert ahead(time() + seconds) == words


def test_the_address_for_logout_tokens_names_a_named_provider() -> None:
    provider = DevProvider(ISSUER)
    config = provider.config({"PARJAR_SCOPES": SCOPES, "PARJAR_STORE": "memory", "TESTING": True})
    section = {"issuer": config.pop("PARJAR_ISSUER"), "client_id": config.pop("PARJAR_CLIENT_ID")}
    app = create_app({**config, "PARJAR_PROVIDERS": {"work": section}})
    provider.connect(app)
    ada = Visitor(app, provider)
    ada.log_in("/login/work")
    assert "POST /backchannel-logout/work" in ada.get("/tokens").text
