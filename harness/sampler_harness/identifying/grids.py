"""Which grid has some levels: each with a name, its fields solved for from the levels by the grid's own formula."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from reference_samplers.grids import (
    BetaTimes,
    EvenTimes,
    ExponentialLevels,
    FlowLogSNR,
    FlowMatchTimes,
    Grid,
    KarrasLevels,
    KLOptimalLevels,
    LevelsInTable,
    LinearQuadratic,
    LogitNormalTimes,
    PolyexponentialLevels,
    SizedTimes,
    StretchedTimes,
)
from reference_samplers.grids.sigmas import karras_sigmas
from sampler_harness.law.response import Array

from .made import made
from .numbers import agreeing, shortest

__all__ = ["has_levels", "noise_level_grids", "rho_of", "time_grids"]

#: Levels of float32 programs are known to this share of themselves, those of a small difference from 1 to this much.
NEAR = 2e-5
#: And of a float32 ramp all levels are known to this share of the highest.
ROUNDED = 1.2e-7
PLACES = ("simple", "normal", "sgm_uniform", "ddim_uniform", "beta")
#: Lengths of tables that a lowest time is 1 over.
_TABLE = 1000


def has_levels(grid: Any, levels: Array) -> bool:
    """Whether a grid has these levels.

    Args:
        grid: by itself.
        levels: ``(N + 1,)``, falling to where the run ends.
    """
    try:
        with np.errstate(all="ignore"):
            own = np.asarray(grid.levels, dtype=np.float64)
            beside = grid.also if isinstance(grid, Grid) else None
    except (ValueError, ArithmeticError):
        return False
    return any(
        one is not None
        and len(one) == len(levels)
        and bool((np.abs(np.asarray(one) - levels) <= _allowed(levels)).all())
        for one in (own, beside)
    )


def _allowed(levels: Array) -> Array:
    return np.asarray(NEAR * np.abs(levels) + ROUNDED * float(np.abs(levels).max()))


def noise_level_grids(levels: Array, asked: int) -> Iterator[Any]:
    """Grids of noise levels that have these.

    Args:
        levels: ``(N + 1,)`` noise levels, falling to 0.
        asked: how many steps the sampler was asked for.
    """
    for grid in _noise_levels(levels, asked):
        if has_levels(grid, levels) and _is_shown(grid, len(levels) - 3):
            yield grid


def _is_shown(grid: Any, between: int) -> bool:
    """Whether levels show a grid: more of them than numbers that were solved from them, or numbers that are short.

    Args:
        grid: that has the levels.
        between: how many levels there are beside those at its ends.
    """
    usual = {one.name: one.default for one in dataclasses.fields(grid)}
    ends = ("num_steps", "sigma_min", "sigma_max")
    solved = [one for name, one in grid.values().items() if name not in ends and one != usual[name]]
    numbers = [one for one in solved if isinstance(one, float)]
    return between > len(numbers) or all(float(f"{one:.2g}") == one for one in numbers)


def _noise_levels(levels: Array, asked: int) -> Iterator[Any]:
    above = levels[:-1]
    steps = len(above)
    lowest = shortest(float(above[-1]), 2e-6 * float(above[-1]) + ROUNDED * float(above[0]))
    ends = {"num_steps": steps, "sigma_max": _level(above[0]), "sigma_min": lowest}
    if steps == 1:
        yield from made(KarrasLevels, {**ends, "sigma_min": min(0.002, float(ends["sigma_max"]))})
        return
    rho = rho_of(above)
    if rho is not None:
        yield from made(KarrasLevels, {**ends, "rho": rho})
    yield from made(ExponentialLevels, ends)
    yield from made(KLOptimalLevels, ends)
    for places in PLACES:
        yield from made(LevelsInTable, {"num_steps": asked, "places": places})
    if steps > 2:
        ramp = 1 - np.arange(1, steps - 1) / (steps - 1)
        falls = np.log(above[1:-1] / above[-1]) / np.log(above[0] / above[-1])
        found = agreeing(list(np.log(falls) / np.log(ramp))) if (falls > 0).all() else None
        if found is not None:
            yield from made(PolyexponentialLevels, {**ends, "rho": shortest(found[0], max(found[1], 1e-4))})


def _level(value: float) -> float:
    return shortest(float(value), 2e-6 * float(value))


def rho_of(above: Array) -> float | None:
    """The exponent at which each level between two is where equation 5 has it; 7 where there is none between.

    Args:
        above: levels, falling, without a 0.
    """
    from scipy.optimize import brentq

    steps, low, high = len(above), float(above[-1]), float(above[0])
    if (above <= 0).any():
        return None
    if steps < 3:
        return 7.0
    found = []
    for place in range(1, steps - 1):

        def rest(logarithm: float, place: int = place) -> float:
            root = float(np.exp(-logarithm))
            ramp = place / (steps - 1)
            return float((high**root + ramp * (low**root - high**root)) ** (1 / root) - above[place])

        ends = np.log(0.05), np.log(200.0)
        if rest(ends[0]) * rest(ends[1]) > 0:
            return None
        found.append(float(np.exp(brentq(rest, *ends, xtol=1e-13))))
    agreed = agreeing(found)
    return None if agreed is None else shortest(agreed[0], max(agreed[1], 1e-4 * agreed[0]))


def time_grids(levels: Array, asked: int) -> Iterator[Any]:
    """Grids of a flow's times that have these.

    Args:
        levels: ``(N + 1,)`` times, falling to 0.
        asked: how many steps the sampler was asked for.
    """
    for grid in _times(levels, asked):
        if has_levels(grid, levels) and _is_shown(grid, len(levels) - 2):
            yield grid


def _times(levels: Array, asked: int) -> Iterator[Any]:
    above = levels[:-1]
    steps = len(above)
    if steps == 1:
        if above[0] == 1:
            yield EvenTimes(num_steps=1)
        return
    between = above[1:]
    place = np.arange(1, steps)
    yield from made(EvenTimes, {"num_steps": steps})
    odds = between / (1 - between)  # of a shifted even time: s / (i d) - s
    even = agreeing(list(odds * place / (steps - place)))
    if even is not None:
        shift = shortest(even[0], max(even[1], 1e-5 * even[0]))
        yield from made(EvenTimes, {"num_steps": steps, "shift": shift})
        yield from _sized(steps, even[0])
    yield from _to_a_lowest(above, odds)
    for spacing in ("karras", "exponential", "beta"):
        yield from _spread(above, spacing)
    yield from _stretched(above)
    yield from made(LinearQuadratic, {"num_steps": steps})
    straight = steps // 2
    if straight:
        yield from made(LinearQuadratic, {"num_steps": steps, "threshold_noise": _level((1 - between[0]) * straight)})
    for places, shift in itertools.product(PLACES, (1.0, 3.0)):
        yield from made(LevelsInTable, {"num_steps": asked, "table": "flow", "places": places, "shift": shift})
    yield from made(BetaTimes, {"num_steps": steps})
    yield from made(BetaTimes, {"num_steps": steps, "alpha": 0.6, "beta": 0.6})
    if steps > 2:
        from scipy.special import ndtri

        share = ndtri(1 - place / steps)
        std, mean = np.polyfit(share, np.log(odds), 1)
        fields = {
            "num_steps": steps,
            "logit_mean": shortest(float(mean), 1e-4),
            "logit_std": shortest(float(std), 1e-4),
        }
        yield from made(LogitNormalTimes, fields)
    yield from made(FlowLogSNR, {"num_steps": steps})


def _sized(steps: int, shift: float) -> Iterator[Any]:
    """An image's size, where the shift is that of a whole number of tokens and no short number itself."""
    if shift <= 1 or shortest(shift, 1e-5 * shift) == shortest(shift, 1e-3 * shift):
        return
    tokens = (np.log(shift) - 0.5) / (1.15 - 0.5) * (4096 - 256) + 256
    if tokens >= 1 and abs(tokens - round(tokens)) < 0.05:
        yield from made(SizedTimes, {"num_steps": steps, "tokens": round(float(tokens))})


