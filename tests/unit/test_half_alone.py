"""Samplers that exist in half precision alone: decided in it, by what it can tell."""

from __future__ import annotations

import dataclasses
from itertools import count, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from fixtures.faulty_samplers import FAULTY, repeated
from fixtures.sound_samplers import sources, unusual
from fixtures.torch_samplers import under_test
from reference_samplers import EDM, FlowEuler
from sampler_harness import Subject, sampler_under_test
from sampler_harness.law.bundle import Bundle
from sampler_harness.law.tolerance import reference_law
from sampler_harness.observe.trace import Case
from sampler_harness.runner import check_sampler
from sampler_harness.targets import load_subject
from sampler_harness.verdict import Verdict

#: Faults of every part of a run that are large enough for two digits.
SEEN = (
    "diamond-diamond",
    "edm-corrector-with-first-sigma",
    "edm_churn-window-not-read",
    "ddpm-variance-for-std",
    "ddpm-noise-shared-by-batch",
    "ddim-epsilon-sign",
    "ddim_step-direction-without-root",
    "clip-clip-without-rederiving",
    "clip-finished-sample-clamped",
    "shape-places-masked",
    "state-running-sum-survives",
)


def alone(subject: Subject, dtype: str) -> Subject:
    return dataclasses.replace(subject, dtypes=(dtype,), output_dtype=None)


def judged(subject: Subject) -> Verdict:
    return check_sampler(subject, budget="quick", diagnose=False)


def told_through(dtype: torch.dtype | None) -> Subject:
    """Flow whose state is kept in float32, and whose time in 0 … 1000 goes through a dtype; None for its own."""

    def sampler(model: Any, shape: Any, config: FlowEuler, *, device: Any, dtype: Any) -> Tensor:
        times = torch.tensor(config.time_grid.tolist(), dtype=torch.float64)
        x = torch.randn(shape, device=device)
        for time, after in pairwise(times):
            told = (1000 * time).to(through or dtype).to(torch.float32) / 1000
            x = x + float(after - time) * model(x.to(dtype), told.expand(shape[0])).float()
        return x.to(dtype)

    through = dtype
    fields: dict[str, Any] = {"num_steps": st.integers(1, 12), "shift": st.sampled_from([1.0, 3.0])}
    return sampler_under_test(FlowEuler, dtypes=["bfloat16"], **fields)(sampler)


def test_a_time_in_bfloat16_is_told_as_the_cast_that_it_is() -> None:
    verdict = check_sampler(told_through(None), budget="quick")
    assert [finding.id for finding in verdict.causes] == ["law/times"]
    assert "the time was rounded by a cast to bfloat16, 1000 times as large" in verdict.causes[0].message
    assert verdict.diagnosis is not None
    assert "in bfloat16 alone" in verdict.diagnosis.unsearched


def test_a_time_in_float32_conforms_and_the_verdict_says_how_little_was_seen() -> None:
    verdict = judged(told_through(torch.float32))
    assert verdict.conforms
    notes = [note for finding in verdict.findings for note in finding.notes]
    assert any("declared in bfloat16 alone" in note and "may be off by" in note for note in notes)
    skipped = {finding.id: finding.message for finding in verdict.findings if finding.outcome == "skipped"}
    assert "cannot be judged in bfloat16" in skipped["limit/gaussian"]
    assert "cannot be judged in bfloat16" in skipped["limit/order"]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "subject",
    [
        *(under_test.edm, under_test.edm_by_hand, under_test.ddpm, under_test.ddim, under_test.flow),
        *(unusual.channels_last_noise, unusual.item_by_item, unusual.two_draws_for_one, unusual.ancestral_as_implicit),
        *(unusual.interpolating_euler, unusual.mean_coefficients_of_float32_table, unusual.declared_output_range),
        *(sources.forks_of_each_item, sources.noise_drawn_again),
        *(sources.brownian_tree, sources.brownian_tree_of_seeds),
    ],
    ids=lambda one: one.name if isinstance(one, Subject) else one,
)
def test_sound_samplers_conform_in_half_precision_alone(subject: Subject, dtype: str) -> None:
    verdict = judged(alone(subject, dtype))
    assert verdict.conforms, [f"{finding.id}: {finding.message}" for finding in verdict.bad]


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEN)
def test_faulty_samplers_fail_in_bfloat16_alone(name: str) -> None:
    faulty = next(one for one in FAULTY if one.name == name)
    subject = load_subject(faulty.subject_path)
    assert isinstance(subject, Subject)
    verdict = judged(alone(subject, "bfloat16"))
    assert {finding.id for finding in verdict.findings if finding.outcome == "failed"} & set(faulty.expected)


