"""The search for a line: values of the sampler's own, replaced by the reference's until the run is right."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from sampler_harness.law.intermediates import Intermediates
from sampler_harness.observe.assigned import KEPT, Assigned
from sampler_harness.observe.statements import (
    argument_of,
    counts,
    first_reader,
    guard_of,
    hands_others,
    names_read,
    node_of,
    only_reader,
    reader_of_parameter,
    readers,
    same_function,
)
from sampler_harness.observe.trace import Case
from sampler_harness.observe.walk import Line

from .replacing import (
    Change,
    Variable,
    changes,
    is_held,
    is_known,
    is_number,
    key_of,
    likeliest_first,
    path_of,
    replacing,
)

__all__ = ["Mending", "Trial", "mends", "narrowed", "searched", "swapped"]

#: Places of one value that are told apart by other cases.
MOST_ALIKE = 8

#: Lines that read a number and are asked whether they use it wrongly.
MOST_READERS = 6

#: Told of each value that an own line assigns; what it returns stands in its place.
Visit = Callable[[Assigned], Any]


@dataclasses.dataclass(frozen=True)
class Mending:
    """A line, and that a value of the reference's there makes the sampler right.

    Attributes:
        line: that assigns the name.
        name: that was given the reference's value.
        other: where the name holds another value of the reference's as it is, the line that may be wrong instead:
            the only one that reads the name, else the first whose own value is none of the reference's and mends too.
        change: what was put in its place; None for a number that was solved for, and where several were.
        other_name: what the other line assigns or hands over; empty where it only reads.
        is_known: whether all names that mend hold what the reference has as well, so that they are right by themselves.
    """

    line: Line
    name: str
    other: Line | None = None
    change: Change | None = None
    other_name: str = ""
    is_known: bool = False

    @property
    def is_argument(self) -> bool:
        """Whether the line hands it to a function, so that nothing behind that function is to blame."""
        return self.name.endswith(")")


class Trial(Protocol):
    """A case in which values are replaced and the outcome is held against the reference."""

    @property
    def case(self) -> Case:
        """What is run."""

    @property
    def values(self) -> Intermediates:
        """What the reference works out there."""

    @property
    def runs(self) -> int:
        """How often the sampler was run."""

    def variables(self) -> dict[Variable, dict[int, Any]]:
        """What own lines assign, by segment."""

    def depends_on(self, variable: Variable, held: bool) -> bool:
        """Whether what is wrong first changes where a variable is a little off."""

    def may_be_right(self, visit: Visit, variable: Variable, held: bool) -> bool:
        """Whether as much is right as one run shows."""

    def is_right(self, visit: Visit, variable: Variable, held: bool, at: Line | None = None) -> bool:
        """Whether all is right; with a line, where the variable is another one there alone."""


def searched(first: Trial, others: Sequence[Trial], most_runs: int) -> Mending | None:
    """The earliest own line whose value, replaced by one of the reference's, makes all trials right.

    Args:
        first: in which is searched.
        others: that must be right too.
        most_runs: of the sampler, in all trials.

    Returns:
        None where there is none, or runs are spent before all are asked. A name that has one value for all steps is
        told last, with the line that first reads it: another value in each step mends what is made of it just as well.
    """
    known: list[Variable] = []
    uniform: Variable | None = None
    for variable, seen in likeliest_first(first.variables(), first.values, first.case.shape):
        held = is_held(variable, seen)
        if not first.depends_on(variable, held):
            continue
        for change in _mending(first, others, variable, seen, held, most_runs):
            if held and len({key_of(value) for _, value in path_of(first.values, change) or ()}) > 1:
                uniform = uniform or variable
                continue
            if not is_known(variable, seen, first.values, first.case.shape):
                if known:
                    return Mending(known[0].line, known[0].name, variable.line, other_name=variable.name)
                return _in_doubt(first, others, variable, most_runs) or _whole(variable, change)
            if not known and (left_out := _left_out(first, others, variable, most_runs)) is not None:
                return left_out
            if not known and (reader := _reader(variable)) is not None:
                return Mending(variable.line, variable.name, reader, change)
            known.append(variable)
            break
        if sum(trial.runs for trial in (first, *others)) > most_runs:
            return None  # what was not asked may mend it as well, and be wrong where these are right
    if known:
        # Each holds what the reference has, at another time or for something else: it began or ended to be wrong there.
        numbers = [one for one in known if all(is_number(value) for value in first.variables()[one].values())]
        others_too = [one.line for one in numbers if one.line != known[0].line]
        return Mending(known[0].line, known[0].name, others_too[-1] if others_too else None, is_known=True)
    if uniform is not None:
        return Mending(uniform.line, uniform.name, first_reader(uniform.line, uniform.name))
    return None


def _in_doubt(first: Trial, others: Sequence[Trial], variable: Variable, most_runs: int) -> Mending | None:
    """Beside a line that mends another that would do as well; None where there is none.

    That is the ``if`` around it, where all is right with the value from before; an argument of the function that
    gives the value; or one that is not handed to the function in which the line stands.
    """
    guard = guard_of(variable.line)
    if guard is not None and all(_is_right_without(trial, variable) for trial in (first, *others)):
        return Mending(guard, variable.name, variable.line)
    given = [one for one in first.variables().items() if one[0].line == variable.line and one[0].is_argument]
    for argument, seen in given if not variable.is_argument else ():
        if next(_mending(first, others, argument, seen, False, most_runs), None) is not None:
            return Mending(argument.line, argument.name, variable.line)
    return _left_out(first, others, variable, most_runs)


def _left_out(first: Trial, others: Sequence[Trial], variable: Variable, most_runs: int) -> Mending | None:
    """The line that does not hand an argument to the function in which another line mends, where one would mend too."""
    for argument, seen in first.variables().items():
        if not argument.is_argument or not _is_left_out(argument, variable):
            continue
        if next(_mending(first, others, argument, seen, False, most_runs), None) is not None:
            return Mending(argument.line, argument.name, variable.line)
    return None


def _is_left_out(argument: Variable, variable: Variable) -> bool:
    """Whether an argument of the function in which a name is assigned has its default, and that line reads it."""
    callee, _, name = argument.name.rstrip(")").partition("(")
    node = node_of(variable.line)
    if callee != variable.line.function or node is None or name not in names_read(node):
        return False
    return argument_of(argument.line, variable.line, name) is None and not hands_others(argument.line, callee)


def _is_right_without(trial: Trial, variable: Variable) -> bool:
    """Whether all is right where a name keeps the value that an earlier line of the function gave it."""
    kept: dict[str, Any] = {}
    last = 0

    def visit(one: Assigned) -> Any:
        nonlocal last
        if one.segment < last:  # another run began
            kept.clear()
        last = one.segment
        if one.name != variable.name or not same_function(one.line, variable.line):
            return KEPT
        if one.line == variable.line:
            return kept.get(one.name, KEPT)
        kept[one.name] = one.value
        return KEPT

    earlier = (one for one in trial.variables() if one.name == variable.name and one.line.line < variable.line.line)
    if not any(same_function(one.line, variable.line) for one in earlier):
        return False
    return trial.may_be_right(visit, variable, False) and trial.is_right(visit, variable, False)


#: What two numbers of one line may be raised to: a variance is meant for a standard deviation, or a square for a root,
#: or the other way round.
_POWERS = (0.5, 2.0, 0.25, 4.0)


def swapped(first: Trial, others: Sequence[Trial]) -> Mending | None:
    """The line that gives two names numbers which are wrong together: each the other's, or both squared; else None.

    Args:
        first: in which is searched.
        others: that must be right too.
    """
    lines: dict[Line, list[Variable]] = {}
    for variable, seen in first.variables().items():
        if not variable.is_argument and not variable.part and all(is_number(value) for value in seen.values()):
            lines.setdefault(variable.line, []).append(variable)
    for line, pair in lines.items():
        for power in (None, *_POWERS):
            if len(pair) == 2 and all(_is_right_together(trial, pair, power) for trial in (first, *others)):
                return Mending(line, pair[0].name)
    return None


def _is_right_together(trial: Trial, pair: Sequence[Variable], power: float | None) -> bool:
    """Whether all is right where each has the other's number, or where both have a power of their own."""
    seen = trial.variables()
    one, other = pair
    if one not in seen or other not in seen:
        return False
    given = {one.name: seen[other], other.name: seen[one]}

    def visit(told: Assigned) -> Any:
        if told.line != one.line or told.name not in given:
            return KEPT
        if power is None:
            return given[told.name].get(told.segment, KEPT)
        return told.value**power if isinstance(told.value, float) and told.value > 0 else KEPT

    return trial.may_be_right(visit, one, False) and trial.is_right(visit, one, False)


