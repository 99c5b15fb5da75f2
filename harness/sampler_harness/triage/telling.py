"""The answer as lines for a terminal, and figures as a person reads them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from .verdict import DETAIL, TriageVerdict, last_run

__all__ = ["kept_text", "render", "share_text"]

WIDTH = 118
#: Shares up to this are percent; beyond, nobody reads 2673 %.
PERCENT = 2.0


def share_text(share: float) -> str:
    """A share of power for a person: ``96 %``, ``27 times``."""
    if not math.isfinite(share) or share >= 9_999.5:
        return "more than 10,000 times"
    if share > PERCENT:
        return f"{share:,.0f} times" if share >= 9.95 else f"{share:.1f} times"
    return "less than 1 %" if 0 < share < 0.005 else f"{share:.0%}".replace("%", " %")


def kept_text(kept: Sequence[float] | None, names: Sequence[str]) -> str:
    """How much of each octave of detail samples have: ``96 % of 2 to 4 px, 27 times the power of 4 to 8 px``."""
    if kept is None:
        return "no samples"
    shown = zip(names[:DETAIL], kept, strict=False)
    return ", ".join(f"{share_text(share)}{' the power' if share > PERCENT else ''} of {name}" for name, share in shown)


def render(verdict: TriageVerdict) -> list[str]:
    """The answer as lines for a terminal."""
    lines = [*_wrapped(verdict.summary, 0), ""]
    width = max(len(step.state) for step in verdict.steps)
    for step in verdict.steps:
        name = "model" if step.name == "capacity" else step.name
        lines += _wrapped(f"{name:9} {step.state:{width}}  {step.headline}", 2, 14 + width)
        if step.clue and step.state in ("at fault", "remark"):
            lines += _wrapped(step.clue, 14 + width)
    lines += ["", *_wrapped(f"ran: {verdict.configuration}", 2), *_wrapped(f"frames: {verdict.units}", 2)]
    lines += [line for note in verdict.notes for line in _wrapped(f"note: {note}", 2)]
    lines += [*(f"      {row}".rstrip() for row in ["", *verdict.diff.splitlines()] if verdict.diff)]
    lines += _table(verdict)
    if verdict.advice:
        lines += ["", "  what to do next"]
        lines += [line for number, one in enumerate(verdict.advice, 1) for line in _wrapped(f"{number}. {one}", 4)]
    return lines


def _wrapped(text: str, indent: int, further: int | None = None) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2 if further is None else further),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _table(verdict: TriageVerdict) -> list[str]:
    """Detail and denoising error of each checkpoint."""
    names = verdict.octaves[:DETAIL]
    lines = ["", "  power that samples have over the data's (own / reference), and denoising error by noise level"]
    errors = [f"{one.sigma:.2g}" for one in last_run(verdict.stages).errors]
    head = "".join(f"{name:>16}" for name in names)
    lines.append(f"  {'checkpoint':16}{head}   " + "".join(f"{e:>8}" for e in errors))
    for stage in verdict.stages:
        label = (stage.name or "the model")[:16]
        if stage.experiment is None:
            lines += _wrapped(f"{label:16}{stage.problem}", 2)
            continue
        own, reference = stage.experiment.kept_own, stage.experiment.kept_reference
        cells = "".join(f"{_cell(own, n) + ' / ' + _cell(reference, n):>16}" for n in range(len(names)))
        lines.append(f"  {label:16}{cells}   " + "".join(f"{e.relative:8.3g}" for e in stage.errors))
    lines.append(
        f"  {'linear filter':16}{'':{16 * len(names)}}   " + "".join(f"{e:8.3g}" for e in verdict.linear_errors)
    )
    return lines


def _cell(kept: Sequence[float] | None, place: int) -> str:
    if kept is None:
        return "none"
    share = kept[place]
    return f"{share:.2f}" if share < 100 else f"{share:.1e}"
