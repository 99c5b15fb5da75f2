"""Places of an item that are mixed: a mean over atoms that is taken off, a rotation, a blur. Affine, but no law of one.

Impulses at several places then meet, and what is read at one of them is a sum: no coefficient is one draw's or output's
own. Told by runs with values everywhere, so small that a clamp sleeps, as maps of places are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .bundle import Bundle, DenseRun
from .dense import dense_values
from .places import rows_of_sent
from .response import Array
from .tolerance import PRECISIONS

__all__ = ["Mixing", "mixing"]

#: Share of a row's size by which two runs may differ that are one: far above rounding, far below a mean of places.
NEAR = 1e-3
#: Share of the largest below which a weight at another place is rounding.
TOUCHED = 1e-4


@dataclass(frozen=True)
class Mixing:
    """How places of an item are mixed.

    Attributes:
        row: the first model input in which they are; the number of calls for the returned sample.
        axes: of the sample, along which.
        kept: weight at the place where a value was sent.
        others: weights at the other places, where that is one number; else None.
    """

    row: int
    axes: tuple[int, ...]
    kept: float
    others: float | None


def mixing(bundle: Bundle) -> Mixing | None:
    """How places of an item are mixed, affine and alike in every item; None where they are not.

    Args:
        bundle: of a case in which impulses were seen where none belongs.
    """
    dense, layout = bundle.dense, bundle.layout
    if layout is None or not isinstance(dense, DenseRun) or layout.shared or layout.missing:
        return None
    size, items = bundle.case.numel, bundle.case.shape[0]
    values = bundle.amplitude * np.concatenate([dense.fields, dense.outputs])
    some = np.where(dense_values(0, 53, size) > 0, 1.0, 0.0)
    whole, one, other = (_rows(bundle, sent) for sent in (values, some * values, (1.0 - some) * values))
    in_all = np.tile(values[:, : size // items], items)
    alike, swapped = _rows(bundle, in_all), _rows(bundle, np.roll(values, size // items, axis=1))
    if whole is None or one is None or other is None or alike is None or swapped is None:
        return None
    read = slice(None) if bundle.last_row and bundle.end is None else slice(-1)
    by_item = alike.reshape(alike.shape[0], items, -1)
    same_everywhere = np.broadcast_to(by_item[:, :1], by_item.shape)
    off = max(NEAR, PRECISIONS[bundle.case.dtype].of_steps(bundle.num_calls))
    pairs = ((one + other, whole), (by_item, same_everywhere), (np.roll(whole, size // items, axis=1), swapped))
    if not all(_are_near(a[read], b[read], off) for a, b in pairs):
        return None
    return _described(bundle, values.shape[0], read)


def _described(bundle: Bundle, count: int, read: slice) -> Mixing | None:
    """What one number does that is sent to one place alone, draw by draw and output by output.

    Where no output arrives elsewhere it is the draws that are moved and used again, of which noise/shape tells.
    """
    assert bundle.layout is not None
    shape, size = bundle.case.shape, bundle.case.numel
    place = size // 2
    best: Mixing | None = None
    outputs_too = False
    for number in range(min(count, 2 * bundle.num_calls + 2)):
        sent = np.zeros((count, size))
        sent[number, place] = bundle.amplitude
        rows = _rows(bundle, sent)
        if rows is None:
            return None
        weights = (rows / bundle.amplitude)[read]
        touched = np.abs(weights) > TOUCHED * np.abs(weights).max(axis=1, initial=0.0, keepdims=True) + 1e-30
        touched[:, place] = False
        mixed = np.flatnonzero(touched.any(axis=1))
        outputs_too |= mixed.size > 0 and number >= len(bundle.layout.fields)
        if mixed.size == 0 or (best is not None and mixed[0] >= best.row):
            continue
        row = int(mixed[0])
        where = np.stack(np.unravel_index(np.flatnonzero(touched[row]), shape))
        own = np.array(np.unravel_index(place, shape))[:, None]
        if bool((where[0] != own[0]).any()):
            return None  # items are coupled, which shape/batch tells
        axes = tuple(int(axis) for axis in np.flatnonzero((where != own).any(axis=1)))
        others = weights[row][touched[row]]
        alike = others.size == math.prod(shape[axis] for axis in axes) - 1 and bool(
            np.ptp(others) <= NEAR * abs(others[0])
        )
        best = Mixing(row, axes, float(weights[row, place]), float(others.mean()) if alike else None)
    return best if outputs_too else None


def _rows(bundle: Bundle, values: Array) -> Array | None:
    """``(K + 1, numel)`` what a run is with these draws, then outputs, the constant taken off; None where it fails."""
    assert bundle.layout is not None
    count = len(bundle.layout.fields)
    return rows_of_sent(bundle, bundle.layout, values[:count], values[count:])


def _are_near(one: Array, other: Array, off: float) -> bool:
    axes = tuple(range(1, other.ndim))
    size = np.abs(other) + np.sqrt(np.mean(np.square(other), axis=axes, keepdims=True))
    return bool((np.abs(one - other) <= off * size + 1e-30).all())
