"""A sampler that claims nothing, from what a person names: how it is run, and with which numbers of steps.

A declared sampler is run as its declaration says, and nothing that it claims is asked. A function in the idiom of
k-diffusion is given levels, a scheduler of diffusers its loop; of any other function each argument is known by its
name, or by what the function does with it.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .arguments import LEVELS, TIMES, Role, by_name, roles_of
from .importing import TargetError, first_line
from .subject import DeclarationError, Subject
from .targets import ADAPTERS, is_subject, load_attribute, load_subject, place_of

__all__ = ["Handed", "handed"]

#: Numbers of steps that a sampler is run with: no two have a divisor in common that a grid could hide behind.
NUMBERS = (10, 6, 13)
#: What released samplers ask of their model beside calling it.
_ATTRIBUTES: Mapping[str, Any] = {"sigma_min": 0.0, "sigma_max": math.inf}
#: Levels of Stable Diffusion, which user interfaces lay out.
USUAL = (14.6146, 0.0292, 7.0)


@dataclass(frozen=True)
class Handed:
    """A sampler, ready to be run.

    Attributes:
        subject: its function, which a ``NoReference`` configures.
        runs: numbers of steps, and the configuration for each.
        how: what it was given that nobody named, in words.
        otherwise: the same sampler given other levels, for where it is nothing on these.
        is_either: whether it may be one thing on these levels and another one on the others, and nothing tells which
            are its own.
    """

    subject: Subject
    runs: tuple[tuple[int, Any], ...]
    how: str = ""
    otherwise: tuple[Handed, ...] = ()
    is_either: bool = False


def handed(target: str, settings: Mapping[str, Any] | None = None) -> Handed:
    """What a target names, as something to be run.

    Args:
        target: as a person types it.
        settings: what ``--set`` gave: options of a scheduler, fields of a declaration or arguments of a function.

    Raises:
        TargetError: where it cannot be had or run; the message says what to give.
    """
    given = dict(settings or {})
    numbers = NUMBERS
    if "num_steps" in given:
        steps = given["num_steps"]
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
            raise TargetError(f"--set num_steps={steps}: write a whole number from 1")
    try:
        if place_of(target) in ADAPTERS:
            return _adapted(target, given, numbers)
        value = load_attribute(target)
        if is_subject(value):
            return _declared(target, given, numbers)
        return _plain(target, value, given, numbers)
    except DeclarationError as error:
        raise TargetError(f"{target}: {error}") from error


def _runs(numbers: Sequence[int], given: dict[str, Any]) -> tuple[tuple[int, Any], ...]:
    from .adapters.no_reference import NoReference

    chosen = [given.pop("num_steps")] if "num_steps" in given else list(numbers)
    return tuple((steps, NoReference(num_steps=steps)) for steps in chosen)


def _adapted(target: str, given: dict[str, Any], numbers: Sequence[int]) -> Handed:
    """A scheduler of diffusers, or a function in the idiom of k-diffusion, without its reference."""
    from importlib import import_module

    adapter, _, name = target.partition(":")
    if "num_inference_steps" in given:
        given["num_steps"] = given.pop("num_inference_steps")
    by_hand = given.get("sigmas") or given.get("timesteps")
    if isinstance(by_hand, (list, tuple)):
        given["num_steps"] = max(len(by_hand) - (1 if adapter == "k_diffusion" else 0), 1)
    runs = _runs(numbers, given)
    home = import_module(f"sampler_harness.adapters.{adapter}")
    others: tuple[Handed, ...] = ()
    try:
        subject, how = home.unclaimed(name, given)
        if adapter == "k_diffusion" and not {*_OF_LEVELS, "sigmas"} & set(given):
            on_times, times = home.unclaimed(name, given, of_flow=True)
            others = (Handed(on_times, runs, times),)
    except ModuleNotFoundError as error:
        raise TargetError(f"{target} needs the package {error.name}") from error
    except (ValueError, LookupError, TypeError, ImportError) as error:
        raise TargetError(f"{target}: {first_line(error)}") from error
    return Handed(subject, runs, how, others)


def _declared(target: str, given: dict[str, Any], numbers: Sequence[int]) -> Handed:
    """A declared sampler, run as its declaration says in its plainest configuration."""
    from .adapters.no_reference import NoReference
    from .budgets import BUDGETS
    from .cases import covering_set
    from .subject.allowed import is_strategy

    subject = load_subject(target)
    if not isinstance(subject, Subject):
        raise TargetError(f"{target} declares no sampler but a {subject.kind}: only samplers have a law to be known by")
    unknown = [name for name in given if name not in {field.name for field in dataclasses.fields(subject.reference)}]
    if unknown:
        raise TargetError(
            f"--set {unknown[0]}: {subject.reference.__name__}, by which {target} is run, has no such field"
        )
    base = covering_set(subject, BUDGETS["quick"]).base
    try:
        base = dataclasses.replace(base, **given)
    except (ValueError, TypeError) as error:
        raise TargetError(f"{target}: {error}") from error
    configs: dict[int, Any] = {}
    is_varied = base.values().get("num_steps") is not None and "num_steps" not in given
    for steps in numbers if is_varied and is_strategy(subject.fields.get("num_steps")) else ():
        try:
            configs[steps] = dataclasses.replace(base, num_steps=steps)
        except ValueError:
            continue
    if not configs:
        configs[base.values().get("num_steps") or max(base.num_levels, 1)] = base
    function = subject.function

    def run(model: Any, shape: tuple[int, ...], config: NoReference, **openings: Any) -> Any:
        known = configs.get(config.num_steps)
        chosen = dataclasses.replace(base, num_steps=config.num_steps) if known is None else known
        return function(model, shape, chosen, **openings)

    shown = ", ".join(f"{name}={value!r}" for name, value in _unusual(base).items() if name != "num_steps")
    bare = _without_claims(subject, run)
    return Handed(bare, tuple((n, NoReference(num_steps=n)) for n in configs), f"run with {shown}" if shown else "")


def _unusual(config: Any) -> dict[str, Any]:
    usual = {field.name: field.default for field in dataclasses.fields(config)}
    return {
        name: value
        for name, value in config.values().items()
        if value != usual[name] and not (isinstance(value, tuple) and len(value) > 4)
    }


def _without_claims(subject: Subject, function: Callable[..., Any]) -> Subject:
    """The same function with how it is run, and nothing of what it is."""
    from .adapters.no_reference import NoReference

    return dataclasses.replace(
        subject,
        function=function,
        reference=NoReference,
        fields={},
        expected_failures={},
        deviations={},
        paper=None,
        forward=None,
        velocity=None,
        partial=None,
        output_clip=None,
    )


def _plain(target: str, function: Any, given: dict[str, Any], numbers: Sequence[int]) -> Handed:
    """A function of which nothing is declared: what it takes is known by the names of its arguments."""
    import torch

    from .adapters.no_reference import NoReference

    if not callable(function) or isinstance(function, type):
        what = "a class" if isinstance(function, type) else f"a {type(function).__name__}"
        raise TargetError(f"{target} is {what}: name a function that takes a model and returns the sample")
    parameters = inspect.signature(function).parameters
    unknown = [name for name in given if name not in parameters and name not in ("num_steps", *_OF_LEVELS)]
    if unknown:
        raise TargetError(f"{target} takes no {unknown[0]!r}; it takes {', '.join(parameters)}")
    named = {name: parameter for name, parameter in parameters.items() if parameter.kind not in _VARIADIC}
    role = {name: one for name, one in roles_of(function).items() if name in named and name not in given}
    if "model" not in role.values():
        raise TargetError(
            f"{target} takes no model that is known by its name or by being called: name it model, or wrap it in a "
            f"function that takes (model, shape); it takes {', '.join(parameters) or 'nothing'}"
        )
    missing = [
        name
        for name, parameter in named.items()
        if parameter.default is parameter.empty and name not in (*role, *_OPENINGS, *given)
    ]
    if missing:
        raise TargetError(f"{target} needs {', '.join(missing)}: say --set {missing[0]}=…, or wrap it in a function")
    levels = next((name for name, one in role.items() if one in ("levels", "times")), "")
    by_hand = next((name for name in named if name in LEVELS | TIMES and name in given), "")
    has_steps = "steps" in role.values() or bool(levels) or "config" in named
    ends = {name: given.pop(name) for name in _OF_LEVELS if name in given and name not in named}
    runs = (
        _runs(numbers, given)
        if has_steps and not by_hand
        else ((max(len(given[by_hand]) - 1, 1) if by_hand else 1, None),)
    )
    runs = tuple((steps, config or NoReference(num_steps=steps)) for steps, config in runs)

    def on(kind: Levels) -> Handed:
        def run(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any, generator: Any = None) -> Any:
            table: Any = None
            scale: Any = 1.0
            if levels or by_hand:
                laid = given[by_hand] if by_hand else _laid_out(kind, config.num_steps, ends)
                table = torch.tensor([float(one) for one in laid], device=device, dtype=dtype)
                scale = table[0] if by_hand in LEVELS or kind == "noise" else 1.0
            openings = {"config": config, "device": device, "dtype": dtype}
            arguments: dict[str, Any] = {}
            for name in named:
                if name == by_hand:
                    arguments[name] = table
                elif name in given:
                    arguments[name] = given[name]
                elif name in openings:
                    arguments[name] = openings[name]
                elif name in role:
                    arguments[name] = _argument(role[name], model, shape, config, table, scale, device, dtype)
            return _sample_of(_called(function, named, arguments), tuple(shape))

        subject = Subject(
            function=run,
            reference=NoReference,
            name=getattr(function, "__name__", target),
            target=target,
            model_attributes={**_ATTRIBUTES, "round_sigma": torch.as_tensor},
        )
        return Handed(subject, runs, _told(role, levels, kind, ends))

    first, *others = _kinds_of_levels(role.get(levels), ends)
    return dataclasses.replace(on(first), otherwise=tuple(on(kind) for kind in others), is_either="rising" in others)


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_OF_LEVELS = ("sigma_max", "sigma_min", "rho")
_OPENINGS = ("config", "device", "dtype")
#: Levels that a function is given: Karras et al.'s, even times down to data at 0 or up to data at 1; or none.
Levels = Literal["noise", "falling", "rising", "none"]


def _kinds_of_levels(role: Role | None, ends: Mapping[str, Any]) -> tuple[Levels, ...]:
    """Those that a function may be of, the likeliest first: what its argument is called says little."""
    if role == "levels":
        return ("noise",) if ends else ("noise", "falling")
    return ("falling", "rising") if role == "times" else ("none",)


def _argument(role: Role, model: Any, shape: Any, config: Any, table: Any, scale: Any, device: Any, dtype: Any) -> Any:
    import torch

    match role:
        case "model":
            return model
        case "latents":
            return torch.randn(shape, device=device, dtype=dtype) * scale
        case "shape":
            return shape
        case "item_shape":
            return tuple(shape[1:])
        case "items":
            return shape[0]
        case "steps":
            return config.num_steps
        case _:
            return table


def _laid_out(kind: Levels, steps: int, ends: Mapping[str, Any]) -> Sequence[float]:
    """Levels for a function that is given them: Karras et al.'s between the usual ends, or even times."""
    from reference_samplers.grids.sigmas import karras_sigmas

    if kind in ("falling", "rising"):
        falling = [1 - step / steps for step in range(steps + 1)]
        return falling if kind == "falling" else falling[::-1]
    high, low, rho = (float(ends.get(one, usual)) for one, usual in zip(_OF_LEVELS, USUAL, strict=True))
    return [float(level) for level in karras_sigmas(steps, low, high, rho)]


