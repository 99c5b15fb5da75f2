"""A number of the sampler's own, whatever it should be: the value is solved for that makes each row right.

A reference does not work out every number that a sampler may: of ``std = sqrt((b**2 - a**2) * s)`` it may have the root
and the factor apart. Here the number of each step is moved until the first entry that is wrong is right; all that the
row holds beside it, and all further rows, must be right with it.

Context: a number on which one entry hangs can always be solved for, and so can every number that it is made of. Choice:
what the reference works out too is taken as right, and more than two numbers that would do name no line. Reversed by:
a reference whose statements are the sampler's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch

from sampler_harness.law.response import Array
from sampler_harness.observe.statements import Line, names_read, node_of, only_reader, readers, same_function

from .mended import MOST_READERS, Mending, Trial, Visit
from .replacing import Change, Path, Variable, is_array, is_handed_by_its_name, is_held, is_known, replacing

__all__ = ["made_of", "solved"]

#: Runs in which one number is solved for.
MOST_TRIES = 12
#: By how much factors of two steps may differ that are one.
SAME_FACTOR = 1e-3
#: By how much a number that solves for a count may miss a whole one, which tolerances let it.
NEARLY_WHOLE = 0.25
#: Lines that may be named of a number that would do.
MOST_LINES = 2


class SolvingTrial(Trial, Protocol):
    """A case in which numbers can be solved for."""

    def wrong_terms(self) -> list[tuple[int, str]]:
        """What is wrong in which row, as the case is."""

    def shown(self, visit: Visit, variable: Variable, held: bool) -> Array | None:
        """How far each entry is off, in its tolerance, signed: a row for each model input; None where it is unseen."""


def solved(first: SolvingTrial, others: Sequence[SolvingTrial], most_runs: int) -> Mending | None:
    """The line of a number that has a value in each step with which all trials are right.

    Args:
        first: in which is searched.
        others: that must be right too.
        most_runs: of the sampler, in all trials.

    Returns:
        None where there is none, or more than two lines have one.
    """
    if (line := _scaled(first, others, most_runs)) is not None:
        return line
    found = _solved(first, others, list(first.variables()), most_runs)
    counts = [one for one in found or () if _is_count(one, first)]
    if counts:
        return Mending(counts[0].line, counts[0].name)
    if found == []:
        return _used_wrongly(first, others, most_runs)
    lines = list(dict.fromkeys(one.line for one in found or ()))
    if not found or len(lines) > MOST_LINES:
        return None
    if len(lines) == 1:
        return Mending(found[0].line, found[0].name, _used_in(found[0], [first, *others]))
    return Mending(lines[0], found[0].name, lines[1])


def _used_in(variable: Variable, trials: Sequence[SolvingTrial]) -> Line | None:
    """The one line that reads a number, or of several the one in which alone another number would do; else None."""
    if variable.is_argument:
        return None
    reading = readers(variable.line, variable.name)
    if len(reading) == 1:
        return reading[0]
    paths = [_solution(trial, variable) for trial in trials]
    found = [
        at
        for at in reading[:MOST_READERS]
        if all(
            path is not None
            and trial.is_right(
                _visit(trial, variable, path, "solved"), variable, is_held(variable, trial.variables()[variable]), at
            )
            for trial, path in zip(trials, paths, strict=True)
        )
    ]
    return found[0] if len(found) == 1 else None


def _used_wrongly(first: SolvingTrial, others: Sequence[SolvingTrial], most_runs: int) -> Mending | None:
    """The line that uses a number which is right, where another number in its place would make all right.

    The last such number is the nearest to the fault: handed over in the line itself, or read by one line alone.
    """
    asked = list(first.variables().items())[::-1]
    for variable, seen in asked:
        if sum(trial.runs for trial in (first, *others)) > most_runs:
            return None
        if not all(_is_real(value) for value in seen.values()) or variable.part or _is_count(variable, first):
            continue
        if not is_known(variable, seen, first.values, first.case.shape) or is_handed_by_its_name(variable):
            continue
        if not first.depends_on(variable, is_held(variable, seen)):
            continue
        if not all(_is_solved(trial, variable) for trial in (first, *others)):
            continue
        line = variable.line if variable.is_argument else only_reader(variable.line, variable.name)
        return None if line is None else Mending(line, variable.name)
    return None


def made_of(mending: Mending, first: SolvingTrial, others: Sequence[SolvingTrial], most_runs: int) -> Mending:
    """A line that mends, with the one that makes a number which it reads, where another number there would do as well.

    Args:
        mending: that was found.
        first: in which it was.
        others: that it mends too.
        most_runs: of the sampler, in all trials.
    """
    node = node_of(mending.line)
    if mending.other is not None or mending.is_argument or node is None:
        return mending
    read = set(names_read(node))
    asked = [one for one in first.variables() if one.name in read and same_function(one.line, mending.line)]
    asked = [one for one in asked if one.line.line < mending.line.line]
    found = _solved(first, others, asked, most_runs)
    if not found or len({one.line for one in found}) > 1:
        return mending
    return Mending(found[0].line, found[0].name, mending.line)


def _solved(
    first: SolvingTrial, others: Sequence[SolvingTrial], asked: Sequence[Variable], most_runs: int
) -> list[Variable] | None:
    """Numbers that are none of the reference's and have a value with which all is right; None where runs are spent."""
    found: list[Variable] = []
    for variable in asked:
        seen = first.variables()[variable]
        if sum(trial.runs for trial in (first, *others)) > most_runs:
            return None
        if not all(_is_real(value) for value in seen.values()) or variable.part:
            continue
        if is_known(variable, seen, first.values, first.case.shape) or is_handed_by_its_name(variable):
            continue
        if not first.depends_on(variable, is_held(variable, seen)):
            continue
        trials = [first, *others]
        if _is_count(variable, first):
            would_do = _is_one_count(trials, variable)
        else:
            would_do = all(_is_solved(trial, variable) for trial in trials)
        if would_do:
            found.append(variable)
    return found


