"""The references against recorded programs, closed forms, numerical integration, and each other."""

from __future__ import annotations

import dataclasses
import inspect
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.golden.configurations import DIAMOND, FOLDER, GOLDEN, Golden
from reference_samplers import (
    ALL_REFERENCES,
    DDIM,
    DDPM,
    EDM,
    DDIMInversion,
    FlowEuler,
    FlowRungeKutta,
    Reference,
    prediction,
)
from reference_samplers.denoisers import GaussianData, MixtureData, PointData
from reference_samplers.openings import Array
from reference_samplers.processes import betas as tables
from reference_samplers.processes.table_chain import threshold_x0

THOROUGH = settings(derandomize=True, database=None, deadline=None, max_examples=60)

#: Noise levels of a model that is told an index; they cover every level used here.
TRAIN_SIGMAS = tuple(float(sigma) for sigma in np.geomspace(1e-4, 200.0, 60))


# --- measuring a reference, by means of its own


@dataclass(frozen=True)
class Measured:
    """Coefficients of a run: rows are the model's inputs and the sample."""

    times: Array
    offset: Array
    noise: Array
    outputs: Array


def measure(reference: Reference, second_output: float | None = None) -> Measured:
    """Read off the impulse response, each primitive at an element of its own."""
    counts = {"draws": 0, "calls": 0}

    def counted(name: str) -> int:
        counts[name] += 1
        return counts[name] - 1

    def answer(values: Array) -> Any:
        return values if second_output is None else (values, np.full_like(values, second_output))

    def silent_model(x: Array, time: float) -> Any:
        counted("calls")
        return answer(np.zeros_like(x))

    def silent_noise() -> Array:
        counted("draws")
        return np.zeros(1)

    reference.sample(silent_model, silent_noise)
    draws, calls = counts["draws"], counts["calls"]
    impulses = np.eye(draws + calls + 1) * 2.0**-24
    counts.update(draws=0, calls=0)
    rows: list[Array] = []
    times: list[float] = []

    def model(x: Array, time: float) -> Any:
        rows.append(x)
        times.append(time)
        return answer(impulses[draws + counted("calls")])

    rows.append(reference.sample(model, lambda: impulses[counted("draws")]))
    stacked = np.stack(rows)
    coefficients = (stacked - stacked[:, -1:]) * 2.0**24
    return Measured(np.array(times), stacked[:, -1], coefficients[:, :draws], coefficients[:, draws:-1])


def noise_factor(noise: Array) -> Array:
    """L of ``noise = L Q`` with orthonormal rows in Q, which the rows of ``noise`` open from the top down."""
    basis: list[Array] = []
    rows = []
    for row in noise:
        parts = [direction @ row for direction in basis]
        rest = row - sum((part * direction for part, direction in zip(parts, basis, strict=True)), np.zeros_like(row))
        if np.linalg.norm(rest) > 1e-8 * np.abs(noise).max():
            parts.append(np.linalg.norm(rest))
            basis.append(rest / parts[-1])
        rows.append(parts)
    return np.array([[*parts, *[0.0] * (len(basis) - len(parts))] for parts in rows])


def assert_same_law(got: Measured, expected: Measured, tolerance: float) -> None:
    np.testing.assert_array_equal(got.times, expected.times)
    np.testing.assert_allclose(got.outputs, expected.outputs, rtol=tolerance, atol=tolerance)
    factors = noise_factor(got.noise), noise_factor(expected.noise)
    np.testing.assert_allclose(*factors, rtol=tolerance, atol=tolerance)


# --- recorded programs


def assert_recorded(got: Array, recorded: Any, is_float64: bool, *, begins_at_data: bool = False) -> None:
    """Entries agree; those that are zero by algebra may hold rounding of the largest that canceled.

    It is its row's, or, where all of a row cancels, the row's before.
    """
    expected = np.array(recorded)
    assert got.shape == expected.shape
    largest = np.abs(expected).max(axis=-1, keepdims=True, initial=0.0)
    if largest.ndim == 2:
        largest[1:] = np.where(largest[1:] > 0.0, largest[1:], largest[:-1])
    # float32 tables: 1 - alpha_bar cancels as t -> 0, which alone makes up to 2.6e-4.
    relative, of_row = (1e-9, 1e-14) if is_float64 else (4e-4, 1e-6)
    assert (np.abs(got - expected) <= np.maximum(relative * np.abs(expected), of_row * largest)).all()
    if not is_float64 and not begins_at_data:  # beside the cancelling entries, rounding is all there is
        assert (np.abs(got - expected) <= 2e-6 * largest).all()


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_reference_reproduces_recorded_program(golden: Golden) -> None:
    record = json.loads(golden.path.read_text(encoding="utf-8"))
    got = measure(golden.reference)
    assert_recorded(got.times, record["times"], golden.is_float64)
    # From the data up each row has an entry that cancels, and the first rows have hardly another.
    begins_at_data = isinstance(golden.reference, DDIMInversion)
    assert_recorded(got.outputs, record["output_coefficients"], golden.is_float64, begins_at_data=begins_at_data)
    factor = np.array(record["noise_factor"])
    got_factor = noise_factor(got.noise)
    assert got_factor.shape[1] == factor.shape[1] + golden.dropped_columns
    assert_recorded(got_factor[:, : factor.shape[1]], factor, golden.is_float64)
    if golden.dropped_columns:
        assert_recorded(got_factor, record["noise_coefficients"], golden.is_float64)


def test_every_record_has_a_configuration_or_is_known_to_differ() -> None:
    of_samplers = {path.stem for path in FOLDER.glob("*.json")} - {"grids"}  # grids have tests of their own
    assert {golden.name for golden in GOLDEN} | {*DIAMOND} == of_samplers


# --- references against each other

_GRIDS: tuple[dict[str, Any], ...] = (
    {"num_steps": 10},
    {"num_steps": 7, "timestep_spacing": "trailing", "beta_schedule": "cosine"},
    {"num_steps": 9, "timestep_spacing": "linspace", "beta_schedule": "scaled_linear", "prediction": "v"},
    {"num_steps": 2, "timestep_spacing": "respaced", "beta_schedule": "sigmoid", "prediction": "x0"},
    {"num_train_timesteps": 30},
    {"timesteps": (998, 400, 399, 1)},
    {"num_steps": 5, "timestep_spacing": "trailing", "rescale_zero_terminal_snr": True, "prediction": "v"},
    {"betas": (0.1, 0.2, 0.9)},
)


@pytest.mark.parametrize("fields", _GRIDS, ids=str)
def test_ddim_with_eta_1_is_ddpm_with_small_variance(fields: dict[str, Any]) -> None:
    ddim, ddpm = measure(DDIM(eta=1.0, **fields)), measure(DDPM(variance="fixed_small", **fields))
    # Not closer than 1e-7: where alpha_bar is 0, equation 12 takes a square root of rounding.
    assert_same_law(ddim, ddpm, 1e-7)
    np.testing.assert_allclose(ddim.noise @ ddim.noise.T, ddpm.noise @ ddpm.noise.T, rtol=1e-7, atol=1e-7)


