"""DPoP at Spring Authorization Server (RFC 9449): it binds tokens and has no nonces."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from joserfc.jwk import import_key

from flask_parjar import ParJar
from flask_parjar.protocol.dpop import BeginDPoP
from flask_parjar.protocol.outbound import Outbound
from flask_parjar.provider.nonces import Nonces
from tests.interop.client_site import (
    account,
    asks_for_a_login,
    begin,
    come_back,
    endpoints,
    log_in,
    new_site,
    signals_of,
)
from tests.interop.scripted_browser import ScriptedBrowser
from tests.interop.spring_client import A_LOGIN, is_live, settings
from tests.interop.spring_process import SpringProcess
from tests.support.headers import FROM_THE_SITE, NAVIGATION
from tests.support.interop_table import ABSENT, shows_at
from tests.support.jwt import read_jwt

pytestmark = pytest.mark.interop
shows = shows_at("Spring Authorization Server")


def site_of(provider: SpringProcess, **more: Any) -> FlaskClient:
    """A site with bound tokens; ``/call`` calls the userinfo endpoint as an API."""
    given = {"PARJAR_DPOP": True, "PARJAR_USERINFO": True, "PARJAR_STORE": "memory", **more}
    site = new_site(settings(provider, "client_secret_basic", **given))

    @site.application.get("/type")
    def token_type() -> str:
        return ParJar().tokens().token_type

    @site.application.get("/renew")
    def renew() -> str:
        return ParJar().access_token(fresh=True)

    @site.application.get("/headers")
    def headers() -> dict[str, str]:
        return ParJar().authorization_headers("GET", f"{provider.issuer}/userinfo")

    @site.application.get("/call")
    def call() -> dict[str, Any]:
        answer = ParJar().api(provider.issuer).get("userinfo")
        return {"subject": answer.json()["sub"], "headers": [*answer.headers]}

    return site


def headers(site: FlaskClient) -> dict[str, str]:
    """The headers of one request to the userinfo endpoint."""
    answer: dict[str, str] = site.get("/headers").get_json()
    return answer


def token(site: FlaskClient) -> str:
    """The access token of the person who is logged in."""
    answer = site.get("/token", headers=NAVIGATION)
    assert answer.status_code == 200, answer.headers.get("Location")
    return answer.text


def key_of(site: FlaskClient) -> str:
    """The thumbprint of the key with which the site makes proofs."""
    return str(import_key(read_jwt(headers(site)["DPoP"])[0]["jwk"]).thumbprint())


def bound_to(access_token: str) -> str:
    """The thumbprint of the key that a token is bound to (RFC 9449 section 6.1)."""
    return str(read_jwt(access_token)[1]["cnf"]["jkt"])


@shows("DPoP")
def test_a_login_and_what_comes_after_it(
    spring: SpringProcess, scripted_browser: ScriptedBrowser
) -> None:
    site = site_of(spring)
    with signals_of(site) as signals:
        log_in(site, scripted_browser)
        assert account(site)["subject"] == "ada"
        key = key_of(site)
        tokens = [token(site), site.get("/renew").text, token(site)]
        assert site.get("/call").get_json()["subject"] == "ada"
        assert site.get("/type").text == "DPoP"
        site.post("/logout", headers=FROM_THE_SITE)
    assert tokens[0] != tokens[1] == tokens[2]
    assert {bound_to(each) for each in tokens} == {key}
    login = [*A_LOGIN, ("userinfo", 200)]
    renewal = [("token", 200), ("userinfo", 200)]
    assert endpoints(signals) == [*login, *renewal, *[("revocation", 200)] * 2]


def test_each_login_has_a_key_of_its_own_and_a_logout_ends_its_tokens(
    spring: SpringProcess, scripted_browser: ScriptedBrowser
) -> None:
    site = site_of(spring)
    keys = set()
    for _ in range(2):
        log_in(site, scripted_browser)
        access_token = token(site)
        keys.add(bound_to(access_token))
        assert is_live(spring, access_token)
        site.post("/logout", headers=FROM_THE_SITE)
        assert not is_live(spring, access_token)
        assert asks_for_a_login(site)
    assert len(keys) == 2


def test_without_the_setting_tokens_are_not_bound(
    spring: SpringProcess, scripted_browser: ScriptedBrowser
) -> None:
    """It cannot be told to demand a proof of a client."""
    site = site_of(spring, PARJAR_DPOP=False)
    log_in(site, scripted_browser)
    assert site.get("/type").text == "Bearer"
    assert "cnf" not in read_jwt(token(site))[1]


@shows("DPoP with nonces", ABSENT)
def test_it_gives_no_nonces(spring: SpringProcess, scripted_browser: ScriptedBrowser) -> None:
    site = site_of(spring)
    log_in(site, scripted_browser)
    answered = {name.lower() for name in site.get("/call").get_json()["headers"]}
    assert "content-type" in answered and "dpop-nonce" not in answered
    assert "nonce" not in read_jwt(headers(site)["DPoP"])[1]


def test_a_stolen_token_is_of_no_use(
    spring: SpringProcess, scripted_browser: ScriptedBrowser
) -> None:
    """That the provider refuses it is what makes the tests above worth something."""
    site = site_of(spring)
    log_in(site, scripted_browser)
    ours, url = headers(site), f"{spring.issuer}/userinfo"
    stolen = token(site)
    thief = BeginDPoP(alg="ES256", at_par=True)("the secret of another login")
    (proof,) = thief.proofs(stolen, nonces=Nonces())
    with_another_key = proof.apply(Outbound(method="GET", url=url), now=int(time.time())).headers
    for tried in (
        {"Authorization": f"Bearer {stolen}"},
        {"Authorization": f"DPoP {stolen}"},
        {**with_another_key},
    ):
        assert requests.get(url, headers=tried, timeout=10).status_code == 401
    used = [requests.get(url, headers=ours, timeout=10).status_code for _ in range(2)]
    assert used == [200, 401], "a proof is used once"


def test_it_does_not_bind_the_code(
    spring: SpringProcess, scripted_browser: ScriptedBrowser
) -> None:
    """The login began with ``dpop_jkt`` of one key, and the token request has another one.

    The login that began ends at another process of the site, which derives another key because it
    knows another list of algorithms.
    """
    algs = [{"dpop_signing_alg_values_supported": [alg]} for alg in ("ES256", "ES384")]
    first, second = (site_of(spring, PARJAR_METADATA=spring.metadata | each) for each in algs)
    callback = scripted_browser.sign_in(begin(first))
    cookie = first.get_cookie("session")
    assert cookie is not None
    second.set_cookie("session", cookie.value)
    answer = come_back(second, callback)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/account")
    assert bound_to(token(second)) == key_of(second)
