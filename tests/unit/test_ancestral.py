"""References that go below the next level or above their own, by hand, and what they have in common with others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from reference_samplers import DDIM, DPM2, EDM, TCD, AlphaFold3, DPM2Ancestral, EulerAncestral, FlowAncestral
from sampler_harness.law.response import Response, respond_reference


def seen(reference: Any) -> Response:
    """The impulse response."""
    return respond_reference(reference)


def near(found: Any, wanted: Any) -> None:
    """Equal but for rounding."""
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13)


def test_two_ancestral_steps_by_hand() -> None:
    run = seen(EulerAncestral(sigmas=(2.0, 1.0, 0.0)))
    assert list(run.times) == [2, 1]
    # sigma_up^2 = 1 (4 - 1) / 4, sigma_down = 1/2: a quarter of x is left, three quarters are data.
    near(run.noise, [[2, 0], [0.5, math.sqrt(0.75)], [0, 0]])
    near(run.outputs, [[0, 0], [0.75, 0], [0, 1]])


def test_half_of_eta_is_half_of_sigma_up() -> None:
    run = seen(EulerAncestral(sigmas=(2.0, 1.0, 0.0), eta=0.5, s_noise=1.5))
    up = math.sqrt(0.75) / 2
    near(run.noise[1], [math.sqrt(1 - up**2), 1.5 * up])


def test_fresh_noise_never_exceeds_the_level() -> None:
    run = seen(EulerAncestral(sigmas=(2.0, 1.0, 0.0), eta=5.0))
    near(run.noise[1], [0, 1])
    near(run.outputs[1], [1, 0])


def test_without_eta_it_is_eulers_method() -> None:
    euler, ancestral = EDM(num_steps=5, solver="euler"), EulerAncestral(num_steps=5, eta=0.0)
    near(seen(ancestral).outputs, seen(euler).outputs)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_it_is_ddim_in_the_variable_of_noise_levels(eta: float) -> None:
    """X / sqrt(alpha_bar) of DDIM takes an ancestral step with the same eta."""
    ddim = DDIM(betas=(0.1, 0.3, 0.5), eta=eta, prediction="x0")
    signal = np.sqrt(ddim.alpha_bar[::-1])
    levels = np.sqrt(1 - ddim.alpha_bar[::-1]) / signal
    ancestral = seen(EulerAncestral(sigmas=tuple(levels), eta=eta))
    chain = seen(ddim)
    near(chain.outputs / signal[:, None], ancestral.outputs)
    near(np.abs(chain.noise[1:] / signal[1:, None])[:, 1 : ancestral.noise.shape[1]], ancestral.noise[1:, 1:])


def test_a_step_along_the_slope_in_the_middle_by_hand() -> None:
    run = seen(DPM2(sigmas=(4.0, 1.0, 0.0)))
    near(run.times, [4, 2, 1])
    # u = x/2 + D/2 at 2; the slope there is (u - D') / 2, and the step -3.
    near(run.outputs, [[0, 0, 0], [0.5, 0, 0], [-0.75, 1.5, 0], [0, 0, 1]])
    near(run.noise[:, 0], [4, 2, 4 - 3 * 2 / 2, 0])


def test_churn_rises_ahead_of_it() -> None:
    run = seen(DPM2(sigmas=(4.0, 1.0, 0.0), s_churn=0.5, s_tmin=2.0, s_noise=1.1))
    near(run.times, [5, math.sqrt(5), 1])
    near(run.noise[0], [4, 1.1 * 3, 0])


def test_its_middle_is_geometric_on_the_way_to_sigma_down() -> None:
    run = seen(DPM2Ancestral(sigmas=(2.0, 1.0, 0.0)))
    near(run.times, [2, 1, 1])  # sqrt(2 * 1/2) = 1, which is the next level too
    down = DPM2Ancestral(sigmas=(4.0, 2.0, 0.0), eta=0.5)
    up = 0.5 * math.sqrt(3)
    near(seen(down).times, [4, math.sqrt(4 * math.sqrt(4 - up**2)), 2])


def test_orders_are_claimed_where_nothing_is_drawn() -> None:
    assert DPM2().order == 2
    assert DPM2Ancestral(eta=0.0).order == 2
    assert DPM2Ancestral().order == 1
    assert DPM2Ancestral(eta=5.0, sigmas=(2.0, 1.0, 0.0)).num_calls == 2  # down to 0 there is no middle


def test_a_flow_with_fresh_noise_by_hand() -> None:
    run = seen(FlowAncestral(sigmas=(1.0, 0.5, 0.0), prediction="x0"))
    # Down to 1/4: a quarter of x and three quarters of data. Back up: times (1/2) / (3/4).
    near(run.outputs, [[0, 0], [0.5, 0], [0, 1]])
    near(run.noise, [[1, 0], [1 / 6, math.sqrt(1 / 4 - 1 / 36)], [0, 0]])


def _levels_of_flow(sigmas: tuple[float, ...], eta: float) -> Response:
    """The flow's path in the variable x / (1 - t), where t / (1 - t) is the noise level."""
    return seen(EulerAncestral(sigmas=tuple(t / (1 - t) for t in sigmas), eta=eta))


