"""Diffusions in the idiom of OpenAI's guided-diffusion: ``guided_diffusion:script_util.py:create_gaussian_diffusion``.

The idiom is an object with ``p_sample_loop(model, shape, clip_denoised=…)`` and ``ddim_sample_loop(…, eta=…)``, and a
function that makes it from ``noise_schedule``, ``predict_xstart``, ``learn_sigma``, ``timestep_respacing``: so write
improved-diffusion, guided-diffusion, DiT and programs after them. A target names that function, whose options are then
varied, or an object that is there: one chain, whose number of steps is varied where it can be spaced again.
``NAME.p_sample_loop`` and ``NAME.ddim_sample_loop`` are its two samplers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reference_samplers import DDIM, DDPM
from sampler_harness.importing import module_at
from sampler_harness.subject import DeclarationError, Subject

from .narrowed import NothingLegal, narrowed
from .no_reference import NoReference
from .typed import typed

if TYPE_CHECKING:
    import torch

__all__ = ["Diffusion", "remarks", "subjects", "unclaimed"]

#: Method to the reference that it claims to be.
_LOOPS: dict[str, type[Any]] = {"p_sample_loop": DDPM, "ddim_sample_loop": DDIM}
#: How the subject is called whose network has a second output.
_LEARNED = "[learn_sigma]"
#: What the number of timesteps is called, first in guided-diffusion and then in DiT.
_CHAIN = ("steps", "diffusion_steps")
#: Option that says which timesteps are visited, without which nothing of a chain can be varied.
_SPACING = "timestep_respacing"
#: Arguments that say what a field says.
_FIELDS = {"noise_schedule": "beta_schedule", "predict_xstart": "prediction", "sigma_small": "variance"}
#: Our name of a schedule to the names that programs have for it.
_SCHEDULES = {"linear": ("linear",), "cosine": ("cosine", "squaredcos_cap_v2")}
#: Numbers of steps of DDIM: "ddim50" strides from 0, which is "leading" where that divides the chain's.
_STRIDES = (2, 5, 8, 10, 25, 50)
#: Names of the objects' own kinds, as their enumerations have them.
_PREDICTIONS = {"EPSILON": "epsilon", "START_X": "x0"}
_VARIANCES = {
    "FIXED_SMALL": "fixed_small",
    "FIXED_LARGE": "fixed_large",
    "LEARNED_RANGE": "learned_range",
    "LEARNED": "learned",
}


@dataclass(frozen=True)
class Diffusion:
    """A run of one of the two loops.

    Attributes:
        made: the diffusion of a configuration.
        loop: name of the method.
        code: modules that it is written in, for whoever asks what a change may have changed.
    """

    made: Callable[[Any], Any]
    loop: str
    code: tuple[str, ...] = ()

    def __call__(
        self, model: Any, shape: tuple[int, ...], config: Any, *, device: torch.device, dtype: torch.dtype
    ) -> Any:
        """Run the loop once, from its own noise to the sample.

        Args:
            model: what stands in for the network.
            shape: of the sample.
            config: configuration of the reference.
            device: torch device.
            dtype: the loops have none: they draw in torch's default.
        """
        values = config.values()
        options = {name: values[name] for name in ("clip_denoised", "eta") if name in values}
        sampler = getattr(self.made(config), self.loop)
        named = inspect.signature(sampler).parameters
        if "eta" not in named:
            options.pop("eta", None)
        return sampler(model, shape, device=device, **({} if isinstance(config, NoReference) else options))


@dataclass(frozen=True)
class _Maker:
    """A function that makes a diffusion from options.

    Attributes:
        function: of the module.
        given: options that are fixed.
    """

    function: Callable[..., Any]
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> Mapping[str, inspect.Parameter]:
        """What it takes."""
        return inspect.signature(self.function).parameters

    def of(self, config: Any) -> Any:
        """The diffusion of a configuration."""
        values = config.values()
        said = {
            _SPACING: str(config.num_steps),
            "predict_xstart": values["prediction"] == "x0",
            "noise_schedule": self.schedules.get(values["beta_schedule"]),
        }
        said |= dict.fromkeys(_CHAIN, values["num_train_timesteps"])
        if "variance" in values:
            said |= {
                "sigma_small": values["variance"] == "fixed_small",
                "learn_sigma": values["variance"] == "learned_range",
            }
        else:
            said |= {"learn_sigma": False}
        if values.get("timestep_spacing") == "leading":
            said[_SPACING] = f"ddim{config.num_steps}"
        options = {name: value for name, value in said.items() if name in self.options and value is not None}
        return self.function(**{**options, **self.given})

    @cached_property
    def schedules(self) -> dict[str, str]:
        """Our names of the schedules that it knows, each with its own; it is asked for each."""
        found: dict[str, str] = {}
        for ours, names in _SCHEDULES.items() if "noise_schedule" in self.options else ():
            for theirs in names:
                try:
                    self.function(**{_SPACING: "", **self.given, "noise_schedule": theirs})
                except Exception:  # whatever it says of a name that it does not know
                    continue
                found[ours] = theirs
                break
        return found

    @cached_property
    def plain(self) -> Any:
        """The whole chain with no option but those that are fixed: its table and kinds, where no option says them."""
        learned = {"learn_sigma": False} if "learn_sigma" in self.options else {}
        return self.function(**{_SPACING: "", **learned, **self.given})


def subjects(name: str, settings: Mapping[str, Any] | None = None) -> list[Subject]:
    """The subjects of a target: both loops, each with the variances that it has.

    Args:
        name: ``PLACE:NAME`` of a function that makes a diffusion or of a diffusion, with ``.p_sample_loop`` or
            ``.ddim_sample_loop`` behind it for one of them.
        settings: fields of the reference or options of the function, as ``--set key=value`` gives them.

    Raises:
        DeclarationError: for what is neither, or an option that it lacks.
        TargetError: where the file or module cannot be had.
    """
    there, place, wanted, loop = _found(name)
    given = {key: typed(value) for key, value in (settings or {}).items()}
    learned = loop.endswith(_LEARNED)
    loops = [loop.removesuffix(_LEARNED)] if loop else list(_LOOPS)
    found: list[Subject] = []
    for one in loops:
        target = f"guided_diffusion:{place}{wanted}.{one}"
        found += _of_object(there, one, target, given) if _is_diffusion(there) else _of_maker(there, one, target, given)
    if learned:
        found = [one for one in found if one.name.endswith(_LEARNED)]
    if not found:
        raise DeclarationError(f"{wanted} has no option learn_sigma")
    return found


def unclaimed(name: str, settings: Mapping[str, Any] | None = None) -> tuple[Subject, str]:
    """One loop as it runs, with no claim of what it is; and the chain that it is of, in words.

    Args:
        name: as :func:`subjects` takes it, with the loop.
        settings: options of the function that makes the diffusion.

    Raises:
        DeclarationError: for what is neither, or where no loop is named.
    """
    there, place, wanted, loop = _found(name)
    if not loop:
        raise DeclarationError(f"name the loop too: {' or '.join(f'{wanted}.{one}' for one in _LOOPS)}")
    given = {key: typed(value) for key, value in (settings or {}).items()}
    target = f"guided_diffusion:{place}{wanted}.{loop}"
    if _is_diffusion(there):
        run, told = Diffusion(lambda _: there, loop), f"all {len(there.betas)} of its timesteps"
    else:
        maker = _Maker(there, given)
        unknown = [key for key in given if key not in maker.options]
        if unknown:
            raise DeclarationError(f"{wanted} has no option {unknown[0]!r}; it has {', '.join(maker.options)}")
        run = Diffusion(lambda config: there(**{**given, _SPACING: str(config.num_steps)}), loop)
        told = f"given {_SPACING}=num_steps"
    return Subject(function=run, reference=NoReference, name=f"{wanted}.{loop}", target=target), told


def remarks(name: str) -> tuple[str, ...]:
    """What is to be known of a target beside its verdicts: options that no field stands for.

    Args:
        name: as :func:`subjects` takes it.
    """
    there, _, wanted, _ = _found(name)
    if _is_diffusion(there):
        return ()
    known = {*_CHAIN, *_FIELDS, _SPACING, "learn_sigma"}
    beside = [one for one in _Maker(there).options if one not in known]
    return tuple(f"{wanted}: {one} is left at its default: no field stands for it" for one in beside)


def _found(name: str) -> tuple[Any, str, str, str]:
    """What a target names, how it begins, the name in the module, and the loop, which may be empty.

    Raises:
        DeclarationError: where it is nothing that makes or is a diffusion.
    """
    place, _, attribute = name.rpartition(":")
    if not place:
        raise DeclarationError(f"write the file or module too: guided_diffusion:PATH.py:{attribute}")
    wanted, _, loop = attribute.partition(".")
    if loop and loop.removesuffix(_LEARNED) not in _LOOPS:
        raise DeclarationError(f"{loop} is none of the loops that are known: {', '.join(_LOOPS)}")
    module = module_at(place, f"guided_diffusion:{name}")
    there = vars(module).get(wanted)
    if there is None:
        raise DeclarationError(f"{module.__name__} has no {wanted!r}")
    if _is_diffusion(there):
        return there, f"{place}:", wanted, loop
    if not inspect.isfunction(there) or _SPACING not in inspect.signature(there).parameters:
        raise DeclarationError(
            f"{wanted} is no diffusion (an object with {' and '.join(_LOOPS)}) and no function that makes one "
            f"(with an option {_SPACING})"
        )
    return there, f"{place}:", wanted, loop


def _is_diffusion(value: Any) -> bool:
    return not isinstance(value, type) and all(callable(getattr(value, loop, None)) for loop in _LOOPS)


def _of_maker(function: Callable[..., Any], loop: str, target: str, given: Mapping[str, Any]) -> list[Subject]:
    """One subject, or two where the variance may be learned: those networks have a second output.

    Raises:
        DeclarationError: for options that it lacks, or that go with nothing.
    """
    reference = _LOOPS[loop]
    known = {f.name for f in fields(reference)}
    options = inspect.signature(function).parameters
    name = target.rpartition(":")[2]
    for key in given:
        if key in _FIELDS or key in (*_CHAIN, _SPACING):
            raise DeclarationError(f"{key} is what the reference's {_ours(key)} says: --set {_ours(key)}=…")
        if key == "learn_sigma":
            raise DeclarationError(f"a network with two outputs is a target of its own: {name}{_LEARNED}")
        if key not in known and key not in options:
            raise DeclarationError(f"{name} has no option {key!r}; it has {', '.join((*options, *sorted(known)))}")
    maker = _Maker(function, {key: value for key, value in given.items() if key not in known})
    run = Diffusion(maker.of, loop, (function.__module__,))
    declared = _declared(maker, loop, {key: value for key, value in given.items() if key in known}, target)
    plain = Subject(function=run, reference=reference, fields=declared, name=name, target=target)
    if "learn_sigma" not in options or reference is DDIM:  # whose steps have no use for a second output
        return [plain]
    second = {**declared, "variance": "learned_range"}
    learned = replace(plain, fields=second, model_channels=2, name=f"{name}{_LEARNED}", target=f"{target}{_LEARNED}")
    return [plain, learned]


def _ours(option: str) -> str:
    if option in _CHAIN:
        return "num_train_timesteps"
    return "num_steps" if option == _SPACING else _FIELDS[option]


def _declared(maker: _Maker, loop: str, asked: Mapping[str, Any], target: str) -> dict[str, Any]:
    """The fields, varied as far as the function has an option for each.

    Raises:
        DeclarationError: where what was asked for goes with nothing.
    """
    from hypothesis import strategies as st

    is_ddim = loop == "ddim_sample_loop"
    declared: dict[str, Any] = {
        "num_steps": st.sampled_from(_STRIDES) if is_ddim else st.integers(2, 50),
        "timestep_spacing": "leading" if is_ddim else "respaced",
        "clip_denoised": st.booleans(),
    }
    schedules = list(maker.schedules)
    if len(schedules) > 1:
        declared["beta_schedule"] = st.sampled_from(schedules)
    elif not schedules:
        declared["betas"] = _table(maker.plain)
    prediction, variance = _kinds(maker.plain)
    can_say = "predict_xstart" in maker.options
    declared["prediction"] = st.sampled_from(["epsilon", "x0"]) if can_say else prediction
    if is_ddim:
        declared["eta"] = st.floats(0.0, 1.0)
    else:
        can_say = "sigma_small" in maker.options
        declared["variance"] = st.sampled_from(["fixed_small", "fixed_large"]) if can_say else variance
    declared |= asked
    if not asked:
        return declared
    try:
        return narrowed(_LOOPS[loop], declared)
    except NothingLegal as error:
        told = ", ".join(f"{key}={value}" for key, value in asked.items())
        raise DeclarationError(f"{target} with {told}: {error}") from error


def _of_object(diffusion: Any, loop: str, target: str, given: Mapping[str, Any]) -> list[Subject]:
    """A diffusion that is there: its table, prediction and variance are read off it.

    Raises:
        DeclarationError: where it is of a kind that has no reference, or something was asked for that it fixes.
    """
    from hypothesis import strategies as st

    prediction, variance = _kinds(diffusion)
    kind = type(diffusion).__name__
    betas = _table(diffusion)
    chain = getattr(diffusion, "original_num_steps", len(betas))
    if getattr(diffusion, "rescale_timesteps", False) and chain != 1000:
        raise DeclarationError(f"{kind} of {chain} timesteps tells its model times of 1000: no field stands for that")
    again = _spaced_again(diffusion) if chain == len(betas) else None
    declared: dict[str, Any] = {"prediction": prediction, "clip_denoised": st.booleans()}
    strides = [steps for steps in _STRIDES if chain % steps == 0 and steps < chain]
    if again is not None and loop == "ddim_sample_loop" and strides:
        declared |= {"betas": betas, "timestep_spacing": "leading", "num_steps": st.sampled_from(strides)}
    elif again is not None and loop == "p_sample_loop" and chain > 2:
        declared |= {"betas": betas, "timestep_spacing": "respaced", "num_steps": st.integers(2, min(50, chain))}
    elif chain == len(betas):
        declared |= {"betas": betas, "num_steps": chain}
    else:
        visited = [int(t) for t in diffusion.timestep_map]
        declared |= {"betas": _between(betas, visited, chain), "timesteps": tuple(reversed(visited))}
    declared |= {"variance": variance} if loop == "p_sample_loop" else {"eta": st.floats(0.0, 1.0)}
    asked = dict(given)
    if fixed := [key for key in asked if key not in ("num_steps", "clip_denoised", "eta") or key not in declared]:
        raise DeclarationError(f"{fixed[0]} is the object's own: name the function that makes it")
    made = again if again is not None and "timestep_spacing" in declared else lambda _: diffusion
    return [
        Subject(
            function=Diffusion(made, loop, (type(diffusion).__module__,)),
            reference=_LOOPS[loop],
            fields={**declared, **asked},
            name=target.rpartition(":")[2],
            target=target,
            model_channels=2 if variance in ("learned", "learned_range") else 1,
        )
    ]


def _table(diffusion: Any) -> tuple[float, ...]:
    return tuple(float(beta) for beta in diffusion.betas)


def _kinds(diffusion: Any) -> tuple[str, str]:
    """Our names of what its model predicts and of its variance.

    Raises:
        DeclarationError: where one of them has no reference.
    """
    mean, variance = (getattr(diffusion, name, None) for name in ("model_mean_type", "model_var_type"))
    if getattr(mean, "name", "") not in _PREDICTIONS or getattr(variance, "name", "") not in _VARIANCES:
        raise DeclarationError(
            f"{type(diffusion).__name__} has no reference: model_mean_type is {mean} and model_var_type {variance}"
        )
    return _PREDICTIONS[mean.name], _VARIANCES[variance.name]  # type: ignore[union-attr]


def _spaced_again(diffusion: Any) -> Callable[[Any], Any] | None:
    """Makes the same chain with other timesteps left out, where its class can: it takes ``use_timesteps``."""
    kind = type(diffusion)
    if "use_timesteps" not in inspect.signature(kind).parameters:
        return None
    kept = ("betas", "model_mean_type", "model_var_type", "loss_type", "rescale_timesteps")
    options = {name: getattr(diffusion, name) for name in kept if name in vars(diffusion)}

    def made(config: Any) -> Any:
        return kind(use_timesteps=set(config.grid), **options)

    return made


def _between(betas: tuple[float, ...], visited: list[int], chain: int) -> tuple[float, ...]:
    """A whole table that is the object's at the timesteps which it visits: the others are laid evenly between them."""
    full: list[float] = []
    for k, (beta, t) in enumerate(zip(betas, visited, strict=True)):
        gap = t - (visited[k - 1] if k else -1)
        full += [1 - (1 - beta) ** (1 / gap)] * gap
    full += [full[-1]] * (chain - len(full))
    return tuple(full)