def test_learned_variance_spans_small_to_large() -> None:
    learned = DDPM(num_steps=6, variance="learned_range")
    assert learned.model_channels == 2
    small, large = measure(DDPM(num_steps=6)), measure(DDPM(num_steps=6, variance="fixed_large"))
    assert_same_law(measure(learned, -1.0), small, 1e-12)
    assert_same_law(measure(learned, 1.0), large, 1e-12)
    # Midway the variance is the geometric mean.
    middle = measure(learned, 0.0)
    fresh = [np.array([run.noise[k + 1, k + 1] for k in range(5)]) for run in (small, middle, large)]
    np.testing.assert_allclose(fresh[1] ** 2, fresh[0] * fresh[2], rtol=1e-12)


def test_learned_log_variance_is_the_drawn_variance() -> None:
    log_variance = -1.3
    run = measure(DDPM(num_steps=4, variance="learned"), log_variance)
    fresh = [run.noise[k + 1, k + 1] for k in range(3)]
    np.testing.assert_allclose(fresh, np.exp(log_variance / 2), rtol=1e-12)


@pytest.mark.parametrize("variance", ["learned_range", "learned"])
def test_network_of_a_learned_variance_answers_with_the_small_one(variance: Any) -> None:
    data = GaussianData(_MEAN, _COVARIANCE)
    samples = []
    for reference in (DDPM(num_steps=5), DDPM(num_steps=5, variance=variance)):
        draws = iter(np.random.default_rng(2).normal(size=(5, 3, 2)))
        samples.append(reference.sample(reference.network(data), draws.__next__))
    np.testing.assert_allclose(samples[1], samples[0], rtol=1e-12)


def test_large_variance_is_one_step_of_the_chain() -> None:
    run = measure(DDPM(betas=(0.1, 0.2, 0.5), variance="fixed_large"))
    np.testing.assert_allclose([run.noise[1, 1], run.noise[2, 2]], np.sqrt([0.5, 0.2]), rtol=1e-12)


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
@pytest.mark.parametrize("timesteps", [(900, 500, 100), (900, 500, 0), (3,)])
def test_ddpm_ends_in_its_own_x0_without_noise(variance: Any, timesteps: tuple[int, ...]) -> None:
    run = measure(DDPM(timesteps=timesteps, variance=variance, prediction="x0"))
    steps = len(timesteps)
    assert run.noise.shape[1] == steps
    np.testing.assert_allclose(run.outputs[-1], np.eye(steps)[-1], atol=1e-12)
    np.testing.assert_allclose(run.noise[-1], 0, atol=1e-12)


def test_ddpm_by_hand() -> None:
    # betas 0.2, 0.5: alpha_bar 0.8, 0.4. Algorithm 2 with epsilon, as printed.
    run = measure(DDPM(betas=(0.2, 0.5)))
    np.testing.assert_array_equal(run.times, [1, 0])
    first = [1 / np.sqrt(0.5), -0.5 / np.sqrt(0.6) / np.sqrt(0.5)]
    sigma = np.sqrt(0.2 / 0.6 * 0.5)
    np.testing.assert_allclose([run.noise[1, 0], run.outputs[1, 0], run.noise[1, 1]], [*first, sigma], rtol=1e-12)
    last = [1 / np.sqrt(0.8), -0.2 / np.sqrt(0.2) / np.sqrt(0.8)]
    np.testing.assert_allclose(run.noise[2], [last[0] * first[0], last[0] * sigma], rtol=1e-12)
    np.testing.assert_allclose(run.outputs[2], [last[0] * first[1], last[1]], rtol=1e-12)


def test_the_level_before_is_the_next_entry_of_the_grid() -> None:
    # 10 // 4 = 2, but from 9 the next entry is 6 (linspace): alpha_bar of 6 it must be.
    ddim = DDIM(betas=tuple(np.linspace(0.05, 0.3, 10)), num_steps=4, timestep_spacing="linspace", prediction="x0")
    assert ddim.grid == (9, 6, 3, 0)
    run = measure(ddim)
    alpha_bar = np.cumprod(1 - np.linspace(0.05, 0.3, 10))
    np.testing.assert_allclose(run.noise[1, 0], np.sqrt((1 - alpha_bar[6]) / (1 - alpha_bar[9])), rtol=1e-12)


def test_ddim_final_alpha_bar() -> None:
    alpha_bar = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    fields: dict[str, Any] = {"num_steps": 4, "steps_offset": 1, "prediction": "x0"}
    one, first = measure(DDIM(**fields)), measure(DDIM(final_alpha_bar="first", **fields))
    np.testing.assert_allclose(one.outputs[-1], [0, 0, 0, 1], atol=1e-12)
    ratio = np.sqrt((1 - alpha_bar[0]) / (1 - alpha_bar[1]))
    weight = np.sqrt(alpha_bar[0]) - ratio * np.sqrt(alpha_bar[1])
    np.testing.assert_allclose(first.outputs[-1, -1], weight, rtol=1e-8)
    # No noise on the last entry, whatever its index.
    last_draws = measure(DDIM(eta=1.0, final_alpha_bar="first", **fields)).noise
    assert last_draws.shape[1] == 4


def test_rederived_epsilon_matters_only_where_x0_is_clamped() -> None:
    for kind in ("epsilon", "x0", "v"):
        fields: dict[str, Any] = {"num_steps": 5, "prediction": kind}
        assert_same_law(measure(DDIM(**fields)), measure(DDIM(rederive_epsilon=False, **fields)), 1e-9)
    kept = DDIM(betas=(0.2, 0.5), clip_denoised=True, rederive_epsilon=False)
    rederived = dataclasses.replace(kept, rederive_epsilon=True)
    x = np.array([3.0])
    # alpha_bar 0.8, 0.4; x0 = 3 / sqrt(0.4) is clamped to 1, epsilon is 0 or what 1 leaves of 3.
    second = [np.sqrt(0.8), np.sqrt(0.8) + np.sqrt(0.2) * (3 - np.sqrt(0.4)) / np.sqrt(0.6)]
    for reference, expected in zip((kept, rederived), second, strict=True):
        seen: list[Array] = []

        def model(x: Array, timestep: float, seen: list[Array] = seen) -> Array:
            seen.append(x)
            return np.zeros_like(x)

        reference.sample(model, lambda: x)
        np.testing.assert_allclose(seen[1], expected, rtol=1e-12)


