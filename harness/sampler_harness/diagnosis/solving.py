"""What the two searches for numbers share: when two of them are alike, and how a solved one is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sampler_harness.law.response import Array

__all__ = ["FAR", "as_written"]

#: Sums of squared distances that differ by this are alike: a value is then as good as another.
AS_WELL = 1e-3
#: Stands for the distance of what has no law.
FAR = 1e6


def as_written(
    values: Sequence[float], distances: Callable[[Sequence[float]], Array | None], best: float
) -> list[float]:
    """Solved numbers with as few digits as explain the law as well.

    Args:
        values: as solved for.
        distances: of every entry of the law, over its tolerance; None where there is no law.
        best: the sum of their squares at ``values``.
    """
    for digits in range(1, 8):
        short = [float(f"{value:.{digits}g}") for value in values]
        rest = distances(short)
        if rest is not None and float(rest @ rest) <= best + AS_WELL:
            return short
    return list(values)
