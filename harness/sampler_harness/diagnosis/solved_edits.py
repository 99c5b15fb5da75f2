"""Edits with a number in them that no list holds: a number, an exponent, a factor or a bound, solved for.

A number is put into the tree as a name, compiled once, and looked up while it is solved for.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from sampler_harness.law.program import Function, Program, Trace
from sampler_harness.law.response import Array

from .edited_text import edited_texts
from .mutation import Mutation
from .observation import Observation
from .sites import Site, placeholder, sites
from .solving import FAR, as_written, digits_of

__all__ = ["SolvedEdit", "solved_edits"]

#: Steps of the search for a number that comes nearer with each of them, and before it must have.
STEPS, FIRST_STEPS = 30, 6
#: Share of the squared distance that the first steps must leave at most: near a solution each step squares it.
NEARER = 0.3


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
    program: Program,
    config: Any,
    target: Observation,
    trace: Trace,
    count: Callable[[], None],
    is_asked: Callable[[Function], bool] = lambda function: True,
) -> Iterator[SolvedEdit]:
    """Texts in which a number makes the case's law the sampler's.

    Args:
        program: what is edited.
        config: what it runs.
        target: the sampler's case.
        trace: of the program's run.
        count: told of each program that is measured.
        is_asked: whether a function is looked at.

    Yields:
        Of a statement's own numbers the fewest that do, and of these the ones that are shortest to write.
    """
    solver = _Solver(program, config, target, count)
    own: dict[int, list[tuple[int, SolvedEdit]]] = {}
    for site in sites(program, trace, config, is_asked):
        before = own.setdefault(site.statement, [])
        if site.numbers and any(site.numbers > enough for enough, _ in before):
            continue
        solved = solver.solve(site)
        if solved is None:
            continue
        if site.numbers:
            before.append((site.numbers, solved))
        else:
            yield solved
    for found in own.values():
        if found:
            fewest = min(numbers for numbers, _ in found)
            yield min((one for numbers, one in found if numbers == fewest), key=lambda one: one.digits)


class _Solver:
    """Solves for the numbers of one site after the other, in one case."""

    def __init__(self, program: Program, config: Any, target: Observation, count: Callable[[], None]) -> None:
        self._program = program
        self._config = config
        self._target = target
        self._count = count
        rest = self._distances()
        #: Entries of the law that a number must be able to move.
        self._off = None if rest is None else np.abs(rest) > 1.0

    def _distances(self) -> Array | None:
        self._count()
        outcome = self._target.run(self._program.configured(self._config), self._config, stop=False)
        return None if outcome.response is None else self._target.distances(outcome.response)

    def solve(self, site: Site) -> SolvedEdit | None:
        """The texts with the numbers in them; None where there are no such numbers.

        Args:
            site: where they stand.
        """
        owners = list({id(one.function.owner): one.function.owner for one in site.edit}.values())
        with ExitStack() as installed:
            with ExitStack() as applied:
                for mutation in site.edit:
                    applied.enter_context(mutation.applied())
                for function in {id(one.function): one.function for one in site.edit}.values():
                    installed.callback(self._program.put, function, self._program.install(function))

            def distances(values: Sequence[float]) -> Array | None:
                for owner in owners:
                    owner.__dict__.update({placeholder(n): float(value) for n, value in enumerate(values)})
                return self._distances()

            try:
                values = self._solved(site, distances)
            finally:
                for owner in owners:
                    for n in range(len(site.starts[0])):
                        owner.__dict__.pop(placeholder(n), None)
        if values is None:
            return None
        filled = [
            Mutation(one.function, one.slot, one.old, _Filled(values).visit(copy.deepcopy(one.new)))
            for one in site.edit
        ]
        return SolvedEdit(edited_texts(self._program, filled), digits_of(values))

    def _solved(self, site: Site, distances: Callable[[Sequence[float]], Array | None]) -> list[float] | None:
        from scipy.optimize import least_squares

        started, entries = [], 0
        for start in site.starts:
            rest = distances(start)
            nudged = None if rest is None else distances([value + 1e-3 for value in start])
            if rest is None or nudged is None or not self._may_do(rest != nudged, site):
                continue
            started.append((float(rest @ rest), start))
            entries = rest.size
        if not started:
            return None

        def off(values: Array) -> Array:
            rest = distances(values.tolist())
            return np.full(entries, FAR) if rest is None else rest

        before, start = min(started)
        for steps in (FIRST_STEPS, STEPS):
            solution = least_squares(off, start, xtol=1e-14, ftol=1e-14, gtol=1e-14, max_nfev=steps)
            left = off(solution.x)
            if float(np.abs(left).max()) > 1.0 and float(left @ left) > NEARER * before:
                return None
            start = tuple(solution.x.tolist())
        if not float(np.abs(left).max()) <= 1.0:
            return None
        return as_written(solution.x.tolist(), distances, float(left @ left))

    def _may_do(self, moved: Array, site: Site) -> bool:
        """Whether the numbers move what is off: all of it, where they stand in what is run in any case."""
        if not moved.any():
            return False
        return site.is_bound or self._off is None or self._off.shape != moved.shape or bool(moved[self._off].all())


class _Filled(ast.NodeTransformer):
    """Numbers in place of the names that stood for them."""

    def __init__(self, values: Sequence[float]) -> None:
        self._values = {placeholder(n): value for n, value in enumerate(values)}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self._values:
            return node
        value = self._values[node.id]
        number: ast.expr = ast.copy_location(ast.Constant(abs(value)), node)
        return number if value >= 0 else ast.copy_location(ast.UnaryOp(ast.USub(), number), node)
