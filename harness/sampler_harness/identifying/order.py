"""The order of a method that nobody knows: how its error falls on the one model whose paths are known in closed form.

Data of unit variance has a linear model on every process, and its probability flow scales x by the root of the variance
of x. Run through the coefficients of a law, the last model input is that much off. Context: the order of a multistep
method says more of it than anything else. Choice: told where the error falls as a power of the number of steps, on a
process that fits; else not at all. Reversed by: a process on which the wrong model makes an error fall so too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sampler_harness.law.law import Law
from sampler_harness.law.response import Array

from .tables import named_tables, table_of

__all__ = ["NUMBERS", "order_of"]

#: Numbers of steps, each twice the one before.
NUMBERS = (16, 32, 64)
#: Errors below this are rounding.
ROUNDED = 2e-6
#: Of two halvings the orders must agree to this.
APART = 0.35
#: With the most steps the error must be below this, for the model to be the right one.
SMALL = 0.05


@dataclass(frozen=True)
class _Denoiser:
    """D(x; sigma) of data of unit variance."""

    def answer(self, told: float) -> float:
        """What it returns, over x."""
        return 1 / (1 + told**2)

    def variance(self, told: float) -> float:
        """Of x."""
        return 1 + told**2


@dataclass(frozen=True)
class _Flow:
    """The velocity of a flow to data of unit variance; ``sign`` -1 where it is x0 - epsilon."""

    scale: float
    is_turned: bool
    sign: float

    def time(self, told: float) -> float:
        """From noise at 1 to data at 0."""
        return 1 - told / self.scale if self.is_turned else told / self.scale

    def answer(self, told: float) -> float:
        """What it returns, over x."""
        return self.sign * (2 * self.time(told) - 1) / self.variance(told)

    def variance(self, told: float) -> float:
        """Of x."""
        return (1 - self.time(told)) ** 2 + self.time(told) ** 2


@dataclass(frozen=True, eq=False)
class _Chain:
    """Epsilon on a table chain, for data of unit variance, which x always has."""

    table: Array

    def answer(self, told: float) -> float:
        """What it returns, over x."""
        return float(np.sqrt(1 - np.interp(told, np.arange(len(self.table)), self.table)))

    def variance(self, told: float) -> float:
        """Of x."""
        return 1.0


def _models(law: Law) -> Iterator[_Denoiser | _Flow | _Chain]:
    told = law.times
    start = abs(float(law.factor[0, 0])) if 0 in law.opened else 0.0
    if (told > 0).all() and abs(start - told[0]) <= 1e-3 * told[0]:
        yield _Denoiser()
    scale = 1.0 if float(np.abs(told).max()) <= 1 + 1e-6 else 1000.0
    if (told >= 0).all() and float(told.max()) <= scale * (1 + 1e-6) and abs(start - 1) <= 1e-3:
        for is_turned in (False, True):
            for sign in (1.0, -1.0):
                yield _Flow(scale, is_turned, sign)
    if (told >= 0).all() and float(told.max()) > 2:
        for fields in named_tables([float(told.max())]):
            table = table_of(fields)
            if table is not None and fields["num_train_timesteps"] == 1000:
                yield _Chain(table)


def _error(law: Law, model: _Denoiser | _Flow | _Chain) -> float:
    """How far the last model input is off, as a share."""
    rows: Array = law.column(0).copy()
    answers = np.zeros(law.num_calls)
    for k in range(law.num_calls):
        rows[k] += float(law.outputs[k, :k] @ answers[:k])
        answers[k] = model.answer(float(law.times[k])) * rows[k]
    last = law.num_calls - 1
    exact = rows[0] * math.sqrt(model.variance(float(law.times[last])) / model.variance(float(law.times[0])))
    return abs(rows[last] / exact - 1) if exact else math.inf


def order_of(laws: Sequence[Law]) -> float | None:
    """The order in the number of steps; None where it cannot be told.

    Args:
        laws: with 16, 32 and 64 steps, in which nothing is drawn behind the first noise.
    """
    found: list[tuple[float, float]] = []
    for model in _models(laws[0]):
        with np.errstate(all="ignore"):
            errors = [_error(law, model) for law in laws]
        if not all(ROUNDED < one < math.inf for one in errors) or errors[-1] > SMALL:
            continue
        first, second = (math.log2(a / b) for a, b in itertools.pairwise(errors))
        if abs(first - second) <= APART and second > 0.5:
            found.append((errors[-1], second))
    return min(found)[1] if found else None
