"""The one question of this package: is this the same law, to a given tolerance?

:func:`is_same` answers it for two whole laws, :func:`distance` says how far off they are. A :class:`Screen` asks it row
by row while a program is still running, so that most programs that are another's cost a call or two.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from .law import Law
from .response import AMPLITUDE, Array, Response
from .tolerance import Tolerance, tolerance_between

__all__ = [
    "TERMS",
    "Screen",
    "alike",
    "distance",
    "in_tolerances",
    "is_same",
    "is_same_program",
    "side_by_side",
    "worst",
]

#: Two programs of the same arithmetic are one where they differ by less than this of their largest entry.
ALIKE = 1e-9
#: Tolerances of a screen are widened by this; what passes it is held to the derived ones.
SCREEN = 4.0
#: Terms of a row: time, outputs, noise and constant.
TERMS = 4


def in_tolerances(got: Array, should_be: Array, tolerance: Array) -> Array:
    """How far each number is off, in units of its tolerance; infinity where it is none.

    Args:
        got: what was measured.
        should_be: what it is held against.
        tolerance: how far each may be off.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        off = np.abs(got - should_be)
        # Where nothing is off nothing need be allowed: next to entries beyond all measure the tolerance may be 0.
        ratio: Array = np.where(off == 0.0, 0.0, off / tolerance)
    # NaN compares false with everything: it must never pass.
    return np.where(np.isfinite(ratio), ratio, np.inf)


def worst(got: Array, should_be: Array, tolerance: Array) -> float:
    """The largest of :func:`in_tolerances`; 0 where there is nothing to compare."""
    return float(in_tolerances(got, should_be, tolerance).max(initial=0.0))


def side_by_side(
    law: Law, reference: Law, tolerance: Tolerance, rows: int, opened: tuple[int, ...], *, widened: float = 1.0
) -> tuple[Array, Array, Array]:
    """Two laws as tables: weights of outputs, noise of the opened rows, and the constant last.

    Args:
        law: measured on the sampler.
        reference: what it should be.
        tolerance: of the reference's entries.
        rows: how many of them.
        opened: the rows whose noise has a column.
        widened: multiplies the tolerance, but not what could not be read.

    Returns:
        What was measured, what it should be and how far it may be off.
    """
    calls = min(law.num_calls, reference.num_calls)
    got, should_be = (
        np.column_stack([one.outputs[:rows, :calls], *(one.column(row)[:rows] for row in opened), one.offset[:rows]])
        for one in (law, reference)
    )
    noise = _of_noise(reference, tolerance, opened)[:rows]
    allowed = np.column_stack([tolerance.outputs[:rows, :calls], noise, tolerance.offset[:rows]])
    unread = np.repeat(law.unread[:rows, None], allowed.shape[1], axis=1)
    unread[:, calls:-1] = law.unread_noise[:rows, None]
    return got, should_be, widened * allowed + unread


def _of_noise(reference: Law, tolerance: Tolerance, opened: tuple[int, ...]) -> Array:
    """Columns that only the sampler has get the tolerance of a zero entry of the row."""
    rows = reference.num_calls + 1
    if not opened:
        return np.zeros((rows, 0))
    zero = np.minimum(tolerance.outputs.min(axis=1, initial=np.inf), tolerance.factor.min(axis=1, initial=np.inf))
    columns = []
    for row in opened:
        if row in reference.opened:
            columns.append(tolerance.factor[:, reference.opened.index(row)])
        else:
            columns.append(np.where(np.isfinite(zero), zero, 1e-12))
    return np.stack(columns, axis=1)


def distance(law: Law, reference: Law, tolerance: Tolerance, *, last_row: bool = True, widened: float = 1.0) -> float:
    """How far a law is from another, in tolerances; infinity where it has another number of calls.

    Args:
        law: measured on the sampler.
        reference: what it is held against.
        tolerance: of the reference's entries.
        last_row: False where the returned sample could not be read.
        widened: multiplies the tolerance.
    """
    if law.num_calls != reference.num_calls:
        return math.inf
    rows = reference.num_calls + (1 if last_row else 0)
    opened = tuple(sorted(row for row in set(law.opened) | set(reference.opened) if row < rows))
    of_times = worst(law.times, reference.times, widened * tolerance.times)
    return max(of_times, worst(*side_by_side(law, reference, tolerance, rows, opened, widened=widened)))


