from __future__ import annotations

import hashlib

import pytest
from joserfc.jws import JWSRegistry

from flask_parjar.protocol.algorithms import (
    ALGORITHMS,
    ASYMMETRIC_ALGORITHMS,
    Algorithm,
    is_same_algorithm,
    verify_half_hash,
)
from flask_parjar.protocol.encoding import b64encode

# OpenID Connect Core appendix A.4 and A.6
ACCESS_TOKEN = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
AT_HASH = "77QmUPtjPfzWtF2AnpK9RQ"
CODE = "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk"
C_HASH = "LDktKdoQak3Pk0cnXxCltA"


def test_the_table_is_complete_and_best_first() -> None:
    assert ALGORITHMS == {
        "PS256": ("RSA", None, "sha256"),
        "RS256": ("RSA", None, "sha256"),
        "PS384": ("RSA", None, "sha384"),
        "RS384": ("RSA", None, "sha384"),
        "PS512": ("RSA", None, "sha512"),
        "RS512": ("RSA", None, "sha512"),
        "ES256": ("EC", "P-256", "sha256"),
        "ES384": ("EC", "P-384", "sha384"),
        "ES512": ("EC", "P-521", "sha512"),
        "Ed25519": ("OKP", "Ed25519", "sha512"),
        "EdDSA": ("OKP", "Ed25519", "sha512"),
        "HS256": ("oct", None, "sha256"),
        "HS384": ("oct", None, "sha384"),
        "HS512": ("oct", None, "sha512"),
    }
    assert list(ALGORITHMS)[:2] == ["PS256", "RS256"]
    assert ALGORITHMS["ES512"] == Algorithm(kty="EC", crv="P-521", hash="sha512")


def test_none_is_no_algorithm() -> None:
    assert "none" not in {name.lower() for name in ALGORITHMS}


def test_asymmetric_are_all_but_hmac_and_in_the_same_order() -> None:
    assert ASYMMETRIC_ALGORITHMS == (
        *("PS256", "RS256", "PS384", "RS384", "PS512", "RS512"),
        *("ES256", "ES384", "ES512", "Ed25519", "EdDSA"),
    )


def test_one_algorithm_has_two_names() -> None:
    same = {(a, b) for a in ALGORITHMS for b in ALGORITHMS if a != b and is_same_algorithm(a, b)}
    assert same == {("EdDSA", "Ed25519"), ("Ed25519", "EdDSA")}
    assert all(is_same_algorithm(name, name) for name in ALGORITHMS)


def test_joserfc_has_each_of_them() -> None:
    assert {JWSRegistry.algorithms[name].name for name in ALGORITHMS} == set(ALGORITHMS)


@pytest.mark.parametrize(("value", "expected"), [(ACCESS_TOKEN, AT_HASH), (CODE, C_HASH)])
def test_half_hashes_of_openid_connect_core(value: str, expected: str) -> None:
    assert verify_half_hash(value, alg="RS256", expected=expected) is True
    assert verify_half_hash(value + "x", alg="RS256", expected=expected) is False
    assert verify_half_hash(value, alg="RS512", expected=expected) is False


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_the_half_is_of_the_hash_of_the_algorithm(alg: str) -> None:
    size = {"256": 16, "384": 24, "512": 32}.get(alg[-3:], 32)  # the Ed ones hash with SHA-512
    digest = hashlib.new(f"sha{size * 16}", ACCESS_TOKEN.encode()).digest()
    assert verify_half_hash(ACCESS_TOKEN, alg=alg, expected=b64encode(digest[:size])) is True
    for other in (digest[: size + 1], digest[: size - 1], digest[size:], digest):
        assert verify_half_hash(ACCESS_TOKEN, alg=alg, expected=b64encode(other)) is False


@pytest.mark.parametrize(
    "expected", [None, "", 5, True, b"77QmUPtjPfzWtF2AnpK9RQ", [AT_HASH], {}, "é", "\ud800", "\x00"]
)
def test_whatever_else_a_hash_may_be_it_does_not_fit(expected: object) -> None:
    assert verify_half_hash(ACCESS_TOKEN, alg="RS256", expected=expected) is False
