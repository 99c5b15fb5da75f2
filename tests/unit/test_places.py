"""Weights that differ from place to place: said to be just that, and nothing else."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from reference_samplers import FlowEuler
from sampler_harness import Subject, sampler_under_test
from sampler_harness.checks.evidence import Evidence
from sampler_harness.checks.law import cause_of, check_outputs
from sampler_harness.runner import check_sampler
from sampler_harness.verdict import Verdict

DECLARED: dict[str, Any] = {"num_steps": st.integers(1, 3), "shapes": [(2, 3, 8, 8), (3, 2, 6, 5)]}


def stepping(update: Any) -> Subject:
    """Euler's steps along the straight path, with something done in each."""

    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        x = torch.randn(shape, device=device, dtype=dtype)
        for step in range(config.num_steps):
            output = model(x, torch.full((shape[0],), 1 - step / config.num_steps))
            x = update(x, output, config.num_steps)
        return x

    return sampler_under_test(FlowEuler, **DECLARED)(sampler)


def judged(subject: Subject, **options: Any) -> Verdict:
    return check_sampler(subject, budget="quick", **options)


def kept(x: torch.Tensor) -> torch.Tensor:
    """0 in the left half of an image, 1 in the right."""
    mask = torch.ones(x.shape[1:])
    mask[..., : x.shape[-1] // 2] = 0
    return mask


@pytest.mark.parametrize(
    ("update", "words"),
    [
        (lambda x, output, n: kept(x) * (x - output / n), "a drawn unit normal by place"),
        (lambda x, output, n: x - kept(x) * output / n, "the model's output of call 0 by place"),
        (
            lambda x, output, n: x - torch.linspace(0.5, 1.5, x.shape[1]).view(-1, 1, 1) * output / n,
            "the model's output of call 0 by place",
        ),
    ],
)
@pytest.mark.sampled(every=3)
def test_a_fixed_map_over_places_is_the_one_cause(update: Any, words: str) -> None:
    verdict = judged(stepping(update))
    assert [finding.id for finding in verdict.causes] == ["law/outputs"]
    assert words in verdict.causes[0].message
    following = [f.message.splitlines()[0] for f in verdict.bad if f.consequence_of is not None]
    assert all("at one place, " in told for told in following if " holds " in told), following
    assert "alike in every item" in verdict.causes[0].message
    assert not {"noise/shape", "shape/batch", "clip/replay"} & {finding.id for finding in verdict.bad}
    assert verdict.diagnosis is not None
    assert "a fixed map over places" in verdict.diagnosis.observed[0]


def test_the_weights_and_their_shares_are_told() -> None:
    found = Evidence(stepping(lambda x, output, n: kept(x) * (x - output / n)), budget="quick").place_map
    assert found is not None
    assert (found.row, found.draw, found.output) == (1, 0, None)
    assert [(round(weight, 3), round(share, 2)) for weight, share in found.weights] == [(0.0, 0.5), (1.0, 0.5)]


@pytest.mark.parametrize(
    "update",
    [
        lambda x, output, n: x - output / n,
        # Items that differ, places that mix, and what is not affine are none.
        lambda x, output, n: x - torch.arange(1, x.shape[0] + 1).view(-1, 1, 1, 1) * output / n,
        lambda x, output, n: x - output.flip(-1) / n,
        lambda x, output, n: x - output.clamp(-1, 1) / n,
        lambda x, output, n: x - output * output.abs().mean() / n,
    ],
)
def test_nothing_else_is_taken_for_one(update: Any) -> None:
    assert Evidence(stepping(update), budget="quick").place_map is None


def test_a_sampler_with_a_map_cannot_be_held_against_a_law_of_one_place() -> None:
    subject = stepping(lambda x, output, n: kept(x) * (x - output / n))
    verdict = judged(subject, against=subject)
    assert not verdict.conforms
    assert [finding.id for finding in verdict.causes] == ["law/outputs"]
    assert "weights differ from place to place" in verdict.causes[0].message


def beside(elsewhere: Any) -> Subject:
    """A map over places that is declared, where the shift is 1; and something else where it is 3."""

    def sampler(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        x = torch.randn(shape, device=device, dtype=dtype)
        for time, after in pairwise(config.time_grid):
            output = model(x, torch.full((shape[0],), float(time)))
            wrong = kept(x) * output if config.shift == 1.0 else elsewhere(x, output)
            x = x + (float(after) - float(time)) * wrong
        return x

    known = {"law/outputs": "the left half is given"}
    return sampler_under_test(FlowEuler, **DECLARED, shift=st.sampled_from([1.0, 3.0]), expected_failures=known)(
        sampler
    )


@pytest.mark.parametrize(
    "elsewhere",
    [
        lambda x, output: output.clamp(-1, 1),
        lambda x, output: kept(x) * output.clamp(-1, 1),
        lambda x, output: torch.tanh(output),
    ],
)
@pytest.mark.sampled(every=3)
def test_what_is_declared_of_a_map_hides_no_clamp(elsewhere: Any) -> None:
    verdict = judged(beside(elsewhere), diagnose=False)
    assert [finding.id for finding in verdict.causes] == ["clip/replay"]


def test_a_map_that_is_declared_conforms_but_for_it() -> None:
    verdict = judged(beside(lambda x, output: kept(x) * output), diagnose=False)
    assert verdict.conforms
    assert "a fixed map over places" in next(f.message for f in verdict.findings if f.id == "law/outputs")


def test_a_case_that_is_not_mapped_is_judged_by_its_law() -> None:
    evidence = Evidence(beside(lambda x, output: 1.05 * output), budget="quick")
    mapped = {case.config.shift for case in evidence.affine_cases if evidence.is_mapped(case)}
    assert mapped == {1.0}
    found = check_outputs(evidence)
    assert found.outcome == "failed"
    shifted = next(case for case in evidence.affine_cases if case.config.shift == 3.0)
    assert cause_of(evidence, shifted) == "law/outputs"
    failing = int(found.evidence["failing"].split()[0])
    assert failing == len(evidence.affine_cases)  # those without a map fail too
