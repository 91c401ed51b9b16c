from __future__ import annotations

from flask_parjar.protocol.request_level import DEFAULT_LEVEL, REQUEST_LEVELS


def test_the_levels() -> None:
    levels = {name: (level.pushed, level.signed) for name, level in REQUEST_LEVELS.items()}
    assert levels == {
        "pushed+signed": (True, True),
        "pushed": (True, False),
        "signed": (False, True),
        "plain": (False, False),
    }
    assert DEFAULT_LEVEL == "pushed+signed"
