"""Faults of the push: what the provider answers to a pushed authorization request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .bodies import busy, error, oversized, page, redirect
from .table import FaultTable

if TYPE_CHECKING:
    from ..answers import Answer

table: FaultTable = FaultTable()


@table.at("par")
def par_200(answer: Answer) -> None:
    """The push succeeds with 200 where the standard says 201: it counts all the same."""
    answer.status = 200


@table.at("par")
def par_html(answer: Answer) -> None:
    """The answer to the push is a page for people, with status 200."""
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
    """The `request_uri` carries a line break and a header after it."""
    answer.put("request_uri", f"{answer.document.get('request_uri')}\r\nSet-Cookie: session=stolen")


@table.at("par")
def par_request_uri_oversized(answer: Answer) -> None:
    """The `request_uri` has 100,000 characters."""
    answer.put("request_uri", "urn:" + "x" * 100_000)


@table.at("par")
def par_request_uri_unknown(answer: Answer) -> None:
    """The `request_uri` is one that the authorization endpoint does not know."""
    answer.put("request_uri", "urn:ietf:params:oauth:request_uri:of-somebody-else")


@table.at("par")
def par_expires_in_missing(answer: Answer) -> None:
    """The answer to the push does not say how long it holds."""
    answer.drop("expires_in")


@table.at("par")
def par_expires_in_zero(answer: Answer) -> None:
    """The pushed request is over at once."""
    answer.put("expires_in", 0)


@table.at("par")
def par_expires_in_negative(answer: Answer) -> None:
    """The pushed request was over five seconds ago."""
    answer.put("expires_in", -5)


@table.at("par")
def par_expires_in_string(answer: Answer) -> None:
    """The lifetime of the pushed request is a string."""
    answer.put("expires_in", "60")


@table.at("par")
def par_error_invalid_client(answer: Answer) -> None:
    """The push is refused: the client is not known."""
    error(answer, "invalid_client", status=401)


@table.at("par")
def par_error_invalid_request_object(answer: Answer) -> None:
    """The push is refused: the request object does not hold."""
    error(answer, "invalid_request_object")


@table.at("par")
def par_error_without_body(answer: Answer) -> None:
    """The push is refused with 403 and not a word."""
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
    """Too many pushes; try again in an hour."""
    busy(answer, 429, retry_after="3600")


@table.at("par", times=1)
def par_429_once(answer: Answer) -> None:
    """Too many pushes, once; try again at once."""
    busy(answer, 429, retry_after="0")


@table.at("par")
def par_500(answer: Answer) -> None:
    """The provider fails while it takes the push."""
    page(answer, 500)


@table.at("par")
def par_503(answer: Answer) -> None:
    """The provider is down for maintenance and does not say until when."""
    busy(answer, 503, retry_after=None)


@table.at("par", times=1)
def par_503_once(answer: Answer) -> None:
    """The provider is busy, once; try again at once."""
    busy(answer, 503, retry_after="0")


@table.at("par")
def par_redirect(answer: Answer) -> None:
    """The push is redirected to an address inside."""
    redirect(answer)
