"""A case whose law is measured again with values of the sampler's own replaced."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from sampler_harness.law.bundle import Bundle
from sampler_harness.law.comparison import Deviation, compare, entries_of
from sampler_harness.law.intermediates import Intermediates, intermediates
from sampler_harness.law.law import Law
from sampler_harness.law.reading import times_of
from sampler_harness.law.response import Array, Response
from sampler_harness.law.tolerance import PRECISIONS, Tolerance
from sampler_harness.observe.assigned import assigning
from sampler_harness.observe.probes import Impulses
from sampler_harness.observe.trace import Case, Run
from sampler_harness.observe.walk import Line

from .evidence import Evidence, expected_calls
from .mended import Visit
from .replacing import Variable, Variables, moved

__all__ = ["EnteredBundle", "LawTrial", "OneRun"]

#: How far each entry is off, in its tolerance, signed: a row for each model input and the sample.
Shown = Array


class EnteredBundle(Bundle):
    """The runs of a sampler by another way in: with values replaced, or with other code.

    Args:
        evidence: as measured.
        case: what is run.
        entry: what is called in the sampler's place.
    """

    def __init__(self, evidence: Evidence, case: Case, entry: Callable[..., Any]) -> None:
        limit = 4 * expected_calls(case.config) + 64
        super().__init__(evidence.subject, case, call_limit=limit, fixtures=evidence.fixtures)
        self._entry = entry
        self.runs = 0

    def execute(self, stimulus: Any, **options: Any) -> Run:
        """Run once under the stimulus, by that way in."""
        self.runs += 1
        return super().execute(stimulus, entry=self._entry, **options)


class LawTrial:
    """A case that has a law, in which values are replaced.

    Args:
        evidence: as measured.
        case: what is run.
        values: what the reference works out there.
    """

    def __init__(self, evidence: Evidence, case: Case, values: Intermediates) -> None:
        self.case = case
        self.values = values
        self.runs = 0
        self._variables: dict[Variable, dict[int, Any]] | None = None
        self._evidence = evidence
        self._quick = OneRun.of(evidence, case)

    @staticmethod
    def of(evidence: Evidence, case: Case) -> LawTrial | None:
        """None where the reference's values, or its law, are not known.

        Args:
            evidence: as measured.
            case: what is run.
        """
        side = evidence.side_of(case)
        values = intermediates(side.config)
        return None if values is None or evidence.standard.law(side) is None else LawTrial(evidence, case, values)

    def variables(self) -> dict[Variable, dict[int, Any]]:
        """What own lines assign, by segment."""
        if self._variables is not None:
            return self._variables
        seen = Variables(self.case.shape)
        base, entry = self._evidence.bundle(self.case), assigning(self._evidence.subject.function, seen.visit)
        # One run alone: a line that runs many times in a step is none where it is worked out.
        if base.problem is None:
            base.run_dense(draw_scale=2.0**-10, output_scale=2.0**-10, entry=entry)
        else:
            base.execute(Impulses(), entry=entry)  # as far as it comes
        self.runs += 1
        self._variables = seen.found()
        return self._variables

    def depends_on(self, variable: Variable, held: bool) -> bool:
        """Whether all that is wrong first changes where a variable is a little off."""
        if self._quick is None:
            return True
        self.runs += 1
        return self._quick.depends_on(self._entry(moved(variable, self.case.shape), variable, held))

    def may_be_right(self, visit: Visit, variable: Variable, held: bool) -> bool:
        """Whether the entries that one run shows are right."""
        if self._quick is None:
            return True
        self.runs += 1
        return self._quick.may_be_right(self._entry(visit, variable, held))

    def is_right(self, visit: Visit, variable: Variable, held: bool, at: Line | None = None) -> bool:
        """Whether all entries of the law are."""
        evidence = self._evidence
        side = evidence.side_of(self.case)
        should_be = evidence.standard.law(side)
        assert should_be is not None
        bundle = EnteredBundle(evidence, self.case, self._entry(visit, variable, held, at))
        try:
            if bundle.zero.problem is not None or bundle.num_calls != should_be.num_calls or bundle.first.problem:
                return False
            deviations = compare(bundle.law, should_be, evidence.standard.tolerance(side), last_row=bundle.last_row)
            return all(d.ratio <= 1.0 for d in deviations) and not bundle.first.leaks
        finally:
            self.runs += bundle.runs

    def wrong_terms(self) -> list[tuple[int, str]]:
        """What is wrong in which row, as the case is."""
        wrong = [d for d in self._evidence.compared(self.case) if d.ratio > 1.0 and not d.consequence]
        return [(d.row, d.term) for d in wrong]

    def shown(self, visit: Visit, variable: Variable, held: bool) -> Shown | None:
        """What one run shows of the entries; None where one run does not show them.

        Args:
            visit: replaces the variable.
            variable: that is replaced.
            held: as for the others.
        """
        if self._quick is None:
            return None
        self.runs += 1
        return self._quick.shown(self._entry(visit, variable, held))

    def shown_as_it_is(self) -> Shown | None:
        """The same with nothing replaced."""
        if self._quick is None:
            return None
        self.runs += 1
        return self._quick.shown(self._evidence.subject.function)

    def _entry(self, visit: Visit, variable: Variable, held: bool, at: Line | None = None) -> Callable[..., Any]:
        return assigning(self._evidence.subject.function, visit, only=variable[:2], held=held, at=at)


@dataclasses.dataclass(frozen=True)
class OneRun:
    """One run where a law takes several: what it finds wrong is wrong, what it finds right is measured whole.

    Attributes:
        evidence: as measured.
        case: in which is searched.
        base: its runs, with nothing replaced.
        stimulus: all impulses at once.
        rows: of the run with nothing replaced.
    """

    evidence: Evidence
    case: Case
    base: Bundle
    stimulus: Impulses
    rows: Array

    @staticmethod
    def of(evidence: Evidence, case: Case) -> OneRun | None:
        """None where one run has no room for all impulses, or the number of calls itself is wrong.

        Args:
            evidence: as measured.
            case: in which is searched.
        """
        base, law = evidence.bundle(case), evidence.standard.law(case)
        layout = None if base.problem is not None else base.layout
        if layout is None or law is None or base.num_calls != law.num_calls or np.any(base.zero.rows()):
            return None
        fields = len(layout.fields)
        if fields + base.num_calls > max(1, case.numel // 2):
            return None
        stimulus = Impulses()
        for number, element in enumerate(base.first.elements):
            if number >= fields:
                stimulus.outputs.setdefault(number - fields, []).append((element, base.amplitude))
            elif (drawn := layout.place(number, element)) is not None:
                value = layout.sign(number, element) * base.amplitude
                stimulus.draws.setdefault(drawn[0], []).append((drawn[1], value))
        run = base.execute(stimulus)
        return None if run.problem is not None else OneRun(evidence, case, base, stimulus, run.rows())

    def depends_on(self, entry: Callable[..., Any]) -> bool:
        """Whether all that is wrong first is another value in a run.

        Args:
            entry: what is called in the sampler's place.
        """
        run = self.base.execute(self.stimulus, entry=entry)
        if run.problem is not None or len(run.calls) != self.base.num_calls or self._draws_others(run):
            return True
        rows, times = run.rows(), times_of(run)
        return all(self._changes(one, rows, times) for one in self._first_wrong())

    def _draws_others(self, run: Run) -> bool:
        """Whether a run draws more or less than the one that the impulses are laid out for."""
        return len(run.draws) != len(self.base.zero.draws)

    def _first_wrong(self) -> list[Deviation]:
        wrong = [d for d in self.evidence.compared(self.case) if d.ratio > 1.0 and d.term != "count"]
        row = min((d.row for d in wrong), default=0)
        return [d for d in wrong if d.row == row]

    def _changes(self, wrong: Deviation, rows: Array, times: Array) -> bool:
        elements, row = list(self.base.first.elements), wrong.row
        fields = len(elements) - self.base.num_calls
        match wrong.term:
            case "time":
                return bool(times[row] != self._times[row])
            case "outputs" if wrong.column >= 0:
                at = elements[fields + wrong.column]
                return bool(rows[row, at] != self.rows[row, at])
            case "outputs" | "noise" | "initial-noise":  # of the outputs: the state, told by the first noise
                return not np.array_equal(rows[row, elements[:fields]], self.rows[row, elements[:fields]])
            case _:
                return not np.array_equal(rows[row], self.rows[row])

    @property
    def _times(self) -> Array:
        return self.base.first.response.times

    def may_be_right(self, entry: Callable[..., Any]) -> bool:
        """Whether the entries that the one run shows are right; draws that were not made before are not shown.

        Args:
            entry: what is called in the sampler's place.
        """
        run = self.base.execute(self.stimulus, entry=entry)
        if run.problem is None and self._draws_others(run):
            return True
        read = self._read(run)
        return read is not None and all(d.ratio <= 1.0 for d in compare(*read, last_row=self.base.last_row))

    def shown(self, entry: Callable[..., Any]) -> Shown | None:
        """How far each entry is off, in its tolerance, signed: the time and the weights of each row.

        Args:
            entry: what is called in the sampler's place.
        """
        run = self.base.execute(self.stimulus, entry=entry)
        read = self._read(run)
        if read is None or self._draws_others(run):
            return None
        entries = entries_of(*read, last_row=self.base.last_row)
        times = np.append(entries.times, np.zeros(len(entries.ratio) - len(entries.times)))
        return np.column_stack([times, entries.ratio])

    def _read(self, run: Run) -> tuple[Law, Law, Tolerance] | None:
        """What one run shows of the law, with what it should be; None where they cannot be laid side by side."""
        calls = self.base.num_calls
        if run.problem is not None or len(run.calls) != calls:
            return None
        side = self.evidence.side_of(self.case)
        should_be = self.evidence.standard.law(side)
        assert should_be is not None
        read = (run.rows() / self.base.amplitude)[:, list(self.base.first.elements)]
        fields = read.shape[1] - calls
        response = Response(times_of(run), np.zeros(calls + 1), read[:, :fields], read[:, fields:], self.base.amplitude)
        law = Law.of(response, precision=PRECISIONS[self.case.dtype].unit, shift=self.base.shift)
        return law, should_be, self.evidence.standard.tolerance(side)
