"""The checks of grids, each of the levels in one configuration.

They stand in the order in which one explains the next: see :func:`.judging.check`.
"""

from __future__ import annotations

import math

import numpy as np

from sampler_harness.law.tolerance import PRECISIONS

from .evidence import Seen
from .judging import Told, check
from .reading import Array

__all__ = [
    "check_dtype",
    "check_end",
    "check_finite",
    "check_first_level",
    "check_length",
    "check_levels",
    "check_order",
    "check_repeat",
]

#: Dtypes from the coarsest to the finest.
_FINER = ("bfloat16", "float16", "float32", "float64")
#: How many decimals a person prints a level with.
MOST_DECIMALS = range(1, 6)


def _wrong(message: str, **evidence: object) -> Told:
    return Told(math.inf, message, evidence)


def _text(level: float, beside: float | None = None) -> str:
    """A level for a person, in as many digits as tell it from the one that it stands beside."""
    for digits in range(6, 17):
        text = f"{level:.{digits}g}"
        if beside is None or level == beside or text != f"{beside:.{digits}g}":
            break
    return text


def _steps(seen: Seen) -> str:
    count = seen.config.values().get("num_steps")
    steps = seen.num_calls if count is None else count
    return f"{steps} step" if steps == 1 else f"{steps} steps"


@check("grid/finite", "every number of steps gives a row of finite numbers")
def check_finite(seen: Seen) -> Told | None:
    """For every number of steps, one too, the function returns a row of finite numbers."""
    if seen.returned.problem:
        return _wrong(f"for {_steps(seen)} {seen.returned.problem}")
    bad = np.flatnonzero(~np.isfinite(seen.levels))
    if not bad.size:
        return Told()
    step = int(bad[0])
    should = f", should be {_text(seen.should_be[step])}" if step < seen.should_be.size else ", should be a number"
    return _wrong(f"for {_steps(seen)} level {step} is {seen.levels[step]}{should}", step=step)


@check("grid/repeat", "asked again, it returns the same bits")
def check_repeat(seen: Seen) -> Told | None:
    """Asked again, the function returns the same levels, whatever it was asked for before."""
    if seen.again:
        return Told()
    first, later = seen.returned.values, seen.later.values
    if first is None or later is None:
        problem = seen.later.problem or seen.returned.problem
        return _wrong(f"asked again, {problem}" if later is None else f"at first {problem}", again=True)
    if first.size != later.size:
        return _wrong(f"asked again, there are {later.size} levels, were {first.size}", again=True)
    step = int(np.flatnonzero(~((first == later) | (np.isnan(first) & np.isnan(later))))[0])
    return _wrong(
        f"asked again, level {step} is {_text(later[step], first[step])}, was {_text(first[step], later[step])}",
        step=step,
        got=float(later[step]),
        should_be=float(first[step]),
        again=True,
    )


@check("grid/dtype", "levels are as fine as the declared dtype")
def check_dtype(seen: Seen) -> Told | None:
    """Levels are as fine as the dtype that is declared."""
    came = seen.returned.dtype
    if came in _FINER and _FINER.index(came) < _FINER.index(seen.dtype):
        return _coarse(seen, f"levels come back in {came}")
    if seen.read.size != seen.should_be.size or not (np.abs(seen.read - seen.should_be) > seen.tolerance).any():
        return Told()
    if not came and not np.array_equal(seen.should_be, np.rint(seen.should_be)):
        return _coarse(seen, "levels come back as whole numbers")
    told = f"levels come back in {came}, but each is rounded to"
    for decimals in MOST_DECIMALS:
        unit = 10.0**-decimals
        is_printed = np.abs(seen.levels - np.round(seen.levels, decimals)) < 1e-3 * unit
        if (is_printed & (np.abs(seen.read - seen.should_be) <= unit / 2 + seen.tolerance)).all():
            return _coarse(seen, f"{told} {'1 decimal' if decimals == 1 else f'{decimals} decimals'}")
    for coarse in _FINER[: _FINER.index(seen.dtype)][::-1]:
        if came and _is_rounded_to(coarse, seen):
            return _coarse(seen, f"{told} {coarse}")
    return Told()


def _coarse(seen: Seen, how: str) -> Told:
    return _wrong(f"{how}, should be as fine as {seen.dtype}", should_be=seen.dtype)


def _is_rounded_to(coarse: str, seen: Seen) -> bool:
    """Whether each level is the reference's as the coarser dtype has it.

    Of half precision it must be the very number: few digits are met by accident. A program that works in float32 is off
    by some roundings more, but no accident gives all of a finer grid's levels so few digits.
    """
    values, bits = seen.returned.values, PRECISIONS[coarse].bits
    if values is None or not np.array_equal(_rounded(values, bits), values):
        return False
    if PRECISIONS[coarse].is_half:
        return np.array_equal(_rounded(seen.should_be, bits), seen.levels)
    off = np.abs(seen.read - seen.should_be)
    return bool((off <= seen.tolerance + 16 * PRECISIONS[coarse].unit * np.abs(seen.should_be)).all())


def _rounded(values: Array, bits: int) -> Array:
    mantissa, exponent = np.frexp(values)
    found: Array = np.ldexp(np.rint(mantissa * 2.0**bits), exponent - bits)
    return found


