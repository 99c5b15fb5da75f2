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
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from reference_samplers.contract import Reference
from sampler_harness.law.bundle import Bundle
from sampler_harness.law.comparison import Deviation, compare
from sampler_harness.law.intermediates import Blend, Intermediates, intermediates
from sampler_harness.law.law import Law
from sampler_harness.law.reading import times_of
from sampler_harness.law.response import Array, Response
from sampler_harness.law.tolerance import PRECISIONS
from sampler_harness.observe.assigned import KEPT, Assigned, assigning
from sampler_harness.observe.probes import Impulses
from sampler_harness.observe.trace import Case, Run
from sampler_harness.observe.walk import Line

from .evidence import Evidence, expected_calls

__all__ = ["Mending", "mending_of"]

#: Runs of the sampler that a search may take.
MOST_RUNS = 1_500
#: Cases beside the one searched in that a mending must make right.
CONFIRMED = 6
#: Runs with more calls are not searched in; the same fault shows in shorter ones, or is not looked for.
MOST_CALLS = 40
#: Times that a line may run in one step: loops over tables are no places where a step is worked out.
MOST_TIMES = 4

#: Values by segment, told as a path that ends where the run does.
_Path = tuple[tuple[int, Any], ...]


class _Variable(NamedTuple):
    """A name that a line assigns; of a named tuple or a dataclass one number in it."""

    line: Line
    name: str
    part: str


class _Change(NamedTuple):
    """A value of the reference's in place of a variable's.

    Attributes:
        variable: whose.
        kind: ``"numbers"``, ``"tables"`` or ``"blends"``.
        site: where the reference works it out.
        lag: 0 where the variable has what the reference has by then; -1 where it has that of a model call before.
        turned: for a table, whether it runs the other way.
        shift: for a table, what is added to its entries: timesteps are counted from 0 or from 1.
    """

    variable: _Variable
    kind: str
    site: Any
    lag: int = 0
    turned: bool = False
    shift: float = 0.0


@dataclasses.dataclass(frozen=True)
class Mending:
    """A line, and that a value of the reference's there makes the sampler right.

    Attributes:
        line: that assigns the name.
        name: that was given the reference's value.
    """

    line: Line
    name: str


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
    first, rest = [], []
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
        for variable, seen in self._variables().items():
            if quick is not None and not quick.depends_on(variable):
                continue
            for change in _changes(variable, seen, values):
                if self._runs > MOST_RUNS:
                    return None
                self._runs += 1
                if quick is not None and not quick.may_be_right(change, _path(values, change) or ()):
                    continue
                if self._right(self._case, change) and all(self._right(other, change) for other in self._others):
                    return Mending(variable.line, variable.name)
        return None

    def _variables(self) -> dict[_Variable, dict[int, Any]]:
        """What own lines assign, in the order in which they first do, with the last value of each segment."""
        found: dict[_Variable, dict[int, Any]] = {}
        times: dict[tuple[_Variable, int], int] = {}

        def visit(one: Assigned) -> Any:
            for part, value in _parts(one.value):
                if _kind(value, self._case.shape) is not None:
                    variable = _Variable(one.line, one.name, part)
                    times[variable, one.segment] = times.get((variable, one.segment), 0) + 1
                    found.setdefault(variable, {})[one.segment] = _kept(value)
            return KEPT

        bundle = _Bundle(self._evidence, self._case, visit)
        bundle.run_dense(draw_scale=2.0**-10, output_scale=2.0**-10)
        found_often = {variable for (variable, _), count in times.items() if count > MOST_TIMES}
        return {variable: seen for variable, seen in found.items() if variable not in found_often}

    def _right(self, case: Case, change: _Change) -> bool:
        """Whether all entries of a case are right with the change."""
        evidence = self._evidence
        side = evidence.side_of(case)
        values = intermediates(side.config)
        should_be = evidence.standard.law(side)
        if values is None or should_be is None:
            return False
        path = _path(values, change)
        if path is None:
            return False
        bundle = _Bundle(evidence, case, _replacing(change, path, case.shape), change.variable[:2])
        if bundle.zero.problem is not None or bundle.num_calls != should_be.num_calls or bundle.first.problem:
            return False
        tolerance = evidence.standard.tolerance(side)
        deviations: tuple[Deviation, ...] = compare(bundle.law, should_be, tolerance, last_row=bundle.last_row)
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

    def _run(self, visit: Callable[[Assigned], Any], variable: _Variable) -> Run:
        entry = assigning(self.evidence.subject.function, visit, only=variable[:2])
        return self.base.execute(self.stimulus, entry=entry)

    def depends_on(self, variable: _Variable) -> bool:
        """Whether anything changes where a variable is a little off."""
        run = self._run(_moved(variable, self.case.shape), variable)
        if run.problem is not None or len(run.calls) != self.base.num_calls:
            return True
        return not np.array_equal(run.rows(), self.rows) or not np.array_equal(times_of(run), self._times)

    @property
    def _times(self) -> Array:
        return self.base.first.response.times

    def may_be_right(self, change: _Change, path: _Path) -> bool:
        """Whether the entries that the one run shows are right."""
        run = self._run(_replacing(change, path, self.case.shape), change.variable)
        calls = self.base.num_calls
        if run.problem is not None or len(run.calls) != calls:
            return False
        side = self.evidence.side_of(self.case)
        should_be = self.evidence.standard.law(side)
        assert should_be is not None
        read = (run.rows() / self.base.amplitude)[:, list(self.base.first.elements)]
        fields = read.shape[1] - calls
        response = Response(
            times_of(run), np.zeros(calls + 1), read[:, :fields], read[:, fields:], self.base.amplitude
        )
        law = Law.of(response, precision=PRECISIONS[self.case.dtype].unit, shift=self.base.shift)
        tolerance = self.evidence.standard.tolerance(side)
        return all(d.ratio <= 1.0 for d in compare(law, should_be, tolerance, last_row=self.base.last_row))


