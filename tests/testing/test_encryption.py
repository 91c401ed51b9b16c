"""The provider's own encryption: what it takes, what it refuses, and what it sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import requests
from authlib.oauth2 import OAuth2Error
from flask import Flask, jsonify
from joserfc.errors import DecodeError
from joserfc.jwe import JWERegistry, decrypt_compact, encrypt_compact
from joserfc.jwk import ECKey, Key, RSAKey, import_key

from flask_parjar.testing import ClientMetadata, DevProvider, WSGIAdapter
from flask_parjar.testing.jwe import KEY_ALGORITHMS
from flask_parjar.testing.jws import MAX_LENGTH, decode_json, encode_json
from tests.testing.hand_made_client import EC, NOW, HandMadeClient

OP = "https://op.example"
DECRYPTS = ECKey.generate_key("P-256", {"use": "enc", "alg": "ECDH-ES", "kid": "site-enc"})
KEYS = [key.as_dict(private=False) for key in (EC, DECRYPTS)]


def client_with(**registration: Any) -> HandMadeClient:
    return HandMadeClient(DevProvider(OP, now=lambda: NOW), jwks={"keys": KEYS}, **registration)


def decryption_keys(client: HandMadeClient) -> dict[str, Key]:
    """The keys that the provider publishes for encryption, by their type."""
    keys = client.http.get(f"{OP}/jwks.json").json()["keys"]
    return {key["kty"]: import_key(key) for key in keys if key["use"] == "enc"}


def encrypted(client: HandMadeClient, text: str | None = None, **header: Any) -> str:
    alg = str(header.get("alg", "ECDH-ES"))
    key = decryption_keys(client)["RSA" if alg.startswith("RSA") else "EC"]
    given = {"alg": alg, "enc": "A128CBC-HS256", "cty": "JWT", "kid": key.kid, **header}
    protected = {name: value for name, value in given.items() if value is not None}
    registry = JWERegistry(algorithms=[alg, str(protected["enc"]), "DEF"])
    return encrypt_compact(protected, text or client.request(), key, registry=registry)


def test_keys_for_encryption_are_published_if_a_client_needs_them() -> None:
    assert decryption_keys(client_with()) == {}
    assert set(decryption_keys(client_with(request_object_encryption_alg="ECDH-ES"))) == {
        "EC",
        "RSA",
    }


def test_all_clients_encrypt_for_the_same_keys() -> None:
    client = client_with(request_object_encryption_alg="ECDH-ES")
    before = {key.kid for key in decryption_keys(client).values()}
    again = HandMadeClient(
        client.provider, client_id="other", request_object_encryption_alg="RSA-OAEP"
    )
    assert {key.kid for key in decryption_keys(again).values()} == before


def test_a_token_that_is_encrypted_for_a_foreign_rsa_key() -> None:
    rsa = RSAKey.generate_key(2048, {"use": "enc", "alg": "RSA-OAEP", "kid": "r"})
    keys = [*KEYS, rsa.as_dict(private=False)]
    client = HandMadeClient(
        DevProvider(OP, now=lambda: NOW),
        jwks={"keys": keys},
        id_token_encrypted_response_alg="RSA-OAEP",
    )
    registry = JWERegistry(algorithms=["RSA-OAEP", "A128CBC-HS256"])
    token = client.tokens()["id_token"]
    assert decrypt_compact(token, rsa, registry=registry).protected["kid"] == "r"
    with client.provider.fault("jwe_key_foreign"):
        foreign = client.tokens()["id_token"]
    with pytest.raises(DecodeError):
        decrypt_compact(foreign, rsa, registry=registry)


@pytest.mark.parametrize("alg", KEY_ALGORITHMS)
def test_an_encrypted_request_object(alg: str) -> None:
    client = client_with(request_object_encryption_alg=alg)
    answer = client.push(encrypted(client, alg=alg))
    assert answer.status_code == 201, answer.text


def test_a_client_that_registered_nothing_may_encrypt_with_what_is_offered() -> None:
    client = client_with()
    client.provider._state.keys.publish_decryption_keys()
    assert client.push(encrypted(client, enc="A256GCM")).status_code == 201
    client.provider.metadata["request_object_encryption_enc_values_supported"] = []
    assert client.push(encrypted(client, enc="A256GCM")).status_code == 400


def changed(token: str, **changes: Any) -> str:
    first, *rest = token.split(".")
    return ".".join([encode_json({**decode_json(first), **changes}), *rest])


BENT: Mapping[str, Any] = {
    "it is not encrypted": lambda c: c.request(),
    "is not one of those": lambda c: encrypted(c, alg="ECDH-ES+A128KW"),
    "with enc 'A256GCM'": lambda c: encrypted(c, enc="A256GCM"),
    "must not carry zip": lambda c: encrypted(c, zip="DEF"),
    "must not carry crit": lambda c: changed(encrypted(c), crit=["exp"]),
    "cty is None": lambda c: encrypted(c, cty=None),
    "cty is 'text'": lambda c: encrypted(c, cty="text"),
    "there is no key None": lambda c: encrypted(c, kid=None),
    "there is no key 'x'": lambda c: encrypted(c, kid="x"),
    "there is no key": lambda c: changed(encrypted(c), kid=["x"]),
    "cannot be decrypted": lambda c: encrypted(c)[:-4] + "AAAA",
    "this has 5": lambda c: encrypted(c, encrypted(c)),
    "three parts": lambda c: encrypted(c, '{"iss": "a"}'),
    "longer than": lambda c: encrypted(c) + "A" * MAX_LENGTH,
    "not base64url": lambda c: "a.b.c.d.e",
}


@pytest.mark.parametrize("reason", BENT)
def test_request_objects_that_are_refused(reason: str) -> None:
    client = client_with(request_object_encryption_alg="ECDH-ES")
    answer = client.push(BENT[reason](client))
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request_object"
    assert reason in answer.json()["error_description"]


def test_a_key_for_encryption_verifies_no_signature_and_the_other_way_round() -> None:
    client = client_with()
    keys = client.provider.clients[client.client_id].keys
    assert keys.find("site-enc") is None
    assert keys.find("site-ec") is not None
    assert keys.encryption_key("ECDH-ES") is not None
    assert keys.encryption_key("ES256") is None


def test_keys_by_url_and_a_client_without_a_key() -> None:
    provider = DevProvider(OP, now=lambda: NOW)
    site = Flask("site")
    site.add_url_rule("/jwks", view_func=lambda: jsonify(keys=KEYS))
    provider.http.mount("https://site.example", WSGIAdapter(site))
    for client_id, alg in (("with", "ECDH-ES"), ("without", "RSA-OAEP")):
        provider.register(
            ClientMetadata(
                client_id=client_id,
                redirect_uris=["https://site.example/"],
                jwks_uri="https://site.example/jwks",
                id_token_encrypted_response_alg=alg,
            )
        )
    token = provider.logout_token(client_id="with", sub="ada")
    registry = JWERegistry(algorithms=["ECDH-ES", "A128CBC-HS256"])
    content = decrypt_compact(token, DECRYPTS, registry=registry).plaintext or b""
    assert decode_json(content.decode().split(".")[0])["typ"] == "logout+jwt"
    with pytest.raises(OAuth2Error, match="no key with use enc and alg RSA-OAEP"):
        provider.logout_token(client_id="without", sub="ada")
    assert provider.clients["with"].keys.find("site-enc") is None


def userinfo(client: HandMadeClient) -> requests.Response:
    return client.userinfo(client.tokens()["access_token"])


def test_userinfo_is_signed_where_that_is_registered() -> None:
    client = client_with(userinfo_signed_response_alg="RS256")
    answer = userinfo(client)
    assert answer.headers["Content-Type"] == "application/jwt"
    header, claims = client.verify(answer.text)
    assert header["alg"] == "RS256"
    assert (claims["iss"], claims["aud"], claims["sub"]) == (OP, client.client_id, "ada")


def test_userinfo_that_is_encrypted_is_signed_too() -> None:
    client = client_with(
        userinfo_encrypted_response_alg="ECDH-ES", userinfo_encrypted_response_enc="A256GCM"
    )
    answer = userinfo(client)
    registry = JWERegistry(algorithms=["ECDH-ES", "A256GCM"])
    content = decrypt_compact(answer.text, DECRYPTS, registry=registry).plaintext or b""
    assert client.verify(content.decode())[1]["sub"] == "ada"
