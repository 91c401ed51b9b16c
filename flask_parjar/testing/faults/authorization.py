"""Faults of the authorization request and response: the push, and what the browser carries back."""

from __future__ import annotations

from ..answers import Answer, AuthorizationAnswer
from .table import FaultTable, busy, error, oversized, page, redirect

_FAPI2 = "fapi2-security-profile-final-client-test-"
_ENSURE = _FAPI2 + "ensure-authorization-response-with-"
table: FaultTable = FaultTable()


@table.at("par")
def par_200(answer: Answer) -> None:
    """The push succeeds with 200 instead of 201: it is accepted."""
    answer.status = 200


@table.at("par")
def par_html(answer: Answer) -> None:
    """The answer to the push is an HTML page, with status 200."""
    page(answer, 200)


@table.at("par")
def par_not_an_object(answer: Answer) -> None:
    """The answer to the push is a JSON array."""
    answer.members = [answer.members]


@table.at("par")
def par_oversized(answer: Answer) -> None:
    """The answer to the push has 50 MB."""
    oversized(answer)


@table.at("par")
def par_request_uri_missing(answer: Answer) -> None:
    """The answer to the push has no `request_uri`."""
    answer.drop("request_uri")


@table.at("par")
def par_request_uri_empty(answer: Answer) -> None:
    """The `request_uri` is empty."""
    answer.put("request_uri", "")


@table.at("par")
def par_request_uri_not_a_string(answer: Answer) -> None:
    """The `request_uri` is an array."""
    answer.put("request_uri", [answer.document.get("request_uri")])


@table.at("par")
def par_request_uri_control_characters(answer: Answer) -> None:
    """The `request_uri` has a line break and a header after it."""
    answer.put("request_uri", f"{answer.document.get('request_uri')}\r\nSet-Cookie: session=stolen")


@table.at("par")
def par_request_uri_oversized(answer: Answer) -> None:
    """The `request_uri` has 100,000 characters."""
    answer.put("request_uri", "urn:" + "x" * 100_000)


@table.at("par")
def par_request_uri_unknown(answer: Answer) -> None:
    """The `request_uri` is one that the authorization endpoint does not know."""
    answer.put("request_uri", "urn:ietf:params:oauth:request_uri:of-another-request")


@table.at("par")
def par_expires_in_missing(answer: Answer) -> None:
    """The answer to the push has no `expires_in`."""
    answer.drop("expires_in")


@table.at("par")
def par_expires_in_zero(answer: Answer) -> None:
    """The pushed request expires at once."""
    answer.put("expires_in", 0)


@table.at("par")
def par_expires_in_negative(answer: Answer) -> None:
    """The pushed request expired five seconds ago."""
    answer.put("expires_in", -5)


@table.at("par")
def par_expires_in_string(answer: Answer) -> None:
    """The lifetime of the pushed request is a string."""
    answer.put("expires_in", "60")


@table.at("par")
def par_error_invalid_client(answer: Answer) -> None:
    """The push is refused: the client is unknown."""
    error(answer, "invalid_client", status=401)


@table.at("par")
def par_error_invalid_request_object(answer: Answer) -> None:
    """The push is refused: the request object is not valid."""
    error(answer, "invalid_request_object")


@table.at("par")
def par_error_request_ignored(answer: Answer) -> None:
    """The push is refused: the provider does not read request objects, and misses a parameter."""
    error(answer, "invalid_request")
    answer.put("error_description", "OAuth 2.0 Parameter: response_type")


@table.at("par")
def par_error_without_body(answer: Answer) -> None:
    """The push is refused with 403 and an empty body."""
    answer.status, answer.body = 403, b""


@table.at("par")
def par_error_not_a_string(answer: Answer) -> None:
    """The push is refused, and the error is an object."""
    answer.status, answer.members = 400, {"error": {"code": 1}, "error_description": ["?"]}


@table.at("par")
def par_413(answer: Answer) -> None:
    """The push is too large for the provider."""
    page(answer, 413)


@table.at("par")
def par_429(answer: Answer) -> None:
    """There are too many pushes; the client should try again in an hour."""
    busy(answer, 429, retry_after="3600")


@table.at("par", times=1)
def par_429_once(answer: Answer) -> None:
    """There are too many pushes, once; the client should try again at once."""
    busy(answer, 429, retry_after="0")


@table.at("par")
def par_500(answer: Answer) -> None:
    """The provider fails during the push."""
    page(answer, 500)


@table.at("par")
def par_503(answer: Answer) -> None:
    """The provider is down for maintenance and does not say until when."""
    busy(answer, 503, retry_after=None)


@table.at("par", times=1)
def par_503_once(answer: Answer) -> None:
    """The provider is busy, once; the client should try again at once."""
    busy(answer, 503, retry_after="0")


@table.at("par")
def par_redirect(answer: Answer) -> None:
    """The push is redirected to an internal address."""
    redirect(answer)


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
    """The response has a `state` that was never sent."""
    answer.put("state", "a-state-that-was-never-sent")


@table.at("response", oidf=_ENSURE + "invalid-missing-state-fails")
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
    answer.put("code", "a-code-that-was-never-issued")


@table.at("response")
def response_code_oversized(answer: AuthorizationAnswer) -> None:
    """The response has a code of 100,000 characters."""
    answer.put("code", "c" * 100_000)


@table.at("response")
def response_code_and_error(answer: AuthorizationAnswer) -> None:
    """The response has both a code and an error."""
    answer.put("error", "server_error")


@table.at("response")
def response_error_access_denied(answer: AuthorizationAnswer) -> None:
    """The provider says that the person cancelled the login."""
    _error(answer, "access_denied", "The person refused.")


@table.at("response")
def response_error_server_error(answer: AuthorizationAnswer) -> None:
    """The provider says that it failed, without a description."""
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
