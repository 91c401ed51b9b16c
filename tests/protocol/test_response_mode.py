from __future__ import annotations

from collections.abc import Callable

import pytest

from flask_parjar.protocol.client import RESPONSE_MODES_OF_THE_BROWSER, SIGNED_RESPONSE_MODES
from flask_parjar.protocol.jarm import peek_signed, unwrap_signed
from flask_parjar.protocol.opener import TokenOpener
from flask_parjar.protocol.response import ResponseParameters
from flask_parjar.protocol.response_mode import RESPONSE_MODES
from tests.protocol.examples import NOW


def open_nothing(verify: Callable[[TokenOpener], ResponseParameters]) -> ResponseParameters:
    raise AssertionError("a token was opened")


def test_each_mode_that_may_be_configured_has_a_row() -> None:
    assert {*RESPONSE_MODES} == {None, *RESPONSE_MODES_OF_THE_BROWSER}
    posted = [mode for mode, row in RESPONSE_MODES.items() if row.posted]
    assert posted == ["form_post", "form_post.jwt"]


@pytest.mark.parametrize("mode", [None, "query", "form_post"])
def test_nothing_is_around_a_plain_response(mode: str | None) -> None:
    received = ResponseParameters({"code": "x", "response": "ignored"})
    assert RESPONSE_MODES[mode].unwrap(received, open_nothing, NOW) is received
    assert RESPONSE_MODES[mode].peek(received) is received


@pytest.mark.parametrize("mode", SIGNED_RESPONSE_MODES)
def test_a_signed_mode_reads_only_what_is_signed(mode: str) -> None:
    row = RESPONSE_MODES[mode]
    assert (row.peek, row.unwrap) == (peek_signed, unwrap_signed)
