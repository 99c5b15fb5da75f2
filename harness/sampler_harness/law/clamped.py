"""Clamps of a program: at the end of its run, declared or seen; and anywhere, so that impulses do not reach them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from sampler_harness.observe.probes import Dense
from sampler_harness.observe.trace import Run

from .dense import dense_values
from .response import AMPLITUDE, Array

__all__ = ["NO_CLAMP", "Bounds", "clamped_end", "end_clamp", "side_of_zero", "sleeping_amplitude", "told_bounds"]

#: What finished samples are clamped to, low and high, data units; infinite where one side is free.
Bounds = tuple[float, float]

#: Where a clamp is declared and there is none.
NO_CLAMP: Bounds = (-math.inf, math.inf)
#: Elements that must stand at a bound, and elements that must stand between: fewer show nothing.
SEEN = 2
#: Impulses are made this much smaller, until no clamp bites, down to the usual size.
SMALLER = 2.0**-4
#: Elements up to which all of them get values of one sign.
FEW = 8


def clamped_end(rows: Array, bounds: Bounds | None) -> Array:
    """Rows of a run whose last one is clamped; as they are where nothing is.

    Args:
        rows: ``(K + 1, numel)``, the last the returned sample.
        bounds: of the clamp.
    """
    if bounds is None:
        return rows
    last: Array = np.clip(rows[-1:], *bounds)
    return np.concatenate([rows[:-1], last])


def end_clamp(got: Array, should_be: Array, allowed: Array) -> Bounds | None:
    """The clamp that makes one returned sample of another.

    Args:
        got: ``(numel,)`` what was returned.
        should_be: the same without a clamp.
        allowed: how far an element may be off.

    Returns:
        Its bounds; None where no clamp does, or where too few elements show it.
    """
    if not np.isfinite(got).all():
        return None
    low, high = float(got.min()), float(got.max())
    with np.errstate(invalid="ignore"):
        bites_low = int((should_be < low - allowed).sum()) >= SEEN
        bites_high = int((should_be > high + allowed).sum()) >= SEEN
        bounds = (low if bites_low else -math.inf, high if bites_high else math.inf)
        between = int(((got > bounds[0]) & (got < bounds[1])).sum())
        fits = bool((np.abs(got - np.clip(should_be, *bounds)) <= allowed).all())
    return bounds if (bites_low or bites_high) and between >= SEEN and fits else None


def told_bounds(bounds: Bounds) -> tuple[str, str]:
    """Bounds for a person, and as a declaration writes them.

    Args:
        bounds: of a clamp.
    """
    low, high = (float(f"{bound:.6g}") for bound in bounds)
    if low == -high:
        return f"±{high:g}", f"{high!r}"
    if math.isinf(low):
        return f"at most {high:g}", f"(-math.inf, {high!r})"
    if math.isinf(high):
        return f"at least {low:g}", f"({low!r}, math.inf)"
    return f"[{low:g}, {high:g}]", f"({low!r}, {high!r})"


def side_of_zero(one: Array, other: Array) -> Bounds | None:
    """The side of 0 that small values do not leave at the end of a run; None where they leave both.

    Args:
        one: ``(numel,)`` the returned sample of small values, what is constant taken off.
        other: the same of the values of opposite sign.
    """
    # A place that is never written to loses both signs: only what loses one is a clamp.
    if not bool(((one == 0) & (other != 0)).any()):
        return None
    if bool((one >= 0).all() and (other >= 0).all()):
        return 0.0, math.inf
    return (-math.inf, 0.0) if bool((one <= 0).all() and (other <= 0).all()) else None


def sleeping_amplitude(
    largest: float, zero: Run, execute: Callable[[Any], Run], precision: float, shift: float, *, last_row: bool
) -> float | None:
    """The largest power of two, from ``largest`` down, at which no clamp bites; None where one always does.

    Args:
        largest: where to begin.
        zero: the run in which all draws and outputs are 0.
        execute: runs the sampler under a stimulus.
        precision: unit roundoff of what it computes in.
        shift: constant that was added to the finished sample and is undone.
        last_row: False where the returned sample is rounded to steps.
    """
    size = largest
    while size >= AMPLITUDE:
        if not _bites(size, zero, execute, precision, shift, last_row):
            return size
        size *= SMALLER
    return None


def _bites(
    size: float, zero: Run, execute: Callable[[Any], Run], precision: float, shift: float, last_row: bool
) -> bool:
    """Whether values of this size are more than those of a smaller one made larger: a clamp bites."""

    def signs(index: int, shape: tuple[int, ...]) -> Array:
        # Of few elements draws and outputs pull apart, as epsilon does in x0 = x - epsilon; of many, at random.
        count = int(np.prod(shape))
        values = dense_values(0, index, count) if count > FEW else np.ones(count)
        return np.copysign(1.0, values).reshape(shape)

    def run_at(scale: float) -> Run:
        return execute(
            Dense(
                draws=lambda index, shape: scale * signs(index, shape),
                outputs=lambda call, shape: -scale * signs(997 + call, shape),
            )
        )

    rows = []
    for scale in (size, size * SMALLER):
        run = run_at(scale)
        if run.problem is not None or len(run.calls) != len(zero.calls):
            return False
        rows.append((run.rows() - zero.rows()) / scale)
    large, small = rows
    allowed = 0.25 * (np.abs(small) + np.sqrt(np.mean(small**2, axis=1, keepdims=True)))
    allowed += 8 * precision * (np.abs(zero.rows()) + 1e-30) / (size * SMALLER)
    allowed[-1] += 8 * precision * abs(shift) / (size * SMALLER)
    rows_read = slice(None) if last_row else slice(-1)
    return bool((np.abs(large - small) > allowed)[rows_read].any())
