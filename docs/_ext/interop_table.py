"""The table of what works at which provider, made from what the interop tests have shown.

``.. interop-table::`` shows ``docs/interop.csv``.
"""

from __future__ import annotations

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tests.support.interop_table import ABSENT, FEATURES, PROVIDERS, TABLE, WORKS, read_table

_SHOWN = {WORKS: "yes", ABSENT: "no", None: ""}


def table_rows() -> list[str]:
    """The lines of a ``list-table``."""
    results = read_table()
    tried = [each for each in PROVIDERS if any(provider == each for provider, _ in results)]
    lines = [".. list-table::", "   :header-rows: 1", "   :stub-columns: 1", ""]
    for feature, *cells in [("", *tried), *(_row(each, tried, results) for each in FEATURES)]:
        lines += [f"   * - {feature}", *(f"     - {cell}" for cell in cells)]
    return lines


def _row(feature: str, tried: list[str], results: dict[tuple[str, str], str]) -> list[str]:
    found = [results.get((provider, feature)) for provider in tried]
    return [feature, *(_SHOWN.get(result, f":errcode:`{result}`") for result in found)]


class InteropTable(SphinxDirective):
    """``.. interop-table::``, without arguments."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(TABLE))
        source, _ = self.get_source_info()
        holder = nodes.Element()
        self.state.nested_parse(StringList(table_rows(), source), self.content_offset, holder)
        return list(holder.children)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("interop-table", InteropTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
