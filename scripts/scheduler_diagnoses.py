"""Whether the diagnosis names what was changed in a scheduler: held against configurations that it never saw."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from sampler_harness import strategies
from sampler_harness.checks.evidence import Evidence
from sampler_harness.diagnosis.diagnose import search_for, targets_of
from sampler_harness.diagnosis.words import told
from sampler_harness.subject import Subject

__all__ = ["Answered", "answered"]

#: Where Hypothesis starts to draw the configurations that answers are held against.
ANOTHER_START = 20_000


@dataclass(frozen=True)
class Answered:
    """What the diagnosis says of one changed scheduler.

    Attributes:
        summary: of the first answer; empty where there is none.
        lines: of the references that it changes.
        exact: whether it is labelled so.
        right: whether it has the scheduler's law in configurations that the search never saw too.
        unseen: how many these were.
        seconds: of the search alone.
    """

    summary: str = ""
    lines: tuple[str, ...] = ()
    exact: bool = False
    right: bool = False
    unseen: int = 0
    seconds: float = 0.0

    @property
    def is_wrong_but_exact(self) -> bool:
        """The one thing that must never happen."""
        return self.exact and not self.right


def answered(subject: Subject) -> Answered | None:
    """Search for what a scheduler does; None where no law of it differs from the reference's.

    Args:
        subject: that does not conform.
    """
    evidence = Evidence(subject, budget="quick")
    evidence.measure()
    if not any(target.reference_ratio > 1 for target in targets_of(evidence)):
        return None
    started = time.process_time()
    with np.errstate(all="ignore"):
        found, targets = search_for(evidence, "quick")
    seconds = time.process_time() - started
    if found is None or not found.answers:
        return Answered(seconds=seconds)
    answer = found.answers[0]
    words = told(answer.first, [target.config for target in targets], answer.variants)
    lines = tuple(f"{edit.file}:{edit.line}" for edit in words.edits)
    strategies.START = ANOTHER_START
    other = Evidence(subject, budget="quick")
    other.measure()
    known = {target.config for target in targets}
    unseen = [target for target in targets_of(other) if target.config not in known]
    with np.errstate(all="ignore"):
        right = all(answer.first.fits(target, exactly=True) for target in [*targets, *unseen])
    return Answered(words.summary, lines, found.exact, right, len(unseen), seconds)
