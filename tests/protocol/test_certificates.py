"""Certificates of our keys: how they name a key (RFC 7515 sections 4.1.6 to 4.1.8)."""

from __future__ import annotations

import base64
import hashlib

import pytest

from flask_parjar.protocol.certificates import (
    certificate_end,
    certificate_members,
    check_certificates,
    split_certificates,
)
from flask_parjar.protocol.encoding import b64decode
from flask_parjar.protocol.keys import parse_signing_keys
from tests.protocol.examples import EC_JWK
from tests.support.certificates import Pair, make_pair
from tests.support.errors import invalid


def test_the_thumbprints_are_those_of_the_first_certificate() -> None:
    der = b"not read as a certificate"
    chain = [base64.b64encode(each).decode() for each in (der, b"of the issuer")]
    members = certificate_members({"x5c": chain})
    assert members["x5c"] == chain
    assert b64decode(members["x5t"]) == hashlib.sha1(der).digest()
    assert b64decode(members["x5t#S256"]) == hashlib.sha256(der).digest()


@pytest.mark.parametrize("jwk", [{}, {"x5c": []}, {"kty": "EC"}])
def test_a_key_without_a_certificate_has_none_of_them(jwk: dict[str, object]) -> None:
    assert certificate_members(jwk) == {}


def test_thumbprints_of_the_key_itself_come_first() -> None:
    assert certificate_members({"x5t": "a", "x5t#S256": "b"}) == {"x5t": "a", "x5t#S256": "b"}
    assert certificate_members({"x5c": ["AAAA"], "x5t": "a"})["x5t"] == "a"


def test_certificates_are_taken_out_of_a_pem_in_order() -> None:
    block = "-----BEGIN CERTIFICATE-----\n{}\nAB==\n-----END CERTIFICATE-----\n"
    rest, found = split_certificates(f"before\n{block.format('A')}between\n{block.format('B')}")
    assert found == ["AAB==", "BAB=="]
    assert rest.split() == ["before", "between"]
    assert split_certificates("no certificate") == ("no certificate", [])


def test_a_key_is_named_by_what_it_has() -> None:
    (key,) = parse_signing_keys({**EC_JWK, "kid": "one", "x5t": "thumb"})
    assert key.header(alg="ES256", typ="JWT") == {"alg": "ES256", "typ": "JWT", "kid": "one"}
    named = key.with_headers(("x5t",))
    assert named.header(alg="ES256") == {"alg": "ES256", "x5t": "thumb"}
    with invalid("x5c"):
        key.with_headers(("kid", "x5c"))


def x5c(pair: Pair) -> str:
    return "".join(pair.pem.split("-----")[2].split())


def test_the_first_certificate_of_a_chain_belongs_to_the_key() -> None:
    site, other = make_pair("site"), make_pair("other")
    check_certificates([x5c(site)], site.key.public_key())
    check_certificates([x5c(site), x5c(other)], site.key.public_key())
    with invalid("another key"):
        check_certificates([x5c(other), x5c(site)], site.key.public_key())


@pytest.mark.parametrize("broken", ["", "AAAA", "*", "é", "A", None])
def test_a_certificate_that_cannot_be_read(broken: str) -> None:
    site = make_pair()
    for chain in ([broken], [x5c(site), broken]):
        with invalid("cannot be read"):
            check_certificates(chain, site.key.public_key())
    with invalid("cannot be read"):
        certificate_end(broken)


def test_base64_with_other_characters_in_it_is_not_read() -> None:
    """RFC 7515 section 4.1.6: no line breaks; another decoder would leave them out."""
    with invalid("cannot be read"):
        certificate_end("*" + x5c(make_pair()))


def test_when_a_certificate_ends() -> None:
    site = make_pair(ends=5000)
    assert certificate_end(x5c(site)) == int(site.certificate.not_valid_after_utc.timestamp())


@pytest.mark.parametrize("members", ["x5t", "x5t#S256"])
def test_a_key_with_a_certificate_is_named_by_it(members: str) -> None:
    site = make_pair()
    (key,) = parse_signing_keys(site.key_pem + site.pem)
    named = key.with_headers(("kid", members))
    thumbprint = certificate_members({"x5c": [x5c(site)]})[members]
    assert named.header(alg="ES256") == {"alg": "ES256", "kid": key.kid, members: thumbprint}
    assert named.public_jwk == {**key.public_jwk, "kid": key.kid, members: thumbprint}
    assert named.mark == key.mark


def test_a_key_with_the_certificate_of_another_key() -> None:
    site, other = make_pair(), make_pair()
    (key,) = parse_signing_keys(site.key_pem + other.pem)
    for names in (("kid",), ("x5t",)):
        with invalid("another key"):
            key.with_headers(names)
