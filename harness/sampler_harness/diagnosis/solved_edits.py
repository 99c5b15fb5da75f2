"""Edits with a number in them that no list holds: constants of a statement, a factor or a bound, solved for.

A number is put into the tree as a name, compiled once, and looked up while it is solved for.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sampler_harness.law.program import Function, Program, Trace
from sampler_harness.law.response import Array
from sampler_harness.observe.learned_variance import learned_variance

from .edited_text import edited_text
from .mutations import Mutation
from .solving import FAR, as_written
from .target import Target, run_program

__all__ = ["solved_edits"]

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
    """

    function: Function
    statement: ast.Assign | ast.Return
    value: ast.expr
    starts: tuple[tuple[float, ...], ...]


def solved_edits(
    program: Program, config: Any, target: Target, trace: Trace, count: Callable[[], None]
) -> Iterator[dict[str, str]]:
    """Texts in which one statement's numbers, a factor or a bound of it make the case's law the sampler's.

    Args:
        program: what is edited.
        config: what it runs.
        target: the sampler's case.
        trace: of the program's run.
        count: told of each program that is measured.

    Yields:
        Files with the edit in them, by name.
    """
    for function in program.functions.values():
        lines = {line for file, line in trace.lines if file == function.place.file}
        for statement in ast.walk(function.node):
            if not isinstance(statement, (ast.Assign, ast.Return)) or statement.lineno not in lines:
                continue
            if statement.value is None or isinstance(statement.value, (ast.Constant, ast.Tuple)):
                continue
            for site in _sites(function, statement, statement.value):
                text = _solve(program, config, target, site, count)
                if text is not None:
                    yield {function.place.file: text}


def _sites(function: Function, statement: ast.Assign | ast.Return, value: ast.expr) -> Iterator[_Site]:
    numbers = [n for n in ast.walk(value) if isinstance(n, ast.Constant) and type(n.value) in (int, float)]
    exponents = {id(n.right) for n in ast.walk(value) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Pow)}
    inside = {id(c) for n in ast.walk(value) if isinstance(n, ast.Subscript) for c in ast.walk(n.slice)}
    free = [n for n in numbers if id(n) not in exponents | inside]
    if 1 <= len(free) <= TOGETHER and any(isinstance(n.value, float) for n in free):
        starts = tuple(float(n.value) for n in free)  # type: ignore[arg-type]  # numbers, as was asked
        yield _Site(function, statement, _with_names(value, free), (starts,))
    factor = ast.BinOp(ast.Name(_PLACE.format(0), ast.Load()), ast.Mult(), value)
    yield _Site(function, statement, factor, tuple((start,) for start in FACTORS))
    for bound in ("maximum", "minimum"):
        call = ast.Attribute(ast.Name("np", ast.Load()), bound, ast.Load())
        limited = ast.Call(call, [value, ast.Name(_PLACE.format(0), ast.Load())], [])
        yield _Site(function, statement, limited, tuple((start,) for start in BOUNDS))


def _with_names(value: ast.expr, numbers: Sequence[ast.Constant]) -> ast.expr:
    """A copy of an expression with names in place of some of its numbers."""
    names = {(n.lineno, n.col_offset): _PLACE.format(index) for index, n in enumerate(numbers)}

    class Named(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.expr:
            name = names.get((node.lineno, node.col_offset))
            return node if name is None else ast.copy_location(ast.Name(name, ast.Load()), node)

    copied: ast.expr = Named().visit(copy.deepcopy(value))
    return copied


def _solve(program: Program, config: Any, target: Target, site: _Site, count: Callable[[], None]) -> str | None:
    from scipy.optimize import least_squares

    old = site.statement.value
    assert old is not None
    ast.copy_location(site.value, old)
    ast.fix_missing_locations(site.value)
    mutation = Mutation(site.function, (site.statement, "value", None), old, site.value)
    namespace = site.function.owner.__dict__
    width = len(site.starts[0])
    learned = learned_variance(config)
    entries = 0

    def distances(values: Sequence[float]) -> Array | None:
        nonlocal entries
        count()
        namespace.update({_PLACE.format(n): float(value) for n, value in enumerate(values)})
        outcome = run_program(
            program.configured(config),
            max_calls=target.max_calls,
            max_draws=target.max_draws,
            learned_variance=learned,
        )
        rest = None if outcome.response is None else target.screen.distances(outcome.response)
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
    return edited_text(program.text(site.function.place.file), filled)


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
