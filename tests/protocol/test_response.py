from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_parjar.errors import ParJarError, ProviderRefused, ResponseRejected
from flask_parjar.protocol.agreement import Agreement
from flask_parjar.protocol.response import (
    MAX_CODE_LENGTH,
    MAX_LENGTH,
    MAX_PARAMETERS,
    AuthorizationResponse,
    ResponseParameters,
    refusal,
)
from tests.protocol.examples import ISSUER, make_agreement, make_transaction
from tests.support.errors import refused
from tests.support.untrusted import bounded

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
    with refused(ResponseRejected, "response_duplicate", name):
        ResponseParameters.parse(pairs)


FOR_PEOPLE = ("error_description", "error_uri")


@pytest.mark.parametrize("name", PROTOCOL_PARAMETERS)
@pytest.mark.parametrize("value", ["\ufffd", "a\ufffdb", "\0", "a\0"])
def test_no_protocol_parameter_is_broken_text(name: str, value: str) -> None:
    if name in FOR_PEOPLE and "\0" not in value:
        assert ResponseParameters.parse([(name, value)]).values == {name: value}
        return
    with refused(ResponseRejected, "response_malformed", name):
        ResponseParameters.parse([(name, value)])


def test_broken_text_in_other_parameters_is_ignored() -> None:
    assert ResponseParameters.parse([("x", "\ufffd\0")]).values == {}


def test_as_many_parameters_and_no_more() -> None:
    pairs = [(f"p{number}", "") for number in range(MAX_PARAMETERS - 1)] + [("code", CODE)]
    assert MAX_PARAMETERS == 30
    assert ResponseParameters.parse(pairs).values == {"code": CODE}
    with refused(ResponseRejected, "response_malformed", "30", "8192"):
        ResponseParameters.parse([("p", ""), *pairs])


def test_as_long_and_no_longer() -> None:
    rest = MAX_LENGTH - len("code") - len(CODE) - len("x")
    assert MAX_LENGTH == 8192
    assert ResponseParameters.parse([("code", CODE), ("x", "y" * rest)]).values == {"code": CODE}
    for longer in [("x", "y" * rest + "y"), ("xx", "y" * rest)]:
        with refused(ResponseRejected, "response_malformed"):
            ResponseParameters.parse([("code", CODE), longer])


def test_the_length_is_that_of_all_together() -> None:
    with refused(ResponseRejected, "response_malformed"):
        ResponseParameters.parse([("x", "y" * 5000), ("x", "y" * 5000)])


@pytest.mark.parametrize("pairs", [[], [("state", "")], [("code", CODE)]])
def test_a_response_without_a_state(pairs: list[tuple[str, str]]) -> None:
    parameters = ResponseParameters.parse(pairs)
    with refused(ResponseRejected, "state_missing"):
        parameters.state  # noqa: B018


def test_a_response_in_one_parameter_that_was_not_asked_for_is_named() -> None:
    parameters = ResponseParameters.parse([("response", "a.b.c")])
    with refused(ResponseRejected, "state_missing", "response"):
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
def test_any_parameters_are_read_or_have_one_error(pairs: list[tuple[str, str]]) -> None:
    try:
        values = ResponseParameters.parse(pairs).values
    except ResponseRejected:
        return
    assert values == {name: value for name, value in pairs if name in PROTOCOL_PARAMETERS}


def verify(iss_promised: bool = False, **values: str) -> AuthorizationResponse:
    return AuthorizationResponse.verify(
        ResponseParameters(values),
        transaction=make_transaction(),
        agreement=make_agreement(iss_required=iss_promised),
    )


@pytest.mark.parametrize("iss_promised", [True, False])
def test_a_code_from_the_right_issuer(iss_promised: bool) -> None:
    assert verify(iss_promised, code=CODE, iss=ISSUER).code == CODE


def test_a_code_from_an_issuer_that_promises_no_iss() -> None:
    assert verify(code=CODE).code == CODE


@pytest.mark.parametrize("answer", [{"code": CODE}, {"error": "access_denied"}])
def test_an_iss_that_was_promised_is_demanded(answer: dict[str, str]) -> None:
    with refused(ResponseRejected, "issuer_missing", f"iss={ISSUER!r}"):
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
    with refused(ResponseRejected, "issuer_mismatch", f"{ISSUER!r}", f"{iss!r}"):
        verify(iss_promised, iss=iss, **answer)


