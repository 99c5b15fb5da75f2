"""Song et al. 2021, "Score-Based Generative Modeling through SDEs", arXiv:2011.13456: ancestral steps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .contract import Reference
from .grids.even_times import EvenTimes
from .grids.noise_levels import KarrasLevels, LevelsByHand
from .openings import Array, Model, Noise
from .processes.rectified_flow import RectifiedFlow
from .processes.variance_exploding import NoiseLevels, VarianceExploding
from .validation import real

__all__ = ["AncestralNoise", "AncestralSteps", "EulerAncestral", "EulerAncestralSteps", "FlowAncestral"]


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


@dataclass(frozen=True)
class FlowAncestral(RectifiedFlow, EvenTimes):
    """Euler's method with fresh noise on the straight path, whose steps go down by a share of the step.

    Source: no paper; ComfyUI's released code (``sample_euler_ancestral_RF``), which diffusers follows in
    ``LTXEulerAncestralRFScheduler``. The forward process from the lower level is what mixes data and noise. It is
    easily taken for :class:`EulerAncestral` in the variable t / (1 - t). The two draw the same share of noise in the
    limit of small steps where ``eta`` here is the square of that one's; with steps that are not small they agree at
    ``eta`` = 0 alone.

    Args:
        eta: in [0, 1], how far below the next time a step goes, as a share of the way from it; 0 draws nothing after
            the start.
        s_noise: > 0, std of the fresh noise.

    Raises:
        ValueError: names field, value and legal range.
    """

    eta: float = real(1.0, low=0, high=1)
    s_noise: float = real(1.0, above=0)

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: a step down to t_down, and the forward process from there to t_next.

        Draws:
            One of the sample's shape at the start; with ``eta`` > 0 one after each step but the last.
        """
        denoised = self.denoiser(model)
        x = noise()
        for t, t_next in pairwise(self.time_grid):
            t_down = t_next * (1 + (t_next / t - 1) * self.eta)  # downstep
            x = t_down / t * x + (1 - t_down / t) * denoised(x, t)  # step
            if t_next > 0 and self.eta > 0:
                signal_ratio = (1 - t_next) / (1 - t_down)
                x = signal_ratio * x + self.s_noise * np.sqrt(t_next**2 - (signal_ratio * t_down) ** 2) * noise()  # up
        return x

    @property
    def stochasticity(self) -> float | None:
        """Small steps draw the share ``eta`` of the reverse process's variance; its root is the share of the noise."""
        return float(np.sqrt(self.eta)) if self.s_noise == 1 and (self.levels[0] == 1 or self.eta == 0) else None

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        return len(self.levels) - 1
