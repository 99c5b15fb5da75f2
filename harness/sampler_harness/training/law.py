"""The law of a training step: for each item, what the model is given, what it is compared with, and how much it counts.

    input  = a x0 + s z + …         target = p x0 + q z + …         loss of an item = weight · mean (output - target)²

Every coefficient is read off runs with chosen data, draws and answers; the loss is quadratic in the model's output, so
its gradient at two answers gives target and weight exactly. Nothing is sampled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np

from sampler_harness.observe.tape import Draw
from sampler_harness.observe.trace import Case, Problem
from sampler_harness.subject.training import TrainingSubject

from .expected import is_half
from .probing import Array, Chosen, ModelCall, StepRun, answer_pattern, run_step

__all__ = ["ItemLaw", "StepLaw", "Told", "fixed_data", "measure"]

#: Shares of the time's draw at which the law is read: both ends, and inside.
SHARES = (0.0005, 0.999, 0.03, 0.3, 0.5, 0.7, 0.9, 0.995)
#: Shares of the time's draw at which the time itself is read; symmetric, so that a negated draw is the same
#: distribution, and uneven, so that none falls on the border of two timesteps.
TIME_SHARES = tuple(sorted(p for q in (1e-6, 1e-3, 0.0203, 0.1017, 0.2039, 0.3541, 0.4477) for p in (q, 1 - q)))
#: Where a number that is not whole becomes a timestep: on which side of a timestep's borders it is read, in timesteps.
BESIDE = (0.03, 0.97)
#: A response this much smaller than the input is none.
NOTHING = 1e-5
#: Noise that is read once more, together with the data, is this many times as large: normals reach four.
DENSE = 4.0
#: The second answer of the model, by which is seen whether the loss stays quadratic; a half would overflow.
FAR, FAR_IN_HALF = 64.0, 2.0
#: Seeds of the global generators, under which hidden draws of a step differ.
SEEDS = (1, 2, 3, 4, 5, 6, 7, 8)


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


@dataclass(frozen=True)
class ItemLaw:
    """One item of one model call at one time.

    Attributes:
        call: index of the model call.
        item: index in the batch.
        time: what the model was told.
        a: weight of the data in the input.
        noises: draw index to the weight of its normals in the input, one normal for each element.
        shared: draw index to the weight in the input of normals that several elements share.
        offset: largest constant in the input.
        unexplained: what else is in the input, relative to its largest entry.
        target_x0: weight of the data in the target.
        target_noises: as ``noises``, in the target.
        target_shared: as ``shared``, in the target.
        target_unexplained: what else is in the target, relative to its largest entry.
        curvature: second derivative of the loss with respect to an element of the output.
        spread: largest difference of curvatures within the item, relative.
        bend: how far the loss is from quadratic, relative; NaN where no gradient arrives.
    """

    call: int
    item: int
    time: float
    a: float
    noises: Mapping[int, float]
    shared: Mapping[int, float]
    offset: float
    unexplained: float
    target_x0: float
    target_noises: Mapping[int, float]
    target_shared: Mapping[int, float]
    target_unexplained: float
    curvature: float
    spread: float
    bend: float


@dataclass(frozen=True)
class StepLaw:
    """Everything that was measured of a case.

    Attributes:
        case: what was run.
        problem: why it could not be measured.
        told: for each tracked call, its times.
        items: for each time, call and item.
        draws: of the first run.
        remarks: state that a run changed.
        runs: executions of the step.
        lost: indices of tracked calls whose answer received no gradient.
        repeated: indices of draws that are the same in every step, since the step seeds their generator.
        foreign: global generators of others than torch that are drawn from, without any effect on the law.
    """

    case: Case
    problem: Problem | None = None
    told: tuple[Told, ...] = ()
    items: tuple[ItemLaw, ...] = ()
    draws: tuple[Draw, ...] = ()
    remarks: tuple[str, ...] = ()
    runs: int = 0
    lost: tuple[int, ...] = ()
    repeated: tuple[int, ...] = ()
    foreign: tuple[str, ...] = ()


class _Stop(Exception):
    """A run had a problem: the measurement ends with it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass
