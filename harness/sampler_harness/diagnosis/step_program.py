"""What a training step's program does with chosen draws: the figures of its law at given shares of the time's draw.

A run has an item for each share and answer, so that a program is measured in a few runs: one at rest, one with data,
one for each draw of noise, and one with all of them, which must be the sum.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from sampler_harness.law.response import Array
from sampler_harness.law.rounding import rounded_view

__all__ = ["Axes", "StepResponse", "respond"]

#: Which axes of ``(B, C, *D)`` share a normal.
Axes = tuple[bool, bool, bool]
_OWN: Axes = (False, False, False)

#: What the model answers: three tell target and weight, the fourth whether the loss is a square.
ANSWERS = (0.0, 1.0, -1.0, 3.0)
#: Data and noise, in numbers whose squares and products are none of the others.
DATA, NOISE = 0.75, -0.625
#: Channels, height and width: two of each show what is shared.
ITEM = (2, 2, 3)
#: Draws of noise that a step may make.
MOST_DRAWS = 6
#: What is not exactly linear or square differs by far more.
EXACT = 1e-8
#: What rounding may do to that where arithmetic rounds.
ROUNDED = 1e-2


class _NoLaw(Exception):
    """A step whose law is none that is looked for."""


@dataclass(frozen=True)
class StepResponse:
    """What a step does at S shares of its time's draw.

    Attributes:
        spread: ``(K,)`` times told at the shares at which the distribution is looked at, sorted.
        own: whether each item has a time of its own.
        times: ``(S,)`` what the model is told.
        data: ``(S, 2)`` weight of the data in input and target.
        offset: ``(S, 2)`` constants in them.
        noise: which axes share the normals, to ``(S, 3)``: their size in the input, the part of the target along
            them, and the part of it beside them.
        weight: ``(S,)`` of the squared error.
    """

    spread: Array
    own: bool
    times: Array
    data: Array
    offset: Array
    noise: Mapping[Axes, Array]
    weight: Array

    @property
    def is_finite(self) -> bool:
        """Whether every figure is a number."""
        parts = (self.spread, self.times, self.data, self.offset, self.weight, *self.noise.values())
        return all(bool(np.isfinite(part).all()) for part in parts)


@dataclass
class _Draws:
    """Plays ``Draws``: each item's time is drawn at its share, each normal is a number.

    Attributes:
        shares: ``(B,)``.
        normals: what the elements of each draw of noise are.
        moving: which draw of one axis is at the shares; others stay in their middle.
        rounds: whether arrays are handed out that round.
    """

    shares: Array
    normals: Mapping[int, float]
    moving: int
    rounds: bool
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    times: int = 0
    is_one: bool = False

    def normal(self, shape: tuple[int, ...]) -> Any:
        """Unit normals."""
        if len(shape) == 1:
            shares, still = self._at(shape[0])
            return self._given(np.zeros(shape[0]) if still else _normals(shares))
        if len(self.shapes) >= MOST_DRAWS:
            raise _NoLaw
        self.shapes.append(tuple(shape))
        return self._given(np.full(shape, self.normals.get(len(self.shapes) - 1, 0.0)))

    def integers(self, low: int, high: int, count: int) -> Any:
        """Whole numbers in ``[low, high)``."""
        shares, still = self._at(count)
        if still:
            return np.full(count, low)
        found = np.floor(low + shares * (high - low))
        return np.minimum(found, high - 1).astype(np.int64)

    def uniform(self, count: int) -> Any:
        """Numbers in ``[0, 1)``."""
        shares, still = self._at(count)
        return self._given(np.full(count, 0.5) if still else shares)

    def _at(self, count: int) -> tuple[Array, bool]:
        self.times += 1
        if count not in (1, self.shares.size):
            raise _NoLaw
        if self.times - 1 != self.moving:
            return self.shares, True
        self.is_one |= count != self.shares.size
        return self.shares[:count], False

    def _given(self, values: Array) -> Any:
        return rounded_view(values) if self.rounds else values


def _normals(shares: Array) -> Array:
    return np.array([_quantile(float(p)) for p in shares])


_QUANTILES: dict[float, float] = {}


def _quantile(p: float) -> float:
    if p not in _QUANTILES:
        _QUANTILES[p] = NormalDist().inv_cdf(p)
    return _QUANTILES[p]


@dataclass(frozen=True)
class _Batch:
    """One run's figures, an item a row.

    Attributes:
        x: ``(B, *ITEM)`` what the model was given.
        told: ``(B,)``.
        loss: ``(B,)``.
        shapes: of the draws of noise.
        is_one: whether one draw decides all times.
        draws: of times.
    """

    x: Array
    told: Array
    loss: Array
    shapes: tuple[tuple[int, ...], ...]
    is_one: bool
    draws: int


@dataclass(frozen=True)
class _Step:
    """A configured program, run on chosen items.

    Attributes:
        instance: has ``step``.
        moving: which of its draws of times is looked at.
        rounds: whether its arithmetic rounds.
    """

    instance: Any
    moving: int = 0
    rounds: bool = False

    def run(self, shares: Array, answers: Array, data: float, normals: Mapping[int, float]) -> _Batch:
        """One run; where one draw decides all times, one for each share."""
        found = self._run(shares, answers, data, normals)
        if not found.is_one:
            return found
        parts = [self._run(shares[n : n + 1], answers[n : n + 1], data, normals) for n in range(shares.size)]
        x, told, loss = (np.concatenate([getattr(p, name) for p in parts]) for name in ("x", "told", "loss"))
        return _Batch(x, told, loss, found.shapes, True, found.draws)

    def _run(self, shares: Array, answers: Array, data: float, normals: Mapping[int, float]) -> _Batch:
        count = shares.size
        draws = _Draws(shares, normals, self.moving, self.rounds)
        asked: list[tuple[Any, Any]] = []

        def model(x: Any, told: Any) -> Any:
            if asked or np.shape(x) != (count, *ITEM) or np.shape(told) != (count,):
                raise _NoLaw
            asked.append((x, told))
            answer = np.broadcast_to(answers.reshape(-1, 1, 1, 1), (count, *ITEM))
            return rounded_view(answer.copy()) if self.rounds else answer

        x0 = np.full((count, *ITEM), data)
        loss = np.asarray(self.instance.step(model, rounded_view(x0) if self.rounds else x0, draws), dtype=np.float64)
        if loss.shape != (count,) or not asked:
            raise _NoLaw
        x, told = (np.asarray(one, dtype=np.float64) for one in asked[0])
        return _Batch(x, told, loss, tuple(draws.shapes), draws.is_one, draws.times)


def respond(instance: Any, shares: Array, spread: Array, *, rounds: bool = False) -> StepResponse | None:
    """Measure a step's program.

    Args:
        instance: a configured program, or a reference: has ``step``.
        shares: ``(S,)`` of the time's draw, at which the law is read.
        spread: ``(K,)`` at which the distribution of the times is read.
        rounds: whether it is source that rounds.

    Returns:
        None where it has no such law: it raises, is no square, or not linear in data and noise.
    """
    try:
        return _respond(_Step(instance, rounds=rounds), shares, spread)
    except Exception:  # an edit may raise anything: it has no law then
        return None


def _respond(step: _Step, shares: Array, spread: Array) -> StepResponse | None:
    count = shares.size
    items = np.concatenate([np.tile(shares, len(ANSWERS)), spread])
    answers = np.concatenate([np.repeat(ANSWERS, count), np.zeros(spread.size)])
    rest = step.run(items, answers, 0.0, {})
    for moving in range(1, rest.draws):
        if np.ptp(rest.told) > 0:
            break
        step = dataclasses.replace(step, moving=moving)
        rest = step.run(items, answers, 0.0, {})
    loss = rest.loss[: len(ANSWERS) * count].reshape(len(ANSWERS), count)
    weight = (loss[1] + loss[2]) / 2 - loss[0]
    constant = (loss[2] - loss[1]) / (4 * weight)
    off = weight * (3.0 - constant) ** 2 - loss[3]
    exact = ROUNDED if step.rounds else EXACT
    if not (np.abs(off) <= exact * np.abs(loss).max(axis=0)).all():
        return None  # no square, or nothing that counts
    offset = rest.x[:count]

    pair, both = np.repeat((1.0, -1.0), count), np.tile(shares, 2)

    def of(data: float, normals: Mapping[int, float]) -> tuple[Array, Array]:
        """How much more is in input and target than at rest; the input element by element."""
        found = step.run(both, pair, data, normals)
        plus, minus = found.loss.reshape(2, count)
        return found.x[:count] - offset, (minus - plus) / (4 * weight) - constant

    of_data = of(DATA, {})
    of_noise = [of(0.0, {n: NOISE}) for n in range(len(rest.shapes))]
    strengths = {n: NOISE * (n + 2) / 7 for n in range(len(rest.shapes))}
    total = of(-DATA / 3, strengths)
    for k in range(2):
        parts = [np.asarray(one[k]) for one in (of_data, *of_noise)]
        factors = [-1 / 3, *((n + 2) / 7 for n in range(len(of_noise)))]
        summed = sum((f * part for f, part in zip(factors, parts, strict=True)), np.zeros_like(parts[0]))
        size = sum((np.abs(part) for part in parts), np.zeros_like(parts[0])).max()
        if not (np.abs(total[k] - summed) <= exact * max(size, 1.0)).all():
            return None
    if any(np.ptp(part[0].reshape(count, -1), axis=1).max() > exact for part in (of_data, *of_noise)):
        return None  # elements of an item differ
    noise = _of_axes([_axes(shape, both.size) for shape in rest.shapes], of_noise)
    first = (slice(None), 0, 0, 0)
    return StepResponse(
        np.sort(rest.told[len(ANSWERS) * count :]),
        not rest.is_one,
        rest.told[:count],
        np.stack([of_data[0][first], of_data[1]], axis=1) / DATA,
        np.stack([offset[first], constant], axis=1),
        noise,
        weight,
    )


def _axes(shape: tuple[int, ...], items: int) -> Axes:
    """Which axes of a batch share a draw's normals."""
    full = (items, *ITEM)
    aligned = (1,) * (len(full) - len(shape)) + shape
    if len(shape) > len(full) or any(a not in (1, b) for a, b in zip(aligned[1:], full[1:], strict=True)):
        raise _NoLaw
    return aligned[0] == 1, aligned[1] == 1, aligned[2] == 1 and aligned[3] == 1


def _of_axes(axes: list[Axes], parts: list[tuple[Array, Array]]) -> dict[Axes, Array]:
    """Of draws that are laid out alike, what no order and no sign of them changes."""
    found: dict[Axes, Array] = {}
    for kind in dict.fromkeys(axes):
        given = np.stack([p[0][:, 0, 0, 0] for a, p in zip(axes, parts, strict=True) if a == kind], axis=1) / NOISE
        wanted = np.stack([p[1] for a, p in zip(axes, parts, strict=True) if a == kind], axis=1) / NOISE
        found[kind] = invariants(given, wanted)
    return found


def invariants(given: Array, wanted: Array) -> Array:
    """Of normals in input and target, ``(S, draws)`` each: size in the input, the target's part along it, and beside.

    Where the input has none, all of the target's is beside.
    """
    size = np.linalg.norm(given, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        along = np.where(size > 0, (given * wanted).sum(axis=1) / size, 0.0)
    beside = np.sqrt(np.maximum((wanted * wanted).sum(axis=1) - along**2, 0.0))
    small = beside <= math.sqrt(EXACT) * np.linalg.norm(wanted, axis=1)
    return np.stack([size, along, np.where(small, 0.0, beside)], axis=1)
