"""Which draws of a step weigh its loss: neither time nor noise, but how much an item counts in one step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from sampler_harness.observe.tape import Draw

from .probing import Array, Chosen, ModelCall, StepRun, answer_pattern
from .times import Runner, Stop, drawn_at, with_draws

__all__ = ["weighing_draws"]

#: Share of a draw's distribution at which it is put, other than what runs are given anyway.
ELSEWHERE = (0.83, 0.31, 0.62)
#: Share at which times stay meanwhile.
STILL = (0.5,)
#: Relative change of a weight that is no rounding.
CHANGED = 1e-3


def weighing_draws(run: Runner, first: StepRun, sources: Mapping[int, Mapping[int, Draw]]) -> tuple[int, ...]:
    """Indices of the draws that change by how much an item counts, and not what the model is given.

    Args:
        run: runs the step.
        first: its first run.
        sources: from :func:`~sampler_harness.training.times.time_draws`.
    """
    every = {i: d for draws in sources.values() for i, d in draws.items()}
    zero = np.zeros(run.case.shape)
    plain: tuple[StepRun, ...] = ()
    found = []
    for index, draw in enumerate(first.draws):
        chosen_by_hand = draw.gaussian or draw.cumulative or draw.low is not None
        if index in every or not chosen_by_hand or (draw.gaussian and draw.numel >= np.prod(run.case.shape)):
            continue  # a time, noise, or what cannot be chosen
        plain = plain or _at_two_answers(run, with_draws(every, STILL, zero))
        values = drawn_at(draw, ELSEWHERE)
        chosen = with_draws(every, STILL, zero)
        if draw.gaussian:
            chosen = dataclasses.replace(chosen, normals={**chosen.normals, index: values})
        else:
            chosen = dataclasses.replace(chosen, others={**chosen.others, index: values})
        try:
            moved = _at_two_answers(run, chosen)
        except Stop:
            continue  # it decides how often the model is called: no weight
        if any(_weighs(plain, moved, k) for k in sources):
            found.append(index)
    return tuple(found)


def _at_two_answers(run: Runner, chosen: Chosen) -> tuple[StepRun, ...]:
    return tuple(run(dataclasses.replace(chosen, answer=answer)) for answer in (0.0, 1.0))


def _weighs(plain: tuple[StepRun, ...], moved: tuple[StepRun, ...], call: int) -> bool:
    """Whether the loss answers otherwise to the same output for the same input."""
    if not np.array_equal(plain[0].calls[call].x, moved[0].calls[call].x):
        return False
    before, after = (_curvature(*(one.calls[call] for one in runs)) for runs in (plain, moved))
    return bool(np.abs(after - before).max() > CHANGED * np.abs(before).max())


def _curvature(zero: ModelCall, one: ModelCall) -> Array:
    nothing = np.zeros_like(zero.x)
    slopes = [nothing if call.gradient is None else call.gradient for call in (zero, one)]
    found: Array = (slopes[1] - slopes[0]) / answer_pattern(zero.x.shape)
    return found
