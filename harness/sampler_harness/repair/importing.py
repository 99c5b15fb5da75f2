"""Whether something is kept that a function made before an edit: at the import of its module, or in an earlier run."""

from __future__ import annotations

import ast
import functools
import linecache
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import resolve_name
from types import ModuleType
from typing import TypeGuard

from sampler_harness.observe.walk import is_own

from .own_code import Noted, OwnFunction

__all__ = ["has_made_what_is_kept"]

_Function = ast.FunctionDef | ast.AsyncFunctionDef
#: What a class runs where an object of it is made.
_MADE_BY = frozenset({"__init__", "__new__", "__post_init__"})


def has_made_what_is_kept(own: OwnFunction, among: Sequence[OwnFunction], noted: Noted, sampler: str) -> bool:
    """Whether the lines of an own module that run at its import may call a function, themselves or through others.

    Or lines of functions that ran, which keep something and did not run themselves: ``if not TOP: TOP.append(f(x))``.

    Context: ``TOP = half(10.0)`` stands below ``half``; with another ``half`` the line gives another number when the
    file is imported again, and no edit of a running program shows that. Choice: names alone are followed, through the
    modules that the sampler imports, so that a function may be taken for another one of that name; nothing is told of
    it then. Reversed by: a second import of the edited file, which runs whatever stands in it.

    Args:
        own: the function.
        among: all that the sampler runs through.
        noted: of the run.
        sampler: the name of the function under test, which a script hands to the harness.
    """
    earlier = frozenset(name for one in among for name in _called_earlier(one, noted))
    name, seen = own.function.node.name, _names_at_import(_files(among), earlier, sampler)
    return name in seen or (name in _MADE_BY and own.owner in seen)


def _called_earlier(own: OwnFunction, noted: Noted) -> Iterator[str]:
    """Names of what a function calls in lines that keep something, and did not run this time."""
    inner = [*ast.walk(own.function.node)]
    outer = {name for one in inner if isinstance(one, (ast.Global, ast.Nonlocal)) for name in one.names}
    for node in inner:
        match node:
            case ast.Assign(targets=targets):
                keeps = any(_is_of_another(target, outer) for target in targets)
            case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
                keeps = _is_of_another(target, outer)
            case ast.Expr(value=ast.Call(func=ast.Attribute())):
                keeps = True
            case _:
                continue
        rows = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        if keeps and not any((own.function.place.file, row) in noted.lines for row in rows):
            yield from _called(ast.walk(node))


def _is_of_another(target: ast.expr, outer: set[str]) -> bool:
    """Whether what is given a value outlives the function, or may."""
    return any(
        isinstance(one, (ast.Attribute, ast.Subscript)) or (isinstance(one, ast.Name) and one.id in outer)
        for one in ast.walk(target)
    )


@functools.lru_cache(maxsize=4)
def _names_at_import(files: tuple[str, ...], earlier: frozenset[str], sampler: str) -> frozenset[str]:
    """Names of what the lines of some files may call that run at their import, themselves or through others."""
    trees = [tree for file in files if (tree := _tree(file)) is not None]
    bodies: dict[str, list[ast.AST]] = {}
    read: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, _Function):
                bodies.setdefault(node.name, []).append(node)
                read |= _read(node)
            elif isinstance(node, ast.ClassDef):
                made = [one for one in node.body if isinstance(one, _Function) and one.name in _MADE_BY]
                bodies.setdefault(node.name, []).extend(made)
    statements = _kept([one for tree in trees for one in tree.body], read)
    waiting = [*earlier, *_called(_at_import(statements), handed_on=sampler)]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [called for body in bodies.get(name, ()) for called in _called(ast.walk(body))]
    return frozenset(seen)


def _kept(statements: Iterable[ast.stmt], read: set[str]) -> list[ast.stmt]:
    """Statements without those that give values to names which no function reads, itself or through other names."""
    kept: list[ast.stmt] = []
    assigning: list[ast.stmt] = []
    for one in statements:
        is_plain = isinstance(one, ast.Assign) and all(isinstance(target, ast.Name) for target in one.targets)
        (assigning if is_plain else kept).append(one)
    read = read.union(*(_read(one) for one in kept))
    while found := [one for one in assigning if read & {n.id for n in ast.walk(one) if _is_stored(n)}]:
        kept += found
        assigning = [one for one in assigning if one not in found]
        read = read.union(*(_read(one) for one in found))
    return kept


def _is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _read(node: ast.AST) -> set[str]:
    """Names that are read, of modules' too: ``tables.TOP``."""
    inner = [*ast.walk(node)]
    names = {one.id for one in inner if isinstance(one, ast.Name) and not _is_stored(one)}
    return names | {one.attr for one in inner if isinstance(one, ast.Attribute)}


def _files(among: Sequence[OwnFunction]) -> tuple[str, ...]:
    """Files of functions, and those that they import; of what was typed into cells all cells that are known."""
    modules = {file: one for one in [*sys.modules.values()] if isinstance(file := vars(one).get("__file__"), str)}
    waiting = sorted({one.function.place.file for one in among})
    if any(file not in modules for file in waiting):
        waiting += sorted(file for file in linecache.cache if file not in modules and is_own(file))
    found: dict[str, None] = {}
    for file in waiting:
        if file not in found:
            found[file] = None
            waiting += [one for one in _imported(file, modules.get(file)) if is_own(one)]
    return tuple(sorted(found))


def _imported(file: str, module: ModuleType | None) -> Iterator[str]:
    """Files of what a file imports, anywhere in it."""
    tree, package = _tree(file), vars(module).get("__package__") if module is not None else None
    for node in () if tree is None else ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom) and not (node.level and not package):
            base = resolve_name("." * node.level + (node.module or ""), package)
            names = [base, *(f"{base}.{one.name}" for one in node.names)]
        for name in names:
            parts = name.split(".")
            for end in range(1, len(parts) + 1):
                found = sys.modules.get(".".join(parts[:end]))
                if found is not None and isinstance(there := vars(found).get("__file__"), str):
                    yield there


def _tree(file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return None


def _at_import(body: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    """Nodes that run when a module is imported: not what stands in functions, nor in a main program."""
    waiting: list[ast.AST] = [*body]
    for node in waiting:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                waiting += [*node.decorator_list, *_defaults(node.args)]
                yield from (ast.Call(one, [], []) for one in node.decorator_list)
            case ast.Lambda():
                waiting += _defaults(node.args)
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__")), orelse=orelse):
                waiting += orelse
            case _:
                yield node
                waiting += ast.iter_child_nodes(node)


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [one for one in (*arguments.defaults, *arguments.kw_defaults) if one is not None]


def _called(nodes: Iterable[ast.AST], *, handed_on: str = "") -> Iterator[str]:
    """Names of what is called in some nodes, and of what is handed on there, to be called by another.

    Args:
        nodes: that are looked through.
        handed_on: a name that may be handed on.
    """
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        yield from _names_of(node.func)
        if not _declares(node.func):
            for given in (*node.args, *(one.value for one in node.keywords)):
                yield from (name for name in _names_of(given) if name != handed_on)


def _names_of(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield name


def _declares(called: ast.expr) -> bool:
    """Whether what is called is a declaration of the harness's, put on a function: ``sampler_under_test(EDM)(f)``."""
    match called:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name.endswith("_under_test")
    return False
