"""What a person types: from ``my_repo.adapters:my_sampler`` to a subject, from ``cuda`` to a device that is there.

A TARGET is ``module:name``, ``path/file.py:name``, ``path/file.py`` or ``module`` (every sampler declared in it), or an
adapter's, as ``diffusers:EulerDiscreteScheduler`` or ``k_diffusion:sample_heun``. Whatever is wrong with it becomes one
sentence.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from .importing import TargetError, first_line, module_at
from .subject import AnySubject, Subject, renamed
from .wording import did_you_mean

__all__ = [
    "ADAPTERS",
    "Named",
    "device_problem",
    "is_subject",
    "load_attribute",
    "load_named",
    "load_sampler",
    "load_subject",
    "load_subjects",
    "place_of",
    "remarks_of",
    "subjects_in",
]

#: Targets that begin with one of these and a colon are built by an adapter; an example of each.
#: The first adapter writes a scheduler's loop, the others know programs by the idiom that they are written in.
ADAPTERS = {
    "diffusers": "diffusers:DDIMScheduler",
    "k_diffusion": "k_diffusion:sample_heun",
    "nvlabs_edm": "nvlabs_edm:PATH.py:edm_sampler",
    "guided_diffusion": "guided_diffusion:PATH.py:create_gaussian_diffusion",
}
_ADAPTERS = "sampler_harness.adapters"


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
    first, *others = found = load_subjects(target, settings)
    if all(one.name.startswith(f"{first.name}[") for one in others):
        return first  # alone, or with the corners in which it is known to deviate
    names = ", ".join(subject.name for subject in found)
    raise TargetError(f"{target} holds {len(found)} samplers: name one of them, {target}:NAME ({names})")


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
            raise TargetError(f"{target!r} names no sampler: write {place}:NAME, for example {ADAPTERS[place]}")
        return tuple(Named(one.name or name, one, None) for one in _adapted(place, name, settings or {}))
    if settings:
        given = ", ".join(f"{key}={value}" for key, value in settings.items())
        raise TargetError(
            f"--set {given} is for adapters, as {', '.join(ADAPTERS.values())}; {target} declares its own fields"
        )
    module = module_at(place, target)
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
        what = "file" if place.endswith(".py") else "module"
        own = ", ".join(_functions_of(module_at(place, target)))
        raise TargetError(f"{target!r} names a {what}: write {place}:NAME{f' with one of {own}' if own else ''}")
    module = module_at(place, target)
    return _attribute(module, name, place)


def _functions_of(module: ModuleType) -> list[str]:
    """Public functions and declarations that a module has made itself, in its order."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (is_subject(value) or (callable(value) and getattr(value, "__module__", "") == module.__name__))
    ]


def place_of(target: str) -> str:
    """The file, module or adapter of a target: all of it where it names nothing inside.

    Args:
        target: as a person types it.
    """
    adapter, colon, _ = target.partition(":")
    if colon and adapter in ADAPTERS:
        return adapter
    return target if target.endswith(".py") else target.rpartition(":")[0] or target


def _split(target: str) -> tuple[str, str]:
    """Place and name; the name is empty where the target means everything in its place."""
    place = place_of(target)
    name = target[len(place) + 1 :]
    if not place or target.startswith(":") or target.endswith(":"):
        examples = ", ".join(ADAPTERS.values())
        raise TargetError(f"{target!r} is not a target: write module:name, path/file.py:name or as {examples}")
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
        raise TargetError(f"{adapter}:{name}: {first_line(message)}") from error
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
            f"def {name}(model, shape, config, *, device, dtype){f'; {place} declares {declared}' if declared else ''}"
        )
    subject: AnySubject = value
    return subject


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
        return first_line(error)
    return None
