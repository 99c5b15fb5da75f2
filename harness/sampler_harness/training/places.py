"""Which line of a training step makes what a check finds wrong: its input, time, target, weight or loss.

Read off the lines that ran and what their source says: the model's call, the difference with its answer, and where the
names in them were assigned. Where that leads to no line of the user's own, none is named.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from textwrap import shorten

import numpy as np

from sampler_harness.observe.problems import Problem
from sampler_harness.observe.statements import Line, function_of, names_assigned, names_read, node_of, parameters
from sampler_harness.observe.trace import Case
from sampler_harness.observe.walk import Walk, shown, walk_of
from sampler_harness.verdict import Place

from .evidence import TrainingEvidence
from .probing import Chosen, run_step

__all__ = ["place_of"]

#: What keeps a gradient from arriving.
_DETACHING = frozenset(("detach", "no_grad", "inference_mode", "item", "data", "detach_", "tensor"))


def place_of(id: str, evidence: TrainingEvidence, case: Case, *, in_input: bool = False) -> Place | None:
    """The line to look at first.

    Args:
        id: of the check that fails.
        evidence: as measured.
        case: where that was seen.
        in_input: what is wrong with noise is wrong in the model's input already.

    Returns:
        None where no own line is known to make it.
    """

    def run() -> Problem | None:
        zero = Chosen(np.zeros(case.shape))
        return run_step(evidence.subject, case, zero, fixtures=evidence.fixtures).problem

    walked = walk_of(run)
    line = walked.raised or _Step(walked).line(id, in_input=in_input)
    if line is None:
        return None
    every = {shown(file): lines for file, lines in walked.ran(None).items()}
    return Place(shown(line.file), line.line, line.function, shorten(line.text, 80), every, every)


@dataclasses.dataclass(frozen=True)
class _Step:
    """A training step's lines.

    Attributes:
        walked: as they ran.
    """

    walked: Walk

    @property
    def _stack(self) -> tuple[Line, ...]:
        """From the model's first call outwards."""
        return self.walked.calls[0] if self.walked.calls else ()

    def line(self, id: str, *, in_input: bool) -> Line | None:
        """The line for a check."""
        if not self._stack:
            return None
        if in_input:
            return self._argument(0)
        match id:
            case "training/time-distribution":
                return self._argument(1)
            case "training/forward-backward-consistent" | "training/shape":
                return self._argument(0)
            case "training/noise-matches-target" | "training/target":
                return self._target()
            case "training/weight":
                return self._weight()
            case "training/gradient":
                return self._detached()
        return None

    def _lines(self) -> list[Line]:
        return [line for part in self.walked.segments for line in part]

    # What the model is asked

    def _model_call(self) -> ast.Call | None:
        """The call of the model in the statement that makes it: of what its function was given to call."""
        node, function = node_of(self._stack[0]), function_of(self._stack[0])
        if node is None:
            return None
        given = parameters(function) if function is not None else set()
        calls = [one for one in ast.walk(node) if isinstance(one, ast.Call) and len(one.args) > 1]
        named = [c for c in calls if isinstance(c.func, ast.Name) and (c.func.id in given or "model" in c.func.id)]
        return next(iter((*named, *calls)), None)

    def _argument(self, index: int) -> Line | None:
        """Where an argument of the model's call is made."""
        call = self._model_call()
        return self._stack[0] if call is None else self._made(call.args[index], 0)

    def _made(self, value: ast.expr, depth: int) -> Line | None:
        """Where a value is made that stands in a line of the stack: there, or where its one name is assigned."""
        here = self._stack[depth]
        if not isinstance(value, ast.Name):
            return self._worked_out(value, here) or here
        assigned = self._assigned(value.id, here)
        if assigned is not None:
            return assigned
        function = function_of(here)
        if function is None or depth + 1 >= len(self._stack):
            return here
        handed = _handed(function, value.id, self._stack[depth + 1])
        return here if handed is None else self._made(handed, depth + 1)

    def _worked_out(self, value: ast.expr, here: Line) -> Line | None:
        """The one line of arithmetic that gave a name in an expression its value; None where several did."""
        made = {line for name in names_read(value) if (line := self._assigned(name, here)) is not None}
        found = {line for line in made if _is_arithmetic(line)}
        return found.pop() if len(found) == 1 else None

    def _assigned(self, name: str, at: Line) -> Line | None:
        """The last line of the same function that gave a name its value, before the statement that reads it."""
        before = [one for one in self._lines() if (one.file, one.function) == (at.file, at.function)]
        made = [one for one in before if one.line != at.line and name in names_assigned(one)]
        return made[-1] if made else None

    # What its answer is compared with

    def _loss(self) -> tuple[Line, ast.BinOp] | None:
        """The line with the difference of answer and target, and the difference."""
        answers = names_assigned(self._stack[0])
        call = self._model_call()
        function = self._stack[0].function
        for line in dict.fromkeys([self._stack[0], *self._lines()]):
            node = node_of(line)
            if node is None or line.function != function:
                continue
            for one in ast.walk(node):
                if not isinstance(one, ast.BinOp) or not isinstance(one.op, ast.Sub):
                    continue
                sides = (one.left, one.right)
                if any(side is call or (isinstance(side, ast.Name) and side.id in answers) for side in sides):
                    return line, one
        return None

    def _target(self) -> Line | None:
        found = self._loss()
        if found is None:
            return self.walked.last_return()
        line, difference = found
        answers = names_assigned(self._stack[0])
        call = self._model_call()
        other = next(
            side
            for side in (difference.right, difference.left)
            if side is not call and not (isinstance(side, ast.Name) and side.id in answers)
        )
        if isinstance(other, ast.Name) and (made := self._assigned(other.id, line)) is not None:
            return line if _draws(made) else made
        return line

    def _weight(self) -> Line | None:
        """Where a factor of the squared difference is made."""
        found = self._loss()
        if found is None:
            return self.walked.last_return()
        line, difference = found
        inside = set(names_read(difference))
        node = node_of(line)
        for one in ast.walk(node) if node is not None else ():
            if not isinstance(one, ast.BinOp) or not isinstance(one.op, (ast.Mult, ast.Div)):
                continue
            for side in (one.left, one.right):
                if isinstance(side, ast.Name) and side.id not in inside:
                    depth = next((i for i, at in enumerate(self._stack) if at.function == line.function), 0)
                    return self._assigned(side.id, line) or self._made(side, depth)
        return line

    def _detached(self) -> Line | None:
        """The one line that keeps a gradient back; else where the loss is made."""
        found = {line for line in self._lines() if _names_of(line, _DETACHING)}
        if len(found) == 1:
            return found.pop()
        return None if found else self.walked.last_return()


