"""Which files a target's code is made of, so that a pull request runs the samplers that it may have changed.

Context: running everything on every pull request costs minutes where only the documentation changed; running too little
lets a fault through.
Choice: files are followed through import statements, inside functions too. What cannot be followed counts as
everything: a changed file that is neither Python nor documentation, and every changed Python file where the code
imports by a name that it computes.
Reversed by: hosts whose samplers read large generated files that change all the time.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sampler_harness.importing import module_file, module_spec

from .git import Changes

__all__ = ["files_of", "touches"]

#: Files that no sampler computes with.
_PROSE = {".md", ".rst", ".txt", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ipynb", ".bib", ".tex", ".pdf"}
_PROSE_NAMES = {"LICENSE", "NOTICE", "AUTHORS", "CITATION.cff", ".gitignore", "CODEOWNERS", ".gitattributes"}
#: Text files that say what is installed.
_REQUIREMENTS = ("requirements", "constraints")
_DYNAMIC = {"import_module", "__import__", "exec", "eval", "run_path", "run_module"}


def files_of(subject: Any, root: Path) -> tuple[frozenset[Path], bool]:
    """The repository's files that a subject's code is made of.

    Args:
        subject: a declaration, loaded.
        root: of the repository; what lies outside is not followed.

    Returns:
        The files, and whether some code imports in a way that cannot be followed.
    """
    modules = {getattr(subject.function, "__module__", None), *getattr(subject.function, "code", ())}
    modules |= {getattr(value, "__module__", None) for value in _closed_over(subject.function)}
    waiting = [name for name in modules if isinstance(name, str)]
    seen: set[str] = set()
    files: set[Path] = set()
    dynamic = False
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if not _is_below(name.partition(".")[0], root):
            continue
        file = module_file(name)
        if file is None or not file.is_relative_to(root) or "site-packages" in file.parts:
            continue
        files.add(file)
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (OSError, SyntaxError, UnicodeDecodeError):
            dynamic = True
            continue
        dynamic |= any(_is_dynamic(node) for node in ast.walk(tree))
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        for one in _imported(tree, package):
            parts = one.split(".")
            waiting += [".".join(parts[: i + 1]) for i in range(len(parts))]
    source = subject.source[0]
    if source and (Path.cwd() / source).resolve().is_relative_to(root):
        files.add((Path.cwd() / source).resolve())
    return frozenset(files), dynamic


def touches(files: Iterable[Path], dynamic: bool, changes: Changes, root: Path) -> str:
    """Why a change may change a sampler; empty where it cannot.

    Args:
        files: of :func:`files_of`.
        dynamic: of the same.
        changes: since a revision.
        root: of the repository.
    """
    own = {file.relative_to(root).as_posix() for file in files}
    for name in sorted(changes.files):
        path = Path(name)
        if name in own:
            return f"{name} changed"
        if path.suffix == ".py":
            if dynamic and not path.name.startswith("test_"):
                return f"{name} changed, and its code imports by computed names"
            if path.name == "conftest.py":
                return f"{name} changed"
        elif path.name.startswith(_REQUIREMENTS) or not (path.suffix in _PROSE or path.name in _PROSE_NAMES):
            return f"{name} changed, which its code may read"
    return ""


def _closed_over(function: Any) -> Iterator[Any]:
    """Functions and classes that a function carries with it."""
    for cell in getattr(function, "__closure__", None) or ():
        try:
            value = cell.cell_contents
        except ValueError:
            continue
        yield value if isinstance(value, type) or callable(value) else type(value)
    owner = getattr(function, "__self__", function)
    yield type(owner)


def _is_below(top: str, root: Path) -> bool:
    """Whether a top-level module stands in the repository; asked first, so that no library is looked through."""
    module = sys.modules.get(top)
    if module is not None:
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]
    else:
        spec = module_spec(top)
        places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or [])]
    found = [Path(place).resolve() for place in places if isinstance(place, str)]
    return any(place.is_relative_to(root) and "site-packages" not in place.parts for place in found)


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".") if package else []
            base = above[: len(above) - node.level + 1] if node.level else []
            home = ".".join([*base, *([node.module] if node.module else [])])
            if home:
                yield home
            yield from (f"{home}.{alias.name}" if home else alias.name for alias in node.names)


def _is_dynamic(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    literal = bool(node.args) and isinstance(node.args[0], ast.Constant)
    # model.eval() is no evaluation of text.
    own = isinstance(function, ast.Name) or name in ("import_module", "run_path", "run_module")
    return own and name in _DYNAMIC and not literal
