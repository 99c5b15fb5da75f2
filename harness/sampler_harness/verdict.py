"""What the harness says: findings, and the verdict that holds them.

Plain data at the bottom of the package: checks make findings, the runner makes verdicts, reports and the
pytest plugin only read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA_VERSION = 1

Outcome = Literal["passed", "failed", "expected", "skipped", "error"]


@dataclass(frozen=True)
class Finding:
    """What one check says of one sampler.

    Attributes:
        id: the check's stable id, as ``law/noise``.
        outcome: ``passed``; ``failed``; ``expected`` (failed, and declared with a reason); ``skipped`` (not
            applicable, the message says why); ``error`` (the check could not see what it judges).
        message: for a person. The first line is the finding in one sentence.
        evidence: JSON-able figures: step, term, got, should_be, the smallest configuration, …
        margin: worst deviation over its tolerance, where the check compares numbers. Above 1 it fails.
        consequence_of: id of the check whose failure explains this one; None for a cause.
        reproduction: a script of at most 15 lines that shows the failure; empty when it passed.
        seconds: what the check took, measurements that it was the first to need included.
    """

    id: str
    outcome: Outcome
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    margin: float | None = None
    consequence_of: str | None = None
    reproduction: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Coverage:
    """What was varied and what was not; printed in every verdict.

    Attributes:
        fields: for each varied field how many of the values that must be seen were seen, as ``"2/2"``.
        pairs: how many pairs of such values were seen together, of those that are legal.
        not_varied: fields that kept the reference's default because the declaration does not name them.
        cases: distinct cases measured.
        model_calls: calls of the stand-in model, the budget's unit.
        wide_tolerances: entries of the law with a tolerance above 0.1 %, and where the widest are.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    pairs: str = "0/0"
    not_varied: tuple[str, ...] = ()
    cases: int = 0
    model_calls: int = 0
    wide_tolerances: str = "none"


@dataclass(frozen=True)
class Verdict:
    """Everything that is known of one sampler after a run.

    Attributes:
        sampler: the target as it was named, ``file.py:my_sampler``.
        reference: the reference's name, or what it was compared ``--against``.
        findings: one per planned check, in the catalogue's order.
        coverage: what was varied.
        seconds: wall-clock seconds.
        budget: ``quick``, ``standard`` or ``thorough``.
        device: the torch device that it ran on.
        versions: of python, torch, numpy, scipy, hypothesis and this package.
        not_run: why nothing could be run (a missing device, say); None otherwise.
        planned: ids of the checks that were to run, where they may be more than ``findings``; empty otherwise.
        kind: of what was declared: ``sampler``, ``training``, ``preprocessing`` or ``data``.
    """

    sampler: str
    reference: str
    findings: tuple[Finding, ...]
    coverage: Coverage
    seconds: float
    budget: str
    device: str
    versions: Mapping[str, str] = field(default_factory=dict)
    not_run: str | None = None
    planned: tuple[str, ...] = ()
    kind: str = "sampler"

    @property
    def conforms(self) -> bool:
        """True when all that was planned ran and none failed or erred; declared deviations do not count against it."""
        ran = any(finding.outcome in ("passed", "expected") for finding in self.findings)
        return self.not_run is None and ran and not self.is_faulty and not self.missing

    @property
    def is_faulty(self) -> bool:
        """True when a check failed or could not see what it judges."""
        return any(finding.outcome in ("failed", "error") for finding in self.findings)

    @property
    def missing(self) -> tuple[str, ...]:
        """Planned checks that nobody ran: stopped early, or skipped by a mark of the host's."""
        found = {finding.id for finding in self.findings}
        return tuple(id for id in self.planned if id not in found)

    @property
    def num_planned(self) -> int:
        """How many checks were to run."""
        return len(self.findings) + len(self.missing)

    @property
    def num_ran(self) -> int:
        """How many checks judged something, or tried to: those that do not apply are left out."""
        return len(self.findings) - self.count("skipped")

    @property
    def margin(self) -> float | None:
        """Worst deviation over tolerance among all checks that compared numbers (declared ones left out)."""
        margins = [f.margin for f in self.findings if f.margin is not None and f.outcome != "expected"]
        return max(margins, default=None)

    def count(self, outcome: Outcome) -> int:
        """How many checks ended this way."""
        return sum(finding.outcome == outcome for finding in self.findings)
