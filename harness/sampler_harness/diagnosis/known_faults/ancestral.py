"""Mistakes around steps below the next level with noise on top, arXiv:2011.13456, on noise levels and on flows."""

from __future__ import annotations

from . import KnownFault, edits_of

__all__ = ["FAULTS"]

method = edits_of("reference_samplers/ancestral.py")
of_flow = edits_of("reference_samplers/flow_ancestral.py")

_SHARE = "share = np.sqrt(sigma_next**2 * (sigma_cur**2 - sigma_next**2) / sigma_cur**2)  # eq. 47"
_STEP = "x = x + (sigma_down - sigma_cur) * d_cur  # eq. 47, mean"
_DRAW = "x = x + self.s_noise * sigma_up * noise()  # eq. 47, draw"
_FLOW_STEP = "x = t_down / t * x + (1 - t_down / t) * denoised(x, t)  # step"
_UP = "x = signal_ratio * x + self.s_noise * np.sqrt(t_next**2 - (signal_ratio * t_down) ** 2) * noise()  # up"

FAULTS: tuple[KnownFault, ...] = (
    method(
        "ancestral-step-to-next-level",
        _STEP,
        "x = x + (sigma_next - sigma_cur) * d_cur  # eq. 47, mean",
        "Noise is added to a sample that has its level already: it grows from step to step and stays as grain.",
    ),
    method(
        "ancestral-noise-of-next-level",
        _DRAW,
        "x = x + self.s_noise * sigma_next * noise()  # eq. 47, draw",
        "More noise is added than was left out, and it stays as grain.",
    ),
    method(
        "sigma-up-from-difference-of-variances",
        _SHARE,
        "share = np.sqrt(sigma_cur**2 - sigma_next**2)  # eq. 47",
        "All noise is drawn anew wherever a level is below 0.7 of the one before, and detail is invented in each step.",
    ),
    method(
        "sigma-down-from-difference-of-levels",
        "sigma_down = np.sqrt(sigma_next**2 - sigma_up**2)",
        "sigma_down = sigma_next - sigma_up",
        "Steps go too far down for the noise that is added, and samples are smooth.",
    ),
    method(
        "ancestral-eta-within-root",
        "np.minimum(sigma_next, self.eta * share)",
        "np.minimum(sigma_next, np.sqrt(self.eta) * share)",
        "With eta between 0 and 1 more noise is drawn than was asked for.",
    ),
    method(
        "ancestral-s-noise-forgotten",
        _DRAW,
        "x = x + sigma_up * noise()  # eq. 47, draw",
        "The std of the noise is not read, and noise that should be stronger against blur is not.",
    ),
    of_flow(
        "downstep-by-difference-of-times",
        "t_down = t_next * (1 + (t_next / t - 1) * self.eta)  # downstep",
        "t_down = t_next * (1 + (t_next - t) * self.eta)  # downstep",
        "The later a step, the less noise is drawn in it, and the run is nearly one without noise.",
    ),
    of_flow(
        "flow-step-to-next-time",
        _FLOW_STEP,
        "x = t_next / t * x + (1 - t_next / t) * denoised(x, t)  # step",
        "Noise is added to a sample that has its level already, and it stays as grain.",
    ),
    of_flow(
        "flow-renoised-without-scaling",
        _UP,
        "x = x + self.s_noise * np.sqrt(t_next**2 - (signal_ratio * t_down) ** 2) * noise()  # up",
        "The signal is too strong for the time that the model is told, and contrast grows from step to step.",
    ),
    of_flow(
        "flow-renoised-as-if-noise-levels",
        _UP,
        "x = signal_ratio * x + self.s_noise * np.sqrt(t_next**2 - t_down**2) * noise()  # up",
        "Less noise is added than the scaling took away, and samples are smooth.",
    ),
    of_flow(
        "flow-ancestral-s-noise-forgotten",
        _UP,
        "x = signal_ratio * x + np.sqrt(t_next**2 - (signal_ratio * t_down) ** 2) * noise()  # up",
        "The std of the noise is not read, and noise that should be stronger against blur is not.",
    ),
)