@pytest.mark.parametrize("eta", [0.0, 0.25, 1.0])
def test_the_two_ancestral_steps_agree_without_noise_alone(eta: float) -> None:
    """ComfyUI's rule for flows is not its rule for noise levels, at eta = 1 neither."""
    times = (0.8, 0.5, 0.0)
    flow = seen(FlowAncestral(sigmas=times, eta=eta, prediction="x0")).outputs[1, 0] / (1 - times[1])
    levels = _levels_of_flow(times, eta).outputs[1, 0]
    assert (abs(flow - levels) < 1e-12) == (eta == 0)


@pytest.mark.parametrize("eta", [0.25, 1.0])
def test_in_small_steps_the_one_eta_is_the_square_of_the_other(eta: float) -> None:
    shares = []
    for step in (1e-3, 1e-4):
        times = (0.6, 0.6 - step, 0.0)
        flow = seen(FlowAncestral(sigmas=times, eta=eta)).noise[1, 1] / (1 - times[1])
        levels = _levels_of_flow(times, math.sqrt(eta)).noise[1, 1]
        shares.append(abs(flow / levels - 1))
    assert shares[0] < 0.01
    assert shares[1] < shares[0] / 5


def test_trajectory_consistency_by_hand() -> None:
    tcd = TCD(betas=(0.1, 0.2, 0.3, 0.4, 0.5), timesteps=(4, 2), gamma=0.5, prediction="x0")
    run = seen(tcd)
    assert list(run.times) == [4, 2]
    table = np.cumprod([0.9, 0.8, 0.7, 0.6, 0.5])
    # Down to timestep 1, half of 2; then back up to 2.
    kept = table[2] / table[1]
    ratio = math.sqrt((1 - table[1]) / (1 - table[4]))
    near(run.noise[1], [math.sqrt(kept) * ratio, math.sqrt(1 - kept)])
    near(run.outputs[1, 0], math.sqrt(kept) * (math.sqrt(table[1]) - ratio * math.sqrt(table[4])))
    # The last step ends at timestep 0, with its noise.
    near(run.outputs[2, 1], math.sqrt(table[0]) - math.sqrt((1 - table[0]) / (1 - table[2])) * math.sqrt(table[2]))


@pytest.mark.parametrize(("gamma", "t", "below"), [(0.8, 5, 1), (0.55, 20, 9), (0.9, 10, 1), (0.3, 19, 13)])
def test_a_share_that_is_whole_is_whole_whatever_rounding_leaves(gamma: float, t: int, below: int) -> None:
    """In float64 (1 - 0.8) * 5 is 0.9999999999999998."""
    assert TCD(num_steps=4, gamma=gamma).below(t + 1) == below + 1


