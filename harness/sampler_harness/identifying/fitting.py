"""Whether a configuration of a reference has a sampler's law: to a verdict's tolerance, and at large values too."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from sampler_harness.law.law import Law
from sampler_harness.law.replay import replay, spread_of_rows
from sampler_harness.law.response import Array
from sampler_harness.law.rounding import rounded_like
from sampler_harness.law.same import distance, worst
from sampler_harness.law.tolerance import (
    PRECISIONS,
    SAFETY,
    reference_law,
    reference_response,
    tolerance_between,
    tolerance_of,
)
from sampler_harness.observe.learned_variance import learned_variance

from .observed import Observed

__all__ = ["HOPELESS", "agreement", "law_of", "law_off", "off", "roughly_off"]

#: Tolerances that no rounding of a reference's own reaches: what is beyond them need not be derived.
HOPELESS = 400.0
#: Values at which clamps bite are compared to this many tolerances of their size.
DENSE = 4.0
#: Of these many tolerances at large values it is asked what rounding does there.
ROUNDED = 40.0
#: Relative difference below which a weight is met: far above rounding, far below another method.
CLOSE = 1e-2


@functools.lru_cache(maxsize=4096)
def law_of(config: Any) -> Law | None:
    """The law of a configuration; None where it has none.

    Args:
        config: of a reference.
    """
    try:
        with np.errstate(all="ignore"):
            law = reference_law(config, learned_variance(config))
    except (ValueError, ArithmeticError):
        return None
    return law if np.isfinite(law.outputs).all() and np.isfinite(law.factor).all() else None


@functools.lru_cache(maxsize=8192)
def roughly_off(seen: Observed, config: Any) -> float:
    """How far a sampler is from a configuration, over the floor of the tolerances; infinity where it cannot be it.

    Args:
        seen: the sampler's runs.
        config: of a reference.
    """
    law = law_of(config)
    if law is None or learned_variance(config) != seen.learned_variance or law.num_calls != seen.law.num_calls:
        return float("inf")
    return distance(seen.law, law, tolerance_between(law, _precision(seen)))


@functools.lru_cache(maxsize=8192)
def off(seen: Observed, config: Any) -> float:
    """How far a sampler is from a configuration, over its tolerance: up to 1 it has its law, clamps included.

    Args:
        seen: the sampler's runs.
        config: of a reference.
    """
    found = law_off(seen, config)
    return found if found > 1.0 else max(found, _off_at_large_values(seen, config))


@functools.lru_cache(maxsize=8192)
def law_off(seen: Observed, config: Any) -> float:
    """The same of small values alone, at which clamps sleep.

    Args:
        seen: the sampler's runs.
        config: of a reference.
    """
    rough = roughly_off(seen, config)
    law = law_of(config)
    if law is None or rough > HOPELESS:
        return rough
    return distance(seen.law, law, tolerance_of(config, _precision(seen), learned_variance(config)))


def _precision(seen: Observed) -> str:
    return seen.case.dtype if seen.case.dtype in PRECISIONS else "float32"


def _off_at_large_values(seen: Observed, config: Any) -> float:
    """The same of a run at large values, which clamps see."""
    if seen.dense is None:
        return float("inf")
    if seen.is_affine and not config.is_clipped:
        return 0.0
    if seen.is_affine or not config.is_clipped:
        return float("inf")
    learned = learned_variance(config)
    response = reference_response(config, learned)
    shape, outputs, fresh = seen.case.shape, seen.dense.outputs, seen.fresh
    rows = replay(config, shape, outputs, fresh, learned_variance=learned, response=response)
    if rows is None or rows.shape != seen.dense.rows.shape:
        return float("inf")
    precision = PRECISIONS[_precision(seen)]
    size = np.abs(rows) + np.sqrt(np.mean(rows**2, axis=1, keepdims=True))
    before = np.maximum.accumulate(np.abs(rows).max(axis=1, keepdims=True))
    allowed: Array = DENSE * (precision.floor * size + precision.unit * before) + 1e-30
    found = worst(seen.dense.rows, rows, allowed)
    if 1.0 < found <= ROUNDED:
        spread = spread_of_rows(
            lambda: rounded_like(config),
            rows,
            shape,
            outputs,
            fresh,
            response,
            bits=precision.bits,
            learned_variance=learned,
        )
        found = worst(seen.dense.rows, rows, np.maximum(allowed, SAFETY * spread))
    return found


def agreement(seen: Observed, config: Any) -> float:
    """The share of a sampler's weights, times and noise that a configuration has too.

    Args:
        seen: the sampler's runs.
        config: of a reference.
    """
    law = law_of(config)
    if law is None or law.num_calls != seen.law.num_calls:
        return 0.0
    got, should_be = (_numbers(one) for one in (seen.law, law))
    counted = (np.abs(got) > CLOSE * np.abs(got).max(initial=0.0)) | (
        np.abs(should_be) > CLOSE * np.abs(should_be).max(initial=0.0)
    )
    met = np.abs(got - should_be) <= CLOSE * np.maximum(np.abs(got), np.abs(should_be))
    return float(met[counted].mean()) if counted.any() else 0.0


def _numbers(law: Law) -> Array:
    columns = [law.column(row) for row in range(law.num_calls + 1)]
    return np.concatenate(
        [
            law.times / max(float(np.abs(law.times).max(initial=0.0)), 1e-12),
            law.outputs.reshape(-1),
            np.stack(columns, axis=1).reshape(-1),
        ]
    )
