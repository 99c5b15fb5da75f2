"""What is varied of a scheduler of diffusers: every option that is mapped, as far as the scheduler follows its paper.

In each list the documented default comes first, and the number of steps stands last: whoever looks for a legal
configuration with one value of one field meets the plainest first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .diffusers_varied_chains import BETAS, CHAINS, SHORT, handling, of_drawing

__all__ = ["REFERENCED"]


def _edm_euler() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners import EDMEuler

    return EDMEuler, {
        **handling("unset"),
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
        "betas": st.sampled_from([None, BETAS]),
        "timestep_spacing": st.sampled_from(["linspace", "leading", "trailing"]),
        "steps_offset": st.sampled_from([0, 1]),
        "timesteps": st.sampled_from([None, (99.0, 40.5, 7.0), (6.0, 4.5, 1.0)]),
        "sigma_spacing": st.sampled_from(["timesteps", "karras", "exponential"]),
        "prediction": st.sampled_from(["epsilon", "x0", "v"]),
        "num_train_timesteps": st.sampled_from([1000, 200, SHORT]),
        "num_steps": st.integers(1, 200),
    }


def _euler() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners import EulerDiscrete

    return EulerDiscrete, {
        **handling("unset"),
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
        **handling("unset"),
        "beta_schedule": st.sampled_from(["linear", "scaled_linear", "cosine", "exponential"]),
        "beta_start": st.sampled_from([8.5e-4, 1e-4]),
        "beta_end": st.sampled_from([0.012, 0.02]),
        "clip_denoised": st.booleans(),
        "clip_range": st.sampled_from([1.0, 0.5, 2.0]),
        "grid_timesteps": st.sampled_from([None, 900, 6]),
        **_table(),
    }


def _euler_ancestral() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners_ancestral import EulerAncestralDiscrete

    table = {name: values for name, values in _table().items() if name not in ("timesteps", "sigma_spacing")}
    return EulerAncestralDiscrete, {
        **of_drawing(),
        "beta_schedule": st.sampled_from(["linear", "scaled_linear", "cosine"]),
        "beta_start": st.sampled_from([1e-4, 8.5e-4]),
        "beta_end": st.sampled_from([0.02, 0.012]),
        "rescale_zero_terminal_snr": st.booleans(),
        **table,
        "prediction": st.sampled_from(["epsilon", "v"]),
    }


def _of_two_calls() -> dict[str, Any]:
    from hypothesis import strategies as st

    table = {name: values for name, values in _table().items() if name != "timesteps"}
    return {
        "beta_schedule": st.sampled_from(["linear", "scaled_linear", "cosine"]),
        "beta_start": st.sampled_from([8.5e-4, 1e-4]),
        "beta_end": st.sampled_from([0.012, 0.02]),
        **table,
        "sigma_spacing": st.sampled_from(["timesteps", "exponential"]),
        "prediction": st.sampled_from(["epsilon", "v"]),
    }


def _kdpm2() -> tuple[type[Any], dict[str, Any]]:
    from .diffusers_corners_ancestral import KDPM2Discrete

    return KDPM2Discrete, {**handling(), **_of_two_calls()}


def _kdpm2_ancestral() -> tuple[type[Any], dict[str, Any]]:
    from .diffusers_corners_ancestral import KDPM2AncestralDiscrete

    return KDPM2AncestralDiscrete, {**of_drawing(), **_of_two_calls()}


def _distilled() -> dict[str, Any]:
    from hypothesis import strategies as st

    return {
        "handling": st.sampled_from(["new", "saved"]),
        "beta_schedule": st.sampled_from(["scaled_linear", "linear", "cosine"]),
        "beta_start": st.sampled_from([8.5e-4, 1e-4]),
        "beta_end": st.sampled_from([0.012, 0.02]),
        "betas": st.sampled_from([None, BETAS]),
        "prediction": st.sampled_from(["epsilon", "x0", "v"]),
        "rescale_zero_terminal_snr": st.booleans(),
        "timesteps": st.sampled_from([None, (99, 40, 7, 0), (96, 5, 2)]),
        "num_train_timesteps": st.sampled_from([1000, 100, SHORT]),
        "original_steps": st.sampled_from([50, 20, SHORT]),
        "num_steps": st.integers(1, 50),
    }


def _lcm() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners_distilled import LCM

    return LCM, {
        **_distilled(),
        "result": st.sampled_from(["object", "tuple", "x0"]),
        "timestep_scaling": st.sampled_from([10.0, 0.1]),
        "clip_denoised": st.booleans(),
        "clip_range": st.sampled_from([1.0, 0.5, 2.0]),
        "threshold": st.sampled_from([None, 0.995, 0.75]),
        "threshold_max": st.sampled_from([1.0, 1.5]),
    }


def _tcd() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners_distilled import TCD

    return TCD, {
        **_distilled(),
        "result": st.sampled_from(["object", "tuple"]),
        "gamma": st.sampled_from([0.3, 0.0, 1.0, 0.55]),
    }


def _consistency() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from reference_samplers.diffusers_consistency import CMStochasticIterative

    return CMStochasticIterative, {
        "num_steps": st.one_of(st.integers(1, 40), st.none()),
        "num_train_timesteps": st.sampled_from([40, 151]),
        "sigma_min": st.sampled_from([0.002, 0.02]),
        "sigma_max": st.sampled_from([80.0, 10.0]),
        "sigma_data": st.sampled_from([0.5, 1.0]),
        "s_noise": st.sampled_from([1.0, 1.003]),
        "rho": st.sampled_from([7.0, 3.0]),
        "clip_denoised": st.booleans(),
        "timesteps": st.sampled_from([None, (22, 0), (17,), (39, 20, 1)]),
    }


def _angles() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from reference_samplers.diffusers_consistency import SCM

    return SCM, {
        "num_steps": st.integers(1, 60),
        "sigma_data": st.sampled_from([0.5, 1.0, 0.25, 2.0]),
        "first_time": st.sampled_from([1.57080, 1.56454, 1.5]),
        "middle_time": st.sampled_from([1.3, 1.1]),
    }


def _flow(*handling: str) -> dict[str, Any]:
    from hypothesis import strategies as st

    return {
        "handling": st.sampled_from(["new", "saved", *handling]),
        "num_train_timesteps": st.sampled_from([1000, 200, SHORT]),
        "num_steps": st.integers(1, 200),
    }


def _flow_shift() -> dict[str, Any]:
    from hypothesis import strategies as st

    return {"shift": st.sampled_from([1.0, 3.0, 0.5, 12.0])}


def _flow_mu() -> dict[str, Any]:
    from hypothesis import strategies as st

    return {"mu": st.sampled_from([None, 1.15, 0.5]), "time_shift_type": st.sampled_from(["exponential", "linear"])}


def _flow_grid() -> dict[str, Any]:
    from hypothesis import strategies as st

    spacings = ["timesteps", "karras", "exponential", "beta"]
    return {"terminal": st.sampled_from([None, 0.1]), "sigma_spacing": st.sampled_from(spacings)}


def _flow_euler() -> tuple[type[Any], dict[str, Any]]:
    from .diffusers_corners_flows import FlowMatchEuler

    return FlowMatchEuler, {**_flow("used", "interrupted", "copied"), **_flow_shift(), **_flow_mu(), **_flow_grid()}


def _flow_lcm() -> tuple[type[Any], dict[str, Any]]:
    from .diffusers_corners_flows import FlowMatchLCM

    return FlowMatchLCM, {**_flow(), **_flow_shift(), **_flow_mu(), **_flow_grid()}


def _flow_heun() -> tuple[type[Any], dict[str, Any]]:
    from .diffusers_corners_flows import FlowMatchHeun

    return FlowMatchHeun, {**_flow("used", "interrupted", "copied"), **_flow_shift()}


def _flow_map() -> tuple[type[Any], dict[str, Any]]:
    from .diffusers_corners_flows import FlowMapEuler

    return FlowMapEuler, {**_flow("used", "interrupted", "copied"), **_flow_shift()}


def _minimax() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners_flows import MiniMaxH3

    return MiniMaxH3, {
        "handling": st.sampled_from(["new", "saved", "used", "interrupted", "copied"]),
        "shift": st.sampled_from([12.0, 3.0, 1.0]),
        "sigmas": st.sampled_from([None, (1.0, 0.7, 0.05, 0.0), (0.9, 0.0)]),
        "num_steps": st.one_of(st.integers(1, 200), st.none()),
    }


def _flow_ancestral() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners_flows import LTXEulerAncestralRF

    noise = {"eta": st.sampled_from([1.0, 0.0, 0.5, 0.25]), "s_noise": st.sampled_from([1.0, 1.003, 0.9])}
    return LTXEulerAncestralRF, {**_flow(), **noise}


def _score_sde() -> tuple[type[Any], dict[str, Any]]:
    from hypothesis import strategies as st

    from .diffusers_corners_score import ScoreSdeVe

    return ScoreSdeVe, {
        "handling": st.sampled_from(["new", "saved"]),
        "sigma_min": st.sampled_from([0.01, 0.1, 0.002, 0.05]),
        "sigma_max": st.sampled_from([1348.0, 50.0, 10.0, 380.0]),
        "snr": st.sampled_from([0.15, 0.05]),
        "eps": st.sampled_from([1e-5, 1e-3]),
        "num_corrector_steps": st.sampled_from([1, 0]),
        "num_steps": st.integers(2, 40),
    }


#: The reference of a scheduler, and what is varied of it.
REFERENCED: dict[str, Callable[[], tuple[type[Any], dict[str, Any]]]] = {
    **CHAINS,
    "EDMEulerScheduler": _edm_euler,
    "EulerDiscreteScheduler": _euler,
    "HeunDiscreteScheduler": _heun,
    "EulerAncestralDiscreteScheduler": _euler_ancestral,
    "KDPM2DiscreteScheduler": _kdpm2,
    "KDPM2AncestralDiscreteScheduler": _kdpm2_ancestral,
    "LCMScheduler": _lcm,
    "TCDScheduler": _tcd,
    "CMStochasticIterativeScheduler": _consistency,
    "SCMScheduler": _angles,
    "FlowMatchEulerDiscreteScheduler": _flow_euler,
    "FlowMatchHeunDiscreteScheduler": _flow_heun,
    "FlowMatchLCMScheduler": _flow_lcm,
    "LTXEulerAncestralRFScheduler": _flow_ancestral,
    "FlowMapEulerDiscreteScheduler": _flow_map,
    "MiniMaxH3Scheduler": _minimax,
    "ScoreSdeVeScheduler": _score_sde,
}
