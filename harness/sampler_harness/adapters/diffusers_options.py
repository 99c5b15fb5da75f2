"""The options of diffusers' schedulers: their values as text, and the fields of references that they are."""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from sampler_harness.subject import DeclarationError

from .diffusers_defaults import DOCUMENTED, left_out
from .names import DIFFUSERS_PREDICTIONS, DIFFUSERS_SCHEDULES

__all__ = [
    "COUNTS_THE_END",
    "STEP_FIELDS",
    "accepts",
    "constructor_options",
    "fields_from",
    "known_options",
    "names",
    "options_from",
    "parsed_settings",
    "scheduler_class",
]

#: Schedulers whose number of steps counts where the run ends, too: n of them are n - 1 calls.
COUNTS_THE_END = ("MiniMaxH3Scheduler",)
#: What ``step`` takes besides the sample, as a field of the same name.
STEP_FIELDS = ("eta", "s_churn", "s_tmin", "s_tmax", "s_noise")
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
    "mu": None,
    "max_timesteps": 1.57080,
    "intermediate_timesteps": 1.3,
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
    "clip_denoised": ("clip_denoised", {}),
    "clip_sample_range": ("clip_range", {}),
    "set_alpha_to_one": ("final_alpha_bar", {"one": True, "first": False}),
    "final_sigmas_type": ("final_level", {}),
    "timestep_type": ("continuous_time", {True: "continuous", False: "discrete"}),
    "use_clipped_model_output": ("rederive_epsilon", {}),
    "original_inference_steps": ("original_steps", {}),
    "timestep_scaling": ("timestep_scaling", {}),
    "shift": ("shift", {}),
    "snr": ("snr", {}),
    "scaler": ("scaler", {}),
    "s": ("s", {}),
    "sampling_eps": ("eps", {}),
    "correct_steps": ("num_corrector_steps", {}),
    "snr_shift_scale": ("snr_shift", {}),
    "time_shift_type": ("time_shift_type", {}),
    "shift_terminal": ("terminal", {}),
    "max_timesteps": ("first_time", {}),
    "intermediate_timesteps": ("middle_time", {}),
    **{name: (name, {}) for name in STEP_FIELDS},
}
#: Options that are another field of the reference of one scheduler.
_OTHERWISE: dict[tuple[str, str], tuple[str, Mapping[Any, Any]]] = {
    ("DDIMInverseScheduler", "set_alpha_to_one"): ("start_alpha_bar", {"one": True, "first": False}),
}


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
def scheduler_class(name: str) -> type[Any]:
    """The class of a scheduler.

    Raises:
        DeclarationError: where diffusers has none of that name, or cannot give it.
    """
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
def constructor_options(name: str) -> dict[str, Any]:
    """Option to default, of the scheduler's constructor."""
    parameters = inspect.signature(scheduler_class(name).__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD}


@functools.cache
def accepts(name: str, method: str) -> frozenset[str]:
    """Arguments of one of the scheduler's methods; none where it has no such method."""
    function = getattr(scheduler_class(name), method, None)
    return frozenset(inspect.signature(function).parameters) if function is not None else frozenset()


@functools.cache
def known_options(name: str) -> dict[str, Any]:
    """Everything that ``--set`` may name for a scheduler, with its default."""
    run = accepts(name, "step") | accepts(name, "set_timesteps")
    run_options = {option: default for option, default in _RUN_OPTIONS.items() if option in run}
    return {**constructor_options(name), **run_options}


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
        value = int(value) if isinstance(value, float) and value.is_integer() else value  # typed as 1e3
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


