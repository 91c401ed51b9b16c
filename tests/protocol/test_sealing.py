"""Sealed text: what opens, and that nothing else does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwe import JWERegistry, encrypt_compact
from joserfc.jwk import OctKey

from flask_parjar.protocol.encoding import b64decode, b64encode
from flask_parjar.protocol.sealing import MAX_SEALED, derive_key, seal, unseal
from tests.support.errors import invalid
from tests.support.untrusted import bounded, json_values

SECRET = b"the secret of an app"
OLDER = b"the one before"
PURPOSE = "tokens:5f"
TEXT = '{"access_token":"x","ü":"\U0001f511"}'


def open_it(sealed: str, *secrets: bytes, purpose: str = PURPOSE) -> str:
    return unseal(sealed, secrets=secrets or (SECRET,), purpose=purpose)


def sealed(text: str = TEXT, *secrets: bytes, purpose: str = PURPOSE) -> str:
    return seal(text, secrets=secrets or (SECRET,), purpose=purpose)


@pytest.mark.parametrize("text", [TEXT, "", "x", "\0", "x" * 40_000])
def test_sealed_text_can_be_opened(text: str) -> None:
    assert open_it(sealed(text)) == text


def test_it_is_a_jwe_that_fits_into_a_cookie_and_shows_nothing() -> None:
    parts = sealed().split(".")
    assert json.loads(b64decode(parts[0])) == {"alg": "dir", "enc": "A256GCM"}
    assert [len(b64decode(part)) for part in parts[1:]] == [0, 12, len(TEXT.encode()), 16]
    assert "access_token" not in sealed()


def test_the_same_text_is_never_sealed_twice_alike() -> None:
    """With GCM, a nonce that comes again would give the text away."""
    texts = {sealed() for _ in range(50)}
    assert len({text.split(".")[2] for text in texts}) == 50


# For one purpose, with one of the secrets.


@pytest.mark.parametrize("purpose", ["tokens:5e", "tokens:", "tokens:5f ", "", "session:5f", "ü"])
def test_one_purpose_never_opens_as_another(purpose: str) -> None:
    with invalid():
        open_it(sealed(), purpose=purpose)
    with invalid():
        open_it(sealed(purpose=purpose))
    assert open_it(sealed(purpose=purpose), purpose=purpose) == TEXT


def test_a_secret_that_was_rotated_still_opens_and_seals_no_more() -> None:
    before, after = sealed(TEXT, OLDER), sealed(TEXT, SECRET, OLDER)
    assert open_it(before, SECRET, OLDER) == TEXT
    assert open_it(after, SECRET) == TEXT
    with invalid():
        open_it(after, OLDER)
    with invalid():
        open_it(before, SECRET)
    with invalid():
        unseal(before, secrets=(), purpose=PURPOSE)


# RFC 5869.


@pytest.mark.parametrize("secret", [SECRET, b"x", b"\0" * 100, b"\xff" * 64])
@pytest.mark.parametrize("purpose", [PURPOSE, "", "ü", "x" * 1000])
def test_the_key_is_that_of_hkdf(secret: bytes, purpose: str) -> None:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=b"flask_parjar", info=purpose.encode())
    assert derive_key(secret, purpose) == hkdf.derive(secret)


def test_the_hkdf_of_that_other_implementation_is_that_of_rfc_5869() -> None:
    """Test case 1 of appendix A, whose first 32 bytes are one block, as ours."""
    secret, salt, info = b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA))
    okm = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=salt, info=info)
    assert hkdf.derive(secret).hex() == okm
    prk = hmac.new(salt, secret, hashlib.sha256).digest()
    assert hmac.new(prk, info + b"\x01", hashlib.sha256).hexdigest() == okm


# Whatever was changed.


def test_a_changed_character_anywhere() -> None:
    text = sealed("short")
    for position, character in enumerate(text):
        other = "B" if character == "A" else "A"
        changed = text[:position] + other + text[position + 1 :]
        if changed.count(".") == 4 and _bytes(changed) == _bytes(text):
            continue  # left-over bits of base64, which say nothing
        with invalid():
            open_it(changed)


def _bytes(text: str) -> list[bytes]:
    return [base64.urlsafe_b64decode(part + "==") for part in text.split(".")]


def test_a_text_that_was_cut() -> None:
    text = sealed("short")
    for length in range(len(text)):
        with invalid():
            open_it(text[:length])


@pytest.mark.parametrize(
    "text", ["", ".", "....", ".....", "a.b.c.d.e", "é....", "\ud800", "\0", "x" * 1000, "[" * 9000]
)
def test_text_that_was_not_sealed(text: str) -> None:
    with invalid():
        open_it(text)


def test_parts_of_two_texts() -> None:
    one, other = sealed("one").split("."), sealed("two").split(".")
    for part in (2, 3, 4):
        mixed = [*one[:part], other[part], *one[part + 1 :]]
        with invalid():
            open_it(".".join(mixed))


# Other kinds of JWE, under a key that is even ours.

OUR_KEY = derive_key(SECRET, PURPOSE)


def made(header: dict[str, Any], key: bytes) -> str:
    registry = JWERegistry(algorithms=[header["alg"], header["enc"], header.get("zip", "DEF")])
    return encrypt_compact(header, TEXT.encode(), OctKey.import_key(key), registry=registry)


def test_a_jwe_that_another_program_made_of_the_same_key() -> None:
    assert open_it(made({"alg": "dir", "enc": "A256GCM"}, OUR_KEY)) == TEXT


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ({"alg": "dir", "enc": "A256GCM"}, b"k" * 32),
        ({"alg": "dir", "enc": "A128GCM"}, OUR_KEY[:16]),
        ({"alg": "dir", "enc": "A128CBC-HS256"}, OUR_KEY),
        ({"alg": "A256KW", "enc": "A256GCM"}, OUR_KEY),
        ({"alg": "A256GCMKW", "enc": "A256GCM"}, OUR_KEY),
        ({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}, OUR_KEY),
    ],
)
def test_another_kind_of_jwe(header: dict[str, Any], key: bytes) -> None:
    with invalid():
        open_it(made(header, key))


@pytest.mark.parametrize(
    "header",
    [
        [],
        "x",
        1,
        None,
        {},
        {"alg": "dir"},
        {"enc": "A256GCM"},
        {"alg": 5, "enc": "A256GCM"},
        {"alg": ["dir"], "enc": "A256GCM"},
        {"alg": {}, "enc": "A256GCM"},
        {"alg": "dir", "enc": {}},
        {"alg": "dir", "enc": []},
        {"alg": "dir", "enc": "A256GCM", "crit": 5},
        {"alg": "dir", "enc": "A256GCM", "crit": ["x"]},
        {"alg": "dir", "enc": "A256GCM", "zip": {}},
        {"alg": "dir", "enc": "A256GCM", "kid": {}},
        {"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": 10**9, "p2s": "eA"},
    ],
    ids=json.dumps,
)
def test_a_header_of_another_shape_is_refused(header: object) -> None:
    head = b64encode(json.dumps(header).encode())
    with invalid():
        open_it(f"{head}.{sealed().partition('.')[2]}")


def test_a_header_without_a_bottom() -> None:
    for depth in (500, 4000, 40_000):
        with invalid():
            open_it(f"{b64encode(b'[' * depth)}.{sealed().partition('.')[2]}")


# Bounds.


def test_text_that_is_too_long_is_not_decoded() -> None:
    """A text that would open, but for its length."""
    text = sealed("x" * 49_000)
    assert len(text) < MAX_SEALED == 65_536
    assert open_it(text) == "x" * 49_000
    overhead = len(sealed(""))
    longest = "x" * ((MAX_SEALED - overhead) * 3 // 4)
    assert len(sealed(longest)) == MAX_SEALED
    assert open_it(sealed(longest)) == longest
    with invalid(f"{MAX_SEALED}"):
        open_it(sealed(f"{longest}x"))
    with invalid():
        open_it("." * MAX_SEALED)
    with invalid(f"{MAX_SEALED}"):
        open_it("." * (MAX_SEALED + 1))


def test_bytes_that_are_no_text() -> None:
    key = OctKey.import_key(OUR_KEY)
    text = encrypt_compact({"alg": "dir", "enc": "A256GCM"}, b"\xff\xfe", key)
    with invalid():
        open_it(text)


@bounded
@given(st.text() | st.binary().map(lambda value: value.decode("latin-1")))
def test_any_text_has_one_error(text: str) -> None:
    with invalid():
        open_it(text)


@bounded
@given(json_values, st.lists(st.binary(max_size=20), min_size=4, max_size=4))
def test_any_jwe_has_one_error(header: object, parts: list[bytes]) -> None:
    head = json.dumps(header).encode()
    with invalid():
        open_it(".".join(b64encode(part) for part in (head, *parts)))


@bounded
@given(
    st.dictionaries(
        st.sampled_from(["alg", "enc", "zip", "crit", "kid", "p2c", "p2s", "apu", "epk", "b64"]),
        json_values | st.sampled_from(["dir", "A256GCM", "A256KW", "ECDH-ES", "DEF"]),
    )
)
def test_any_header_has_one_error(header: dict[str, Any]) -> None:
    text = sealed()
    given_header = {"alg": "dir", "enc": "A256GCM"} | header
    if given_header == {"alg": "dir", "enc": "A256GCM"}:
        return
    head = b64encode(json.dumps(given_header).encode())
    with invalid():
        open_it(f"{head}.{text.partition('.')[2]}")
