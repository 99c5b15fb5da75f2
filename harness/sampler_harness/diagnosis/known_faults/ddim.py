"""Mistakes around equation 12 of Song et al. 2020, arXiv:2010.02502."""

from __future__ import annotations

from . import KnownFault, Replacement, at_commit, edits_of, file_at, issue

__all__ = ["FAULTS"]

_METHOD = "reference_samplers/ddim.py"
method = edits_of(_METHOD)

_LEVELS = "alpha_bar, alpha_bar_next = self.alpha_bar[t], self.alpha_bar[t_next]"
_CALL = "output = model(x, t - 1)"
_SIGMA = "sigma = self.sigma(alpha_bar, alpha_bar_next) if t_next > 0 else 0.0  # eq. 16"
_DIRECTION = "direction_weight = np.sqrt(np.maximum(1 - alpha_bar_next - sigma**2, 0))"
_STEP = 'x = np.sqrt(alpha_bar_next) * x0 + direction_weight * epsilon  # eq. 12, with "direction"'
_DRAW = 'x = x + sigma * noise()  # eq. 12, "random noise"'
_STD = "return self.eta * np.sqrt((1 - alpha_bar_next) / (1 - alpha_bar)) * np.sqrt(1 - alpha_bar / alpha_bar_next)"
_OWN = 'if self.prediction == "epsilon" and not (self.rederive_epsilon and self.is_clipped):'
_UNCLIPPED = "x0 = prediction.to_x0(self.prediction, x, output, signal_scale, noise_scale)"
_FINAL = 'return table[0] if self.final_alpha_bar == "first" else 1.0'

