from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_parjar.errors import TokenRejected
from flask_parjar.protocol.binding import BEARER
from flask_parjar.protocol.dpop import BeginDPoP
from flask_parjar.protocol.tokens import (
    MAX_REPLACED,
    MAX_SCOPE,
    RENEWAL_MARGIN,
    ReplacedToken,
    TokenSet,
    parse_id_token,
)
from tests.protocol.examples import NOW
from tests.support.errors import invalid, refused
from tests.support.untrusted import bounded, documents, json_values

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
    return TokenSet.parse(answer, asked_scopes=ASKED, binding=BEARER, now=NOW)


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
    assert parse(token_type=token_type) == dataclasses.replace(parse(), token_type=token_type)


BOUND = BeginDPoP(alg="ES256", at_par=True)("the secret of a login")


def test_the_binding_says_which_token_type_is_right() -> None:
    """And keeps saying it at each renewal."""
    bound = TokenSet.parse(
        ANSWER | {"token_type": "DPoP"}, asked_scopes=ASKED, binding=BOUND, now=NOW
    )
    assert (bound.token_type, bound.binding) == ("DPoP", BOUND)
    renewed = bound.renewed_by({"access_token": "x", "token_type": "DPoP"}, now=NOW)
    assert (renewed.token_type, renewed.binding) == ("DPoP", bound.binding)
    with refused(TokenRejected, "token_type", "token_type='mac'"):
        bound.renewed_by({"access_token": "x", "token_type": "mac"}, now=NOW)
    with refused(TokenRejected, "token_type", "token_type='None'"):
        TokenSet.parse({}, asked_scopes=ASKED, binding=BOUND, now=NOW)


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_token_in_place_of_a_bound_one_is_a_downgrade(token_type: str) -> None:
    """RFC 9449 section 5: at the login, and at each renewal."""
    with refused(TokenRejected, "token_unbound", f"token_type={token_type!r}"):
        TokenSet.parse(
            ANSWER | {"token_type": token_type}, asked_scopes=ASKED, binding=BOUND, now=NOW
        )
    bound = dataclasses.replace(parse(), binding=BOUND, token_type="DPoP")
    with refused(TokenRejected, "token_unbound", f"token_type={token_type!r}"):
        bound.renewed_by({"access_token": "x", "token_type": token_type}, now=NOW)


def test_a_bound_token_in_place_of_a_bearer_token_is_refused() -> None:
    """We have no key to use it with."""
    with refused(TokenRejected, "token_type", "token_type='DPoP'"):
        parse().renewed_by({"access_token": "x", "token_type": "DPoP"}, now=NOW)


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
@pytest.mark.parametrize("value", [5, 0, True, False, [], ["x"], {}, {"x": "x"}])
def test_a_token_is_a_string(name: str, value: object) -> None:
    with refused(TokenRejected, "token_response", name):
        parse(**{name: value})


@pytest.mark.parametrize("name", ["access_token", "id_token"])
def test_a_token_that_is_demanded_is_not_empty(name: str) -> None:
    with refused(TokenRejected, "token_response", name):
        parse(**{name: ""})


@pytest.mark.parametrize("value", [{"without": "access_token"}, {"access_token": None}])
def test_access_token_is_demanded(value: dict[str, Any]) -> None:
    with refused(TokenRejected, "token_response", "access_token"):
        parse(**value)


@pytest.mark.parametrize(
    "value", [{"without": "refresh_token"}, {"refresh_token": None}, {"refresh_token": ""}]
)
def test_refresh_token_is_optional(value: dict[str, Any]) -> None:
    assert parse(**value).refresh_token is None


@pytest.mark.parametrize("name", ["access_token", "id_token", "refresh_token"])
@pytest.mark.parametrize(
    "value", ["a\r\nX-Injected: 1", "a\n", "\ta", "a\x7f", "a\0", "é", "\ud800", "x\u2028"]
)
def test_a_token_is_fit_for_a_header(name: str, value: str) -> None:
    with refused(TokenRejected, "token_response", name):
        parse(**{name: value})


def test_every_character_of_rfc_6749_may_be_in_a_token() -> None:
    visible = "".join(map(chr, range(0x20, 0x7F)))
    assert parse(access_token=visible).access_token == visible


