"""The checks of batches: what only a stream of data shows. A data set that could be sound is told of, never flagged."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sampler_harness.subject.data import DataSubject
from sampler_harness.verdict import Finding

from .batches import DataEvidence
from .judging import Judged, conclude, nothing_seen, skipped
from .measures import range_name
from .patterns import Array

__all__ = [
    "check_channels",
    "check_contrast",
    "check_dtype",
    "check_finite",
    "check_frames",
    "check_normalisation",
]

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
#: Undoing a reshape that never was makes a picture rougher (Atari games: 0.75 times as smooth at most), noise neither;
#: a reshape that was makes colors of neighboring channels neighbors, which are several times farther apart.
CALMER = 1.75
#: Images that must be alike before all are called the same: emulators stand still at their beginning, for seconds.
STILL = 256
#: Batches, and images in each, that must be alike within and differ between them: scenes do not change in step with
#: batches.
IN_STEP = 8
#: Images that must be even before all are called so: screens flash.
EVEN = 64
#: Share of values that are exactly 0: black areas, not chance.
FLOOR = 0.001


def _reproduction(subject: DataSubject) -> str:
    if ":" not in subject.target:
        return ""
    return "\n".join(
        [
            "from sampler_harness.targets import load_subject",
            f"subject = load_subject({subject.target!r})",
            "for batch in subject.function():",
            "    print(type(batch), getattr(batch, 'shape', ''), getattr(batch, 'dtype', ''))",
            "    break",
        ]
    )


def _unseen(id: str, evidence: DataEvidence) -> Finding | None:
    """What keeps a check from judging: no images came."""
    if not evidence.batches or evidence.items == 0:
        return nothing_seen(id, "no images came", consequence_of="data/frames")
    return None


def _no_values(id: str, evidence: DataEvidence) -> Finding | None:
    if (finding := _unseen(id, evidence)) is not None:
        return finding
    if evidence.values.count == 0:
        return nothing_seen(id, "every image holds NaN or infinity", consequence_of="data/finite")
    return None


def check_frames(evidence: DataEvidence) -> Finding:
    """Batches come, hold frames of one size, and the frames are not all the same."""
    id, subject = "data/frames", evidence.subject
    seen = [Judged(math.inf, evidence.problem)] if evidence.problem is not None else []
    batches = evidence.batches
    sizes = sorted({_size(batch.shape, subject.channels, evidence.channels_last) for batch in batches})
    frames = [frame for batch in batches for frame in batch.frames]
    different, flat = len(set(frames)), sum(batch.flat for batch in batches)
    told: dict[str, Any] = {
        "batches": len(batches),
        "images": len(frames),
        "different": different,
        "even": flat,
        "sizes": [list(size) for size in sizes],
    }
    if batches:
        seen += [
            *(
                Judged(math.inf, f"batch {batch.index} holds no images, shape {batch.shape}")
                for batch in batches
                if batch.items == 0
            ),
            *_size_seen(sizes, subject),
            *_sameness_seen(evidence, different, flat),
        ]
    passed = f"{len(frames)} images in {len(batches)} batches, {different} of them different"
    passed += f"; {flat} have one value everywhere" if flat else ""
    passed += "; all are the same, too few to call it a mistake" if different == 1 and len(frames) > 1 else ""
    if batches and len({batch.frames for batch in batches}) == 1 and len(batches) > 1:
        passed += f"; every batch holds the same {len(set(batches[0].frames))} images as the first"
    return conclude(id, seen, passed=passed, evidence=told, reproduction=_reproduction(subject))


def _size(shape: tuple[int, ...], channels: int, last: bool) -> tuple[int, int]:
    height, width = shape[-3:-1] if last and len(shape) > 3 else shape[-2:]
    return int(height), int(width)


def _size_seen(sizes: list[tuple[int, int]], subject: DataSubject) -> list[Judged]:
    shown = ", ".join(f"{height}x{width}" for height, width in sizes[:4])
    seen = [
        Judged(
            0.0 if len(sizes) == 1 else math.inf,
            f"batches hold images of different sizes ({shown}): resize or crop them to one",
        )
    ]
    if subject.size is not None and len(sizes) == 1:
        right = sizes[0] == subject.size
        turned = ": height and width are swapped" if sizes[0] == subject.size[::-1] else ""
        seen.append(
            Judged(
                0.0 if right else math.inf,
                f"images are {shown}, should be {subject.size[0]}x{subject.size[1]}{turned}",
                evidence={} if right else {"got": list(sizes[0]), "should_be": list(subject.size)},
            )
        )
    return seen


def _sameness_seen(evidence: DataEvidence, different: int, flat: int) -> list[Judged]:
    """Streams that no data set gives: one image only, one image through each batch, nothing but even images."""
    batches, items = evidence.batches, evidence.items
    full = [batch for batch in batches if batch.items >= IN_STEP]
    repeated = len(full) >= IN_STEP and all(len(set(batch.frames)) == 1 for batch in full) and different >= 3
    return [
        Judged(
            math.inf if different == 1 and items >= STILL else 0.0,
            f"all {items} images are one and the same: the loader never moves on, or a buffer is handed out that "
            "nothing fills",
        ),
        Judged(
            math.inf if repeated else 0.0,
            f"within each of {len(full)} batches all images are the same: one frame was stacked many times (an "
            "emulator's buffer kept by reference? append frame.copy())",
        ),
        Judged(
            math.inf if flat == items >= EVEN and different > 1 else 0.0,
            f"each of {items} images has one value everywhere: there is nothing in them to learn",
        ),
    ]


def check_channels(evidence: DataEvidence) -> Finding:
    """Each image has the declared channels, in front of height and width."""
    id, subject, values = "data/channels", evidence.subject, evidence.values
    if (finding := _unseen(id, evidence)) is not None:
        return finding
    shape = evidence.batches[0].shape
    got = _channels(shape, evidence)
    told: dict[str, Any] = {"shape": list(shape), "channels": got}
    seen = [
        Judged(
            math.inf if evidence.channels_last else 0.0,
            f"batches have shape {shape}, channels last; should be (batch, channels, height, width): permute(0, 3, 1, "
            "2)",
        ),
        Judged(
            0.0 if got == subject.channels else math.inf,
            f"images have {got} channels (shape {shape}), should have {subject.channels}",
            evidence={} if got == subject.channels else {"got": got, "should_be": subject.channels},
        ),
    ]
    if values.unshuffled.min() > 0 and not evidence.channels_last:
        calmer = float((values.rough / values.unshuffled).min())
        told["smoother_after_undoing_a_reshape"] = round(calmer, 3)
        seen.append(
            Judged(
                calmer / CALMER,
                "read as (height, width, channels) that were reshaped to (channels, height, width), neighbors are "
                f"{calmer:.1f} times as much alike in both directions: use permute(2, 0, 1), a reshape mixes the "
                "colors into the picture",
            )
        )
    passed = f"{got} channels, shape {shape}"
    if got > 1 and values.equal_channels and values.count:
        passed += f"; all {got} are the same in every image (gray pictures)"
    return conclude(id, seen, passed=passed, evidence=told, reproduction=_reproduction(subject))


def _channels(shape: tuple[int, ...], evidence: DataEvidence) -> int:
    if len(shape) == 3:
        return shape[0] if evidence.subject.channels > 1 and shape[0] == evidence.subject.channels else 1
    return shape[-1] if evidence.channels_last else shape[-3]


def check_dtype(evidence: DataEvidence) -> Finding:
    """Each batch has the declared dtype."""
    id, subject = "data/dtype", evidence.subject
    if (finding := _unseen(id, evidence)) is not None:
        return finding
    found = sorted({batch.dtype for batch in evidence.batches})
    told = {"dtypes": found}
    if subject.dtype is None:
        return skipped(id, f"no dtype is declared; measured: {', '.join(found)}", told)
    wrong = [batch for batch in evidence.batches if batch.dtype != subject.dtype]
    which = f"batch {wrong[0].index} has" if wrong and len(wrong) < len(evidence.batches) else "batches have"
    first = wrong[0].dtype if wrong else subject.dtype
    why = {
        "uint8": ": they were never converted and normalised",
        "float64": ": numpy's default was kept, at twice the memory",
        "float16": ": three digits, of which noise levels need more",
        "bfloat16": ": a gray level is two of its steps",
    }.get(first, "")
    seen = [Judged(math.inf if wrong else 0.0, f"{which} dtype {first}, should be {subject.dtype}{why}")]
    return conclude(id, seen, passed=f"all are {subject.dtype}", evidence=told, reproduction=_reproduction(subject))


def check_finite(evidence: DataEvidence) -> Finding:
    """No value is NaN or infinite."""
    id = "data/finite"
    if (finding := _unseen(id, evidence)) is not None:
        return finding
    seen = [Judged(0.0)]
    broken = [batch for batch in evidence.batches if batch.not_finite is not None]
    for batch in broken[:1]:
        assert batch.not_finite is not None
        place, what = batch.not_finite
        seen.append(
            Judged(
                math.inf,
                f"batch {batch.index}, item {place[0]} holds {what} (channel {place[1]}, row {place[2]}, column "
                f"{place[3]}; {len(broken)} of {len(evidence.batches)} batches do): a frame of one value divided by "
                "its own spread, or a corrupt file",
                evidence={"batch": batch.index, "item": place[0], "place": list(place[1:]), "what": what},
            )
        )
    passed = f"{evidence.items} images are finite"
    return conclude(id, seen, passed=passed, evidence={}, reproduction=_reproduction(evidence.subject))


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
    script = _reproduction(subject)
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
            evidence={"got": [values.low, values.high], "should_be": [low, high]} if outside > OUTSIDE else {},
        )
    ]
    if outside <= OUTSIDE:
        seen += [_floor_seen(evidence), _narrow_seen(evidence), _wrap_seen(evidence)]
    return conclude(id, seen, passed=text + _remarks(evidence), evidence=told, reproduction=script)


def _remarks(evidence: DataEvidence) -> str:
    """What looks odd, and a sound data set may have."""
    values, (low, high) = evidence.values, evidence.ends
    parts = []
    if values.outside:
        parts.append(
            f"{values.outside / values.count:.2%} of them lie outside of [{low:g}, {high:g}] (a kernel that "
            "overshoots?)"
        )
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
        evidence={"got": spread, "should_be": 1.0} if border and abs(distance) > border else {},
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
        evidence={"got": [0.0, values.high], "should_be": [low, high]} if enough else {},
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
        evidence={"width_in_levels": width} if narrow else {},
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
        evidence={"jumps": values.jumps, "continued": values.continued} if ratio > 1 else {},
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
            evidence={"got": [values.low, values.high], "should_be": [low, high]} if scaled else {},
            consequence_of=cause,
        )
    ]
    passed = f"{text}; on a grid of which {subject.levels} levels fill {reach:.1%}"
    return conclude(id, seen, passed=passed, evidence=told, reproduction=_reproduction(subject))
