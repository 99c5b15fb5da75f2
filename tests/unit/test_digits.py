"""Digits that a sampler loses by its own weights are no cast; a cast beside them is one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch

from fixtures.sound_samplers.habits import karras
from reference_samplers import EDM
from sampler_harness import Subject, sampler_under_test
from sampler_harness.runner import check_sampler


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
