"""How a model is told its times, and whether they went through a cast."""

from __future__ import annotations

import numpy as np

from sampler_harness.law.casts import cast_of
from sampler_harness.observe.trace import Run

from .evidence import Evidence

__all__ = ["cast_of_times", "time_shape_problem"]


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
