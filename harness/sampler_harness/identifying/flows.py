"""Candidates on a rectified flow, whatever the model is told of time and predicts of the flow."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reference_samplers import FlowAncestral, FlowConsistency, FlowEuler, FlowRungeKutta, FlowSDE
from reference_samplers.processes.rectified_flow import FlowPrediction

from .made import made
from .numbers import agreeing, shortest
from .steps import Step, Steps

__all__ = ["on_a_flow"]

#: How far a time may stand beyond its ends.
BEYOND = 1e-5
#: A run on a flow begins where noise is no small part of x: times that are all lower are levels of something else.
NOISY = 0.2
#: How near to a half what is told must be for rounding to decide.
HALF = 1e-3
#: How far beside a whole number it is taken for that number, and rounded down to it.
EDGE = 1e-6
#: Calls of a step, of the methods that have one number of them.
_STAGES = {"heun": 2, "midpoint": 2, "rk4": 4, "rk4_38": 4}
_PREDICTIONS: tuple[FlowPrediction, ...] = ("flow", "reversed_flow", "x0", "epsilon")


def on_a_flow(steps: Steps) -> Iterator[Any]:
    """Configurations on times by hand that a sampler may be.

    Args:
        steps: of its law.
    """
    for times, fields in _readings(steps):
        for prediction in _PREDICTIONS:
            shared = {**fields, "prediction": prediction}
            with np.errstate(all="ignore"):
                if steps.is_single:
                    yield from made(FlowEuler, {**shared, "sigmas": (*times, 0.0)})
                    yield from made(FlowConsistency, {**shared, "sigmas": (*times, 0.0)})
                    yield from _ancestral(steps, times, shared)
                    yield from _sde(steps, times, shared)
                else:
                    yield from _runge_kutta(steps, times, shared)


def _readings(steps: Steps) -> Iterator[tuple[tuple[float, ...], Mapping[str, Any]]]:
    """The time of each call, 1 for noise and 0 for data, by what the model is told; then by how far the steps go."""
    told = steps.law.times
    largest = float(np.abs(told).max())
    scales = [1.0] if largest <= 1 + BEYOND else [1000.0]
    if largest > 1000 * (1 + BEYOND):
        scales = []
    length = _length(steps)
    if length is not None:
        scales.append(length)
    is_rounded = bool((told == np.rint(told)).all()) and largest > 2
    for scale in dict.fromkeys(scales):
        for data_at_one in (False, True):
            times = told / scale
            times = 1 - times if data_at_one else times
            if (times < -BEYOND).any() or (times > 1 + BEYOND).any() or times.max() < NOISY:
                continue
            fields: dict[str, Any] = {"data_at_one": data_at_one, "time_scale": float(scale)}
            snapped = tuple(_held(float(one)) for one in times)
            yield snapped, fields
            if is_rounded:
                exact = _by_steps(steps)
                for rounding in ("nearest", "down") if exact is not None else ():
                    move = _off_the_half if rounding == "nearest" else _off_the_whole
                    beside = (
                        move(scale * (1 - t if data_at_one else t), float(time))
                        for t, time in zip(exact or (), told, strict=True)
                    )
                    moved = tuple(_held(1 - one / scale if data_at_one else one / scale) for one in beside)
                    yield moved, {**fields, "time_rounding": rounding}


def _off_the_half(exact: float, told: float) -> float:
    """What would be told, where it lies on a half, on the side that was taken."""
    if abs(abs(exact - told) - 0.5) > HALF:
        return exact
    return told + (0.5 - HALF) * (1.0 if exact > told else -1.0)


def _off_the_whole(exact: float, told: float) -> float:
    """What would be told, where it lies on a whole number or on the next one, on the side that was taken."""
    if abs(exact - told) <= HALF:
        return told + EDGE
    return told + 1 - EDGE if abs(exact - told - 1) <= HALF else exact


def _held(time: float) -> float:
    """A time at an end of the range, where rounding alone has taken it beyond."""
    if abs(time - 1) <= BEYOND / 10:
        return 1.0
    return 0.0 if abs(time) <= BEYOND / 10 else time


def _length(steps: Steps) -> float | None:
    """What the model is told in place of 1, from how far one Euler step goes along its output."""
    if not steps.is_single or steps.calls < 2:
        return None
    told, weights = steps.law.times, [float(step.weights[0]) for step in steps.single[:-1]]
    if not all(weights):
        return None
    found = agreeing([abs(float(fall / weight)) for fall, weight in zip(np.diff(told), weights, strict=True)])
    return None if found is None else shortest(found[0], 10 * found[1])


def _by_steps(steps: Steps) -> tuple[float, ...] | None:
    """Times from the lengths of Euler's steps along the output, backwards from 0."""
    if not steps.is_single:
        return None
    lengths = np.abs([float(step.weights[0]) for step in steps.single])
    times = np.cumsum(lengths[::-1])[::-1]
    return tuple(_held(float(one)) for one in times) if times[0] <= 1 + BEYOND else None