def _scaled(first: SolvingTrial, others: Sequence[SolvingTrial], most_runs: int) -> Mending | None:
    """The line that makes noise which is a wrong multiple of what it should be; None where none does, or many do.

    What is made of that noise is a wrong multiple too, as long as nothing else is added.
    """
    wrong = [one.wrong_terms() for one in (first, *others)]
    if not all(terms and min(terms)[1] in ("initial-noise", "noise") for terms in wrong):
        return None
    found: list[Variable] = []
    for variable, seen in first.variables().items():
        if sum(trial.runs for trial in (first, *others)) > most_runs:
            return None
        if variable.is_argument or variable.part:
            continue
        if not any(is_array(value, first.case.shape) for value in seen.values()):
            continue  # in steps in which no noise is added it is all zero
        if first.depends_on(variable, False) and all(
            _is_solved(trial, variable, "factors") for trial in (first, *others)
        ):
            found.append(variable)
    # What is wrong in one step alone is less likely so than what is wrong alike in each.
    found = [one for one in found if _is_off_alike(first, one)] or found
    lines = list(dict.fromkeys(one.line for one in found))
    if not lines or len(lines) > MOST_LINES:
        return None
    return Mending(lines[0], found[0].name, lines[1] if len(lines) > 1 else None)


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    if _is_whole(value):
        return True
    if isinstance(value, torch.Tensor):
        return value.is_floating_point() and value.numel() > 0 and bool((value == value.reshape(-1)[0]).all())
    return isinstance(value, (float, np.floating))


def _number(value: Any) -> float:
    return float(value.reshape(-1)[0]) if isinstance(value, torch.Tensor) else float(value)


def _is_off_alike(trial: SolvingTrial, variable: Variable) -> bool:
    """Whether an array is the same multiple of what it should be in each step in which it is not all zero."""
    path, seen = _solution(trial, variable, "factors"), trial.variables()[variable]
    factors = [value for at, value in (path or {}).items() if is_array(seen[at], trial.case.shape)]
    return bool(factors) and max(factors) - min(factors) <= SAME_FACTOR


def _is_count(variable: Variable, first: SolvingTrial) -> bool:
    return all(_is_whole(value) for value in first.variables()[variable].values())


def _is_one_count(trials: Sequence[SolvingTrial], variable: Variable) -> bool:
    """Whether there is one whole number with which all trials are right; that it is whole is no chance then."""
    path = _solution(trials[0], variable)
    if path is None or len(set(path.values())) > 1:
        return False
    value = next(iter(path.values()))
    return all(
        seen is not None
        and trial.is_right(
            _visit(trial, variable, dict.fromkeys(seen, value), "solved"), variable, is_held(variable, seen)
        )
        for trial in trials[1:]
        for seen in (trial.variables().get(variable),)
    )


def _is_solved(trial: SolvingTrial, variable: Variable, kind: str = "solved") -> bool:
    """Whether a variable has values with which a trial is right."""
    return _solution(trial, variable, kind) is not None


def _solution(trial: SolvingTrial, variable: Variable, kind: str = "solved") -> dict[int, float] | None:
    """Values of a variable, or what it is multiplied by, with which a trial is right; None where there are none."""
    seen = trial.variables().get(variable)
    if seen is None or not (kind == "factors" or all(_is_real(value) for value in seen.values())):
        return None
    held = kind == "solved" and is_held(variable, seen)
    start = {at: 1.0 if kind == "factors" else _number(value) for at, value in seen.items()}
    path = _path(trial, variable, start, held, kind)
    if path is not None and all(_is_whole(value) for value in seen.values()):
        if any(abs(value - round(value)) > NEARLY_WHOLE for value in path.values()):
            return None
        path = {at: float(round(value)) for at, value in path.items()}
    if path is None or not trial.is_right(_visit(trial, variable, path, kind), variable, held):
        return None
    return path


def _visit(trial: SolvingTrial, variable: Variable, path: dict[int, float], kind: str) -> Any:
    values: Path = tuple(sorted(path.items()))
    return replacing(Change(variable, kind, None), values, trial.case.shape)


def _path(
    trial: SolvingTrial, variable: Variable, path: dict[int, float], held: bool, kind: str
) -> dict[int, float] | None:
    """Values by segment with which one run shows nothing wrong; None where there are none."""

    def shown(at: int, value: float) -> Any:
        return trial.shown(_visit(trial, variable, {**path, at: value}, kind), variable, held)

    for at in sorted(path):
        now = trial.shown(_visit(trial, variable, path, kind), variable, held)
        if now is None:
            return None
        wrong = np.argwhere(np.abs(now) > 1.0)
        if not len(wrong):
            return path
        row = int(wrong[0, 0])
        entry = row, int(np.abs(now[row]).argmax())
        before, value = path[at], path[at] * 1.0625 + 2.0**-10
        gap = now[entry]
        for _ in range(MOST_TRIES):
            other = shown(at, value)
            if other is None or other[entry] == gap or not np.isfinite(other[entry]):
                break
            if np.abs(other[row]).max() <= 0.5:
                path = {**path, at: value}
                break
            before, value = value, value - other[entry] * (value - before) / (other[entry] - gap)
            gap = other[entry]
    now = trial.shown(_visit(trial, variable, path, kind), variable, held)
    return path if now is not None and bool((np.abs(now) <= 1.0).all()) else None
