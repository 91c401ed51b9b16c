from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_parjar.errors import TokenRejected
from flask_parjar.protocol.jwe import Decryption, Encryption
from flask_parjar.protocol.outbound import Answer
from flask_parjar.protocol.userinfo import UserInfo, verify_userinfo
from tests.protocol.examples import (
    CLIENT_ID,
    EC_JWK,
    ISSUER,
    NOW,
    OKP_JWK,
    SKEW,
    encode_json,
    key_set,
    make_opener,
    make_token,
)
from tests.support.errors import refused
from tests.support.untrusted import bounded, documents

SUBJECT = "248289761001"

# OpenID Connect Core 5.3.2
DOCUMENT = {
    "sub": SUBJECT,
    "name": "Jane Doe",
    "email": "janedoe@example.com",
    "picture": "http://example.com/janedoe/me.jpg",
}
SIGNED = {**DOCUMENT, "iss": ISSUER, "aud": CLIENT_ID}
KEYS = key_set(EC_JWK, OKP_JWK)


def parse(document: dict[str, Any] | None, body: bytes = b"") -> Any:
    answer = Answer(status=200, headers={}, body=body, document=document)
    opener = make_opener(KEYS, id_token_algs=("EdDSA",), userinfo_algs=("ES256",))
    return verify_userinfo(
        answer, opener=opener, expected_issuer=ISSUER, expected_subject=SUBJECT, now=NOW
    ).claims


def parse_signed(
    claims: object, *, header: dict[str, Any] | None = None, alg: str = "ES256"
) -> Any:
    return parse(None, make_token({"alg": alg} | (header or {}), claims, alg=alg).encode())


def test_the_answer_of_openid_connect_core() -> None:
    assert parse(DOCUMENT) == DOCUMENT


def test_a_signed_answer_without_times_is_valid_where_clocks_may_not_differ() -> None:
    opener = make_opener(KEYS, userinfo_algs=("ES256",), clock_skew=0)
    body = make_token({"alg": "ES256"}, SIGNED).encode()
    answer = Answer(status=200, headers={}, body=body, document=None)
    verified = verify_userinfo(
        answer, opener=opener, expected_issuer=ISSUER, expected_subject=SUBJECT, now=NOW
    )
    assert verified.claims == SIGNED


def test_json_counts_where_it_is_there() -> None:
    assert parse(DOCUMENT, body=b"not.a.jwt") == DOCUMENT


@pytest.mark.parametrize(
    "sub", ["248289761002", "", " 248289761001", 248289761001, None, [SUBJECT], {"sub": SUBJECT}]
)
def test_of_another_subject_nothing_is_used(sub: object) -> None:
    with refused(TokenRejected, "userinfo_subject"):
        parse({**DOCUMENT, "sub": sub})
    with refused(TokenRejected, "userinfo_subject"):
        parse_signed({**SIGNED, "sub": sub})


def test_of_no_subject_nothing_is_used() -> None:
    for document in ({}, {"name": "Jane Doe"}):
        with refused(TokenRejected, "userinfo_subject"):
            parse(document)


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "userinfo+jwt", "application/userinfo+JWT"])
def test_a_signed_answer(typ: str | None) -> None:
    assert parse_signed(SIGNED, header={"typ": typ} if typ else {}) == SIGNED


@pytest.mark.parametrize("body", [b" %s\r\n", b"\n%s"])
def test_white_space_around_a_signed_answer_is_no_part_of_it(body: bytes) -> None:
    token = make_token({"alg": "ES256"}, SIGNED).encode()
    assert parse(None, body % token) == SIGNED


@pytest.mark.parametrize("typ", ["at+jwt", "logout+jwt", "id_token+jwt", "secevent+jwt"])
def test_a_token_of_another_kind(typ: str) -> None:
    with refused(TokenRejected, "token_kind", f"typ={typ!r}"):
        parse_signed(SIGNED, header={"typ": typ})


def test_issuer_and_audience_are_demanded_of_a_signed_answer() -> None:
    """All that is asked of them is in test_opener.py."""
    with refused(TokenRejected, "token_issuer"):
        parse_signed(DOCUMENT)
    with refused(TokenRejected, "token_audience"):
        parse_signed({**DOCUMENT, "iss": ISSUER})


def test_the_claims_are_not_printed() -> None:
    assert "Jane" not in repr(UserInfo(claims=DOCUMENT))


def test_a_signature_is_proved() -> None:
    head, _, signature = make_token({"alg": "ES256"}, SIGNED).rpartition(".")
    foreign = make_token({"alg": "ES256"}, {**SIGNED, "name": "Eve"}).rpartition(".")[2]
    assert foreign != signature
    with refused(TokenRejected, "token_signature", "kid=None alg=ES256"):
        parse(None, f"{head}.{foreign}".encode())


