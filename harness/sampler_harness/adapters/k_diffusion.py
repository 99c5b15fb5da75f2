"""Samplers in the idiom of k-diffusion as subjects: ``k_diffusion:sample_heun``, ``k_diffusion:sampling.py:all``.

The idiom is ``sample_x(model, x, sigmas, extra_args, callback, disable, **options)``: ``model(x, sigma, **extra_args)``
returns x0, ``x`` is noise at the first of the ``sigmas``, whose last is 0. User interfaces carry copies of the module,
so that a target may name any file or module whose functions are written so. A function is known by its name, its
options by its signature.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import ModuleType
from typing import TYPE_CHECKING, Any

import reference_samplers
from reference_samplers.grids.sigmas import karras_sigmas
from sampler_harness.importing import module_at
from sampler_harness.subject import DeclarationError, Subject

from .no_reference import NoReference

if TYPE_CHECKING:
    import torch

__all__ = ["ALL", "DECIDED", "IdiomSampler", "remarks", "subjects"]

#: In place of a function's name.
ALL = "all"
#: Where a function is looked up whose target names no place.
_RELEASE = "k_diffusion.sampling"
_PREFIX = "sample_"
#: Function to the reference that it claims to be, and what it has fixed of it.
DECIDED: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "sample_euler": (reference_samplers.EDM, {"solver": "euler"}),
    "sample_heun": (reference_samplers.EDM, {"solver": "heun"}),
    "sample_dpm_2": (reference_samplers.DPM2, {}),
    "sample_euler_ancestral": (reference_samplers.EulerAncestral, {}),
    "sample_dpm_2_ancestral": (reference_samplers.DPM2Ancestral, {}),
}
#: What a function is given by its caller before any option.
_OPENINGS = ("model", "x", "sigmas")
_BESIDE: dict[str, Any] = {"extra_args": {}, "callback": None, "disable": True}
#: The option that hands a function its fresh noise: ``noise_sampler(sigma, sigma_next)``.
_DRAWS = "noise_sampler"
#: Fields of the levels that a function is given.
_OF_GRID = ("num_steps", "sigma_min", "sigma_max", "rho", "sigmas")
#: Levels where no reference says them: those of Stable Diffusion, which user interfaces lay out.
_USUAL_ENDS = (0.0292, 14.6146)


@dataclass(frozen=True)
class IdiomSampler:
    """The call of a function in the idiom.

    Attributes:
        sampler: the function.
        options: names of its options that are fields of the reference: each call says them.
        given: other options, fixed.
    """

    sampler: Callable[..., Any]
    options: tuple[str, ...]
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> tuple[str, ...]:
        """The module that it is written in, for whoever asks what a change may have changed."""
        return (self.sampler.__module__,)

    def __call__(
        self,
        model: Any,
        shape: tuple[int, ...],
        config: Any,
        *,
        device: torch.device,
        dtype: torch.dtype,
        generator: torch.Generator | None = None,
    ) -> Any:
        """Run the function once, from noise to the sample; a generator feeds its ``noise_sampler``."""
        import torch

        sigmas = torch.tensor([float(sigma) for sigma in _levels(config)], device=device, dtype=dtype)
        x = torch.randn(shape, device=device, dtype=dtype, generator=generator) * sigmas[0]
        return self._run(model, x, sigmas, config, generator)

    def partial(
        self, model: Any, x: Any, config: Any, index: int, *, device: Any, dtype: Any, generator: Any = None
    ) -> Any:
        """A run that starts at level ``index``, on the levels that are left, as image-to-image does it.

        Args:
            model: what stands in for the network.
            x: state at that level.
            config: configuration of the reference.
            index: of the level, 0 for the whole run.
            device: torch device.
            dtype: torch dtype.
            generator: what every draw comes from; None for torch's global one.
        """
        import torch

        sigmas = torch.tensor([float(sigma) for sigma in _levels(config)], device=device, dtype=dtype)
        return self._run(model, x, sigmas[index:], config, generator)

    def _run(self, model: Any, x: Any, sigmas: Any, config: Any, generator: Any) -> Any:
        import torch

        shape, device, dtype = x.shape, x.device, x.dtype
        values = config.values()
        options = {name: values[name] for name in self.options}
        beside = {name: value for name, value in _BESIDE.items() if name in _parameters(self.sampler)}
        if generator is not None:

            def noise_sampler(sigma: Any, sigma_next: Any) -> Any:
                return torch.randn(shape, device=device, dtype=dtype, generator=generator)

            beside[_DRAWS] = noise_sampler
        return self.sampler(model, x, sigmas, **beside, **options, **self.given)


def _levels(config: Any) -> Any:
    if isinstance(config, NoReference):
        low, high = _USUAL_ENDS
        return karras_sigmas(config.num_steps, low, high, 7.0)
    return config.levels


def _parameters(sampler: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(sampler).parameters


def subjects(name: str, settings: Mapping[str, Any] | None = None) -> list[Subject]:
    """The subjects of a target.

    Args:
        name: ``sample_heun`` of the installed k-diffusion, ``PLACE:sample_heun`` of a file or module; ``all`` in place
            of a function's name for each that has a reference.
        settings: fields of the reference or options of the function, as ``--set key=value`` gives them.

    Raises:
        DeclarationError: for an unknown function, or an option that it lacks.
        TargetError: where the file or module cannot be had.
    """
    module, wanted, place = _found(name)
    given = {key: _parsed(value) for key, value in (settings or {}).items()}
    if wanted != ALL:
        return [_subject(module, wanted, place, given)]
    if given:
        told = ", ".join(f"{key}={value}" for key, value in given.items())
        raise DeclarationError(f"--set {told} is for one function; of all, each has options of its own")
    names = [one for one in _in_idiom(module) if one in DECIDED]
    if not names:
        raise DeclarationError(f"{module.__name__} has no function that is decided: {', '.join(DECIDED)}")
    return [_subject(module, one, place, {}) for one in names]


def remarks(name: str) -> tuple[str, ...]:
    """What is to be known of a target beside its verdicts: functions that are not decided, options that are not varied.

    Args:
        name: as :func:`subjects` takes it.
    """
    module, wanted, place = _found(name)
    if wanted != ALL:
        if wanted not in DECIDED:
            return (f"k_diffusion:{place}{wanted} has no reference: {_why(module, wanted)}",)
        return _of_options(module, wanted)
    found = [told for one in _in_idiom(module) if one in DECIDED for told in _of_options(module, one)]
    reasons: dict[str, list[str]] = {}
    for one in _samplers(module):
        if one not in DECIDED:
            reasons.setdefault(_why(module, one), []).append(one)
    return (*found, *(f"not decided ({reason}): {', '.join(those)}" for reason, those in reasons.items()))


def _found(name: str) -> tuple[ModuleType, str, str]:
    """The module, the function's name, and how a target begins that names another of its functions."""
    place, _, wanted = name.rpartition(":") if not name.endswith(".py") else (name, ":", ALL)
    return module_at(place or _RELEASE, f"k_diffusion:{name}"), wanted, f"{place}:" if place else ""


