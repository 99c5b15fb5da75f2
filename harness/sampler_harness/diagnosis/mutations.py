"""Systematic single edits of a program: the mistakes that a person makes in a line, one at a time.

Only what was executed is edited, and a name is only swapped for one that held the same kind of value.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
from collections.abc import Callable, Iterator

from sampler_harness.law.program import Function, Program, Trace

from .editor import Editor
from .mutation import Mutation

__all__ = ["mutations", "variants_of"]


def mutations(
    program: Program, trace: Trace, is_asked: Callable[[Function], bool] = lambda function: True
) -> Iterator[Mutation]:
    """All single edits of what a program executed.

    Args:
        program: whose trees are edited; they must stand as they were made while this goes on.
        trace: of its runs.
        is_asked: whether a function is edited.
    """
    for function in filter(is_asked, program.functions.values()):
        lines = {line for file, line in trace.lines if file == function.place.file}
        yield from Editor(function, lines, trace, numbers=numbers_of(program)).all()


def variants_of(program: Program, function: Function, formula: ast.expr) -> Iterator[ast.expr]:
    """A formula with one edit in it, copied: without names that it does not have itself.

    Args:
        program: what it is of.
        function: that it stands in.
        formula: which is left as it is.
    """
    holder = ast.copy_location(ast.Expr(copy.deepcopy(formula)), formula)
    editor = Editor(function, set(), Trace(), numbers=numbers_of(program), scopes=(function.node.name,))
    for mutation in editor.of(holder):
        with mutation.applied():
            yield copy.deepcopy(holder.value)


def numbers_of(program: Program) -> list[str]:
    """Fields of a reference that are numbers in themselves."""
    return [field.name for field in dataclasses.fields(program.kind) if str(field.type) == "float"]
