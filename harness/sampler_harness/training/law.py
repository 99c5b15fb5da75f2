"""The law of a training step: for each item, what the model is given, what it is compared with, and how much it counts.

    input  = a x0 + s z + …         target = p x0 + q z + …         loss of an item = weight · mean (output - target)²

Every coefficient is read off runs with chosen data, draws and answers; the loss is quadratic in the model's output, so
its gradient at two answers gives target and weight exactly. Nothing is sampled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sampler_harness.law.tolerance import PRECISIONS
from sampler_harness.observe.tape import Draw
from sampler_harness.observe.trace import Case, Problem
from sampler_harness.subject.training import TrainingSubject

from .arrivals import coefficient, is_own, left_over, parts_of_one, placed, shared_axes
from .probing import Array, Chosen, ModelCall, StepRun, answer_pattern
from .sources import NOTHING_ASKED, Sources, sources_of
from .times import Runner, Stop, Told, read_times, time_draws, tracked, with_draws
from .weighing import weighing_draws

__all__ = ["BENT", "ItemLaw", "StepLaw", "Told", "fixed_data", "measure"]

#: Shares of the time's draw at which the law is read: both ends, and inside.
SHARES = (0.0005, 0.999, 0.03, 0.3, 0.5, 0.7, 0.9, 0.995)
#: Noise that is read once more, together with the data, is this many times as large: normals reach four.
DENSE = 4.0
#: The second answer of the model, by which is seen whether the loss stays quadratic; a half would overflow.
FAR, FAR_IN_HALF = 64.0, 2.0
#: Relative change of the loss's curvature from which on it is no square in the output.
BENT = 1e-2
#: Seeds of the global generators, under which hidden draws of a step differ.
SEEDS = (1, 2, 3, 4, 5, 6, 7, 8)


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
        share: of the time's draw, at which the item was read.
        axes: draw index to whether its normals are shared by items, by channels, and by all places.
        constants: what is added to every element of input and target.
        beside_constants: what of the two is neither data, noise nor that, relative to their largest entries.
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
    share: float
    axes: Mapping[int, tuple[bool, bool, bool]]
    constants: tuple[float, float]
    beside_constants: float


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
        weighing: indices of draws by which items count more in one step than in another.
        foreign: global generators of others than torch that are drawn from, without any effect on the law.
        drawn_from: what draws come from.
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
    weighing: tuple[int, ...] = ()
    drawn_from: Sources = NOTHING_ASKED


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
    run = Runner(subject, case, dict(fixtures or {}))
    try:
        first = run(Chosen(np.zeros(case.shape)))
        foreign, repeated = _hidden_draws(run, first) if times else ((), ())
        drawn_from = sources_of(run, first) if times else NOTHING_ASKED
        sources = time_draws(run, first)
        told = tuple(read_times(run, first, sources)) if times else ()
        weighing = weighing_draws(run, first, sources)
        items: list[ItemLaw] = []
        per_run = max(1, min(case.shape[0], len(SHARES)))
        for start in range(0, len(SHARES), per_run):
            items += _read_items(run, first, sources, SHARES[start : start + per_run], weighing)
        lost = tuple(k for k in tracked(first) if first.calls[k].gradient is None)
    except Stop as stop:
        return StepLaw(case, stop.problem, remarks=tuple(run.remarks), runs=run.runs)
    remarks = tuple(run.remarks)
    draws = tuple(first.draws)
    return StepLaw(
        case, None, told, tuple(items), draws, remarks, run.runs, lost, repeated, foreign, weighing, drawn_from
    )


def _hidden_draws(run: Runner, first: StepRun) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Global generators of others than torch that are drawn from, and draws that are the same in every step.

    The step is run again with all generators elsewhere: what the tap sees is the same, what it does not see differs.

    Raises:
        Stop: where the step differs: its law cannot be read.
    """
    zero = np.zeros(run.case.shape)
    again = [run(Chosen(zero, seed=seed)) for seed in (SEEDS if first.foreign else SEEDS[:1])]
    for other in again:
        what = _difference(first, other)
        if what:
            whose = " and ".join(first.foreign) or "a generator of numpy or Python, or state that the step keeps"
            raise Stop(
                Problem(
                    "outside",
                    f"with the same data and the same draws {what}, and {whose} decides which: what is not drawn with "
                    "torch is not seen. Draw times and noise with torch, and fix any other choice in the function "
                    "under test",
                )
            )
    # Draws that are neither time nor noise may seed a generator: they differ here, so that such a seed does too.
    plain = {i: d for i, d in enumerate(first.draws) if not d.gaussian}
    other = run(with_draws(plain, (0.9, 0.2, 0.6), zero, seed=SEEDS[1]))
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


