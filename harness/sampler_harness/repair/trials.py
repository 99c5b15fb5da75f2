"""Whether a case is right as the sampler's code is now."""

from __future__ import annotations

import functools
from typing import Protocol

from sampler_harness.checks.evidence import Evidence
from sampler_harness.checks.mending_law import EnteredBundle, OneRun
from sampler_harness.checks.mending_runs import RunTrial
from sampler_harness.law.bundle import DenseRun
from sampler_harness.law.comparison import compare
from sampler_harness.observe.trace import Case

from .own_code import Entry

__all__ = ["LawTrial", "RowsTrial", "Trial"]


class Trial(Protocol):
    """A case that is run again with other code."""

    @property
    def case(self) -> Case:
        """What is run."""

    def may_be_right(self) -> bool:
        """Whether as much is right as one run shows."""

    def is_right(self) -> bool:
        """Whether all is right."""


class LawTrial:
    """A case that has a law.

    Args:
        evidence: as measured.
        case: what is run.
        entry: what is called in the sampler's place.
    """

    def __init__(self, evidence: Evidence, case: Case, entry: Entry) -> None:
        self.case = case
        self._evidence = evidence
        self._entry = entry

    @functools.cached_property
    def one_run(self) -> OneRun | None:
        """A run that shows all entries at once; None where there is no room for that."""
        return OneRun.of(self._evidence, self.case)

    def may_be_right(self) -> bool:
        """Whether the entries that one run shows are right."""
        return self.one_run is None or self.one_run.may_be_right(self._entry)

    def is_right(self) -> bool:
        """Whether all entries of the law are, read twice; no more is run than it takes to see that they are not."""
        bundle = EnteredBundle(self._evidence, self.case, self._entry)
        standard = self._evidence.standard
        should_be = standard.law(self.case)
        if should_be is None or bundle.zero.problem is not None or bundle.num_calls != should_be.num_calls:
            return False
        if bundle.first.problem is not None or bundle.first.leaks:
            return False
        read = compare(bundle.law, should_be, standard.tolerance(self.case), last_row=bundle.last_row)
        is_wrong = any(d.ratio > 1.0 for d in read)
        if is_wrong and not any(True for _ in self.case.config.either_side(bundle.law.times.tolist())):
            return False
        if bundle.problem is not None:
            return False
        deviations, _ = self._evidence.deviations_of(bundle)
        return bool(deviations) and all(d.ratio <= 1.0 for d in deviations)


class RowsTrial:
    """A case in which a clamp bites, or that has no law: its rows are held against the reference's.

    Args:
        evidence: as measured.
        case: what is run.
        entry: what is called in the sampler's place; None for the sampler itself.
    """

    def __init__(self, evidence: Evidence, case: Case, entry: Entry | None = None) -> None:
        self.case = case
        self._evidence = evidence
        self._entry = entry or evidence.subject.function

    @functools.cached_property
    def _held(self) -> RunTrial | None:
        return RunTrial.of(self._evidence, self.case)

    def may_be_right(self) -> bool:
        """Whether rows are right on the draws and answers of the sampler as it is: of a right law these tell."""
        return self._held is None or self._held.is_right_by(self._entry)

    def is_right(self) -> bool:
        """Whether every row is the reference's, on its own draws and answers."""
        bundle = EnteredBundle(self._evidence, self.case, self._entry)
        if bundle.problem is not None or not isinstance(bundle.dense, DenseRun):
            return False
        evidence = self._evidence.entered(bundle)
        if not self.case.config.is_affine:
            return evidence.held(self.case).cause is None
        trial = RunTrial.of(evidence, self.case)
        return trial is None or trial.is_right_as_it_is
