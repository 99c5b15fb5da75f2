"""A failure of a training step names the line in which the fault is, or none: held against the fixtures' marks."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.faulty_samplers.marks import marked_lines
from fixtures.faulty_training import FAULTY_TRAINING, FaultyTraining
from sampler_harness.runner import check_sampler
from sampler_harness.targets import load_subject
from sampler_harness.verdict import Place

BY_NAME = {faulty.name: faulty for faulty in FAULTY_TRAINING}

#: Steps of which no line is told: what is wrong is no one value, or shows in no run beside the reference.
NOT_TOLD = frozenset(
    {
        "ddpm-endpoints-squared",  # two numbers of one line, and a table that is made of them
        "ddpm-loss-squared-again",  # its loss is no square
        "ddpm-noised-in-bfloat16",  # rounding, in two lines
        "ddpm-target-normalized-to-unit-spread",
        "ddpm-timestep-drawn-twice",  # where both draws are the same nothing is wrong
        "ddpm-variational-term-trains-the-mean",
        "ddpm-weights-times-losses-of-all",
        "edm-denoised-error-unweighted",
        "edm-half-of-the-batch-dropped",
        "edm-last-frame-counts-alone",  # several calls of the model
        "edm-predictions-as-targets",  # several calls of the model
        "edm-snr-weight-ignores-sigma-data",  # a factor between configurations
    }
)
#: A value, the data written over, a statement, and a gradient that is kept back.
FEW = ("flow-shift-turned-round", "edm-noisy-made-in-place", "flow-told-time-from-other-end", "edm-output-detached")


def places(faulty: FaultyTraining) -> list[Place]:
    verdict = check_sampler(load_subject(faulty.subject_path), budget="quick", diagnose=False)
    causes = [f for f in verdict.findings if f.outcome == "failed" and f.consequence_of is None]
    return [finding.place for finding in causes if finding.place is not None]


def assert_right(faulty: FaultyTraining) -> None:
    found = places(faulty)
    file, lines = marked_lines(faulty)
    for place in found:
        assert Path(place.file).resolve() == Path(file).resolve()
        assert place.line in lines, place
    assert bool(found) == (faulty.name not in NOT_TOLD)


@pytest.mark.parametrize("name", FEW)
def test_the_line_is_the_right_one_or_none(name: str) -> None:
    assert_right(BY_NAME[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in FEW])
def test_the_line_is_the_right_one_or_none_for_all(name: str) -> None:
    assert_right(BY_NAME[name])


@pytest.mark.parametrize("most", [1, 4, 16])
def test_no_line_is_named_where_not_all_was_tried(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sampler_harness.training.mending.MOST_RUNS", most)
    assert places(BY_NAME["edm-weight-without-square-where-told-sigma"]) == []


def test_a_weight_that_is_another_of_the_references_values_may_be_wrong_in_either_line() -> None:
    (place,) = places(BY_NAME["edm-weight-without-square-where-told-sigma"])
    assert (place.line, place.or_line) == (place.line, place.line + 1)
    assert place.line in marked_lines(BY_NAME["edm-weight-without-square-where-told-sigma"])[1]


def test_a_line_is_told_of_most_steps() -> None:
    assert set(BY_NAME) >= NOT_TOLD
    assert len(NOT_TOLD) <= 13
