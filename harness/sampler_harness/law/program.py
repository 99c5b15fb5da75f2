"""A reference sampler as a program: its source, what of it a sample depends on, and how it is run with changes in it.

The functions that ``sample`` reaches, in whichever part of the reference they stand, are compiled one by one into
namespaces of their own. An edit of the tree then costs one small compilation, and leaves the references that everybody
else uses alone; with another ``np`` the same source runs in arithmetic that rounds.
"""

from __future__ import annotations
import __future__

import ast
import dataclasses
import functools
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, MemberDescriptorType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from reference_samplers.configuration import Configuration
from reference_samplers.contract import Reference
from reference_samplers.training_contract import TrainingReference

from .bounds import BoundedNumpy, bounded_range
from .replacement import Replacement

__all__ = ["Function", "Place", "Program", "Trace", "source_text"]

#: Of a reference, but no part of its algorithm: what it tells the harness about itself.
_TOLD = frozenset(name for base in Reference.__mro__ for name in vars(base)) - {"sample", "levels", "clipped"}
#: The same of a training step, whose figures at a level are what its step asks for.
_TOLD_OF_A_STEP = frozenset(name for base in Configuration.__mro__ for name in vars(base))


class Place(NamedTuple):
    """Where a function stands."""

    file: str
    name: str


@dataclasses.dataclass
class Function:
    """A function that a sample depends on.

    Attributes:
        place: where it stands.
        node: its tree, without docstring and annotations.
        owner: the namespace that it is compiled in.
        is_method: whether it belongs to the class.
    """

    place: Place
    node: ast.FunctionDef
    owner: ModuleType
    is_method: bool


@dataclasses.dataclass
class Trace:
    """What one or several runs of a program went through.

    Attributes:
        lines: file and line of all that was executed.
        kinds: kind of each local name, by file, function and name: ``"array"``, ``"number"``, ``"whole"``, ``"other"``.
    """

    lines: set[tuple[str, int]] = dataclasses.field(default_factory=set)
    kinds: dict[tuple[str, str, str], str] = dataclasses.field(default_factory=dict)


@functools.cache
def source_text(file: str) -> str:
    """The source of a file that a reference's parts stand in.

    Args:
        file: as ``reference_samplers/edm.py``.

    Raises:
        ValueError: where there is none.
    """
    found = vars(_imported(file)).get("__file__")  # what is typed at a prompt stands in no file
    try:
        return Path(found or "").read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{file} has no source") from error


def _imported(file: str) -> ModuleType:
    name = file.removesuffix(".py").replace("/", ".")
    return sys.modules.get(name) or importlib.import_module(name)  # asked for thousands of times while searching


