"""A law as steps: what a row is made of, by the row that it began from, the outputs since then, and fresh noise."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from sampler_harness.law.law import Law
from sampler_harness.law.response import Array

__all__ = ["Step", "Steps"]

#: A weight below this of its row's largest is none.
NONE = 1e-6
#: What a step may leave of a row, over the row's size, and still be all of it.
REST = 3e-4
#: Calls that a multistep method looks back to at most.
LONGEST = 4


@dataclass(frozen=True)
class Step:
    """One row as a sum: ``kept * X[base] + weights @ outputs since then + fresh * z``.

    Attributes:
        row: that is made.
        base: the row that it is made of.
        kept: weight of that row.
        weights: of the outputs of calls ``base`` to ``row - 1``.
        fresh: std of noise that no earlier row holds.
        rest: what is left of the row, over its size: above :data:`REST` it is made of more.
    """

    row: int
    base: int
    kept: float
    weights: Array
    fresh: float
    rest: float

    @property
    def is_whole(self) -> bool:
        """Whether the row is made of nothing else."""
        return self.rest <= REST


class Steps:
    """The rows of a law, taken apart.

    Args:
        law: measured.
    """

    def __init__(self, law: Law) -> None:
        self.law = law
        self.calls = law.num_calls
        self._table = np.concatenate([law.outputs, law.factor], axis=1)

    def step(self, row: int, base: int) -> Step:
        """What a row is made of.

        Args:
            row: in [1, K].
            base: a row before it.
        """
        calls, table = self.calls, self._table
        new = np.zeros(table.shape[1], dtype=bool)
        new[base:row] = True
        fresh = 0.0
        if row in self.law.opened:
            column = self.law.opened.index(row)
            new[calls + column] = True
            fresh = float(self.law.factor[row, column])
        old, begun = table[row][~new], table[base][~new]
        size = float(begun @ begun)
        kept = float(old @ begun) / size if size > 0 else 0.0
        left = old - kept * begun
        scale = max(float(np.abs(table[row]).max(initial=0.0)), 1e-300)
        if abs(kept) * float(np.sqrt(size)) <= NONE * scale:
            kept = 0.0
        return Step(row, base, kept, table[row, base:row] - 0.0, fresh, float(np.abs(left).max(initial=0.0)) / scale)

    @functools.cached_property
    def single(self) -> list[Step]:
        """Every row by the one before it."""
        return [self.step(row, row - 1) for row in range(1, self.calls + 1)]

    @property
    def is_single(self) -> bool:
        """Whether each row is made of the one before it, that one's output and fresh noise: one call a step."""
        return all(step.is_whole for step in self.single)

    def in_groups(self, size: int) -> list[Step] | None:
        """Steps of so many calls each, the last of one call where the number is odd; None where rows are made of more.

        Args:
            size: calls of a step.
        """
        ends = list(range(size, self.calls + 1, size))
        if not ends or ends[-1] != self.calls:
            ends.append(self.calls)
        found, base = [], 0
        for end in ends:
            found.append(self.step(end, base))
            base = end
        return found if all(step.is_whole for step in found) else None

    @functools.cached_property
    def memory(self) -> int | None:
        """How many calls before the latest one a step looks back to; None where it is none of a few."""
        return next((back for back in range(1, LONGEST + 1) if self._looks_back(back)), None)

    def _looks_back(self, back: int) -> bool:
        """Whether every row is made of the last ``back + 1`` inputs and outputs, and noise of its own."""
        rows = range(back + 2, self.calls + 1)
        return len(rows) > 1 and all(self._is_made_of(row, back + 1) for row in rows)

    def _is_made_of(self, row: int, back: int) -> bool:
        new = np.zeros(self._table.shape[1], dtype=bool)
        new[row - back : row] = True
        if row in self.law.opened:
            new[self.calls + self.law.opened.index(row)] = True
        old, begun = self._table[row][~new], self._table[row - back : row, ~new]
        weights: Array
        weights, *_ = np.linalg.lstsq(begun.T, old, rcond=1e-7)
        left = old - weights @ begun
        scale = max(float(np.abs(self._table[row]).max(initial=0.0)), 1e-300)
        return float(np.abs(left).max(initial=0.0)) <= REST * scale

    @functools.cached_property
    def drawn(self) -> tuple[int, ...]:
        """Rows at which fresh noise comes in, behind the first."""
        law = self.law
        sizes = {row: float(law.factor[row, index]) for index, row in enumerate(law.opened)}
        least = NONE * max((abs(size) for size in sizes.values()), default=0.0) * 1e-1
        return tuple(row for row, size in sizes.items() if row > 0 and abs(size) > least)
