"""What other programs call the fields of a reference and their values: read by adapters, told by ``--explain``."""

from __future__ import annotations

__all__ = ["DIFFUSERS_PREDICTIONS", "DIFFUSERS_SCHEDULES", "ELSEWHERE"]

#: Our name of a value to that of diffusers' ``prediction_type``.
DIFFUSERS_PREDICTIONS = {"epsilon": "epsilon", "x0": "sample", "v": "v_prediction"}
#: Our name of a value to that of diffusers' ``beta_schedule``.
DIFFUSERS_SCHEDULES = {
    "linear": "linear",
    "scaled_linear": "scaled_linear",
    "cosine": "squaredcos_cap_v2",
    "sigmoid": "sigmoid",
    "exponential": "exp",
}

#: Per field: what it, or one of its values, is called elsewhere.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "num_steps": (
        "diffusers: num_inference_steps",
        "denoising-diffusion-pytorch: sampling_timesteps, num_sample_steps",
        "DIAMOND: num_steps_denoising",
    ),
    "num_train_timesteps": ("guided-diffusion: diffusion_steps", "denoising-diffusion-pytorch: timesteps"),
    "beta_schedule": (
        'diffusers: "cosine" is squaredcos_cap_v2, "sigmoid" is sigmoid',
        'denoising-diffusion-pytorch: "sigmoid_jabri" is sigmoid; its linear is scaled with 1000 / T: give betas',
    ),
    "betas": ("diffusers: trained_betas",),
    "timestep_spacing": ('guided-diffusion: timestep_respacing="25" is "respaced"',),
    "rescale_zero_terminal_snr": ("diffusers: rescale_betas_zero_snr",),
    "prediction": (
        'diffusers, prediction_type: "x0" is sample, "v" is v_prediction',
        'guided-diffusion, ModelMeanType: "epsilon" is EPSILON, "x0" is START_X',
        'denoising-diffusion-pytorch, objective: "epsilon" is pred_noise, "x0" is pred_x0, "v" is pred_v',
    ),
    "clip_denoised": ("diffusers: clip_sample",),
    "clip_range": ("diffusers: clip_sample_range",),
    "threshold": ("diffusers: dynamic_thresholding_ratio, where thresholding=True",),
    "threshold_max": ("diffusers: sample_max_value",),
    "variance": (
        "diffusers: variance_type",
        'guided-diffusion, ModelVarType: "fixed_small" is FIXED_SMALL, "learned_range" is LEARNED_RANGE',
    ),
    "eta": ("denoising-diffusion-pytorch: ddim_sampling_eta",),
    "final_alpha_bar": ('diffusers: "one" is set_alpha_to_one=True, "first" is False',),
    "rederive_epsilon": (
        "diffusers: use_clipped_model_output",
        "guided-diffusion, denoising-diffusion-pytorch: always",
    ),
    "solver": ('k-diffusion: "heun" is sample_heun, "euler" is sample_euler', 'DIAMOND: "euler" is order=1'),
    "s_tmin": ("NVlabs/edm: S_min",),
    "s_tmax": ("NVlabs/edm: S_max",),
    "sigmas": ("k-diffusion: the argument sigmas",),
    "model_kind": (
        'NVlabs/edm, k-diffusion: what the sampler calls is a "denoiser"',
        'diffusers: "epsilon", "v" and "x0" are what prediction_type names',
    ),
    "shift": ("diffusers: FlowMatchEulerDiscreteScheduler(shift=…)",),
    "terminal": ("diffusers: shift_terminal", "LTX-Video: stretch_shift_to_terminal"),
    "tokens": ("diffusers: image_seq_len",),
    "base_tokens": ("diffusers: base_image_seq_len",),
    "most_tokens": ("diffusers: max_image_seq_len",),
    "base_mu": ("diffusers: base_shift",),
    "most_mu": ("diffusers: max_shift",),
    "mu_is": ("diffusers: time_shift_type",),
    "places": ("ComfyUI: the scheduler of that name",),
}
