"""Faults of rich authorization requests (RFC 9396): what the token endpoint grants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..answers import Answer
from .table import FaultTable

_NAME = "authorization_details"
table: FaultTable = FaultTable()
refresh_table: FaultTable = FaultTable()


def _granted(answer: Answer) -> list[dict[str, Any]]:
    listed = answer.document.get(_NAME)
    return (
        [dict(each) for each in listed if isinstance(each, Mapping)]
        if (isinstance(listed, list))
        else []
    )


@table.at("token")
def token_details_unasked(answer: Answer) -> None:
    """A detail of a type that was not requested is granted beside the others."""
    answer.put(_NAME, [*_granted(answer), {"type": "a-type-that-was-not-requested"}])


@table.at("token")
def token_details_not_a_list(answer: Answer) -> None:
    """`authorization_details` is one object."""
    answer.put(_NAME, {"type": "payment_initiation"})


@table.at("token")
def token_details_text(answer: Answer) -> None:
    """`authorization_details` is the text of a JSON array."""
    answer.put(_NAME, '[{"type": "payment_initiation"}]')


@table.at("token")
def token_details_not_objects(answer: Answer) -> None:
    """`authorization_details` is an array of strings."""
    answer.put(_NAME, ["payment_initiation"])


@table.at("token")
def token_details_type_missing(answer: Answer) -> None:
    """A granted detail has no `type`."""
    answer.put(_NAME, [{"amount": "1.00"}])


@table.at("token")
def token_details_type_not_a_string(answer: Answer) -> None:
    """The `type` of a granted detail is an array with the right one in it."""
    answer.put(_NAME, [{"type": ["payment_initiation"]}])


@table.at("token")
def token_details_oversized(answer: Answer) -> None:
    """A granted detail has 100,000 characters."""
    answer.put(_NAME, [{"type": "payment_initiation", "padding": "x" * 100_000}])


@table.at("token")
def token_details_many(answer: Answer) -> None:
    """One thousand details are granted."""
    answer.put(_NAME, [{"type": "payment_initiation"}] * 1000)


@table.at("token")
def token_details_deep(answer: Answer) -> None:
    """A granted detail is nested in 20 levels."""
    inner: object = "x"
    for _ in range(20):
        inner = [inner]
    answer.put(_NAME, [{"type": "payment_initiation", "inner": inner}])


@table.at("token")
def token_details_enriched(answer: Answer) -> None:
    """The provider adds an account to a requested detail: it may."""
    answer.put(_NAME, [{**each, "account": "DE40100100103307118608"} for each in _granted(answer)])


@table.at("token")
def token_details_fewer(answer: Answer) -> None:
    """One of the requested details is not granted: that is logged."""
    answer.put(_NAME, _granted(answer)[:1])


@table.at("token")
def token_details_missing(answer: Answer) -> None:
    """The answer does not have `authorization_details`: nothing is granted, which is logged."""
    answer.drop(_NAME)


@table.at("metadata")
def metadata_details_types_other(answer: Answer) -> None:
    """No requested type of `authorization_details` is listed."""
    answer.put("authorization_details_types_supported", ["a-type-that-was-not-requested"])


@table.at("metadata")
def metadata_details_types_missing(answer: Answer) -> None:
    """The types of `authorization_details` are not listed: the list is optional."""
    answer.drop("authorization_details_types_supported")


@refresh_table.at("refresh")
def refresh_details_unasked(answer: Answer) -> None:
    """A renewal grants a detail of a type that was not requested."""
    token_details_unasked(answer)
