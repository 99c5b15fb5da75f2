"""What a line of a person's code does, read off its source: what it assigns, reads, calls, guards and writes into."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Line",
    "argument_of",
    "assigned_by",
    "called_by",
    "called_name",
    "calls_an_object",
    "calls_in",
    "counts",
    "first_reader",
    "function_of",
    "goes_through_slices",
    "gone_through",
    "guard_of",
    "handed_by_name",
    "hands_its_name",
    "hands_literal",
    "hands_others",
    "in_loop",
    "is_method_call",
    "leaves_loop",
    "made_for",
    "names_assigned",
    "names_read",
    "names_used",
    "names_written_into",
    "node_of",
    "only_hands_on",
    "only_reader",
    "parameters",
    "plain_arguments",
    "reader_of_parameter",
    "readers",
    "same_function",
    "shown",
    "statement_at",
    "writes_outside_of",
]


@dataclass(frozen=True)
class Line:
    """A line of the user's code.

    Attributes:
        file: as Python loaded it, absolute.
        line: from 1.
        function: that it stands in.
    """

    file: str
    line: int
    function: str

    @property
    def text(self) -> str:
        """What stands there."""
        return linecache.getline(self.file, self.line).strip()


@functools.lru_cache(maxsize=64)
def _statements(file: str) -> Mapping[int, ast.stmt]:
    """The innermost statement of each line."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return {}
    found: dict[int, ast.stmt] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            # Outer statements come first in a walk, so that inner ones write over them.
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                found[line] = node
    return found


def statement_at(file: str, line: int) -> ast.stmt | None:
    """The innermost statement of a line; None where there is none, or no source.

    Args:
        file: absolute.
        line: from 1.
    """
    return _statements(file).get(line)


@functools.lru_cache(maxsize=4096)  # asked of each line that runs, in each of the thousands of runs of a search
def assigned_by(node: ast.stmt) -> tuple[str, ...]:
    """What a statement gives a value to, whole or in part: names, and attributes of names as ``"self.table"``.

    Args:
        node: a statement; of a loop only its targets are meant.
    """
    match node:
        case ast.For(target=target):
            targets = [target]
        case ast.With():
            targets = [item.optional_vars for item in node.items if item.optional_vars is not None]
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            targets = [target]
        case ast.Assign():
            targets = node.targets
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=value, attr=method))) if _writes(method):
            targets = [value]  # x.add_(…) writes into x
        case _:
            return ()
    if (owner := _taken_from(node)) is not None:
        targets = [*targets, owner]
    waiting, found = list(targets), list[str]()
    for one in waiting:
        match one:
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                waiting += parts
            case ast.Starred(value=value) | ast.Subscript(value=value):
                waiting.append(value)
            case ast.Name(id=name):
                found.append(name)
            case ast.Attribute():
                found += _dotted(one)
    return tuple(found)


