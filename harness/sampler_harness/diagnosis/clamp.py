"""What function of its input a sampler's clamp is: read off the last step, whose result is the data it predicts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sampler_harness.law.bundle import Bundle
from sampler_harness.law.response import Array
from sampler_harness.law.tolerance import reference_law
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.observe.probes import Dense

__all__ = ["clamp_of", "clipped", "is_read_off_last_step", "named"]

#: Predicted data that is tried reaches this far, data units: well beyond any clamp.
REACH = 3.0
#: An output that weighs less is not seen in the sample.
LEAST = 1e-6
#: How well a function must fit, data units.
FIT = 2e-3
#: How well weights must fit where the sample is rounded to steps of 1/64 or less.
COARSE = 1 / 64


def clamp_of(bundle: Bundle) -> tuple[Array, Array] | None:
    """Predicted data before and after whatever the sampler does to it, at the last step.

    All draws and all outputs but the last are zero, so that the sample is the last output, weighed as the law says.

    Args:
        bundle: of a case whose law could be read.

    Returns:
        Both as flat arrays; None where the last output does not reach the sample alone.
    """
    calls = bundle.num_calls
    weight = float(bundle.law.outputs[calls, calls - 1])
    if calls == 0 or abs(weight) < LEAST:
        return None
    size = bundle.case.numel
    before: Array = REACH * (2 * np.mod(np.arange(1, size + 1) * 0.6180339887498949, 1.0) - 1)
    run = bundle.execute(
        Dense(
            draws=lambda index, shape: np.zeros(math.prod(shape)),
            outputs=lambda index, shape: before / weight if index == calls - 1 else np.zeros(size),
        )
    )
    if run.problem is not None or len(run.calls) != calls:
        return None
    after: Array = (run.rows() - bundle.zero.rows())[-1]
    return before, after


def clipped(config: Any, before: Array) -> Array:
    """Predicted data as the reference leaves it.

    Args:
        config: of the reference.
        before: flat array.
    """
    after: Array = config.clipped(before.reshape(1, -1)).reshape(-1)
    return after


def is_read_off_last_step(bundle: Bundle, before: Array, after: Array) -> bool:
    """Whether the sample is the data that the last step predicts: so it is with the reference, and weighed like it.

    A run that ends above data adds the noise that the clamped data leaves: its clamp would be told as another one, with
    a factor behind it.

    Args:
        bundle: of a case whose law could be read.
        before: predicted data that is tried.
        after: what the sampler made of it.
    """
    config, calls = bundle.case.config, bundle.num_calls
    law = reference_law(config, learned_variance(config))
    if law.num_calls != calls:
        return False
    weight, own = (float(one.outputs[calls, calls - 1]) for one in (law, bundle.law))
    # A sample of few steps is measured to half of one.
    allowed = FIT if _steps(after) is None else COARSE
    if abs(weight) < LEAST or abs(weight - own) > allowed * abs(weight):
        return False
    asked = 0

    def model(_x: Array, _time: Any) -> Any:
        nonlocal asked
        asked += 1
        output = (before / weight if asked == calls else np.zeros(before.size)).reshape(shape)
        return (output, np.zeros(shape)) if learned_variance(config) else output

    shape = (1, before.size)
    sample = config.sample(model, lambda: np.zeros(shape))
    return _close(np.asarray(sample).reshape(-1), clipped(config, before))


def named(before: Array, after: Array) -> str:
    """A function in words, from its values.

    Args:
        before: its inputs.
        after: what it made of them.
    """
    if not np.isfinite(after).all():
        return "gives NaN or infinity for large values"
    if _close(after, before):
        return "clamps nothing"
    largest = float(np.abs(after).max())
    if _close(after, np.clip(before, -largest, largest)):
        return f"clamps at ±{largest:.4g}"
    low, high = float(after.min()), float(after.max())
    if _close(after, np.clip(before, low, high)):
        return f"clamps to [{low:.4g}, {high:.4g}]"
    if _close(after, np.tanh(before)):
        return "is tanh, which bends all values, small ones too"
    slope = _slope(before, after)
    if _close(after, slope * before):
        return f"multiplies everything by {slope:.4g}: it divides by a statistic of the sample"
    edge = largest / slope if slope else math.inf
    if _close(after, slope * np.clip(before, -edge, edge)):
        return f"clamps at ±{edge:.4g} and multiplies by {slope:.4g}"
    steps = _steps(after)
    if steps is not None and _close(after, np.clip(before, -largest, largest), 1.01 * steps):
        gap = float(np.mean(np.clip(before, -largest, largest) - after))
        how = "truncates" if abs(gap) > 0.25 * steps else "rounds"
        return f"{how} to steps of {steps:.4g} (1/{1 / steps:.4g})"
    order = np.argsort(before)
    shown = [int(order[round(share * (order.size - 1))]) for share in (0.1, 0.4, 0.6, 0.9)]
    return "makes " + ", ".join(f"{before[n]:.3g} into {after[n]:.3g}" for n in shown)


def _slope(before: Array, after: Array) -> float:
    """Of the function near zero."""
    near = np.abs(before) < 0.1 * REACH
    if not near.any():
        return 0.0
    return float((before[near] @ after[near]) / (before[near] @ before[near]))


def _steps(values: Array) -> float | None:
    """The distance of which all values are multiples, from the first on; None where there is no such."""
    distinct = np.unique(np.round(values, 6))
    if distinct.size < 4 or distinct.size > values.size / 2:
        return None
    step = float(np.diff(distinct).min())
    whole = (distinct - distinct[0]) / step
    return step if bool((np.abs(whole - np.rint(whole)) < 0.02).all()) else None


def _close(one: Array, other: Array, fit: float = FIT) -> bool:
    return bool(np.abs(one - other).max() <= fit)
