"""Grids by themselves: their numbers by hand, how a function of levels is declared, and what is said of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from reference_samplers import EDM
from reference_samplers.grids import (
    ALL_GRIDS,
    BetaTimes,
    EvenTimes,
    ExponentialLevels,
    FlowLogSNR,
    FlowMatchTimes,
    KarrasLevels,
    KLOptimalLevels,
    LevelsInTable,
    LinearQuadratic,
    LogitNormalTimes,
    PolyexponentialLevels,
    SizedTimes,
    SpacedTimesteps,
    StretchedTimes,
    VPLogSNR,
)
from sampler_harness import grid_under_test
from sampler_harness.grids.evidence import GridEvidence
from sampler_harness.report.terminal import render
from sampler_harness.runner import check_sampler
from sampler_harness.subject import DeclarationError
from sampler_harness.subject.grid import GridSubject
from sampler_harness.verdict import Verdict


def close(config: Any, levels: list[float]) -> None:
    np.testing.assert_allclose(np.asarray(config.levels, dtype=float), levels, rtol=1e-9, atol=1e-12)


# By hand


def test_sized_times_by_hand() -> None:
    # Halfway between 256 and 4096 tokens mu is halfway between 0.5 and 1.15.
    middle = SizedTimes(num_steps=2, tokens=2176)
    assert math.isclose(middle.mu, 0.825)
    close(middle, [1, math.exp(0.825) / (math.exp(0.825) + 1), 0])
    close(SizedTimes(num_steps=2, tokens=256, base_mu=3.0, mu_is="linear"), [1, 0.75, 0])


def test_stretched_times_by_hand() -> None:
    # 1, 3/4, 1/2, 1/4 have 3/4 to go; 0.9 in all is to be gone.
    close(StretchedTimes(num_steps=4), [1, 0.7, 0.4, 0.1, 0])
    close(StretchedTimes(num_steps=1), [1, 0])


def test_exponential_levels_by_hand() -> None:
    close(ExponentialLevels(num_steps=3, sigma_min=1.0, sigma_max=100.0), [100, 10, 1, 0])
    close(PolyexponentialLevels(num_steps=3, sigma_min=1.0, sigma_max=10_000.0, rho=2.0), [10_000, 10, 1, 0])
    close(PolyexponentialLevels(num_steps=3, sigma_min=1.0, sigma_max=100.0), [100, 10, 1, 0])


def test_kl_optimal_levels_by_hand() -> None:
    # Arc tangents of 60, 45 and 30 degrees.
    close(KLOptimalLevels(num_steps=3, sigma_min=1 / 3**0.5, sigma_max=3**0.5), [3**0.5, 1, 1 / 3**0.5, 0])
    close(KLOptimalLevels(num_steps=1), [80, 0])


def test_linear_quadratic_by_hand() -> None:
    # Two steps of 0.05, then 0.05 s + 0.2125 s^2 in two.
    close(LinearQuadratic(num_steps=4, threshold_noise=0.1), [1, 0.95, 0.9, 0.65, 0])
    close(LinearQuadratic(num_steps=1, sigma_max=3.0), [3, 0])


def test_even_log_snr_by_hand() -> None:
    # Ratios of signal and noise of 1/9, 1 and 9.
    close(FlowLogSNR(num_steps=2, first_time=0.9, last_time=0.1), [0.9, 0.5, 0.1])
    chain = VPLogSNR(num_steps=6)
    assert math.isclose(chain.levels[0], 1, rel_tol=1e-12)
    assert math.isclose(chain.levels[-1], 0.001, rel_tol=1e-9)
    steps = np.diff([chain.half_log_snr(float(time)) for time in chain.levels])
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


def test_quantiles_by_hand() -> None:
    # Of a beta distribution with both parameters 1 they are the shares; with (2, 1) their roots.
    close(BetaTimes(num_steps=4, alpha=1.0, beta=1.0), [1, 0.75, 0.5, 0.25, 0])
    close(BetaTimes(num_steps=4, alpha=2.0, beta=1.0), [1, 0.75**0.5, 0.5**0.5, 0.5, 0])
    close(BetaTimes(num_steps=3, alpha=1.0, beta=1.0, lowest_time=0.2), [1, 0.6, 0.2, 0])
    close(LogitNormalTimes(num_steps=2, logit_mean=1.0), [1, 1 / (1 + math.exp(-1)), 0])


def test_levels_in_a_table_by_hand() -> None:
    flow: dict[str, Any] = {"table": "flow", "num_train_timesteps": 10}
    close(LevelsInTable(num_steps=3, **flow), [1, 0.7, 0.4, 0])
    close(LevelsInTable(num_steps=3, places="normal", **flow), [1, 0.55, 0.1, 0])
    close(LevelsInTable(num_steps=3, places="sgm_uniform", **flow), [1, 0.7, 0.4, 0])
    # A stride of 10 // 3 from the second entry upwards; of 10 // 4 there is one level more than steps.
    close(LevelsInTable(num_steps=3, places="ddim_uniform", **flow), [0.8, 0.5, 0.2, 0])
    close(LevelsInTable(num_steps=4, places="ddim_uniform", **flow), [1, 0.8, 0.6, 0.4, 0.2, 0])
    # Half of the distribution lies below its middle. Each place is taken once.
    close(LevelsInTable(num_steps=2, places="beta", table="flow", num_train_timesteps=11), [1, 6 / 11, 0])
    assert len(LevelsInTable(num_steps=10, places="beta", **flow).levels) < 11
    # With ten entries the middle is a half, which is rounded either way.
    half = LevelsInTable(num_steps=2, places="beta", **flow)
    assert half.also is not None
    assert {float(half.levels[1]), float(half.also[1])} == {0.5, 0.6}


def test_spaced_timesteps_end_nowhere() -> None:
    grid = SpacedTimesteps(num_steps=4, num_train_timesteps=10, steps_offset=1)
    assert grid.levels == (7, 5, 3, 1)
    assert (grid.has_end, grid.num_levels) == (False, 4)
    # 4.5 is a half: 4 to even, and 5 where halves are rounded up.
    half = SpacedTimesteps(num_steps=3, num_train_timesteps=10, timestep_spacing="linspace")
    assert (half.levels, half.also) == ((9, 4, 0), (9, 5, 0))


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (lambda: SizedTimes(num_steps=2, base_tokens=7, most_tokens=7), "most_tokens must be other than base_tokens=7"),
        (lambda: SizedTimes(num_steps=2, tokens=1, mu_is="linear", most_mu=90.0), "tokens must be such that mu"),
        (lambda: ExponentialLevels(sigma_min=2.0, sigma_max=1.0), "sigma_max must be > sigma_min=2.0"),
        (lambda: LinearQuadratic(num_steps=4, linear_steps=4), "linear_steps must be from 1 to 3"),
        (
            lambda: LinearQuadratic(num_steps=10, threshold_noise=0.9, linear_steps=1),
            "threshold_noise must be so small",
        ),
        (lambda: FlowLogSNR(num_steps=2, first_time=0.1, last_time=0.2), "last_time must be < first_time=0.1"),
        (lambda: LevelsInTable(shift=2.0), "shift must be 1 where table is 'chain'"),
        (lambda: LevelsInTable(num_steps=5, num_train_timesteps=4), "num_steps must be <= num_train_timesteps=4"),
        (lambda: SpacedTimesteps(num_steps=1000, steps_offset=1), "steps_offset must be small enough"),
        (lambda: FlowMatchTimes(num_steps=2, mu=0.5, shift=2.0), "shift must be 1 where mu is given"),
        (lambda: FlowMatchTimes(num_steps=2, mu=-1.0, time_shift_type="linear"), "mu must be > 0"),
    ],
)
def test_what_is_no_grid_is_refused(refused: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        refused()


@pytest.mark.parametrize("kind", ALL_GRIDS, ids=lambda kind: kind.__name__)
def test_a_grid_tells_its_source_and_each_of_its_fields(kind: type[Any]) -> None:
    document = kind.__doc__ or ""
    assert "Source:" in document
    for name in kind.__dataclass_fields__:
        assert f"    {name}:" in document, name


# Declared


def even(config: EvenTimes) -> torch.Tensor:
    assert config.num_steps is not None
    return torch.linspace(1, 0, config.num_steps + 1)


def told(function: Any, reference: Any = EvenTimes, *, diagnose: bool = False, **declared: Any) -> Verdict:
    subject = grid_under_test(reference, **{"num_steps": st.integers(1, 6), **declared})(function)
    return check_sampler(subject, budget="quick", diagnose=diagnose)


def causes(verdict: Verdict) -> list[str]:
    return [f"{cause.id}: {cause.message.splitlines()[0]}" for cause in verdict.causes]


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: grid_under_test(EDM)(even), "EDM defines a sampler: name the grid alone"),
        (lambda: grid_under_test(EvenTimes(2))(even), r"grid_under_test\(EvenTimes\(…\)\) was given an instance"),  # type: ignore[arg-type]
        (lambda: grid_under_test(int)(even), "is no grid: give a class from reference_samplers.grids"),
        (lambda: grid_under_test(EvenTimes)(even), "num_steps"),
        (lambda: grid_under_test(EvenTimes, num_stps=3)(even), "did you mean 'num_steps'"),
        (lambda: grid_under_test(EvenTimes, num_steps=3, output_scale=0)(even), "output_scale must not be 0"),
        (lambda: grid_under_test(EvenTimes, num_steps=3, includes_end=1)(even), "includes_end must be True or False"),  # type: ignore[arg-type]
        (lambda: grid_under_test(EvenTimes, num_steps=3)(lambda: [1.0]), "takes 0 positional arguments"),
        (
            lambda: grid_under_test(EvenTimes, num_steps=3, expected_failures={"law/noise": "no"})(even),
            "expected_failures names 'law/noise', which is no check of grid",
        ),
    ],
)
def test_a_wrong_declaration_is_refused_where_it_stands(declare: Any, said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        declare()


def test_a_declared_function_can_still_be_called() -> None:
    subject = grid_under_test(EvenTimes, num_steps=3)(even)
    assert isinstance(subject, GridSubject)
    assert subject(EvenTimes(2)).tolist() == [1, 0.5, 0]
    assert (subject.kind, subject.reference_name) == ("grid", "EvenTimes")


def test_what_a_function_asks_for_is_given() -> None:
    given: dict[str, Any] = {}

    def levels(config: EvenTimes, *, dtype: torch.dtype, device: torch.device, scale: float) -> torch.Tensor:
        given.update(dtype=dtype, device=device, scale=scale)
        return even(config).to(dtype)

    subject = grid_under_test(EvenTimes, num_steps=2, dtypes=["float64"])(levels)
    verdict = check_sampler(subject, budget="quick", fixtures={"scale": 2.0}, diagnose=False)
    assert verdict.conforms
    assert given == {"dtype": torch.float64, "device": torch.device("cpu"), "scale": 2.0}


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (
            None,
            "the function returned None, should be a tensor, an array or a list of levels: does it end without a "
            "return statement?",
        ),
        (
            {"sigmas": torch.zeros(2), "mu": 1.0},
            "the function returned a dict, should be a tensor, an array or a list of levels: return the levels alone, "
            "as result['sigmas']",
        ),
        (torch.zeros(2, 2), "the function returned the shape (2, 2), should have one axis: return one row of levels"),
        (torch.zeros(2, 1), "the function returned the shape (2, 1), should have one axis: squeeze the others away"),
        (
            torch.ones(()),
            "the function returned the shape (), should have one axis: a single number is no row of levels",
        ),
        (
            (torch.zeros(2), 7),
            "the function returned a tuple whose entry 0 is a tensor of shape (2,), should be a number: return the "
            "levels alone, in one tensor or list",
        ),
        (torch.zeros(0), "the function returned no level"),
        ([], "the function returned no level"),
        (["1"], "the function returned a list whose entry 0 is a str, should be a number"),
        ([True], "the function returned a list whose entry 0 is a bool, should be a number"),
        (np.array(["1"]), "the function returned an array of <U1, should be real numbers"),
        (torch.zeros(2, dtype=torch.complex64), "the function returned torch.complex64, should be real numbers"),
    ],
)
def test_what_is_no_row_of_numbers_is_told(result: Any, said: str) -> None:
    verdict = told(lambda config: result)
    assert causes(verdict) == [f"grid/finite: for 1 step {said}"]


@pytest.mark.parametrize("result", [None, torch.zeros(2, 2), torch.full((4,), torch.nan), [torch.zeros(4)]])
def test_where_no_numbers_come_back_nothing_is_said_of_levels(result: Any) -> None:
    verdict = told(lambda config: result, num_steps=st.integers(3, 9), diagnose=True)
    text = "\n".join(line.text for line in render(verdict))
    assert "its levels are the reference's" not in text
    assert "in no configuration" in " ".join(text.split())
    assert ("look at what makes that level" in " ".join(text.split())) == (
        isinstance(result, torch.Tensor) and result.ndim == 1
    )


def test_of_what_is_right_elsewhere_that_is_said() -> None:
    verdict = told(lambda config: 1 / 0 if config.num_steps == 4 else even(config), diagnose=True)
    assert verdict.diagnosis is not None
    assert "in every configuration in which it returned a row of finite numbers" in verdict.diagnosis.unsearched


def test_what_raises_is_told_with_its_line() -> None:
    def levels(config: EvenTimes) -> list[float]:
        assert config.num_steps is not None
        return [1.0, 1 / (config.num_steps - 1)]

    [cause] = causes(told(levels, num_steps=1))
    assert cause.startswith("grid/finite: for 1 step the function raised ZeroDivisionError: ")
    assert "return [1.0, 1 / (config.num_steps - 1)]" in cause


def test_lists_of_tensors_and_of_numpy_numbers_are_levels() -> None:
    assert told(lambda config: list(even(config))).conforms
    assert told(lambda config: [np.float32(level) for level in even(config)]).conforms
    assert told(lambda config: even(config).numpy()).conforms
    assert told(lambda config: tuple(even(config).tolist())).conforms


def test_a_range_is_a_grid_of_timesteps() -> None:
    def levels(config: SpacedTimesteps) -> range:
        stride = 1000 // config.num_steps
        return range((config.num_steps - 1) * stride, -1, -stride)

    assert told(levels, SpacedTimesteps).conforms


def test_levels_that_are_multiplied_are_told_by_how_much() -> None:
    [cause] = causes(told(lambda config: 1000 * even(config)))
    assert cause == "grid/first-level: the first level is 1000, should be 1"
    assert told(lambda config: 1000 * even(config), output_scale=1000).conforms


def test_the_first_noise_is_held_against_the_first_level() -> None:
    assert told(even, first_noise=lambda config: 1.0).conforms
    assert causes(told(even, first_noise=lambda config: 0.5)) == [
        "grid/first-level: the first level is 1, the first noise has 0.5"
    ]


def test_a_level_that_is_off_by_a_thousandth_of_itself_is_seen() -> None:
    def levels(config: KarrasLevels) -> np.ndarray[Any, Any]:
        found = np.array(config.levels)
        if config.num_steps > 3:
            found[2] *= 1.001
        return found

    [cause] = causes(told(levels, KarrasLevels))
    assert cause.startswith("grid/levels: level 2 of 4 (model call 2) is ")


def test_a_number_of_steps_at_which_alone_it_is_wrong_is_found() -> None:
    def levels(config: EvenTimes) -> torch.Tensor:
        return even(config) if config.num_steps != 29 else even(config) ** 1.01

    verdict = told(levels, num_steps=st.integers(1, 40))
    [cause] = verdict.causes
    assert "smallest configuration: EvenTimes(num_steps=29)" in cause.message


def test_every_value_of_a_range_is_within_what_is_looked_at() -> None:
    subject = grid_under_test(EvenTimes, num_steps=st.integers(1, 5), shift=st.floats(0.5, 4.0))(even)
    evidence = GridEvidence(subject, budget="quick")
    evidence.measure()
    assert {0.5, 4.0} <= {config.shift for config in evidence.configurations}
    assert evidence.coverage().fields["shift"] == "3/3"


def test_a_wide_tolerance_is_that_of_the_formula() -> None:
    # tan amplifies what rounding does to a right angle: 1e-5 of the level would not do at 1e5.
    def levels(config: KLOptimalLevels) -> torch.Tensor:
        share = torch.arange(config.num_steps) / max(config.num_steps - 1, 1)
        angles = share * math.atan(config.sigma_min) + (1 - share) * math.atan(config.sigma_max)
        return torch.cat([torch.tan(angles), torch.zeros(1)])

    assert told(levels, KLOptimalLevels, sigma_max=300.0).conforms


@dataclass(frozen=True)
class Squares:
    """A grid of somebody's own."""

    num_steps: int = 4

    @property
    def levels(self) -> list[float]:
        """Squares of even times."""
        return [(1 - i / self.num_steps) ** 2 for i in range(self.num_steps + 1)]


def test_a_grid_of_one_s_own_is_held_against_and_not_searched() -> None:
    assert told(lambda config: even(config) ** 2, Squares).conforms
    subject = grid_under_test(Squares, num_steps=st.integers(1, 6))(even)
    verdict = check_sampler(subject, budget="quick")
    assert [cause.id for cause in verdict.causes] == ["grid/levels"]
    assert verdict.diagnosis is not None
    assert "none of the references whose source is searched" in verdict.diagnosis.unsearched