#: Methods of lists, dictionaries, sets and queues that change what they are called on.
_WRITING = frozenset(
    {"add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "fill"}
    | {"insert", "put", "remove", "reverse", "rotate", "sort", "update"}
)
#: Those of them that give something back too.
_TAKING = frozenset(("pop", "popleft", "popitem", "setdefault"))


def _writes(method: str) -> bool:
    """Whether a method changes what it is called on, as its name says."""
    return method.endswith("_") or method in _WRITING | _TAKING


def _taken_from(node: ast.stmt) -> ast.expr | None:
    """What a statement gives a name something of and changes by it: ``levels`` of ``sigma = levels.pop()``."""
    match node:
        case ast.Assign(value=ast.Call(func=ast.Attribute(value=value, attr=method))) if method in _TAKING:
            return value
        case _:
            return None


def _dotted(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Name(id=name):
            yield name
        case ast.Attribute(value=value, attr=name):
            yield from (f"{owner}.{name}" for owner in _dotted(value))


def same_function(line: Line, other: Line) -> bool:
    """Whether two lines stand in one function."""
    return (line.file, line.function) == (other.file, other.function)


def names_used(at: Line) -> tuple[set[str], set[str]]:
    """What a statement reads: in the first arguments of its calls, where the sample stands, and everywhere."""
    node = _statements(at.file).get(at.line)
    if node is None:
        return set(), set()
    first = [call.args[0] for call in ast.walk(node) if isinstance(call, ast.Call) and call.args]
    return {name for argument in first for name in names_read(argument)}, set(names_read(node))


def names_read(node: ast.AST) -> Iterator[str]:
    """Names whose values a part of a statement reads."""
    return (n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))


def names_assigned(line: Line) -> set[str]:
    """What a simple statement gives a value to, as a whole."""
    return {name for target in _targets(line) for name in _named(target) if not _is_part(target)}


def names_written_into(line: Line) -> set[str]:
    """What a simple statement changes some entries of."""
    return {name for target in _targets(line) for name in _named(target) if _is_part(target)}


def _is_part(target: ast.expr) -> bool:
    whole = (ast.Constant, ast.Slice)
    return isinstance(target, ast.Subscript) and not isinstance(target.slice, whole)


def _named(target: ast.expr) -> Iterator[str]:
    return (n.id for n in ast.walk(target) if isinstance(n, ast.Name))


def _targets(line: Line) -> list[ast.expr]:
    match _statements(line.file).get(line.line):
        case ast.Assign(targets=targets):
            return targets
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            return [target]
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=value, attr=method))) if _writes(method):
            return [value]  # x.add_(…) writes into x
        case _:
            return []


def calls_in(line: Line) -> set[str]:
    """Names of the functions and methods that a simple statement calls."""
    node = _statements(line.file).get(line.line)
    if node is None or (
        isinstance(node, ast.stmt) and any(isinstance(inner, ast.stmt) for inner in ast.walk(node) if inner is not node)
    ):
        return set()
    calls = [one.func for one in ast.walk(node) if isinstance(one, ast.Call)]
    return {f.attr if isinstance(f, ast.Attribute) else f.id for f in calls if isinstance(f, (ast.Attribute, ast.Name))}


def guard_of(line: Line) -> Line | None:
    """The innermost ``if`` around a line, in its own function and loop."""
    function = function_of(line)
    if function is None:
        return None
    around = [
        node
        for node in ast.walk(function)
        if isinstance(node, (ast.If, ast.For, ast.While)) and node.lineno < line.line <= (node.end_lineno or 0)
    ]
    inner = max(around, key=lambda node: node.lineno, default=None)
    return Line(line.file, inner.lineno, line.function) if isinstance(inner, ast.If) else None


def in_loop(line: Line) -> bool:
    """Whether a line stands in a loop of its function."""
    function = function_of(line)
    loops = (ast.For, ast.AsyncFor, ast.While)
    found = [node for node in ast.walk(function) if isinstance(node, loops)] if function is not None else []
    return any(node.lineno <= line.line <= (node.end_lineno or 0) for node in found)


def leaves_loop(node: ast.stmt | None) -> bool:
    """Whether a statement is an ``if`` that leaves a loop, or a step of it."""
    return isinstance(node, ast.If) and any(isinstance(one, (ast.Break, ast.Continue)) for one in node.body)


def only_reader(line: Line, name: str) -> Line | None:
    """The one other line of the function that reads what a line gave a name; None where there are several, or none.

    Args:
        line: that assigns the name.
        name: of what it assigns, not of an attribute.
    """
    found = readers(line, name)
    return found[0] if len(found) == 1 else None


def readers(line: Line, name: str) -> tuple[Line, ...]:
    """The other lines of the function that read what a line gave a name; none where another line gives it one too.

    In a loop the lines above read it too, a turn later, and a function within this one may wherever it stands.

    Args:
        line: that assigns the name.
        name: of what it assigns, not of an attribute.
    """
    function = function_of(line)
    if function is None or "." in name:
        return ()
    found = {
        statement.lineno
        for at in sorted(_reached_from(line, function))
        if (statement := statement_at(line.file, at)) is not None
        and statement.lineno != line.line
        and name in names_read(_own_part(statement))
    }
    assigning = any(
        name in assigned_by(statement)
        for at in range(function.lineno, (function.end_lineno or line.line) + 1)
        if (statement := statement_at(line.file, at)) is not None and statement.lineno == at != line.line
    )
    return () if assigning else tuple(Line(line.file, at, line.function) for at in sorted(found))


