"""A module by its name or its file, for the targets that people type; whatever goes wrong becomes one sentence."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import sys
import traceback
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["TargetError", "first_line", "module_at", "module_file", "module_spec"]

_HERE = str(Path(__file__).parent)


class TargetError(ValueError):
    """A target or device that cannot be used; the message is one sentence that says what to change."""


def module_spec(name: str) -> ModuleSpec | None:
    """How a module would be imported; None where there is none. Only packages above it are imported."""
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None


def module_file(name: str) -> Path | None:
    """The Python file of a module, whether it is loaded or not; None where it has none."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if module is None:
        spec = module_spec(name)
        file = spec.origin if spec is not None and spec.has_location else None
    return Path(file).resolve() if isinstance(file, str) and file.endswith(".py") else None


def module_at(place: str, target: str) -> ModuleType:
    """Import what a target names: a file, or a module by its name.

    Args:
        place: ``path/file.py`` or ``package.module``.
        target: all that the person typed, for what is said of it.

    Raises:
        TargetError: where there is none, or it cannot be imported.
    """
    path = Path(place)
    if place.endswith(".py"):
        if not path.is_file():
            raise TargetError(f"there is no file {place}{_like_file(path)}")
        return _imported(lambda: _from_file(path.resolve()), place)
    if path.is_dir() and (path / "__init__.py").is_file() and "/" not in place:
        pass
    elif "/" in place or "\\" in place:
        what = "is a folder" if path.is_dir() else "is neither a Python file nor a module"
        raise TargetError(f"{place} {what}: write path/file.py:name or module:name")
    if not all(part.isidentifier() for part in place.split(".")):
        raise TargetError(f"{target!r} is not a target: write module:name or path/file.py:name")
    _on_path(str(Path.cwd()))
    importlib.invalidate_caches()
    return _imported(lambda: importlib.import_module(place), place)


def _like_file(path: Path) -> str:
    try:
        near = [p.name for p in path.parent.iterdir() if p.suffix == ".py"]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, near, n=1)
    return f"; did you mean {path.parent / close[0]}?" if close else ""


def _on_path(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _from_file(path: Path) -> ModuleType:
    """Import a file as Python would import it from its own folder, or from above its package."""
    parts = [path.stem]
    root = path.parent
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    if parts[-1] == "__init__":
        parts.pop()
    _on_path(str(root))
    if str(Path.cwd()) not in sys.path:
        # Where absolute imports of a repository start; behind everything that is installed.
        sys.path.append(str(Path.cwd()))
    importlib.invalidate_caches()
    name = ".".join(parts)
    known = sys.modules.get(name)
    if known is not None and module_file(name) == path:
        return known
    if len(parts) > 1 or path.name == "__init__.py":
        return importlib.import_module(name)
    if known is not None or name in sys.stdlib_module_names or not name.isidentifier():
        # A file may be called like a module that others need: random.py, my-sampler.py.
        name = f"{name}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded as a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _imported(load: Any, place: str) -> ModuleType:
    """Run an import; whatever the user's module does becomes a sentence with the user's own line."""
    try:
        module: ModuleType = load()
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(f"{error.name}.")):
            raise TargetError(
                f"there is no module {error.name!r} (looked in the current folder and in installed packages)"
            ) from error
        raise TargetError(f"cannot import {place}: {first_line(error)}{_line_of(error)}") from error
    except BaseException as error:
        kind = "" if type(error).__name__ == "DeclarationError" else f"{type(error).__name__}: "
        where = "" if type(error).__name__ == "DeclarationError" else _line_of(error)
        raise TargetError(f"cannot import {place}: {kind}{first_line(error)}{where}") from error
    return module


def first_line(error: object) -> str:
    """The first line of an error's message, or its type."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _line_of(error: BaseException) -> str:
    """The user's own innermost line, not importlib's and not the harness's."""
    if isinstance(error, SyntaxError):
        return ""  # its message has file and line
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith((_HERE, "<"))]
    if not own:
        return ""
    path = Path(own[-1].filename)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f" ({shown}:{own[-1].lineno})"
