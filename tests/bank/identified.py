"""Samplers that nobody declared, and what each of them is: written down by hand, ahead of any run.

What a row says is what its source says. Of a name only what the source fixes is asked; where two names have one law,
either may stand first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sampler_harness.identity import Identity, Name

__all__ = ["LAST", "LATER", "ROWS", "Row", "is_right", "is_wrong_and_called_exact"]

OURS = "fixtures/torch_samplers/under_test.py:"
WRAPS = "fixtures/wraps/"
IDIOM = "k_diffusion:fixtures/torch_samplers/idiom.py:"
PLAIN = "fixtures/undeclared.py:"
FAULTY = "fixtures/faulty_samplers/"
KARRAS = "the Karras grid"


@dataclass(frozen=True)
class Row:
    """One sampler.

    Attributes:
        target: as a person types it.
        settings: what ``--set`` gives.
        references: classes whose law it has, any of which may stand first; empty where no reference has it.
        fields: that the name must have.
        words: that must stand in it.
        open: word that must stand in what is left open.
    """

    target: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    references: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    open: str = ""

    @property
    def name(self) -> str:
        """For a test's id."""
        given = ",".join(f"{name}={value}" for name, value in self.settings.items())
        return f"{self.target.rpartition('/')[2]}{f'[{given}]' if given else ''}"


def _row(
    target: str, settings: dict[str, Any], references: str = "", *words: str, open: str = "", **fields: Any
) -> Row:
    return Row(target, settings, tuple(references.split()), fields, words, open)