def _to_a_lowest(above: Array, odds: Array) -> Iterator[Any]:
    """Even times down to a lowest one, shifted: ``t / (1 - t) = s / (i d) - s`` is a line in 1 / i."""
    steps = len(above)
    if steps < 3:
        return
    slope, back = np.polyfit(1 / np.arange(1, steps), odds, 1, w=np.arange(1, steps))
    shift = -back
    if shift <= 0 or slope <= 0:
        return
    for short in dict.fromkeys((shortest(float(shift), 1e-3 * shift), shortest(float(shift), 1e-5 * shift))):
        last = odds[-1]  # of the lowest time, which the shift moves
        lowest = last / (last + short)
        for table in (_TABLE,):
            yield from made(FlowMatchTimes, {"num_steps": steps, "num_train_timesteps": table, "shift": short})
        yield from made(EvenTimes, {"num_steps": steps, "shift": short, "lowest_time": shortest(lowest, 1e-5 * lowest)})
    if abs(odds[-1] / (odds[-1] + shift) - 1 / _TABLE) <= 1e-4 / _TABLE * 30:
        mu = float(np.log(odds[-1] * (_TABLE - 1)))  # odds of 1 / T are 1 / (T - 1)
        yield from made(FlowMatchTimes, {"num_steps": steps, "mu": shortest(mu, 3e-5)})