def is_same(law: Law, reference: Law, tolerance: Tolerance, *, last_row: bool = True) -> bool:
    """Whether a law is another.

    Args:
        law: measured on the sampler.
        reference: what it is held against.
        tolerance: of the reference's entries.
        last_row: False where the returned sample could not be read.
    """
    return distance(law, reference, tolerance, last_row=last_row) <= 1.0


def alike(one: Array, other: Array) -> bool:
    """Whether two programs of the same arithmetic have made the same numbers.

    Args:
        one: of the first.
        other: of the second.
    """
    if one.shape != other.shape or one.size == 0:
        return bool(one.shape == other.shape)
    return bool(np.abs(one - other).max() <= ALIKE * max(float(np.abs(one).max()), 1e-12))


def is_same_program(one: Law, other: Law) -> bool:
    """Whether two laws in float64 are those of one algorithm, whatever rounds in it.

    Args:
        one: of a program.
        other: of another.
    """
    parts = [(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(Law)]
    return all(
        a is b if a is None or b is None else alike(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
        for a, b in parts
    )


class Screen:
    """The same question, asked of a program while it runs: to tolerances that are wide enough for any sound one.

    Args:
        law: measured on the sampler.
        tolerance: of its reference's entries.
        dtype: that rounding is allowed for.
        last_row: False where the returned sample could not be read.
    """

    def __init__(self, law: Law, tolerance: Tolerance, dtype: str, *, last_row: bool) -> None:
        self._law = law
        self._last_row = last_row
        self.rows = law.num_calls + (1 if last_row else 0)
        own = tolerance_between(law, dtype)
        slack = law.unread
        outputs, factor = SCREEN * own.outputs, SCREEN * own.factor
        if tolerance.outputs.shape == outputs.shape:
            # What rounding does to the reference it does, about, to a program that is nearly the reference.
            outputs = np.maximum(outputs, tolerance.outputs)
            wide = np.linalg.norm(tolerance.factor, axis=1)
        else:
            wide = np.zeros(law.num_calls + 1)
        self._outputs = outputs + slack[:, None]
        self._norms = np.linalg.norm(law.factor, axis=1)
        self._norm_tolerance = np.maximum(np.linalg.norm(factor, axis=1), wide) + slack + 1e-12
        self._times = SCREEN * own.times
        self._offset = SCREEN * own.offset + slack

    def distances(self, response: Response) -> Array | None:
        """How far a response is from the law, entry by entry, in tolerances; changes without steps with a field.

        Args:
            response: of a program.

        Returns:
            Times, weights of outputs, size of the noise of each row; None where it has another number of calls.
        """
        law = self._law
        if response.num_calls != law.num_calls:
            return None
        rows = slice(0, self.rows)
        lower = np.tril_indices(law.num_calls + 1, -1, law.num_calls)
        inside = lower[0] < self.rows
        entries = lower[0][inside], lower[1][inside]
        outputs = (response.outputs - law.outputs)[entries] / self._outputs[entries]
        noise = (np.linalg.norm(response.noise, axis=1) - self._norms)[rows] / self._norm_tolerance[rows]
        found: Array = np.concatenate([(response.times - law.times) / self._times, outputs, noise])
        return found if np.isfinite(found).all() else None

    def agreement(self, row: int, x: Array, draws: int, told: float | None) -> int:
        """How many terms of a program's row are the law's: time, outputs, noise and constant; ``TERMS`` is all.

        Args:
            row: which one.
            x: the model's input, or the sample.
            draws: how many elements of it are draws; outputs follow.
            told: the time; None for the sample.
        """
        law = self._law
        last = row == law.num_calls
        if row > law.num_calls or last != (told is None):
            return 0
        if last and not self._last_row:
            return TERMS
        constant = x[-1]  # no impulse is ever put there
        if constant != 0.0:
            x = x - constant
        found = 0
        if told is None or abs(told - law.times[row]) <= self._times[row]:
            found += 1
        off = np.abs(x[draws : draws + row] / AMPLITUDE - law.outputs[row, :row])
        if bool((off <= self._outputs[row, :row]).all()):
            found += 1
        noise = x[:draws]
        norm = math.sqrt(float(noise @ noise)) / AMPLITUDE
        # Bounds of a sum are no sum of bounds: noise is held to its size here, and to its columns at the end.
        if abs(norm - self._norms[row]) <= self._norm_tolerance[row]:
            found += 1
        return found + (1 if abs(constant - law.offset[row]) <= self._offset[row] else 0)