def _told(role: Mapping[str, Role], levels: str, kind: Levels, ends: Mapping[str, Any]) -> str:
    """What a function was given that it does not say by its names."""
    words = {
        "model": "the model",
        "latents": "noise",
        "shape": "the sample's shape",
        "steps": "the number of steps",
        "item_shape": "the shape of one item",
    }
    unsaid = {name: one for name, one in role.items() if one in words and by_name(name) is None}
    given = [f"{words[one]} as {name}" for name, one in unsaid.items()]
    if levels and kind == "noise":
        high, low, rho = (float(ends.get(one, usual)) for one, usual in zip(_OF_LEVELS, USUAL, strict=True))
        given.append(f"the Karras grid from {high:g} to {low:g}, rho {rho:g}, as {levels}")
    elif levels:
        given.append(f"even times from {'1 to 0' if kind == 'falling' else '0 to 1'} as {levels}")
    return f"given {', '.join(given)}" if given else ""


def _called(function: Callable[..., Any], named: Mapping[str, Any], arguments: dict[str, Any]) -> Any:
    """Call by place where an argument has no name to a caller, by name elsewhere."""
    by_place = [name for name, one in named.items() if one.kind is one.POSITIONAL_ONLY]
    return function(*(arguments.pop(name) for name in by_place if name in arguments), **arguments)


def _sample_of(result: Any, shape: tuple[int, ...]) -> Any:
    """The sample in what a function returned: the first tensor of its shape."""
    several = tuple(result.values()) if isinstance(result, dict) else result
    found = several if isinstance(several, (tuple, list)) else (several,)
    return next((one for one in found if tuple(getattr(one, "shape", ())) == shape), result)
