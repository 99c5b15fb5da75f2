"""The schedulers of diffusers as subjects: ``diffusers:DDIMScheduler``.

One loop (``set_timesteps``, ``scale_model_input``, ``step``) runs any of them. Five have a reference, built from the
scheduler's own options; every option that changes numbers is mapped to a field of it or refused by name. Where a
scheduler is known to differ from its paper stands in :data:`KNOWN_DEVIATIONS` and in ``FINDINGS.md``.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import importlib
import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sampler_harness.subject import DeclarationError, Subject

from .diffusers_deviations import KNOWN_DEVIATIONS, KnownDeviation
from .names import DIFFUSERS_PREDICTIONS, DIFFUSERS_SCHEDULES

if TYPE_CHECKING:
    import torch

__all__ = ["KNOWN_DEVIATIONS", "KnownDeviation", "SchedulerLoop", "names", "subject", "subjects"]

#: What ``step`` takes besides the sample, as a field of the same name.
_STEP_FIELDS = ("eta", "s_churn", "s_tmin", "s_tmax", "s_noise")
#: Options that are no constructor's: they go to ``set_timesteps`` or ``step``.
_RUN_OPTIONS: dict[str, Any] = {
    "num_inference_steps": 10,
    "timesteps": (),
    "sigmas": (),
    "eta": 0.0,
    "use_clipped_model_output": False,
    "s_churn": 0.0,
    "s_tmin": 0.0,
    "s_tmax": float("inf"),
    "s_noise": 1.0,
}


#: Options that are one field of the reference: which, and what its values are called in diffusers where not the same.
_MAPPED: dict[str, tuple[str, Mapping[Any, Any]]] = {
    "num_train_timesteps": ("num_train_timesteps", {}),
    "beta_schedule": ("beta_schedule", DIFFUSERS_SCHEDULES),
    "beta_start": ("beta_start", {}),
    "beta_end": ("beta_end", {}),
    "timestep_spacing": ("timestep_spacing", {}),
    "steps_offset": ("steps_offset", {}),
    "sigma_data": ("sigma_data", {}),
    "rho": ("rho", {}),
    "sigma_min": ("sigma_min", {}),
    "sigma_max": ("sigma_max", {}),
    "sigma_schedule": ("sigma_spacing", {}),
    "prediction_type": ("prediction", DIFFUSERS_PREDICTIONS),
    "rescale_betas_zero_snr": ("rescale_zero_terminal_snr", {}),
    "clip_sample": ("clip_denoised", {}),
    "clip_sample_range": ("clip_range", {}),
    "set_alpha_to_one": ("final_alpha_bar", {"one": True, "first": False}),
    "timestep_type": ("continuous_time", {True: "continuous", False: "discrete"}),
    "use_clipped_model_output": ("rederive_epsilon", {}),
    **{name: (name, {}) for name in _STEP_FIELDS},
}
_IMAGES = ((2, 3, 16, 16), (1, 1, 1, 1), (2, 1, 7, 5), (3, 4, 8, 2), (2, 3, 11), (2, 2, 3, 4, 5), (2, 17, 3, 3))


def _library() -> Any:
    """Import diffusers, whose own imports may warn.

    Raises:
        ModuleNotFoundError: where the extra is not installed; one sentence that says how to install it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("diffusers.schedulers")
        except ModuleNotFoundError as error:
            if error.name is None or not error.name.startswith("diffusers"):
                raise
            raise ModuleNotFoundError(
                'the schedulers of diffusers need its package: pip install "sampler-harness[diffusers]"',
                name="diffusers",
            ) from error


@functools.cache
def names() -> tuple[str, ...]:
    """Every scheduler class that the installed diffusers exports."""
    library = _library()
    return tuple(
        sorted(n for n in dir(library) if n.endswith("Scheduler") and not n.startswith(("Flax", "Karras", "AyS")))
    )


