"""Which value of the sampler's own, had it been the reference's, would make the run right: where the fault is.

A wrong row says in which step a sampler is wrong, not in which line. Here each name that its own lines assign is given
a value that the reference works out, and the law is measured again. Where that makes every entry right, in this case
and in others that fail, the line that assigned the name is the one to look at, and all that was wrong is one cause. The
earliest such line is taken: what follows from it is right once it is.

Context: a fault in the middle of an expression assigns nothing of its own, and several faults are not mended by one
value. Choice: nothing is named then, and the line that makes the wrong row stands. Reversed by: running a sampler's own
statements with parts of them replaced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sampler_harness.law.bundle import Bundle
from sampler_harness.law.comparison import compare
from sampler_harness.law.intermediates import intermediates
from sampler_harness.law.law import Law
from sampler_harness.law.reading import times_of
from sampler_harness.law.response import Array, Response
from sampler_harness.law.tolerance import PRECISIONS
from sampler_harness.observe.assigned import Assigned, assigning
from sampler_harness.observe.probes import Impulses
from sampler_harness.observe.trace import Case, Run
from sampler_harness.observe.walk import Line

from .evidence import Evidence, expected_calls
from .replacing import Change, Path, Variable, Variables, changes, likeliest_first, moved, path_of, replacing

__all__ = ["Mending", "mending_of"]

#: Runs of the sampler that a search may take.
MOST_RUNS = 1_500
#: Cases beside the one searched in that a mending must make right.
CONFIRMED = 6
#: Runs with more calls are not searched in; the same fault shows in shorter ones, or is not looked for.
MOST_CALLS = 40


@dataclasses.dataclass(frozen=True)
class Mending:
    """A line, and that a value of the reference's there makes the sampler right.

    Attributes:
        line: that assigns the name.
        name: that was given the reference's value.
    """

    line: Line
    name: str

    @property
    def is_argument(self) -> bool:
        """Whether the line hands it to a function, so that nothing behind that function is to blame."""
        return self.name.endswith(")")


def mending_of(evidence: Evidence) -> Mending | None:
    """The earliest own line whose value, replaced by one of the reference's, makes all failing cases right.

    Args:
        evidence: as measured.

    Returns:
        None where there is none, or the reference's source is not known.
    """
    if not evidence.standard.reference:
        return None
    failing = [case for case in evidence.affine_cases if any(d.ratio > 1.0 for d in evidence.compared(case))]
    short = [case for case in failing if expected_calls(case.config) <= MOST_CALLS]
    if not short:
        return None
    short.sort(key=lambda case: (expected_calls(case.config) < 2, expected_calls(case.config)))
    search = _Search(evidence, short[0], _confirming(evidence, short[1:]))
    return search.found()


def _confirming(evidence: Evidence, cases: Sequence[Case]) -> list[Case]:
    """Cases that differ in other terms each, then further ones."""
    seen: set[tuple[str, ...]] = set()
    first: list[Case] = []
    rest: list[Case] = []
    for case in cases:
        terms = tuple(sorted({d.term for d in evidence.compared(case) if d.ratio > 1.0}))
        (rest if terms in seen else first).append(case)
        seen.add(terms)
    return [*first, *rest][:CONFIRMED]


class _Bundle(Bundle):
    """The runs of a sampler in which values are replaced."""

    def __init__(
        self,
        evidence: Evidence,
        case: Case,
        visit: Callable[[Assigned], Any],
        only: tuple[Line, str] | None = None,
    ) -> None:
        limit = 4 * expected_calls(case.config) + 64
        super().__init__(evidence.subject, case, call_limit=limit, fixtures=evidence.fixtures)
        self._entry = assigning(evidence.subject.function, visit, only=only)

    def execute(self, stimulus: Any, **options: Any) -> Run:
        """Run once under the stimulus, with values replaced."""
        return super().execute(stimulus, entry=self._entry, **options)


class _Search:
    def __init__(self, evidence: Evidence, case: Case, others: Sequence[Case]) -> None:
        self._evidence = evidence
        self._case = case
        self._others = others
        self._runs = 0

    def found(self) -> Mending | None:
        """Search."""
        values = intermediates(self._evidence.side_of(self._case).config)
        if values is None:
            return None
        quick = _Quick.of(self._evidence, self._case)
        for variable, seen in likeliest_first(self._variables(), values, self._case.shape):
            if quick is not None and not quick.depends_on(variable):
                continue
            for change in changes(variable, seen, values, self._case.shape):
                if self._runs > MOST_RUNS:
                    return None
                self._runs += 1
                if quick is not None and not quick.may_be_right(change, path_of(values, change) or ()):
                    continue
                if self._right(self._case, change) and all(self._right(other, change) for other in self._others):
                    return Mending(variable.line, variable.name)
        return None

    def _variables(self) -> dict[Variable, dict[int, Any]]:
        seen = Variables(self._case.shape)
        _Bundle(self._evidence, self._case, seen.visit).run_dense(draw_scale=2.0**-10, output_scale=2.0**-10)
        return seen.found()

    def _right(self, case: Case, change: Change) -> bool:
        """Whether all entries of a case are right with the change."""
        evidence = self._evidence
        side = evidence.side_of(case)
        values = intermediates(side.config)
        should_be = evidence.standard.law(side)
        if values is None or should_be is None:
            return False
        path = path_of(values, change)
        if path is None:
            return False
        bundle = _Bundle(evidence, case, replacing(change, path, case.shape), change.variable[:2])
        if bundle.zero.problem is not None or bundle.num_calls != should_be.num_calls or bundle.first.problem:
            return False
        tolerance = evidence.standard.tolerance(side)
        deviations = compare(bundle.law, should_be, tolerance, last_row=bundle.last_row)
        return all(d.ratio <= 1.0 for d in deviations) and not bundle.first.leaks


@dataclasses.dataclass(frozen=True)
class _Quick:
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
    def of(evidence: Evidence, case: Case) -> _Quick | None:
        """None where one run has no room for all impulses, or the number of calls itself is wrong."""
        base, law = evidence.bundle(case), evidence.standard.law(case)
        layout = base.layout
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
                stimulus.draws.setdefault(drawn[0], []).append((drawn[1], base.amplitude))
        run = base.execute(stimulus)
        return None if run.problem is not None else _Quick(evidence, case, base, stimulus, run.rows())

    def _run(self, visit: Callable[[Assigned], Any], variable: Variable) -> Run:
        entry = assigning(self.evidence.subject.function, visit, only=variable[:2])
        return self.base.execute(self.stimulus, entry=entry)

    def depends_on(self, variable: Variable) -> bool:
        """Whether anything changes where a variable is a little off."""
        run = self._run(moved(variable, self.case.shape), variable)
        if run.problem is not None or len(run.calls) != self.base.num_calls:
            return True
        return not np.array_equal(run.rows(), self.rows) or not np.array_equal(times_of(run), self._times)

    @property
    def _times(self) -> Array:
        return self.base.first.response.times

    def may_be_right(self, change: Change, path: Path) -> bool:
        """Whether the entries that the one run shows are right."""
        run = self._run(replacing(change, path, self.case.shape), change.variable)
        calls = self.base.num_calls
        if run.problem is not None or len(run.calls) != calls:
            return False
        side = self.evidence.side_of(self.case)
        should_be = self.evidence.standard.law(side)
        assert should_be is not None
        read = (run.rows() / self.base.amplitude)[:, list(self.base.first.elements)]
        fields = read.shape[1] - calls
        response = Response(times_of(run), np.zeros(calls + 1), read[:, :fields], read[:, fields:], self.base.amplitude)
        law = Law.of(response, precision=PRECISIONS[self.case.dtype].unit, shift=self.base.shift)
        tolerance = self.evidence.standard.tolerance(side)
        return all(d.ratio <= 1.0 for d in compare(law, should_be, tolerance, last_row=self.base.last_row))
