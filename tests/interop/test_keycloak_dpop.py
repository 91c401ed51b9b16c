"""DPoP at Keycloak, with a client that must bind its tokens (``dpop.bound.access.tokens``).

Keycloak asks for no nonces, and its refresh tokens are not bound for a client that authenticates.
What is asserted is the key in the token, which Keycloak itself reads at its userinfo endpoint.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests
from flask import Flask, request
from flask.testing import FlaskClient
from joserfc.jwk import import_key

from flask_parjar import ParJar, login_required
from flask_parjar.web.tokens import current_tokens
from tests.interop.client_site import account, begin, come_back, log_in
from tests.interop.keycloak_browser import KeycloakBrowser
from tests.interop.keycloak_client import TIMEOUT, register, site_of
from tests.interop.keycloak_process import KeycloakProcess
from tests.support.headers import FROM_THE_SITE, SCRIPT
from tests.support.interop_table import shows_at
from tests.support.jwt import read_jwt

pytestmark = pytest.mark.interop
shows = shows_at("Keycloak")

BOUND = "dpop"
PLAIN = "without-dpop"


@pytest.fixture(scope="module", autouse=True)
def clients(keycloak: KeycloakProcess) -> None:
    """The clients of this module."""
    register(keycloak, BOUND, dpop_bound_access_tokens="true")
    register(keycloak, PLAIN)


def dpop_site(keycloak: KeycloakProcess, client_id: str = BOUND, **more: Any) -> FlaskClient:
    """A site that shows the tokens of who is logged in, and calls userinfo as an API."""
    given = {"PARJAR_DPOP": True, "PARJAR_USERINFO": True, "PARJAR_STORE": "memory"}
    site = site_of(keycloak, client_id, **{**given, **more})
    app: Flask = site.application
    userinfo = keycloak.metadata()["userinfo_endpoint"]

    @app.get("/tokens")
    @login_required
    def tokens() -> dict[str, Any]:
        found = current_tokens(fresh="fresh" in request.args)
        return {
            "access_token": found.access_token,
            "refresh_token": found.refresh_token,
            "token_type": found.token_type,
            "jkt": found.binding.parameters().get("dpop_jkt"),
        }

    @app.get("/call")
    def call() -> Any:
        return ParJar().api(userinfo).get("").json()

    @app.get("/headers")
    def headers() -> dict[str, str]:
        return ParJar().authorization_headers("GET", userinfo)

    return site


def ask(site: FlaskClient, path: str) -> dict[str, Any]:
    answer = site.get(path, headers=SCRIPT)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


@shows("DPoP")
def test_a_login_and_what_comes_after_it(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    site = dpop_site(keycloak)
    log_in(site, keycloak_browser)
    ada = keycloak.user_id("ada")
    assert account(site)["subject"] == ada
    first, second = ask(site, "/tokens"), ask(site, "/tokens?fresh=1")
    assert first["access_token"] != second["access_token"]
    assert (first["jkt"], first["token_type"]) == (second["jkt"], second["token_type"])
    for tokens in (first, second):
        claims = read_jwt(tokens["access_token"])[1]
        assert (tokens["token_type"], claims["cnf"]["jkt"]) == ("DPoP", tokens["jkt"])
    assert ask(site, "/call")["sub"] == ada
    assert len(keycloak.events(BOUND, "CODE_TO_TOKEN")) == 1
    assert len(keycloak.events(BOUND, "REFRESH_TOKEN")) == 1
    assert len(keycloak.events(BOUND, "USER_INFO_REQUEST")) >= 2


def test_the_token_is_of_no_use_without_the_key(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    site = dpop_site(keycloak)
    log_in(site, keycloak_browser)
    userinfo = keycloak.metadata()["userinfo_endpoint"]
    headers = ask(site, "/headers")
    jwk = read_jwt(headers["DPoP"])[0]["jwk"]
    assert import_key(jwk).thumbprint() == ask(site, "/tokens")["jkt"]
    token = headers["Authorization"].removeprefix("DPoP ")
    stolen = {"Authorization": f"Bearer {token}"}
    assert requests.get(userinfo, headers=stolen, timeout=TIMEOUT).status_code == 401
    assert requests.get(userinfo, headers=headers, timeout=TIMEOUT).status_code == 200
    assert requests.get(userinfo, headers=headers, timeout=TIMEOUT).status_code == 401


def test_each_login_has_a_key_of_its_own(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    site = dpop_site(keycloak)
    keys = set()
    for _ in range(2):
        log_in(site, keycloak_browser)
        keys.add(read_jwt(ask(site, "/tokens")["access_token"])[1]["cnf"]["jkt"])
    assert len(keys) == 2


def test_a_logout_revokes(keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser) -> None:
    site = dpop_site(keycloak)
    log_in(site, keycloak_browser)
    headers = ask(site, "/headers")
    before = len(keycloak.events(BOUND, "REVOKE_GRANT"))
    site.post("/logout", headers=FROM_THE_SITE)
    assert len(keycloak.events(BOUND, "REVOKE_GRANT")) > before
    userinfo = keycloak.metadata()["userinfo_endpoint"]
    assert requests.get(userinfo, headers=headers, timeout=TIMEOUT).status_code == 401


def test_a_client_that_must_bind_its_tokens_gets_none_without_a_proof(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    site = dpop_site(keycloak, PARJAR_DPOP=False)
    page = come_back(site, keycloak_browser.sign_in(begin(site), login="ada"))
    assert (page.status_code, "exchange_refused" in page.text) == (502, True)


def test_a_proof_binds_the_tokens_of_another_client_too(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    site = dpop_site(keycloak, PLAIN)
    log_in(site, keycloak_browser)
    tokens = ask(site, "/tokens")
    assert read_jwt(tokens["access_token"])[1]["cnf"]["jkt"] == tokens["jkt"]
