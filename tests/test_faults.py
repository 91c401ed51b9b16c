"""Each row of the table in fault_table.py, held against a provider that misbehaves so.

Three answers are asserted for each: it was *rejected* (the code and status of the row, and no one
is logged in), it had *no side effect* (not one call more than the row says), and the visitor got a
*clear page* (ours, with the code, a way on, and nothing of the provider's that is not text).
"""

from __future__ import annotations

import pytest

from flask_parjar.error_codes import CODES
from flask_parjar.testing import FAULTS as THAT_THERE_ARE
from tests.support.fault_table import ENDS_AT_THE_PROVIDER, FAULTS, STEPS, Row
from tests.support.faults import Outcome, attempt

ROWS = {fault: row for section in FAULTS.values() for fault, row in section.items()}


@pytest.mark.parametrize("fault", ROWS)
def test_fault(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    row = ROWS[fault]
    outcome = attempt(fault)
    assert (outcome.code, outcome.status) == (row.code, row.status)
    assert outcome.calls == tuple(STEPS[step] for step in row.steps)
    if fault in ENDS_AT_THE_PROVIDER:
        assert (outcome.place, outcome.logged_in) == ("provider", False)
    elif row.code is None:
        assert outcome.logged_in
    else:
        assert not outcome.logged_in
        check_page(outcome, row)
        assert any(f" {row.code}: " in message for message in caplog.messages)
        assert not any(record.exc_info for record in caplog.records)


def check_page(outcome: Outcome, row: Row) -> None:
    assert row.code is not None
    assert CODES[row.code].visitor.split(".")[0] in outcome.page.replace("&#39;", "'")
    again = 'href="/login?next=/me"', 'href="/login"', 'href="/me"'
    assert any(link in outcome.page for link in again) and 'href="/"' in outcome.page
    for never in ("<script", "<img", "Traceback"):
        assert never not in outcome.page
    assert len(outcome.page) < 6000


def test_the_table_knows_every_fault() -> None:
    assert len(THAT_THERE_ARE) > 150
    assert set(ROWS) == set(THAT_THERE_ARE)


def test_every_code_of_a_provider_s_doing_is_in_the_table() -> None:
    in_the_table = {row.code for row in ROWS.values()}
    for code in ("token_signature", "token_nonce", "issuer_mismatch", "push_answer", "metadata"):
        assert code in in_the_table
    assert in_the_table - {None} <= set(CODES)
