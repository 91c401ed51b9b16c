"""FAPI 2.0 at Keycloak with mutual TLS: its two client profiles that demand certificates.

Keycloak asks for certificates on its https port, and knows certificates of authorities alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.interop.client_site import account, begin, come_back, log_in, signals_of
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
from tests.interop.keycloak_tls import AUTHORITY
from tests.support.certificates import PairFiles, make_pair
from tests.support.headers import NAVIGATION
from tests.support.interop_table import shows_at
from tests.support.jwt import read_jwt
from tests.support.pages import code_of

pytestmark = pytest.mark.interop
shows = shows_at("Keycloak")

SECURITY = "fapi-2-security-profile"
SIGNING = "fapi-2-message-signing"

METHODS = {
    "private_key_jwt": "mutual TLS, bound tokens with private_key_jwt",
    "tls_client_auth": "mutual TLS, tls_client_auth",
}
BY_CERTIFICATE = {
    "authenticator": "client-x509",
    "x509_subjectdn": "O=Tests,CN=site",
    "x509_allow_regex_pattern_comparison": "false",
}


@pytest.fixture(scope="module", autouse=True)
def policies(keycloak: KeycloakProcess) -> None:
    """The policies of this module."""
    make_policies(keycloak)


@pytest.fixture
def ca_bundle(keycloak: KeycloakProcess) -> Path:
    """What a client must trust to reach Keycloak by https."""
    assert keycloak.tls is not None
    return keycloak.tls.authority


@pytest.fixture
def browser(ca_bundle: Path) -> Iterator[KeycloakBrowser]:
    """A new browser, without cookies, that trusts the authority of the tests."""
    with closing(KeycloakBrowser(ca_bundle=ca_bundle)) as opened:
        yield opened


@pytest.fixture
def files(tmp_path: Path) -> PairFiles:
    """The certificate of the site, and its key."""
    return PairFiles(tmp_path, make_pair("site", issuer=AUTHORITY))


@pytest.fixture
def own(keycloak: KeycloakProcess, ca_bundle: Path, files: PairFiles) -> dict[str, Any]:
    """The configuration of the sites, but for the profile and the client authentication."""
    return {
        "PARJAR_ISSUER": keycloak.https_issuer,
        "PARJAR_CA_BUNDLE": str(ca_bundle),
        "PARJAR_BOUND_TOKENS": True,
        **files.config,
    }


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(each, marks=shows(f"FAPI 2.0, {PROFILES[each]} with mutual TLS"))
        for each in (SECURITY, SIGNING)
    ],
)
@pytest.mark.parametrize(
    "method", [pytest.param(each, marks=shows(feature)) for each, feature in METHODS.items()]
)
def test_from_the_login_to_the_logout(
    keycloak: KeycloakProcess,
    browser: KeycloakBrowser,
    files: PairFiles,
    own: dict[str, Any],
    profile: str,
    method: str,
) -> None:
    client_id = f"{profile}-{method}"
    by_certificate = method == "tls_client_auth"
    found = register_bound(
        keycloak, client_id, profile, **(BY_CERTIFICATE if by_certificate else {})
    )
    assert found["tls.client.certificate.bound.access.tokens"] == "true"
    site = bound_site(
        keycloak,
        client_id,
        PARJAR_PROFILE=PROFILES[profile],
        PARJAR_CLIENT_AUTH=method,
        **own,
    )
    with signals_of(site) as sent:
        log_in(site, browser)
        assert account(site)["subject"] == keycloak.user_id("ada")
        first, second = text_of(site, "/token"), text_of(site, "/renew")
        assert text_of(site, "/call") == "application/jwt"
        asked = {
            "url": userinfo_of(keycloak.https_issuer),
            "headers": {"Authorization": f"Bearer {second}"},
            "verify": own["PARJAR_CA_BUNDLE"],
            "timeout": TIMEOUT,
        }
        certificate = (own["PARJAR_CLIENT_CERT"], own["PARJAR_CLIENT_CERT_KEY"])
        assert requests.get(**asked).status_code == 401
        assert requests.get(**asked, cert=certificate).status_code == 200
        log_out(site)
        assert requests.get(**asked, cert=certificate).status_code == 401
    for token in (first, second):
        assert read_jwt(token)[1]["cnf"] == {"x5t#S256": files.pair.thumbprint}
    event = keycloak.events(client_id, "CODE_TO_TOKEN")[0]
    expected = "client-x509" if by_certificate else "client-jwt"
    assert event["details"]["client_auth_method"] == expected
    assert {call["status"] for call in sent["provider_called"]} == {200, 201}


def test_a_login_without_a_certificate_is_refused(
    keycloak: KeycloakProcess,
    browser: KeycloakBrowser,
    own: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    register_bound(keycloak, "without-certificate", SECURITY)
    without = {name: own[name] for name in ("PARJAR_ISSUER", "PARJAR_CA_BUNDLE")}
    site = bound_site(keycloak, "without-certificate", **without)
    page = come_back(site, browser.sign_in(begin(site)))
    assert refused(page) == (400, "code_refused")  # (Keycloak says invalid_grant)
    assert "Client Certification missing" in caplog.text


def test_another_certificate_than_the_registered_one_is_refused(
    keycloak: KeycloakProcess, tmp_path: Path, own: dict[str, Any]
) -> None:
    register_bound(keycloak, "another-certificate", SECURITY, **BY_CERTIFICATE)
    other = PairFiles(tmp_path, make_pair("another", issuer=AUTHORITY))
    more = {**own, **other.config, "PARJAR_CLIENT_AUTH": "tls_client_auth"}
    page = bound_site(keycloak, "another-certificate", **more).get("/login", headers=NAVIGATION)
    assert refused(page) == (502, "push_refused")
    events = keycloak.events("another-certificate", "PUSHED_AUTHORIZATION_REQUEST_ERROR")
    assert "invalid_client_credentials" in {event["error"] for event in events}


def test_a_self_signed_certificate_is_refused_in_the_handshake(
    keycloak: KeycloakProcess, tmp_path: Path, own: dict[str, Any]
) -> None:
    """Keycloak sends an alert and closes; which of the two arrives is not certain."""
    register_bound(keycloak, "self-signed", SECURITY)
    more = {**own, **PairFiles(tmp_path, make_pair("site")).config}
    page = bound_site(keycloak, "self-signed", **more).get("/login", headers=NAVIGATION)
    assert code_of(page) in ("client_certificate_refused", "provider_unreachable")
