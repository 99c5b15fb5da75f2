"""Where a number that no list holds may stand in a reference: its own numbers, roots, factors, bounds, fields."""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sampler_harness.law.program import Function, Program, Trace

from .arithmetic import is_root
from .everywhere import Place, groups, places_of
from .mutation import Mutation

__all__ = ["Site", "placeholder", "sites"]

#: Statements of this many numbers at most are solved for together.
TOGETHER = 3
#: Where the search for a factor begins, for a bound, and for the exponent of what is a root.
FACTORS = (0.5, 0.9, 2.0, -1.0)
BOUNDS = (1e-3, 0.1, 1.0)
EXPONENTS = (0.5, 1.0)
#: Where the search for a number begins that is 0.
OFF_ZERO = 0.1


@dataclass(frozen=True, eq=False)
class Site:
    """Expressions with names where numbers are solved for.

    Attributes:
        edit: what puts them there; the same numbers in each place.
        starts: where each number's search begins.
        statement: whose numbers these are.
        numbers: how many of a statement's own numbers these are; 0 for what it does not have itself.
        is_bound: whether it may act on a few values alone.
    """

    edit: tuple[Mutation, ...]
    starts: tuple[tuple[float, ...], ...]
    statement: int
    numbers: int = 0
    is_bound: bool = False


def placeholder(n: int) -> str:
    """The name that stands for a number.

    Args:
        n: which of them.
    """
    return f"_solved_{n}"


def sites(
    program: Program, trace: Trace, config: Any, is_asked: Callable[[Function], bool] = lambda function: True
) -> Iterator[Site]:
    """All sites in what a program executed, those of a statement's own numbers first.

    Args:
        program: in which.
        trace: of its run.
        config: that was run.
        is_asked: whether a function is looked at.
    """
    fields = {name: float(value) for name, value in config.values().items() if type(value) in (int, float)}
    later: list[Site] = []
    for function in filter(is_asked, program.functions.values()):
        lines = {line for file, line in trace.lines if file == function.place.file}
        for statement in ast.walk(function.node):
            if not isinstance(statement, (ast.Assign, ast.Return)) or statement.lineno not in lines:
                continue
            if statement.value is None or (
                isinstance(statement.value, ast.Constant) and not isinstance(statement.value.value, float)
            ):
                continue
            later += _in_parts(function, statement, lines, fields)
            if not isinstance(statement.value, ast.Tuple):
                yield from _own_numbers(function, statement, statement.value)
                later += _around(function, statement, statement.value)
    yield from later
    for group in groups(program, trace):
        if is_asked(group.function):
            yield from _in_several(group.formula, group.choices)


def _own_numbers(function: Function, statement: ast.Assign | ast.Return, value: ast.expr) -> Iterator[Site]:
    """A statement's own numbers: each alone, then several together."""
    free = list(_numbers(value))

    def site(new: ast.expr, start: tuple[float, ...], count: int) -> Site:
        edit = Mutation(function, (statement, "value", None), value, ast.copy_location(new, value))
        # What a weight of 0 does to a variance has no slope there.
        starts = (start,) if any(start) else (start, (OFF_ZERO,) * len(start))
        return Site((edit,), starts, id(statement), count)

    for one, other in itertools.permutations(free, 2) if len(free) <= TOGETHER else ():
        if isinstance(one.value, float) and abs(_of(one) + 1 - _of(other)) < 1e-9:
            # One number that stands there twice: s and 1 + s of a cosine schedule.
            yield site(_with_names(value, (one,), one_more=other), (_of(one),), 1)
    several = TOGETHER if len(free) <= TOGETHER and any(isinstance(n.value, float) for n in free) else 1
    for count in range(1, several + 1):
        for chosen in itertools.combinations(free, count):
            yield site(_with_names(value, chosen), tuple(_of(n) for n in chosen), count)