FAULTS: tuple[KnownFault, ...] = (
    # The noise of a step.
    method(
        "implicit-noise-on-last-step",
        _SIGMA,
        "sigma = self.sigma(alpha_bar, alpha_bar_next)  # eq. 16",
        "The last step draws as well, and images are grainy with eta above 0.",
        at_commit(
            "ddim-noise-on-last-step",
            "lucidrains/denoising-diffusion-pytorch",
            "1345a8a41d1ae2e505c7c90c0e58964e96550af8",
        ),
    ),
    method(
        "eta-squared",
        _STD,
        "return self.eta**2 * np.sqrt((1 - alpha_bar_next) / (1 - alpha_bar)) * "
        "np.sqrt(1 - alpha_bar / alpha_bar_next)",
        "Less noise is drawn than eta asks for, and samples are nearer to those of eta = 0.",
    ),
    method(
        "eta-not-read",
        _STD,
        "return np.sqrt((1 - alpha_bar_next) / (1 - alpha_bar)) * np.sqrt(1 - alpha_bar / alpha_bar_next)",
        "As much noise is drawn as with eta = 1, whatever is asked for.",
    ),
    method(
        "second-root-of-sigma-missing",
        _STD,
        "return self.eta * np.sqrt((1 - alpha_bar_next) / (1 - alpha_bar)) * (1 - alpha_bar / alpha_bar_next)",
        "Less noise is drawn than eta asks for, most of all with many steps.",
    ),
    method(
        "first-root-of-sigma-missing",
        _STD,
        "return self.eta * (1 - alpha_bar_next) / (1 - alpha_bar) * np.sqrt(1 - alpha_bar / alpha_bar_next)",
        "Less noise is drawn than eta asks for, most of all in the last steps.",
    ),
    method(
        "ratio-in-sigma-turned-over",
        _STD,
        "return self.eta * np.sqrt((1 - alpha_bar) / (1 - alpha_bar_next)) * np.sqrt(1 - alpha_bar / alpha_bar_next)",
        "More noise is drawn than eta asks for, most of all in the last steps.",
    ),
    method(
        "draw-times-variance",
        _DRAW,
        'x = x + sigma**2 * noise()  # eq. 12, "random noise"',
        "Far too little noise is drawn for what was taken away, and samples are smooth.",
    ),
    # The direction.
    method(
        "direction-keeps-all-noise",
        _DIRECTION,
        "direction_weight = np.sqrt(np.maximum(1 - alpha_bar_next, 0))",
        "Noise is drawn on top of what is there, and the samples are noisier the larger eta is.",
    ),
    method(
        "direction-without-root",
        _DIRECTION,
        "direction_weight = np.maximum(1 - alpha_bar_next - sigma**2, 0)",
        "Too little noise is kept at low levels, and samples are smooth.",
    ),
    method(
        "sigma-in-direction-not-squared",
        _DIRECTION,
        "direction_weight = np.sqrt(np.maximum(1 - alpha_bar_next - sigma, 0))",
        "Too little noise is kept with eta above 0, and samples are smooth.",
    ),
    method(
        "direction-at-current-level",
        _DIRECTION,
        "direction_weight = np.sqrt(np.maximum(1 - alpha_bar - sigma**2, 0))",
        "Each step keeps the noise of the level that it comes from, and samples are noisy.",
    ),
    method(
        "direction-turned-round",
        _STEP,
        'x = np.sqrt(alpha_bar_next) * x0 - direction_weight * epsilon  # eq. 12, with "direction"',
        "The predicted noise changes its sign at every step, and samples are not what the first noise asks for.",
    ),
    method(
        "x0-in-step-without-root",
        _STEP,
        'x = alpha_bar_next * x0 + direction_weight * epsilon  # eq. 12, with "direction"',
        "The predicted data gets too little weight at high levels, and samples come out too faint.",
    ),
    method(
        "x0-in-step-at-current-level",
        _STEP,
        'x = np.sqrt(alpha_bar) * x0 + direction_weight * epsilon  # eq. 12, with "direction"',
        "The predicted data gets the weight of the level before, and samples come out too faint.",
    ),
    # Which epsilon.
    method(
        "x0-output-used-as-epsilon",
        _OWN,
        'if self.prediction in ("epsilon", "x0") and not (self.rederive_epsilon and self.is_clipped):',
        "With a model of x0 the step goes along the data instead of the noise, and all samples collapse to one.",
        at_commit(
            "ddim-x0-prediction-used-as-epsilon", "huggingface/diffusers", "c812d97d5b87e4baa680a63b1d39cbe630544674"
        ),
        at_commit(
            "monai-ddim-x0-prediction-used-as-epsilon",
            "Project-MONAI/GenerativeModels",
            "9e95e541ae09e4834903aa033ad0a91d6d72d871",
        ),
    ),
    method(
        "v-output-used-as-epsilon",
        _OWN,
        'if self.prediction in ("epsilon", "v") and not (self.rederive_epsilon and self.is_clipped):',
        "With a model of v the step goes along v instead of the noise, and contrast is wrong.",
    ),
    method(
        "epsilon-not-rederived",
        _OWN,
        'if self.prediction == "epsilon":',
        "Where the clamp acts, data and noise no longer add up to the sample, and results are worse than DDPM's.",
        at_commit(
            "ddim-clip-without-rederiving-eps",
            "lucidrains/denoising-diffusion-pytorch",
            "2205baba3ae50954b21ec7cccde93c10b10a83ae",
        ),
    ),
    KnownFault(
        "rederive-flag-not-read",
        (
            Replacement(_METHOD, _OWN, 'if self.prediction == "epsilon":'),
            Replacement(
                _METHOD, f"        if not self.rederive_epsilon:\n            {_UNCLIPPED}", f"        {_UNCLIPPED}"
            ),
        ),
        "Where the clamp acts, the noise that a step goes along belongs to the data before the clamp.",
        (
            file_at(
                "learned-variance-ddim-eps-inconsistent",
                "lucidrains/denoising-diffusion-pytorch",
                "faed4db28e724735323fa91c70aa9b28a6e1cbac",
                "denoising_diffusion_pytorch/learned_gaussian_diffusion.py",
            ),
        ),
    ),
    # Which levels.
    method(
        "both-levels-one-timestep-low",
        _LEVELS,
        "alpha_bar, alpha_bar_next = self.alpha_bar[t - 1], self.alpha_bar[max(t_next - 1, 0)]",
        "The model is told one level and its output is read at another, which shows with few timesteps.",
        issue("ddim-uses-shifted-alpha-table", "lucidrains/denoising-diffusion-pytorch", 81),
    ),
    method(
        "final-level-of-first-timestep",
        _FINAL,
        "return table[0]",
        "A trace of noise stays in the samples: the last step ends at the first timestep.",
    ),
    method(
        "final-level-not-read",
        _FINAL,
        "return 1.0",
        "The last step goes on to the clean image where it should end at the first timestep.",
    ),
    method(
        "implicit-model-told-timestep-from-one",
        _CALL,
        "output = model(x, t)",
        "The model takes the sample for one timestep noisier than it is, which shows at the last steps.",
    ),
    KnownFault(
        "state-before-last-step-returned",
        (
            Replacement(_METHOD, _CALL, f"kept = x\n            {_CALL}"),
            Replacement(_METHOD, "        return x\n\n    def sigma(", "        return kept\n\n    def sigma("),
        ),
        "What is returned is one step early and still holds noise.",
        (
            at_commit(
                "ddim-trajectory-misses-final-image",
                "lucidrains/denoising-diffusion-pytorch",
                "f4b6a08405c2f02302ce23596b70248601bed41c",
            ),
        ),
    ),
    method(
        "implicit-sample-mapped-to-unit-range",
        "        return x\n\n    def sigma(",
        "        return (x + 1) / 2\n\n    def sigma(",
        "Samples come out in [0, 1] where the data lies in [-1, 1]: of half the contrast for whatever takes them next.",
    ),
    method(
        "epsilon-of-v-of-wrong-sign",
        "        return prediction.epsilon_from_x0(x, x0, signal_scale, noise_scale)",
        """        if self.prediction == "v":
            return signal_scale * output - noise_scale * x
        return prediction.epsilon_from_x0(x, x0, signal_scale, noise_scale)""",
        "A v model's noise points away from where its data lies, and samples drift into grain.",
    ),
)
