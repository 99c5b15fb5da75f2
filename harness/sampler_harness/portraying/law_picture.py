"""Two laws as pictures: which rows and columns are drawn, and how far each entry is off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sampler_harness.law.comparison import Deviation, Entries
from sampler_harness.law.law import Law
from sampler_harness.portrait import Entry, LawPicture, Rows

__all__ = ["law_picture", "ratio_rows", "worst_entries"]

Array = np.ndarray[Any, np.dtype[np.float64]]

#: Rows that a person can tell apart on a page; a longer chain is drawn in blocks.
MOST_ROWS = 52
#: Deviations beyond so many tolerances are drawn alike.
CAP = 1e6
#: Entries in the table beside the picture.
WORST = 6
#: Digits that a picture keeps.
DIGITS = 6


def rounded_to(value: float, digits: int = DIGITS) -> float:
    """A number with so many significant digits: what is drawn need not travel to the last bit."""
    return float(f"{value:.{digits - 1}e}") + 0.0 if math.isfinite(value) else value  # -0.0 is drawn as 0.0


def starts_of(rows: int) -> tuple[int, ...]:
    """First rows of the blocks that ``rows`` rows are drawn in: row 0 and the last one stand alone."""
    if rows <= MOST_ROWS:
        return tuple(range(rows))
    inner = np.linspace(1, rows - 1, MOST_ROWS - 1).round().astype(int)
    return (0, *(int(row) for row in np.unique(inner)))


def _columns(
    calls: int, opened: Sequence[int], starts: Sequence[int], *, has_constant: bool
) -> tuple[tuple[int, ...], list[int], list[int]]:
    """First call of each column of outputs, first row of each column of noise, and where all columns begin."""
    outputs = tuple(start for start in starts if start < calls)
    noise = [int(first) for first in np.unique(np.searchsorted(opened, starts)) if first < len(opened)]
    constant = [calls + len(opened)] if has_constant else []
    return outputs, [opened[first] for first in noise], [*outputs, *(calls + first for first in noise), *constant]


def _strongest(values: Array, rows: Sequence[int], columns: Sequence[int]) -> Array:
    """Of each block, from one start to the next, the entry of largest magnitude, with its sign."""
    for axis, starts in enumerate((rows, columns)):
        highest, lowest = (part.reduceat(values, starts, axis=axis) for part in (np.maximum, np.minimum))
        values = np.where(highest >= -lowest, highest, lowest)
    return values


def _rows(values: Array, digits: int = DIGITS) -> Rows:
    return tuple(tuple(rounded_to(float(value), digits) for value in row) for row in values)


def law_picture(law: Law, opened: Sequence[int], *, has_constant: bool, last_row: bool = True) -> LawPicture:
    """One law as a picture.

    Args:
        law: as measured.
        opened: the rows whose noise is to have a column.
        has_constant: whether the constants are to have one.
        last_row: False where the returned sample could not be read; its row is then left out.
    """
    calls = law.num_calls
    count = calls + (1 if last_row else 0)
    starts = starts_of(count)
    outputs, named, columns = _columns(calls, opened, starts, has_constant=has_constant)
    constant = [law.offset[:, None]] if has_constant else []
    weights = np.concatenate([law.outputs, *(law.column(row)[:, None] for row in opened), *constant], axis=1)
    fresh = [float(law.column(row)[row]) for row in range(count)]
    return LawPicture(
        calls=calls,
        times=tuple(rounded_to(float(time)) for time in law.times),
        fresh=tuple(rounded_to(value) for value in fresh),
        rows=starts,
        outputs=outputs,
        noise=tuple(named),
        weights=_rows(_strongest(weights[:count], starts, columns)),
        has_constant=has_constant,
    )


def ratio_rows(entries: Entries, *, has_constant: bool) -> Rows:
    """Signed deviations over tolerance, in the blocks of :func:`law_picture`.

    Args:
        entries: of two laws.
        has_constant: whether the constants have a column.
    """
    count = entries.ratio.shape[0]
    starts = starts_of(count)
    _, _, columns = _columns(entries.calls, entries.opened, starts, has_constant=has_constant)
    ratio = entries.ratio if has_constant else entries.ratio[:, :-1]
    return _rows(np.clip(_strongest(ratio, starts, columns), -CAP, CAP), 3)


def part_of(column: int, entries: Entries) -> str:
    """What a column stands for, in words."""
    if column < entries.calls:
        return f"output of call {column}"
    if column < entries.calls + len(entries.opened):
        row = entries.opened[column - entries.calls]
        return "the first noise" if row == 0 else f"noise that enters in row {row}"
    return "a constant"


def worst_entries(entries: Entries, first: Deviation | None) -> tuple[Entry, ...]:
    """The entries that are off: a wrong time first, then the first differing row, then the others, the most off first.

    Args:
        entries: of two laws.
        first: the first difference, where there is one.
    """
    told: tuple[Entry, ...] = ()
    if first is not None and first.term == "time":
        got, should_be = rounded_to(first.got), rounded_to(first.should_be)
        told = (Entry(first.row, "(the time it is told)", got, should_be, rounded_to(min(first.ratio, CAP), 3)),)
    size = np.minimum(np.abs(entries.ratio), CAP)
    places = [(int(row), int(column)) for row, column in np.argwhere(size > 1.0)]
    lead = -1 if first is None else first.row
    places.sort(key=lambda place: (place[0] != lead, -size[place], place))
    return told + tuple(
        Entry(
            row=row,
            part=part_of(column, entries),
            got=rounded_to(float(entries.got[row, column])),
            should_be=rounded_to(float(entries.should_be[row, column])),
            ratio=rounded_to(float(size[row, column]), 3),
        )
        for row, column in places[: WORST - len(told)]
    )
