"""A covering array: few rows in which each pair of values of two parameters occurs together.

Most faults of combinations need two values only. So the rows of a covering array find most of what
all combinations would find, in a small part of the time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

#: A value for each parameter, in the order of the parameters.
Row = tuple[str, ...]
#: Two values, each with the position of its parameter.
Pair = tuple[tuple[int, str], tuple[int, str]]


def all_rows(parameters: Mapping[str, Sequence[str]]) -> list[Row]:
    """Return every combination of the values, the last parameter changing fastest."""
    return list(itertools.product(*parameters.values()))


def pairs_of(row: Row) -> set[Pair]:
    """Return the pairs of values that occur together in a row."""
    return set(itertools.combinations(enumerate(row), 2))


def covering_rows(possible: Sequence[Row]) -> list[Row]:
    """Choose rows such that each pair of values that a possible row has is in one of them.

    Each time the row with the most new pairs is chosen, the first one of several. So the same rows
    are chosen each time, and a pair that is in no possible row is not waited for.

    :param possible: the rows to choose from: every combination that can be tried.
    """
    missing = pairs_in(possible)
    chosen = []
    while missing:
        best = max(possible, key=lambda row: len(pairs_of(row) & missing))
        missing -= pairs_of(best)
        chosen.append(best)
    return chosen


def pairs_in(rows: Iterable[Row]) -> set[Pair]:
    """Return the pairs of values that occur together in any of several rows."""
    return {pair for row in rows for pair in pairs_of(row)}
