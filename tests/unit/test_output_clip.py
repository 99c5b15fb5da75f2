"""A clamp of the finished sample: told as what it is where it is undeclared, and judged where it is declared."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from fixtures.torch_samplers import under_test as ours
from reference_samplers import DDIM, EDM, FlowEuler
from sampler_harness import Subject, sampler_under_test
from sampler_harness.checks.evidence import Evidence
from sampler_harness.law.clamped import end_clamp, told_bounds
from sampler_harness.observe.walk import walk
from sampler_harness.runner import check_sampler
from sampler_harness.subject import DeclarationError
from sampler_harness.verdict import Verdict

FEW: dict[str, Any] = {"num_steps": st.integers(1, 4), "shapes": [(2, 3, 8, 8), (3, 2, 5, 5)]}
CHURN: dict[str, Any] = FEW | {"s_churn": st.floats(0, 40)}
COSINE: dict[str, Any] = FEW | {"beta_schedule": "cosine"}
TO_ONE: dict[str, Any] = {"output_scale": 0.5, "output_shift": 0.5}


def ended(own: Subject, end: Callable[[Any], Any], reference: Any, **declared: Any) -> Subject:
    """One of our samplers with something done to its finished sample."""

    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        return end(own.function(model, shape, config, device=device, dtype=dtype))

    return sampler_under_test(reference, **declared)(sampler)


def judged(subject: Subject) -> Verdict:
    return check_sampler(subject, budget="quick", diagnose=False)


def failures(verdict: Verdict) -> list[str]:
    return [finding.id for finding in verdict.bad]


def unit(x: Any) -> Any:
    return x.clamp(-1, 1)


def positive(x: Any) -> Any:
    return x.clamp(0, 1)


def picture(x: Any) -> Any:
    return (x / 2 + 0.5).clamp(0, 1)


@pytest.mark.sampled(every=3)
@pytest.mark.parametrize(
    ("own", "reference", "end", "declared", "told"),
    [
        # Beside sigma_max = 80 a clamp was taken for lost digits, behind a shift for other weights.
        (ours.edm, EDM, unit, CHURN | {"dtypes": ["float32", "bfloat16"]}, "output_clip=1.0"),
        (ours.edm, EDM, picture, CHURN | TO_ONE, "output_clip=1.0"),
        (ours.edm, EDM, positive, FEW, "output_clip=(0.0, 1.0)"),
        (ours.edm, EDM, lambda x: x.clamp(min=0), FEW, "output_clip=(0.0, math.inf)"),
        (ours.flow, FlowEuler, picture, FEW | TO_ONE | {"dtypes": ["float32", "float16"]}, "output_clip=1.0"),
        (ours.ddim, DDIM, unit, COSINE | {"clip_denoised": True, "clip_range": 3.0}, "output_clip=1.0"),
    ],
)
def test_an_undeclared_clamp_of_the_sample_is_one_finding_that_says_so(
    own: Subject, reference: Any, end: Any, declared: dict[str, Any], told: str
) -> None:
    verdict = judged(ended(own, end, reference, **declared))
    assert failures(verdict) == ["clip/replay"]
    message = verdict.bad[0].message.splitlines()[0]
    assert message.startswith("the returned sample is clamped to")
    assert told in message
    assert "clip_denoised" not in message


@pytest.mark.sampled(every=3)
@pytest.mark.parametrize(
    ("own", "reference", "end", "declared"),
    [
        (ours.edm, EDM, unit, CHURN | {"output_clip": 1, "dtypes": ["float32", "bfloat16"]}),
        (ours.edm, EDM, picture, CHURN | TO_ONE | {"output_clip": (-1, 1)}),
        (ours.edm, EDM, positive, FEW | {"output_clip": (0, 1)}),
        (ours.edm, EDM, lambda x: x.clamp(-40, 40), FEW | {"output_clip": 40}),
        (ours.edm, EDM, lambda x: x.clamp(max=0.5), FEW | {"output_clip": (-math.inf, 0.5)}),
        (ours.flow, FlowEuler, picture, FEW | TO_ONE | {"output_clip": 1, "dtypes": ["float32", "float16"]}),
        (ours.ddim, DDIM, unit, COSINE | {"clip_denoised": True, "clip_range": 3.0, "output_clip": 1}),
    ],
)
def test_a_declared_clamp_of_the_sample_conforms(
    own: Subject, reference: Any, end: Any, declared: dict[str, Any]
) -> None:
    verdict = judged(ended(own, end, reference, **declared))
    assert verdict.conforms, [(finding.id, finding.message) for finding in verdict.bad]
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3


@pytest.mark.parametrize(
    ("end", "declared", "told"),
    [
        (lambda x: x, 40, "the returned sample is not clamped, declared is output_clip=40.0"),
        (lambda x: x.clamp(-0.5, 0.5), 1, "the returned sample is clamped to ±0.5, declared is output_clip=1.0"),
        (positive, 1, "the returned sample is clamped to [0, 1], declared is output_clip=1.0"),
        (torch.tanh, 1, "something is not affine"),
    ],
)
def test_another_end_than_declared_is_told(end: Any, declared: Any, told: str) -> None:
    verdict = judged(ended(ours.edm, end, EDM, **FEW, output_clip=declared))
    assert "clip/replay" in failures(verdict)
    assert told in next(finding for finding in verdict.bad if finding.id == "clip/replay").message


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0.0, 0.98, "the returned sample is clamped to [-1, 0.96], declared is output_clip=1.0"),
        (-0.02, 1.0, "the returned sample is clamped to [-1.04, 1], declared is output_clip=1.0"),
        (0.001, 0.999, "the returned sample is clamped to ±0.998, declared is output_clip=1.0"),
    ],
)
@pytest.mark.sampled(every=3)
def test_an_end_that_is_a_little_off_is_told_after_scale_and_shift_too(low: float, high: float, told: str) -> None:
    verdict = judged(ended(ours.edm, lambda x: (x / 2 + 0.5).clamp(low, high), EDM, **FEW, **TO_ONE, output_clip=1))
    assert told in next(finding for finding in verdict.bad if finding.id == "clip/replay").message


@pytest.mark.slow
def test_a_weight_is_read_where_the_sample_keeps_one_sign_alone() -> None:
    verdict = judged(ended(ours.edm, lambda x: positive(1.01 * x), EDM, **FEW, output_clip=(0, 1)))
    assert verdict.causes[0].id == "law/outputs"
    assert "holds 1.01 times" in verdict.causes[0].message


def test_x0_clamped_at_every_step_is_no_clamp_of_the_sample() -> None:
    """In a run of one step the two are one; in longer ones they are not."""

    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        clamping = lambda x, time: model(x, time).clamp(-1, 1)  # noqa: E731
        return ours.edm.function(clamping, shape, config, device=device, dtype=dtype)

    verdict = judged(sampler_under_test(EDM, **FEW)(sampler))
    assert failures(verdict) == ["clip/replay"]
    assert "the returned sample is clamped" not in verdict.bad[0].message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("declared", "run"),
    [
        (COSINE | {"num_steps": st.integers(2, 4)}, {"timestep_spacing": "trailing", "clip_denoised": True}),
        (COSINE | {"num_steps": st.integers(2, 4), "clip_denoised": True} | TO_ONE, {"timestep_spacing": "trailing"}),
    ],
)
def test_a_clamp_that_bites_on_another_grid_than_declared_is_not_shared_noise(
    declared: dict[str, Any], run: dict[str, Any]
) -> None:
    import dataclasses

    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        sample = ours.ddim.function(model, shape, dataclasses.replace(config, **run), device=device, dtype=dtype)
        return sample / 2 + 0.5 if "output_shift" in declared else sample

    verdict = judged(sampler_under_test(DDIM, timestep_spacing="leading", **declared)(sampler))
    assert verdict.causes[0].id == "law/times"
    assert not {"noise/shape", "shape/batch"} & set(failures(verdict))
    assert "shape/any" not in [finding.id for finding in verdict.causes]


def test_the_line_that_clamps_is_named_or_none() -> None:
    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        sample = ours.edm.function(model, shape, config, device=device, dtype=dtype)
        return sample.clamp(-1, 1)

    subject = sampler_under_test(EDM, **FEW)(sampler)
    found = walk(subject, Evidence(subject).base).clamping()
    assert found is not None
    assert found.text == "return sample.clamp(-1, 1)"
    plain = ended(ours.edm, lambda x: x - (x - 1) * (x > 1), EDM, **FEW)
    assert walk(plain, Evidence(plain).base).clamping() is None


@pytest.mark.parametrize("value", [0, -1, (1, 0), (0.5, 1), (-math.inf, math.inf), "1", True, (0, 1, 2), math.nan])
def test_bounds_that_are_none_are_refused(value: Any) -> None:
    with pytest.raises(DeclarationError, match="output_clip"):
        ended(ours.edm, unit, EDM, output_clip=value)


def test_a_clamp_is_read_off_samples_only_where_enough_elements_show_it() -> None:
    should_be = np.linspace(-2, 2, 41)
    allowed = np.full(41, 1e-6)
    assert end_clamp(np.clip(should_be, -1, 0.5), should_be, allowed) == (-1.0, 0.5)
    assert end_clamp(np.minimum(should_be, 0.5), should_be, allowed) == (-math.inf, 0.5)
    assert end_clamp(should_be, should_be, allowed) is None
    assert end_clamp(np.tanh(should_be), should_be, allowed) is None
    assert end_clamp(np.clip(should_be, -1.99, 1.99), should_be, allowed) is None  # one element at each bound
    assert end_clamp(np.ones(1), np.full(1, 3.0), np.full(1, 1e-6)) is None
    assert told_bounds((-1.0, 1.0)) == ("±1", "1.0")
    assert told_bounds((0.0, math.inf)) == ("at least 0", "(0.0, math.inf)")
