"""Digits that a sampler loses by its own weights are no cast; a cast beside them is one."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from fixtures.sound_samplers.habits import karras
from reference_samplers import EDM, EulerAncestral
from sampler_harness import Subject, sampler_under_test
from sampler_harness.runner import Assessment, check_sampler


def divided_by_the_next_level(start: Any) -> Subject:
    """Each slope is divided by the level that the step goes to: 40,000 times too large, until the last step cancels it.

    Args:
        start: done to the first model input.
    """

    def sampler(model: Any, shape: Any, config: EDM, *, device: Any, dtype: Any) -> torch.Tensor:
        levels = karras(config, torch.float64).tolist()
        x = start(levels[0] * torch.randn(shape, device=device, dtype=dtype))
        for now, after in pairwise(levels):
            slope = (x - model(x, torch.full((shape[0],), now))) / max(after, config.sigma_min)
            x = x + (after - now) * slope
        return torch.as_tensor(x)

    return sampler_under_test(EDM, solver="euler", num_steps=2, shapes=[(2, 3, 8, 8)])(sampler)


@pytest.mark.parametrize(
    ("start", "causes"),
    [
        (lambda x: x, ["law/outputs"]),
        (lambda x: x.to(torch.bfloat16).float(), ["law/outputs", "precision/dtype"]),
    ],
    ids=["weights alone", "and a cast"],
)
def test_what_large_weights_lose_is_no_cast(start: Any, causes: list[str]) -> None:
    verdict = check_sampler(divided_by_the_next_level(start), budget="quick", diagnose=False)
    assert [finding.id for finding in verdict.causes] == causes
    assert any("went through a cast" in f.message for f in verdict.causes) == (len(causes) > 1)


def divided_by_a_little_more(much: float) -> Subject:
    """Each slope is divided by a level and a little: what float32 hides in one configuration, float64 shows in all."""

    def sampler(model: Any, shape: Any, config: EulerAncestral, *, device: Any, dtype: Any) -> torch.Tensor:
        x = config.levels[0] * torch.randn(shape, device=device, dtype=dtype)
        for now, after in pairwise(float(level) for level in config.levels):
            up = min(after, config.eta * math.sqrt(after**2 * (now**2 - after**2)) / now)
            down = math.sqrt(after**2 - up**2)
            x = x + (down - now) * (x - model(x, torch.full(shape[:1], now))) / (now + much)
            if up > 0:
                x = x + up * torch.randn(shape, device=device, dtype=dtype)
        return torch.as_tensor(x)

    fields: dict[str, Any] = {"num_steps": st.integers(1, 12), "sigma_max": 80.0, "eta": st.floats(0.0, 1.0)}
    return sampler_under_test(EulerAncestral, dtypes=["float32", "float64"], **fields)(sampler)


@pytest.mark.slow
@pytest.mark.parametrize("much", [1e-2, 1e-5, 1e-6])
def test_one_formula_that_is_off_is_one_cause_in_every_dtype(much: float) -> None:
    assessment = Assessment(divided_by_a_little_more(much), budget="quick", diagnose=False)
    assert assessment.run("law/outputs").consequence_of is None
    assert assessment.run("precision/dtype").consequence_of == "law/outputs"
    assert [finding.id for finding in assessment.verdict().causes] == ["law/outputs"]


def test_what_float64_alone_shows_is_not_called_a_cast() -> None:
    subject = divided_by_a_little_more(1e-8)
    subject = dataclasses.replace(subject, fields={"num_steps": 1, "sigma_max": 80.0, "eta": 0.0})
    [cause] = check_sampler(subject, budget="quick", diagnose=False).causes
    assert cause.id == "precision/dtype"
    assert "too little to show in float32: a small error of the formula, or digits lost on the way" in cause.message