class _Runner:
    """Runs a step with chosen stimuli, and counts."""

    subject: TrainingSubject
    case: Case
    fixtures: Mapping[str, Any]
    runs: int = 0
    remarks: dict[str, None] = field(default_factory=dict)
    calls: int | None = None

    def __call__(self, chosen: Chosen) -> StepRun:
        self.runs += 1
        run = run_step(self.subject, self.case, chosen, fixtures=self.fixtures)
        self.remarks.update(dict.fromkeys(run.remarks))
        if run.problem is not None:
            raise _Stop(run.problem)
        if self.calls is None:
            self.calls = len(run.calls)
        elif len(run.calls) != self.calls:
            raise _Stop(
                Problem(
                    "outside",
                    f"the step called its model {len(run.calls)} times, before that {self.calls} times, with the same "
                    "kind of batch: a choice at random must be fixed in the function under test",
                )
            )
        return run


def fixed_data(shape: tuple[int, ...], stream: int) -> Array:
    """Values that every float type holds exactly, multiples of 1/64 in [-1, 1] without 0; the same on every machine.

    Args:
        shape: of the array.
        stream: another number gives other values.
    """
    generator = np.random.Generator(np.random.PCG64(stream))
    whole = generator.integers(1, 65, shape) * generator.choice([-1, 1], shape)
    values: Array = np.asarray(whole / 64.0)
    return values


def _drawn_at(draw: Draw, shares: Sequence[float]) -> Array:
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
        if _is_whole(draw):
            values = np.minimum(np.floor(values), high - 1)
    return values.reshape(draw.shape)


def _is_whole(draw: Draw) -> bool:
    return draw.dtype.startswith(("int", "uint"))


def _with(draws: Mapping[int, Draw], shares: Sequence[float], x0: Array, **options: Any) -> Chosen:
    """What a run is given when the times' draws lie at some shares."""
    normals = {i: _drawn_at(d, shares) for i, d in draws.items() if d.gaussian}
    others = {i: _drawn_at(d, shares) for i, d in draws.items() if not d.gaussian}
    normals.update(options.pop("normals", {}))
    return Chosen(x0, normals, others, **options)


def _tracked(run: StepRun) -> list[int]:
    return [k for k, call in enumerate(run.calls) if call.tracked]


def measure(
    subject: TrainingSubject, case: Case, *, fixtures: Mapping[str, Any] | None = None, times: bool = True
) -> StepLaw:
    """Measure a step in one case.

    Args:
        subject: what was declared.
        case: configuration, shape of x0, dtype and device.
        fixtures: values for the step's further keyword-only arguments.
        times: whether to read the whole map from draw to time, or the law alone.
    """
    run = _Runner(subject, case, dict(fixtures or {}))
    try:
        first = run(Chosen(np.zeros(case.shape)))
        foreign, repeated = _hidden_draws(run, first) if times else ((), ())
        sources = _time_draws(run, first)
        told = tuple(_read_times(run, first, sources)) if times else ()
        items: list[ItemLaw] = []
        per_run = max(1, min(case.shape[0], len(SHARES)))
        for start in range(0, len(SHARES), per_run):
            items += _read_items(run, first, sources, SHARES[start : start + per_run])
        lost = tuple(k for k in _tracked(first) if first.calls[k].gradient is None)
    except _Stop as stop:
        return StepLaw(case, stop.problem, remarks=tuple(run.remarks), runs=run.runs)
    remarks = tuple(run.remarks)
    return StepLaw(case, None, told, tuple(items), tuple(first.draws), remarks, run.runs, lost, repeated, foreign)


