"""The rules of a preset, made from the preset itself.

``.. preset:: NAME`` shows each rule, with a link to where the provider says so, and the day on
which that was read.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from flask_parjar.testing import PRESETS, Preset


def table_rows(preset: Preset) -> list[str]:
    """The lines of a ``list-table`` for the rules of a preset."""
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "   :widths: 60 40",
        "",
        "   * - What it demands",
        "     - Source, and when it was read",
    ]
    for rule in preset.rules:
        lines += [f"   * - {rule.demand}", f"     - {linked(rule.source)}, {rule.read}"]
    return lines


def linked(source: str) -> str:
    """A link to a source: a URL, or a file of a public repository."""
    if source.startswith("https://"):
        return f"`{urlsplit(source).hostname} <{source}>`__"
    repository, _, path = source.partition(": ")
    return f"`{repository} <https://github.com/{repository}/blob/HEAD/{path}>`__"


class PresetTable(SphinxDirective):
    """``.. preset::`` with the name of the preset to show."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if name not in PRESETS:
            raise self.error(f"there is no preset {name}")
        source, _ = self.get_source_info()
        holder = nodes.Element()
        rows = StringList(table_rows(PRESETS[name]), source)
        self.state.nested_parse(rows, self.content_offset, holder)
        return list(holder.children)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("preset", PresetTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