def _mending(
    first: Trial, others: Sequence[Trial], variable: Variable, seen: dict[int, Any], held: bool, most_runs: int
) -> Iterator[Change]:
    """Changes of a variable that make all trials right."""
    for alike in changes(variable, seen, first.values, first.case.shape):
        if sum(trial.runs for trial in (first, *others)) > most_runs:
            return
        visit = _visit(first, alike[0])
        if visit is None or not first.may_be_right(visit, variable, held) or not first.is_right(visit, variable, held):
            continue
        if any(_confirmed(others, one, held) for one in _told_apart(others, alike)[:MOST_ALIKE]):
            yield alike[0]


def _confirmed(others: Sequence[Trial], change: Change, held: bool) -> bool:
    for other in others:
        visit = _visit(other, change)
        if visit is None or not other.is_right(visit, change.variable, held):
            return False
    return True


def _told_apart(others: Sequence[Trial], alike: Sequence[Change]) -> list[Change]:
    """Of places that have one value in the case that is searched in, one for each of those that differ elsewhere."""
    found: dict[Any, Change] = {}
    for change in alike:
        paths = [path_of(other.values, change) or () for other in others]
        found.setdefault(tuple(tuple((at, key_of(value)) for at, value in path) for path in paths), change)
    return list(found.values())


