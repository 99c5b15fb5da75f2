"""What the two searches for numbers share: when two of them are alike, and how a solved one is written.

A number is known to the sampler's own tolerance and no further: of all that fit, the one that is shortest to write is
told, without a sign where it has none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sampler_harness.law.response import Array
from sampler_harness.law.same import SCREEN

__all__ = ["FAR", "as_written", "digits_of"]

#: Sums of squared distances that differ by this are alike: a value is then as good as another.
AS_WELL = 1e-3
#: Distances are told in tolerances that are widened for screening: here is the one that a verdict has.
WITHIN = 1.0 / SCREEN
#: Stands for the distance of what has no law.
FAR = 1e6
#: More digits than these are written in full.
MOST = 7


def as_written(
    values: Sequence[float], distances: Callable[[Sequence[float]], Array | None], best: float
) -> list[float]:
    """Solved numbers with as few digits as explain the law as well, or to the tolerance of the verdict.

    Args:
        values: as solved for.
        distances: of every entry of the law, over its tolerance; None where there is no law.
        best: the sum of their squares at ``values``.
    """

    def does(candidate: Sequence[float]) -> bool:
        rest = distances(candidate)
        if rest is None:
            return False
        return float(rest @ rest) <= best + AS_WELL or float(np.abs(rest).max(initial=0.0)) <= WITHIN

    found = list(values)
    for place, value in enumerate(found):  # noise has no sign
        if value < 0 and does([*found[:place], -value, *found[place + 1 :]]):
            found[place] = -value
    whole = next((short for digits in range(1, MOST + 1) if does(short := [_to(v, digits) for v in found])), None)
    if whole is None:
        return found
    for place in range(len(whole) if len(whole) > 1 else 0):
        for digits in range(1, digits_of([whole[place]])):
            short = [*whole[:place], _to(found[place], digits), *whole[place + 1 :]]
            if does(short):
                whole = short
                break
    return whole


def _to(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def digits_of(values: Sequence[float]) -> int:
    """How many digits it takes to write numbers down, all together.

    Args:
        values: the numbers.
    """
    written = (f"{abs(value):.{MOST}e}".partition("e")[0].replace(".", "").rstrip("0") for value in values)
    return sum(max(len(digits), 1) for digits in written)
