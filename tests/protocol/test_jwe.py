"""Encrypted tokens: which keys, which headers, what is decrypted, and what a failure tells."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from joserfc.jwe import JWERegistry, encrypt_compact
from joserfc.jwk import ECKey, JWKRegistry, Key, OctKey, OKPKey, RSAKey

from flask_parjar.errors import LoginError, TokenRejected
from flask_parjar.protocol.encoding import b64decode, b64encode
from flask_parjar.protocol.jwe import (
    CONTENT_ALGORITHMS,
    KEY_ALGORITHMS,
    MAX_ENCRYPTED_LENGTH,
    Decryption,
    DecryptionKey,
    Encryption,
    RequestEncryption,
    is_encrypted,
    parse_decryption_keys,
    parse_encryption,
    parse_encryption_key,
    published_keys,
)
from flask_parjar.protocol.key_set import KeySet
from tests.protocol.examples import EC_JWK, OKP_JWK, P384_JWK, RSA_JWK, public, rsa_jwk
from tests.support.errors import invalid, refused
from tests.support.untrusted import bounded, documents

#: Made for these tests.
X25519_JWK = OKPKey.generate_key("X25519").as_dict(private=True)
#: RFC 7518 appendix C: Bob's key, and the public half of Alice's ephemeral one.
BOB_JWK = {
    "kty": "EC",
    "crv": "P-256",
    "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
    "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
    "d": "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw",
}
EPHEMERAL_JWK = {
    "kty": "EC",
    "crv": "P-256",
    "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
    "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
}
JWK_FOR_KIND: Mapping[str, Mapping[str, Any]] = {
    "RSA": RSA_JWK,
    "P-256": EC_JWK,
    "P-384": P384_JWK,
    "P-521": ECKey.generate_key("P-521").as_dict(private=True),
    "X25519": X25519_JWK,
}
OTHER_RSA = RSAKey.generate_key(2048)
TEXT = "what.is.inside"


def key_of(jwk: Mapping[str, Any], **more: Any) -> DecryptionKey:
    return imported(json.dumps({**jwk, **more}))


@functools.cache
def imported(text: str) -> DecryptionKey:
    """A key, imported once a run (RSA takes its time)."""
    (key,) = parse_decryption_keys(text)
    return key


def decryption(
    *keys: DecryptionKey, alg: str = "ECDH-ES+A256KW", encs: tuple[str, ...] = ("A256GCM",)
) -> Decryption:
    return Decryption(encryption=Encryption(alg=alg, encs=encs), keys=keys)


def encrypted(
    jwk: Mapping[str, Any], text: str | bytes = TEXT, *, key: Key | None = None, **header: Any
) -> str:
    """Text encrypted for a key, as a provider does it; a member of None is left out."""
    given = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "cty": "JWT", **header}
    protected = {name: value for name, value in given.items() if value is not None}
    registry = JWERegistry(
        algorithms=[str(protected["alg"]), str(protected["enc"]), "DEF"], strict_check_header=False
    )
    registry.max_protected_header_length = 8192
    recipient = key or JWKRegistry.import_key({k: v for k, v in jwk.items() if k != "alg"})
    return encrypt_compact(protected, text, recipient, registry=registry)


def code_of(decrypting: Decryption, token: str) -> str:
    with pytest.raises(TokenRejected) as refused:
        decrypting.decrypt(token)
    return refused.value.error_code


# The keys.


def test_the_kinds_of_keys_and_what_each_can_be_used_for() -> None:
    for kind, jwk in JWK_FOR_KIND.items():
        key = key_of(jwk)
        able = [alg for alg in KEY_ALGORITHMS if key.fits(alg)]
        assert able == [alg for alg in KEY_ALGORITHMS if alg.startswith("RSA") == (kind == "RSA")]


def test_a_key_with_an_alg_is_for_this_one_alone() -> None:
    key = key_of(EC_JWK, alg="ECDH-ES", use="enc", key_ops=["deriveBits"])
    assert [alg for alg in KEY_ALGORITHMS if key.fits(alg)] == ["ECDH-ES"]


@pytest.mark.parametrize(
    ("jwk", "value"),
    [
        (public(EC_JWK), ""),
        (OKP_JWK, "Ed25519"),
        ({**EC_JWK, "use": "sig"}, "'enc'"),
        ({**EC_JWK, "alg": "RSA-OAEP"}, "'RSA-OAEP'"),
        ({**EC_JWK, "alg": "ES256"}, "'ES256'"),
        ({**RSA_JWK, "alg": "RSA1_5"}, "'RSA1_5'"),
        ({**RSA_JWK, **rsa_jwk(2047)}, "2047"),
        ({"kty": "oct", "k": "c2VjcmV0"}, "kty"),
        ({**EC_JWK, "crv": "secp256k1"}, ""),
    ],
)
def test_keys_that_cannot_be_used_are_refused(jwk: Mapping[str, Any], value: str) -> None:
    with invalid(value):
        parse_decryption_keys(jwk)


@pytest.mark.parametrize("generate", [RSAKey.generate_key, OKPKey.generate_key])
def test_a_pem_is_a_key_too(generate: Any) -> None:
    size = 2048 if generate == RSAKey.generate_key else "X25519"
    pem = generate(size).as_pem(private=True).decode()
    (key,) = parse_decryption_keys(pem)
    assert key.public_jwk["use"] == "enc"


def test_no_private_member_is_published_or_printed() -> None:
    for jwk in JWK_FOR_KIND.values():
        key = key_of(jwk)
        published = key.published_for(next(alg for alg in KEY_ALGORITHMS if key.fits(alg)))
        assert not {"d", "p", "q", "dp", "dq", "qi"}.intersection(published.public_jwk)
        assert str(jwk["d"]) not in f"{key!r} {published!r} {decryption(key)!r}"


# What is published.


def test_each_algorithm_is_published_once_with_use_and_alg_and_a_kid_of_its_own() -> None:
    key = key_of(EC_JWK, kid="k1")
    entries = [each.public_jwk for each in published_keys([key], ["ECDH-ES", "ECDH-ES+A256KW"])]
    expected = {**public(EC_JWK), "use": "enc"}
    assert entries == [
        {**expected, "kid": "k1-ECDH-ES", "alg": "ECDH-ES"},
        {**expected, "kid": "k1-ECDH-ES+A256KW", "alg": "ECDH-ES+A256KW"},
    ]


def test_a_key_with_an_alg_is_published_as_it_is() -> None:
    key = key_of(RSA_JWK, kid="r1", alg="RSA-OAEP")
    (entry,) = published_keys([key], ["RSA-OAEP"])
    assert (entry.kid, entry.public_jwk["kid"], entry.public_jwk["alg"]) == ("r1", "r1", "RSA-OAEP")


def test_the_first_key_that_fits_is_published_and_the_others_only_decrypt() -> None:
    keys = [key_of(RSA_JWK, kid="r"), key_of(P384_JWK, kid="new"), key_of(EC_JWK, kid="old")]
    entries = published_keys(keys, ["ECDH-ES", "ECDH-ES"])
    assert [entry.kid for entry in entries] == ["new-ECDH-ES"]
    assert decryption(*keys, alg="ECDH-ES").decrypt(encrypted(EC_JWK, alg="ECDH-ES")) == TEXT


def test_an_algorithm_that_no_key_fits_is_not_published() -> None:
    entries = published_keys([key_of(EC_JWK, kid="e")], ["RSA-OAEP", "ECDH-ES"])
    assert [entry.kid for entry in entries] == ["e-ECDH-ES"]


def test_without_an_algorithm_in_the_configuration_the_usual_one_of_each_key_is_published() -> None:
    keys = [key_of(RSA_JWK), key_of(EC_JWK), key_of(X25519_JWK, alg="ECDH-ES")]
    entries = published_keys(keys, [])
    assert [each.public_jwk["alg"] for each in entries] == [
        "RSA-OAEP-256",
        "ECDH-ES+A256KW",
        "ECDH-ES",
    ]


# The configuration.


def test_the_text_of_the_configuration() -> None:
    both = Encryption(alg="ECDH-ES+A256KW", encs=("A256CBC-HS512", "A256GCM"))
    assert parse_encryption("ECDH-ES+A256KW A256CBC-HS512 A256GCM") == both
    assert parse_encryption(["ECDH-ES+A256KW", "A256CBC-HS512", "A256GCM"]) == both
    assert parse_encryption("RSA-OAEP A256GCM") == Encryption(alg="RSA-OAEP", encs=("A256GCM",))
    assert parse_encryption(["ECDH-ES", *CONTENT_ALGORITHMS]).encs == tuple(CONTENT_ALGORITHMS)


@pytest.mark.parametrize(
    "value",
    [
        "RSA1_5 A256GCM",
        "dir A256GCM",
        "A256KW A256GCM",
        "PBES2-HS256+A128KW A256GCM",
        "ECDH-ES",
        "A256GCM ECDH-ES",
        "ECDH-ES A192GCM",
        "ECDH-ES A256GCM DEF",
        "",
        7,
        ["ECDH-ES", ["A256GCM"]],
        [["ECDH-ES"], "A256GCM"],
    ],
)
def test_what_may_not_be_named(value: object) -> None:
    with invalid():
        parse_encryption(value)


def test_what_is_kept_of_a_decryption_key() -> None:
    """This key is imported here, and not once a run."""
    jwk = ECKey.generate_key("P-256", {"kid": "k1", "alg": "ECDH-ES"}).as_dict(private=True)
    (key,) = parse_decryption_keys(json.dumps(jwk))
    assert (key.kid, key.kind, key.alg) == ("k1", "P-256", "ECDH-ES")
    assert key.public_jwk == {
        **{name: jwk[name] for name in ("kty", "crv", "x", "y", "kid", "alg")},
        "use": "enc",
    }


def test_the_algorithms_to_choose_from_are_named() -> None:
    with invalid("ECDH-ES+A256KW A256GCM"):
        parse_encryption("ECDH-ES")
    with invalid(", ".join(KEY_ALGORITHMS)):
        parse_encryption("dir A256GCM")
    with invalid(", ".join(CONTENT_ALGORITHMS)):
        parse_encryption("ECDH-ES A192GCM")


# Decryption.


@pytest.mark.parametrize("enc", CONTENT_ALGORITHMS)
@pytest.mark.parametrize(
    ("kind", "alg"),
    [(kind, alg) for alg, kinds in KEY_ALGORITHMS.items() for kind in sorted(kinds)],
)
def test_every_algorithm_with_every_key(kind: str, alg: str, enc: str) -> None:
    jwk = JWK_FOR_KIND[kind]
    token = encrypted(public(jwk), alg=alg, enc=enc)
    assert decryption(key_of(jwk), alg=alg, encs=(enc,)).decrypt(token) == TEXT


def test_the_key_agreement_of_rfc_7518_appendix_c() -> None:
    # The derived key of the RFC encrypts; so only who derives the same key can decrypt.
    header = {"alg": "ECDH-ES", "enc": "A128GCM", "cty": "JWT", "epk": EPHEMERAL_JWK}
    header |= {"apu": "QWxpY2U", "apv": "Qm9i"}
    derived = b64decode("VqqN6vgjbSBcIijNcacQGg")
    protected = b64encode(json.dumps(header).encode())
    enc, iv = JWERegistry.algorithms["enc"]["A128GCM"], bytes(12)
    content, tag = enc.encrypt(TEXT.encode(), derived, iv, protected.encode())
    token = ".".join([protected, "", *(b64encode(part) for part in (iv, content, tag))])
    assert decryption(key_of(BOB_JWK), alg="ECDH-ES", encs=("A128GCM",)).decrypt(token) == TEXT


def test_the_kid_may_be_that_of_the_key_or_of_its_published_entry_or_be_missing() -> None:
    decrypting = decryption(key_of(EC_JWK, kid="k1"))
    for kid in ("k1", "k1-ECDH-ES+A256KW", None):
        assert decrypting.decrypt(encrypted(public(EC_JWK), kid=kid)) == TEXT
    for kid in ("k2", "k1-ECDH-ES", "k1-", "k" * 100):
        shown = f"kid={repr(kid)[:80]} alg=ECDH-ES+A256KW"
        with refused(TokenRejected, "token_decryption", shown, "0 keys"):
            decrypting.decrypt(encrypted(public(EC_JWK), kid=kid))


def test_without_a_kid_every_key_that_fits_is_tried() -> None:
    decrypting = decryption(key_of(P384_JWK), key_of(RSA_JWK), key_of(EC_JWK))
    assert decrypting.decrypt(encrypted(public(EC_JWK))) == TEXT


def test_an_enc_among_several_is_accepted() -> None:
    decrypting = decryption(key_of(EC_JWK), encs=("A256CBC-HS512", "A256GCM"))
    for enc in ("A256CBC-HS512", "A256GCM"):
        assert decrypting.decrypt(encrypted(public(EC_JWK), enc=enc)) == TEXT
    assert code_of(decrypting, encrypted(public(EC_JWK), enc="A128GCM")) == "token_encryption"


def test_unknown_members_of_the_header_are_ignored() -> None:
    more = {"typ": "JWT", "x5t": "c2hh", "iss": "https://op.example", "jku": "https://evil.example"}
    assert decryption(key_of(EC_JWK)).decrypt(encrypted(public(EC_JWK), **more)) == TEXT


@pytest.mark.parametrize("cty", ["JWT", "jwt", "application/jwt"])
def test_the_spellings_of_cty(cty: str) -> None:
    assert decryption(key_of(EC_JWK)).decrypt(encrypted(public(EC_JWK), cty=cty)) == TEXT


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ({"alg": "ECDH-ES"}, "alg='ECDH-ES'"),
        ({"alg": "ECDH-ES+A128KW"}, "alg='ECDH-ES+A128KW'"),
        ({"enc": "A128GCM"}, "enc='A128GCM'"),
        ({"cty": None}, "cty=None"),
        ({"cty": "text/plain"}, "cty='text/plain'"),
        ({"cty": "x" * 100}, f"cty='{'x' * 79}"),
        ({"zip": "DEF"}, "'zip'"),
        ({"kid": ["k1"]}, "kid"),
    ],
)
def test_headers_that_differ_from_what_was_agreed(header: Mapping[str, Any], value: str) -> None:
    token = encrypted(public(EC_JWK), **{k: v for k, v in header.items() if k != "kid"})
    if "kid" in header:
        token = with_header(token, **header)
    with refused(TokenRejected, "token_encryption", value):
        decryption(key_of(EC_JWK)).decrypt(token)


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({"crit": ["exp"]}, "'crit'"),
        ({"b64": False}, "'b64'"),
        ({"alg": None}, "alg=None"),
        ({"alg": ["ECDH-ES+A256KW"]}, "alg=['ECDH-ES+A256KW']"),
        ({"alg": "x" * 100}, f"alg='{'x' * 79}"),
        ({"enc": "x" * 100}, f"enc='{'x' * 79}"),
    ],
)
def test_headers_that_change_what_is_read(changes: Mapping[str, Any], value: str) -> None:
    token = with_header(encrypted(public(EC_JWK)), **changes)
    with refused(TokenRejected, "token_encryption", value):
        decryption(key_of(EC_JWK)).decrypt(token)


def with_header(token: str, **changes: Any) -> str:
    first, *rest = token.split(".")
    header = json.loads(b64decode(first)) | changes
    return ".".join([b64encode(json.dumps(header).encode()), *rest])


def test_rsa1_5_and_shared_secrets_are_never_tried() -> None:
    rsa = RSAKey.import_key(public(RSA_JWK))
    with pytest.warns(match="RSA1_5"):
        token = encrypted(RSA_JWK, key=rsa, alg="RSA1_5")
    assert code_of(decryption(key_of(RSA_JWK), alg="RSA-OAEP"), token) == "token_encryption"
    secret = OctKey.import_key(b"0" * 32)
    for alg in ("dir", "PBES2-HS256+A128KW", "A256KW"):
        token = encrypted({}, key=secret, alg=alg)
        assert code_of(decryption(key_of(EC_JWK)), token) == "token_encryption"


# Failures, which all look the same.


def changed(token: str, part: int) -> str:
    """A token with one bit of a part turned."""
    parts = token.split(".")
    octets = b64decode(parts[part])
    parts[part] = b64encode(bytes([octets[0] ^ 1]) + octets[1:])
    return ".".join(parts)


EPK = {"kty": "EC", "crv": "P-256", "x": EC_JWK["x"], "y": EC_JWK["y"]}


@pytest.mark.parametrize(
    "epk",
    [
        {**EPK, "y": EC_JWK["x"]},
        {**EPK, "crv": "P-384"},
        public(P384_JWK),
        public(X25519_JWK),
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "EC"},
        "not a key",
        None,
    ],
    ids=["off the curve", "curve", "P-384", "X25519", "RSA", "no point", "text", "null"],
)
def test_points_that_are_not_on_the_curve_and_keys_of_another_kind(epk: object) -> None:
    token = with_header(encrypted(public(EC_JWK), alg="ECDH-ES"), epk=epk)
    assert code_of(decryption(key_of(EC_JWK), alg="ECDH-ES"), token) == "token_decryption"


def test_a_point_of_small_order_is_refused() -> None:
    epk = {"kty": "OKP", "crv": "X25519", "x": b64encode(bytes(32))}
    token = with_header(encrypted(public(X25519_JWK), alg="ECDH-ES"), epk=epk)
    assert code_of(decryption(key_of(X25519_JWK), alg="ECDH-ES"), token) == "token_decryption"


@pytest.mark.parametrize("part", [1, 2, 3, 4])
@pytest.mark.parametrize("alg", ["RSA-OAEP-256", "RSA-OAEP"])
@pytest.mark.parametrize("enc", ["A256GCM", "A256CBC-HS512"])
def test_whatever_is_wrong_the_answer_is_the_same(alg: str, enc: str, part: int) -> None:
    decrypting = decryption(key_of(RSA_JWK), alg=alg, encs=(enc,))
    token = encrypted(public(RSA_JWK), alg=alg, enc=enc)
    with pytest.raises(TokenRejected) as refused:
        decrypting.decrypt(changed(token, part))
    with pytest.raises(TokenRejected) as of_another_key:
        decrypting.decrypt(encrypted({}, key=OTHER_RSA, alg=alg, enc=enc))
    assert refused.value.error_code == "token_decryption"
    assert refused.value.detail == of_another_key.value.detail


@pytest.mark.parametrize(
    "token",
    [
        "a.b.c.d.e",
        "....",
        f"{b64encode(b'[]')}....",
        f"{b64encode(b'{}')}...=.",
        "é....",
    ],
)
def test_what_is_no_jwe(token: str) -> None:
    with refused(TokenRejected, "token_malformed", "JWE"):
        decryption(key_of(EC_JWK)).decrypt(token)


def test_a_header_without_members() -> None:
    with refused(TokenRejected, "token_encryption", "alg=None"):
        decryption(key_of(EC_JWK)).decrypt("e30....")


def token_of_length(length: int) -> tuple[str, str]:
    """A text whose encrypted token has this length, and the token."""
    for padding in ("", "x", "xx"):
        rest = length - len(encrypted(public(EC_JWK), b"", x=padding))
        if rest % 4 != 1:  # base64url has no such length
            text = "x" * (rest * 3 // 4)
            return text, encrypted(public(EC_JWK), text, x=padding)
    raise AssertionError


def test_an_encrypted_token_is_so_long_and_no_longer() -> None:
    assert MAX_ENCRYPTED_LENGTH == 49152
    decrypting = decryption(key_of(EC_JWK))
    text, longest = token_of_length(MAX_ENCRYPTED_LENGTH)
    _, longer = token_of_length(MAX_ENCRYPTED_LENGTH + 1)
    assert (len(longest), len(longer)) == (MAX_ENCRYPTED_LENGTH, MAX_ENCRYPTED_LENGTH + 1)
    assert decrypting.decrypt(longest) == text
    with refused(TokenRejected, "token_malformed", "49152"):
        decrypting.decrypt(longer)


def test_a_header_is_so_long_and_no_longer() -> None:
    decrypting = decryption(key_of(EC_JWK))
    room = 3072 - len(b64decode(encrypted(public(EC_JWK), x="").split(".")[0]))
    longest, longer = (encrypted(public(EC_JWK), x="x" * size) for size in (room, room + 1))
    assert [len(token.split(".")[0]) for token in (longest, longer)] == [4096, 4098]
    assert decrypting.decrypt(longest) == TEXT
    assert code_of(decrypting, longer) == "token_malformed"


def test_an_encrypted_key_is_so_long_and_no_longer() -> None:
    """Base64url has no text of 1401 characters."""
    header, _, *rest = encrypted(public(EC_JWK)).split(".")
    for length, code in ((1400, "token_decryption"), (1402, "token_malformed")):
        token = ".".join([header, "A" * length, *rest])
        assert code_of(decryption(key_of(EC_JWK)), token) == code


HEADER = {
    "alg": "ECDH-ES",
    "enc": "A256GCM",
    "cty": "JWT",
    "kid": "k",
    "typ": "JWT",
    "epk": EPK,
    "apu": "QWxpY2U",
    "apv": "Qm9i",
}


@bounded
@given(documents(HEADER))
def test_headers_of_a_hostile_sender_have_known_errors(header: dict[str, Any]) -> None:
    protected = b64encode(json.dumps(header).encode("utf-8", "surrogatepass"))
    token = f"{protected}..{b64encode(bytes(12))}.{b64encode(b'x')}.{b64encode(bytes(16))}"
    code = code_of(decryption(key_of(EC_JWK, kid="k"), alg="ECDH-ES"), token)
    assert code in ("token_malformed", "token_encryption", "token_decryption")


def test_content_that_is_no_text_is_given_out_to_be_refused_as_a_jws() -> None:
    assert not decryption(key_of(EC_JWK)).decrypt(encrypted(public(EC_JWK), b"\xff")).isascii()
    assert decryption(key_of(EC_JWK)).decrypt(encrypted(public(EC_JWK), b"")) == ""


def test_how_an_encrypted_token_is_known() -> None:
    assert [is_encrypted("." * dots) for dots in (0, 2, 3, 4, 5)] == [0, 0, 0, 1, 0]


# Request objects for a provider.


def key_set(*jwks: Mapping[str, Any]) -> KeySet:
    return KeySet.parse({"keys": list(jwks)})


def test_a_request_object_is_encrypted_for_the_key_of_the_provider() -> None:
    keys = key_set(
        public(RSA_JWK, use="enc", kid="r"), public(EC_JWK, use="enc", kid="e", alg="ECDH-ES")
    )
    encryption = RequestEncryption(alg="ECDH-ES", enc="A128CBC-HS256")
    token = encryption.encrypt(TEXT, keys.encryption_key("ECDH-ES"))
    header = json.loads(b64decode(token.split(".")[0]))
    assert {**header, "epk": None} == {
        "alg": "ECDH-ES",
        "enc": "A128CBC-HS256",
        "cty": "JWT",
        "kid": "e",
        "epk": None,
    }
    decrypting = decryption(key_of(EC_JWK, kid="e"), alg="ECDH-ES", encs=("A128CBC-HS256",))
    assert decrypting.decrypt(token) == TEXT


@pytest.mark.parametrize("enc", CONTENT_ALGORITHMS)
@pytest.mark.parametrize("alg", KEY_ALGORITHMS)
def test_a_request_object_with_every_algorithm(alg: str, enc: str) -> None:
    jwk = RSA_JWK if alg.startswith("RSA") else EC_JWK
    key = parse_encryption_key(public(jwk, use="enc"))
    token = RequestEncryption(alg=alg, enc=enc).encrypt(TEXT, key)
    assert decryption(key_of(jwk), alg=alg, encs=(enc,)).decrypt(token) == TEXT


@pytest.mark.parametrize("alg", [1, None, ["ECDH-ES"], {}])
def test_an_alg_of_a_published_key_that_is_no_text(alg: object) -> None:
    key = parse_encryption_key({**public(EC_JWK), "kid": "k", "alg": alg})
    assert (key.kid, key.alg) == ("k", None)
    named = parse_encryption_key({**public(EC_JWK), "alg": "ECDH-ES"})
    assert (named.kid, named.alg) == (None, "ECDH-ES")


def test_a_key_without_a_kid_leaves_it_out() -> None:
    keys = key_set(public(EC_JWK, use="enc"))
    token = RequestEncryption(alg="ECDH-ES", enc="A256GCM").encrypt(
        TEXT, dataclasses.replace(keys.encryption_key("ECDH-ES"), kid=None)
    )
    assert "kid" not in json.loads(b64decode(token.split(".")[0]))


@pytest.mark.parametrize(
    "jwk",
    [
        public(EC_JWK),
        public(EC_JWK, use="sig"),
        public(EC_JWK, use="enc", alg="ECDH-ES+A128KW"),
        public(RSA_JWK, use="enc"),
        public(OKP_JWK, use="enc"),
        {**public(EC_JWK, use="enc"), "x": "no point"},
    ],
    ids=["without use", "for signatures", "another alg", "another kind", "a curve", "unreadable"],
)
def test_keys_of_the_provider_that_do_not_fit(jwk: Mapping[str, Any]) -> None:
    with pytest.raises(LoginError) as refused:
        key_set(jwk).encryption_key("ECDH-ES")
    assert refused.value.error_code == "request_encryption_key"


def test_an_encryption_key_verifies_no_signature() -> None:
    with pytest.raises(TokenRejected) as refused:
        key_set(public(EC_JWK, use="enc", kid="e")).select(kid="e", alg="ES256")
    assert refused.value.error_code == "token_key"