def _hidden_draws(run: _Runner, first: StepRun) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Global generators of others than torch that are drawn from, and draws that are the same in every step.

    The step is run again with all generators elsewhere: what the tap sees is the same, what it does not see differs.

    Raises:
        _Stop: where the step differs: its law cannot be read.
    """
    zero = np.zeros(run.case.shape)
    again = [run(Chosen(zero, seed=seed)) for seed in (SEEDS if first.foreign else SEEDS[:1])]
    for other in again:
        what = _difference(first, other)
        if what:
            whose = " and ".join(first.foreign) or "a generator of numpy or Python, or state that the step keeps"
            raise _Stop(
                Problem(
                    "outside",
                    f"with the same data and the same draws {what}, and {whose} decides which: what is not drawn with "
                    "torch is not seen. Draw times and noise with torch, and fix any other choice in the function "
                    "under test",
                )
            )
    # Draws that are neither time nor noise may seed a generator: they differ here, so that such a seed does too.
    plain = {i: d for i, d in enumerate(first.draws) if not d.gaussian}
    other = run(_with(plain, (0.9, 0.2, 0.6), zero, seed=SEEDS[1]))
    globally = bool(first.draws) and other.torch_state == first.torch_state
    own = run.subject.takes_generator
    repeated = [
        i
        for i, d in enumerate(first.draws)
        if (globally if d.generator_seed is None else not own and _starts_alike(i, first, other))
    ]
    return tuple(first.foreign), tuple(repeated)


def _starts_alike(draw: int, first: StepRun, other: StepRun) -> bool:
    state = first.generator_states.get(draw)
    return state is not None and state == other.generator_states.get(draw)


def _difference(first: StepRun, other: StepRun) -> str:
    """In what two runs differ that should be one, in words; empty where in nothing."""
    for k, (one, two) in enumerate(zip(first.calls, other.calls, strict=True)):
        if not np.array_equal(one.times, two.times):
            return f"model call {k} is told other times"
        if one.x.shape != two.x.shape or not np.array_equal(one.x, two.x):
            return f"model call {k} is given another input"
        if not np.array_equal(_gradient(one), _gradient(two)):
            return "the loss is another one"
    return ""


def _time_draws(run: _Runner, first: StepRun) -> dict[int, dict[int, Draw]]:
    """For each tracked call, the draws that its time depends on.

    Raises:
        _Stop: where one of them is of a kind whose values cannot be chosen.
    """
    found: dict[int, dict[int, Draw]] = {k: {} for k in _tracked(first)}
    elements = int(np.prod(run.case.shape))
    for index, draw in enumerate(first.draws):
        if draw.gaussian and draw.numel >= elements > run.case.shape[0]:
            continue  # as large as the data: noise
        moved = run(_with({index: draw}, (0.83,), np.zeros(run.case.shape)))
        for k in found:
            if not np.array_equal(moved.calls[k].times, first.calls[k].times):
                if not draw.gaussian and draw.low is None and not draw.cumulative:
                    raise _Stop(
                        Problem(
                            "outside",
                            f"the time of model call {k} is drawn with {draw.operator}, whose values the harness does "
                            "not choose: draw it with randint, rand, randn or multinomial",
                        )
                    )
                found[k][index] = draw
    return found


def _shares(run: _Runner, draws: Mapping[int, Draw]) -> tuple[float, ...]:
    """Shares at which times are read; beside the borders of timesteps too, where these are made of other numbers."""
    config = run.case.config
    if config.time_draw != "integers" or all(_is_whole(d) for d in draws.values()):
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
        values = _drawn_at(draw, [order[(start + n) % len(order)] for n in range(min(draw.numel, len(order)))])
        (normals if draw.gaussian else others)[i] = values
        start += draw.numel
    return Chosen(x0, normals, others)


def _read_times(run: _Runner, first: StepRun, sources: Mapping[int, Mapping[int, Draw]]) -> list[Told]:
    x0 = np.zeros(run.case.shape)
    every = {i: d for draws in sources.values() for i, d in draws.items()}
    shares = _shares(run, every)
    rows = {p: run(_with(every, (p,), x0)) for p in shares} if every else {}
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
        if _is_whole(draw) and draw.low is not None and draw.high is not None:
            ends = {draw.low, draw.low + 1, draw.high - 2, draw.high - 1}
            values = sorted(v for v in ends if draw.low <= v < draw.high)
            reads = [run(Chosen(x0, {}, dict.fromkeys(draws, v))).calls[k].times for v in values]
            whole = np.stack(reads)
        found.append(Told(k, draw, shares, times, own, whole, shape))
    return found


def _refuse_sums(call: int, draw: Draw, mixed: Array, rows: Array) -> None:
    """Each time must come of one number: then it is one that the item had when all numbers lay at one share.

    Raises:
        _Stop: where it comes of several, whose distribution is not read.
    """
    for time in mixed:
        if np.abs(rows - time).min() > 1e-6 * max(abs(float(time)), 1.0):
            raise _Stop(
                Problem(
                    "outside",
                    f"the time of an item in model call {call} depends on several random numbers ({draw.operator} of "
                    f"shape {draw.shape} and others): its distribution is read only where one number decides it",
                )
            )


def _read_items(
    run: _Runner, first: StepRun, sources: Mapping[int, Mapping[int, Draw]], shares: Sequence[float]
) -> list[ItemLaw]:
    """The law with the items' times at the given shares."""
    shape = run.case.shape
    every = {i: d for draws in sources.values() for i, d in draws.items()}
    zero, data = np.zeros(shape), fixed_data(shape, 1)
    normals = {i: fixed_data(d.shape, 2 + i) for i, d in enumerate(first.draws) if d.gaussian and i not in every}

    def at(x0: Array, given: Mapping[int, Array] | None = None, answer: float = 0.0) -> StepRun:
        return run(_with(every, shares, x0, normals=dict(given or {}), answer=answer))

    rest = at(zero)
    far = FAR_IN_HALF if is_half(run.case.dtype) else FAR
    one, two = at(zero, answer=1.0), at(zero, answer=far)
    of_data = at(data)
    of_noise = {i: at(zero, {i: values}) for i, values in normals.items()}
    all_of = at(data, {i: DENSE * values for i, values in normals.items()})
    for other in (one, of_data, all_of):
        for k in sources:
            if not np.array_equal(other.calls[k].times, rest.calls[k].times):
                raise _Stop(
                    Problem(
                        "outside",
                        f"model call {k} is told other times with the same draws: the time is drawn where it is not "
                        "seen (numpy, Python's random, another thread); draw it with torch",
                    )
                )
    laws = []
    for k in sources:
        reading = _Reading.of(k, rest, one, two, far)
        data_in = _placed(data, of_data.calls[k].x - rest.calls[k].x)
        places = {i: _placed(values, of_noise[i].calls[k].x - rest.calls[k].x) for i, values in normals.items()}
        laws += _items(reading, rest, of_data, of_noise, all_of, data_in, places)
    return laws


