"""DPoP at oidc-provider, also where it wants a nonce in each proof (RFC 9449)."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from flask_parjar import ParJar
from tests.interop import oidc_client
from tests.interop.client_site import SECRET, account, begin, come_back, log_in, new_site
from tests.interop.provider_process import ProviderProcess, StartProvider, proof_of
from tests.interop.scripted_browser import OpenBrowser
from tests.support.headers import FROM_THE_SITE, NAVIGATION
from tests.support.interop_table import shows_at
from tests.support.jwt import read_jwt

pytestmark = pytest.mark.interop
shows = shows_at("oidc-provider")

PUSH = "pushed_authorization_request"
ALGORITHMS = ("ES256", "Ed25519")
HOLD = 1  # seconds that access tokens hold


@pytest.fixture(scope="module")
def running(oidc_provider: StartProvider) -> dict[bool, ProviderProcess]:
    """The provider by whether it wants nonces."""
    grants = {"grant_types": ["authorization_code", "refresh_token"]}
    method = "client_secret_post"
    clients = [
        oidc_client.client_metadata(
            "site", "ES256", method, dpop_bound_access_tokens=True, **grants
        ),
        oidc_client.client_metadata(
            "assertion", "ES256", "private_key_jwt", dpop_bound_access_tokens=True, **grants
        ),
    ]
    return {
        wanted: oidc_provider(
            clients=clients,
            features={
                "dPoP": {"enabled": True, "requireNonce": wanted},
                "introspection": {"enabled": True},
            },
        )
        for wanted in (False, True)
    }


def site_of(
    provider: ProviderProcess, client_id: str = "site", *, dpop: bool = True, **more: Any
) -> FlaskClient:
    """A site that keeps tokens; ``/call`` calls the userinfo endpoint as an API."""
    method = "private_key_jwt" if client_id == "assertion" else "client_secret_post"
    given = {
        "PARJAR_CLIENT_ID": client_id,
        "PARJAR_DPOP": dpop,
        "PARJAR_USERINFO": True,
        "PARJAR_SCOPES": "openid profile offline_access",
        "PARJAR_AUTHORIZATION_PARAMS": {"prompt": "consent"},  # OpenID Connect Core 11
        "PARJAR_STORE": "memory",
    }
    site = new_site(oidc_client.settings(provider, "ES256", method, **{**given, **more}))

    @site.application.get("/call")
    def call() -> Any:
        return ParJar().api(provider.issuer).get("me").json()

    return site


def token(site: FlaskClient) -> str:
    """The access token of the person who is logged in."""
    answer = site.get("/token", headers=NAVIGATION)
    assert answer.status_code == 200, answer.headers.get("Location")
    return answer.text


def key_of_token(provider: ProviderProcess, access_token: str) -> str:
    """The thumbprint of the key that the provider has bound a token to (RFC 9449 section 6.2)."""
    form = {"token": access_token, "client_id": "site", "client_secret": SECRET}
    answer = requests.post(f"{provider.issuer}/token/introspection", data=form, timeout=10).json()
    assert (answer["active"], answer["token_type"]) == (True, "DPoP")
    return str(answer["cnf"]["jkt"])


@pytest.mark.parametrize(
    "nonces",
    [
        pytest.param(False, marks=shows("DPoP")),
        pytest.param(True, marks=shows("DPoP with nonces")),
    ],
)
def test_a_login_and_what_comes_after_it(
    running: dict[bool, ProviderProcess], open_browser: OpenBrowser, nonces: bool
) -> None:
    provider = running[nonces]
    provider.forget_calls()
    provider.set_access_token_lifetime(seconds=HOLD)
    site = site_of(provider)
    log_in(site, open_browser(provider))
    assert account(site)["subject"] == "ada"
    time.sleep(HOLD + 0.1)
    provider.set_access_token_lifetime(seconds=3600)
    access_token = token(site)
    assert site.get("/call").get_json()["sub"] == "ada"

    assert len(provider.refreshes()) >= 1
    calls = [call for call in provider.calls() if call.endpoint in (PUSH, "token", "userinfo")]
    keys = {proof_of(call)[0] for call in calls}
    assert keys == {key_of_token(provider, access_token)}
    pushed = read_jwt(provider.calls(PUSH)[-1].field("request"))[1]
    assert {pushed["dpop_jkt"]} == keys
    assert [call.authorization for call in provider.calls("userinfo")][-1] == "dpop"
    refused = [call for call in calls if (call.status or 0) >= 400]
    # One at the authorization server and one at userinfo; then the nonces are known.
    assert [call.endpoint for call in refused] == ([PUSH, "userinfo"] if nonces else [])
    accepted = [proof_of(call)[1] for call in calls if call not in refused]
    assert {"nonce" in claims for claims in accepted} == {nonces}
    assert len({proof_of(call)[1]["jti"] for call in calls}) == len(calls)


@pytest.mark.parametrize("nonces", [False, True])
def test_a_logout_revokes_with_a_proof(
    running: dict[bool, ProviderProcess], open_browser: OpenBrowser, nonces: bool
) -> None:
    provider = running[nonces]
    provider.set_access_token_lifetime(seconds=3600)
    site = site_of(provider)
    log_in(site, open_browser(provider))
    access_token = token(site)
    key = key_of_token(provider, access_token)
    provider.forget_calls()
    site.post("/logout", headers=FROM_THE_SITE)
    revocations = provider.calls("revocation")
    assert [call.status for call in revocations] == [200, 200]
    assert {proof_of(call)[0] for call in revocations} == {key}
    form = {"token": access_token, "client_id": "site", "client_secret": SECRET}
    answer = requests.post(f"{provider.issuer}/token/introspection", data=form, timeout=10)
    assert answer.json() == {"active": False}


def test_the_second_try_has_a_new_assertion(
    running: dict[bool, ProviderProcess], open_browser: OpenBrowser
) -> None:
    """oidc-provider has used up that of the first, and refuses the same ``jti`` again."""
    provider = running[True]
    provider.forget_calls()
    site = site_of(provider, "assertion")
    log_in(site, open_browser(provider))
    first, second = provider.calls(PUSH)
    assert (first.status, second.status) == (400, 201)
    assert first.error is not None and first.error["error"] == "use_dpop_nonce"
    for name in ("client_assertion", "request"):
        jtis = {read_jwt(call.field(name))[1]["jti"] for call in (first, second)}
        assert len(jtis) == 2


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_the_algorithms_of_proofs(
    running: dict[bool, ProviderProcess], open_browser: OpenBrowser, alg: str
) -> None:
    provider = running[False]
    provider.forget_calls()
    metadata = {**provider.metadata, "dpop_signing_alg_values_supported": [alg]}
    site = site_of(provider, PARJAR_METADATA=metadata)
    log_in(site, open_browser(provider))
    calls = [call for call in provider.calls() if "dpop" in call.headers]
    assert {read_jwt(call.headers["dpop"])[0]["alg"] for call in calls} == {alg}
    assert {call.status for call in calls} <= {200, 201}


def test_without_a_proof_such_a_client_gets_no_tokens(
    running: dict[bool, ProviderProcess], open_browser: OpenBrowser
) -> None:
    """That the provider demands the proofs is what makes the tests above worth something."""
    provider = running[False]
    site = site_of(provider, dpop=False)
    callback = open_browser(provider).sign_in(begin(site), login="ada")
    page = come_back(site, callback)
    assert (page.status_code, "code_refused" in page.text) == (400, True)
    assert "dpop" not in provider.calls("token")[-1].headers
