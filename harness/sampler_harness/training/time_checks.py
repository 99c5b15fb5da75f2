"""The check of the times that a training step draws."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sampler_harness.law.casts import cast_of
from sampler_harness.observe.trace import Case
from sampler_harness.verdict import Finding

from .evidence import TrainingEvidence
from .expected import share_tolerance
from .judging import Judged, check, conclude
from .law import Told

__all__ = ["check_time_distribution"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@check("training/time-distribution")
def check_time_distribution(evidence: TrainingEvidence) -> Finding:
    """Each item has a time of its own, and the times are spread as the reference's are, both ends included."""
    declared = evidence.subject.time_shape
    judged = [_judge_told(law.case, told, declared) for law in evidence.laws for told in law.told]
    return conclude(
        "training/time-distribution", evidence, judged, passed="times are drawn as the reference draws them"
    )


def _judge_told(case: Case, told: Told, declared: str | None) -> Judged:
    config = case.config
    wanted = {"scalar": (), "one": (1,), "batch": told.times.shape[1:], None: told.shape}[declared]
    if told.shape != wanted:
        message = f"the model is told times of shape {told.shape}, declared is time_shape={declared!r}: {wanted}"
        return Judged(math.inf, message, case, {"got": list(told.shape), "should_be": list(wanted)})
    if told.draw is None:
        single = config.level_bounds[0] == config.level_bounds[1]
        if single:
            return Judged(0.0, "", case)
        message = f"the time of model call {told.call} depends on no draw of torch: it is the same in each step"
        return Judged(math.inf, message, case)
    if not told.own:
        message = (
            f"all items of a batch are told one time ({told.draw.operator} of shape {told.draw.shape}), should be "
            "a time of its own for each item"
        )
        return Judged(math.inf, message, case)
    if told.whole is not None and config.time_draw == "integers":
        ends = _judge_ends(case, told)
        if ends is not None:
            return ends
    return _judge_spread(case, told)


def _judge_ends(case: Case, told: Told) -> Judged | None:
    """Draws of whole numbers: their first, second, last but one and last value."""
    assert told.whole is not None
    assert told.draw is not None
    assert told.draw.low is not None
    assert told.draw.high is not None
    low, high = case.config.level_bounds
    first, last = float(told.whole.min()), float(told.whole.max())
    count, wanted = int(told.draw.high - told.draw.low), int(high - low) + 1
    if (first, last, count % wanted) == (low, high, 0):
        return None
    if (first, last) == (low, high):
        words = f"timesteps are made of one of {count} numbers, should be of {wanted}: some come more often than others"
        return Judged(math.inf, words, case, {"got": count, "should_be": wanted})
    missing = [f"{int(t)}" for t in (low, high) if not first <= t <= last]
    also = [f"{t:g}" for t in (first, last) if not low <= t <= high]
    words = f"the model is told times {first:g} to {last:g}, should be {low:g} to {high:g}"
    words += f": {' and '.join(missing)} never occurs" if missing else ""
    words += f"; {' and '.join(also)} is no timestep" if also else ""
    if told.alike:
        words += _cast_of(zip(np.sort(told.times[:, 0]), _times_of(case.config, told.shares), strict=True))
    return Judged(math.inf, words, case, {"got": [first, last], "should_be": [low, high]})


def _judge_spread(case: Case, told: Told) -> Judged:
    """The times at given shares of their draw, sorted, against the reference's at the same shares."""
    config = case.config
    if told.alike:
        got, shares = np.sort(told.times[:, 0]), np.asarray(told.shares)
    else:
        # Stratified or antithetic draws: an item's times are a part, the batch's together are the whole.
        inner = [n for n, p in enumerate(told.shares) if 0.05 < p < 0.95]
        got = np.sort(told.times[inner].reshape(-1))
        shares = np.asarray([told.shares[n] for n in inner])
    if not told.alike:
        return _judge_strata(case, told, got)
    uniform = told.draw is not None and not told.draw.gaussian
    rows = sorted((config.told_time(config.quantile(float(p))), float(p)) for p in shares)
    should_be, of = [time for time, _ in rows], [p for _, p in rows]
    allowed = [share_tolerance(config, p, uniform=uniform) for p in of]
    worst = max(range(got.size), key=lambda n: abs(got[n] - should_be[n]) / allowed[n])
    ratio = abs(got[worst] - should_be[worst]) / allowed[worst]
    p = of[worst]
    middle = got.size // 2
    message = (
        f"the time below which {p:.6g} of the draws lie is {got[worst]:.6g}, should be {should_be[worst]:.6g} "
        f"(median {got[middle]:.6g}, should be {should_be[middle]:.6g}){_cast_of(zip(got, should_be, strict=True))}"
    )
    details = {"share": p, "got": float(got[worst]), "should_be": float(should_be[worst])}
    return Judged(float(ratio), message, case, details)


def _times_of(config: Any, shares: Sequence[float]) -> list[float]:
    """The reference's times at some shares, sorted."""
    return sorted(float(config.told_time(config.quantile(float(p)))) for p in shares)


def _cast_of(times: Iterable[tuple[float, float]]) -> str:
    """The cast that makes all times, in words; empty where none does."""
    cast = cast_of(times)
    return f": the time was rounded by a cast to {cast}" if cast else ""


def _judge_strata(case: Case, told: Told, got: Array) -> Judged:
    """Items that divide the distribution among them: pooled, the shares of the reference's must be as many.

    An item takes one n-th of the distribution at the draw's own share of it, or the mirror image of another item, or
    one number decides all times, which lie at equal distances round the distribution.
    """
    config = case.config
    inner = [(n, p) for n, p in enumerate(told.shares) if 0.05 < p < 0.95]
    items = told.times.shape[1]
    uniform = told.draw is not None and not told.draw.gaussian
    options = {
        "strata": [(b + p) / items for b in range(items) for _, p in inner],
        "mirrored": [p for _ in range(items) for _, p in inner],
        "turned": [(p + b / items) % 1.0 for b in range(items) for _, p in inner],
    }
    best, words = math.inf, ""
    for shares in options.values():
        should_be, of = zip(*sorted((config.told_time(config.quantile(float(p))), p) for p in shares), strict=True)
        allowed = [share_tolerance(config, p, uniform=uniform) for p in of]
        ratios = [abs(g - s) / t for g, s, t in zip(got, should_be, allowed, strict=True)]
        if max(ratios) < best:
            best = float(max(ratios))
            worst = int(np.argmax(ratios))
            words = f"the times of a batch together are off: {got[worst]:.6g}, should be {should_be[worst]:.6g}"
    return Judged(best, words, case)
