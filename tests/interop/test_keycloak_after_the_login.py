"""After a login at Keycloak: renewal and revocation of tokens, and logouts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_parjar import login_required
from flask_parjar.web.tokens import current_tokens
from tests.interop.client_site import SITE, account, asks_for_a_login, log_in, signals_of
from tests.interop.keycloak_browser import KeycloakBrowser
from tests.interop.keycloak_by_hand import HandMade
from tests.interop.keycloak_client import keycloak_client, register, site_of
from tests.interop.keycloak_process import KeycloakProcess
from tests.support.headers import FROM_THE_SITE, NAVIGATION, SCRIPT
from tests.support.interop_table import shows_at
from tests.support.jwt import read_jwt

pytestmark = pytest.mark.interop

shows = shows_at("Keycloak")

SITE_ID = "with-tokens"
SHORT = "with-short-tokens"


@pytest.fixture(scope="module", autouse=True)
def clients(keycloak: KeycloakProcess) -> None:
    """The clients of this module."""
    # Keycloak tells a client about access tokens only if it is among their audience.
    mapper = {
        "name": "this client",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": {"included.client.audience": SITE_ID, "access.token.claim": "true"},
    }
    client = keycloak_client(SITE_ID, alg="ES256", method="private_key_jwt")
    keycloak.add_client(client | {"protocolMappers": [mapper]})
    register(keycloak, SHORT, access_token_lifespan="1")


@pytest.fixture
def rotation(keycloak: KeycloakProcess) -> Iterator[None]:
    """Each refresh token can be used once."""
    with keycloak.realm_with(revokeRefreshToken=True, refreshTokenMaxReuse=0):
        yield


@pytest.fixture
def thief(keycloak: KeycloakProcess) -> HandMade:
    """Somebody who has the key of the client."""
    return HandMade(keycloak, SITE_ID)


def site_with_tokens(
    keycloak: KeycloakProcess, client_id: str = SITE_ID, **more: Any
) -> FlaskClient:
    """A site that shows all of its tokens to who is logged in; ``?fresh=1`` renews them."""
    site = site_of(keycloak, client_id, **{"PARJAR_STORE": "memory", **more})
    app: Flask = site.application

    @app.get("/tokens")
    @login_required
    def tokens() -> dict[str, str | None]:
        found = current_tokens(fresh="fresh" in request.args)
        return {
            "access_token": found.access_token,
            "refresh_token": found.refresh_token,
            "id_token": found.id_token,
        }

    return site


def ask(site: FlaskClient, path: str = "/tokens") -> TestResponse:
    """Ask for the tokens, as a script does."""
    return site.get(path, headers=SCRIPT)


def tokens(site: FlaskClient, path: str = "/tokens") -> dict[str, str]:
    """The tokens of the person who is logged in."""
    answer = ask(site, path)
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.get_json()
    return found


def renewed(site: FlaskClient) -> dict[str, str]:
    """The same, renewed now."""
    return tokens(site, "/tokens?fresh=1")


# Renewal.


@shows("refresh tokens")
def test_a_token_that_ends_is_renewed(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    site = site_with_tokens(keycloak, SHORT)
    log_in(site, keycloak_browser)
    first = tokens(site)["access_token"]
    time.sleep(1.1)
    second = tokens(site)["access_token"]
    assert first != second
    claims = read_jwt(second)[1]
    assert (claims["azp"], claims["sub"]) == (SHORT, keycloak.user_id("ada"))
    assert keycloak.events(SHORT, "REFRESH_TOKEN")[0]["userId"] == keycloak.user_id("ada")


def test_the_id_token_of_a_renewal_has_no_nonce(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    site = site_with_tokens(keycloak)
    log_in(site, keycloak_browser)
    first = read_jwt(tokens(site)["id_token"])[1]
    again = read_jwt(renewed(site)["id_token"])[1]
    assert first["nonce"]
    assert "nonce" not in again
    assert (first["sid"], first["auth_time"]) == (again["sid"], again["auth_time"])
    assert first["iat"] <= again["iat"]
    assert account(site)["subject"] == keycloak.user_id("ada")


def test_without_rotation_a_refresh_token_can_be_used_again(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser, thief: HandMade
) -> None:
    site = site_with_tokens(keycloak)
    log_in(site, keycloak_browser)
    used = tokens(site)["refresh_token"]
    assert renewed(site)["access_token"]
    assert thief.refresh(used).status_code == 200
    assert renewed(site)["access_token"]


@pytest.mark.usefixtures("rotation")
@shows("rotated refresh tokens")
def test_rotated_refresh_tokens_are_used_once_each(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    site = site_with_tokens(keycloak)
    before = len(keycloak.events(SITE_ID, "REFRESH_TOKEN"))
    log_in(site, keycloak_browser)
    found = [tokens(site), *(renewed(site) for _ in range(3))]
    for kind in ("access_token", "refresh_token"):
        assert len({each[kind] for each in found}) == 4
    assert len(keycloak.events(SITE_ID, "REFRESH_TOKEN")) == before + 3


@pytest.mark.usefixtures("rotation")
def test_a_stolen_refresh_token_ends_the_tokens_when_it_is_used(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser, thief: HandMade
) -> None:
    site = site_with_tokens(keycloak)
    log_in(site, keycloak_browser)
    stolen = tokens(site)["refresh_token"]
    renewed(site)
    before = len(keycloak.events(SITE_ID, "REFRESH_TOKEN_ERROR"))
    answer = thief.refresh(stolen)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")

    refused = ask(site, "/tokens?fresh=1")
    assert (refused.status_code, refused.get_json()["error"]) == (401, "refresh_refused")
    assert len(keycloak.events(SITE_ID, "REFRESH_TOKEN_ERROR")) == before + 2
    log_in(site, keycloak_browser)
    assert renewed(site)["access_token"]


def test_a_session_that_keycloak_has_ended_needs_another_login(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    site = site_with_tokens(keycloak, SHORT)
    log_in(site, keycloak_browser)
    keycloak.end_sessions("ada")
    time.sleep(1.1)
    refused = ask(site)
    assert (refused.status_code, refused.get_json()["error"]) == (401, "refresh_refused")
    (event, *_) = keycloak.events(SHORT, "REFRESH_TOKEN_ERROR")
    assert event["error"] == "invalid_token"
    assert ask(site).get_json()["error"] == "tokens_missing", "Keycloak is not asked twice"
    log_in(site, keycloak_browser)
    assert keycloak_browser.steps == ["username", "password"] * 2


# Logouts.


@shows("logout at the provider")
def test_a_logout_ends_the_session_at_keycloak_and_comes_back(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser, thief: HandMade
) -> None:
    site = site_with_tokens(keycloak)
    keycloak.end_sessions("ada")
    log_in(site, keycloak_browser)
    held = tokens(site)
    assert thief.is_active("access_token", held["access_token"])
    assert len(keycloak.sessions("ada")) == 1

    answer = site.post("/logout", headers=FROM_THE_SITE)
    back = keycloak_browser.sign_out(answer.headers["Location"])
    assert urlsplit(back)._replace(query="").geturl() == f"{SITE}/"
    assert keycloak_browser.steps == ["username", "password"], "Keycloak does not ask"
    assert asks_for_a_login(site)
    assert keycloak.sessions("ada") == []
    assert not thief.is_active("access_token", held["access_token"])
    assert keycloak.events(SITE_ID, "REVOKE_GRANT")[0]["userId"] == keycloak.user_id("ada")


@shows("revocation")
def test_a_logout_of_the_site_alone_revokes_its_tokens(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser, thief: HandMade
) -> None:
    """Keycloak ends the session when a refresh token is revoked."""
    site = site_with_tokens(keycloak, PARJAR_PROVIDER_LOGOUT=False)
    log_in(site, keycloak_browser)
    held = tokens(site)
    session = read_jwt(held["id_token"])[1]["sid"]
    assert thief.is_active("refresh_token", held["refresh_token"])
    before = len(keycloak.events(SITE_ID, "REVOKE_GRANT"))

    with signals_of(site) as sent:
        assert site.post("/logout", headers=FROM_THE_SITE).status_code == 200
    revoked = [(call["endpoint"], call["status"]) for call in sent["provider_called"]]
    assert revoked == [("revocation", 200), ("revocation", 200)]
    assert len(keycloak.events(SITE_ID, "REVOKE_GRANT")) > before
    assert not thief.is_active("refresh_token", held["refresh_token"])
    assert not thief.is_active("access_token", held["access_token"])
    assert session not in {each["id"] for each in keycloak.sessions("ada")}


def test_an_assertion_for_the_revocation_endpoint_is_refused_there(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    """Why ``docs/providers`` warns of this setting."""
    site = site_with_tokens(keycloak, PARJAR_ASSERTION_AUDIENCE="endpoint")
    log_in(site, keycloak_browser)
    with signals_of(site) as sent:
        assert site.post("/logout", headers=FROM_THE_SITE).status_code == 302
    refused = [(call["endpoint"], call["status"]) for call in sent["provider_called"]]
    assert refused == [("revocation", 400), ("revocation", 400)]
    assert asks_for_a_login(site)


def test_without_a_store_keycloak_asks_whether_to_log_out(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    """There is no ID token to send as ``id_token_hint``."""
    site = site_of(keycloak, SITE_ID)
    keycloak.end_sessions("ada")
    log_in(site, keycloak_browser)
    answer = site.post("/logout", headers=FROM_THE_SITE)
    back = keycloak_browser.sign_out(answer.headers["Location"])
    assert keycloak_browser.steps[-1] == "logout"
    assert urlsplit(back)._replace(query="").geturl() == f"{SITE}/"
    assert keycloak.sessions("ada") == []
    assert site.get("/account", headers=NAVIGATION).status_code == 302