@pytest.mark.parametrize("factor", [1.0, 1.1])
def test_two_samplers_in_bfloat16_are_held_against_each_other(factor: float) -> None:
    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Tensor:
        sample: Tensor = under_test.flow.function(model, shape, config, device=device, dtype=dtype)
        return factor * sample

    fields: dict[str, Any] = {"num_steps": st.integers(1, 4)}
    past = dataclasses.replace(alone(under_test.flow, "bfloat16"), fields=fields)
    now = sampler_under_test(FlowEuler, dtypes=["bfloat16"], **fields)(sampler)
    assert check_sampler(now, budget="quick", against=past).conforms == (factor == 1.0)


class Lopsided(sources.Tree):
    """A Brownian path whose midpoints are less off than they should be."""

    def _node(self, number: int) -> Tensor:
        made = super()._node(number)
        return made if number == 0 else 0.6 * made


def tree_of(kind: type[sources.Tree], *, keeps: bool) -> repeated.Source:
    def source(shape: Any, dtype: torch.dtype, steps: int, given: torch.Generator) -> repeated.Noise:
        tree = kind(shape, dtype, (steps - 1).bit_length(), given.initial_seed() + 1, keeps=keeps)
        drawn = count()
        first = repeated.drawn_from(shape, dtype, given)
        return repeated.first_then(first, lambda: tree.increment(next(drawn)))

    return source


@pytest.mark.slow
@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_brownian_path_with_a_fault_is_flagged(dtype: str, keeps: bool) -> None:
    """Its increments are differences of draws, of which half precision leaves nothing beside the state."""
    subject = repeated.under_test(tree_of(Lopsided, keeps=keeps), takes_generator=True, name="lopsided")
    found = {finding.id for finding in judged(alone(subject, dtype)).findings if finding.outcome == "failed"}
    assert found & {"law/initial-noise", "law/noise", "noise/shape"}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("steps", [2, 3, 5])
def test_a_brownian_path_is_read_along_axes_that_cancel(dtype: str, steps: int) -> None:
    config = EDM(num_steps=steps, sigma_max=10.0, solver="euler", s_churn=1.0)
    bundle = Bundle(alone(sources.brownian_tree, dtype), Case(config, (2, 3, 8, 8), dtype))
    should_be = reference_law(config, False)
    assert bundle.law.opened[:steps] == should_be.opened
    off = np.abs(np.diag(bundle.law.factor[:-1]) - np.diag(should_be.factor[:-1]))
    assert (off <= 2.0**-6 * np.diag(should_be.factor[:-1]) + bundle.law.unread_noise[:-1]).all()
    # Read off the draws, some rows would be unread to a hundred times what they hold.
    assert (bundle.law.unread_noise[:-1] < 0.4 * np.diag(should_be.factor[:-1])).all()


@pytest.mark.parametrize("without", [False, True])
def test_what_is_drawn_for_a_step_is_told_from_none(without: bool) -> None:
    """The start and the first churn come in together, so that later noise could hide in them: it does not."""

    def source(shape: Any, dtype: torch.dtype, steps: int, given: torch.Generator) -> repeated.Noise:
        drawn, number = repeated.drawn_from(shape, dtype, given), count()
        return lambda: drawn() * (0.0 if without and next(number) == 2 else 1.0)

    subject = alone(repeated.under_test(source, takes_generator=True, name="churned"), "bfloat16")
    subject = dataclasses.replace(subject, fields={**subject.fields, "num_steps": 3, "s_churn": 0.7})
    finding = check_sampler(subject, budget="quick", checks=["law/noise"], diagnose=False).findings[0]
    assert finding.outcome == ("failed" if without else "passed"), finding.message
