from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jws import JWSRegistry

from flask_parjar.errors import TokenRejected
from flask_parjar.protocol.algorithms import ASYMMETRIC_ALGORITHMS
from flask_parjar.protocol.encoding import b64decode, b64encode
from flask_parjar.protocol.jws import (
    MAX_TOKEN_LENGTH,
    VerifiedToken,
    read_claims,
    read_unverified,
    verify_token,
)
from flask_parjar.protocol.key_set import KeySet
from flask_parjar.protocol.keys import parse_shared_secret, parse_signing_keys
from tests.protocol.examples import (
    EC_JWK,
    JWK_FOR,
    OKP_JWK,
    P384_JWK,
    RSA_JWK,
    encode_json,
    key_set,
    make_token,
    public,
    signing_key,
)
from tests.support.errors import refused
from tests.support.untrusted import bounded, documents

KEYS = key_set(RSA_JWK, EC_JWK, OKP_JWK, P384_JWK)
CLAIMS = {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}


def verify(
    token: str,
    *,
    keys: KeySet = KEYS,
    algs: tuple[str, ...] = ASYMMETRIC_ALGORITHMS,
    typs: tuple[str | None, ...] = (None, "jwt"),
) -> VerifiedToken:
    return verify_token(token, keys=keys, expected_algs=algs, expected_typs=typs)


class Rfc7515:
    """Appendices A.2 and A.3."""

    PAYLOAD = (
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cn"
        "VlfQ"
    )
    RS256 = (
        f"eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}."
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2F"
        "p5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQB"
        "MHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeY"
        "I2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    )
    ES256 = (
        f"eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}."
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    )


class Rfc8037:
    """Appendix A.4: its payload is no JSON."""

    EDDSA = (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )


@pytest.mark.parametrize(("token", "alg"), [(Rfc7515.RS256, "RS256"), (Rfc7515.ES256, "ES256")])
def test_the_examples_of_rfc_7515(token: str, alg: str) -> None:
    assert verify(token) == VerifiedToken(header={"alg": alg}, claims=CLAIMS, jws=token)


def test_the_claims_of_a_token_are_not_in_its_repr() -> None:
    """The nonce of a login is one of them."""
    verified = VerifiedToken(header={"alg": "ES256"}, claims={"nonce": "n-0S6"}, jws="a.b.c")
    assert "ES256" in repr(verified)
    assert "n-0S6" not in repr(verified) and "a.b.c" not in repr(verified)


def test_the_example_of_rfc_8037_is_read_only_after_its_signature_holds() -> None:
    reason = "payload: Expecting value: line 1 column 1 (char 0)"
    with refused(TokenRejected, "token_malformed", reason):
        verify(Rfc8037.EDDSA)
    with refused(TokenRejected, "token_signature", "kid=None alg=EdDSA"):
        verify(Rfc8037.EDDSA.replace("hgyY", "hgyZ"))


@pytest.mark.parametrize("alg", ASYMMETRIC_ALGORITHMS)
def test_every_algorithm(alg: str) -> None:
    keys = key_set({**JWK_FOR[alg], "kid": "1"})
    token = make_token({"alg": alg, "kid": "1", "typ": "JWT"}, CLAIMS, alg=alg)
    assert verify(token, keys=keys, algs=(alg,)) == VerifiedToken(
        header={"alg": alg, "kid": "1", "typ": "JWT"}, claims=CLAIMS, jws=token
    )


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "ES512", "EdDSA", "Ed25519"])
def test_a_signature_holds_for_its_own_header_and_payload_alone(alg: str) -> None:
    keys = key_set(JWK_FOR[alg])
    header, payload, signature = make_token({"alg": alg}, CLAIMS, alg=alg).split(".")
    other_payload = b64encode(encode_json({**CLAIMS, "iss": "eve"}))
    other_header = b64encode(encode_json({"alg": alg, "x": 1}))
    flipped = bytearray(b64decode(signature))
    flipped[-1] ^= 1
    for forged in (
        f"{header}.{other_payload}.{signature}",
        f"{other_header}.{payload}.{signature}",
        f"{header}.{payload}.{b64encode(bytes(flipped))}",
        f"{header}.{payload}.{b64encode(b64decode(signature)[:-1])}",
        f"{header}.{payload}.{b64encode(b64decode(signature) + bytes(1))}",
        f"{header}.{payload}.{b64encode(bytes(len(flipped)))}",
        f"{header}.{payload}.",
    ):
        with refused(TokenRejected, "token_signature", f"kid=None alg={alg}"):
            verify(forged, keys=keys, algs=(alg,))


