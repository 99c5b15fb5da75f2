"""Which line of a training step makes what a check finds wrong: its input, time, target, weight or loss.

The line whose value, had it been the reference's, would make the step right (:mod:`.mending`); else the statement that
asks the model, or compares its answer, where all that stands in it is the reference's. Where neither is so, none is
named.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from textwrap import shorten

import numpy as np

from sampler_harness.observe.problems import Problem
from sampler_harness.observe.statements import (
    Line,
    function_of,
    names_assigned,
    names_read,
    node_of,
    only_hands_on,
    parameters,
)
from sampler_harness.observe.trace import Case
from sampler_harness.observe.walk import Walk, shown, walk_of
from sampler_harness.verdict import Place

from .evidence import TrainingEvidence
from .mending import Blame, blame_of
from .probing import Chosen, run_step

__all__ = ["place_of"]

#: What runs lines without gradients.
_WITHOUT = frozenset(("no_grad", "inference_mode"))
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
    step = _Step(walked, blame_of(evidence, case))
    line = walked.raised or step.line(id, in_input=in_input)
    other = step.or_line(line)
    if line is None:
        return None
    first = other or line
    every = {shown(file): lines for file, lines in walked.ran(None).items()}
    text = shorten(first.text, 80)
    return Place(shown(first.file), first.line, first.function, text, every, every, or_line=line.line if other else 0)


@dataclasses.dataclass(frozen=True)
class _Step:
    """A training step's lines.

    Attributes:
        walked: as they ran.
        blame: what another value in them would mend; None where the step cannot be laid beside its reference.
    """

    walked: Walk
    blame: Blame | None

    def line(self, id: str, *, in_input: bool) -> Line | None:
        """The line for a check."""
        blame = self.blame
        if id == "training/gradient" and blame is None:
            return self._detaching()
        if blame is None or not self._stack:
            return None
        if blame.written is not None or blame.mended is not None:
            return blame.written or blame.mended
        of_noise = id == "training/noise-matches-target"
        if id == "training/time-distribution":
            return self._asks(1) if "told" in blame.wrong and "x" not in blame.wrong else None
        if id in ("training/forward-backward-consistent", "training/shape") or (of_noise and in_input):
            if "x" in blame.wrong:
                return self._asks(0) if "told" not in blame.wrong else None
            return self._asks(1) if "told" in blame.wrong and not of_noise else None
        if "dead" in blame.wrong:
            return self._detaching()
        if id == "training/target" or of_noise:
            return self._compares() if "target" in blame.wrong and not blame.wrong & {"x", "told"} else None
        return self._weighs() if blame.wrong == {"weight"} else None

    def or_line(self, line: Line | None) -> Line | None:
        """The line of a value that is the reference's, but no weight, where the statement that weighs was found."""
        other = self.blame.weighing if self.blame is not None else None
        if line is None or other is None or (other.file, other.line) == (line.file, line.line):
            return None
        return other if other.file == line.file and line == self._weighs() else None

    @property
    def _stack(self) -> tuple[Line, ...]:
        """From the model's first call outwards."""
        return self.walked.calls[0] if self.walked.calls else ()

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

    def _asks(self, index: int) -> Line | None:
        """The line that asks the model, where all that stands in one of its arguments is the reference's."""
        call, blame = self._model_call(), self.blame
        if call is None or blame is None or not blame.knows(self._stack[0], call.args[index]):
            return None
        return None if only_hands_on(self._stack[0]) else self._stack[0]

    # What its answer is compared with

    def _compares(self) -> Line | None:
        """The line with the difference of answer and target, where all that stands in the target is the reference's."""
        answers = names_assigned(self._stack[0])
        call = self._model_call()
        function = self._stack[0].function
        for line in dict.fromkeys([self._stack[0], *self._after()]):
            node = node_of(line)
            if node is None or line.function != function:
                continue
            for one in ast.walk(node):
                if not isinstance(one, ast.BinOp) or not isinstance(one.op, ast.Sub):
                    continue
                sides = (one.left, one.right)
                other = [s for s in sides if s is not call and not (isinstance(s, ast.Name) and s.id in answers)]
                if len(other) == 1 and self.blame is not None:
                    return line if self.blame.knows(line, other[0]) else None
        return None

    def _weighs(self) -> Line | None:
        """The one line that makes a loss of the answer, where all else that it is made of is the reference's."""
        first = self._stack[0]
        derived = names_assigned(first)
        found = [] if derived and self._is_asking_alone(first) else [first]
        for line in self._after():
            node = node_of(line)
            if node is None or line.function != first.function or line == first:
                continue
            if derived & set(names_read(node)):
                found.append(line)
                derived |= names_assigned(line)
        # A helper that only squares and averages, and the line that calls it, are one.
        found = list(dict.fromkeys(found))
        node = node_of(found[0]) if len(found) == 1 else None
        if node is None or self.blame is None:
            return None
        own = [n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id not in derived]
        return found[0] if self.blame.knows(found[0], *own) else None

    def _is_asking_alone(self, line: Line) -> bool:
        """Whether a line gives a name to what the model answers, and does nothing else."""
        node = node_of(line)
        return isinstance(node, ast.Assign) and node.value is self._model_call()

    def _after(self) -> list[Line]:
        return [line for part in self.walked.segments[1:] for line in part]

    def _detaching(self) -> Line | None:
        """The one line that keeps a gradient back; None where there are several."""
        before = [line for part in self.walked.segments[:1] for line in part]
        found = {line for line in before if _names_of(line, _WITHOUT) and isinstance(node_of(line), ast.With)}
        if not found:
            found = {line for line in (*self._stack, *self._after()) if _names_of(line, _DETACHING)}
        return found.pop() if len(found) == 1 else None


def _names_of(line: Line, wanted: frozenset[str]) -> bool:
    node = node_of(line)
    parts: Iterator[ast.AST] = ast.walk(node) if node is not None else iter(())
    if isinstance(node, (ast.With, ast.For, ast.If, ast.While)):
        heads = [item.context_expr for item in node.items] if isinstance(node, ast.With) else []
        parts = (inner for head in heads for inner in ast.walk(head))
    return any(isinstance(one, ast.Attribute) and one.attr in wanted for one in parts)
