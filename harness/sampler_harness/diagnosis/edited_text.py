"""What an edit looks like in the text: all that it does not change stays as it is written."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from sampler_harness.law.program import Program

from .mutation import Mutation

__all__ = ["edited_text", "edited_texts", "says"]

#: A power of simple terms is written without spaces.
_POWER = re.compile(r"([\w)\]]) \*\* (\w)")


def edited_text(text: str, *mutations: Mutation) -> str:
    """A file's text with edits in it; everything else stays as it is written.

    Args:
        text: of the file that the edited functions stand in.
        mutations: the edits; of several, each of an expression of its own.
    """
    if len(mutations) == 1:
        return _with_edit(text, mutations[0], ())
    original, done = text, tuple[Mutation, ...]()
    # From the end to the start: what stands before an edit stays where it is.
    for mutation in sorted(mutations, key=lambda one: _span(original, one.old)[0], reverse=True):
        text = _with_edit(text, mutation, done)
        done = (*done, mutation)
    return text


def edited_texts(program: Program, mutations: Sequence[Mutation]) -> dict[str, str]:
    """Files with edits in them, by name.

    Args:
        program: that is edited; its trees stand as they were made.
        mutations: the edits, in any of its files.
    """
    files = dict.fromkeys(mutation.function.place.file for mutation in mutations)
    return {
        file: edited_text(program.text(file), *(one for one in mutations if one.function.place.file == file))
        for file in files
    }


def _with_edit(text: str, mutation: Mutation, done: Sequence[Mutation]) -> str:
    """A text in which some edits are done already, with one more."""
    parent, field, _ = mutation.slot
    if field in ("body", "orelse") and isinstance(mutation.old, list):
        rows = _with_statements(text, mutation.old, mutation.new)
        within = _within_lines(text, mutation.old, mutation.new)
        return next((option for option in (rows, *within) if _means(option, [*done, mutation])), rows)
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
    return next((option for option in options if _means(option, [*done, mutation])), bracketed)


def says(text: str, mutation: Mutation) -> bool:
    """Whether an edited text is what the edited tree is, so that whoever writes it there has what was run.

    Args:
        text: of a file, with the edit in it.
        mutation: the edit.
    """
    return _means(text, [mutation])


def _span(text: str, node: ast.AST) -> tuple[int, int]:
    lines = _lines(text)
    assert isinstance(node, (ast.expr, ast.stmt))
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return _place(lines, node.lineno, node.col_offset), _place(lines, node.end_lineno, node.end_col_offset)


def _lines(text: str) -> list[str]:
    """Lines as Python counts them: a form feed, or what Unicode takes for the end of a line, ends none."""
    return [f"{line}\n" for line in text.split("\n")]


def _place(lines: Sequence[str], line: int, column: int) -> int:
    """Where in a text a node begins or ends, whose column is told in bytes of UTF-8."""
    before = sum(len(one) for one in lines[: line - 1])
    return before + len(lines[line - 1].encode()[:column].decode())


def _means(text: str, mutations: Sequence[Mutation]) -> bool:
    """Whether the text says what the edited trees do."""
    from sampler_harness.law.program import _Plain

    try:  # of a program the trees are without docstrings and annotations, of a person's code with them
        trees = [_Plain().visit(ast.parse(text)), ast.parse(text)]
    except SyntaxError:
        return False
    with ExitStack() as applied:
        for mutation in mutations:
            applied.enter_context(mutation.applied())
        wanted = {ast.dump(mutation.function.node) for mutation in mutations}
    return any(
        wanted <= {ast.dump(node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)} for tree in trees
    )


def _with_statements(text: str, old: Sequence[ast.stmt], new: Sequence[ast.stmt]) -> str:
    """Statements of one block in another order, or without one of them, each with its own lines and comments."""
    lines = text.split("\n")
    first, last = old[0].lineno - 1, (old[-1].end_lineno or old[-1].lineno)
    ends = [s.end_lineno or s.lineno for s in old]
    begins = [first, *ends[:-1]]
    chunks = {id(s): lines[b:e] for s, b, e in zip(old, begins, ends, strict=True)}
    kept = [line for s in new for line in chunks[id(s)]]
    return "\n".join([*lines[:first], *kept, *lines[last:]])


def _within_lines(text: str, old: Sequence[ast.stmt], new: Sequence[ast.stmt]) -> Iterator[str]:
    """The same where a line has several statements: ``a = 1; b = 2``."""
    at = next((index for index, one in enumerate(old) if index >= len(new) or new[index] is not one), None)
    if at is None:
        return
    start, end = _span(text, old[at])
    if len(new) < len(old):
        then = _span(text, old[at + 1])[0] if at + 1 < len(old) else end
        if "\n" not in text[end:then]:
            yield text[:start] + text[then:]
        if at:
            yield text[: _span(text, old[at - 1])[1]] + text[end:]
    elif at + 1 < len(old):
        then, last = _span(text, old[at + 1])
        yield text[:start] + text[then:last] + text[end:then] + text[start:end] + text[last:]
