from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_parjar.errors import ParJarError, ProviderRefused, ResponseRejected
from flask_parjar.protocol.response import (
    MAX_CODE_LENGTH,
    MAX_LENGTH,
    MAX_PARAMETERS,
    AuthorizationResponse,
    ResponseParameters,
    refusal,
)
from tests.protocol.examples import ISSUER, make_metadata, make_transaction, refused
from tests.protocol.strangers import bounded

CODE = "SplxlOBeZQQYbYS6WxSbIA"  # RFC 6749 section 4.1.2

PROTOCOL_PARAMETERS = [
    *("code", "state", "iss", "error", "error_description", "error_uri", "response"),
    *("id_token", "access_token", "token_type", "expires_in", "session_state"),
]


def test_the_answer_of_rfc_6749() -> None:
    parameters = ResponseParameters.parse([("code", CODE), ("state", "xyz")])
    assert parameters.values == {"code": CODE, "state": "xyz"}
    assert parameters.state == "xyz"


def test_nothing_of_it_is_printed() -> None:
    assert CODE not in repr(ResponseParameters.parse([("code", CODE)]))
    assert CODE not in repr(AuthorizationResponse(code=CODE))


def test_foreign_parameters_are_left_out_and_may_be_repeated() -> None:
    pairs = [("utm", "1"), ("utm", "2"), ("Code", "x"), ("code ", "x"), ("code", CODE)]
    assert ResponseParameters.parse(pairs).values == {"code": CODE}


@pytest.mark.parametrize("name", PROTOCOL_PARAMETERS)
@pytest.mark.parametrize("values", [("a", "a"), ("a", "b"), ("", "a")])
def test_no_protocol_parameter_stands_twice(name: str, values: tuple[str, str]) -> None:
    pairs = [(name, values[0]), ("other", ""), (name, values[1])]
    with refused(ResponseRejected, "response_duplicate", f"{name} stands twice"):
        ResponseParameters.parse(pairs)


@pytest.mark.parametrize("name", PROTOCOL_PARAMETERS)
@pytest.mark.parametrize("value", ["\ufffd", "a\ufffdb", "\0", "a\0"])
def test_no_protocol_parameter_is_broken_text(name: str, value: str) -> None:
    with refused(ResponseRejected, "response_malformed", f"{name} is not UTF-8 text"):
        ResponseParameters.parse([(name, value)])


def test_broken_text_elsewhere_is_nobodys_business() -> None:
    assert ResponseParameters.parse([("x", "\ufffd\0")]).values == {}


def test_as_many_parameters_and_no_more() -> None:
    pairs = [(f"p{number}", "") for number in range(MAX_PARAMETERS - 1)] + [("code", CODE)]
    assert MAX_PARAMETERS == 30
    assert ResponseParameters.parse(pairs).values == {"code": CODE}
    with refused(ResponseRejected, "response_malformed", "too many parameters, or too long"):
        ResponseParameters.parse([("p", ""), *pairs])


def test_as_long_and_no_longer() -> None:
    rest = MAX_LENGTH - len("code") - len(CODE) - len("x")
    assert MAX_LENGTH == 8192
    assert ResponseParameters.parse([("code", CODE), ("x", "y" * rest)]).values == {"code": CODE}
    for longer in [("x", "y" * rest + "y"), ("xx", "y" * rest)]:
        with refused(ResponseRejected, "response_malformed", "too many parameters, or too long"):
            ResponseParameters.parse([("code", CODE), longer])


def test_the_length_is_that_of_all_together() -> None:
    with refused(ResponseRejected, "response_malformed", "too many parameters, or too long"):
        ResponseParameters.parse([("x", "y" * 5000), ("x", "y" * 5000)])


@pytest.mark.parametrize("pairs", [[], [("state", "")], [("code", CODE)]])
def test_without_a_state_there_is_none(pairs: list[tuple[str, str]]) -> None:
    parameters = ResponseParameters.parse(pairs)
    with refused(ResponseRejected, "state_missing"):
        parameters.state  # noqa: B018


@bounded
@given(
    st.lists(
        st.tuples(
            st.sampled_from(PROTOCOL_PARAMETERS) | st.text(),
            st.text() | st.text("\ufffd\0ab", max_size=9000),
        ),
        max_size=40,
    )
)
def test_parameters_of_a_stranger_have_one_error(pairs: list[tuple[str, str]]) -> None:
    try:
        values = ResponseParameters.parse(pairs).values
    except ResponseRejected:
        return
    assert values == {name: value for name, value in pairs if name in PROTOCOL_PARAMETERS}


