"""Interpolants by hand: paths, what a model predicts on them, and the methods that walk along them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from reference_samplers import (
    FlowEuler,
    FlowRungeKutta,
    FlowSDE,
    InterpolantEuler,
    InterpolantRungeKutta,
    InterpolantSDE,
)
from sampler_harness.law.comparison import compare
from sampler_harness.law.tolerance import reference_law, tolerance_of

from .added_method import Implicit

PATHS = ["linear", "gvp", "vp"]


def euler(**fields: Any) -> InterpolantEuler:
    return InterpolantEuler(**{"num_steps": 2, **fields})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("t", [0.2, 0.7, 1.0])
def test_rates_are_the_slopes_of_the_scales(path: Any, t: float) -> None:
    config, step = euler(path=path), 1e-6
    ahead, behind = config.scales(t + step), config.scales(t - step)
    slopes = [(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)]
    np.testing.assert_allclose(config.rates(t), slopes, rtol=1e-6, atol=1e-8)


def test_scales_by_hand() -> None:
    np.testing.assert_allclose(euler().scales(0.3), [0.7, 0.3])
    np.testing.assert_allclose(euler(path="gvp").scales(1 / 3), [math.sqrt(3) / 2, 0.5])
    alpha = math.exp(-0.25 * 0.25 * 19.9 - 0.5 * 0.5 * 0.1)
    np.testing.assert_allclose(euler(path="vp").scales(0.5), [alpha, math.sqrt(1 - alpha**2)])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("prediction", ["flow", "reversed_flow", "x0", "epsilon", "score"])
def test_every_prediction_stands_for_the_same_velocity(path: Any, prediction: Any) -> None:
    """X of data 2 and noise -0.5, by the definition of the path."""
    t, x0, epsilon = 0.6, 2.0, -0.5
    config = euler(path=path, prediction=prediction, sigmas=(0.6, 0.3), num_steps=None)
    (alpha, sigma), (alpha_rate, sigma_rate) = config.scales(t), config.rates(t)
    x, flow = np.array([alpha * x0 + sigma * epsilon]), alpha_rate * x0 + sigma_rate * epsilon
    given = {"flow": flow, "reversed_flow": -flow, "x0": x0, "epsilon": epsilon, "score": -epsilon / sigma}[prediction]
    output = np.array([given])
    np.testing.assert_allclose(config.to_flow(x, output, t), [flow], rtol=1e-9)
    np.testing.assert_allclose(config.to_x0(x, output, t), [x0], rtol=1e-9)
    np.testing.assert_allclose(config.to_score(x, np.array([flow]), t), [-epsilon / sigma], rtol=1e-9)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("prediction", ["flow", "reversed_flow", "x0"])
@pytest.mark.parametrize("t", [0.0, 0.4, 1.0])
def test_the_perfect_network_knows_the_posterior_mean(path: Any, prediction: Any, t: float) -> None:
    config = euler(path=path, prediction=prediction, data_at_one=True, time_scale=1000.0)
    model = config.network(lambda x, sigma: x * 0.09 / (0.09 + sigma**2))
    x = np.array([0.8, -0.2])
    alpha, sigma = config.scales(t)
    mean = x if t == 0 else alpha * 0.09 * x / (0.09 * alpha**2 + sigma**2)
    output = model(x, config.time(t))
    if t > 0:
        np.testing.assert_allclose(config.to_x0(x, output, t), mean, atol=1e-9)
    elif prediction != "x0":
        sign = 1 if prediction == "flow" else -1
        should_be = sign * config.rates(1e-12)[0] * x  # of the noise nothing is known, and its mean is 0
        np.testing.assert_allclose(output, should_be, atol=1e-9)


def test_two_steps_of_gvp_by_hand() -> None:
    """Times 1, 1/2 and 0: the model is told none but these, and predicts the data."""
    told: list[tuple[float, float]] = []
    outputs = iter([2.0, -1.0])

    def model(x: Any, time: float) -> Any:
        told.append((float(x[0]), time))
        return np.array([next(outputs)])

    sample = euler(path="gvp", prediction="x0").sample(model, lambda: np.array([3.0]))
    half = math.pi / 2
    middle = 3.0 - 0.5 * (-half * 2.0)  # at 1 the noise does not change
    root = math.sqrt(0.5)
    flow = half * root * (1.0 + (middle + root) / root)
    np.testing.assert_allclose(sample, [middle - 0.5 * flow], rtol=1e-12)
    np.testing.assert_allclose(told, [(3.0, 1.0), (middle, 0.5)])


@pytest.mark.parametrize(
    ("general", "straight"),
    [
        (InterpolantEuler(num_steps=5), FlowEuler(num_steps=5)),
        (
            InterpolantEuler(num_steps=5, lowest_time=0.1, prediction="x0"),
            FlowEuler(5, lowest_time=0.1, prediction="x0"),
        ),
        (InterpolantRungeKutta(num_steps=3, solver="rk4"), FlowRungeKutta(num_steps=3, solver="rk4")),
        (InterpolantSDE(num_steps=5, diffusion_scale=0.7), FlowSDE(num_steps=5, diffusion_scale=0.7)),
        (
            InterpolantSDE(num_steps=5, diffusion="constant", last_step="euler", data_at_one=True, diffusion_scale=1.0),
            FlowSDE(num_steps=5, diffusion="constant", last_step="euler", data_at_one=True),
        ),
        (
            InterpolantSDE(num_steps=5, last_step="tweedie"),
            FlowSDE(num_steps=5, last_step="tweedie", diffusion_scale=2.0),
        ),
    ],
    ids=lambda one: type(one).__name__,
)
def test_on_a_straight_path_it_is_the_rectified_flow(general: Any, straight: Any) -> None:
    deviations = compare(reference_law(general), reference_law(straight), tolerance_of(straight, "float64"))
    assert max(one.ratio for one in deviations) <= 1


def test_sbdm_is_the_rate_of_the_diffusion_that_has_the_path() -> None:
    config = InterpolantSDE(num_steps=4, path="vp", diffusion="sbdm", diffusion_scale=2.0)
    for t in (0.1, 0.5, 1.0):
        assert config.diffusion_at(t) == pytest.approx(0.1 + 19.9 * t)


def test_a_stochastic_step_by_hand() -> None:
    """One step of VP from 1 to 0.2, then one to 0 without a draw."""
    config = InterpolantSDE(num_steps=2, path="vp", lowest_time=0.2, prediction="epsilon", diffusion="linear")
    draws, outputs = iter([1.5, -0.5]), iter([0.3, 0.7])
    sample = config.sample(lambda x, t: np.array([next(outputs)]), lambda: np.array([next(draws)]))
    x = 1.5
    for t, dt, epsilon, draw in ((1.0, 0.8, 0.3, -0.5), (0.2, 0.2, 0.7, 0.0)):
        rate, sigma = 0.5 * (0.1 + 19.9 * t), config.scales(t)[1]
        flow = -rate * x + rate / sigma * epsilon  # dx = -beta x / 2 + beta epsilon / (2 sigma) dt
        w = 2.0 * t
        x = x - dt * flow - 0.5 * w * dt * epsilon / sigma + math.sqrt(w * dt) * draw
    np.testing.assert_allclose(sample, [x], rtol=1e-9)


@pytest.mark.parametrize("path", ["linear", "gvp"])
def test_methods_that_know_nothing_of_paths_run_on_them(path: Any) -> None:
    class Walked(Implicit, InterpolantEuler):
        """The method that asks a process for what each answers."""

    config = Walked(num_steps=4, path=path)
    model = config.network(lambda x, sigma: x / (1 + sigma**2))
    assert np.isfinite(config.sample(model, lambda: np.full((2, 3), 0.5))).all()
    assert config.forward_scales(4) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("kind", "wrong", "said"),
    [
        (InterpolantEuler, {}, "num_steps must be a whole number"),
        (InterpolantEuler, {"num_steps": 3, "prediction": "epsilon"}, "at which x is epsilon"),
        (InterpolantEuler, {"num_steps": 3, "beta_max": 10.0}, "left out where path is not 'vp'"),
        (InterpolantEuler, {"num_steps": 3, "path": "vp", "beta_max": 0.05}, "beta_max must be >= beta_min"),
        (InterpolantEuler, {"num_steps": 3, "end_time": 0.5, "first_time": 0.4}, "end_time must be < first_time"),
        (InterpolantEuler, {"num_steps": 3, "lowest_time": 0.1, "end_time": 0.2}, "between end_time and first_time"),
        (InterpolantEuler, {"sigmas": (0.5, 0.7)}, "strictly decreasing"),
        (InterpolantEuler, {"sigmas": (0.5, 0.1), "end_time": 0.05}, "left out where sigmas is given"),
        (InterpolantRungeKutta, {"num_steps": 3, "path": "vp"}, "end_time must be > 0 where path is 'vp'"),
        (InterpolantRungeKutta, {"num_steps": 3, "prediction": "x0"}, "where the model is called at 0"),
        (InterpolantSDE, {"num_steps": 3, "diffusion": "sbdm"}, "at which there is no signal"),
        (InterpolantSDE, {"num_steps": 3, "last_step": "tweedie", "end_time": 0.1}, "where the run ends above 0"),
        (InterpolantSDE, {"num_steps": 1, "last_step": "tweedie"}, "where the one call is at 1"),
    ],
)
def test_what_no_path_allows_is_refused(kind: Any, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        kind(**wrong)


@pytest.mark.parametrize("path", ["linear", "gvp", "vp"])
@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2), ("midpoint", 2), ("rk4", 4), ("rk4_38", 4)])
def test_orders_are_those_of_the_solvers(path: Any, solver: Any, order: int) -> None:
    """With a velocity that is not linear in x, away from the ends, where VP is steep.

    Of Gaussian data midpoint's leading error is 0 on the straight path.
    """

    def ends_at(steps: int, solver: Any) -> Any:
        fields: dict[str, Any] = {"num_steps": steps, "path": path, "first_time": 0.8, "end_time": 0.2}
        config: Any = (
            InterpolantEuler(**fields) if solver == "euler" else InterpolantRungeKutta(**fields, solver=solver)
        )
        model = config.network(lambda x, sigma: np.tanh(x + 0.3) / (1 + sigma**2))
        return config.sample(model, lambda: np.array([1.0, -0.4, 2.0]))  # one alone may cross 0

    exact = ends_at(1000, "rk4")
    few = 40 if order == 4 else 96
    errors = [np.linalg.norm(ends_at(steps, solver) - exact) for steps in (few, 2 * few)]
    rate = math.log2(errors[0] / errors[1])
    assert rate == pytest.approx(order, abs=0.1)
    claimed = InterpolantEuler(1) if solver == "euler" else InterpolantRungeKutta(1, solver=solver)
    assert claimed.order == order
