"""What a deviation does to samples, in closed form from the two laws: where it starts, how much variance and detail."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sampler_harness import judging
from sampler_harness.detail.retention import RetentionUnavailable, power_law, retention

from .target import Target

__all__ = ["consequences"]

#: Side of the frames that detail is told for, in pixels: game frames as world models see them.
SIDE = 84
#: Changes below these are not worth a line.
OF_SCALE = 1e-3
OF_POWER = 0.005
#: Shares above this are told as factors.
TIMES = 10.0


def consequences(targets: Sequence[Target]) -> tuple[str, ...]:
    """Sentences on the case that shows most of a run.

    Args:
        targets: the sampler's cases; those with the most steps tell most.
    """
    failing = [t for t in targets if t.reference_ratio > 1 and t.law.num_calls == t.reference_law.num_calls]
    if not failing:
        return ()
    target = max(failing, key=lambda t: (t.law.num_calls <= 60, min(t.law.num_calls, 60)))
    lines = []
    got, should_be = (float(np.linalg.norm(law.factor[0])) for law in (target.law, target.reference_law))
    if abs(got - should_be) > OF_SCALE * should_be:
        lines.append(
            f"in {target.config} the first model input has standard deviation {got:.4g}, should be {should_be:.4g}"
        )
    try:
        spectrum = power_law(SIDE, SIDE)
        with np.errstate(all="ignore"):
            own, reference = (retention(law, spectrum, target.config) for law in (target.law, target.reference_law))
    except (RetentionUnavailable, ValueError, ArithmeticError):
        return tuple(lines)
    weight = spectrum.power * spectrum.count
    variance = [float((one.kept * weight).sum() / weight.sum()) for one in (own, reference)]
    where = f"in {judging.told(target.config)}, for frames of {SIDE} pixels with a natural spectrum"
    parts = []
    if _differ(*variance):
        held = _share(variance[0], "the data's variance")
        parts.append(f"samples have {held} (reference {_percent(variance[1])})")
    if _differ(own.octaves[0], reference.octaves[0]):
        kept = f"{_share(own.octaves[0], f'its detail of {own.names[0]}')} (reference {_percent(reference.octaves[0])})"
        parts.append(kept)
    if parts:
        lines.append(f"{' and '.join(parts)}, {where}")
    return tuple(lines)


def _differ(got: float, should_be: float) -> bool:
    return not math.isfinite(got) or abs(got - should_be) > OF_POWER * max(should_be, 1e-9)


def _share(share: float, of: str) -> str:
    """``63.6% of the data's variance``, ``27 times the data's variance``; no share where it is no number."""
    if not math.isfinite(share):
        return f"{of} beyond all measure"
    return f"{_percent(share)} {of}" if share > TIMES else f"{_percent(share)} of {of}"


def _percent(share: float) -> str:
    return f"{share:.3g} times" if share > TIMES else f"{share:.1%}"
