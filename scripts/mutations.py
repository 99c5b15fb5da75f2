"""Small changes of a program's source, one at a time: what ``make mutants`` tries on released samplers.

Of each line that is asked for every number, operator, comparison, condition, keyword and assignment is changed.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["lines_of_methods", "mutants"]

_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult,
}  # fmt: skip
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip

Change = Callable[[Any], None]


def _set(name: str, value: Any) -> Change:
    return lambda node: setattr(node, name, value)


def _leave_out(node: Any) -> None:
    """An assignment in place keeps what was there; another statement is nothing any more."""
    node.op, node.value = ast.Add(), ast.Constant(0)


def _changes(node: ast.AST, others: tuple[str, ...]) -> Iterator[tuple[str, Change]]:
    """Changes of one node: what is done, and how to do it to a copy.

    Args:
        node: of a program.
        others: what a default that is a name may be instead.
    """
    match node:
        case ast.Constant(value=str() as value):
            for instead in others:
                yield f"{value} is {instead}", _set("value", instead)
        case ast.Constant(value=bool() as value):
            yield f"{value} is {not value}", _set("value", not value)
        case ast.Constant(value=int() as value):
            yield f"{value} is {value + 1}", _set("value", value + 1)
        case ast.Constant(value=float() as value):
            yield f"{value} is 1 % larger", _set("value", value * 1.01 if value else 0.01)
        case ast.BinOp(op=op) if type(op) in _OPERATORS:
            other = _OPERATORS[type(op)]
            yield f"{type(op).__name__} is {other.__name__}", _set("op", other())
        case ast.BoolOp(op=ast.And()):
            yield "And is Or", _set("op", ast.Or())
        case ast.BoolOp(op=ast.Or()):
            yield "Or is And", _set("op", ast.And())
        case ast.Compare(ops=[*ops]):
            for place, one in enumerate(ops):
                if type(one) in _COMPARISONS:
                    turned = _COMPARISONS[type(one)]
                    changed = [*ops[:place], turned(), *ops[place + 1 :]]
                    yield f"{type(one).__name__} is {turned.__name__}", _set("ops", changed)
        case ast.UnaryOp(op=ast.USub()):
            yield "without its minus", _set("op", ast.UAdd())
        case ast.AugAssign():
            yield "left out", _leave_out
        case ast.If() | ast.IfExp():
            yield "always", _set("test", ast.Constant(True))
            yield "never", _set("test", ast.Constant(False))
        case ast.Call(keywords=[*keywords]):
            for place, keyword in enumerate(keywords):
                if keyword.arg is not None:
                    yield f"without {keyword.arg}=", _set("keywords", [*keywords[:place], *keywords[place + 1 :]])


def mutants(source: str, lines: set[int]) -> Iterator[tuple[int, str, ast.Module]]:
    """Changed programs: the line, what is changed there, and the program.

    Args:
        source: of a module.
        lines: that are changed, each in every way.
    """
    tree = ast.parse(source)
    choices = dict(_choices(tree))
    for number, node in enumerate(ast.walk(tree)):
        line = getattr(node, "lineno", 0)
        for told, change in _changes(node, choices.get(id(node), ())) if line in lines else ():
            changed = copy.deepcopy(tree)
            change(next(one for place, one in enumerate(ast.walk(changed)) if place == number))
            yield line, f"{told}: {ast.unparse(node).splitlines()[0][:60]}", ast.fix_missing_locations(changed)


def _choices(tree: ast.Module) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Of each default that is one of a few names, as its annotation says: the next name."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        named = [*node.args.posonlyargs, *node.args.args]
        defaults = node.args.defaults
        for argument, default in zip(named[len(named) - len(defaults) :], defaults, strict=True):
            match argument.annotation, default:
                case ast.Subscript(value=ast.Name("Literal"), slice=ast.Tuple(elts=[*names])), ast.Constant(value=own):
                    values = [one.value for one in names if isinstance(one, ast.Constant)]
                    if own in values:
                        yield id(default), (str(values[(values.index(own) + 1) % len(values)]),)


def lines_of_methods(source: str) -> set[int]:
    """Lines of all functions of a module, defaults too, but for what refuses a call or warns of it.

    Args:
        source: of a module.
    """
    found: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=name) if name.startswith("__repr"):
                continue
            case ast.FunctionDef(args=arguments, body=body):
                defaults = [one for one in (*arguments.defaults, *arguments.kw_defaults) if one is not None]
                found.update(one.lineno for one in defaults)
                found.update(line for one in body for line in _lines(one))
    return found


def _lines(statement: ast.stmt) -> Iterator[int]:
    """Lines of a statement that do something."""
    if _only_refuses(statement):
        return
    inner = [one for one in ast.walk(statement) if isinstance(one, ast.stmt) and one is not statement]
    skipped = {line for one in inner if _only_refuses(one) for line in range(one.lineno, (one.end_lineno or 0) + 1)}
    yield from set(range(statement.lineno, (statement.end_lineno or 0) + 1)) - skipped


def _only_refuses(statement: ast.stmt) -> bool:
    match statement:
        case ast.Raise():
            return True
        case ast.Expr(value=ast.Constant()):
            return True  # documentation
        case ast.Expr(value=ast.Call(func=function)):
            return any(word in ast.unparse(function) for word in ("warn", "deprecate"))
        case ast.If(body=[*body], orelse=[]):
            return all(_only_refuses(one) for one in body)
    return False
