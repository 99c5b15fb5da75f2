"""Run checks on a subject and make the verdict: the one engine under pytest, command line and Python."""

from __future__ import annotations

import dataclasses
import functools
import platform
import time
import traceback
from collections.abc import Collection, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .catalogue import RELATIVE, CheckInfo, catalogue, check_ids
from .causes import together
from .evidence import AnyEvidence
from .kinds import KIND_OF
from .known_failures import KnownFailures
from .pinned import BUDGET, Expected, Shown
from .portrait import Portrait
from .saved_laws import SavedLaws, law_of_case, write_laws
from .subject import AnySubject, Subject
from .verdict import Coverage, Diagnosis, Finding, Moved, Outcome, Verdict

if TYPE_CHECKING:
    from .checks.evidence import Evidence

__all__ = ["Assessment", "check_sampler", "save_law", "versions"]

#: Kinds of subjects that are held against a formula, of which another one may explain them.
_DIAGNOSED = ("sampler", "training", "grid")


def versions() -> dict[str, str]:
    """Versions of everything that a verdict may depend on."""
    found = {"python": platform.python_version()}
    for name in ("sampler-harness", "torch", "numpy", "scipy", "hypothesis", "diffusers"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


class Assessment:
    """All checks of one subject on one device; each is run once, when first asked for.

    Args:
        subject: the declaration.
        budget: ``quick`` (about 3,000 model calls), ``standard`` (30,000) or ``thorough`` (1,000,000).
        device: any torch device.
        against: another subject, or saved laws, to be held against instead of the reference.
        fixtures: values for the sampler's further keyword-only arguments.
        diagnose: whether to look for what a sampler that does not conform does instead.
        expected: checks that are known to fail beside those that the declaration names, by id.
        checks_as_of: version whose set of checks is planned; empty for the present one.
        portray: whether a verdict carries what a page draws of the sampler.
    """

    def __init__(
        self,
        subject: AnySubject,
        *,
        budget: str = "standard",
        device: str = "cpu",
        against: Subject | SavedLaws | None = None,
        fixtures: Mapping[str, Any] | None = None,
        diagnose: bool = True,
        expected: Mapping[str, Expected] | None = None,
        checks_as_of: str = "",
        portray: bool = False,
    ) -> None:
        self._checks_as_of = checks_as_of
        self._diagnose = diagnose
        named = subject.expected_failures.items()
        own = {id: known if isinstance(known, Expected) else Expected(known) for id, known in named}
        # What is known is known of the reference: held against another, the declared deviations are what must not move.
        excused = {**(expected or {}), **own}
        self._expected = {id: known for id, known in excused.items() if against is None or id not in RELATIVE}
        self._known = KnownFailures(self._expected, self._outcome, self._shown, may_pass=against is not None)
        self._portray = portray
        self.subject = subject
        self.budget = budget
        self.device = device
        self.against = against
        self.fixtures = dict(fixtures or {})
        self._findings: dict[str, Finding] = {}
        self._asked: set[str] = set()
        self._diagnoses: dict[tuple[str, ...], Diagnosis | None] = {}
        self._evidence: AnyEvidence[Any] | None = None
        self._spent = 0.0

    def planned(self) -> tuple[str, ...]:
        """Ids of the checks that will run, in order; imports nothing heavy."""
        return check_ids(self.subject.kind, self._checks_as_of)

    @property
    def evidence(self) -> AnyEvidence[Any]:
        """What the checks look at; measured on demand."""
        if self._evidence is None:
            self._evidence = self._built(KIND_OF[self.subject.kind].evidence())
        return self._evidence

    @property
    def sampler_evidence(self) -> Evidence:
        """The same of a sampler: no other kind is held against anything else, diagnosed or drawn."""
        from .checks.evidence import Evidence

        assert isinstance(self.evidence, Evidence)
        return self.evidence

    @property
    def _deviations(self) -> Mapping[str, str]:
        """What is declared to be meant; of no account where the sampler is held against something else."""
        return self.subject.deviations if isinstance(self.subject, Subject) and self.against is None else {}

    def _built(self, build: Any) -> Any:
        own = isinstance(self.subject, Subject) and self.subject.paper is not None  # deviations are in its reference
        named = self.against is not None or (self._deviations and not own)
        standard = {"standard": self._standard()} if named else {}
        return build(self.subject, budget=self.budget, device=self.device, fixtures=self.fixtures, **standard)

    def _standard(self) -> Any:
        from .checks.evidence import Evidence
        from .checks.standard import Standard

        if self.against is None:
            from .diagnosis.deviating import deviating_standard

            assert isinstance(self.subject, Subject)
            return deviating_standard(self.subject)
        if isinstance(self.against, Subject):
            other = Evidence(self.against, budget=self.budget, device=self.device, fixtures=self.fixtures)

            def law(case: Any) -> Any:
                bundle = other.bundle(case)
                return None if bundle.problem is not None or not bundle.is_affine else bundle.law

            return Standard.of_law(law, self.against.target or self.against.name)
        name = self.against.get("name", f"saved law of {self.against['sampler']}")
        return Standard.of_law(law_of_case(self.against), name)

    def run(self, check_id: str) -> Finding:
        """The finding of one check; what the sampler does never raises from here.

        Args:
            check_id: an id of the catalogue.

        Raises:
            KeyError: for an unknown id.
            DeclarationError: where what the sampler is to be held against cannot be made.
        """
        if check_id in self._findings:
            return self._findings[check_id]
        info = next((i for i in catalogue(self.subject.kind) if i.id == check_id), None)
        if info is None:
            raise KeyError(check_id)
        started = time.perf_counter()
        evidence = self.evidence
        self._asked.add(check_id)
        try:
            return self._found(info, evidence, started)
        finally:
            # What is raised from here leaves no finding: asked for again, it is run again, and is not "expected".
            self._asked.discard(check_id)

    def _found(self, info: CheckInfo, evidence: AnyEvidence[Any], started: float) -> Finding:
        """Run a check and keep its finding."""
        check_id = info.id
        try:
            # First, so that what is measured never depends on which check is asked first.
            evidence.measure()
            finding = evidence.untold(check_id) or KIND_OF[info.kind].check_function(info)(evidence)
        except ValueError as error:
            finding = Finding(check_id, "error", f"could not be judged: {error}")
        except Exception as error:
            # Whatever a sampler does is in its runs; what lands here is the harness's own mistake.
            told = f"the harness itself failed with {type(error).__name__}: {error}"
            place = traceback.extract_tb(error.__traceback__)[-1]
            finding = Finding(check_id, "error", f"{told} ({place.name}, line {place.lineno}); please report this")
        finding = self._mended(self._known.told(dataclasses.replace(finding, seconds=time.perf_counter() - started)))
        self._spent += finding.seconds
        self._findings[check_id] = finding
        return finding

    def _outcome(self, id: str) -> Outcome:
        """How a check ended; one that is asked for while it runs waits for another's, and is taken for known."""
        return "expected" if id in self._asked and id not in self._findings else self.run(id).outcome

    def _shown(self, finding: Finding) -> Shown | None:
        """What a failure shows, measured as pins are."""
        return finding.shown if self.budget == BUDGET else self._at_pins_budget.run(finding.id).shown

    def pinned(self, verdict: Verdict) -> Verdict:
        """The verdict with what each failure shows as a baseline takes it, whatever the budget was.

        Args:
            verdict: of this subject.
        """
        found = [dataclasses.replace(f, shown=self._shown(f)) if f.outcome == "failed" else f for f in verdict.findings]
        return dataclasses.replace(verdict, findings=tuple(found))

    @functools.cached_property
    def _at_pins_budget(self) -> Assessment:
        """The same subject at the budget that pins are measured with."""
        return Assessment(
            self.subject, budget=BUDGET, device=self.device, fixtures=self.fixtures, diagnose=False, expected={}
        )

    def _mended(self, finding: Finding) -> Finding:
        """Tell where a declared deviation is no longer there."""
        if not self._deviations or finding.outcome != "failed" or finding.id not in RELATIVE:
            return finding
        from .diagnosis.deviating import no_longer_there

        gone = no_longer_there(self.sampler_evidence)
        if not gone:
            return dataclasses.replace(
                finding, message=f"{finding.message}\n(what it should be has {' and '.join(self._deviations)} in it)"
            )
        told = "\n".join(f"{name!r} is no longer there: remove it from deviations" for name in gone)
        return dataclasses.replace(finding, message=f"{told}\n{finding.message}")

    def unjudged(self, checks: Collection[str] | None = None) -> Verdict:
        """A verdict that says nothing yet; nothing is run or measured for it.

        Args:
            checks: ids that are to run; None for all planned.
        """
        return Verdict(
            sampler=self.subject.target or self.subject.name,
            reference=self.subject.reference_name,
            findings=(),
            coverage=Coverage(),
            seconds=0.0,
            budget=self.budget,
            device=self.device,
            planned=tuple(id for id in self.planned() if checks is None or id in checks),
            kind=self.subject.kind,
            source=self.subject.source,
            checks_as_of=self._checks_as_of,
        )

    def verdict(self, checks: Collection[str] | None = None, *, diagnose: bool = True) -> Verdict:
        """Run what is planned, or the named checks, and sum up.

        Args:
            checks: ids to run; None for all planned.
            diagnose: whether to say what a sampler that does not conform does instead.
        """
        nothing = self.unjudged(checks)
        findings = tuple(self.run(id) for id in nothing.planned)
        diagnosis = self.diagnosis() if diagnose else None
        findings = together(findings, diagnosis) if self.subject.kind in _DIAGNOSED else findings
        return dataclasses.replace(
            nothing,
            reference=self._against_name(),
            findings=findings,
            coverage=self.coverage(),
            seconds=self._spent,
            versions=versions(),
            diagnosis=diagnosis,
            moved=self._moved(findings),
            portrait=self.portrait(findings) if self._portray else None,
            deviations=self._deviations,
        )

    def _moved(self, findings: tuple[Finding, ...]) -> Moved | None:
        """What moved since another version; asked only where there is one, and something was found."""
        if self.against is None or all(finding.outcome == "passed" for finding in findings):
            return None
        from .checks.moved import moved

        return moved(self.sampler_evidence)

    def diagnosis(self, *, of_all: bool = False) -> Diagnosis | None:
        """What is done instead of the reference's; None where it conforms, or where nobody looks for it.

        Args:
            of_all: whether to run all planned checks first; else it is made of the findings so far.
        """
        if not self._diagnose or self.subject.kind not in _DIAGNOSED or self.against is not None:
            return None
        if of_all:
            for id in self.planned():
                self.run(id)
        findings = tuple(self._findings[id] for id in self.planned() if id in self._findings)
        if all(finding.outcome not in ("failed", "error") for finding in findings):
            return None
        key = tuple(finding.id for finding in findings)
        if key not in self._diagnoses:
            self._diagnoses[key] = self._diagnosed(findings)
        return self._diagnoses[key]

    def _diagnosed(self, findings: tuple[Finding, ...]) -> Diagnosis | None:
        from .checks.standard import Standard
        from .diagnosis.diagnose import diagnose
        from .diagnosis.foreign import with_foreign

        started = time.perf_counter()
        try:
            if self.subject.kind == "training":
                return self._diagnosed_step(findings, started)
            if self.subject.kind == "grid":
                return self._diagnosed_grid(findings, started)
            evidence = self.sampler_evidence
            if evidence.in_half_alone:
                return Diagnosis(
                    False,
                    unsearched=f"in {evidence.dtype} alone a law is read to two or three digits, by which one change "
                    "of the reference is not told from another; where it runs in float32, declare that too, and what "
                    "is wrong there is named",
                )
            if evidence.unreadable is not None:
                return Diagnosis(False, unsearched=f"no coefficients can be read: {evidence.unreadable.why}")
            if evidence.subject.paper is not None:
                # A search would start from the paper, and find the deviation that is declared.
                return Diagnosis(False, searched="what differs beside a declared deviation was not searched for")
            if self._deviations:
                evidence = evidence.held_against(Standard.of_reference(evidence.subject))
            told = diagnose(evidence, findings, budget=self.budget, declared=self._expected)
            found = told if self._deviations else with_foreign(evidence, told)
            found = self._repaired(found, findings)
        except Exception as error:
            # A diagnosis is a help; without it the findings stand as they are.
            place = traceback.extract_tb(error.__traceback__)[-1]
            failed = f"the diagnosis itself failed with {type(error).__name__}: {error}"
            found = Diagnosis(False, unsearched=f"{failed} ({place.name}, line {place.lineno}); please report this")
        self._spent += time.perf_counter() - started
        return found

    def _repaired(self, found: Diagnosis | None, findings: tuple[Finding, ...]) -> Diagnosis | None:
        """With what would make the sampler right; where the diagnosis is sure, only the lines to look at are asked."""
        from .repair.search import repairs_of

        if found is None:
            return None
        started = time.perf_counter()
        places = [finding.place for finding in findings if finding.place is not None and finding.outcome == "failed"]
        # Of a sampler that is another one no single edit makes the reference.
        everywhere = not found.exact and found.foreign is None
        repairs = repairs_of(self.sampler_evidence, places, budget=self.budget, everywhere=everywhere)
        return dataclasses.replace(found, repairs=repairs, seconds=found.seconds + time.perf_counter() - started)

    def _diagnosed_step(self, findings: tuple[Finding, ...], started: float) -> Diagnosis | None:
        from .diagnosis.diagnose_step import diagnose_step
        from .training.evidence import TrainingEvidence

        assert isinstance(self.evidence, TrainingEvidence)
        found = diagnose_step(self.evidence, findings, budget=self.budget)
        self._spent += time.perf_counter() - started
        return found

    def _diagnosed_grid(self, findings: tuple[Finding, ...], started: float) -> Diagnosis | None:
        from .diagnosis.diagnose_grid import diagnose_grid
        from .grids.evidence import GridEvidence

        assert isinstance(self.evidence, GridEvidence)
        found = diagnose_grid(self.evidence, findings, budget=self.budget)
        self._spent += time.perf_counter() - started
        return found

    def portrait(self, findings: Collection[Finding]) -> Portrait | None:
        """What a page draws of the sampler; None for what is no sampler. It is measured apart from all findings.

        Args:
            findings: of the checks that ran; they choose the configuration that is drawn.
        """
        if self.subject.kind != "sampler":
            return None
        from .checks.evidence import Evidence
        from .portraying.portray import portray

        try:
            return portray(self._built(Evidence), tuple(findings), named_by=self.sampler_evidence)
        except Exception as error:
            # A picture is a help: without it the verdict stands as it is, and the page says why there is none.
            told = f"Nothing could be drawn: {type(error).__name__}: {error}."
            return Portrait("", (), "", self.subject.reference_name, missing=(told,))

    def _against_name(self) -> str:
        if self.against is None:
            return self.subject.reference_name  # with deviations too: these are told beside it
        return self.sampler_evidence.standard.name

    def coverage(self) -> Coverage:
        """What was varied, as far as it has been measured."""
        return self.evidence.coverage()


def check_sampler(
    subject: AnySubject,
    *,
    budget: str = "standard",
    device: str = "cpu",
    against: Subject | SavedLaws | None = None,
    fixtures: Mapping[str, Any] | None = None,
    checks: Collection[str] | None = None,
    diagnose: bool = True,
    portray: bool = False,
) -> Verdict:
    """Decide whether a sampler is the one that its reference defines.

    Args:
        subject: what ``@sampler_under_test`` made, or ``@training_under_test``, ``@preprocess_under_test``,
            ``@data_under_test``, ``@grid_under_test``.
        budget: ``quick``, ``standard`` or ``thorough``.
        device: any torch device.
        against: another sampler, or saved laws; for samplers only.
        fixtures: values for the sampler's further keyword-only arguments.
        checks: ids to run; None for all.
        diagnose: whether to look for what a sampler that does not conform does instead.
        portray: whether the verdict carries what a page draws of the sampler.

    Returns:
        The verdict; ``verdict.conforms`` is the answer.
    """
    assessment = Assessment(
        subject,
        budget=budget,
        device=device,
        against=against,
        fixtures=fixtures,
        diagnose=diagnose,
        portray=portray,
    )
    return assessment.verdict(checks)


def save_law(assessment: Assessment, path: str | Path) -> None:
    """Write the laws of all measured cases, so that a later version can be held against them.

    Args:
        assessment: as run.
        path: JSON file to write.
    """
    write_laws(assessment.sampler_evidence, versions(), path)
