"""The table of weaknesses of other packages, made from the tests that check this one for them.

``.. published-weaknesses::`` shows each test of ``tests/test_advisories.py``: the first paragraph
of its docstring, which describes the weakness and names the package, and the test's name.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from error_codes_table import linked
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

TESTS = Path(__file__).parents[2] / "tests" / "test_advisories.py"


def read_tests(source: str) -> dict[str, str]:
    """The tests of a file by name, each with the first paragraph of its docstring.

    :raises ValueError: for a test without a docstring.
    """
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            words = (ast.get_docstring(node) or "").partition("\n\n")[0]
            if not words:
                raise ValueError(f"{node.name} has no docstring")
            found[node.name] = " ".join(words.split())
    return found


def table_rows(found: dict[str, str]) -> list[str]:
    """The lines of a ``list-table`` for these tests."""
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "   :widths: 58 42",
        "   :class: narrow-code",
        "",
        "   * - Weakness, and the package that had it",
        "     - Test",
    ]
    for test, words in found.items():
        lines += [f"   * - {linked(_with_advisories(words))}", f"     - ``{test}``"]
    return lines


def _with_advisories(words: str) -> str:
    """Link the numbers of advisories to where they can be read."""
    if words.startswith("No number: "):
        words = words[11].upper() + words[12:]
    words = re.sub(r"\bCVE-\d+-\d+\b", r"`\g<0> <https://www.cve.org/CVERecord?id=\g<0>>`__", words)
    return re.sub(r"\bGHSA-[\w-]+", r"`\g<0> <https://github.com/advisories/\g<0>>`__", words)


class PublishedWeaknesses(SphinxDirective):
    """``.. published-weaknesses::``, without arguments."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(TESTS))
        found = read_tests(TESTS.read_text(encoding="utf-8"))
        if not found:
            raise self.error(f"{TESTS.name} has no test")
        source, _ = self.get_source_info()
        holder = nodes.Element()
        rows = StringList(table_rows(found), source)
        self.state.nested_parse(rows, self.content_offset, holder)
        return list(holder.children)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("published-weaknesses", PublishedWeaknesses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
