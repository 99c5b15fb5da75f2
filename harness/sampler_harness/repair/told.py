"""What is told of an edit: the line as it stands, and as it should; how likely it is what was meant."""

from __future__ import annotations

import ast
import difflib
import linecache
import textwrap
from itertools import zip_longest

from sampler_harness.diagnosis.edited_text import edited_text, says
from sampler_harness.diagnosis.mutation import Mutation
from sampler_harness.observe.statements import shown
from sampler_harness.verdict import Repair

__all__ = ["SIMPLE", "line_of", "rank", "repair"]

#: Comparisons that differ where two sides are equal alone.
_EDGES = ({ast.Lt, ast.LtE}, {ast.Gt, ast.GtE})
#: The rank of an edit that changes an operator, a number or a sign alone.
SIMPLE = 0


def repair(mutation: Mutation, *, mended: int, kept: int) -> Repair | None:
    """An edit as it is told; None where its text, written into the file, would not say what was run.

    Args:
        mutation: that makes all right.
        mended: configurations that are right with it and were wrong.
        kept: further ones that were right and still are.
    """
    file = mutation.function.place.file
    before = "".join(linecache.getlines(file))
    after = edited_text(before, mutation)
    if after == before or not says(after, mutation):
        return None
    line, old, new = _difference(before, after)
    if _keeps(mutation) and _can_be_left_out(before, line, old):
        new = ""
    return Repair(shown(file), line, old, new, mended=mended, kept=kept)


def _can_be_left_out(text: str, line: int, old: str) -> bool:
    """Whether rows of a text are one statement, and it is a program without them."""
    rows, at = text.split("\n"), line - 1
    without = "\n".join([*rows[:at], *rows[at + len(old.split("\n")) :]])
    try:
        ast.parse(without)
        return len(ast.parse(old).body) == 1
    except SyntaxError:
        return False


def line_of(mutation: Mutation) -> int:
    """The line of what an edit changes; of statements that are left out or in another order, that of the first."""
    old, new = mutation.old, mutation.new
    if isinstance(old, list):
        old = next((one for one, other in zip_longest(old, new) if one is not other), None)
    anchor = old if isinstance(old, (ast.expr, ast.stmt)) else mutation.slot[0]
    return anchor.lineno if isinstance(anchor, (ast.expr, ast.stmt)) else 0


def rank(mutation: Mutation) -> int:
    """How likely an edit is what was meant: another operator, number or sign first, another name last.

    Context: of two lines that mend each other's fault one was meant, and a name in the place of a formula may have the
    right value in all that is declared by chance. Choice: the simpler edit is told first. Reversed by: a count of which
    mistakes are made how often.

    Args:
        mutation: that makes all right.
    """
    old, new = mutation.old, mutation.new
    if not isinstance(old, ast.AST) or not isinstance(new, ast.AST):
        return 1
    if _keeps(mutation):
        return SIMPLE
    if isinstance(mutation.slot[0], ast.Compare):  # all but an edge that moves takes a branch out, or in
        return SIMPLE if {type(old), type(new)} in _EDGES else 1
    if {n.id for n in ast.walk(new) if isinstance(n, ast.Name)} - {
        n.id for n in ast.walk(old) if isinstance(n, ast.Name)
    }:
        return 2
    if isinstance(old, (ast.Constant, ast.operator, ast.cmpop)) or isinstance(new, ast.UnaryOp):
        return SIMPLE
    same_parts = (
        isinstance(old, ast.BinOp) and isinstance(new, ast.BinOp) and (old.left, old.right) == (new.left, new.right)
    )
    return SIMPLE if same_parts else 1


def _keeps(mutation: Mutation) -> bool:
    """Whether a line then gives a name what it has: ``x = x``, which is no line at all."""
    match mutation.slot[0], mutation.new:
        case ast.Assign(targets=[ast.Name(id=name)]), ast.Name(id=same):
            return name == same
    return False


def _difference(before: str, after: str) -> tuple[int, str, str]:
    """The first line that differs, from 1, and what stands there in both, without the indentation of all of it."""
    old, new = before.split("\n"), after.split("\n")
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    changed = [(i1, i2, j1, j2) for tag, i1, i2, j1, j2 in blocks if tag != "equal"]
    i1, i2, j1, j2 = changed[0][0], changed[-1][1], changed[0][2], changed[-1][3]
    return i1 + 1, textwrap.dedent("\n".join(old[i1:i2])), textwrap.dedent("\n".join(new[j1:j2]))
