"""The tables of error codes, made from the table that the code itself uses.

``.. error-codes:: 400 404`` shows the codes with these HTTP statuses, and the role ``errcode``
links to a row. Nothing is written twice, so nothing can differ.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.roles import XRefRole
from sphinx.util.docutils import SphinxDirective

from flask_parjar.error_codes import CODES


def codes_with(statuses: Sequence[int]) -> list[str]:
    """The codes that have one of these HTTP statuses, in the order of the table."""
    return [code for code, meaning in CODES.items() if meaning.status in statuses]


def table_rows(codes: Sequence[str]) -> list[str]:
    """The lines of a ``list-table`` for these codes."""
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "   :widths: 24 34 42",
        "   :class: error-codes",
        "",
        "   * - Code",
        "     - For the visitor",
        "     - For the operator",
    ]
    for code in codes:
        meaning = CODES[code]
        lines += [
            f"   * - ``{code}`` {meaning.status}",
            f"     - {escaped(meaning.visitor)}",
            f"     - {linked(escaped(meaning.operator))}",
        ]
    return lines


def escaped(sentence: str) -> str:
    """A sentence as reST, with its markup characters escaped."""
    return re.sub(r"([*`|\\])", r"\\\1", sentence)


def linked(sentence: str) -> str:
    """Link the configuration keys and the RFCs that a sentence names."""
    sentence = re.sub(r"\bPARJAR_[A-Z_]*[A-Z]", r":confval:`\g<0>`", sentence)
    return re.sub(r"\bRFC (\d+)", r":rfc:`\1`", sentence)


class ErrorCodes(SphinxDirective):
    """``.. error-codes::`` with the HTTP statuses to show."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        codes = codes_with([int(status) for status in self.arguments[0].split()])
        if not codes:
            raise self.error(f"no error code has the status {self.arguments[0]}")
        source, _ = self.get_source_info()
        holder = nodes.Element()
        self.state.nested_parse(StringList(table_rows(codes), source), self.content_offset, holder)
        rows = [row for body in holder.findall(nodes.tbody) for row in body.children]
        standard: Any = self.env.get_domain("std")
        for row, code in zip(rows, codes, strict=True):
            anchor = f"error-{code}"
            row["ids"].append(anchor)
            standard.note_object("errcode", code, anchor, location=self.get_location())
        return list(holder.children)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_object_type("errcode", "errcode", objname="error code")
    app.add_role_to_domain("std", "errcode", XRefRole(warn_dangling=True), override=True)
    app.add_directive("error-codes", ErrorCodes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
