"""What moved between two laws, coefficient by coefficient: for whoever changed a sampler."""

from __future__ import annotations

import math

from sampler_harness.judging import short, told
from sampler_harness.law.comparison import Deviation, differing
from sampler_harness.verdict import Moved

from .evidence import Evidence, expected_calls
from .law import number
from .replayed import where

__all__ = ["moved"]

#: Coefficients that are told one by one.
TOLD = 40


def moved(evidence: Evidence) -> Moved | None:
    """The coefficients that are not those of the law that a sampler is held against, in the smallest configuration.

    Args:
        evidence: as measured.
    """
    failing = [case for case in evidence.cases if any(d.ratio > 1.0 for d in evidence.compared(case))]
    if not failing:
        return None
    case = min(failing, key=lambda c: (expected_calls(c.config), len(short(c.config))))
    bundle, should_be = evidence.bundle(case), evidence.standard.law(evidence.side_of(case))
    assert should_be is not None
    tolerance = evidence.standard.tolerance(evidence.side_of(case))
    found = differing(bundle.law, should_be, tolerance, last_row=bundle.last_row)
    sentences = [_moved_sentence(one, bundle.num_calls) for one in found]
    configuration = f"{told(case.config)}, shape {case.shape}, {case.dtype}"
    return Moved(configuration, tuple(sentences[:TOLD]), max(0, len(sentences) - TOLD))


def _moved_sentence(one: Deviation, calls: int) -> str:
    change = f"was {number(one.should_be)}, is {number(one.got)}"
    if one.should_be and math.isfinite(one.got):
        change += f" ({100.0 * (one.got / one.should_be - 1.0):+.3g} %)"
    place = where(one.row, calls)
    match one.term:
        case "count":
            return f"model calls in a run: {change}"
        case "time":
            return f"time told to model call {one.row}: {change}"
        case "initial-noise":
            return f"standard deviation of the first model input: {change}"
        case "outputs":
            return f"weight of the model's output of call {one.column} in {place}: {change}"
        case "noise" if one.column == one.row:
            return f"standard deviation of the fresh noise in {place}: {change}"
        case "noise":
            which = "the first noise" if one.column == 0 else f"the noise that was added before call {one.column}"
            return f"weight of {which} in {place}: {change}"
        case "offset":
            return f"constant in {place}: {change}"