def reader_of_parameter(file: str, callee: str, name: str) -> Line | None:
    """The one line of a function that reads one of its parameters; None where there are several, or none.

    Args:
        file: in which the function is looked for.
        callee: its name.
        name: of the parameter.
    """
    functions = [one for one in _functions(file) if one.name == callee]
    if len(functions) != 1:
        return None
    (function,) = functions
    found = {
        statement.lineno
        for at in range(function.body[0].lineno, (function.end_lineno or function.lineno) + 1)
        if (statement := statement_at(file, at)) is not None and name in names_read(_own_part(statement))
    }
    return Line(file, found.pop(), callee) if len(found) == 1 else None


def first_reader(line: Line, name: str) -> Line | None:
    """The first line below one of its function that reads a name which that gives a value to; None where none does.

    Args:
        line: that assigns the name.
        name: of what it assigns, not of an attribute.
    """
    function = function_of(line)
    if function is None or "." in name:
        return None
    below = range(line.line + 1, (function.end_lineno or line.line) + 1)
    statements = (statement for at in below if (statement := statement_at(line.file, at)) is not None)
    found = (one.lineno for one in statements if one.lineno > line.line and name in names_read(_own_part(one)))
    return next((Line(line.file, at, line.function) for at in found), None)


def _reached_from(line: Line, function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[int]:
    """Lines of a function that may run behind one of it: those below, of its loops all, and functions within it."""
    found = set(range(line.line + 1, (function.end_lineno or line.line) + 1))
    for node in ast.walk(function):
        match node:
            case ast.For() | ast.AsyncFor() | ast.While() if node.lineno <= line.line <= (node.end_lineno or 0):
                found |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() if node is not function:
                found |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found


def made_for(at: Line) -> Line | None:
    """The one line that makes what a line hands on as its first argument, where nothing else reads it; None for none.

    Args:
        at: a line with a call, as that of the model.
    """
    node, function = node_of(at), function_of(at)
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Call) and one.args] if node is not None else []
    if function is None or not calls or not isinstance(calls[0].args[0], ast.Name):
        return None
    name = calls[0].args[0].id
    made = [
        Line(at.file, statement.lineno, at.function)
        for line in range(function.lineno, at.line)
        if (statement := statement_at(at.file, line)) is not None
        and statement.lineno == line
        and name in assigned_by(statement)
    ]
    return made[0] if len(made) == 1 and only_reader(made[0], name) == at else None


def _own_part(statement: ast.stmt) -> ast.AST:
    """A statement without the statements in it."""
    match statement:
        case ast.If(test=part) | ast.While(test=part) | ast.For(iter=part):
            return part
        case ast.With(items=items):
            return ast.Tuple([item.context_expr for item in items], ast.Load())
        case ast.FunctionDef(args=arguments, decorator_list=decorators):
            given = [*arguments.defaults, *(one for one in arguments.kw_defaults if one is not None)]
            return ast.Tuple([*decorators, *given], ast.Load())
        case ast.Try():
            return ast.Tuple([], ast.Load())
        case ast.Match(subject=part):
            return part
        case _:
            return statement


def is_method_call(line: Line) -> bool:
    """Whether a line hands on what a method returns, which another class may have given another body."""
    match node_of(line):
        case ast.Assign(value=ast.Call(func=ast.Attribute())) | ast.Return(value=ast.Call(func=ast.Attribute())):
            return True
        case ast.Assign(value=ast.Subscript(value=ast.Call(func=ast.Attribute()))):  # one of several that it gives
            return True
        case _:
            return False


def node_of(line: Line) -> ast.stmt | None:
    """The innermost statement of a line."""
    return statement_at(line.file, line.line)


