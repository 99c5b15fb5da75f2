"""What is read off a law, piece by piece, on laws whose numbers are known."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from reference_samplers import ALL_REFERENCES, DDIM, DDPM, DPM2, EDM, LCM, TCD, EulerAncestral, FlowEuler
from reference_samplers.grids import (
    EvenTimes,
    ExponentialLevels,
    FlowMatchTimes,
    KarrasLevels,
    KLOptimalLevels,
    LevelsInTable,
    LinearQuadratic,
    LogitNormalTimes,
    PolyexponentialLevels,
    StretchedTimes,
)
from sampler_harness.adapters.no_reference import NoReference
from sampler_harness.identifying.candidates import candidates
from sampler_harness.identifying.chains import on_a_chain
from sampler_harness.identifying.fitting import law_off
from sampler_harness.identifying.flows import on_a_flow
from sampler_harness.identifying.grids import noise_level_grids, rho_of, time_grids
from sampler_harness.identifying.noise_levels import gamma_min_of, on_noise_levels
from sampler_harness.identifying.numbers import agreeing, decimals, shortest
from sampler_harness.identifying.observed import Observed
from sampler_harness.identifying.order import NUMBERS, order_of
from sampler_harness.identifying.readings import readings
from sampler_harness.identifying.schedulers import on_schedulers
from sampler_harness.identifying.signal import signals_of
from sampler_harness.identifying.steps import Steps
from sampler_harness.identifying.tables import other_tables, tables_of
from sampler_harness.law.tolerance import reference_law, reference_response
from sampler_harness.observe.trace import Case


def steps_of(config: Any) -> Steps:
    return Steps(reference_law(config))


@pytest.mark.parametrize(
    ("value", "off", "short"), [(0.80000013, 1e-6, 0.8), (14.614601, 2e-5, 14.6146), (1e-9, 1e-8, 0.0), (2.0, 0.0, 2.0)]
)
def test_a_number_is_written_as_shortly_as_it_is_known(value: float, off: float, short: float) -> None:
    assert shortest(value, off) == short
    assert all(abs(one - value) <= off for one in decimals(value, off) if one != value)


def test_readings_of_several_numbers_are_of_none() -> None:
    assert agreeing([0.3, 0.3000001, 0.2999999]) is not None
    assert agreeing([0.3, 0.5, 0.7]) is None
    assert agreeing([0.3, math.nan]) is None


@pytest.mark.parametrize("config", [EDM(num_steps=6, solver="euler"), DDIM(num_steps=6), FlowEuler(num_steps=6)])
def test_one_call_a_step_is_seen(config: Any) -> None:
    steps = steps_of(config)
    assert steps.is_single
    assert not steps.drawn


def test_two_calls_a_step_are_seen() -> None:
    steps = steps_of(EDM(num_steps=6))
    assert not steps.is_single
    assert steps.in_groups(2) is not None


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
@pytest.mark.parametrize(
    "config", [DDIM(num_steps=8), DDIM(num_steps=8, eta=0.6), DDPM(num_steps=8), LCM(num_steps=4), TCD(num_steps=4)]
)
def test_a_chain_is_found_on_its_table(config: Any, prediction: str) -> None:
    import dataclasses

    changed: dict[str, Any] = {"prediction": prediction}
    law = reference_law(dataclasses.replace(config, **changed))
    found = [one for one in on_a_chain(Steps(law)) if type(one) is type(config) and one.prediction == prediction]
    assert any(np.allclose(reference_law(one).outputs, law.outputs, atol=1e-3) for one in found)


def test_the_signal_is_read_off_the_steps() -> None:
    config = DDIM(num_steps=10, eta=0.4, beta_schedule="cosine")
    [alpha, *_] = signals_of(steps_of(config).single, "epsilon")
    assert alpha**2 == pytest.approx(config.alpha_bar[list(config.levels)], rel=1e-6)


def test_tables_are_told_by_their_names_and_others_by_their_ends() -> None:
    named = DDIM(num_steps=10, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    told = [float(one) for one in named.grid]
    [table] = tables_of(told, named.alpha_bar[[t + 1 for t in named.grid]])
    assert (table["beta_schedule"], table["num_train_timesteps"]) == ("scaled_linear", 1000)
    other = DDIM(num_steps=10, beta_start=0.001, beta_end=0.03)
    first, by_hand = other_tables(other.grid, other.alpha_bar[[t + 1 for t in other.grid]])
    assert (first["beta_start"], first["beta_end"]) == (0.001, 0.03)
    assert "betas" in by_hand


def test_of_two_lengths_of_one_line_that_is_told_whose_end_is_a_short_number() -> None:
    short = DDPM(num_train_timesteps=50, beta_end=0.015)  # a table of 1000 would end at 0.304
    first, *_ = other_tables(short.grid, short.alpha_bar[[t + 1 for t in short.grid]])
    assert (first["num_train_timesteps"], first["beta_start"], first["beta_end"]) == (50, 0.0001, 0.015)
    steep = DDPM(num_train_timesteps=50, beta_end=0.05)  # and of this one would go beyond 1
    first, *_ = other_tables(steep.grid, steep.alpha_bar[[t + 1 for t in steep.grid]])
    assert (first["num_train_timesteps"], first["beta_start"], first["beta_end"]) == (50, 0.0001, 0.05)


@pytest.mark.parametrize("num_steps", [10, 6])
def test_times_that_are_rounded_down_may_be_whole_before(num_steps: int) -> None:
    config = FlowEuler(
        num_steps=num_steps, data_at_one=True, time_scale=1000.0, time_rounding="down", prediction="reversed_flow"
    )
    steps = steps_of(config)
    law = dataclasses.replace(steps.law, times=np.array([1000 * i // num_steps for i in range(num_steps)], dtype=float))
    found = [one for one in on_a_flow(Steps(law)) if isinstance(one, FlowEuler) and one.time_rounding == "down"]
    told = [[one.time(t) for t in one.levels[:-1]] for one in found if one.prediction == "reversed_flow"]
    assert list(law.times) in told


@pytest.mark.parametrize(
    "config",
    [
        EDM(num_steps=8, solver="euler", s_churn=1.5, s_noise=1.01),
        EDM(num_steps=8, s_churn=1.5, s_tmin=0.1, s_tmax=30.0),
        EulerAncestral(num_steps=8, eta=0.7),
        DPM2(num_steps=8, s_churn=1.0),
        EDM(num_steps=8, model_kind="network", sigma_data=0.7),
    ],
)
def test_a_method_on_noise_levels_is_solved_for_its_numbers(config: Any) -> None:
    steps = steps_of(config)
    found = [one for reading in readings(steps) for one in on_noise_levels(steps, reading)]
    alike = [one for one in found if type(one) is type(config)]
    law = reference_law(config)
    near = [one for one in alike if np.allclose(reference_law(one).outputs, law.outputs, rtol=1e-4, atol=1e-6)]
    assert near
    for name in ("eta", "s_churn", "s_noise", "sigma_data"):
        if name in config.values():
            assert near[0].values()[name] == pytest.approx(config.values()[name], rel=1e-4)


@pytest.mark.parametrize("rho", [0.5, 1.0, 3.0, 7.0, 12.0])
def test_rho_is_solved_from_levels(rho: float) -> None:
    assert rho_of(KarrasLevels(num_steps=9, rho=rho).levels[:-1]) == pytest.approx(rho, rel=1e-6)


@pytest.mark.parametrize(
    "grid",
    [
        KarrasLevels(num_steps=9, sigma_max=20.0, rho=5.0),
        ExponentialLevels(num_steps=9, sigma_max=20.0),
        PolyexponentialLevels(num_steps=9, rho=1.7),
        KLOptimalLevels(num_steps=9),
        LevelsInTable(num_steps=9, places="sgm_uniform"),
    ],
)
def test_grids_of_noise_levels_are_named(grid: Any) -> None:
    found = list(noise_level_grids(np.asarray(grid.levels), 9))
    assert any(type(one) is type(grid) and one == grid for one in found)


@pytest.mark.parametrize(
    "grid",
    [
        EvenTimes(num_steps=9, shift=2.5),
        EvenTimes(num_steps=9, shift=3.0, lowest_time=0.01),
        FlowMatchTimes(num_steps=9, shift=3.0),
        FlowMatchTimes(num_steps=9, mu=1.15),
        FlowMatchTimes(num_steps=9, shift=3.0, sigma_spacing="karras"),
        StretchedTimes(num_steps=9, shift=3.0, terminal=0.1),
        LinearQuadratic(num_steps=9, threshold_noise=0.03),
        LogitNormalTimes(num_steps=9, logit_mean=0.2, logit_std=0.9),
        LevelsInTable(num_steps=9, table="flow", shift=3.0),
    ],
)
def test_grids_of_times_are_named(grid: Any) -> None:
    found = list(time_grids(np.asarray(grid.levels), 9))
    assert any(type(one) is type(grid) and one == grid for one in found)


def test_levels_of_no_grid_have_no_name() -> None:
    assert list(noise_level_grids(np.array([9.0, 5.0, 4.0, 1.0, 0.3, 0.0]), 5)) == []
    assert list(time_grids(np.array([1.0, 0.7, 0.65, 0.3, 0.11, 0.0]), 5)) == []


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_the_order_is_seen(solver: Any, order: int) -> None:
    laws = [reference_law(EDM(num_steps=n, solver=solver, sigma_max=15.0, sigma_min=0.03)) for n in NUMBERS]
    assert order_of(laws) == pytest.approx(order, abs=0.2)


#: Fields without which a reference has too few steps to be told from others, or cannot be made.
NEEDED: dict[str, dict[str, Any]] = {"ScoreSDE": {"num_steps": 24}, "LCM": {"num_steps": 8}, "TCD": {"num_steps": 8}}


#: References that ``--identify`` does not look for, each with the reason.
NOT_LOOKED_FOR: dict[str, str] = {
    "DDIMInversion": "a run up to noise draws nothing and starts from data, which no one hands over",
    "InterpolantEuler": "on the linear path it is a flow, which is found; GVP and VP paths have no reading yet",
    "InterpolantRungeKutta": "on the linear path it is a flow, which is found; GVP and VP paths have no reading yet",
    "InterpolantSDE": "on the linear path it is a flow, which is found; GVP and VP paths have no reading yet",
    "TrigFlowConsistency": "angles have no reading yet",
    "TrigFlowDDIM": "angles have no reading yet",
}


@pytest.mark.parametrize(
    "kind", [kind for kind in ALL_REFERENCES if kind.__name__ not in NOT_LOOKED_FOR], ids=lambda kind: kind.__name__
)
def test_every_reference_is_found_from_its_own_law(kind: Any) -> None:
    config = kind(**{"num_steps": 10, **NEEDED.get(kind.__name__, {})})
    law, response = reference_law(config), reference_response(config)
    case = Case(NoReference(num_steps=10), (2, 3, 16, 16))
    steps = config.num_steps
    seen = Observed(steps, case, law, response, dense=None, fresh={}, is_affine=True, first_bent=None)
    found = candidates(seen)
    found += on_schedulers(seen, found)
    assert any(type(one) is kind and law_off(seen, one) <= 1.0 for one in found)


def test_a_window_of_which_the_papers_number_is_a_part_has_it() -> None:
    from reference_samplers import AlphaFold3

    assert gamma_min_of([AlphaFold3(num_steps=10), AlphaFold3(num_steps=6)]) == 1.0
