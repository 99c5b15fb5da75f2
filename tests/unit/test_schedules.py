"""Tables and grids: hand-computed examples, the papers' formulas, and independent statements of each rule."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.released.denoising_diffusion_pytorch import sigmoid_beta_schedule
from reference_samplers.grids import TableLevels, spacings
from reference_samplers.grids import sigmas as levels
from reference_samplers.processes import betas as tables

EXHAUSTIVE = settings(derandomize=True, database=None, deadline=None, max_examples=200)


@st.composite
def lengths(draw: st.DrawFn) -> tuple[int, int]:
    """Length of a chain and number of steps on it."""
    num_train_timesteps = draw(st.integers(1, 2000))
    return num_train_timesteps, draw(st.integers(1, num_train_timesteps))


def exact_positions(spacing: str, num_train_timesteps: int, num_steps: int) -> list[Fraction]:
    """Where the grid would lie if timesteps were not whole, descending."""
    if spacing == "trailing":
        return [num_train_timesteps - Fraction(i * num_train_timesteps, num_steps) - 1 for i in range(num_steps)]
    if num_steps == 1:
        return [Fraction(0)]
    last = num_train_timesteps - 1
    return [Fraction(i * last, num_steps - 1) for i in reversed(range(num_steps))]


def test_karras_sigmas_by_hand() -> None:
    # Roots 3, 2, 1 squared.
    np.testing.assert_allclose(levels.karras_sigmas(3, 1.0, 9.0, 2.0), [9, 4, 1, 0], rtol=1e-14)
    np.testing.assert_allclose(levels.karras_sigmas(5, 1.0, 3.0, 1.0), [3, 2.5, 2, 1.5, 1, 0], rtol=1e-14)


def test_karras_sigmas_with_one_step_is_the_highest_level_and_zero() -> None:
    np.testing.assert_allclose(levels.karras_sigmas(1, 0.002, 80.0, 7.0), [80, 0], rtol=1e-14)


@EXHAUSTIVE
@given(st.integers(2, 200), st.floats(1e-3, 1.0), st.floats(2.0, 100.0), st.floats(1.0, 10.0))
def test_karras_sigmas_have_evenly_spaced_roots(num_steps: int, low: float, high: float, rho: float) -> None:
    sigmas = levels.karras_sigmas(num_steps, low, high, rho)
    assert sigmas.shape == (num_steps + 1,)
    assert sigmas[-1] == 0
    np.testing.assert_allclose(sigmas[[0, -2]], [high, low], rtol=1e-10)
    roots = sigmas[:-1] ** (1 / rho)
    np.testing.assert_allclose(np.diff(roots), (roots[-1] - roots[0]) / (num_steps - 1), rtol=1e-7)


def test_linear_betas_by_hand() -> None:
    np.testing.assert_allclose(tables.linear_betas(3, 0.1, 0.3), [0.1, 0.2, 0.3], rtol=1e-15)
    # The ends stay, whatever T: they are not scaled with 1000 / T.
    np.testing.assert_allclose(tables.linear_betas(50, 1e-4, 0.02)[[0, -1]], [1e-4, 0.02], rtol=1e-15)


def test_scaled_linear_betas_by_hand() -> None:
    np.testing.assert_allclose(tables.scaled_linear_betas(3, 0.01, 0.09), [0.01, 0.04, 0.09], rtol=1e-14)


def test_sigmoid_betas_by_hand() -> None:
    # sigmoid(-6) = 1 / (1 + e^6) = 1 / 404.428793...
    low = 1 / 404.4287934927351
    expected = [0.1 + 0.2 * low, 0.2, 0.3 - 0.2 * low]
    np.testing.assert_allclose(tables.sigmoid_betas(3, 0.1, 0.3), expected, rtol=1e-14)


def test_the_sigmoid_of_jabri_by_hand_and_as_it_was_released() -> None:
    # gamma(1/2) = (1/2) exactly: sigmoid(0) lies in the middle of sigmoid(-3) and sigmoid(3); gamma(1) is 0.
    np.testing.assert_allclose(tables.jabri_betas(2), [0.5, 0.999], rtol=1e-14)
    for length in (10, 1000):
        released = sigmoid_beta_schedule(length).numpy()
        np.testing.assert_allclose(
            tables.betas("sigmoid_jabri", length, 1e-4, 0.02), released, rtol=5e-5
        )  # its ends are float32
    assert abs(tables.betas("sigmoid", 1000, 1e-4, 0.02) - released).max() > 0.1  # another formula of that name


@pytest.mark.parametrize("length", [10, 1000, 4000])
def test_cosine_alpha_bar_is_the_papers_formula(length: int) -> None:
    betas = tables.cosine_betas(length)
    time = np.arange(1, length + 1)
    formula = np.cos((time / length + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    unclipped = betas < 0.999
    assert unclipped[:-1].all()
    np.testing.assert_allclose(tables.alpha_bar(betas)[unclipped], formula[unclipped], rtol=1e-9)
    # The formula ends in 0, for which beta would be 1.
    assert betas[-1] == 0.999


@pytest.mark.parametrize("name", tables.BETA_SCHEDULES)
@pytest.mark.parametrize("length", [1, 2, 1000])
def test_betas_are_variances(name: tables.BetaSchedule, length: int) -> None:
    betas = tables.betas(name, length, 1e-4, 0.02)
    assert betas.shape == (length,)
    assert betas.dtype == np.float64
    assert ((betas > 0) & (betas < 1)).all()
    assert (np.diff(betas) >= 0).all()


def test_alpha_bar_is_a_running_product() -> None:
    np.testing.assert_allclose(tables.alpha_bar(np.array([0.5, 0.5, 1.0])), [0.5, 0.25, 0], rtol=0)


@pytest.mark.parametrize("name", tables.BETA_SCHEDULES)
def test_zero_terminal_snr_ends_in_zero_and_keeps_the_first_entry(name: tables.BetaSchedule) -> None:
    before = tables.alpha_bar(tables.betas(name, 1000, 1e-4, 0.02))
    after = tables.rescale_zero_terminal_snr(before)
    assert after[-1] == 0
    np.testing.assert_allclose(after[0], before[0], rtol=1e-14)
    assert (np.diff(after) < 0).all()
    # Between the ends the square root is shifted and scaled, nothing else.
    slope, shift = np.polyfit(np.sqrt(before), np.sqrt(after), 1)
    np.testing.assert_allclose(slope * np.sqrt(before) + shift, np.sqrt(after), atol=1e-12)


def test_leading_by_hand() -> None:
    assert spacings.leading(1000, 10) == (900, 800, 700, 600, 500, 400, 300, 200, 100, 0)
    assert spacings.leading(1000, 3) == (666, 333, 0)  # 1000 // 3 = 333: the top of the chain is left out
    assert spacings.leading(10, 4, steps_offset=1) == (7, 5, 3, 1)


def test_linspace_by_hand() -> None:
    assert spacings.linspace(10, 4) == (9, 6, 3, 0)
    assert spacings.linspace(1000, 3) == (999, 500, 0)  # 499.5 goes to the even neighbor
    assert spacings.linspace(998, 3) == (997, 498, 0)  # 498.5 as well
    assert spacings.linspace(1000, 1) == (0,)


def test_trailing_by_hand() -> None:
    assert spacings.trailing(1000, 10) == (999, 899, 799, 699, 599, 499, 399, 299, 199, 99)
    assert spacings.trailing(10, 4) == (9, 7, 4, 1)  # 10, 7.5 -> 8, 5, 2.5 -> 2; each minus 1
    assert spacings.trailing(1000, 1) == (999,)


def test_trailing_with_61_steps_has_61_timesteps_of_the_table() -> None:
    # Published code that counts down by a float stride finds a 62nd one, -1.
    grid = spacings.trailing(1000, 61)
    assert len(grid) == 61
    assert grid[:4] == (999, 983, 966, 950)  # 1000, 983.61, 967.21, 950.82
    assert grid[-3:] == (48, 32, 15)  # 49.18, 32.79, 16.39


def test_respaced_by_hand() -> None:
    assert spacings.respaced(1000, 10) == (999, 888, 777, 666, 555, 444, 333, 222, 111, 0)
    assert spacings.respaced(1000, 8) == (999, 856, 714, 571, 428, 285, 143, 0)
    assert spacings.respaced(1000, 1) == (0,)


@EXHAUSTIVE
@given(lengths())
def test_respaced_adds_up_its_stride(size: tuple[int, int]) -> None:
    num_train_timesteps, num_steps = size
    stride = (num_train_timesteps - 1) / max(num_steps - 1, 1)
    # cumsum adds in the order in which Improved DDPM's loop does.
    positions = np.cumsum([0.0] + [stride] * (num_steps - 1))
    assert spacings.respaced(*size) == tuple(int(position) for position in np.rint(positions)[::-1])


@EXHAUSTIVE
@given(lengths())
def test_linspace_is_numpys(size: tuple[int, int]) -> None:
    num_train_timesteps, num_steps = size
    numpys = np.linspace(0, num_train_timesteps - 1, num_steps).round()[::-1]
    assert spacings.linspace(*size) == tuple(int(position) for position in numpys)


@EXHAUSTIVE
@given(lengths())
def test_trailing_is_exact(size: tuple[int, int]) -> None:
    positions = exact_positions("trailing", *size)
    # Halves are rounded to even before the 1 is taken off.
    assert spacings.trailing(*size) == tuple(round(position + 1) - 1 for position in positions)


@EXHAUSTIVE
@given(lengths(), st.sampled_from(spacings.TIMESTEP_SPACINGS))
def test_grids_descend_within_the_table(size: tuple[int, int], spacing: spacings.TimestepSpacing) -> None:
    num_train_timesteps, num_steps = size
    grid = spacings.spaced_timesteps(spacing, num_train_timesteps, num_steps)
    assert len(grid) == num_steps
    assert all(type(timestep) is int for timestep in grid)
    assert all(high > low for high, low in pairwise(grid))
    assert grid[0] < num_train_timesteps
    assert grid[-1] >= 0
    if spacing != "leading":
        positions = exact_positions(spacing, num_train_timesteps, num_steps)
        gaps = [abs(timestep - position) for timestep, position in zip(grid, positions, strict=True)]
        assert max(gaps) <= Fraction(1, 2)


@EXHAUSTIVE
@given(lengths(), st.sampled_from(spacings.TIMESTEP_SPACINGS))
def test_rounds_a_half_says_whether_rounding_decides(size: tuple[int, int], spacing: spacings.TimestepSpacing) -> None:
    positions = exact_positions(spacing, *size) if spacing != "leading" else []
    assert spacings.rounds_a_half(spacing, *size) == any(position.denominator == 2 for position in positions)


@pytest.mark.parametrize("spacing", spacings.TIMESTEP_SPACINGS)
@pytest.mark.parametrize("length", [1, 2, 7, 1000])
def test_as_many_steps_as_timesteps_is_the_whole_chain(spacing: spacings.TimestepSpacing, length: int) -> None:
    assert spacings.spaced_timesteps(spacing, length, length) == tuple(reversed(range(length)))


def test_the_offset_belongs_to_leading_alone() -> None:
    assert spacings.spaced_timesteps("leading", 1000, 4, 1) == (751, 501, 251, 1)
    assert spacings.spaced_timesteps("trailing", 1000, 4, 1) == (999, 749, 499, 249)


def test_names_that_do_not_exist_are_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match=r"schedule must be one of linear, .*'squaredcos'"):
        tables.betas("squaredcos", 10, 1e-4, 0.02)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"spacing must be one of leading, .*'even'"):
        spacings.spaced_timesteps("even", 10, 2)  # type: ignore[arg-type]


def test_the_names_are_those_of_the_types() -> None:
    assert get_args(tables.BetaSchedule) == tables.BETA_SCHEDULES
    assert get_args(spacings.TimestepSpacing) == spacings.TIMESTEP_SPACINGS


def test_fractional_index_is_linear_in_the_logarithm() -> None:
    log_table = np.log([0.1, 1.0, 100.0])
    got = levels.fractional_index(np.array([0.1, 1.0, 10.0, 100.0]), log_table)
    np.testing.assert_allclose(got, [0, 1, 1.5, 2], atol=1e-15)
    # Outside the table the ends hold.
    np.testing.assert_allclose(levels.fractional_index(np.array([0.01, 1e4]), log_table), [0, 2])


def test_a_grid_with_both_ends_of_a_table_ends_there_for_every_number_of_steps() -> None:
    """The last multiple of a stride is 999.0000000000001 for 30 and for 100 steps, which is no timestep."""
    for count in range(1, 200):
        grid = TableLevels(num_steps=count).grid
        assert len(grid) == count
        assert (grid[0], grid[-1]) == ((999.0, 0.0) if count > 1 else (0.0, 0.0))
        np.testing.assert_allclose(grid, np.linspace(0, 999, count)[::-1], rtol=1e-12)
