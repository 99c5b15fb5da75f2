"""The best clue that checks and their diagnosis have: the edit, what the runs show, and the line to look at."""

from __future__ import annotations

from sampler_harness.report.words import remedy
from sampler_harness.verdict import Diagnosis, Explanation, Finding, Verdict

from .experiment import Experiment
from .verdict import Step

__all__ = ["clamped", "step_at_fault"]

#: Share of a side's values that are one of its two ends before they are said to be clamped there.
PILED_UP = 0.002


def step_at_fault(name: str, verdict: Verdict, finding: Finding, verdicts: tuple[Verdict, ...]) -> Step:
    """A part of the way whose checks fail.

    Args:
        name: of the part.
        verdict: of its checks.
        finding: the cause in it that comes first.
        verdicts: all of the part.
    """
    told, _, rest = finding.message.partition("\n")
    edit = _edit(verdict.diagnosis)
    edit = "" if edit.rstrip(".").lower() in told.lower() else edit
    where = ""
    if finding.place is not None:
        where = f"Look at {finding.place.told}"
    clue = " ".join(part for part in (edit, where) if part)
    diff = ""
    if verdict.diagnosis is not None and verdict.diagnosis.answers:
        diff = verdict.diagnosis.answers[0].diff
    return Step(
        name, "at fault", f"{finding.id}: {told}", rest, verdicts, clue, diff, remedy(finding).removeprefix("try: ")
    )


def clamped(experiment: Experiment) -> str:
    """That the user's samples pile up at their ends, where the reference's do not, in a sentence; empty otherwise."""
    own, reference = experiment.own.sample, experiment.reference.sample
    if own is None or reference is None:
        return ""
    piled, usual = (float(((one == one.min()) | (one == one.max())).mean()) for one in (own, reference))
    if piled < PILED_UP or usual >= PILED_UP:
        return ""
    share = f"{100 * piled:.1f} % of your samples' values"
    return f"{share} are exactly {own.min():.4g} or {own.max():.4g}, the reference's are not: they are clamped there."


def _edit(diagnosis: Diagnosis | None) -> str:
    """What is done in place of the reference, in a sentence; nothing is claimed that the diagnosis is not sure of."""
    if diagnosis is None:
        return ""
    if diagnosis.answers:
        first = diagnosis.answers[0]
        summary = f"{first.summary[:1].upper()}{first.summary[1:]}".rstrip(".")
        lines = _lines(first)
        summary += f": {lines}" if lines else ""
        if diagnosis.exact:
            return f"{summary}."
        if diagnosis.repairs:
            return _repair(diagnosis)
        return f"Perhaps (not sure): {summary}." if len(diagnosis.answers) == 1 else f"One of several: {summary}."
    if diagnosis.repairs:
        return _repair(diagnosis)
    if not diagnosis.observed:
        return ""
    seen = diagnosis.observed[0].rstrip(".")
    return f"{seen[:1].upper()}{seen[1:]}."


def _repair(diagnosis: Diagnosis) -> str:
    told = diagnosis.repairs[0].summary
    return f"{told[:1].upper()}{told[1:]}."


def _lines(answer: Explanation) -> str:
    """The lines that differ, where they are few and short."""
    told = []
    for edit in answer.edits[:2]:
        reference, own = (" ".join(text.split("#")[0].split()) for text in (edit.reference, edit.sampler))
        told.append(f"`{own}` where it has `{reference}`" if own and reference else f"`{own or reference}`")
        if not own:
            told[-1] = f"without `{reference}`"
        elif not reference:
            told[-1] = f"with `{own}` added"
    text = "; ".join(told)
    return text if len(text) <= 240 else ""