def test_threshold_by_hand() -> None:
    x0 = np.array([[0.0, 1.0, -2.0, 4.0], [0.1, -0.2, 0.3, 0.4]])
    # Magnitudes' median: 1.5, and 0.25, for which 1 stands in.
    expected = [[0, 1 / 1.5, -1, 1], [0.1, -0.2, 0.3, 0.4]]
    np.testing.assert_allclose(threshold_x0(x0, 0.5, np.inf), expected, rtol=1e-14)
    np.testing.assert_allclose(threshold_x0(x0, 0.5, 1.2)[0], [0, 1 / 1.2, -1, 1], rtol=1e-14)
    np.testing.assert_allclose(threshold_x0(x0.reshape(2, 2, 1, 2), 0.5, np.inf).reshape(2, 4), expected)


def test_threshold_replaces_the_clip() -> None:
    both = DDPM(num_steps=2, clip_denoised=True, threshold=1.0, clip_range=0.1)
    threshold = DDPM(num_steps=2, threshold=1.0)
    draws = np.random.default_rng(0).normal(size=(2, 3, 4))
    samples = []
    for reference in (both, threshold):
        fresh = iter(draws)
        samples.append(reference.sample(lambda x, t: 0.3 * x, lambda fresh=fresh: next(fresh)))  # type: ignore[misc]
    np.testing.assert_array_equal(samples[0], samples[1])
    largest = np.abs(samples[0]).max(axis=1)
    assert ((largest > 0.5) & (largest <= 1.0)).all()


@pytest.mark.parametrize("sampler", [DDPM, DDIM])
def test_clipped_sample_ends_within_the_range(sampler: type[DDPM] | type[DDIM]) -> None:
    reference = sampler(num_steps=5, clip_denoised=True, clip_range=0.5)
    assert reference.is_clipped
    rng = np.random.default_rng(1)
    sample = reference.sample(lambda x, t: rng.normal(size=x.shape), lambda: rng.normal(size=(2, 30)))
    assert np.abs(sample).max() == pytest.approx(0.5)


def test_churn_by_hand() -> None:
    # N = 2, s_churn = 0.5: gamma 0.25, only at level 4, which rises to 5; noise adds in variances, 25 - 16 = 9.
    fields: dict[str, Any] = {"sigmas": (4.0, 1.0, 0.0), "s_churn": 0.5, "s_tmin": 2.0, "s_noise": 1.1}
    run = measure(EDM(solver="euler", **fields))
    np.testing.assert_allclose(run.times, [5, 1], rtol=1e-14)
    np.testing.assert_allclose(run.noise[0], [4, 3 * 1.1, 0], rtol=1e-14)  # at level 1 a draw is made, times 0
    np.testing.assert_allclose(run.noise[1], [4 / 5, 3.3 / 5, 0], rtol=1e-14)
    assert run.outputs[1, 0] == pytest.approx(4 / 5)
    # A large churn is limited: sigma_hat is at most sqrt(2) times sigma.
    assert measure(EDM(**{**fields, "s_churn": 99.0})).times[0] == pytest.approx(4 * np.sqrt(2))
    # Both ends of the window belong to it.
    for edge in ({"s_tmin": 4.0}, {"s_tmin": 0.0, "s_tmax": 4.0}):
        assert measure(EDM(**{**fields, **edge})).times[0] == pytest.approx(5)
    assert measure(EDM(**{**fields, "s_tmin": 4.5})).times[0] == pytest.approx(4)


def test_churn_of_a_model_with_an_index_is_told_where_the_raised_level_lies() -> None:
    fields: dict[str, Any] = {"sigmas": (4.0, 1.0, 0.0), "s_churn": 0.5, "s_tmin": 2.0, "model_kind": "epsilon"}
    run = measure(EDM(times=(7.0, 3.0), train_sigmas=(0.05, 0.5, 50.0), solver="euler", **fields))
    np.testing.assert_allclose(run.times, [1.5, 3.0], rtol=1e-12)  # 5 is midway from 0.5 to 50; 1 as given


def test_heun_by_hand() -> None:
    # From 2 to 1 and then to 0, constant D = 1 seen as impulses: d = (x - D) / sigma.
    run = measure(EDM(sigmas=(2.0, 1.0, 0.0)))
    np.testing.assert_array_equal(run.times, [2, 1, 1])
    # Row 1: x - (x - D0)/2; row 2: x - ((x - D0)/2 + (row1 - D1))/2; row 3: D2.
    np.testing.assert_allclose(run.outputs[1:3], [[0.5, 0, 0], [0, 0.5, 0]], atol=1e-14)
    np.testing.assert_allclose(run.outputs[3], [0, 0, 1], atol=1e-14)
    np.testing.assert_allclose(run.noise[:, 0], [2, 1, 1, 0], atol=1e-14)


@pytest.mark.parametrize("solver", ["heun", "euler"])
@pytest.mark.parametrize("kind", ["network", "epsilon", "v", "x0"])
def test_kinds_of_model_are_one_sampler(solver: Any, kind: Any) -> None:
    data = MixtureData([0.3, 0.7], [[-1.0, 2.0], [0.5, 0.0]], [0.3, 0.1])
    plain = EDM(num_steps=9, solver=solver, s_churn=3.0)
    other = dataclasses.replace(plain, model_kind=kind, train_sigmas=TRAIN_SIGMAS)
    samples = []
    for reference in (plain, other):
        rng = np.random.default_rng(5)
        draw = lambda rng=rng: rng.normal(size=(6, 2))  # noqa: E731
        samples.append(reference.sample(reference.network(data), draw))
    np.testing.assert_allclose(samples[1], samples[0], rtol=1e-8)


def test_initial_scale_is_the_first_std() -> None:
    assert measure(EDM(initial_scale=3.0)).noise[0, 0] == 3.0
    assert measure(EDM(sigma_max=5.0)).noise[0, 0] == pytest.approx(5.0)


def test_flow_by_hand() -> None:
    run = measure(FlowEuler(2))
    np.testing.assert_array_equal(run.times, [1, 0.5])
    np.testing.assert_allclose(run.outputs, [[0.0, 0.0], [-0.5, 0.0], [-0.5, -0.5]], atol=1e-15)
    # Shifted by 3, the middle 1/2 moves to 3/2 / 2.
    np.testing.assert_allclose(measure(FlowEuler(2, shift=3.0)).times, [1, 0.75], rtol=1e-15)
    # Shifted by 3, the lowest time 1/5 moves to 3/5 / (7/5), and behind it the run goes to 0 at once.
    run = measure(FlowEuler(2, shift=3.0, lowest_time=0.2))
    np.testing.assert_allclose(run.times, [1, 3 / 7], rtol=1e-15)
    np.testing.assert_allclose(run.outputs[-1], [-4 / 7, -3 / 7], rtol=1e-15)
    run = measure(FlowEuler(sigmas=(0.75, 0.25, 0.0)))
    np.testing.assert_array_equal(run.times, [0.75, 0.25])
    np.testing.assert_array_equal(run.outputs[-1], [-0.5, -0.25])


