"""A configuration as a person would say it: the method with its numbers, the grid with its ends, the process."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from reference_samplers.diffusers import EDMEuler
from reference_samplers.diffusers_consistency import SCM, CMStochasticIterative
from sampler_harness.identity import Name

from .laid import Laid

__all__ = ["named"]

#: What a reference's method is called, beside the class.
_METHODS = {
    "EDM": "", "DDPM": "DDPM", "DDIM": "DDIM", "FlowEuler": "Euler's method on a flow", "LCM": "LCM", "TCD": "TCD",
    "FlowRungeKutta": "", "FlowSDE": "reverse SDE of a flow", "FlowConsistency": "predict and renoise, on a flow",
    "ConsistencyModel": "multistep consistency", "EulerAncestral": "Euler ancestral", "DPM2": "DPM-Solver-2",
    "DPM2Ancestral": "DPM-Solver-2 ancestral", "FlowAncestral": "Euler ancestral on a flow",
    "AlphaFold3": "AlphaFold 3's sampler", "EulerDiscrete": "Euler's method", "HeunDiscrete": "Heun's method",
    "EulerAncestralDiscrete": "Euler ancestral", "KDPM2Discrete": "DPM-Solver-2",
    "KDPM2AncestralDiscrete": "DPM-Solver-2 ancestral", "ScoreSDE": "predictor of a score SDE",
    "EDMEuler": "Euler's method", "CMStochasticIterative": "multistep consistency", "SCM": "multistep consistency",
}  # fmt: skip
_SOLVERS = {
    "heun": "Heun's method", "euler": "Euler's method", "midpoint": "the midpoint method",
    "rk4": "Runge-Kutta of order 4", "rk4_38": "the 3/8 rule of Runge and Kutta",
}  # fmt: skip
#: Fields of the grid and of the process, told in words of their own.
_OF_GRID = (
    "num_steps", "sigma_min", "sigma_max", "rho", "sigmas", "timesteps", "timestep_spacing", "steps_offset", "shift",
    "lowest_time", "original_steps", "sigma_spacing", "final_level", "ends_at", "mu", "terminal", "eps",
)  # fmt: skip
_OF_PROCESS = (
    "model_kind", "sigma_data", "times", "train_sigmas", "data_at_one", "time_scale", "time_rounding", "prediction",
    "num_train_timesteps", "beta_schedule", "beta_start", "beta_end", "betas", "rescale_zero_terminal_snr", "labels",
    "sde", "beta_min", "beta_max", "continuous_time",
)  # fmt: skip
#: Written out, these are no description.
_TABLES = ("sigmas", "timesteps", "times", "train_sigmas", "betas")
_GRIDS = {
    "KarrasLevels": "the Karras grid", "ExponentialLevels": "the exponential grid", "EvenTimes": "even times",
    "PolyexponentialLevels": "the polyexponential grid", "KLOptimalLevels": "the KL-optimal grid",
    "LevelsInTable": "levels of a table", "SizedTimes": "times shifted by the image's size",
    "StretchedTimes": "stretched times", "LinearQuadratic": "the linear-quadratic grid",
    "BetaTimes": "quantiles of a beta distribution", "LogitNormalTimes": "quantiles of a logit-normal distribution",
    "FlowMatchTimes": "the grid of FlowMatchEulerDiscreteScheduler",
}  # fmt: skip
#: What a description costs that writes levels or a table out.
_WRITTEN = 40.0
_OTHER_GRID = 1.5
_PLAINER = 2.0
#: A value that takes more characters is not written out.
_LONGEST = 80


def named(config: Any, laid: Laid | None, asked: int, told_open: tuple[str, ...] = ()) -> Name:
    """The name of a configuration.

    Args:
        config: on levels by hand.
        laid: the grid that they are; None where none has a name.
        asked: steps that the sampler was asked for.
        told_open: what its law leaves open.
    """
    whole = config if laid is None or laid.grid is not None else laid.on(config, asked)
    fields = _unusual(whole)
    told = {name: one for name, one in fields.items() if name not in (*_TABLES, "num_steps")}
    grid = _grid(whole, laid)
    by_hand = laid is None
    length = sum(_cost(one) for one in told.values())
    length += _WRITTEN * sum(1 for name in ("betas", "times", "train_sigmas") if whole.values().get(name) is not None)
    length += (_WRITTEN if by_hand else 0.0) + (_OTHER_GRID if laid is not None and laid.grid is not None else 0.0)
    # Without noise it is another method, by its plainer name.
    length += _PLAINER if "ncestral" in type(whole).__name__ and whole.values().get("eta") == 0 else 0.0
    if laid is not None and laid.grid is not None:
        length += sum(_cost(one) for name, one in _unusual(laid.grid).items() if name != "num_steps")
    family = f"{type(whole).__name__} {whole.values().get('prediction', '')} {whole.values().get('model_kind', '')}"
    return Name(
        reference=type(whole).__name__,
        fields=told,
        method=_method(whole, told),
        grid=grid,
        process=_process(whole),
        by_hand=by_hand,
        length=length,
        family=family,
        declaration=_declaration(whole, laid),
        open=told_open,
    )


def _cost(value: Any) -> float:
    """Of a field in a description: a number of many digits is less likely than one of few."""
    return 1.0 + (0.3 * len(f"{value:.7g}".replace(".", "").replace("-", "").lstrip("0")) if _is_number(value) else 0.3)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _unusual(config: Any) -> dict[str, Any]:
    """Fields that are not at their defaults."""
    values: Mapping[str, Any] = config.values()
    usual = {field.name: field.default for field in dataclasses.fields(config)}
    made = {field.name for field in dataclasses.fields(config) if field.init}
    return {name: one for name, one in values.items() if name in made and one != usual[name]}


def _number(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _method(config: Any, told: Mapping[str, Any]) -> str:
    values = config.values()
    kind = type(config).__name__
    title = _METHODS.get(kind, kind)
    if "solver" in values:
        title = f"{_SOLVERS[values['solver']]}{'' if kind != 'FlowRungeKutta' else ' on a flow'}"
    shown = [name for name in told if name not in (*_OF_GRID, *_OF_PROCESS, "solver")]
    if "eta" in values and "eta" not in shown:
        shown.insert(0, "eta")
    if kind == "TCD" and "gamma" not in shown:
        shown.insert(0, "gamma")
    if kind == "ConsistencyModel":
        shown.insert(0, "sigma_min")
    if kind == "DDPM" and "variance" not in shown:
        shown.insert(0, "variance")
    numbers = [f"{name} {_number(values[name])}" for name in shown]
    return ", ".join([f"{title} ({kind})", *numbers])


def _grid(config: Any, laid: Laid | None) -> str:
    values = config.values()
    levels = np.asarray(config.levels, dtype=np.float64)
    if laid is None:
        if values.get("timesteps") is not None:
            return f"on timesteps given by hand, {values['timesteps'][0]} to {values['timesteps'][-1]}"
        return f"on levels given by hand, {levels[0]:.6g} to {levels[-2]:.6g}"
    if laid.grid is not None:
        return _of_its_own(laid.grid, levels)
    if "timestep_spacing" in values:
        offset = f", steps_offset {values['steps_offset']}" if values.get("steps_offset") else ""
        spread = values.get("sigma_spacing", "timesteps")
        spread = "" if spread == "timesteps" else f", {spread} levels between their ends"
        return f"on {values['timestep_spacing']} timesteps{offset}{spread}"
    if "original_steps" in values:
        return f"on the distilled timesteps, original_steps {values['original_steps']}"
    if "rho" in values and "sigma_max" in values:
        rho = f", rho {_number(values['rho'])}" if len(levels) > 3 else ""
        end = "" if len(levels) == 2 else f" to {_number(values['sigma_min'])}"
        ends = f", which {values['ends_at']} ends" if "ends_at" in values and values["ends_at"] != "lowest" else ""
        return f"on the Karras grid from {_number(values['sigma_max'])}{end}{rho}{ends}"
    if "shift" in values:
        shift = "" if values["shift"] == 1 else f", shift {_number(values['shift'])}"
        lowest = values.get("lowest_time")
        return f"on even times{shift}{'' if lowest is None else f', down to {_number(lowest)} before it'}"
    return ""


def _of_its_own(grid: Any, levels: Any) -> str:
    title = _GRIDS.get(type(grid).__name__, type(grid).__name__)
    fields = {name: one for name, one in _unusual(grid).items() if name not in ("num_steps",)}
    if type(grid).__name__ == "LevelsInTable":
        fields = {"places": grid.places, **fields}
    numbers = [f"{name} {_number(one)}" for name, one in fields.items() if name not in ("sigma_min", "sigma_max")]
    if "sigma_max" in grid.values():
        numbers.insert(0, f"from {_number(float(levels[0]))} to {_number(float(levels[-2]))}")
    return f"on {', '.join([f'{title} ({type(grid).__name__})', *numbers])}"


def _process(config: Any) -> str:
    """What the model is told, and what it predicts."""
    values = config.values()
    if "data_at_one" in values:
        scale = values["time_scale"]
        time = "1 - t" if values["data_at_one"] else "t"
        told = time if scale == 1 else f"{_number(scale)} {f'({time})' if values['data_at_one'] else time}"
        rounded = {"exact": "", "nearest": ", rounded", "down": ", rounded down"}[values["time_rounding"]]
        predicts = {"flow": "epsilon - x0", "reversed_flow": "x0 - epsilon"}.get(
            values["prediction"], values["prediction"]
        )
        return f"a model that is told {told}{rounded} and predicts {predicts}"
    if "beta_schedule" in values:
        kind = values.get("prediction", "epsilon")
        if values.get("betas") is not None:
            chain = f"a table of {len(values['betas'])} betas that has no name here"
        else:
            ends = f" from {_number(values['beta_start'])} to {_number(values['beta_end'])}"
            ends = "" if values["beta_schedule"] in ("cosine", "sigmoid_jabri") else ends
            rescaled = ", rescaled to zero terminal SNR" if values.get("rescale_zero_terminal_snr") else ""
            chain = f"the {values['beta_schedule']} chain of {values['num_train_timesteps']}{ends}{rescaled}"
        return f"an {kind} model of {chain}" if kind == "epsilon" else f"a model of {kind} on {chain}"
    if "sde" in values:
        return _of_sde(values)
    if isinstance(config, SCM):
        return f"a model of the velocity that is told an angle, sigma_data {_number(values['sigma_data'])}"
    if isinstance(config, CMStochasticIterative):
        return f"a network with a boundary at {_number(values['sigma_min'])}, told 250 ln(sigma)"
    kind = config.model_kind
    if isinstance(config, EDMEuler) and values["prediction"] == "v":
        kind = "network of the other sign"
    if kind == "denoiser":
        return "a denoiser that is told sigma"
    if kind.startswith("network"):
        return f"a {kind} inside the preconditioning, sigma_data {_number(values['sigma_data'])}, told ln(sigma) / 4"
    return f"a model of {kind} that sees x / sqrt(sigma^2 + 1) and is told an index"


def _of_sde(values: Mapping[str, Any]) -> str:
    ends = ("sigma_min", "sigma_max") if values["sde"] == "ve" else ("beta_min", "beta_max")
    shown = ", ".join(f"{name} {_number(values[name])}" for name in ends)
    told = {
        "time": "t", "continuous": "sigma" if values["sde"] == "ve" else "999 t", "discrete": "the number of the level",
    }[values["labels"]]  # fmt: skip
    eps = "" if values["eps"] is None else f", eps {_number(values['eps'])}"
    return f"a model of the {values['prediction']} that is told {told}, {values['sde'].upper()} with {shown}{eps}"


def _declaration(config: Any, laid: Laid | None) -> str:
    """The decorator that would have the sampler checked."""
    fields = {name: repr(one) for name, one in _unusual(config).items() if name not in ("num_steps", "sigmas")}
    shown = {name: one if len(one) <= _LONGEST else "…" for name, one in fields.items()}
    steps = ["num_steps=st.integers(1, 40)"]
    if laid is None or laid.grid is not None:
        levels = _written(config) if laid is None else f"tuple({_constructed(laid.grid)}.levels)"
        shown, steps = ({**shown, "sigmas": levels} if "sigmas" in config.values() else shown), []
    return f"@sampler_under_test({', '.join([type(config).__name__, *(f'{n}={v}' for n, v in shown.items()), *steps])})"


def _written(config: Any) -> str:
    """Levels by hand, where they are few."""
    text = repr(tuple(float(f"{level:.6g}") for level in config.levels))
    return text if len(text) <= _LONGEST else "…"


def _constructed(grid: Any) -> str:
    given = {"num_steps": grid.values()["num_steps"], **_unusual(grid)}
    return f"{type(grid).__name__}({', '.join(f'{name}={one!r}' for name, one in given.items())})"