def _samplers(module: ModuleType) -> list[str]:
    """Functions that are named as samplers, as the module has them."""
    return [name for name, one in vars(module).items() if name.startswith(_PREFIX) and inspect.isfunction(one)]


def _in_idiom(module: ModuleType) -> list[str]:
    return [name for name in _samplers(module) if _is_idiom(vars(module)[name])]


def _is_idiom(sampler: Callable[..., Any]) -> bool:
    return tuple(_parameters(sampler))[: len(_OPENINGS)] == _OPENINGS


def _why(module: ModuleType, name: str) -> str:
    if not _is_idiom(vars(module)[name]):
        return f"it takes ({', '.join(list(_parameters(vars(module)[name]))[:4])}, …) and not (model, x, sigmas, …)"
    return "there is no reference of that name yet"


def _of_options(module: ModuleType, name: str) -> tuple[str, ...]:
    """Options that no field stands for."""
    known = {f.name for f in fields(DECIDED[name][0])}
    sampler = vars(module)[name]
    unknown = [one for one in _parameters(sampler) if one not in (*_OPENINGS, *_BESIDE, _DRAWS, *known)]
    return tuple(f"{name}: {one} is left at its default: no field stands for it" for one in unknown)


def _subject(module: ModuleType, name: str, place: str, given: Mapping[str, Any]) -> Subject:
    from hypothesis import strategies as st

    sampler = vars(module).get(name)
    if not inspect.isfunction(sampler):
        raise DeclarationError(f"{module.__name__} has no function {name!r}; it has {', '.join(_samplers(module))}")
    if not _is_idiom(sampler):
        raise DeclarationError(f"{name} is not in the idiom: {_why(module, name)}")
    reference, fixed = DECIDED.get(name, (NoReference, {}))
    known = [f.name for f in fields(reference)]
    parameters = _parameters(sampler)
    for key in given:
        if key not in known and key not in parameters:
            raise DeclarationError(f"{name} has no option {key!r}; it has {', '.join(parameters)}")
        if key in fixed:
            raise DeclarationError(f"{name} is {key}={fixed[key]!r}: another function is not")
    options = tuple(one for one in parameters if one in known and one not in _OPENINGS)
    varied = {key: value for key, value in _varied(st, name).items() if key in (*options, *_OF_GRID) and key in known}
    asked = {key: value for key, value in given.items() if key in known}
    function = IdiomSampler(sampler, options, {key: value for key, value in given.items() if key not in known})
    return Subject(
        function=function,
        reference=reference,
        fields={**varied, **fixed, **asked},
        name=name,
        target=f"k_diffusion:{place}{name}",
        dtypes=("float32",) if reference is NoReference else ("float32", "float64"),
        takes_generator=_DRAWS in parameters and _DRAWS not in given,
        # Churn goes by the number of levels that the function is given: fewer for a run from the middle.
        partial=None if "s_churn" in parameters or reference is NoReference else function.partial,
    )


def _varied(st: Any, name: str) -> dict[str, Any]:
    """What is varied of any reference that has such a field.

    Context: from 80 to 0.002 in one step, sigma_down is below what float32 tells from 0, and the release then draws no
    noise (FINDINGS, "k-diffusion's DPM2 ancestral without noise"). Choice: that sampler's levels are those of latent
    models, where nothing rounds to 0. Reversed by: a release that draws it.
    """
    lost = name == "sample_dpm_2_ancestral"
    return {
        "num_steps": st.integers(1, 40),
        "sigma_min": st.floats(0.02 if lost else 0.002, 0.05),
        "sigma_max": st.floats(5.0, 20.0 if lost else 80.0),
        "rho": st.sampled_from([7.0, 3.0, 1.0]),
        "s_churn": st.floats(0.0, 40.0),
        # On levels that are given, an end of the window lies on one of them.
        "sigmas": st.sampled_from([None, (10.0, 3.0, 0.5, 0.0)]),
        "s_tmin": st.sampled_from([0.0, 0.5]),
        "s_tmax": st.sampled_from([float("inf"), 3.0]),
        "s_noise": st.sampled_from([1.0, 0.9, 1.1]),
        "eta": st.sampled_from([1.0, 0.0, 0.4]),
    }


def _parsed(value: Any) -> Any:
    """The value of an option that was typed as text."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return float("inf") if value.lower() in ("inf", "infinity") else value
