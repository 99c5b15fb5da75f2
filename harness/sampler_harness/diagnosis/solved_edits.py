"""Edits with a number in them that no list holds: constants of a statement, a factor or a bound, solved for.

A number is put into the tree as a name, compiled once, and looked up while it is solved for.
"""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sampler_harness.law.program import Function, Program, Trace
from sampler_harness.law.response import Array

from .edited_text import edited_text
from .mutations import Mutation
from .observation import Observation
from .solving import FAR, as_written, digits_of

__all__ = ["SolvedEdit", "solved_edits"]

#: Statements of this many numbers at most are solved for together.
TOGETHER = 3
#: Where the search for a factor begins, and for a bound.
FACTORS = (0.5, 0.9, 2.0, -1.0)
BOUNDS = (1e-3, 0.1, 1.0)
_PLACE = "_solved_{}"


@dataclass(frozen=True)
class _Site:
    """A statement's value with names where numbers are solved for.

    Attributes:
        function: in which it stands.
        statement: an assignment, or what is returned.
        value: what stands there instead, with names for the numbers.
        starts: where each number's search begins; the first row is what stands there now, where numbers do.
        numbers: how many of the statement's own numbers these are; 0 for a factor or a bound.
    """

    function: Function
    statement: ast.Assign | ast.Return
    value: ast.expr
    starts: tuple[tuple[float, ...], ...]
    numbers: int = 0


@dataclass(frozen=True)
class SolvedEdit:
    """A text with solved numbers in it.

    Attributes:
        texts: files with the edit, by name.
        digits: it takes to write the numbers down.
    """

    texts: dict[str, str]
    digits: int


def solved_edits(
    program: Program, config: Any, target: Observation, trace: Trace, count: Callable[[], None]
) -> Iterator[SolvedEdit]:
    """Texts in which one statement's numbers, a factor or a bound of it make the case's law the sampler's.

    Args:
        program: what is edited.
        config: what it runs.
        target: the sampler's case.
        trace: of the program's run.
        count: told of each program that is measured.

    Yields:
        Of a statement's own numbers the fewest that do, and of these the ones that are shortest to write.
    """
    for function in program.functions.values():
        lines = {line for file, line in trace.lines if file == function.place.file}
        for statement in ast.walk(function.node):
            if not isinstance(statement, (ast.Assign, ast.Return)) or statement.lineno not in lines:
                continue
            if statement.value is None or isinstance(statement.value, (ast.Constant, ast.Tuple)):
                continue
            enough, own = TOGETHER, []
            for site in _sites(function, statement, statement.value):
                if site.numbers > enough:
                    continue
                found = _solve(program, config, target, site, count)
                if found is None:
                    continue
                solved = SolvedEdit({function.place.file: found[0]}, found[1])
                if site.numbers:
                    enough = site.numbers
                    own.append(solved)
                else:
                    yield solved
            if own:
                yield min(own, key=lambda one: one.digits)


def _sites(function: Function, statement: ast.Assign | ast.Return, value: ast.expr) -> Iterator[_Site]:
    numbers = [n for n in ast.walk(value) if isinstance(n, ast.Constant) and type(n.value) in (int, float)]
    exponents = {id(n.right) for n in ast.walk(value) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Pow)}
    inside = {id(c) for n in ast.walk(value) if isinstance(n, ast.Subscript) for c in ast.walk(n.slice)}
    free = [n for n in numbers if id(n) not in exponents | inside]
    if 1 <= len(free) <= TOGETHER and any(isinstance(n.value, float) for n in free):
        for one, other in itertools.permutations(free, 2):
            if abs(float(one.value) + 1 - float(other.value)) < 1e-9:  # type: ignore[arg-type]  # numbers
                # One number that stands there twice: s and 1 + s of a cosine schedule.
                start = float(one.value)  # type: ignore[arg-type]
                yield _Site(function, statement, _with_names(value, (one,), one_more=other), ((start,),), 1)
        for several in range(1, len(free) + 1):
            for chosen in itertools.combinations(free, several):
                starts = tuple(float(n.value) for n in chosen)  # type: ignore[arg-type]  # numbers, as was asked
                yield _Site(function, statement, _with_names(value, chosen), (starts,), several)
    factor = ast.BinOp(ast.Name(_PLACE.format(0), ast.Load()), ast.Mult(), value)
    yield _Site(function, statement, factor, tuple((start,) for start in FACTORS))
    for bound in ("maximum", "minimum"):
        call = ast.Attribute(ast.Name("np", ast.Load()), bound, ast.Load())
        limited = ast.Call(call, [value, ast.Name(_PLACE.format(0), ast.Load())], [])
        yield _Site(function, statement, limited, tuple((start,) for start in BOUNDS))