def _lowest_of_shift(shift: float) -> float:
    lowest = shift / (_TABLE + shift - 1)
    return shift * lowest / (1 + (shift - 1) * lowest)


def _spread(above: Array, spacing: str) -> Iterator[Any]:
    """Levels of a named spacing between 1 and the lowest time, which says the shift."""
    low = float(above[-1])
    if spacing == "karras" and not np.allclose(above, karras_sigmas(len(above), low, 1.0, 7.0)[:-1], rtol=1e-4):
        return
    shift = _solved(lambda one: _lowest_of_shift(one) - low, 1e-2, 1e2)
    if shift is not None:
        fields = {"num_steps": len(above), "sigma_spacing": spacing}
        yield from made(FlowMatchTimes, {**fields, "shift": shortest(shift, 1e-4 * shift)})
        mu = float(np.log(low / (1 - low) * (_TABLE - 1)))
        yield from made(FlowMatchTimes, {**fields, "mu": shortest(mu, 1e-4)})


def _stretched(above: Array) -> Iterator[Any]:
    """Times stretched to a terminal one: the shift is what is left to be solved for."""
    steps, terminal = len(above), _level(float(above[-1]))
    if steps < 3 or not 0 < terminal < 1:
        return
    middle = steps // 2
    for kind, fields in (
        (StretchedTimes, {"num_steps": steps, "terminal": terminal}),
        (FlowMatchTimes, {"num_steps": steps, "terminal": terminal}),
    ):

        def rest(shift: float, kind: Any = kind, fields: Any = fields) -> float:
            grids = made(kind, {**fields, "shift": shift})
            return float(grids[0].levels[middle] - above[middle]) if grids else float("nan")

        shift = _solved(rest, 1e-2, 1e2)
        if shift is not None:
            yield from made(kind, {**fields, "shift": shortest(shift, 1e-3 * shift)})
            yield from made(kind, {**fields, "shift": shortest(shift, 3e-5 * shift)})


def _solved(rest: Callable[[float], float], low: float, high: float) -> float | None:
    from scipy.optimize import brentq

    at_low, at_high = rest(low), rest(high)
    if not (np.isfinite(at_low) and np.isfinite(at_high)) or at_low * at_high > 0:
        return None
    return float(np.exp(brentq(lambda one: rest(float(np.exp(one))), np.log(low), np.log(high), xtol=1e-13)))
