"""Providers that have no door to push to: a refusal in words, and no way around it in silence.

One is oidc-provider-mock, which does not read signed requests either; the other is Glewlwyd with
PAR switched off, which does.
"""

from __future__ import annotations

import logging
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from tests.interop.glewlwyd_browser import GlewlwydBrowser
from tests.interop.glewlwyd_process import WITHOUT_PAR, GlewlwydProcess, StartGlewlwyd
from tests.interop.mock_process import MockProcess
from tests.interop.scripted_browser import ScriptedBrowser
from tests.interop.visited_site import (
    EC,
    NAVIGATION,
    SECRET,
    SITE,
    account,
    begin,
    come_back,
    endpoints,
    knows_nobody,
    log_in,
    new_site,
    part,
    told,
)

pytestmark = pytest.mark.interop

UNPUSHED = {"PARJAR_INSECURE_UNPUSHED_REQUEST": True}
UNSIGNED = {"PARJAR_INSECURE_UNSIGNED_REQUEST": True}
EVERYTHING = ["response_type", "scope", "redirect_uri", "state", "nonce", "code_challenge"]

CLIENT = {
    "client_id": "site",
    "name": "site",
    "enabled": True,
    "confidential": True,
    "scope": [],
    "authorization_type": ["code"],
    "redirect_uri": [f"{SITE}/callback"],
    "token_endpoint_auth_method": ["client_secret_post"],
    "client_secret": SECRET,
    "request_object_signing_alg": "ES256",
    "sign_kid": "ES256",
    "jwks": {"keys": [EC.as_dict(private=False)]},
}


@pytest.fixture(scope="module")
def glewlwyd_process(glewlwyd: StartGlewlwyd) -> GlewlwydProcess:
    """Glewlwyd, which demands pushed requests at one issuer and has no such thing at another."""
    return glewlwyd(clients=[CLIENT], plugins={"with-par": {}, "without-par": WITHOUT_PAR})


def settings(issuer: str, **more: Any) -> dict[str, Any]:
    """Return the configuration of a site that is a client there."""
    return {
        "PARJAR_ISSUER": issuer,
        "PARJAR_CLIENT_ID": "site",
        "PARJAR_CLIENT_SECRET": SECRET,
        "PARJAR_CLIENT_AUTH": "client_secret_post",
        "PARJAR_SIGNING_KEY": EC.as_dict(private=True),
    } | more


def assert_refused_in_words(issuer: str, caplog: pytest.LogCaptureFixture) -> None:
    """Try to log in twice: no redirect, no more than the look at the metadata, and a reason."""
    site = new_site(settings(issuer))
    with told(site) as heard:
        for _ in range(2):
            answer = site.get("/login?next=/account", headers=NAVIGATION)
            assert (answer.status_code, "par_unsupported" in answer.text) == (502, True)
            assert "Location" not in answer.headers
            assert "Set-Cookie" not in answer.headers
    assert endpoints(heard) == [("discovery", 200)]
    assert heard["login_started"] == []
    assert "has no pushed_authorization_request_endpoint" in caplog.text
    assert issuer in caplog.text
    assert knows_nobody(site)


def test_a_provider_without_par_is_refused_in_words(
    oidc_provider_mock: MockProcess, caplog: pytest.LogCaptureFixture
) -> None:
    assert_refused_in_words(oidc_provider_mock.issuer, caplog)


def test_one_that_would_take_signed_requests_is_refused_all_the_same(
    glewlwyd_process: GlewlwydProcess, caplog: pytest.LogCaptureFixture
) -> None:
    assert_refused_in_words(glewlwyd_process.issuer("without-par"), caplog)


def test_unsigned_alone_does_not_make_it_unpushed(oidc_provider_mock: MockProcess) -> None:
    answer = new_site(settings(oidc_provider_mock.issuer, **UNSIGNED)).get(
        "/login", headers=NAVIGATION
    )
    assert (answer.status_code, "par_unsupported" in answer.text) == (502, True)


def test_unpushed_goes_through_the_browser_and_is_signed_all_the_same(
    glewlwyd_process: GlewlwydProcess,
    glewlwyd_browser: GlewlwydBrowser,
    caplog: pytest.LogCaptureFixture,
) -> None:
    issuer = glewlwyd_process.issuer("without-par")
    with caplog.at_level(logging.WARNING, logger="flask_parjar"):
        site = new_site(settings(issuer, **UNPUSHED))
    assert "PARJAR_INSECURE_UNPUSHED_REQUEST" in caplog.text
    with told(site) as heard:
        location = log_in(site, glewlwyd_browser)
    assert account(site)["name"] == "Ada"
    assert [name for name, _ in endpoints(heard)] == ["discovery", "token", "jwks"]
    sent = dict(parse_qsl(urlsplit(location).query))
    assert sent.keys() == {"client_id", "response_type", "scope", "request"}
    claims = part(sent["request"], 1)
    assert (claims["aud"], claims["redirect_uri"]) == (issuer, f"{SITE}/callback")


def test_unpushed_is_refused_where_the_provider_demands_a_push(
    glewlwyd_process: GlewlwydProcess,
) -> None:
    site = new_site(settings(glewlwyd_process.issuer("with-par"), **UNPUSHED))
    answer = site.get("/login", headers=NAVIGATION)
    assert (answer.status_code, "par_required" in answer.text) == (502, True)
    assert "Location" not in answer.headers


def test_a_signed_request_that_nobody_reads_is_not_unpacked_for_them(
    oidc_provider_mock: MockProcess,
) -> None:
    location = begin(new_site(settings(oidc_provider_mock.issuer, **UNPUSHED)))
    assert dict(parse_qsl(urlsplit(location).query)).keys() == {
        *("client_id", "response_type", "scope", "request")
    }
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(location, allow_redirects=False, timeout=10)
    assert answer.status_code == 400, "it wants the redirect_uri, and the login ends there"


def test_unpushed_and_unsigned_is_the_plain_login_of_old(
    oidc_provider_mock: MockProcess, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="flask_parjar"):
        site = new_site(settings(oidc_provider_mock.issuer, **UNPUSHED, **UNSIGNED))
    for name in UNPUSHED | UNSIGNED:
        assert f"{name} is on" in caplog.text
    location = begin(site)
    sent = dict(parse_qsl(urlsplit(location).query))
    assert set(EVERYTHING) < sent.keys()
    assert "request" not in sent
    with closing(ScriptedBrowser()) as browser:
        assert come_back(site, browser.sign_in(location)).status_code == 302
    assert account(site)["subject"] == "ada"
