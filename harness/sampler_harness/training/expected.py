"""What a reference's step has at a time, and how far rounding may carry a sound step from it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sampler_harness.law.rounding import rounded_like, rounding
from sampler_harness.law.tolerance import PRECISIONS

__all__ = ["Expected", "expected", "floor_of", "share_tolerance", "weight_tolerance"]

#: An entry is flagged when it is off by this much of itself, whatever rounding may do.
FLOOR, FLOOR_64 = 2.5e-4, 1e-7
#: Times what rounding does to the reference's own source.
SAFETY = 3.0
#: Unit roundoffs of the largest term that an entry is the sum of.
TERMS = 32
#: Unit roundoffs of a told time: of the logarithm or root that it is, and of being told.
TOLD = 2
ROUNDINGS = (None, 0, 1, 2, 3)


@dataclass(frozen=True)
class Expected:
    """Values of a reference's step at one time, each with its tolerance.

    Attributes:
        a: weight of the data in the input.
        s: weight of the noise in it.
        target_x0: weight of the data in the target.
        target_noise: weight of the noise in it.
        weight: of the item.
        offset: strength of the noise that a channel shares, in units of s.
        tolerances: of the first five, in this order; the last one relative.
    """

    a: float
    s: float
    target_x0: float
    target_noise: float
    weight: float
    offset: float
    tolerances: tuple[float, float, float, float, float]


def floor_of(dtype: str) -> float:
    """By how much of itself an entry is flagged when it is off, whatever rounding may do.

    Args:
        dtype: name of the declared torch dtype.
    """
    return FLOOR_64 if dtype == "float64" else FLOOR


def weight_tolerance(floor: float, spread: Any) -> Any:
    """How far a weight may be off, as a share of it: it is known beside the median of others, which is off as well.

    Args:
        floor: of one weight.
        spread: what rounding does to it, as a share of it.
    """
    return 2 * floor + SAFETY * spread


def _values(config: Any, level: float) -> tuple[float, float, float, float, float]:
    a, s = config.input_scales(level)
    target_x0, target_noise = config.target_scales(level)
    return float(a), float(s), float(target_x0), float(target_noise), float(config.weight(level))


@functools.lru_cache(maxsize=256)
def _rounded(config: Any, seed: int | None) -> Any:
    with rounding(24, seed):
        return rounded_like(config)


@functools.lru_cache(maxsize=8192)
def expected(config: Any, time: float, dtype: str) -> Expected | None:
    """What the reference has where the model is told ``time``.

    Half precision is that of the model's input alone: tables and times belong in float32, so that the spread is the
    same as there, and one rounding of the input is added.

    Args:
        config: a configuration of a reference of training.
        time: as the model was told.
        dtype: name of the declared torch dtype.

    Returns:
        None where the reference never tells such a time.
    """
    low, high = config.level_bounds
    with np.errstate(all="ignore"):
        level = config.level_of_time(time)
    whole = config.time_draw == "integers"
    if not math.isfinite(level) or (whole and (level != round(level) or not low <= level <= high)):
        return None
    if (not whole and level <= 0.0) or level > high * (1 + 1e-5):
        return None
    values = _values(config, level)
    spread = [0.0] * 5
    if dtype != "float64":
        for seed in ROUNDINGS:
            copy = _rounded(config, seed)
            with rounding(24, seed), np.errstate(all="ignore"):
                again = _values(copy, level)
            spread = [max(s, abs(v - w)) for s, v, w in zip(spread, values, again, strict=True)]
    if not whole:
        # The level is read off a time that was rounded when the model was told it.
        for nudged in (time * (1 + TOLD * PRECISIONS[dtype].unit), time * (1 - TOLD * PRECISIONS[dtype].unit)):
            near = config.level_of_time(nudged)
            if near > 0.0:
                spread = [max(s, abs(v - w)) for s, v, w in zip(spread, values, _values(config, near), strict=True)]
    unit = max(PRECISIONS[dtype].unit, 2.0**-24 if dtype != "float64" else 0.0)
    floor = floor_of(dtype)
    table = min(unit, 2.0**-24) if dtype != "float64" else unit
    input_terms, target_terms = max(values[:2]), config.target_terms(level)
    own = 4 * unit if PRECISIONS[dtype].is_half else 0.0
    scales = (input_terms, input_terms, target_terms, target_terms)
    tolerances = [
        max(floor, own) * abs(v) + SAFETY * s + TERMS * table * scale
        for v, s, scale in zip(values[:4], spread[:4], scales, strict=True)
    ]
    relative = weight_tolerance(floor, spread[4] / values[4]) if values[4] > 0 else math.inf
    offset = config.offset_scale(level)
    return Expected(*values, offset, (tolerances[0], tolerances[1], tolerances[2], tolerances[3], relative))


def share_tolerance(config: Any, p: float, *, uniform: bool) -> float:
    """How far the time may be off below which a share of the draws lies.

    1e-5 of it, or of the range of ln(sigma)/4 where it is a logarithm; and where it comes of a uniform number, what
    rounding that number near 1 to float32 does to it.

    Args:
        config: a configuration of a reference of training.
        p: the share, in (0, 1).
        uniform: whether the draw is one.
    """
    if config.time_draw == "integers":
        return 1e-6
    time = float(config.told_time(config.quantile(p)))
    is_logarithm = config.level_of_time(time) != time
    tolerance = 1e-5 * max(abs(time), 0.25 if is_logarithm else 0.0)
    if not uniform:
        return tolerance
    beside = [q for q in (p - 2.0**-24, p + 2.0**-24) if 0.0 < q < 1.0]
    return tolerance + SAFETY * max(abs(float(config.told_time(config.quantile(q))) - time) for q in beside)
