from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given

from flask_parjar.errors import TokenRejected
from flask_parjar.protocol.agreement import Agreement
from flask_parjar.protocol.id_token import (
    MAX_AGE_AT_ISSUE,
    MAX_SUBJECT,
    IDTokenClaims,
    verify_id_token,
    verify_renewed_id_token,
)
from flask_parjar.protocol.opener import TokenOpener
from flask_parjar.protocol.transaction import Transaction
from tests.protocol.examples import (
    CLIENT_ID,
    EC_JWK,
    ISSUER,
    NOW,
    OKP_JWK,
    SKEW,
    encrypt,
    key_set,
    make_agreement,
    make_decryption,
    make_token,
    make_transaction,
)
from tests.support.errors import refused
from tests.support.untrusted import bounded, documents

# OpenID Connect Core appendix A.4, whose hash is made with SHA-256 as for ES256
ACCESS_TOKEN = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
AT_HASH = "77QmUPtjPfzWtF2AnpK9RQ"

AGREEMENT = make_agreement()
TRANSACTION = make_transaction()
KEYS = key_set({**EC_JWK, "kid": "1e9gdk7"}, OKP_JWK)
HEADER = {"alg": "ES256", "kid": "1e9gdk7"}
CLAIMS = {
    "iss": ISSUER,
    "sub": "24400320",
    "aud": CLIENT_ID,
    "nonce": TRANSACTION.nonce,
    "exp": NOW + 300,
    "iat": NOW,
}
ENCRYPTED = make_agreement(id_token_decryption=make_decryption())
LEAST = ("signature", "iss", "aud", "exp", "iat", "nonce", "sub")


def verify(
    without: str = "",
    *,
    header: dict[str, Any] = HEADER,
    agreement: Agreement = AGREEMENT,
    transaction: Transaction = TRANSACTION,
    access_token: str = ACCESS_TOKEN,
    token: str | None = None,
    **claims: Any,
) -> IDTokenClaims:
    """Verify an ID token: this one, or one that is made of the claims."""
    given_claims = {name: value for name, value in (CLAIMS | claims).items() if name != without}
    return verify_id_token(
        token or make_token(header, given_claims, alg=header["alg"]),
        opener=TokenOpener(agreement, KEYS),
        transaction=transaction,
        access_token=access_token,
        now=NOW,
    )


def test_the_least_that_an_id_token_has() -> None:
    verified = verify()
    token = make_token(HEADER, CLAIMS)
    assert verified.jws.rpartition(".")[0] == token.rpartition(".")[0]
    assert verified == IDTokenClaims(header=HEADER, claims=CLAIMS, checked=LEAST, jws=verified.jws)
    assert verified.subject == "24400320"
    assert verified.jws not in repr(verified)


def test_all_that_can_be_checked() -> None:
    verified = verify(
        transaction=make_transaction(max_age=600, acr_values=("phr", "phrh")),
        header={"alg": "EdDSA", "typ": "id_token+jwt"},
        at_hash=None,
        without="at_hash",
        auth_time=NOW - 100,
        acr="phrh",
        amr=["hwk"],
        azp=CLIENT_ID,
    )
    assert verified.checked == (*LEAST, "auth_time", "acr")
    assert verify(at_hash=AT_HASH).checked == (*LEAST, "at_hash")


def test_an_encrypted_id_token() -> None:
    token = make_token(HEADER, CLAIMS)
    assert verify(token=encrypt(token), agreement=ENCRYPTED) == IDTokenClaims(
        header=HEADER, claims=CLAIMS, checked=("encryption", *LEAST), jws=token
    )


def test_claims_that_were_not_requested_are_not_checked() -> None:
    assert verify(auth_time="soon", acr=5, amr="pwd").checked == LEAST


def test_it_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        verify().claims = {}  # type: ignore[misc]


def test_unknown_claims_are_kept() -> None:
    assert verify(groups=["a"], email=None).claims["groups"] == ["a"]


@pytest.mark.parametrize("typ", ["JWT", "jwt", "id_token+jwt", "application/JWT"])
def test_the_typ_of_an_id_token(typ: str) -> None:
    assert verify(header={**HEADER, "typ": typ}).header["typ"] == typ


@pytest.mark.parametrize(
    "typ", ["logout+jwt", "at+jwt", "userinfo+jwt", "oauth-authz-req+jwt", "dpop+jwt", "JOSE"]
)
def test_another_kind_of_token_in_its_place(typ: str) -> None:
    with refused(TokenRejected, "token_kind", f"typ={typ.lower()!r}"):
        verify(header={**HEADER, "typ": typ})


