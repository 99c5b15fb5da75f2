"""What the functions of ``fixtures/as_written`` are: written down by hand, before any of them was measured.

They were written by someone who had not seen how a sampler is identified, from papers and from the idioms of public
repositories. Of the forty, thirty were named right at the first attempt, and none wrongly; of nine the arguments were
not known by their names, and one was given noise levels though it is of a flow.
"""

from __future__ import annotations

from typing import Any

from .identified import KARRAS, Row

__all__ = ["AS_WRITTEN", "OTHERWISE_CALLED"]


def _row(name: str, references: str = "", *words: str, open: str = "", **fields: Any) -> Row:
    file, _, function = name.partition(":")
    return Row(f"fixtures/as_written/{file}.py:{function}", {}, tuple(references.split()), fields, words, open)


AS_WRITTEN: tuple[Row, ...] = (
    _row("noise_levels:sample_euler", "EDM", "Euler", solver="euler", s_churn=3.0, s_noise=1.003),
    _row("noise_levels:edm_heun", "EDM", "Heun", KARRAS, sigma_min=0.01, sigma_max=40.0, rho=5.0, solver="heun"),
    _row("noise_levels:dpm2_on_polyexponential", "DPM2", "polyexponential", "from 14.6 to 0.03, rho 0.8"),
    _row("noise_levels:euler_a_exponential", "EulerAncestral", "exponential", "from 25 to 0.05", eta=0.6, s_noise=1.01),
    _row("noise_levels:dpm2_ancestral_karras5", "DPM2Ancestral", KARRAS, eta=0.75, sigma_min=0.1, sigma_max=10.0,
         rho=5.0),
    # The lowest of its time points is never called at: Karras et al.'s levels but for the last.
    _row("noise_levels:consistency_multistep", "ConsistencyModel", sigma_min=0.002),
    _row("noise_levels:af3_sample", "AlphaFold3", gamma_0=0.8, noise_scale=1.003, step_scale=1.5, sigma_max=2560.0,
         sigma_min=0.0064, rho=7.0, ends_at="lowest", open="gamma_min"),
    _row("noise_levels:elucidated", "EDM", "Heun", KARRAS, model_kind="network", sigma_data=0.5, s_churn=6.0,
         s_noise=1.003, sigma_min=0.002, sigma_max=80.0, rho=7.0, open="s_tmin"),
    # Fresh noise of the whole level: a model that knows every level above 0.
    _row("noise_levels:sample_lcm", "ConsistencyModel", "sigma_min 1e-09"),
    _row("noise_levels:euler_of_stable_diffusion", "EulerDiscrete EDM", "Euler", "linspace", "scaled_linear"),
    _row("noise_levels:score_ve_langevin_free", "ScoreSDE", "sigma_min 0.01, sigma_max 50", sde="ve",
         predictor="reverse_diffusion"),
    _row("chains:ddpm_v_cosine", "DDPM", "cosine chain of 40", prediction="v", variance="fixed_small"),
    _row("chains:ddpm_x0_sigmoid", "DDPM", "sigmoid_jabri chain of 30", prediction="x0", clip_denoised=True,
         variance="fixed_small"),
    # Respaced and linspace timesteps are the same at this number of steps.
    _row("chains:guided_respaced", "DDPM", "linear chain of 1000", variance="fixed_large", prediction="epsilon"),
    _row("chains:ddpm_trailing_v", "DDPM", "trailing", "scaled_linear chain of 1000", prediction="v",
         variance="fixed_small"),
    _row("chains:ddim_of_stable_diffusion", "DDIM", "leading", "scaled_linear chain of 1000", steps_offset=1,
         final_alpha_bar="first", eta=0.0),
    _row("chains:ddim_half_eta", "DDIM", "linspace", "linear chain of 1000", eta=0.5),
    _row("chains:ddim_zero_terminal", "DDIM", "trailing", "rescaled to zero terminal SNR", prediction="v", eta=0.0),
    _row("chains:ddim_of_denoising_diffusion", "DDIM", "timesteps given by hand", "cosine chain of 1000",
         clip_denoised=True, rederive_epsilon=True, eta=1.0),
    _row("chains:ddim_clipped_keeps_epsilon", "DDIM", "leading", "cosine chain of 100", clip_denoised=True,
         rederive_epsilon=False),
    _row("chains:diffwave", "DDPM", "linear chain of 50 from 0.0001 to 0.05", variance="fixed_small"),
    _row("chains:lcm_loop", "LCM", "original_steps 50", "scaled_linear", open="timestep_scaling"),
    _row("chains:tcd_loop", "TCD", "original_steps 50", "scaled_linear", gamma=0.3),
    # exp(mu) of 1024 tokens.
    _row("flows:flux_denoise", "FlowEuler", "shift 1.8776", "told t", prediction="flow"),
    _row("flows:sd3_shifted", "FlowEuler", "shift 3", "told 1000 t", time_scale=1000.0),
    _row("flows:pi_zero_actions", "FlowEuler", "even times", "told t", prediction="flow"),
    _row("flows:groot_actions", "FlowEuler", "even times", data_at_one=True, prediction="reversed_flow",
         time_scale=1000.0, time_rounding="down"),
    _row("flows:cfm_midpoint", "FlowRungeKutta", "midpoint", data_at_one=True, prediction="reversed_flow"),
    _row("flows:voice_flow_rk4", "FlowRungeKutta", solver="rk4_38", data_at_one=True, prediction="reversed_flow"),
    _row("flows:sit_sde", "FlowSDE InterpolantSDE", diffusion="sigma", diffusion_scale=2.0, last_step="mean",
         data_at_one=True, prediction="reversed_flow", lowest_time=0.04),
    _row("flows:flow_grpo", "FlowSDE", "told 1000 t", diffusion="flow_grpo", diffusion_scale=0.49, last_step="drawn"),
    _row("flows:sample_euler_ancestral_rf", "FlowAncestral", eta=0.7, prediction="x0"),
    _row("flows:sample_flow_pingpong", "FlowConsistency", "even times", prediction="flow"),
    _row("flows:video_heun", "FlowRungeKutta", "Heun", "shift 5", "told 1000 t", corrects_last=False),
    # Two multistep methods, churn whose cap is sqrt(2), a slope carried on, a run that goes up again, and DDIM whose
    # epsilon is weighed as without the draw.
    _row("none_of_ours:sample_dpmpp_2m"),
    _row("none_of_ours:unipc_of_flow"),
    _row("none_of_ours:churn_with_another_cap"),
    _row("none_of_ours:sample_gradient_estimation"),
    _row("none_of_ours:restart_sampler"),
    _row("none_of_ours:ddim_forgets_its_noise"),
)  # fmt: skip

#: Arguments that are called or grouped otherwise, written when the forty were named.
OTHERWISE_CALLED: tuple[Row, ...] = (
    _row("otherwise_called:sample_cnf", "FlowEuler", "even times", prediction="flow"),
    _row("otherwise_called:rectified_sample", "FlowEuler", "even times", data_at_one=True, prediction="reversed_flow"),
    _row("otherwise_called:ddpm_minimal", "DDPM", "linear chain of 60", variance="fixed_large"),
    _row("otherwise_called:wrapped", "FlowEuler", "even times", prediction="flow"),
)