def _parts_of_one(patterns: Mapping[int, Array]) -> list[tuple[int, int]]:
    """Draws of normals that fill different items or channels, in pairs: the first of them and another that joins it."""
    filled: dict[int, Array] = {}
    joined = []
    for j, pattern in patterns.items():
        here = pattern != 0
        first = next((i for i, there in filled.items() if not (there & here).any()), None) if j >= 0 else None
        if first is None:
            filled |= {j: here} if j >= 0 else {}
        else:
            filled[first] = filled[first] | here
            joined.append((first, j))
    return joined


def _items(
    reading: _Reading,
    rest: StepRun,
    of_data: StepRun,
    of_noise: Mapping[int, StepRun],
    all_of: StepRun,
    data: Array | None,
    places: Mapping[int, Array | None],
) -> list[ItemLaw]:
    k = reading.index
    inputs = {-1: of_data.calls[k].x - reading.rest.x} | {i: r.calls[k].x - reading.rest.x for i, r in of_noise.items()}
    constant = reading.target(rest)
    targets = {i: reading.target(r) - constant for i, r in ({-1: of_data} | dict(of_noise)).items()}
    patterns: dict[int, Array] = {i: p for i, p in ({-1: data} | dict(places)).items() if p is not None}
    for i, j in _parts_of_one(patterns):
        patterns[i] = patterns[i] + patterns.pop(j)
        inputs[i], targets[i] = inputs[i] + inputs.pop(j), targets[i] + targets.pop(j)
    total_input, total_target = all_of.calls[k].x - reading.rest.x, reading.target(all_of)
    dense = {i: p if i < 0 else DENSE * p for i, p in patterns.items()}
    full = {i for i, p in patterns.items() if i >= 0 and _is_own(p)}
    found = []
    for b in range(total_input.shape[0]):
        given = {i: _coefficient(inputs[i][b], p[b]) for i, p in patterns.items()}
        wanted = {i: _coefficient(targets[i][b], p[b]) for i, p in patterns.items()}
        found.append(
            ItemLaw(
                call=k,
                item=b,
                time=float(reading.rest.times[b]),
                a=given.get(-1, 0.0),
                noises={i: c for i, c in given.items() if i in full},
                shared={i: c for i, c in given.items() if i >= 0 and i not in full},
                offset=float(np.abs(reading.rest.x[b]).max()),
                unexplained=_left(total_input[b], dense, given, b),
                target_x0=wanted.get(-1, 0.0),
                target_noises={i: c for i, c in wanted.items() if i in full},
                target_shared={i: c for i, c in wanted.items() if i >= 0 and i not in full},
                target_unexplained=_left(total_target[b], dense, wanted, b),
                curvature=float(reading.curvature[b].mean()),
                spread=reading.spread(b),
                bend=reading.bend(b),
            )
        )
    return found