@functools.cache
def _scheduler_class(name: str) -> type[Any]:
    library = _library()
    if name not in names():
        close = difflib.get_close_matches(name, names(), n=3, cutoff=0.5)
        hint = f"; close: {', '.join(close)}" if close else f"; it has {', '.join(names())}"
        raise DeclarationError(f"diffusers has no scheduler {name!r}{hint}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found: type[Any] = getattr(library, name)
            inspect.signature(found.__init__)
        except (AttributeError, ImportError) as error:
            reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise DeclarationError(f"diffusers lists {name} and cannot give it: {reason.strip()}") from error
    return found


@functools.cache
def _constructor_options(name: str) -> dict[str, Any]:
    """Option to default, of the scheduler's constructor."""
    parameters = inspect.signature(_scheduler_class(name).__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD}


@functools.cache
def _accepts(name: str, method: str) -> frozenset[str]:
    function = getattr(_scheduler_class(name), method, None)
    return frozenset(inspect.signature(function).parameters) if function is not None else frozenset()


@functools.cache
def _known_options(name: str) -> dict[str, Any]:
    """Everything that ``--set`` may name for a scheduler, with its default."""
    run = _accepts(name, "step") | _accepts(name, "set_timesteps")
    run_options = {option: default for option, default in _RUN_OPTIONS.items() if option in run}
    return {**_constructor_options(name), **run_options}


def _parsed(name: str, option: str, text: Any, default: Any) -> Any:
    """The value of an option that was typed as text, held to the kind of its default.

    Raises:
        DeclarationError: where the text is of another kind.
    """
    value = text
    if isinstance(text, str):
        lowered = text.strip().lower()
        if lowered in ("true", "false"):
            value = lowered == "true"
        elif lowered in ("none", "null"):
            value = None
        elif lowered in ("inf", "infinity"):
            value = float("inf")
        else:
            try:
                value = ast.literal_eval(text.strip())
            except (ValueError, SyntaxError):
                value = text.strip()
    wanted: str | None = None
    if isinstance(default, bool) and not isinstance(value, bool):
        wanted = "true or false"
    elif isinstance(default, int) and not isinstance(default, bool):
        wanted = None if isinstance(value, int) and not isinstance(value, bool) else "a whole number"
    elif isinstance(default, float):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        wanted, value = (None, float(value)) if is_number else ("a number", value)
    elif isinstance(default, str) and not isinstance(value, str):
        wanted = "a name"
    elif isinstance(default, tuple) or option == "trained_betas":
        value = (value,) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        if not isinstance(value, (tuple, list)) or not all(
            isinstance(v, (int, float)) and not isinstance(v, bool) for v in value
        ):
            wanted = "numbers with commas between them"
        else:
            value = tuple(value)
    if wanted is not None:
        raise DeclarationError(f"{name}: {option}={text} should be {wanted}")
    return value


def _parsed_settings(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    known = _known_options(name)
    parsed = {}
    for option, text in settings.items():
        if option not in known:
            close = difflib.get_close_matches(option, known, n=3, cutoff=0.5)
            hint = f"; close: {', '.join(close)}" if close else f"; it has {', '.join(known)}"
            raise DeclarationError(f"{name} has no option {option!r}{hint}")
        parsed[option] = _parsed(name, option, text, known[option])
    return parsed


# From a configuration of the reference to what the scheduler is given.


def _options_from(config: Any) -> dict[str, Any]:
    """The reference's fields in diffusers' words; what a scheduler has no option for is dropped by the caller."""
    fields = config.values()
    options = {
        option: theirs.get(fields[name], fields[name]) for option, (name, theirs) in _MAPPED.items() if name in fields
    }
    if "betas" in fields:
        options["trained_betas"] = None if config.betas is None else list(config.betas)
    if "threshold" in fields:
        options["thresholding"] = config.threshold is not None
        if config.threshold is not None:
            options |= {"dynamic_thresholding_ratio": config.threshold, "sample_max_value": config.threshold_max}
    if "variance" in fields:
        logarithm = "_log" if fields.get("variance_as_logarithm") else ""
        options["variance_type"] = config.variance + logarithm
    if "sigma_spacing" in fields:
        options |= {f"use_{name}_sigmas": config.sigma_spacing == name for name in ("karras", "exponential", "beta")}
    return options


@dataclass(frozen=True)
class SchedulerLoop:
    """The generic loop around a scheduler.

    Attributes:
        name: the scheduler's class.
        pinned: options as the user gave them; they win over what the configuration says.
    """

    name: str
    pinned: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> tuple[str, ...]:
        """Modules that the scheduler is written in, for whoever asks what a change may have changed."""
        return (_scheduler_class(self.name).__module__,)

    def build(self, config: Any) -> Any:
        """The scheduler with the configuration's options."""
        accepted = _constructor_options(self.name)
        options = {**_options_from(config), **self.pinned}
        given = {k: list(v) if isinstance(v, tuple) else v for k, v in options.items() if k in accepted}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _scheduler_class(self.name)(**given)

    def start(self, config: Any, device: Any) -> Any:
        """A scheduler with its grid laid out on the device."""
        import torch

        scheduler = self.build(config)
        accepted = _accepts(self.name, "set_timesteps")
        arguments: dict[str, Any] = {"device": device} if "device" in accepted else {}
        for option in ("timesteps", "sigmas"):
            by_hand = self.pinned.get(option, config.values().get(option))
            if by_hand is not None:
                arguments[option] = list(by_hand)
                if option == "sigmas" and self.name == "EDMEulerScheduler":
                    arguments[option] = torch.tensor(by_hand)  # it says a list will do, and asks it for its dtype
                break
        else:
            steps = self.pinned.get("num_inference_steps", config.values().get("num_steps"))
            arguments["num_inference_steps"] = config.num_train_timesteps if steps is None else steps
        scheduler.set_timesteps(**arguments)
        return scheduler

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
        """Run the scheduler once, from noise to the sample."""
        import torch

        scheduler = self.start(config, device)
        x = torch.randn(shape, generator=generator, device=device, dtype=dtype)
        x = x * getattr(scheduler, "init_noise_sigma", 1.0)
        return self._walk(scheduler, scheduler.timesteps, model, x, config, generator)

    def partial(
        self, model: Any, x: Any, config: Any, index: int, *, device: Any, dtype: Any, generator: Any = None
    ) -> Any:
        """A run that starts at entry ``index`` of the grid, as image-to-image does it.

        Args:
            model: what stands in for the network.
            x: state at that entry, as the scheduler keeps it.
            config: configuration of the reference.
            index: entry of the grid, 0 for the whole run.
            device: torch device.
            dtype: torch dtype.
            generator: what every draw comes from.
        """
        scheduler = self.start(config, device)
        first = index * scheduler.order
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(first)
        return self._walk(scheduler, scheduler.timesteps[first:], model, x, config, generator)

    def forward(self, x0: Any, draw: Any, config: Any, index: int, *, device: Any, dtype: Any) -> Any:
        """The scheduler's own noising at entry ``index``: as training calls it and as image-to-image does.

        Raises:
            ValueError: where the two ways differ.
        """
        import torch

        noised = []
        for image_to_image in (False, True):
            scheduler = self.start(config, device)
            if image_to_image:
                if not hasattr(scheduler, "set_begin_index"):
                    break
                scheduler.set_begin_index(index * scheduler.order)
            method = scheduler.add_noise if hasattr(scheduler, "add_noise") else scheduler.scale_noise
            noised.append(method(x0, draw, self._times(scheduler, index, x0)))
        if len(noised) == 2 and not torch.equal(noised[0], noised[1]):
            raise ValueError("add_noise differs after set_begin_index, which image-to-image calls first")
        return noised[0]

    def velocity(self, x0: Any, draw: Any, config: Any, index: int, *, device: Any, dtype: Any) -> Any:
        """The scheduler's ``get_velocity`` at entry ``index``."""
        scheduler = self.start(config, device)
        return scheduler.get_velocity(x0, draw, self._times(scheduler, index, x0))

    def _times(self, scheduler: Any, index: int, x0: Any) -> Any:
        time = scheduler.timesteps[index * scheduler.order]
        return time.repeat(x0.shape[0])

    def _walk(self, scheduler: Any, timesteps: Any, model: Any, x: Any, config: Any, generator: Any) -> Any:
        accepted = _accepts(self.name, "step")
        arguments: dict[str, Any] = {"generator": generator} if "generator" in accepted else {}
        for name in _STEP_FIELDS:
            value = self.pinned.get(name, config.values().get(name))
            if name in accepted and value is not None:
                arguments[name] = value
        if "use_clipped_model_output" in accepted and "rederive_epsilon" in config.values():
            rederive = self.pinned.get("use_clipped_model_output", config.rederive_epsilon)
            arguments["use_clipped_model_output"] = rederive
        for timestep in timesteps:
            seen = scheduler.scale_model_input(x, timestep) if hasattr(scheduler, "scale_model_input") else x
            output = model(seen, timestep)
            x = scheduler.step(output, timestep, x, **arguments).prev_sample
        return x


# From options that a user gave to fields of the reference.


def _refused(name: str, option: str, value: Any, reason: str) -> DeclarationError:
    return DeclarationError(f"{name}: {option}={value} has no reference here: {reason}")


_ENDS_AT_ZERO = "the references end at noise level 0, and with sigma_min the run ends above it"
_NO_PAPER = "no paper says what it should do"
#: Options by value that cannot be mapped, with the reason.
_REFUSED: dict[tuple[str, Any], str] = {
    ("variance_type", "learned"): (
        "diffusers takes the model's second output for the variance itself and NaN follows where it is negative; the "
        "reference takes it for the logarithm, as the paper's released code does"
    ),
    ("final_sigmas_type", "sigma_min"): _ENDS_AT_ZERO,
    ("beta_schedule", "exp"): f"{_NO_PAPER}, and only Heun documents it",
}


def _fields_from(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The reference's fields that options fix.

    Raises:
        DeclarationError: names an option that has no counterpart, and why.
    """
    fields: dict[str, Any] = {}
    for option, value in options.items():
        reason = _REFUSED.get((option, value if not isinstance(value, (list, tuple)) else None))
        if reason is not None and not (option == "beta_schedule" and name == "HeunDiscreteScheduler"):
            raise _refused(name, option, value, reason)
        is_v = options.get("prediction_type", "v_prediction") == "v_prediction"
        if option == "timestep_type" and value == "continuous" and not is_v:
            reason = "diffusers has no effect of it unless prediction_type=v_prediction, and says nothing"
            raise _refused(name, option, value, reason)
        if option == "num_train_timesteps" and name == "EDMEulerScheduler":
            continue  # it lays out the levels before set_timesteps, which no run uses
        if option == "num_inference_steps":
            fields["num_steps"] = value
        elif option == "sigmas" and name == "EDMEulerScheduler":
            fields |= {"sigmas": (*value, 0.0), "num_steps": len(value)}  # the scheduler adds the final 0
        elif option in ("timesteps", "sigmas"):
            fields[option] = value
            fields["num_steps"] = None
        elif option == "beta_schedule" and value == "laplace" and name == "DDPMScheduler":
            from reference_samplers.processes.betas import laplace_betas

            fields["betas"] = tuple(laplace_betas(options.get("num_train_timesteps", 1000)).tolist())
        elif option == "trained_betas":
            fields["betas"] = value
            if value is not None:
                fields |= {"num_train_timesteps": len(value), "beta_schedule": "linear"}
                fields |= {"beta_start": 1e-4, "beta_end": 0.02}
        elif option == "thresholding":
            ratio = options.get("dynamic_thresholding_ratio", 0.995)
            fields["threshold"] = ratio if value else None
        elif option == "dynamic_thresholding_ratio":
            if options.get("thresholding") is not False:
                fields["threshold"] = value
        elif option == "sample_max_value":
            fields["threshold_max"] = value
        elif option == "variance_type":
            fields["variance"] = value.removesuffix("_log")
            fields["variance_as_logarithm"] = value.endswith("_log")
        elif option in ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"):
            spacing = option.split("_")[1]
            if value:
                fields["sigma_spacing"] = spacing
            else:
                fields.setdefault("sigma_spacing", "timesteps")
        elif option in _MAPPED:
            field_name, theirs = _MAPPED[option]
            fields[field_name] = next((ours for ours, called in theirs.items() if called == value), value)
        elif option not in ("interpolation_type", "final_sigmas_type"):
            raise DeclarationError(f"{name}: {option} has no counterpart in the reference; leave it at its default")
    return fields


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
    _scheduler_class(name)
    options = _parsed_settings(name, given)
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
    return _subject(name, reference, {**strategies, **_fields_from(name, options)}, options, learned=learned)


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
    if first.expected_failures:
        return [first]
    options = _parsed_settings(name, dict(settings or {}))
    mine = [d for d in KNOWN_DEVIATIONS if d.scheduler == name]
    open_ones = [d for d in mine if all(options.get(o, v) == v for o, v in {**d.settings, **d.pinned}.items())]
    return [first, *(_deviating(deviation, options) for deviation in open_ones)]


def _deviating(deviation: KnownDeviation, options: Mapping[str, Any]) -> Subject:
    """The corner itself: only the number of steps is varied, so that what fails is the same every time."""
    from hypothesis import strategies as st

    name = deviation.scheduler
    cornered, _ = _REFERENCED[name]()
    reference = cornered.__base__  # no corner is refused
    assert reference is not None
    asked = {**deviation.settings, **options}
    fields: dict[str, Any] = {"num_steps": st.sampled_from(deviation.steps)} if deviation.steps else {}
    fields |= _fields_from(name, asked) | dict(deviation.fields)
    fields.pop("variance_as_logarithm", None)
    made = _subject(name, reference, fields, {**deviation.pinned, **asked}, learned=False)
    because = f"{deviation.reason} (FINDINGS.md, {deviation.name})"
    return dataclasses.replace(
        made,
        name=f"{name}[{deviation.name}]",
        target=f"diffusers:{name}[{deviation.name}]",
        expected_failures=dict.fromkeys(deviation.expected, because),
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
        takes_generator="generator" in _accepts(name, "step"),
    )