#: Forty and some: of this project with odd settings, as released, wrapped, plain functions, and what is none of them.
ROWS: tuple[Row, ...] = (
    # This project's own, with settings that nobody has by default.
    _row(OURS + "edm", {"solver": "euler", "s_churn": 2.0, "s_noise": 1.02, "sigma_max": 40.0, "rho": 7.0}, "EDM",
         KARRAS, "rho 7", "Euler", s_churn=2.0, s_noise=1.02, sigma_max=40.0, solver="euler"),
    _row(OURS + "edm", {"rho": 3.0, "sigma_min": 0.01, "sigma_max": 20.0}, "EDM", KARRAS, "from 20 to 0.01, rho 3",
         "Heun", rho=3.0),
    _row(OURS + "edm", {"model_kind": "network", "sigma_data": 0.3}, "EDM", KARRAS, "sigma_data 0.3", "Heun",
         model_kind="network", sigma_data=0.3),
    _row(OURS + "edm", {"s_churn": 1.5, "s_tmin": 0.05, "s_tmax": 50.0, "s_noise": 1.007}, "EDM", "Heun", open="s_tmin",
         s_churn=1.5, s_noise=1.007),
    _row(OURS + "edm", {"s_churn": 40.0}, "EDM", "Heun", open="s_churn may be any number"),
    _row(OURS + "dpm2", {"rho": 5.0}, "DPM2", KARRAS, "rho 5"),
    _row(OURS + "dpm2_ancestral", {"eta": 0.35, "s_noise": 0.95}, "DPM2Ancestral", KARRAS, eta=0.35, s_noise=0.95),
    _row(OURS + "euler_ancestral", {"eta": 0.62}, "EulerAncestral", "eta 0.62", KARRAS, eta=0.62),
    _row(OURS + "ddim", {"eta": 0.45, "prediction": "x0", "beta_schedule": "cosine", "timestep_spacing": "trailing"},
         "DDIM", "trailing", "cosine", eta=0.45, prediction="x0"),
    _row(OURS + "ddim", {"prediction": "v", "clip_denoised": True, "clip_range": 2.0}, "DDIM", "leading",
         clip_denoised=True, clip_range=2.0, prediction="v"),
    _row(OURS + "ddpm", {"variance": "fixed_large", "prediction": "x0"}, "DDPM", variance="fixed_large",
         prediction="x0"),
    _row(OURS + "ddpm", {"threshold": 0.9, "prediction": "v"}, "DDPM", threshold=0.9, prediction="v"),
    _row(OURS + "lcm", {"timestep_scaling": 0.02, "sigma_data": 0.5}, "LCM", "original_steps 50",
         timestep_scaling=0.02),
    # So far from timestep 0 the boundary shows in no weight.
    _row(OURS + "lcm", {"timestep_scaling": 0.5, "sigma_data": 0.5}, "LCM", "original_steps 50",
         open="timestep_scaling may be"),
    _row(OURS + "tcd", {"gamma": 0.65, "prediction": "v"}, "TCD", gamma=0.65, prediction="v"),
    _row(OURS + "consistency", {"sigma_max": 10.0, "rho": 3.0}, "ConsistencyModel", KARRAS, "rho 3"),
    _row(OURS + "flow", {"shift": 2.2, "time_scale": 1000.0}, "FlowEuler", "shift 2.2", "told 1000 t", shift=2.2),
    _row(OURS + "flow", {"time_scale": 1000.0, "time_rounding": "nearest", "data_at_one": True, "shift": 3.0},
         "FlowEuler", "shift 3", "rounded", time_rounding="nearest", data_at_one=True),
    _row(OURS + "flow_runge_kutta", {"solver": "midpoint", "shift": 3.0}, "FlowRungeKutta", "midpoint", "shift 3"),
    # Along the flow to 0 and to the predicted data is one step under two names.
    _row(OURS + "flow_sde", {"diffusion": "constant", "diffusion_scale": 0.3, "last_step": "tweedie"}, "FlowSDE",
         diffusion="constant", diffusion_scale=0.3),
    _row(OURS + "flow_ancestral", {"eta": 0.25, "s_noise": 1.1}, "FlowAncestral", eta=0.25, s_noise=1.1),
    _row(OURS + "flow_consistency", {"shift": 5.0}, "FlowConsistency", "shift 5"),
    _row(OURS + "alphafold3", {"gamma_0": 0.6, "step_scale": 1.3}, "AlphaFold3", gamma_0=0.6, step_scale=1.3),
    # Released programs, as a user wraps them.
    _row(WRAPS + "edm.py:edm", {"s_churn": 1.0}, "EDM", KARRAS, "from 80 to 0.002, rho 7", "Heun", s_churn=1.0),
    _row(WRAPS + "diamond.py:diamond", {}, "EDM", KARRAS, initial_scale=1.0, sigma_max=5.0),
    _row(WRAPS + "guided_ddim.py:guided_ddim", {}, "DDIM", "by hand", "linear chain of 1000"),
    _row(WRAPS + "guided_ddpm_learned.py:guided_ddpm_learned", {}, "DDPM", variance="learned_range"),
    _row(WRAPS + "denoising_diffusion_ddim.py:denoising_diffusion_ddim", {"eta": 0.3}, "DDIM", eta=0.3,
         clip_denoised=True),
    _row(WRAPS + "lcm_pipeline.py:lcm_pipeline", {"prediction": "v"}, "LCM", "scaled_linear", prediction="v"),
    _row(WRAPS + "policy_ddim.py:policy_ddim", {}, "DDIM", "cosine chain of 100", rederive_epsilon=False),
    _row(WRAPS + "policy_flow.py:policy_flow", {}, "FlowEuler", data_at_one=True, prediction="reversed_flow"),
    _row(WRAPS + "sd3_flow.py:sd3_flow", {}, "FlowEuler", "shift 3", "told 1000 t"),
    _row(WRAPS + "flux_flow.py:flux_flow", {"shift": 2.5}, "FlowEuler", "shift 2.5", "told t"),
    _row(WRAPS + "score_sde.py:predictor_ve", {}, "ScoreSDE", sde="ve"),
    # Schedulers, decided or not.
    _row("diffusers:EulerDiscreteScheduler", {"use_karras_sigmas": True}, "EulerDiscrete EDM", "karras"),
    _row("diffusers:DDIMScheduler", {"eta": 0.5, "clip_sample": False}, "DDIM", "leading", eta=0.5),
    _row("diffusers:FlowMatchEulerDiscreteScheduler", {"shift": 3.0}, "FlowEuler", "shift 3", "told 1000 t"),
    _row("diffusers:FlowMatchHeunDiscreteScheduler", {}, "FlowRungeKutta", "Heun", corrects_last=False),
    _row("diffusers:LTXEulerAncestralRFScheduler", {"eta": 0.5}, "FlowAncestral", eta=0.5),
    _row("diffusers:KDPM2AncestralDiscreteScheduler", {}, "KDPM2AncestralDiscrete DPM2Ancestral", "linspace"),
    _row("diffusers:DDIMParallelScheduler", {"clip_sample": False}, "DDIM", "leading"),
    _row("diffusers:DDPMParallelScheduler", {"clip_sample": False}, "DDPM", "leading", "linear chain of 1000"),
    _row("diffusers:DPMSolverMultistepScheduler", {"solver_order": 1, "timestep_spacing": "trailing"}, "DDIM", eta=0.0),
    _row("diffusers:DPMSolverMultistepScheduler", {}),
    _row("diffusers:UniPCMultistepScheduler", {}),
    _row("diffusers:IPNDMScheduler", {}),
    # Functions in the idiom of k-diffusion, and functions in none.
    _row(IDIOM + "sample_euler_ancestral", {"eta": 0.8}, "EulerAncestral", "from 14.6146 to 0.0292, rho 7", eta=0.8),
    _row(IDIOM + "sample_dpm_2", {"s_churn": 1.2, "sigma_max": 80.0}, "DPM2", KARRAS, s_churn=1.2),
    _row(IDIOM + "sample_two_histories", {}),
    _row(PLAIN + "ancestral_loop", {"eta": 0.4}, "EulerAncestral", KARRAS, eta=0.4),
    _row(PLAIN + "ddim_loop", {}, "DDIM", "trailing", "scaled_linear chain of 1000", eta=0.0),
    _row(PLAIN + "robot", {}, "FlowEuler", data_at_one=True, prediction="reversed_flow"),
    _row(PLAIN + "pictures", {}, "FlowEuler", "told 1000 t", time_scale=1000.0),
    _row(PLAIN + "flow_shifted_twice", {}, "FlowEuler", "shift 9", shift=9.0),
    _row(PLAIN + "linear_quadratic_flow", {}, "FlowEuler", "linear-quadratic"),
    _row(PLAIN + "kl_optimal_euler", {}, "EDM", "KL-optimal"),
    _row(PLAIN + "exponential_heun", {}, "EDM", "exponential", "Heun"),
    _row(PLAIN + "adams_bashforth", {}),
    _row(PLAIN + "momentum", {}),
    _row(PLAIN + "restarted", {}),
    # Mistakes: one is Euler's method with churn on levels sigma / (1 + gamma), the others are nothing that has a name.
    _row(FAULTY + "edm.py:churn_after_model_call", {"s_churn": 2.0}, "EDM", "by hand", "Euler", s_churn=2.0),
    _row(FAULTY + "edm.py:rise_adds_standard_deviations", {"s_churn": 2.0}),
    _row(FAULTY + "edm.py:corrector_with_first_sigma", {}),
    _row(FAULTY + "ancestral.py:sigma_down_by_difference", {}),
    _row(FAULTY + "ddim_step.py:direction_keeps_all_noise", {"eta": 0.7}),
    _row(FAULTY + "ddpm_mean.py:weights_of_mean_swapped", {}),
)  # fmt: skip


