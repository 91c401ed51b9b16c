from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given

from flask_parjar.errors import TokenRejected
from flask_parjar.protocol.encoding import b64encode
from flask_parjar.protocol.id_token import MAX_SUBJECT
from flask_parjar.protocol.identity import Identity
from flask_parjar.protocol.logout import (
    MAX_IDENTIFIER,
    MAX_LOGOUT_TOKEN_AGE,
    LogoutToken,
    end_session_url,
)
from tests.protocol.examples import (
    CLIENT_ID,
    EC_JWK,
    ENDPOINTS,
    ISSUER,
    NOW,
    OKP_JWK,
    SKEW,
    encode_json,
    key_set,
    make_agreement,
    make_opener,
    make_token,
)
from tests.support.errors import refused
from tests.support.untrusted import bounded, documents

IDENTITY = Identity(issuer=ISSUER, subject="auth0|ada&x", provider="default")
BACK = "https://client.example.org/bye?a=1&b=ü"
ID_TOKEN = "eyJh.eyJp.c2ln"

# The provider's logout URL.


def logout_url(endpoint: str | None, id_token: str = "") -> str | None:
    return end_session_url(
        make_agreement(endpoints=replace(ENDPOINTS, end_session=endpoint)),
        IDENTITY,
        id_token=id_token,
        post_logout_redirect_uri=BACK,
    )


@pytest.mark.parametrize(
    ("endpoint", "start"),
    [(f"{ISSUER}/end", f"{ISSUER}/end?"), (f"{ISSUER}/end?t=1", f"{ISSUER}/end?t=1&")],
)
@pytest.mark.parametrize(
    ("id_token", "hint"),
    [
        ("", "logout_hint=auth0%7Cada%26x"),
        (ID_TOKEN, f"id_token_hint={ID_TOKEN}"),
    ],
)
def test_the_url_of_the_providers_logout(
    endpoint: str, start: str, id_token: str, hint: str
) -> None:
    url, _, state = str(logout_url(endpoint, id_token)).rpartition("=")
    assert url == (
        f"{start}client_id=s6BhdRkqt3&{hint}"
        "&post_logout_redirect_uri=https%3A%2F%2Fclient.example.org%2Fbye%3Fa%3D1%26b%3D%C3%BC"
        "&state"
    )
    assert len(state) == 22  # 128 bits


def test_each_logout_has_a_state_of_its_own() -> None:
    states = {dict(parse_qsl(str(logout_url(f"{ISSUER}/end"))))["state"] for _ in range(10)}
    assert len(states) == 10


def test_what_the_url_says_itself_is_not_said_twice() -> None:
    url = str(logout_url(f"{ISSUER}/end?client_id=&logout_hint=b", ""))
    assert url.startswith(f"{ISSUER}/end?client_id=&logout_hint=b&post_logout_redirect_uri=")
    assert url.count("client_id=") == url.count("logout_hint=") == 1


def test_a_provider_without_one() -> None:
    assert logout_url(None) is None
    assert logout_url(None, ID_TOKEN) is None


# The logout token: OpenID Connect Back-Channel Logout 1.0 section 2.4.

EVENT = "http://schemas.openid.net/event/backchannel-logout"
KEYS = key_set({**EC_JWK, "kid": "1e9gdk7"}, OKP_JWK)
HEADER = {"alg": "ES256", "kid": "1e9gdk7", "typ": "logout+jwt"}
CLAIMS = {
    "iss": ISSUER,
    "sub": "248289761001",
    "aud": CLIENT_ID,
    "iat": NOW,
    "exp": NOW + 120,
    "jti": "bWJq",
    "sid": "08a5019c-17e1-4977-8f42-65a12843ea02",
    "events": {EVENT: {}},
}


def prove(token: str, clock_skew: int = SKEW) -> LogoutToken:
    return LogoutToken.verify(token, opener=make_opener(KEYS, clock_skew=clock_skew), now=NOW)


def verify(
    *without: str,
    header: dict[str, Any] = HEADER,
    clock_skew: int = SKEW,
    **claims: Any,
) -> LogoutToken:
    given_claims = {n: value for n, value in (CLAIMS | claims).items() if n not in without}
    return prove(make_token(header, given_claims, alg=header["alg"]), clock_skew)