def _in_parts(
    function: Function, statement: ast.Assign | ast.Return, lines: set[int], fields: dict[str, float]
) -> Iterator[Site]:
    """Exponents of roots, factors of terms, and numbers in place of a field."""
    for place in places_of(function, statement, lines):
        parent = place.slot[0]
        node = place.node
        if is_root(node):
            yield Site((_as_power(place),), tuple((start,) for start in EXPONENTS), id(statement))
        is_term = isinstance(parent, ast.BinOp) and isinstance(parent.op, (ast.Add, ast.Sub))
        if is_term and not isinstance(node, ast.Constant):
            yield Site((_times(place),), tuple((start,) for start in FACTORS), id(statement))
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if name in fields:
            yield Site((place.becomes(_number()),), ((fields[name],),), id(statement))


def _around(function: Function, statement: ast.Assign | ast.Return, value: ast.expr) -> Iterator[Site]:
    """A factor of all that a statement says, and a bound."""
    place = Place(function, (statement, "value", None), value, True)
    yield Site((_times(place),), tuple((start,) for start in FACTORS), id(statement))
    for bound in ("maximum", "minimum"):
        call = ast.Attribute(ast.Name("np", ast.Load()), bound, ast.Load())
        limited = place.becomes(ast.Call(call, [value, _number()], []))
        yield Site((limited,), tuple((start,) for start in BOUNDS), id(statement), is_bound=True)


def _in_several(formula: ast.expr, choices: Sequence[Sequence[Place]]) -> Iterator[Site]:
    """A number or a root of a formula that stands in several places."""
    edited: list[tuple[ast.expr, tuple[tuple[float, ...], ...]]] = [
        (_with_names(formula, (number,)), ((_of(number),),)) for number in _numbers(formula)
    ]
    if is_root(formula):
        power = ast.BinOp(formula.args[0], ast.Pow(), _number())  # type: ignore[attr-defined]  # a call, as was asked
        edited.append((power, tuple((start,) for start in EXPONENTS)))
    for new, starts in edited:
        for chosen in choices:
            yield Site(tuple(place.becomes(new) for place in chosen), starts, id(formula))


def _as_power(place: Place) -> Mutation:
    assert isinstance(place.node, ast.Call)
    return place.becomes(ast.BinOp(place.node.args[0], ast.Pow(), _number()))


def _times(place: Place) -> Mutation:
    return place.becomes(ast.BinOp(_number(), ast.Mult(), place.node))


def _number() -> ast.expr:
    return ast.Name(placeholder(0), ast.Load())


def _numbers(value: ast.expr) -> Iterator[ast.Constant]:
    """Numbers of a formula, but for places in a sequence and squares."""
    inside = {id(c) for n in ast.walk(value) if isinstance(n, ast.Subscript) for c in ast.walk(n.slice)}
    squares = {id(n.right) for n in ast.walk(value) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Pow)}
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float) and id(node) not in inside | squares:
            yield node


def _of(number: ast.Constant) -> float:
    assert isinstance(number.value, (int, float))
    return float(number.value)


def _with_names(value: ast.expr, numbers: Sequence[ast.Constant], one_more: ast.Constant | None = None) -> ast.expr:
    """A copy of an expression with names in place of some of its numbers.

    Args:
        value: the expression.
        numbers: of it, those that get a name.
        one_more: the number that is 1 more than the first of them, and stays so.
    """
    names = {(n.lineno, n.col_offset): placeholder(index) for index, n in enumerate(numbers)}
    more = None if one_more is None else (one_more.lineno, one_more.col_offset)

    class Named(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.expr:
            if more == (node.lineno, node.col_offset):
                first = ast.Name(placeholder(0), ast.Load())
                one = ast.BinOp(ast.Constant(1), ast.Add(), first)
                return ast.fix_missing_locations(ast.copy_location(one, node))
            name = names.get((node.lineno, node.col_offset))
            return node if name is None else ast.copy_location(ast.Name(name, ast.Load()), node)

    copied: ast.expr = Named().visit(copy.deepcopy(value))
    return copied