def _moved(variable: _Variable, shape: tuple[int, ...]) -> Callable[[Assigned], Any]:
    """Gives a variable a value that is a little off."""

    def visit(one: Assigned) -> Any:
        if one.line != variable.line or one.name != variable.name:
            return KEPT
        for part, old in _parts(one.value):
            if part != variable.part or _kind(old, shape) is None:
                continue
            if isinstance(old, (list, tuple)):
                new: Any = type(old)(_off(each) for each in old)
            else:
                new = _off(old)
            return _put(one.value, part, new)
        return KEPT

    return visit


def _off(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value + 1 if not value.is_floating_point() else value * 1.25 + 0.125 * float(value.ndim == 0)
    return value + 1 if isinstance(value, (int, np.integer)) else value * 1.25 + 0.125


def _put(held: Any, part: str, new: Any) -> Any:
    """A value with one of its parts replaced; the new value itself where it has none."""
    if not part:
        return new
    return dataclasses.replace(held, **{part: new}) if dataclasses.is_dataclass(held) else held._replace(**{part: new})


# What is replaced by what


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """A value, or the numbers of a small record."""
    if isinstance(value, tuple) and "_fields" in vars(type(value)):
        yield from zip(vars(type(value))["_fields"], value, strict=True)
    elif isinstance(value, Reference):
        return  # the configuration that the sampler was given
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from ((field.name, vars(value).get(field.name)) for field in dataclasses.fields(value))
    else:
        yield "", value


def _kind(value: Any, shape: tuple[int, ...]) -> str | None:
    """As what a value is replaced; None for what is left alone."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float, np.floating, np.integer)):
        return "numbers"
    if isinstance(value, (torch.Tensor, np.ndarray)):
        if isinstance(value, torch.Tensor) and tuple(value.shape) == shape and value.is_floating_point():
            return "blends"
        if value.ndim == 1 and value.shape[0] != shape[0] and value.shape[0] > 1:
            return "tables"
        size = value.numel() if isinstance(value, torch.Tensor) else value.size
        if size and bool((value == value.reshape(-1)[0]).all()):
            return "numbers"
        return "tables" if value.ndim == 1 and value.shape[0] > 1 else None
    if isinstance(value, (list, tuple)) and len(value) > 1:
        whole = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in value)
        return "tables" if whole else None
    return None


def _kept(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, torch.Tensor) else value


def _changes(variable: _Variable, seen: dict[int, Any], values: Intermediates) -> Iterator[_Change]:
    """All values of the reference that a variable may be given, each once."""
    kind = next((k for value in seen.values() if (k := _kind_of_last(value)) is not None), None)
    if kind is None:
        return
    told: set[_Path] = set()
    for site in vars(values)[kind]:
        for lag in (0, -1):
            turns = ((False, 0.0), (True, 0.0), (False, -1.0), (True, -1.0)) if kind == "tables" else ((False, 0.0),)
            for turned, shift in turns:
                change = _Change(variable, kind, site, lag, turned, shift)
                path = _path(values, change)
                if path is None:
                    continue
                at = tuple((segment, _at(path, segment)) for segment in seen)
                if at in told or any(value is None for _, value in at):
                    continue
                told.add(at)
                if not all(_is_same(seen[segment], value) for segment, value in at):
                    yield change


def _kind_of_last(value: Any) -> str | None:
    shape = tuple(value.shape) if isinstance(value, torch.Tensor) and value.ndim > 1 else (-1,)
    number = _kind(value, (-1,))
    return number if number == "numbers" else _kind(value, shape)


def _path(values: Intermediates, change: _Change) -> _Path | None:
    """The reference's values by segment, as a change takes them."""
    found = vars(values)[change.kind].get(change.site)
    if found is None:
        return None
    made = []
    for segment, value in sorted(found.items()):
        if change.kind == "tables":
            value = tuple(one + change.shift for one in (reversed(value) if change.turned else value))
        made.append((segment - change.lag, value))
    return tuple(made)


def _at(path: _Path, segment: int) -> Any:
    """The latest value up to a segment; None before the first."""
    latest = None
    for at, value in path:
        if at > segment:
            break
        latest = value
    return latest


def _is_same(value: Any, other: Any) -> bool:
    """Whether a replacement would change nothing."""
    if isinstance(other, Blend):
        return False
    try:
        got = np.asarray(value.tolist() if isinstance(value, (torch.Tensor, np.ndarray)) else value, dtype=float)
    except (TypeError, ValueError):
        return False
    wanted = np.asarray(other, dtype=float)
    if isinstance(other, tuple) and got.shape != wanted.shape:
        return False
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(got - wanted) <= 1e-9 * np.abs(wanted)))