@check("grid/length", "n steps are n model calls")
def check_length(seen: Seen) -> Told | None:
    """N steps are n model calls, and the level where the run ends comes once behind them, if it is returned."""
    if not seen.levels.size:
        return None
    got, should_be = seen.levels.size, seen.should_be.size
    if got == should_be:
        return Told()
    calls = f"the model is called at {seen.num_calls}" + (", and the run ends at the last" if seen.has_end else "")
    levels = "1 level" if got == 1 else f"{got} levels"
    return _wrong(f"{levels} for {_steps(seen)}, should be {should_be}: {calls}", got=got, should_be=should_be)


@check("grid/order", "the levels fall, and none comes twice", skips="no grid has two levels")
def check_order(seen: Seen) -> Told | None:
    """Levels go one way, strictly, and none comes twice."""
    if seen.levels.size < 2:
        return None
    steps = np.diff(seen.levels)
    bad = np.flatnonzero(~(steps < 0))
    if not bad.size:
        return Told()
    step = int(bad[0]) + 1
    got, before = float(seen.levels[step]), float(seen.levels[step - 1])
    how = "it comes twice" if got == before else "the levels rise, should fall"
    return _wrong(
        f"level {step} is {_text(got)}, the one before is {_text(before)}: {how}", step=step, got=got, before=before
    )


@check("grid/first-level", "the first call is at the level of the first noise")
def check_first_level(seen: Seen) -> Told | None:
    """The first model call is at the level that the first noise has."""
    if not seen.levels.size:
        return None
    got, should_be, tolerance = float(seen.read[0]), float(seen.should_be[0]), float(seen.tolerance[0])
    ratio = _off(got, should_be, tolerance)
    if seen.first_noise is not None and ratio <= 1:
        of_noise = _off(seen.first_noise, got, tolerance)
        if of_noise > 1:
            return Told(
                of_noise,
                f"the first level is {_text(got)}, the first noise has {_text(seen.first_noise)}",
                {"step": 0, "got": seen.first_noise, "should_be": got},
            )
        ratio = max(ratio, of_noise)
    message = f"the first level is {_text(got, should_be)}, should be {_text(should_be, got)}"
    return Told(ratio, message, {"step": 0, "got": got, "should_be": should_be})


@check("grid/end", "the run ends exactly where it should", skips="the function does not return where the run ends")
def check_end(seen: Seen) -> Told | None:
    """The run ends exactly where it should, at 0 itself where that is the end."""
    if not seen.levels.size or not seen.has_end:
        return None
    got, should_be = float(seen.levels[-1]), float(seen.should_be[-1])
    exact = should_be == 0
    ratio = (0.0 if got == 0 else math.inf) if exact else _off(got, should_be, float(seen.tolerance[-1]))
    message = (
        f"the last level is {_text(got, should_be)}, should be {_text(should_be, got)}{' exactly' if exact else ''}"
    )
    return Told(ratio, message, {"step": seen.levels.size - 1, "got": got, "should_be": should_be})


@check("grid/levels", "each level is the reference's")
def check_levels(seen: Seen) -> Told | None:
    """Each level is the reference's."""
    if not seen.levels.size:
        return None
    if seen.levels.size != seen.should_be.size:
        return _wrong("levels cannot be compared, since there are too many or too few")
    ratios = np.array([_off(*row) for row in zip(seen.read, seen.should_be, seen.tolerance, strict=True)])
    # The first that is off, not the furthest: what is wrong later may follow from it.
    step = int(np.flatnonzero(ratios > 1)[0]) if (ratios > 1).any() else int(ratios.argmax())
    got, should_be = float(seen.levels[step]), float(seen.should_be[step])
    call = f" (model call {step})" if step < seen.num_calls else ""
    numbers = f"is {_text(got, should_be)}, should be {_text(should_be, got)}"
    message = f"level {step} of {seen.num_calls}{call} {numbers}{_known(seen)}"
    return Told(float(ratios.max()), message, {"step": step, "got": got, "should_be": should_be})


def _off(got: float, should_be: float, tolerance: float) -> float:
    off = abs(got - should_be)
    if off == 0:
        return 0.0
    return off / tolerance if tolerance > 0 and math.isfinite(off) else math.inf


def _known(seen: Seen) -> str:
    """What plainly became of the levels, by their figures."""
    got, should_be = seen.levels, seen.should_be
    if got.size > 2 and _alike(got[:-1], should_be[1:], seen.tolerance[1:]):
        return ": each is the next one's, the levels start one late"
    if got.size > 2 and _alike(got[1:], should_be[:-1], seen.tolerance[:-1]):
        return ": each is that of the one before, the levels start one early"
    factor = got[0] / should_be[0] if should_be[0] else 0.0
    scaled = factor * should_be
    if not math.isclose(factor, 1, rel_tol=1e-3) and factor and _alike(got, scaled, abs(factor) * seen.tolerance):
        return f": all are {factor:.6g} times what they should be (output_scale= says what they are multiplied by)"
    return ""


def _alike(one: Array, other: Array, tolerance: Array) -> bool:
    return bool((np.abs(one - other) <= tolerance).all())