def _read_items(
    run: Runner,
    first: StepRun,
    sources: Mapping[int, Mapping[int, Draw]],
    shares: Sequence[float],
    weighing: Sequence[int],
) -> list[ItemLaw]:
    """The law with the items' times at the given shares."""
    shape = run.case.shape
    every = {i: d for draws in sources.values() for i, d in draws.items()}
    zero, data = np.zeros(shape), fixed_data(shape, 1)
    # What only weighs the loss stays where it is: target and weight are read at one value of it.
    kept = {*every, *weighing}
    normals = {i: fixed_data(d.shape, 2 + i) for i, d in enumerate(first.draws) if d.gaussian and i not in kept}

    def at(x0: Array, given: Mapping[int, Array] | None = None, answer: float = 0.0) -> StepRun:
        return run(with_draws(every, shares, x0, normals=dict(given or {}), answer=answer))

    rest = at(zero)
    far = FAR_IN_HALF if PRECISIONS[run.case.dtype].is_half else FAR
    one, two = at(zero, answer=1.0), at(zero, answer=far)
    of_data = at(data)
    of_noise = {i: at(zero, {i: values}) for i, values in normals.items()}
    all_of = at(data, {i: DENSE * values for i, values in normals.items()})
    for other in (one, of_data, all_of):
        for k in sources:
            if not np.array_equal(other.calls[k].times, rest.calls[k].times):
                raise Stop(
                    Problem(
                        "outside",
                        f"model call {k} is told other times with the same draws: the time is drawn where it is not "
                        "seen (numpy, Python's random, another thread); draw it with torch",
                    )
                )
    laws = []
    for k, draws in sources.items():
        reading = _Reading.of(k, rest, one, two, far)
        # One number for the whole batch has the first share.
        of_items = shares[:1] if draws and all(d.numel == 1 for d in draws.values()) else shares
        data_in = placed(data, of_data.calls[k].x - rest.calls[k].x)
        places = {i: placed(values, of_noise[i].calls[k].x - rest.calls[k].x) for i, values in normals.items()}
        laws += _items(reading, rest, of_data, of_noise, all_of, data_in, places, of_items)
    return laws


def _items(
    reading: _Reading,
    rest: StepRun,
    of_data: StepRun,
    of_noise: Mapping[int, StepRun],
    all_of: StepRun,
    data: Array | None,
    places: Mapping[int, Array | None],
    shares: Sequence[float],
) -> list[ItemLaw]:
    k = reading.index
    inputs = {-1: of_data.calls[k].x - reading.rest.x} | {i: r.calls[k].x - reading.rest.x for i, r in of_noise.items()}
    constant = reading.target(rest)
    targets = {i: reading.target(r) - constant for i, r in ({-1: of_data} | dict(of_noise)).items()}
    patterns: dict[int, Array] = {i: p for i, p in ({-1: data} | dict(places)).items() if p is not None}
    for i, j in parts_of_one(patterns):
        patterns[i] = patterns[i] + patterns.pop(j)
        inputs[i], targets[i] = inputs[i] + inputs.pop(j), targets[i] + targets.pop(j)
    total_input, total_target = all_of.calls[k].x - reading.rest.x, reading.target(all_of)
    dense = {i: p if i < 0 else DENSE * p for i, p in patterns.items()}
    full = {i for i, p in patterns.items() if i >= 0 and is_own(p)}
    axes = {i: shared_axes(p) for i, p in patterns.items() if i >= 0}
    found = []
    for b in range(total_input.shape[0]):
        given = {i: coefficient(inputs[i][b], p[b]) for i, p in patterns.items()}
        wanted = {i: coefficient(targets[i][b], p[b]) for i, p in patterns.items()}
        found.append(
            ItemLaw(
                call=k,
                item=b,
                time=float(reading.rest.times[b]),
                a=given.get(-1, 0.0),
                noises={i: c for i, c in given.items() if i in full},
                shared={i: c for i, c in given.items() if i >= 0 and i not in full},
                offset=float(np.abs(reading.rest.x[b]).max()),
                unexplained=left_over(total_input[b], dense, given, b),
                target_x0=wanted.get(-1, 0.0),
                target_noises={i: c for i, c in wanted.items() if i in full},
                target_shared={i: c for i, c in wanted.items() if i >= 0 and i not in full},
                target_unexplained=left_over(total_target[b], dense, wanted, b),
                curvature=float(reading.curvature[b].mean()),
                spread=reading.spread(b),
                bend=reading.bend(b),
                share=shares[b % len(shares)],
                axes=axes,
                constants=(float(reading.rest.x[b].mean()), float(constant[b].mean())),
                beside_constants=max(
                    _ptp(reading.rest.x[b], total_input[b]),
                    _ptp(constant[b], total_target[b]),
                    left_over(total_input[b], dense, given, b),
                    left_over(total_target[b] - constant[b], dense, wanted, b),
                ),
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


def _ptp(constant: Array, total: Array) -> float:
    """How far a constant differs from place to place, relative to the largest entry."""
    scale = max(float(np.abs(total).max()), float(np.abs(constant).max()))
    return float(np.ptp(constant)) / scale if scale > 0 else 0.0


def _gradient(call: ModelCall) -> Array:
    return np.zeros_like(call.x) if call.gradient is None else call.gradient
