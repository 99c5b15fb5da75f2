"""What a person types: from ``my_repo.adapters:my_sampler`` to a subject, from ``cuda`` to a device that is there.

A TARGET is ``module:name``, ``path/file.py:name``, ``path/file.py`` or ``module`` (every sampler declared in it), or an
adapter's, as ``diffusers:EulerDiscreteScheduler``. Whatever is wrong with it becomes one sentence.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from .subject import AnySubject, Subject, renamed
from .wording import did_you_mean

__all__ = [
    "ADAPTERS",
    "Named",
    "TargetError",
    "device_problem",
    "is_subject",
    "load_attribute",
    "load_named",
    "load_sampler",
    "load_subject",
    "load_subjects",
    "module_file",
    "module_spec",
    "place_of",
    "remarks_of",
    "subjects_in",
]

#: Targets that begin with one of these and a colon are built by an adapter.
ADAPTERS = ("diffusers",)
_ADAPTERS = "sampler_harness.adapters"

_HERE = str(Path(__file__).parent)


class TargetError(ValueError):
    """A target or device that cannot be used; the message is one sentence that says what to change."""


@dataclass(frozen=True)
class Named:
    """A subject and where it was found.

    Attributes:
        attribute: its name in the module, or the adapter's name for it.
        subject: under the name and target that the person used.
        module: where it stands; None for an adapter's.
    """

    attribute: str
    subject: AnySubject
    module: ModuleType | None


def is_subject(value: Any) -> bool:
    """Whether a value is a declared sampler; asks its type only, so that nothing lazy wakes up."""
    return getattr(type(value), "is_sampler_under_test", None) is True


def subjects_in(module: ModuleType) -> dict[str, AnySubject]:
    """The samplers declared in or imported into a module, by name; each once, private names left out."""
    found: dict[str, AnySubject] = {}
    seen: set[int] = set()
    for name, value in list(vars(module).items()):
        if is_subject(value) and not name.startswith("_") and id(value) not in seen:
            seen.add(id(value))
            found[name] = value
    return found


def load_subject(target: str, settings: Mapping[str, Any] | None = None) -> AnySubject:
    """The one declaration that a target names.

    Args:
        target: as a person types it.
        settings: for adapters, what ``--set`` gave.

    Raises:
        TargetError: when it cannot be had, or the target names several.
    """
    found = load_subjects(target, settings)
    if len(found) > 1 and _split(target)[0] in ADAPTERS:
        return found[0]
    if len(found) > 1:
        names = ", ".join(subject.name for subject in found)
        raise TargetError(f"{target} holds {len(found)} samplers: name one of them, {target}:NAME ({names})")
    return found[0]


def load_sampler(target: str, settings: Mapping[str, Any] | None = None) -> Subject:
    """The one sampler that a target names, and no other kind of declaration.

    Args:
        target: as a person types it.
        settings: for adapters, what ``--set`` gave.

    Raises:
        TargetError: when it cannot be had, the target names several, or something else.
    """
    subject = load_subject(target, settings)
    if not isinstance(subject, Subject):
        raise TargetError(
            f"{target} declares no sampler but a {subject.kind}: name a function under @sampler_under_test"
        )
    return subject


def load_subjects(target: str, settings: Mapping[str, Any] | None = None) -> tuple[AnySubject, ...]:
    """Every sampler that a target names, at least one.

    Args:
        target: as a person types it.
        settings: for adapters, what ``--set`` gave.

    Raises:
        TargetError: when there is none.
    """
    return tuple(named.subject for named in load_named(target, settings))


def load_named(target: str, settings: Mapping[str, Any] | None = None) -> tuple[Named, ...]:
    """As :func:`load_subjects`, with the module and the name in it.

    Args:
        target: as a person types it.
        settings: for adapters, what ``--set`` gave.

    Raises:
        TargetError: when there is none.
    """
    place, name = _split(target)
    if place in ADAPTERS:
        if not name:
            raise TargetError(f"{target!r} names no sampler: write {place}:NAME, for example {place}:DDIMScheduler")
        return tuple(Named(one.name or name, one, None) for one in _adapted(place, name, settings or {}))
    if settings:
        given = ", ".join(f"{key}={value}" for key, value in settings.items())
        raise TargetError(f"--set {given} is for adapters such as diffusers:NAME; {target} declares its own fields")
    module = _module_of(place, target)
    if name:
        return (Named(name, renamed(_declared(module, name, place), name, f"{place}:{name}"), module),)
    found = subjects_in(module)
    if not found:
        raise TargetError(
            f"{target} holds no declared sampler: put @sampler_under_test(EDM, …) above the function that runs it"
        )
    return tuple(Named(key, renamed(value, key, f"{place}:{key}"), module) for key, value in found.items())


def remarks_of(target: str) -> tuple[str, ...]:
    """What an adapter says of a target beside its verdicts; nothing of any other target.

    Args:
        target: as a person types it, one that could be loaded.
    """
    place, name = _split(target)
    if place not in ADAPTERS:
        return ()
    found: tuple[str, ...] = importlib.import_module(f"{_ADAPTERS}.{place}").remarks(name)
    return found


def load_attribute(target: str) -> Any:
    """Whatever ``module:name`` or ``path/file.py:name`` names.

    Args:
        target: as a person types it.

    Raises:
        TargetError: when there is no such thing.
    """
    place, name = _split(target)
    if not name:
        raise TargetError(f"{target!r} names a module: write module:name or path/file.py:name")
    module = _module_of(place, target)
    return _attribute(module, name, place)


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


def place_of(target: str) -> str:
    """The file, module or adapter of a target: all of it where it names nothing inside.

    Args:
        target: as a person types it.
    """
    return target if target.endswith(".py") else target.rpartition(":")[0] or target


def _split(target: str) -> tuple[str, str]:
    """Place and name; the name is empty where the target means everything in its place."""
    place = place_of(target)
    name = target[len(place) + 1 :]
    if not place or target.startswith(":") or target.endswith(":"):
        raise TargetError(f"{target!r} is not a target: write module:name, path/file.py:name or diffusers:NAME")
    return place, name


def _adapted(adapter: str, name: str, settings: Mapping[str, Any]) -> list[Subject]:
    """The subject of an adapter's name, then one for each deviation that is known of it."""
    home = f"{_ADAPTERS}.{adapter}"
    try:
        built: list[Subject] = importlib.import_module(home).subjects(name, settings)
    except ModuleNotFoundError as error:
        if error.name is not None and home.startswith(error.name):
            raise TargetError(f"this version has no adapter for {adapter}") from error
        raise TargetError(
            f"{adapter}:{name} needs the package {error.name}: pip install 'sampler-harness[{adapter}]'"
        ) from error
    except (ValueError, LookupError, TypeError, ImportError) as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise TargetError(f"{adapter}:{name}: {_first_line(message)}") from error
    return [one if one.target else dataclasses.replace(one, target=f"{adapter}:{name}") for one in built]


