from __future__ import annotations

import dataclasses

import pytest

from flask_parjar.protocol.outbound import Answer, Outbound, check_headers
from tests.support.errors import invalid

URL = "https://op.example/token"


def test_a_request_that_posts_a_form() -> None:
    outbound = Outbound.post(URL, {"b": "1", "a": "2"})
    assert outbound == Outbound(method="POST", url=URL, form=(("b", "1"), ("a", "2")), headers={})


def test_the_value_of_a_repeated_name_is_a_list() -> None:
    outbound = Outbound.post(URL, {"a": ["1", "2"], "b": "3"})
    assert outbound.form == (("a", "1"), ("a", "2"), ("b", "3"))


def test_a_request_without_a_body() -> None:
    assert Outbound(method="GET", url=URL).form is None
    assert Outbound(method="GET", url=URL).headers == {}
    assert Outbound.post(URL, {}).form == ()  # a body, and nothing in it


def test_fields_are_added_in_order_at_the_end() -> None:
    outbound = Outbound.post(URL, {"b": "1", "a": "2"}).with_fields({"z": "3", "c": "4"})
    assert outbound.form == (("b", "1"), ("a", "2"), ("z", "3"), ("c", "4"))
    assert Outbound(method="POST", url=URL).with_fields({"a": "1"}).form == (("a", "1"),)


def test_a_field_that_is_there_takes_the_new_value() -> None:
    outbound = Outbound(method="POST", url=URL, form=(("a", "1"), ("b", "2"), ("a", "3")))
    assert outbound.with_fields({"a": "4"}).form == (("b", "2"), ("a", "4"))


def test_a_name_may_stand_twice() -> None:
    """As ``resource`` does (RFC 8707 section 2)."""
    form = (("resource", "https://a.example"), ("resource", "https://b.example"))
    outbound = Outbound(method="POST", url=URL, form=form).with_fields({"client_id": "c"})
    assert outbound.form == (*form, ("client_id", "c"))


def test_headers_are_added() -> None:
    outbound = Outbound(method="GET", url=URL, headers={"A": "1"})
    assert outbound.with_header("B", "2").headers == {"A": "1", "B": "2"}
    assert outbound.with_header("A", "2").headers == {"A": "2"}


def test_a_request_is_not_changed_by_what_is_made_of_it() -> None:
    outbound = Outbound.post(URL, {"a": "1"})
    outbound.with_fields({"a": "2", "b": "3"})
    outbound.with_header("A", "1")
    assert outbound == Outbound.post(URL, {"a": "1"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        outbound.url = "https://evil.example"  # type: ignore[misc]


def test_nothing_secret_is_printed() -> None:
    outbound = Outbound.post(URL, {"code": "hunter2"}).with_header("Authorization", "hunter2")
    answer = Answer(status=200, headers={}, body=b"hunter2", document={"id_token": "hunter2"})
    assert "hunter2" not in repr(outbound)
    assert "hunter2" not in repr(answer)
    assert URL in repr(outbound)


# Further headers of requests.


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Fapi-Interaction-Id": "a b"},
        {"!#$%&'*+.^_`|~09azAZ-": "!", "x": "~", "y": "a\x20z"},
    ],
)
def test_headers_that_can_be_sent(headers: dict[str, str]) -> None:
    check_headers(headers)


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        (None, ""),
        ([("a", "b")], ""),
        ("a: b", ""),
        ({"": "b"}, "''"),
        ({"a": "b", 1: "b"}, "1"),
        ({"a b": "b"}, "a b"),
        ({"a:": "b"}, "a:"),
        ({"a\r\nb": "b"}, "a"),
        ({"n" * 100: "b", "é": "c"}, "é"),
        ({"Authorization": "b"}, "Authorization"),
        ({"ok": "b", "dpop": "b"}, "dpop"),
        ({"USER-AGENT": "b"}, "USER-AGENT"),
        ({"name": 1}, "name"),
        ({"name": ""}, "name"),
        ({"name": " a"}, "name"),
        ({"name": "a "}, "name"),
        ({"name": "a\r\nb: c"}, "name"),
        ({"name": "ü"}, "name"),
    ],
)
def test_headers_that_cannot_be_sent(headers: object, named: str) -> None:
    with invalid(named):
        check_headers(headers)


def test_the_value_of_a_header_is_not_shown() -> None:
    with pytest.raises(ValueError) as caught:
        check_headers({"name": "hunter2\n"})
    assert "hunter2" not in str(caught.value)


def test_a_long_name_is_cut() -> None:
    with pytest.raises(ValueError) as caught:
        check_headers({"é" * 1000: "b"})
    assert len(str(caught.value)) < 200
