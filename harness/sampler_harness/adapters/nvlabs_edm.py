"""Samplers in the idiom of NVlabs/edm as subjects: ``nvlabs_edm:generate.py:edm_sampler``.

The idiom is ``sampler(net, latents, class_labels=None, randn_like=torch.randn_like, num_steps=18, sigma_min=…, …)``:
``net(x, sigma, class_labels)`` returns x0 and has ``round_sigma``, ``sigma_min`` and ``sigma_max``, latents are unit
normals, and grid and churn are arguments. EDM2 and programs after it carry copies, with a ``dtype`` and guidance
beside. A target names the file or module, and a function in it, or ``all`` that are written so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from reference_samplers import EDM
from sampler_harness.importing import module_at
from sampler_harness.subject import DeclarationError, Subject

from .narrowed import NothingLegal, narrowed
from .no_reference import NoReference
from .typed import typed

if TYPE_CHECKING:
    import torch

__all__ = ["ALL", "EdmSampler", "remarks", "subjects", "unclaimed"]

#: In place of a function's name.
ALL = "all"
#: What the idiom calls the fields of the reference.
_FIELDS = {
    "num_steps": "num_steps",
    "sigma_min": "sigma_min",
    "sigma_max": "sigma_max",
    "rho": "rho",
    "S_churn": "s_churn",
    "S_min": "s_tmin",
    "S_max": "s_tmax",
    "S_noise": "s_noise",
    "solver": "solver",
}
#: Arguments without which it is another idiom.
_NEEDED = ("num_steps", "sigma_min", "sigma_max")
#: The argument that hands a function its fresh noise, and how the subject is called that does.
_DRAWS = "randn_like"
_HANDED = f"[{_DRAWS}]"
#: Arguments that a caller always has: a condition that nothing here judges, and the dtype to compute in.
_BESIDE = ("class_labels", "labels", "dtype")


@dataclass(frozen=True)
class EdmSampler:
    """The call of a function in the idiom.

    Attributes:
        sampler: the function.
        given: options that no field stands for, fixed.
    """

    sampler: Callable[..., Any]
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
        """Run the function once, from unit normals to the sample; a generator feeds its ``randn_like``.

        Args:
            model: what stands in for the network.
            shape: of the sample.
            config: configuration of the reference.
            device: torch device.
            dtype: of the latents, and of the arithmetic where the function asks for one.
            generator: what every draw comes from; None for torch's global one.
        """
        import torch

        named = _parameters(self.sampler)
        values = config.values()
        options = {name: values[ours] for name, ours in _FIELDS.items() if name in named and ours in values}
        if "dtype" in named:
            options["dtype"] = dtype
        if generator is not None:

            def randn_like(like: Any) -> Any:
                return torch.randn(like.shape, device=like.device, dtype=like.dtype, generator=generator)

            options[_DRAWS] = randn_like
        needed = [one.name for one in list(named.values())[2:] if one.default is one.empty and one.name in _BESIDE]
        conditions = dict.fromkeys(one for one in needed if one not in options)
        latents = torch.randn(shape, device=device, dtype=dtype, generator=generator)
        return self.sampler(model, latents, **conditions, **options, **self.given)


def subjects(name: str, settings: Mapping[str, Any] | None = None) -> list[Subject]:
    """The subjects of a target: with the noise that a function draws, and, if it takes one, with a ``randn_like``.

    Args:
        name: ``PLACE:edm_sampler`` of a file or module; ``all``, or the file alone, for each that is in the idiom.
        settings: fields of the reference or arguments of the function, as ``--set key=value`` gives them.

    Raises:
        DeclarationError: for an unknown function, one that is not in the idiom, or an argument that it lacks.
        TargetError: where the file or module cannot be had.
    """
    module, wanted, place = _found(name)
    given = {key: typed(value) for key, value in (settings or {}).items()}
    if wanted != ALL:
        return _with_own_noise_and_given(module, wanted, place, given)
    names = _in_idiom(module)
    if not names:
        raise DeclarationError(
            f"{module.__name__} has no function in the idiom of NVlabs/edm: sampler(net, latents, …, num_steps=…, "
            "sigma_min=…, sigma_max=…, …)"
        )
    return [subject for one in names for subject in _with_own_noise_and_given(module, one, place, given)]


def unclaimed(name: str, settings: Mapping[str, Any] | None = None) -> tuple[Subject, str]:
    """A function as it runs, with no claim of what it is; and what it is given beside the number of steps, in words.

    Args:
        name: as :func:`subjects` takes it, of one function.
        settings: arguments of the function.

    Raises:
        DeclarationError: for an unknown function, one that is not in the idiom, or an argument that it lacks.
    """
    module, wanted, place = _found(name)
    sampler = _function(module, wanted)
    given = {key: typed(value) for key, value in (settings or {}).items()}
    for key in given:
        if key not in _parameters(sampler):
            raise DeclarationError(f"{wanted} takes no {key!r}; it takes {', '.join(_options(sampler))}")
    subject = Subject(
        function=EdmSampler(sampler, given),
        reference=NoReference,
        name=wanted,
        target=f"nvlabs_edm:{place}{wanted}",
        model_attributes=_network(),
        output_dtype=_output_dtype(sampler),
    )
    return subject, "given unit normals"


def remarks(name: str) -> tuple[str, ...]:
    """What is to be known of a target beside its verdicts: arguments that no field stands for.

    Args:
        name: as :func:`subjects` takes it.
    """
    module, wanted, _ = _found(name)
    names = _in_idiom(module) if wanted == ALL else [wanted.removesuffix(_HANDED)]
    told = []
    for one in names:
        beside = [key for key in _options(vars(module)[one]) if key not in (*_FIELDS, *_BESIDE, _DRAWS)]
        told += [f"{one}: {key} is left at its default: no field stands for it" for key in beside]
    return tuple(told)


def _found(name: str) -> tuple[ModuleType, str, str]:
    """The module, the function's name, and how a target begins that names another of its functions.

    Raises:
        DeclarationError: where a function is named without its file or module.
    """
    place, _, wanted = name.rpartition(":") if not name.endswith(".py") else (name, ":", ALL)
    if not place:
        raise DeclarationError(f"write the file or module too: nvlabs_edm:PATH.py:{wanted}")
    return module_at(place, f"nvlabs_edm:{name}"), wanted, f"{place}:"


def _parameters(sampler: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(sampler).parameters


def _options(sampler: Callable[..., Any]) -> list[str]:
    """What a caller may say beside network and latents."""
    return [one.name for one in list(_parameters(sampler).values())[2:] if one.kind is not one.VAR_KEYWORD]


def _in_idiom(module: ModuleType) -> list[str]:
    return [name for name, one in vars(module).items() if not name.startswith("_") and not _why_no_idiom(one)]


def _why_no_idiom(sampler: Any) -> str:
    """Why something cannot be called as the idiom says; empty where it can."""
    if not inspect.isfunction(sampler):
        return f"it is a {'class' if isinstance(sampler, type) else type(sampler).__name__}, not a function"
    if inspect.iscoroutinefunction(sampler) or inspect.isgeneratorfunction(sampler):
        return "it does not return a sample but a coroutine or generator"
    named = list(_parameters(sampler).values())
    shown = ", ".join(one.name for one in named[:4])
    if len(named) < 2 or any(one.kind is not one.POSITIONAL_OR_KEYWORD for one in named[:2]):
        return f"it takes ({shown}, …) and not (net, latents, …)"
    if missing := [one for one in _NEEDED if one not in _parameters(sampler)]:
        return f"it takes ({shown}, …) and no {' and no '.join(missing)}"
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [
        one.name
        for one in named[2:]
        if one.default is one.empty and one.kind not in kinds and one.name not in (*_FIELDS, *_BESIDE)
    ]
    return f"it needs {', '.join(needed)}, for which it has no default" if needed else ""


def _function(module: ModuleType, name: str) -> Callable[..., Any]:
    """A function of a module that is in the idiom.

    Raises:
        DeclarationError: where there is none of that name, or it is not.
    """
    sampler: Any = vars(module).get(name)
    if sampler is None:
        raise DeclarationError(
            f"{module.__name__} has no function {name!r}; in the idiom it has {', '.join(_in_idiom(module)) or 'none'}"
        )
    if why := _why_no_idiom(sampler):
        raise DeclarationError(f"{name} is not in the idiom: {why}")
    found: Callable[..., Any] = sampler
    return found


def _with_own_noise_and_given(module: ModuleType, wanted: str, place: str, given: Mapping[str, Any]) -> list[Subject]:
    """One subject, or two: what a function draws by itself is another line than the noise that it is handed.

    Raises:
        DeclarationError: as :func:`subjects` says.
    """
    name = wanted.removesuffix(_HANDED)
    sampler = _function(module, name)
    plain = _subject(sampler, name, place, given)
    if _DRAWS not in _parameters(sampler) or _DRAWS in given:
        if name != wanted:
            raise DeclarationError(f"{name} takes no {_DRAWS}")
        return [plain]
    handed = replace(plain, name=f"{name}{_HANDED}", target=f"{plain.target}{_HANDED}", takes_generator=True)
    return [handed] if name != wanted else [plain, handed]


def _subject(sampler: Callable[..., Any], name: str, place: str, given: Mapping[str, Any]) -> Subject:
    known = {f.name for f in fields(EDM)}
    named = _parameters(sampler)
    said = {_FIELDS.get(key, key): value for key, value in given.items()}
    for key in given:
        if key not in named and key not in known:
            raise DeclarationError(f"{name} takes no {key!r}; it takes {', '.join(_options(sampler))}")
    declared = {ours: value for theirs, ours in _FIELDS.items() if theirs in named for value in [_varied()[ours]]}
    # A function without the argument is Heun's; whoever has another says --set solver=euler.
    declared = {"solver": "heun", **declared, **{key: value for key, value in said.items() if key in known}}
    if given:
        try:
            declared = narrowed(EDM, declared)
        except NothingLegal as error:
            told = ", ".join(f"{key}={value}" for key, value in given.items())
            raise DeclarationError(f"{name} with {told}: {error}") from error
    return Subject(
        function=EdmSampler(sampler, {key: value for key, value in said.items() if key not in known}),
        reference=EDM,
        fields=declared,
        name=name,
        target=f"nvlabs_edm:{place}{name}",
        model_attributes=_network(),
        output_dtype=_output_dtype(sampler),
    )


def _varied() -> dict[str, Any]:
    """What is varied of each field; the released grid divides 0 by 0 with one step."""
    from hypothesis import strategies as st

    return {
        "num_steps": st.integers(2, 40),
        "sigma_min": st.floats(0.002, 0.05),
        "sigma_max": st.floats(5.0, 80.0),
        "rho": st.sampled_from([7.0, 3.0, 1.0]),
        "s_churn": st.floats(0.0, 40.0),
        "s_tmin": st.sampled_from([0.0, 0.5]),
        "s_tmax": st.sampled_from([float("inf"), 50.0]),
        "s_noise": st.sampled_from([1.0, 1.003]),
        "solver": st.sampled_from(["heun", "euler"]),
    }


def _network() -> dict[str, Any]:
    """What the idiom asks of its network beside calling it: no limit on its levels, and none of them rounded."""
    import torch

    return {"sigma_min": 0.0, "sigma_max": float("inf"), "round_sigma": torch.as_tensor}


def _output_dtype(sampler: Callable[..., Any]) -> str | None:
    """The dtype that a function returns where it does not say one: the release computes and returns float64.

    Context: EDM returns float64 whatever its latents are, EDM2 what its ``dtype`` says. Choice: a function without a
    ``dtype`` is asked once, on latents of zeros. Reversed by: programs that return different ones in different runs.
    """
    import torch

    if "dtype" in _parameters(sampler):
        return None

    class Net(torch.nn.Module):
        """Predicts zeros."""

        sigma_min, sigma_max, round_sigma = 0.0, float("inf"), staticmethod(torch.as_tensor)

        def forward(self, x: Any, *_: Any, **__: Any) -> Any:
            return torch.zeros_like(x)

    try:
        with torch.random.fork_rng(devices=[]):
            returned = EdmSampler(sampler)(
                Net(), (1, 1, 2, 2), EDM(num_steps=2), device=torch.device("cpu"), dtype=torch.float32
            )
    except Exception:  # the verdict tells what it raises
        return None
    return "float64" if getattr(returned, "dtype", None) is torch.float64 else None
