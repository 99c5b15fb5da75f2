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


def _blocks(count: int, starts: Sequence[int]) -> list[list[int]]:
    """For each start the indices below ``count`` up to the next start."""
    ends = [*starts[1:], count]
    return [list(range(a, b)) for a, b in zip(starts, ends, strict=True)]


def _columns(opened: Sequence[int], starts: Sequence[int]) -> tuple[list[int], list[list[int]]]:
    """Which columns of noise fall into which block of rows, and the blocks that have any."""
    named, groups = [], []
    for start, end in zip(starts, [*starts[1:], math.inf], strict=True):
        inside = [index for index, row in enumerate(opened) if start <= row < end]
        if inside:
            named.append(opened[inside[0]])
            groups.append(inside)
    return named, groups


def _strongest(values: Array, rows: list[list[int]], columns: list[list[int]]) -> Rows:
    """Of each block the entry of largest magnitude, with its sign."""
    picture = []
    for row in rows:
        line = []
        for column in columns:
            block = values[np.ix_(row, column)].reshape(-1)
            line.append(rounded_to(float(block[int(np.argmax(np.abs(block)))])))
        picture.append(tuple(line))
    return tuple(picture)


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
    rows = _blocks(count, starts)
    outputs = [start for start in starts if start < calls]
    named, noise = _columns(opened, starts)
    weights = [law.outputs, *(law.column(row)[:, None] for row in opened)]
    columns = [*_blocks(calls, outputs), *([calls + index for index in group] for group in noise)]
    if has_constant:
        weights.append(law.offset[:, None])
        columns.append([calls + len(opened)])
    fresh = [float(law.column(row)[row]) for row in range(count)]
    return LawPicture(
        calls=calls,
        times=tuple(rounded_to(float(time)) for time in law.times),
        fresh=tuple(rounded_to(value) for value in fresh),
        rows=starts,
        outputs=tuple(outputs),
        noise=tuple(named),
        weights=_strongest(np.concatenate(weights, axis=1), rows, columns),
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
    outputs = [start for start in starts if start < entries.calls]
    _, noise = _columns(entries.opened, starts)
    columns = [*_blocks(entries.calls, outputs), *([entries.calls + i for i in group] for group in noise)]
    if has_constant:
        columns.append([entries.ratio.shape[1] - 1])
    capped = np.clip(entries.ratio, -CAP, CAP)
    return tuple(
        tuple(rounded_to(value, 3) for value in row) for row in _strongest(capped, _blocks(count, starts), columns)
    )


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
