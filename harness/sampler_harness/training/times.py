"""How a training step draws its times: which draws decide them, and which time each value of a draw makes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from sampler_harness.observe.tape import Draw
from sampler_harness.observe.trace import Case, Problem
from sampler_harness.subject.training import TrainingSubject

from .probing import Array, Chosen, StepRun, run_step

__all__ = ["Runner", "Stop", "Told", "drawn_at", "read_times", "time_draws", "tracked", "with_draws"]

#: Shares of the time's draw at which the time itself is read; symmetric, so that a negated draw is the same
#: distribution, and uneven, so that none falls on the border of two timesteps.
TIME_SHARES = tuple(sorted(p for q in (1e-6, 1e-3, 0.0203, 0.1017, 0.2039, 0.3541, 0.4477) for p in (q, 1 - q)))
#: Where a number that is not whole becomes a timestep: on which side of a timestep's borders it is read, in timesteps.
BESIDE = (0.03, 0.97)


@dataclass(frozen=True)
class Told:
    """The times that a call's model is told when the draw behind them lies at given shares.

    Attributes:
        call: index of the model call.
        draw: the record of the draw; None where the time depends on no draw that is seen.
        shares: ``(K,)``, of the draw, in (0, 1).
        times: ``(K, B)``, with all elements of the draw at that share.
        own: whether two items with different draws are told different times.
        whole: ``(n, B)`` for a draw of whole numbers: the times for its lowest and highest values.
        shape: of the time argument.
    """

    call: int
    draw: Draw | None
    shares: tuple[float, ...]
    times: Array
    own: bool
    whole: Array | None = None
    shape: tuple[int, ...] = ()

    @property
    def alike(self) -> bool:
        """Whether all items are told one time where their draws lie at one share; strata divide it among them."""
        return bool((self.times == self.times[:, :1]).all())


class Stop(Exception):
    """A run had a problem: the measurement ends with it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass
class Runner:
    """Runs a step with chosen stimuli, and counts."""

    subject: TrainingSubject
    case: Case
    fixtures: Mapping[str, Any]
    runs: int = 0
    remarks: dict[str, None] = field(default_factory=dict)
    calls: int | None = None

    def __call__(self, chosen: Chosen) -> StepRun:
        """One run.

        Raises:
            Stop: where it has a problem, or calls its model another number of times than before.
        """
        self.runs += 1
        run = run_step(self.subject, self.case, chosen, fixtures=self.fixtures)
        self.remarks.update(dict.fromkeys(run.remarks))
        if run.problem is not None:
            raise Stop(run.problem)
        if self.calls is None:
            self.calls = len(run.calls)
        elif len(run.calls) != self.calls:
            raise Stop(
                Problem(
                    "outside",
                    f"the step called its model {len(run.calls)} times, before that {self.calls} times, with the same "
                    "kind of batch: a choice at random must be fixed in the function under test",
                )
            )
        return run


def drawn_at(draw: Draw, shares: Sequence[float]) -> Array:
    """The values of a draw whose elements lie at the given shares of its distribution, tiled over it."""
    tiled = np.resize(np.asarray(shares, dtype=np.float64), draw.numel)
    if draw.gaussian:
        values = np.array([NormalDist().inv_cdf(float(p)) for p in tiled])
    elif draw.cumulative:
        values = np.searchsorted(np.asarray(draw.cumulative), tiled, side="right").astype(np.float64)
        values = np.minimum(values, len(draw.cumulative) - 1)
    else:
        low = 0.0 if draw.low is None else draw.low
        high = low + 1.0 if draw.high is None else draw.high
        values = low + tiled * (high - low)
        if is_whole(draw):
            values = np.minimum(np.floor(values), high - 1)
    return values.reshape(draw.shape)


def is_whole(draw: Draw) -> bool:
    return draw.dtype.startswith(("int", "uint"))


def with_draws(draws: Mapping[int, Draw], shares: Sequence[float], x0: Array, **options: Any) -> Chosen:
    """What a run is given when the times' draws lie at some shares."""
    normals = {i: drawn_at(d, shares) for i, d in draws.items() if d.gaussian}
    others = {i: drawn_at(d, shares) for i, d in draws.items() if not d.gaussian}
    normals.update(options.pop("normals", {}))
    return Chosen(x0, normals, others, **options)


def tracked(run: StepRun) -> list[int]:
    """The model calls under autograd."""
    return [k for k, call in enumerate(run.calls) if call.tracked]


