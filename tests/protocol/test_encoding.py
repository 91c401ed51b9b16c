from __future__ import annotations

import base64
import json
import math
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flask_parjar.protocol.encoding import (
    MAX_DEPTH,
    b64decode,
    b64encode,
    encode_json,
    is_number,
    parse_json_object,
    parse_seconds,
    printable_text,
)
from tests.support.errors import invalid
from tests.support.untrusted import bounded, json_values


def test_json_is_written_compactly_and_as_ascii() -> None:
    written = b64decode(encode_json({"iss": "joe", "exp": [1, None, True], "é": {}}))
    assert written == b'{"iss":"joe","exp":[1,null,true],"\\u00e9":{}}'


def test_b64_of_rfc_7515_appendix_c() -> None:
    octets = bytes([3, 236, 255, 224, 193])
    assert b64encode(octets) == "A-z_4ME"
    assert b64decode("A-z_4ME") == octets


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        *[("", b""), ("AA", b"\0"), ("_w", b"\xff"), ("_-4", b"\xff\xee"), ("AAAA", b"\0\0\0")],
        ("AAAX", b"\0\0\x17"),
    ],
)
def test_b64_has_one_spelling_each(text: str, octets: bytes) -> None:
    assert b64encode(octets) == text
    assert b64decode(text) == octets


@pytest.mark.parametrize(
    "text",
    [
        *("AA==", "AA=", "=", "A-z+4ME", "A/z_4ME", "A z_", " AA", "AA\n", "AA\r\n", "AA\0"),
        *("AAé", "ＡＡ", "AA\u200b", "A.A", "\ud800", "٣٣"),
    ],
)
def test_b64decode_refuses_other_characters(text: str) -> None:
    with invalid():
        b64decode(text)


@pytest.mark.parametrize("text", ["AB", "A-z_4MF", "_x", "AAAAAB", "_-5"])
def test_b64decode_refuses_left_over_bits(text: str) -> None:
    with invalid():
        b64decode(text)


@pytest.mark.parametrize("text", ["A", "AAAAA", "A" * 4097])
def test_b64decode_refuses_an_impossible_length(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        b64decode(text)


@bounded
@given(st.binary())
def test_b64_there_and_back(octets: bytes) -> None:
    assert b64decode(b64encode(octets)) == octets


@bounded
@given(st.text() | st.text("AQgw_-=", max_size=9))
def test_b64decode_has_one_error_and_agrees_with_python(text: str) -> None:
    try:
        octets = b64decode(text)
    except ValueError:
        return
    assert base64.urlsafe_b64encode(octets).rstrip(b"=") == text.encode()
    assert re.fullmatch(r"[A-Za-z0-9_-]*", text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"{}", {}),
        (b' \t\r\n{"a" : 1}\n', {"a": 1}),
        (b'{"a":{"a":1},"b":[{"a":2}]}', {"a": {"a": 1}, "b": [{"a": 2}]}),
        (b'{"e":1.5e3,"i":-0,"n":null,"t":true}', {"e": 1500.0, "i": 0, "n": None, "t": True}),
        ('{"ü":"😀"}'.encode(), {"ü": "😀"}),
        (b'{"a":"\\ud83d\\ude00\\u0041"}', {"a": "😀A"}),
        (b'{"a":"\\\\ud800"}', {"a": "\\ud800"}),
        (b'{"a":1e308}', {"a": 1e308}),
        (b'{"a":"","":0}', {"a": "", "": 0}),
    ],
)
def test_json_objects(text: bytes, value: dict[str, Any]) -> None:
    assert parse_json_object(text) == value


