"""The checks of batches as they come: frames, channels, dtype and finite values. What could be sound is only told."""

from __future__ import annotations

import math
from typing import Any

from sampler_harness.subject.data import DataSubject
from sampler_harness.verdict import Finding

from .batches import Batch, DataEvidence
from .judging import Judged, conclude, nothing_seen, skipped

__all__ = [
    "check_channels",
    "check_dtype",
    "check_finite",
    "check_frames",
    "reproduction",
    "unseen",
]

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


def reproduction(subject: DataSubject) -> str:
    """A script that shows what comes."""
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


def unseen(id: str, evidence: DataEvidence) -> Finding | None:
    """What keeps a check from judging: no images came."""
    if not evidence.batches or evidence.items == 0:
        return nothing_seen(id, "no images came", consequence_of="data/frames")
    return None


def check_frames(evidence: DataEvidence) -> Finding:
    """Batches come, hold frames of one size, and the frames are not all the same."""
    id, subject = "data/frames", evidence.subject
    seen = [Judged(math.inf, evidence.problem)] if evidence.problem is not None else []
    batches = evidence.batches
    sizes = sorted({_size(batch.shape, evidence.channels_last) for batch in batches})
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
            *(_size_seen(sizes, subject) if subject.horizon is None else _horizon_seen(batches, subject.horizon)),
            *_sameness_seen(evidence, different, flat),
        ]
    what = _noun(subject)
    passed = f"{len(frames)} {what} in {len(batches)} batches, {different} of them different"
    passed += f"; {flat} have one value everywhere" if flat else ""
    passed += "; all are the same, too few to call it a mistake" if different == 1 and len(frames) > 1 else ""
    if batches and len({batch.frames for batch in batches}) == 1 and len(batches) > 1:
        passed += f"; every batch holds the same {len(set(batches[0].frames))} images as the first"
    return conclude(id, seen, passed=passed, evidence=told, reproduction=reproduction(subject))


def _noun(subject: DataSubject) -> str:
    return "images" if subject.horizon is None else "sequences"


def _horizon_seen(batches: list[Batch], horizon: int) -> list[Judged]:
    """Sequences have the declared number of time steps."""
    wrong = [batch for batch in batches if batch.items and batch.shape[1] != horizon]
    if not wrong:
        return [Judged(0.0)]
    got = wrong[0].shape[1]
    swapped = ": time and channels are swapped" if wrong[0].shape[2] == horizon else ""
    message = (
        f"sequences of batch {wrong[0].index} have {got} time steps (shape {wrong[0].shape}), should have "
        f"{horizon}{swapped}"
    )
    return [Judged(math.inf, message, evidence={"got": got, "should_be": horizon})]


def _size(shape: tuple[int, ...], last: bool) -> tuple[int, int]:
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
                evidence={"got": list(sizes[0]), "should_be": list(subject.size)},
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
    if (finding := unseen(id, evidence)) is not None:
        return finding
    # One batch with others is enough, wherever it comes.
    shapes = [batch.shape for batch in evidence.batches if batch.items]
    shape = next((one for one in shapes if _channels(one, evidence) != subject.channels), shapes[0])
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
            f"{_noun(subject)} have {got} channels (shape {shape}), should have {subject.channels}"
            f"{_hint(shape, subject)}",
            evidence={"got": got, "should_be": subject.channels},
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
    return conclude(id, seen, passed=passed, evidence=told, reproduction=reproduction(subject))


def _hint(shape: tuple[int, ...], subject: DataSubject) -> str:
    """What else a batch of three axes may be."""
    if len(shape) != 3 or subject.horizon is not None or subject.channels == 1:
        return ""
    return f"; sequences (batch, time, channels) are declared with horizon={shape[1]}, channels={shape[2]}"


def _channels(shape: tuple[int, ...], evidence: DataEvidence) -> int:
    if evidence.subject.horizon is not None:
        return shape[2]
    if len(shape) == 3:
        return shape[0] if evidence.subject.channels > 1 and shape[0] == evidence.subject.channels else 1
    return shape[-1] if evidence.channels_last else shape[-3]


def check_dtype(evidence: DataEvidence) -> Finding:
    """Each batch has the declared dtype."""
    id, subject = "data/dtype", evidence.subject
    if (finding := unseen(id, evidence)) is not None:
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
    return conclude(id, seen, passed=f"all are {subject.dtype}", evidence=told, reproduction=reproduction(subject))


def check_finite(evidence: DataEvidence) -> Finding:
    """No value is NaN or infinite."""
    id = "data/finite"
    if (finding := unseen(id, evidence)) is not None:
        return finding
    seen = [Judged(0.0)]
    broken = [batch for batch in evidence.batches if batch.not_finite is not None]
    for batch in broken[:1]:
        assert batch.not_finite is not None
        place, what = batch.not_finite
        inside = f"row {place[2]}, column {place[3]}" if evidence.subject.horizon is None else f"time step {place[3]}"
        seen.append(
            Judged(
                math.inf,
                f"batch {batch.index}, item {place[0]} holds {what} (channel {place[1]}, {inside}; {len(broken)} of "
                f"{len(evidence.batches)} batches do): a frame of one value divided by its own spread, or a corrupt "
                "file",
                evidence={"batch": batch.index, "item": place[0], "place": list(place[1:]), "what": what},
            )
        )
    passed = f"{evidence.items} {_noun(evidence.subject)} are finite"
    return conclude(id, seen, passed=passed, reproduction=reproduction(evidence.subject))
