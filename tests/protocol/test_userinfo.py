from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_parjar.errors import TokenRejected
from flask_parjar.protocol.userinfo import parse_userinfo
from tests.protocol.examples import (
    CLIENT_ID,
    EC_JWK,
    ISSUER,
    OKP_JWK,
    encode_json,
    key_set,
    make_client,
    make_token,
    refused,
)
from tests.protocol.strangers import bounded, documents

SUBJECT = "248289761001"

# OpenID Connect Core 5.3.2
DOCUMENT = {
    "sub": SUBJECT,
    "name": "Jane Doe",
    "email": "janedoe@example.com",
    "picture": "http://example.com/janedoe/me.jpg",
}
SIGNED = {**DOCUMENT, "iss": ISSUER, "aud": CLIENT_ID}
KEYS = key_set(EC_JWK)


def parse(document: dict[str, Any] | None, body: bytes = b"") -> Any:
    return parse_userinfo(
        document,
        body,
        client=make_client(),
        keys=KEYS,
        algs=("ES256",),
        expected_subject=SUBJECT,
    )


def parse_signed(
    claims: object, *, header: dict[str, Any] | None = None, alg: str = "ES256"
) -> Any:
    return parse(None, make_token({"alg": alg} | (header or {}), claims, alg=alg).encode())


def test_the_answer_of_openid_connect_core() -> None:
    assert parse(DOCUMENT) == DOCUMENT


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


@pytest.mark.parametrize("aud", [CLIENT_ID, [CLIENT_ID], ["https://rs.example", CLIENT_ID]])
def test_the_audience_is_us_or_has_us(aud: object) -> None:
    assert parse_signed({**SIGNED, "aud": aud})["aud"] == aud


@pytest.mark.parametrize(
    "aud", [None, "", f"{CLIENT_ID}x", [], ["x"], {CLIENT_ID: 1}, 5, [[CLIENT_ID]], [None]]
)
def test_the_audience_is_not_us(aud: object) -> None:
    with refused(TokenRejected, "token_audience", "of the signed userinfo"):
        parse_signed({**SIGNED, "aud": aud})


@pytest.mark.parametrize("iss", [None, "", f"{ISSUER}/", "https://evil.example", [ISSUER], 5])
def test_the_issuer_is_another(iss: object) -> None:
    with refused(TokenRejected, "token_issuer", "of the signed userinfo"):
        parse_signed({**SIGNED, "iss": iss})


def test_issuer_and_audience_are_demanded_of_a_signed_answer() -> None:
    with refused(TokenRejected, "token_issuer", "of the signed userinfo"):
        parse_signed(DOCUMENT)
    with refused(TokenRejected, "token_audience", "of the signed userinfo"):
        parse_signed({**DOCUMENT, "iss": ISSUER})


def test_a_signature_is_proved() -> None:
    head, _, signature = make_token({"alg": "ES256"}, SIGNED).rpartition(".")
    foreign = make_token({"alg": "ES256"}, {**SIGNED, "name": "Eve"}).rpartition(".")[2]
    assert foreign != signature
    with refused(TokenRejected, "token_signature", "kid=None alg=ES256"):
        parse(None, f"{head}.{foreign}".encode())


def test_an_algorithm_that_was_not_agreed_on() -> None:
    token = make_token({"alg": "Ed25519"}, SIGNED, alg="Ed25519")
    with refused(TokenRejected, "token_algorithm", "alg='Ed25519'"):
        parse_userinfo(
            None,
            token.encode(),
            client=make_client(),
            keys=key_set(EC_JWK, OKP_JWK),
            algs=("ES256",),
            expected_subject=SUBJECT,
        )


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "1 parts where a JWS has 3"),
        (b"<html></html>", "1 parts where a JWS has 3"),
        (b"a.b.c.d.e", "5 parts where a JWS has 3"),
        ("é.é.é".encode(), "header: not base64url"),
        (b"\xff\xfe.x.x", "header: not base64url"),
    ],
)
def test_a_body_that_is_no_token(body: bytes, detail: str) -> None:
    with refused(TokenRejected, "token_malformed", detail):
        parse(None, body)


@bounded
@given(documents(DOCUMENT))
def test_json_of_a_stranger_has_one_error(document: dict[str, Any]) -> None:
    try:
        claims = parse(document)
    except TokenRejected as error:
        assert error.code == "userinfo_subject"
        return
    assert claims["sub"] == SUBJECT


@bounded
@given(st.binary())
def test_a_body_of_a_stranger_has_one_error(body: bytes) -> None:
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
