"""A clamp at the end of a run: as it is declared, or as the finished samples show it."""

from __future__ import annotations

import math

import numpy as np

from .response import Array

__all__ = ["NO_CLAMP", "Bounds", "clamped_end", "end_clamp", "told_bounds"]

#: What finished samples are clamped to, low and high, data units; infinite where one side is free.
Bounds = tuple[float, float]

#: Where a clamp is declared and there is none.
NO_CLAMP: Bounds = (-math.inf, math.inf)
#: Elements that must stand at a bound, and elements that must stand between: fewer show nothing.
SEEN = 2


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
