"""The rows of the checks of grids."""

from __future__ import annotations

from functools import partial

from .row import CheckInfo

__all__ = ["GRID_CHECKS"]

_check = partial(CheckInfo, kind="grid", module="checks", group="timesteps", since="0.2")

GRID_CHECKS: tuple[CheckInfo, ...] = (
    _check(
        "grid/finite",
        claim="for every number of steps, one too, the function returns a row of finite numbers",
        catches="a division by num_steps - 1, the logarithm of 0, a stretch of a single level, a tensor with two axes",
        blind_to="what the numbers are",
        remedy=(
            "look at what makes that level: 0 / 0, the logarithm of 0 and a root of a negative number are not finite. "
            "For one step linspace(0, 1, 1) is 0, but i / (n - 1) divides by 0."
        ),
        fault="faulty_grids.ends:single_step_divides_by_zero",
        example="for 1 step level 0 is nan, should be 80",
    ),
    _check(
        "grid/length",
        claim="n steps are n model calls, and the level where the run ends comes once behind them, if it is returned",
        catches="n + 1 points for n, n points with the end among them, a forgotten terminal, levels that are merged",
        blind_to="whether the sampler calls its model at each of them (law/times)",
        remedy=(
            "count: linspace(1, 0, n + 1) has n steps, linspace(1, 0, n) has n - 1. Where the function returns no "
            "final 0, declare includes_end=False."
        ),
        fault="faulty_grids.ends:terminal_forgotten",
        example="1 level for 1 step, should be 2: the model is called at 1, and the run ends at the last",
    ),
    _check(
        "grid/order",
        claim="levels go one way, strictly, and none comes twice",
        catches="a grid from data to noise, sorted the wrong way, a level twice by rounding or by appending it again",
        blind_to="how far they are apart (grid/levels)",
        remedy="flip it once, where it is made; and look for what is rounded, or appended, twice.",
        fault="faulty_grids.flows:reversed_times",
        example="level 1 is 1, the one before is 0: the levels rise, should fall",
    ),
    _check(
        "grid/first-level",
        claim="the first model call is at the level that the first noise has",
        catches="a run that starts one level late, at the lowest level for one step, or below the noise that is drawn",
        blind_to="how the first noise is scaled, unless first_noise= says it (of a sampler: law/initial-noise)",
        remedy="the first level is sigma_max, or 1 in a flow, whatever the number of steps.",
        fault="faulty_grids.tables:entries_from_the_lower_end",
        example="the first level is 0.0413144, should be 14.6146",
    ),
    _check(
        "grid/end",
        claim="the run ends exactly where it should, at 0 itself where that is the end",
        catches="an end at 1e-8, at the lowest level in place of 0, an end that is not exact for some numbers of steps",
        blind_to="what the sampler does with the last level",
        remedy="append the 0, do not compute it: 1 - sum(steps) is not 0.",
        fault="faulty_grids.ends:end_added_up",
        example="the last level is 5.96046e-08, should be 0 exactly",
    ),
    _check(
        "grid/dtype",
        claim="levels are as fine as the dtype that is declared",
        catches="a grid made in half precision, float32 inside of a function that promises float64, whole numbers",
        blind_to="dtypes that are not declared",
        remedy="make the grid in float64 and cast it once, at the end.",
        fault="faulty_grids.precision:made_in_half",
        example="levels come back in float16, should be as fine as float32",
    ),
    _check(
        "grid/levels",
        claim="each level is the reference's",
        catches="a shift that is forgotten or applied twice, rho for 1 / rho, a linspace of another quantity",
        blind_to="levels that no sampler visits",
        remedy="print your levels beside the reference's: where both ends are right, something else is evenly spaced.",
        fault="faulty_grids.flows:shifted_twice",
        example="level 1 of 2 (model call 1) is 0.9, should be 0.75",
    ),
    _check(
        "grid/repeat",
        claim="asked again, the function returns the same levels, whatever it was asked for before",
        catches="a scheduler object that shifts its own levels once more at each call, a list that is appended to",
        blind_to="state that lasts for one call only",
        remedy="make the levels of the arguments alone; keep nothing of them between calls.",
        fault="faulty_grids.state:shift_kept_between_calls",
        example="asked again, level 1 is 0.9, was 0.75",
    ),
)
