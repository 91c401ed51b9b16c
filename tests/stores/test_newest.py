"""A dict that keeps its newest entries."""

from __future__ import annotations

from flask_parjar.stores.newest import put_newest


def test_a_full_dict_loses_its_older_half() -> None:
    entries: dict[str, int] = {}
    for number in range(10):
        put_newest(entries, f"key {number}", number, at_most=10)
    assert len(entries) == 10
    put_newest(entries, "another", 10, at_most=10)
    assert list(entries.values()) == [5, 6, 7, 8, 9, 10]


def test_a_key_that_is_put_again_keeps_its_place() -> None:
    entries = {"a": 1, "b": 2}
    put_newest(entries, "a", 3, at_most=2)
    assert list(entries.items()) == [("a", 3), ("b", 2)]
    put_newest(entries, "c", 4, at_most=2)
    assert list(entries.items()) == [("b", 2), ("c", 4)]
