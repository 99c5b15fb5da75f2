"""A sampler that claims nothing, from what a person names: how it is run, and with which numbers of steps.

A declared sampler is run as its declaration says, and nothing that it claims is asked. A function in the idiom of
k-diffusion is given levels, a scheduler of diffusers its loop; of any other function each argument is known by name.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .importing import TargetError, first_line
from .subject import DeclarationError, Subject
from .targets import ADAPTERS, is_subject, load_attribute, load_subject, place_of

__all__ = ["Handed", "handed"]

#: Numbers of steps that a sampler is run with: no two have a divisor in common that a grid could hide behind.
NUMBERS = (10, 6, 13)
MODEL = {"model", "net", "network", "unet", "denoiser", "denoise_fn", "denoise", "model_fn", "score_model", "score_fn",
         "eps_model", "noise_pred_net", "diffusion_model"}  # fmt: skip
LATENTS = {"latents", "latent", "x", "x_t", "x_T", "xt", "noise", "x_init", "init_noise", "z", "sample"}
SHAPE = {"shape", "size", "sample_shape"}
STEPS = {"num_steps", "steps", "n_steps", "num_inference_steps", "sample_steps", "ddim_steps", "sampling_timesteps",
         "num_sample_steps", "N", "n", "S"}  # fmt: skip
#: Arguments for the levels themselves: noise levels, and times of a flow.
LEVELS = {"sigmas", "levels", "t_steps"}
TIMES = {"ts", "times", "t_grid"}
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
    """

    subject: Subject
    runs: tuple[tuple[int, Any], ...]
    how: str = ""


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
    try:
        subject, how = home.unclaimed(name, given)
    except ModuleNotFoundError as error:
        raise TargetError(f"{target} needs the package {error.name}") from error
    except (ValueError, LookupError, TypeError, ImportError) as error:
        raise TargetError(f"{target}: {first_line(error)}") from error
    return Handed(subject, runs, how)


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
    if not any(name in MODEL for name in named):
        raise TargetError(f"{target} takes no model that is known by its name: one of {', '.join(sorted(MODEL))}")
    missing = [
        name
        for name, parameter in named.items()
        if parameter.default is parameter.empty and name not in (*_KNOWN, *given)
    ]
    if missing:
        raise TargetError(f"{target} needs {', '.join(missing)}: say --set {missing[0]}=…, or wrap it in a function")
    levels = next((name for name in named if name in LEVELS | TIMES and name not in given), "")
    by_hand = next((name for name in named if name in LEVELS | TIMES and name in given), "")
    has_steps = any(name in STEPS for name in named) or bool(levels) or "config" in named
    ends = {name: given.pop(name) for name in _OF_LEVELS if name in given and name not in named}
    runs = (
        _runs(numbers, given)
        if has_steps and not by_hand
        else ((max(len(given[by_hand]) - 1, 1) if by_hand else 1, None),)
    )
    runs = tuple((steps, config or NoReference(num_steps=steps)) for steps, config in runs)

    def run(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any, generator: Any = None) -> Any:
        table = None
        if levels or by_hand:
            laid = given[by_hand] if by_hand else _laid_out(levels, config.num_steps, ends)
            table = torch.tensor([float(one) for one in laid], device=device, dtype=dtype)
        arguments: dict[str, Any] = {}
        for name in named:
            if name in (levels, by_hand) and name:
                arguments[name] = table
            elif name in given:
                arguments[name] = given[name]
            elif name in MODEL:
                arguments[name] = model
            elif name in LATENTS:
                scale = table[0] if table is not None and (levels or by_hand) in LEVELS else 1.0
                arguments[name] = torch.randn(shape, device=device, dtype=dtype) * scale
            elif name in SHAPE:
                arguments[name] = shape
            elif name in STEPS:
                arguments[name] = config.num_steps
            elif name in ("config", "device", "dtype"):
                arguments[name] = {"config": config, "device": device, "dtype": dtype}[name]
        return _sample_of(_called(function, named, arguments), tuple(shape))

    subject = Subject(
        function=run,
        reference=NoReference,
        name=getattr(function, "__name__", target),
        target=target,
        model_attributes={**_ATTRIBUTES, "round_sigma": torch.as_tensor},
    )
    return Handed(subject, runs, _told(levels, ends))


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_OF_LEVELS = ("sigma_max", "sigma_min", "rho")
_KNOWN = (*MODEL, *LATENTS, *SHAPE, *STEPS, *LEVELS, *TIMES, "config", "device", "dtype")


def _laid_out(name: str, steps: int, ends: Mapping[str, Any]) -> Sequence[float]:
    """Levels for a function that is given them: Karras et al.'s between the usual ends, or even times."""
    from reference_samplers.grids.sigmas import karras_sigmas

    if name in TIMES:
        return [1 - step / steps for step in range(steps + 1)]
    high, low, rho = (float(ends.get(one, usual)) for one, usual in zip(_OF_LEVELS, USUAL, strict=True))
    return [float(level) for level in karras_sigmas(steps, low, high, rho)]


def _told(levels: str, ends: Mapping[str, Any]) -> str:
    if not levels:
        return ""
    if levels in TIMES:
        return f"given even times from 1 to 0 as {levels}"
    high, low, rho = (float(ends.get(one, usual)) for one, usual in zip(_OF_LEVELS, USUAL, strict=True))
    return f"given the Karras grid from {high:g} to {low:g}, rho {rho:g}, as {levels}"


def _called(function: Callable[..., Any], named: Mapping[str, Any], arguments: dict[str, Any]) -> Any:
    """Call by place where an argument has no name to a caller, by name elsewhere."""
    by_place = [name for name, one in named.items() if one.kind is one.POSITIONAL_ONLY]
    return function(*(arguments.pop(name) for name in by_place if name in arguments), **arguments)


def _sample_of(result: Any, shape: tuple[int, ...]) -> Any:
    """The sample in what a function returned: the first tensor of its shape."""
    several = tuple(result.values()) if isinstance(result, dict) else result
    found = several if isinstance(several, (tuple, list)) else (several,)
    return next((one for one in found if tuple(getattr(one, "shape", ())) == shape), result)
