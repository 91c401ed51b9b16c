"""Signed authorization responses: what is read before they are verified, and what afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from joserfc.jwe import encrypt_compact
from joserfc.jwk import ECKey

from flask_parjar.errors import ParJarError, ResponseRejected, TokenRejected
from flask_parjar.protocol.encoding import b64encode
from flask_parjar.protocol.jarm import peek_signed, unwrap_signed
from flask_parjar.protocol.jwe import Decryption, Encryption, parse_decryption_keys
from flask_parjar.protocol.opener import TokenOpener
from flask_parjar.protocol.response import ResponseParameters
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

KEYS = key_set({**EC_JWK, "kid": "1e9gdk7"}, OKP_JWK)
HEADER = {"alg": "ES256", "kid": "1e9gdk7"}
#: JARM section 2.1.1, the example of a response type code.
CLAIMS = {
    "iss": ISSUER,
    "aud": CLIENT_ID,
    "exp": NOW + 120,
    "code": "PyyFaux2o7Q0YfXBU32jhw.5FXSQpvr8akv9CeRDSd0QA",
    "state": "S8NJ7uqk5fY4EjNvP_G_FtyJu6pUsvH9jsYni9dMAJw",
}
OURS = ECKey.generate_key("P-256", {"kid": "ours"})
DECRYPTION = Decryption(
    encryption=Encryption(alg="ECDH-ES", encs=("A256GCM",)),
    keys=parse_decryption_keys(OURS.as_dict(private=True)),
)


def received(text: str, **beside: str) -> ResponseParameters:
    return ResponseParameters({"response": text, **beside})


def signed(header: Any = None, **claims: Any) -> str:
    """A signed response; a claim of None is left out."""
    given_claims = {k: v for k, v in {**CLAIMS, **claims}.items() if v is not None}
    return make_token(header or HEADER, given_claims, alg=(header or HEADER)["alg"])


def encrypted(text: str) -> str:
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT"}
    return encrypt_compact(header, text, ECKey.import_key(OURS.as_dict(private=False)))


def unwrap(response: ResponseParameters | str, *, now: int = NOW, **fields: Any) -> Any:
    def open_with(verify: Callable[[TokenOpener], ResponseParameters]) -> ResponseParameters:
        return verify(make_opener(KEYS, **fields))

    given_response = received(response) if isinstance(response, str) else response
    return unwrap_signed(given_response, open_with, now).values


def test_what_is_in_the_jwt_are_the_parameters() -> None:
    expected = {name: CLAIMS[name] for name in ("iss", "code", "state")}
    assert unwrap(signed()) == expected
    peeked = peek_signed(received(signed()))
    assert peeked is not None
    assert peeked.values == expected


def test_an_error_is_in_the_jwt_too() -> None:
    error = {"error": "access_denied", "error_description": "no", "error_uri": "https://e.example"}
    assert unwrap(signed(code=None, **error)) == {"iss": ISSUER, "state": CLAIMS["state"], **error}


@pytest.mark.parametrize("typ", ["JWT", "jwt", "application/jwt"])
def test_typ_may_say_that_it_is_a_jwt(typ: str) -> None:
    assert unwrap(signed({**HEADER, "typ": typ}))["code"] == CLAIMS["code"]


@pytest.mark.parametrize("name", ["iss", "code", "state"])
def test_a_claim_may_be_repeated_if_it_says_the_same(name: str) -> None:
    """Keycloak writes ``iss`` twice."""
    body = json.dumps(CLAIMS)
    same = f'{{"{name}": {json.dumps(CLAIMS[name])}, {body[1:]}'.encode()
    assert unwrap(make_token(HEADER, same)) == unwrap(signed())
    for value in ('"x"', "1", "null", f"[{json.dumps(CLAIMS[name])}]"):
        other = f'{{"{name}": {value}, {body[1:]}'.encode()
        text = make_token(HEADER, other)
        for read in (peek_signed, unwrap):
            with refused(TokenRejected, "token_malformed"):
                read(received(text))


def test_a_number_is_not_repeated() -> None:
    body = f'{{"exp": {NOW + 120}, {json.dumps(CLAIMS)[1:]}'.encode()
    with refused(TokenRejected, "token_malformed"):
        unwrap(make_token(HEADER, body))


def test_what_is_beside_counts_for_nothing() -> None:
    beside = {"code": "other", "state": "other", "error": "server_error", "iss": "other"}
    assert unwrap(received(signed(), **beside)) == unwrap(signed())
    peeked = peek_signed(received(signed(), **beside))
    assert peeked is not None
    assert peeked.state == CLAIMS["state"]


def test_other_claims_are_no_parameters() -> None:
    more = {"response": "x", "id_token": "x", "session_state": "x", "sub": 1, "iat": NOW, "jti": []}
    assert unwrap(signed(**more)) == unwrap(signed())


@pytest.mark.parametrize("beside", [{}, {"code": "c", "state": "s"}, {"response": "", "iss": "i"}])
def test_a_plain_response_is_refused(beside: dict[str, str]) -> None:
    plain = ResponseParameters(beside)
    for read in (lambda: peek_signed(plain), lambda: unwrap(plain)):
        with refused(ResponseRejected, "response_unsigned"):
            read()


def test_the_names_of_a_plain_response_are_told_and_no_values() -> None:
    with pytest.raises(ResponseRejected) as error:
        peek_signed(ResponseParameters({"state": "secret", "code": "secret"}))
    assert error.value.detail == "found: code, state"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iss": None}, "token_issuer"),
        ({"iss": f"{ISSUER}/"}, "token_issuer"),
        ({"iss": [ISSUER]}, "token_issuer"),
        ({"aud": None}, "token_audience"),
        ({"aud": "other"}, "token_audience"),
        ({"aud": [CLIENT_ID, "other"]}, "token_audience"),
        ({"exp": None}, "token_claim"),
        ({"exp": "1"}, "token_claim"),
        ({"exp": True}, "token_claim"),
        ({"exp": NOW - SKEW}, "token_expired"),
        ({"nbf": NOW + SKEW + 1}, "token_from_the_future"),
        ({"nbf": "now"}, "token_claim"),
    ],
)
def test_claims_that_are_refused(claims: dict[str, Any], code: str) -> None:
    with refused(TokenRejected, code):
        unwrap(signed(**claims))


def test_how_far_the_clocks_are_apart_is_said() -> None:
    with refused(TokenRejected, "token_expired", f"{SKEW} s"):
        unwrap(signed(exp=NOW - SKEW))
    with refused(TokenRejected, "token_from_the_future", f"{SKEW + 1} s"):
        unwrap(signed(nbf=NOW + SKEW + 1))


def test_claims_that_are_just_good_enough() -> None:
    assert unwrap(signed(exp=NOW - SKEW + 1, nbf=NOW + SKEW, aud=[CLIENT_ID]))["iss"] == ISSUER


def test_the_order_of_the_checks() -> None:
    """Signature, issuer, audience, time: then what the response says."""
    wrong: dict[str, Any] = {"code": ["x"]}
    for member, value, code in (
        ("exp", NOW - 999, "token_expired"),
        ("aud", "other", "token_audience"),
        ("iss", "https://other.example", "token_issuer"),
    ):
        wrong[member] = value
        with refused(TokenRejected, code):
            unwrap(signed(**wrong))
    bad = signed(exp=NOW - 999, aud="other").rpartition(".")[0] + "."
    with refused(TokenRejected, "token_signature"):
        unwrap(bad)


@pytest.mark.parametrize("name", ["code", "state", "error", "error_description", "error_uri"])
@pytest.mark.parametrize("value", [1, True, ["x"], {"x": "y"}])
def test_a_parameter_is_a_string(name: str, value: object) -> None:
    text = signed(**{name: value})
    for read in (lambda: peek_signed(received(text)), lambda: unwrap(text)):
        with refused(ResponseRejected, "response_malformed", name):
            read()


def test_a_parameter_with_a_zero_byte_is_refused() -> None:
    with refused(ResponseRejected, "response_malformed"):
        unwrap(signed(code="a\x00b"))


def test_another_issuer_causes_no_look_for_its_key() -> None:
    """Otherwise anybody could make us fetch the provider's keys once more."""
    text = signed({**HEADER, "kid": "of-another"}, iss="https://other.example")
    with refused(TokenRejected, "token_issuer"):
        unwrap(text)
    with refused(TokenRejected, "token_issuer"):
        unwrap(encrypted(text), response_decryption=DECRYPTION)


