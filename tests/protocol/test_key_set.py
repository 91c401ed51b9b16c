"""The keys of a provider: which are taken, and which one verifies a signature."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from flask_parjar.errors import LoginError, TokenRejected
from flask_parjar.protocol.algorithms import ALGORITHMS
from flask_parjar.protocol.encoding import b64encode
from flask_parjar.protocol.key_set import MAX_KEYS, KeySet
from flask_parjar.protocol.keys import (
    MAX_RSA_BITS,
    MIN_RSA_BITS,
)
from tests.protocol.examples import (
    EC_JWK,
    JWK_FOR,
    OKP_JWK,
    P384_JWK,
    P521_JWK,
    RSA_JWK,
    key_set,
    public,
    rsa_jwk,
)
from tests.support.errors import invalid, refused
from tests.support.untrusted import bounded, documents

SECRET = "a client secret of more than 32 bytes"
RSA_KID = "IsUn6_e04MaShXFIISMp4kG62LWzMIPy_MvSA5pJgX8"


def select(keys: KeySet, *, kid: str | None = None, alg: str = "ES256") -> dict[str, Any]:
    return dict(keys.select(kid=kid, alg=alg).as_dict(private=False))


def test_the_keys_of_rfc_7517_appendix_a_1() -> None:
    """Its EC key is for encryption, so that one key is left."""
    keys = KeySet.parse(
        {
            "keys": [
                {
                    "kty": "EC",
                    "crv": "P-256",
                    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
                    "use": "enc",
                    "kid": "1",
                },
                public(RSA_JWK, alg="RS256", kid="2011-04-29"),
            ]
        }
    )
    assert len(keys) == 1
    assert select(keys, kid="2011-04-29", alg="RS256")["n"] == RSA_JWK["n"]


def test_a_key_by_its_kid() -> None:
    keys = key_set({**EC_JWK, "kid": "a"}, {**P384_JWK, "kid": "b"}, RSA_JWK)
    assert len(keys) == 3
    assert select(keys, kid="a")["x"] == EC_JWK["x"]
    assert select(keys, kid="b", alg="ES384")["x"] == P384_JWK["x"]
    assert select(keys, alg="ES384")["x"] == P384_JWK["x"]
    assert select(keys, alg="PS512")["n"] == RSA_JWK["n"]


@pytest.mark.parametrize("kid", ["c", "A", "", "a ", RSA_KID])
def test_no_key_by_that_kid(kid: str) -> None:
    keys = key_set({**EC_JWK, "kid": "a"}, RSA_JWK)
    with refused(TokenRejected, "token_key", f"kid={kid!r} alg=ES256"):
        select(keys, kid=kid)
    with refused(TokenRejected, "token_key", f"kid={kid!r} alg=RS256"):
        select(keys, kid=kid, alg="RS256")


def test_no_key_in_an_empty_set() -> None:
    keys = KeySet.parse({"keys": []})
    assert len(keys) == 0
    with refused(TokenRejected, "token_key", f"kid='{'k' * 79} alg=ES256"):
        select(keys, kid="k" * 100)


def test_two_keys_that_fit_are_one_too_many() -> None:
    other = {**public(EC_JWK), "x": P521_JWK["x"]}
    assert len(key_set(other)) == 0
    second = ECKey.generate_key("P-256").as_dict(private=False)
    keys = key_set({**EC_JWK, "kid": "1"}, {**second, "kid": "2"})
    assert select(keys, kid="2")["x"] == second["x"]
    with refused(TokenRejected, "token_key", "2 keys", "kid=None alg=ES256"):
        select(keys)
    keys = key_set({**EC_JWK, "kid": "1"}, {**second, "kid": "1"})
    with refused(TokenRejected, "token_key", "2 keys", "kid='1' alg=ES256"):
        select(keys, kid="1")


def test_keys_of_one_kid_and_several_types() -> None:
    """RFC 7517 section 4.5 allows it."""
    keys = key_set(*({**jwk, "kid": "1"} for jwk in (EC_JWK, P384_JWK, RSA_JWK, OKP_JWK)))
    assert select(keys, kid="1", alg="ES384")["x"] == P384_JWK["x"]
    assert select(keys, kid="1", alg="EdDSA")["x"] == OKP_JWK["x"]
    assert select(keys, kid="1", alg="Ed25519")["x"] == OKP_JWK["x"]


@pytest.mark.parametrize("jwk", [RSA_JWK, EC_JWK, P384_JWK, P521_JWK, OKP_JWK])
def test_a_key_fits_its_own_algorithms_alone(jwk: dict[str, Any]) -> None:
    keys = key_set(jwk)
    for alg in ALGORITHMS:
        if JWK_FOR.get(alg) is jwk:
            assert select(keys, alg=alg)["kty"] == jwk["kty"]
        else:
            with refused(TokenRejected, "token_key", f"kid=None alg={alg}"):
                select(keys, alg=alg)


def test_a_key_with_an_alg_is_for_that_alone() -> None:
    keys = KeySet.parse({"keys": [public(RSA_JWK, alg="RS256", kid="1")]})
    assert select(keys, alg="RS256")
    with refused(TokenRejected, "token_key", "kid=None alg=PS256"):
        select(keys, alg="PS256")


@pytest.mark.parametrize("of_key", ["EdDSA", "Ed25519"])
def test_a_key_for_the_algorithm_of_two_names_is_for_both(of_key: str) -> None:
    keys = key_set({**OKP_JWK, "alg": of_key})
    for alg in ("EdDSA", "Ed25519"):
        assert select(keys, alg=alg)["x"] == OKP_JWK["x"]


@pytest.mark.parametrize(
    "members",
    [
        {"use": "sig"},
        {"key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"]},
        {"use": "sig", "key_ops": ["verify"], "alg": "ES256", "kid": "1"},
        {"x5c": ["MIIB"], "foo": {"bar": None}},
        # what is null is missing; what is said of a certificate is not read
        *({name: None} for name in ("use", "key_ops", "alg", "kid", "x5c")),
        *({"x5c": x5c} for x5c in (1, "MIIB", [1])),
        {"x5u": "no URL", "x5t": 1, "x5t#S256": []},
        # private members of a careless provider are not even looked at
        {"d": "?"},
        {"d": P384_JWK["d"], "p": 1, "q": 2, "dp": 3, "dq": 4, "qi": 5},
    ],
)
def test_members_that_a_verification_key_may_have(members: dict[str, Any]) -> None:
    keys = KeySet.parse({"keys": [{**public(EC_JWK), **members}]})
    key = keys.select(kid=members.get("kid"), alg="ES256")
    assert not key.is_private
    assert not {"d", "p", "q", "dp", "dq", "qi"}.intersection(key.dict_value)


SKIPPED = [
    *({"use": use} for use in ("enc", "", "SIG", 1, ["sig"], {})),
    *({"key_ops": ops} for ops in (["sign"], [], "verify", "xverifyx", 1, True, 1.5)),
    *({"key_ops": ops} for ops in ({"verify": 1}, [["verify"]], ["verify", "fly"], ["verify", 1])),
    {"use": "sig", "key_ops": ["verify", "encrypt"]},
    *({"kty": kty} for kty in ("oct", "RSA", "OKP", "ec", None, 1, ["EC"], {})),
    *({"crv": crv} for crv in ("P-384", "p-256", "Ed25519", "", None, 1, ["P-256"])),
    *({"x": x} for x in ("", "AA", "=", "é", "\ud800", None, 1, [], P384_JWK["x"], EC_JWK["y"])),
    *({"alg": alg} for alg in (1, ["ES256"], {})),
    *({"kid": kid} for kid in (1, ["1"], {})),
]


@pytest.mark.parametrize("members", SKIPPED, ids=repr)
def test_a_key_that_cannot_be_used_is_skipped(members: dict[str, Any]) -> None:
    spoilt = {**public(EC_JWK), **members}
    keys = KeySet.parse({"keys": [spoilt, public(EC_JWK, kid="good"), spoilt]})
    assert len(keys) == 1
    assert select(keys, kid="good")["x"] == EC_JWK["x"]


def test_why_a_key_was_left_out() -> None:
    weak = rsa_jwk(1024, kid="weak")
    good, other = public(EC_JWK, kid="good"), public(EC_JWK, use="other")
    keys = KeySet.parse({"keys": [weak, good, public(EC_JWK, use="enc"), other]})
    weak_one, for_something_else = keys.left_out
    assert "'weak'" in weak_one and "1024" in weak_one
    assert "None" in for_something_else and "use" in for_something_else
    with refused(TokenRejected, "token_key", "kid='weak' alg=RS256", "1024"):
        select(keys, kid="weak", alg="RS256")
    assert key_set(EC_JWK).left_out == ()


def test_why_many_keys_were_left_out_is_shown_cut() -> None:
    keys = KeySet.parse({"keys": [{"kid": "x" * 1000}] * MAX_KEYS})
    with pytest.raises(TokenRejected) as caught:
        select(keys)
    assert len(caught.value.detail) < 400


@pytest.mark.parametrize("item", [None, 1, "x", [], [public(EC_JWK)], True, {}])
def test_an_item_that_is_no_key_is_skipped(item: object) -> None:
    assert len(KeySet.parse({"keys": [item, public(EC_JWK)]})) == 1


def test_a_symmetric_key_is_never_accepted() -> None:
    oct_jwk = {"kty": "oct", "k": b64encode(SECRET.encode()), "alg": "HS256"}
    assert len(KeySet.parse({"keys": [oct_jwk]})) == 0


@pytest.mark.parametrize(
    ("bits", "taken"),
    [
        (MIN_RSA_BITS, True),
        (MIN_RSA_BITS - 1, False),
        (MAX_RSA_BITS, True),
        (MAX_RSA_BITS + 1, False),
        (512, False),
        (2**16, False),
    ],
)
def test_rsa_keys_are_neither_weak_nor_absurd(bits: int, taken: bool) -> None:
    assert (MIN_RSA_BITS, MAX_RSA_BITS) == (2048, 8192)
    assert len(KeySet.parse({"keys": [rsa_jwk(bits)]})) == taken


@pytest.mark.parametrize(
    "members",
    [
        *({"n": n} for n in (None, 1, "", "A", "é", [], f"{RSA_JWK['n']}=")),
        *({"e": e} for e in (None, 1, "", "AQ", "Ag", "A", "=", [])),  # 1 and 2 are no exponents
    ],
)
def test_rsa_keys_of_wrong_numbers_are_skipped(members: dict[str, Any]) -> None:
    assert len(KeySet.parse({"keys": [{**public(RSA_JWK), **members}]})) == 0


@pytest.mark.parametrize("exponent", [3, 65537, 2**64 + 1, 2**2000 + 1])
def test_odd_rsa_numbers_make_no_signature_hold(exponent: int) -> None:
    encoded = b64encode(exponent.to_bytes((exponent.bit_length() + 7) // 8, "big"))
    keys = KeySet.parse({"keys": [rsa_jwk(2048, e=encoded)]})
    for alg in ("RS256", "PS256"):
        for signature in (b"", b"\1", b"\1" * 256, b"\xff" * 256, bytes(256)):
            try:
                key = keys.select(kid=None, alg=alg)
            except TokenRejected:
                continue
            assert not JWSRegistry.algorithms[alg].verify(b"x", signature, key)


@pytest.mark.parametrize(
    "document", [{}, {"keys": None}, {"keys": {}}, {"keys": "x"}, {"Keys": []}]
)
def test_a_document_that_is_no_key_set(document: dict[str, Any]) -> None:
    with invalid("keys"):
        KeySet.parse(document)


def test_as_many_keys_and_no_more() -> None:
    keys = [public(EC_JWK, kid=str(number)) for number in range(MAX_KEYS)]
    assert MAX_KEYS == 50
    assert len(KeySet.parse({"keys": keys})) == 50
    with invalid("50 keys"):
        KeySet.parse({"keys": [*keys, {}]})


def test_the_first_key_that_fits_encrypts_for_the_provider() -> None:
    of_one_alg = {**EC_JWK, "use": "enc", "alg": "ECDH-ES+A256KW", "kid": "a"}
    keys = key_set(
        of_one_alg, {**P384_JWK, "use": "enc", "kid": "b"}, {**P521_JWK, "use": "enc"}, RSA_JWK
    )
    assert keys.encryption_key("ECDH-ES+A256KW").kid == "a"
    assert keys.encryption_key("ECDH-ES").kid == "b"
    with refused(LoginError, "request_encryption_key", "3", "RSA-OAEP"):
        keys.encryption_key("RSA-OAEP")


def test_no_key_is_printed() -> None:
    assert "key=" not in repr(key_set(EC_JWK)).replace("_keys=", "")


@bounded
@given(
    st.lists(
        st.sampled_from([EC_JWK, RSA_JWK, OKP_JWK])
        .map(public)
        .flatmap(
            lambda jwk: documents(
                jwk | {"kid": "1", "use": "sig", "key_ops": ["verify"], "alg": "x"}
            )
        ),
        max_size=3,
    )
)
def test_any_key_set_is_read_or_has_one_error(jwks: list[dict[str, Any]]) -> None:
    keys = KeySet.parse({"keys": jwks})
    for alg in ALGORITHMS:
        try:
            key = keys.select(kid=None, alg=alg)
        except TokenRejected as error:
            assert error.error_code == "token_key"
            continue
        assert not JWSRegistry.algorithms[alg].verify(b"x", b"\1" * 64, key)


@bounded
@given(documents({"keys": [public(EC_JWK)]}))
def test_any_document_is_read_or_has_one_error(document: dict[str, Any]) -> None:
    try:
        KeySet.parse(document)
    except ValueError:
        assert not isinstance(document.get("keys"), list)
