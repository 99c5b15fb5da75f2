"""What the harness says: findings, and the verdict that holds them.

Plain data at the bottom of the package: checks make findings, the runner makes verdicts, reports and the
pytest plugin only read them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .pinned import Shown
from .portrait import Portrait

SCHEMA_VERSION = 1

Outcome = Literal["passed", "failed", "expected", "skipped", "error"]


@dataclass(frozen=True)
class Place:
    """Where in a person's own code a failing row is computed.

    Attributes:
        file: as a person names it.
        line: from 1.
        function: that it stands in.
        text: what stands there, shortened.
        lines: files and their lines that ran towards the row.
        all_lines: files and their lines that ran at all.
        hands_on: it only calls another function of the same person's, where the value is made.
        or_line: the other of two lines of the file that it may be, from 1; 0 where there is none.
    """

    file: str
    line: int
    function: str
    text: str
    lines: Mapping[str, Sequence[int]] = field(default_factory=dict)
    all_lines: Mapping[str, Sequence[int]] = field(default_factory=dict)
    hands_on: bool = False
    or_line: int = 0

    @property
    def told(self) -> str:
        """The line, or both, as a person reads it."""
        lines = f"line {self.line} or {self.or_line}" if self.or_line else f"line {self.line}"
        return f"{self.file}, {lines}, in {self.function}: {self.text}"

    def makes_the_same(self, other: Place | None) -> bool:
        """Whether two wrong values are made in one line; one that calls the user's own function may hide two faults.

        Args:
            other: where the other value is made.
        """
        return other is not None and (self.file, self.line) == (other.file, other.line) and not self.hands_on


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
        problem: the kind of problem because of which nothing could be measured; empty where something was.
        place: where to look first; JSON has it among the evidence.
        notes: what a reader should know and no check fails for, a sentence each.
        shown: what a failure shows, in the figures that it can be pinned by; None where it has none.
    """

    id: str
    outcome: Outcome
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    margin: float | None = None
    consequence_of: str | None = None
    reproduction: str = ""
    seconds: float = 0.0
    problem: str = ""
    place: Place | None = None
    notes: tuple[str, ...] = ()
    shown: Shown | None = None


def causes(bad: Sequence[Finding]) -> list[Finding]:
    """Failures that no other failure explains.

    Args:
        bad: all that failed or erred.
    """
    ids = {finding.id for finding in bad}
    return [f for f in bad if f.consequence_of is None or f.consequence_of not in ids or f.consequence_of == f.id]


@dataclass(frozen=True)
class Edit:
    """A line of the reference that a sampler has otherwise.

    Attributes:
        file: of the reference, as ``reference_samplers/edm.py``.
        line: its first line there, from 1; where lines are added, the one after which.
        reference: what stands there, as it is written; empty where lines are added.
        sampler: what the sampler has instead; empty where it has nothing.
        equation: the line, equation or algorithm of the paper that the reference gives beside it.
        fault: name of the known fault; empty for any other edit.
    """

    file: str
    line: int
    reference: str
    sampler: str
    equation: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Happened:
    """Where a known fault happened before.

    Attributes:
        told: the fault and the repository.
        url: of the report or the commit; empty where there is none.
    """

    told: str
    url: str = ""

    def __str__(self) -> str:
        return f"{self.told}, {self.url}" if self.url else self.told


@dataclass(frozen=True)
class Explanation:
    """One answer to what a sampler does in place of its reference.

    Attributes:
        summary: in a sentence.
        edits: lines that differ.
        config: fields that have another value than was declared, by name.
        reference: the reference that it is, where it is another one.
        diff: unified diff against the reference's source; empty where no line differs.
        effects: what a known fault does to samples, a sentence each.
        happened: where a known fault happened before.
    """

    summary: str
    edits: tuple[Edit, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""
    diff: str = ""
    effects: tuple[str, ...] = ()
    happened: tuple[Happened, ...] = ()

    @property
    def changes(self) -> int:
        """How many things are otherwise: lines, fields, or the whole reference."""
        return len(self.edits) + len(self.config) + bool(self.reference)


@dataclass(frozen=True)
class Repair:
    """A line of the sampler's own, and what may stand there instead so that every coefficient is right.

    Attributes:
        file: as a person names it.
        line: the first one that differs, from 1.
        sampler: what stands there.
        instead: what makes it right.
        mended: configurations that are right with it and were wrong.
        kept: further ones that were right and still are.
    """

    file: str
    line: int
    sampler: str
    instead: str
    mended: int
    kept: int

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.file}, line {self.line}"

    @property
    def summary(self) -> str:
        """In one sentence."""
        instead = " ".join(line.strip() for line in self.instead.splitlines())
        return f"one change of {self.place}, makes every coefficient right: {instead or 'nothing in its place'}"


