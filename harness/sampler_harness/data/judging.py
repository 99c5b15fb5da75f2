"""From what was seen to the finding of a check of preprocessing or data; what checks of preprocessing share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sampler_harness.verdict import Finding

from .declare import PreprocessSubject
from .evidence import PreprocessEvidence

__all__ = [
    "END",
    "LEVELS",
    "Seen",
    "conclude",
    "not_applicable",
    "nothing_seen",
    "reproduction",
    "size_text",
    "unseen",
    "white_line",
]

# Note [Tolerances in gray levels]
# A published preprocessing rounds to integers at most three times (gray, resize, quantise), half a level each: 1.5
# levels, so that three times that, 4.5, is what no rounding reaches and 1.5 stays at a third. What is wrong is off by
# far more: gamma 2.2 by 73 levels, [0,1] for [-1,1] by 128, Rec.709 for Rec.601 by 33.
LEVELS = 4.5
#: Share of the declared range by which an end may be off: four gray levels. Dividing by 256 is off by one.
END = 1 / 64

#: JSON has no infinity; a difference that no tolerance measures is told as this.
LARGEST_MARGIN = 1e9
#: What a person reads of one check.
MOST_LINES = 3


@dataclass(frozen=True)
class Seen:
    """One comparison of a check.

    Attributes:
        ratio: deviation over tolerance; above 1 fails, infinity where there is no number for it.
        message: what was seen and what should be, for a person.
        evidence: got, should_be, where.
        consequence_of: the check whose failure explains this.
    """

    ratio: float
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    consequence_of: str | None = None


def not_applicable(id: str, reason: str, evidence: Mapping[str, Any] | None = None) -> Finding:
    """The check does not apply; says why, and what was measured all the same."""
    return Finding(id, "skipped", reason, dict(evidence or {}))


def nothing_seen(id: str, why: str, *, consequence_of: str | None = None) -> Finding:
    """The check applies but had nothing to judge: an error, never a pass."""
    return Finding(id, "error", f"saw nothing: {why}", consequence_of=consequence_of)


def conclude(
    id: str,
    seen: Sequence[Seen],
    *,
    passed: str,
    evidence: Mapping[str, Any],
    reproduction: str,
) -> Finding:
    """One finding from all comparisons.

    Args:
        id: the check.
        seen: everything that was compared; none is an error.
        passed: what to say when all is well, with what was measured.
        evidence: what was measured, told in either case.
        reproduction: a script that shows a failure.
    """
    if not seen:
        return nothing_seen(id, "there was nothing to compare")
    margin = min(max(s.ratio if math.isfinite(s.ratio) else LARGEST_MARGIN for s in seen), LARGEST_MARGIN)
    failing = [s for s in seen if not s.ratio <= 1.0]
    if not failing:
        return Finding(id, "passed", passed, dict(evidence), margin=margin)
    # Causes first; among equals what was compared first.
    failing.sort(key=lambda s: s.consequence_of is not None)
    causes = [s for s in failing if s.consequence_of is None]
    details = dict(evidence)
    for one in reversed(failing):
        details.update(one.evidence)
    lines = [s.message for s in failing[:MOST_LINES]]
    lines += [f"and {len(failing) - MOST_LINES} more"] if len(failing) > MOST_LINES else []
    return Finding(
        id,
        "failed",
        "\n".join(lines),
        details,
        margin=margin,
        consequence_of=None if causes else failing[0].consequence_of,
        reproduction=reproduction,
    )


def reproduction(subject: PreprocessSubject, frame: str, shown: str) -> str:
    """A script that shows what a failing check saw, with a literal frame."""
    if ":" not in subject.target or subject.frame_as != "array" or subject.pooled_frames > 1:
        return ""
    lines = [
        "import numpy as np",
        "from sampler_harness.targets import load_subject",
        f"subject = load_subject({subject.target!r})",
        f"frame = np.zeros({subject.frame_shape}, dtype={subject.frame_dtype!r})",
        frame,
        "out = np.asarray(subject.function(frame))",
        f"print({shown})",
    ]
    return "\n".join(line for line in lines if line)


def white_line(subject: PreprocessSubject) -> str:
    """The script's line that makes its frame white."""
    return "frame[...] = 255" if subject.frame_dtype == "uint8" else "frame[...] = 1"


def unseen(id: str, evidence: PreprocessEvidence, *, straight: bool = False) -> Finding | None:
    """What keeps a check from judging: the function failed, its picture cannot be read, or its curve is not one."""
    if evidence.problem is not None or evidence.not_finite or evidence.repeats_off:
        return nothing_seen(id, "the preprocessing could not be measured", consequence_of="data/shape")
    if not evidence.tones:
        return not_applicable(
            id,
            "the model gets latents, in which no picture can be read: take the autoencoder as a keyword-only "
            f"argument, def {evidence.subject.name}(frame, *, autoencoder), and a stand-in is passed",
        )
    if straight and not evidence.is_straight:
        return nothing_seen(
            id, "different grays become one, so that colors and places mean nothing", consequence_of="data/gamma"
        )
    return None


def size_text(size: tuple[int, int]) -> str:
    """Height and width for a person."""
    return f"{size[0]}x{size[1]}"
