"""The tables of faults, made from the table that the tests use.

``.. fault-table:: The ID token`` shows one section of ``tests/support/fault_table.py``, and the
role ``fault`` links to a row. What a provider does is described by ``flask_parjar.testing``.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from error_codes_table import escaped, linked
from sphinx.application import Sphinx
from sphinx.roles import XRefRole
from sphinx.util.docutils import SphinxDirective

from flask_parjar.testing import FAULTS as MISDEEDS
from tests.support.fault_table import ENDS_AT_THE_PROVIDER, FAULTS, Row

_CALLS = {"D": "discovery", "P": "push", "T": "code exchange", "J": "keys", "U": "userinfo"}
#: What was prevented, by the last request that was made.
_NEXT = {"D": "the push", "T": "the keys", "J": "the session", "U": "the session"}
_TIMES = {1: "", 2: " twice"}


def table_rows(section: str) -> list[str]:
    """The lines of a ``list-table`` for one section."""
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "   :widths: 48 28 24",
        "   :class: faults",
        "",
        "   * - What the provider does",
        "     - What your site does",
        "     - When it stops",
    ]
    for fault, row in FAULTS[section].items():
        misdeed = MISDEEDS[fault]
        lines += [
            f"   * - | {in_words(misdeed.summary)}",
            f"       | ``{fault}``",
            *([f"       | OpenID Foundation: ``{misdeed.oidf}``"] if misdeed.oidf else []),
            f"     - | {outcome(fault, row)}",
            f"     - | {reach(fault, row)}",
            f"       | {calls(row.steps)}",
        ]
    return lines


def in_words(summary: str) -> str:
    """A summary as reST: what is in backticks there is literal."""
    return "".join(
        f"``{part}``" if position % 2 else linked(escaped(part))
        for position, part in enumerate(summary.split("`"))
    )


def outcome(fault: str, row: Row) -> str:
    """Our code and the status of the page, or a text if there is none."""
    if row.code is not None:
        return f":errcode:`{row.code}` {row.status}"
    if fault in ENDS_AT_THE_PROVIDER:
        return "the provider shows an error page; no answer comes back"
    return "accepts it, as the standards allow"


def reach(fault: str, row: Row) -> str:
    """Before which step the login was stopped."""
    if fault in ENDS_AT_THE_PROVIDER:
        return "stopped before the callback"
    if row.code is None:
        return "logged in"
    last = row.steps[-1]
    if last == "P":
        back = fault.startswith("response_")
        return f"stopped before {'the code exchange' if back else 'the redirect'}"
    return f"stopped before {_NEXT[last]}"


def calls(steps: str) -> str:
    """The requests that were made, in order."""
    runs = [(_CALLS[step], len(list(same))) for step, same in groupby(steps)]
    return ", ".join(f"{call}{_TIMES[times]}" for call, times in runs)


class FaultTable(SphinxDirective):
    """``.. fault-table::`` with the section to show."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        section = self.arguments[0]
        if section not in FAULTS:
            raise self.error(f"the table of faults has no section {section!r}")
        source, _ = self.get_source_info()
        holder = nodes.Element()
        self.state.nested_parse(
            StringList(table_rows(section), source), self.content_offset, holder
        )
        rows = [row for body in holder.findall(nodes.tbody) for row in body.children]
        standard: Any = self.env.get_domain("std")
        for row, fault in zip(rows, FAULTS[section], strict=True):
            anchor = f"fault-{fault}"
            row["ids"].append(anchor)
            standard.note_object("fault", fault, anchor, location=self.get_location())
        return list(holder.children)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_object_type("fault", "fault", objname="fault of a provider")
    app.add_role_to_domain("std", "fault", XRefRole(warn_dangling=True), override=True)
    app.add_directive("fault-table", FaultTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
