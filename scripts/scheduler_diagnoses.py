"""Whether the diagnosis names what was changed in a scheduler: held against configurations that it never saw.

Two searches answer: that of the reference for an edit with the scheduler's law, and that of the scheduler's own lines
for an edit with the reference's. The second is right where it restores the release, to the letter of its tree, or where
the scheduler that it leaves conforms in configurations that it never saw.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sampler_harness import strategies
from sampler_harness.adapters.diffusers_options import scheduler_class
from sampler_harness.checks.evidence import Evidence
from sampler_harness.diagnosis.compared import all_targets_of
from sampler_harness.diagnosis.diagnose import search_for
from sampler_harness.diagnosis.words import told
from sampler_harness.repair.search import repairs_of
from sampler_harness.subject import Subject
from sampler_harness.verdict import Repair

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
        seconds: of that search alone.
        repair: what the first change of the scheduler's own lines is: the release again, another one with which the
            scheduler conforms in configurations that were never seen, or one with which it does not; empty for none.
        repaired: that change.
        repair_seconds: of the search for it.
    """

    summary: str = ""
    lines: tuple[str, ...] = ()
    exact: bool = False
    right: bool = False
    unseen: int = 0
    seconds: float = 0.0
    repair: Literal["", "restored", "mends", "wrong"] = ""
    repaired: str = ""
    repair_seconds: float = 0.0

    @property
    def is_wrong_but_exact(self) -> bool:
        """The one thing that must never happen."""
        return self.exact and not self.right

    @property
    def is_right_first(self) -> bool:
        """Whether what a verdict tells first is right: an exact edit, else the own line, else a likely edit."""
        if self.exact or not self.repair:
            return self.right
        return self.repair != "wrong"


def answered(name: str, subject: Subject, released: str, load: Callable[[ast.Module], Subject]) -> Answered | None:
    """Search for what a scheduler does; None where no law of it differs from the reference's.

    Args:
        name: of the scheduler.
        subject: that does not conform.
        released: source of the module as it is installed.
        load: puts another program in the scheduler's place.
    """
    evidence = Evidence(subject, budget="quick")
    evidence.measure()
    if not any(target.reference_ratio > 1 for target in all_targets_of(evidence)):
        return None
    started = time.process_time()
    with np.errstate(all="ignore"):
        found, targets = search_for(evidence, "quick")
    searched = time.process_time()
    begun = _computed()
    repairs = repairs_of(evidence, everywhere=found is None or not found.exact)
    own = Answered(seconds=searched - started, repair_seconds=_computed() - begun)
    if found is not None and found.answers:
        answer = found.answers[0]
        words = told(answer.first, [target.config for target in targets], answer.variants)
        lines = tuple(f"{edit.file}:{edit.line}" for edit in words.edits)
        strategies.START = ANOTHER_START
        other = Evidence(subject, budget="quick")
        other.measure()
        known = {target.config for target in targets}
        unseen = [target for target in all_targets_of(other) if target.config not in known]
        with np.errstate(all="ignore"):
            right = all(answer.first.explains(target) for target in [*targets, *unseen])
        own = replace(own, summary=words.summary, lines=lines, exact=found.exact, right=right, unseen=len(unseen))
    if not repairs:
        return own
    program = ast.parse(_repaired(name, repairs[0]))
    how = "restored" if ast.dump(program) == ast.dump(ast.parse(released)) else _held(load(program))
    return replace(own, repair=how, repaired=f"{repairs[0].sampler.strip()}  ->  {repairs[0].instead.strip()}")


def _computed() -> float:
    """Seconds of computing, of copies of the process too."""
    return sum(os.times()[:4])


def _repaired(name: str, repair: Repair) -> str:
    """The scheduler's source with a change of its own lines in it."""
    lines = linecache.getlines(str(sys.modules[scheduler_class(name).__module__].__file__))
    first, last = repair.line - 1, repair.line - 1 + len(repair.sampler.splitlines())
    old = "".join(lines[first:last])
    indent = old[: len(old) - len(old.lstrip())]
    return "".join([*lines[:first], textwrap.indent(repair.instead, indent), "\n", *lines[last:]])


def _held(subject: Subject) -> Literal["mends", "wrong"]:
    """Whether a scheduler conforms in configurations that were never seen."""
    strategies.START = ANOTHER_START
    evidence = Evidence(subject, budget="quick")
    evidence.measure()
    with np.errstate(all="ignore"):
        return "wrong" if any(target.reference_ratio > 1 for target in all_targets_of(evidence)) else "mends"
