"""The consistency schedulers of diffusers: a reference by hand, mistakes that are caught, and where one is NaN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from reference_samplers.diffusers_consistency import CMStochasticIterative
from sampler_harness.adapters import diffusers as adapter
from sampler_harness.runner import check_sampler

from .rewriting import rewritten

diffusers = pytest.importorskip("diffusers")
NAME = "CMStochasticIterativeScheduler"


def test_two_steps_by_hand() -> None:
    """Three levels of which the first and the second are visited: 9 and 4, whose roots are 3 and 2; the lowest is 1."""
    config = CMStochasticIterative(
        num_train_timesteps=3,
        sigma_min=1.0,
        sigma_max=9.0,
        rho=2.0,
        sigma_data=2.0,
        timesteps=(1, 0),
        clip_denoised=False,
    )
    np.testing.assert_allclose(config.levels, [9, 4, 0])
    asked: list[tuple[float, float]] = []

    def model(x: Any, time: float) -> Any:
        asked.append((float(x[0]), time))
        return np.ones(1)

    draws = iter([1.0, 0.5, 7.0])
    sample = config.sample(model, lambda: np.array([next(draws)]))
    # f(9; 9): c_skip = 4 / (64 + 4), c_out = 2 * 8 / sqrt(4 + 81), of the network's 1.
    first = 4 / 68 * 9 + 16 / math.sqrt(85)
    # Up to 4: what is missing is 4^2 - 1^2.
    x = first + math.sqrt(15) * 0.5
    second = 4 / (9 + 4) * x + 2 * 3 / math.sqrt(4 + 16)
    np.testing.assert_allclose(sample, [second], rtol=1e-6)
    np.testing.assert_allclose(
        asked,
        [(9 / math.sqrt(85), 250 * math.log(9)), (x / math.sqrt(20), 250 * math.log(4))],
        rtol=1e-6,
    )


def test_its_levels_are_the_scheduler_s() -> None:
    for options in ({"num_steps": 5}, {"num_steps": 40}, {"timesteps": (22, 0)}):
        config = CMStochasticIterative(**options)
        made = diffusers.CMStochasticIterativeScheduler()
        made.set_timesteps(config.num_steps, timesteps=None if config.timesteps is None else list(config.timesteps))
        np.testing.assert_allclose(made.sigmas[:-1], config.levels[:-1], rtol=1e-6)
        np.testing.assert_allclose(made.timesteps, [config.time(level) for level in config.levels[:-1]], rtol=1e-6)


@pytest.mark.parametrize(("sigma_min", "is_nan"), [(0.002, False), (0.0021, True), (0.02, False), (0.021, True)])
def test_where_the_last_step_is_no_number(sigma_min: float, is_nan: bool) -> None:
    made = diffusers.CMStochasticIterativeScheduler(sigma_min=sigma_min)
    made.set_timesteps(2)
    x = torch.ones(1, 1, 2, 2)
    for timestep in made.timesteps:
        seen = made.scale_model_input(x, timestep)
        x = made.step(torch.zeros_like(seen), timestep, x).prev_sample
    assert bool(x.isnan().all()) is is_nan
    if is_nan:
        with pytest.raises(ValueError, match="the scheduler's last step is NaN"):
            CMStochasticIterative(num_steps=2, sigma_min=sigma_min)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"num_steps": 41}, "num_steps must be a whole number from 1 to 40"),
        ({"num_steps": 3, "sigma_max": 0.001}, "sigma_max must be > sigma_min=0.002"),
        ({"timesteps": (0, 22)}, "timesteps must be strictly descending"),
        ({"timesteps": (40, 0)}, "from 0 to 39"),
        ({}, "num_steps must be a whole number"),
    ],
)
def test_what_the_scheduler_cannot_be_told_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CMStochasticIterative(**wrong)


def test_options_become_fields() -> None:
    subject = adapter.subject(NAME, {"clip_denoised": "false", "timesteps": "22, 0", "s_noise": "1.1"})
    fields = {name: subject.fields[name] for name in ("clip_denoised", "timesteps", "num_steps", "s_noise")}
    assert fields == {"clip_denoised": False, "timesteps": (22, 0), "num_steps": None, "s_noise": 1.1}


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({"max_timesteps": "1.5"}, {"first_time": 1.5}),
        ({"intermediate_timesteps": "1.0", "num_inference_steps": "2"}, {"middle_time": 1.0, "num_steps": 2}),
        ({"sigma_data": "1"}, {"sigma_data": 1.0}),
    ],
)
def test_options_of_angles_become_fields(settings: dict[str, str], fields: dict[str, Any]) -> None:
    subject = adapter.subject("SCMScheduler", settings)
    assert {field: subject.fields[field] for field in fields} == fields


def test_angles_by_hand_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="timesteps cannot be set"):
        adapter.subject("SCMScheduler", {"timesteps": "1.5, 1.0, 0"})


@pytest.mark.slow
@pytest.mark.parametrize("name", [NAME, "SCMScheduler"])
def test_the_scheduler_conforms(name: str) -> None:
    verdict = check_sampler(adapter.subject(name), budget="quick")
    assert verdict.conforms, [f.message for f in verdict.findings if f.outcome in ("failed", "error")]
    assert verdict.margin is not None
    assert verdict.margin < 1 / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "before", "after", "check"),
    [
        ("SCMScheduler", "torch.cos(s) * sample - torch.sin(s)", "torch.cos(s) * sample + torch.sin(s)", "law/outputs"),
        (
            "SCMScheduler",
            "torch.cos(t) * pred_x0 + torch.sin(t)",
            "torch.cos(s) * pred_x0 + torch.sin(t)",
            "law/outputs",
        ),
        ("SCMScheduler", "* self.config.sigma_data\n", "* 1.0\n", "law/noise"),
        ("SCMScheduler", "torch.linspace(max_timesteps, 0,", "torch.linspace(max_timesteps, 0.1,", "law/times"),
        (
            NAME,
            "c_skip = sigma_data**2 / ((sigma - sigma_min) ** 2",
            "c_skip = sigma_data**2 / (sigma ** 2",
            "law/outputs",
        ),
        (NAME, "c_out = (sigma - sigma_min) * sigma_data", "c_out = sigma * sigma_data", "law/outputs"),
        (NAME, "z * (sigma_hat**2 - sigma_min**2) ** 0.5", "z * sigma_hat", "law/noise"),
        (NAME, "timesteps = 1000 * 0.25 * np.log", "timesteps = 0.25 * np.log", "law/times"),
        (NAME, "denoised.clamp(-1, 1)", "denoised.clamp(-2, 2)", "clip/replay"),
        (NAME, "self.init_noise_sigma = sigma_max", "self.init_noise_sigma = 1.0", "law/initial-noise"),
    ],
)
def test_a_mistake_in_the_scheduler_is_caught(name: str, before: str, after: str, check: str) -> None:
    with rewritten(name, before, after):
        verdict = check_sampler(adapter.subject(name), budget="quick", diagnose=False)
    assert check in [cause.id for cause in verdict.causes]
