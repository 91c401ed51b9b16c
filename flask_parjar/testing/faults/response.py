"""Faults of the authorization response: what the browser carries back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .table import FaultTable

if TYPE_CHECKING:
    from ..answers import AuthorizationAnswer

_FAPI2 = "fapi2-security-profile-final-client-test-"
_ENSURE = _FAPI2 + "ensure-authorization-response-with-"
table: FaultTable = FaultTable()


@table.at("response", oidf=_FAPI2 + "invalid-authorization-response-iss")
def response_iss_foreign(answer: AuthorizationAnswer) -> None:
    """The response says that it comes from another issuer."""
    answer.put("iss", "https://other-provider.example")


@table.at("response", oidf=_FAPI2 + "remove-authorization-response-iss")
def response_iss_missing(answer: AuthorizationAnswer) -> None:
    """The response has no `iss`, although the metadata promises it."""
    answer.drop("iss")


@table.at("response")
def response_iss_duplicated(answer: AuthorizationAnswer) -> None:
    """The response has `iss` twice, the second from another issuer."""
    answer.parameters.append(("iss", "https://other-provider.example"))


@table.at("response", oidf=_ENSURE + "invalid-state-fails")
def response_state_wrong(answer: AuthorizationAnswer) -> None:
    """The response carries a `state` that nobody sent."""
    answer.put("state", "a-state-that-nobody-sent")


@table.at(
    "response", oidf=_FAPI2 + "ensure-authorization-response-with-invalid-missing-state-fails"
)
def response_state_missing(answer: AuthorizationAnswer) -> None:
    """The response has no `state`."""
    answer.drop("state")


@table.at("response")
def response_state_duplicated(answer: AuthorizationAnswer) -> None:
    """The response has the same `state` twice."""
    answer.parameters.extend([pair for pair in answer.parameters if pair[0] == "state"])


@table.at("response")
def response_code_missing(answer: AuthorizationAnswer) -> None:
    """The response has neither a code nor an error."""
    answer.drop("code")


@table.at("response")
def response_code_empty(answer: AuthorizationAnswer) -> None:
    """The response has an empty code."""
    answer.put("code", "")


@table.at("response")
def response_code_duplicated(answer: AuthorizationAnswer) -> None:
    """The response has two codes, the second an attacker's."""
    answer.parameters.append(("code", "an-injected-code"))


@table.at("response")
def response_code_wrong(answer: AuthorizationAnswer) -> None:
    """The response has a code that was never issued."""
    answer.put("code", "a-code-that-nobody-issued")


@table.at("response")
def response_code_oversized(answer: AuthorizationAnswer) -> None:
    """The response has a code of 100,000 characters."""
    answer.put("code", "c" * 100_000)


@table.at("response")
def response_code_and_error(answer: AuthorizationAnswer) -> None:
    """The response has a code and an error at once."""
    answer.put("error", "server_error")


@table.at("response")
def response_error_access_denied(answer: AuthorizationAnswer) -> None:
    """The provider says that the person refused."""
    _error(answer, "access_denied", "The person refused.")


@table.at("response")
def response_error_server_error(answer: AuthorizationAnswer) -> None:
    """The provider says that it failed, and has no words for it."""
    _error(answer, "server_error", None)


@table.at("response")
def response_error_markup(answer: AuthorizationAnswer) -> None:
    """The error, its description and its URI are markup and script."""
    script = '"><script>document.title="owned"</script><img src=x onerror=alert(1)>'
    _error(answer, script, script)
    answer.put("error_uri", "javascript:alert(1)")


@table.at("response")
def response_error_oversized(answer: AuthorizationAnswer) -> None:
    """The error description has 100,000 characters."""
    _error(answer, "server_error", "words " * 16_667)


def _error(answer: AuthorizationAnswer, error: str, description: str | None) -> None:
    answer.drop("code")
    answer.put("error", error)
    if description is not None:
        answer.put("error_description", description)