def _replacing(change: _Change, path: _Path, shape: tuple[int, ...]) -> Callable[[Assigned], Any]:
    variable = change.variable

    def visit(one: Assigned) -> Any:
        if one.line != variable.line or one.name != variable.name:
            return KEPT
        value = _at(path, one.segment)
        if value is None:
            return KEPT
        held = one.value
        for part, old in _parts(held):
            if part != variable.part:
                continue
            if _kind(old, shape) != change.kind:
                return KEPT
            new = _made(old, value, one.calls)
            return new if new is KEPT else _put(held, part, new)
        return KEPT

    return visit


def _made(old: Any, value: Any, calls: list[tuple[Any, Any]]) -> Any:
    """A reference's value in the form of the sampler's own."""
    if isinstance(value, Blend):
        return _blended(old, value, calls)
    if isinstance(value, tuple):
        if isinstance(old, torch.Tensor):
            return torch.tensor(value, dtype=old.dtype, device=old.device)
        if isinstance(old, np.ndarray):
            return np.array(value, dtype=old.dtype)
        whole = all(isinstance(one, int) for one in old) and all(one == int(one) for one in value)
        return type(old)(int(one) if whole else one for one in value)
    if not math.isfinite(value):
        return KEPT
    if isinstance(old, torch.Tensor):
        return torch.full_like(old, value)
    if isinstance(old, np.ndarray):
        return np.full_like(old, value)
    return int(value) if isinstance(old, int) and value == int(value) else type(old)(value)


def _blended(old: torch.Tensor, blend: Blend, calls: list[tuple[Any, Any]]) -> Any:
    if len(calls) < len(blend.inputs):
        return KEPT
    total = torch.zeros_like(old)
    for back, (of_input, of_answer) in enumerate(zip(blend.inputs, blend.outputs, strict=True), 1):
        x, answer = calls[-back]
        answer = answer[0] if isinstance(answer, tuple) else answer
        if not isinstance(answer, torch.Tensor) or answer.shape != old.shape or x.shape != old.shape:
            return KEPT
        total = total + of_input * x.to(old.dtype) + of_answer * answer.to(old.dtype)
    return total
