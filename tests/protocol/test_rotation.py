"""The keys of one file over time: which one signs, which are published, and how they change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from flask_parjar.protocol.encoding import b64decode
from flask_parjar.protocol.jwe import parse_decryption_keys, published_keys
from flask_parjar.protocol.keys import parse_signing_keys
from flask_parjar.protocol.rotation import (
    ACTIVE,
    ENCRYPTION,
    KINDS,
    NEXT,
    RETIRED,
    SIGNATURES,
    imported_key,
    new_key,
    new_set,
    parse_set,
    private_pem,
    prune,
    public_pem,
    public_set,
    rotate,
    states,
)
from tests.protocol.examples import EC_JWK

NOW = 1_800_000_000


def made(kind: str = "P-256", use: str = SIGNATURES) -> dict[str, Any]:
    return new_set(new_key(kind, use), kind=kind, now=NOW)


def summary(jwks: dict[str, Any]) -> list[tuple[str, int]]:
    return [(key.state, key.since - NOW) for key in states(jwks)]


def kids(jwks: dict[str, Any], state: str) -> list[str]:
    return [key.kid for key in states(jwks) if key.state == state]


@pytest.mark.parametrize("kind", KINDS[SIGNATURES])
def test_the_active_key_signs_and_both_are_published(kind: str) -> None:
    jwks = made(kind)
    signing = parse_signing_keys(json.dumps(jwks))
    assert [(key.state, key.since, key.kind, key.use) for key in states(jwks)] == [
        (ACTIVE, NOW, kind, "sig"),
        (NEXT, NOW, kind, "sig"),
    ]
    assert [signing[0].kid] == kids(jwks, ACTIVE)
    assert [key.kid for key in signing[1:]] == kids(jwks, NEXT)
    assert {key.public_jwk.get("parjar_state") for key in signing} == {None}


def test_a_new_rsa_key_is_as_strong_as_the_curves() -> None:
    """128 bits of security (NIST SP 800-57 part 1, table 2)."""
    modulus = b64decode(new_key("RSA", SIGNATURES)["n"])
    assert len(modulus) * 8 == 3072


def test_the_next_key_takes_over_when_it_was_published_for_long_enough() -> None:
    first = made()
    second = rotate(first, kind=None, after=60, now=NOW + 60)
    assert summary(second) == [(ACTIVE, 60), (NEXT, 60), (RETIRED, 60)]
    assert kids(second, ACTIVE) == kids(first, NEXT)
    assert kids(second, RETIRED) == kids(first, ACTIVE)
    third = rotate(second, kind=None, after=60, now=NOW + 200)
    assert summary(third) == [(ACTIVE, 200), (NEXT, 200), (RETIRED, 200), (RETIRED, 60)]
    assert parse_set(json.dumps(third)) == parse_set(f"\n {json.dumps(third)}\n") == third
    signing = parse_signing_keys(third)
    assert signing[0].kid == kids(third, ACTIVE)[0]
    assert len({key.kid for key in signing}) == 4


def test_a_retired_key_that_signed_has_no_private_half() -> None:
    jwks = rotate(made("RSA"), kind=None, after=0, now=NOW)
    assert [sorted({"d", "p", "q"} & jwk.keys()) for jwk in jwks["keys"]] == [
        ["d", "p", "q"],
        ["d", "p", "q"],
        [],
    ]


@pytest.mark.parametrize("seconds, wait", [(0, 60), (59, 1)])
def test_a_next_key_that_is_too_new(seconds: int, wait: int) -> None:
    with pytest.raises(ValueError, match=f"wait {wait} s"):
        rotate(made(), kind=None, after=60, now=NOW + seconds)


def test_a_set_without_a_next_key() -> None:
    jwks = made()
    del jwks["keys"][1]
    with pytest.raises(ValueError, match="no next key"):
        rotate(jwks, kind=None, after=0, now=NOW)


def test_another_kind_from_the_next_rotation_on() -> None:
    jwks = rotate(made(), kind="Ed25519", after=0, now=NOW)
    assert [key.kind for key in states(jwks)] == ["P-256", "Ed25519", "P-256"]
    assert [key.kind for key in states(rotate(jwks, kind=None, after=0, now=NOW))][:2] == [
        "Ed25519",
        "Ed25519",
    ]


def test_old_keys_are_left_out() -> None:
    jwks = rotate(made(), kind=None, after=0, now=NOW)
    jwks = rotate(jwks, kind=None, after=0, now=NOW + 100)
    assert summary(prune(jwks, older_than=50, now=NOW + 149)) == summary(jwks)[:3]
    assert summary(prune(jwks, older_than=50, now=NOW + 150)) == summary(jwks)[:2]
    assert prune(jwks, older_than=151, now=NOW + 150) == jwks


@pytest.mark.parametrize("kind", KINDS[ENCRYPTION])
def test_keys_that_decrypt_are_known_before_they_are_published_and_after(kind: str) -> None:
    first = made(kind, ENCRYPTION)
    jwks = rotate(first, kind=None, after=0, now=NOW)
    keys = parse_decryption_keys(json.dumps(jwks))
    assert [key.kid for key in keys] == [key.kid for key in states(jwks)]
    published = published_keys(keys, [])
    assert [each.kid for each in published] == [
        each.kid for each in published_keys(keys[:1], [])
    ], "the active one alone"
    assert [jwk["kid"] for jwk in public_set(json.dumps(jwks))["keys"]] == kids(jwks, ACTIVE)


def test_a_key_that_decrypts_and_has_no_state_is_published() -> None:
    jwk = new_key("P-256", ENCRYPTION)
    assert [each["kid"] for each in public_set(json.dumps(jwk))["keys"]] == [jwk["kid"]]


def test_a_key_that_is_there_already_becomes_the_active_one() -> None:
    pem = RSAKey.generate_key(2048).as_pem(private=True).decode()
    jwks = new_set(imported_key(pem, SIGNATURES), kind="P-256", now=NOW)
    assert [each.kind for each in states(jwks)] == ["RSA", "P-256"]
    assert parse_signing_keys(jwks)[0].kid == parse_signing_keys(pem)[0].kid
    named = {**ECKey.generate_key("P-256").as_dict(private=True), "kid": "mine", "use": "sig"}
    assert imported_key(json.dumps(named), SIGNATURES)["kid"] == "mine"


@pytest.mark.parametrize(
    "jwk, reason",
    [
        (ECKey.generate_key("P-256").as_dict(private=False), "no private key"),
        ({**ECKey.generate_key("P-256").as_dict(private=True), "use": "enc"}, "use is 'enc'"),
    ],
)
def test_a_key_that_cannot_become_the_active_one(jwk: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        imported_key(json.dumps(jwk), SIGNATURES)


def without_states() -> dict[str, Any]:
    return {"keys": [ECKey.generate_key("P-256").as_dict(private=True)]}


def with_two_active() -> dict[str, Any]:
    jwks = made()
    jwks["keys"][1]["parjar_state"] = ACTIVE
    return jwks


def with_a_state_that_is_not_known() -> dict[str, Any]:
    jwks = made()
    jwks["keys"][1]["parjar_state"] = "later"
    return jwks


def with_a_time_that_is_text() -> dict[str, Any]:
    jwks = made()
    jwks["keys"][1]["parjar_since"] = "today"
    return jwks


@pytest.mark.parametrize(
    "make",
    [without_states, with_two_active, with_a_state_that_is_not_known, with_a_time_that_is_text],
)
def test_a_set_that_was_made_elsewhere(make: Any) -> None:
    with pytest.raises(ValueError, match="no states"):
        parse_set(json.dumps(make()))


@pytest.mark.parametrize(
    "text", ["-----BEGIN PRIVATE KEY-----", "{", '{"keys": 1}', "{}", json.dumps(EC_JWK)]
)
def test_a_text_that_is_no_set(text: str) -> None:
    with pytest.raises(ValueError):
        parse_set(text)


def test_public_halves() -> None:
    jwks = rotate(made("RSA"), kind=None, after=0, now=NOW)
    public = public_set(json.dumps(jwks))
    assert [jwk["kid"] for jwk in public["keys"]] == [key.kid for key in states(jwks)]
    assert {name for jwk in public["keys"] for name in jwk} == {"kty", "n", "e", "kid", "use"}
    pem = private_pem(jwks["keys"][0])
    assert "BEGIN PRIVATE KEY" in pem
    assert public_pem(pem) == public_pem(json.dumps(jwks))
    assert "BEGIN PUBLIC KEY" in public_pem(pem)
    assert [jwk["kid"] for jwk in public_set(pem)["keys"]] == kids(jwks, ACTIVE)