def test_the_issuer_of_the_key_is_given() -> None:
    """As Microsoft Entra ID publishes it: for which tenant a key signs."""
    keys = key_set({**EC_JWK, "kid": "1", "issuer": "https://op.example/a"}, {**EC_JWK, "kid": "2"})
    for kid, issuer in (("1", "https://op.example/a"), ("2", None)):
        assert verify(make_token({"alg": "ES256", "kid": kid}), keys=keys).key_issuer == issuer


def test_a_signature_of_another_key_with_the_same_kid() -> None:
    other = parse_signing_keys({**P384_JWK, "kid": "1"})[0]
    token = make_token({"alg": "ES384", "kid": "1"}, alg="ES384", key=other)
    kid_taken = key_set({**EC_JWK, "kid": "1"})
    with refused(TokenRejected, "token_key", "kid='1' alg=ES384"):
        verify(token, keys=kid_taken)
    eve = make_token({"alg": "RS256"}, alg="PS256", key=signing_key("RS256"))
    with refused(TokenRejected, "token_signature", "kid=None alg=RS256"):
        verify(eve)


def test_a_key_that_cannot_be_used_as_it_says() -> None:
    """What joserfc raises for a key of ours that is no verification key stays in the folder."""
    keys = key_set(EC_JWK)
    keys._keys[0].key._dict_value["key_ops"] = ["sign"]
    with refused(TokenRejected, "token_signature", "UnsupportedKeyOperationError"):
        verify(make_token({"alg": "ES256"}), keys=keys)


@pytest.mark.parametrize(
    ("token", "found"), [("", 1), ("a", 1), ("a.b", 2), ("a.b.c.d", 4), ("a.b.c.d.e", 5)]
)
def test_a_compact_token_has_three_parts(token: str, found: int) -> None:
    with refused(TokenRejected, "token_malformed", f"{found}"):
        verify(token)


def token_of_length(length: int) -> str:
    for padding in ("", "x", "xx"):
        header = {"alg": "ES256", "x": padding}
        rest = length - len(make_token(header, b""))
        if rest % 4 != 1:  # base64url has no such length
            return make_token(header, b'{"a":"' + b"x" * (rest * 3 // 4 - 8) + b'"}')
    raise AssertionError


def test_a_token_is_so_long_and_no_longer() -> None:
    assert MAX_TOKEN_LENGTH == 32768
    longest, longer = token_of_length(MAX_TOKEN_LENGTH), token_of_length(MAX_TOKEN_LENGTH + 1)
    assert (len(longest), len(longer)) == (MAX_TOKEN_LENGTH, MAX_TOKEN_LENGTH + 1)
    assert verify(longest).header["alg"] == "ES256"
    with refused(TokenRejected, "token_malformed", "32768"):
        verify(longer)


@pytest.mark.parametrize(
    "part",
    [
        "",
        "e30=",
        "e30\n",
        "é30",
        "\ud800",
        "e31",
        b64encode(b"[]"),
        b64encode(b'{"alg":"ES256","alg":"none"}'),
        b64encode(b'{"alg":"ES256","alg":"ES256"}'),
        b64encode(b'{"alg":"ES256","a":NaN}'),
        b64encode(b'{"a":' + b"[" * 20_000),
        b64encode(b'{"a":' * 40 + b"1" + b"}" * 40),
    ],
)
def test_parts_that_are_no_json(part: str) -> None:
    _, payload, signature = make_token({"alg": "ES256"}).split(".")
    with refused(TokenRejected, "token_malformed", "header"):
        verify(f"{part}.{payload}.{signature}")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'{"sub":"a","sub":"b"}',
        b'{"sub":"a","sub":"a"}',
        b'{"exp":Infinity}',
        b'{"exp":1e999}',
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b'{"nonce":"\\ud800"}',
    ],
)
def test_a_signed_payload_that_has_no_one_meaning(payload: bytes) -> None:
    with refused(TokenRejected, "token_malformed", "payload"):
        verify(make_token({"alg": "ES256"}, payload))