def test_an_algorithm_that_was_not_agreed_on() -> None:
    with refused(TokenRejected, "token_algorithm", "alg='Ed25519'"):
        verify(header={"alg": "Ed25519"})


# iss and aud: test_opener.py

# exp, iat, nbf


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "value", ["1800000000", True, False, [], {}, [NOW], 1e15, 10**15, -(10**15), 10**300]
)
def test_times_are_numbers(name: str, value: object) -> None:
    with refused(TokenRejected, "token_claim", name):
        verify(**{name: value})


@pytest.mark.parametrize("name", ["exp", "iat"])
def test_times_are_demanded(name: str) -> None:
    for claims in ({"without": name}, {name: None}):
        with refused(TokenRejected, "token_claim", name):
            verify(**claims)


def test_an_optional_claim_that_is_null_is_missing() -> None:
    assert verify(nbf=None, at_hash=None, azp=None, auth_time=None, acr=None).checked == LEAST
    assert verify_renewed(nbf=None, at_hash=None, azp=None, nonce=None)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400"])
def test_times_are_finite(number: bytes) -> None:
    payload = json.dumps(CLAIMS | {"exp": "?"}).encode().replace(b'"?"', number)
    with pytest.raises(TokenRejected) as caught:
        verify_id_token(
            make_token(HEADER, payload),
            opener=TokenOpener(AGREEMENT, KEYS),
            transaction=TRANSACTION,
            access_token=ACCESS_TOKEN,
            now=NOW,
        )
    assert caught.value.error_code == "token_malformed"


@pytest.mark.parametrize("exp", [NOW + 1, NOW, NOW - SKEW + 1, NOW - SKEW + 0.5, 10**14])
def test_exp_is_not_reached_within_the_skew(exp: float) -> None:
    assert verify(exp=exp)


@pytest.mark.parametrize(
    ("exp", "seconds"),
    [(NOW - SKEW, SKEW), (NOW - SKEW - 0.25, SKEW), (NOW - 86400, 86400), (0, NOW)],
)
def test_exp_is_reached(exp: float, seconds: int) -> None:
    with refused(TokenRejected, "token_expired", "exp", f"{seconds} s"):
        verify(exp=exp)


@pytest.mark.parametrize("name", ["iat", "nbf"])
@pytest.mark.parametrize("ahead", [1, SKEW - 0.5, SKEW])
def test_a_clock_that_is_a_little_ahead(name: str, ahead: float) -> None:
    assert verify(**{name: NOW + ahead})


@pytest.mark.parametrize("name", ["iat", "nbf"])
@pytest.mark.parametrize(("ahead", "shown"), [(SKEW + 1, 61), (SKEW + 0.25, 60), (86400, 86400)])
def test_a_token_from_the_future(name: str, ahead: float, shown: int) -> None:
    with refused(TokenRejected, "token_from_the_future", f"{shown} s"):
        verify(**{name: NOW + ahead, "exp": NOW + 10**6})


def test_nbf_may_be_long_past() -> None:
    assert verify(nbf=0)
    assert verify(nbf=NOW, iat=NOW + SKEW)


@pytest.mark.parametrize("iat", [NOW - SKEW - MAX_AGE_AT_ISSUE, NOW - 1, NOW - SKEW - 599.5])
def test_iat_may_be_a_while_ago(iat: float) -> None:
    assert MAX_AGE_AT_ISSUE == 600
    assert verify(iat=iat)


@pytest.mark.parametrize(("ago", "shown"), [(661, 661), (660.25, 660), (86400, 86400)])
def test_iat_is_not_absurdly_old(ago: float, shown: int) -> None:
    with refused(TokenRejected, "token_too_old", "iat", f"{shown} s"):
        verify(iat=NOW - ago)


def test_the_skew_is_the_agreement_s() -> None:
    strict = make_agreement(clock_skew=0)
    assert verify(agreement=strict, exp=NOW + 1, iat=NOW)
    with refused(TokenRejected, "token_expired", "exp", "0 s"):
        verify(agreement=strict, exp=NOW)
    with refused(TokenRejected, "token_from_the_future", "1 s"):
        verify(agreement=strict, iat=NOW + 1)
    with refused(TokenRejected, "token_too_old", "iat", "601 s"):
        verify(agreement=strict, iat=NOW - 601)


# nonce


