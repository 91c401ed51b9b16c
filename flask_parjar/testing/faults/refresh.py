"""Faults of what comes after a login: refreshed tokens, and tokens given back."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from .bodies import busy, error
from .table import FaultTable

if TYPE_CHECKING:
    from ..answers import Answer
    from ..id_token import IDTokenDraft

SLOW_SECONDS = 1
table: FaultTable = FaultTable()


@table.at("refresh")
def refresh_invalid_grant(answer: Answer) -> None:
    """The refresh token is refused."""
    error(answer, "invalid_grant")


@table.at("refresh")
def refresh_overloaded(answer: Answer) -> None:
    """The provider says 400, and that it is only for the moment."""
    error(answer, "temporarily_unavailable")


@table.at("refresh")
def refresh_503(answer: Answer) -> None:
    """The provider is down for maintenance when tokens are to be refreshed."""
    busy(answer, 503, retry_after=None)


@table.at("refresh")
def refresh_hangs_up(answer: Answer) -> None:
    """The provider uses the refresh token up, then hangs up in the middle of its answer."""
    # A server that has sent nothing yet would keep the connection open.
    beginning = answer.text()[:20].encode()
    answer.body = itertools.chain([beginning], iter(_hang_up, b""))


def _hang_up() -> bytes:
    raise ConnectionResetError("the provider hung up")


@table.at("refresh")
def refresh_slow(answer: Answer) -> None:
    """The provider takes a second to refresh tokens: it counts all the same."""
    time.sleep(SLOW_SECONDS)


@table.at("refresh")
def refresh_without_new_token(answer: Answer) -> None:
    """The refreshed tokens come without a new refresh token: the one there was holds on."""
    answer.drop("refresh_token")


@table.at("refresh")
def refresh_without_id_token(answer: Answer) -> None:
    """The refreshed tokens come without an ID token: they count all the same."""
    answer.drop("id_token")


@table.at("refresh_id_token")
def refresh_other_subject(draft: IDTokenDraft) -> None:
    """The refreshed ID token is that of another person."""
    draft.claims["sub"] = "somebody-else"


@table.at("refresh_id_token")
def refresh_other_issuer(draft: IDTokenDraft) -> None:
    """The refreshed ID token is of another issuer."""
    draft.claims["iss"] = "https://other-provider.example"


@table.at("revocation")
def revocation_503(answer: Answer) -> None:
    """The provider is down for maintenance when a token is to be revoked."""
    busy(answer, 503, retry_after=None)


@table.at("revocation")
def revocation_refused(answer: Answer) -> None:
    """The provider revokes no token of that type."""
    error(answer, "unsupported_token_type")
