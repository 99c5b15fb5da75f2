"""Mistakes around DPM-Solver-2 on noise levels, arXiv:2206.00927."""

from __future__ import annotations

from . import KnownFault, at_commit, edits_of

__all__ = ["FAULTS"]

method = edits_of("reference_samplers/dpm2.py")

_MIDDLE = "np.exp(0.5 * (np.log(sigma) + np.log(sigma_next)))"
_SLOPE = "d_mid = (u - denoised(u, s)) / s\n                x = x_hat"

FAULTS: tuple[KnownFault, ...] = (
    method(
        "middle-arithmetic",
        _MIDDLE,
        "0.5 * (sigma + sigma_next)",
        "The slope is that of too high a level: the solver keeps its order, and few steps are less exact.",
    ),
    method(
        "middle-of-cube-roots",
        _MIDDLE,
        "(0.5 * (sigma ** (1 / 3) + sigma_next ** (1 / 3))) ** 3",
        "The slope is that of too high a level: the solver keeps its order, and few steps are less exact.",
        at_commit(
            "k-dpm2-ends-with-midpoint-and-noise",
            "crowsonkb/k-diffusion",
            "9e3002b7cd64df7870e08527b7664eb2f2f5f3f5",
        ),
    ),
    method(
        "middle-slope-over-first-level",
        _SLOPE,
        "d_mid = (u - denoised(u, s)) / sigma_hat\n                x = x_hat",
        "Steps are too short, and noise stays in the samples.",
    ),
    method(
        "middle-stage-of-whole-length",
        "u = x_hat + (s - sigma_hat) * d_cur  # line 4",
        "u = x_hat + (sigma_next - sigma_hat) * d_cur  # line 4",
        "The model is told of more noise than it sees, and takes detail for noise.",
    ),
    method(
        "middle-step-from-middle-state",
        "x = x_hat + (sigma_next - sigma_hat) * d_mid  # line 5",
        "x = u + (sigma_next - sigma_hat) * d_mid  # line 5",
        "Each step goes half-way twice, and samples are too smooth.",
    ),
    method(
        "middle-on-way-to-next-level",
        "s = _middle(sigma_cur, sigma_down)  # line 3",
        "s = _middle(sigma_cur, sigma_next)  # line 3",
        "The slope is that of too high a level, and few steps are less exact.",
    ),
    method(
        "middle-step-to-next-level",
        "x = x + (sigma_down - sigma_cur) * d_mid  # line 5",
        "x = x + (sigma_next - sigma_cur) * d_mid  # line 5",
        "Noise is added to a sample that has its level already: it stays as grain.",
    ),
    method(
        "middle-noise-of-next-level",
        "x = x + self.s_noise * sigma_up * noise()  # Song et al. 2021, eq. 47, draw",
        "x = x + self.s_noise * sigma_next * noise()  # Song et al. 2021, eq. 47, draw",
        "More noise is added than was left out, and it stays as grain.",
    ),
)
