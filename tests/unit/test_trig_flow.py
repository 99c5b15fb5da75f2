"""TrigFlow: the process by hand, its perfect network, a method that knows nothing of it, and its multistep sampler."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from reference_samplers import TrigFlowConsistency, TrigFlowDDIM
from reference_samplers.diffusers_consistency import SCM
from reference_samplers.openings import Array
from reference_samplers.processes.trig_flow import TrigFlow, TrigPrediction
from reference_samplers.validation import choice, real

from .added_method import Implicit


@dataclass(frozen=True)
class Angles(Implicit, TrigFlow):
    """A few angles, and the method that asks a process for what each answers."""

    sigma_data: float = real(0.5, above=0)
    prediction: TrigPrediction = choice("network")

    @property
    def levels(self) -> Array:
        return np.array([1.5, 0.9, 0.4])


@pytest.mark.parametrize("prediction", ["network", "velocity"])
def test_a_step_turns_x_and_the_output_against_each_other(prediction: TrigPrediction) -> None:
    """Lu & Song 2024, section 3: DDIM on angles is a rotation."""
    config = Angles(sigma_data=0.7, prediction=prediction)
    asked: list[tuple[float, float]] = []
    outputs = iter([0.3, -1.1])

    def model(seen: Array, t: float) -> Array:
        asked.append((float(seen[0]), t))
        return np.array([next(outputs)])

    sample = config.sample(model, lambda: np.array([2.0]))
    size = 0.7 if prediction == "network" else 1.0
    x = 0.7 * 2.0
    middle = math.cos(0.6) * x - math.sin(0.6) * size * 0.3
    last = math.cos(0.5) * middle + math.sin(0.5) * size * 1.1
    np.testing.assert_allclose(sample, [last], rtol=1e-12)
    seen_in = 0.7 if prediction == "network" else 1.0
    np.testing.assert_allclose(asked, [(x / seen_in, 1.5), (middle / seen_in, 0.9)], rtol=1e-12)


@pytest.mark.parametrize("prediction", ["network", "velocity"])
@pytest.mark.parametrize("t", [0.0, 0.3, 1.2, math.pi / 2])
def test_the_perfect_network_is_denoised_to_the_posterior_mean(prediction: TrigPrediction, t: float) -> None:
    config = Angles(prediction=prediction)

    def denoise(x: Array, sigma: float) -> Array:
        return x * 0.09 / (0.09 + sigma**2)

    x = np.array([0.8, -0.2])
    x0 = config.denoiser(config.network(denoise))(x, t)
    signal, noise = config.scales(t)
    should_be = x if t == 0 else signal * 0.09 * x / (0.09 * signal**2 + noise**2)
    np.testing.assert_allclose(x0, should_be, atol=1e-9)


def test_scales_are_of_data_and_of_its_own_size_of_noise() -> None:
    config = Angles(sigma_data=0.7)
    assert config.initial_std == 0.7
    np.testing.assert_allclose(config.scales(0.4), [math.cos(0.4), 0.7 * math.sin(0.4)])
    np.testing.assert_allclose(config.forward_scales(1), [math.cos(0.9), 0.7 * math.sin(0.9)])


def test_two_steps_of_the_scheduler_by_hand() -> None:
    config = SCM(num_steps=2, sigma_data=0.5, middle_time=1.1)
    asked: list[tuple[float, float]] = []

    def model(x: Array, t: float) -> Array:
        asked.append((float(x[0]), t))
        return np.array([2.0])

    draws = iter([3.0, -1.0, 9.0])
    sample = config.sample(model, lambda: np.array([next(draws)]))
    first = math.cos(1.5708) * 3.0 - math.sin(1.5708) * 2.0
    x = math.cos(1.1) * first - math.sin(1.1) * 0.5
    np.testing.assert_allclose(sample, [math.cos(1.1) * x - math.sin(1.1) * 2.0], rtol=1e-12)
    np.testing.assert_allclose(asked, [(3.0, 1.5708), (x, 1.1)], rtol=1e-12)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"num_steps": 1001}, "num_steps must be a whole number from 1 to 1000"),
        ({"middle_time": 1.6}, "middle_time must be < first_time=1.5708"),
        ({"first_time": 2.0}, "first_time must be < 2"),
    ],
)
def test_angles_that_do_not_fall_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SCM(**wrong)
    assert SCM(num_steps=3, middle_time=1.6).levels[0] == 1.5708  # which is of two steps alone


def test_two_calls_on_angles_by_hand() -> None:
    config = TrigFlowConsistency(angles=(1.5, 1.1, 0.0), sigma_data=0.7)
    asked: list[tuple[float, float]] = []

    def model(seen: Array, t: float) -> Array:
        asked.append((float(seen[0]), t))
        return np.array([2.0])

    draws = iter([3.0, -1.0])
    sample = config.sample(model, lambda: np.array([next(draws)]))
    first = math.cos(1.5) * 2.1 - math.sin(1.5) * 0.7 * 2.0
    x = math.cos(1.1) * first - math.sin(1.1) * 0.7
    np.testing.assert_allclose(sample, [math.cos(1.1) * x - math.sin(1.1) * 1.4], rtol=1e-12)
    np.testing.assert_allclose(asked, [(3.0, 1.5), (x / 0.7, 1.1)], rtol=1e-12)


@pytest.mark.parametrize("prediction", ["network", "velocity"])
def test_a_rotation_is_ddim_on_angles(prediction: TrigPrediction) -> None:
    """As the method that knows of no angles has it: predicted data and noise, put together at the next level."""

    def model(seen: Array, t: float) -> Array:
        return np.tanh(seen) + t

    def drawn() -> Array:
        return np.array([0.8, -1.3])

    known = Angles(sigma_data=0.7, prediction=prediction).sample(model, drawn)
    levels = np.array([1.5, 0.9, 0.4])
    config = TrigFlowDDIM(angles=(1.5, 0.9, 0.4, 0.0), sigma_data=0.7, prediction=prediction)
    x = 0.7 * drawn()
    for t, after in pairwise(levels):
        x = math.cos(t - after) * x - math.sin(t - after) * config.to_velocity(model(config.seen(x), t))
    np.testing.assert_allclose(x, known, rtol=1e-12)
    last = math.cos(0.4) * x - math.sin(0.4) * config.to_velocity(model(config.seen(x), 0.4))
    np.testing.assert_allclose(config.sample(model, drawn), last, rtol=1e-12)


def test_even_angles_begin_at_that_of_the_highest_level() -> None:
    np.testing.assert_allclose(TrigFlowDDIM(num_steps=2).levels, [math.atan(160), math.atan(160) / 2, 0])
    with pytest.raises(ValueError, match="where angles is not given"):
        TrigFlowDDIM()
    with pytest.raises(ValueError, match="strictly decreasing"):
        TrigFlowDDIM(angles=(1.0, 1.2, 0.0))
    with pytest.raises(ValueError, match="then a final 0"):
        TrigFlowDDIM(angles=(1.0, 0.5))
    with pytest.raises(ValueError, match="left out where angles is given"):
        TrigFlowDDIM(angles=(1.0, 0.0), num_steps=1)
