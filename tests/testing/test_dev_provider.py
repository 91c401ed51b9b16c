"""Whole logins at the provider, and what it says of itself, without our own client."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from authlib.oidc.discovery import OpenIDProviderMetadata
from flask import Flask, jsonify
from joserfc.jwk import ECKey, OctKey, RSAKey

from flask_parjar.testing import (
    PEOPLE,
    ClientMetadata,
    DevProvider,
    KeyCache,
    Person,
    WSGIAdapter,
)
from tests.testing.conftest import Clock
from tests.testing.hand_made_client import (
    EC,
    GONE,
    KEYS,
    NOW,
    HandMadeClient,
    b64,
    response,
    sign,
)

METHODS = (
    "private_key_jwt",
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "none",
)


@pytest.mark.parametrize("method", METHODS)
def test_login_with_each_client_authentication(provider: DevProvider, method: str) -> None:
    client = HandMadeClient(provider, method=method)
    tokens = client.tokens()
    header, claims = client.verify(tokens["id_token"])
    assert header["alg"] == "ES256"
    assert claims["sub"] == "ada"
    assert client.userinfo(tokens["access_token"]).json()["sub"] == "ada"


@pytest.mark.parametrize("alg", sorted(KEYS))
def test_login_with_each_signing_algorithm_of_the_client(provider: DevProvider, alg: str) -> None:
    assert HandMadeClient(provider, alg=alg).tokens()["token_type"] == "Bearer"


@pytest.mark.parametrize(
    ("alg", "digest"),
    [
        ("RS256", hashlib.sha256),
        ("PS256", hashlib.sha256),
        ("ES256", hashlib.sha256),
        ("EdDSA", hashlib.sha512),
        ("Ed25519", hashlib.sha512),
    ],
)
def test_id_token_in_each_algorithm(provider: DevProvider, alg: str, digest: Any) -> None:
    client = HandMadeClient(provider, id_token_signed_response_alg=alg)
    tokens = client.tokens()
    header, claims = client.verify(tokens["id_token"])
    assert header["alg"] == alg
    half = digest(tokens["access_token"].encode()).digest()
    assert claims["at_hash"] == b64(half[: len(half) // 2])


def test_the_response_and_the_tokens(client: HandMadeClient, clock: Clock) -> None:
    pushed = client.push()
    assert pushed.status_code == 201
    assert pushed.headers["Cache-Control"] == "no-store"
    assert pushed.json()["expires_in"] == 60
    back = response(client.provider.sign_in(client.url(request_uri=pushed.json()["request_uri"])))
    assert back.keys() == {"code", "state", "iss"}
    assert (back["state"], back["iss"]) == ("the-state", "https://op.example")
    answer = client.redeem(back["code"])
    assert answer.headers["Cache-Control"] == "no-store"
    tokens = answer.json()
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope", "id_token"}
    assert tokens["scope"] == "openid profile email"
    header, claims = client.verify(tokens["id_token"])
    assert header.keys() == {"typ", "alg", "kid"}
    assert {name: claims[name] for name in ("iss", "sub", "aud", "iat", "exp", "nonce")} == {
        "iss": "https://op.example",
        "sub": "ada",
        "aud": client.client_id,
        "iat": NOW,
        "exp": NOW + 300,
        "nonce": "the-nonce",
    }
    assert (claims["auth_time"], claims["acr"], claims["amr"]) == (NOW, "pwd", ["pwd"])
    assert (claims["name"], claims["email_verified"], claims["org"]) == (
        "Ada Lovelace",
        True,
        "engines",
    )
    assert "phone_number" not in claims


def test_metadata_is_what_the_standards_ask_for(client: HandMadeClient) -> None:
    places = (
        "https://op.example/.well-known/openid-configuration",
        "https://op.example/.well-known/oauth-authorization-server",
    )
    for place in places:
        answer = client.http.get(place)
        assert answer.headers["Cache-Control"] == "public, max-age=600"
        document = answer.json()
        assert document == client.provider.metadata
        OpenIDProviderMetadata(document).validate()
    for member in (
        "require_pushed_authorization_requests",
        "require_signed_request_object",
        "authorization_response_iss_parameter_supported",
    ):
        assert document[member] is True


@pytest.mark.parametrize("issuer", ["https://op.example/", "http://127.0.0.1:9000/a/tenant"])
def test_an_issuer_with_a_slash_or_a_path(issuer: str) -> None:
    provider = DevProvider(issuer, now=lambda: NOW)
    client = HandMadeClient(provider)
    origin, _, path = issuer.rstrip("/").partition("/a/")
    well_known = issuer.rstrip("/") + "/.well-known/openid-configuration"
    assert client.http.get(well_known).json()["issuer"] == issuer
    rfc_8414 = f"{origin}/.well-known/oauth-authorization-server" + (f"/a/{path}" if path else "")
    assert client.http.get(rfc_8414).json()["issuer"] == issuer
    tokens = client.tokens()
    assert client.verify(tokens["id_token"])[1]["iss"] == issuer
    assert provider.browser().get(issuer).status_code == 200


def test_metadata_is_live(provider: DevProvider) -> None:
    provider.metadata["id_token_signing_alg_values_supported"] = ["XX1", "EdDSA", "ES256"]
    provider.metadata["authorization_response_iss_parameter_supported"] = False
    provider.metadata["request_object_signing_alg_values_supported"] = ["ES384"]
    provider.metadata["token_endpoint_auth_methods_supported"] = ["none"]
    refused = HandMadeClient(provider, method="none").push()
    assert refused.json()["error_description"] == "request object: alg 'ES256' is not one of ES384"
    refused = HandMadeClient(provider, alg="ES384").push()
    assert refused.json()["error"] == "invalid_client"
    client = HandMadeClient(provider, alg="ES384", method="none")
    back = response(provider.sign_in(client.start()))
    assert back.keys() == {"code", "state"}
    tokens = client.redeem(back["code"]).json()
    assert client.verify(tokens["id_token"])[0]["alg"] == "EdDSA"
    provider.metadata["id_token_signing_alg_values_supported"] = "nothing of use"
    assert client.verify(client.tokens()["id_token"])[0]["alg"] == "ES256"


def test_jwks_publishes_public_keys_of_every_family(client: HandMadeClient) -> None:
    keys = client.jwks()
    assert [key["kty"] for key in keys] == ["EC", "RSA", "OKP"]
    for key in keys:
        assert key["use"] == "sig"
        assert not key.keys() & {"d", "p", "q", "k"}


def test_rotation_keeps_the_keys_until_now_published(client: HandMadeClient) -> None:
    first = client.tokens()["id_token"]
    before = {key["kid"] for key in client.jwks()}
    client.provider.rotate_keys()
    after = {key["kid"] for key in client.jwks()}
    assert before < after
    assert len(after) == 6
    assert client.verify(first)[0]["kid"] in before
    assert client.verify(client.tokens()["id_token"])[0]["kid"] in after - before
    client.provider.rotate_keys()
    assert not before & {key["kid"] for key in client.jwks()}


def test_calls_are_what_arrived(client: HandMadeClient) -> None:
    provider = client.provider
    client.userinfo(client.tokens()["access_token"])
    client.http.get("https://op.example/nothing-is-here")
    endpoints = [call.endpoint for call in provider.calls]
    assert endpoints == [
        "pushed_authorization_request",
        "authorization",
        "interaction",
        "sign_in",
        "interaction",
        "consent",
        "interaction",
        "token",
        "userinfo",
        "",
    ]
    push, authorization, token = (provider.calls[i] for i in (0, 1, 7))
    assert push.method == "POST"
    assert {*push.form} == {"client_id", "request", "client_assertion", "client_assertion_type"}
    assert {*authorization.query} == {"client_id", "request_uri"}
    assert token.form["code_verifier"] == client.verifier
    assert token.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert client.verifier not in repr(provider.calls)
    provider.calls.clear()
    assert provider.calls == []


def test_only_the_last_calls_are_kept(
    provider: DevProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_parjar.testing.state.MAX_CALLS", 3)
    for _ in range(5):
        provider.browser().get(provider.issuer)
    assert len(provider.calls) == 3


def test_it_answers_under_its_own_name_only(provider: DevProvider) -> None:
    http = requests.Session()
    http.mount("http://", WSGIAdapter(provider.app))
    answer = http.get("http://rebound.example/")
    assert (answer.status_code, answer.text) == (421, "This is https://op.example\n")


def test_people_can_be_added(client: HandMadeClient) -> None:
    client.provider.people["eve"] = Person("eve", {"sub": "e-1", "name": "Eve", "org": "acme"})
    claims = client.verify(client.tokens("eve")["id_token"])[1]
    assert (claims["sub"], claims["name"], claims["org"]) == ("e-1", "Eve", "acme")


def test_people_of_ones_own() -> None:
    provider = DevProvider("https://op.example", people=[Person("solo")], now=lambda: NOW)
    assert [*provider.people] == ["solo"]
    claims = HandMadeClient(provider).tokens("solo")
    assert claims["scope"] == "openid profile email"


def test_people_differ_in_what_a_client_has_to_cope_with() -> None:
    assert [person.username for person in PEOPLE] == ["ada", "grace", "alan", "emilie"]
    assert not PEOPLE[3].name.isascii()
    assert PEOPLE[3].claims["email_verified"] is False


@pytest.mark.parametrize(
    "issuer",
    ["op.example", "ftp://op.example", "https://", "https://op.example?x", "https://op.example#x"],
)
def test_an_issuer_is_a_url(issuer: str) -> None:
    with pytest.raises(ValueError, match="an issuer is a URL"):
        DevProvider(issuer)


PUBLIC = EC.as_dict(private=False)
REGISTRATION: dict[str, Any] = {
    "client_id": "c",
    "redirect_uris": ["https://site.example/callback"],
    "jwks": {"keys": [PUBLIC]},
}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"client_id": ""}, "client_id is empty"),
        ({"redirect_uris": []}, "at least one redirect URI"),
        ({"redirect_uris": ["/callback"]}, "not an absolute"),
        ({"redirect_uris": ["ftp://site.example/callback"]}, "not an absolute"),
        ({"redirect_uris": ["https:/callback"]}, "not an absolute"),
        ({"redirect_uris": ["https://site.example/#x"]}, "has a fragment"),
        ({"post_logout_redirect_uris": ["javascript:1"]}, "not an absolute"),
        ({"backchannel_logout_uri": "/backchannel-logout"}, "not an absolute"),
        ({"frontchannel_logout_uri": "https://site.example/#x"}, "has a fragment"),
        ({"token_endpoint_auth_method": "magic"}, "'magic' is not one of private_key_jwt"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "needs a client_secret"),
        (
            {"token_endpoint_auth_method": "client_secret_jwt", "client_secret": "short"},
            "a client_secret of 32 characters",
        ),
        ({"id_token_signed_response_alg": "HS256"}, "tokens are signed by ES256"),
        ({"userinfo_signed_response_alg": "HS256"}, "tokens are signed by ES256"),
        ({"id_token_encrypted_response_alg": "RSA1_5"}, "choose among RSA-OAEP"),
        (
            {
                "userinfo_encrypted_response_alg": "ECDH-ES",
                "userinfo_encrypted_response_enc": "A192GCM",
            },
            "choose among RSA-OAEP",
        ),
        ({"request_object_encryption_alg": "dir"}, "choose among RSA-OAEP"),
        ({"jwks": None}, "give jwks or jwks_uri"),
        ({"jwks_uri": "https://site.example/jwks.json"}, "give jwks or jwks_uri"),
        ({"jwks": {"keys": {}}}, "an object with a list"),
        ({"jwks": []}, "an object with a list"),
        ({"jwks": {"keys": ["key"]}}, "each key is an object with a kid"),
        ({"jwks": {"keys": [{**PUBLIC, "kid": 7}]}}, "with a kid"),
        ({"jwks": {"keys": [PUBLIC, PUBLIC]}}, "two keys have the kid 'site-ec'"),
        ({"jwks": {"keys": [{**PUBLIC, "crv": "P-257"}]}}, "cannot be read"),
        ({"jwks": {"keys": [EC.as_dict(private=True)]}}, "is private"),
        (
            {"jwks": {"keys": [OctKey.generate_key(256, {"kid": "o"}).as_dict()]}},
            "no symmetric key",
        ),
        (
            {"jwks": {"keys": [{"kty": "RSA", "kid": "r", "n": b64(b"\xc1" * 128), "e": "AQAB"}]}},
            "less than 2048 bits",
        ),
    ],
)
def test_a_wrong_registration_is_refused(
    provider: DevProvider, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        provider.register(ClientMetadata(**{**REGISTRATION, **change}))


def test_a_client_does_not_show_its_secret(provider: DevProvider) -> None:
    client = provider.register(
        ClientMetadata(
            **REGISTRATION,
            client_secret="hush-hush",
            token_endpoint_auth_method="client_secret_post",
        )
    )
    assert provider.clients["c"] is client
    assert "hush-hush" not in repr(client)


class Site:
    """A site that publishes its keys."""

    def __init__(self) -> None:
        self.keys: list[Any] = []
        self.status = 200
        self.fetches = 0
        self.app = Flask("site")
        self.app.add_url_rule("/jwks.json", "jwks", self.jwks)

    def jwks(self) -> Any:
        self.fetches += 1
        return jsonify({"keys": self.keys}), self.status


def test_keys_that_a_client_publishes(provider: DevProvider, clock: Clock) -> None:
    site = Site()
    provider.http.mount("https://site.example/", WSGIAdapter(site.app))
    client = HandMadeClient(
        provider, method="none", now=clock, jwks_uri="https://site.example/jwks.json"
    )
    assert "'site-ec' is not known" in client.push().json()["error_description"]
    site.keys = [PUBLIC]
    assert client.push().status_code == 400, "a flood of unknown names fetches once a second"
    assert site.fetches == 1
    clock.now += 2
    assert client.push().status_code == 201
    assert client.push().status_code == 201
    assert site.fetches == 2
    new = ECKey.generate_key("P-256", {"kid": "second"})
    client.key, site.keys = new, [new.as_dict(private=False)]
    clock.now += 2
    assert client.push().status_code == 201, "a rotation is followed"
    assert site.fetches == 3
    clock.now += 61
    site.status = 500
    assert client.push().status_code == 400
    clock.now += 2
    site.status, site.keys = 200, [{"kid": "second", "kty": "EC"}]
    assert client.push().status_code == 400
    assert client.push(client.request().replace(".", "x.", 1)).status_code == 400


def test_a_provider_that_fetches_keys_once_in_a_while_and_never_between(
    provider: DevProvider, clock: Clock
) -> None:
    assert provider.key_cache == KeyCache(seconds=60, unknown_kid_seconds=1)
    provider.key_cache = KeyCache(seconds=3600, unknown_kid_seconds=None)
    site = Site()
    provider.http.mount("https://site.example/", WSGIAdapter(site.app))
    client = HandMadeClient(
        provider, method="none", now=clock, jwks_uri="https://site.example/jwks.json"
    )
    site.keys = [PUBLIC]
    assert client.push().status_code == 201
    new = ECKey.generate_key("P-256", {"kid": "second"})
    client.key, site.keys = new, [PUBLIC, new.as_dict(private=False)]
    clock.now += 3599
    assert client.push().status_code == 400
    assert site.fetches == 1
    clock.now += 2
    assert client.push().status_code == 201
    assert site.fetches == 2


def test_keys_of_a_client_that_cannot_be_reached(provider: DevProvider) -> None:
    client = HandMadeClient(provider, method="none", jwks_uri="http://127.0.0.1:1/jwks.json")
    assert client.push().status_code == 400


def test_a_request_that_names_no_key_is_refused(provider: DevProvider) -> None:
    site = Site()
    provider.http.mount("https://site.example/", WSGIAdapter(site.app))
    client = HandMadeClient(provider, method="none", jwks_uri="https://site.example/jwks.json")
    request = sign(client.header(kid=GONE), client.claims(), client.key)
    assert "no kid in the header" in client.push(request).json()["error_description"]
    assert site.fetches == 0


def test_many_at_once(provider: DevProvider) -> None:
    def log_in(n: int) -> tuple[str, str]:
        person = ("ada", "grace", "alan", "emilie")[n % 4]
        client = clients[n % 8]
        nonce = f"nonce-{n}"
        claims = client.verify(client.tokens(person, nonce=nonce)["id_token"], jwks)[1]
        assert (claims["aud"], claims["nonce"]) == (client.client_id, nonce)
        return person, claims["sub"]

    clients = [HandMadeClient(provider, client_id=f"client {n}") for n in range(8)]
    jwks = clients[0].jwks()
    with ThreadPoolExecutor(8) as pool:
        for person, sub in pool.map(log_in, range(64)):
            assert person == sub
    assert [call.endpoint for call in provider.calls].count("token") == 64


def test_config_is_what_an_app_needs(provider: DevProvider) -> None:
    config = provider.config({"PARJAR_SCOPES": "openid"})
    assert config.keys() == {
        "PARJAR_ISSUER",
        "PARJAR_CLIENT_ID",
        "PARJAR_SIGNING_KEY",
        "PARJAR_SCOPES",
    }
    assert config["PARJAR_SIGNING_KEY"]["d"] != provider.config()["PARJAR_SIGNING_KEY"]["d"]


def test_rsa_keys_are_made_once_for_an_issuer() -> None:
    first, second = (HandMadeClient(DevProvider("https://rsa.example")).jwks()[1] for _ in "12")
    other = HandMadeClient(DevProvider("https://rsa-2.example")).jwks()[1]
    assert first == second
    assert first["n"] != other["n"]
    assert isinstance(KEYS["RS256"], RSAKey)
    assert len(base64.urlsafe_b64decode(other["n"] + "==")) == 256


def test_a_process_makes_sixteen_rsa_keys_at_most() -> None:
    providers = [DevProvider(f"https://one-of-{number}.example") for number in range(17)]
    kids = [HandMadeClient(each).jwks()[1]["kid"] for each in providers]
    assert len(set(kids)) == 16
    assert kids[0] == kids[16]


def test_two_providers_share_no_people() -> None:
    first, second = DevProvider(), DevProvider()
    first.people["ada"].claims["name"] = "Somebody else"  # type: ignore[index]
    assert second.people["ada"].name == "Ada Lovelace"
    assert DevProvider().people["ada"].name == "Ada Lovelace"
