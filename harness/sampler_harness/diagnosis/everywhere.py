"""One mistake in several places of a reference, or in one use of a name alone.

A program computes once what a paper writes twice, and twice what a paper gives one name.
"""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sampler_harness.law.program import Function, Program, Trace

from .mutation import Mutation, Slot
from .mutations import variants_of

__all__ = ["Group", "Place", "everywhere", "groups", "places_of"]

#: Places in which one formula stands, at most, for all choices of them to be tried; of more, all, and all but one.
FEW = 4
#: Places at most.
MANY = 6


@dataclass(frozen=True, eq=False)
class Place:
    """Where an expression stands.

    Attributes:
        function: in which.
        slot: of its tree.
        node: the expression.
        is_run: whether its statement was executed: other configurations may go through others.
    """

    function: Function
    slot: Slot
    node: ast.expr
    is_run: bool

    def becomes(self, other: ast.expr) -> Mutation:
        """The edit that puts a copy of something else there."""
        new = ast.copy_location(copy.deepcopy(other), self.node)
        return Mutation(self.function, self.slot, self.node, ast.fix_missing_locations(new))


@dataclass(frozen=True, eq=False)
class Group:
    """One formula, and the choices of places in which it may be another one.

    Attributes:
        function: in which the formula's names are.
        formula: as it stands there.
        choices: places, all of which get the edited formula.
    """

    function: Function
    formula: ast.expr
    choices: tuple[tuple[Place, ...], ...]


def everywhere(program: Program, trace: Trace) -> Iterator[tuple[Mutation, ...]]:
    """Single edits of a formula in several of the places where it stands, or in one use of its name.

    Args:
        program: whose trees are edited; they must stand as they were made while this goes on.
        trace: of its runs.
    """
    for group in groups(program, trace):
        for variant in variants_of(program, group.function, group.formula):
            for chosen in group.choices:
                yield tuple(place.becomes(variant) for place in chosen)


def groups(program: Program, trace: Trace) -> Iterator[Group]:
    """Formulas that stand in several places, and such as have a name that is used several times.

    Args:
        program: in which.
        trace: of its runs.
    """
    repeated: dict[str, list[Place]] = {}
    for function in program.functions.values():
        lines = {line for file, line in trace.lines if file == function.place.file}
        for place in places_of(function, function.node, lines):
            if isinstance(place.node, (ast.BinOp, ast.Call, ast.Subscript)) and _is_plain(place.node):
                repeated.setdefault(ast.dump(place.node), []).append(place)
        yield from _named(function, lines, trace)
    for places in repeated.values():
        if 2 <= len(places) <= MANY and any(place.is_run for place in places):
            yield Group(places[0].function, places[0].node, _choices(places))


def _named(function: Function, lines: set[int], trace: Trace) -> Iterator[Group]:
    """Names of numbers: each use alone, and all but one."""
    stored = [n.id for n in ast.walk(function.node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    for statement in ast.walk(function.node):
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=(ast.BinOp() | ast.Call()) as formula):
                kind = trace.kinds.get((function.place.file, function.node.name, name))
                if kind != "number" or stored.count(name) > 1 or not _is_plain(formula):
                    continue
                uses = [place for place in places_of(function, function.node, lines) if _is_use(place.node, name)]
                if 2 <= len(uses) <= MANY:
                    alone = [(use,) for use in uses]
                    others = [tuple(one for one in uses if one is not use) for use in uses] if len(uses) > 2 else []
                    yield Group(function, formula, (*alone, *others))


def _is_use(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)


def _choices(places: Sequence[Place]) -> tuple[tuple[Place, ...], ...]:
    sizes = range(2, len(places) + 1) if len(places) <= FEW else (len(places) - 1, len(places))
    several = (chosen for size in sizes for chosen in itertools.combinations(places, size))
    return tuple(chosen for chosen in several if any(place.is_run for place in chosen))


def places_of(function: Function, parent: ast.AST, lines: set[int], is_run: bool = False) -> Iterator[Place]:
    """Every expression of a function, or of a part of it.

    Args:
        function: which.
        parent: its tree, or a statement of it.
        lines: that were executed.
        is_run: whether that statement was.
    """
    if isinstance(parent, ast.stmt) and not isinstance(parent, ast.FunctionDef):
        is_run = parent.lineno in lines
    for field, value in ast.iter_fields(parent):
        if field in ("ctx", "op", "ops", "func", "target", "targets"):
            continue
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(node, ast.expr):
                yield Place(function, (parent, field, index), node, is_run)
            if isinstance(node, ast.AST):
                yield from places_of(function, node, lines, is_run)


def _is_plain(node: ast.expr) -> bool:
    """Whether it is arithmetic of names: nothing is drawn in it, and no model asked."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call):
            match inner.func:
                case ast.Attribute(value=ast.Name(id="np")):
                    continue
            return False
    return any(isinstance(inner, ast.Name) for inner in ast.walk(node))