@dataclass(frozen=True)
class Foreign:
    """That next to nothing of a reference is met, though no change of it explains the sampler.

    Attributes:
        told: what is known of it, for a person.
        nearer: other references that it is, or of which it shares more weights; empty where there are none.
    """

    told: str
    nearer: tuple[str, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """What a sampler that does not conform does instead.

    Attributes:
        exact: the first answer has the sampler's law in every case, and nothing else that was looked at has it.
        answers: explanations of everything, the likeliest first; several where they cannot be told apart.
        near: explanations of a part, never of everything.
        declared: deviations that the declaration names, taken off before.
        observed: what the runs themselves show, where no line of the reference explains it.
        consequences: what it does to samples: initial scale, variance, detail.
        searched: how far the search went; empty where there was none.
        unsearched: why there was none.
        seconds: what it took.
        settled_by: fields with one declared value in whose other values several answers differ.
        foreign: that the reference may not be the sampler's own; None where much of it is met.
        repairs: changes of the sampler's own lines, each of which alone makes every coefficient right.
    """

    exact: bool
    answers: tuple[Explanation, ...] = ()
    near: tuple[Explanation, ...] = ()
    declared: tuple[Explanation, ...] = ()
    observed: tuple[str, ...] = ()
    consequences: tuple[str, ...] = ()
    searched: str = ""
    unsearched: str = ""
    seconds: float = 0.0
    settled_by: tuple[str, ...] = ()
    foreign: Foreign | None = None
    repairs: tuple[Repair, ...] = ()

    @property
    def summary(self) -> str:
        """In one sentence."""
        if self.answers and self.exact:
            return self.answers[0].summary
        if self.repairs:
            return self.repairs[0].summary
        if self.answers:
            return (
                f"one of {len(self.answers)}: {self.answers[0].summary}"
                if len(self.answers) > 1
                else (f"probably: {self.answers[0].summary}")
            )
        if self.observed:
            return self.observed[0]
        if self.near:
            return f"no change of the reference explains it; nearest: {self.near[0].summary}"
        if self.unsearched:
            return f"cannot tell: {self.unsearched}"
        return "no change of the reference that was tried explains it"


@dataclass(frozen=True)
class Moved:
    """Coefficients that are not what they were, in one configuration.

    Attributes:
        configuration: the smallest one that shows it.
        entries: a sentence each, in the order in which they enter a run.
        more: how many further ones there are.
    """

    configuration: str
    entries: tuple[str, ...]
    more: int = 0


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
        not_compared: configurations for which there is no law to compare with: the declaration was another then.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    pairs: str = "0/0"
    not_varied: tuple[str, ...] = ()
    cases: int = 0
    model_calls: int = 0
    wide_tolerances: str = "none"
    not_compared: int = 0


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
        diagnosis: what a sampler that does not conform does instead; None where it conforms, or nothing was looked for.
        moved: what it does otherwise than what it was held ``--against``; None where nothing moved.
        not_run: why nothing could be run (a missing device, say); None otherwise.
        planned: ids of the checks that were to run, where they may be more than ``findings``; empty otherwise.
        kind: of what was declared: ``sampler``, ``training``, ``preprocessing`` or ``data``.
        source: file and line of the function that was declared.
        checks_as_of: version whose set of checks was run; empty for the present one.
        portrait: what a page draws of it; None where nobody asked for one.
        deviations: known faults that the reference was given because they are declared, to reason.
        beside: notes that no single check makes, as what does not fit another declaration of the run.
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
    diagnosis: Diagnosis | None = None
    moved: Moved | None = None
    source: tuple[str, int] = ("", 0)
    checks_as_of: str = ""
    portrait: Portrait | None = None
    deviations: Mapping[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()

    @property
    def conforms(self) -> bool:
        """True when all that was planned ran and none failed or erred; declared deviations do not count against it."""
        ran = any(finding.outcome in ("passed", "expected") for finding in self.findings)
        return self.not_run is None and ran and not self.is_faulty and not self.missing

    @property
    def bad(self) -> tuple[Finding, ...]:
        """What failed, or could not see what it judges."""
        return tuple(finding for finding in self.findings if finding.outcome in ("failed", "error"))

    @property
    def causes(self) -> list[Finding]:
        """What of it no other failure explains."""
        return causes(self.bad)

    @property
    def foreign(self) -> Foreign | None:
        """That the reference may not be the sampler's own."""
        return None if self.diagnosis is None else self.diagnosis.foreign

    @property
    def expected(self) -> tuple[Finding, ...]:
        """What fails as declared, in the declaration or in a baseline."""
        return tuple(finding for finding in self.findings if finding.outcome == "expected")

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know though nothing fails for it: each once, in the order of the checks."""
        told = [note for finding in self.findings for note in finding.notes]
        return tuple(dict.fromkeys([*told, *self.beside]))

    @property
    def is_faulty(self) -> bool:
        """True when a check failed or could not see what it judges."""
        return bool(self.bad)

    @property
    def is_undecided(self) -> bool:
        """True when nothing failed, and a check could not see what it judges: that accuses nobody, and is no pass."""
        return self.is_faulty and not self.count("failed")

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
        """Worst deviation over tolerance among all checks that could compare numbers (declared ones left out)."""
        told = [f for f in self.findings if f.outcome not in ("expected", "error")]
        margins = [f.margin for f in told if f.margin is not None]
        return max(margins, default=None)

    def count(self, outcome: Outcome) -> int:
        """How many checks ended this way."""
        return sum(finding.outcome == outcome for finding in self.findings)
