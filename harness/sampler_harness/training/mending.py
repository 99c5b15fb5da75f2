"""Which value of a training step's own, had it been the reference's, would make the step right: where the fault is.

The step is run on chosen data, draws and answers, and the reference on the same ones. What an own line assigns is
*known* where it is one of the values that the reference works out. The earliest line whose
unknown value, replaced by one of the reference's, makes input, time, target and weight right is the one to look at, if
all that it was made of is known. Where no line's value does, and all that stands in the statement that asks the model
(or compares its answer) is known, the fault is in that statement. In all other cases no line is named.

Context: a line that is read off the source alone was wrong in four cases of ten. Choice: a line is named where a run
shows it. Reversed by: running a step's own statements with parts of them replaced.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from sampler_harness.observe.assigned import KEPT, Assigned, assigning
from sampler_harness.observe.statements import Line, names_read, node_of
from sampler_harness.observe.trace import Case

from .evidence import TrainingEvidence
from .given import Given
from .law import BENT
from .probing import Array, StepRun, run_step

__all__ = ["Blame", "blame_of"]

#: Runs of the step that a search may take.
MOST_RUNS = 1_200
#: Values that differ by less, as a share of the largest, are one.
SAME = 1e-4


class _Variable(NamedTuple):
    """A name that a line assigns, or an argument that it hands on."""

    line: Line
    name: str

    @property
    def place(self) -> tuple[str, str]:
        """The function that reads it, and its name there."""
        callee, _, argument = self.name.partition("(")
        return (callee, argument.rstrip(")")) if argument else (self.line.function, self.name)


@dataclasses.dataclass(frozen=True)
class Blame:
    """What a search found.

    Attributes:
        mended: the line whose value makes the step right.
        wrong: parts that are wrong: ``"x"``, ``"told"``, ``"target"``, ``"weight"``; ``"dead"`` where something never
            counts.
        unknown: for each function and name whose last value is none of the reference's, the line that assigned it.
        written: the line at which the data were written over.
        weighing: the line whose value is the reference's, but not its weight, which would make the step right.
    """

    mended: Line | None
    wrong: frozenset[str]
    unknown: frozenset[tuple[str, str]]
    written: Line | None = None
    weighing: Line | None = None

    def knows(self, line: Line, *expressions: ast.AST) -> bool:
        """Whether all names in expressions of a line hold what the reference has.

        Args:
            line: in whose function they stand.
            expressions: of it.
        """
        names = {name for one in expressions for name in names_read(one)}
        return not any((line.function, name) in self.unknown for name in names)


def blame_of(evidence: TrainingEvidence, case: Case) -> Blame | None:
    """Search in one case.

    Args:
        evidence: as measured.
        case: where something is wrong.

    Returns:
        None where the step and its reference cannot be laid beside each other.
    """
    if case not in evidence.blames:
        evidence.blames[case] = _Search.of(evidence, case)
    found = evidence.blames[case]
    assert found is None or isinstance(found, Blame)
    return found


@dataclasses.dataclass
class _Search:
    evidence: TrainingEvidence
    case: Case
    given: Given
    runs: int = 0
    #: Whether something was not tried, for want of runs.
    spent: bool = False

    @staticmethod
    def of(evidence: TrainingEvidence, case: Case) -> Blame | None:
        law = next((one for one in (*evidence.laws, *evidence.shaped) if one.case == case), None)
        if law is None or not all(item.bend < BENT or not item.curvature for item in law.items):
            return None  # no square: there is no target and no weight that a value could mend
        given = Given.of(evidence, case)
        return None if given is None else _Search(evidence, case, given)._found()

    def _found(self) -> Blame | None:
        values: dict[_Variable, Any] = {}
        written: list[Line] = []
        held: list[torch.Tensor] = []

        def see(one: Assigned) -> Any:
            if held and held[0]._version > 0 and not written:
                written.append(one.line)
            if one.name and not isinstance(one.value, torch.nn.Module):
                kept = one.value.detach().clone() if isinstance(one.value, torch.Tensor) else one.value
                values[_Variable(one.line, one.name)] = kept
            return KEPT

        runs = self._run(see, held=held)
        wrong = self.given.wrong(*runs) if runs is not None else None
        if not wrong:
            return None
        known = {variable: self._is_known(value) for variable, value in values.items()}
        last = {variable.place: ok for variable, ok in known.items()}
        unknown = frozenset(place for place, ok in last.items() if not ok)
        if written:
            return Blame(None, frozenset(wrong), unknown, written[0])
        mended = self._mended([v for v in values if not known[v]], values, known)
        if mended is None and {"x", "told"} <= wrong:
            # One value that is wrong in both is the reference's, but not the one that should stand there.
            mended = self._mended([v for v in values if known[v]], values, known)
        weighing = None
        if mended is None and wrong == {"weight"}:
            # The same of a weight: but what stands in its place may be right, and the statement weigh with it wrongly.
            weighing = next((v.line for v in values if known[v] and self._is_right_as_weight(v, values[v])), None)
        if self.spent:
            return Blame(None, frozenset(), frozenset())  # what was not tried may be the line
        return Blame(mended, frozenset(wrong), unknown, weighing=weighing)

    def _mended(
        self, tried: Sequence[_Variable], values: Mapping[_Variable, Any], known: Mapping[_Variable, bool]
    ) -> Line | None:
        """The line of the first value that another one mends; None where what it is made of is not known."""
        found: _Variable | None = None
        for variable in tried:
            new = next((new for new in self._candidates(values[variable]) if self._is_right_with(variable, new)), None)
            if new is None:
                continue
            found = variable
            if np.ptp(new) > 0:
                break
            # What one number for all mends may be made of anything: the last such value is the nearest to the fault.
        return found.line if found is not None and self._made_of_known(found, known) else None

    def _made_of_known(self, variable: _Variable, known: Mapping[_Variable, bool]) -> bool:
        """Whether what a line made a value of is the reference's, so that the line itself is to blame."""
        node = node_of(variable.line)
        read = set(names_read(node)) if node is not None else set()
        before = list(known)[: list(known).index(variable)]
        for name in read:
            earlier = [v for v in before if v.place == (variable.line.function, name) and v.line != variable.line]
            if earlier and not known[earlier[-1]]:
                return False
        return True

    # Runs

    def _run(self, visit: Callable[[Assigned], Any], **options: Any) -> tuple[StepRun, StepRun] | None:
        """The step with two answers of the model."""
        self.runs += 1
        held = options.pop("held", None)
        function = self.evidence.subject.function

        def noting(model: Any, x0: Any, *rest: Any, **named: Any) -> Any:
            if held is not None and isinstance(x0, torch.Tensor):
                held[:] = [x0]
            return function(model, x0, *rest, **named)

        # What the step takes by name is read off its signature.
        entry = functools.wraps(function)(assigning(noting, visit, **options))
        subject = dataclasses.replace(self.evidence.subject, function=entry)
        found = []
        for chosen in self.given.chosen:
            run = run_step(subject, self.case, chosen, fixtures=self.evidence.fixtures)
            if run.problem is not None or len(run.calls) != 1:
                return None
            found.append(run)
        return found[0], found[1]

    def _is_right_with(self, variable: _Variable, new: Array) -> bool:
        if self.runs >= MOST_RUNS:
            self.spent = True
            return False

        def put(one: Assigned) -> Any:
            return _like(one.value, new) if (one.line, one.name) == variable else KEPT

        runs = self._run(put, only=variable)
        return runs is not None and not self.given.wrong(*runs)

    def _is_right_as_weight(self, variable: _Variable, value: Any) -> bool:
        """Whether a line's value, had it been the reference's weight, would make the step right."""
        own, weight = _numbers(value), self.given.weight
        return own is not None and own.size == weight.size and self._is_right_with(variable, weight)

    # Values

    def _is_known(self, value: Any) -> bool:
        """Whether a value is the reference's, or no number at all."""
        own = _numbers(value)
        if own is None:
            return True
        return any(_is_one(own, other) for other in self.given.values)

    def _candidates(self, value: Any) -> Iterator[Array]:
        """The reference's values that can stand in a value's place, each once."""
        own = _numbers(value)
        told: set[bytes] = set()
        for other in self.given.values:
            if own is None or not _may_stand_for(own, other, self.case.shape):
                continue
            key = other.astype(np.float32).tobytes()
            if key not in told and not _is_one(own, other):
                told.add(key)
                yield other


