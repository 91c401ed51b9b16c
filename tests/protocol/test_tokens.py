from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_parjar.errors import TokenRejected
from flask_parjar.protocol.tokens import MAX_SCOPE, MAX_TOKEN, RENEWAL_MARGIN, TokenSet
from tests.protocol.examples import NOW, invalid, refused
from tests.protocol.strangers import bounded, documents, json_values

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
        renew_at=NOW + 3570,
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


# When a token is renewed.


@pytest.mark.parametrize(
    ("expires_in", "margin"),
    [(0, 0), (1, 0), (3, 0), (4, 1), (60, 15), (119, 29), (120, 30), (121, 30), (86400, 30)],
)
def test_a_token_is_due_shortly_before_its_end(expires_in: int, margin: int) -> None:
    assert RENEWAL_MARGIN == 30
    tokens = parse(expires_in=expires_in)
    due = NOW + expires_in - margin
    assert tokens.renew_at == due
    assert isinstance(tokens.renew_at, int)
    assert [tokens.is_due(now) for now in (due - 1, due, due + 1)] == [False, True, True]


def test_a_token_lives_until_its_end() -> None:
    tokens = parse(expires_in=60)
    assert [tokens.lives(NOW + second) for second in (0, 59, 60, 61)] == [True, True, False, False]


def test_a_token_without_an_end_is_never_due() -> None:
    tokens = parse(without="expires_in")
    assert tokens.renew_at is None
    assert tokens.lives(NOW + 10**9)
    assert not tokens.is_due(NOW + 10**9)


# A renewal.

LATER = NOW + 1000
RENEWAL = {
    "access_token": "TlBN45jURg",
    "token_type": "Bearer",
    "refresh_token": "9yNOxJtZa5",
    "expires_in": 600,
    "id_token": "a.b.c",
    "scope": "openid",
}


def renew(without: str = "", **members: Any) -> TokenSet:
    answer = {name: value for name, value in (RENEWAL | members).items() if name != without}
    return parse().renewed_by(answer, now=LATER)


def test_a_renewal_that_gives_everything_anew() -> None:
    assert renew() == TokenSet(
        access_token="TlBN45jURg",
        id_token="a.b.c",
        refresh_token="9yNOxJtZa5",
        scopes=("openid",),
        expires_at=LATER + 600,
        renew_at=LATER + 570,
    )


@pytest.mark.parametrize("name", ["id_token", "refresh_token", "scope"])
@pytest.mark.parametrize("null", [False, True])
def test_what_a_renewal_leaves_out_stays(name: str, null: bool) -> None:
    renewed = renew(**{name: None}) if null else renew(without=name)
    before, field = parse(), "scopes" if name == "scope" else name
    assert getattr(renewed, field) == getattr(before, field)
    assert getattr(renewed, field) != getattr(renew(), field)
    assert renewed.access_token == "TlBN45jURg"


def test_the_end_of_the_old_token_is_not_that_of_the_new_one() -> None:
    renewed = renew(without="expires_in")
    assert (renewed.expires_at, renewed.renew_at) == (None, None)


def test_a_renewal_changes_nothing_in_what_it_renews() -> None:
    tokens = parse()
    tokens.renewed_by(RENEWAL, now=LATER)
    assert tokens == parse()


@pytest.mark.parametrize("name", ["access_token", "id_token", "refresh_token"])
@pytest.mark.parametrize("value", ["", 5, True, ["x"], {"x": "x"}])
def test_a_renewed_token_is_a_string(name: str, value: object) -> None:
    with refused(TokenRejected, "token_response", f"{name} is missing or not a string"):
        renew(**{name: value})


@pytest.mark.parametrize("name", ["access_token", "id_token", "refresh_token"])
@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\x7f", "é", "\ud800"])
def test_a_renewed_token_is_fit_for_a_header(name: str, value: str) -> None:
    with refused(TokenRejected, "token_response", f"{name} is not printable ASCII"):
        renew(**{name: value})


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
def test_a_renewed_token_is_so_long_and_no_longer(name: str) -> None:
    assert len(getattr(renew(**{name: "x" * MAX_TOKEN}), name)) == MAX_TOKEN
    with refused(TokenRejected, "token_response", f"{name} is longer than {MAX_TOKEN} characters"):
        renew(**{name: "x" * (MAX_TOKEN + 1)})
    assert renew(id_token="x" * (MAX_TOKEN + 1))  # its length is left to its proof