def verify(iss_promised: bool = False, **values: str) -> AuthorizationResponse:
    return AuthorizationResponse.verify(
        ResponseParameters(values),
        transaction=make_transaction(),
        metadata=make_metadata(authorization_response_iss_parameter_supported=iss_promised),
    )


@pytest.mark.parametrize("iss_promised", [True, False])
def test_a_code_from_the_right_issuer(iss_promised: bool) -> None:
    assert verify(iss_promised, code=CODE, iss=ISSUER).code == CODE


def test_a_code_from_an_issuer_that_promises_no_iss() -> None:
    assert verify(code=CODE).code == CODE


@pytest.mark.parametrize("answer", [{"code": CODE}, {"error": "access_denied"}])
def test_an_iss_that_was_promised_is_demanded(answer: dict[str, str]) -> None:
    with refused(ResponseRejected, "issuer_missing", f"expected iss={ISSUER!r}"):
        verify(True, **answer)


@pytest.mark.parametrize(
    "iss",
    [
        *("", f"{ISSUER}/", ISSUER.upper(), "https://op.example:443", "https://evil.example"),
        f"{ISSUER} ",
    ],
)
@pytest.mark.parametrize("iss_promised", [True, False])
@pytest.mark.parametrize("answer", [{"code": CODE}, {"error": "access_denied"}])
def test_an_iss_is_compared_character_by_character(
    iss: str, iss_promised: bool, answer: dict[str, str]
) -> None:
    with refused(ResponseRejected, "issuer_mismatch", f"expected {ISSUER!r}, found {iss!r}"):
        verify(iss_promised, iss=iss, **answer)


def test_a_foreign_iss_is_shown_cut() -> None:
    found = "x" * 200
    with refused(ResponseRejected, "issuer_mismatch", f"expected {ISSUER!r}, found {found!r}"):
        verify(code=CODE, iss=found + "y")


@pytest.mark.parametrize(
    ("code", "found"), [("", 0), ("x" * (MAX_CODE_LENGTH + 1), MAX_CODE_LENGTH + 1)]
)
def test_a_code_is_neither_empty_nor_endless(code: str, found: int) -> None:
    with refused(ResponseRejected, "code_missing", f"{found} characters"):
        verify(code=code)


def test_a_code_may_be_missing_or_as_long_as_this() -> None:
    assert MAX_CODE_LENGTH == 4096
    assert len(verify(code="x" * MAX_CODE_LENGTH).code) == MAX_CODE_LENGTH
    assert verify(code="x").code == "x"
    with refused(ResponseRejected, "code_missing", "0 characters"):
        verify(id_token="a.b.c", access_token="x")


@pytest.mark.parametrize("description", [{}, {"error_description": "No <b>chance</b>"}])
@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        ("access_denied", "access_denied", 403),
        ("server_error", "provider_refused", 502),
        ("temporarily_unavailable", "provider_refused", 503),
        ("invalid_scope", "provider_refused", 400),
        ("login_required", "provider_refused", 400),
        ("", "provider_refused", 400),
    ],
)
def test_an_error_counts_before_a_code(
    error: str, code: str, status: int, description: dict[str, str]
) -> None:
    with pytest.raises(ProviderRefused) as caught:
        verify(iss=ISSUER, error=error, code=CODE, **description)
    refused_with = caught.value
    assert (refused_with.code, refused_with.status_hint) == (code, status)
    assert refused_with.error == error
    assert refused_with.description == description.get("error_description", "")


def test_the_text_of_an_error_is_cut() -> None:
    error = refusal("e" * 201, "d" * 201)
    assert (error.error, error.description) == ("e" * 200, "d" * 200)
    assert error.code == "provider_refused"


@bounded
@given(
    st.dictionaries(st.sampled_from(PROTOCOL_PARAMETERS), st.text() | st.just(ISSUER)),
    st.booleans(),
)
def test_an_answer_of_a_stranger_is_a_code_or_an_error(
    values: dict[str, str], iss_promised: bool
) -> None:
    try:
        response = verify(iss_promised, **values)
    except ParJarError:
        return
    assert response.code == values["code"] != ""
    assert values.get("iss", ISSUER) == ISSUER
    assert "error" not in values
