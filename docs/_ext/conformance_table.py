"""The tables of the OpenID Foundation's client test modules, made from the table of the tests.

``.. conformance-table:: PLAN`` shows the modules of a plan (``tests/conformance/table.py``); with
``:without: OTHER_PLAN``, those that the other plan does not have.
"""

from __future__ import annotations

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from fault_table import calls
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from flask_parjar.error_codes import CODES
from flask_parjar.testing import FAULTS
from tests.conformance.table import MODULES, ROWS, Row

#: What the site does if it accepts what the provider does, by the story of the row.
_ACCEPTED = {
    "login": "logs in; an API gets the access token",
    "new_key": "loads the keys once more, and logs in",
    "new_key_in_a_login": "loads the keys once more, and logs in",
    "renewal": "calls the API with the new access token",
    "logout": "has ended its session, and shows its page",
    "logout_token": "ends the session",
    "frame": "ends the session of this browser",
    "third_party": "begins a login at the provider that ``iss`` names; none at another one",
}
#: What becomes of a refusal, where it does not end a login.
_REFUSED = {
    "renewal": "the new tokens are not used, and the visitor has to log in",
    "logout_token": "answers 400, and the session lives on",
}


def table_rows(modules: list[str]) -> list[str]:
    """The lines of a ``list-table`` for these modules."""
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "   :widths: 36 32 32",
        "   :class: narrow-code",
        "",
        "   * - Module",
        "     - What the provider does",
        "     - What the site does",
    ]
    for module in modules:
        row = ROWS[module]
        lines += [f"   * - ``{module}``", f"     - {misdeed(row)}", f"     - {outcome(module)}"]
    return lines


def misdeed(row: Row) -> str:
    """What the provider does, with the name of the fault that does it in the tests."""
    return f"{row.does} (:fault:`{row.fault}`)" if row.fault in FAULTS else row.does


def outcome(module: str) -> str:
    """What the site does. The plans of OpenID Connect have no push."""
    row = ROWS[module]
    if row.code is None:
        return _ACCEPTED[row.story]
    if row.story in _REFUSED:
        return f":errcode:`{row.code}`: {_REFUSED[row.story]}"
    steps = row.steps.replace("P", "") if module.startswith("oidcc-") else row.steps
    return f":errcode:`{row.code}` {CODES[row.code].status} after: {calls(steps)}"


class ConformanceTable(SphinxDirective):
    """``.. conformance-table::`` with the plan to show."""

    required_arguments = 1
    option_spec = {"without": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        plans = MODULES["plans"]
        named = [self.arguments[0], *([self.options["without"]] if self.options else [])]
        if unknown := [plan for plan in named if plan not in plans]:
            raise self.error(f"there is no plan {', '.join(unknown)}")
        left_out = plans[named[1]] if self.options else {}
        modules = [module for module in plans[named[0]] if module not in left_out]
        source, _ = self.get_source_info()
        holder = nodes.Element()
        rows = StringList(table_rows(modules), source)
        self.state.nested_parse(rows, self.content_offset, holder)
        return list(holder.children)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("conformance-table", ConformanceTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
