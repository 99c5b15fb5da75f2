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
from typing import Any

import numpy as np
import torch

from sampler_harness.observe.statements import names_read, node_of, only_reader, same_function

from .mended import Mending
from .mending_law import LawTrial
from .replacing import Change, Path, Variable, is_held, is_known, replacing

__all__ = ["made_of", "solved"]

#: Runs in which one number is solved for.
MOST_TRIES = 12
#: Lines that may be named of a number that would do.
MOST_LINES = 2


def solved(first: LawTrial, others: Sequence[LawTrial], most_runs: int) -> Mending | None:
    """The line of a number that has a value in each step with which all trials are right.

    Args:
        first: in which is searched.
        others: that must be right too.
        most_runs: of the sampler, in all trials.

    Returns:
        None where there is none, or more than two lines have one.
    """
    found = _solved(first, others, list(first.variables()), most_runs)
    if found == []:
        return _used_wrongly(first, others, most_runs)
    lines = list(dict.fromkeys(one.line for one in found or ()))
    if not found or len(lines) > MOST_LINES:
        return None
    if len(lines) == 1:
        reader = None if found[0].is_argument else only_reader(found[0].line, found[0].name)
        return Mending(found[0].line, found[0].name, reader)
    return Mending(lines[0], found[0].name, lines[1])


def _used_wrongly(first: LawTrial, others: Sequence[LawTrial], most_runs: int) -> Mending | None:
    """The line that uses a number which is right, where another number in its place would make all right.

    The last such number is the nearest to the fault: handed over in the line itself, or read by one line alone.
    """
    asked = list(first.variables().items())[::-1]
    for variable, seen in asked:
        if sum(trial.runs for trial in (first, *others)) > most_runs:
            return None
        if not all(_is_real(value) for value in seen.values()) or variable.part:
            continue
        if not is_known(variable, seen, first.values, first.case.shape):
            continue
        if not first.depends_on(variable, is_held(variable, seen)):
            continue
        if not all(_is_solved(trial, variable) for trial in (first, *others)):
            continue
        line = variable.line if variable.is_argument else only_reader(variable.line, variable.name)
        return None if line is None else Mending(line, variable.name)
    return None


def made_of(mending: Mending, first: LawTrial, others: Sequence[LawTrial], most_runs: int) -> Mending:
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
    first: LawTrial, others: Sequence[LawTrial], asked: Sequence[Variable], most_runs: int
) -> list[Variable] | None:
    """Numbers that are none of the reference's and have a value with which all is right; None where runs are spent."""
    found: list[Variable] = []
    for variable in asked:
        seen = first.variables()[variable]
        if sum(trial.runs for trial in (first, *others)) > most_runs:
            return None
        if not all(_is_real(value) for value in seen.values()) or variable.part:
            continue
        if is_known(variable, seen, first.values, first.case.shape):
            continue
        if not first.depends_on(variable, is_held(variable, seen)):
            continue
        if all(_is_solved(trial, variable) for trial in (first, *others)):
            found.append(variable)
    return found


def _is_real(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.is_floating_point() and value.numel() > 0 and bool((value == value.reshape(-1)[0]).all())
    return isinstance(value, (float, np.floating))


def _number(value: Any) -> float:
    return float(value.reshape(-1)[0]) if isinstance(value, torch.Tensor) else float(value)


def _is_solved(trial: LawTrial, variable: Variable) -> bool:
    seen = trial.variables().get(variable)
    if seen is None or not all(_is_real(value) for value in seen.values()):
        return False
    held = is_held(variable, seen)
    path = _path(trial, variable, {at: _number(value) for at, value in seen.items()}, held)
    return path is not None and trial.is_right(_visit(trial, variable, path), variable, held)


def _visit(trial: LawTrial, variable: Variable, path: dict[int, float]) -> Any:
    values: Path = tuple(sorted(path.items()))
    return replacing(Change(variable, "numbers", None), values, trial.case.shape)


def _path(trial: LawTrial, variable: Variable, path: dict[int, float], held: bool) -> dict[int, float] | None:
    """Values by segment with which one run shows nothing wrong; None where there are none."""

    def shown(at: int, value: float) -> Any:
        return trial.shown(_visit(trial, variable, {**path, at: value}), variable, held)

    for at in sorted(path):
        now = trial.shown(_visit(trial, variable, path), variable, held)
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
    now = trial.shown(_visit(trial, variable, path), variable, held)
    return path if now is not None and bool((np.abs(now) <= 1.0).all()) else None
