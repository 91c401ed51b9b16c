"""Signed and encrypted authorization responses (JARM) at Keycloak."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.interop.client_site import EC, account, begin, come_back, come_back_by_form
from tests.interop.encrypted_site import DECRYPTION_KEYS, published_keys
from tests.interop.keycloak_browser import KeycloakBrowser
from tests.interop.keycloak_client import register, site_of
from tests.interop.keycloak_process import KeycloakProcess
from tests.support.interop_table import shows_at
from tests.support.jwt import read_jwt

pytestmark = pytest.mark.interop
shows = shows_at("Keycloak")

DECRYPTING = {
    "PARJAR_RESPONSE_MODE": "jwt",
    "PARJAR_ENCRYPTION_KEY": DECRYPTION_KEYS["RSA-"],
    "PARJAR_RESPONSE_ENCRYPTION": "RSA-OAEP-256 A256GCM",
}


@pytest.mark.parametrize(
    ("mode", "alg"), [("jwt", "PS256"), ("query.jwt", ""), ("form_post.jwt", "EdDSA")]
)
@shows("signed response")
@shows("signed response by form")
def test_a_login_with_a_signed_response(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser, mode: str, alg: str
) -> None:
    """A client that registers no algorithm gets RS256."""
    client_id = f"jarm-{mode}"
    register(keycloak, client_id, **({"authorization_signed_response_alg": alg} if alg else {}))
    site = site_of(keycloak, client_id, PARJAR_RESPONSE_MODE=mode)
    callback = keycloak_browser.sign_in(begin(site))
    (text,) = parse_qs(urlsplit(callback).query)["response"]
    header, claims = read_jwt(text)
    assert (header["typ"], header["alg"]) == ("JWT", alg or "RS256")
    assert "iat" not in claims
    come = come_back_by_form if mode == "form_post.jwt" else come_back
    assert come(site, callback).headers["Location"] == "/account"
    assert account(site)["name"] == "Ada Lovelace"


@shows("encrypted response")
def test_a_login_with_an_encrypted_response(
    keycloak: KeycloakProcess, keycloak_browser: KeycloakBrowser
) -> None:
    keys = published_keys({"PARJAR_SIGNING_KEY": EC.as_dict(private=True)} | DECRYPTING)
    register(
        keycloak,
        "jarm-encrypted",
        jwks_string=json.dumps({"keys": keys}),
        authorization_signed_response_alg="ES256",
        authorization_encrypted_response_alg="RSA-OAEP-256",
        authorization_encrypted_response_enc="A256GCM",
    )
    site = site_of(keycloak, "jarm-encrypted", **DECRYPTING)
    callback = keycloak_browser.sign_in(begin(site))
    (text,) = parse_qs(urlsplit(callback).query)["response"]
    assert text.count(".") == 4
    assert come_back(site, callback).headers["Location"] == "/account"
    plain = site_of(keycloak, "jarm-encrypted", PARJAR_RESPONSE_MODE="jwt")
    refused = come_back(plain, keycloak_browser.sign_in(begin(plain)))
    assert (refused.status_code, "token_encrypted" in refused.text) == (502, True)
