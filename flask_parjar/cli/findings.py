"""What ``flask parjar doctor`` finds, and how it is shown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import CodedError
from ..protocol.encoding import printable_text

#: The severities of a finding. The last one alone makes the exit code 1.
GOOD, WARNING, FAULT = "good", "warning", "fault"

_WORDS = {GOOD: "", WARNING: "WARNING", FAULT: "FAULT"}
_LONGEST = 2000  # characters of one text: some are a provider's
_WIDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    :param severity: `GOOD`, `WARNING` (it works, and should be changed) or `FAULT` (it will fail).
    :param about: ``app``, or the name of a provider.
    :param subject: what was looked at: a key, a route, a step of a login.
    :param found: what is there, or what is wrong.
    :param write: what to write or to do about it.
    """

    severity: str
    about: str
    subject: str
    found: str
    write: str = ""


def of_error(error: CodedError, *, about: str, subject: str) -> Finding:
    """The fault that an error of ours tells of."""
    return Finding(
        severity=FAULT,
        about=about,
        subject=subject,
        found=f"{error.error_code}: {error.detail}" if error.detail else error.error_code,
        write=error.advice,
    )


def has_faults(findings: Iterable[Finding]) -> bool:
    """Whether something will fail."""
    return any(finding.severity == FAULT for finding in findings)


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings for a program."""
    return {"good": not has_faults(findings), "findings": [asdict(each) for each in findings]}


def as_table(findings: Sequence[Finding]) -> Iterator[str]:
    """The findings for a person: the lines of a table for the app, and one for each provider."""
    for about in dict.fromkeys(finding.about for finding in findings):
        yield "The app" if about == "app" else f"Provider {about}"
        yield ""
        rows = [finding for finding in findings if finding.about == about]
        width = max(len(row.subject) for row in rows)
        for row in rows:
            yield from _lines(row, width)
        yield ""
    faults = sum(finding.severity == FAULT for finding in findings)
    warnings = sum(finding.severity == WARNING for finding in findings)
    yield f"{_count(faults, 'fault')}, {_count(warnings, 'warning')}"


def _lines(row: Finding, width: int) -> Iterator[str]:
    first = f"  {_WORDS[row.severity]:<8}{_shown(row.subject):<{width}}  "
    indent = " " * len(first)
    yield from textwrap.wrap(
        _shown(row.found),
        max(_WIDTH, width + 60),
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first]
    if row.write:
        yield from textwrap.wrap(
            f"To do: {_shown(row.write)}",
            max(_WIDTH, width + 60),
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _shown(text: str) -> str:
    """A text without characters that would change the terminal: some of it is a provider's."""
    return printable_text(text, at_most=_LONGEST)


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"