@pytest.mark.parametrize(
    "nonce", ["", "x", TRANSACTION.nonce[:-1], TRANSACTION.nonce + "x", "é", 1, True, [], {}, False]
)
def test_nonce_of_another_login(nonce: object) -> None:
    with refused(TokenRejected, "token_nonce", "another"):
        verify(nonce=nonce)


def test_nonce_is_demanded() -> None:
    for claims in ({"nonce": None}, {"without": "nonce"}):
        with refused(TokenRejected, "token_nonce", "missing"):
            verify(**claims)


def test_nonce_is_not_that_of_another_seed() -> None:
    with refused(TokenRejected, "token_nonce"):
        verify(nonce=make_transaction(secret="another").nonce)


# sub


@pytest.mark.parametrize("sub", [None, "", 1, True, [], ["24400320"], {}, "x" * (MAX_SUBJECT + 1)])
def test_sub_is_a_string_of_some_length(sub: object) -> None:
    with refused(TokenRejected, "token_subject"):
        verify(sub=sub)


def test_sub_is_demanded() -> None:
    with refused(TokenRejected, "token_subject"):
        verify(without="sub")


@pytest.mark.parametrize("sub", ["é", "a\0", "a\n", "\x7f", "ａ", "\u202eada", "a\tb"])
def test_sub_is_printable_ascii(sub: str) -> None:
    with refused(TokenRejected, "token_subject"):
        verify(sub=sub)


@pytest.mark.parametrize("sub", ["x", "x" * MAX_SUBJECT, " ", "auth0|<b>\"'&{{7*7}}~"])
def test_sub(sub: str) -> None:
    assert MAX_SUBJECT == 255
    assert verify(sub=sub).subject == sub


# at_hash


@pytest.mark.parametrize(
    "at_hash", ["", "x", AT_HASH[:-1], AT_HASH + "=", 5, [], [AT_HASH], {}, True, "é"]
)
def test_at_hash_that_does_not_fit(at_hash: object) -> None:
    with refused(TokenRejected, "token_hash"):
        verify(at_hash=at_hash)


def test_at_hash_of_another_access_token_or_another_algorithm() -> None:
    with refused(TokenRejected, "token_hash"):
        verify(at_hash=AT_HASH, access_token=ACCESS_TOKEN + "x")
    with refused(TokenRejected, "token_hash"):
        verify(at_hash=AT_HASH, header={"alg": "EdDSA"})


# auth_time


@pytest.mark.parametrize("auth_time", [None, "1800000000", True, [], {}, 10**15])
def test_auth_time_is_a_number_where_max_age_was_asked(auth_time: object) -> None:
    transaction = make_transaction(max_age=300)
    with refused(TokenRejected, "token_auth_time", "auth_time"):
        verify(transaction=transaction, auth_time=auth_time)
    assert verify(auth_time=auth_time)  # no one asked
    with refused(TokenRejected, "token_auth_time", "auth_time"):
        verify(transaction=transaction)


@pytest.mark.parametrize("max_age", [0, 1, 300])
def test_auth_time_is_young_enough(max_age: int) -> None:
    transaction = make_transaction(max_age=max_age)
    for age in (0, max_age, max_age + SKEW - 0.5, max_age + SKEW, -SKEW):
        assert verify(transaction=transaction, auth_time=NOW - age)


@pytest.mark.parametrize("max_age", [0, 300])
def test_auth_time_is_too_old_or_to_come(max_age: int) -> None:
    transaction = make_transaction(max_age=max_age)
    for age in (max_age + SKEW + 1, 86400, -SKEW - 1, -86400):
        with refused(TokenRejected, "token_auth_time", f"{age} s", f"{max_age}"):
            verify(transaction=transaction, auth_time=NOW - age)


def test_auth_time_has_the_agreement_s_skew() -> None:
    with refused(TokenRejected, "token_auth_time", "301 s", "300"):
        verify(
            transaction=make_transaction(max_age=300),
            agreement=make_agreement(clock_skew=0),
            auth_time=NOW - 301,
        )


# acr


@pytest.mark.parametrize("acr", [None, "", "phr ", "pwd", 1, ["phr"], {"phr": 1}, True])
def test_acr_is_among_those_asked_as_essential(acr: object) -> None:
    transaction = make_transaction(acr_values=("phr", "phrh"))
    with refused(TokenRejected, "token_acr", f"acr={str(acr)!r}"):
        verify(transaction=transaction, acr=acr)
    assert verify(acr=acr)  # no one asked


