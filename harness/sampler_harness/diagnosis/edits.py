"""What is edited, and what an edit makes of an explanation: the edits of a run, of another form, the known faults."""

from __future__ import annotations

import ast
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

from sampler_harness.law.program import Function, Program, Trace, source_text

from .edited_text import edited_texts
from .explanation import Explanation
from .known_faults import KnownFault
from .mutation import Mutation
from .mutations import mutations

__all__ = ["Edits", "is_of_form", "of_form", "single", "with_deviations", "with_fault", "written"]

#: Edits of a program that was run, each of one or several expressions.
Edits = Callable[[Program, Trace], Iterator[tuple[Mutation, ...]]]


def single(program: Program, trace: Trace) -> Iterator[tuple[Mutation, ...]]:
    """Single edits of what a program executed.

    Args:
        program: whose trees are edited.
        trace: of its runs.
    """
    yield from ((mutation,) for mutation in mutations(program, trace))


def of_form(own: Program, program: Program, trace: Trace) -> Iterator[tuple[Mutation, ...]]:
    """Edits of the functions that a form writes otherwise than the reference's own program does.

    Args:
        own: the reference's program.
        program: in the form.
        trace: of its runs.
    """
    yield from ((one,) for one in mutations(program, trace, functools.partial(is_of_form, own)))


def is_of_form(own: Program, function: Function) -> bool:
    """Whether a form writes a function otherwise than the reference's own program does.

    Args:
        own: the reference's program.
        function: of a program in a form.
    """
    before = own.functions.get(function.place)
    return before is None or _differ(before.node, function.node)


@functools.lru_cache(maxsize=256)
def _differ(one: ast.FunctionDef, other: ast.FunctionDef) -> bool:
    return one is not other and ast.dump(one) != ast.dump(other)


def written(base: Explanation, program: Program, edit: Sequence[Mutation]) -> Explanation:
    """An edit as text. The program's trees are as they were made whenever this is asked.

    Args:
        base: what is edited.
        program: of it.
        edit: of one or several expressions.
    """
    return dataclasses.replace(base, texts={**base.texts, **edited_texts(program, edit)})


def with_deviations(start: Explanation, faults: Sequence[KnownFault], names: Sequence[str]) -> Explanation:
    """The reference with the known faults in it that are declared.

    Args:
        start: the reference.
        faults: the bank.
        names: of those that are declared.
    """
    for fault in faults:
        if fault.name in names and (texts := with_fault(start.texts, fault)) is not None:
            start = dataclasses.replace(start, texts=texts, faults=(*start.faults, fault.name))
    return start


def with_fault(texts: Mapping[str, str], fault: KnownFault) -> dict[str, str] | None:
    """Files with a fault put in; None where its lines are not there any more.

    Args:
        texts: files that are edited already.
        fault: the fault.
    """
    found = dict(texts)
    for one in fault.replacements:
        text = found.get(one.file, source_text(one.file))
        if text.count(one.before) != 1:
            return None
        found[one.file] = text.replace(one.before, one.after)
    return found
