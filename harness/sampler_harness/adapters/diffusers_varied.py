"""What is varied of a scheduler of diffusers: every option that is mapped, as far as the scheduler follows its paper.

In each list the documented default comes first, and the number of steps stands last: whoever looks for a legal
configuration with one value of one field meets the plainest first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["REFERENCED"]

#: Tables of so few entries that all of them are visited, as a scheduler does that was never laid out.
_SHORT = 7
#: A table by hand, for the short chain.
_BETAS = (0.01, 0.03, 0.02, 0.1, 0.2, 0.15, 0.4)


def _handling(*others: str) -> dict[str, Any]:
    from hypothesis import strategies as st

    return {
        "handling": st.sampled_from(["new", "used", "interrupted", "copied", "saved", *others]),
        "result": st.sampled_from(["object", "tuple", "x0"]),
    }


def _chain() -> dict[str, Any]:
    from hypothesis import strategies as st

    return {
        "beta_start": st.sampled_from([1e-4, 8.5e-4]),
        "beta_end": st.sampled_from([0.02, 0.012]),
        "betas": st.sampled_from([None, _BETAS]),
        "timestep_spacing": st.sampled_from(["leading", "linspace", "trailing"]),
        "steps_offset": st.sampled_from([0, 1]),
        "rescale_zero_terminal_snr": st.booleans(),
        "prediction": st.sampled_from(["epsilon", "x0", "v"]),
        "clip_denoised": st.sampled_from([True, False]),
        "clip_range": st.sampled_from([1.0, 0.5, 2.0]),
        "threshold": st.sampled_from([None, 0.995, 0.75]),
        "threshold_max": st.sampled_from([1.0, 1.5]),
    }


def _length() -> dict[str, Any]:
    from hypothesis import strategies as st

    return {"num_train_timesteps": st.sampled_from([1000, 100, _SHORT]), "num_steps": st.integers(1, 1000)}


def _ddpm() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners import DDPM

    return DDPM, {
        **_handling("unset"),
        **_chain(),
        "beta_schedule": st.sampled_from(["linear", "scaled_linear", "cosine", "sigmoid"]),
        "timesteps": st.sampled_from([None, (99, 40, 7, 0), (6, 5, 2)]),
        "variance": st.sampled_from(["fixed_small", "fixed_large", "learned_range", "learned"]),
        "variance_as_logarithm": st.booleans(),
        **_length(),
    }


def _ddim() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners import DDIM

    return DDIM, {
        **_handling(),
        **_chain(),
        "beta_schedule": st.sampled_from(["linear", "scaled_linear", "cosine"]),
        "eta": st.floats(0.0, 1.0),
        "final_alpha_bar": st.sampled_from(["one", "first"]),
        "rederive_epsilon": st.booleans(),
        "hands_noise": st.booleans(),
        **_length(),
    }


def _edm_euler() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners import EDMEuler

    return EDMEuler, {
        **_handling("unset"),
        "hands_x0": st.booleans(),
        "sigma_min": st.floats(0.002, 0.1),
        "sigma_max": st.floats(0.5, 80.0),
        "rho": st.sampled_from([7.0, 3.0, 1.0]),
        "sigma_spacing": st.sampled_from(["karras", "exponential"]),
        "sigma_data": st.sampled_from([0.5, 0.25, 1.0]),
        "final_level": st.sampled_from(["zero", "sigma_min"]),
        "prediction": st.sampled_from(["epsilon", "v"]),
        "num_steps": st.integers(1, 200),
    }


def _table() -> dict[str, Any]:
    from hypothesis import strategies as st

    return {
        "betas": st.sampled_from([None, _BETAS]),
        "timestep_spacing": st.sampled_from(["linspace", "leading", "trailing"]),
        "steps_offset": st.sampled_from([0, 1]),
        "timesteps": st.sampled_from([None, (99.0, 40.5, 7.0), (6.0, 4.5, 1.0)]),
        "sigma_spacing": st.sampled_from(["timesteps", "karras", "exponential"]),
        "prediction": st.sampled_from(["epsilon", "x0", "v"]),
        "num_train_timesteps": st.sampled_from([1000, 200, _SHORT]),
        "num_steps": st.integers(1, 200),
    }


def _euler() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners import EulerDiscrete

    return EulerDiscrete, {
        **_handling("unset"),
        "beta_schedule": st.sampled_from(["linear", "scaled_linear", "cosine"]),
        "beta_start": st.sampled_from([1e-4, 8.5e-4]),
        "beta_end": st.sampled_from([0.02, 0.012]),
        "rescale_zero_terminal_snr": st.booleans(),
        "sigma_min": st.sampled_from([None, 0.1]),
        "sigma_max": st.sampled_from([None, 2.0]),
        "sigmas": st.sampled_from([None, (0.25, 0.1, 0.03, 0.0)]),
        "continuous_time": st.booleans(),
        "final_level": st.sampled_from(["zero", "sigma_min"]),
        **_table(),
    }


def _heun() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners import HeunDiscrete

    return HeunDiscrete, {
        **_handling("unset"),
        "beta_schedule": st.sampled_from(["linear", "scaled_linear", "cosine", "exponential"]),
        "beta_start": st.sampled_from([8.5e-4, 1e-4]),
        "beta_end": st.sampled_from([0.012, 0.02]),
        "clip_denoised": st.booleans(),
        "clip_range": st.sampled_from([1.0, 0.5, 2.0]),
        "grid_timesteps": st.sampled_from([None, 900, 6]),
        **_table(),
    }


#: The reference of a scheduler, and what is varied of it.
REFERENCED: dict[str, Callable[[], tuple[type[Any], dict[str, Any]]]] = {
    "DDPMScheduler": _ddpm,
    "DDIMScheduler": _ddim,
    "EDMEulerScheduler": _edm_euler,
    "EulerDiscreteScheduler": _euler,
    "HeunDiscreteScheduler": _heun,
}