@pytest.mark.parametrize(
    ("solver", "corrects_last", "times", "sample"),
    # From 1 to 1/2 in one step of length 1/2, and from there to 0 in another: what the sample holds of each output.
    [
        ("midpoint", True, [1, 0.75, 0.5, 0.25], [0, -0.5, 0, -0.5]),
        ("heun", True, [1, 0.5, 0.5, 0], [-0.25, -0.25, -0.25, -0.25]),
        ("heun", False, [1, 0.5, 0.5], [-0.25, -0.25, -0.5]),
        (
            "rk4",
            True,
            [1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0],
            [-1 / 12, -1 / 6, -1 / 6, -1 / 12, -1 / 12, -1 / 6, -1 / 6, -1 / 12],
        ),
        (
            "rk4_38",
            True,
            [1, 5 / 6, 2 / 3, 0.5, 0.5, 1 / 3, 1 / 6, 0],
            [-1 / 16, -3 / 16, -3 / 16, -1 / 16, -1 / 16, -3 / 16, -3 / 16, -1 / 16],
        ),
    ],
)
def test_higher_orders_of_a_flow_by_hand(
    solver: Any, corrects_last: bool, times: list[float], sample: list[float]
) -> None:
    reference = FlowRungeKutta(2, solver=solver, corrects_last=corrects_last)
    run = measure(reference)
    np.testing.assert_allclose(run.times, times, atol=1e-15)
    np.testing.assert_allclose(run.outputs[-1], sample, atol=1e-15)
    assert reference.num_calls == len(times)


@pytest.mark.parametrize(
    ("solver", "corrects_last", "order"),
    [("heun", True, 2), ("heun", False, 2), ("rk4", True, 4), ("rk4_38", True, 4)],
)
def test_higher_orders_of_a_flow_are_reached(solver: Any, corrects_last: bool, order: int) -> None:
    data = GaussianData(_MEAN, _COVARIANCE)
    draw = np.random.default_rng(5).normal(size=(4, 2))
    variances, axes = np.linalg.eigh(_COVARIANCE)
    exact = _MEAN + (draw @ axes * np.sqrt(variances)) @ axes.T
    errors = []
    for num_steps in (96, 192):
        flow = FlowRungeKutta(num_steps, solver=solver, corrects_last=corrects_last)
        errors.append(float(np.abs(flow.sample(flow.network(data), lambda: draw) - exact).max()))
    assert flow.order == order
    assert abs(np.log2(errors[0] / errors[1]) - order) < 0.1


def test_what_a_flow_model_is_told() -> None:
    def told(**fields: Any) -> list[float]:
        return [float(time) for time in measure(FlowEuler(sigmas=(0.75, 0.3, 0.0), **fields)).times]

    assert told(time_scale=10.0) == [7.5, 3.0]
    assert told(data_at_one=True) == [0.25, 0.7]
    assert told(data_at_one=True, time_scale=10.0) == [2.5, 7.0]
    assert told(time_scale=10.0, time_rounding="nearest") == [8.0, 3.0]
    assert told(time_scale=10.0, time_rounding="down") == [7.0, 3.0]


@pytest.mark.parametrize(
    ("kind", "first", "last"),
    # From t = 1/2 to 0: x - 1/2 (epsilon - x0), with one of the two known and x = x0 / 2 + epsilon / 2.
    [("flow", 1.0, -0.5), ("reversed_flow", 1.0, 0.5), ("x0", 0.0, 1.0), ("epsilon", 2.0, -1.0)],
)
def test_what_a_flow_model_predicts(kind: Any, first: float, last: float) -> None:
    run = measure(FlowEuler(sigmas=(0.5, 0.0), prediction=kind))
    np.testing.assert_allclose([run.noise[-1, 0], run.outputs[-1, 0]], [first, last], atol=1e-15)


@pytest.mark.parametrize("kind", ["flow", "reversed_flow", "x0", "epsilon"])
@pytest.mark.parametrize("data_at_one", [False, True])
def test_a_perfect_flow_model_answers_what_it_should(kind: Any, data_at_one: bool) -> None:
    flow = FlowEuler(sigmas=(0.75, 0.3, 0.0), prediction=kind, data_at_one=data_at_one, time_scale=1000.0)
    x0 = np.array([[0.3, -2.0]])
    model = flow.network(lambda x, sigma: x0)
    for t in (0.75, 0.3):
        x = (1 - t) * x0 + t * np.array([[1.5, 0.5]])
        np.testing.assert_allclose(flow.denoiser(model)(x, t), x0, rtol=1e-12)
        np.testing.assert_allclose(flow.to_flow(x, model(x, flow.time(t)), t), [[1.2, 2.5]], rtol=1e-12)


# --- what every reference offers

_EXAMPLES: tuple[Reference, ...] = (
    EDM(),
    EDM(num_steps=1),
    EDM(num_steps=5, solver="euler", s_churn=2.0, model_kind="network"),
    EDM(sigmas=(10.0, 2.0, 0.5, 0.0), model_kind="v", times=(900.0, 500.5, 100.0)),
    DDPM(num_steps=7, variance="learned_range"),
    DDPM(num_steps=3, variance="learned"),
    DDPM(num_steps=4, timestep_spacing="trailing", rescale_zero_terminal_snr=True, prediction="v"),
    DDIM(num_steps=7, eta=0.4, final_alpha_bar="first"),
    FlowEuler(5, shift=3.0),
)


@pytest.mark.parametrize("reference", _EXAMPLES, ids=repr)
def test_num_calls_is_counted(reference: Reference) -> None:
    run = measure(reference, 0.0 if reference.model_channels == 2 else None)
    assert run.times.size == reference.num_calls
    np.testing.assert_array_equal(run.offset, 0)


@pytest.mark.parametrize("reference", _EXAMPLES, ids=repr)
def test_configurations_are_values(reference: Any) -> None:
    reference.sample(lambda x, t: (x, x) if reference.model_channels == 2 else x, lambda: np.ones((2, 2)))
    same = dataclasses.replace(reference)
    assert same == reference
    assert hash(same) == hash(reference)
    assert pickle.loads(pickle.dumps(reference)) == reference
    with pytest.raises(dataclasses.FrozenInstanceError):
        reference.num_steps = 3


def test_sequences_become_tuples() -> None:
    edm = EDM(sigmas=np.array([3.0, 1.0, 0.0]), times=[2, 1], train_sigmas=[1, 2], model_kind="x0")  # type: ignore[arg-type]
    assert (edm.sigmas, edm.times, edm.train_sigmas) == ((3.0, 1.0, 0.0), (2.0, 1.0), (1.0, 2.0))
    ddim = DDIM(betas=np.full(4, 0.1), timesteps=np.array([3, 1]))  # type: ignore[arg-type]
    assert (ddim.betas, ddim.timesteps, ddim.num_train_timesteps) == ((0.1,) * 4, (3, 1), 4)
    assert hash(edm) != hash(ddim)


