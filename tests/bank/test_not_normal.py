"""Noise that is not normal: one cause, and no change of the reference is named for what no law holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from fixtures.faulty_samplers.repeated import churned
from reference_samplers import EDM
from sampler_harness import sampler_under_test
from sampler_harness.observe.trace import Problem
from sampler_harness.runner import Assessment, check_sampler
from sampler_harness.subject import Subject
from sampler_harness.targets import load_subject


@pytest.mark.parametrize("name", ["first_noise_uniform", "uniform_for_normal", "uniform_not_centered"])
@pytest.mark.sampled(every=3)
def test_noise_that_is_not_normal_is_the_one_cause(name: str) -> None:
    verdict = check_sampler(load_subject(f"fixtures.faulty_samplers.not_normal:{name}"), budget="quick")
    failed = {one.id: one for one in verdict.findings if one.outcome == "failed"}
    causes = [id for id, one in failed.items() if one.consequence_of not in failed]
    assert causes == ["noise/shape"], {id: one.consequence_of for id, one in failed.items()}
    of_noise = [one for id, one in failed.items() if id in ("law/noise", "law/initial-noise", "law/offset")]
    assert of_noise
    for one in of_noise:
        assert "normal noise alone is counted, and none of what 'rand" in one.message
    assert verdict.diagnosis is not None
    assert not verdict.diagnosis.exact
    assert not verdict.diagnosis.answers
    assert any("is not Gaussian" in one for one in verdict.diagnosis.observed)


def gated(draw: Callable[[], bool]) -> Subject:
    """EDM's Euler steps with churn, whose fresh noise is halved where a draw says so."""

    def sampler(
        model: Any, shape: tuple[int, ...], config: EDM, *, device: torch.device, dtype: torch.dtype
    ) -> torch.Tensor:
        def noise() -> torch.Tensor:
            drawn = torch.randn(shape, dtype=dtype)
            return drawn / 2 if draw() else drawn

        return churned(model, config, noise)

    return sampler_under_test(EDM, solver="euler", sigma_max=10.0, num_steps=st.integers(1, 3), s_churn=1.0)(sampler)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: bool(torch.rand(()) < 0.01),
        lambda: bool(torch.rand(()) > 0.99),
        lambda: bool(torch.bernoulli(torch.tensor(0.1))),
        lambda: int(torch.randint(100, ())) == 99,
        lambda: int(torch.randperm(5)[0]) == 4,
    ],
)
def test_a_draw_that_a_branch_asks_is_no_seed(draw: Callable[[], bool]) -> None:
    """It stays on its side in most runs, and changes what the sampler does in some."""
    finding = check_sampler(gated(draw), budget="quick", checks=["noise/shape"]).findings[0]
    assert finding.outcome == "failed"
    assert "is not Gaussian" in finding.message


def test_seeds_that_must_all_differ_are_seeds() -> None:
    """The values that are tried are no two alike: a program may draw until they are."""
    known: set[int] = set()

    def seeded() -> torch.Generator:
        while (seed := int(torch.randint(2**31, ()))) in known:
            pass
        known.add(seed)
        return torch.Generator().manual_seed(seed)

    def sampler(
        model: Any, shape: tuple[int, ...], config: EDM, *, device: torch.device, dtype: torch.dtype
    ) -> torch.Tensor:
        known.clear()
        return churned(model, config, lambda: torch.randn(shape, dtype=dtype, generator=seeded()))

    subject = sampler_under_test(EDM, solver="euler", sigma_max=10.0, num_steps=st.integers(1, 3), s_churn=1.0)(sampler)
    finding = check_sampler(subject, budget="quick", checks=["noise/shape"]).findings[0]
    assert finding.outcome == "passed", finding.message


def test_what_cannot_be_told_of_repeats_is_said() -> None:
    """With real seeds in place of given ones the run goes wrong: that no draw repeats another is not known."""

    def sampler(
        model: Any, shape: tuple[int, ...], config: EDM, *, device: torch.device, dtype: torch.dtype
    ) -> torch.Tensor:
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        return churned(model, config, lambda: torch.randn(shape, dtype=dtype, generator=generator))

    subject = sampler_under_test(EDM, solver="euler", sigma_max=10.0, num_steps=2, s_churn=1.0)(sampler)
    assessment = Assessment(subject, budget="quick")
    bundle = assessment.sampler_evidence.bundle(assessment.sampler_evidence.base)
    followed = bundle.draws
    broken = dataclasses.replace(followed.run, problem=Problem("raised", "it raised"))
    followed.__dict__["run"] = broken
    assert followed.overlaps() == ()
    finding = assessment.run("noise/shape")
    assert finding.outcome == "passed"
    assert "whether any is drawn twice cannot be told" in finding.message
    assert any("cannot be told: a run of it with real seeds goes wrong (it raised)" in note for note in finding.notes)