@dataclass(frozen=True)
class _Reading:
    """One call at rest, and how its loss answers to the model's output."""

    index: int
    rest: ModelCall
    curvature: Array
    again: Array

    @staticmethod
    def of(k: int, rest: StepRun, one: StepRun, two: StepRun, far: float) -> _Reading:
        """From runs with the answers 0, 1 and ``far``."""
        zero, first, second = (_gradient(r.calls[k]) for r in (rest, one, two))
        answers = answer_pattern(rest.calls[k].x.shape)
        return _Reading(k, rest.calls[k], (first - zero) / answers, (second - first) / ((far - 1) * answers))

    def target(self, run: StepRun) -> Array:
        """What the output is compared with; NaN where it does not count."""
        counts = self.curvature != 0
        found = np.full_like(self.curvature, np.nan)
        found[counts] = -_gradient(run.calls[self.index])[counts] / self.curvature[counts]
        return found

    def spread(self, item: int) -> float:
        values = self.curvature[item]
        mean = float(np.abs(values).mean())
        return float(np.ptp(values)) / mean if mean > 0 else math.inf

    def bend(self, item: int) -> float:
        scale = float(np.abs(self.curvature[item]).max())
        return float(np.abs(self.again[item] - self.curvature[item]).max()) / scale if scale > 0 else math.nan


def _gradient(call: ModelCall) -> Array:
    return np.zeros_like(call.x) if call.gradient is None else call.gradient


def _is_own(pattern: Array) -> bool:
    """Whether every element of a batch has a normal of its own: what is shared repeats along an axis."""
    if pattern.size == 1:
        return True
    return all(size == 1 or not _repeats(pattern, axis) for axis, size in enumerate(pattern.shape))