SOUND = "fixtures/sound_samplers/"
#: Forty more, written down when the first table was named right, to see what had been learned by heart.
LATER: tuple[Row, ...] = (
    _row(SOUND + "habits.py:of_k_diffusion", {}, "EDM", KARRAS, "Euler"),
    _row(SOUND + "habits.py:float64_state", {}, "EDM", KARRAS, "Heun"),
    _row(SOUND + "habits.py:by_expm1", {"sigma_max": 5.0}, "EDM", "from 5", "Euler"),
    _row(SOUND + "habits.py:one_item_at_a_time", {}, "EDM", KARRAS),
    _row(SOUND + "habits.py:without_a_batch", {}, "EDM", KARRAS),
    _row(SOUND + "habits.py:scaled_latents", {}, "EDM", KARRAS),
    _row(SOUND + "habits_elsewhere.py:ancestral_of_k_diffusion", {}, "EulerAncestral", KARRAS),
    _row(SOUND + "habits_elsewhere.py:ddim_of_a_pipeline", {"eta": 0.2}, "DDIM", eta=0.2),
    _row(SOUND + "habits_elsewhere.py:ddpm_of_tables", {}, "DDPM"),
    _row(SOUND + "habits_elsewhere.py:video_with_frames_first", {}, "FlowEuler", "even times"),
    _row(SOUND + "habits_elsewhere.py:of_an_ode_solver", {}, "FlowRungeKutta", "midpoint", solver="midpoint"),
    _row(OURS + "edm_by_hand", {}, "EDM"),
    _row(OURS + "ddim_by_hand", {}, "DDIM", "by hand"),
    _row(OURS + "flow_by_hand", {}, "FlowEuler", "by hand"),
    _row(OURS + "dpm2", {"s_churn": 0.7, "s_noise": 1.01, "rho": 1.0}, "DPM2", "rho 1", s_churn=0.7, s_noise=1.01),
    _row(OURS + "flow_runge_kutta", {"solver": "rk4_38", "data_at_one": True}, "FlowRungeKutta", solver="rk4_38"),
    _row(OURS + "flow", {"prediction": "x0", "shift": 0.4}, "FlowEuler", "shift 0.4", prediction="x0"),
    _row(WRAPS + "score_sde.py:predictor_vp", {"num_steps": 30}, "ScoreSDE", sde="vp", prediction="epsilon"),
    _row(WRAPS + "guided_ddpm.py:guided_ddpm", {}, "DDPM", "linear chain of 1000"),
    _row(WRAPS + "policy_ddpm.py:policy_ddpm", {}, "DDPM", "cosine chain of 100", clip_denoised=True),
    _row(WRAPS + "denoising_diffusion_ddpm.py:denoising_diffusion_ddpm", {}, "DDPM", clip_denoised=True),
    _row("diffusers:DDPMScheduler", {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}, "DDPM",
         "cosine", clip_denoised=True, prediction="v"),
    # With eta = 1 or with 13 steps this scheduler leaves its paper (FINDINGS).
    _row("diffusers:DDIMScheduler", {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "num_steps": 10,
         "clip_sample": False, "prediction_type": "v_prediction"}, "DDIM", "trailing", "zero terminal SNR", eta=0.0),
    _row("diffusers:DDIMScheduler", {"set_alpha_to_one": False, "clip_sample": False, "beta_schedule": "scaled_linear",
         "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}, "DDIM", "steps_offset 1",
         final_alpha_bar="first"),
    _row("diffusers:EDMEulerScheduler", {"sigma_max": 20.0}, "EDM EDMEuler", KARRAS, "from 20"),
    _row("diffusers:LCMScheduler", {}, "LCM", "original_steps 50", "scaled_linear"),
    _row("diffusers:TCDScheduler", {"eta": 0.2}, "TCD", gamma=0.2),
    _row("diffusers:CMStochasticIterativeScheduler", {"clip_denoised": False}, "CMStochasticIterative"),
    _row("diffusers:SCMScheduler", {}, "SCM"),
    _row("diffusers:FlowMatchLCMScheduler", {"shift": 3.0}, "FlowConsistency", "shift 3"),
    _row("diffusers:FlowMatchEulerDiscreteScheduler", {"use_dynamic_shifting": True, "mu": 1.15}, "FlowEuler",
         "mu 1.15"),
    # Without a shift a stretched grid is an even one that ends elsewhere.
    _row("diffusers:FlowMatchEulerDiscreteScheduler", {"shift_terminal": 0.1, "shift": 3.0}, "FlowEuler",
         "terminal 0.1"),
    _row("diffusers:FlowMatchEulerDiscreteScheduler", {"use_beta_sigmas": True}, "FlowEuler", "beta"),
    _row("diffusers:EulerDiscreteScheduler", {"timestep_spacing": "leading", "steps_offset": 1, "beta_schedule":
         "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}, "EulerDiscrete DDIM", "leading", "steps_offset 1"),
    _row("diffusers:EulerAncestralDiscreteScheduler", {"prediction_type": "v_prediction"}, "EulerAncestralDiscrete",
         "linspace"),
    _row("diffusers:KDPM2DiscreteScheduler", {"use_exponential_sigmas": True}, "KDPM2Discrete DPM2", "exponential"),
    _row("diffusers:HeunDiscreteScheduler", {"use_karras_sigmas": True}, "HeunDiscrete EDM", "karras"),
    _row("diffusers:DPMSolverMultistepScheduler", {"solver_order": 1, "algorithm_type": "sde-dpmsolver++",
         "timestep_spacing": "trailing"}, "DDPM DDIM EulerAncestralDiscrete", "trailing"),
    _row("diffusers:PNDMScheduler", {}),
    _row("diffusers:DEISMultistepScheduler", {}),
    _row("diffusers:DPMSolverSinglestepScheduler", {}),
    _row("diffusers:SASolverScheduler", {}),
    _row("diffusers:LMSDiscreteScheduler", {}),
    _row("diffusers:DPMSolverMultistepScheduler", {"solver_order": 3, "use_karras_sigmas": True}),
    _row(IDIOM + "sample_heun", {"sigma_max": 30.0, "rho": 4.0}, "EDM", "from 30 to 0.0292, rho 4", "Heun"),
    _row(IDIOM + "sample_dpm_2_ancestral", {"eta": 0.5}, "DPM2Ancestral", KARRAS, eta=0.5),
    _row(FAULTY + "edm.py:levels_are_variances", {}, "EDM"),
    _row(FAULTY + "edm.py:network_before_churn", {"s_churn": 2.0}),
    _row(FAULTY + "ddim_step.py:direction_at_current_level", {"eta": 0.0}),
    _row(FAULTY + "ddpm_mean.py:product_for_alpha", {}),
    _row(FAULTY + "ancestral.py:renoised_without_scaling", {}),
)  # fmt: skip

#: Forty more again, written down ahead of their first run.
LAST: tuple[Row, ...] = (
    _row(PLAIN + "clamped_ancestral", {}, "EulerAncestral", "from 30 to 0.02, rho 7", eta=1.0),
    _row(PLAIN + "ddpm_cosine_loop", {}, "DDPM", "cosine chain of 1000", variance="fixed_small"),
    _row(PLAIN + "ddpm_long_table", {}, "DDPM", "2000", "from 5e-05 to 0.01"),
    _row(PLAIN + "ddim_other_betas", {}, "DDIM", "steps_offset 1", "from 0.0015 to 0.0195", final_alpha_bar="first"),
    _row(PLAIN + "pingpong", {}, "FlowConsistency", "shift 1.5"),
    # Its rise does not depend on the number of steps, as s_churn has it.
    _row(PLAIN + "polyexponential_churn", {}),
    _row(PLAIN + "preconditioned_heun", {}, "EDM", "from 60 to 0.01, rho 5", model_kind="network", sigma_data=1.0),
    _row(PLAIN + "velocity_heun", {}, "FlowRungeKutta", "Heun", corrects_last=True, prediction="reversed_flow"),
    _row(PLAIN + "maruyama", {}, "FlowSDE", diffusion="sigma", diffusion_scale=0.8, last_step="mean"),
    _row(PLAIN + "half_noised", {}),
    # By its law it is a run on half of the levels, whose first noise is twice what belongs there.
    _row(PLAIN + "told_half_the_level", {}, "EDM", "from 7.3073 to 0.0146", initial_scale=14.6146),
    _row(PLAIN + "ancestral_loop", {"eta": 0.0, "sigma_max": 80.0}, "EDM", "from 80"),
    _row(OURS + "edm", {"solver": "euler", "model_kind": "network", "s_churn": 1.0}, "EDM", "Euler", s_churn=1.0,
         model_kind="network"),
    _row(OURS + "edm", {"initial_scale": 3.0}, "EDM", initial_scale=3.0),
    _row(OURS + "dpm2", {"model_kind": "network"}, "DPM2", model_kind="network"),
    _row(OURS + "dpm2_ancestral", {"eta": 0.0, "rho": 4.0}, "DPM2 DPM2Ancestral", "rho 4"),
    _row(OURS + "euler_ancestral", {"eta": 1.0, "s_noise": 0.9}, "EulerAncestral", eta=1.0, s_noise=0.9),
    _row(OURS + "ddim", {"final_alpha_bar": "first", "beta_schedule": "scaled_linear"}, "DDIM", "scaled_linear",
         final_alpha_bar="first"),
    _row(OURS + "ddim", {"num_train_timesteps": 100, "beta_schedule": "cosine", "eta": 1.0}, "DDPM DDIM",
         "cosine chain of 100"),
    _row(OURS + "ddim", {"beta_start": 0.001, "beta_end": 0.03, "timestep_spacing": "linspace"}, "DDIM", "linspace",
         "from 0.001 to 0.03"),
    _row(OURS + "ddpm", {"timestep_spacing": "respaced", "prediction": "x0"}, "DDPM", prediction="x0"),
    _row(OURS + "ddpm", {"rescale_zero_terminal_snr": True, "prediction": "v", "timestep_spacing": "trailing"}, "DDPM",
         "zero terminal SNR", "trailing"),
    _row(OURS + "lcm", {"original_steps": 25, "prediction": "x0"}, "LCM", "original_steps 25", prediction="x0"),
    _row(OURS + "tcd", {"gamma": 1.0}, "TCD", gamma=1.0),
    _row(OURS + "tcd", {"gamma": 0.0}, "TCD", gamma=0.0),
    _row(OURS + "consistency", {"sigma_min": 0.1}, "ConsistencyModel", "to 0.1", sigma_min=0.1),
    _row(OURS + "flow", {"prediction": "x0", "lowest_time": 0.02}, "FlowEuler", "down to 0.02", lowest_time=0.02),
    _row(OURS + "flow", {"data_at_one": True, "time_scale": 999.0}, "FlowEuler", data_at_one=True, time_scale=999.0),
    _row(OURS + "flow_runge_kutta", {"solver": "heun", "corrects_last": False, "prediction": "x0"}, "FlowRungeKutta",
         corrects_last=False, prediction="x0"),
    _row(OURS + "flow_sde", {"diffusion": "flow_grpo", "diffusion_scale": 0.49, "last_step": "drawn"}, "FlowSDE",
         diffusion="flow_grpo", diffusion_scale=0.49, last_step="drawn"),
    _row(OURS + "flow_ancestral", {"eta": 1.0, "shift": 3.0}, "FlowAncestral", "shift 3", eta=1.0),
    _row(OURS + "alphafold3", {"ends_at": "lowest", "noise_scale": 1.1}, "AlphaFold3", noise_scale=1.1),
    _row("diffusers:DDPMScheduler", {"variance_type": "fixed_large", "clip_sample": False, "beta_schedule": "sigmoid"},
         "DDPM", "sigmoid", variance="fixed_large"),
    _row("diffusers:EulerDiscreteScheduler", {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True,
         "timestep_spacing": "trailing"}, "EulerDiscrete", "trailing", "zero terminal SNR"),
    _row("diffusers:EulerDiscreteScheduler", {"use_exponential_sigmas": True, "final_sigmas_type": "sigma_min"},
         "EulerDiscrete", "exponential", final_level="sigma_min"),
    _row("diffusers:FlowMatchEulerDiscreteScheduler", {"shift": 7.0, "num_train_timesteps": 200}, "FlowEuler",
         "shift 7"),
    _row("diffusers:MiniMaxH3Scheduler", {}, "FlowEuler", "shift 12", data_at_one=True),
    _row("diffusers:UniPCMultistepScheduler", {"solver_order": 1, "use_flow_sigmas": True, "prediction_type":
         "flow_prediction"}),
    _row("diffusers:DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"}),
    _row(IDIOM + "sample_euler", {"s_churn": 5.0, "s_noise": 1.003, "s_tmin": 0.05}, "EDM", "Euler", open="s_tmin",
         s_noise=1.003),
    _row(FAULTY + "ancestral.py:eta_within_root", {}, "EulerAncestral"),
    _row(FAULTY + "ddim_step.py:eta_squared", {"eta": 0.5}, "DDIM", eta=0.25),
    _row(FAULTY + "edm.py:initial_noise_unscaled", {}, "EDM", initial_scale=1.0),
    _row(FAULTY + "ddim_step.py:ends_at_first_level", {}, "DDIM", final_alpha_bar="first"),
)  # fmt: skip


def is_right(row: Row, found: Identity) -> bool:
    """Whether the first name is the row's; of what is none of the references, whether none is called exact.

    Args:
        row: what the sampler is.
        found: what it was called.
    """
    if not row.references:
        return found.outcome in ("nearest", "none")
    return found.outcome == "exact" and _fits(row, found.names[0])


def is_wrong_and_called_exact(row: Row, found: Identity) -> bool:
    """Whether a name that is not the row's was called exact: no name of another method may stand alone.

    Args:
        row: what the sampler is.
        found: what it was called.
    """
    return found.outcome == "exact" and not any(_fits(row, name) for name in found.names)


def _fits(row: Row, name: Name) -> bool:
    if name.reference not in row.references:
        return False
    if any(not _is(value, name.fields.get(field, _usual(name, field))) for field, value in row.fields.items()):
        return False
    whole = " ".join((name.told, *name.open))
    return all(word in whole for word in (*row.words, *([row.open] if row.open else [])))


def _usual(name: Name, field: str) -> Any:
    """What a field is that the name does not tell."""
    import reference_samplers

    kind = vars(reference_samplers).get(name.reference)
    return None if kind is None else next((vars(part)[field] for part in kind.__mro__ if field in vars(part)), None)


def _is(wanted: Any, told: Any) -> bool:
    if isinstance(wanted, float) and isinstance(told, (int, float)):
        return math.isclose(wanted, told, rel_tol=1e-4, abs_tol=1e-9)
    return bool(wanted == told)
