"""What a reference works out on its way: every number, table and array of its source, by where it stands.

Each expression of its source is compiled with a note of what it gave. A sampler's own line that is wrong should have
had one of these values.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from reference_samplers.processes.rectified_flow import RectifiedFlow
from sampler_harness.observe.learned_variance import learned_variance, variance_value

from .dense import dense_values
from .program import Program
from .response import Array

__all__ = ["Blend", "Intermediates", "Site", "intermediates", "intermediates_of", "values_of_levels", "values_of_step"]

_NOTE = "__note__"
#: Tables of more entries are none that a sampler goes through.
LARGEST_TABLE = 5_000
#: Calls of the model, from the last one back, that an array is told in.
LAST_CALLS = 3
#: Of a reference's array, what may be left of it untold.
UNTOLD = 1e-9
SHAPE = (2, 3, 4, 4)


class Site(NamedTuple):
    """An expression of a reference: function, and its number in it; less than 0 for what is left of it to 1."""

    function: str
    number: int


class Blend(NamedTuple):
    """An array as a sum of what the model was last given and what it answered.

    Attributes:
        inputs: weights of the last calls' inputs, the latest first.
        outputs: weights of their answers.
    """

    inputs: tuple[float, ...]
    outputs: tuple[float, ...]


@dataclasses.dataclass
class Intermediates:
    """The values of one run.

    Attributes:
        numbers: by site, segment (model calls before it) to the last value there.
        tables: likewise, one-dimensional ones.
        blends: likewise, of the sample's shape.
        arrays: likewise, as they are; only of a run on given draws and answers.
    """

    numbers: dict[Site, dict[int, float]] = dataclasses.field(default_factory=dict)
    tables: dict[Site, dict[int, tuple[float, ...]]] = dataclasses.field(default_factory=dict)
    blends: dict[Site, dict[int, Blend]] = dataclasses.field(default_factory=dict)
    arrays: dict[Site, dict[int, Array]] = dataclasses.field(default_factory=dict)


class _Noting(ast.NodeTransformer):
    """Wraps what a function works out: calls, arithmetic, and names that it reads."""

    def __init__(self, function: str) -> None:
        self._function = function
        self._count = 0

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        worth = isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Call, ast.IfExp, ast.Subscript, ast.ListComp, ast.Tuple))
        named = isinstance(node, (ast.Name, ast.Attribute))
        if not (worth or named) or not isinstance(vars(node).get("ctx", ast.Load()), ast.Load):
            return node
        self._count += 1
        noted = ast.Call(
            ast.Name(_NOTE, ast.Load()),
            [ast.Constant(self._function), ast.Constant(self._count), node],  # type: ignore[list-item]
            [],
        )
        return ast.copy_location(noted, node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        # What is called is no value.
        node.args = [self.visit(one) for one in node.args]
        for keyword in node.keywords:
            keyword.value = self.visit(keyword.value)
        if isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Name):
            node.func.value = self.visit(node.func.value)
        return self._wrapped(node)

    def _wrapped(self, node: ast.expr) -> ast.expr:
        self._count += 1
        name = ast.Name(_NOTE, ast.Load())
        noted = ast.Call(name, [ast.Constant(self._function), ast.Constant(self._count), node], [])
        return ast.copy_location(noted, node)


@functools.lru_cache(maxsize=64)
def intermediates(config: Any) -> Intermediates | None:
    """All values of a reference's run in a configuration.

    Args:
        config: of a reference.

    Returns:
        None where its source is not known, or it cannot be run.
    """
    drawn = itertools.count(1)
    return _noted(
        config, _Run(SHAPE, lambda call: _small(1, call), lambda: _small(0, next(drawn)), learned_variance(config))
    )


def intermediates_of(
    config: Any, shape: tuple[int, ...], outputs: Array, noise: Callable[[], Array]
) -> Intermediates | None:
    """All values of a reference's run on given draws and answers, arrays as they are.

    Args:
        config: of a reference.
        shape: of the sample.
        outputs: ``(K, numel)`` what the model answers.
        noise: gives the draws, in their order.

    Returns:
        None where its source is not known, or it cannot be run.
    """
    run = _Run(shape, lambda call: outputs[call].reshape(shape), noise, learned_variance(config), arrays=True)
    return _noted(config, run)


def _noted(config: Any, run: _Run) -> Intermediates | None:
    program = _noting(type(config), run.note)
    if program is None:
        return None
    try:
        with np.errstate(all="ignore"):
            program.configured(config).sample(run.model, run.noise)
    except (ValueError, ArithmeticError, TypeError, AttributeError, IndexError, StopIteration):
        return None
    if isinstance(config, RectifiedFlow):
        _count_from_the_noise(run.found)
    return run.found


def _count_from_the_noise(found: Intermediates) -> None:
    """Add what is left of a flow's times to 1: much code counts them from the noise."""
    for site, numbers in list(found.numbers.items()):
        if all(0 <= value <= 1 for value in numbers.values()):
            found.numbers[Site(site.function, -site.number)] = {at: 1 - value for at, value in numbers.items()}
    for site, tables in list(found.tables.items()):
        if all(0 <= value <= 1 for table in tables.values() for value in table):
            found.tables[Site(site.function, -site.number)] = {
                at: tuple(1 - value for value in table) for at, table in tables.items()
            }


def _noting(kind: type, note: Callable[[str, int, Any], Any]) -> Program | None:
    """A reference's source that tells of each value that it works out; None where it is not known."""
    try:
        program = Program(kind)
    except (ValueError, SyntaxError):
        return None
    for function in program.functions.values():
        function.node = ast.fix_missing_locations(_Noting(function.place.name).visit(copy.deepcopy(function.node)))
        function.owner.__dict__[_NOTE] = note
        program.install(function)
    return program


