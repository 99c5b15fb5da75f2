"""How a sampler's draws make unit normals of the sample's size: guessed from their sizes, then measured."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sampler_harness.observe.layout import Layout, NoLayout
from sampler_harness.observe.probes import Dense
from sampler_harness.observe.trace import Run

from .dense import dense_values
from .reading import Reader, Reading
from .response import Array

__all__ = ["layout_by_size", "read_with_layout"]

#: Draws of other sizes than the sample's that are asked one by one whether they reach anything.
MOST_ODD = 64


def read_with_layout(reader: Reader) -> tuple[Reading, Layout | None]:
    """The first way to read the draws that fits where impulses arrive, and what was read so.

    Args:
        reader: of the case.

    Returns:
        The reading, and None in place of a layout where the draws cannot be read as fields: outputs can all the same.
    """
    best: tuple[Reading, Layout | None] | None = None
    for layout in _candidates(reader):
        reading = reader.read(layout, phase=0, sign=1.0)
        if reading.problem is not None or _fits(reading):
            return reading, layout
        best = best or (reading, layout)
    return best or (reader.read(Layout((), reader.case.numel, "none"), phase=0, sign=1.0), None)


def layout_by_size(reader: Reader) -> Layout | None:
    """Draws read as fields by their sizes alone, where it cannot be followed where they arrive.

    Args:
        reader: of the case.
    """
    for make in (_plain, _of_what_is_heard):
        with contextlib.suppress(NoLayout):
            return make(reader)
    return None


def _candidates(reader: Reader) -> Iterator[Layout]:
    makes: tuple[Callable[[Reader], Layout | None], ...] = (_plain, _trailing, Reader.coded, _of_what_is_heard)
    for make in makes:
        try:
            layout = make(reader)
        except NoLayout:
            continue
        if layout is not None:
            yield layout


def _fits(reading: Reading) -> bool:
    """Every drawn impulse was seen at its element, or nothing was seen where nothing belongs."""
    return all(reading.arrived) or not reading.leaks


def _plain(reader: Reader) -> Layout | None:
    return Layout.plain(reader.zero.draws, reader.case.numel, same=reader.same)


def _trailing(reader: Reader) -> Layout | None:
    size = reader.case.numel
    several = any(d.gaussian and d.numel > size for d in reader.zero.draws)
    return Layout.plain(reader.zero.draws, size, trailing=True, same=reader.same) if several else None


def _of_what_is_heard(reader: Reader) -> Layout | None:
    """The draws that reach something, read in order: others may be of any size. None where all reach something.

    A generator is moved on by a draw of whatever size, that is thrown away.
    """
    size = reader.case.numel
    odd = [i for i, d in enumerate(reader.zero.draws) if d.gaussian and d.numel % size]
    unheard = _unheard(reader, odd) if 0 < len(odd) <= MOST_ODD else []
    return Layout.plain(reader.zero.draws, size, same=reader.same, without=unheard) if unheard else None


def _unheard(reader: Reader, draws: Sequence[int]) -> list[int]:
    """Those of some draws whose values change no digit anywhere."""
    quiet, other = (_run_with(reader, draws, scale) for scale in (0.5, -1.0))
    if quiet.problem is None and other.problem is None and np.array_equal(quiet.rows(), other.rows()):
        return list(draws)
    half = len(draws) // 2
    return [one for part in (draws[:half], draws[half:]) if half for one in _unheard(reader, part)]


def _run_with(reader: Reader, draws: Sequence[int], scale: float) -> Run:
    """A run with some numbers in all draws, and ``scale`` times them in a few."""
    chosen = set(draws)

    def values(index: int, shape: tuple[int, ...]) -> Array:
        numbers = reader.amplitude * dense_values(0, index, int(np.prod(shape))).reshape(shape)
        return scale * numbers if index in chosen else numbers

    return reader.execute(Dense(draws=values, outputs=lambda i, s: None), same={})
