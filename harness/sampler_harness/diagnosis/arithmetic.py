"""Other ways to join the parts of a formula: what stands below the line, a term's sign, how far a root goes.

A program's formula is rarely grouped as a reference's: what is one sign or one operator there may be several here.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator

__all__ = ["is_root", "is_square", "is_unit", "numpy_call", "rejoined", "roots_within"]

#: Parts of a product or of a sum that are turned in every combination, at most.
PARTS = 4

#: Factors or terms, each with whether it is turned over: below the line, or taken off.
_Parts = list[tuple[ast.expr, bool]]


def rejoined(node: ast.BinOp, parent: ast.AST) -> Iterator[ast.expr]:
    """The same parts, joined otherwise.

    Args:
        node: a formula.
        parent: what it stands in: what only goes on there is turned there, as a whole.
    """
    if isinstance(node.op, (ast.Mult, ast.Div)):
        if not _goes_on(parent, (ast.Mult, ast.Div)):
            yield from _turned(_factors(node, False), _product)
    elif isinstance(node.op, (ast.Add, ast.Sub)):
        if not _goes_on(parent, (ast.Add, ast.Sub)):
            yield from _turned(_terms(node, False), _sum)
        if is_square(node.left) and is_square(node.right):  # both squares forgotten
            yield ast.BinOp(node.left.left, node.op, node.right.left)  # type: ignore[attr-defined]  # powers, as asked
    yield from _roots(node)
    if not _goes_on(parent, (ast.Mult, ast.Div)):
        yield numpy_call("sqrt", node)
        yield ast.BinOp(node, ast.Pow(), ast.Constant(2))


def _goes_on(parent: ast.AST, operators: tuple[type[ast.operator], ...]) -> bool:
    return isinstance(parent, ast.BinOp) and isinstance(parent.op, operators)


def _factors(node: ast.expr, below: bool) -> _Parts:
    """Factors of a product, each with whether it stands below the line."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        return _factors(node.left, below) + _factors(node.right, below != isinstance(node.op, ast.Div))
    return [(node, below)]


def _terms(node: ast.expr, minus: bool) -> _Parts:
    """Terms of a sum, each with whether it is taken off."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        return _terms(node.left, minus) + _terms(node.right, minus != isinstance(node.op, ast.Sub))
    return [(node, minus)]


def _turned(parts: _Parts, joined: Callable[[_Parts], ast.expr]) -> Iterator[ast.expr]:
    """Every choice of parts turned over: below the line instead of above it, taken off instead of added."""
    turnable = [n for n, (part, _) in enumerate(parts) if joined is _sum or not is_unit(part)]
    if len(turnable) > PARTS:
        return
    for count in range(1, len(turnable) + 1):
        for chosen in itertools.combinations(turnable, count):
            yield joined([(part, turned != (n in chosen)) for n, (part, turned) in enumerate(parts)])


def _product(parts: _Parts) -> ast.expr:
    above = [part for part, below in parts if not below]
    below = [part for part, below in parts if below and not is_unit(part)]
    found: ast.expr = above[0] if above else ast.Constant(1)
    for part in above[1:]:
        found = part if is_unit(found) else ast.BinOp(found, ast.Mult(), part)
    for part in below:
        found = ast.BinOp(found, ast.Div(), part)
    return found


def _sum(parts: _Parts) -> ast.expr:
    """What is added first, so that no sign stands alone where it need not."""
    parts = sorted(parts, key=lambda part: part[1])
    first, minus = parts[0]
    found: ast.expr = ast.UnaryOp(ast.USub(), first) if minus else first
    for part, off in parts[1:]:
        found = ast.BinOp(found, ast.Sub() if off else ast.Add(), part)
    return found


def _roots(node: ast.BinOp) -> Iterator[ast.expr]:
    """A root that goes further than it should."""
    left, right = node.left, node.right
    if isinstance(node.op, ast.Pow):
        return
    if is_root(left):
        yield numpy_call("sqrt", ast.BinOp(left.args[0], node.op, right))  # type: ignore[attr-defined]  # a call
    if is_root(right):
        yield numpy_call("sqrt", ast.BinOp(left, node.op, right.args[0]))  # type: ignore[attr-defined]  # a call


def roots_within(under: ast.expr) -> Iterator[ast.expr]:
    """What a root of a formula is where it ends too early: of the first part, of the second, or of each.

    Args:
        under: what stands under the root.
    """
    if not isinstance(under, ast.BinOp) or isinstance(under.op, ast.Pow):
        return
    first, second = numpy_call("sqrt", under.left), numpy_call("sqrt", under.right)
    if not is_unit(under.left):
        yield ast.BinOp(first, under.op, under.right)
    if not is_unit(under.right):
        yield ast.BinOp(under.left, under.op, second)
    if not (is_unit(under.left) or is_unit(under.right)):
        yield ast.BinOp(first, under.op, second)


def is_root(node: ast.AST) -> bool:
    """Whether this is ``np.sqrt(…)``."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="sqrt"), args=[_]):
            return True
    return False


def is_square(node: ast.AST) -> bool:
    """Whether this is ``…**2``."""
    match node:
        case ast.BinOp(op=ast.Pow(), right=ast.Constant(value=2)):
            return True
    return False


def is_unit(node: ast.AST) -> bool:
    """Whether this is the number 1."""
    return isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value == 1


def numpy_call(name: str, argument: ast.expr) -> ast.Call:
    """``np.name(argument)``."""
    return ast.Call(ast.Attribute(ast.Name("np", ast.Load()), name, ast.Load()), [argument], [])