def _handed(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str, caller: Line) -> ast.expr | None:
    """What a line hands a function for one of its parameters."""
    node = node_of(caller)
    names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    for call in ast.walk(node) if node is not None else ():
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != function.name:
            continue
        by_name = {one.arg: one.value for one in call.keywords}
        if name in by_name:
            return by_name[name]
        if name in names and names.index(name) < len(call.args):
            return call.args[names.index(name)]
    return None


def _names_of(line: Line, wanted: frozenset[str]) -> bool:
    node = node_of(line)
    parts: Iterator[ast.AST] = ast.walk(node) if node is not None else iter(())
    if isinstance(node, (ast.With, ast.For, ast.If, ast.While)):
        heads = [item.context_expr for item in node.items] if isinstance(node, ast.With) else []
        parts = (inner for head in heads for inner in ast.walk(head))
    return any(isinstance(one, ast.Attribute) and one.attr in wanted for one in parts)


def _draws(line: Line) -> bool:
    """Whether a line draws, and works nothing out."""
    node = node_of(line)
    parts = list(ast.walk(node)) if node is not None else []
    drawn = any(isinstance(one, ast.Attribute) and one.attr.startswith(("rand", "normal")) for one in parts)
    return drawn and not _is_arithmetic(line)


def _is_arithmetic(line: Line) -> bool:
    node = node_of(line)
    return isinstance(node, (ast.Assign, ast.AugAssign)) and any(isinstance(one, ast.BinOp) for one in ast.walk(node))
