"""What is written into ``flask.session`` for a person who is logged in, and what is read back."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_parjar.flows.session_registry import SessionEntry
from flask_parjar.protocol.identity import Identity
from flask_parjar.protocol.logout import MAX_IDENTIFIER
from flask_parjar.web.session_record import ReplacedSession, SessionRecord
from flask_parjar.web.shape import are_words, is_list, read_each
from tests.support.untrusted import bounded, documents, json_values

NOW = 1_800_000_000
ISSUER = "https://op.example"
WRITTEN = [
    *("default", ISSUER, "ada", {"sid": "s1", "name": "Ada"}, ["email", "openid"], NOW, "client"),
]
RECORD = SessionRecord(
    provider="default",
    issuer=ISSUER,
    subject="ada",
    claims={"sid": "s1", "name": "Ada"},
    scopes=("email", "openid"),
    logged_in_at=NOW,
    client_id="client",
)
ADA = Identity(
    provider="default",
    issuer=ISSUER,
    subject="ada",
    claims={"sid": "s1", "name": "Ada"},
    scopes=frozenset({"openid", "email"}),
)


# The record.


def test_a_record_is_a_list_in_the_cookie() -> None:
    assert RECORD.to_cookie() == WRITTEN
    in_store = RECORD._replace(handle="h", store="shared")
    assert in_store.to_cookie() == [*WRITTEN, "h", "shared"]


@pytest.mark.parametrize("rest", [[], ["h", "shared"], ["", "cookie"]])
def test_a_record_is_read_from_the_cookie(rest: list[str]) -> None:
    handle, store = rest or (None, None)
    expected = RECORD._replace(handle=handle, store=store)
    assert SessionRecord.from_cookie([*WRITTEN, *rest]) == expected
    with_tuples = (*WRITTEN[:4], ("email", "openid"), *WRITTEN[5:], *rest)
    assert SessionRecord.from_cookie(with_tuples) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        "default",
        {},
        [],
        WRITTEN[:6],
        [*WRITTEN, "h"],
        [*WRITTEN, "h", "shared", "more"],
        [*WRITTEN, None, "shared"],
        [*WRITTEN, 1, "shared"],
        [*WRITTEN, "h", None],
        *([*WRITTEN[:n], wrong, *WRITTEN[n + 1 :]] for n in (0, 1, 2) for wrong in (None, 1, [])),
        [*WRITTEN[:2], "", *WRITTEN[3:]],
        *([*WRITTEN[:3], wrong, *WRITTEN[4:]] for wrong in (None, [], "x")),
        *([*WRITTEN[:4], wrong, NOW, "c"] for wrong in (None, "openid", {}, [1], ["openid", None])),
        *([*WRITTEN[:5], wrong, "c"] for wrong in (None, True, str(NOW), [], 1e300, 10**30)),
        *([*WRITTEN[:6], wrong] for wrong in (None, 1, [])),
    ],
)
def test_a_value_of_another_shape_is_no_record(value: object) -> None:
    assert SessionRecord.from_cookie(value) is None


in_stores = st.tuples(st.text(), st.text())
records = st.builds(
    lambda in_store, **fields: SessionRecord(**fields)._replace(
        handle=in_store[0], store=in_store[1]
    ),
    in_store=st.just((None, None)) | in_stores,
    provider=st.text(),
    issuer=st.text(),
    subject=st.text(min_size=1),
    claims=st.dictionaries(st.text(), json_values),
    scopes=st.lists(st.text()).map(tuple),
    logged_in_at=st.integers(-(10**14), 10**14),
    client_id=st.text(),
)


@bounded
@given(records)
def test_a_record_is_read_as_it_was_written(record: SessionRecord) -> None:
    assert SessionRecord.from_cookie(record.to_cookie()) == record
    assert SessionRecord.from_cookie(json.loads(json.dumps(record.to_cookie()))) == record


@bounded
@given(
    json_values
    | st.tuples(*[json_values | st.just(each) for each in WRITTEN])
    | st.tuples(*[st.just(each) for each in WRITTEN], json_values, json_values)
    | st.tuples(*map(st.just, WRITTEN[:3]), documents({"sid": "s"}), *map(st.just, WRITTEN[4:]))
)
def test_any_value_in_the_session_is_a_record_or_none(value: Any) -> None:
    record = SessionRecord.from_cookie(value)
    if record is not None:
        assert SessionRecord.from_cookie(record.to_cookie()) == record
        assert record.identity and record.is_of(record.identity)
        assert (record.entry is None) == (record.handle is None)


def test_a_record_of_a_login() -> None:
    made = record_of(ADA, handle="h", store="shared")
    assert made == RECORD._replace(handle="h", store="shared")
    assert made.identity == ADA
    assert record_of(ADA, in_cookie=False) == RECORD


def record_of(
    person: Identity, *, handle: str | None = None, store: str | None = None, in_cookie: bool = True
) -> SessionRecord:
    return SessionRecord.of(
        person,
        client_id="client",
        logged_in_at=NOW,
        handle=handle,
        store=store,
        in_cookie=in_cookie,
    )


def test_the_claims_of_the_identity_are_a_copy() -> None:
    claims = RECORD.identity.claims
    assert isinstance(claims, dict)
    claims["name"] = "Grace"
    assert RECORD.claims["name"] == "Ada"


def test_an_account_is_an_issuer_and_a_subject() -> None:
    assert RECORD._replace(provider="other").is_of(ADA)
    assert not RECORD._replace(issuer="https://other.example").is_of(ADA)
    assert not RECORD._replace(subject="grace").is_of(ADA)


@pytest.mark.parametrize(
    "claims, sid",
    [
        ({"sid": "s1"}, "s1"),
        ({"sid": "s" * MAX_IDENTIFIER}, "s" * MAX_IDENTIFIER),
        # No logout token can have these. The session is ended by its subject.
        ({"sid": "s" * (MAX_IDENTIFIER + 1)}, None),
        ({"sid": ""}, None),
        ({"sid": 1}, None),
        ({}, None),
    ],
)
def test_a_session_with_a_handle_has_an_entry(claims: dict[str, Any], sid: str | None) -> None:
    record = RECORD._replace(claims=claims)
    assert record.entry is None
    assert record._replace(handle="h").entry == SessionEntry(
        handle="h",
        provider="default",
        issuer=ISSUER,
        client_id="client",
        subject="ada",
        sid=sid,
        logged_in_at=NOW,
    )


def test_a_record_shows_neither_claims_nor_handle() -> None:
    text = repr(RECORD._replace(handle="of-the-store"))
    assert "default" in text and "ada" in text
    assert "of-the-store" not in text and "Ada" not in text


@pytest.mark.parametrize("in_cookie", [True, False])
def test_the_largest_claims_are_left_out_of_a_cookie(
    in_cookie: bool, caplog: pytest.LogCaptureFixture
) -> None:
    sid = "s" * MAX_IDENTIFIER
    claims = {"sid": sid, "picture": "p" * 900, "groups": ["g"] * 100, "name": "Ada"}
    person = Identity(provider="default", issuer=ISSUER, subject="ada", claims=claims)
    record = record_of(person, in_cookie=in_cookie)
    if in_cookie:
        assert set(record.identity.claims) == {"sid", "groups", "name"}
        assert record.identity.claims_left_out == {"picture"}
        assert len(caplog.records) == 1 and "'picture'" in caplog.text
    else:
        assert record.claims == claims and not caplog.records
        assert record.identity.claims_left_out == frozenset()


@pytest.mark.parametrize("sid", ["s" * 5000, ["s"] * 5000])
def test_a_sid_that_no_logout_token_can_have_is_left_out_of_a_cookie(sid: object) -> None:
    claims = {"sid": sid, "name": "Ada"}
    person = Identity(provider="default", issuer=ISSUER, subject="ada", claims=claims)
    kept = record_of(person, in_cookie=True).identity
    assert (kept.claims, kept.claims_left_out) == ({"name": "Ada"}, {"sid"})


@pytest.mark.parametrize("number", [1, 3, 1000])
@pytest.mark.parametrize("name", ["é" * 40, "n" * 40, "n" * 600])
def test_names_of_claims_that_are_left_out_do_not_fill_the_cookie(number: int, name: str) -> None:
    claims = {f"{each}{name}"[:-4]: "x" * 1300 for each in range(number)}
    person = Identity(provider="default", issuer=ISSUER, subject="ada", claims=claims)
    record = record_of(person, in_cookie=True)
    assert len(json.dumps(record.claims)) <= 1200
    assert record.identity.claims == {}
    named = record.identity.claims_left_out
    assert len(named) == (0 if len(name) > 100 else min(number, 5)) and named <= set(claims)


@pytest.mark.parametrize("in_cookie", [True, False])
def test_a_renewal_keeps_the_names_of_claims_that_did_not_fit(in_cookie: bool) -> None:
    """As long as the provider says the same: then nothing is written."""
    claims = {"name": "Ada", "picture": "x" * 1300}
    person = Identity(provider="default", issuer=ISSUER, subject="ada", claims=claims)
    record = record_of(person, in_cookie=True)
    assert record.renewed_by(record.identity, in_cookie=in_cookie) == record
    newer = dataclasses.replace(record.identity, claims={"name": "Ada King"})
    renewed = record.renewed_by(newer, in_cookie=in_cookie).identity
    assert (renewed.claims, renewed.claims_left_out) == ({"name": "Ada King"}, frozenset())


@pytest.mark.parametrize("said", ["groups", {"groups": 1}, 5, [1], None])
def test_a_claim_of_the_name_that_we_use_breaks_nothing(said: object) -> None:
    person = RECORD._replace(claims={"name": "Ada", "_parjar_left_out": said}).identity
    assert (person.claims, person.claims_left_out) == ({"name": "Ada"}, frozenset())


# Sessions that were replaced.


def test_a_replaced_session_is_a_pair_in_the_cookie() -> None:
    assert ReplacedSession("x:h", NOW).to_cookie() == ["x:h", NOW]
    assert ReplacedSession.from_cookie(["x:h", NOW]) == ("x:h", NOW)
    assert ReplacedSession.from_cookie(("x:h", NOW)) == ("x:h", NOW)


@pytest.mark.parametrize(
    "value",
    [None, "ab", {}, [], ["x"], ["x", NOW, 1], [1, NOW], [None, NOW], ["x", "1"], ["x", True]],
)
def test_a_value_of_another_shape_is_no_replaced_session(value: object) -> None:
    assert ReplacedSession.from_cookie(value) is None


@bounded
@given(st.text(), st.integers(-(10**14), 10**14), json_values)
def test_a_replaced_session_is_read_as_it_was_written(name: str, ends_at: int, other: Any) -> None:
    assert ReplacedSession.from_cookie(ReplacedSession(name, ends_at).to_cookie()) == (
        name,
        ends_at,
    )
    for value in (other, [name, other], [other, ends_at]):
        read = ReplacedSession.from_cookie(value)
        assert read is None or ReplacedSession.from_cookie(read.to_cookie()) == read


# Checks of shape.


@pytest.mark.parametrize("value", ["ab", b"ab", {}, {"a": 1}, {"a"}, None, 1, iter("ab")])
def test_a_value_that_is_no_list_has_no_entries(value: object) -> None:
    assert not is_list(value) and not are_words(value)
    assert read_each(value, lambda each: each) == []


def test_words_are_a_list_of_strings() -> None:
    assert are_words(["a", ""]) and are_words(("a",)) and are_words([])
    assert not are_words(["a", None]) and not are_words([1])


def test_an_entry_that_cannot_be_read_is_left_out_and_a_falsy_one_is_not() -> None:
    assert read_each(("", None, 0, "x"), lambda each: each) == ["", 0, "x"]
