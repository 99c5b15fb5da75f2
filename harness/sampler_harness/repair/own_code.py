"""A sampler's own functions with other code in them for a while: compiled from an edited tree, and put back behind it.

The functions that exist are given other code, so that whoever holds one, a decorator or a closure, runs that too.
"""

from __future__ import annotations
import __future__

import ast
import contextlib
import functools
import gc
import linecache
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, TypeAlias

import numpy as np
import torch

from sampler_harness.law.program import Function, Place, Trace
from sampler_harness.observe.assigned import MOST_LINES
from sampler_harness.observe.problems import RunStopped
from sampler_harness.observe.statements import called_name
from sampler_harness.observe.walk import is_own

__all__ = ["Entry", "Noted", "OwnFunction", "has_open_loops", "limited", "own_functions", "traced"]

Entry = Callable[..., Any]
_Cached: TypeAlias = "functools._lru_cache_wrapper[Any]"
#: What goes on for as long as somebody asks.
_WITHOUT_END = frozenset({"count", "cycle", "iter", "repeat"})
#: Where a function begins: name and line of its code, which tell one of a file's from another.
_Key = tuple[str, int]


class Noted(Trace):
    """What of a person's code a run went through; :attr:`order` has the lines as they were first executed."""

    def __init__(self) -> None:
        super().__init__()
        self.order: dict[tuple[str, int], None] = {}


def traced(function: Entry, into: Noted, files: Collection[str]) -> Entry:
    """A sampler that notes which of its own lines run, with the kinds of local names.

    Args:
        function: the sampler.
        into: where it is noted, added to what is there.
        files: that are its own too, wherever they lie: those of a scheduler that is decided.
    """

    def local(frame: FrameType, event: str, _argument: Any) -> Any:
        code = frame.f_code
        if event == "line":
            into.order[code.co_filename, frame.f_lineno] = None
        elif event == "return":
            for name, value in frame.f_locals.items():
                into.kinds[code.co_filename, code.co_name, name] = _kind(value)
        return local

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return _under(local, files, function, args, kwargs)
        finally:
            into.lines |= into.order.keys()

    return run


def limited(function: Entry, files: Collection[str]) -> Entry:
    """A sampler that is stopped when its own lines run too often: an edit may keep a ``while`` loop from its end.

    Args:
        function: the sampler.
        files: as for :func:`traced`.

    Returns:
        A function to call in the sampler's place. It raises :class:`RunStopped` after :data:`MOST_LINES` lines.
    """

    def run(*args: Any, **kwargs: Any) -> Any:
        lines = 0

        def local(frame: FrameType, event: str, _argument: Any) -> Any:
            nonlocal lines
            lines += event == "line"
            if lines > MOST_LINES:
                raise RunStopped
            return local

        return _under(local, files, function, args, kwargs)

    return run


def _under(local: Any, files: Collection[str], function: Entry, args: Any, kwargs: Any) -> Any:
    """Call a function with its own frames under a trace function."""

    def on_call(frame: FrameType, event: str, _argument: Any) -> Any:
        file = frame.f_code.co_filename
        return local if file in files or is_own(file) else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        return function(*args, **kwargs)
    finally:
        sys.settrace(before)


def _kind(value: Any) -> str:
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return "array" if value.ndim else "number"
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return "whole"
    return "number" if isinstance(value, (float, np.floating)) else "other"


@dataclass(eq=False)
class OwnFunction:
    """A function, or a method, of a person's own that is no part of another one.

    Attributes:
        function: with its tree as it is written, which may be edited in place.
        owner: the class that it is a method of; empty for none.
        live: the functions that have its code, or code within it, by where each begins.
        flags: of the compiler, as the file was compiled.
        caches: of functions of the file, which hold what earlier code gave.
    """

    function: Function
    owner: str
    live: dict[_Key, list[FunctionType]]
    flags: int
    caches: tuple[_Cached, ...] = ()

    @contextlib.contextmanager
    def swapped(self) -> Iterator[None]:
        """Run with the code of the tree as it is now, and put the old one back afterwards.

        Raises:
            SyntaxError, ValueError: where the tree cannot be compiled, or reads what is around the function otherwise.
        """
        new = self._codes()
        given = [(one, new[key]) for key, functions in self.live.items() if key in new for one in functions]
        before = [(one, one.__code__) for one, _ in given]
        if any(code.co_freevars != one.__code__.co_freevars for one, code in given):
            raise ValueError(f"{self.function.node.name} reads other names of the function around it")
        for one, code in given:
            one.__code__ = code
        self.forgets()
        try:
            yield
        finally:
            for one, code in before:
                one.__code__ = code
            self.forgets()

    def forgets(self) -> bool:
        """Empty what functions of the file keep from earlier calls; whether there are any that do."""
        for one in self.caches:
            one.cache_clear()
        return bool(self.caches)

    def _codes(self) -> dict[_Key, CodeType]:
        module = ast.Module([self.function.node], [])
        if self.owner:  # a method's code knows its class, for super() and for names with two underscores
            around = ast.parse(f"class {self.owner}: pass")
            around.body[0].body = module.body  # type: ignore[attr-defined]  # a class, as it says
            module = around
        return _codes_of(module, self.function.place.file, self.flags)