@pytest.mark.parametrize("signature", ["=", "a b", "é", "AB", "_x", "A"])
def test_a_signature_that_is_no_base64url(signature: str) -> None:
    header, payload, _ = make_token({"alg": "ES256"}).split(".")
    with pytest.raises(TokenRejected) as caught:
        verify(f"{header}.{payload}.{signature}")
    assert caught.value.error_code == "token_malformed"
    assert "signature" in caught.value.detail


@pytest.mark.parametrize("payload", ["é", "\ud800", "a=", "?"])
def test_a_payload_that_is_no_base64url_never_gets_a_signature(payload: str) -> None:
    header, _, signature = make_token({"alg": "ES256"}).split(".")
    with refused(TokenRejected, "token_signature", "kid=None alg=ES256"):
        verify(f"{header}.{payload}.{signature}")


def test_a_non_ascii_payload_is_not_read_as_what_was_signed_in_its_place() -> None:
    header, key = b64encode(encode_json({"alg": "ES256"})), signing_key("ES256")._key
    signature = JWSRegistry.algorithms["ES256"].sign(f"{header}.?".encode(), key)
    with refused(TokenRejected, "token_malformed", "payload"):
        verify(f"{header}.é.{b64encode(signature)}")


@pytest.mark.parametrize("value", [None, "", [], ["b64"], {}, True, False, "https://evil.example"])
@pytest.mark.parametrize("name", ["crit", "b64", "enc", "zip"])
def test_no_header_chooses_its_own_rules(name: str, value: object) -> None:
    with refused(TokenRejected, "token_header", f"{name!r}"):
        verify(make_token({"alg": "ES256", name: value}))


@pytest.mark.parametrize("value", [None, "https://op.example/x", ["MIIB"], public(P384_JWK)])
@pytest.mark.parametrize("name", ["jku", "jwk", "x5u", "x5c"])
def test_no_header_chooses_its_own_key(name: str, value: object) -> None:
    """It may name one, and it is not read."""
    header = {"alg": "ES256", name: value}
    assert verify(make_token(header)).header == header
    forged = make_token({**header, "alg": "ES384"}, alg="ES384")
    with refused(TokenRejected, "token_key", "no key for kid=None alg=ES384"):
        verify(forged, keys=key_set(EC_JWK))


def test_other_headers_do_no_harm() -> None:
    header = {"alg": "ES256", "x5t": "x", "cty": "JWT", "iss": "x", "x5t#S256": 5}
    assert verify(make_token(header)).header == header


@pytest.mark.parametrize("kid", [None, 1, True, [], ["1"], {}, 1.5])
def test_kid_is_a_string(kid: object) -> None:
    with refused(TokenRejected, "token_header", "kid"):
        verify(make_token({"alg": "ES256", "kid": kid}))


@pytest.mark.parametrize("typ", [None, 1, True, [], ["jwt"], {}])
def test_typ_is_a_string(typ: object) -> None:
    with refused(TokenRejected, "token_header", "typ"):
        verify(make_token({"alg": "ES256", "typ": typ}))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "application/jwt", "Application/JWT"])