def test_the_logout_token_of_the_specification() -> None:
    assert verify() == LogoutToken(
        issuer=CLAIMS["iss"],
        alg=HEADER["alg"],
        jti="bWJq",
        issued_at=CLAIMS["iat"],
        subject="248289761001",
        sid="08a5019c-17e1-4977-8f42-65a12843ea02",
    )


def test_a_person_or_a_session_is_enough() -> None:
    assert verify("sid").sid is None
    assert verify("sub").subject is None
    assert verify(sub=None).subject is None


# typ


@pytest.mark.parametrize(
    "typ", ["logout+jwt", "application/logout+jwt", "LOGOUT+JWT", "JWT", "jwt", "application/jwt"]
)
def test_the_typ_of_a_logout_token(typ: str) -> None:
    assert verify(header=HEADER | {"typ": typ}) == verify()


def test_typ_may_be_absent() -> None:
    assert verify(header={"alg": "EdDSA"}) == replace(verify(), alg="EdDSA")


@pytest.mark.parametrize(
    "typ", ["id_token+jwt", "at+jwt", "application/at+jwt", "secevent+jwt", "jose", ""]
)
def test_another_kind_of_token_in_its_place(typ: str) -> None:
    with refused(TokenRejected, "token_kind", f"typ={typ.removeprefix('application/')!r}"):
        verify(header=HEADER | {"typ": typ})


# Its proof.


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "RS256", "", None, 5])
def test_an_algorithm_that_was_not_agreed_on(alg: object) -> None:
    token = make_token(HEADER | {"alg": alg}, CLAIMS)
    with refused(TokenRejected, "token_algorithm", f"alg={alg!r}"):
        prove(token)
    with refused(TokenRejected, "token_algorithm", f"alg={alg!r}"):
        prove(token.rpartition(".")[0] + ".")


def test_the_signature_of_another_token() -> None:
    token, other = make_token(HEADER, CLAIMS), make_token(HEADER, CLAIMS | {"sub": "x"})
    with refused(TokenRejected, "token_signature", "kid='1e9gdk7' alg=ES256"):
        prove(f"{token.rpartition('.')[0]}.{other.rpartition('.')[2]}")


def test_claims_that_were_changed() -> None:
    head, _, signature = make_token(HEADER, CLAIMS).split(".")
    changed = b64encode(encode_json(CLAIMS | {"sub": "mallory"}))
    with refused(TokenRejected, "token_signature", "kid='1e9gdk7' alg=ES256"):
        prove(f"{head}.{changed}.{signature}")


def test_a_key_that_the_provider_does_not_publish() -> None:
    with pytest.raises(TokenRejected) as caught:
        verify(header=HEADER | {"kid": "another"})
    assert caught.value.error_code == "token_key"  # the code by which newer keys are looked for


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.c", "...", "é.é.é", "x" * 40_000])
def test_text_that_is_no_token(token: str) -> None:
    with pytest.raises(TokenRejected) as caught:
        prove(token)
    assert caught.value.error_code == "token_malformed"


# iat, exp


def test_iat_is_demanded() -> None:
    with refused(TokenRejected, "token_claim", "iat"):
        verify("iat")
    for iat in (None, str(NOW), True, [], {}, 10**15):
        with refused(TokenRejected, "token_claim", "iat"):
            verify(iat=iat)


def test_iat_to_come() -> None:
    assert verify(iat=NOW + SKEW)
    with refused(TokenRejected, "token_from_the_future", f"{SKEW + 1} s"):
        verify(iat=NOW + SKEW + 1)
    with refused(TokenRejected, "token_from_the_future", "1 s"):
        verify(iat=NOW + 1, clock_skew=0)
    with refused(TokenRejected, "token_from_the_future", f"{NOW} s"):
        verify(iat=2 * NOW)


def test_iat_of_long_ago() -> None:
    assert MAX_LOGOUT_TOKEN_AGE == 300
    oldest = NOW - SKEW - MAX_LOGOUT_TOKEN_AGE
    assert verify(iat=oldest)
    with refused(TokenRejected, "token_too_old", "iat", "361 s"):
        verify(iat=oldest - 1)
    with refused(TokenRejected, "token_too_old", "iat", "301 s"):
        verify(iat=NOW - 301, clock_skew=0)


def test_exp_is_optional_and_counts_where_it_is_there() -> None:
    assert verify("exp") == verify(exp=None) == verify()
    assert verify("exp", clock_skew=0) == verify()
    assert verify(exp=NOW - SKEW + 1) == verify()
    with refused(TokenRejected, "token_expired", "exp", f"{SKEW} s"):
        verify(exp=NOW - SKEW)
    with refused(TokenRejected, "token_expired", "exp", "0 s"):
        verify(exp=NOW, clock_skew=0)