@pytest.mark.parametrize("shape", [(3,), (1, 1, 1, 1), (2, 3, 5), (0, 4)])
@pytest.mark.parametrize("reference", _EXAMPLES, ids=repr)
def test_any_shape(reference: Reference, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    model = reference.network(lambda x, sigma: x / (1 + sigma**2))
    sample = reference.sample(model, lambda: rng.normal(size=shape))
    assert sample.shape == shape
    assert sample.dtype == np.float64
    assert np.isfinite(sample).all()


@pytest.mark.parametrize(
    "reference",
    [
        EDM(num_steps=6, solver="euler"),
        DDIM(num_steps=6),
        DDIM(num_steps=6, timestep_spacing="trailing", final_alpha_bar="first", prediction="x0"),
        DDIM(num_steps=5, timestep_spacing="trailing", rescale_zero_terminal_snr=True, prediction="v"),
        FlowEuler(6, shift=2.0),
    ],
    ids=repr,
)
def test_forward_scales_are_those_that_a_perfect_model_sees(reference: Reference) -> None:
    # All data is one point: the deterministic samplers then follow signal * point + noise * epsilon exactly.
    point, epsilon = np.array([[0.7, -2.0]]), np.array([[1.3, 0.4]])
    model = reference.network(lambda x, sigma: np.broadcast_to(point, x.shape))
    start = [scale * part for scale, part in zip(reference.forward_scales(0), (point, epsilon), strict=True)]
    first_std = measure(reference).noise[0, 0]
    rows: list[Array] = []

    def recording(x: Array, time: float) -> Any:
        rows.append(x)
        return model(x, time)

    rows.append(reference.sample(recording, lambda: sum(start) / first_std))
    for index, row in enumerate(rows):
        signal_scale, noise_scale = reference.forward_scales(index)
        np.testing.assert_allclose(row, signal_scale * point + noise_scale * epsilon, rtol=1e-9)
    with pytest.raises(ValueError, match="index"):
        reference.forward_scales(len(rows))


def test_a_thousand_steps_are_fast_enough_to_be_drawn_often() -> None:
    # Counted, not timed: tables are made once, not once per step.
    ddpm = DDPM()
    assert ddpm.alpha_bar is ddpm.alpha_bar
    assert ddpm.grid is ddpm.grid
    edm = EDM(num_steps=1000)
    assert edm.sigma_grid is edm.sigma_grid


def test_the_references_need_numpy_alone() -> None:
    code = "import sys, reference_samplers as r, reference_samplers.denoisers; print('torch' in sys.modules)"
    code += "; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=FOLDER.parent.parent, capture_output=True, text=True)
    assert (done.stdout.split(), done.returncode) == (["False", "False"], 0), done.stderr


def test_all_references_are_documented_in_the_house_order() -> None:
    reference: Any
    for reference in ALL_REFERENCES:
        text = inspect.getdoc(reference) or ""
        assert text.index("Source:") < text.index("Args:") < text.index("Raises:")
        for field in dataclasses.fields(reference):
            assert f"\n    {field.name}: " in text, (reference, field.name)


# --- predictions


@THOROUGH
@given(
    st.sampled_from(prediction.PREDICTIONS),
    st.floats(-3, 3),
    st.floats(-3, 3),
    st.floats(1e-3, 1.0),
    st.floats(1e-3, 90.0),
)
def test_predictions_are_inverses(
    kind: prediction.Prediction, x0: float, epsilon: float, signal_scale: float, noise_scale: float
) -> None:
    data, noise = np.array([x0]), np.array([epsilon])
    x = signal_scale * data + noise_scale * noise
    outputs = {
        "x0": data,
        "epsilon": noise,
        "v": signal_scale * noise - noise_scale * data,
        "flow": noise - data,
        "score": -noise / noise_scale,
    }
    scale = 1 + noise_scale / signal_scale
    got = prediction.from_x0(kind, x, data, signal_scale, noise_scale)
    np.testing.assert_allclose(got, outputs[kind], atol=1e-10 * (1 + signal_scale / noise_scale), rtol=1e-9)
    back = prediction.to_x0(kind, x, got, signal_scale, noise_scale)
    np.testing.assert_allclose(back, data, atol=1e-12 * scale, rtol=1e-10)


def test_unknown_predictions_are_refused() -> None:
    for convert in (prediction.to_x0, prediction.from_x0):
        with pytest.raises(ValueError, match=r"prediction must be one of x0, .*'noise'"):
            convert("noise", np.ones(1), np.ones(1), 1.0, 1.0)  # type: ignore[arg-type]


@THOROUGH
@given(st.floats(1e-3, 200.0), st.floats(0.1, 2.0))
def test_preconditioning_keeps_unit_variance(sigma: float, sigma_data: float) -> None:
    # Karras et al. 2022, appendix B.6: the input and the target of F have unit variance, and c_out is least.
    scale_in, scale_out = prediction.c_in(sigma, sigma_data), prediction.c_out(sigma, sigma_data)
    skip = prediction.c_skip(sigma, sigma_data)
    assert scale_in**2 * (sigma_data**2 + sigma**2) == pytest.approx(1)
    assert ((1 - skip) ** 2 * sigma_data**2 + skip**2 * sigma**2) / scale_out**2 == pytest.approx(1)
    for other in (skip - 1e-3, skip + 1e-3):
        assert (1 - other) ** 2 * sigma_data**2 + other**2 * sigma**2 > scale_out**2
    assert prediction.c_noise(sigma) == pytest.approx(np.log(sigma) / 4)


# --- denoisers in closed form


def integrated_mean(x: Array, sigma: float, density: Callable[[Array], Array], half_width: float = 9.0) -> Array:
    """Posterior mean of 2-D data by summing over a fine grid."""
    axis = np.linspace(-half_width, half_width, 1201)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    weight = density(grid) * np.exp(-0.5 * ((x - grid) ** 2).sum(axis=1) / sigma**2)
    mean: Array = (weight[:, None] * grid).sum(axis=0) / weight.sum()
    return mean


_COVARIANCE = np.array([[1.5, 0.6], [0.6, 0.4]])
_MEAN = np.array([0.8, -0.5])


@pytest.mark.parametrize("sigma", [0.2, 1.0, 4.0])
def test_gaussian_denoiser_equals_integration(sigma: float) -> None:
    inverse = np.linalg.inv(_COVARIANCE)

    def density(points: Array) -> Array:
        off = points - _MEAN
        values: Array = np.exp(-0.5 * np.einsum("ni,ij,nj->n", off, inverse, off))
        return values

    denoise = GaussianData(_MEAN, _COVARIANCE)
    for x in (np.array([1.0, 2.0]), np.array([-2.0, 0.3])):
        np.testing.assert_allclose(denoise(x[None], sigma)[0], integrated_mean(x, sigma, density), atol=1e-7)


@pytest.mark.parametrize("sigma", [0.2, 1.0, 4.0])
def test_mixture_denoiser_equals_integration(sigma: float) -> None:
    weights, means, stds = [2.0, 5.0, 1.0], np.array([[-1.0, 2.0], [0.5, 0.0], [2.0, 2.0]]), [0.3, 0.6, 0.2]

    def density(points: Array) -> Array:
        total = np.zeros(len(points))
        for weight, mean, std in zip(weights, means, stds, strict=True):
            total += weight / std**2 * np.exp(-0.5 * ((points - mean) ** 2).sum(axis=1) / std**2)
        return total

    denoise = MixtureData(weights, means, stds)
    for x in (np.array([1.0, 1.0]), np.array([-0.4, 0.9])):
        np.testing.assert_allclose(denoise(x[None], sigma)[0], integrated_mean(x, sigma, density), atol=1e-7)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 50.0])