@pytest.mark.parametrize("name", ["access_token", "refresh_token", "id_token"])
def test_a_token_is_as_long_as_the_answer_may_be(name: str) -> None:
    """What verifies an ID token, or stores a token, has a limit of its own."""
    assert getattr(parse(**{name: "x" * 1_000_000}), name) == "x" * 1_000_000


@pytest.mark.parametrize(
    ("expires_in", "expires_at"),
    [
        *((0, NOW), (1, NOW + 1), (59.9, NOW + 59), (None, None), (86400, NOW + 86400)),
        *(("0", NOW), ("3600", NOW + 3600), ("999999999", NOW + 999_999_999)),
    ],
)
def test_expires_in(expires_in: object, expires_at: int | None) -> None:
    tokens = parse(expires_in=expires_in)
    assert tokens.expires_at == expires_at
    assert tokens.expires_at is None or isinstance(tokens.expires_at, int)


def test_expires_in_is_optional() -> None:
    assert parse(without="expires_in").expires_at is None


@pytest.mark.parametrize(
    "expires_in",
    [
        *(-1, -0.5, True, False, [], {}, math.nan, math.inf, 10**15),
        *("", "soon", "-1", "+1", "1.5", "1e3", " 1", "1\n", "١", "1" * 10),
    ],
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
        (["openid", "reports:read"], ("openid", "reports:read")),
        (["a b", "c"], ("a", "b", "c")),
        ([], ()),
    ],
)
def test_scope_counts_where_it_is_there(scope: object, scopes: tuple[str, ...]) -> None:
    assert parse(scope=scope).scopes == scopes


@pytest.mark.parametrize("scope", [1, True, {"openid": 1}, ["openid", 1], [None], [["openid"]]])
def test_scope_is_a_string_or_strings(scope: object) -> None:
    with refused(TokenRejected, "token_response", "scope"):
        parse(scope=scope)


def test_scope_is_so_long_and_no_longer() -> None:
    assert MAX_SCOPE == 8192
    assert parse(scope="x" * MAX_SCOPE).scopes == ("x" * MAX_SCOPE,)
    for longer in ("x" * (MAX_SCOPE + 1), ["x" * MAX_SCOPE, ""]):
        with refused(TokenRejected, "token_response", "scope", f"{MAX_SCOPE}"):
            parse(scope=longer)


@bounded
@given(documents(ANSWER | {"scope": "openid"}))
def test_any_answer_is_read_or_has_one_error(answer: dict[str, Any]) -> None:
    try:
        tokens = TokenSet.parse(answer, asked_scopes=ASKED, binding=BEARER, now=NOW)
    except TokenRejected as error:
        assert error.error_code in ("token_response", "token_type", "id_token_missing")
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


def test_the_token_type_is_that_of_the_newest_answer() -> None:
    assert renew(token_type="bEARER").token_type == "bEARER"


def test_a_renewal_that_gives_everything_anew() -> None:
    """The new ID token is read apart: it counts when it is proved."""
    assert renew() == TokenSet(
        access_token="TlBN45jURg",
        id_token=parse().id_token,
        refresh_token="9yNOxJtZa5",
        scopes=("openid",),
        expires_at=LATER + 600,
        renew_at=LATER + 570,
    )


@pytest.mark.parametrize("name", ["refresh_token", "scope"])
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


@pytest.mark.parametrize(
    "value", ["", 5, True, ["x"], {"x": "x"}, "a\r\nX: 1", "a\x7f", "é", "\ud800"]
)
def test_a_renewed_id_token_is_a_string_fit_for_a_header(value: object) -> None:
    with pytest.raises(TokenRejected) as caught:
        parse_id_token(value)
    assert caught.value.error_code == "token_response"
    assert renew(id_token=value) == renew()


def test_a_renewed_id_token_of_any_length_is_read() -> None:
    assert parse_id_token("x" * 1_000_000) == "x" * 1_000_000


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
@pytest.mark.parametrize("value", [5, True, ["x"], {"x": "x"}])
def test_a_renewed_token_is_a_string(name: str, value: object) -> None:
    with refused(TokenRejected, "token_response", name):
        renew(**{name: value})


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\x7f", "é", "\ud800"])
def test_a_renewed_token_is_fit_for_a_header(name: str, value: str) -> None:
    with refused(TokenRejected, "token_response", name):
        renew(**{name: value})


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
def test_a_renewed_token_is_as_long_as_the_answer_may_be(name: str) -> None:
    assert getattr(renew(**{name: "x" * 1_000_000}), name) == "x" * 1_000_000


