"""Mistakes around multistep consistency sampling, arXiv:2303.01469, also of latents, arXiv:2310.04378."""

from __future__ import annotations

from sampler_harness.law.replacement import Replacement

from . import KnownFault, at_commit, edits_of, issue

__all__ = ["FAULTS"]

method = edits_of("reference_samplers/consistency.py")
boundary = edits_of("reference_samplers/lcm.py")
spacing = edits_of("reference_samplers/grids/spacings.py")

_METHOD = "reference_samplers/consistency.py"
_END = "return x  # line 7"
_RENOISED = "x_hat = alpha * x + sigma * z  # line 4"
_MISSING = "return 1.0, np.sqrt(np.maximum(level**2 - self.sigma_min**2, 0))"
_SCALES = "alpha, sigma = self.renoised_scales(tau)"
_TAUGHT = "return tuple(taught[i * original_steps // num_steps] for i in range(num_steps))"

FAULTS: tuple[KnownFault, ...] = (
    # What is added.
    method(
        "renoised-behind-last-call",
        _END,
        f"{_SCALES.replace('tau', 'self.levels[-2]')}\n        return alpha * x + sigma * noise()  # line 7",
        "The sample is diffused once more behind the last call: with few steps it is noise.",
        issue("consistency-noise-behind-last-call", "openai/consistency_models", 7),
    ),
    method(
        "renoised-to-whole-level",
        _MISSING,
        "return 1.0, level",
        "The noise that the predicted data still has is not counted, and the model sees a little more than it is told.",
    ),
    method(
        "renoised-by-difference-of-levels",
        _MISSING,
        "return 1.0, level - self.sigma_min",
        "Standard deviations are subtracted, not variances: the model sees less noise than it is told.",
    ),
    method(
        "renoised-without-scaling-data",
        _RENOISED,
        "x_hat = x + sigma * z  # line 4",
        "The data keeps its whole strength beside the noise, and contrast grows with each step.",
    ),
    KnownFault(
        "renoised-to-level-before",
        (
            Replacement(_METHOD, "for tau in taus:", "for tau_before, tau in zip(self.levels, taus, strict=False):"),
            Replacement(_METHOD, _SCALES, "alpha, sigma = self.renoised_scales(tau_before)"),
        ),
        "The model sees the noise of the call before, and takes it for detail.",
    ),
    KnownFault(
        "noise-drawn-once-for-all-calls",
        (
            Replacement(
                _METHOD,
                "x_hat: Array = self.initial_std * noise()  # input",
                "z = noise()\n        x_hat: Array = self.initial_std * z  # input",
            ),
            Replacement(_METHOD, "            z = noise()  # line 3\n", ""),
        ),
        "Every call sees the same noise, which stays in the samples as a pattern that belongs to the seed.",
    ),
    # What the model is told, and how often.
    method(
        "first-time-point-told-throughout",
        "x = f(x_hat, tau)  # line 5",
        "x = f(x_hat, tau_first)  # line 5",
        "The model takes every input for pure noise, and further calls make nothing sharper.",
    ),
    method(
        "last-time-point-left-out",
        "tau_first, *taus = self.levels[:-1]",
        "tau_first, *taus = self.levels[:-2]",
        "The last call is missing, and fine detail with it.",
    ),
    # The boundary of latent consistency models.
    boundary(
        "boundary-timestep-not-scaled",
        "scaled = self.timestep_scaling * self.time(t)",
        "scaled = self.time(t)",
        "At low timesteps too much of the noisy input is kept, and grain stays in the samples.",
    ),
    boundary(
        "boundary-left-out",
        "f: Array = c_skip * x + c_out * x0  # Song et al. eq. 5",
        "f: Array = x0  # Song et al. eq. 5",
        "The predicted data is taken as it is: hardly another image, but not the trained function's.",
    ),
    boundary(
        "boundary-weights-exchanged",
        "f: Array = c_skip * x + c_out * x0  # Song et al. eq. 5",
        "f: Array = c_out * x + c_skip * x0  # Song et al. eq. 5",
        "The noisy input is kept and the prediction thrown away: samples are noise.",
    ),
    boundary(
        "boundary-weight-without-root",
        "c_out = scaled / np.sqrt(scaled**2 + self.sigma_data**2)",
        "c_out = scaled / (scaled**2 + self.sigma_data**2)",
        "The prediction is scaled down to almost nothing: samples are gray.",
    ),
    # Which of the distilled timesteps.
    spacing(
        "distilled-timesteps-truncated",
        _TAUGHT,
        "return tuple(taught[i * (original_steps // num_steps)] for i in range(num_steps))",
        "The grid stops above its lowest timestep where the numbers do not divide, and noise stays in the samples.",
        at_commit("lcm-grid-truncated-not-spread", "huggingface/diffusers", "dc21498b43ff97a29b5891068465f72110cb8be9"),
    ),
    spacing(
        "distilled-timesteps-from-below",
        _TAUGHT,
        "return tuple(taught[-1 - i * original_steps // num_steps] for i in reversed(range(num_steps)))",
        "The run begins below the last timestep with noise for the last, and colors are flat.",
    ),
)