def _attribute(module: ModuleType, name: str, place: str, *, else_: str = "") -> Any:
    """What a module holds under a name; where it is not there, the nearest is told, or ``else_``."""
    try:
        return getattr(module, name)
    except AttributeError:
        near = did_you_mean(name, [n for n in vars(module) if not n.startswith("__")])
        raise TargetError(f"{place} has no {name!r}{near or else_}") from None


def _declared(module: ModuleType, name: str, place: str) -> AnySubject:
    declared = ", ".join(subjects_in(module))
    value = _attribute(module, name, place, else_=f"; it declares {declared}" if declared else "")
    if not is_subject(value):
        what = "a function" if callable(value) and not isinstance(value, type) else f"a {type(value).__name__}"
        raise TargetError(
            f"{place}:{name} is {what}, not a declared sampler: put @sampler_under_test(EDM, …) above "
            f"def {name}(model, shape, config, *, device, dtype)"
        )
    subject: AnySubject = value
    return subject


def _module_of(place: str, target: str) -> ModuleType:
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
        raise TargetError(f"{target!r} is not a target: write module:name, path/file.py:name or diffusers:NAME")
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
        raise TargetError(f"cannot import {place}: {_first_line(error)}{_line_of(error)}") from error
    except BaseException as error:
        kind = "" if type(error).__name__ == "DeclarationError" else f"{type(error).__name__}: "
        where = "" if type(error).__name__ == "DeclarationError" else _line_of(error)
        raise TargetError(f"cannot import {place}: {kind}{_first_line(error)}{where}") from error
    return module


def _first_line(error: object) -> str:
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


def device_problem(device: str) -> str | None:
    """Why a device cannot be used here, in one line; None where it can. Imports torch unless it is the CPU.

    Args:
        device: any torch device, as ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

    Raises:
        TargetError: when torch knows no such device.
    """
    if device == "cpu":
        return None
    import torch

    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise TargetError(f"torch knows no device {device!r}: write cpu, cuda, cuda:1, mps, xpu, …") from None
    if chosen.type == "meta":
        raise TargetError("device 'meta' computes nothing, so that nothing could be judged on it: use cpu or cuda")
    try:
        (torch.ones(1, device=chosen) + 1).cpu()
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        return _first_line(error)
    return None
