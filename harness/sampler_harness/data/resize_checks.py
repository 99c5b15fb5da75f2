"""The checks of a preprocessing as a picture: how it stands, how it is resampled, how frames are pooled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sampler_harness.subject.preprocessing import PreprocessSubject
from sampler_harness.verdict import Finding

from .evidence import PreprocessEvidence
from .judging import LEVELS, Judged, conclude, reproduction, size_text, skipped, unseen
from .measures import Resampling
from .resampling import nearest_kernel

__all__ = ["check_pooling", "check_resize"]

#: Entries of a resize kernel are read from lines 176 levels high, to half a level: 0.003.
KERNEL = 0.02


def _along(resampling: Resampling, used: int) -> str:
    """A kernel as it was measured, for a person."""
    geometry = resampling.geometry
    if geometry is None:
        return "nothing arrives"
    text = resampling.kernel.name if resampling.is_known else "no known kernel"
    parts = [f"{text}, {geometry.width:.2f} times as wide as exact area averaging"]
    if geometry.unseen:
        parts.append(f"{geometry.unseen} of {used} lines reach no output")
    if abs(geometry.shift) > 0.1:
        parts.append(f"shifted by {geometry.shift:+.2f} pixels of the frame")
    return ", ".join(parts)


def _kernel_told(resampling: Resampling) -> Mapping[str, Any]:
    geometry = resampling.geometry
    return {
        "kernel": resampling.kernel.name if resampling.is_known else "unknown",
        "distance": round(resampling.distance, 4),
        **(
            {}
            if geometry is None
            else {
                "from": round(geometry.start, 2),
                "to": round(geometry.stop, 2),
                "shift": round(geometry.shift, 3),
                "width": round(geometry.width, 3),
                "unseen": geometry.unseen,
            }
        ),
    }


def check_resize(evidence: PreprocessEvidence) -> Finding:
    """The picture stands as it stood and is resampled by the declared kernel."""
    id, subject = "data/resize", evidence.subject
    if (finding := unseen(id, evidence, straight=True)) is not None:
        return finding
    if min(evidence.size) < 8:
        return skipped(id, f"frames of {size_text(evidence.size)} are too small to have a top and a left")
    cause = "data/shape" if evidence.output is not None and _is_swapped(evidence) else None
    if evidence.orientation is None or evidence.rows is None or evidence.columns is None:
        text = "a frame with a bright top half, or a bright left half, has neither afterwards: the picture is lost"
        return conclude(id, [Judged(math.inf, text)], passed="")
    told: dict[str, Any] = {"orientation": evidence.orientation}
    stands = evidence.orientation == "as it stood"
    seen = [
        Judged(
            0.0 if stands else math.inf,
            f"the picture comes out {evidence.orientation}, should stand as it stood",
            evidence={"got": evidence.orientation},
            consequence_of=cause,
        )
    ]
    allowed = KERNEL + evidence.tolerance_in_levels() / 176
    texts = []
    for axis, (name, one) in enumerate((("rows", evidence.rows), ("columns", evidence.columns))):
        n = evidence.size[axis]
        start, stop = (
            (0, n) if subject.crop is None else (subject.crop[axis], subject.crop[axis] + subject.crop[axis + 2])
        )
        told[name] = dict(_kernel_told(one))
        texts.append(f"{name}: {_along(one, n)}")
        seen += _crop_seen(subject, one, name, n, start, stop)
        if subject.resize is not None:
            _, off = nearest_kernel(one.matrix[:, start:stop], subject.resize)
            seen.append(
                Judged(
                    off / allowed,
                    f"{name} are resampled by {_along(one, n)}; should be {subject.resize} (weights differ by up to "
                    f"{off:.2g}){_blurred(one)}",
                    evidence={"axis": name, "off": off},
                    consequence_of=cause,
                )
            )
    if evidence.edges is not None:
        told["checkerboard_contrast_left"] = round(evidence.edges.checkerboard, 4)
        told["overshoot_in_levels"] = round(max(evidence.edges.overshoot, 0.0), 2)
    passed = f"stands as it stood; {'; '.join(texts)}"
    passed += "" if subject.resize is not None else " (resize is not declared: told, not judged)"
    script = reproduction(
        subject,
        f"frame[:{evidence.size[0] // 2}] = {1 if subject.frame_dtype != 'uint8' else 255}",
        "out.squeeze().round(2)",
    )
    return conclude(id, seen, passed=passed, evidence=told, reproduction=script)


def _is_swapped(evidence: PreprocessEvidence) -> bool:
    size, wanted = evidence.output.size if evidence.output else None, evidence.subject.size
    return size is not None and wanted is not None and size != wanted


def _blurred(one: Resampling) -> str:
    if one.geometry is None:
        return ""
    if one.geometry.unseen and one.is_known and one.kernel.family == "nearest":
        return ": pixels are picked, not averaged, so that a ball of one pixel flickers or is never seen"
    return ""


def _crop_seen(subject: PreprocessSubject, one: Resampling, name: str, n: int, start: int, stop: int) -> list[Judged]:
    """The used part of an axis against the declared crop; with nothing declared it is told, not judged."""
    if one.geometry is None or (subject.crop is None and subject.resize is None):
        return []
    scale = (stop - start) / one.matrix.shape[0]
    loose = max(1.5, 0.6 * scale)
    off = max(abs(one.geometry.start - start), abs(one.geometry.stop - stop))
    return [
        Judged(
            # Half a pixel's shift is the kernel's affair; a third of what is allowed is left to it.
            off / (3 * loose) if off <= 3 * loose else off / loose,
            f"of {n} {name} of the frame, {max(one.geometry.start, 0):.1f} to {min(one.geometry.stop, n):.1f} are "
            f"used, should be {start} to {stop}: the picture is cropped or stretched; declare crop=(top, left, "
            "height, width) if it is meant",
            evidence={"axis": name, "got": [one.geometry.start, one.geometry.stop], "should_be": [start, stop]},
        )
    ]


def check_pooling(evidence: PreprocessEvidence) -> Finding:
    """What is in one of the pooled frames only is in the model's input."""
    id, subject = "data/pooling", evidence.subject
    if subject.pooled_frames == 1:
        return skipped(id, "one frame is given at a time")
    if (finding := unseen(id, evidence, straight=True)) is not None:
        return finding
    seen = [
        Judged(
            lost / (LEVELS + evidence.tolerance_in_levels()),
            f"a sprite that only {where} holds comes out {lost:.0f} gray levels darker than one that all hold, should "
            "be the same: take the maximum over the frames (sprites that an Atari draws in every other frame blink)",
            evidence={"frame": where, "lost_in_levels": lost},
        )
        for where, lost in evidence.pooling.items()
    ]
    passed = f"a sprite in any one of {subject.pooled_frames} frames comes out as bright as in all"
    return conclude(id, seen, passed=passed, evidence=dict(evidence.pooling))
