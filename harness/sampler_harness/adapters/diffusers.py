"""The schedulers of diffusers as subjects: ``diffusers:DDIMScheduler``.

One loop (``set_timesteps``, ``scale_model_input``, ``step``) runs any of them. Five have a reference, built from the
scheduler's own options; every option that changes numbers is mapped to a field of it or refused by name. Where a
scheduler is known to differ from its paper stands in :data:`KNOWN_DEVIATIONS` and in ``FINDINGS.md``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from sampler_harness.pinned import Expected
from sampler_harness.subject import DeclarationError, Subject

from .diffusers_deviations import KNOWN_DEVIATIONS, KnownDeviation
from .diffusers_loop import SchedulerLoop
from .diffusers_options import accepts, fields_from, names, parsed_settings, scheduler_class

__all__ = ["names", "subject", "subjects"]

_IMAGES = ((2, 3, 16, 16), (1, 1, 1, 1), (2, 1, 7, 5), (3, 4, 8, 2), (2, 3, 11), (2, 2, 3, 4, 5), (2, 17, 3, 3))


# What is varied: every option that is mapped, as far as the scheduler follows its paper.


def _chain_strategies() -> dict[str, Any]:
    from hypothesis import strategies as st

    return {
        "num_steps": st.integers(1, 1000),
        "num_train_timesteps": st.sampled_from([1000, 100]),
        "beta_start": st.sampled_from([1e-4, 8.5e-4]),
        "beta_end": st.sampled_from([0.02, 0.012]),
        "timestep_spacing": st.sampled_from(["leading", "linspace", "trailing"]),
        "steps_offset": st.sampled_from([0, 1]),
        "rescale_zero_terminal_snr": st.booleans(),
        "prediction": st.sampled_from(["epsilon", "x0", "v"]),
        "clip_denoised": st.booleans(),
        "clip_range": st.floats(0.5, 2.0),
        "threshold": st.sampled_from([None, 0.995, 0.75]),
        "threshold_max": st.sampled_from([1.0, 1.5]),
    }


def _ddpm() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners import DDPM

    return DDPM, {
        **_chain_strategies(),
        "beta_schedule": st.sampled_from(["linear", "scaled_linear", "cosine", "sigmoid"]),
        "variance": st.sampled_from(["fixed_small", "fixed_large"]),
        "variance_as_logarithm": st.booleans(),
    }


def _ddim() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners import DDIM

    return DDIM, {
        **_chain_strategies(),
        "beta_schedule": st.sampled_from(["linear", "scaled_linear", "cosine"]),
        "eta": st.floats(0.0, 1.0),
        "final_alpha_bar": st.sampled_from(["one", "first"]),
        "rederive_epsilon": st.booleans(),
    }


def _edm_euler() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners import EDMEuler

    return EDMEuler, {
        "num_steps": st.integers(1, 200),
        "sigma_min": st.floats(0.002, 0.1),
        "sigma_max": st.floats(0.5, 80.0),
        "rho": st.sampled_from([7.0, 3.0, 1.0]),
        "sigma_spacing": st.sampled_from(["karras", "exponential"]),
        "sigma_data": st.sampled_from([0.5, 0.25, 1.0]),
        "prediction": st.sampled_from(["epsilon", "v"]),
    }


def _euler() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners import EulerDiscrete

    return EulerDiscrete, {
        "num_steps": st.integers(1, 200),
        "num_train_timesteps": st.sampled_from([1000, 200]),
        "beta_schedule": st.sampled_from(["linear", "scaled_linear", "cosine"]),
        "beta_start": st.sampled_from([1e-4, 8.5e-4]),
        "beta_end": st.sampled_from([0.02, 0.012]),
        "rescale_zero_terminal_snr": st.booleans(),
        "timestep_spacing": st.sampled_from(["linspace", "leading", "trailing"]),
        "steps_offset": st.sampled_from([0, 1]),
        "sigma_spacing": st.sampled_from(["timesteps", "karras", "exponential"]),
        "sigma_min": st.sampled_from([None, 0.1]),
        "sigma_max": st.sampled_from([None, 2.0]),
        "prediction": st.sampled_from(["epsilon", "x0", "v"]),
        "continuous_time": st.booleans(),
    }


def _heun() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners import HeunDiscrete

    dropped = ("rescale_zero_terminal_snr", "sigma_min", "sigma_max", "continuous_time")
    fields = {name: value for name, value in _euler()[1].items() if name not in dropped}
    return HeunDiscrete, {
        **fields,
        "beta_schedule": st.sampled_from(["linear", "scaled_linear", "cosine", "exponential"]),
        "clip_denoised": st.booleans(),
        "clip_range": st.floats(0.5, 2.0),
    }


_REFERENCED: dict[str, Callable[[], tuple[type[Any], dict[str, Any]]]] = {
    "DDPMScheduler": _ddpm,
    "DDIMScheduler": _ddim,
    "EDMEulerScheduler": _edm_euler,
    "EulerDiscreteScheduler": _euler,
    "HeunDiscreteScheduler": _heun,
}


def subject(name: str, settings: Mapping[str, Any] | None = None) -> Subject:
    """A scheduler of diffusers as a subject.

    Where the settings ask for a corner of :data:`KNOWN_DEVIATIONS`, its subject comes, with what is expected to fail.

    Args:
        name: the class, as ``DDIMScheduler``; ``DDIMScheduler[NAME]`` asks for a known deviation by its name.
        settings: options of the constructor, of ``set_timesteps`` or of ``step``, as ``--set key=value`` gives them;
            ``known=NAME`` is another way to ask for a known deviation.

    Raises:
        DeclarationError: for an unknown scheduler, an unknown option, a value of the wrong kind, or an option that
            has no reference.
        ModuleNotFoundError: where diffusers is not installed.
    """
    given = dict(settings or {})
    name, wanted = _split_known(name, given)
    scheduler_class(name)
    options = parsed_settings(name, given)
    mine = [d for d in KNOWN_DEVIATIONS if d.scheduler == name]
    asked = [d for d in mine if (d.name == wanted if wanted is not None else d.is_asked_for(options))]
    if asked:
        return _deviating(max(asked, key=lambda d: len(d.settings)), options)
    if wanted is not None:
        known = ", ".join(d.name for d in mine) or "none"
        raise DeclarationError(f"{name} has no known deviation {wanted!r}; it has {known}")
    if name not in _REFERENCED:
        return _unreferenced(name, options)
    reference, strategies = _REFERENCED[name]()
    learned = options.get("variance_type") == "learned_range"
    return _subject(name, reference, {**strategies, **fields_from(name, options)}, options, learned=learned)


def _split_known(name: str, given: dict[str, Any]) -> tuple[str, str | None]:
    """The scheduler's class, and the known deviation that is asked for; taken out of the settings."""
    wanted = given.pop("known", None)
    bare, bracket, rest = name.partition("[")
    return (bare, rest.removesuffix("]")) if bracket else (bare, wanted)


