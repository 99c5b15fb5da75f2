"""Further schedulers of flows in diffusers: one that counts time the other way, and one of flow maps."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from sampler_harness.adapters import diffusers as adapter
from sampler_harness.adapters.diffusers_corners_flows import FlowMapEuler, MiniMaxH3
from sampler_harness.law.law import Law
from sampler_harness.law.response import respond_reference
from sampler_harness.runner import check_sampler

from .rewriting import rewritten
from .test_adapter_diffusers import apart, law_of

diffusers = pytest.importorskip("diffusers")
MINIMAX, FLOW_MAP = "MiniMaxH3Scheduler", "FlowMapEulerDiscreteScheduler"


@pytest.fixture(autouse=True)
def _foreign_warnings_are_not_ours() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_a_step_of_minimax_by_hand() -> None:
    """Times 1, 0.5 and 0 with shift 1: the model is told 0 and 0.5, and its velocity runs to the data."""
    config = MiniMaxH3(num_steps=2, shift=1.0)
    told: list[float] = []

    def model(x: Any, time: float) -> Any:
        told.append(time)
        return np.array([2.0])

    sample = config.sample(model, lambda: np.array([3.0]))
    np.testing.assert_allclose(told, [0.0, 0.5])
    np.testing.assert_allclose(sample, 3 + 0.5 * 2 + 0.5 * 2)
    made = diffusers.MiniMaxH3Scheduler(shift=1.0)
    made.set_timesteps(3)
    x = torch.full((1, 1, 1, 1), 3.0)
    for timestep in made.timesteps:
        x = made.step(torch.full_like(x, 2.0), timestep, x).prev_sample
    assert float(x) == pytest.approx(5.0)


def test_levels_by_hand_are_taken_as_they_are() -> None:
    subject = adapter.subject(MINIMAX, {"sigmas": "0.9, 0.4, 0.1, 0"})
    config = subject.reference(sigmas=(0.9, 0.4, 0.1, 0.0))
    got, should_be = law_of(subject, config), Law.of(respond_reference(config))
    np.testing.assert_allclose(got.times, [0.1, 0.6, 0.9], rtol=1e-6)
    assert apart(got, should_be) < 2e-3


def test_times_that_are_one_in_float32_are_refused() -> None:
    with pytest.raises(ValueError, match="no two times are the same in float32"):
        MiniMaxH3(num_steps=200, shift=1e6)


def test_times_of_a_flow_map_are_even_before_the_shift() -> None:
    config = FlowMapEuler(num_steps=4, shift=5.0, num_train_timesteps=200)
    made = diffusers.FlowMapEulerDiscreteScheduler(num_train_timesteps=200, shift=5.0)
    made.set_timesteps(4)
    np.testing.assert_allclose(made.timesteps, [config.time(t) for t in config.levels[:-1]])
    np.testing.assert_allclose(made.sigmas, config.levels)


@pytest.mark.slow
@pytest.mark.parametrize("name", [MINIMAX, FLOW_MAP])
def test_the_scheduler_conforms(name: str) -> None:
    verdict = check_sampler(adapter.subject(name), budget="quick")
    assert verdict.conforms, [f.message for f in verdict.findings if f.outcome in ("failed", "error")]
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "before", "after", "check"),
    [
        (
            MINIMAX,
            "sample + sigma_from_timestep * model_output",
            "sample - sigma_from_timestep * model_output",
            "law/outputs",
        ),
        (MINIMAX, "(1.0 - sigmas[:-1]).to", "(sigmas[:-1]).to", "law/times"),
        (MINIMAX, "shift: float = 12.0", "shift: float = 11.9", "law/times"),
        (MINIMAX, "ratio = sigma_next / sigma", "ratio = (sigma_next / sigma) ** 2", "law/outputs"),
        (
            MINIMAX,
            "return timestep * sample + (1.0 - timestep)",
            "return (1 - timestep) * sample + timestep",
            "law/forward",
        ),
        (FLOW_MAP, "sample - (sigma_t - sigma_r)", "sample + (sigma_t - sigma_r)", "law/outputs"),
        (
            FLOW_MAP,
            "torch.linspace(1.0, 0.0, num_inference_steps + 1",
            "torch.linspace(1.0, 0.001, num_inference_steps + 1",
            "law/times",
        ),
        (
            FLOW_MAP,
            "        working_sigmas = self.apply_shift(working_sigmas)",
            "        working_sigmas = self.apply_shift(self.apply_shift(working_sigmas))",
            "law/times",
        ),
        (
            FLOW_MAP,
            "sample = timestep * noise + (1.0 - timestep)",
            "sample = timestep * noise + (1.01 - timestep)",
            "law/forward",
        ),
    ],
)
def test_a_mistake_in_the_scheduler_is_caught(name: str, before: str, after: str, check: str) -> None:
    with rewritten(name, before, after):
        verdict = check_sampler(adapter.subject(name), budget="quick", diagnose=False)
    assert check in [finding.id for finding in verdict.findings if finding.outcome == "failed"]
