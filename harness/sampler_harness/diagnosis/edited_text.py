"""What an edit looks like in the text: all that it does not change stays as it is written."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from .mutations import Mutation

__all__ = ["edited_text"]

#: A power of simple terms is written without spaces.
_POWER = re.compile(r"([\w)\]]) \*\* (\w)")


def edited_text(text: str, mutation: Mutation) -> str:
    """A file's text with an edit in it; everything else stays as it is written.

    Args:
        text: of the file that the edited function stands in.
        mutation: the edit.
    """
    parent, field, _ = mutation.slot
    if field in ("body", "orelse") and isinstance(mutation.old, list):
        return _with_statements(text, mutation.old, mutation.new)
    # Where no expression was replaced as a whole (an operator, a name, an argument), the node around it was.
    around = mutation.old if isinstance(mutation.old, ast.expr) else parent
    with mutation.applied():
        new = mutation.new if around is mutation.old else around
        written = ast.unparse(new)
    written = _POWER.sub(r"\1**\2", written)
    start, end = _span(text, around)
    bracketed = f"{text[:start]}({written}){text[end:]}"
    options = [text[:start] + written + text[end:]]
    if text[start - 1] == "(" and text[end] == ")":
        # Brackets around what is left out are left out with it, where they are not needed any more.
        options.insert(0, text[: start - 1] + written + text[end + 1 :])
    return next((option for option in options if _means(option, mutation)), bracketed)


def _span(text: str, node: ast.AST) -> tuple[int, int]:
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    assert isinstance(node, (ast.expr, ast.stmt))
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset


def _means(text: str, mutation: Mutation) -> bool:
    """Whether the text says what the edited tree does."""
    from sampler_harness.law.program import _Plain

    try:
        tree = _Plain().visit(ast.parse(text))
    except SyntaxError:
        return False
    with mutation.applied():
        wanted = ast.dump(mutation.function.node)
    return any(isinstance(n, ast.FunctionDef) and ast.dump(n) == wanted for n in ast.walk(tree))


def _with_statements(text: str, old: Sequence[ast.stmt], new: Sequence[ast.stmt]) -> str:
    """Statements of one block in another order, or without one of them, each with its own lines and comments."""
    lines = text.splitlines(keepends=True)
    first, last = old[0].lineno - 1, (old[-1].end_lineno or old[-1].lineno)
    ends = [s.end_lineno or s.lineno for s in old]
    begins = [first, *ends[:-1]]
    chunks = {id(s): lines[b:e] for s, b, e in zip(old, begins, ends, strict=True)}
    kept = [line for s in new for line in chunks[id(s)]]
    return "".join([*lines[:first], *kept, *lines[last:]])