class _Plain(ast.NodeTransformer):
    """Takes docstrings and annotations away: they are no part of the algorithm, and cost time to compile."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        arguments = node.args
        for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            one.annotation = None
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:] or [ast.copy_location(ast.Pass(), first)]
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt | None:
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign([node.target], node.value), node)


@functools.lru_cache(maxsize=512)
def _plain_tree(text: str) -> ast.Module:
    """The tree of a text. Programs share it: an edit in place is always undone before another one looks."""
    tree: ast.Module = _Plain().visit(ast.parse(text))
    return tree


def _compiled(node: ast.FunctionDef, file: str) -> CodeType:
    code: CodeType = compile(
        ast.Module(body=[node], type_ignores=[]),
        file,
        "exec",
        flags=__future__.annotations.compiler_flag,
        dont_inherit=True,
    )
    return code


@functools.lru_cache(maxsize=8192)
def _code_of(node: ast.FunctionDef, file: str) -> CodeType:
    """The code of a function as it is written."""
    return _compiled(node, file)


@functools.lru_cache(maxsize=8192)
def _names_in(node: ast.FunctionDef) -> tuple[tuple[str, str], ...]:
    """What a function may call: attributes of ``self`` and of modules, and plain names without owner."""
    found: dict[tuple[str, str], None] = {}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
            found[inner.value.id, inner.attr] = None
        elif isinstance(inner, ast.Name):
            found["", inner.id] = None
    return tuple(found)


@functools.lru_cache(maxsize=512)
def _functions_of(tree: ast.Module) -> frozenset[str]:
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


_NUMPY = BoundedNumpy(np)


class Program:
    """A reference's source, edited or not, ready to run in any configuration.

    Args:
        kind: the reference's class, made of classes that stand at the top of a file.
        replacements: edits of its text, each of which must match exactly once.
        texts: files that are not as they stand in the package.
        numpy: what plays ``np``; the rounding one for tolerances.
        whole: every method of the class is compiled, not only what ``sample`` depends on.

    Raises:
        ValueError: where ``kind`` has no algorithm in a file, or a replacement does not match exactly once.
        SyntaxError: where the edited text is none.
    """

    def __init__(
        self,
        kind: type,
        replacements: Iterable[Replacement] = (),
        *,
        texts: Mapping[str, str] | None = None,
        numpy: Any = None,
        whole: bool = False,
    ) -> None:
        self._parts = [base for base in kind.__mro__ if base.__module__ not in ("builtins", "typing")]
        if not dataclasses.is_dataclass(kind) or any("." in base.__qualname__ for base in self._parts):
            raise ValueError(f"{kind.__qualname__} is no reference whose source is known")
        self.kind = kind
        self._numpy = _NUMPY if numpy is None else numpy
        #: Files that differ from what stands there.
        self.texts: dict[str, str] = dict(texts or {})
        self.functions: dict[Place, Function] = {}
        self._modules: dict[str, ModuleType] = {}
        self._field_names = tuple(field.name for field in dataclasses.fields(kind))
        for one in replacements:
            text = self.text(one.file)
            if text.count(one.before) != 1:
                raise ValueError(f"{one.before!r} stands {text.count(one.before)} times in {one.file}")
            self.texts[one.file] = text.replace(one.before, one.after)
        self._trees: dict[str, ast.Module] = {}
        self._class = self._build_class()
        self._reach(whole)
        for function in self.functions.values():
            self._put_compiled(function, _code_of(function.node, function.place.file))

    # What it is made of

    def text(self, file: str) -> str:
        """The text of a file as edited."""
        return self.texts[file] if file in self.texts else source_text(file)

    def _module(self, file: str) -> ModuleType:
        """A copy of a module's namespace, in which functions can be replaced."""
        if file not in self._modules:
            original = _imported(file)
            copy = ModuleType(original.__name__)
            copy.__dict__.update(original.__dict__)
            copy.__dict__["np"] = self._numpy
            copy.__dict__["range"] = bounded_range
            self._modules[file] = copy
        return self._modules[file]

    def _build_class(self) -> type:
        """The reference's class without its dataclass: nothing is validated, so that any edit can run."""
        members: dict[str, Any] = {}
        for base in reversed(self._parts):
            own = vars(base).items()
            members |= {k: v for k, v in own if k[:2] != "__" and not isinstance(v, MemberDescriptorType)}
        return type(self.kind.__name__, (), members)

    def _reach(self, whole: bool) -> None:
        """Find all functions that ``sample``, ``step`` or a grid's ``levels`` depends on, or any method."""
        methods: dict[str, tuple[str, ast.FunctionDef]] = {}
        for base in reversed(self._parts):
            file = base.__module__.replace(".", "/") + ".py"
            for node in self._tree_of(file).body:
                if isinstance(node, ast.ClassDef) and node.name == base.__name__:
                    methods.update({n.name: (file, n) for n in node.body if isinstance(n, ast.FunctionDef)})
        is_step = issubclass(self.kind, TrainingReference)
        waiting = [("", name) for name in (methods if whole else (self._start(is_step),))]
        told = frozenset({"check"}) if whole else _TOLD_OF_A_STEP if is_step else _TOLD
        while waiting:
            file, name = waiting.pop(0)
            is_method = file == ""
            if is_method:
                if name not in methods or name in told or name in self._field_names or name.startswith("__"):
                    continue
                file, node = methods[name]
            else:
                functions = [n for n in self._tree_of(file).body if isinstance(n, ast.FunctionDef) and n.name == name]
                if not functions:
                    continue
                node = functions[0]
            place = Place(file, f"{self.kind.__name__}.{name}" if is_method else name)
            if place in self.functions:
                continue
            self.functions[place] = Function(place, node, self._module(file), is_method)
            waiting += self._mentioned(file, node)

    def _start(self, is_step: bool) -> str:
        """Name of the function that everything is reached from."""
        is_grid = issubclass(self.kind, Reference) and self.kind.sample is Reference.sample
        return "step" if is_step else "levels" if is_grid else "sample"

    def _tree_of(self, file: str) -> ast.Module:
        if file not in self._trees:
            self._trees[file] = _plain_tree(self.text(file))
        return self._trees[file]

    def _mentioned(self, file: str, node: ast.FunctionDef) -> Iterator[tuple[str, str]]:
        """Methods of the reference, and functions of its package, that a function names."""
        package = file.partition("/")[0]
        for owner, name in _names_in(node):
            named = vars(_imported(file)).get(owner)
            if owner == "self":
                yield "", name
            elif isinstance(named, ModuleType) and named.__name__.partition(".")[0] == package:
                other = named.__name__.replace(".", "/") + ".py"
                self._module(file).__dict__[owner] = self._module(other)
                yield other, name
            elif owner == "" and name in _functions_of(self._tree_of(file)):
                yield file, name

    # How it is compiled

    def install(self, function: Function) -> Any:
        """Compile a function from its tree as it is now, and put it in its place.

        Returns:
            What stood there before, for :meth:`put`.
        """
        return self._put_compiled(function, _compiled(function.node, function.place.file))

    def _put_compiled(self, function: Function, code: CodeType) -> Any:
        made: dict[str, Any] = {}
        exec(code, function.owner.__dict__, made)
        return self.put(function, made[function.node.name])

    def put(self, function: Function, value: Any) -> Any:
        """Put a compiled function in its place.

        Returns:
            What stood there before.
        """
        name = function.node.name
        if not function.is_method:
            before = function.owner.__dict__.get(name)
            function.owner.__dict__[name] = value
            return before
        before = vars(self._class).get(name)
        if hasattr(value, "__set_name__"):
            value.__set_name__(self._class, name)
        setattr(self._class, name, value)
        return before

    @contextmanager
    def edited(self, function: Function) -> Iterator[None]:
        """Run with one function compiled from its tree as it is now, and put the old one back afterwards.

        Raises:
            SyntaxError, ValueError: where the tree cannot be compiled.
        """
        before = self.install(function)
        try:
            yield
        finally:
            self.put(function, before)

    # How it is run

    def configured(self, config: Any) -> Any:
        """The program in a configuration: has ``sample`` (or ``step``), and nothing validated.

        Args:
            config: an instance of the reference's class.
        """
        instance: Any = object.__new__(self._class)
        kind, computed = type(config), functools.cached_property  # what was computed is computed again
        kept = {k: v for k, v in vars(config).items() if not isinstance(getattr(kind, k, None), computed)}
        instance.__dict__.update(kept, **config.values())
        return instance

    def traced(self, run: Callable[[], Any], into: Trace) -> None:
        """Run something and note which lines of the program it went through, with the kinds of local names.

        Args:
            run: what calls the program.
            into: where it is noted, added to what is there.
        """
        files = {function.place.file for function in self.functions.values()}

        def local(frame: FrameType, event: str, _argument: Any) -> Any:
            file = frame.f_code.co_filename
            if event == "line":
                into.lines.add((file, frame.f_lineno))
            elif event == "return":
                for name, value in frame.f_locals.items():
                    into.kinds[file, frame.f_code.co_name, name] = _kind(value)
            return local

        def on_call(frame: FrameType, event: str, _argument: Any) -> Any:
            return local if frame.f_code.co_filename in files else None

        before = sys.gettrace()
        sys.settrace(on_call)
        try:
            run()
        finally:
            sys.settrace(before)


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.ndim > 0:
        return "array"
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return "whole"
    if isinstance(value, (float, np.number, np.ndarray)):
        return "number"
    return "other"
