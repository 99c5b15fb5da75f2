"""Which cast makes times of other times."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

__all__ = ["cast_between", "cast_of"]

#: What programs multiply a time by before they cast it, beside nothing.
SCALES = (1.0, 1000.0)
#: Times that differ by less, as a share of them, are one.
SAME = 1e-6
WHOLE = "whole numbers"


def cast_between(got: float, should_be: float) -> str | None:
    """The type whose rounding makes one time of the other; None where none does.

    Args:
        got: what the model was told.
        should_be: what it should have been.
    """
    return next(iter(_casts(got, should_be)), None)


def cast_of(times: Iterable[tuple[float, float]]) -> str | None:
    """The type whose rounding makes all of some times of those that they should be; None where that is not known.

    One time is made by a cast of many others too: a whole number of its neighbour, 1 of all that is less than 2. Where
    all are whole, and where they became so, two have to have changed.

    Args:
        times: what the model was told, and what it should have been.
    """
    pairs = [(float(got), float(should_be)) for got, should_be in times]
    changed = dict.fromkeys(pair for pair in pairs if not math.isclose(*pair, rel_tol=SAME))
    every = [_casts(*pair) for pair in dict.fromkeys(pairs)]
    name = next((name for name in every[0] if all(name in one for one in every)), None) if every else None
    is_weak = name == WHOLE or all(float(number).is_integer() for pair in changed for number in pair)
    return name if len(changed) > int(is_weak) else None


def _casts(got: float, should_be: float) -> list[str]:
    found = []
    for scale in SCALES:
        whole = torch.tensor(scale * should_be, dtype=torch.float64)
        for dtype in (torch.bfloat16, torch.float16):
            if math.isclose(float(whole.to(dtype)), scale * got, rel_tol=SAME):
                name = str(dtype).removeprefix("torch.")
                found.append(name if scale == 1.0 else f"{name}, {scale:g} times as large")
    return [*found, WHOLE] if got == math.trunc(should_be) else found