def _numbers(value: Any) -> Array | None:
    """A value as numbers; None where it is something else."""
    if isinstance(value, (bool, int)):
        return None  # a count
    if isinstance(value, torch.Tensor):
        return None if value.dtype is torch.bool else value.detach().to("cpu", torch.float64).numpy()
    if isinstance(value, (float, np.ndarray, np.number)):
        found: Array = np.asarray(value, dtype=np.float64)
        return found
    if isinstance(value, (list, tuple)) and value and all(type(one) in (int, float) for one in value):
        return np.asarray(value, dtype=np.float64)
    return None


def _is_one(own: Array, other: Array) -> bool:
    """Whether two values are one, laid out in whatever way; a single number may be one of an item's."""
    if own.size == 1 and other.size > 1:
        flat = other.reshape(-1)
        return other.ndim == 1 and bool((np.abs(flat - own.reshape(-1)[0]) <= SAME * np.abs(flat) + 1e-9).any())
    if own.size != other.size:
        return False
    one, two = own.reshape(-1), other.reshape(-1)
    with np.errstate(invalid="ignore"):
        per_item = two.size <= 64 or other.ndim <= 1
        scale = np.abs(two) if per_item else np.full_like(two, float(np.abs(two).max()))
        return bool((np.abs(one - two) <= SAME * scale + 1e-9).all())


def _may_stand_for(own: Array, other: Array, shape: tuple[int, ...]) -> bool:
    if own.size == other.size:
        return True
    # Noise that is drawn too small; a number for each item where the value has one for all.
    whole = int(np.prod(shape))
    return other.size == whole and other.ndim == len(shape) and 1 < own.size < whole and own.ndim >= 2


def _like(value: Any, new: Array) -> Any:
    """The reference's numbers in the form of a value; what hangs on the model's answer goes on hanging on it."""
    if isinstance(value, torch.Tensor):
        shape = tuple(value.shape) if value.numel() == new.size else new.shape
        dtype = value.dtype if value.is_floating_point() or np.array_equal(new, np.round(new)) else torch.float32
        made = torch.from_numpy(np.asarray(new, dtype=np.float64).reshape(shape).copy()).to(value.device, dtype)
        return value + (made - value.detach()) if value.requires_grad else made
    if isinstance(value, (list, tuple)):
        return type(value)(float(one) for one in new.reshape(-1))
    if isinstance(value, np.ndarray):
        return new.reshape(value.shape)
    return type(value)(new.reshape(-1)[0]) if isinstance(value, (int, float)) else value