def subjects(name: str, settings: Mapping[str, Any] | None = None) -> list[Subject]:
    """The scheduler's subject, and one for each known deviation that the settings leave open.

    Args:
        name: the class, as ``DDIMScheduler``.
        settings: as for :func:`subject`.

    Raises:
        DeclarationError: as for :func:`subject`.
    """
    first = subject(name, settings)
    if first.deviations or first.expected_failures:
        return [first]
    options = parsed_settings(name, dict(settings or {}))
    mine = [d for d in KNOWN_DEVIATIONS if d.scheduler == name]
    open_ones = [d for d in mine if all(options.get(o, v) == v for o, v in {**d.settings, **d.pinned}.items())]
    return [first, *(_deviating(deviation, options) for deviation in open_ones)]


def _deviating(deviation: KnownDeviation, options: Mapping[str, Any]) -> Subject:
    """The corner itself, held against what the release does there, so that nothing but the known deviation passes."""
    from hypothesis import strategies as st

    from .diffusers_released import RELEASED

    name = deviation.scheduler
    cornered, _ = _REFERENCED[name]()
    paper = cornered.__base__  # no corner is refused
    assert paper is not None
    varied = {field: values for field, values in deviation.varied.items() if field not in options}
    asked = {**{option: v for option, v in deviation.settings.items() if option not in varied}, **options}
    fields: dict[str, Any] = {"num_steps": st.sampled_from(deviation.steps)} if deviation.steps else {}
    fields |= {field: st.sampled_from(values) for field, values in varied.items()}
    fields |= fields_from(name, asked) | dict(deviation.fields)
    fields.pop("variance_as_logarithm", None)
    released = RELEASED.get(deviation.name)
    made = _subject(name, released or paper, fields, {**deviation.pinned, **asked}, learned=False)
    because = f"{deviation.reason} (FINDINGS.md, {deviation.name})"
    return dataclasses.replace(
        made,
        name=f"{name}[{deviation.name}]",
        target=f"diffusers:{name}[{deviation.name}]",
        paper=paper if released is not None else None,
        deviations={deviation.name: because} if released is not None else {},
        expected_failures={check: Expected(because, shows=shows) for check, shows in deviation.shows.items()},
        velocity=SchedulerLoop(name, asked).velocity if deviation.has_velocity else None,
        forward=made.forward if deviation.has_velocity else None,
        partial=None,
        dtypes=("float32",),
    )


def _subject(
    name: str, reference: type[Any], fields: Mapping[str, Any], options: Mapping[str, Any], *, learned: bool
) -> Subject:
    loop = SchedulerLoop(name, {k: v for k, v in options.items() if k != "num_inference_steps"})
    known_fields = {f.name for f in dataclasses.fields(reference)}
    unknown = [key for key in fields if key not in known_fields]
    if unknown:
        raise DeclarationError(f"{name}: {', '.join(unknown)} cannot be set: {reference.__name__} has no such field")
    is_chain = name in ("DDPMScheduler", "DDIMScheduler")
    return Subject(
        function=loop,
        reference=reference,
        fields=dict(fields),
        name=name,
        shapes=_IMAGES if is_chain else None,
        dtypes=("float32", "float16", "bfloat16"),
        takes_generator=True,
        model_channels=2 if learned else 1,
        forward=loop.forward,
        velocity=loop.velocity if is_chain else None,
        partial=loop.partial,
    )


def _unreferenced(name: str, options: Mapping[str, Any]) -> Subject:
    from hypothesis import strategies as st

    from .diffusers_corners import NoReference

    loop = SchedulerLoop(name, {k: v for k, v in options.items() if k != "num_inference_steps"})
    steps = options.get("num_inference_steps", st.integers(2, 50))
    return Subject(
        function=loop,
        reference=NoReference,
        fields={"num_steps": steps},
        name=name,
        shapes=_IMAGES,
        takes_generator="generator" in accepts(name, "step"),
    )
