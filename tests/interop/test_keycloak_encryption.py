"""Encrypted ID tokens at Keycloak: login, renewal, and both kinds of logout."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import request
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from flask_parjar.testing.serving import running as serving
from flask_parjar.web.tokens import current_tokens
from tests.interop.client_site import (
    EC,
    account,
    asks_for_a_login,
    begin,
    come_back,
    log_in,
    signals_of,
)
from tests.interop.encrypted_site import ALGORITHMS, encryption, published_keys
from tests.interop.keycloak_browser import KeycloakBrowser
from tests.interop.keycloak_client import register, site_of
from tests.interop.keycloak_process import KeycloakProcess
from tests.support.headers import FROM_THE_SITE, NAVIGATION
from tests.support.interop_table import shows_at
from tests.support.jwt import read_jwt
from tests.support.site_process import eventually

pytestmark = pytest.mark.interop
shows = shows_at("Keycloak")

SIGNING = {"PARJAR_SIGNING_KEY": EC.as_dict(private=True)}
ENCRYPTED = ("RSA-OAEP-256", "ECDH-ES+A256KW")
every_algorithm = pytest.mark.parametrize("alg", ENCRYPTED)


@pytest.fixture(scope="module", autouse=True)
def clients(keycloak: KeycloakProcess) -> None:
    """A client for each algorithm."""
    for alg in ENCRYPTED:
        register(
            keycloak,
            f"encrypted-{alg}",
            jwks_string=json.dumps({"keys": published_keys(SIGNING | encryption(alg))}),
            id_token_encrypted_response_alg=alg,
            id_token_encrypted_response_enc=ALGORITHMS[alg],
        )


@pytest.fixture(scope="module")
def everything_encrypted(keycloak: KeycloakProcess) -> str:
    """A client for which userinfo is encrypted too, and which must encrypt its requests."""
    client_id, alg = "everything-encrypted", "RSA-OAEP-256"
    config = SIGNING | encryption(alg, userinfo=True)
    register(
        keycloak,
        client_id,
        jwks_string=json.dumps({"keys": published_keys(config)}),
        id_token_encrypted_response_alg=alg,
        id_token_encrypted_response_enc=ALGORITHMS[alg],
        user_info_response_signature_alg="ES256",
        user_info_encrypted_response_alg=alg,
        user_info_encrypted_response_enc=ALGORITHMS[alg],
        request_object_encryption_alg="RSA-OAEP",
        request_object_encryption_enc="A256GCM",
    )
    return client_id


@shows("encrypted userinfo")
@shows("encrypted request object")
def test_a_login_with_everything_encrypted(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser, everything_encrypted: str
) -> None:
    requests = {
        "PARJAR_REQUEST_ENCRYPTION_ALG": "RSA-OAEP",
        "PARJAR_REQUEST_ENCRYPTION_ENC": "A256GCM",
    }
    sizes = []
    for more in ({}, requests):
        config = encryption("RSA-OAEP-256", userinfo=True) | more
        site = site_of(keycloak, everything_encrypted, **config)
        with signals_of(site) as sent:
            log_in(site, keycloak_browser)
        assert account(site)["name"] == "Ada Lovelace"
        calls = {call["endpoint"]: call for call in sent["provider_called"]}
        assert calls["userinfo"]["status"] == 200
        shown = calls["pushed_authorization_request"]["sent"]["request"]  # "eyJ… (999 characters)"
        sizes.append(int(shown.split("(")[1].split()[0]))
    clear, encrypted = sizes
    # Keycloak takes a request that is clear too. What is encrypted is encoded once more.
    assert encrypted > clear * 4 / 3


def test_a_key_of_the_provider_is_for_the_alg_that_it_names(
    keycloak: KeycloakProcess, everything_encrypted: str
) -> None:
    """Keycloak lists RSA-OAEP-256 for requests, and its only key for encryption is for RSA-OAEP."""
    site = site_of(keycloak, everything_encrypted, PARJAR_REQUEST_ENCRYPTION_ALG="RSA-OAEP-256")
    answer = site.get("/login", headers=NAVIGATION)
    assert answer.status_code == 502
    assert "request_encryption_key" in answer.text


def encrypted_site(keycloak: KeycloakProcess, alg: str) -> FlaskClient:
    return site_of(keycloak, f"encrypted-{alg}", PARJAR_STORE="memory", **encryption(alg))


@every_algorithm
@shows("encrypted ID token")
def test_a_login_and_a_logout(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser, alg: str
) -> None:
    site = encrypted_site(keycloak, alg)
    log_in(site, keycloak_browser)
    assert account(site)["subject"] == keycloak.user_id("ada")

    away = site.post("/logout", headers=FROM_THE_SITE).headers["Location"]
    (hint,) = parse_qs(urlsplit(away).query)["id_token_hint"]
    assert read_jwt(hint)[1]["sub"] == keycloak.user_id("ada")
    # Keycloak knows the token, so it asks nothing and sends the browser back.
    assert keycloak_browser.sign_out(away).startswith("http://localhost/?")
    assert asks_for_a_login(site)


@every_algorithm
def test_a_renewed_id_token_is_encrypted_too(
    keycloak: KeycloakProcess,
    keycloak_browser: KeycloakBrowser,
    alg: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client_id = f"encrypted-{alg}"
    site = encrypted_site(keycloak, alg)
    site.application.add_url_rule("/fresh", view_func=fresh_token)
    log_in(site, keycloak_browser)
    caplog.clear()
    first = site.get("/token", headers=NAVIGATION).text
    assert site.get("/fresh", headers=NAVIGATION).text != first
    assert keycloak.events(client_id, "REFRESH_TOKEN")
    # A renewed ID token that cannot be verified would be left out, with a warning.
    assert caplog.messages == []


def fresh_token() -> str:
    return current_tokens(fresh=True).access_token


@every_algorithm
def test_without_the_key_in_the_configuration_the_login_is_refused(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser, alg: str
) -> None:
    site = site_of(keycloak, f"encrypted-{alg}")
    answer = come_back(site, keycloak_browser.sign_in(begin(site)))
    assert answer.status_code == 502
    assert "token_encrypted" in answer.text


@every_algorithm
def test_a_logout_token_of_keycloak_is_clear_and_ends_the_session(
    keycloak: KeycloakProcess,
    keycloak_browser: KeycloakBrowser,
    free_port: Callable[[], int],
    alg: str,
) -> None:
    client_id, port = f"notified-{alg}", free_port()
    register(
        keycloak,
        client_id,
        jwks_string=json.dumps({"keys": published_keys(SIGNING | encryption(alg))}),
        id_token_encrypted_response_alg=alg,
        id_token_encrypted_response_enc=ALGORITHMS[alg],
        backchannel_logout_url=f"http://127.0.0.1:{port}/backchannel-logout",
        backchannel_logout_session_required="true",
    )
    received: list[str] = []
    site = site_of(keycloak, client_id, PARJAR_STORE="memory", **encryption(alg))

    @site.application.before_request
    def listen() -> None:
        received.extend(request.form.getlist("logout_token"))

    log_in(site, keycloak_browser)
    with serving(make_server("127.0.0.1", port, site.application, threaded=True)):
        keycloak.end_sessions("ada")
        assert eventually(lambda: received, within=5)
        assert eventually(lambda: asks_for_a_login(site), within=5)
    assert [token.count(".") for token in received] == [2]