@pytest.mark.parametrize("alg", ["none", "HS256", "RS256", "nOnE"])
def test_algorithms_that_were_not_agreed(alg: str) -> None:
    header = b64encode(encode_json({"alg": alg}))
    text = f"{header}.{b64encode(encode_json(CLAIMS))}."
    with refused(TokenRejected, "token_algorithm"):
        unwrap(text)


def test_an_encrypted_response_says_nothing_before_it_is_opened() -> None:
    text = encrypted(signed())
    assert peek_signed(received(text)) is None
    assert unwrap(text, response_decryption=DECRYPTION) == unwrap(signed())


def test_a_response_is_encrypted_exactly_where_that_was_agreed() -> None:
    with refused(TokenRejected, "token_not_encrypted"):
        unwrap(signed(), response_decryption=DECRYPTION)
    with refused(TokenRejected, "token_encrypted"):
        unwrap(encrypted(signed()))
    with refused(TokenRejected, "token_malformed"):
        unwrap(encrypted("{}"), response_decryption=DECRYPTION)


@pytest.mark.parametrize("text", ["x", "x.y", "a.b.c.d", "e30.x.", "e30.bnVsbA.", "." * 9])
def test_texts_that_are_no_jwt(text: str) -> None:
    for read in (lambda: peek_signed(received(text)), lambda: unwrap(text)):
        with refused(TokenRejected, "token_malformed"):
            read()


@bounded
@given(claims=documents(CLAIMS))
def test_no_claims_raise_anything_but_errors_of_ours(claims: dict[str, Any]) -> None:
    for text in (make_token(HEADER, claims), make_token(HEADER, {**CLAIMS, **claims})):
        for read in (peek_signed, unwrap):
            try:
                read(received(text))
            except ParJarError as error:
                assert error.error_code
