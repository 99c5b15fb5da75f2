"""Song et al. 2021, "Score-Based Generative Modeling through SDEs", arXiv:2011.13456: ancestral steps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .contract import Reference
from .grids.noise_levels import KarrasLevels, LevelsByHand
from .openings import Array, Model, Noise
from .processes.variance_exploding import NoiseLevels, VarianceExploding
from .validation import real

__all__ = ["AncestralNoise", "AncestralSteps", "EulerAncestral", "EulerAncestralSteps"]


class AncestralSteps(NoiseLevels):
    """Each step goes down to sigma_down, below the next level, and back up to it with noise of sigma_up."""

    @property
    def eta(self) -> float:
        """Factor of sigma_up; 0 draws nothing after the start, 1 is all of the reverse process's noise."""
        return 1.0

    @property
    def s_noise(self) -> float:
        """Std of the fresh noise."""
        return 1.0

    def ancestral_step(self, sigma_cur: Any, sigma_next: Any) -> tuple[Any, Any]:
        """``(sigma_down, sigma_up)`` of a step."""
        share = np.sqrt(sigma_next**2 * (sigma_cur**2 - sigma_next**2) / sigma_cur**2)  # eq. 47
        sigma_up = np.minimum(sigma_next, self.eta * share)  # never more than there is
        sigma_down = np.sqrt(sigma_next**2 - sigma_up**2)
        return sigma_down, sigma_up

    @property
    def stochasticity(self) -> float | None:
        """How much of the reverse process's noise is drawn: ``eta``; None where it is drawn too large or too small."""
        if self.eta == 0:
            return 0.0
        return self.eta if self.s_noise == 1 and self.eta <= 1 else None


@dataclass(frozen=True)
class AncestralNoise(Reference):
    """How much fresh noise there is.

    Args:
        eta: >= 0, factor of sigma_up, which never exceeds the next level; 0 draws nothing after the start, 1 is all of
            the reverse process's noise.
        s_noise: > 0, std of the fresh noise.
    """

    eta: float = real(1.0, low=0)
    s_noise: float = real(1.0, above=0)


class EulerAncestralSteps(AncestralSteps):
    """Euler's method down to sigma_down."""

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: equation 47 at each step, with the score from the denoised sample.

        Draws:
            One of the sample's shape at the start; with ``eta`` > 0 one after each step but the last.
        """
        denoised = self.denoiser(model)
        x: Array = self.initial_std * noise()
        for sigma_cur, sigma_next in pairwise(self.levels):
            sigma_down, sigma_up = self.ancestral_step(sigma_cur, sigma_next)
            d_cur = (x - denoised(x, sigma_cur)) / sigma_cur
            x = x + (sigma_down - sigma_cur) * d_cur  # eq. 47, mean
            if sigma_up > 0:  # a draw times 0 would leave the law as it is
                x = x + self.s_noise * sigma_up * noise()  # eq. 47, draw
        return x

    @property
    def num_calls(self) -> int:
        """Model calls of one run: one at each level above the last."""
        return len(self.levels) - 1


@dataclass(frozen=True)
class EulerAncestral(VarianceExploding, LevelsByHand, AncestralNoise, EulerAncestralSteps, KarrasLevels):
    """Euler's method with ancestral noise, as k-diffusion made it common.

    Source: Song et al. 2021, arXiv:2011.13456, appendix F, equation 47 (``eta`` = 1); in the slope of Karras et al.
    2022, and with ``eta``, as in k-diffusion's released code. It is DDIM with the same ``eta`` in the variable
    x / sqrt(alpha_bar). It is easily taken for churn, which adds noise before a step and not behind it.

    Raises:
        ValueError: names field, value and legal range.
    """
