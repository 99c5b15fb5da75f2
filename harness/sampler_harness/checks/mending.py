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
from sampler_harness.law.comparison import Deviation, compare
from sampler_harness.law.intermediates import intermediates
from sampler_harness.law.law import Law
from sampler_harness.law.reading import times_of
from sampler_harness.law.response import Array, Response
from sampler_harness.law.tolerance import PRECISIONS
from sampler_harness.observe.assigned import Assigned, assigning
from sampler_harness.observe.probes import Impulses
from sampler_harness.observe.statements import only_reader
from sampler_harness.observe.trace import Case, Run
from sampler_harness.observe.walk import Line

from .evidence import Evidence, expected_calls
from .handed import line_of_handing
from .replacing import (
    Change,
    Path,
    Variable,
    Variables,
    changes,
    is_held,
    is_known,
    likeliest_first,
    moved,
    path_of,
    replacing,
)

__all__ = ["Mending", "mending_of"]

#: The name under which what is handed over is mended; nothing behind the line is to blame, as for an argument.
HANDED = "handed()"
#: Runs of the sampler that a search may take.
MOST_RUNS = 2_000
#: Cases beside the one searched in that a mending must make right.
CONFIRMED = 6
#: The same of runs that end in an error: where a value mends none, one run is enough to see it.
STOPPED_RUNS = 1_000
#: Places of one value that are told apart by other cases.
MOST_ALIKE = 8
#: Runs with more calls are not searched in; the same fault shows in shorter ones, or is not looked for.
MOST_CALLS = 40


@dataclasses.dataclass(frozen=True)
class Mending:
    """A line, and that a value of the reference's there makes the sampler right.

    Attributes:
        line: that assigns the name.
        name: that was given the reference's value.
        other: where the name holds another value of the reference's as it is, the line that may be wrong instead:
            the only one that reads the name, else the first whose own value is none of the reference's and mends too.
    """

    line: Line
    name: str
    other: Line | None = None

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
    stopped = [case for case in evidence.affine_cases if _is_stopped(evidence, case)]
    short = [case for case in (*failing, *stopped) if expected_calls(case.config) <= MOST_CALLS]
    if not short:
        return None
    short.sort(key=lambda case: (expected_calls(case.config) < 2, expected_calls(case.config)))
    # What stops a run is what is wrong there; what else is wrong is seen where runs come to their end.
    short = [case for case in short if (case in stopped) == (short[0] in stopped)]
    if not stopped and (line := line_of_handing(evidence, short)) is not None:
        return Mending(line, HANDED)
    search = _Search(evidence, short[0], _confirming(evidence, short[1:]), STOPPED_RUNS if stopped else MOST_RUNS)
    return search.found()


def _is_stopped(evidence: Evidence, case: Case) -> bool:
    """Whether a run ends in an error of the sampler's own lines; of NaN the first line that makes it is known."""
    problem = evidence.bundle(case).problem
    return problem is not None and problem.kind == "raised"


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


def _whole(variable: Variable | None) -> Mending | None:
    return None if variable is None else Mending(variable.line, variable.name)


def _reader(variable: Variable) -> Line | None:
    return None if variable.part or variable.is_argument else only_reader(variable.line, variable.name)


class _Bundle(Bundle):
    """The runs of a sampler in which values are replaced."""

    def __init__(
        self,
        evidence: Evidence,
        case: Case,
        visit: Callable[[Assigned], Any],
        only: tuple[Line, str] | None = None,
        *,
        held: bool = False,
    ) -> None:
        limit = 4 * expected_calls(case.config) + 64
        super().__init__(evidence.subject, case, call_limit=limit, fixtures=evidence.fixtures)
        self._entry = assigning(evidence.subject.function, visit, only=only, held=held)

    def execute(self, stimulus: Any, **options: Any) -> Run:
        """Run once under the stimulus, with values replaced."""
        return super().execute(stimulus, entry=self._entry, **options)


class _Search:
    def __init__(self, evidence: Evidence, case: Case, others: Sequence[Case], most_runs: int = MOST_RUNS) -> None:
        self._evidence = evidence
        self._case = case
        self._others = others
        self._runs = 0
        self._most = most_runs

    def found(self) -> Mending | None:
        """Search."""
        values = intermediates(self._evidence.side_of(self._case).config)
        if values is None:
            return None
        quick = _Quick.of(self._evidence, self._case)
        first: Variable | None = None
        for variable, seen in likeliest_first(self._variables(), values, self._case.shape):
            held = is_held(variable, seen)
            if quick is not None and not quick.depends_on(variable, held):
                continue
            for alike in changes(variable, seen, values, self._case.shape):
                change = alike[0]
                if self._runs > self._most:
                    return _whole(first)
                self._runs += 1
                if quick is not None and not quick.may_be_right(change, path_of(values, change) or (), held):
                    continue
                if self._right(self._case, change, held) and self._confirmed(alike, held):
                    # A name with one value for all steps: another in each mends what is made of it just as well, so
                    # that it tells nothing of where the fault is.
                    if held and len({value for _, value in path_of(values, change) or ()}) > 1:
                        continue
                    if not is_known(variable, seen, values, self._case.shape):
                        return Mending(first.line, first.name, variable.line) if first else _whole(variable)
                    if first is None and (reader := _reader(variable)) is not None:
                        return Mending(variable.line, variable.name, reader)
                    first = first or variable
                    break
        return _whole(first)

    def _confirmed(self, alike: Sequence[Change], held: bool) -> bool:
        """Whether the other cases are right too with one of the places that have the value."""
        return any(all(self._right(other, one, held) for other in self._others) for one in alike[:MOST_ALIKE])

    def _variables(self) -> dict[Variable, dict[int, Any]]:
        seen = Variables(self._case.shape)
        bundle = _Bundle(self._evidence, self._case, seen.visit)
        if self._evidence.bundle(self._case).problem is None:
            bundle.run_dense(draw_scale=2.0**-10, output_scale=2.0**-10)
        else:
            bundle.execute(Impulses())  # as far as it comes
        return seen.found()

    def _right(self, case: Case, change: Change, held: bool) -> bool:
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
        bundle = _Bundle(evidence, case, replacing(change, path, case.shape), change.variable[:2], held=held)
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
        return None if run.problem is not None else _Quick(evidence, case, base, stimulus, run.rows())

    def _run(self, visit: Callable[[Assigned], Any], variable: Variable, *, held: bool = False) -> Run:
        entry = assigning(self.evidence.subject.function, visit, only=variable[:2], held=held)
        return self.base.execute(self.stimulus, entry=entry)

    def depends_on(self, variable: Variable, held: bool) -> bool:
        """Whether all that is wrong first changes where a variable is a little off."""
        run = self._run(moved(variable, self.case.shape), variable, held=held)
        if run.problem is not None or len(run.calls) != self.base.num_calls:
            return True
        rows, times = run.rows(), times_of(run)
        return all(self._changes(one, rows, times) for one in self._first_wrong())

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
            case "outputs":
                at = elements[fields + wrong.column]
                return bool(rows[row, at] != self.rows[row, at])
            case "noise" | "initial-noise":
                return not np.array_equal(rows[row, elements[:fields]], self.rows[row, elements[:fields]])
            case _:
                return not np.array_equal(rows[row], self.rows[row])

    @property
    def _times(self) -> Array:
        return self.base.first.response.times

    def may_be_right(self, change: Change, path: Path, held: bool) -> bool:
        """Whether the entries that the one run shows are right."""
        run = self._run(replacing(change, path, self.case.shape), change.variable, held=held)
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