def test_typ_has_no_case_and_perhaps_a_prefix(typ: str) -> None:
    assert verify(make_token({"alg": "ES256", "typ": typ}), typs=("jwt",)).header["typ"] == typ


@pytest.mark.parametrize(
    ("typ", "shown"),
    [
        ("at+jwt", "at+jwt"),
        ("LOGOUT+JWT", "logout+jwt"),
        ("application/at+jwt", "at+jwt"),
        ("application/application/jwt", "application/jwt"),
        ("", ""),
        (" jwt", " jwt"),
        ("jwt\0", "jwt\0"),
    ],
)
def test_typ_of_another_kind_of_token(typ: str, shown: str) -> None:
    with refused(TokenRejected, "token_kind", f"typ={shown!r}"):
        verify(make_token({"alg": "ES256", "typ": typ}))


def test_typ_may_be_demanded() -> None:
    with refused(TokenRejected, "token_kind", "typ=None"):
        verify(make_token({"alg": "ES256"}), typs=("jwt",))
    with refused(TokenRejected, "token_kind", "typ='jwt'"):
        verify(make_token({"alg": "ES256", "typ": "JWT"}), typs=(None,))


def test_a_long_typ_is_shown_cut() -> None:
    with refused(TokenRejected, "token_kind", f"typ='{'x' * 79}"):
        verify(make_token({"alg": "ES256", "typ": "x" * 100}))


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "", "HS256", "es256", "ES256 ", "RS1", "RSA-OAEP", "ES256K"]
)
def test_an_algorithm_outside_the_list(alg: str) -> None:
    with refused(TokenRejected, "token_algorithm", f"alg={alg!r}"):
        verify(make_token({"alg": alg}))


@pytest.mark.parametrize("alg", [None, 1, True, ["ES256"], {"ES256": 1}])
def test_an_algorithm_that_is_no_string(alg: object) -> None:
    with refused(TokenRejected, "token_algorithm", f"alg={alg!r}"):
        verify(make_token({"alg": alg}))


def test_no_algorithm_at_all() -> None:
    with refused(TokenRejected, "token_algorithm", "alg=None"):
        verify(make_token({"typ": "JWT"}))
    with refused(TokenRejected, "token_algorithm", f"alg='{'x' * 79}"):
        verify(make_token({"alg": "x" * 100}))


def test_the_list_is_this_calls_list() -> None:
    token = make_token({"alg": "ES256"})
    assert verify(token, algs=("RS256", "ES256"))
    with refused(TokenRejected, "token_algorithm", "alg='ES256'"):
        verify(token, algs=("RS256",))
    with refused(TokenRejected, "token_algorithm", "alg='ES256'"):
        verify(token, algs=())


def test_an_unsigned_token() -> None:
    header = b64encode(b'{"alg":"none"}')
    for signature in ("", "AA"):
        with refused(TokenRejected, "token_algorithm", "alg='none'"):
            verify(f"{header}.{b64encode(encode_json(CLAIMS))}.{signature}")


@pytest.mark.parametrize("jwk", [RSA_JWK, EC_JWK])
def test_hmac_with_a_public_key_as_the_secret(jwk: dict[str, Any]) -> None:
    """Also where HMAC is allowed by mistake: no key of a key set is symmetric."""
    secret = parse_shared_secret(encode_json(public(jwk)).decode())
    token = make_token({"alg": "HS256"}, CLAIMS, alg="HS256", key=secret)
    with refused(TokenRejected, "token_algorithm", "alg='HS256'"):
        verify(token)
    with refused(TokenRejected, "token_key", "kid=None alg=HS256"):
        verify(token, algs=("HS256",))


@pytest.mark.parametrize(
    ("claimed", "real"), [("PS256", "RS256"), ("RS256", "PS256"), ("RS512", "RS256")]
)
def test_an_algorithm_of_the_same_key_that_was_not_used(claimed: str, real: str) -> None:
    with refused(TokenRejected, "token_signature", f"kid=None alg={claimed}"):
        verify(make_token({"alg": claimed}, alg=real))


