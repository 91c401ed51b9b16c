"""FAPI 2.0 at Keycloak: PARJAR_PROFILE here, and a client profile of Keycloak's own there.

A client policy binds the clients of these tests to the profiles as they are shipped. They demand
https of the site, on loopback too; Keycloak itself may be reached over http.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests
from joserfc.jwk import import_key

from tests.interop.client_site import (
    SITE,
    account,
    begin,
    come_back,
    endpoints,
    log_in,
    signals_of,
)
from tests.interop.keycloak_browser import KeycloakBrowser
from tests.interop.keycloak_client import TIMEOUT
from tests.interop.keycloak_fapi import (
    PROFILES,
    bound_site,
    log_out,
    make_policies,
    refused,
    register_bound,
    text_of,
    userinfo_of,
)
from tests.interop.keycloak_process import KeycloakProcess
from tests.support.headers import NAVIGATION, SCRIPT
from tests.support.interop_table import shows_at
from tests.support.jwt import read_jwt

pytestmark = pytest.mark.interop
shows = shows_at("Keycloak")

DPOP_SECURITY = "fapi-2-dpop-security-profile"
DPOP_SIGNING = "fapi-2-dpop-message-signing"

#: The algorithm of the site, whether the request is signed, and the response mode.
Choice = tuple[str, str, dict[str, Any]]
LOGINS: list[Choice] = [
    (DPOP_SECURITY, "ES256", {"PARJAR_REQUEST": "pushed"}),
    (DPOP_SECURITY, "PS256", {}),
    (DPOP_SIGNING, "ES256", {}),
    (DPOP_SIGNING, "PS256", {"PARJAR_RESPONSE_MODE": "jwt"}),
]
#: What the profiles demand of a client, if the client demands nothing by itself.
NOTHING_DEMANDED = {
    "require_pushed_authorization_requests": None,
    "pkce_code_challenge_method": None,
    "request_object_required": None,
    "request_object_signature_alg": None,
    "token_endpoint_auth_signing_alg": None,
    "id_token_signed_response_alg": None,
}


@pytest.fixture(scope="module", autouse=True)
def policies(keycloak: KeycloakProcess) -> None:
    """The policies of this module."""
    make_policies(keycloak)


@pytest.mark.parametrize(
    ("profile", "alg", "more"),
    [
        pytest.param(*each, marks=shows(f"FAPI 2.0, {PROFILES[each[0]]} with DPoP"))
        for each in LOGINS
    ],
)
def test_from_the_login_to_the_logout(
    keycloak: KeycloakProcess,
    keycloak_browser: KeycloakBrowser,
    profile: str,
    alg: str,
    more: dict[str, Any],
) -> None:
    client_id = f"{profile}-{alg}"
    responses = {"authorization_signed_response_alg": alg}
    unsigned = {"request_object_required": None} if "PARJAR_REQUEST" in more else {}
    register_bound(keycloak, client_id, profile, alg=alg, **responses, **unsigned)
    own = {"PARJAR_PROFILE": PROFILES[profile], "PARJAR_DPOP": True, **more}
    site = bound_site(keycloak, client_id, alg=alg, **own)
    with signals_of(site) as sent:
        log_in(site, keycloak_browser)
        assert account(site)["subject"] == keycloak.user_id("ada")
        first, second = text_of(site, "/token"), text_of(site, "/renew")
        assert text_of(site, "/call") == "application/jwt"
        headers = site.get("/headers", headers=SCRIPT).get_json()
        log_out(site)

    signed = PROFILES[profile] == "fapi2-message-signing" or not unsigned
    (started,) = sent["login_started"]
    assert (started["request_object"] is not None) == signed
    if signed:
        assert started["request_object"]["header"]["alg"] == alg
    assert sent["logged_in"][0]["id_token"]["header"]["alg"] == alg
    jkt = import_key(read_jwt(headers["DPoP"])[0]["jwk"]).thumbprint()
    for token in (first, second):
        assert read_jwt(token)[1]["cnf"]["jkt"] == jkt
    event = keycloak.events(client_id, "CODE_TO_TOKEN")[0]
    assert event["details"]["client_auth_method"] == "client-jwt"
    assert keycloak.events(client_id, "REFRESH_TOKEN")
    # Keycloak revokes no refresh tokens here: they are not bound to the key of the proof.
    assert endpoints(sent)[-2:] == [("revocation", 400), ("revocation", 200)]
    userinfo = userinfo_of(keycloak.issuer)
    assert requests.get(userinfo, headers=headers, timeout=TIMEOUT).status_code == 401


def test_what_keycloak_sets_when_the_client_is_saved(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    """PS256 where nothing is set; and the person is asked for consent."""
    found = register_bound(keycloak, "fapi-set", DPOP_SIGNING, alg="PS256", **NOTHING_DEMANDED)
    assert found == {
        "access.token.signed.response.alg": "PS256",
        "dpop.bound.access.tokens": "true",
        "id.token.signed.response.alg": "PS256",
        "pkce.code.challenge.method": "S256",
        "request.object.signature.alg": "PS256",
        "token.endpoint.auth.signing.alg": "PS256",
        "user.info.response.signature.alg": "PS256",
    }
    more = {"PARJAR_PROFILE": "fapi2-message-signing", "PARJAR_DPOP": True}
    log_in(bound_site(keycloak, "fapi-set", alg="PS256", **more), keycloak_browser)
    assert keycloak_browser.steps == ["username", "password", "consent"]


def test_signed_responses_need_an_algorithm(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    """Keycloak's profiles leave RS256 there, which FAPI does not allow."""
    register_bound(keycloak, "fapi-jarm", DPOP_SIGNING)
    more = {"PARJAR_PROFILE": "fapi2-message-signing", "PARJAR_DPOP": True}
    site = bound_site(keycloak, "fapi-jarm", PARJAR_RESPONSE_MODE="jwt", **more)
    page = come_back(site, keycloak_browser.sign_in(begin(site)))
    assert refused(page) == (502, "token_algorithm")


