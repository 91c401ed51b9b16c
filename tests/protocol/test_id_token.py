from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given

from flask_parjar.errors import TokenRejected
from flask_parjar.protocol.client import ClientConfig
from flask_parjar.protocol.id_token import (
    MAX_AGE_AT_ISSUE,
    MAX_SUBJECT,
    IDTokenClaims,
    verify_id_token,
    verify_renewed_id_token,
)
from flask_parjar.protocol.transaction import Transaction
from tests.protocol.examples import (
    CLIENT_ID,
    EC_JWK,
    ISSUER,
    NOW,
    OKP_JWK,
    SKEW,
    key_set,
    make_client,
    make_token,
    make_transaction,
    refused,
)
from tests.protocol.strangers import bounded, documents

# OpenID Connect Core appendix A.4, whose hash is made with SHA-256 as for ES256
ACCESS_TOKEN = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
AT_HASH = "77QmUPtjPfzWtF2AnpK9RQ"

CLIENT = make_client(clock_skew=SKEW)
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
OTHERS = ["https://api.example", "https://other.example"]


def verify(
    without: str = "",
    *,
    header: dict[str, Any] = HEADER,
    client: ClientConfig = CLIENT,
    transaction: Transaction = TRANSACTION,
    access_token: str = ACCESS_TOKEN,
    **claims: Any,
) -> IDTokenClaims:
    given_claims = {name: value for name, value in (CLAIMS | claims).items() if name != without}
    return verify_id_token(
        make_token(header, given_claims, alg=header["alg"]),
        keys=KEYS,
        algs=("ES256", "EdDSA"),
        client=client,
        transaction=transaction,
        access_token=access_token,
        now=NOW,
    )


def test_the_least_that_an_id_token_has() -> None:
    assert verify() == IDTokenClaims(
        header=HEADER,
        claims=CLAIMS,
        proofs=(
            "signature: ES256, by a key that the provider publishes",
            "iss: the provider that was asked",
            "aud: this client",
            "exp: not expired",
            "iat: just issued",
            "nonce: that of this login",
            "sub: present",
        ),
    )
    assert verify().subject == "24400320"


def test_all_that_can_be_proved() -> None:
    proved = verify(
        transaction=make_transaction(max_age=600, acr_values=("phr", "phrh")),
        header={"alg": "EdDSA", "typ": "id_token+jwt"},
        at_hash=None,
        without="at_hash",
        auth_time=NOW - 100,
        acr="phrh",
        amr=["hwk"],
        azp=CLIENT_ID,
    )
    assert proved.proofs[0] == "signature: EdDSA, by a key that the provider publishes"
    assert proved.proofs[-2:] == ("auth_time: young enough", "acr: one of those asked for")
    assert len(proved.proofs) == 9
    assert verify(at_hash=AT_HASH).proofs[-1] == "at_hash: the access token that came with it"


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


# iss


@pytest.mark.parametrize("iss", [f"{ISSUER}/", "https://evil.example", "", "HTTPS://OP.EXAMPLE"])
def test_iss_of_another(iss: str) -> None:
    with refused(TokenRejected, "token_issuer", f"expected {ISSUER!r}, found {iss!r}"):
        verify(iss=iss)


@pytest.mark.parametrize("iss", [None, 1, [ISSUER], {}, True])
def test_iss_of_another_type(iss: object) -> None:
    with refused(TokenRejected, "token_issuer", f"expected {ISSUER!r}, found {str(iss)!r}"):
        verify(iss=iss)


def test_iss_is_demanded_and_shown_cut() -> None:
    with refused(TokenRejected, "token_issuer", f"expected {ISSUER!r}, found 'None'"):
        verify(without="iss")
    with refused(TokenRejected, "token_issuer", f"expected {ISSUER!r}, found {'x' * 200!r}"):
        verify(iss="x" * 201)


def test_iss_is_that_of_the_login() -> None:
    """Not that of the client, which a configuration may have changed meanwhile."""
    other = "https://other.example"
    assert verify(iss=other, transaction=make_transaction(issuer=other)).claims["iss"] == other


# aud, azp


