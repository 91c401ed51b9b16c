from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given

from flask_parjar.errors import TokenRejected
from flask_parjar.protocol.tokens import MAX_SCOPE, MAX_TOKEN, TokenSet
from tests.protocol.examples import NOW, refused
from tests.protocol.strangers import bounded, documents

ASKED = ("openid", "email")

# OpenID Connect Core 3.1.3.3
ANSWER = {
    "access_token": "SlAV32hkKG",
    "token_type": "Bearer",
    "refresh_token": "8xLOxBtZp8",
    "expires_in": 3600,
    "id_token": "eyJhbGciOiJSUzI1NiIsImtpZCI6IjFlOWdkazcifQ.ewogImlz.ggW8hZ1EuVLux",
}


def parse(without: str = "", **members: Any) -> TokenSet:
    answer = {name: value for name, value in (ANSWER | members).items() if name != without}
    return TokenSet.parse(answer, asked_scopes=ASKED, now=NOW)


def test_the_answer_of_openid_connect_core() -> None:
    assert parse() == TokenSet(
        access_token="SlAV32hkKG",
        id_token=ANSWER["id_token"],
        refresh_token="8xLOxBtZp8",
        scopes=ASKED,
        expires_at=NOW + 3600,
    )


def test_no_token_is_printed() -> None:
    printed = repr(parse())
    assert not any(str(ANSWER[token]) in printed for token in ANSWER if token.endswith("_token"))
    assert "scopes=('openid', 'email')" in printed


def test_unknown_members_are_ignored() -> None:
    assert parse(foo={"a": [None]}, c_nonce="x", authorization_details=[{}]) == parse()


@pytest.mark.parametrize("token_type", ["bearer", "BEARER", "bEaReR"])
def test_token_type_is_compared_without_case(token_type: str) -> None:
    assert parse(token_type=token_type) == parse()


@pytest.mark.parametrize(
    "token_type", ["DPoP", "mac", "", " bearer", "bearer\n", 1, None, ["Bearer"], {"Bearer": 1}]
)
def test_no_other_token_type(token_type: object) -> None:
    with refused(TokenRejected, "token_type", f"token_type={str(token_type)!r}"):
        parse(token_type=token_type)


def test_token_type_is_demanded_and_shown_cut() -> None:
    with refused(TokenRejected, "token_type", "token_type='None'"):
        parse(without="token_type")
    with refused(TokenRejected, "token_type", f"token_type={'x' * 40!r}"):
        parse(token_type="x" * 41)


def test_id_token_is_demanded() -> None:
    for answer in ({"without": "id_token"}, {"id_token": None}):
        with refused(TokenRejected, "id_token_missing"):
            parse(**answer)


@pytest.mark.parametrize("name", ["access_token", "id_token", "refresh_token"])
@pytest.mark.parametrize("value", ["", 5, True, ["x"], {"x": "x"}])
def test_a_token_is_a_string(name: str, value: object) -> None:
    with refused(TokenRejected, "token_response", f"{name} is missing or not a string"):
        parse(**{name: value})


@pytest.mark.parametrize("value", [{"without": "access_token"}, {"access_token": None}])
def test_access_token_is_demanded(value: dict[str, Any]) -> None:
    with refused(TokenRejected, "token_response", "access_token is missing or not a string"):
        parse(**value)


@pytest.mark.parametrize("value", [{"without": "refresh_token"}, {"refresh_token": None}])
def test_refresh_token_is_optional(value: dict[str, Any]) -> None:
    assert parse(**value).refresh_token is None


@pytest.mark.parametrize("name", ["access_token", "id_token", "refresh_token"])
@pytest.mark.parametrize(
    "value", ["a\r\nX-Injected: 1", "a\n", "\ta", "a\x7f", "a\0", "é", "\ud800", "x\u2028"]
)
def test_a_token_is_fit_for_a_header(name: str, value: str) -> None:
    with refused(TokenRejected, "token_response", f"{name} is not printable ASCII"):
        parse(**{name: value})


def test_every_character_of_rfc_6749_may_be_in_a_token() -> None:
    visible = "".join(map(chr, range(0x20, 0x7F)))
    assert parse(access_token=visible).access_token == visible


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
def test_a_token_is_so_long_and_no_longer(name: str) -> None:
    assert MAX_TOKEN == 16384
    assert len(getattr(parse(**{name: "x" * MAX_TOKEN}), name)) == MAX_TOKEN
    with refused(TokenRejected, "token_response", f"{name} is longer than {MAX_TOKEN} characters"):
        parse(**{name: "x" * (MAX_TOKEN + 1)})


def test_the_length_of_an_id_token_is_left_to_its_proof() -> None:
    assert len(parse(id_token="x" * (MAX_TOKEN + 1)).id_token) == MAX_TOKEN + 1


@pytest.mark.parametrize(
    ("expires_in", "expires_at"),
    [(0, NOW), (1, NOW + 1), (59.9, NOW + 59), (None, None), (86400, NOW + 86400)],
)
def test_expires_in(expires_in: object, expires_at: int | None) -> None:
    tokens = parse(expires_in=expires_in)
    assert tokens.expires_at == expires_at
    assert tokens.expires_at is None or isinstance(tokens.expires_at, int)


def test_expires_in_is_optional() -> None:
    assert parse(without="expires_in").expires_at is None


@pytest.mark.parametrize(
    "expires_in", [-1, -0.5, "3600", True, False, [], {}, math.nan, math.inf, 10**15]
)
def test_expires_in_is_a_number_and_not_of_the_past(expires_in: object) -> None:
    with refused(TokenRejected, "token_response", f"expires_in={str(expires_in)!r}"):
        parse(expires_in=expires_in)


def test_a_wrong_expires_in_is_shown_cut() -> None:
    with refused(TokenRejected, "token_response", f"expires_in={'x' * 40!r}"):
        parse(expires_in="x" * 41)


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("openid", ("openid",)),
        ("openid reports:read", ("openid", "reports:read")),
        (" a  b ", ("a", "b")),
        ("", ()),
        (None, ASKED),
    ],
)
def test_scope_counts_where_it_is_there(scope: str | None, scopes: tuple[str, ...]) -> None:
    assert parse(scope=scope).scopes == scopes


@pytest.mark.parametrize("scope", [["openid"], 1, True, {"openid": 1}, []])
def test_scope_is_a_string(scope: object) -> None:
    with refused(TokenRejected, "token_response", "scope is not a string, or is too long"):
        parse(scope=scope)


def test_scope_is_so_long_and_no_longer() -> None:
    assert MAX_SCOPE == 1024
    assert parse(scope="x" * MAX_SCOPE).scopes == ("x" * MAX_SCOPE,)
    with refused(TokenRejected, "token_response", "scope is not a string, or is too long"):
        parse(scope="x" * (MAX_SCOPE + 1))


@bounded
@given(documents(ANSWER | {"scope": "openid"}))
def test_an_answer_of_a_stranger_has_one_error(answer: dict[str, Any]) -> None:
    try:
        tokens = TokenSet.parse(answer, asked_scopes=ASKED, now=NOW)
    except TokenRejected as error:
        assert error.code in ("token_response", "token_type", "id_token_missing")
        return
    assert tokens.access_token == answer["access_token"]
    assert tokens.expires_at is None or tokens.expires_at >= NOW
