"""Of faults that are known, the diagnosis names the truth; of what is sound ``nothing_told.py`` asks that it has none.

A part of what ``make diagnosis`` and ``make diagnosis-pairs`` go through whole.
"""

from __future__ import annotations

from itertools import islice

import pytest

from fixtures.faulty_samplers.true_edits import TRUE_EDITS
from scripts.diagnosis_pairs import DECLARED, pairs, row
from scripts.diagnosis_table import row as row_of


@pytest.mark.parametrize("name", sorted(TRUE_EDITS)[::4])
@pytest.mark.sampled(every=40)
def test_the_true_edit_comes_first(name: str) -> None:
    result = row_of(name, "quick")
    assert result.rank == 1
    assert not result.is_wrong_but_exact


@pytest.mark.parametrize("number", range(len(DECLARED)), ids=[one[0].__name__ for one in DECLARED])
@pytest.mark.slow
def test_two_known_faults_together_are_both_named(number: int) -> None:
    reference, declared, _ = DECLARED[number]
    for pair in islice(pairs(reference, declared, 2), 2):
        result = row(pair, declared)
        assert result.rank == 1, pair.faults
        assert not result.is_wrong_but_exact
