"""From what was seen to the finding of a check of preprocessing or data; what checks of preprocessing share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sampler_harness import judging
from sampler_harness.judging import Failure, Judged, nothing_seen, skipped
from sampler_harness.subject.preprocessing import PreprocessSubject
from sampler_harness.verdict import Finding

from .evidence import PreprocessEvidence

__all__ = [
    "END",
    "LEVELS",
    "Judged",
    "conclude",
    "nothing_seen",
    "reproduction",
    "size_text",
    "skipped",
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

#: What a person reads of one check.
MOST_LINES = 3


def conclude(
    id: str,
    seen: Sequence[Judged],
    *,
    passed: str,
    evidence: Mapping[str, Any] | None = None,
    reproduction: str = "",
    notes: Sequence[str] = (),
) -> Finding:
    """One finding from all comparisons.

    Args:
        id: the check.
        seen: everything that was compared; none is an error.
        passed: what to say when all is well, with what was measured.
        evidence: what was measured, told in either case.
        reproduction: a script that shows a failure; empty where there is none.
        notes: what a reader should know, whether or not the check fails.
    """
    figures = dict(evidence or {})

    def tell(failing: list[Judged]) -> Failure:
        # Causes first; among equals what was compared first.
        ordered = sorted(failing, key=lambda s: s.consequence_of is not None)
        details = dict(figures)
        for one in reversed(ordered):
            details.update(one.evidence)
        lines = [s.message for s in ordered[:MOST_LINES]]
        lines += [f"and {len(ordered) - MOST_LINES} more"] if len(ordered) > MOST_LINES else []
        return Failure("\n".join(lines), details, reproduction, ordered[0].consequence_of)

    why_nothing = "there was nothing to compare"
    return judging.conclude(id, seen, passed=passed, tell=tell, why_nothing=why_nothing, figures=figures, notes=notes)


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
        return skipped(
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