@pytest.mark.parametrize("aud", [CLIENT_ID, [CLIENT_ID]])
@pytest.mark.parametrize("azp", [{}, {"azp": CLIENT_ID}, {"azp": None}])
def test_aud_is_us(aud: object, azp: dict[str, Any]) -> None:
    assert verify(aud=aud, **azp).claims["aud"] == aud


@pytest.mark.parametrize(
    "aud",
    [None, 1, True, {}, {CLIENT_ID: 1}, [CLIENT_ID, 1], [[CLIENT_ID]], [None], [CLIENT_ID, {}]],
)
def test_aud_of_a_wrong_type(aud: object) -> None:
    with refused(TokenRejected, "token_audience", "aud is not a string or a list of strings"):
        verify(aud=aud)


def test_aud_is_demanded() -> None:
    with refused(TokenRejected, "token_audience", "aud is not a string or a list of strings"):
        verify(without="aud")


@pytest.mark.parametrize("aud", ["", "s6", f"{CLIENT_ID}x", CLIENT_ID.upper()])
def test_aud_of_another(aud: str) -> None:
    with refused(TokenRejected, "token_audience", f"aud={[aud]}"):
        verify(aud=aud)
    with refused(TokenRejected, "token_audience", f"aud={[aud]}"):
        verify(aud=[aud], azp=CLIENT_ID)


def test_aud_of_nobody_and_of_many_others() -> None:
    with refused(TokenRejected, "token_audience", "aud=[]"):
        verify(aud=[], azp=CLIENT_ID)
    with refused(TokenRejected, "token_audience", f"aud={str(['x' * 300])[:200]}"):
        verify(aud=["x" * 300])


def test_other_audiences_are_trusted_by_configuration_alone() -> None:
    with refused(TokenRejected, "token_audience", f"untrusted audiences: {OTHERS}"):
        verify(aud=[*reversed(OTHERS), CLIENT_ID], azp=CLIENT_ID)
    client = make_client(trusted_audiences=(OTHERS[0],))
    with refused(TokenRejected, "token_audience", f"untrusted audiences: {OTHERS[1:]}"):
        verify(aud=[*OTHERS, CLIENT_ID], azp=CLIENT_ID, client=client)
    with refused(TokenRejected, "token_audience", f"untrusted audiences: {str(['x' * 300])[:200]}"):
        verify(aud=["x" * 300, CLIENT_ID], azp=CLIENT_ID, client=client)
    assert verify(aud=[OTHERS[0], CLIENT_ID], azp=CLIENT_ID, client=client)
    with refused(TokenRejected, "token_audience", f"aud={OTHERS[:1]}"):
        verify(aud=OTHERS[0], azp=CLIENT_ID, client=client)


@pytest.mark.parametrize("aud", [[OTHERS[0], CLIENT_ID], [CLIENT_ID, CLIENT_ID]])
@pytest.mark.parametrize("azp", [{}, {"azp": None}])
def test_azp_is_demanded_with_several_audiences(aud: list[str], azp: dict[str, Any]) -> None:
    with refused(TokenRejected, "token_audience", "several audiences and no azp"):
        verify(aud=aud, client=make_client(trusted_audiences=tuple(OTHERS)), **azp)


@pytest.mark.parametrize("azp", ["", "other", f"{CLIENT_ID} ", 1, True, False, 0, [CLIENT_ID], {}])
@pytest.mark.parametrize("aud", [CLIENT_ID, [CLIENT_ID], [OTHERS[0], CLIENT_ID]])
def test_azp_is_us_where_it_is_there(azp: object, aud: object) -> None:
    with refused(TokenRejected, "token_audience", f"azp={str(azp)!r}"):
        verify(aud=aud, azp=azp, client=make_client(trusted_audiences=tuple(OTHERS)))


def test_a_foreign_azp_is_shown_cut() -> None:
    with refused(TokenRejected, "token_audience", f"azp={'x' * 200!r}"):
        verify(azp="x" * 201)


def test_azp_does_not_stand_in_for_aud() -> None:
    with refused(TokenRejected, "token_audience", "aud=['other']"):
        verify(aud="other", azp=CLIENT_ID)


# exp, iat, nbf


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "value", [None, "1800000000", True, False, [], {}, [NOW], 1e15, 10**15, -(10**15), 10**300]
)
def test_times_are_numbers(name: str, value: object) -> None:
    with refused(TokenRejected, "token_claim", f"{name} is missing or not a number"):
        verify(**{name: value})


