"""Numbers that were read off a law, as a person would write them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

__all__ = ["agreeing", "decimals", "shortest"]

#: A number is known to this share of itself, whatever its readings say: a float32 program has no more.
KNOWN = 2e-6
#: Readings that lie further apart than this, as a share, are not of one number.
APART = 2e-3
#: Times the scatter of its readings that a number may be off.
SCATTER = 4.0
MOST_DIGITS = 9


def agreeing(readings: Sequence[float], weights: Sequence[float] | None = None) -> tuple[float, float] | None:
    """One number that several readings are of, and how far it may be off; None where they are of several.

    Args:
        readings: of it.
        weights: how good each is, larger is better; None for all alike.
    """
    values = np.array([one for one in readings if math.isfinite(one)])
    if values.size == 0 or values.size < len(readings):
        return None
    trust = np.ones(values.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if not np.isfinite(trust).all() or trust.max() <= 0:
        return None
    order = np.argsort(values)
    half = float(trust.sum()) / 2
    place = min(int(np.searchsorted(np.cumsum(trust[order]), half)), values.size - 1)
    middle = float(values[order][place])
    off = np.abs(values - middle)
    best = off[trust >= 0.25 * trust.max()]
    scale = max(abs(middle), 1e-9)
    if float(np.median(best)) > APART * scale or float(best.max()) > 10 * APART * scale:
        return None
    return middle, max(KNOWN * scale, SCATTER * float(np.median(best)))


def decimals(value: float, off: float) -> Iterator[float]:
    """Decimals that a number may be, the shortest first, and then the number itself.

    Args:
        value: as read.
        off: how far it may be off.
    """
    told: list[float] = []
    if abs(value) <= off:
        told.append(0.0)
    for digits in range(1, MOST_DIGITS + 1):
        short = float(f"{value:.{digits}g}")
        if abs(short - value) <= off and short not in told:
            told.append(short)
    yield from told
    if value not in told:
        yield value


def shortest(value: float, off: float) -> float:
    """The shortest decimal that a number may be.

    Args:
        value: as read.
        off: how far it may be off.
    """
    return next(decimals(value, off))