def _visit(trial: Trial, change: Change) -> Visit | None:
    path = path_of(trial.values, change)
    return None if path is None else replacing(change, path, trial.case.shape)


def _whole(variable: Variable, change: Change) -> Mending:
    other = None
    if change.kind == "flags" and variable.is_argument:
        # Of a flag that is handed over it cannot be told whether it is wrong or what is made of it.
        callee, _, name = variable.name.rstrip(")").partition("(")
        other = reader_of_parameter(variable.line.file, callee, name)
    return Mending(variable.line, variable.name, other, change)


def narrowed(mending: Mending, first: Trial, others: Sequence[Trial]) -> Mending:
    """A line that mends, with the one that reads its number, where another number there alone would do as well.

    Of several lines that read a number one may use it wrongly; that which gives it is right then. What counts the turns
    of a loop is right.

    Args:
        mending: that was found.
        first: in which it was.
        others: that it mends too.
    """
    change = mending.change
    if change is None or mending.other is not None or change.variable.part or change.variable.is_argument:
        return mending
    seen = first.variables()[change.variable]
    if not all(is_number(value) or isinstance(value, bool) for value in seen.values()):
        return mending
    held, reading = is_held(change.variable, seen), readers(mending.line, mending.name)[:MOST_READERS]
    is_count = counts(mending.line, mending.name)
    found = [
        at
        for at in (reading if len(reading) > 1 or is_count else ())
        if all(
            (visit := _visit(trial, change)) is not None and trial.is_right(visit, change.variable, held, at)
            for trial in (first, *others)
        )
    ]
    if len(found) != 1:
        return mending
    if is_count:
        return Mending(found[0], mending.name)
    return dataclasses.replace(mending, other=found[0])


def mends(mending: Mending, trial: Trial, values: Intermediates | None = None) -> bool:
    """Whether what mended other cases makes one right that was not asked.

    Args:
        mending: that was found.
        trial: of the case.
        values: what the reference works out there, in the form that the mending takes it in; the trial's if not given.
    """
    change = mending.change
    seen = None if change is None else trial.variables().get(change.variable)
    path = None if change is None else path_of(values or trial.values, change)
    if change is None or seen is None or path is None:
        return False
    visit = replacing(change, path, trial.case.shape)
    return trial.is_right(visit, change.variable, is_held(change.variable, seen))


def _reader(variable: Variable) -> Line | None:
    return None if variable.part or variable.is_argument else only_reader(variable.line, variable.name)
