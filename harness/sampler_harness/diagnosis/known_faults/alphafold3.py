"""Mistakes around AlphaFold 3's sampler, Algorithm 18 of its supplementary information."""

from __future__ import annotations

from . import KnownFault, edits_of

__all__ = ["FAULTS"]

method = edits_of("reference_samplers/alphafold3.py")

_STEP = "x = x_noisy + self.step_scale * dt * delta  # line 11"
_RAISED = "t_hat = sigma_cur * (gamma + 1)  # line 5"

FAULTS: tuple[KnownFault, ...] = (
    method(
        "gamma-asked-of-level-before",
        "if sigma_next > self.gamma_min else 0.0",
        "if sigma_cur > self.gamma_min else 0.0",
        "One level more is raised, at which the model should already be left alone.",
    ),
    method(
        "step-scale-forgotten",
        _STEP,
        "x = x_noisy + dt * delta  # line 11",
        "Structures are those of an untempered model: more varied, and less exact.",
    ),
    method(
        "slope-from-state-ahead-of-noise",
        "delta = (x_noisy - denoised(x_noisy, t_hat)) / t_hat  # lines 8, 9",
        "delta = (x - denoised(x_noisy, t_hat)) / t_hat  # lines 8, 9",
        "The noise that was added is not taken out by the step: it piles up (the paper's line 9, taken literally).",
    ),
    method(
        "noise-scale-forgotten",
        "xi = self.noise_scale * np.sqrt(t_hat**2 - sigma_cur**2) * noise()  # line 6",
        "xi = np.sqrt(t_hat**2 - sigma_cur**2) * noise()  # line 6",
        "A little less noise is added than the released model is sampled with.",
    ),
    method(
        "rise-added-to-level",
        _RAISED,
        "t_hat = sigma_cur + gamma  # line 5",
        "High levels hardly rise and low ones a lot: the model is asked at levels that the run should not see.",
    ),
    method(
        "overshooting-step-from-unraised-level",
        "dt = sigma_next - t_hat  # line 10",
        "dt = sigma_next - sigma_cur  # line 10",
        "Steps do not take back the rise, and noise stays in the structure.",
    ),
)