@pytest.mark.parametrize("name", ["exp", "iat"])
def test_times_are_demanded(name: str) -> None:
    with refused(TokenRejected, "token_claim", f"{name} is missing or not a number"):
        verify(without=name)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400"])
def test_times_are_finite(number: bytes) -> None:
    payload = json.dumps(CLAIMS | {"exp": "?"}).encode().replace(b'"?"', number)
    with pytest.raises(TokenRejected) as caught:
        verify_id_token(
            make_token(HEADER, payload),
            keys=KEYS,
            algs=("ES256",),
            client=CLIENT,
            transaction=TRANSACTION,
            access_token=ACCESS_TOKEN,
            now=NOW,
        )
    assert caught.value.code == "token_malformed"


@pytest.mark.parametrize("exp", [NOW + 1, NOW, NOW - SKEW + 1, NOW - SKEW + 0.5, 10**14])
def test_exp_is_not_reached_within_the_skew(exp: float) -> None:
    assert verify(exp=exp)


@pytest.mark.parametrize(
    ("exp", "seconds"),
    [(NOW - SKEW, SKEW), (NOW - SKEW - 0.25, SKEW), (NOW - 86400, 86400), (0, NOW)],
)
def test_exp_is_reached(exp: float, seconds: int) -> None:
    with refused(TokenRejected, "token_expired", f"exp is {seconds} s before our clock"):
        verify(exp=exp)


@pytest.mark.parametrize("name", ["iat", "nbf"])
@pytest.mark.parametrize("ahead", [1, SKEW - 0.5, SKEW])
def test_a_clock_that_is_a_little_ahead(name: str, ahead: float) -> None:
    assert verify(**{name: NOW + ahead})


@pytest.mark.parametrize("name", ["iat", "nbf"])
@pytest.mark.parametrize(("ahead", "shown"), [(SKEW + 1, 61), (SKEW + 0.25, 60), (86400, 86400)])
def test_a_token_from_the_future(name: str, ahead: float, shown: int) -> None:
    with refused(TokenRejected, "token_from_the_future", f"{shown} s ahead of our clock"):
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
    with refused(TokenRejected, "token_too_old", f"iat is {shown} s before our clock"):
        verify(iat=NOW - ago)


def test_the_skew_is_the_clients() -> None:
    strict = make_client(clock_skew=0)
    assert verify(client=strict, exp=NOW + 1, iat=NOW)
    with refused(TokenRejected, "token_expired", "exp is 0 s before our clock"):
        verify(client=strict, exp=NOW)
    with refused(TokenRejected, "token_from_the_future", "1 s ahead of our clock"):
        verify(client=strict, iat=NOW + 1)
    with refused(TokenRejected, "token_too_old", "iat is 601 s before our clock"):
        verify(client=strict, iat=NOW - 601)


# nonce


@pytest.mark.parametrize(
    "nonce", ["", "x", TRANSACTION.nonce[:-1], TRANSACTION.nonce + "x", "é", 1, True, [], {}, False]
)
def test_nonce_of_another_login(nonce: object) -> None:
    with refused(TokenRejected, "token_nonce", "another one"):
        verify(nonce=nonce)


def test_nonce_is_demanded() -> None:
    for claims in ({"nonce": None}, {"without": "nonce"}):
        with refused(TokenRejected, "token_nonce", "missing"):
            verify(**claims)


def test_nonce_is_not_that_of_another_seed() -> None:
    with refused(TokenRejected, "token_nonce", "another one"):
        verify(nonce=make_transaction(seed="another").nonce)


# sub


@pytest.mark.parametrize("sub", [None, "", 1, True, [], ["24400320"], {}, "x" * (MAX_SUBJECT + 1)])
def test_sub_is_a_string_of_some_length(sub: object) -> None:
    with refused(TokenRejected, "token_subject", "missing, empty, too long, or not a string"):
        verify(sub=sub)


def test_sub_is_demanded() -> None:
    with refused(TokenRejected, "token_subject", "missing, empty, too long, or not a string"):
        verify(without="sub")


