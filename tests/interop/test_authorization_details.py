"""Rich authorization requests (RFC 9396) at oidc-provider."""

from __future__ import annotations

import time
from typing import Any

import pytest
from flask import jsonify
from flask.testing import FlaskClient

from flask_parjar import authorization_details_required
from flask_parjar.web import tokens
from tests.interop import oidc_client
from tests.interop.client_site import begin, come_back, new_site
from tests.interop.provider_process import ProviderProcess, StartProvider
from tests.interop.scripted_browser import OpenBrowser
from tests.support.headers import NAVIGATION
from tests.support.interop_table import shows_at

pytestmark = pytest.mark.interop
shows = shows_at("oidc-provider")

PAYMENT = {"type": "payment_initiation", "amount": {"currency": "EUR", "value": "7.00"}}
ACCOUNT = {"type": "account_information", "actions": ["list"]}
TYPES = ["payment_initiation", "account_information"]


@pytest.fixture(scope="module")
def start(oidc_provider: StartProvider) -> Any:
    def start_one(grants_alone: str | None = None) -> ProviderProcess:
        client = oidc_client.client_metadata(
            oidc_client.client_id_for("ES256", "private_key_jwt"),
            "ES256",
            "private_key_jwt",
            grant_types=["authorization_code", "refresh_token"],
            authorization_details_types=TYPES,
        )
        features = {"richAuthorizationRequests": {"types": TYPES, "grantsAlone": grants_alone}}
        return oidc_provider(clients=[client], features=features)

    return start_one


@pytest.fixture(scope="module")
def running(start: Any) -> ProviderProcess:
    """One process for this module, which grants everything."""
    process: ProviderProcess = start()
    return process


def site_of(provider: ProviderProcess, **more: Any) -> FlaskClient:
    """Return a site that asks for both details, and guards a view with each."""
    asks = {
        "PARJAR_STORE": "memory",
        "PARJAR_SCOPES": "openid profile email offline_access",
        "PARJAR_AUTHORIZATION_PARAMS": {
            "prompt": "consent",
            "authorization_details": [PAYMENT, ACCOUNT],
            "resource": "https://api.example.com/payments",  # without one, it refuses the request
        },
    }
    config = oidc_client.settings(provider, "ES256", "private_key_jwt")
    site = new_site({**config, **asks, **more})
    for kind in TYPES:
        site.application.add_url_rule(
            f"/{kind}",
            kind,
            authorization_details_required(type=kind)(
                lambda: jsonify(tokens.live().authorization_details)
            ),
        )
    return site


def granted(detail: dict[str, Any]) -> dict[str, Any]:
    return {**detail, "grantedTo": "ada"}


@shows("rich authorization requests")
def test_a_login_is_granted_what_it_asks_for(
    running: ProviderProcess, open_browser: OpenBrowser
) -> None:
    site = site_of(running)
    answer = come_back(site, open_browser(running).sign_in(begin(site)))
    assert answer.headers["Location"] == "/account", answer.text
    for kind in TYPES:
        shown = site.get(f"/{kind}", headers=NAVIGATION)
        assert shown.json == [granted(PAYMENT), granted(ACCOUNT)]


def test_a_renewal_says_it_again(running: ProviderProcess, open_browser: OpenBrowser) -> None:
    running.set_access_token_lifetime(seconds=1)
    site = site_of(running)
    assert come_back(site, open_browser(running).sign_in(begin(site))).status_code == 302
    first = site.get("/token", headers=NAVIGATION).text
    time.sleep(1.1)
    assert site.get("/token", headers=NAVIGATION).text != first
    shown = site.get("/payment_initiation", headers=NAVIGATION)
    assert shown.json == [granted(PAYMENT), granted(ACCOUNT)]


def test_less_than_asked_for(
    start: Any, open_browser: OpenBrowser, caplog: pytest.LogCaptureFixture
) -> None:
    provider = start("account_information")
    site = site_of(provider)
    assert come_back(site, open_browser(provider).sign_in(begin(site))).status_code == 302
    assert any("not granted" in message for message in caplog.messages)
    assert site.get("/account_information", headers=NAVIGATION).json == [granted(ACCOUNT)]
    denied = site.get("/payment_initiation", headers=NAVIGATION)
    assert (denied.status_code, "insufficient_authorization_details" in denied.text) == (403, True)


def test_a_type_that_is_not_listed_never_reaches_it(running: ProviderProcess) -> None:
    params = {"authorization_details": [PAYMENT, {"type": "other"}]}
    site = site_of(running, PARJAR_AUTHORIZATION_PARAMS=params)
    running.forget_calls()
    answer = site.get("/login", headers=NAVIGATION)
    assert (answer.status_code, "authorization_details_unsupported" in answer.text) == (502, True)
    assert running.calls("pushed_authorization_request") == []