def values_of_step(config: Any, x0: Array, answer: Array, draws: Any) -> tuple[Array, Array, tuple[Array, ...]] | None:
    """All values of a training step's reference on given data, draws and answer.

    Args:
        config: of a reference of training.
        x0: ``(B, *D)`` data.
        answer: ``(B, *D)`` of the model.
        draws: what its draws return.

    Returns:
        ``(B,)`` what the model is told, ``(B, *D)`` what it is given, and each value: arrays as they are, a number that
        is worked out for each item as ``(B,)``. None where it cannot be run.
    """
    numbers: dict[Site, list[float]] = {}
    arrays: dict[bytes, Array] = {}
    asked: list[tuple[Array, Array]] = []

    def note(function: str, index: int, value: Any) -> Any:
        if _is_number(value) or (isinstance(value, np.ndarray) and value.ndim == 0):
            numbers.setdefault(Site(function, index), []).append(float(value))
        elif isinstance(value, (np.ndarray, list)) and np.asarray(value).dtype.kind in "if":
            array = np.array(value, dtype=np.float64)
            arrays.setdefault(array.tobytes() + bytes(array.ndim), array)
        return value

    def model(x: Array, told: Any) -> Array:
        asked.append((np.array(told, dtype=np.float64), np.array(x, dtype=np.float64)))
        return answer

    program = _noting(type(config), note)
    if program is None:
        return None
    try:
        with np.errstate(all="ignore"):
            program.configured(config).step(model, x0, draws)
    except (ValueError, ArithmeticError, TypeError, AttributeError, IndexError):
        return None
    if len(asked) != 1:
        return None
    found = [np.array(values) for values in numbers.values() if len(values) == len(x0)]
    # A number that is one for all: told once, or for each item alike.
    found += [np.array(values[0]) for values in numbers.values() if len(set(values)) == 1]
    return (*asked[0], (x0, *arrays.values(), *found))


def values_of_levels(config: Any) -> dict[Site, Array] | None:
    """All numbers and tables that a grid works out on its way to its levels, by where it does.

    Args:
        config: of a grid.

    Returns:
        None where its source is not known, or it cannot be run.
    """
    found: dict[Site, Array] = {}

    def note(function: str, index: int, value: Any) -> Any:
        if _is_number(value) or (isinstance(value, (np.ndarray, list, tuple)) and np.asarray(value).dtype.kind in "if"):
            array = np.array(value, dtype=np.float64)
            if array.ndim <= 1:
                found[Site(function, index)] = array
        return value

    program = _noting(type(config), note)
    if program is None:
        return None
    try:
        with np.errstate(all="ignore"):
            found[Site("levels", 0)] = np.array(program.configured(config).levels, dtype=np.float64)
    except (ValueError, ArithmeticError, TypeError, AttributeError, IndexError):
        return None
    return found


def _small(kind: int, index: int) -> Array:
    """Small, so that no clamp bites."""
    return 2.0**-24 * dense_values(kind, index, int(np.prod(SHAPE))).reshape(SHAPE)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


class _Run:
    def __init__(
        self,
        shape: tuple[int, ...],
        answer: Callable[[int], Array],
        noise: Callable[[], Array],
        has_variance: bool,
        *,
        arrays: bool = False,
    ) -> None:
        self.found = Intermediates()
        self.calls: list[tuple[Array, Array]] = []
        self.noise = noise
        self._shape = shape
        self._answer = answer
        self._has_variance = has_variance
        self._arrays = arrays

    def model(self, x: Array, time: Any) -> Any:
        call = len(self.calls)
        values = self._answer(call)
        self.calls.append((np.array(x, dtype=np.float64), values))
        return (values, np.full(self._shape, variance_value(call))) if self._has_variance else values

    def note(self, function: str, index: int, value: Any) -> Any:
        site, segment = Site(function, index), len(self.calls)
        found = self.found
        if _is_number(value):
            found.numbers.setdefault(site, {})[segment] = float(value)
        elif isinstance(value, np.ndarray):
            if self._arrays and value.ndim > 1:
                found.arrays.setdefault(site, {})[segment] = np.array(value, dtype=np.float64)
            elif value.shape == self._shape:
                # All zero may be a sample too; where the same place made a number before, it is one.
                if np.ptp(value) == 0 and (value.flat[0] != 0 or site in found.numbers):
                    found.numbers.setdefault(site, {})[segment] = float(value.flat[0])
                elif (blend := self._blend(value)) is not None:
                    found.blends.setdefault(site, {})[segment] = blend
            elif value.ndim == 0:
                found.numbers.setdefault(site, {})[segment] = float(value)
            elif value.ndim == 1 and value.size <= LARGEST_TABLE:
                found.tables.setdefault(site, {})[segment] = tuple(float(one) for one in value)
        elif isinstance(value, (list, tuple)) and 1 <= len(value) <= LARGEST_TABLE and all(map(_is_number, value)):
            found.tables.setdefault(site, {})[segment] = tuple(float(one) for one in value)
        return value

    def _blend(self, value: Array) -> Blend | None:
        last = self.calls[: -LAST_CALLS - 1 : -1]
        if not last:
            return None
        # As few calls as it takes: one for most methods, two for a corrector.
        for count in range(1, len(last) + 1):
            columns = [x.reshape(-1) for x, _ in last[:count]] + [answer.reshape(-1) for _, answer in last[:count]]
            basis = np.stack(columns, axis=1)
            weights, *_ = np.linalg.lstsq(basis, value.reshape(-1), rcond=None)
            if np.abs(basis @ weights - value.reshape(-1)).max() <= UNTOLD * max(np.abs(value).max(), 1e-300):
                found = [float(w) for w in weights]
                return Blend(tuple(found[:count]), tuple(found[count:]))
        return None
