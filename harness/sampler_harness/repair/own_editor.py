"""Single edits of a person's own lines: the usual mistakes, undone.

Context: the diagnosis edits the reference, written in numpy, until it does what the sampler does. A program's own lines
are grouped otherwise, and what is one operator there may be several in the reference.
Choice: the same edits are tried on the program's own lines until it does what the reference does, and those that undo
what nobody writes into a reference: a sign that is missing, a number that is a little off.
Reversed by: a reference in each form that people write.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from sampler_harness.diagnosis.editor import Editor
from sampler_harness.diagnosis.mutation import Mutation, Slot
from sampler_harness.observe.statements import called_name

__all__ = ["OwnEditor"]

#: Digits to which a number is rounded that may be a little off.
_DIGITS = (1, 2, 3)
#: Methods of tensors that may be one too many.
_DROPPED_METHODS = frozenset({"abs", "clamp", "clip", "exp", "flip", "log", "neg", "round", "sqrt", "square"})
#: Functions whose arguments say how much they make.
_SIZED = frozenset(
    {"arange", "empty", "full", "geomspace", "linspace", "logspace", "ones", "range", "repeat", "repeat_interleave"}
    | {"rand", "randn", "tile", "zeros"}
)


class OwnEditor(Editor):
    """The edits of one function of a person's own; see :class:`~sampler_harness.diagnosis.editor.Editor`."""

    libraries = frozenset({"math", "np", "numpy", "torch"})
    #: Within a call that makes a table of a given size, where a power of a count would fill the memory.
    _makes_tables = False

    def _of(self, slot: Slot, old: Any, new: Any) -> Mutation:
        match new:  # of a number that is one off the number itself is written
            case ast.BinOp(ast.Constant(value=int() as left), ast.Add(), ast.Constant(value=int() as right)):
                new = ast.Constant(left + right)
            case ast.BinOp(ast.Constant(value=int() as left), ast.Sub(), ast.Constant(value=int() as right)):
                new = ast.Constant(left - right)
        return super()._of(slot, old, new)

    def _statement(self, statement: ast.stmt) -> Iterator[Mutation]:
        match statement:
            case ast.With(body=_) | ast.Try(body=_):
                yield from self._block(statement, "body")
            case ast.While():
                yield from self._condition((statement, "test", None), statement.test)
                yield from self._block(statement, "body")
            case ast.AnnAssign(value=ast.expr() as value):
                yield from self._expression((statement, "value", None), value)
            case ast.AugAssign(op=op):
                for other in _OTHER_IN_PLACE.get(type(op), ()):
                    yield self._of((statement, "op", None), op, other())
                yield from super()._statement(statement)
            case ast.Assign(targets=[ast.Tuple(elts=[first, second]) as both]):
                turned = ast.Tuple([second, first], both.ctx)
                yield self._of((statement, "targets", 0), both, turned)
                yield from super()._statement(statement)
            case _:
                yield from super()._statement(statement)

    def _expression(self, slot: Slot, node: ast.expr) -> Iterator[Mutation]:
        yield from super()._expression(slot, node)
        match node:
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                yield self._of(slot, node, ast.UnaryOp(ast.USub(), operand))
            case ast.BinOp() | ast.Call() | ast.Subscript():
                yield self._of(slot, node, ast.UnaryOp(ast.USub(), node))
            case ast.Attribute() if isinstance(node.ctx, ast.Load) and not isinstance(
                slot[0], (ast.Call, ast.Attribute)
            ):
                yield self._of(slot, node, ast.UnaryOp(ast.USub(), node))

    def _subscript(self, slot: Slot, node: ast.Subscript) -> Iterator[Mutation]:
        yield from super()._subscript(slot, node)
        for end in ("lower", "upper"):  # counted from the other end
            match getattr(node.slice, end, None):
                case ast.UnaryOp(op=ast.USub(), operand=operand) as bound:
                    yield self._of((node.slice, end, None), bound, operand)
                case ast.UnaryOp(op=ast.UAdd(), operand=operand) as bound:
                    yield self._of((node.slice, end, None), bound, ast.UnaryOp(ast.USub(), operand))
                case ast.Constant(value=int() as value) as bound if value:
                    yield self._of((node.slice, end, None), bound, ast.UnaryOp(ast.USub(), bound))

    def _arithmetic(self, slot: Slot, node: ast.BinOp) -> Iterator[Mutation]:
        yield from super()._arithmetic(slot, node)
        for other in _FURTHER_OPERATORS.get(type(node.op), ()):
            if other is not ast.Pow or not self._makes_tables:
                yield self._of(slot, node, ast.BinOp(node.left, other(), node.right))

    def _constant(self, slot: Slot, node: ast.Constant) -> Iterator[Mutation]:
        yield from super()._constant(slot, node)
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return
        if isinstance(value, float):
            rounded = {float(f"{value:.{digits}g}") for digits in _DIGITS} | {float(round(value))}
            for other in sorted(rounded - {value, 0.0}):
                yield self._of(slot, node, ast.Constant(other))
        if value:
            yield self._of(slot, node, ast.UnaryOp(ast.USub(), ast.Constant(value)))

    def _call(self, slot: Slot, node: ast.Call) -> Iterator[Mutation]:
        makes_tables, self._makes_tables = self._makes_tables, self._makes_tables or called_name(node) in _SIZED
        yield from super()._call(slot, node)
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in _DROPPED_METHODS and not (
                isinstance(value, ast.Name) and value.id in self.libraries
            ):
                yield self._of(slot, node, value)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=library), attr="flip"), args=[argument, *_]) if (
                library in self.libraries
            ):
                yield self._of(slot, node, argument)
        if isinstance(node.func, ast.Attribute):
            yield from self._inner((node.func, "value", None), node.func.value)
        for place, keyword in enumerate(node.keywords):
            without = [*node.keywords[:place], *node.keywords[place + 1 :]]
            yield Mutation(self._function, (node, "keywords", None), node.keywords, without)
            yield from self._expression((keyword, "value", None), keyword.value)
        self._makes_tables = makes_tables

    def _inner(self, slot: Slot, node: ast.expr) -> Iterator[Mutation]:
        """Edits within what a method is called on; what it is as a whole is no number of its own."""
        match node:
            case ast.Call() | ast.BinOp() | ast.Subscript():
                yield from self._expression(slot, node)
            case ast.Name(id=name) if (kind := self._kind(name)) != "other":  # another number of the same step
                for other in self._names(kind):
                    if other != name:
                        yield self._of(slot, node, ast.Name(other, ast.Load()))


_OTHER_IN_PLACE: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
}
#: What a product may have been meant for.
_FURTHER_OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Mult: (ast.FloorDiv, ast.Pow),
    ast.Div: (ast.FloorDiv,),
}
