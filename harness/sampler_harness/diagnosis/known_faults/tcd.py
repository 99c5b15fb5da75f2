"""Mistakes around strategic stochastic sampling, arXiv:2402.19159."""

from __future__ import annotations

from . import KnownFault, edits_of

__all__ = ["FAULTS"]

method = edits_of("reference_samplers/tcd.py")

_BELOW = "np.round((1 - self.gamma) * (t_next - 1), 9)"
_BACK = "x = np.sqrt(kept) * x + np.sqrt(1 - kept) * noise()  # and back, to the next timestep"
_ALONG = "x = np.sqrt(alpha_bar_s) * x0 + np.sqrt(1 - alpha_bar_s) * epsilon  # along the trajectory, to s"

FAULTS: tuple[KnownFault, ...] = (
    method(
        "gamma-turned-round",
        _BELOW,
        "np.round(self.gamma * (t_next - 1), 9)",
        "A run that should draw little draws a lot, and the other way round.",
    ),
    method(
        "trajectory-below-timestep-of-step",
        "s = self.below(t_next)",
        "s = self.below(t)",
        "Steps do not go far enough: with little gamma the sample has more noise than the model is told of.",
    ),
    method(
        "trajectory-renoised-from-data",
        _BACK,
        "x = np.sqrt(alpha_bar_next) * x + np.sqrt(1 - alpha_bar_next) * noise()  # and back, to the next timestep",
        "Noise is added as if the sample were data: there is too much of it, and the signal shrinks.",
    ),
    method(
        "trajectory-renoised-without-scaling",
        _BACK,
        "x = x + np.sqrt(1 - kept) * noise()  # and back, to the next timestep",
        "The sample is too large for the timestep that the model is told, and contrast grows.",
    ),
    method(
        "trajectory-epsilon-of-next-timestep",
        _ALONG,
        "x = np.sqrt(alpha_bar_s) * x0 + np.sqrt(1 - alpha_bar_next) * epsilon  # along the trajectory, to s",
        "The noise of the next timestep is in the sample before it is added, and stays as grain.",
    ),
    method(
        "trajectory-ends-in-data",
        "return (*(t + 1 for t in self.grid), 1)",
        "return (*(t + 1 for t in self.grid), 0)",
        "The last step goes to the data and not to timestep 0: a little noise less than the released sampler leaves.",
    ),
)
