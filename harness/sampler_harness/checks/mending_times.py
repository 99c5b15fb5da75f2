"""A case in which values are replaced until the model is told the right times, whatever else is wrong beside them.

Of two faults neither is mended by one value. What the model is told hangs on no noise and no answer, so that a fault
there has a line of its own all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sampler_harness.law.intermediates import Intermediates, intermediates
from sampler_harness.law.reading import times_of
from sampler_harness.law.response import Array
from sampler_harness.observe.assigned import assigning
from sampler_harness.observe.probes import Impulses
from sampler_harness.observe.trace import Case
from sampler_harness.observe.walk import Line

from .evidence import Evidence
from .mended import Visit
from .mending_law import LawTrial
from .replacing import Variable, Variables, moved
from .told_times import times_wanted

__all__ = ["TimesTrial"]


class TimesTrial:
    """A case of which the times alone are asked.

    Args:
        evidence: as measured.
        case: what is run.
        values: what the reference works out there.
        wanted: the times, and how far each may be off.
    """

    def __init__(self, evidence: Evidence, case: Case, values: Intermediates, wanted: tuple[Array, Array]) -> None:
        self.case = case
        self.values = values
        self.runs = 0
        self._evidence = evidence
        self._wanted, self._allowed = wanted
        self._variables: dict[Variable, dict[int, Any]] | None = None
        self._told = times_of(evidence.bundle(case).zero)
        self._law = LawTrial.of(evidence, case)
        self._entries = None if self._law is None else self._law.shown_as_it_is()

    @staticmethod
    def of(evidence: Evidence, case: Case) -> TimesTrial | None:
        """None where the reference's values are not known, or where all times are right.

        Args:
            evidence: as measured.
            case: what is run.
        """
        bundle = evidence.bundle(case)
        values, wanted = intermediates(evidence.side_of(case).config), times_wanted(evidence, case)
        if values is None or wanted is None or bundle.zero.problem is not None:
            return None
        if len(wanted[0]) != bundle.num_calls or not len(wanted[0]):
            return None
        trial = TimesTrial(evidence, case, values, wanted)
        return None if trial._are_right(trial._told) else trial

    def variables(self) -> dict[Variable, dict[int, Any]]:
        """What own lines assign, by segment."""
        if self._variables is None:
            seen = Variables(self.case.shape)
            self._run(assigning(self._evidence.subject.function, seen.visit))
            self._variables = seen.found()
        return self._variables

    def depends_on(self, variable: Variable, held: bool) -> bool:
        """Whether the first time that is wrong changes where a variable is a little off."""
        times = self._times(moved(variable, self.case.shape), variable, held)
        if times is None:
            return True
        first = int(np.argmax(np.abs(self._told - self._wanted) > self._allowed))
        return bool(times[first] != self._told[first])

    def may_be_right(self, visit: Visit, variable: Variable, held: bool) -> bool:
        """As much as :meth:`is_right`, which takes one run."""
        return True

    def is_right(self, visit: Visit, variable: Variable, held: bool, at: Line | None = None) -> bool:
        """Whether all times are, and no more weights are wrong than were: other levels may make times alone right."""
        times = self._times(visit, variable, held, at)
        if times is None or not self._are_right(times):
            return False
        if self._law is None or self._entries is None or at is not None:
            return True
        self.runs += 1
        entries = self._law.shown(visit, variable, held)
        # Levels that are right but for the last may bend one weight that was right; right ones bend what they touch.
        return entries is not None and (np.abs(entries) > 1.0).sum() <= (np.abs(self._entries) > 1.0).sum()

    def wrong_terms(self) -> list[tuple[int, str]]:
        """What is wrong in which row, as the case is."""
        wrong = np.flatnonzero(np.abs(self._told - self._wanted) > self._allowed)
        return [(int(row), "time") for row in wrong]

    def shown(self, visit: Visit, variable: Variable, held: bool) -> Array | None:
        """How far each time is off, in its tolerance, signed: a row for each; None where they are more or fewer."""
        times = self._times(visit, variable, held)
        return None if times is None else ((times - self._wanted) / self._allowed)[:, None]

    def _are_right(self, times: Array) -> bool:
        return bool((np.abs(times - self._wanted) <= self._allowed).all())

    def _times(self, visit: Visit, variable: Variable, held: bool, at: Line | None = None) -> Array | None:
        """The times of a run in which a variable has other values; None where they are more or fewer."""
        times = self._run(assigning(self._evidence.subject.function, visit, only=variable[:2], held=held, at=at))
        return times if times is not None and times.shape == self._wanted.shape else None

    def _run(self, entry: Callable[..., Any]) -> Array | None:
        self.runs += 1
        run = self._evidence.bundle(self.case).execute(Impulses(), entry=entry)
        return None if run.problem is not None else times_of(run)