def _with_names(value: ast.expr, numbers: Sequence[ast.Constant], one_more: ast.Constant | None = None) -> ast.expr:
    """A copy of an expression with names in place of some of its numbers.

    Args:
        value: the expression.
        numbers: of it, those that get a name.
        one_more: the number that is 1 more than the first of them, and stays so.
    """
    names = {(n.lineno, n.col_offset): _PLACE.format(index) for index, n in enumerate(numbers)}
    more = None if one_more is None else (one_more.lineno, one_more.col_offset)

    class Named(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.expr:
            if more == (node.lineno, node.col_offset):
                first = ast.Name(_PLACE.format(0), ast.Load())
                return ast.copy_location(ast.BinOp(ast.Constant(1), ast.Add(), first), node)
            name = names.get((node.lineno, node.col_offset))
            return node if name is None else ast.copy_location(ast.Name(name, ast.Load()), node)

    copied: ast.expr = Named().visit(copy.deepcopy(value))
    return copied


def _solve(
    program: Program, config: Any, target: Observation, site: _Site, count: Callable[[], None]
) -> tuple[str, int] | None:
    """The text with the numbers in it, and how many digits they have; None where there are no such numbers."""
    from scipy.optimize import least_squares

    old = site.statement.value
    assert old is not None
    ast.copy_location(site.value, old)
    ast.fix_missing_locations(site.value)
    mutation = Mutation(site.function, (site.statement, "value", None), old, site.value)
    namespace = site.function.owner.__dict__
    width = len(site.starts[0])
    entries = 0

    def distances(values: Sequence[float]) -> Array | None:
        nonlocal entries
        count()
        namespace.update({_PLACE.format(n): float(value) for n, value in enumerate(values)})
        outcome = target.run(program.configured(config), config, stop=False)
        rest = None if outcome.response is None else target.distances(outcome.response)
        entries = entries if rest is None else rest.size
        return rest

    with mutation.applied():
        before = program.install(site.function)
    try:
        started = []
        for start in site.starts:
            rest = distances(start)
            nudged = None if rest is None else distances([value + 1e-3 for value in start])
            if rest is not None and nudged is not None and not np.array_equal(rest, nudged):
                started.append((float(rest @ rest), start))
        if not started:
            return None  # the law does not depend on it
        _, start = min(started)

        def off(values: Array) -> Array:
            rest = distances(values.tolist())
            return np.full(entries, FAR) if rest is None else rest

        solution = least_squares(off, start, xtol=1e-14, ftol=1e-14, gtol=1e-14, max_nfev=30)
        rest = off(solution.x)
        if not float(np.abs(rest).max()) <= 1.0:
            return None
        values = as_written(solution.x.tolist(), distances, float(rest @ rest))
    finally:
        program.put(site.function, before)
        for n in range(width):
            namespace.pop(_PLACE.format(n), None)
    written = _Filled(values).visit(copy.deepcopy(site.value))
    ast.fix_missing_locations(ast.copy_location(written, old))
    filled = Mutation(site.function, (site.statement, "value", None), old, written)
    return edited_text(program.text(site.function.place.file), filled), digits_of(values)


class _Filled(ast.NodeTransformer):
    """Numbers in place of the names that stood for them."""

    def __init__(self, values: Sequence[float]) -> None:
        self._values = {_PLACE.format(n): value for n, value in enumerate(values)}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self._values:
            return node
        value = self._values[node.id]
        number: ast.expr = ast.Constant(abs(value))
        return number if value >= 0 else ast.UnaryOp(ast.USub(), number)