def parsed_settings(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Options that were typed as text, each held to the kind of its default.

    Raises:
        DeclarationError: for an unknown option, or a value of another kind.
    """
    known = known_options(name)
    parsed = {}
    for option, text in settings.items():
        if option not in known:
            close = difflib.get_close_matches(option, known, n=3, cutoff=0.5)
            hint = f"; close: {', '.join(close)}" if close else f"; it has {', '.join(known)}"
            raise DeclarationError(f"{name} has no option {option!r}{hint}")
        parsed[option] = _parsed(name, option, text, known[option])
    return parsed


# From a configuration of the reference to what the scheduler is given.


def options_from(config: Any) -> dict[str, Any]:
    """The reference's fields in diffusers' words; what a scheduler has no option for is dropped by the caller."""
    fields = config.values()
    options = {
        option: theirs.get(fields[name], fields[name]) for option, (name, theirs) in _MAPPED.items() if name in fields
    }
    if "start_alpha_bar" in fields:
        options["set_alpha_to_one"] = fields["start_alpha_bar"] == "one"
    if "betas" in fields:
        options["trained_betas"] = None if config.betas is None else list(config.betas)
    if "threshold" in fields:
        options["thresholding"] = config.threshold is not None
        if config.threshold is not None:
            options |= {"dynamic_thresholding_ratio": config.threshold, "sample_max_value": config.threshold_max}
    if "variance" in fields:
        logarithm = "_log" if fields.get("variance_as_logarithm") else ""
        options["variance_type"] = config.variance + logarithm
    if "mu" in fields:
        options["use_dynamic_shifting"] = config.mu is not None
    if "sigma_spacing" in fields:
        options |= {f"use_{name}_sigmas": config.sigma_spacing == name for name in ("karras", "exponential", "beta")}
    return options


# From options that a user gave to fields of the reference.


def _refused(name: str, option: str, value: Any, reason: str) -> DeclarationError:
    return DeclarationError(f"{name}: {option}={value} has no reference here: {reason}")


_NO_PAPER = "no paper says what it should do"
#: Options by value that cannot be mapped, with the reason.
_REFUSED: dict[tuple[str, Any], str] = {
    ("beta_schedule", "exp"): f"{_NO_PAPER}, and only Heun documents it",
}


#: Options of a scheduler that pipelines read, and it does not.
_OF_PIPELINES = ("base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len")
#: Schedulers that take no model which predicts the data.
_NO_X0 = (
    "EDMEulerScheduler", "EulerAncestralDiscreteScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler",
)  # fmt: skip
#: Options that are one of a few names.
_NAMED = {
    "prediction_type": tuple(DIFFUSERS_PREDICTIONS.values()),
    "timestep_spacing": ("linspace", "leading", "trailing"),
}
#: Options of which one at most is on.
_ONE_AT_MOST = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
#: Schedulers of flows; what they are not followed in.
_FLOWS = (
    "FlowMatchEulerDiscreteScheduler", "FlowMatchLCMScheduler", "LTXEulerAncestralRFScheduler",
    "FlowMapEulerDiscreteScheduler",
)  # fmt: skip
_NOT_OF_FLOWS = ("timesteps", "sigmas")
#: Tables that a scheduler makes by name, beside the three that all of them make.
_SCHEDULES = {
    "DDPMScheduler": ("laplace", "sigmoid"),
    "DDPMParallelScheduler": ("laplace", "sigmoid"),
    "HeunDiscreteScheduler": ("exp",),
}
#: Variances of schedulers that have not all of them.
_VARIANCES = {"UnCLIPScheduler": ("fixed_small_log", "learned_range")}
_ALL_MAKE = ("linear", "scaled_linear", "squaredcos_cap_v2")


def fields_from(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The reference's fields that options fix.

    Raises:
        DeclarationError: names an option that has no counterpart, and why.
    """
    fields: dict[str, Any] = {}
    together = [option for option in _ONE_AT_MOST if options.get(option)]
    if len(together) > 1:
        raise DeclarationError(f"{name}: {' and '.join(together)} cannot be on together")
    low, high = options.get("sigma_min"), options.get("sigma_max")
    if low is not None and high is not None and low > high:
        raise DeclarationError(f"{name}: sigma_min={low} is above sigma_max={high}")
    for option, value in options.items():
        reason = _REFUSED.get((option, value if not isinstance(value, (list, tuple)) else None))
        if reason is not None and not (option == "beta_schedule" and name == "HeunDiscreteScheduler"):
            raise _refused(name, option, value, reason)
        if option == "beta_schedule" and value not in (*_ALL_MAKE, *_SCHEDULES.get(name, ())):
            raise _refused(name, option, value, "the scheduler makes no such table")
        if option == "variance_type" and value not in _VARIANCES.get(name, (value,)):
            raise _refused(name, option, value, "the scheduler has no such variance")
        usual = constructor_options(name).get(option)
        if option in _NAMED and value != usual and value not in _NAMED[option]:
            raise DeclarationError(f"{name}: {option} must be one of {', '.join(_NAMED[option])}, got {value}")
        if option == "prediction_type" and value == "sample" and name in _NO_X0:
            raise _refused(name, option, value, "the scheduler has no such model")
        if option in _NOT_OF_FLOWS and name in _FLOWS and value:
            raise _refused(name, option, value, "the reference's times are even, and then shifted")
        is_v = options.get("prediction_type", "v_prediction") == "v_prediction"
        if option == "timestep_type" and value == "continuous" and not is_v:
            reason = "diffusers has no effect of it unless prediction_type=v_prediction, and says nothing"
            raise _refused(name, option, value, reason)
        if option == "num_train_timesteps" and name in ("EDMEulerScheduler", "ScoreSdeVeScheduler"):
            continue  # it lays out the levels before set_timesteps, which no run uses
        if option in _OF_PIPELINES or (option in _NOT_OF_FLOWS and name in _FLOWS):
            continue
        if option == "use_dynamic_shifting":
            if value and options.get("mu") is None:
                raise _refused(
                    name, option, value, "it needs mu, which a pipeline makes of the image's size: --set mu=…"
                )
            continue
        if option == "shift_terminal":
            if value and options.get("num_inference_steps") == 1:
                reason = "a single level is stretched by 0 / 0, and the run ends in an error (FINDINGS.md)"
                raise _refused(name, option, value, reason)
            fields["terminal"] = value or None
        elif option == "num_inference_steps":
            fields["num_steps"] = value - 1 if name in COUNTS_THE_END else value
        elif option == "mu":
            fields["mu"] = value
        elif option == "eta" and name == "TCDScheduler":
            fields["gamma"] = value
        elif option == "sigmas" and name == "EDMEulerScheduler":
            fields |= {"sigmas": (*value, 0.0), "num_steps": len(value)}  # the scheduler adds the final 0
        elif option in ("timesteps", "sigmas"):
            fields[option] = value
            fields["num_steps"] = None
        elif option == "beta_schedule" and value == "laplace":
            from reference_samplers.processes.betas import laplace_betas

            fields["betas"] = tuple(laplace_betas(options.get("num_train_timesteps", 1000)).tolist())
        elif option == "trained_betas":
            fields["betas"] = value
            if value is not None:
                told = options.get("num_train_timesteps", len(value))
                if told != len(value):
                    reason = f"the scheduler would visit {told} timesteps of a table of {len(value)}"
                    raise _refused(name, option, value, reason)
                # A table by hand goes with nothing that a table by name is made of.
                usual = {one: DOCUMENTED[name][one] for one in ("beta_schedule", "beta_start", "beta_end")}
                fields |= {**usual, "num_train_timesteps": len(value)}
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
            field_name, theirs = _OTHERWISE.get((name, option), _MAPPED[option])
            fields[field_name] = next((ours for ours, called in theirs.items() if called == value), value)
        elif option != "interpolation_type" and not left_out(name, option, value):
            raise DeclarationError(f"{name}: {option} has no counterpart in the reference; leave it at its default")
    return fields