def _row(step: Step, t: float, prediction: FlowPrediction) -> tuple[float, float]:
    """Weights of x and of x0 in a row."""
    kept, weight = step.kept, float(step.weights[0])
    if prediction == "x0":
        return kept, weight
    if prediction == "epsilon":  # D = (x - (1 - t) x0) / t
        return kept + weight / t, -weight * (1 - t) / t
    sign = 1.0 if prediction == "flow" else -1.0  # D = ± (x - x0) / t
    return kept + sign * weight / t, -sign * weight / t


def _ancestral(steps: Steps, times: tuple[float, ...], shared: Mapping[str, Any]) -> Iterator[Any]:
    """``x' = r (t_down / t x + (1 - t_down / t) x0) + s c z``: r and t_down from both weights."""
    if not steps.drawn:  # it is Euler's method, and both are told
        yield from made(FlowAncestral, {**shared, "sigmas": (*times, 0.0), "eta": 0.0})
    if not steps.drawn or min(times) <= 0:
        return
    etas, noises, sizes = [], [], []
    for step, t, t_next in zip(steps.single[:-1], times[:-1], times[1:], strict=True):
        kept, data = _row(step, t, shared["prediction"])
        ratio = kept + data
        if ratio <= 0 or t_next >= t or t_next >= 1:
            return
        down = kept / ratio * t
        etas.append((1 - down / t_next) / (1 - t_next / t))
        noises.append(step.fresh / np.sqrt(max(t_next**2 - (ratio * down) ** 2, 1e-300)))
        sizes.append(step.fresh)
    eta, noise = agreeing(etas, sizes), agreeing(noises, sizes)
    if eta is None or noise is None:
        return
    share = min(max(shortest(*eta), 0.0), 1.0)
    yield from made(FlowAncestral, {**shared, "sigmas": (*times, 0.0), "eta": share, "s_noise": shortest(*noise)})


def _sde(steps: Steps, times: tuple[float, ...], shared: Mapping[str, Any]) -> Iterator[Any]:
    """``c^2 = w(t) dt``: which w, and how much of it."""
    if not steps.drawn or min(times) <= 0:
        return
    ends = (*times, 0.0)
    for diffusion in ("sigma", "constant", "flow_grpo"):
        plain = {**shared, "sigmas": ends, "diffusion": diffusion, "diffusion_scale": 1.0}
        for config in made(FlowSDE, plain):
            shapes = [float(config.diffusion_at(t)) * (t - t_next) for t, t_next in itertools.pairwise(times)]
            found = agreeing([step.fresh**2 / one for step, one in zip(steps.single[:-1], shapes, strict=True)], shapes)
            if found is None:
                continue
            for last in ("mean", "euler", "tweedie", "drawn"):
                yield from made(FlowSDE, {**plain, "diffusion_scale": shortest(*found), "last_step": last})


def _runge_kutta(steps: Steps, times: tuple[float, ...], shared: Mapping[str, Any]) -> Iterator[Any]:
    """Steps of two or four calls, of which the last may have one."""
    for solver, stages in _STAGES.items():
        for corrects in (True, False) if solver == "heun" else (True,):
            if (steps.calls + (0 if corrects else 1)) % stages:
                continue
            begun = (*times[::stages], 0.0)
            fields = {**shared, "sigmas": begun, "solver": solver, "corrects_last": corrects}
            yield from made(FlowRungeKutta, fields)
