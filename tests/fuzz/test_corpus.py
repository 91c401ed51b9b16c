"""Every input of the corpus, replayed: the seeds, and whatever the fuzzer ever found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
INPUTS = sorted(file for folder in CORPUS.iterdir() for file in folder.iterdir())


@pytest.mark.parametrize("file", INPUTS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_nothing_but_what_is_promised(file: Path) -> None:
    TARGETS[file.parent.name](file.read_bytes())


def test_each_target_has_seeds_of_a_few_kilobytes() -> None:
    for target in TARGETS:
        seeds = list((CORPUS / target).iterdir())
        assert len(seeds) >= 8, target
        assert all(seed.stat().st_size <= 8192 for seed in seeds)
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)