def time_draws(run: Runner, first: StepRun) -> dict[int, dict[int, Draw]]:
    """For each tracked call, the draws that its time depends on.

    Raises:
        Stop: where one of them is of a kind whose values cannot be chosen.
    """
    found: dict[int, dict[int, Draw]] = {k: {} for k in tracked(first)}
    elements = int(np.prod(run.case.shape))
    for index, draw in enumerate(first.draws):
        if draw.gaussian and draw.numel >= elements > run.case.shape[0]:
            continue  # as large as the data: noise
        moved = run(with_draws({index: draw}, (0.83,), np.zeros(run.case.shape)))
        for k in found:
            if not np.array_equal(moved.calls[k].times, first.calls[k].times):
                if not draw.gaussian and draw.low is None and not draw.cumulative:
                    raise Stop(
                        Problem(
                            "outside",
                            f"the time of model call {k} is drawn with {draw.operator}, whose values the harness does "
                            "not choose: draw it with randint, rand, randn or multinomial",
                        )
                    )
                found[k][index] = draw
    return found


def _shares(run: Runner, draws: Mapping[int, Draw]) -> tuple[float, ...]:
    """Shares at which times are read; beside the borders of timesteps too, where these are made of other numbers."""
    config = run.case.config
    if config.time_draw != "integers" or all(is_whole(d) for d in draws.values()):
        return TIME_SHARES
    low, high = config.level_bounds
    count = int(high - low) + 1
    timesteps = {t for t in (0, 1, count // 2, count - 2, count - 1) if 0 <= t < count}
    return tuple(sorted({*TIME_SHARES, *((t + beside) / count for t in timesteps for beside in BESIDE)}))


def _mixed(draws: Mapping[int, Draw], shares: Sequence[float], x0: Array) -> Chosen:
    """What a run is given in which no two neighbours of all draws lie at the same share of them."""
    inner = [p for p in shares if 0.01 < p < 0.99]
    stride = next(n for n in (3, 5, 7, 1) if math.gcd(n, len(inner)) == 1)
    order = [inner[(stride * n) % len(inner)] for n in range(len(inner))]
    start = 0
    normals: dict[int, Array] = {}
    others: dict[int, Array] = {}
    for i, draw in draws.items():
        values = drawn_at(draw, [order[(start + n) % len(order)] for n in range(min(draw.numel, len(order)))])
        (normals if draw.gaussian else others)[i] = values
        start += draw.numel
    return Chosen(x0, normals, others)


def read_times(run: Runner, first: StepRun, sources: Mapping[int, Mapping[int, Draw]]) -> list[Told]:
    """Which time each tracked call is told, at shares of the draw behind it.

    Args:
        run: runs the step.
        first: its first run.
        sources: from :func:`time_draws`.

    Raises:
        Stop: where a time comes of several numbers.
    """
    x0 = np.zeros(run.case.shape)
    every = {i: d for draws in sources.values() for i, d in draws.items()}
    shares = _shares(run, every)
    rows = {p: run(with_draws(every, (p,), x0)) for p in shares} if every else {}
    mixed = run(_mixed(every, shares, x0)) if every else first
    found = []
    for k, draws in sources.items():
        shape = first.calls[k].time_shape
        if not draws:
            found.append(Told(k, None, (), np.zeros((0, first.calls[k].times.size)), own=False, shape=shape))
            continue
        times = np.stack([rows[p].calls[k].times for p in shares])
        own = len(set(mixed.calls[k].times.tolist())) > 1 or first.calls[k].times.size == 1
        draw = next(iter(draws.values()))
        _refuse_sums(k, draw, mixed.calls[k].times, times)
        whole = None
        if is_whole(draw) and draw.low is not None and draw.high is not None:
            ends = {draw.low, draw.low + 1, draw.high - 2, draw.high - 1}
            values = sorted(v for v in ends if draw.low <= v < draw.high)
            reads = [run(Chosen(x0, {}, dict.fromkeys(draws, v))).calls[k].times for v in values]
            whole = np.stack(reads)
        found.append(Told(k, draw, shares, times, own, whole, shape))
    return found


def _refuse_sums(call: int, draw: Draw, mixed: Array, rows: Array) -> None:
    """Each time must come of one number: then it is one that the item had when all numbers lay at one share.

    Raises:
        Stop: where it comes of several, whose distribution is not read.
    """
    for time in mixed:
        if np.abs(rows - time).min() > 1e-6 * max(abs(float(time)), 1.0):
            raise Stop(
                Problem(
                    "outside",
                    f"the time of an item in model call {call} depends on several random numbers ({draw.operator} of "
                    f"shape {draw.shape} and others): its distribution is read only where one number decides it",
                )
            )