def _repeats(pattern: Array, axis: int) -> bool:
    """Whether some entry along an axis is another's, and not nothing."""
    rows = np.moveaxis(pattern, axis, 0).reshape(pattern.shape[axis], -1)
    rows = rows[(rows != 0).any(axis=1)]
    return len(rows) > 1 and bool((rows == np.roll(rows, 1, 0)).all())


def _coefficient(response: Array, pattern: Array) -> float:
    power = float((pattern * pattern).sum())
    return float((response * pattern).sum()) / power if power > 0 else 0.0


def _left(total: Array, patterns: Mapping[int, Array], coefficients: Mapping[int, float], item: int) -> float:
    """What the patterns do not explain, relative to the largest entry."""
    left = total - sum((coefficients[i] * p[item] for i, p in patterns.items()), np.zeros_like(total))
    scale = float(np.abs(total).max())
    return float(np.abs(left).max()) / scale if scale > 0 else 0.0


def _placed(values: Array, response: Array) -> Array | None:
    """Where the elements of the data or of a draw arrive in a call's input: the values, laid out as the input.

    Tried in turn: as they are, one slice along an axis (a frame of a clip), several slices flattened into the batch, a
    part of the batch, repeated along axes (shared), and in any other order within the items.
    """
    scale = float(np.abs(response).max())
    best: tuple[float, Array | None] = (math.inf, None)
    for layout in _layouts(values, response.shape):
        candidate = _where_it_arrives(layout, response)
        left = max(
            float(np.abs(response[b] - _coefficient(response[b], candidate[b]) * candidate[b]).max())
            for b in range(response.shape[0])
        )
        if left < best[0]:
            best = (left, candidate)
        if left <= 1e-2 * scale:
            return candidate
    permuted = _permuted(values, response)
    return permuted if permuted is not None else best[1]


def _where_it_arrives(pattern: Array, response: Array) -> Array:
    """The pattern in the items and channels that the draw reaches; noise may be drawn for each of them by itself."""
    reached = response != 0
    if not reached.any():
        return pattern
    kept = reached.any(axis=tuple(range(2, response.ndim)), keepdims=True)
    return np.where(kept, pattern, 0.0)


def _layouts(values: Array, shape: tuple[int, ...]) -> list[Array]:
    found: list[Array] = []
    if values.size == int(np.prod(shape)):
        found.append(values.reshape(shape))
    for axis in range(values.ndim):
        rest = values.shape[:axis] + values.shape[axis + 1 :]
        if values.ndim > len(shape) and rest == shape:
            found += [np.take(values, n, axis) for n in range(values.shape[axis])]
    if values.ndim == len(shape) + 1 and values.shape[2:] == shape[1:]:
        found += [values[:, n:].reshape(shape) for n in range(values.shape[1]) if values[:, n:].size == np.prod(shape)]
    if values.ndim == len(shape) and values.shape[1:] == shape[1:] and values.shape[0] > shape[0]:
        found += [values[n : n + shape[0]] for n in range(values.shape[0] - shape[0] + 1)]
    if values.size < int(np.prod(shape)):
        for axes in combinations(range(len(shape)), max(len(shape) - values.ndim, 0)):
            try:
                found.append(np.broadcast_to(np.expand_dims(values, axes), shape))
            except ValueError:
                continue
    return found


def _permuted(values: Array, response: Array) -> Array | None:
    """The same values in another order within each item, where the response is such an order of them."""
    if values.size != response.size:
        return None
    flat = values.reshape(response.shape[0], -1)
    result = np.empty_like(flat)
    for b, row in enumerate(response.reshape(response.shape[0], -1)):
        size = float(np.sqrt((row * row).sum() / (flat[b] * flat[b]).sum()))
        if size == 0.0:
            return None
        for sign in (1.0, -1.0):
            order = np.argsort(sign * row, kind="stable")
            ranked = np.sort(flat[b])
            if np.abs(sign * row[order] / size - ranked).max() < 1e-2 / 64:
                result[b, order] = ranked
                break
        else:
            return None
    return result.reshape(response.shape)