@pytest.mark.parametrize("answer", [{"code": CODE}, {"code": CODE, "iss": ISSUER}, {"error": "x"}])
def test_the_login_began_at_the_provider_that_is_configured_now(answer: dict[str, str]) -> None:
    """A code of the one is not sent to the other."""
    other = "https://other.example"
    with refused(ResponseRejected, "issuer_mismatch", f"{ISSUER!r}", f"{other!r}"):
        AuthorizationResponse.verify(
            ResponseParameters(answer),
            transaction=make_transaction(),
            agreement=make_agreement(issuer=other),
        )


def test_a_foreign_iss_is_shown_cut() -> None:
    found = "x" * 200
    with refused(ResponseRejected, "issuer_mismatch", f"{ISSUER!r}", f"{found!r}"):
        verify(code=CODE, iss=found + "y")


@pytest.mark.parametrize(
    ("code", "found"), [("", 0), ("x" * (MAX_CODE_LENGTH + 1), MAX_CODE_LENGTH + 1)]
)
def test_a_code_is_neither_empty_nor_endless(code: str, found: int) -> None:
    with refused(ResponseRejected, "code_missing", f"{found}"):
        verify(code=code)


def test_a_code_may_be_missing_or_as_long_as_this() -> None:
    assert MAX_CODE_LENGTH == 4096
    assert len(verify(code="x" * MAX_CODE_LENGTH).code) == MAX_CODE_LENGTH
    assert verify(code="x").code == "x"
    with refused(ResponseRejected, "code_missing", "0"):
        verify(id_token="a.b.c", access_token="x")


@pytest.mark.parametrize("description", [{}, {"error_description": "No <b>chance</b>"}])
@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        ("access_denied", "access_denied", 403),
        ("server_error", "provider_refused", 502),
        ("temporarily_unavailable", "provider_refused", 503),
        ("invalid_scope", "provider_refused", 400),
        ("login_required", "interaction_required", 401),
        ("interaction_required", "interaction_required", 401),
        ("consent_required", "interaction_required", 401),
        ("account_selection_required", "interaction_required", 401),
        ("unmet_authentication_requirements", "step_up_failed", 403),
        ("Login_required", "provider_refused", 400),
        ("", "provider_refused", 400),
    ],
)
def test_an_error_counts_before_a_code(
    error: str, code: str, status: int, description: dict[str, str]
) -> None:
    with pytest.raises(ProviderRefused) as caught:
        verify(iss=ISSUER, error=error, code=CODE, **description)
    refused_with = caught.value
    assert (refused_with.error_code, refused_with.status_hint) == (code, status)
    assert refused_with.error == error
    assert refused_with.description == description.get("error_description", "")


def test_the_text_of_an_error_is_cut() -> None:
    error = refusal("e" * 201, "d" * 201)
    assert (error.error, error.description) == ("e" * 200, "d" * 200)
    assert error.error_code == "provider_refused"


@bounded
@given(
    st.dictionaries(st.sampled_from(PROTOCOL_PARAMETERS), st.text() | st.just(ISSUER)),
    st.booleans(),
)
def test_any_answer_is_a_code_or_an_error(values: dict[str, str], iss_promised: bool) -> None:
    try:
        response = verify(iss_promised, **values)
    except ParJarError:
        return
    assert response.code == values["code"] != ""
    assert values.get("iss", ISSUER) == ISSUER
    assert "error" not in values


# The issuer that the ID token names, of a provider of several tenants.

TENANTS = "https://login.example/common/v2.0"


def of_tenants() -> Agreement:
    return make_agreement(issuer=TENANTS, tenants=frozenset("ab"))


@pytest.mark.parametrize(
    "iss", [None, "https://login.example/a/v2.0", "https://login.example/{tenantid}/v2.0"]
)
def test_a_response_of_the_tenant_of_the_id_token(iss: str | None) -> None:
    response = AuthorizationResponse(code=CODE, issuer=iss)
    response.verify_issuer("https://login.example/a/v2.0", agreement=of_tenants())


@pytest.mark.parametrize("iss", ["https://login.example/b/v2.0", TENANTS, ""])
def test_a_response_of_another_tenant(iss: str) -> None:
    response = AuthorizationResponse(code=CODE, issuer=iss)
    with refused(ResponseRejected, "issuer_mismatch", repr(iss), "https://login.example/a/v2.0"):
        response.verify_issuer("https://login.example/a/v2.0", agreement=of_tenants())


@pytest.mark.parametrize("iss", [None, ISSUER])
def test_the_issuer_that_a_response_names_is_kept(iss: str | None) -> None:
    pairs = [("code", CODE), *([] if iss is None else [("iss", iss)])]
    response = AuthorizationResponse.verify(
        ResponseParameters.parse(pairs), transaction=make_transaction(), agreement=make_agreement()
    )
    assert (response.code, response.issuer) == (CODE, iss)
