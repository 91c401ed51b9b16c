"""A dict of this process that keeps its newest entries."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def put_newest(entries: dict[K, V], key: K, value: V, *, at_most: int) -> None:
    """Put an entry into a dict, a new one at its end.

    If the dict is full, its older half goes first: half of it at once, so that a full dict is not
    cut at each call. Threads need no lock: each step is a single operation of a dict. An entry that
    is there keeps its place: if it was removed and put at the end, another thread could miss it in
    between.
    """
    if key in entries:
        entries[key] = value
        return
    if len(entries) >= at_most:
        for older in list(entries)[: at_most // 2]:
            entries.pop(older, None)
    entries[key] = value
