"""Samplers in the idiom of k-diffusion as subjects: ``k_diffusion:sample_heun``, ``k_diffusion:sampling.py:all``.

The idiom is ``sample_x(model, x, sigmas, extra_args, callback, disable, **options)``: ``model(x, sigma, **extra_args)``
returns x0, ``x`` is noise at the first of the ``sigmas``, whose last is 0. User interfaces carry copies of the module,
so that a target may name any file or module whose functions are written so. A function is known by its name, its
options by its signature.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import reference_samplers
from reference_samplers.grids.sigmas import karras_sigmas
from sampler_harness.importing import module_at
from sampler_harness.subject import DeclarationError, Subject

from .narrowed import NothingLegal, narrowed
from .no_reference import NoReference
from .typed import typed

if TYPE_CHECKING:
    import torch

__all__ = ["ALL", "DECIDED", "IdiomSampler", "remarks", "subjects", "unclaimed"]

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
#: How the subject is called that hands it.
_HANDED = f"[{_DRAWS}]"
#: What k-diffusion takes where nobody says an option.
_DEFAULTS = {"eta": 1.0, "s_churn": 0.0, "s_tmin": 0.0, "s_tmax": float("inf"), "s_noise": 1.0}
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
    """The subjects of a target: with the noise that a function draws, and, if it takes one, with a ``noise_sampler``.

    Args:
        name: ``sample_heun`` of the installed k-diffusion, ``PLACE:sample_heun`` of a file or module; ``all`` in place
            of a function's name for each that has a reference.
        settings: fields of the reference or options of the function, as ``--set key=value`` gives them.

    Raises:
        DeclarationError: for an unknown function, or an option that it lacks.
        TargetError: where the file or module cannot be had.
    """
    module, wanted, place = _found(name)
    given = {key: typed(value) for key, value in (settings or {}).items()}
    if wanted != ALL:
        return _with_own_noise_and_given(module, wanted, place, given)
    if given:
        told = ", ".join(f"{key}={value}" for key, value in given.items())
        raise DeclarationError(f"--set {told} is for one function; of all, each has options of its own")
    names = [one for one in _in_idiom(module) if one in DECIDED]
    if not names:
        there = [f"{one} ({_why(module, one)})" for one in _samplers(module)] or [f"nothing named {_PREFIX}…"]
        raise DeclarationError(f"{module.__name__} has no function that is decided; it has {'; '.join(there)}")
    return [subject for one in names for subject in _with_own_noise_and_given(module, one, place, {})]


def unclaimed(name: str, settings: Mapping[str, Any] | None = None, *, of_flow: bool = False) -> tuple[Subject, str]:
    """A function as it runs, decided or not, with no claim of what it is; and the levels that it is given, in words.

    Args:
        name: as :func:`subjects` takes it, of one function.
        settings: options of the function, or ends of the levels: ``sigma_max``, ``sigma_min``, ``rho``, ``sigmas``.
        of_flow: the levels are even times from 1 to 0, as a sampler of a flow is given them under the same name.

    Raises:
        DeclarationError: for an unknown function, one that is not in the idiom, or an option that it lacks.
    """
    module, wanted, place = _found(name)
    sampler = vars(module).get(wanted)
    if sampler is None:
        raise DeclarationError(f"{module.__name__} has no function {wanted!r}; it has {', '.join(_samplers(module))}")
    if why := _why_no_idiom(sampler):
        raise DeclarationError(f"{wanted} is not in the idiom: {why}")
    given = {key: typed(value) for key, value in (settings or {}).items()}
    grid = {key: given.pop(key) for key in _OF_GRID if key in given}
    free = [one for one in _parameters(sampler) if one not in (*_OPENINGS, *_BESIDE)]
    for key in given:
        if key not in free:
            raise DeclarationError(f"{wanted} has no option {key!r}; it has {', '.join((*free, *_OF_GRID))}")
    low, high = float(grid.get("sigma_min", _USUAL_ENDS[0])), float(grid.get("sigma_max", _USUAL_ENDS[1]))
    rho = float(grid.get("rho", 7.0))

    def run(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        import torch

        even = [1 - step / config.num_steps for step in range(config.num_steps + 1)]
        levels = grid.get("sigmas") or (even if of_flow else karras_sigmas(config.num_steps, low, high, rho))
        sigmas = torch.tensor([float(sigma) for sigma in levels], device=device, dtype=dtype)
        x = torch.randn(shape, device=device, dtype=dtype) * sigmas[0]
        return IdiomSampler(sampler, (), given)._run(model, x, sigmas, config, None)

    ends = f"the Karras grid from {high:g} to {low:g}, rho {rho:g}" if "sigmas" not in grid else "levels by hand"
    ends = "even times from 1 to 0" if of_flow else ends
    subject = Subject(function=run, reference=NoReference, name=wanted, target=f"k_diffusion:{place}{wanted}")
    return subject, f"given {ends}"


def remarks(name: str) -> tuple[str, ...]:
    """What is to be known of a target beside its verdicts: functions that are not decided, options that are not varied.

    Args:
        name: as :func:`subjects` takes it.
    """
    module, wanted, place = _found(name)
    wanted = wanted.removesuffix(_HANDED)
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
    """What is named as a sampler and can be called, as the module has it."""
    return [name for name, one in vars(module).items() if name.startswith(_PREFIX) and callable(one)]


def _in_idiom(module: ModuleType) -> list[str]:
    return [name for name in _samplers(module) if _is_idiom(vars(module)[name])]


def _is_idiom(sampler: Any) -> bool:
    return not _why_no_idiom(sampler)


def _why_no_idiom(sampler: Any) -> str:
    """Why something cannot be called as the idiom says; empty where it can."""
    if not inspect.isfunction(sampler):
        return f"it is a {'class' if isinstance(sampler, type) else type(sampler).__name__}, not a function"
    if inspect.iscoroutinefunction(sampler) or inspect.isgeneratorfunction(sampler):
        return "it does not return a sample but a coroutine or generator"
    parameters = _parameters(sampler)
    if tuple(parameters)[: len(_OPENINGS)] != _OPENINGS:
        shown = [str(one).partition(":")[0].partition("=")[0] for one in parameters.values()]
        return f"it takes ({', '.join(shown[:4])}, …) and not (model, x, sigmas, …)"
    options = [one for one in parameters.values() if one.name not in (*_OPENINGS, *_BESIDE)]
    named = [one for one in options if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    needed = [one.name for one in named if one.default is one.empty]
    return f"it needs {', '.join(needed)}, for which it has no default" if needed else ""


def _why(module: ModuleType, name: str) -> str:
    return _why_no_idiom(vars(module)[name]) or "there is no reference of that name yet"


def _of_options(module: ModuleType, name: str) -> tuple[str, ...]:
    """Options that no field stands for, and those with another default than k-diffusion's: each run says them."""
    known = {f.name for f in fields(DECIDED[name][0])}
    parameters = _parameters(vars(module)[name])
    unknown = [one for one in parameters if one not in (*_OPENINGS, *_BESIDE, _DRAWS, *known)]
    moved = [one for one, usual in _DEFAULTS.items() if one in parameters and parameters[one].default != usual]
    return (
        *(f"{name}: {one} is left at its default: no field stands for it" for one in unknown),
        *(
            f"{name}: {one} is {parameters[one].default} where nobody says it, and {_DEFAULTS[one]} in k-diffusion"
            for one in moved
            if parameters[one].default is not inspect.Parameter.empty
        ),
    )