@pytest.mark.parametrize("exp", [str(NOW + 120), True, [], {}, 10**15])
def test_exp_is_a_number(exp: object) -> None:
    with refused(TokenRejected, "token_claim", "exp"):
        verify(exp=exp)


# events, nonce


@pytest.mark.parametrize(
    "events",
    [
        None,
        {},
        [],
        [EVENT],
        EVENT,
        {EVENT: None},
        {EVENT: []},
        {EVENT: True},
        {EVENT: "x"},
        {EVENT + "/": {}},
        {"http://schemas.openid.net/secevent/risc/event-type/sessions-revoked": {}},
    ],
)
def test_events_says_that_this_is_a_logout(events: object) -> None:
    with refused(TokenRejected, "token_kind", "events"):
        verify(events=events)


def test_events_is_demanded() -> None:
    with refused(TokenRejected, "token_kind", "events"):
        verify("events")


def test_events_may_say_more() -> None:
    assert verify(events={EVENT: {"why": "x"}, "https://other.example": {}}) == verify()


@pytest.mark.parametrize("nonce", ["x", "", None, 0])
def test_a_logout_token_has_no_nonce(nonce: object) -> None:
    with refused(TokenRejected, "token_kind", "nonce"):
        verify(nonce=nonce)


# sub, sid, jti


@pytest.mark.parametrize(
    ("name", "at_most"), [("sub", MAX_SUBJECT), ("sid", MAX_IDENTIFIER), ("jti", MAX_IDENTIFIER)]
)
def test_an_identifier_is_a_string_of_some_length(name: str, at_most: int) -> None:
    assert at_most == 255
    assert verify(**{name: "x"}) and verify(**{name: "x" * at_most})
    for value in ("", "x" * (at_most + 1), 5, True, [], ["x"], {}):
        with refused(TokenRejected, "token_claim", name):
            verify(**{name: value})


def test_a_logout_token_names_a_subject_or_a_session() -> None:
    for claims in ({"sub": None, "sid": None}, {"sub": None}):
        with refused(TokenRejected, "token_claim", "sub", "sid"):
            verify("sid", **claims)
    with refused(TokenRejected, "token_claim", "sub", "sid"):
        verify("sub", "sid")


def test_jti_is_demanded() -> None:
    with refused(TokenRejected, "token_claim", "jti"):
        verify("jti")
    with refused(TokenRejected, "token_claim", "jti"):
        verify(jti=None)


# All of it.


def test_an_id_token_is_never_accepted_as_a_logout_token() -> None:
    """Without a typ, as most providers send it, events and nonce tell them apart."""
    claims = {name: value for name, value in CLAIMS.items() if name != "events"}
    for header in ({"alg": "EdDSA"}, HEADER | {"typ": "JWT"}):
        token = make_token(header, claims | {"nonce": "x"}, alg=str(header["alg"]))
        with refused(TokenRejected, "token_kind", "events"):
            prove(token)


def test_a_token_wrong_in_everything_fails_by_the_first_check() -> None:
    wrong: dict[str, Any] = {
        "iss": "x",
        "aud": "x",
        "exp": 0,
        "events": {},
        "nonce": "x",
        "sub": "",
        "sid": "",
        "jti": "",
    }
    for name, code, value in [
        ("iss", "token_issuer", ISSUER),
        ("aud", "token_audience", "aud=['x']"),
        ("exp", "token_expired", f"{NOW} s"),
        ("events", "token_kind", "events"),
        ("nonce", "token_kind", "nonce"),
        ("sub", "token_claim", "sub"),
        ("sid", "token_claim", "sid"),
        ("jti", "token_claim", "jti"),
    ]:
        with refused(TokenRejected, code, value):
            verify(**wrong)
        del wrong[name]
    assert verify(**wrong)


@bounded
@given(documents(CLAIMS))
def test_claims_of_a_hostile_provider_have_one_error(claims: dict[str, Any]) -> None:
    try:
        logout_token = prove(make_token(HEADER, json.dumps(claims).encode()))
    except TokenRejected:
        return
    assert logout_token.subject is not None or logout_token.sid is not None
    assert 0 < len(logout_token.jti) <= MAX_IDENTIFIER
    assert "nonce" not in claims