def test_an_empty_refresh_token_of_a_renewal_leaves_the_old_one() -> None:
    assert renew(refresh_token="").refresh_token == parse().refresh_token


def test_a_renewal_has_an_access_token() -> None:
    for answer in ({"without": "access_token"}, {"access_token": ""}):
        with refused(TokenRejected, "token_response", "access_token"):
            renew(**answer)


@pytest.mark.parametrize("token_type", ["DPoP", "", 1, None, ["Bearer"]])
def test_a_renewal_has_no_other_token_type(token_type: object) -> None:
    with refused(TokenRejected, "token_type", f"token_type={str(token_type)!r}"):
        renew(token_type=token_type)


@pytest.mark.parametrize("expires_in", [-1, "soon", True, [], math.nan])
def test_expires_in_of_a_renewal_is_a_number(expires_in: object) -> None:
    with refused(TokenRejected, "token_response", f"expires_in={str(expires_in)!r}"):
        renew(expires_in=expires_in)


@pytest.mark.parametrize("scope", [["openid", 1], 1, True, "x" * (MAX_SCOPE + 1)])
def test_scope_of_a_renewal_is_a_string(scope: object) -> None:
    with refused(TokenRejected, "token_response", "scope"):
        renew(scope=scope)


@bounded
@given(documents(RENEWAL))
def test_any_renewal_is_read_or_has_one_error(answer: dict[str, Any]) -> None:
    try:
        renewed = parse().renewed_by(answer, now=LATER)
    except TokenRejected as error:
        assert error.error_code in ("token_response", "token_type")
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


def test_tokens_without_a_refresh_token() -> None:
    once = parse().without_refresh_token()
    assert once == parse(without="refresh_token")
    assert [kind for kind, _, _ in once.to_revoke(NOW)] == ["access_token"]


def test_tokens_are_written_without_white_space_for_the_size_of_a_cookie() -> None:
    written = parse().to_json()
    assert written == json.dumps(json.loads(written), separators=(",", ":"))


WRITTEN = json.loads(parse().to_json())


def test_tokens_of_a_version_that_did_not_know_renewals() -> None:
    """What has a default may be absent; anything else, and anything more, is of another kind."""
    old = {name: value for name, value in WRITTEN.items() if name != "renew_at"}
    assert TokenSet.from_json(json.dumps(old)).renew_at is None


def test_tokens_of_a_version_that_did_not_know_bindings() -> None:
    old = {n: value for n, value in WRITTEN.items() if n not in ("binding", "token_type")}
    assert TokenSet.from_json(json.dumps(old)) == parse()


def test_the_apis_that_tokens_are_for_stay_with_them() -> None:
    """RFC 8707 section 2.2: they are named in each refresh."""
    tokens = dataclasses.replace(parse(), resources=("https://a.example", "https://b.example"))
    assert TokenSet.from_json(tokens.to_json()) == tokens
    assert tokens.renewed_by(ANSWER, now=NOW).resources == tokens.resources
    old = {name: value for name, value in WRITTEN.items() if name != "resources"}
    assert TokenSet.from_json(json.dumps(old)) == parse()


def test_claims_for_assertions_stay_with_the_tokens() -> None:
    tokens = dataclasses.replace(parse(), assertion_claims={"org": ["1"]})
    assert TokenSet.from_json(tokens.to_json()) == tokens
    assert tokens.renewed_by(ANSWER, now=NOW).assertion_claims == {"org": ["1"]}
    old = {name: value for name, value in WRITTEN.items() if name != "assertion_claims"}
    assert TokenSet.from_json(json.dumps(old)) == parse()


def test_tokens_of_a_version_that_did_not_know_replaced_tokens() -> None:
    old = {name: value for name, value in WRITTEN.items() if name != "replaced"}
    assert TokenSet.from_json(json.dumps(old)) == parse()


