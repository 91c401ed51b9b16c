"""Answers that are not what was asked for: a page, an error, a redirect, too much."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..answers import Answer

PAGE = "<!doctype html><title>Welcome</title><p>Please log in to the hotel's network.</p>"
#: An address that only the provider's own network reaches: a client must not be led there.
INSIDE = "http://169.254.169.254/latest/meta-data/"
OVERSIZED_BYTES = 50_000_000


def page(answer: Answer, status: int) -> None:
    """Answer with a page for people."""
    answer.status, answer.content_type, answer.body = status, "text/html; charset=utf-8", PAGE


def redirect(answer: Answer) -> None:
    """Send the client, with all that it posted, to an address inside."""
    page(answer, 307)
    answer.headers["Location"] = INSIDE


def oversized(answer: Answer) -> None:
    """Send 50 MB of JSON, a megabyte at a time."""
    megabyte = b" " * 1_000_000
    pieces = [b'{"padding":"', *[megabyte] * (OVERSIZED_BYTES // len(megabyte)), b'"}']
    answer.body = iter(pieces)


def error(answer: Answer, code: str, *, status: int = 400) -> None:
    """Answer with an OAuth error."""
    answer.status, answer.body = status, None
    answer.members = {"error": code, "error_description": f"A fault of the provider: {code}."}


def busy(answer: Answer, status: int, *, retry_after: str | None) -> None:
    """Answer that there is no time now."""
    page(answer, status)
    if retry_after is not None:
        answer.headers["Retry-After"] = retry_after
