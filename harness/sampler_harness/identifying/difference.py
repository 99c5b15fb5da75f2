"""By how much a sampler is not a configuration, and where first."""

from __future__ import annotations

from typing import Any

from sampler_harness.law.comparison import Deviation, compare
from sampler_harness.law.tolerance import PRECISIONS, tolerance_of
from sampler_harness.observe.learned_variance import learned_variance

from .fitting import agreement, law_of
from .observed import Observed

__all__ = ["differences"]

#: Of the causes that are told.
_SHOWN = 3


def differences(seen: Observed, config: Any) -> tuple[str, ...]:
    """Sentences on what differs, the first first; on what is left where the coefficients agree.

    Args:
        seen: the sampler's runs.
        config: that comes nearest.
    """
    law = law_of(config)
    if law is None:
        return ()
    dtype = seen.case.dtype if seen.case.dtype in PRECISIONS else "float32"
    found = compare(seen.law, law, tolerance_of(config, dtype, learned_variance(config)))
    causes = [one for one in found if one.ratio > 1.0 and not one.consequence]
    if not causes:
        clamps = "" if seen.is_affine else ": at large values it clamps, or divides by a size, which this does not"
        return (f"small values agree{clamps}",)
    causes.sort(key=lambda one: (one.row, one.term != "time"))
    many = f"; {len(causes)} entries differ for themselves" if len(causes) > 1 else ""
    share = f"it has {agreement(seen, config):.0%} of that one's weights{many}"
    return (share, *(_told(one, law.num_calls) for one in causes[:_SHOWN]))


def _told(one: Deviation, calls: int) -> str:
    where = "the returned sample" if one.row == calls else f"the input of model call {one.row}"
    values = f"{one.got:.6g}, there {one.should_be:.6g}"
    match one.term:
        case "count":
            return f"it calls its model {one.got:.0f} times, that one {one.should_be:.0f}"
        case "time":
            return f"model call {one.row} is told {values}"
        case "initial-noise":
            return f"the first model input has std {values}"
        case "outputs" if one.column < 0:
            return f"in {where} the input before it weighs {values}"
        case "outputs":
            return f"in {where} the output of call {one.column} weighs {values}"
        case "noise":
            return f"in {where} noise that came in at row {one.column} has std {values}"
        case _:
            return f"in {where} the constant is {values}"
