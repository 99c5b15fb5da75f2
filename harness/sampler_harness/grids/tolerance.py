"""How far a level may be off: what rounding does to the reference's own formula, with a floor."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from sampler_harness.law.rounding import rounded_like, rounding
from sampler_harness.law.tolerance import PRECISIONS, SAFETY, time_tolerance

from .reading import Array

__all__ = ["floor_of", "levels_in", "spread_of", "tolerance_of"]

#: Random roundings of the formula, beside the one to nearest.
ROUNDINGS = 12
#: Ulp of a level that any order of operations may make.
ULP = 16.0
#: The same in half precision, where the formula is float32's and the result alone is rounded.
ULP_IN_HALF = 2.0


def levels_in(config: Any) -> Array:
    """A configuration's levels.

    Args:
        config: a grid, or a program of one.
    """
    return np.asarray(config.levels, dtype=np.float64)


def floor_of(levels: Array, dtype: str) -> Array:
    """How far levels may be off whatever the formula: as a time of a law may, and some ulp.

    Args:
        levels: of the reference.
        dtype: name of the precision.
    """
    precision = PRECISIONS[dtype]
    # float64 promises a thousandth of float32's, in a law too.
    share = PRECISIONS["float64"].floor / PRECISIONS["float32"].floor if dtype == "float64" else 1.0
    ulp = ULP_IN_HALF if precision.is_half else ULP
    floor: Array = share * time_tolerance(levels) + ulp * precision.unit * np.abs(levels)
    return floor


def spread_of(levels: Array, copied: Callable[[], Any], dtype: str) -> Array:
    """How far rounding moves each level of a formula.

    Args:
        levels: of it, in float64.
        copied: makes the grid in source that rounds; called while rounding is on.
        dtype: name of the precision; in half precision tables are float32's.
    """
    spread = np.zeros_like(levels)
    if dtype == "float64":  # what rounding does is far below the floor
        return spread
    bits = PRECISIONS["float32"].bits
    for seed in (None, *range(ROUNDINGS)):
        with rounding(bits, seed), np.errstate(all="ignore"):
            found = levels_in(copied())
        if found.shape == levels.shape and np.isfinite(found).all():
            spread = np.maximum(spread, np.abs(found - levels))
    return spread


@functools.lru_cache(maxsize=4096)
def tolerance_of(config: Any, dtype: str) -> Array:
    """Tolerances of a configuration's levels.

    Args:
        config: of a grid.
        dtype: name of the declared precision.
    """
    levels = levels_in(config)
    spread = np.zeros_like(levels)
    # Of a grid of the user's own whose source cannot be run a second time the floor is known.
    own = not type(config).__module__.startswith("reference_samplers.")
    with contextlib.suppress(Exception if own else ValueError):
        spread = spread_of(levels, lambda: rounded_like(config), dtype)
    total: Array = np.maximum(floor_of(levels, dtype), SAFETY * spread)
    return total
