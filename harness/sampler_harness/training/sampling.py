"""Whether a declared sampler means the same by a time as the training of its model, and expects the same answer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference_samplers import prediction
from sampler_harness.budgets import BUDGETS
from sampler_harness.cases import covering_set
from sampler_harness.observe.trace import Case
from sampler_harness.subject import Subject

from .judging import Judged

__all__ = ["Meaning", "judged_beside_sampler", "sampled", "told_times", "trained"]

#: By how much figures of two references may differ, both in float64: tables may have been made in float32.
SAME = 1e-4
#: Unit of rounding of the largest figure.
NEAR = 1e-7
#: How far outside of the trained times a time may lie, of itself: two ways to write the same end.
ENDS = 1e-5


@dataclass(frozen=True)
class Meaning:
    """What a model is given at a time, and what it should answer: ``a x0 + s z`` and ``p x0 + q z``.

    Attributes:
        a: weight of the data in its input.
        s: weight of the noise in it.
        p: weight of the data in its answer; NaN where it cannot be told.
        q: weight of the noise in it.
    """

    a: float
    s: float
    p: float
    q: float

    def terms(self) -> tuple[tuple[str, float], ...]:
        """Name and figure of each."""
        return (
            ("data in the input", self.a),
            ("noise in the input", self.s),
            ("data in the answer", self.p),
            ("noise in the answer", self.q),
        )


def _asked(config: Any, x: float, time: float, denoised: float) -> tuple[float, float, float]:
    """The exact network's answer for a posterior mean; what its denoiser was asked, and at which level."""
    told: list[tuple[float, float]] = []

    def denoise(scaled: Any, sigma: float) -> Any:
        told.append((float(np.asarray(scaled).reshape(-1)[0]), float(sigma)))
        return np.full_like(np.asarray(scaled, dtype=np.float64), denoised)

    with np.errstate(all="ignore"):
        answer = config.network(denoise)(np.array([x]), time)
    first = answer[0] if isinstance(answer, tuple) else answer
    return float(np.asarray(first).reshape(-1)[0]), *told[0]


def sampled(config: Any, time: float) -> Meaning:
    """What a sampler gives its model at a time and expects of it, read off the exact network of a single data point.

    The network hands its denoiser ``x / signal`` and ``sigma = noise / signal``; one call tells both. Then the input
    is the data alone, or the noise alone.

    Args:
        config: a configuration of a reference sampler.
        time: as the sampler tells it.
    """
    _, unscaled, sigma = _asked(config, 1.0, time, 0.0)
    a, s = 1.0 / unscaled, sigma / unscaled
    p, _, _ = _asked(config, a, time, 1.0)
    q, _, _ = _asked(config, s, time, 0.0)
    return Meaning(a, s, p, q)


def told_times(config: Any) -> tuple[float, ...]:
    """The times that a sampler tells its model in one run, each once, in order.

    Args:
        config: a configuration of a reference sampler.
    """
    times: dict[float, None] = {}
    network = config.network(lambda x, sigma: np.zeros_like(x))

    def model(x: Any, time: float) -> Any:
        times[float(time)] = None
        return network(x, time)

    with np.errstate(all="ignore"):
        config.sample(model, lambda: np.zeros((1, 1)))
    return tuple(times)


def trained(config: Any, time: float, sampler: Any) -> Meaning:
    """The same by the reference of training.

    Where a network is trained inside of its preconditioning and the sampler is given the denoiser around it, the
    meaning is that denoiser's.

    Args:
        config: a configuration of a reference of training.
        time: as the sampler tells it.
        sampler: a configuration of a reference sampler.
    """
    if not _is_wrapped(config, sampler):
        level = config.level_of_time(time)
        a, s = config.input_scales(level)
        p, q = config.target_scales(level)
        return Meaning(a, _with_shared(config, level, s), p, q)
    level = _level(config, time, sampler)
    total = config.total(level)
    a, s = config.forward_scales(level)
    p, q = config.target_scales(level)
    kept, scale = prediction.c_skip(total, config.sigma_data), prediction.c_out(total, config.sigma_data)
    return Meaning(a, _with_shared(config, level, s), float(kept * a + scale * p), float(kept * s + scale * q))


def _is_wrapped(config: Any, sampler: Any) -> bool:
    return bool(config.is_preconditioned and sampler.wants_denoiser)


def _level(config: Any, time: float, sampler: Any) -> float:
    """The level of training at a time of the sampler's; a denoiser is told the std of all noise."""
    if not _is_wrapped(config, sampler):
        return float(config.level_of_time(time))
    return math.sqrt(max(time**2 - config.sigma_offset_noise**2, 0.0))


def _with_shared(config: Any, level: float, s: float) -> float:
    """Noise of a level with what a channel shares, where the model is told of both together."""
    if not config.tells_offset:
        return s
    return s * math.sqrt(1 + float(config.offset_scale(level)) ** 2)


def judged_beside_sampler(sampler: Any, case: Case) -> Iterator[Judged]:
    """The training's reference beside the sampler's, at every time that the sampler tells its model.

    Args:
        sampler: a configuration of a reference sampler, or a declared sampler.
        case: whose configuration is the training's.
    """
    declared = isinstance(sampler, Subject)
    other = covering_set(sampler, BUDGETS["quick"]).base if declared else sampler
    try:
        times = told_times(other)
    except (ValueError, IndexError, KeyError) as error:
        yield Judged(math.inf, f"the declared sampler {other!r} cannot be run: {error}", case)
        return
    for time in times:
        yield from _judge_time(other, case, time)


def _judge_time(sampler: Any, case: Case, time: float) -> Iterator[Judged]:
    config, kind = case.config, type(sampler).__name__
    low, high = config.level_bounds
    level = _level(config, time, sampler)
    if not low * (1 - ENDS) <= level <= high * (1 + ENDS):
        message = (
            f"the declared {kind} asks its model at time {time:.6g}, at which it is never trained: "
            f"{'timesteps are' if config.time_draw == 'integers' else 'levels are drawn from'} {low:g} to {high:g}"
        )
        yield Judged(math.inf, message, case, {"time": time, "sampler": repr(sampler)})
        return
    beside = [time]
    if config.time_draw == "integers" and time != round(time):
        beside = [float(math.floor(time)), float(math.ceil(time))]  # between two timesteps anything between is right
    given = sampled(sampler, time)
    meanings = [trained(config, one, sampler) for one in beside]
    differs = False
    for n, (name, got) in enumerate(given.terms()):
        if differs and "answer" in name:
            return  # an answer is compared where the question is the same
        ends = sorted(meaning.terms()[n][1] for meaning in meanings)
        if not math.isfinite(got) or not all(math.isfinite(end) for end in ends):
            continue
        nearest = min(max(got, ends[0]), ends[-1])
        size = max(1.0, given.s) if name == "noise in the input" else max(abs(one) for _, one in given.terms()[2:])
        tolerance = SAME * abs(nearest) + NEAR * (size if math.isfinite(size) else 1.0)
        words = "trained on" if "input" in name else "trained to give"
        message = (
            f"told {time:.6g}, the model is {words} {nearest:.6g} times the {name}, sampled with {got:.6g}: "
            f"{kind} means {'another noise level by that time' if 'input' in name else 'another prediction'}"
        )
        details = {"time": time, "term": name, "got": nearest, "should_be": got, "sampler": repr(sampler)}
        ratio = abs(got - nearest) / tolerance
        differs = differs or ratio > 1
        yield Judged(ratio, message, case, details)