def called_by(line: Line) -> str | None:
    """The name of the function whose value a line only hands on: ``y = f(x)``, ``return f(x)``."""
    match node_of(line):
        case ast.Assign(value=ast.Call() as call) | ast.Return(value=ast.Call() as call):
            return called_name(call)
        case ast.Assign(value=ast.Subscript(value=ast.Call() as call)):  # one of several that it gives
            return called_name(call)
        case _:
            return None


def calls_an_object(line: Line) -> bool:
    """Whether what a line hands on is what a name gives that is called: ``f(x)``, ``self.f(x)``, not ``f(x).g()``."""
    node = node_of(line)
    value = node.value if isinstance(node, (ast.Assign, ast.Return)) else None
    while isinstance(value, ast.Subscript):
        value = value.value
    called = value.func if isinstance(value, ast.Call) else None
    while isinstance(called, ast.Attribute):
        called = called.value
    return isinstance(called, ast.Name)


def called_name(call: ast.Call) -> str | None:
    """The name of what is called: ``f`` of ``f(x)`` and of ``self.f(x)``."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return None


def argument_of(line: Line, inside: Line, name: str) -> ast.expr | None:
    """What a line's one call of a function hands to one of its parameters; None where that cannot be told.

    Args:
        line: of the call.
        inside: a line of the function.
        name: of the parameter.
    """
    function, node = function_of(inside), node_of(line)
    if function is None or node is None:
        return None
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Call) and called_name(one) == function.name]
    if len(calls) != 1:
        return None
    names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    if names[:1] == ["self"] and isinstance(calls[0].func, ast.Attribute):
        names = names[1:]
    at = names.index(name) if name in names else len(calls[0].args)
    named = next((keyword.value for keyword in calls[0].keywords if keyword.arg == name), None)
    return calls[0].args[at] if named is None and at < len(calls[0].args) else named


def gone_through(line: Line, name: str) -> str | None:
    """The name of what a loop takes one of its own names from as it stands; None where it does not, or in another way.

    Args:
        line: of the loop.
        name: that it gives values to.
    """
    node = node_of(line)
    return _source(node.target, node.iter, name) if isinstance(node, ast.For) else None


def counts(line: Line, name: str) -> bool:
    """Whether a line is a loop that counts its turns by a name: ``for i in range(…)``, ``for i, x in enumerate(…)``."""
    match node_of(line):
        case ast.For(target=ast.Name(id=own), iter=ast.Call(func=ast.Name(id="range"))):
            return own == name
        case ast.For(target=ast.Tuple(elts=[ast.Name(id=own), *_]), iter=ast.Call(func=ast.Name(id="enumerate"))):
            return own == name
        case _:
            return False


def goes_through_slices(line: Line) -> bool:
    """Whether a loop goes through a part of something, ``levels[1:]``, so that it may be the wrong part."""
    node = node_of(line)
    return isinstance(node, ast.For) and any(isinstance(one, ast.Slice) for one in ast.walk(node.iter))


def _source(target: ast.expr, source: ast.expr, name: str) -> str | None:
    match source:
        case ast.Call(func=ast.Name(id="enumerate"), args=[inner, *_]) if isinstance(target, ast.Tuple):
            return _source(target.elts[1], inner, name) if len(target.elts) == 2 else None
        case ast.Call(func=ast.Name(id="zip"), args=several) if isinstance(target, ast.Tuple):
            if len(several) != len(target.elts):
                return None
            parts = (_source(*pair, name) for pair in zip(target.elts, several, strict=True))
            return next((part for part in parts if part is not None), None)
        case ast.Call(func=ast.Name(id="pairwise"), args=[inner]) if isinstance(target, ast.Tuple):
            return _source(target.elts[0], inner, name)  # the second of two is as far off as the loop says
        case ast.Call(func=ast.Name(id="reversed" | "list" | "tuple" | "iter"), args=[inner]):
            return _source(target, inner, name)
        case ast.Name(id=through) | ast.Subscript(value=ast.Name(id=through), slice=ast.Slice()):
            return through if isinstance(target, ast.Name) and target.id == name else None
        case _:
            return None


def plain_arguments(node: ast.AST) -> list[str]:
    """Names that calls of a statement are handed as they stand, behind the first argument, where the sample is."""
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
    given = [argument for call in calls for argument in (*call.args[1:], *(one.value for one in call.keywords))]
    return list(dict.fromkeys(one.id for one in given if isinstance(one, ast.Name)))


def hands_literal(line: Line, callee: str, name: str) -> bool:
    """Whether a line hands a function a number that is written there, for one of its parameters.

    Args:
        line: of the call.
        callee: the function's name.
        name: of the parameter.
    """
    function = next((one for one in _functions(line.file) if one.name == callee), None)
    if function is None:
        return False
    given = argument_of(line, Line(line.file, function.lineno, callee), name)
    return isinstance(given, ast.Constant) and isinstance(given.value, (int, float))


def hands_its_name(line: Line, callee: str, name: str) -> bool:
    """Whether a line hands a function, for one of its parameters, what has that name: ``eta=eta``, ``eta=config.eta``.

    Args:
        line: of the call.
        callee: the function's name; of an object that is made, ``"__init__"``.
        name: of the parameter.
    """
    node = node_of(line)
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)] if node is not None else []
    named = [
        k.value for call in calls for k in call.keywords if k.arg == name and callee in (called_name(call), "__init__")
    ]
    placed = [
        argument_of(line, Line(line.file, f.lineno, callee), name) for f in _functions(line.file) if f.name == callee
    ]
    given = next((one for one in (*named, *placed) if one is not None), None)
    match given:
        case ast.Name(id=own) | ast.Attribute(attr=own):
            return own == name
        case _:
            return False


def hands_others(line: Line, callee: str) -> bool:
    """Whether a line calls a function with arguments that are not told one by one: ``*values``, ``**options``.

    Args:
        line: of a call.
        callee: the function's name.
    """
    node = node_of(line)
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)] if node is not None else []
    return any(
        any(keyword.arg is None for keyword in call.keywords) or any(isinstance(a, ast.Starred) for a in call.args)
        for call in calls
        if called_name(call) == callee or callee == "__init__"
    )


def handed_by_name(line: Line, callee: str, name: str) -> bool:
    """Whether a line calls a function and hands it something under a name.

    Args:
        line: of a call.
        callee: the function's name.
        name: the keyword.
    """
    node = node_of(line)
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)] if node is not None else []
    return any(called_name(one) == callee and any(k.arg == name for k in one.keywords) for one in calls)


@functools.lru_cache(maxsize=256)
def _functions(file: str) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...]:
    """All functions of a file, inner ones last."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return ()
    return tuple(node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def function_of(line: Line) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The innermost function around a line."""
    found = [f for f in _functions(line.file) if f.lineno <= line.line <= (f.end_lineno or f.lineno)]
    return found[-1] if found else None


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Names of what a function is given."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return {one.arg for one in every if one is not None}


def only_hands_on(line: Line) -> bool:
    """Whether a line returns a call whose arguments are its function's own: what it makes is decided by its caller."""
    function, node = function_of(line), node_of(line)
    if function is None or not isinstance(node, ast.Return) or not isinstance(node.value, ast.Call):
        return False
    given = [*node.value.args, *(keyword.value for keyword in node.value.keywords)]
    return all(isinstance(one, ast.Name) and one.id in parameters(function) for one in given)


def writes_outside_of(line: Line) -> bool:
    """Whether a line writes what was worked out into what is not its function's own."""
    function = function_of(line)
    if function is None:
        return False
    bound = parameters(function) - {"self"}
    shared: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            shared |= set(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
    written = {name for target in _targets(line) for name in _named(target) if _is_within(target) or name in shared}
    match node_of(line):
        case ast.Expr() | ast.Assign(value=ast.Constant()):
            return False  # a call that changes nothing that is kept, or a value that is put back
    return bool(written - (bound - shared))


def _is_within(target: ast.expr) -> bool:
    return isinstance(target, (ast.Subscript, ast.Attribute))


def shown(file: str) -> str:
    """A file as a person names it: relative where it lies below the working directory.

    Args:
        file: absolute.
    """
    path = Path(file)
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else path.as_posix()
