"""A check that saw nothing says so; it never passes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from fixtures.sound_samplers import score_sde
from fixtures.torch_samplers import under_test
from reference_samplers import EDM, FlowEuler
from sampler_harness import Subject, sampler_under_test
from sampler_harness.runner import Assessment, check_sampler, save_law
from sampler_harness.saved_laws import SavedLaws, load_law
from sampler_harness.verdict import Finding, Verdict

#: Checks that lay cases beside what a sampler is held against.
COMPARING = ("law/times", "law/initial-noise", "law/outputs", "law/noise", "law/offset", "steps/any")


def by_id(verdict: Verdict) -> dict[str, Finding]:
    return {finding.id: finding for finding in verdict.findings}


@pytest.fixture(scope="module")
def law_of_other_cases(tmp_path_factory: pytest.TempPathFactory) -> SavedLaws:
    """A saved law in which no configuration stands that the sampler has now."""
    path: Path = tmp_path_factory.mktemp("laws") / "law.json"
    fields = {"num_steps": st.integers(5, 6), "sigma_max": 3.0}
    assessment = Assessment(dataclasses.replace(under_test.edm, fields=fields, dtypes=("float32",)), budget="quick")
    assessment.evidence.measure()
    save_law(assessment, path)
    return load_law(path)


def test_a_law_of_other_configurations_passes_nothing(law_of_other_cases: SavedLaws) -> None:
    fields = {"num_steps": st.integers(1, 4), "s_churn": st.sampled_from([0.0, 10.0])}
    now = dataclasses.replace(under_test.edm, fields=fields, dtypes=("float32",))
    verdict = check_sampler(now, budget="quick", against=law_of_other_cases)
    assert not verdict.conforms
    found = by_id(verdict)
    for id in COMPARING:
        assert found[id].outcome == "error", id
        assert "has no law of any configuration that was run" in found[id].message
    # What can be told without that law is: the shapes of one sampler have one law.
    assert found["shape/any"].outcome == "passed"


def test_shapes_are_held_against_each_other_where_a_law_has_none_of_them(law_of_other_cases: SavedLaws) -> None:
    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Tensor:
        sample: Tensor = under_test.edm.function(model, shape, config, device=device, dtype=dtype)
        return sample if shape[1] == 3 else 1.01 * sample

    now = sampler_under_test(EDM, num_steps=st.integers(1, 4))(sampler)
    found = by_id(check_sampler(now, budget="quick", against=law_of_other_cases, checks=["shape/any"]))
    assert found["shape/any"].outcome == "failed"


@pytest.mark.slow
def test_what_is_not_affine_cannot_be_held_against_another() -> None:
    fields = {**score_sde.corrected_variance_exploding.fields, "num_corrector_steps": 1}
    corrected = dataclasses.replace(score_sde.corrected_variance_exploding, fields=fields)
    verdict = check_sampler(corrected, budget="quick", against=corrected)
    assert not verdict.conforms
    found = by_id(verdict)
    for id in (*COMPARING, "shape/any", "precision/dtype"):
        assert found[id].outcome == "skipped", id
    assert found["clip/replay"].outcome == "error"


@pytest.mark.slow
def test_cases_that_are_not_affine_are_said_to_be_left_out() -> None:
    verdict = check_sampler(
        score_sde.corrected_variance_exploding, budget="quick", against=score_sde.corrected_variance_exploding
    )
    told = by_id(verdict)["clip/replay"].message
    assert re.search(r"\b[1-9]\d* that are not affine are left out", told)
    assert "the reference" not in told


def in_half(change: Callable[[Tensor], Tensor], *, at_end: bool = False) -> Subject:
    """Euler's method, with something done in float16 alone."""

    def sampler(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> Tensor:
        visited = config.sigma_grid.tolist()
        x = visited[0] * torch.randn(shape, device=device, dtype=dtype)
        for sigma, after in pairwise(visited):
            denoised = model(x, torch.full((shape[0],), sigma))
            if dtype == torch.float16 and not at_end:
                denoised = change(denoised)
            x = x + (after - sigma) * (x - denoised) / sigma
        return change(x) if dtype == torch.float16 and at_end else x

    declared = sampler_under_test(
        EDM, solver="euler", sigma_max=5.0, num_steps=st.integers(1, 5), dtypes=("float32", "float16")
    )
    return declared(sampler)


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("bound", [1.0, 5.0])
def test_a_clamp_in_half_precision_alone_fails(bound: float, at_end: bool) -> None:
    subject = in_half(lambda x: x.clamp(-bound, bound), at_end=at_end)
    verdict = check_sampler(subject, budget="quick", diagnose=False)
    assert [finding.id for finding in verdict.causes] == ["precision/dtype"]
    assert "in float32 it is right" in verdict.causes[0].message
    assert ("is clamped to ±" in verdict.causes[0].message) == at_end


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("change", [lambda x: x, lambda x: x.clamp(-65504, 65504), torch.nan_to_num])
def test_what_changes_nothing_in_half_precision_passes(change: Callable[[Tensor], Tensor], at_end: bool) -> None:
    assert check_sampler(in_half(change, at_end=at_end), budget="quick", checks=["precision/dtype"]).conforms


def test_a_clamp_in_every_dtype_is_told_once() -> None:
    def sampler(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> Tensor:
        sample: Tensor = in_half(lambda x: x).function(model, shape, config, device=device, dtype=dtype)
        return sample.clamp(-1, 1)

    declared = sampler_under_test(EDM, solver="euler", num_steps=st.integers(1, 5), dtypes=("float32", "float16"))
    verdict = check_sampler(declared(sampler), budget="quick", diagnose=False)
    assert [finding.id for finding in verdict.causes] == ["clip/replay"]


@pytest.mark.parametrize("draws", [True, False])
def test_a_generator_feeds_draws_only_where_there_are_any(draws: bool) -> None:
    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any, generator: Any) -> Tensor:
        x = torch.randn(shape, generator=generator) if draws else torch.zeros(shape)
        sample: Tensor = model(x, torch.ones(shape[0]))
        return x - sample

    subject = sampler_under_test(FlowEuler, num_steps=1, takes_generator=True)(sampler)
    found = by_id(check_sampler(subject, budget="quick", checks=["noise/generator"]))["noise/generator"]
    assert ("feeds every draw" in found.message) == draws
    assert ("nothing is drawn" in found.message) != draws


def test_a_draw_of_the_global_stream_is_seen_in_whichever_case_it_is() -> None:
    """Generators that are made of the given one are followed in a few cases; what is not fed at all shows by itself."""

    @sampler_under_test(
        EDM,
        num_steps=st.integers(1, 12),
        solver="euler",
        s_churn=st.floats(0, 40),
        s_noise=st.sampled_from([1.0, 1.003, 1.01]),
        sigma_max=st.sampled_from([80.0, 5.0, 20.0]),
        rho=st.sampled_from([7.0, 5.0, 3.0]),
        takes_generator=True,
    )
    def sampler(
        model: Any,
        shape: tuple[int, ...],
        config: EDM,
        *,
        device: torch.device,
        dtype: torch.dtype,
        generator: torch.Generator,
    ) -> Tensor:
        made = torch.Generator(device=device).manual_seed((generator.initial_seed() + 1) % 2**63)
        is_forgotten = config.num_steps == 12 and config.rho == 3.0
        levels = config.sigma_grid.tolist()
        x: Tensor = levels[0] * torch.randn(shape, device=device, dtype=dtype, generator=made)
        for level, after in pairwise(levels):
            raised = level * (1 + float(config.gamma(level)))
            drawn = torch.randn(shape, device=device, dtype=dtype, generator=None if is_forgotten else made)
            x = x + config.s_noise * max(raised**2 - level**2, 0.0) ** 0.5 * drawn
            x = x + (after - raised) / raised * (x - model(x, torch.tensor(raised)))
        return x

    verdict = check_sampler(sampler, budget="quick", checks=("noise/generator",), diagnose=False)
    [finding] = verdict.findings
    assert finding.outcome == "failed"
    assert "does not use the given generator" in finding.message
