"""Of faults that are known, the diagnosis names the truth; of what is sound it has nothing to say.

A part of what ``make diagnosis`` and ``make diagnosis-pairs`` go through whole.
"""

from __future__ import annotations

from itertools import islice

import pytest

from fixtures.faulty_samplers.true_edits import TRUE_EDITS
from fixtures.sound_samplers import SOUND
from fixtures.torch_samplers import under_test
from sampler_harness.checks.evidence import Evidence
from sampler_harness.diagnosis.diagnose import search_for
from sampler_harness.targets import load_sampler
from scripts.diagnosis_pairs import DECLARED, pairs, row
from scripts.diagnosis_table import row as row_of

OURS = tuple(f"{under_test.__name__}:{name}" for name in under_test.__all__)


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


@pytest.mark.parametrize("target", [*SOUND, *OURS], ids=lambda target: target.rpartition(":")[2])
@pytest.mark.sampled(every=16)
def test_nothing_is_searched_for_in_what_is_sound(target: str) -> None:
    evidence = Evidence(load_sampler(target), budget="quick")
    evidence.measure()
    found, targets = search_for(evidence, "thorough")
    assert found is None
    assert all(target.reference_ratio <= 1 for target in targets)