def _with_own_noise_and_given(module: ModuleType, wanted: str, place: str, given: Mapping[str, Any]) -> list[Subject]:
    """One subject, or two: what a function draws by itself is another line than the noise that it is handed."""
    name = wanted.removesuffix(_HANDED)
    plain = _subject(module, name, place, given)  # refuses what is not there, and what is not in the idiom
    if _DRAWS not in _parameters(vars(module)[name]) or _DRAWS in given:
        if name != wanted:
            raise DeclarationError(f"{name} takes no {_DRAWS}")
        return [plain]
    handed = replace(plain, name=f"{name}{_HANDED}", target=f"{plain.target}{_HANDED}", takes_generator=True)
    return [handed] if name != wanted else [plain, handed]


def _subject(module: ModuleType, name: str, place: str, given: Mapping[str, Any]) -> Subject:
    from hypothesis import strategies as st

    sampler = vars(module).get(name)
    if sampler is None:
        there = ", ".join(_samplers(module)) or f"none whose name begins with {_PREFIX}"
        raise DeclarationError(f"{module.__name__} has no function {name!r}; it has {there}")
    if why := _why_no_idiom(sampler):
        raise DeclarationError(f"{name} is not in the idiom: {why}")
    reference, fixed = DECIDED.get(name, (NoReference, {}))
    known = [f.name for f in fields(reference)]
    parameters = _parameters(sampler)
    free = [one for one in parameters if one not in (*_OPENINGS, *_BESIDE)]
    for key in given:
        if key not in known and key not in free:
            raise DeclarationError(f"{name} has no option {key!r}; it has {', '.join((*free, *_OF_GRID))}")
        if key in fixed:
            raise DeclarationError(f"{name} is {key}={fixed[key]!r}: another function is not")
    options = tuple(one for one in parameters if one in known and one not in _OPENINGS)
    varied = {key: value for key, value in _varied(st, name).items() if key in (*options, *_OF_GRID) and key in known}
    asked = {key: value for key, value in given.items() if key in known}
    function = IdiomSampler(sampler, options, {key: value for key, value in given.items() if key not in known})
    declared = {**varied, **fixed, **asked}
    if asked:
        try:
            declared = narrowed(reference, declared)
        except NothingLegal as error:
            told = ", ".join(f"{key}={value}" for key, value in asked.items())
            raise DeclarationError(f"{name} with {told}: {error}") from error
    return Subject(
        function=function,
        reference=reference,
        fields=declared,
        name=name,
        target=f"k_diffusion:{place}{name}",
        dtypes=("float32",) if reference is NoReference else ("float32", "float64"),
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