def _codes_of(module: ast.Module, file: str, flags: int) -> dict[_Key, CodeType]:
    found = compile(module, file, "exec", flags=flags, dont_inherit=True)
    return {(code.co_name, code.co_firstlineno): code for code in _within(found)}


def _within(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from _within(one)


def _is_same(code: CodeType, other: CodeType) -> bool:
    parts = ("co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars")
    if any(getattr(code, part) != getattr(other, part) for part in parts) or len(code.co_consts) != len(
        other.co_consts
    ):
        return False
    pairs = zip(code.co_consts, other.co_consts, strict=True)
    return all(
        _is_same(a, b) if isinstance(a, CodeType) and isinstance(b, CodeType) else (type(a), a) == (type(b), b)
        for a, b in pairs
    )


def has_open_loops(functions: Iterable[OwnFunction]) -> bool:
    """Whether a loop of some functions has an end only where a condition says so, which an edit may change.

    Args:
        functions: of a person's own.
    """
    nodes = [node for one in functions for node in ast.walk(one.function.node)]
    return any(
        isinstance(node, ast.While) or (isinstance(node, ast.Call) and called_name(node) in _WITHOUT_END)
        for node in nodes
    )


def own_functions(noted: Noted) -> list[OwnFunction]:
    """The functions that a run went through, in its order; without those that are not as they are written.

    Args:
        noted: of the run.
    """
    files = dict.fromkeys(file for file, _ in noted.order)
    live: dict[str, dict[_Key, list[FunctionType]]] = {file: {} for file in files}
    caches: dict[str, list[_Cached]] = {file: [] for file in files}
    for one in gc.get_objects():
        if type(one) is FunctionType and one.__code__.co_filename in files:
            code = one.__code__
            live[code.co_filename].setdefault((code.co_name, code.co_firstlineno), []).append(one)
        elif type(one) is functools._lru_cache_wrapper and type(one.__wrapped__) is FunctionType:
            caches.get(one.__wrapped__.__code__.co_filename, []).append(one)
    every = tuple(one for file in files for one in caches[file])
    found = [
        (min(order for order, at in enumerate(noted.order) if at[0] == file and at[1] in span), function)
        for file in files
        for span, function in _own_functions(file, noted, live[file], every)
    ]
    return [function for _, function in sorted(found, key=lambda pair: pair[0])]


def _own_functions(
    file: str, noted: Noted, live: dict[_Key, list[FunctionType]], caches: tuple[_Cached, ...]
) -> Iterator[tuple[range, OwnFunction]]:
    lines = {line for other, line in noted.order if other == file}
    loaded = next((each[0] for each in live.values()), None)
    flags = 0 if loaded is None else loaded.__code__.co_flags & __future__.annotations.compiler_flag
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
        written = _codes_of(tree, file, flags)
    except (SyntaxError, ValueError):
        return
    for owner, node in _functions(tree):
        first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        span = range(first, (node.end_lineno or node.lineno) + 1)
        mine = {key: each for key, each in live.items() if key[1] in span}
        # A file may have been changed since it was loaded: what runs is then not what stands there.
        is_as_written = all(
            key in written and _is_same(one.__code__, written[key]) for key, each in mine.items() for one in each
        )
        if lines & set(span) and mine and is_as_written:
            module = sys.modules.get(next(iter(mine.values()))[0].__module__) or ModuleType(node.name)
            function = Function(Place(file, node.name), node, module, bool(owner))
            yield span, OwnFunction(function, owner, mine, flags, caches)


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions of a file that stand in no other one, with the class that each is a method of."""
    waiting: list[tuple[str, ast.stmt]] = [("", one) for one in tree.body]
    for owner, node in waiting:
        match node:
            case ast.FunctionDef():
                yield owner, node
            case ast.ClassDef(name=name, body=body):
                waiting += [(name, one) for one in body]
            case ast.If(body=body, orelse=orelse):
                waiting += [(owner, one) for one in (*body, *orelse)]
