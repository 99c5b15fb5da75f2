"""Where each number of a draw arrives: measured with drawn numbers that name their own place.

Noise may be drawn in another layout than the sample's, flipped, rolled, negated, drawn larger and cut down, or drawn in
parts: each element still gets a fresh normal of its own, and where that was drawn is all that there is to know.

Context: a run tells of one draw, and a long chain makes a thousand. Choice: draws of one shape that are made at the
same place between two model calls are taken to be moved about alike, the first draws of a run apart from later ones.
Whoever reads with the layout sees whether impulses arrive where it says; where they do not, each draw is measured.
Reversed by: a generator of fields that moves each of a thousand draws in another way; until then such a case is not
told.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

import numpy as np

from sampler_harness.observe.layout import IntArray, Layout, NoLayout, Part
from sampler_harness.observe.probes import Dense
from sampler_harness.observe.tape import Draw

from .heard import first_heard
from .reading import Reader
from .response import Array

__all__ = ["Arrival", "coded_alike", "coded_apart", "measured_layout", "too_many"]

#: Of the digits of a code in half precision: so few that a rounding changes none.
BASE = 16
#: How far a digit may be off a whole number.
OFF, OFF_IN_HALF = 0.05, 0.3
#: Places between two calls at which draws are measured; where there are more, draws of one shape are one.
MOST_PLACES = 64
#: Draws of one kind that are asked until one arrives somewhere.
ASKED = 3
#: Model calls that measuring every draw by itself may take.
MOST_CALLS = 40_000
#: A number reaches an element with at least this share of the largest weight.
REACHED = 2.0**-10


@dataclass(frozen=True)
class Arrival:
    """Numbers of a draw that come in together.

    Attributes:
        row: the row that they come in at, counted from the draw.
        offsets: for each sample element its flat offset in the draw; -1 where none arrives.
        signs: 1 or -1 for each sample element, as all of them are or as the first is not.
    """

    row: int
    offsets: IntArray
    signs: Array


#: Given a reader and a draw's index, where its numbers come in, row after row; empty where none does.
Arrivals = Callable[[Reader, int], tuple[Arrival, ...]]


def coded_alike(reader: Reader, arrivals_of: Arrivals | None = None) -> Layout | None:
    """The layout in which draws of one shape and place in a run are moved about alike.

    Args:
        reader: of the case.
        arrivals_of: given the reader and a draw's index, where its numbers come in; None for what codes tell.

    Returns:
        None where nothing is drawn.

    Raises:
        NoLayout: where a draw's numbers cannot be followed.
    """
    drawn = _drawn(reader)
    between: dict[int, int] = {}
    kinds: dict[int, Hashable] = {}
    for index, draw in drawn:
        number = between[draw.calls_before] = between.get(draw.calls_before, -1) + 1
        kinds[index] = draw.shape, draw.calls_before == 0, number
    if len(set(kinds.values())) > MOST_PLACES:
        kinds = {index: draw.shape for index, draw in drawn}
    return _coded(reader, kinds, arrivals_of or _arrivals_of) if drawn else None


def measured_layout(reader: Reader, arrivals_of: Arrivals | None = None) -> Layout | None:
    """The same, and None where numbers cannot be followed.

    Args:
        reader: of the case.
        arrivals_of: as for :func:`coded_alike`.
    """
    with contextlib.suppress(NoLayout):
        return coded_alike(reader, arrivals_of)
    return None


def coded_apart(reader: Reader) -> Layout | None:
    """The layout in which every draw is moved about in its own way; None where that takes too many runs.

    Args:
        reader: of the case.

    Raises:
        NoLayout: where a draw's numbers cannot be followed.
    """
    drawn = _drawn(reader)
    if not drawn or too_many(reader):
        return None
    return _coded(reader, {index: index for index, _ in drawn}, _arrivals_of)


def too_many(reader: Reader) -> bool:
    """Whether a run draws so often that measuring each draw by itself takes too many runs.

    Args:
        reader: of the case.
    """
    return 3 * len(_drawn(reader)) * len(reader.zero.calls) > MOST_CALLS


def _drawn(reader: Reader) -> list[tuple[int, Draw]]:
    return [(index, draw) for index, draw in enumerate(reader.zero.draws) if draw.gaussian and draw.numel > 0]


def _coded(reader: Reader, kinds: dict[int, Hashable], arrivals_of: Arrivals) -> Layout:
    """Fields of draws of which those of one kind are moved about alike."""
    maps: dict[Hashable, tuple[Arrival, ...]] = {}
    for kind in dict.fromkeys(kinds.values()):
        mine = [index for index, one in kinds.items() if one == kind]
        maps[kind] = next((one for one in (arrivals_of(reader, index) for index in mine[:ASKED]) if one), ())
        if not maps[kind] and len(mine) > ASKED:
            heard = first_heard(reader, mine)
            maps[kind] = () if heard is None else arrivals_of(reader, heard)
    parts = [
        Part(index, reader.zero.draws[index].calls_before, one.row, one.offsets, one.signs)
        for index, kind in kinds.items()
        for one in maps[kind]
    ]
    return Layout.coded(parts, reader.case.numel, same=reader.same)


def _arrivals_of(reader: Reader, index: int) -> tuple[Arrival, ...]:
    """What codes tell; they are told apart where noise is weighed alike everywhere.

    Raises:
        NoLayout: where numbers are not told apart.
    """
    draw, size = reader.zero.draws[index], reader.case.numel
    for slices in _sliced(draw.shape, size):
        alike = _alike(reader, index, slices)
        if alike is not None:
            return alike
    left = np.ones(draw.numel, dtype=bool)
    found: list[Arrival] = []
    while left.any():
        arrival = _first_arrival(reader, index, left)
        if arrival is None:
            break
        found.append(arrival)
        left[arrival.offsets[arrival.offsets >= 0]] = False
        if (len(found) + 1) * 2 * len(reader.zero.calls) > MOST_CALLS:
            raise NoLayout(f"draw {index} of shape {draw.shape} arrives in too many rows")
    return tuple(found)


def _sliced(shape: tuple[int, ...], size: int) -> Iterator[IntArray]:
    """Flat offsets of the slices of a draw that has room for several fields: along its first or its last axis."""
    places = np.arange(math.prod(shape))
    if places.size < 2 * size:
        return
    for axis in (0, -1):
        slices = np.moveaxis(places.reshape(shape), axis, 0).reshape(shape[axis], -1)
        if slices.shape[0] > 1 and slices.shape[1] >= size:
            yield slices
    if places.size % size == 0:
        yield places.reshape(-1, size)
        yield places.reshape(size, -1).T


def _alike(reader: Reader, index: int, slices: IntArray) -> tuple[Arrival, ...] | None:
    """Fields of a draw of which each is a slice, moved about as the first that arrives; None where they are not."""
    for mine in slices[:ASKED]:
        left = np.zeros(slices.size, dtype=bool)
        left[mine] = True
        try:
            arrival = _first_arrival(reader, index, left)
        except NoLayout:
            return None
        if arrival is None:
            continue
        if (arrival.offsets < 0).any():
            return None
        place_of = np.full(slices.size, -1)
        place_of[mine] = np.arange(mine.size)
        inside = place_of[arrival.offsets]
        return tuple(Arrival(arrival.row + number, one[inside], arrival.signs) for number, one in enumerate(slices))
    return None


def _first_arrival(reader: Reader, index: int, left: Array) -> Arrival | None:
    """Which of the numbers that are left come in first, and where; None where none does."""
    count = left.size
    ones = _first_touched(reader, index, np.where(left, 1.0, 0.0))
    if ones is None:
        return None
    row, weights = ones
    reached = np.abs(weights) > REACHED * np.abs(weights).max()

    def code_at(code: Array) -> Array:
        found = _first_touched(reader, index, np.where(left, code, 0.0))
        if found is None or found[0] != row:
            raise NoLayout(f"draw {index} arrives elsewhere when its numbers differ")
        return np.divide(found[1], weights, out=np.zeros(weights.size), where=reached)

    wide = reader.precision < 2.0**-20
    places = (_map_by_code if wide else _map_by_digits)(code_at, count)
    if places is None or bool(((places < 0) | (places >= count))[reached].any()):
        raise NoLayout(f"the numbers of draw {index} are not told apart where they arrive")
    first = np.sign(weights[int(np.argmax(reached))])
    later = row - reader.zero.draws[index].calls_before
    return Arrival(later, np.where(reached, places, -1), np.where(reached, first * np.sign(weights), 1.0))


def _map_by_code(code_at: Callable[[Array], Array], count: int) -> IntArray | None:
    """Numbers that say which they are."""
    places = code_at((1.0 + np.arange(count, dtype=np.float64)) / (2.0 * count)) * (2.0 * count) - 1.0
    whole = np.rint(places)
    # What is not reached is -1.
    return None if float(np.abs(places - whole).max()) > OFF else whole.astype(np.int64)


def _map_by_digits(code_at: Callable[[Array], Array], count: int) -> IntArray | None:
    """The same in half precision, which holds no code of a thousand places: one run for each digit of it."""
    number, places = np.arange(count), None
    for power in itertools.takewhile(lambda value: value < count, (BASE**n for n in itertools.count())):
        digits = code_at((BASE + number // power % BASE) / (2.0 * BASE)) * 2 * BASE - BASE
        whole = np.rint(digits)
        if float(np.abs(digits - whole).max()) > OFF_IN_HALF:
            return None
        places = whole.astype(np.int64) * power + (0 if places is None else places)
    return places


def _first_touched(reader: Reader, index: int, code: Array) -> tuple[int, Array] | None:
    """The first row that a draw of given numbers reaches, and what it is there, the constant taken off."""
    run = reader.execute(
        Dense(
            draws=lambda i, s: (code * reader.amplitude).reshape(s) if i == index else None,
            outputs=lambda i, s: None,
        ),
        same={},
    )
    if run.problem is not None or len(run.calls) != len(reader.zero.calls):
        raise NoLayout(f"draw {index} cannot be followed alone")
    rows = run.rows() - reader.zero.rows()
    touched = np.flatnonzero(np.abs(rows).max(axis=1) > 0)
    if touched.size == 0:
        return None
    return int(touched[0]), rows[touched[0]] / reader.amplitude