def test_acr_is_demanded_and_shown_cut() -> None:
    transaction = make_transaction(acr_values=("phr",))
    with refused(TokenRejected, "token_acr", "acr='None'"):
        verify(transaction=transaction)
    with refused(TokenRejected, "token_acr", f"acr={'x' * 100!r}"):
        verify(transaction=transaction, acr="x" * 200)
    assert verify(transaction=transaction, acr="phr").checked[-1] == "acr"
    with pytest.raises(TokenRejected) as caught:
        verify(transaction=make_transaction(present=("acr",)), acr=["x" * 200])
    assert len(caught.value.detail) == len("acr=") + len(repr("x" * 100))


@pytest.mark.parametrize("acr", [None, "", 1, ["phr"], {"phr": 1}, True])
def test_acr_is_there_where_it_is_essential_without_values(acr: object) -> None:
    transaction = make_transaction(present=("acr",))
    for claims in ({"acr": acr}, {}):
        with refused(TokenRejected, "token_acr", f"acr={str(claims.get('acr'))!r}"):
            verify(transaction=transaction, **claims)
    assert verify(transaction=transaction, acr="0").checked[-1] == "acr"


@pytest.mark.parametrize("auth_time", [None, "1800000000", True, [], 10**15])
def test_auth_time_is_there_where_it_is_essential(auth_time: object) -> None:
    transaction = make_transaction(present=("auth_time",))
    for claims in ({"auth_time": auth_time}, {}):
        with refused(TokenRejected, "token_auth_time", "auth_time"):
            verify(transaction=transaction, **claims)
    assert verify(transaction=transaction, auth_time=5).checked[-1] == "auth_time"


@pytest.mark.parametrize("subjects", [("24400320",), ("1", "24400320")])
def test_sub_is_who_was_asked_for(subjects: tuple[str, ...]) -> None:
    transaction = make_transaction(subjects=subjects)
    assert verify(transaction=transaction).subject == "24400320"
    with refused(TokenRejected, "other_person", "sub='2440032'", status=403):
        verify(transaction=transaction, sub="2440032")


def test_iss_is_that_of_the_tenant_of_who_was_asked_for() -> None:
    assert verify(transaction=make_transaction(tenant_issuer=ISSUER)).issuer == ISSUER
    other = make_transaction(tenant_issuer=f"{ISSUER}/another")
    with refused(TokenRejected, "other_person", "sub='24400320'", f"{ISSUER!r}", status=403):
        verify(transaction=other)


# All of it.


def test_a_token_wrong_in_everything_fails_by_the_first_check() -> None:
    wrong: dict[str, Any] = {
        "iss": "x",
        "aud": "x",
        "exp": 0,
        "nonce": "x",
        "sub": "",
        "at_hash": "x",
        "auth_time": 0,
        "acr": "x",
    }
    transaction = make_transaction(max_age=1, acr_values=("phr",))
    for name, code in [
        ("iss", "token_issuer"),
        ("aud", "token_audience"),
        ("exp", "token_expired"),
        ("nonce", "token_nonce"),
        ("sub", "token_subject"),
        ("at_hash", "token_hash"),
        ("auth_time", "token_auth_time"),
        ("acr", "token_acr"),
    ]:
        with pytest.raises(TokenRejected) as caught:
            verify(transaction=transaction, **({"auth_time": NOW} | wrong))
        assert caught.value.error_code == code
        del wrong[name]


@bounded
@given(documents(CLAIMS | {"at_hash": AT_HASH, "auth_time": NOW, "acr": "phr", "azp": CLIENT_ID}))
def test_claims_of_a_hostile_provider_have_one_error(claims: dict[str, Any]) -> None:
    token = make_token(HEADER, json.dumps(claims).encode())
    try:
        proved = verify_id_token(
            token,
            opener=TokenOpener(AGREEMENT, KEYS),
            transaction=make_transaction(max_age=60, acr_values=("phr",)),
            access_token=ACCESS_TOKEN,
            now=NOW,
        )
    except TokenRejected:
        return
    must = ("iss", "aud", "nonce", "acr")
    assert {name: proved.claims[name] for name in must} == {
        name: (CLAIMS | {"acr": "phr"})[name] for name in must
    }
    assert 0 < len(proved.subject) <= MAX_SUBJECT
    assert math.isfinite(proved.claims["exp"])


# A renewed ID token.