def test_point_denoiser_equals_bayes(sigma: float) -> None:
    points = np.array([[-1.0, 2.0], [0.5, 0.0], [2.0, 2.0]])
    x = np.array([0.2, 1.0])
    likelihood = np.exp([-((x - point) ** 2).sum() / (2 * sigma**2) for point in points])
    expected = sum(share * point for share, point in zip(likelihood / likelihood.sum(), points, strict=True))
    np.testing.assert_allclose(PointData(points)(x[None], sigma)[0], expected, rtol=1e-12)
    # A mixture of components without width is the same thing.
    mixture = MixtureData(np.ones(3), points, np.zeros(3))
    np.testing.assert_allclose(mixture(x[None], sigma)[0], expected, rtol=1e-12)


def test_denoisers_keep_shapes_and_survive_extremes() -> None:
    x = np.random.default_rng(0).normal(size=(3, 1, 2, 2))
    points = np.arange(8.0).reshape(2, 4)
    for data in (
        GaussianData(np.arange(4.0), np.diag([1.0, 0.1, 0.0, 3.0])),
        MixtureData([1, 1], points, [0.1, 0.2]),
        PointData(points),
    ):
        for sigma in (1e-6, 1.0, 1e12):
            assert data(x, sigma).shape == x.shape
            assert np.isfinite(data(x, sigma)).all()
        with pytest.raises(ValueError, match="items of 4 numbers"):
            data(np.zeros((2, 3)), 1.0)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: GaussianData([[0.0]], [[1.0]]), "mean"),
        (lambda: GaussianData([0.0], [[1.0, 2.0]]), "covariance"),
        (lambda: GaussianData([0.0, 0.0], [[1.0, 0.5], [0.0, 1.0]]), "covariance"),
        (lambda: GaussianData([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]]), "covariance"),
        (lambda: MixtureData([1.0], [[0.0], [1.0]], [1.0, 1.0]), "weights"),
        (lambda: MixtureData([1.0, 0.0], [[0.0], [1.0]], [1.0, 1.0]), "weights"),
        (lambda: MixtureData([1.0, 1.0], [[0.0], [1.0]], [1.0, -1.0]), "stds"),
        (lambda: PointData([0.0, 1.0]), "points"),
        (lambda: PointData([[np.nan]]), "points"),
    ],
)
def test_wrong_data_is_refused_by_name(make: Callable[[], Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        make()


# --- convergence to exact solutions


def slopes(errors: list[float]) -> Array:
    """Orders between successive doublings of the number of steps."""
    return -np.diff(np.log2(errors))


@pytest.mark.parametrize("kind", ["denoiser", "network", "epsilon", "v", "x0"])
@pytest.mark.parametrize(("solver", "order"), [("heun", 2), ("euler", 1)])
def test_edm_converges_to_the_probability_flow(kind: Any, solver: Any, order: int) -> None:
    data = GaussianData(_MEAN, _COVARIANCE)
    draw = np.random.default_rng(3).normal(size=(20, 2))
    errors = []
    for num_steps in (64, 128, 256):
        edm = EDM(num_steps, sigma_min=1e-3, solver=solver, model_kind=kind, train_sigmas=TRAIN_SIGMAS, sigma_data=1.1)
        assert edm.order == order
        assert edm.stochasticity == 0
        exact = data.flow(80.0 * draw, 80.0, 0.0)
        errors.append(float(np.abs(edm.sample(edm.network(data), lambda: draw) - exact).max()))
    assert errors[-1] < (1e-3 if order == 2 else 0.05)
    np.testing.assert_allclose(slopes(errors), order, atol=0.25)


def test_flow_of_the_gaussian_solves_its_ode() -> None:
    data = GaussianData(_MEAN, _COVARIANCE)
    x, sigma, step = np.array([[1.0, 2.0]]), 0.7, 1e-5
    slope = (data.flow(x, sigma, sigma + step) - data.flow(x, sigma, sigma - step)) / (2 * step)
    np.testing.assert_allclose(slope, (x - data(x, sigma)) / sigma, rtol=1e-8)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_euler_converges_to_the_probability_flow(shift: float) -> None:
    data = GaussianData(_MEAN, _COVARIANCE)
    variances, axes = np.linalg.eigh(_COVARIANCE)
    draw = np.random.default_rng(3).normal(size=(20, 2))
    # From pure noise (t = 1) the flow scales each axis by its std.
    exact = _MEAN + (draw @ axes * np.sqrt(variances)) @ axes.T
    errors = []
    for num_steps in (64, 128, 256):
        flow = FlowEuler(num_steps, shift)
        assert (flow.order, flow.stochasticity) == (1, 0)
        errors.append(float(np.abs(flow.sample(flow.network(data), lambda: draw) - exact).max()))
    assert errors[-1] < 0.03
    np.testing.assert_allclose(slopes(errors), 1, atol=0.25)


def moments(reference: Reference, denoise: Callable[[Array, float], Array]) -> tuple[float, float]:
    """Mean and variance of the sample with an affine model, in closed form from unit draws."""
    second = 0.0 if reference.model_channels == 2 else None
    size = measure(reference, second).noise.shape[1] + 1
    draws = iter(np.eye(size)[:-1])
    sample = reference.sample(reference.network(denoise), lambda: next(draws))
    return float(sample[-1]), float(((sample[:-1] - sample[-1]) ** 2).sum())


_CHAIN_LENGTH = 6401
_CHAIN: dict[str, Any] = {
    # alpha_bar ends in about exp(-1.5): the process starts far from its stationary state, and lambda shows.
    "num_train_timesteps": _CHAIN_LENGTH,
    "beta_start": 0.02 / _CHAIN_LENGTH,
    "beta_end": 3.0 / _CHAIN_LENGTH,
    "timestep_spacing": "respaced",
}


@pytest.mark.parametrize(
    ("sampler", "fields"),
    [
        (DDPM, {"variance": "fixed_small"}),
        (DDPM, {"variance": "fixed_large", "prediction": "v"}),
        (DDPM, {"variance": "learned_range"}),
        (DDIM, {"eta": 0.0}),
        (DDIM, {"eta": 0.5, "prediction": "x0"}),
        (DDIM, {"eta": 1.0}),
    ],
    ids=str,
)
def test_chains_converge_to_the_reverse_process(sampler: type[DDPM] | type[DDIM], fields: dict[str, Any]) -> None:
    mean, variance = 0.9, 0.3

    def denoise(x: Array, sigma: float) -> Array:
        return mean + variance / (variance + sigma**2) * (x - mean)

    errors = []
    for num_steps in (26, 51, 101, 201):
        reference = sampler(num_steps=num_steps, **_CHAIN, **fields)
        alpha_bar = reference.alpha_bar[reference.levels[0]]
        # In units of x / sqrt(alpha_bar) the start has variance 1 / alpha_bar where variance + sigma^2 would be
        # right; deviations decay as the (1 + lambda^2)-th power of what the flow does to them.
        start, sigma_squared = 1 / alpha_bar, 1 / alpha_bar - 1
        assert reference.stochasticity is not None
        decay = (variance / (variance + sigma_squared)) ** (0.5 * (1 + reference.stochasticity**2))
        exact_mean = mean - mean * decay
        exact_variance = variance + (start - variance - sigma_squared) * decay**2
        got_mean, got_variance = moments(reference, denoise)
        errors.append(abs(got_mean - exact_mean) + abs(got_variance - exact_variance))
    assert errors[-1] < 0.02
    assert reference.order == 1
    np.testing.assert_allclose(slopes(errors), 1, atol=0.25)


def test_samples_of_points_are_points() -> None:
    data = PointData(np.array([[-1.0, 2.0], [0.5, 0.0], [2.0, 2.0]]))
    rng = np.random.default_rng(0)
    for reference in (EDM(), EDM(s_churn=20.0), DDPM(num_steps=100), DDIM(num_steps=100), FlowEuler(100)):
        sample = reference.sample(reference.network(data), lambda: rng.normal(size=(30, 2)))
        distance = np.linalg.norm(sample[:, None] - data.points, axis=2).min(axis=1)
        assert distance.max() < 0.02


def test_network_at_zero_signal_answers_with_the_prior() -> None:
    ddpm = DDPM(rescale_zero_terminal_snr=True, prediction="x0")
    data = GaussianData(_MEAN, _COVARIANCE)
    np.testing.assert_allclose(ddpm.network(data)(np.array([[5.0, -3.0]]), 999), _MEAN[None], rtol=1e-9)
    flow = FlowEuler(4)
    x = np.array([[5.0, -3.0]])
    np.testing.assert_allclose(flow.network(data)(x, 1.0), x - _MEAN, rtol=1e-9)


# --- wrong configurations


@pytest.mark.parametrize("value", [0, -1, 2.5, 2.0, np.nan, None, "3", True])
def test_edm_refuses_num_steps(value: Any) -> None:
    with pytest.raises(ValueError, match=r"num_steps must be a whole number >= 1, got"):
        EDM(num_steps=value)


@pytest.mark.parametrize(
    ("sampler", "fields", "name"),
    [
        *[(EDM, {name: bad}, name) for name in ("sigma_min", "rho", "s_noise", "sigma_data", "initial_scale")
          for bad in (0.0, -1.0, np.nan, np.inf, "1", True)],
        (EDM, {"sigma_max": np.inf}, "sigma_max"),
        (EDM, {"sigma_max": 0.001}, "sigma_max"),
        (EDM, {"sigma_max": 0.002}, "sigma_max"),
        (EDM, {"solver": "rk45"}, "solver"),
        (EDM, {"solver": None}, "solver"),
        (EDM, {"model_kind": "flow"}, "model_kind"),
        (EDM, {"model_kind": "epsilon"}, "train_sigmas"),
        (EDM, {"s_churn": -0.1}, "s_churn"),
        (EDM, {"s_churn": np.inf}, "s_churn"),
        (EDM, {"s_tmin": -1.0}, "s_tmin"),
        (EDM, {"s_tmin": np.inf}, "s_tmin"),
        (EDM, {"s_tmax": np.nan}, "s_tmax"),
        (EDM, {"s_tmin": 2.0, "s_tmax": 1.0}, "s_tmax"),
        (EDM, {"sigmas": (3.0, 1.0)}, "sigmas"),
        (EDM, {"sigmas": (0.0,)}, "sigmas"),
        (EDM, {"sigmas": ()}, "sigmas"),
        (EDM, {"sigmas": 3.0}, "sigmas"),
        (EDM, {"sigmas": (1.0, 3.0, 0.0)}, "sigmas"),
        (EDM, {"sigmas": (3.0, 3.0, 0.0)}, "sigmas"),
        (EDM, {"sigmas": (3.0, np.nan, 0.0)}, r"sigmas\[1\]"),
        (FlowEuler, {}, "num_steps"),
        (FlowRungeKutta, {"num_steps": 2, "solver": "euler"}, "solver"),
        (FlowRungeKutta, {"num_steps": 2, "solver": "rk4", "corrects_last": False}, "corrects_last"),
        (FlowRungeKutta, {"num_steps": 2, "prediction": "x0"}, "prediction"),
        (FlowRungeKutta, {"sigmas": (0.9, 0.5, 0.0), "prediction": "epsilon"}, "prediction"),
        (FlowEuler, {"num_steps": 2, "lowest_time": 1.0}, "lowest_time"),
        (FlowEuler, {"num_steps": 2, "prediction": "epsilon"}, "prediction"),
        (FlowEuler, {"num_steps": 2, "sigmas": (1.0, 0.0)}, "num_steps"),
        (FlowEuler, {"shift": 3.0, "sigmas": (1.0, 0.0)}, "shift"),
        (FlowEuler, {"sigmas": (1.0, 0.5)}, "sigmas"),
        (FlowEuler, {"sigmas": (0.5, 0.7, 0.0)}, "sigmas"),
        (FlowEuler, {"sigmas": (2.0, 0.0)}, r"sigmas\[0\]"),
        (EDM, {"times": (1.0,), "num_steps": 1}, "times"),
        (EDM, {"times": (1.0,), "num_steps": 2, "model_kind": "v"}, "times"),
        (EDM, {"times": (np.nan,), "num_steps": 1, "model_kind": "v"}, r"times\[0\]"),
        (EDM, {"times": (1.0,), "num_steps": 1, "model_kind": "v", "s_churn": 1.0}, "train_sigmas"),
        (EDM, {"train_sigmas": (2.0, 1.0), "model_kind": "v"}, "train_sigmas"),
        (EDM, {"train_sigmas": (0.0, 1.0), "model_kind": "v"}, r"train_sigmas\[0\]"),
        *[
            (sampler, fields, name)
            for sampler in (DDPM, DDIM)
            for fields, name in (
                ({"num_train_timesteps": 0}, "num_train_timesteps"),
                ({"num_train_timesteps": 10.0}, "num_train_timesteps"),
                ({"beta_schedule": "squaredcos_cap_v2"}, "beta_schedule"),
                ({"beta_start": 0.0}, "beta_start"),
                ({"beta_start": np.nan}, "beta_start"),
                ({"beta_end": 1.0}, "beta_end"),
                ({"beta_end": 1e-5}, "beta_end"),
                ({"betas": ()}, "betas"),
                ({"betas": (0.1, 0.0)}, r"betas\[1\]"),
                ({"betas": (0.1, 1.0, 0.1)}, r"betas\[1\]"),
                ({"betas": (0.1, 0.2), "beta_schedule": "cosine"}, "beta_schedule"),
                ({"betas": (0.1, 0.2), "beta_end": 0.03}, "beta_end"),
                ({"betas": (0.1, 0.2), "num_train_timesteps": 3}, "num_train_timesteps"),
                ({"num_steps": 0}, "num_steps"),
                ({"num_steps": 1001}, "num_steps"),
                ({"num_steps": 2.5}, "num_steps"),
                ({"timestep_spacing": "even"}, "timestep_spacing"),
                ({"steps_offset": -1}, "steps_offset"),
                ({"steps_offset": 1}, "steps_offset"),
                ({"steps_offset": 101, "num_steps": 10}, "steps_offset"),
                ({"timesteps": (3, 3)}, "timesteps"),
                ({"timesteps": (3, 5)}, "timesteps"),
                ({"timesteps": ()}, "timesteps"),
                ({"timesteps": (1000,)}, r"timesteps\[0\]"),
                ({"timesteps": (5, -1)}, r"timesteps\[1\]"),
                ({"timesteps": (5, 1.5)}, r"timesteps\[1\]"),
                ({"timesteps": (5, 1), "num_steps": 2}, "num_steps"),
                ({"timesteps": (5, 1), "timestep_spacing": "trailing"}, "timestep_spacing"),
                ({"timesteps": (5, 1), "steps_offset": 1}, "steps_offset"),
                ({"rescale_zero_terminal_snr": 1}, "rescale_zero_terminal_snr"),
                ({"rescale_zero_terminal_snr": True}, "prediction"),
                ({"betas": (0.1, 1.0)}, "prediction"),
                ({"betas": (0.1, 1.0), "rescale_zero_terminal_snr": True}, "rescale_zero_terminal_snr"),
                ({"num_train_timesteps": 1, "rescale_zero_terminal_snr": True}, "num_train_timesteps"),
                ({"prediction": "flow"}, "prediction"),
                ({"clip_denoised": None}, "clip_denoised"),
                ({"clip_range": 0.0}, "clip_range"),
                ({"clip_range": np.inf}, "clip_range"),
                ({"threshold": 1.01}, "threshold"),
                ({"threshold": np.nan}, "threshold"),
                ({"threshold_max": 0.9}, "threshold_max"),
            )
        ],
        (DDPM, {"variance": "small"}, "variance"),
        (DDIM, {"eta": -0.1}, "eta"),
        (DDIM, {"eta": 1.1}, "eta"),
        (DDIM, {"eta": np.nan}, "eta"),
        (DDIM, {"final_alpha_bar": "zero"}, "final_alpha_bar"),
        (DDIM, {"rederive_epsilon": "yes"}, "rederive_epsilon"),
        (FlowEuler, {"num_steps": 0}, "num_steps"),
        (FlowEuler, {"num_steps": 1.5}, "num_steps"),
        (FlowEuler, {"num_steps": 3, "shift": 0.0}, "shift"),
        (FlowEuler, {"num_steps": 3, "shift": np.inf}, "shift"),
    ],
)  # fmt: skip
def test_wrong_field_is_named(sampler: type[Reference], fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be .*, got "):
        sampler(**fields)


def test_zero_terminal_snr_with_epsilon_is_fine_where_the_grid_leaves_the_last_timestep_out() -> None:
    assert DDPM(num_steps=10, rescale_zero_terminal_snr=True).grid[0] == 900


def test_network_refuses_times_that_repeat() -> None:
    edm = EDM(sigmas=(2.0, 1.0, 0.0), times=(5.0, 5.0), model_kind="epsilon")
    with pytest.raises(ValueError, match="times"):
        edm.network(lambda x, sigma: x)


@pytest.mark.parametrize("fields", [{"num_steps": np.int64(4)}, {"sigma_max": np.float32(8)}, {"s_tmax": 5}])
def test_numbers_of_numpy_are_numbers(fields: dict[str, Any]) -> None:
    ((name, value),) = fields.items()
    assert type(getattr(EDM(**fields), name)) in (int, float)
    assert getattr(EDM(**fields), name) == value


def test_schedules_of_the_chain_are_the_named_ones() -> None:
    for name in tables.BETA_SCHEDULES:
        chain = DDPM(beta_schedule=name, num_train_timesteps=50)
        expected = tables.alpha_bar(tables.betas(name, 50, 1e-4, 0.02))
        np.testing.assert_array_equal(chain.alpha_bar, [1.0, *expected])


@pytest.mark.parametrize("kind", [DDPM, DDIM])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"num_steps": 1_001}, "num_steps must be a whole number from 1 to 1000, got 1001"),
        ({"num_steps": True}, "num_steps must be a whole number from 1 to 1000, got True"),
        ({"timesteps": [1_000, 3]}, r"timesteps\[0\] must be a whole number from 0 to 999, got 1000"),
        ({"timesteps": []}, "timesteps must be a sequence of whole numbers, not empty"),
        ({"timesteps": [5], "num_steps": 1}, "num_steps must be left out where timesteps is given"),
    ],
)
def test_a_grid_beyond_the_table_is_refused_with_both_ends(kind: Any, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        kind(**given)


def test_numbers_of_numpy_in_a_grid_are_stored_as_plain_ones() -> None:
    config = DDPM(timesteps=np.array([5, 3]))  # type: ignore[arg-type]
    assert config == DDPM(timesteps=(5, 3))
    assert all(type(timestep) is int for timestep in config.timesteps or ())
    assert type(DDPM(num_steps=np.int64(5)).num_steps) is int  # type: ignore[arg-type]