def test_programs_may_round_it_to_either_side() -> None:
    tcd = TCD(num_train_timesteps=100, timesteps=(96, 5), gamma=0.8, prediction="x0")
    assert {one.below(6) for one in tcd.either_side([96, 5])} == {1, 2}  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [EulerAncestral, FlowAncestral])
def test_without_draws_their_std_is_no_matter(kind: Any) -> None:
    assert kind(num_steps=5, eta=0.0, s_noise=1.1).stochasticity == 0.0
    assert kind(num_steps=5, eta=0.5, s_noise=1.1).stochasticity is None


def test_a_network_of_alphafold_is_told_its_level_in_units_of_the_data() -> None:
    sampler = AlphaFold3(sigmas=(32.0, 16.0, 0.0), model_kind="network", gamma_0=0.0)
    near(seen(sampler).times, [math.log(2) / 4, 0.0])


def test_without_gamma_it_is_ddim_that_ends_at_the_first_entry() -> None:
    table: dict[str, Any] = {"betas": (0.1, 0.2, 0.3, 0.4, 0.5), "timesteps": (4, 2), "prediction": "x0"}
    near(seen(TCD(**table, gamma=0.0)).outputs, seen(DDIM(**table, final_alpha_bar="first")).outputs)


def test_with_all_of_gamma_all_but_the_noise_of_timestep_0_is_drawn_anew() -> None:
    run = seen(TCD(betas=(0.1, 0.2, 0.3, 0.4, 0.5), timesteps=(4, 2), gamma=1.0))
    near(run.noise[1, 1], math.sqrt(1 - 0.8 * 0.7))


def test_a_step_of_alphafold_by_hand() -> None:
    sampler = AlphaFold3(sigmas=(4.0, 2.0, 0.0), gamma_0=0.25, gamma_min=1.0, noise_scale=1.1, step_scale=1.5)
    run = seen(sampler)
    assert list(run.times) == [5, 2]  # the step to 0 raises nothing, since 0 is not above gamma_min
    near(run.noise[0], [4, 1.1 * 3, 0])
    # x + 1.5 * (2 - 5) / 5 * (x - D) = 0.1 x + 0.9 D; then 1 + 1.5 * (0 - 2) / 2 = -1/2 of x, and 3/2 of D.
    near(run.outputs, [[0, 0], [0.9, 0], [-0.45, 1.5]])
    near(run.noise[1], 0.1 * run.noise[0])


@pytest.mark.parametrize(
    ("ends_at", "count", "last"),
    [("lowest", 5, 0.0064), ("zero_for_lowest", 5, 0.0), ("zero_behind_lowest", 5, 0.0)],
)
def test_where_alphafold_ends(ends_at: Any, count: int, last: float) -> None:
    levels = np.asarray(AlphaFold3(num_steps=4, ends_at=ends_at).levels)
    assert len(levels) == count
    assert levels[0] == pytest.approx(2560)
    assert levels[-1] == pytest.approx(last)
    lowest = {"lowest": -1, "zero_behind_lowest": -2}.get(ends_at)
    assert lowest is None or levels[lowest] == pytest.approx(0.0064)


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        (TCD, {"gamma": 1.5}, "gamma"),
        (TCD, {"clip_denoised": True}, "clip_denoised"),
        (TCD, {"threshold": 0.9}, "threshold"),
        (FlowAncestral, {"num_steps": 3, "eta": 1.5}, "eta"),
        (EulerAncestral, {"eta": -1.0}, "eta"),
        (DPM2, {"model_kind": "epsilon", "sigmas": (2.0, 1.0, 0.0), "times": (9.0, 3.0)}, "train_sigmas"),
        (DPM2Ancestral, {"model_kind": "epsilon", "sigmas": (2.0, 1.0, 0.0), "times": (9.0, 3.0)}, "train_sigmas"),
        (AlphaFold3, {"sigmas": (2.0, 0.0), "ends_at": "zero_for_lowest"}, "ends_at"),
        (AlphaFold3, {"sigma_max": 0.0064}, "sigma_max"),
    ],
)
def test_what_makes_no_sense_is_refused(kind: Any, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        kind(**options)
