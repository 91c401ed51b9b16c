"""A dict of this process that keeps its newest entries."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def put_newest(entries: dict[K, V], key: K, value: V, *, at_most: int) -> None:
    """Put an entry at the end of a dict. If the dict is full, its older half goes first.

    Half of it at once, so that a full dict is not cut at each call. Threads need no lock: each
    step is a single operation of a dict.
    """
    if len(entries) >= at_most:
        for older in list(entries)[: at_most // 2]:
            entries.pop(older, None)
    entries.pop(key, None)
    entries[key] = value