@pytest.mark.parametrize("binding", [None, 5, [], ["bearer"], ["bearer", "", ""], [[], ""]])
def test_a_binding_is_its_kind_and_a_text(binding: object) -> None:
    with invalid():
        TokenSet.from_json(json.dumps(WRITTEN | {"binding": binding}))


def test_tokens_whose_binding_this_version_does_not_have() -> None:
    with invalid("'mtls'"):
        TokenSet.from_json(json.dumps(WRITTEN | {"binding": ["mtls", "a certificate"]}))


def test_the_key_of_bound_tokens_is_stored_with_them() -> None:
    bound = dataclasses.replace(parse(), binding=BOUND, token_type="DPoP")
    written = json.loads(bound.to_json())
    assert written["binding"] == ["dpop", BOUND.to_text()]
    read = TokenSet.from_json(bound.to_json())
    assert read == bound and read.binding.parameters() == BOUND.parameters()


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
def test_json_that_is_no_token_set(text: str) -> None:
    with invalid():
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


# The tokens of logins that another one has replaced.


def token_set(name: str, **fields: Any) -> TokenSet:
    given = {"scopes": ("openid",), "expires_at": NOW + 600, "refresh_token": f"refresh-{name}"}
    return TokenSet(access_token=f"access-{name}", id_token="a.b.c", **(given | fields))


def test_a_logout_revokes_the_newest_tokens_first() -> None:
    tokens = token_set("2").in_place_of(token_set("1"), now=NOW)
    tokens = token_set("3").in_place_of(tokens, now=NOW)
    assert [each[:2] for each in tokens.to_revoke(NOW)] == [
        ("refresh_token", "refresh-3"),
        ("access_token", "access-3"),
        ("refresh_token", "refresh-2"),
        ("access_token", "access-2"),
        ("refresh_token", "refresh-1"),
        ("access_token", "access-1"),
    ]
    assert TokenSet.from_json(tokens.to_json()) == tokens
    assert list(tokens.without_replaced().to_revoke(NOW)) == list(token_set("3").to_revoke(NOW))


def test_each_token_is_revoked_with_the_key_of_its_own_login() -> None:
    """A provider may refuse a proof with another key (RFC 9449 section 5)."""
    first, third = (BeginDPoP(alg="ES256", at_par=True)(name) for name in ("first", "third"))
    tokens = token_set("2").in_place_of(token_set("1", binding=first), now=NOW)
    tokens = token_set("3", binding=third).in_place_of(tokens, now=NOW)
    stored = TokenSet.from_json(tokens.to_json())
    assert stored == tokens
    keys = [third, third, BEARER, BEARER, first, first]
    assert [binding for _, _, binding in stored.to_revoke(NOW)] == keys
    replaced = json.loads(tokens.to_json())["replaced"]
    assert [len(each) for each in replaced] == [4, 4, 3, 3]  # to save room in a cookie


def test_expired_tokens_are_not_revoked() -> None:
    former = token_set("1", expires_at=NOW + 5)
    tokens = token_set("2", refresh_token=None, expires_at=None).in_place_of(former, now=NOW)
    assert [kind for kind, _, _ in tokens.to_revoke(NOW + 4)] == [
        "access_token",
        "refresh_token",
        "access_token",
    ]
    assert [each[:2] for each in tokens.to_revoke(NOW + 5)] == [
        ("access_token", "access-2"),
        ("refresh_token", "refresh-1"),
    ]
    later = token_set("3").in_place_of(tokens, now=NOW + 5)
    assert [each.token for each in later.replaced] == ["refresh-1", "access-2"]


def test_an_access_token_that_is_over_is_not_remembered() -> None:
    former = token_set("1", expires_at=NOW, refresh_token=None)
    assert token_set("2").in_place_of(former, now=NOW).replaced == ()


def test_of_many_replaced_tokens_the_newest_are_remembered() -> None:
    tokens = token_set("0")
    for number in range(1, 30):
        tokens = token_set(str(number)).in_place_of(tokens, now=NOW)
    assert len(tokens.replaced) == MAX_REPLACED
    assert tokens.replaced[-1] == ReplacedToken("refresh_token", "refresh-28", None)