def test_checks_come_in_an_order() -> None:
    """A header is judged whole before a key is looked for, and a key before the signature."""
    worst: dict[str, Any] = {"crit": 1, "kid": 1, "typ": 1, "alg": 1}
    for name, code in [
        ("crit", "token_header"),
        ("kid", "token_header"),
        ("typ", "token_header"),
        ("alg", "token_algorithm"),
    ]:
        with pytest.raises(TokenRejected) as caught:
            verify(f"{b64encode(encode_json(worst))}.?.?")
        assert caught.value.error_code == code
        assert name in caught.value.detail
        del worst[name]
    header = b64encode(encode_json({"alg": "ES256", "kid": "unknown"}))
    with refused(TokenRejected, "token_key", "kid='unknown' alg=ES256"):
        verify(f"{header}.?.?")


def test_kid_is_shown_cut_where_the_signature_is_wrong() -> None:
    kid = "k" * 100
    keys = key_set({**EC_JWK, "kid": kid})
    header, payload, signature = make_token({"alg": "ES256", "kid": kid}).split(".")
    forged = b64encode(bytes(len(b64decode(signature))))
    with refused(TokenRejected, "token_signature", f"kid='{'k' * 79} alg=ES256"):
        verify(f"{header}.{payload}.{forged}", keys=keys)


_PART = st.text("ey0.-_=AJé\ud800", max_size=12) | st.binary(max_size=30).map(b64encode)


@bounded
@given(st.text() | st.lists(_PART, max_size=5).map(".".join))
def test_untrusted_text_has_one_error(token: str) -> None:
    with pytest.raises(TokenRejected):
        verify(token)


HEADER = {"alg": "ES256", "kid": "1", "typ": "JWT"}
ONE_KEY = key_set({**EC_JWK, "kid": "1"})


@bounded
@given(documents(HEADER))
def test_a_header_of_a_hostile_provider_has_one_error(header: dict[str, Any]) -> None:
    token = make_token(header)
    try:
        proved = verify(token, keys=ONE_KEY)
    except TokenRejected:
        return
    assert proved.header["alg"] == "ES256"
    assert proved.header.get("kid", "1") == "1"


@bounded
@given(st.integers(0, 2), st.integers(0, 300), st.characters(codec="ascii"))
def test_one_changed_character_is_never_accepted(part: int, position: int, letter: str) -> None:
    parts = Rfc7515.ES256.split(".")
    position %= len(parts[part])
    changed = parts[part][:position] + letter + parts[part][position + 1 :]
    token = ".".join([*parts[:part], changed, *parts[part + 1 :]])
    if token != Rfc7515.ES256:
        with pytest.raises(TokenRejected):
            verify(token)


# A token that was kept.


def test_the_claims_of_a_token_that_was_kept() -> None:
    assert read_claims(make_token({"alg": "ES256"}, CLAIMS)) == CLAIMS


def test_a_token_that_was_kept_and_cannot_be_read() -> None:
    with refused(TokenRejected, "token_malformed", "payload"):
        read_claims("e30.e.")


# A token that is not verified.


def test_the_claims_of_a_token_that_is_not_verified() -> None:
    assert read_unverified(f"?.{Rfc7515.PAYLOAD}.?") == CLAIMS
    repeated = b64encode(b'{"iss":"joe","iss":"joe"}')
    assert read_unverified(f"?.{repeated}.?") == {"iss": "joe"}


def test_a_token_that_is_not_verified_and_cannot_be_read() -> None:
    with refused(TokenRejected, "token_malformed", "2"):
        read_unverified("e30.e30")
    for payload in ("e", b64encode(b'{"iss":"joe","iss":"eve"}')):
        with refused(TokenRejected, "token_malformed", "payload"):
            read_unverified(f"e30.{payload}.")
