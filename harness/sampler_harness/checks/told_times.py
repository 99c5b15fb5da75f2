"""How a model is told its times, and whether they went through a cast."""

from __future__ import annotations

import numpy as np

from sampler_harness.law.casts import cast_of
from sampler_harness.law.response import Array
from sampler_harness.law.tolerance import PRECISIONS, time_tolerance
from sampler_harness.observe.trace import Case, Run

from .evidence import Evidence

__all__ = ["cast_of_times", "off_by", "time_shape_problem", "times_wanted"]


def time_shape_problem(run: Run, declared: str | None, items: int) -> str | None:
    """Why what the model is told is not one number for all items: a number, 0-dim, length 1 or length B.

    Args:
        run: whose calls are looked at.
        declared: the subject's ``time_shape``.
        items: of a batch.

    Returns:
        None where it is.
    """
    for index, call in enumerate(run.calls):
        time = call.time
        if not hasattr(time, "detach"):
            if not isinstance(time, (int, float, np.number)):
                return f"model call {index} is told a time of type {type(time).__name__}, should be a number or tensor"
            if declared in ("one", "batch"):
                return f"model call {index} is told a plain number, declared is time_shape={declared!r}"
            continue
        shape = tuple(time.shape)
        if time.numel() not in (1, items):
            return f"model call {index} is told times of shape {shape}, should be one time or one per item ({items})"
        flat = time.reshape(-1)
        if not bool((flat == flat[0]).all()):
            return f"model call {index} is told different times for the items of one batch: {flat.tolist()[:4]}"
        fits = {None: True, "scalar": shape == (), "one": shape == (1,), "batch": shape == (items,)}[declared]
        if not fits:
            return f"model call {index} is told times of shape {shape}, declared is time_shape={declared!r}"
    return None


def cast_of_times(evidence: Evidence) -> str | None:
    """The cast that makes every wrong time of all cases, where there is no wider dtype to compare with.

    Args:
        evidence: as measured.
    """
    if not evidence.in_half_alone:
        return None
    compared = [d for case in evidence.cases for d in evidence.compared(case) if d.ratio > 1.0]
    wrong = [d for d in compared if d.term in ("count", "time")]
    if any(d.term == "count" for d in wrong):
        return None
    return cast_of((d.got, d.should_be) for d in wrong)


def times_wanted(evidence: Evidence, case: Case) -> tuple[Array, Array] | None:
    """The times that a model should be told in a case, and how far each may be off; None where these are not known.

    Args:
        evidence: as measured.
        case: in any dtype.
    """
    wide = evidence.case(case.config, shape=case.shape)
    side = evidence.side_of(wide) if evidence.bundle(wide).problem is None else case
    should_be = evidence.standard.law(side)
    if should_be is None:
        return None
    # Programs work levels out in float32 whatever they run in: what a difference near 1 loses there is no cast.
    is_half = PRECISIONS[side.dtype].is_half
    allowed = time_tolerance(should_be.times) if is_half else evidence.standard.tolerance(side).times
    return should_be.times, allowed


def off_by(evidence: Evidence, case: Case, times: Array) -> Array | None:
    """How far the times of a run are off, in their tolerance; None where these cannot be laid beside those wanted.

    Args:
        evidence: as measured.
        case: that was run.
        times: that the model was told.
    """
    wanted = times_wanted(evidence, case)
    if wanted is None or wanted[0].shape != times.shape:
        return None
    off: Array = abs(times - wanted[0]) / wanted[1]
    return off
