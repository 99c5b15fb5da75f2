"""What a sampler is like, whatever it is called: calls, draws, levels, memory."""

from __future__ import annotations

import numpy as np

from sampler_harness.law.clamped import told_bounds

from .observed import Observed
from .steps import Steps

__all__ = ["likeness"]

#: More times than these are told by their ends.
_ALL = 6


def likeness(seen: Observed) -> tuple[str, ...]:
    """Sentences on a run.

    Args:
        seen: the runs with one number of steps.
    """
    steps = Steps(seen.law)
    lines = [_calls(seen, steps), _told(seen.law.times), _draws(steps)]
    if seen.end is not None:
        lines.append(f"the finished sample is clamped to {told_bounds(seen.end)[0]}")
    elif not seen.is_affine:
        where = "" if seen.first_bent is None else f", first in {_row(seen.first_bent, seen.law.num_calls)}"
        lines.append(f"large values do not do what small ones do{where}: it clamps, or divides by a size")
    if float(np.abs(seen.law.offset).max(initial=0.0)) > 0:
        lines.append("a constant is added")
    return (*lines, *([seen.uneven] if seen.uneven else []))


def _row(row: int, calls: int) -> str:
    return "the returned sample" if row == calls else f"the input of model call {row}"


def _calls(seen: Observed, steps: Steps) -> str:
    calls = seen.law.num_calls
    many = f"{calls} model call{'s' if calls > 1 else ''} where {seen.steps} steps are asked for"
    if steps.is_single:
        return f"{many}, one a step: each step is made of x, the model's output and nothing older"
    if steps.in_groups(2) is not None:
        return f"{many}, two a step"
    if steps.in_groups(4) is not None:
        return f"{many}, four a step"
    if steps.memory is not None:
        back = "the call before it" if steps.memory == 1 else f"{steps.memory} calls before it"
        return f"{many}; a step is made of the latest call and of {back} (a multistep method)"
    return f"{many}; its steps are not made of the last few calls alone"


def _told(times: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    shown = [f"{time:.6g}" for time in times]
    if len(shown) > _ALL:
        shown = [*shown[:3], "…", *shown[-2:]]
    ways = {1.0: "rising", -1.0: "falling", 0.0: "the same"}
    signs = {float(sign) for sign in np.sign(np.diff(times))}
    # A level at which a step ends and the next one begins is told twice in a row.
    signs = signs if len(signs) == 1 else signs - {0.0}
    way = ways[signs.pop()] if len(signs) == 1 else "not in one direction"
    return f"the model is told {', '.join(shown)}{f' ({way})' if len(times) > 1 else ''}"


def _draws(steps: Steps) -> str:
    law = steps.law
    start = f"the first model input has std {abs(float(law.factor[0, 0])):.6g}" if 0 in law.opened else "no first noise"
    if not steps.drawn:
        return f"{start}; nothing is drawn on the way: it is deterministic from there"
    many = f"fresh noise comes in at {len(steps.drawn)} of {law.num_calls} rows behind it"
    return f"{start}; {many}{', behind the last call too' if law.num_calls in steps.drawn else ''}"
