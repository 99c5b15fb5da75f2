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
from typing import Any

import numpy as np
import torch

from sampler_harness.law.own_values import OwnValue, is_one, like, made_of_known, numbers_of
from sampler_harness.observe.assigned import KEPT, Assigned, assigning
from sampler_harness.observe.statements import Line, names_read
from sampler_harness.observe.trace import Case

from .evidence import TrainingEvidence
from .given import Given
from .law import BENT
from .probing import Array, StepRun, run_step

__all__ = ["Blame", "blame_of"]

#: Runs of the step that a search may take.
MOST_RUNS = 1_200


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
        values: dict[OwnValue, Any] = {}
        written: list[Line] = []
        held: list[torch.Tensor] = []

        def see(one: Assigned) -> Any:
            if held and held[0]._version > 0 and not written:
                written.append(one.line)
            if one.name and not isinstance(one.value, torch.nn.Module):
                kept = one.value.detach().clone() if isinstance(one.value, torch.Tensor) else one.value
                values[OwnValue(one.line, one.name)] = kept
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
        self, tried: Sequence[OwnValue], values: Mapping[OwnValue, Any], known: Mapping[OwnValue, bool]
    ) -> Line | None:
        """The line of the first value that another one mends; None where what it is made of is not known."""
        found: OwnValue | None = None
        for variable in tried:
            new = next((new for new in self._candidates(values[variable]) if self._is_right_with(variable, new)), None)
            if new is None:
                continue
            found = variable
            if np.ptp(new) > 0:
                break
            # What one number for all mends may be made of anything: the last such value is the nearest to the fault.
        return found.line if found is not None and made_of_known(found, known) else None

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

    def _is_right_with(self, variable: OwnValue, new: Array) -> bool:
        if self.runs >= MOST_RUNS:
            self.spent = True
            return False

        def put(one: Assigned) -> Any:
            return like(one.value, new) if (one.line, one.name) == variable else KEPT

        runs = self._run(put, only=variable)
        return runs is not None and not self.given.wrong(*runs)

    def _is_right_as_weight(self, variable: OwnValue, value: Any) -> bool:
        """Whether a line's value, had it been the reference's weight, would make the step right."""
        own, weight = numbers_of(value), self.given.weight
        return own is not None and own.size == weight.size and self._is_right_with(variable, weight)

    # Values

    def _is_known(self, value: Any) -> bool:
        """Whether a value is the reference's, or no number at all."""
        own = numbers_of(value)
        if own is None:
            return True
        return any(is_one(own, other) for other in self.given.values)

    def _candidates(self, value: Any) -> Iterator[Array]:
        """The reference's values that can stand in a value's place, each once."""
        own = numbers_of(value)
        told: set[bytes] = set()
        for other in self.given.values:
            if own is None or not _may_stand_for(own, other, self.case.shape):
                continue
            key = other.astype(np.float32).tobytes()
            if key not in told and not is_one(own, other):
                told.add(key)
                yield other


def _may_stand_for(own: Array, other: Array, shape: tuple[int, ...]) -> bool:
    if own.size == other.size:
        return True
    # Noise that is drawn too small; a number for each item where the value has one for all.
    whole = int(np.prod(shape))
    return other.size == whole and other.ndim == len(shape) and 1 < own.size < whole and own.ndim >= 2
