"""The checks of the values in batches: their range and their contrast. What could be sound is only told."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sampler_harness.verdict import Finding

from .batch_checks import reproduction, unseen
from .batches import DataEvidence
from .judging import Judged, conclude, nothing_seen, skipped
from .measures import range_name
from .patterns import Array

__all__ = ["check_contrast", "check_normalisation"]

# Note [What a sound data set may look like]
# Dark games of two gray values, black frames at an episode's start, binary masks, still scenes and data that fill a
# part of their range are all sound. So nothing is judged by how often a value occurs or how much of the range is
# used; what fails is what 256 gray levels in the declared range cannot give: values far outside, values between the
# levels where there should be a level, more values than there are levels, jumps that only a wrap-around makes smooth.

#: Share of the range by which a value may lie outside of it, on average over all values. Kernels overshoot edges, by a
#: fifth of the range and where an edge is: 0.005 on average. Data of mean 0 and spread 1 in [-1,1] has 0.08.
OUTSIDE = 0.03
#: Fewer different values than this tell nothing of the grid that they stand on.
FEW = 8
#: Values this near to a grid stand on it, in steps; float32 moves a level by 1e-4 of a step.
ON_GRID = 0.02
#: All data within this many gray levels: three of 256 levels fit, data divided twice has all 256 there.
NARROW = 2.05
#: A wrap-around makes a line of jumps; fewer than this may be chance.
MANY_JUMPS = 64
#: Share of jumps that go on smoothly modulo 256: edges of real pictures do so by chance only.
CONTINUED = 0.25
#: Share of values that are exactly 0: black areas, not chance.
FLOOR = 0.001


def _no_values(id: str, evidence: DataEvidence) -> Finding | None:
    if (finding := unseen(id, evidence)) is not None:
        return finding
    if evidence.values.count == 0:
        return nothing_seen(id, "every image holds NaN or infinity", consequence_of="data/finite")
    return None


def check_normalisation(evidence: DataEvidence) -> Finding:
    """The values are those that the declared range gives to gray levels; scaled latents have a spread of about one."""
    id, subject, values = "data/normalisation", evidence.subject, evidence.values
    if (finding := _no_values(id, evidence)) is not None:
        return finding
    told: dict[str, Any] = {
        "low": values.low,
        "high": values.high,
        "mean": values.total / values.count,
        "spread": values.spread,
        "different_values": None if values.distinct is None else len(values.distinct),
    }
    text = f"values run from {values.low:.4g} to {values.high:.4g}, with a spread of {values.spread:.3g}"
    script = reproduction(subject)
    if subject.latent_scale is not None:
        return conclude(id, [_latent_seen(evidence)], passed=text, evidence=told, reproduction=script)
    if subject.range is None:
        return skipped(id, f"no range is declared; measured: {text}", told)
    low, high = subject.range
    outside = values.excess / values.count / (high - low)
    seen = [
        Judged(
            outside / OUTSIDE,
            f"{text}, far outside of [{low:g}, {high:g}] ({range_name(values.low, values.high)}): the sampler works "
            f"in [{low:g}, {high:g}], where its noise levels and its clip are right",
            evidence={"got": [values.low, values.high], "should_be": [low, high]},
        )
    ]
    if outside <= OUTSIDE:
        seen += [_floor_seen(evidence), _narrow_seen(evidence), _wrap_seen(evidence)]
    return conclude(id, seen, passed=text + _remarks(evidence), evidence=told, reproduction=script)


def _remarks(evidence: DataEvidence) -> str:
    """What looks odd, and a sound data set may have."""
    values, (low, high) = evidence.values, evidence.ends
    parts = []
    pictures = evidence.subject.horizon is None
    if values.outside:
        why = " (a kernel that overshoots?)" if pictures else ""
        parts.append(f"{values.outside / values.count:.2%} of them lie outside of [{low:g}, {high:g}]{why}")
    if not pictures:
        return "".join(f"; {part}" for part in parts)
    if low < 0 <= values.low:
        parts.append(
            f"none is below 0 though the range begins at {low:g}: bright data does so, and data in [0, {high:g}]"
        )
    elif low == 0 and values.high < high / 2:
        parts.append("all are in the lower half: dark data does so, and data that lost contrast")
    return "".join(f"; {part}" for part in parts)


def _latent_seen(evidence: DataEvidence) -> Judged:
    """The scale is one over the latents' spread: forgotten or applied twice, the spread is off by the scale itself.

    The border lies half way, on a logarithmic axis: for 0.18215 a spread between 0.43 and 2.3 passes.
    """
    scale, spread = evidence.subject.latent_scale, evidence.values.spread
    assert scale is not None
    distance = math.log(spread) if spread > 0 else -math.inf
    border = abs(math.log(scale)) / 2
    unscaled = (distance > 0) == (scale < 1)
    what = "the scale is forgotten" if unscaled else "the scale is applied twice"
    return Judged(
        abs(distance) / border if border else 0.0,
        f"latents have a spread of {spread:.3g}, should be about 1 after a scale of {scale:g}: {what}",
        evidence={"got": spread, "should_be": 1.0},
    )


def _floor_seen(evidence: DataEvidence) -> Judged:
    """[0, high] where [low, high] with low < 0 was declared.

    No gray level of 256 becomes 0 in [-1,1] (it would be level 127.5). Data whose lowest value is exactly 0, in whole
    areas, with many values above, some of them between the declared range's levels, is not mapped.
    """
    values, (low, high) = evidence.values, evidence.ends
    levels = evidence.subject.levels
    message = (
        f"values run from exactly 0 to {values.high:.4g}, and 0 is no gray level of [{low:g}, {high:g}]: the data is "
        f"in [0, {high:g}] and was not mapped to [{low:g}, {high:g}] (x * 2 - 1 is missing): samples wash out"
    )
    if levels is None or not low < 0 or values.low != 0.0 or values.at_floor < FLOOR * values.count:
        return Judged(0.0)
    step = (high - low) / (levels - 1)
    if abs(-low / step - round(-low / step)) < 0.25:
        return Judged(0.0)
    if values.distinct is None:
        return Judged(math.inf, message, evidence={"got": [0.0, values.high], "should_be": [low, high]})
    # On the grid of [0, high], of which every other level lies between two of the declared range; or off any grid.
    own, place = values.distinct / (high / (levels - 1)), (values.distinct - low) / step
    between = int((np.abs(place - np.rint(place)) > 0.25).sum())
    stands = float(np.abs(own - np.rint(own)).max()) <= ON_GRID and len(own) >= FEW and between >= FEW / 2
    enough = stands or len(own) > levels
    return Judged(
        math.inf if enough else 0.0,
        message,
        evidence={"got": [0.0, values.high], "should_be": [low, high]},
    )


def _narrow_seen(evidence: DataEvidence) -> Judged:
    """More different values within two gray levels than levels: divided twice."""
    values, (low, high), levels = evidence.values, evidence.ends, evidence.subject.levels
    if levels is None:
        return Judged(0.0)
    width = (values.high - values.low) / (high - low) * (levels - 1)
    several = values.distinct is None or len(values.distinct) >= FEW
    narrow = width <= NARROW and several
    count = str(len(values.distinct)) if values.distinct is not None else "thousands of"
    return Judged(
        math.inf if narrow else 0.0,
        f"all values lie between {values.low:.6g} and {values.high:.6g}, {width:.2g} gray levels apart, and there are "
        f"{count} different ones: the data was divided by {levels - 1} twice",
        evidence={"width_in_levels": width},
    )


def _wrap_seen(evidence: DataEvidence) -> Judged:
    """Jumps over the whole range that are smooth modulo 256: integers wrapped around."""
    values = evidence.values
    share = values.continued / values.jumps if values.jumps else 0.0
    ratio = share / CONTINUED if values.continued >= MANY_JUMPS else 0.0
    return Judged(
        ratio,
        f"{values.continued} of {values.jumps} jumps between black and white go on smoothly if 255 is followed by 0: "
        "integers wrapped around (arithmetic in uint8: convert to float first, or clamp)",
        evidence={"jumps": values.jumps, "continued": values.continued},
    )


def _grid(distinct: Array) -> tuple[float, int] | None:
    """Step of the even grid that all values stand on, and how many steps it has; None where there is none."""
    gaps = np.diff(distinct)
    gaps = gaps[gaps > 1e-4 * float(np.ptp(distinct)) / 255]
    if len(gaps) < 2:
        return None
    steps = round(float(np.ptp(distinct)) / float(gaps.min()))
    step = float(np.ptp(distinct)) / steps
    place = (distinct - distinct[0]) / step
    return (step, steps) if np.abs(place - np.rint(place)).max() <= ON_GRID else None


def check_contrast(evidence: DataEvidence) -> Finding:
    """The 256 gray levels of the source span the declared range."""
    id, subject, values = "data/contrast", evidence.subject, evidence.values
    if (finding := _no_values(id, evidence)) is not None:
        return finding
    if subject.range is None or subject.levels is None:
        what = "range" if subject.range is None else "number of gray levels"
        return skipped(id, f"no {what} is declared")
    low, high = subject.range
    filled = (values.high - values.low) / (high - low)
    told: dict[str, Any] = {"share_of_range": filled}
    grid = None if values.distinct is None else _grid(values.distinct)
    text = f"values fill {filled:.1%} of the range"
    if grid is None or values.distinct is None or len(values.distinct) < FEW:
        why = "too few different values" if values.distinct is not None and len(values.distinct) < FEW else "no grid"
        return skipped(id, f"{text}; how much the source's levels would fill cannot be told ({why})", told)
    step, steps = grid
    reach = step * (subject.levels - 1) / (high - low)
    told.update({"step": step, "share_of_all_levels": reach, "steps": steps})
    cause = "data/normalisation" if check_normalisation(evidence).outcome == "failed" else None
    # A source of more bits, or averages of levels, has a finer grid too: 255 steps from end to end it has not.
    scaled = steps == subject.levels - 1 and len(values.distinct) >= subject.levels / 4 and abs(reach - 1) > 1 / 64
    seen = [
        Judged(
            abs(reach - 1) * 64 if scaled else 0.0,
            f"the data stands on {subject.levels} levels from {values.low:.4g} to {values.high:.4g}: {reach:.1%} of "
            f"the range [{low:g}, {high:g}], should be all of it: contrast is lost by a factor of {reach:.3g}",
            evidence={"got": [values.low, values.high], "should_be": [low, high]},
            consequence_of=cause,
        )
    ]
    passed = f"{text}; on a grid of which {subject.levels} levels fill {reach:.1%}"
    return conclude(id, seen, passed=passed, evidence=told, reproduction=reproduction(subject))
