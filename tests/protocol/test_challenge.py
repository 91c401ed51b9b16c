"""What a resource server may answer when a login is not good enough."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_parjar.protocol.challenge import StepUpChallenge, is_invalid_token
from tests.support.untrusted import bounded

NEEDED = 'error="insufficient_user_authentication"'


def challenge(*acr_values: str, max_age: int | None = None) -> StepUpChallenge:
    return StepUpChallenge(acr_values=acr_values, max_age=max_age)


def test_the_examples_of_rfc_9470() -> None:
    """Section 3, as printed there, folded lines and all."""
    acr = (
        'Bearer error="insufficient_user_authentication",\r\n'
        '  error_description="A different authentication level is required",\r\n'
        '  acr_values="myACR"'
    )
    assert StepUpChallenge.parse(acr) == challenge("myACR")
    age = (
        'Bearer error="insufficient_user_authentication",\r\n'
        '  error_description="More recent authentication is required",\r\n'
        '  max_age="5"'
    )
    assert StepUpChallenge.parse(age) == challenge(max_age=5)


# The challenge of Microsoft Entra ID.


def of_claims(claims: object, *, error: str = "insufficient_claims") -> str:
    text = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return f'Bearer error="{error}", claims="{base64.b64encode(text).decode()}"'


def test_the_example_of_the_documentation() -> None:
    header = (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/'
        'authorize", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnsiYWNycyI6eyJlc3Nl'
        'bnRpYWwiOnRydWUsInZhbHVlIjoiY3AxIn19fQ=="'
    )
    claims = {"access_token": {"acrs": {"essential": True, "value": "cp1"}}}
    assert StepUpChallenge.parse(header) == StepUpChallenge(
        acr_values=(), max_age=None, claims=claims
    )


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("strip", [b"", b"="])
@pytest.mark.parametrize("value", ["~~~", "???>", "x", "xy", "xyz", "\N{SNOWMAN}"])
def test_claims_in_either_alphabet(encode: Any, strip: bytes, value: str) -> None:
    claims = {"id_token": {"a": {"value": value}}, "userinfo": None}
    text = encode(json.dumps(claims, ensure_ascii=False).encode()).rstrip(strip or None).decode()
    parsed = StepUpChallenge.parse(f'Bearer error="insufficient_claims", claims="{text}"')
    assert parsed is not None and parsed.claims == claims


def nested(depth: int) -> dict[str, Any]:
    return {"access_token": {"a": nested(depth - 1)} if depth else {}}


@pytest.mark.parametrize(
    "header",
    [
        'Bearer error="insufficient_claims"',
        'Bearer error="insufficient_claims", claims=""',
        'Bearer error="insufficient_claims", claims="=="',
        'Bearer error="insufficient_claims", claims="not base64!"',
        'Bearer error="insufficient_claims", claims="e30=="',  # {} in base64 has one =
        of_claims({"access_token": {"a": None}}).replace('"', "'"),
        of_claims({"access_token": {"a": None}})[:-10] + '"',
        of_claims(b"{"),
        of_claims(b"\xff\xfe"),
        of_claims([]),
        of_claims("access_token"),
        of_claims(7),
        of_claims({}),
        of_claims({"access_token": {}}),
        of_claims({"access_token": None}),
        of_claims({"access_token": "acrs"}),
        of_claims({"access_token": {"a": None}, "other": 1}),
        of_claims({"id_token": []}),
        of_claims({"id_token": {"acr": {"essential": "yes"}}}),
        of_claims({"id_token": {"sub": {"value": 7}}}),
        of_claims(b'{"id_token": {"a": null}, "id_token": {"b": null}}'),
        of_claims(b'{"id_token": {"a": NaN}}'),
        of_claims(b'{"id_token": {"a": "\\ud800"}}'),
        of_claims({"access_token": {"a": {"value": "x" * 1024}}}),
        of_claims(nested(40)),
        of_claims({"access_token": {"a": None}}, error="insufficient_scope"),
        of_claims({"access_token": {"a": None}}, error="invalid_token"),
        of_claims({"access_token": {"a": None}}).replace("Bearer", "Basic"),
    ],
)
def test_claims_that_ask_for_no_login(header: str) -> None:
    assert StepUpChallenge.parse(header) is None


def test_how_long_claims_may_be() -> None:
    for size in (1022, 1023, 1024, 1025, 1026):
        padding = size - len(json.dumps({"access_token": {"a": ""}}))
        header = of_claims({"access_token": {"a": "x" * padding}})
        assert (StepUpChallenge.parse(header) is not None) == (size <= 1024)


def test_claims_beside_another_challenge() -> None:
    claims = {"access_token": {"acrs": {"essential": True, "value": "c1"}}}
    parsed = StepUpChallenge.parse(f"Basic realm=x, {of_claims(claims)}")
    assert parsed is not None and parsed.claims == claims
    # The one that asks for nothing stands in the way of no other.
    parsed = StepUpChallenge.parse(f"{of_claims({})}, Bearer {NEEDED}, max_age=5")
    assert parsed == challenge(max_age=5)


@bounded
@given(st.binary(max_size=200))
def test_any_claims_are_read_or_ignored(content: bytes) -> None:
    parsed = StepUpChallenge.parse(of_claims(content))
    assert parsed is None or json.loads(content) == parsed.claims


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (f"Bearer {NEEDED}", challenge()),
        (f'DPoP {NEEDED}, algs="ES256", acr_values="a b"', challenge("a", "b")),
        (f"bearer {NEEDED}, MAX_AGE=0", challenge(max_age=0)),
        (f"BEARER {NEEDED},max_age=60,acr_values=phr", challenge("phr", max_age=60)),
        (f'  Bearer\t{NEEDED} , acr_values = "phr"', challenge("phr")),
        ("Bearer error=insufficient_user_authentication, acr_values=x", challenge("x")),
        (
            f'Bearer acr_values="urn:a:1 urn:b:2", realm="x", {NEEDED}',
            challenge("urn:a:1", "urn:b:2"),
        ),
        (f'Bearer {NEEDED}, acr_values=""', challenge()),
        (f'Bearer {NEEDED}, acr_values="  a   b  "', challenge("a", "b")),
        # commas that are missing, and commas too many
        (f'Bearer realm="x" {NEEDED} acr_values="phr"', challenge("phr")),
        (f', Bearer {NEEDED}, , acr_values="phr",', challenge("phr")),
        (f"Bearer error_description=What is this?, {NEEDED}, max_age=5", challenge(max_age=5)),
    ],
)
def test_a_challenge(header: str, wanted: StepUpChallenge) -> None:
    assert StepUpChallenge.parse(header) == wanted


@pytest.mark.parametrize(
    "header",
    [
        f'Basic realm="api", Bearer {NEEDED}, acr_values="phr"',
        f'Bearer realm="api", error="invalid_token", Bearer {NEEDED}, acr_values="phr"',
        f'DPoP algs="ES256 PS256", error="use_dpop_nonce", Bearer {NEEDED}, acr_values="phr"',
        f'Bearer realm="first", DPoP {NEEDED}, acr_values="phr"',
        f'Bearer {NEEDED}, acr_values="phr", Bearer {NEEDED}, acr_values="second"',
        f'Negotiate, Bearer {NEEDED}, acr_values="phr"',
    ],
)
def test_several_challenges_in_one_header(header: str) -> None:
    assert StepUpChallenge.parse(header) == challenge("phr")


@pytest.mark.parametrize(
    "other",
    [
        'Basic realm="acr_values=other"',
        'Custom acr_values="other", max_age=1',
        "Negotiate",
        "Negotiate YWNyX3ZhbHVlcw==",
    ],
)
def test_parameters_of_another_scheme_are_ignored(other: str) -> None:
    header = f'Bearer {NEEDED}, acr_values="phr", {other}'
    assert StepUpChallenge.parse(header) == challenge("phr")


def test_parameters_of_one_challenge_are_not_those_of_another() -> None:
    header = f'Bearer realm="x", acr_values="mine", max_age=9, DPoP {NEEDED}, acr_values="yours"'
    assert StepUpChallenge.parse(header) == challenge("yours")
    assert StepUpChallenge.parse('Bearer realm="x", DPoP error="invalid_token"') is None


def test_quoted_text() -> None:
    """RFC 9110 section 5.6.4: a backslash takes the next character as it is."""
    described = r'error_description="say \"please\", max_age=7, and \\ twice"'
    header = f'Bearer {described}, {NEEDED}, acr_values="a\\"b \\c"'
    assert StepUpChallenge.parse(header) == challenge('a"b', "c")


@pytest.mark.parametrize(
    "max_age", ["-1", "x", "", "5.0", "1e3", "٥", "5 minutes", "9" * 10, "0x10", "+5", "NaN"]
)
def test_max_age_that_is_no_number(max_age: str) -> None:
    header = f'Bearer {NEEDED}, acr_values="phr", max_age="{max_age}"'
    assert StepUpChallenge.parse(header) == challenge("phr")


def test_the_largest_max_age() -> None:
    assert StepUpChallenge.parse(f"Bearer {NEEDED}, max_age=999999999") == challenge(
        max_age=999_999_999
    )


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        ",",
        "Bearer",
        "Bearer ",
        'Bearer realm="x"',
        'Bearer error="invalid_token"',
        'Bearer error="insufficient_scope", scope="a"',
        'Bearer error="INSUFFICIENT_USER_AUTHENTICATION"',
        f"Basic {NEEDED}",
        f"Digest {NEEDED}",
        f"XBearer {NEEDED}",
        NEEDED,
        'Bearer error_description="insufficient_user_authentication"',
        'Bearer error="insufficient_user_authentication',
        "Bearer error=",
        "\0\xff\ud800",
        r'Basic realm="x, Bearer error=\"insufficient_user_authentication\""',
        'Bearer error_description="x, Bearer error=insufficient_user_authentication"',
        'Basic realm="x, Bearer error=insufficient_user_authentication"',
        f'Bearer realm="x", Custom {NEEDED}',
        # a string that is not closed is one to the end of the header
        'Basic realm="x, Bearer error=insufficient_user_authentication',
        'Bearer realm="x error=insufficient_user_authentication',
        'Bearer realm="x error=insufficient_user_authentication\\',
        'Bearer "x" "error=insufficient_user_authentication"',
        f"Bearer, Basic, {NEEDED}",
    ],
)
def test_a_header_that_asks_for_no_stronger_login(header: str) -> None:
    assert StepUpChallenge.parse(header) is None


def test_ten_acr_values_at_most() -> None:
    values = [str(number) for number in range(11)]
    parsed = StepUpChallenge.parse(f'Bearer {NEEDED}, acr_values="{" ".join(values)}"')
    assert parsed == challenge(*values[:10])


def test_nothing_beyond_4096_characters_is_read() -> None:
    """The first 4,096 characters count."""
    whole = f"Bearer {NEEDED}, max_age=7"
    assert StepUpChallenge.parse("," * (4096 - len(whole)) + whole) == challenge(max_age=7)
    assert StepUpChallenge.parse("," * 4096 + whole) is None


@pytest.mark.parametrize(
    "piece",
    ["a", 'a="', "\\", "Bearer ", ",", " ", "a=,", 'Bearer a="\\', "=", 'error="x" ', ", Bearer"],
)
def test_a_hostile_header_is_read_quickly(piece: str) -> None:
    began = time.process_time()
    assert StepUpChallenge.parse("Bearer " + piece * 100_000) is None
    assert time.process_time() - began < 1


@bounded
@given(st.text() | st.text('Bearer ,="\\a_dpop', max_size=300).map(lambda text: f"Bearer {text}"))
def test_any_text_is_a_challenge_or_none(text: str) -> None:
    parsed = StepUpChallenge.parse(text)
    assert parsed is None or "insufficient_user_authentication" in text


@pytest.mark.parametrize(
    ("header", "is_one"),
    [
        ('Bearer realm="example", error="invalid_token", error_description="expired"', True),
        ("bearer error=invalid_token", True),
        ('DPoP error="invalid_token", algs="ES256"', True),
        ('Basic realm="x", Bearer error="invalid_token"', True),
        ('Bearer error="use_dpop_nonce", DPoP error="invalid_token"', True),
        ("", False),
        ("Bearer", False),
        ('Bearer realm="example"', False),
        ('Bearer error="insufficient_scope"', False),
        ('Bearer error="insufficient_user_authentication"', False),
        ('Bearer error_description="invalid_token"', False),
        ('Basic error="invalid_token"', False),
        (" " * 4096 + 'Bearer error="invalid_token"', False),
    ],
)
def test_a_token_that_an_api_does_not_accept(header: str, is_one: bool) -> None:
    """The first is the example of RFC 6750 section 3."""
    assert is_invalid_token(header) is is_one