@pytest.mark.parametrize("profile", [DPOP_SECURITY, DPOP_SIGNING])
def test_a_login_without_dpop_is_refused(
    keycloak: KeycloakProcess,
    keycloak_browser: KeycloakBrowser,
    caplog: pytest.LogCaptureFixture,
    profile: str,
) -> None:
    client_id = f"without-dpop-{profile}"
    register_bound(keycloak, client_id, profile)
    site = bound_site(keycloak, client_id)
    page = come_back(site, keycloak_browser.sign_in(begin(site)))
    assert refused(page) == (502, "exchange_refused")
    assert "DPoP proof is missing" in caplog.text


def test_a_request_without_a_signature_is_refused_by_message_signing(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    """It is the profile that refuses: the client itself demands no signature."""
    for client_id, profile in (("unsigned-well", DPOP_SECURITY), ("unsigned-not", DPOP_SIGNING)):
        register_bound(keycloak, client_id, profile, request_object_required=None)
    more = {"PARJAR_DPOP": True, "PARJAR_REQUEST": "pushed"}
    log_in(bound_site(keycloak, "unsigned-well", **more), keycloak_browser)
    site = bound_site(keycloak, "unsigned-not", **more)
    page = come_back(site, keycloak_browser.sign_in(begin(site)))
    assert refused(page) == (400, "provider_refused")
    event = keycloak.events("unsigned-not", "LOGIN_ERROR")[0]
    assert event["details"]["reason"] == "client_policy_error"
    assert "'request'" in event["details"]["client_policy_error_detail"]


def test_a_client_that_was_not_saved_under_the_policy_gets_tokens_without_dpop(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    """``docs/providers`` warns of it. A site with DPoP gets bound tokens all the same."""
    register_bound(keycloak, "not-saved", DPOP_SIGNING, save=False)
    site = bound_site(keycloak, "not-saved", PARJAR_USERINFO=False)
    log_in(site, keycloak_browser)
    assert "cnf" not in read_jwt(text_of(site, "/token"))[1]
    more = {"PARJAR_PROFILE": "fapi2-message-signing", "PARJAR_DPOP": True}
    site = bound_site(keycloak, "not-saved", **more)
    log_in(site, keycloak_browser)
    assert "cnf" in read_jwt(text_of(site, "/token"))[1]


@pytest.mark.parametrize("alg", ["RS256", "EdDSA"])
def test_other_algorithms_are_refused(keycloak: KeycloakProcess, alg: str) -> None:
    """When the client is saved; and at its first request, if Keycloak has set PS256."""
    with pytest.raises(RuntimeError, match="not allowed signature algorithm"):
        register_bound(keycloak, f"{alg}-registered", DPOP_SECURITY, alg=alg)
    client_id = f"{alg}-not-registered"
    register_bound(keycloak, client_id, DPOP_SECURITY, alg=alg, **NOTHING_DEMANDED)
    site = bound_site(keycloak, client_id, alg=alg, PARJAR_DPOP=True)
    answer = site.get("/login", headers=NAVIGATION)
    assert refused(answer) == (502, "push_refused")
    events = keycloak.events(client_id, "PUSHED_AUTHORIZATION_REQUEST_ERROR")
    assert "invalid_client_credentials" in {event["error"] for event in events}


def test_a_redirect_uri_without_https_is_refused_on_loopback_too(
    keycloak: KeycloakProcess,
) -> None:
    register_bound(keycloak, "by-http", DPOP_SECURITY)
    (client,) = keycloak.admin("GET", "/clients", clientId="by-http")
    changed = {**client, "redirectUris": [f"{SITE}/callback"]}
    with pytest.raises(RuntimeError, match="Invalid redirectUris"):
        keycloak.admin("PUT", f"/clients/{client['id']}", changed)
