"""References that renew noise on the way, by hand: consistency models on every process, and flow SDEs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from reference_samplers import LCM, ConsistencyModel, FlowConsistency, FlowEuler, FlowSDE
from sampler_harness.checks.marginal import propagate
from sampler_harness.law.law import Law
from sampler_harness.law.response import Response, respond_reference


def seen(reference: Any) -> Response:
    """The impulse response."""
    return respond_reference(reference)


def test_a_consistency_model_by_hand() -> None:
    run = seen(ConsistencyModel(sigmas=(5.0, 1.0, 0.0), sigma_min=0.6))
    np.testing.assert_array_equal(run.times, [5, 1])
    # The data has noise 0.6 already: 0.8 is missing in 1.
    np.testing.assert_allclose(run.noise, np.array([[5, 0], [0, 0.8], [0, 0]]), rtol=1e-15)
    np.testing.assert_array_equal(run.outputs, [[0, 0], [1, 0], [0, 1]])


def test_a_consistency_model_makes_a_sample_in_one_call() -> None:
    run = seen(ConsistencyModel(num_steps=1))
    np.testing.assert_array_equal(run.times, [80])
    np.testing.assert_array_equal(run.outputs, [[0], [1]])
    np.testing.assert_array_equal(run.noise, [[80], [0]])


def test_no_noise_is_added_at_the_lowest_level() -> None:
    run = seen(ConsistencyModel(num_steps=3, sigma_min=0.5, sigma_max=10.0))
    np.testing.assert_allclose(run.noise[2], 0, atol=1e-7)  # the lowest level is a rounded power


def test_a_flow_consistency_model_by_hand() -> None:
    run = seen(FlowConsistency(sigmas=(1.0, 0.25, 0.0)))
    # x0 = x - t * flow; then 3/4 of it with 1/4 of fresh noise.
    np.testing.assert_allclose(run.noise, np.array([[1, 0], [0.75, 0.25], [0.75, 0.25]]), rtol=1e-15)
    np.testing.assert_allclose(run.outputs, np.array([[0, 0], [-0.75, 0], [-0.75, -0.25]]), rtol=1e-15)


def test_lcm_by_hand() -> None:
    lcm = LCM(betas=(0.19, 0.2, 0.5), timesteps=(2, 0), timestep_scaling=0.25, sigma_data=0.5, prediction="x0")
    run = seen(lcm)
    np.testing.assert_array_equal(run.times, [2, 0])
    # At timestep 2 the boundary's weights are 1/2 and 1/sqrt(2); at 0 they are 1 and 0.
    alpha_bar = 0.81
    kept, predicted = math.sqrt(alpha_bar) * 0.5, math.sqrt(alpha_bar) / math.sqrt(2)
    np.testing.assert_allclose(run.noise[1], [kept, math.sqrt(1 - alpha_bar)], rtol=1e-15)
    np.testing.assert_allclose(run.outputs[1], [predicted, 0], rtol=1e-15)
    np.testing.assert_allclose(run.noise[2], run.noise[1], rtol=1e-15)
    np.testing.assert_allclose(run.outputs[2], run.outputs[1], rtol=1e-15)


@pytest.mark.parametrize(
    ("num_steps", "timesteps"),
    [
        (1, [999]),
        (4, [999, 759, 499, 259]),
        (7, [999, 859, 719, 579, 439, 299, 159]),
        (None, [*range(999, 0, -20)]),
    ],
)
def test_distilled_timesteps_are_spread(num_steps: int | None, timesteps: list[int]) -> None:
    assert list(LCM(num_steps=num_steps).grid) == timesteps


@pytest.mark.parametrize(
    ("last_step", "of_noise", "of_output"),
    # At t = 1/2 the score's part is w / (2 t) * epsilon * dt = epsilon / 4 with w = t, and epsilon = x + v / 2.
    [("mean", 0.75, -0.625), ("euler", 1.0, -0.5), ("tweedie", 1.0, -0.5)],
)
def test_a_flow_sde_by_hand(last_step: Any, of_noise: float, of_output: float) -> None:
    run = seen(FlowSDE(sigmas=(0.5, 0.0), last_step=last_step))
    np.testing.assert_allclose([run.noise[-1, 0], run.outputs[-1, 0]], [of_noise, of_output], rtol=1e-15)
    assert run.noise.shape == (2, 1)


def test_the_noise_of_a_flow_sde_by_hand() -> None:
    for diffusion, w in (("constant", 2.0), ("sigma", 1.0), ("flow_grpo", 2.0)):
        fields: dict[str, Any] = {"diffusion": diffusion, "diffusion_scale": 2.0}
        run = seen(FlowSDE(sigmas=(0.5, 0.25, 0.0), **fields))
        np.testing.assert_allclose(run.noise[1, 1], math.sqrt(w * 0.25), rtol=1e-15)
    # At t = 1 the signal is that of the second time, 1/2.
    run = seen(FlowSDE(num_steps=2, diffusion="flow_grpo", last_step="drawn"))
    np.testing.assert_allclose(run.noise[1], [1 - 0.5 * 2 / 2, math.sqrt(2 * 0.5), 0], atol=1e-15)
    np.testing.assert_allclose(run.noise[2, 2], math.sqrt(1 * 0.5), rtol=1e-15)


def test_a_flow_sde_without_diffusion_is_eulers_method() -> None:
    quiet, euler = seen(FlowSDE(7, shift=3.0, diffusion_scale=0.0)), seen(FlowEuler(7, shift=3.0))
    np.testing.assert_allclose(quiet.outputs, euler.outputs, atol=1e-15)
    np.testing.assert_allclose(quiet.noise[:, 0], euler.noise[:, 0], atol=1e-15)
    np.testing.assert_array_equal(quiet.noise[:, 1:], 0)


@pytest.mark.parametrize("diffusion", ["constant", "sigma", "flow_grpo"])
@pytest.mark.parametrize("last_step", ["mean", "euler", "tweedie"])
def test_a_flow_sde_reaches_the_distribution_of_the_data(diffusion: Any, last_step: Any) -> None:
    errors = []
    for num_steps in (100, 200):
        sde = FlowSDE(num_steps, diffusion=diffusion, last_step=last_step)
        sample = propagate(Law.of(seen(sde)), sde.network, 0.3, 0.25)[-1]
        errors.append(max(abs(sample.mean - 0.3), abs(sample.variance**0.5 - 0.5)))
    assert errors[1] < 0.02
    assert errors[1] < 0.6 * errors[0]