def test_a_renewal_has_an_access_token() -> None:
    with refused(TokenRejected, "token_response", "access_token is missing or not a string"):
        renew(without="access_token")


@pytest.mark.parametrize("token_type", ["DPoP", "", 1, None, ["Bearer"]])
def test_a_renewal_has_no_other_token_type(token_type: object) -> None:
    with refused(TokenRejected, "token_type", f"token_type={str(token_type)!r}"):
        renew(token_type=token_type)


@pytest.mark.parametrize("expires_in", [-1, "3600", True, [], math.nan])
def test_expires_in_of_a_renewal_is_a_number(expires_in: object) -> None:
    with refused(TokenRejected, "token_response", f"expires_in={str(expires_in)!r}"):
        renew(expires_in=expires_in)


@pytest.mark.parametrize("scope", [["openid"], 1, True, "x" * (MAX_SCOPE + 1)])
def test_scope_of_a_renewal_is_a_string(scope: object) -> None:
    with refused(TokenRejected, "token_response", "scope is not a string, or is too long"):
        renew(scope=scope)


@bounded
@given(documents(RENEWAL))
def test_a_renewal_of_a_stranger_has_one_error(answer: dict[str, Any]) -> None:
    try:
        renewed = parse().renewed_by(answer, now=LATER)
    except TokenRejected as error:
        assert error.code in ("token_response", "token_type")
        return
    assert renewed.access_token == answer["access_token"]
    assert renewed.refresh_token in (answer.get("refresh_token"), ANSWER["refresh_token"])
    assert renewed.id_token in (answer.get("id_token"), ANSWER["id_token"])


# Written down, and read again.


@pytest.mark.parametrize(
    "answer", [{}, {"without": "refresh_token"}, {"without": "expires_in"}, {"scope": ""}]
)
def test_tokens_are_read_as_they_were_written(answer: dict[str, Any]) -> None:
    tokens = parse(**answer)
    assert TokenSet.from_json(tokens.to_json()) == tokens


def test_tokens_without_an_id_token() -> None:
    smaller = parse().without_id_token()
    assert smaller.id_token == ""
    assert str(ANSWER["id_token"]) not in smaller.to_json()
    assert TokenSet.from_json(smaller.to_json()) == smaller
    assert smaller.access_token == ANSWER["access_token"]


WRITTEN = json.loads(parse().to_json())


def test_tokens_of_a_version_that_did_not_know_renewals() -> None:
    """What has a default may be absent; anything else, and anything more, is of another kind."""
    old = {name: value for name, value in WRITTEN.items() if name != "renew_at"}
    assert TokenSet.from_json(json.dumps(old)).renew_at is None


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({name: value for name, value in WRITTEN.items() if name != "scopes"}),
        json.dumps({name: value for name, value in WRITTEN.items() if name != "access_token"}),
        json.dumps(WRITTEN | {"scopes": None}),
        json.dumps(WRITTEN | {"scopes": 5}),
        json.dumps(WRITTEN | {"more": 1}),
        "{}",
    ],
)
def test_what_is_no_set_of_tokens(text: str) -> None:
    with invalid("not a set of tokens"):
        TokenSet.from_json(text)


@pytest.mark.parametrize("text", ["", "x", "[]", "5", "null", '"x"', "\ud800", "\0", "[" * 50_000])
def test_what_is_no_json_object(text: str) -> None:
    with pytest.raises(ValueError):
        TokenSet.from_json(text)


@bounded
@given(st.text() | json_values.map(json.dumps))
def test_any_text_has_one_error(text: str) -> None:
    with pytest.raises(ValueError):
        TokenSet.from_json(text)
