"""The edits of one function: what may stand in place of each part of its lines.

An edit replaces one node of the tree in place and is undone afterwards; copying trees costs more than measuring.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from sampler_harness.law.program import Function, Trace

from .arithmetic import numpy_call, rejoined, roots_within
from .mutation import Mutation, Slot

__all__ = ["Editor"]

_OTHER_OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.FloorDiv: (ast.Div, ast.Mult),
}
_OTHER_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
#: Functions of numpy that are left out, or taken for each other.
_DROPPED = frozenset({"sqrt", "exp", "log", "minimum", "maximum", "clip", "abs", "cos", "power", "append", "cumprod"})
_TAKEN_FOR = {
    "minimum": "maximum",
    "maximum": "minimum",
    "sqrt": "square",
    "exp": "expm1",
    "log": "log1p",
    "cos": "sin",
}
_WHOLE = ("round", "int", "float")


class Editor:
    """The edits of one function.

    Args:
        function: that is edited.
        lines: of it that were executed.
        trace: of the runs.
        numbers: attributes of ``self`` that are numbers, of which one may be taken for another.
        scopes: functions around what is edited, the outermost first.
    """

    #: Names of the modules whose functions are left out, or taken for each other.
    libraries = frozenset({"np"})

    def __init__(
        self,
        function: Function,
        lines: set[int],
        trace: Trace,
        *,
        numbers: Sequence[str] = (),
        scopes: Sequence[str] = (),
    ) -> None:
        self._numbers = numbers
        self._function = function
        self._lines = lines
        self._trace = trace
        self._scopes = [*scopes]
        self._walked: list[ast.expr] = []

    def all(self) -> Iterator[Mutation]:
        """Edits of all lines that were executed."""
        yield from self._function_body(self._function.node)

    def of(self, holder: ast.Expr) -> Iterator[Mutation]:
        """Edits of a formula alone."""
        yield from self._expression((holder, "value", None), holder.value)

    def _of(self, slot: Slot, old: Any, new: Any) -> Mutation:
        anchor = old[0] if isinstance(old, list) else old
        for node in new if isinstance(new, list) else [new]:
            # A node of the original keeps its place; what is new gets that of what it replaces.
            if not hasattr(node, "lineno") and isinstance(node, (ast.expr, ast.stmt)):
                ast.copy_location(node, anchor)
                ast.fix_missing_locations(node)
        return Mutation(self._function, slot, old, new)

    # Statements

    def _function_body(self, node: ast.FunctionDef) -> Iterator[Mutation]:
        self._scopes.append(node.name)
        yield from self._block(node, "body")
        self._scopes.pop()

    def _block(self, parent: ast.AST, field: str) -> Iterator[Mutation]:
        block: list[ast.stmt] = getattr(parent, field)
        for index, statement in enumerate(block):
            if isinstance(statement, ast.FunctionDef):
                yield from self._function_body(statement)
                continue
            if statement.lineno not in self._lines and (statement.end_lineno or 0) not in self._lines:
                continue
            yield from self._statement(statement)
            after = block[index + 1] if index + 1 < len(block) else None
            if isinstance(statement, (ast.Assign, ast.AugAssign)) and len(block) > 1:
                without = block[:index] + block[index + 1 :]
                yield self._of((parent, field, None), block, without)
                if isinstance(after, (ast.Assign, ast.AugAssign, ast.If)):
                    swapped = [*block[:index], after, statement, *block[index + 2 :]]
                    yield self._of((parent, field, None), block, swapped)

    def _statement(self, statement: ast.stmt) -> Iterator[Mutation]:
        if isinstance(statement, ast.If):
            yield from self._condition((statement, "test", None), statement.test)
            yield from self._block(statement, "body")
            yield from self._block(statement, "orelse")
        elif isinstance(statement, ast.For):
            yield from self._sequence((statement, "iter", None), statement.iter)
            yield from self._expression((statement, "iter", None), statement.iter)
            if isinstance(statement.target, ast.Tuple) and len(statement.target.elts) == 2:
                first, second = statement.target.elts
                yield self._of(
                    (statement, "target", None), statement.target, ast.Tuple([second, first], statement.target.ctx)
                )
            self._walked += _walked_in_pairs(statement)
            yield from self._block(statement, "body")
            self._walked.clear()
        elif isinstance(statement, (ast.Return, ast.Assign, ast.AugAssign, ast.Expr)):
            if statement.value is not None:
                yield from self._expression((statement, "value", None), statement.value)
            if isinstance(statement, (ast.Return, ast.Assign)) and isinstance(statement.value, (ast.BinOp, ast.Call)):
                yield from self._factors((statement, "value", None), statement.value)
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript):
                yield from self._index(statement.targets[0])  # another entry is set

    def _condition(self, slot: Slot, test: ast.expr) -> Iterator[Mutation]:
        yield self._of(slot, test, ast.Constant(True))
        yield self._of(slot, test, ast.Constant(False))
        yield from self._expression(slot, test)

    def _sequence(self, slot: Slot, value: ast.expr) -> Iterator[Mutation]:
        """One entry too few at either end, or the other way round."""
        one, minus_one = ast.Constant(1), ast.UnaryOp(ast.USub(), ast.Constant(1))
        as_list = ast.Call(ast.Name("list", ast.Load()), [value], [])
        yield self._of(slot, value, ast.Subscript(as_list, ast.Slice(one, None, None), ast.Load()))
        yield self._of(slot, value, ast.Subscript(as_list, ast.Slice(None, minus_one, None), ast.Load()))
        if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "reversed"):
            yield self._of(slot, value, ast.Call(ast.Name("reversed", ast.Load()), [as_list], []))

    # Expressions

    def _expression(self, slot: Slot, node: ast.expr) -> Iterator[Mutation]:
        match node:
            case ast.BinOp():
                yield from self._arithmetic(slot, node)
            case ast.UnaryOp():
                yield self._of(slot, node, node.operand)
                yield from self._expression((node, "operand", None), node.operand)
            case ast.Constant():
                yield from self._constant(slot, node)
            case ast.Compare():
                yield from self._comparison(slot, node)
            case ast.BoolOp():
                for index, value in enumerate(node.values):
                    yield self._of(slot, node, value)
                    yield from self._expression((node, "values", index), value)
            case ast.IfExp():
                yield self._of(slot, node, node.body)
                yield self._of(slot, node, node.orelse)
                yield from self._expression((node, "test", None), node.test)
                yield from self._expression((node, "body", None), node.body)
                yield from self._expression((node, "orelse", None), node.orelse)
            case ast.Call():
                yield from self._call(slot, node)
            case ast.Name():
                yield from self._name(slot, node)
            case ast.Attribute():
                yield from self._attribute(slot, node)
            case ast.Subscript():
                yield from self._subscript(slot, node)
            case ast.Tuple() | ast.List():
                yield from self._entries(node)
            case ast.GeneratorExp() | ast.ListComp():
                yield from self._expression((node, "elt", None), node.elt)
                source = node.generators[0]
                yield from self._sequence((source, "iter", None), source.iter)
                yield from self._expression((source, "iter", None), source.iter)
            case ast.Starred():
                yield from self._expression((node, "value", None), node.value)

    def _arithmetic(self, slot: Slot, node: ast.BinOp) -> Iterator[Mutation]:
        left, right = node.left, node.right
        others = _OTHER_OPERATORS.get(type(node.op), ())
        for one in others:
            yield self._of(slot, node, ast.BinOp(left, one(), right))
        yield self._of(slot, node, left)
        yield self._of(slot, node, right)
        for inner in (left, right):  # two terms or factors forgotten at once
            if isinstance(inner, ast.BinOp):
                yield self._of(slot, node, inner.left)
                yield self._of(slot, node, inner.right)
        for joined in rejoined(node, slot[0]):
            yield self._of(slot, node, joined)
        if not any(isinstance(inner, ast.Call) for inner in ast.walk(node)):
            for other_name in self._names("number"):
                yield self._of(slot, node, ast.Name(other_name, ast.Load()))
        if isinstance(node.op, (ast.Sub, ast.Div, ast.Pow)):
            yield self._of(slot, node, ast.BinOp(right, node.op, left))
        if isinstance(node.op, (ast.Add, ast.Sub)):
            for side, term in (("left", left), ("right", right)):
                yield from self._factors((node, side, None), term)
        yield from self._expression((node, "left", None), left)
        yield from self._expression((node, "right", None), right)

    def _factors(self, slot: Slot, term: ast.expr) -> Iterator[Mutation]:
        """A term with a factor too many: a number that has a name there."""
        if isinstance(term, ast.Constant) or _is_sum(term):
            return
        for name in self._names("number"):
            for operator in (ast.Mult(), ast.Div()):
                yield self._of(slot, term, ast.BinOp(term, operator, ast.Name(name, ast.Load())))

    def _constant(self, slot: Slot, node: ast.Constant) -> Iterator[Mutation]:
        value = node.value
        if isinstance(value, bool):
            yield self._of(slot, node, ast.Constant(not value))
        elif isinstance(value, int):
            for other in dict.fromkeys((value + 1, value - 1, 2 * value)):
                if other != value:
                    yield self._of(slot, node, ast.Constant(other))
        elif isinstance(value, float):
            for number in dict.fromkeys((0.0, 1.0, 2 * value, value / 2, value + 1, value - 1, 10 * value, value / 10)):
                if number != value:
                    yield self._of(slot, node, ast.Constant(number))

    def _comparison(self, slot: Slot, node: ast.Compare) -> Iterator[Mutation]:
        for index, operator in enumerate(node.ops):
            for other in _OTHER_COMPARISONS.get(type(operator), ()):
                yield self._of((node, "ops", index), operator, other())
        if len(node.ops) == 2:
            yield self._of(slot, node, ast.Compare(node.left, [node.ops[0]], [node.comparators[0]]))
            yield self._of(slot, node, ast.Compare(node.comparators[0], [node.ops[1]], [node.comparators[1]]))
        yield from self._expression((node, "left", None), node.left)
        for index, operand in enumerate(node.comparators):
            if not (isinstance(operand, ast.Constant) and isinstance(operand.value, str)):
                yield from self._expression((node, "comparators", index), operand)

    def _call(self, slot: Slot, node: ast.Call) -> Iterator[Mutation]:
        function, arguments = node.func, node.args
        name = function.attr if isinstance(function, ast.Attribute) else ""
        of_numpy = (
            isinstance(function, ast.Attribute)
            and isinstance(function.value, ast.Name)
            and function.value.id in self.libraries
        )
        if of_numpy and name in _DROPPED and arguments:
            for argument in arguments[: 2 if name in ("minimum", "maximum", "power", "append") else 1]:
                yield self._of(slot, node, argument)
        if of_numpy and name == "sqrt" and len(arguments) == 1:  # a power of one half, written as a product
            yield self._of(slot, node, ast.BinOp(arguments[0], ast.Mult(), ast.Constant(0.5)))
            for within in roots_within(arguments[0]):
                yield self._of(slot, node, within)
        if of_numpy and name == "square" and len(arguments) == 1:
            yield self._of(slot, node, arguments[0])
            yield self._of(slot, node, ast.BinOp(arguments[0], ast.Mult(), ast.Constant(2)))
            yield self._of(slot, node, ast.BinOp(arguments[0], ast.Pow(), ast.Constant(3)))
        if of_numpy and name == "power" and len(arguments) == 2:
            yield self._of(slot, node, ast.BinOp(arguments[0], ast.Mult(), arguments[1]))
        if of_numpy and name in _TAKEN_FOR:
            yield self._of((function, "attr", None), name, _TAKEN_FOR[name])
        if isinstance(function, ast.Name) and function.id in _WHOLE and arguments:
            for number in _WHOLE:
                if number != function.id:
                    yield self._of((node, "func", None), function, ast.Name(number, ast.Load()))
        if of_numpy and name == "linspace":
            endpoint = ast.copy_location(ast.keyword("endpoint", ast.Constant(False)), node)
            without_end = [*node.keywords, ast.fix_missing_locations(endpoint)]
            yield Mutation(self._function, (node, "keywords", None), node.keywords, without_end)
        if isinstance(function, ast.Name) and not arguments and not node.keywords:
            for array in self._names("array"):  # what the model returned, say, where something is drawn
                yield self._of(slot, node, ast.Name(array, ast.Load()))
        if isinstance(function, ast.Name) and function.id == "reversed" and arguments:
            yield self._of(slot, node, arguments[0])
        if isinstance(function, ast.Name) and function.id == "range":
            yield from self._range(node)
        for other in self._siblings(function):
            yield self._of((function, "attr", None), name, other)
        for index in range(len(arguments) - 1):
            if not of_numpy or name in ("linspace", "power", "append"):
                swapped = [*arguments]
                swapped[index], swapped[index + 1] = swapped[index + 1], swapped[index]
                yield Mutation(self._function, (node, "args", None), arguments, swapped)
        for index, argument in enumerate(arguments):
            yield from self._expression((node, "args", index), argument)

    def _range(self, node: ast.Call) -> Iterator[Mutation]:
        for index, argument in enumerate(node.args):
            for operator in (ast.Add(), ast.Sub()):
                slot: Slot = (node, "args", index)
                yield self._of(slot, argument, ast.BinOp(argument, operator, ast.Constant(1)))
        if len(node.args) == 1:
            yield self._of((node, "args", None), node.args, [ast.Constant(1), node.args[0]])
            more = ast.BinOp(node.args[0], ast.Add(), ast.Constant(1))
            yield self._of((node, "args", None), node.args, [ast.Constant(1), more])

    def _siblings(self, function: ast.expr) -> Iterator[str]:
        """Functions of the same module that take as many arguments."""
        if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
            return
        module = self._function.owner.__dict__.get(function.value.id)
        if not isinstance(module, ModuleType) or not module.__name__.startswith("reference_samplers."):
            return
        public = module.__dict__
        count = _count(public.get(function.attr))
        for name in public.get("__all__", ()):
            if name != function.attr and inspect.isfunction(public.get(name)) and _count(public[name]) == count:
                yield name

    def _name(self, slot: Slot, node: ast.Name) -> Iterator[Mutation]:
        if not isinstance(node.ctx, ast.Load):
            return
        kind = self._kind(node.id)
        if kind == "other":
            return
        # A whole number is a number too, and the other way round for whoever does not think of it.
        kinds = ("number", "whole") if kind in ("number", "whole") else (kind,)
        for other in (name for one in kinds for name in self._names(one)):
            if other != node.id:
                yield self._of(slot, node, ast.Name(other, ast.Load()))
        if kind == "whole":
            for operator in (ast.Add(), ast.Sub()):
                yield self._of(slot, node, ast.BinOp(node, operator, ast.Constant(1)))
        if kind == "number":
            for walked in self._walked:  # the first of all, or the last, where the loop has its own
                yield self._of(slot, node, ast.Subscript(walked, ast.Constant(0), ast.Load()))
                yield self._of(slot, node, ast.Subscript(walked, ast.UnaryOp(ast.USub(), ast.Constant(1)), ast.Load()))
            yield self._of(slot, node, numpy_call("sqrt", node))
            yield self._of(slot, node, ast.BinOp(node, ast.Pow(), ast.Constant(2)))
        yield self._of(slot, node, ast.UnaryOp(ast.USub(), node))

    def _names(self, kind: str) -> list[str]:
        """Local names of a kind, sorted."""
        here = self._function.place.file, self._scopes[-1]
        return sorted(n for (file, where, n), k in self._trace.kinds.items() if (file, where) == here and k == kind)

    def _kind(self, name: str) -> str:
        return self._trace.kinds.get((self._function.place.file, self._scopes[-1], name), "other")

    def _attribute(self, slot: Slot, node: ast.Attribute) -> Iterator[Mutation]:
        if not _is_name(node.value, "self"):
            return
        fields = self._numbers
        if node.attr in fields:
            for other in fields:
                if other != node.attr:
                    yield self._of((node, "attr", None), node.attr, other)
            yield self._of(slot, node, ast.BinOp(node, ast.Pow(), ast.Constant(2)))

    def _subscript(self, slot: Slot, node: ast.Subscript) -> Iterator[Mutation]:
        index = node.slice
        if isinstance(index, ast.Slice):
            for end in ("lower", "upper"):
                bound = getattr(index, end)
                if bound is None:
                    continue
                yield self._of((index, end, None), bound, ast.BinOp(bound, ast.Add(), ast.Constant(1)))
                yield self._of((index, end, None), bound, ast.BinOp(bound, ast.Sub(), ast.Constant(1)))
            if index.step is not None:  # the other way round, or every second one
                yield from self._expression((index, "step", None), index.step)
            yield self._of(slot, node, node.value)
        else:
            yield from self._index(node)
        yield from self._expression((node, "value", None), node.value)

    def _index(self, node: ast.Subscript) -> Iterator[Mutation]:
        """Another entry of a table."""
        index = node.slice
        if isinstance(index, ast.Constant) and isinstance(index.value, int):
            for place in (0, 1, -1, -2):
                if place != index.value:
                    yield self._of((node, "slice", None), index, ast.Constant(place))
        else:
            for operator in (ast.Add(), ast.Sub()):
                yield self._of((node, "slice", None), index, ast.BinOp(index, operator, ast.Constant(1)))
        yield from self._expression((node, "slice", None), index)

    def _entries(self, node: ast.Tuple | ast.List) -> Iterator[Mutation]:
        entries = node.elts
        for index, entry in enumerate(entries):
            if len(entries) > 1 and any(isinstance(one, ast.Starred) for one in entries):
                without = [*entries[:index], *entries[index + 1 :]]
                yield Mutation(self._function, (node, "elts", None), entries, without)
            if index + 1 < len(entries):
                swapped = [*entries]
                swapped[index], swapped[index + 1] = swapped[index + 1], swapped[index]
                yield Mutation(self._function, (node, "elts", None), entries, swapped)
            yield from self._expression((node, "elts", index), entry)


def _walked_in_pairs(loop: ast.For) -> list[ast.expr]:
    """What ``for a, b in pairwise(…)`` walks along; nothing where the loop is another one."""
    match loop.iter:
        case ast.Call(func=ast.Name(id="pairwise"), args=[ast.Attribute() as walked]):
            return [walked]
    return []


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_sum(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub))


def _count(function: Any) -> int:
    return function.__code__.co_argcount if inspect.isfunction(function) else -1
