"""Where each number of a draw arrives in a sampler that is not affine: measured by changing signs.

A step size from norms changes with every value, and so does every element behind it. No norm changes with a sign: of
two runs with some of a draw's numbers negated, the first row that differs does so where these numbers arrive, and
nowhere else. As many runs as a number has binary digits tell all of them apart.
"""

from __future__ import annotations

import functools

import numpy as np

from sampler_harness.observe.layout import Layout, NoLayout
from sampler_harness.observe.probes import Dense

from .coded import Arrival, measured_layout
from .dense import dense_values
from .reading import Reader
from .response import Array

__all__ = ["layout_by_signs"]


def layout_by_signs(reader: Reader, scale: float) -> Layout | None:
    """The layout in which draws arrive, moved about or negated as they may be; None where it cannot be told.

    Noise is added in the references: one that enters with a negative weight is taken for negated.

    Args:
        reader: of the case, whose run ``zero`` has given values.
        scale: of these values.
    """
    found = measured_layout(reader, functools.partial(_arrivals, scale=scale))
    return None if found is None or found.shared or found.missing else found


def _arrivals(reader: Reader, index: int, *, scale: float) -> tuple[Arrival, ...]:
    count = reader.zero.draws[index].numel
    numbers = np.arange(count)
    touched = _differing(reader, index, np.ones(count, dtype=bool), scale)
    if touched is None:
        return ()
    row, off = touched
    reached = off != 0
    places = np.zeros(off.size, dtype=np.int64)
    for bit in range((count - 1).bit_length()):
        found = _differing(reader, index, (numbers >> bit & 1).astype(bool), scale)
        if found is None:
            continue  # of numbers that are cut off
        if found[0] != row or bool(((found[1] != 0) & ~reached).any()):
            raise NoLayout(f"draw {index} arrives elsewhere when its numbers differ")
        places += (found[1] != 0).astype(np.int64) << bit
    if bool((places >= count).any()):
        raise NoLayout(f"the numbers of draw {index} are not told apart where they arrive")
    # What is negated goes down where the number was positive and its weight is too.
    signs = np.where(reached, -np.sign(off) * np.sign(dense_values(0, index, count)[places]), 1.0)
    offsets = np.where(reached, places, -1)
    return (Arrival(row - reader.zero.draws[index].calls_before, offsets, np.where(signs == 0, 1.0, signs)),)


def _differing(reader: Reader, index: int, negated: Array, scale: float) -> tuple[int, Array] | None:
    """The first row that differs where some numbers of a draw are negated, and by how much; None where none does."""
    signs = np.where(negated, -1.0, 1.0)

    def values(kind: int, which: int, shape: tuple[int, ...]) -> Array:
        found = scale * dense_values(kind, which, int(np.prod(shape)))
        return (found * signs if kind == 0 and which == index else found).reshape(shape)

    given = Dense(draws=functools.partial(values, 0), outputs=functools.partial(values, 1))
    run = reader.execute(given, same={})
    if run.problem is not None or len(run.calls) != len(reader.zero.calls):
        raise NoLayout(f"draw {index} cannot be followed alone")
    rows = run.rows() - reader.zero.rows()
    touched = np.flatnonzero(np.abs(rows).max(axis=1) > 0)
    return (int(touched[0]), rows[touched[0]]) if touched.size else None
