"""Logins at Keycloak, with the realm of ``docs/providers``.

What is asserted is what Keycloak says afterwards: its events, its sessions, the claims of its
tokens.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc.jwk import ECKey
from werkzeug.serving import make_server

from flask_parjar import claims_required, current_user, step_up_required
from flask_parjar.testing.serving import running
from tests.interop.client_site import (
    EC,
    account,
    asks_for_a_login,
    begin,
    come_back,
    endpoints,
    log_in,
    new_site,
    signals_of,
)
from tests.interop.keycloak_browser import KeycloakBrowser
from tests.interop.keycloak_client import (
    ALGORITHMS,
    AUTHENTICATORS,
    TIMEOUT,
    keycloak_client,
    register,
    settings,
    site_of,
)
from tests.interop.keycloak_process import KeycloakProcess
from tests.support.headers import FROM_ANOTHER_SITE, NAVIGATION
from tests.support.interop_table import each_shows, shows_at
from tests.support.recipes import recipe

pytestmark = pytest.mark.interop

shows = shows_at("Keycloak")

SITE_ID = "site"

MAPPER = {
    "name": "another audience",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-audience-mapper",
    "config": {"included.custom.audience": "https://api.example", "id.token.claim": "true"},
}


@pytest.fixture(scope="module", autouse=True)
def clients(keycloak: KeycloakProcess) -> None:
    """The clients of this module."""
    for alg in ALGORITHMS:
        for method in AUTHENTICATORS:
            keycloak.add_client(keycloak_client(f"{alg}-{method}", alg=alg, method=method))
    register(keycloak, SITE_ID)
    register(keycloak, "signed-userinfo", user_info_response_signature_alg="ES256")
    several = keycloak_client("several-audiences", alg="ES256", method="private_key_jwt")
    keycloak.add_client(several | {"protocolMappers": [MAPPER]})
    consent = keycloak_client("asks-for-consent", alg="ES256", method="private_key_jwt")
    keycloak.add_client(consent | {"consentRequired": True})


@pytest.mark.parametrize("method", each_shows(shows, [*AUTHENTICATORS]))
@pytest.mark.parametrize("alg", each_shows(shows, ALGORITHMS))
@shows("signed and pushed request")
@shows("iss in the response")
def test_a_login_of_the_matrix(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser, alg: str, method: str
) -> None:
    client_id = f"{alg}-{method}"
    site = new_site(settings(keycloak, client_id, alg=alg, method=method))
    with signals_of(site) as sent:
        location = log_in(site, keycloak_browser)
    assert set(parse_qs(urlsplit(location).query)) == {"client_id", "request_uri"}
    assert account(site)["issuer"] == keycloak.issuer
    (logged_in,) = sent["logged_in"]
    assert logged_in["id_token"]["header"]["alg"] == alg
    called = [each for each in endpoints(sent) if each[0] not in ("discovery", "jwks")]
    assert called == [("pushed_authorization_request", 201), ("token", 200)]

    # Keycloak's own record: who logged in, and how the client was authenticated.
    ada = keycloak.user_id("ada")
    assert account(site)["subject"] == ada
    (login,) = keycloak.events(client_id, "LOGIN")
    (exchange,) = keycloak.events(client_id, "CODE_TO_TOKEN")
    assert (login["userId"], exchange["userId"]) == (ada, ada)
    assert exchange["details"]["client_auth_method"] == AUTHENTICATORS[method]


@pytest.mark.parametrize(("person", "status"), [("ada", 200), ("grace", 403)])
def test_the_client_of_the_realm_file_and_the_roles_of_the_realm(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser, person: str, status: int
) -> None:
    """Registered by the file alone; only the port is another one at which the site has its keys."""
    home = "http://127.0.0.1:5000"
    shown = recipe("A client in your own realm", issuer=keycloak.issuer, key=EC)
    site = new_site({**shown, "PARJAR_HTTP_TIMEOUT": TIMEOUT})
    app: Flask = site.application

    @app.get("/edit")
    @claims_required({("realm_access", "roles"): "editor"})
    def edit() -> str:
        return "the editor"

    with running(server := make_server("127.0.0.1", 0, app, threaded=True)):
        url = f"http://127.0.0.1:{server.port}/.well-known/jwks.json"
        keycloak.change_client("my-site", {"jwks.url": url})
        away = site.get("/login?next=/edit", base_url=home, headers=NAVIGATION)
        callback = keycloak_browser.sign_in(away.headers["Location"], login=person)
        assert callback.startswith(f"{home}/callback?")
        assert site.get(callback, headers=FROM_ANOTHER_SITE).headers["Location"] == "/edit"
    assert site.get("/edit", base_url=home, headers=NAVIGATION).status_code == status
    assert keycloak.events("my-site", "LOGIN")[0]["userId"] == keycloak.user_id(person)


@pytest.mark.parametrize(
    "client_id",
    [
        pytest.param(SITE_ID, marks=shows("userinfo")),
        pytest.param("signed-userinfo", marks=shows("signed userinfo")),
    ],
)
def test_userinfo(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser, client_id: str
) -> None:
    site = site_of(keycloak, client_id, PARJAR_USERINFO=True, PARJAR_SCOPES="openid profile email")
    log_in(site, keycloak_browser)
    assert (account(site)["name"], account(site)["email"]) == ("Ada Lovelace", "ada@example.com")
    (asked, *_) = keycloak.events(client_id, "USER_INFO_REQUEST")
    expected = None if client_id == SITE_ID else "ES256"
    assert asked["details"].get("signature_algorithm") == expected


def test_an_audience_that_is_not_trusted_is_refused(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    site = site_of(keycloak, "several-audiences")
    answer = come_back(site, keycloak_browser.sign_in(begin(site)))
    assert answer.status_code == 502
    assert "token_audience" in answer.text
    assert asks_for_a_login(site)


def test_an_audience_that_is_trusted_is_accepted(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    trusted = ["https://api.example"]
    site = site_of(keycloak, "several-audiences", PARJAR_TRUSTED_AUDIENCES=trusted)
    log_in(site, keycloak_browser)
    assert account(site)["subject"] == keycloak.user_id("ada")


@shows("refused consent")
def test_consent_that_is_refused_is_told_to_the_visitor(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    site = site_of(keycloak, "asks-for-consent")
    answer = come_back(site, keycloak_browser.refuse_consent(begin(site)))
    assert keycloak_browser.steps == ["username", "password", "consent"]
    assert answer.status_code == 403
    assert "access_denied" in answer.text
    (refused,) = keycloak.events("asks-for-consent", "LOGIN_ERROR")
    assert refused["error"] == "rejected_by_user"


@shows("prompt")
def test_prompt_none_needs_a_session_at_keycloak(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    site = site_of(keycloak, SITE_ID, PARJAR_AUTHORIZATION_PARAMS={"prompt": "none"})
    answer = come_back(site, keycloak_browser.sign_in(begin(site)))
    assert "login_required" in answer.text
    assert keycloak_browser.steps == []

    log_in(site_of(keycloak, SITE_ID), keycloak_browser)
    log_in(site, keycloak_browser)
    assert keycloak_browser.steps == ["username", "password"]


@shows("prompt")
def test_prompt_login_asks_for_the_password_again(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    log_in(site_of(keycloak, SITE_ID), keycloak_browser)
    site = site_of(keycloak, SITE_ID, PARJAR_AUTHORIZATION_PARAMS={"prompt": "login"})
    log_in(site, keycloak_browser)
    assert keycloak_browser.steps == ["username", "password", "password"]


def test_prompt_consent_asks_for_consent_again(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    log_in(site_of(keycloak, "asks-for-consent"), keycloak_browser)
    log_in(site_of(keycloak, "asks-for-consent"), keycloak_browser)
    assert keycloak_browser.steps == ["username", "password", "consent"]
    params = {"prompt": "consent"}
    log_in(
        site_of(keycloak, "asks-for-consent", PARJAR_AUTHORIZATION_PARAMS=params), keycloak_browser
    )
    assert keycloak_browser.steps == ["username", "password", "consent", "consent"]
    consents = [each["details"]["consent"] for each in keycloak.events("asks-for-consent", "LOGIN")]
    assert consents == ["consent_granted", "persistent_consent", "consent_granted"]


def test_a_key_that_keycloak_does_not_know_stops_the_login_before_the_redirect(
    keycloak: KeycloakProcess,
) -> None:
    another = ECKey.generate_key("P-256", {"kid": "another"}).as_dict(private=True)
    site = site_of(keycloak, SITE_ID, PARJAR_SIGNING_KEY=another)
    answer = site.get("/login", headers=NAVIGATION)
    assert answer.status_code == 502
    assert "push_refused" in answer.text
    assert "Location" not in answer.headers
    refused = keycloak.events(SITE_ID, "PUSHED_AUTHORIZATION_REQUEST_ERROR")
    assert "client_credentials_setup_required" in {each["error"] for each in refused}


# A stronger login.


def site_with_a_strong_page(keycloak: KeycloakProcess, *, acr: str) -> FlaskClient:
    """A site with a page that needs a step-up."""
    site = site_of(keycloak, SITE_ID)
    app: Flask = site.application

    @app.get("/strong")
    @step_up_required(acr=acr)
    def strong() -> dict[str, Any]:
        return {"acr": current_user.claims.get("acr")}

    return site


@shows("essential acr")
def test_a_level_of_authentication_asks_for_the_one_time_password_alone(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    site = site_with_a_strong_page(keycloak, acr="mfa")
    log_in(site, keycloak_browser)
    away = site.get("/strong", headers=NAVIGATION)
    assert away.status_code == 302
    back = come_back(site, keycloak_browser.sign_in(_to_keycloak(site, away)))
    assert back.status_code == 302, back.text
    assert keycloak_browser.steps == ["username", "password", "otp"]
    assert site.get("/strong", headers=NAVIGATION).get_json() == {"acr": "mfa"}


@shows("max_age")
def test_max_age_asks_for_the_password_again(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    site = site_of(keycloak, SITE_ID)
    log_in(site, keycloak_browser)
    time.sleep(2.1)  # Keycloak compares whole seconds
    away = site.get("/prove-it/1", headers=NAVIGATION)
    back = come_back(site, keycloak_browser.sign_in(_to_keycloak(site, away)))
    assert back.status_code == 302, back.text
    assert keycloak_browser.steps == ["username", "password", "password"]


def test_a_level_that_keycloak_does_not_know_is_refused_before_the_browser_leaves(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    """Keycloak accepts the pushed request and then keeps the browser on an error page."""
    site = site_with_a_strong_page(keycloak, acr="gold")
    log_in(site, keycloak_browser)
    with signals_of(site) as sent:
        answer = site.get("/strong", headers=NAVIGATION)
        if answer.status_code == 302:
            answer = site.get(answer.headers["Location"], headers=NAVIGATION)
    assert answer.status_code == 502
    assert "acr_unsupported" in answer.text
    assert endpoints(sent) == []


def _to_keycloak(site: FlaskClient, answer: Any) -> str:
    """Follow the site's own redirects to the one that leads to Keycloak."""
    location: str = answer.headers["Location"]
    if urlsplit(location).netloc in ("", "localhost"):
        return _to_keycloak(site, site.get(location, headers=NAVIGATION))
    return location