RENEWED = {
    "iss": ISSUER,
    "sub": "24400320",
    "aud": CLIENT_ID,
    "exp": NOW + 300,
    "iat": NOW,
}
LEAST_OF_RENEWED = ("signature", "iss", "aud", "exp", "iat", "sub")
#: An issuer of this provider that is not the one of the session: that of another tenant.
OTHER_ISSUER = f"{ISSUER}/another"
ORIGINAL = make_token(HEADER, CLAIMS | {"auth_time": NOW - 5000, "iat": NOW - 5000})


def verify_renewed(
    without: str = "",
    *,
    header: dict[str, Any] = HEADER,
    agreement: Agreement = AGREEMENT,
    original: str = ORIGINAL,
    token: str | None = None,
    **claims: Any,
) -> IDTokenClaims:
    """The same as `verify`, for a renewal."""
    given_claims = {name: value for name, value in (RENEWED | claims).items() if name != without}
    return verify_renewed_id_token(
        token or make_token(header, given_claims, alg=header["alg"]),
        original=original,
        expected_issuer=ISSUER,
        expected_subject="24400320",
        opener=TokenOpener(agreement, KEYS),
        access_token=ACCESS_TOKEN,
        now=NOW,
    )


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"nonce": CLAIMS["nonce"]},
        {"auth_time": NOW - 5000},
        {"at_hash": AT_HASH},
        {"azp": CLIENT_ID},
        {"header": {"alg": "EdDSA", "typ": "id_token+jwt"}},
        {"iat": NOW + SKEW},
        {"exp": NOW - SKEW + 1},
        {"acr": "another", "name": "Ada"},
    ],
)
def test_a_renewed_id_token(claims: dict[str, Any]) -> None:
    renewed = verify_renewed(**claims)
    assert len(renewed.jws.split(".")) == 3
    assert {name: renewed.claims[name] for name in claims if name != "header"} == {
        name: value for name, value in claims.items() if name != "header"
    }


@pytest.mark.parametrize(
    "expiry, code, value",
    [
        (NOW + 1, None, ""),
        (NOW + 1.5, None, ""),
        (None, None, ""),
        (10**12 - 1, None, ""),
        # no tolerance: the session would end with the next request
        (NOW, "token_session_expiry", "0 s"),
        (NOW + 0.5, "token_session_expiry", "0 s"),
        (NOW - 86400, "token_session_expiry", "86400 s"),
        (0, "token_session_expiry", f"{NOW} s"),
        (-NOW, "token_session_expiry", f"{2 * NOW} s"),
        (NOW * 1000, "token_claim", f"session_expiry={NOW * 1000}"),
        (10**12, "token_claim", f"session_expiry={10**12}"),
        (10**400, "token_claim", "session_expiry"),
        (True, "token_claim", "session_expiry"),
        (str(NOW + 60), "token_claim", "session_expiry"),
        ([NOW + 60], "token_claim", "session_expiry"),
        ({}, "token_claim", "session_expiry"),
    ],
)
def test_when_the_session_must_end(expiry: Any, code: str | None, value: str) -> None:
    for check in (verify, verify_renewed):
        if code is None:
            assert ("session_expiry" in check(session_expiry=expiry).checked) is bool(expiry)
            continue
        with refused(TokenRejected, code, value):
            check(session_expiry=expiry)


def test_what_is_checked_of_a_renewed_id_token() -> None:
    assert verify_renewed().checked == LEAST_OF_RENEWED
    both = verify_renewed(nonce=CLAIMS["nonce"], at_hash=AT_HASH)
    assert both.checked == (*LEAST_OF_RENEWED, "nonce", "at_hash")


def test_what_is_given_of_a_renewed_id_token() -> None:
    token = make_token(HEADER, RENEWED)
    assert verify_renewed(token=token) == IDTokenClaims(
        header=HEADER, claims=RENEWED, checked=LEAST_OF_RENEWED, jws=token
    )


def test_an_encrypted_id_token_at_a_renewal() -> None:
    """It gives the same as the signed one inside, and one check more."""
    token = make_token(HEADER, RENEWED)
    assert verify_renewed(token=encrypt(token), agreement=ENCRYPTED) == IDTokenClaims(
        header=HEADER, claims=RENEWED, checked=("encryption", *LEAST_OF_RENEWED), jws=token
    )


@pytest.mark.parametrize("auth_time", [NOW, 5, None, "soon"])
def test_another_auth_time_decides_nothing_at_a_renewal(auth_time: object) -> None:
    verify_renewed(auth_time=auth_time)