@pytest.mark.parametrize("text", [b"[]", b"1", b'"{}"', b"null", b"true", b"[{}]"])
def test_json_that_is_no_object(text: bytes) -> None:
    with invalid():
        parse_json_object(text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"b":{"c":1,"c":2}}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":"the same","a":"the same"}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":[-Infinity]}',
        b'{"a":1e309}',
        b'{"a":-1.0e999}',
    ],
)
def test_json_with_two_meanings(text: bytes) -> None:
    with invalid():
        parse_json_object(text)


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b" ", b"{", b"}", b"{]", b"{}{}", b"{},", b"{'a':1}", b"{a:1}", b'{"a":1,}'),
        *(b'{"a":01}', b'{"a":+1}', b'{"a":.5}', b'{"a":1.}', b'{"a":"\n"}', b'{"a":"\\x"}'),
        *(b'{"a":"\\u12"}', b"\xef\xbb\xbf{}", b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b"\0"),
        *('{"a":1}'.encode("utf-16"), b'{"a":1}\0', b"<html>", b'{"a":"\\ud800"}'),
        *(b'{"\\udfff":1}', b'{"a":["\\ude00\\ud83d"]}', b"{\xa0}", b"// {}\n{}"),
    ],
)
def test_text_that_is_no_json(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_json_object(text)


def nested(levels: int, opening: str, closing: str) -> bytes:
    """An object that holds so many levels in all."""
    return f'{{"a":{opening * (levels - 1)}{closing * (levels - 1)}}}'.encode()


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":1,"b":', "1}")])
def test_json_is_nested_so_deep_and_no_deeper(opening: str, closing: str) -> None:
    if opening != "[":
        opening, closing = '{"a":', "}"
        text = f"{opening * MAX_DEPTH}1{closing * MAX_DEPTH}".encode()
        deeper = f"{opening * (MAX_DEPTH + 1)}1{closing * (MAX_DEPTH + 1)}".encode()
    else:
        text, deeper = nested(MAX_DEPTH, "[", "]"), nested(MAX_DEPTH + 1, "[", "]")
    assert MAX_DEPTH == 32
    assert json.loads(text) == parse_json_object(text)
    with invalid():
        parse_json_object(deeper)


@pytest.mark.parametrize("levels", [500, 900, 1_000, 100_000])
def test_json_nested_past_the_interpreters_stack(levels: int) -> None:
    with invalid():
        parse_json_object(nested(levels, "[", "]"))


def test_json_deep_beside_shallow_is_still_deep() -> None:
    with invalid():
        parse_json_object(b'{"s":[],"d":' + b"[" * 40 + b"]" * 40 + b',"e":{}}')


def test_json_integers_without_end_cost_no_time() -> None:
    with pytest.raises(ValueError):
        parse_json_object(b'{"a":' + b"9" * 1_000_000 + b"}")


@bounded
@given(st.dictionaries(st.text(), json_values))
def test_json_of_python_is_read_as_python_reads_it(value: dict[str, Any]) -> None:
    assert parse_json_object(json.dumps(value).encode()) == value
    assert parse_json_object(json.dumps(value, ensure_ascii=False).encode()) == value


@bounded
@given(
    st.binary()
    | st.text().map(str.encode)
    | st.text('{}[]":,\\ud80019eE+-. aNI', max_size=40).map(str.encode)
)
@example(b'{"a":' + b"[" * 70_000)
@example(b'{"\\ud800":{}}')
def test_untrusted_json_has_one_error(text: bytes) -> None:
    try:
        value = parse_json_object(text)
    except ValueError:
        return
    assert json.loads(text) == value
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize("value", [0, -1, 1.5, 1_800_000_000, 1e15 - 1, -1e15 + 1, 10**15 - 1])
def test_numbers(value: object) -> None:
    assert is_number(value) is True


@pytest.mark.parametrize(
    "value",
    [
        *(True, False, None, "1", b"1", [], {}, 1j, math.nan, math.inf, -math.inf),
        *(1e15, -1e15, 10**15, -(10**15), 10**4000),
    ],
)
def test_no_numbers(value: object) -> None:
    assert is_number(value) is False


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(0, 0), (60, 60), (60.0, 60), (59.9, 59), ("0", 0), ("060", 60), ("999999999", 999_999_999)],
)
def test_seconds(value: object, seconds: int) -> None:
    parsed = parse_seconds(value)
    assert (parsed, type(parsed)) == (seconds, int)


@pytest.mark.parametrize(
    "value",
    [
        *(-1, -0.5, True, None, [], {}, math.nan, math.inf, 10**15, 10**4000),
        *("", "soon", "-1", "+1", "1.5", "1e3", " 1", "1\n", "1_0", "\u0661", "1" * 10, b"1"),
    ],
)
def test_no_seconds(value: object) -> None:
    with invalid():
        parse_seconds(value)


# Untrusted text that is shown.


def test_text_is_cut_and_loses_what_cannot_be_printed() -> None:
    assert printable_text("a\u202eb\x00c\nd\u2028e\ud800f", at_most=20) == "a b c d e f"
    assert printable_text("größer, 語 and 🙂", at_most=20) == "größer, 語 and 🙂"
    assert printable_text("x" * 21, at_most=20) == "x" * 20
