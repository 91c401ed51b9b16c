"""Whole logins, renewals and logouts where tokens and requests are encrypted."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from joserfc.jwk import ECKey, OKPKey, RSAKey

from flask_parjar import logged_in
from flask_parjar.protocol.encoding import b64decode
from flask_parjar.testing import DevProvider
from tests.support.after_login import age, token_site
from tests.support.clock import WallClock
from tests.support.headers import FROM_THE_SITE, SCRIPT
from tests.support.pages import code_of
from tests.support.site import ISSUER, Visitor, make_site, make_site_of_two

EC = ECKey.generate_key("P-256", {"kid": "ec"}).as_dict(private=True)
NEW_EC = ECKey.generate_key("P-384", {"kid": "new"}).as_dict(private=True)
KEYS = {
    "RSA": RSAKey.generate_key(2048).as_dict(private=True),
    "ECDH": OKPKey.generate_key("X25519").as_dict(private=True),
}
ENCRYPTED = {
    "PARJAR_ENCRYPTION_KEY": EC,
    "PARJAR_ID_TOKEN_ENCRYPTION": "ECDH-ES+A256KW A256CBC-HS512",
}


def header_of(token: str) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(b64decode(token.split(".")[0]))
    return header


@pytest.mark.parametrize("enc", ["A128CBC-HS256", "A256GCM"])
@pytest.mark.parametrize("alg", ["RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW"])
def test_a_login_with_everything_encrypted(provider: DevProvider, alg: str, enc: str) -> None:
    app = make_site(
        provider,
        PARJAR_ENCRYPTION_KEY=KEYS[alg[:4].rstrip("-")],
        PARJAR_ID_TOKEN_ENCRYPTION=f"{alg} {enc}",
        PARJAR_USERINFO=True,
        PARJAR_USERINFO_ENCRYPTION=f"{alg} {enc}",
        PARJAR_REQUEST_ENCRYPTION_ALG=alg,
        PARJAR_REQUEST_ENCRYPTION_ENC=enc,
    )
    visitor = Visitor(app, provider)
    assert visitor.log_in("/login?next=/me").status_code == 302
    me = visitor.get("/me").json
    assert me is not None
    assert (me["sub"], me["name"]) == ("ada", "Ada Lovelace")
    (push,) = [c for c in provider.calls if c.endpoint == "pushed_authorization_request"]
    header = header_of(push.form["request"])
    assert (header["alg"], header["enc"], header["cty"]) == (alg, enc, "JWT")


def test_what_the_key_set_shows(provider: DevProvider) -> None:
    app = make_site(provider, **ENCRYPTED, PARJAR_USERINFO_ENCRYPTION="ECDH-ES A256GCM")
    published = app.test_client().get("/.well-known/jwks.json").json
    assert published is not None
    shown = [(key["use"], key.get("alg"), key["kid"]) for key in published["keys"]]
    assert shown[1:] == [
        ("enc", "ECDH-ES+A256KW", "ec-ECDH-ES+A256KW"),
        ("enc", "ECDH-ES", "ec-ECDH-ES"),
    ]
    assert shown[0][0] == "sig"
    assert not any("d" in key for key in published["keys"])


def test_two_sites_of_one_key_and_one_alg_publish_it_once() -> None:
    app, _, _ = make_site_of_two(**ENCRYPTED)
    published = app.test_client().get("/.well-known/jwks.json").json
    assert published is not None
    assert [key["kid"] for key in published["keys"] if key["use"] == "enc"] == ["ec-ECDH-ES+A256KW"]


@pytest.mark.parametrize(("keys", "status"), [([NEW_EC, EC], 302), ([NEW_EC], 502)])
def test_a_key_that_is_replaced_decrypts_until_it_is_taken_out(
    provider: DevProvider, keys: list[Any], status: int
) -> None:
    signing = provider.config()["PARJAR_SIGNING_KEY"]
    config = {**ENCRYPTED, "PARJAR_SIGNING_KEY": signing}
    app = make_site(provider, **{**config, "PARJAR_ENCRYPTION_KEY": keys})
    # The provider still has the keys that the site published before.
    make_site(provider, **config)
    assert Visitor(app, provider).log_in().status_code == status


def test_tokens_are_renewed_and_the_logout_shows_the_inner_token(provider: DevProvider) -> None:
    app = token_site(provider, "memory", **ENCRYPTED)
    visitor = Visitor(app, provider)
    visitor.log_in()
    first = visitor.get("/kept").json
    age(visitor, left=-1)
    assert visitor.get("/token", headers=SCRIPT).status_code == 200
    second = visitor.get("/kept").json
    assert first is not None and second is not None
    assert first["id_token"] != second["id_token"]
    assert [each["id_token"].count(".") for each in (first, second)] == [2, 2]
    away = visitor.post("/logout", headers=FROM_THE_SITE).location
    (hint,) = parse_qs(urlsplit(away).query)["id_token_hint"]
    assert hint == second["id_token"]
    assert provider.browser().get(away).status_code in (200, 302, 303)


@pytest.mark.parametrize("fault", ["jwe_missing", "jwe_key_foreign", "jwe_two_layers", "jwe_zip"])
def test_a_renewed_id_token_that_is_encrypted_otherwise_is_left_out(
    provider: DevProvider, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = Visitor(token_site(provider, "memory", **ENCRYPTED), provider)
    visitor.log_in()
    first = visitor.get("/kept").json
    age(visitor, left=-1)
    with provider.fault(fault):
        assert visitor.get("/token", headers=SCRIPT).status_code == 200
    second = visitor.get("/kept").json
    assert first is not None and second is not None
    assert second["id_token"] == first["id_token"]
    assert second["access_token"] != first["access_token"]
    assert any("left out" in message for message in caplog.messages)


def test_the_signal_says_that_the_id_token_came_encrypted(provider: DevProvider) -> None:
    for config, first in ((ENCRYPTED, "encryption"), ({}, "signature")):
        app = make_site(provider, **config)
        heard: list[str] = []

        def hear(sender: Flask, *, checked: tuple[str, ...], **_: Any) -> None:
            heard.extend(checked)  # noqa: B023 - it is read in this turn of the loop

        with logged_in.connected_to(hear, app):
            Visitor(app, provider).log_in()
        assert (heard[0], heard.count("signature")) == (first, 1)


ENCRYPTED_REQUESTS = {
    "PARJAR_REQUEST_ENCRYPTION_ALG": "ECDH-ES",
    "PARJAR_REQUEST_ENCRYPTION_ENC": "A256GCM",
}


def kid_of_last_push(provider: DevProvider) -> object:
    pushes = [c for c in provider.calls if c.endpoint == "pushed_authorization_request"]
    return header_of(pushes[-1].form["request"])["kid"]


def fetches_of_keys(provider: DevProvider) -> int:
    return [call.endpoint for call in provider.calls].count("jwks")


def test_a_provider_that_publishes_a_key_for_requests_later(provider: DevProvider) -> None:
    """The keys that we have in memory are from before."""
    visitor = Visitor(token_site(provider, "memory", **ENCRYPTED_REQUESTS), provider)
    with provider.fault("jwks_encryption_keys_missing"):
        assert notify(visitor, provider.logout_token(sub="grace"))[0] == 200
    assert fetches_of_keys(provider) == 1
    for _ in range(2):
        assert visitor.log_in("/login?next=/me").location == "/me"
    assert fetches_of_keys(provider) == 2


def test_no_key_that_fits_is_looked_for_once_in_a_while(provider: DevProvider) -> None:
    """Anybody can begin a login."""
    app = make_site(provider, **ENCRYPTED_REQUESTS)
    with provider.fault("jwks_encryption_keys_missing"):
        for fetches in (2, 2, 2):
            page = Visitor(app, provider).get("/login")
            assert (page.status_code, code_of(page)) == (502, "request_encryption_key")
            assert fetches_of_keys(provider) == fetches
    assert "pushed_authorization_request" not in [call.endpoint for call in provider.calls]


def test_a_key_for_requests_that_is_replaced(wall_clock: WallClock) -> None:
    """The one in memory is used until it is fetched again: the provider still decrypts with it."""
    provider = DevProvider(ISSUER, now=lambda: time.time())
    visitor = Visitor(make_site(provider, **ENCRYPTED_REQUESTS), provider)
    kids = []
    for change in (lambda: None, provider.rotate_keys, lambda: wall_clock.turn(3600)):
        change()
        assert visitor.log_in("/login?next=/me").location == "/me"
        kids.append(kid_of_last_push(provider))
    assert kids[0] == kids[1] != kids[2]


def notify(visitor: Visitor, token: str) -> tuple[int, bool]:
    """Post a logout token: the status, and whether the visitor is still logged in."""
    answer = visitor.app.test_client().post("/backchannel-logout", data={"logout_token": token})
    return answer.status_code, visitor.get("/me").status_code == 200


def test_a_logout_token_may_come_encrypted_or_clear(provider: DevProvider) -> None:
    app = token_site(provider, "memory", **ENCRYPTED)
    for clear in (False, True):
        visitor = Visitor(app, provider)
        visitor.log_in()
        if clear:
            with provider.fault("jwe_missing"):
                token = provider.logout_token(sub="ada")
        else:
            token = provider.logout_token(sub="ada")
        assert token.count(".") == (2 if clear else 4)
        assert notify(visitor, token) == (200, False)


@pytest.mark.parametrize(
    "fault", ["jwe_enc_other", "jwe_tag_wrong", "jwe_kid_unknown", "jwe_unsigned", "jwe_two_layers"]
)
def test_a_logout_token_that_is_encrypted_otherwise_ends_nothing(
    provider: DevProvider, fault: str
) -> None:
    visitor = Visitor(token_site(provider, "memory", **ENCRYPTED), provider)
    visitor.log_in()
    with provider.fault(fault):
        token = provider.logout_token(sub="ada")
    assert notify(visitor, token) == (400, True)


def test_an_encrypted_logout_token_is_refused_where_id_tokens_are_clear(
    provider: DevProvider,
) -> None:
    provider.connect(make_site(provider, **ENCRYPTED))
    token = provider.logout_token(sub="ada")
    visitor = Visitor(token_site(provider, "memory"), provider)
    visitor.log_in()
    assert notify(visitor, token) == (400, True)


def test_a_request_that_is_pushed_again_is_encrypted_again(provider: DevProvider) -> None:
    app = make_site(provider, PARJAR_REQUEST_ENCRYPTION_ALG="ECDH-ES")
    with provider.fault("par_503_once"):
        assert Visitor(app, provider).log_in().status_code == 302
    pushes = [c for c in provider.calls if c.endpoint == "pushed_authorization_request"]
    first, second = (header_of(call.form["request"]) for call in pushes)
    assert first["epk"] != second["epk"]


def test_a_request_in_the_url_is_encrypted_too(provider: DevProvider) -> None:
    provider.allow_requests("signed")
    app = make_site(provider, PARJAR_REQUEST="signed", PARJAR_REQUEST_ENCRYPTION_ALG="RSA-OAEP-256")
    visitor = Visitor(app, provider)
    away = visitor.leave()
    (request,) = parse_qs(urlsplit(away).query)["request"]
    assert request.count(".") == 4
    assert visitor.get(visitor.come_back(away)).status_code == 302
