"""Signed and encrypted authorization responses (JARM) at oidc-provider and at Glewlwyd."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient

from tests.interop import glewlwyd_client, oidc_client
from tests.interop.client_site import (
    EC,
    account,
    asks_for_a_login,
    begin,
    come_back,
    come_back_by_form,
    new_site,
)
from tests.interop.encrypted_site import ALGORITHMS, DECRYPTION_KEYS, published_keys
from tests.interop.glewlwyd_browser import GlewlwydBrowser
from tests.interop.glewlwyd_process import GlewlwydProcess, StartGlewlwyd
from tests.interop.provider_process import ProviderProcess, StartProvider
from tests.interop.scripted_browser import OpenBrowser
from tests.support.interop_table import shows_at
from tests.support.jwt import read_jwt

pytestmark = pytest.mark.interop
shows = shows_at("oidc-provider")

SIGNED = ("RS256", "PS256", "ES256", "EdDSA")
FEATURES = {"jwtResponseModes": {"enabled": True}, "encryption": {"enabled": True}}
SIGNING = {"PARJAR_SIGNING_KEY": EC.as_dict(private=True)}


def decrypting(alg: str) -> dict[str, Any]:
    """Return the settings of a site that gets encrypted responses."""
    return {
        "PARJAR_RESPONSE_MODE": "jwt",
        "PARJAR_ENCRYPTION_KEY": DECRYPTION_KEYS[alg[:4]],
        "PARJAR_RESPONSE_ENCRYPTION": f"{alg} {ALGORITHMS[alg]}",
    }


def client(client_id: str, **more: Any) -> dict[str, Any]:
    return oidc_client.client_metadata(client_id, "ES256", "private_key_jwt", **more)


@pytest.fixture(scope="module")
def provider(oidc_provider: StartProvider) -> ProviderProcess:
    """One process for this module, with a client for each way to answer."""
    signed = [client(f"signed-{alg}", authorization_signed_response_alg=alg) for alg in SIGNED]
    encrypted = [
        client(
            f"encrypted-{alg}",
            jwks={"keys": published_keys(SIGNING | decrypting(alg))},
            authorization_signed_response_alg="ES256",
            authorization_encrypted_response_alg=alg,
            authorization_encrypted_response_enc=ALGORITHMS[alg],
        )
        for alg in ALGORITHMS
    ]
    return oidc_provider(
        clients=[client("nothing-registered"), *signed, *encrypted], features=FEATURES
    )


def site_of(provider: ProviderProcess, client_id: str, **more: Any) -> FlaskClient:
    config = oidc_client.settings(provider, "ES256", "private_key_jwt")
    return new_site({**config, "PARJAR_CLIENT_ID": client_id, **more})


def response_in(callback: str) -> str:
    """Return the JWT of a callback that has nothing else."""
    parameters = parse_qs(urlsplit(callback).query)
    assert list(parameters) == ["response"]
    (text,) = parameters["response"]
    return text


@pytest.mark.parametrize("mode", ["jwt", "query.jwt"])
@pytest.mark.parametrize("alg", SIGNED)
@shows("signed response")
def test_a_login_with_a_signed_response(
    provider: ProviderProcess, open_browser: OpenBrowser, alg: str, mode: str
) -> None:
    site = site_of(provider, f"signed-{alg}", PARJAR_RESPONSE_MODE=mode)
    callback = open_browser(provider).sign_in(begin(site))
    header, claims = read_jwt(response_in(callback))
    assert header["alg"] == alg
    # No iat and no typ; two minutes.
    assert sorted(claims) == ["aud", "code", "exp", "iss", "state"]
    assert "typ" not in header
    assert come_back(site, callback).headers["Location"] == "/account"
    assert account(site)["subject"] == "ada"


@shows("signed response by form")
def test_a_signed_response_in_a_form(provider: ProviderProcess, open_browser: OpenBrowser) -> None:
    site = site_of(provider, "signed-PS256", PARJAR_RESPONSE_MODE="form_post.jwt")
    callback = open_browser(provider).sign_in(begin(site))
    assert read_jwt(response_in(callback))[0]["alg"] == "PS256"
    assert come_back_by_form(site, callback).headers["Location"] == "/account"
    assert account(site)["subject"] == "ada"


def test_a_client_that_registered_nothing_gets_rs256(
    provider: ProviderProcess, open_browser: OpenBrowser
) -> None:
    site = site_of(provider, "nothing-registered", PARJAR_RESPONSE_MODE="jwt")
    callback = open_browser(provider).sign_in(begin(site))
    assert read_jwt(response_in(callback))[0]["alg"] == "RS256"
    assert come_back(site, callback).headers["Location"] == "/account"


def test_an_error_is_signed_too(provider: ProviderProcess, open_browser: OpenBrowser) -> None:
    site = site_of(provider, "signed-ES256", PARJAR_RESPONSE_MODE="jwt")
    callback = open_browser(provider).cancel_sign_in(begin(site))
    _, claims = read_jwt(response_in(callback))
    assert claims["error"] == "access_denied"
    answer = come_back(site, callback)
    assert (answer.status_code, "access_denied" in answer.text) == (403, True)
    assert asks_for_a_login(site)


@pytest.mark.parametrize("alg", ALGORITHMS)
@shows("encrypted response")
def test_a_login_with_an_encrypted_response(
    provider: ProviderProcess, open_browser: OpenBrowser, alg: str
) -> None:
    site = site_of(provider, f"encrypted-{alg}", **decrypting(alg))
    callback = open_browser(provider).sign_in(begin(site))
    assert response_in(callback).count(".") == 4
    assert come_back(site, callback).headers["Location"] == "/account"
    assert account(site)["subject"] == "ada"


@pytest.mark.parametrize(
    ("client_id", "settings", "code"),
    [
        ("signed-ES256", {}, None),
        ("signed-ES256", decrypting("ECDH-ES"), "token_not_encrypted"),
        ("encrypted-ECDH-ES", {"PARJAR_RESPONSE_MODE": "jwt"}, "token_encrypted"),
        ("encrypted-ECDH-ES", decrypting("ECDH-ES+A256KW"), "token_encryption"),
        (
            "signed-ES256",
            {"PARJAR_RESPONSE_MODE": "jwt", "PARJAR_ID_TOKEN_ALGS": ["PS256"]},
            "token_algorithm",
        ),
    ],
)
def test_what_was_registered_otherwise_is_refused(
    provider: ProviderProcess,
    open_browser: OpenBrowser,
    client_id: str,
    settings: dict[str, Any],
    code: str | None,
) -> None:
    site = site_of(provider, client_id, **settings)
    provider.forget_calls()
    answer = come_back(site, open_browser(provider).sign_in(begin(site)))
    assert (answer.status_code == 302) is (code is None), answer.text
    assert code is None or code in answer.text
    assert len(provider.calls("token")) == (1 if code is None else 0)


# Glewlwyd

at_glewlwyd = shows_at("Glewlwyd")


@pytest.fixture(scope="module")
def glewlwyd_provider(glewlwyd: StartGlewlwyd) -> GlewlwydProcess:
    """One process with a client that registered the response mode, and one that did not."""
    clients = [
        glewlwyd_client.glewlwyd_client(
            client_id, "ES256", "private_key_jwt", authorization_signed_response_alg="ES256", **more
        )
        for client_id, more in (("registered", {"response_mode": "jwt"}), ("asks-alone", {}))
    ]
    return glewlwyd(clients=clients, plugins={"oidc": {"oauth-fapi-allow-jarm": True}})


@at_glewlwyd("signed response")
def test_a_client_of_glewlwyd_that_registered_the_response_mode(
    glewlwyd_provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    config = {"PARJAR_CLIENT_ID": "registered", "PARJAR_RESPONSE_MODE": "jwt"}
    site = new_site(glewlwyd_client.settings(glewlwyd_provider, **config))
    callback = glewlwyd_browser.sign_in(begin(site))
    header, claims = read_jwt(response_in(callback))
    assert (header["typ"], header["alg"]) == ("JWT", "ES256")
    # It also gives back what was pushed beside the request; that is not read.
    assert claims["client_assertion"]
    assert come_back(site, callback).headers["Location"] == "/account"
    assert account(site)["name"] == "Ada"


def test_glewlwyd_loses_a_response_mode_inside_the_request(
    glewlwyd_provider: GlewlwydProcess, glewlwyd_browser: GlewlwydBrowser
) -> None:
    config = {"PARJAR_CLIENT_ID": "asks-alone", "PARJAR_RESPONSE_MODE": "jwt"}
    site = new_site(glewlwyd_client.settings(glewlwyd_provider, **config))
    callback = glewlwyd_browser.sign_in(begin(site))
    assert "response" not in parse_qs(urlsplit(callback).query)
    answer = come_back(site, callback)
    assert (answer.status_code, "response_unsigned" in answer.text) == (400, True)
    assert asks_for_a_login(site)