@pytest.mark.parametrize("sub", ["é", "a\0", "a\n", "\x7f", "ａ", "\u202eada", "a\tb"])
def test_sub_is_printable_ascii(sub: str) -> None:
    with refused(TokenRejected, "token_subject", "not printable ASCII"):
        verify(sub=sub)


@pytest.mark.parametrize("sub", ["x", "x" * MAX_SUBJECT, " ", "auth0|<b>\"'&{{7*7}}~"])
def test_sub(sub: str) -> None:
    assert MAX_SUBJECT == 255
    assert verify(sub=sub).subject == sub


# at_hash


@pytest.mark.parametrize(
    "at_hash", [None, "", "x", AT_HASH[:-1], AT_HASH + "=", 5, [], [AT_HASH], {}, True, "é"]
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
    detail = "auth_time is missing or not a number"
    transaction = make_transaction(max_age=300)
    with refused(TokenRejected, "token_auth_time", detail):
        verify(transaction=transaction, auth_time=auth_time)
    assert verify(auth_time=auth_time)  # nobody asked
    with refused(TokenRejected, "token_auth_time", detail):
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
        with refused(TokenRejected, "token_auth_time", f"{age} s ago, asked {max_age}"):
            verify(transaction=transaction, auth_time=NOW - age)


def test_auth_time_has_the_clients_skew() -> None:
    with refused(TokenRejected, "token_auth_time", "301 s ago, asked 300"):
        verify(
            transaction=make_transaction(max_age=300),
            client=make_client(clock_skew=0),
            auth_time=NOW - 301,
        )


# acr


@pytest.mark.parametrize("acr", [None, "", "phr ", "pwd", 1, ["phr"], {"phr": 1}, True])
def test_acr_is_among_those_asked_as_essential(acr: object) -> None:
    transaction = make_transaction(acr_values=("phr", "phrh"))
    with refused(TokenRejected, "token_acr", f"acr={str(acr)!r}"):
        verify(transaction=transaction, acr=acr)
    assert verify(acr=acr)  # nobody asked


def test_acr_is_demanded_and_shown_cut() -> None:
    transaction = make_transaction(acr_values=("phr",))
    with refused(TokenRejected, "token_acr", "acr='None'"):
        verify(transaction=transaction)
    with refused(TokenRejected, "token_acr", f"acr={'x' * 100!r}"):
        verify(transaction=transaction, acr="x" * 101)
    assert verify(transaction=transaction, acr="phr").proofs[-1] == "acr: one of those asked for"


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
        assert caught.value.code == code
        del wrong[name]


@bounded
@given(documents(CLAIMS | {"at_hash": AT_HASH, "auth_time": NOW, "acr": "phr", "azp": CLIENT_ID}))
def test_claims_of_a_hostile_provider_have_one_error(claims: dict[str, Any]) -> None:
    token = make_token(HEADER, json.dumps(claims).encode())
    try:
        proved = verify_id_token(
            token,
            keys=KEYS,
            algs=("ES256",),
            client=CLIENT,
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
ORIGINAL = make_token(HEADER, CLAIMS | {"auth_time": NOW - 5000, "iat": NOW - 5000})


def verify_renewed(
    without: str = "",
    *,
    header: dict[str, Any] = HEADER,
    client: ClientConfig = CLIENT,
    original: str = ORIGINAL,
    **claims: Any,
) -> None:
    given_claims = {name: value for name, value in (RENEWED | claims).items() if name != without}
    verify_renewed_id_token(
        make_token(header, given_claims, alg=header["alg"]),
        original=original,
        expected_subject="24400320",
        keys=KEYS,
        algs=("ES256", "EdDSA"),
        client=client,
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
    verify_renewed(**claims)


def test_what_the_login_did_not_tell_may_be_told_at_a_renewal() -> None:
    """With nothing to compare with, there is nothing that could differ."""
    bare = {name: value for name, value in CLAIMS.items() if name != "nonce"}
    verify_renewed(original=make_token(HEADER, bare), auth_time=NOW, nonce="x")


def test_a_renewed_id_token_where_there_was_no_room_for_the_first() -> None:
    """Who is logged in is still known; the other values have nothing to be compared with."""
    verify_renewed(original="", nonce="x", auth_time=5)
    with pytest.raises(TokenRejected) as caught:
        verify_renewed(original="", sub="24400321")
    assert caught.value.code == "token_subject"


@pytest.mark.parametrize(
    ("claims", "code", "detail"),
    [
        (
            {"iss": "https://evil.example"},
            "token_issuer",
            f"expected {ISSUER!r}, found 'https://evil.example'",
        ),
        ({"without": "iss"}, "token_issuer", f"expected {ISSUER!r}, found 'None'"),
        ({"aud": "another"}, "token_audience", "aud=['another']"),
        ({"aud": 5}, "token_audience", "aud is not a string or a list of strings"),
        ({"aud": [CLIENT_ID, "b"]}, "token_audience", "untrusted audiences: ['b']"),
        ({"azp": "another"}, "token_audience", "azp='another'"),
        ({"exp": NOW - SKEW}, "token_expired", f"exp is {SKEW} s before our clock"),
        ({"without": "exp"}, "token_claim", "exp is missing or not a number"),
        ({"exp": str(NOW + 300)}, "token_claim", "exp is missing or not a number"),
        ({"without": "iat"}, "token_claim", "iat is missing or not a number"),
        ({"iat": NOW + SKEW + 1}, "token_from_the_future", f"{SKEW + 1} s ahead of our clock"),
        (
            {"iat": NOW - SKEW - MAX_AGE_AT_ISSUE - 1},
            "token_too_old",
            f"iat is {SKEW + MAX_AGE_AT_ISSUE + 1} s before our clock",
        ),
        ({"without": "sub"}, "token_subject", "missing, empty, too long, or not a string"),
        ({"sub": ""}, "token_subject", "missing, empty, too long, or not a string"),
        ({"sub": 24400320}, "token_subject", "missing, empty, too long, or not a string"),
        ({"sub": "24400321"}, "token_subject", "another one than at the login"),
        ({"nonce": "another"}, "token_claim", "nonce is another one than at the login"),
        ({"nonce": None}, "token_claim", "nonce is another one than at the login"),
        ({"auth_time": NOW}, "token_claim", "auth_time is another one than at the login"),
        ({"auth_time": None}, "token_claim", "auth_time is another one than at the login"),
        ({"at_hash": AT_HASH[::-1]}, "token_hash", ""),
        ({"at_hash": None}, "token_hash", ""),
        ({"header": {"alg": "Ed25519"}}, "token_algorithm", "alg='Ed25519'"),
        ({"header": {**HEADER, "typ": "logout+jwt"}}, "token_kind", "typ='logout+jwt'"),
        ({"header": {**HEADER, "kid": "other"}}, "token_key", None),
    ],
)
def test_a_renewed_id_token_that_breaks_a_rule(
    claims: dict[str, Any], code: str, detail: str | None
) -> None:
    with pytest.raises(TokenRejected) as caught:
        verify_renewed(**claims)
    assert caught.value.code == code
    assert detail is None or caught.value.detail == detail


def test_a_renewed_id_token_that_somebody_else_signed() -> None:
    """The header of one, the signature of the other."""
    head, payload, _ = make_token(HEADER, RENEWED).split(".")
    signature = make_token(HEADER, RENEWED | {"sub": "x"}).split(".")[2]
    with pytest.raises(TokenRejected) as caught:
        verify_renewed_id_token(
            f"{head}.{payload}.{signature}",
            original=ORIGINAL,
            expected_subject="24400320",
            keys=KEYS,
            algs=("ES256",),
            client=CLIENT,
            access_token=ACCESS_TOKEN,
            now=NOW,
        )
    assert caught.value.code == "token_signature"


@bounded
@given(documents(RENEWED | {"nonce": CLAIMS["nonce"], "auth_time": NOW, "at_hash": AT_HASH}))
def test_renewed_claims_of_a_hostile_provider_have_one_error(claims: dict[str, Any]) -> None:
    try:
        verify_renewed_id_token(
            make_token(HEADER, json.dumps(claims).encode()),
            original=ORIGINAL,
            expected_subject="24400320",
            keys=KEYS,
            algs=("ES256",),
            client=CLIENT,
            access_token=ACCESS_TOKEN,
            now=NOW,
        )
    except TokenRejected:
        return
    assert (claims["iss"], claims["sub"], claims["aud"]) == (ISSUER, "24400320", CLIENT_ID)
