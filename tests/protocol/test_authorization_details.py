"""Rich authorization requests: what may be asked for, and what a provider may grant (RFC 9396)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from flask_parjar.errors import LoginError, TokenRejected
from flask_parjar.protocol.authorization import LoginOptions, asked_details, asked_details_types
from flask_parjar.protocol.authorization_details import (
    MAX_DEPTH,
    MAX_DETAILS,
    MAX_LENGTH,
    check_types,
    missing_types,
    parse_granted,
    types_of,
)
from flask_parjar.protocol.binding import BEARER
from flask_parjar.protocol.tokens import TokenSet
from tests.protocol.examples import NOW
from tests.support.errors import error_of, refused
from tests.support.untrusted import bounded, json_values

#: RFC 9396 section 2, the second example.
PAYMENT = {
    "type": "payment_initiation",
    "actions": ["initiate", "status", "cancel"],
    "locations": ["https://example.com/payments"],
    "instructedAmount": {"currency": "EUR", "amount": "123.50"},
    "creditorName": "Merchant A",
    "creditorAccount": {"iban": "DE02100100109307118603"},
}
ACCOUNT = {"type": "account_information", "actions": ["list_accounts", "read_balances"]}
ASKED = ("account_information", "payment_initiation")


def test_what_was_asked_for_is_granted() -> None:
    assert parse_granted([PAYMENT, ACCOUNT], asked=ASKED) == (PAYMENT, ACCOUNT)


def test_a_provider_may_add_to_a_detail_and_grant_several_of_a_type() -> None:
    """RFC 9396 section 7.1: the accounts that the person chose."""
    rich = {**ACCOUNT, "access": {"accounts": [{"iban": "DE2310010010123456789"}]}}
    assert parse_granted([rich, rich], asked=ASKED) == (rich, rich)


@pytest.mark.parametrize("value", [None, [], "x", 7, [{"type": "other"}]])
def test_nothing_is_read_where_nothing_was_asked_for(value: object) -> None:
    assert parse_granted(value, asked=()) == ()


def test_nothing_may_be_granted() -> None:
    assert parse_granted(None, asked=ASKED) == ()
    assert parse_granted([], asked=ASKED) == ()


@pytest.mark.parametrize(
    "value",
    [
        {},
        PAYMENT,
        "[]",
        7,
        True,
        ["payment_initiation"],
        [None],
        [[PAYMENT]],
        [{}],
        [{"type": ""}],
        [{"type": None}],
        [{"type": ["payment_initiation"]}],
        [PAYMENT, {"amount": 1}],
        [PAYMENT] * (MAX_DETAILS + 1),
        [{**PAYMENT, "padding": "x" * MAX_LENGTH}],
    ],
)
def test_shapes_that_are_refused(value: object) -> None:
    with refused(TokenRejected, "token_details"):
        parse_granted(value, asked=ASKED)


def test_how_much_may_be_granted() -> None:
    assert len(parse_granted([PAYMENT] * MAX_DETAILS, asked=ASKED)) == MAX_DETAILS
    overhead = len(json.dumps([{**PAYMENT, "padding": ""}]))
    longest = {**PAYMENT, "padding": "x" * (MAX_LENGTH - overhead)}
    assert parse_granted([longest], asked=ASKED) == (longest,)
    longer = {**longest, "padding": f"{longest['padding']}x"}
    for value in ([longer], [PAYMENT] * (MAX_DETAILS + 1)):
        with refused(TokenRejected, "token_details", str(MAX_DETAILS), str(MAX_LENGTH)):
            parse_granted(value, asked=ASKED)


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {"inner": value}
    return {"type": "payment_initiation", "inner": value}


def test_how_deep_a_detail_may_be() -> None:
    assert parse_granted([nested(MAX_DEPTH - 3)], asked=ASKED)
    with refused(TokenRejected, "token_details", f"{MAX_DEPTH} levels"):
        parse_granted([nested(MAX_DEPTH - 2)], asked=ASKED)


@pytest.mark.parametrize("name", ["other", "Payment_Initiation", "payment_initiation "])
def test_a_type_that_was_not_asked_for(name: str) -> None:
    with refused(TokenRejected, "token_details_unasked", repr(name)):
        parse_granted([PAYMENT, {"type": name}], asked=ASKED)


def test_a_long_list_of_types_is_cut() -> None:
    error = error_of(parse_granted, [{"type": "t" * 1000}], asked=ASKED)
    assert error.detail.count("t") == error_of(
        parse_granted, [{"type": "t" * 2000}], asked=ASKED
    ).detail.count("t")
    assert len(error.detail) < 220


def test_what_is_missing() -> None:
    assert missing_types(ASKED, [ACCOUNT, PAYMENT]) == ()
    assert missing_types(ASKED, [PAYMENT, PAYMENT]) == ("account_information",)
    assert missing_types(("a", "a", "b"), [{"type": "a"}]) == ("a", "b")
    assert missing_types((), [PAYMENT]) == ()


def test_types_that_the_provider_lists() -> None:
    check_types((), ())
    check_types(ASKED, None)
    check_types(ASKED, [*ASKED, "other"])
    for listed in ([], ["payment_initiation"], ["Account_Information", "payment_initiation"]):
        values = ("account_information", *listed)
        with refused(LoginError, "authorization_details_unsupported", *values):
            check_types(ASKED, listed)


def test_where_they_may_be_asked_for() -> None:
    configured = {"authorization_details": [ACCOUNT]}
    params = LoginOptions(params={"authorization_details": [PAYMENT]})
    options = LoginOptions(authorization_details=[PAYMENT, PAYMENT], params=params.params)
    assert asked_details({}, LoginOptions()) is None
    assert asked_details(configured, LoginOptions()) == [ACCOUNT]
    assert asked_details(configured, params) == [PAYMENT]
    assert asked_details(configured, options) == [PAYMENT, PAYMENT]
    assert asked_details(configured, LoginOptions(authorization_details=[])) == []
    assert asked_details_types(configured, options) == ("payment_initiation",) * 2
    assert asked_details_types({}, LoginOptions()) == ()


@pytest.mark.parametrize("value", ["payment", {"type": "t"}, [{}], [{"type": 1}], ["t"]])
def test_parameters_are_checked_as_options_are(value: object) -> None:
    with pytest.raises(ValueError, match="authorization_details"):
        LoginOptions(params={"authorization_details": value})


# With the tokens.

ANSWER = {"access_token": "a", "id_token": "i", "token_type": "Bearer", "refresh_token": "r"}


def parse(asked: tuple[str, ...] = ASKED, **members: Any) -> TokenSet:
    return TokenSet.parse(
        {**ANSWER, **members}, asked_scopes=("openid",), asked_types=asked, binding=BEARER, now=NOW
    )


def test_they_are_kept_with_the_tokens() -> None:
    tokens = parse(authorization_details=[PAYMENT])
    assert tokens.authorization_details == (PAYMENT,)
    assert tokens.missing_types == ("account_information",)
    assert TokenSet.from_json(tokens.to_json()) == tokens
    assert "iban" not in repr(tokens)


def test_tokens_that_were_stored_before_there_were_details() -> None:
    tokens = parse(())
    text = tokens.to_json().replace('"details_types":[],"authorization_details":[],', "")
    assert "details" not in text
    assert TokenSet.from_json(text) == tokens


def test_a_renewal_keeps_them_or_changes_them() -> None:
    tokens = parse(authorization_details=[PAYMENT, ACCOUNT])
    assert tokens.renewed_by(ANSWER, now=NOW).authorization_details == (PAYMENT, ACCOUNT)
    less = tokens.renewed_by({**ANSWER, "authorization_details": [ACCOUNT]}, now=NOW)
    assert less.authorization_details == (ACCOUNT,)
    none = less.renewed_by({**ANSWER, "authorization_details": []}, now=NOW)
    assert none.authorization_details == ()
    again = none.renewed_by({**ANSWER, "authorization_details": [PAYMENT]}, now=NOW)
    assert again.authorization_details == (PAYMENT,)
    with refused(TokenRejected, "token_details_unasked"):
        tokens.renewed_by({**ANSWER, "authorization_details": [{"type": "other"}]}, now=NOW)


@bounded
@given(value=json_values)
def test_whatever_comes_is_read_or_refused(value: Any) -> None:
    try:
        granted = parse_granted(value, asked=ASKED)
    except TokenRejected as error:
        assert error.error_code in ("token_details", "token_details_unasked")
    else:
        assert {*types_of(granted)} <= {*ASKED}
