"""Who issued a token and whom it is for: the same for every kind of token that comes in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given

from flask_parjar.errors import TokenRejected
from flask_parjar.protocol.encoding import b64encode
from flask_parjar.protocol.jws import VerifiedToken
from flask_parjar.protocol.opener import ID_TOKEN, LOGOUT_TOKEN, RESPONSE, USERINFO, TokenKind
from tests.protocol.examples import (
    CLIENT_ID,
    EC_JWK,
    ISSUER,
    OKP_JWK,
    encode_json,
    encrypt,
    key_set,
    make_decryption,
    make_opener,
    make_token,
)
from tests.support.errors import refused
from tests.support.untrusted import bounded, documents

KEYS = key_set({**EC_JWK, "kid": "1e9gdk7"}, OKP_JWK)
HEADER = {"alg": "ES256", "kid": "1e9gdk7"}
CLAIMS = {"iss": ISSUER, "aud": CLIENT_ID, "sub": "24400320"}
OTHERS = ["https://api.example", "https://other.example"]

KINDS = {
    "ID token": ID_TOKEN,
    "userinfo": USERINFO,
    "logout token": LOGOUT_TOKEN,
    "response": RESPONSE,
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
#: Those of which OpenID Connect Core 3.1.3.7 speaks, and what is proved in the same way.
with_azp = pytest.mark.parametrize(
    "kind", [ID_TOKEN, LOGOUT_TOKEN, RESPONSE], ids=["ID token", "logout token", "response"]
)


def open_token(
    kind: TokenKind,
    without: str = "",
    *,
    header: Mapping[str, Any] = HEADER,
    trusted: tuple[str, ...] = (),
    **claims: Any,
) -> VerifiedToken:
    given_claims = {name: value for name, value in (CLAIMS | claims).items() if name != without}
    token = make_token(header, given_claims, alg=header["alg"])
    return make_opener(KEYS, trusted_audiences=trusted).open(token, kind=kind)


@every_kind
def test_a_token(kind: TokenKind) -> None:
    token = make_token(HEADER, CLAIMS)
    assert make_opener(KEYS).open(token, kind=kind) == VerifiedToken(
        header=HEADER, claims=CLAIMS, jws=token
    )


@every_kind
def test_the_signed_text_is_not_printed(kind: TokenKind) -> None:
    verified = open_token(kind)
    assert verified.jws not in repr(verified)


# Its kind, its algorithm, its key.


@every_kind
@pytest.mark.parametrize("name", ["ID token", "userinfo", "logout token"])
def test_a_kind_that_names_itself_is_no_other(kind: TokenKind, name: str) -> None:
    typ = {"ID token": "id_token+jwt", "userinfo": "userinfo+jwt", "logout token": "logout+jwt"}
    header = {**HEADER, "typ": typ[name]}
    if KINDS[name] is kind:
        assert open_token(kind, header=header).header == header
        return
    with refused(TokenRejected, "token_kind", f"typ={typ[name]!r}"):
        open_token(kind, header=header)


@every_kind
@pytest.mark.parametrize("typ", ["at+jwt", "oauth-authz-req+jwt", "dpop+jwt", "secevent+jwt"])
def test_no_other_kind_of_token(kind: TokenKind, typ: str) -> None:
    with refused(TokenRejected, "token_kind", f"typ={typ!r}"):
        open_token(kind, header={**HEADER, "typ": typ})


@every_kind
@pytest.mark.parametrize("typ", [{}, {"typ": "JWT"}, {"typ": "application/jwt"}])
def test_a_kind_that_does_not_name_itself(kind: TokenKind, typ: dict[str, str]) -> None:
    assert open_token(kind, header=HEADER | typ)


@every_kind
def test_an_algorithm_that_was_not_agreed_on(kind: TokenKind) -> None:
    with refused(TokenRejected, "token_algorithm", "alg='Ed25519'"):
        open_token(kind, header={"alg": "Ed25519"})
    token = make_token({"alg": "EdDSA"}, CLAIMS, alg="EdDSA")
    assert make_opener(KEYS).open(token, kind=kind)
    with refused(TokenRejected, "token_algorithm", "alg='EdDSA'"):
        algs = dict.fromkeys(("id_token_algs", "userinfo_algs", "response_algs"), ("ES256",))
        make_opener(KEYS, **algs).open(token, kind=kind)


@every_kind
def test_a_key_that_the_provider_does_not_publish(kind: TokenKind) -> None:
    with pytest.raises(TokenRejected) as caught:
        open_token(kind, header={**HEADER, "kid": "another"})
    assert caught.value.error_code == "token_key"  # the code by which newer keys are looked for


@every_kind
def test_the_signature_counts_before_the_claims(kind: TokenKind) -> None:
    iss = {} if kind.issuer_first else {"iss": "x"}
    head, _, _ = make_token(HEADER, CLAIMS | {"aud": "x"} | iss).rpartition(".")
    signature = make_token(HEADER, CLAIMS).rpartition(".")[2]
    with refused(TokenRejected, "token_signature", "kid='1e9gdk7' alg=ES256"):
        make_opener(KEYS).open(f"{head}.{signature}", kind=kind)


# iss


@every_kind
@pytest.mark.parametrize("iss", [f"{ISSUER}/", "https://evil.example", "", "HTTPS://OP.EXAMPLE"])
def test_iss_of_another(kind: TokenKind, iss: str) -> None:
    with refused(TokenRejected, "token_issuer", f"{ISSUER!r}", f"{iss!r}"):
        open_token(kind, iss=iss)


@every_kind
@pytest.mark.parametrize("iss", [None, 1, [ISSUER], {}, True])
def test_iss_of_another_type(kind: TokenKind, iss: object) -> None:
    with refused(TokenRejected, "token_issuer", f"{ISSUER!r}", f"{str(iss)!r}"):
        open_token(kind, iss=iss)


@every_kind
def test_iss_is_demanded_and_shown_cut(kind: TokenKind) -> None:
    with refused(TokenRejected, "token_issuer", f"{ISSUER!r}", "'None'"):
        open_token(kind, without="iss")
    with refused(TokenRejected, "token_issuer", f"{ISSUER!r}", f"{'x' * 200!r}"):
        open_token(kind, iss="x" * 201)


@every_kind
def test_iss_is_that_of_the_agreement(kind: TokenKind) -> None:
    other = "https://other.example"
    token = make_token(HEADER, CLAIMS | {"iss": other})
    assert make_opener(KEYS, issuer=other).open(token, kind=kind).claims["iss"] == other


@every_kind
def test_iss_counts_before_aud(kind: TokenKind) -> None:
    with pytest.raises(TokenRejected) as caught:
        open_token(kind, iss="x", aud="x")
    assert caught.value.error_code == "token_issuer"


TENANTS: dict[str, Any] = {
    "issuer": "https://login.example/organizations/v2.0",
    "tenants": frozenset(("aaaa-1", "bbbb-2")),
}
OF_A = {"iss": "https://login.example/aaaa-1/v2.0", "aud": CLIENT_ID}


@every_kind
def test_of_the_tokens_of_a_tenant_the_id_token_must_name_it(kind: TokenKind) -> None:
    opener = make_opener(KEYS, **TENANTS)
    named = make_token(HEADER, OF_A | {"tid": "aaaa-1"})
    assert opener.open(named, kind=kind).claims["tid"] == "aaaa-1"
    if kind is not ID_TOKEN:
        assert opener.open(make_token(HEADER, OF_A), kind=kind).claims == OF_A
        return
    with refused(TokenRejected, "token_issuer", "tid='None'"):
        opener.open(make_token(HEADER, OF_A), kind=kind)


@every_kind
def test_a_key_of_one_tenant_signs_for_no_other(kind: TokenKind) -> None:
    token = make_token(HEADER, OF_A | {"tid": "aaaa-1"})
    of_a, of_b = (OF_A["iss"].replace("aaaa-1", tenant) for tenant in ("aaaa-1", "bbbb-2"))
    assert make_opener(key_set({**EC_JWK, "kid": "1e9gdk7", "issuer": of_a}), **TENANTS).open(
        token, kind=kind
    )
    opener = make_opener(key_set({**EC_JWK, "kid": "1e9gdk7", "issuer": of_b}), **TENANTS)
    with refused(TokenRejected, "token_issuer", of_a, of_b):
        opener.open(token, kind=kind)


# aud


@every_kind
@pytest.mark.parametrize("aud", [CLIENT_ID, [CLIENT_ID]])
@pytest.mark.parametrize("azp", [{}, {"azp": CLIENT_ID}, {"azp": None}])
def test_aud_is_us(kind: TokenKind, aud: object, azp: dict[str, Any]) -> None:
    assert open_token(kind, aud=aud, **azp).claims["aud"] == aud


@every_kind
@pytest.mark.parametrize(
    "aud",
    [None, 1, True, {}, {CLIENT_ID: 1}, [CLIENT_ID, 1], [[CLIENT_ID]], [None], [CLIENT_ID, {}]],
)
def test_aud_of_a_wrong_type(kind: TokenKind, aud: object) -> None:
    with refused(TokenRejected, "token_audience", "aud"):
        open_token(kind, aud=aud)


@every_kind
def test_a_long_aud_is_shown_cut(kind: TokenKind) -> None:
    with pytest.raises(TokenRejected) as caught:
        open_token(kind, aud="x" * 1000)
    assert len(caught.value.detail) == len("aud=") + 200


@every_kind
def test_aud_is_demanded(kind: TokenKind) -> None:
    with refused(TokenRejected, "token_audience", "aud"):
        open_token(kind, without="aud")


@every_kind
@pytest.mark.parametrize("aud", ["", "s6", f"{CLIENT_ID}x", CLIENT_ID.upper()])
def test_aud_of_another(kind: TokenKind, aud: str) -> None:
    with refused(TokenRejected, "token_audience", f"aud={[aud]}"):
        open_token(kind, aud=aud)
    with refused(TokenRejected, "token_audience", f"aud={[aud]}"):
        open_token(kind, aud=[aud], azp=CLIENT_ID)


@every_kind
def test_aud_of_no_one_and_of_many_others(kind: TokenKind) -> None:
    with refused(TokenRejected, "token_audience", "aud=[]"):
        open_token(kind, aud=[], azp=CLIENT_ID)
    with refused(TokenRejected, "token_audience", f"aud={str(['x' * 300])[:200]}"):
        open_token(kind, aud=["x" * 300])


@every_kind
def test_azp_does_not_take_the_place_of_aud(kind: TokenKind) -> None:
    with refused(TokenRejected, "token_audience", "aud=['other']"):
        open_token(kind, aud="other", azp=CLIENT_ID)


@with_azp
def test_other_audiences_are_trusted_by_configuration_alone(kind: TokenKind) -> None:
    with refused(TokenRejected, "token_audience", f"{OTHERS}"):
        open_token(kind, aud=[*reversed(OTHERS), CLIENT_ID], azp=CLIENT_ID)
    first = {"trusted": (OTHERS[0],), "azp": CLIENT_ID}
    with refused(TokenRejected, "token_audience", f"{OTHERS[1:]}"):
        open_token(kind, aud=[*OTHERS, CLIENT_ID], **first)
    with refused(TokenRejected, "token_audience", f"{str(['x' * 300])[:200]}"):
        open_token(kind, aud=["x" * 300, CLIENT_ID], **first)
    assert open_token(kind, aud=[OTHERS[0], CLIENT_ID], **first)
    with refused(TokenRejected, "token_audience", f"aud={OTHERS[:1]}"):
        open_token(kind, aud=OTHERS[0], **first)


@with_azp
@pytest.mark.parametrize("aud", [[OTHERS[0], CLIENT_ID], [CLIENT_ID, CLIENT_ID]])
@pytest.mark.parametrize("azp", [{}, {"azp": None}])
def test_several_trusted_audiences_need_no_azp(
    kind: TokenKind, aud: list[str], azp: dict[str, Any]
) -> None:
    assert open_token(kind, aud=aud, trusted=tuple(OTHERS), **azp).claims["aud"] == aud


@with_azp
@pytest.mark.parametrize("azp", ["", "other", f"{CLIENT_ID} ", 1, True, False, 0, [CLIENT_ID], {}])
@pytest.mark.parametrize("aud", [CLIENT_ID, [CLIENT_ID], [OTHERS[0], CLIENT_ID]])
def test_azp_is_us_where_it_is_there(kind: TokenKind, azp: object, aud: object) -> None:
    with refused(TokenRejected, "token_audience", f"azp={str(azp)!r}"):
        open_token(kind, aud=aud, azp=azp, trusted=tuple(OTHERS))


@with_azp
def test_a_foreign_azp_is_shown_cut(kind: TokenKind) -> None:
    with refused(TokenRejected, "token_audience", f"azp={'x' * 200!r}"):
        open_token(kind, azp="x" * 201)


@pytest.mark.parametrize("azp", [{}, {"azp": "other"}, {"azp": 5}])
@pytest.mark.parametrize("aud", [CLIENT_ID, [OTHERS[0], CLIENT_ID], [CLIENT_ID, *OTHERS]])
def test_userinfo_may_be_for_others_too(aud: object, azp: dict[str, Any]) -> None:
    """OpenID Connect Core 5.3.2: its aud is us, or has us; azp is nothing of it."""
    assert open_token(USERINFO, aud=aud, **azp).claims["aud"] == aud


@every_kind
@bounded
@given(claims=documents(CLAIMS | {"azp": CLIENT_ID}))
def test_claims_of_a_hostile_provider_have_one_error(
    kind: TokenKind, claims: dict[str, Any]
) -> None:
    try:
        token = make_opener(KEYS).open(make_token(HEADER, encode_json(claims)), kind=kind)
    except TokenRejected:
        return
    assert token.claims["iss"] == ISSUER
    assert token.claims["aud"] == CLIENT_ID or CLIENT_ID in token.claims["aud"]


# Encryption.

SIGNED = make_token(HEADER, CLAIMS)
HEADER_OF_NONE = b64encode(encode_json({"alg": "none"}))
UNSIGNED = f"{HEADER_OF_NONE}.{SIGNED.split('.')[1]}."


@every_kind
def test_an_encrypted_token_gives_the_signed_one_inside(kind: TokenKind) -> None:
    kinds = ("id_token", "userinfo", "response")
    opener = make_opener(KEYS, **{f"{each}_decryption": make_decryption() for each in kinds})
    assert opener.open(encrypt(SIGNED), kind=kind) == VerifiedToken(
        header=HEADER, claims=CLAIMS, jws=SIGNED
    )


@every_kind
def test_nothing_encrypted_is_accepted_where_nothing_was_agreed(kind: TokenKind) -> None:
    with refused(TokenRejected, "token_encrypted"):
        make_opener(KEYS).open(encrypt(SIGNED), kind=kind)


def test_each_kind_has_its_own_agreement_and_a_logout_token_may_be_clear() -> None:
    of_id_tokens = make_opener(KEYS, id_token_decryption=make_decryption())
    of_userinfo = make_opener(KEYS, userinfo_decryption=make_decryption())
    for opener, kind in ((of_id_tokens, ID_TOKEN), (of_userinfo, USERINFO)):
        with refused(TokenRejected, "token_not_encrypted"):
            opener.open(SIGNED, kind=kind)
    assert of_userinfo.open(SIGNED, kind=ID_TOKEN).jws == SIGNED
    assert of_id_tokens.open(SIGNED, kind=USERINFO).jws == SIGNED
    assert of_id_tokens.open(SIGNED, kind=LOGOUT_TOKEN).jws == SIGNED
    with refused(TokenRejected, "token_encrypted"):
        of_userinfo.open(encrypt(SIGNED), kind=LOGOUT_TOKEN)


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        ('{"iss": "https://op.example"}', "token_malformed"),
        (UNSIGNED, "token_algorithm"),
        (encrypt(SIGNED), "token_malformed"),
        (SIGNED + "x" * 32_768, "token_malformed"),
    ],
    ids=["claims", "alg none", "two layers", "long"],
)
def test_what_is_encrypted_must_be_signed(inside: str, code: str) -> None:
    opener = make_opener(KEYS, id_token_decryption=make_decryption())
    with pytest.raises(TokenRejected) as caught:
        opener.open(encrypt(inside), kind=ID_TOKEN)
    assert caught.value.error_code == code
