"""Each request level at oidc-provider, which demands no more than the level gives."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from flask_parjar.protocol.request_level import REQUEST_LEVELS
from tests.interop.client_site import account, endpoints, log_in, new_site, signals_of
from tests.interop.oidc_client import client_id_for, client_metadata, settings
from tests.interop.provider_process import ProviderProcess, StartProvider
from tests.interop.scripted_browser import OpenBrowser
from tests.support.headers import NAVIGATION
from tests.support.interop_table import shows_at
from tests.support.jwt import read_jwt

pytestmark = pytest.mark.interop
shows = shows_at("oidc-provider")

METHODS = ("private_key_jwt", "client_secret_basic", "none")
PARAMETERS = {
    *("client_id", "response_type", "redirect_uri", "scope", "state", "nonce"),
    *("code_challenge", "code_challenge_method", "claims"),
}


@pytest.fixture(scope="module")
def running(oidc_provider: StartProvider) -> dict[str, ProviderProcess]:
    """The provider by what it demands: ``nothing``, or ``both``."""
    clients = [client_metadata(client_id_for("ES256", way), "ES256", way) for way in METHODS]
    free: dict[str, Any] = {
        "pushedAuthorizationRequests": {"requirePushedAuthorizationRequests": False},
        "requestObjects": {"requireSignedRequestObject": False},
        "claimsParameter": {"enabled": True},
    }
    return {
        "nothing": oidc_provider(clients=clients, features=free),
        "both": oidc_provider(clients=clients),
    }


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "name",
    [
        "pushed+signed",
        pytest.param("pushed", marks=shows("pushed request alone")),
        pytest.param("signed", marks=shows("signed request alone")),
        pytest.param("plain", marks=shows("plain request")),
    ],
)
def test_a_login_at_each_level(
    running: dict[str, ProviderProcess], open_browser: OpenBrowser, name: str, method: str
) -> None:
    provider, level = running["nothing"], REQUEST_LEVELS[name]
    provider.forget_calls()
    asked = {"claims": {"id_token": {"email": None}}}
    more: dict[str, Any] = {"PARJAR_REQUEST": name, "PARJAR_AUTHORIZATION_PARAMS": asked}
    if not level.signed and method != "private_key_jwt":
        more["PARJAR_SIGNING_KEY"] = None
    site = new_site(settings(provider, "ES256", method, **more))
    location = log_in(site, open_browser(provider))
    assert account(site)["subject"] == "ada"
    assert account(site)["email"] == "ada@example.com"

    carried = {key: values[0] for key, values in parse_qs(urlsplit(location).query).items()}
    pushes = provider.calls("pushed_authorization_request")
    assert len(pushes) == level.pushed
    if level.pushed:
        assert carried.keys() == {"client_id", "request_uri"}
    elif level.signed:
        assert carried.keys() == {"client_id", "response_type", "scope", "request"}
    sent = dict(pushes[0].form) if pushes else carried
    assert ("request" in sent) is level.signed
    if level.signed:
        assert PARAMETERS <= read_jwt(sent["request"])[1].keys()
    else:
        assert sent.keys() >= PARAMETERS
        assert json.loads(sent["claims"]) == asked["claims"]


@pytest.mark.parametrize(
    ("level", "code"),
    [("pushed", "jar_required"), ("signed", "par_required"), ("plain", "par_required")],
)
def test_a_provider_that_demands_more_than_the_level(
    running: dict[str, ProviderProcess], level: str, code: str
) -> None:
    config = settings(running["both"], "ES256", "private_key_jwt", PARJAR_REQUEST=level)
    site = new_site(config)
    with signals_of(site) as signals:
        page = site.get("/login", headers=NAVIGATION)
    assert (page.status_code, code in page.text) == (502, True)
    assert "Location" not in page.headers
    assert endpoints(signals) == [("discovery", 200)]
