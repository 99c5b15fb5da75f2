"""A failure names the line in which the fault is, and a fault is counted once: held against the fixtures' marks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from fixtures.faulty_samplers import FAULTY, FAULTY_SCORE_SDE, Faulty
from fixtures.faulty_samplers.marks import marked_lines
from reference_samplers import FlowEuler
from sampler_harness import check_sampler, sampler_under_test
from sampler_harness.causes import together
from sampler_harness.report.words import should_be
from sampler_harness.verdict import Finding, Place
from scripts.kill_matrix import counts_right, looks_right, names_none, rows, verdict_of

BY_NAME = {faulty.name: faulty for faulty in (*FAULTY, *FAULTY_SCORE_SDE)}

#: One for each way in which a line is found.
FOUND = (
    "edm_churn-gamma-without-limit",  # a number, without which nothing else would be wrong
    "edm-levels-are-variances",  # a table
    "edm-denoiser-at-sigma-after-churn",  # an argument
    "edm_corrector-second-slope-from-first-state",  # an array
    "clip-tanh-for-clamp",  # an array, of a run on given draws
    "edm-s-noise-forgotten",  # nothing that is assigned: the line that makes the row
    "edm-one-step-schedule-fails",  # what is raised
    "edm-nan-into-zero",  # the first NaN
    "ddpm-noise-shared-by-batch",  # a draw
    "state-generator-ignored",
    "ddim-add-noise-at-begin-index",  # the declared forward process
    "ddim-partial-run-one-step-late",  # the declared run from the middle
    "state-running-sum-survives",  # what outlives a run
    "state-default-dtype-left-changed",  # a setting
    "casts-outputs-through-float16",  # a cast
    "edm_model-network-input-not-scaled",  # what the model is given, and nothing else
    "constructed-undeclared-output-range",  # what is returned, and nothing else
    "not_normal-first-noise-uniform",  # noise that is not normal
    "repeated-step-noise-of-seed-zero",  # the line that seeds a draw
    "score_sde-time-ends-early",  # an argument that came with others
    "score_sde-langevin-noise-reused",  # a draw that is made too early
    "ddim_grid-stride-over-last-timestep",  # one time that is wrong in every type
    "ddpm_mean-weights-of-mean-swapped",  # an argument that is not the last
    "ddpm_schedule-leading-counted-from-one",  # a table of one entry in a run of one step
    "edm_churn-s-noise-within-variance",  # a number that the reference does not work out
    "edm_churn-window-not-read",  # one number for all steps, where each needs its own
    "flow-levels-without-end",  # a table that stops the run
    "ddim_grid-next-by-whole-stride",  # a table that a loop in another function goes through
    "ddpm_variance-ends-of-range-swapped",  # two numbers of one line
    "ddpm-betas-overwritten",  # the if around a line
    "clip-clip-not-implemented",  # a clamp that no line has
    "clip-quantile-over-batch",  # one number where each item needs its own
    "ddpm-last-step-flagged-first",  # an if that reads a loop's counter
    "ddpm-endpoints-squared",  # two numbers of one line that are squared both
    "clip-quantised-by-truncation",  # an array, with what large values show of it
    "ddim-grid-never-reaches-x0",  # a table of times, with the level behind the last
    "casts-clamped-in-float16",  # a clamp of one dtype
    "state-noise-from-numpy",  # noise that torch does not know of, in every shape
    "score_sde-langevin-noise-of-half-the-step",  # the function behind an argument that is right
)


#: Of all faulty samplers, what was counted when all were last measured.
RIGHT, CAUSES_RIGHT, WRONG = 122, 161, 47


@pytest.mark.parametrize("faulty", BY_NAME.values(), ids=BY_NAME)
def test_the_faulty_lines_are_marked(faulty: Faulty) -> None:
    _, lines = marked_lines(faulty)
    assert len(lines) in (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", FOUND)
def test_the_line_is_found_and_the_fault_is_counted_once(name: str) -> None:
    verdict = verdict_of(BY_NAME[name].subject_path)
    assert looks_right(BY_NAME[name], verdict)
    assert counts_right(BY_NAME[name], verdict)


@pytest.mark.slow
def test_no_fewer_lines_are_right_than_were_when_all_were_last_measured() -> None:
    """The rule: a line is right if the mark is on it, or on one of two that are named; wrong is worse than none."""
    measured = list(rows())
    right = sum(looks_right(*row) for row in measured)
    none = sum(names_none(verdict) for _, verdict in measured)
    assert right >= RIGHT
    assert len(measured) - right - none <= WRONG
    assert sum(counts_right(*row) for row in measured) >= CAUSES_RIGHT


def test_a_run_that_could_not_be_measured_does_not_fail_the_claim_of_the_check_that_tells_of_it() -> None:
    stopped = Finding("law/times", "failed", "the returned sample is not finite", problem="not-finite")
    assert should_be(stopped) == "every value of a run is a number, neither NaN nor infinity"
    assert should_be(Finding("law/times", "failed", "model call 0 is told time 5")).startswith("the model is called")


def test_failures_of_one_line_are_one_cause_and_of_two_lines_are_two() -> None:
    def failed(id: str, line: int, *, hands_on: bool = False) -> Finding:
        return Finding(id, "failed", "", place=Place("mine.py", line, "sample", "", hands_on=hands_on))

    one = together((failed("law/initial-noise", 3), failed("law/noise", 3)), None)
    assert [f.consequence_of for f in one] == [None, "law/initial-noise"]
    two = together((failed("law/initial-noise", 3), failed("law/noise", 4)), None)
    assert [f.consequence_of for f in two] == [None, None]
    # A line that calls another function of the user's own may hide two faults.
    hidden = together((failed("law/initial-noise", 3, hands_on=True), failed("law/noise", 3)), None)
    assert [f.consequence_of for f in hidden] == [None, None]
    step = together((failed("training/time-distribution", 3), failed("training/weight", 3)), None)
    assert [f.consequence_of for f in step] == [None, "training/time-distribution"]


@sampler_under_test(FlowEuler, num_steps=st.integers(1, 6))
def _noisy_and_bent(
    model: Any, shape: tuple[int, ...], config: FlowEuler, *, device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    x = torch.randn(shape, device=device, dtype=dtype)
    for time, after in pairwise(config.levels):
        x = x + (after - time) * model(x, torch.full(shape[:1], time, device=device, dtype=dtype))
        x = x + 0.25 * torch.randn_like(x)
    return torch.tanh(x)


@pytest.mark.slow
def test_what_bends_the_sample_where_it_is_returned_is_a_cause_of_its_own() -> None:
    verdict = check_sampler(_noisy_and_bent, budget="quick", diagnose=False)
    lines = {f.id: f.place.text for f in verdict.causes if f.place}
    assert lines["clip/replay"] == "return torch.tanh(x)"
    assert "randn_like" in lines["law/noise"]
    assert len(verdict.causes) == 2


@pytest.mark.slow
def test_two_faults_are_two_causes() -> None:
    faulty = BY_NAME["diamond-diamond"]
    verdict = verdict_of(faulty.subject_path)
    assert counts_right(faulty, verdict)
    assert {f.place.line for f in verdict.causes if f.place} == marked_lines(faulty)[1]
