"""DDPM on a cosine of continuous time: a step by hand, and mistakes in the scheduler that are caught."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from reference_samplers.diffusers_cosine import DDPMWuerstchen
from sampler_harness.adapters import diffusers as adapter
from sampler_harness.runner import check_sampler
from sampler_harness.subject import DeclarationError

from .rewriting import rewritten

diffusers = pytest.importorskip("diffusers")
NAME = "DDPMWuerstchenScheduler"


@pytest.fixture(autouse=True)
def _foreign_warnings_are_not_ours() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_two_steps_by_hand() -> None:
    """Times 1, 1/2 and 0: alpha_bar is 1e-4, near a half, and 0.9999."""
    config = DDPMWuerstchen(num_steps=2)
    half = math.cos(0.508 / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    np.testing.assert_allclose([config.alpha_bar(t) for t in config.levels], [1e-4, half, 0.9999])
    draws, told = iter([0.5, -1.0, 7.0]), []

    def model(x: Any, time: float) -> Any:
        told.append(time)
        return np.array([2.0])

    sample = config.sample(model, lambda: np.array([next(draws)]))
    alpha = 1e-4 / half
    x = (0.5 - (1 - alpha) / math.sqrt(1 - 1e-4) * 2.0) / math.sqrt(alpha)
    x -= math.sqrt((1 - alpha) * (1 - half) / (1 - 1e-4))
    alpha = half / 0.9999
    x = (x - (1 - alpha) / math.sqrt(1 - half) * 2.0) / math.sqrt(alpha)
    np.testing.assert_allclose(sample, [x], rtol=1e-12)
    assert told == [1.0, 0.5]


@pytest.mark.parametrize("scaler", [0.5, 1.0, 2.0])
def test_its_table_is_the_scheduler_s(scaler: float) -> None:
    config, made = DDPMWuerstchen(num_steps=7, scaler=scaler, s=0.02), diffusers.DDPMWuerstchenScheduler(scaler, 0.02)
    made.set_timesteps(7)
    np.testing.assert_allclose(made.timesteps, config.levels, atol=1e-7)
    table = made._alpha_cumprod(made.timesteps, torch.device("cpu"))
    np.testing.assert_allclose(table, config.alpha_bar(config.levels), rtol=1e-4, atol=1e-6)


def test_times_by_hand_are_refused_by_name() -> None:
    with pytest.raises(DeclarationError, match="timesteps cannot be set"):
        adapter.subject(NAME, {"timesteps": "1.0, 0.5, 0"})


@pytest.mark.slow
def test_the_scheduler_conforms() -> None:
    verdict = check_sampler(adapter.subject(NAME), budget="quick")
    assert verdict.conforms, [f.message for f in verdict.findings if f.outcome in ("failed", "error")]
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        ("clamp(0.0001, 0.9999)", "clamp(0.001, 0.9999)", "law/outputs"),
        ("(1 - alpha) * model_output / (1 - alpha_cumprod).sqrt()", "(1 - alpha) * model_output", "law/outputs"),
        ("(prev_t != 0).float()", "(prev_t != 2).float()", "law/noise"),
        ("t = 1 - (1 - t) ** self.scaler", "t = t ** self.scaler", "law/outputs"),
        ("torch.linspace(1.0, 0.0, num_inference", "torch.linspace(1.0, 0.01, num_inference", "law/times"),
        ("s: float = 0.008,", "s: float = 0.009,", "law/outputs"),
        ("self.timesteps[index + 1][None]", "self.timesteps[index + 1 :].mean()[None]", "law/outputs"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_scheduler_is_caught(before: str, after: str, check: str) -> None:
    with rewritten(NAME, before, after):
        verdict = check_sampler(adapter.subject(NAME), budget="quick", diagnose=False)
    assert check in [finding.id for finding in verdict.findings if finding.outcome == "failed"]