@pytest.mark.parametrize("alg", ["Ed25519", "EdDSA"])
def test_an_algorithm_that_was_not_agreed_on_for_userinfo(alg: str) -> None:
    with refused(TokenRejected, "token_algorithm", f"alg={alg!r}"):
        parse_signed(SIGNED, alg=alg)


@pytest.mark.parametrize(
    "times",
    [
        *({"exp": exp} for exp in (None, NOW + 600, NOW + 1, NOW, NOW - SKEW + 1)),
        *({"nbf": nbf} for nbf in (None, 0, NOW, NOW + SKEW)),
        {"exp": NOW + 1.5, "nbf": NOW - 0.5, "iat": "not read"},
    ],
)
def test_a_signed_answer_that_is_valid_now(times: dict[str, Any]) -> None:
    assert parse_signed(SIGNED | times) == SIGNED | times


@pytest.mark.parametrize(
    ("times", "code", "value"),
    [
        ({"exp": NOW - SKEW}, "token_expired", f"{SKEW} s"),
        ({"exp": 0}, "token_expired", f"{NOW} s"),
        ({"nbf": NOW + SKEW + 1}, "token_from_the_future", f"{SKEW + 1} s"),
        ({"nbf": 2 * NOW}, "token_from_the_future", f"{NOW} s"),
        *(({"exp": exp}, "token_claim", "exp") for exp in ("soon", True, [], {}, 10**15)),
        *(({"nbf": nbf}, "token_claim", "nbf") for nbf in ("soon", True, [], {}, 10**15)),
    ],
)
def test_a_signed_answer_that_is_not_valid_now(
    times: dict[str, Any], code: str, value: str
) -> None:
    with refused(TokenRejected, code, value):
        parse_signed(SIGNED | times)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "1"),
        (b"<html></html>", "1"),
        (b"a.b.c.d", "4"),
        ("é.é.é".encode(), ""),
        (b"\xff\xfe.x.x", ""),
    ],
)
def test_a_body_that_is_no_token(body: bytes, detail: str) -> None:
    with refused(TokenRejected, "token_malformed", detail):
        parse(None, body)


@bounded
@given(documents(DOCUMENT))
def test_untrusted_json_has_one_error(document: dict[str, Any]) -> None:
    try:
        claims = parse(document)
    except TokenRejected as error:
        assert error.error_code == "userinfo_subject"
        return
    assert claims["sub"] == SUBJECT


@bounded
@given(st.binary())
def test_any_body_is_read_or_has_one_error(body: bytes) -> None:
    with pytest.raises(TokenRejected):
        parse(None, body)


@bounded
@given(documents(SIGNED))
def test_signed_claims_of_a_hostile_provider_have_one_error(claims: dict[str, Any]) -> None:
    try:
        proved = parse(None, make_token({"alg": "ES256"}, encode_json(claims)).encode())
    except TokenRejected:
        return
    assert proved["sub"] == SUBJECT
    assert proved["iss"] == ISSUER


def test_plain_json_is_refused_if_userinfo_comes_encrypted() -> None:
    opener = make_opener(
        key_set(EC_JWK),
        userinfo_decryption=Decryption(
            encryption=Encryption(alg="ECDH-ES", encs=("A256GCM",)), keys=()
        ),
    )
    answer = Answer(status=200, headers={}, body=b"", document={"sub": SUBJECT})
    with refused(TokenRejected, "token_not_encrypted"):
        verify_userinfo(
            answer, opener=opener, expected_issuer=ISSUER, expected_subject=SUBJECT, now=NOW
        )


@pytest.mark.parametrize("named", [True, False])
def test_signed_userinfo_of_another_tenant(named: bool) -> None:
    """Both tenants are allowed, and their people may have the same ``sub``."""
    many, own, other = (f"https://op.example/{each}" for each in ("common", "own", "other"))
    opener = make_opener(KEYS, issuer=many, tenants=frozenset(("own", "other")))

    def verified(issuer: str) -> UserInfo:
        claims = {**SIGNED, "iss": issuer}
        if named:
            claims["tid"] = issuer.rpartition("/")[2]
        token = make_token({"alg": "ES256"}, claims)
        answer = Answer(status=200, headers={}, body=token.encode(), document=None)
        return verify_userinfo(
            answer, opener=opener, expected_issuer=own, expected_subject=SUBJECT, now=NOW
        )

    assert verified(own).claims["sub"] == SUBJECT
    with refused(TokenRejected, "token_issuer"):
        verified(other)
