"""Two laws side by side: where they differ, by how much of the tolerance, and what follows from what.

Rows are compared from the first to the last. A difference that lies in the span of earlier differences is their
consequence: it is what the first mistake becomes when later steps carry it on.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .law import Law
from .response import Array
from .same import in_tolerances, side_by_side
from .tolerance import Tolerance

__all__ = ["Deviation", "Entries", "Term", "compare", "differing", "entries_of"]

Term = Literal["count", "time", "initial-noise", "outputs", "noise", "offset"]


@dataclass(frozen=True)
class Deviation:
    """One entry in which two laws differ beyond tolerance, or come closest to it.

    Attributes:
        term: which part of the law.
        row: k, the model input (``K`` is the returned sample).
        column: which output, or the row that opened the noise; -1 where there is none.
        got: what was measured.
        should_be: what the reference has.
        ratio: ``|got - should_be|`` over the tolerance; above 1 it is a difference.
        consequence: it follows from a difference in an earlier row.
    """

    term: Term
    row: int
    column: int
    got: float
    should_be: float
    ratio: float
    consequence: bool = False


@dataclass(frozen=True)
class Entries:
    """Two laws entry by entry, over the rows that both have: for drawing, never for judging.

    Attributes:
        calls: model calls that both make; entries stand for their inputs, and for the sample where neither makes more.
        opened: the rows whose noise the last columns stand for.
        got: ``(rows, calls + len(opened) + 1)`` weights of outputs and of noise, and the constant.
        should_be: the same of the other law.
        ratio: ``got - should_be`` over the tolerance, signed.
        times: ``(calls,)`` the same of the times.
    """

    calls: int
    opened: tuple[int, ...]
    got: Array
    should_be: Array
    ratio: Array
    times: Array


def entries_of(law: Law, reference: Law, tolerance: Tolerance, *, last_row: bool = True) -> Entries:
    """All entries of two laws side by side, each deviation in units of its tolerance.

    Args:
        law: measured on the sampler.
        reference: what it should be.
        tolerance: of the reference's entries.
        last_row: False where the returned sample could not be read.
    """
    calls = min(law.num_calls, reference.num_calls)
    rows = calls + (1 if law.num_calls == reference.num_calls and last_row else 0)
    opened = tuple(sorted(row for row in set(law.opened) | set(reference.opened) if row < rows))

    got, should_be, allowed = side_by_side(law, reference, tolerance, rows, opened)
    signs = np.where(got < should_be, -1.0, 1.0)
    time_signs = np.where(law.times[:calls] < reference.times[:calls], -1.0, 1.0)
    times = time_signs * in_tolerances(law.times[:calls], reference.times[:calls], tolerance.times[:calls])
    return Entries(calls, opened, got, should_be, signs * in_tolerances(got, should_be, allowed), times)


def compare(law: Law, reference: Law, tolerance: Tolerance, *, last_row: bool = True) -> tuple[Deviation, ...]:
    """All entries, worst of each term and row first differing; sorted by row, times before outputs before noise.

    Args:
        law: measured on the sampler.
        reference: what it should be.
        tolerance: of the reference's entries.
        last_row: False where the returned sample could not be read (a quantised output).

    Returns:
        At least one deviation per term that has entries: the differences (ratio above 1), and for a term
        without any the entry that comes closest.
    """
    if law.num_calls != reference.num_calls:
        shared = min(law.num_calls, reference.num_calls)
        found = [
            Deviation("count", 0, -1, law.num_calls, reference.num_calls, np.inf),
            *_times(law.times[:shared], reference.times[:shared], tolerance.times[:shared]),
        ]
        first = _first_row(law, reference, tolerance)
        return (*found, *first)
    rows = reference.num_calls + (1 if last_row else 0)
    found = _times(law.times, reference.times, tolerance.times)
    found += _first_row(law, reference, tolerance)
    opened = tuple(sorted(set(law.opened) | set(reference.opened)))
    got, should_be, allowed = side_by_side(law, reference, tolerance, rows, opened)
    # The state's own weight shows in the column that row 0 opened; rescaled, so that a wrong start is not told twice.
    if 0 in law.opened and 0 in reference.opened:
        start_got, start_ref = law.column(0)[0], reference.column(0)[0]
        if abs(start_got - start_ref) > tolerance.factor[0, reference.opened.index(0)] + law.unread[0]:
            got[:, law.num_calls] *= start_ref / start_got
    ratio = in_tolerances(got, should_be, allowed)
    columns = _Columns.of(law.num_calls, opened)
    stateless = 0 in reference.opened and 0 not in law.opened
    earlier: list[Array] = []
    for k, (got_row, ref_row, ratio_row) in enumerate(zip(got, should_be, ratio, strict=True)):
        consequence = False
        if ratio_row[:-1].max(initial=0.0) > 1.0:
            delta = np.where(np.isfinite(got_row), got_row - ref_row, 0.0)[:-1]
            consequence = _in_span(delta, earlier, allowed[k, :-1])
            if not consequence:
                earlier.append(delta)
        found += [
            # Where the first input holds no noise, none of it can tell of the state further on.
            dataclasses.replace(one, consequence=one.consequence or (stateless and one.term == "outputs"))
            if one.column < 0
            else one
            for one in _row_entries(k, got_row, ref_row, ratio_row, consequence, columns)
        ]
    worst = int(ratio[:, -1].argmax())
    for k, off in enumerate(ratio[:, -1].tolist()):
        if off > 1.0 or k == worst:
            found.append(Deviation("offset", k, -1, float(law.offset[k]), float(reference.offset[k]), off))
    return tuple(found)


def differing(law: Law, reference: Law, tolerance: Tolerance, *, last_row: bool = True) -> tuple[Deviation, ...]:
    """Every entry that is off by more than its tolerance, row by row; what follows from what is not asked.

    Args:
        law: measured on the sampler.
        reference: what it is held against.
        tolerance: of the reference's entries.
        last_row: False where the returned sample could not be read.
    """
    if law.num_calls != reference.num_calls:
        return (Deviation("count", 0, -1, law.num_calls, reference.num_calls, np.inf),)
    entries = entries_of(law, reference, tolerance, last_row=last_row)
    found = [
        Deviation("time", k, -1, float(law.times[k]), float(reference.times[k]), float(abs(entries.times[k])))
        for k in np.flatnonzero(np.abs(entries.times) > 1.0).tolist()
    ]
    columns: list[tuple[Term, int]] = [("outputs", k) for k in range(entries.calls)]
    columns += [("noise", row) for row in entries.opened] + [("offset", -1)]
    for row, index in np.argwhere(np.abs(entries.ratio) > 1.0).tolist():
        term, column = columns[index]
        told: Term = "initial-noise" if term == "noise" and row == 0 else term
        got, should_be = float(entries.got[row, index]), float(entries.should_be[row, index])
        found.append(Deviation(told, row, column, got, should_be, float(abs(entries.ratio[row, index]))))
    return tuple(sorted(found, key=lambda d: d.row))


def _times(got: Array, should_be: Array, tolerance: Array) -> list[Deviation]:
    if got.size == 0:
        return []
    ratio = in_tolerances(got, should_be, tolerance)
    worst = int(ratio.argmax())
    return [
        Deviation("time", k, -1, float(got[k]), float(should_be[k]), float(ratio[k]))
        for k in range(got.size)
        if ratio[k] > 1.0 or k == worst
    ]


def _first_row(law: Law, reference: Law, tolerance: Tolerance) -> list[Deviation]:
    """The scale of the first model input."""
    got = law.column(0)[0] if law.factor.size else 0.0
    should_be = reference.column(0)[0] if reference.factor.size else 0.0
    allowed = float(tolerance.factor[0, reference.opened.index(0)]) if 0 in reference.opened else 1e-12
    ratio = float(in_tolerances(np.array(got), np.array(should_be), np.array(allowed + law.resolution)))
    return [Deviation("initial-noise", 0, 0, float(got), float(should_be), ratio)]


def _in_span(delta: Array, earlier: list[Array], tolerance: Array) -> bool:
    """Whether a row's difference is a combination of earlier rows' differences, to tolerance."""
    if not earlier:
        return False
    basis = np.stack(earlier, axis=1) / tolerance[:, None]
    target = delta / tolerance
    solution, *_ = np.linalg.lstsq(basis, target, rcond=1e-10)
    rest = np.abs(basis @ solution - target).max(initial=0.0)
    return bool(rest <= max(1.0, 1e-6 * np.abs(target).max(initial=0.0)))


@dataclass(frozen=True)
class _Columns:
    """Which column of a row holds what; the constant, which is last, is told by itself.

    Attributes:
        calls: how many of them are outputs.
        opened: the rows whose noise the others are.
        state: the first noise, by which the state's own weight is told; empty where nothing opens row 0.
        outputs: the outputs, and the state.
        fresh: the noise of later rows.
    """

    calls: int
    opened: tuple[int, ...]
    state: list[int]
    outputs: list[int]
    fresh: list[int]

    @staticmethod
    def of(calls: int, opened: tuple[int, ...]) -> _Columns:
        """Of rows with so many calls, whose noise so many rows open."""
        state = [calls + i for i, row in enumerate(opened) if row == 0]
        fresh = [calls + i for i, row in enumerate(opened) if row > 0]
        return _Columns(calls, opened, state, [*range(calls), *state], fresh)


def _row_entries(
    k: int, got: Array, should_be: Array, ratio: Array, consequence: bool, columns: _Columns
) -> list[Deviation]:
    """The worst entry of this row for the outputs (with the state's own weight) and for the fresh noise."""
    calls, state = columns.calls, columns.state
    found: list[Deviation] = []
    # The first row holds nothing but the first noise, which is told as such.
    outputs = columns.outputs if k > 0 else columns.outputs[:calls]
    groups: tuple[tuple[Term, list[int]], ...] = (("outputs", outputs), ("noise", columns.fresh))
    for term, entries in groups:
        if not entries:
            continue
        worst = entries[int(ratio[entries].argmax())]
        column = worst if worst < calls else -1 if worst in state else columns.opened[worst - calls]
        carried = consequence or (term == "noise" and ratio[worst] > 1.0 and _carried_by_state(k, ratio, columns))
        found.append(
            Deviation(term, k, column, float(got[worst]), float(should_be[worst]), float(ratio[worst]), carried)
        )
    return found


def _carried_by_state(k: int, ratio: Array, columns: _Columns) -> bool:
    """Older noise is off only because the state or the outputs are weighed wrongly; the fresh noise is right."""
    fresh = [columns.calls + i for i, row in enumerate(columns.opened) if row == k]
    return bool(ratio[columns.outputs].max(initial=0.0) > 1.0 and ratio[fresh].max(initial=0.0) <= 1.0)
