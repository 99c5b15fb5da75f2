"""Samplers that exist in half precision alone: decided in it, by what it can tell."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from fixtures.faulty_samplers import FAULTY
from fixtures.sound_samplers import sources, unusual
from fixtures.torch_samplers import under_test
from reference_samplers import FlowEuler
from sampler_harness import Subject, sampler_under_test
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
