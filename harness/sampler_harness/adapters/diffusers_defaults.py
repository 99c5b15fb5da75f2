"""What an option of diffusers' schedulers is where nobody says it: written down by hand from the library's own lines.

Context: most callers write ``DDIMScheduler()``, ``set_timesteps(n)`` and ``step(output, t, x)``; a default that moved
changes all of their samples, and whoever passes every option never sees it.
Choice: what a configuration has at its documented default is not passed at all, so that the scheduler's own default
runs. Reversed by: a release that moves a default on purpose; then its entry here moves with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["DOCUMENTED", "left_out"]

_DDPM: Mapping[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "trained_betas": None,
    "variance_type": "fixed_small",
    "clip_sample": True,
    "prediction_type": "epsilon",
    "thresholding": False,
    "dynamic_thresholding_ratio": 0.995,
    "clip_sample_range": 1.0,
    "sample_max_value": 1.0,
    "timestep_spacing": "leading",
    "steps_offset": 0,
    "rescale_betas_zero_snr": False,
}
_DDIM: Mapping[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "trained_betas": None,
    "clip_sample": True,
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "prediction_type": "epsilon",
    "thresholding": False,
    "dynamic_thresholding_ratio": 0.995,
    "clip_sample_range": 1.0,
    "sample_max_value": 1.0,
    "timestep_spacing": "leading",
    "rescale_betas_zero_snr": False,
    "eta": 0.0,
    "use_clipped_model_output": False,
}
_OF_TWO_CALLS: Mapping[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "linear",
    "trained_betas": None,
    "prediction_type": "epsilon",
    "use_karras_sigmas": False,
    "use_exponential_sigmas": False,
    "use_beta_sigmas": False,
    "timestep_spacing": "linspace",
    "steps_offset": 0,
}
_DISTILLED: Mapping[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "trained_betas": None,
    "original_inference_steps": 50,
    "clip_sample": False,
    "clip_sample_range": 1.0,
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "prediction_type": "epsilon",
    "thresholding": False,
    "dynamic_thresholding_ratio": 0.995,
    "sample_max_value": 1.0,
    "timestep_spacing": "leading",
    "timestep_scaling": 10.0,
    "rescale_betas_zero_snr": False,
}
_FLOW_MATCH: Mapping[str, Any] = {
    "num_train_timesteps": 1000,
    "shift": 1.0,
    "use_dynamic_shifting": False,
    "base_shift": 0.5,
    "max_shift": 1.15,
    "base_image_seq_len": 256,
    "max_image_seq_len": 4096,
    "invert_sigmas": False,
    "shift_terminal": None,
    "use_karras_sigmas": False,
    "use_exponential_sigmas": False,
    "use_beta_sigmas": False,
    "time_shift_type": "exponential",
}

#: Options of the constructor and of ``step`` by scheduler, as diffusers 0.42.1 has them.
DOCUMENTED: Mapping[str, Mapping[str, Any]] = {
    # scheduling_ddpm.py, line 186
    "DDPMScheduler": _DDPM,
    # scheduling_ddpm_parallel.py, line 200
    "DDPMParallelScheduler": _DDPM,
    # scheduling_ddim.py, lines 193 and 384
    "DDIMScheduler": _DDIM,
    # scheduling_ddim_parallel.py, lines 200 and 388
    "DDIMParallelScheduler": _DDIM,
    # scheduling_ddim_cogvideox.py, lines 189 and 328
    "CogVideoXDDIMScheduler": {
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "trained_betas": None,
        "clip_sample": True,
        "set_alpha_to_one": True,
        "steps_offset": 0,
        "prediction_type": "epsilon",
        "clip_sample_range": 1.0,
        "sample_max_value": 1.0,
        "timestep_spacing": "leading",
        "rescale_betas_zero_snr": False,
        "snr_shift_scale": 3.0,
        "eta": 0.0,
        "use_clipped_model_output": False,
    },
    # scheduling_ddim_inverse.py, line 184
    "DDIMInverseScheduler": {
        "num_train_timesteps": 1000,
        "beta_start": 0.0001,
        "beta_end": 0.02,
        "beta_schedule": "linear",
        "trained_betas": None,
        "clip_sample": True,
        "set_alpha_to_one": True,
        "steps_offset": 0,
        "prediction_type": "epsilon",
        "clip_sample_range": 1.0,
        "timestep_spacing": "leading",
        "rescale_betas_zero_snr": False,
    },
    # scheduling_unclip.py, lines 132 and 237
    "UnCLIPScheduler": {
        "num_train_timesteps": 1000,
        "variance_type": "fixed_small_log",
        "clip_sample": True,
        "clip_sample_range": 1.0,
        "prediction_type": "epsilon",
        "beta_schedule": "squaredcos_cap_v2",
        "prev_timestep": None,
    },
    # scheduling_edm_euler.py, lines 87 and 427
    "EDMEulerScheduler": {
        "sigma_min": 0.002,
        "sigma_max": 80.0,
        "sigma_data": 0.5,
        "sigma_schedule": "karras",
        "num_train_timesteps": 1000,
        "prediction_type": "epsilon",
        "rho": 7.0,
        "final_sigmas_type": "zero",
        "s_churn": 0.0,
        "s_tmin": 0.0,
        "s_tmax": float("inf"),
        "s_noise": 1.0,
    },
    # scheduling_euler_discrete.py, lines 202 and 685
    "EulerDiscreteScheduler": {
        "num_train_timesteps": 1000,
        "beta_start": 0.0001,
        "beta_end": 0.02,
        "beta_schedule": "linear",
        "trained_betas": None,
        "prediction_type": "epsilon",
        "interpolation_type": "linear",
        "use_karras_sigmas": False,
        "use_exponential_sigmas": False,
        "use_beta_sigmas": False,
        "sigma_min": None,
        "sigma_max": None,
        "timestep_spacing": "linspace",
        "timestep_type": "discrete",
        "steps_offset": 0,
        "rescale_betas_zero_snr": False,
        "final_sigmas_type": "zero",
        "s_churn": 0.0,
        "s_tmin": 0.0,
        "s_tmax": float("inf"),
        "s_noise": 1.0,
    },
    # scheduling_heun_discrete.py, line 148
    "HeunDiscreteScheduler": {
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "linear",
        "trained_betas": None,
        "prediction_type": "epsilon",
        "use_karras_sigmas": False,
        "use_exponential_sigmas": False,
        "use_beta_sigmas": False,
        "clip_sample": False,
        "clip_sample_range": 1.0,
        "timestep_spacing": "linspace",
        "steps_offset": 0,
    },
    # scheduling_euler_ancestral_discrete.py, line 178
    "EulerAncestralDiscreteScheduler": {
        "num_train_timesteps": 1000,
        "beta_start": 0.0001,
        "beta_end": 0.02,
        "beta_schedule": "linear",
        "trained_betas": None,
        "prediction_type": "epsilon",
        "timestep_spacing": "linspace",
        "steps_offset": 0,
        "rescale_betas_zero_snr": False,
    },
    # scheduling_k_dpm_2_discrete.py, line 146
    "KDPM2DiscreteScheduler": _OF_TWO_CALLS,
    # scheduling_k_dpm_2_ancestral_discrete.py, line 147
    "KDPM2AncestralDiscreteScheduler": _OF_TWO_CALLS,
    # scheduling_lcm.py, line 204
    "LCMScheduler": _DISTILLED,
    # scheduling_tcd.py, lines 205 and 594
    "TCDScheduler": {**_DISTILLED, "eta": 0.3},
    # scheduling_consistency_models.py, line 80
    "CMStochasticIterativeScheduler": {
        "num_train_timesteps": 40,
        "sigma_min": 0.002,
        "sigma_max": 80.0,
        "sigma_data": 0.5,
        "s_noise": 1.0,
        "rho": 7.0,
        "clip_denoised": True,
    },
    # scheduling_scm.py, line 69
    "SCMScheduler": {
        "num_train_timesteps": 1000,
        "prediction_type": "trigflow",
        "sigma_data": 0.5,
    },
    # scheduling_flow_match_euler_discrete.py, line 92
    "FlowMatchEulerDiscreteScheduler": {
        **_FLOW_MATCH,
        "stochastic_sampling": False,
        "s_churn": 0.0,
        "s_tmin": 0.0,
        "s_tmax": float("inf"),
        "s_noise": 1.0,
        "per_token_timesteps": None,
    },
    # scheduling_flow_match_heun_discrete.py, line 63
    "FlowMatchHeunDiscreteScheduler": {
        "num_train_timesteps": 1000,
        "shift": 1.0,
        "s_churn": 0.0,
        "s_tmin": 0.0,
        "s_tmax": float("inf"),
        "s_noise": 1.0,
    },
    # scheduling_flow_match_lcm.py, line 94
    "FlowMatchLCMScheduler": {**_FLOW_MATCH, "scale_factors": None, "upscale_mode": "bicubic"},
    # scheduling_ltx_euler_ancestral_rf.py, line 79
    "LTXEulerAncestralRFScheduler": {"num_train_timesteps": 1000, "eta": 1.0, "s_noise": 1.0},
    # scheduling_flow_map_euler_discrete.py, lines 70 and 223
    "FlowMapEulerDiscreteScheduler": {"num_train_timesteps": 1000, "shift": 1.0, "r_timestep": None},
    # scheduling_ddpm_wuerstchen.py, line 109
    "DDPMWuerstchenScheduler": {"scaler": 1.0, "s": 0.008},
    # scheduling_sde_ve.py, line 71
    "ScoreSdeVeScheduler": {
        "num_train_timesteps": 2000,
        "snr": 0.15,
        "sigma_min": 0.01,
        "sigma_max": 1348.0,
        "sampling_eps": 1e-5,
        "correct_steps": 1,
    },
    # scheduling_minimax_h3.py, line 74
    "MiniMaxH3Scheduler": {"shift": 12.0},
}


def left_out(scheduler: str, option: str, value: Any) -> bool:
    """Whether an option need not be passed, since its documented default is that value.

    Args:
        scheduler: the class.
        option: of its constructor or of ``step``.
        value: what it is to be.
    """
    defaults = DOCUMENTED.get(scheduler, {})
    return option in defaults and type(value) is type(defaults[option]) and bool(value == defaults[option])
