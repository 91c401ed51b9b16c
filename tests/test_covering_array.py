"""The combinations of the interop tests: few of them, and each pair of values is among them."""

from __future__ import annotations

import itertools

import pytest

from tests.interop.combinations import (
    ALL,
    FEW,
    PARAMETERS,
    TLS_ALL,
    TLS_FEW,
    TLS_PARAMETERS,
    Combination,
    TLSCombination,
)
from tests.support.covering_array import all_rows, covering_rows, pairs_in, pairs_of

TWO_PARAMETERS = [*itertools.combinations(PARAMETERS, 2)]
TWO_OF_TLS = [*itertools.combinations(TLS_PARAMETERS, 2)]


@pytest.mark.parametrize(("one", "other"), TWO_PARAMETERS)
def test_each_pair_of_values_is_in_a_row(one: str, other: str) -> None:
    tried = {(getattr(row, one), getattr(row, other)) for row in FEW}
    assert tried == {*itertools.product(PARAMETERS[one], PARAMETERS[other])}


@pytest.mark.parametrize(("one", "other"), TWO_OF_TLS)
def test_each_pair_of_values_is_in_a_row_with_tls(one: str, other: str) -> None:
    tried = {(getattr(row, one), getattr(row, other)) for row in TLS_FEW}
    assert tried == {*itertools.product(TLS_PARAMETERS[one], TLS_PARAMETERS[other])}


def test_the_whole_matrix_with_tls() -> None:
    assert len(TLS_ALL) == len({*TLS_ALL}) == len({row.client_id for row in TLS_ALL}) == 27
    # Nine at least: there are as many pairs of two parameters.
    assert 9 <= len(TLS_FEW) == len({*TLS_FEW}) <= 11
    assert {*TLS_FEW} < {*TLS_ALL}
    assert tuple(TLS_PARAMETERS) == TLSCombination._fields


def test_there_are_few_rows_and_the_same_each_time() -> None:
    # Sixteen at least: there are as many pairs of an algorithm and a client authentication.
    assert 16 <= len(FEW) <= 20
    assert len({*FEW}) == len(FEW)
    assert covering_rows(all_rows(PARAMETERS)) == FEW


def test_the_whole_matrix() -> None:
    assert len(ALL) == len({*ALL}) == 576
    assert {*FEW} < {*ALL}
    assert tuple(PARAMETERS) == Combination._fields
    assert len({row.client_id for row in ALL}) == len(ALL)


def test_four_rows_cover_three_parameters_of_two_values() -> None:
    rows = all_rows({name: ("0", "1") for name in "abc"})
    assert len(rows) == 8
    assert covering_rows(rows) == [
        ("0", "0", "0"),
        ("0", "1", "1"),
        ("1", "0", "1"),
        ("1", "1", "0"),
    ]


def test_a_pair_that_no_possible_row_has_is_not_chosen() -> None:
    possible = [
        row for row in all_rows({name: ("0", "1") for name in "abc"}) if row[:2] != ("0", "0")
    ]
    chosen = covering_rows(possible)
    assert pairs_in(chosen) == pairs_in(possible)
    assert ((0, "0"), (1, "0")) not in pairs_in(chosen)
    assert ((0, "0"), (2, "1")) in pairs_in(chosen)


def test_the_pairs_of_a_row_know_their_parameters() -> None:
    assert pairs_of(("x", "x", "y")) == {
        ((0, "x"), (1, "x")),
        ((0, "x"), (2, "y")),
        ((1, "x"), (2, "y")),
    }