def test_a_renewal_may_have_claims_that_the_login_did_not_have() -> None:
    """With nothing to compare with, there is nothing that could differ."""
    bare = {name: value for name, value in CLAIMS.items() if name != "nonce"}
    verify_renewed(original=make_token(HEADER, bare), auth_time=NOW, nonce="x")


def test_a_renewed_id_token_where_there_was_no_room_for_the_first() -> None:
    """Who is logged in is still known; the other values have nothing to be compared with."""
    verify_renewed(original="", nonce="x", auth_time=5)
    with pytest.raises(TokenRejected) as caught:
        verify_renewed(original="", sub="24400321")
    assert caught.value.error_code == "token_subject"


@pytest.mark.parametrize(
    ("claims", "code", "value"),
    [
        (
            {"iss": "https://evil.example"},
            "token_issuer",
            "'https://evil.example'",
        ),
        ({"without": "iss"}, "token_issuer", "'None'"),
        (
            {"agreement": make_agreement(issuer=OTHER_ISSUER), "iss": OTHER_ISSUER},
            "token_issuer",
            f"iss={OTHER_ISSUER!r}",
        ),
        ({"aud": "another"}, "token_audience", "aud=['another']"),
        ({"aud": 5}, "token_audience", "aud"),
        ({"aud": [CLIENT_ID, "b"]}, "token_audience", "['b']"),
        ({"azp": "another"}, "token_audience", "azp='another'"),
        ({"exp": NOW - SKEW}, "token_expired", f"{SKEW} s"),
        ({"without": "exp"}, "token_claim", "exp"),
        ({"exp": str(NOW + 300)}, "token_claim", "exp"),
        ({"without": "iat"}, "token_claim", "iat"),
        ({"iat": NOW + SKEW + 1}, "token_from_the_future", f"{SKEW + 1} s"),
        (
            {"iat": NOW - SKEW - MAX_AGE_AT_ISSUE - 1},
            "token_too_old",
            f"{SKEW + MAX_AGE_AT_ISSUE + 1} s",
        ),
        ({"without": "sub"}, "token_subject", ""),
        ({"sub": ""}, "token_subject", ""),
        ({"sub": 24400320}, "token_subject", ""),
        ({"sub": "24400321"}, "token_subject", "sub='24400321'"),
        ({"nonce": "another"}, "token_claim", "nonce"),
        ({"nonce": ""}, "token_claim", "nonce"),
        ({"at_hash": AT_HASH[::-1]}, "token_hash", ""),
        ({"at_hash": ""}, "token_hash", ""),
        ({"header": {"alg": "Ed25519"}}, "token_algorithm", "alg='Ed25519'"),
        ({"header": {**HEADER, "typ": "logout+jwt"}}, "token_kind", "typ='logout+jwt'"),
        ({"header": {**HEADER, "kid": "other"}}, "token_key", "other"),
    ],
)
def test_a_renewed_id_token_that_breaks_a_rule(
    claims: dict[str, Any], code: str, value: str
) -> None:
    with refused(TokenRejected, code, value):
        verify_renewed(**claims)


def test_a_renewed_id_token_with_the_signature_of_another() -> None:
    """The header of one, the signature of the other."""
    head, payload, _ = make_token(HEADER, RENEWED).split(".")
    signature = make_token(HEADER, RENEWED | {"sub": "x"}).split(".")[2]
    with pytest.raises(TokenRejected) as caught:
        verify_renewed_id_token(
            f"{head}.{payload}.{signature}",
            original=ORIGINAL,
            expected_issuer=ISSUER,
            expected_subject="24400320",
            opener=TokenOpener(AGREEMENT, KEYS),
            access_token=ACCESS_TOKEN,
            now=NOW,
        )
    assert caught.value.error_code == "token_signature"


@bounded
@given(documents(RENEWED | {"nonce": CLAIMS["nonce"], "auth_time": NOW, "at_hash": AT_HASH}))
def test_renewed_claims_of_a_hostile_provider_have_one_error(claims: dict[str, Any]) -> None:
    try:
        verify_renewed_id_token(
            make_token(HEADER, json.dumps(claims).encode()),
            original=ORIGINAL,
            expected_issuer=ISSUER,
            expected_subject="24400320",
            opener=TokenOpener(AGREEMENT, KEYS),
            access_token=ACCESS_TOKEN,
            now=NOW,
        )
    except TokenRejected:
        return
    assert (claims["iss"], claims["sub"], claims["aud"]) == (ISSUER, "24400320", CLIENT_ID)
