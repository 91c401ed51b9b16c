"""Encrypted ID tokens, userinfo, logout tokens and request objects at oidc-provider."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from flask_parjar.testing.serving import running as serving
from tests.interop import oidc_client
from tests.interop.client_site import (
    EC,
    account,
    asks_for_a_login,
    begin,
    come_back,
    log_in,
    new_site,
)
from tests.interop.encrypted_site import ALGORITHMS, encryption, published_keys
from tests.interop.provider_process import ProviderProcess, StartProvider
from tests.interop.scripted_browser import OpenBrowser
from tests.support.headers import FROM_THE_SITE, NAVIGATION
from tests.support.interop_table import shows_at
from tests.support.jwt import read_jwt
from tests.support.site_process import eventually

pytestmark = pytest.mark.interop
shows = shows_at("oidc-provider")

FEATURES = {
    "encryption": {"enabled": True},
    "jwtUserinfo": {"enabled": True},
    "backchannelLogout": {"enabled": True},
}
ELSEWHERE = "http://localhost/elsewhere"
SIGNING = {"PARJAR_SIGNING_KEY": EC.as_dict(private=True)}
every_algorithm = pytest.mark.parametrize("alg", ALGORITHMS)


def client(client_id: str, alg: str, **more: Any) -> dict[str, Any]:
    """Return the registration of a client for which everything is encrypted."""
    enc = ALGORITHMS[alg]
    registered = {
        "jwks": {"keys": published_keys(SIGNING | encryption(alg))},
        "grant_types": ["authorization_code", "refresh_token"],
        "id_token_encrypted_response_alg": alg,
        "id_token_encrypted_response_enc": enc,
        "userinfo_signed_response_alg": "ES256",
        "userinfo_encrypted_response_alg": alg,
        "userinfo_encrypted_response_enc": enc,
        "request_object_encryption_alg": alg,
        "request_object_encryption_enc": enc,
    }
    return oidc_client.client_metadata(
        client_id, "ES256", "private_key_jwt", **{**registered, **more}
    )


@pytest.fixture(scope="module")
def running(oidc_provider: StartProvider) -> ProviderProcess:
    """One process for this module."""
    clear = oidc_client.client_metadata("clear", "ES256", "private_key_jwt")
    return oidc_provider(
        clients=[*(client(alg, alg) for alg in ALGORITHMS), clear], features=FEATURES
    )


@pytest.fixture
def provider(running: ProviderProcess) -> ProviderProcess:
    """The same, its record empty; access tokens hold for an hour."""
    running.forget_calls()
    running.set_access_token_lifetime(seconds=3600)
    return running


def site_of(provider: ProviderProcess, client_id: str, **more: Any) -> FlaskClient:
    """Return a site that asks for a refresh token as the standard says."""
    config = oidc_client.settings(provider, "ES256", "private_key_jwt")
    asks = {
        "PARJAR_CLIENT_ID": client_id,
        "PARJAR_STORE": "memory",
        "PARJAR_SCOPES": "openid profile email offline_access",
        "PARJAR_AUTHORIZATION_PARAMS": {"prompt": "consent"},  # OpenID Connect Core 11
    }
    return new_site({**config, **asks, **more})


@every_algorithm
@shows("encrypted ID token")
@shows("encrypted userinfo")
@shows("encrypted request object")
def test_a_login_and_a_logout_with_everything_encrypted(
    provider: ProviderProcess, open_browser: OpenBrowser, alg: str
) -> None:
    site = site_of(provider, alg, **encryption(alg, userinfo=True, requests=True))
    browser = open_browser(provider)
    log_in(site, browser)
    assert (account(site)["subject"], account(site)["name"]) == ("ada", "Ada")
    (push,) = provider.calls("pushed_authorization_request")
    assert push.field("request").count(".") == 4
    assert len(provider.calls("userinfo")) == 1

    away = site.post("/logout", headers=FROM_THE_SITE).headers["Location"]
    (hint,) = parse_qs(urlsplit(away).query)["id_token_hint"]
    assert read_jwt(hint)[1]["sub"] == "ada"
    assert browser.sign_out(away).startswith("http://localhost/?")
    assert asks_for_a_login(site)


@every_algorithm
def test_a_renewed_id_token_is_encrypted_too(
    provider: ProviderProcess,
    open_browser: OpenBrowser,
    alg: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = site_of(provider, alg, **encryption(alg))
    provider.set_access_token_lifetime(seconds=1)
    log_in(site, open_browser(provider))
    caplog.clear()
    first = site.get("/token", headers=NAVIGATION).text
    time.sleep(1.1)
    assert site.get("/token", headers=NAVIGATION).text != first
    assert provider.refreshes()
    # A renewed ID token that cannot be verified would be left out, with a warning.
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("client_id", "settings", "code"),
    [
        ("clear", encryption("ECDH-ES"), "token_not_encrypted"),
        ("ECDH-ES", {}, "token_encrypted"),
        ("ECDH-ES", encryption("ECDH-ES+A256KW"), "token_encryption"),
    ],
)
def test_what_was_registered_otherwise_is_refused(
    provider: ProviderProcess,
    open_browser: OpenBrowser,
    client_id: str,
    settings: dict[str, Any],
    code: str,
) -> None:
    site = site_of(provider, client_id, PARJAR_SCOPES="openid", **settings)
    answer = come_back(site, open_browser(provider).sign_in(begin(site)))
    assert answer.status_code == 502
    assert code in answer.text
    assert asks_for_a_login(site)


def test_a_provider_that_does_not_encrypt_requests_gets_none(
    oidc_provider: StartProvider,
) -> None:
    clear = oidc_provider(
        clients=[oidc_client.client_metadata("clear", "ES256", "private_key_jwt")]
    )
    site = site_of(clear, "clear", PARJAR_REQUEST_ENCRYPTION_ALG="RSA-OAEP-256")
    answer = site.get("/login", headers=NAVIGATION)
    assert answer.status_code == 502
    assert "request_encryption_unsupported" in answer.text
    assert clear.calls("pushed_authorization_request") == []


@every_algorithm
def test_an_encrypted_logout_token_ends_the_session(
    oidc_provider: StartProvider,
    open_browser: OpenBrowser,
    free_port: Callable[[], int],
    alg: str,
) -> None:
    port = free_port()
    notified = client(
        "notified", alg, backchannel_logout_uri=f"http://127.0.0.1:{port}/backchannel-logout"
    )
    elsewhere = oidc_client.client_metadata(
        "elsewhere", "ES256", "private_key_jwt", post_logout_redirect_uris=[ELSEWHERE]
    )
    provider = oidc_provider(clients=[notified, elsewhere], features=FEATURES)
    site = site_of(provider, "notified", **encryption(alg))
    browser = open_browser(provider)
    log_in(site, browser)
    with serving(make_server("127.0.0.1", port, site.application, threaded=True)):
        query = {"client_id": "elsewhere", "post_logout_redirect_uri": ELSEWHERE}
        browser.sign_out(f"{provider.issuer}/session/end?{urlencode(query)}")
        (sent,) = provider.calls("backchannel_logout")
    assert (sent.status, sent.error) == (200, None)
    assert eventually(lambda: asks_for_a_login(site), within=3)
