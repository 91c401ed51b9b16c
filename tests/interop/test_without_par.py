"""Providers without PAR: the login is refused, unless PARJAR_REQUEST is a level without a push.

One is oidc-provider-mock, which does not read signed requests either. The other is Glewlwyd with
PAR switched off, which reads them.
"""

from __future__ import annotations

import logging
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from tests.interop.client_site import (
    EC,
    SECRET,
    SITE,
    account,
    asks_for_a_login,
    begin,
    come_back,
    endpoints,
    log_in,
    new_site,
    signals_of,
)
from tests.interop.glewlwyd_browser import GlewlwydBrowser
from tests.interop.glewlwyd_client import glewlwyd_client
from tests.interop.glewlwyd_process import WITHOUT_PAR, GlewlwydProcess, StartGlewlwyd
from tests.interop.mock_process import MockProcess
from tests.interop.scripted_browser import ScriptedBrowser
from tests.support.headers import NAVIGATION
from tests.support.interop_table import shows_at
from tests.support.jwt import read_jwt

pytestmark = pytest.mark.interop
at_glewlwyd = shows_at("Glewlwyd without PAR")
at_the_mock = shows_at("oidc-provider-mock")

PUSHED, SIGNED, PLAIN = ({"PARJAR_REQUEST": level} for level in ("pushed", "signed", "plain"))
EVERYTHING = ["response_type", "scope", "redirect_uri", "state", "nonce", "code_challenge"]

CLIENT = glewlwyd_client(
    "site", "ES256", "client_secret_post", token_endpoint_auth_method=["client_secret_post"]
)


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


def assert_par_unsupported(issuer: str, caplog: pytest.LogCaptureFixture) -> None:
    """Try to log in twice: no redirect, no request but the one for the metadata, and a reason."""
    site = new_site(settings(issuer))
    with signals_of(site) as signals:
        for _ in range(2):
            answer = site.get("/login?next=/account", headers=NAVIGATION)
            assert (answer.status_code, "par_unsupported" in answer.text) == (502, True)
            assert "Location" not in answer.headers
            assert "Set-Cookie" not in answer.headers
    assert endpoints(signals) == [("discovery", 200)]
    assert signals["login_started"] == []
    assert "par_unsupported" in caplog.text
    assert issuer in caplog.text
    assert asks_for_a_login(site)


@at_the_mock("signed and pushed request", "par_unsupported")
def test_a_provider_without_par_is_refused(
    oidc_provider_mock: MockProcess, caplog: pytest.LogCaptureFixture
) -> None:
    assert_par_unsupported(oidc_provider_mock.issuer, caplog)


@at_glewlwyd("signed and pushed request", "par_unsupported")
def test_a_provider_without_par_that_reads_signed_requests_is_refused_too(
    glewlwyd_process: GlewlwydProcess, caplog: pytest.LogCaptureFixture
) -> None:
    assert_par_unsupported(glewlwyd_process.issuer("without-par"), caplog)


@at_the_mock("pushed request alone", "par_unsupported")
def test_a_pushed_request_is_refused_there_too(oidc_provider_mock: MockProcess) -> None:
    answer = new_site(settings(oidc_provider_mock.issuer, **PUSHED)).get(
        "/login", headers=NAVIGATION
    )
    assert (answer.status_code, "par_unsupported" in answer.text) == (502, True)


@at_glewlwyd("signed request alone")
def test_an_unpushed_request_goes_through_the_browser_and_is_signed(
    glewlwyd_process: GlewlwydProcess,
    glewlwyd_browser: GlewlwydBrowser,
    caplog: pytest.LogCaptureFixture,
) -> None:
    issuer = glewlwyd_process.issuer("without-par")
    with caplog.at_level(logging.WARNING, logger="flask_parjar"):
        site = new_site(settings(issuer, **SIGNED))
    assert "PARJAR_REQUEST of provider 'default' is signed" in caplog.text
    with signals_of(site) as signals:
        location = log_in(site, glewlwyd_browser)
    assert account(site)["name"] == "Ada"
    assert [name for name, _ in endpoints(signals)] == ["discovery", "token", "jwks"]
    sent = dict(parse_qsl(urlsplit(location).query))
    assert sent.keys() == {"client_id", "response_type", "scope", "request"}
    claims = read_jwt(sent["request"])[1]
    assert (claims["aud"], claims["redirect_uri"]) == (issuer, f"{SITE}/callback")


@shows_at("Glewlwyd")("pushed request alone")
def test_a_pushed_request_needs_no_signature_where_there_is_par(
    glewlwyd_process: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    config = settings(glewlwyd_process.issuer("with-par"), **PUSHED, PARJAR_SIGNING_KEY=None)
    site = new_site(config)
    with signals_of(site) as signals:
        location = log_in(site, glewlwyd_browser)
    assert account(site)["name"] == "Ada"
    assert signals["login_started"][0]["request_object"] is None
    assert [name for name, _ in parse_qsl(urlsplit(location).query)] == ["client_id", "request_uri"]


def test_an_unpushed_request_is_refused_where_the_provider_requires_par(
    glewlwyd_process: GlewlwydProcess,
) -> None:
    site = new_site(settings(glewlwyd_process.issuer("with-par"), **SIGNED))
    answer = site.get("/login", headers=NAVIGATION)
    assert (answer.status_code, "par_required" in answer.text) == (502, True)
    assert "Location" not in answer.headers


@at_the_mock("signed request alone", "jar_unsupported")
def test_a_signed_request_is_not_brought_to_a_provider_that_speaks_of_none(
    oidc_provider_mock: MockProcess,
) -> None:
    """It ignores the request object, and the browser would end at its error page."""
    site = new_site(settings(oidc_provider_mock.issuer, **SIGNED))
    with signals_of(site) as signals:
        page = site.get("/login", headers=NAVIGATION)
    assert (page.status_code, "jar_unsupported" in page.text) == (502, True)
    assert endpoints(signals) == [("discovery", 200)]

    with requests.Session() as session:
        session.trust_env = False
        found = session.get(
            f"{oidc_provider_mock.issuer}/.well-known/openid-configuration", timeout=10
        )
        metadata = found.json() | {"request_parameter_supported": True}
        config = settings(oidc_provider_mock.issuer, **SIGNED, PARJAR_METADATA=metadata)
        location = begin(new_site(config))
        answer = session.get(location, allow_redirects=False, timeout=10)
    assert dict(parse_qsl(urlsplit(location).query)).keys() == {
        *("client_id", "response_type", "scope", "request")
    }
    assert answer.status_code == 400, "it wants the redirect_uri, and the login ends there"


@at_the_mock("plain request")
def test_a_plain_request_carries_the_parameters(
    oidc_provider_mock: MockProcess, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="flask_parjar"):
        site = new_site(settings(oidc_provider_mock.issuer, **PLAIN, PARJAR_SIGNING_KEY=None))
    assert "PARJAR_REQUEST of provider 'default' is plain" in caplog.text
    location = begin(site)
    sent = dict(parse_qsl(urlsplit(location).query))
    assert set(EVERYTHING) < sent.keys()
    assert "request" not in sent
    with closing(ScriptedBrowser()) as browser:
        assert come_back(site, browser.sign_in(location)).status_code == 302
    assert account(site)["subject"] == "ada"
