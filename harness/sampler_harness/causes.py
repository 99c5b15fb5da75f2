"""Which failures of a sampler, a training step or a grid are one: one cause, which each check sees in its own way."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from .verdict import Diagnosis, Finding

__all__ = ["together"]

#: What is read off a law; a single change of the reference that has the sampler's law explains all of it.
_OF_THE_LAW = frozenset(
    (
        "law/times",
        "law/initial-noise",
        "law/outputs",
        "law/noise",
        "law/offset",
        "clip/replay",
        "shape/any",
        "steps/any",
        "limit/gaussian",
        "limit/order",
    )
)
#: What is seen of a value that is made wrongly in one line.
_OF_A_LINE = _OF_THE_LAW | {"noise/shape", "shape/batch", "precision/dtype"}
#: What is read off a training step's law. A line that is named of it is one whose value makes all of that right, or by
#: which alone it is wrong.
_OF_A_STEP = frozenset(
    (
        "training/time-distribution",
        "training/noise-matches-target",
        "training/forward-backward-consistent",
        "training/target",
        "training/weight",
        "training/shape",
    )
)
#: What is read off a grid's levels.
_OF_A_GRID = frozenset(("grid/finite", "grid/length", "grid/order", "grid/first-level", "grid/end", "grid/levels"))
#: What is read off the draws, and what follows from one that is not seen.
_OF_NOISE = ("law/initial-noise", "law/noise", "law/offset")
#: What else differs from run to run where noise is drawn that is not seen.
_OF_HIDDEN_NOISE = ("noise/shape", "shape/batch", "shape/any", "steps/any", "state/rerun")
#: What compares a run with an earlier one: where that leaves something behind, they differ.
_OF_TWO_RUNS = frozenset(("noise/shape", "clip/replay"))


def together(findings: Sequence[Finding], diagnosis: Diagnosis | None) -> tuple[Finding, ...]:
    """Findings that are known to have one cause, told as one: the first of them, and what follows from it.

    They have where one line of the sampler's makes the wrong value of each, or stops the run; where elements share a
    draw, so that no coefficient can be read at one of them; where a run leaves something behind, by which the next one
    differs; and where one change of the reference has the sampler's law in every configuration.

    Args:
        findings: of the checks that ran, in the catalogue's order.
        diagnosis: of the same.
    """
    one_change = diagnosis is not None and diagnosis.exact and diagnosis.answers[0].changes == 1
    # A grid's mistake may take several lines of its formula: one known fault is one change of it.
    one_fault = diagnosis is not None and diagnosis.exact and _is_one_fault(diagnosis)
    shared = any(f.id == "noise/shape" and f.outcome == "failed" and f.evidence.get("shared") for f in findings)
    # Noise that is not torch's is not seen: nothing is known of what would be without it.
    drawn = [f for f in findings if f.id == "noise/generator" and f.outcome == "failed"]
    foreign = any(f.evidence.get("foreign") or f.evidence.get("hidden") for f in drawn)
    left_behind = any(f.id == "state/rerun" and f.outcome == "failed" for f in findings)
    causes: list[Finding] = []
    told: list[Finding] = []
    for finding in findings:
        if finding.outcome == "failed" and finding.consequence_of is None:
            cause = next((c.id for c in causes if _is_one(c, finding, one_change, one_fault)), None)
            if shared and finding.id in _OF_THE_LAW | {"shape/batch"}:
                cause = "noise/shape"
            if foreign and finding.id in (*_OF_NOISE, *_OF_HIDDEN_NOISE):
                cause = "noise/generator"
            shares = shared and finding.id == "noise/shape"  # a fault of its own, whatever else is left behind
            if left_behind and not shares and (finding.problem == "outside" or finding.id in _OF_TWO_RUNS):
                cause = "state/rerun"
            if cause is None:
                causes.append(finding)
            else:
                finding = dataclasses.replace(finding, consequence_of=cause)
        told.append(finding)
    return tuple(told)


def _is_one_fault(diagnosis: Diagnosis) -> bool:
    first = diagnosis.answers[0]
    faults = {edit.fault for edit in first.edits}
    return len(faults) == 1 and "" not in faults and not first.config and not first.reference


def _is_one(cause: Finding, other: Finding, one_change: bool, one_fault: bool) -> bool:
    if cause.problem == other.problem == "not-finite" and other.id == "precision/dtype":
        return True  # what is no number in one dtype is none in another
    if cause.problem:  # the run ended there, in other checks' runs too
        return bool(cause.place and other.place and cause.place.line == other.place.line)
    both = {cause.id, other.id}
    if one_change and (both <= _OF_THE_LAW or both <= _OF_A_STEP):
        return True
    if (one_change or one_fault) and both <= _OF_A_GRID:
        return True
    same_line = cause.place is not None and cause.place.makes_the_same(other.place)
    return same_line and (both <= _OF_A_LINE or both <= _OF_A_STEP) and not other.problem
