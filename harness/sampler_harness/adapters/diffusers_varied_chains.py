"""What is varied of schedulers that are chains, and what all schedulers share: see ``diffusers_varied``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["BETAS", "CHAINS", "SHORT", "handling", "of_drawing"]

#: Tables of so few entries that all of them are visited, as a scheduler does that was never laid out.
SHORT = 7
#: A table by hand, for the short chain.
BETAS = (0.01, 0.03, 0.02, 0.1, 0.2, 0.15, 0.4)


def handling(*others: str) -> dict[str, Any]:
    """How a scheduler came to its run, and what of its steps is taken.

    Args:
        others: further ways than all schedulers allow.
    """
    from hypothesis import strategies as st

    return {
        "handling": st.sampled_from(["new", "used", "interrupted", "copied", "saved", *others]),
        "result": st.sampled_from(["object", "tuple", "x0"]),
    }


def of_drawing() -> dict[str, Any]:
    """What may have been done to a scheduler whose steps draw, and draws nothing itself."""
    from hypothesis import strategies as st

    return {"handling": st.sampled_from(["new", "saved"]), "result": st.sampled_from(["object", "tuple", "x0"])}


def _chain() -> dict[str, Any]:
    from hypothesis import strategies as st

    return {
        "beta_start": st.sampled_from([1e-4, 8.5e-4]),
        "beta_end": st.sampled_from([0.02, 0.012]),
        "betas": st.sampled_from([None, BETAS]),
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

    return {"num_train_timesteps": st.sampled_from([1000, 100, SHORT]), "num_steps": st.integers(1, 1000)}


def _ddpm() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners import DDPM

    return DDPM, {
        **handling("unset"),
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
        **handling(),
        **_chain(),
        "beta_schedule": st.sampled_from(["linear", "scaled_linear", "cosine"]),
        "eta": st.floats(0.0, 1.0),
        "final_alpha_bar": st.sampled_from(["one", "first"]),
        "rederive_epsilon": st.booleans(),
        "hands_noise": st.booleans(),
        **_length(),
    }


def _ddpm_parallel() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners_chains import DDPMParallel

    return DDPMParallel, {"in_batches": st.booleans(), **_ddpm()[1]}


def _ddim_parallel() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners_chains import DDIMParallel

    return DDIMParallel, {"in_batches": st.booleans(), **_ddim()[1]}


def _cogvideox() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners_chains import CogVideoXDDIM

    not_read = ("clip_denoised", "clip_range", "threshold", "threshold_max")
    return CogVideoXDDIM, {
        **handling(),
        **{name: values for name, values in _chain().items() if name not in not_read},
        "beta_schedule": st.sampled_from(["scaled_linear", "linear", "cosine"]),
        "beta_start": st.sampled_from([8.5e-4, 1e-4]),
        "beta_end": st.sampled_from([0.012, 0.02]),
        "final_alpha_bar": st.sampled_from(["one", "first"]),
        "snr_shift": st.sampled_from([3.0, 1.0, 0.5]),
        **_length(),
    }


def _unclip() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners_chains import UnCLIP

    return UnCLIP, {
        "handling": st.sampled_from(["new", "saved"]),
        "result": st.sampled_from(["object", "tuple", "x0"]),
        "prediction": st.sampled_from(["epsilon", "x0"]),
        "clip_denoised": st.sampled_from([True, False]),
        "clip_range": st.sampled_from([1.0, 0.5, 2.0, 4.0]),
        "variance": st.sampled_from(["fixed_small", "learned_range"]),
        "num_train_timesteps": st.sampled_from([1000, 500, 100, SHORT]),
        "num_steps": st.integers(2, 1000),
    }


def _ddim_inverse() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners_chains import DDIMInverse

    chain = {name: values for name, values in _chain().items() if not name.startswith("threshold")}
    return DDIMInverse, {
        **handling(),
        **chain,
        "timestep_spacing": st.sampled_from(["leading", "trailing"]),
        "beta_schedule": st.sampled_from(["linear", "scaled_linear", "cosine"]),
        "start_alpha_bar": st.sampled_from(["one", "first"]),
        **_length(),
    }


def _wuerstchen() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners_chains import Cosine

    return Cosine, {
        "handling": st.sampled_from(["new", "saved"]),
        "scaler": st.sampled_from([1.0, 2.0, 0.5, 1.5]),
        "s": st.sampled_from([0.008, 0.02, 0.001, 0.1]),
        "num_steps": st.integers(1, 200),
    }


#: The reference of a chain, and what is varied of it.
CHAINS: dict[str, Callable[[], tuple[type[Any], dict[str, Any]]]] = {
    "DDPMScheduler": _ddpm,
    "DDIMScheduler": _ddim,
    "DDPMParallelScheduler": _ddpm_parallel,
    "DDIMParallelScheduler": _ddim_parallel,
    "CogVideoXDDIMScheduler": _cogvideox,
    "UnCLIPScheduler": _unclip,
    "DDIMInverseScheduler": _ddim_inverse,
    "DDPMWuerstchenScheduler": _wuerstchen,
}
