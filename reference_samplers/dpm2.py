"""Lu et al. 2022, "DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling", arXiv:2206.00927."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .ancestral import AncestralNoise, AncestralSteps
from .contract import Reference
from .edm import Churn
from .grids.noise_levels import KarrasLevels, LevelsByHand
from .openings import Array, Model, Noise
from .processes.variance_exploding import NoiseLevels, VarianceExploding
from .validation import refuse

#: Of two levels in this ratio the square is lost beside 1 in float32.
LOST = 2.0**-12

__all__ = ["DPM2", "DPM2Ancestral", "DPM2AncestralSteps", "DPM2Steps"]


def _middle(sigma: Any, sigma_next: Any) -> Any:
    """The level half-way in lambda = -ln(sigma): the geometric mean (line 3)."""
    return np.exp(0.5 * (np.log(sigma) + np.log(sigma_next)))


class DPM2Steps(Churn, NoiseLevels):
    """A step along the slope in the middle, after a rise of the noise level where churn is on."""

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: Algorithm 1 on noise levels, each step preceded by Karras et al.'s rise of the level.

        Draws:
            One of the sample's shape at the start, and one at each step, times 0 where no level is raised.
        """
        denoised = self.denoiser(model)
        x: Array = self.initial_std * noise()  # line 1
        for sigma_cur, sigma_next in pairwise(self.levels):  # line 2
            epsilon = self.s_noise * noise()
            sigma_hat = sigma_cur + self.gamma(sigma_cur) * sigma_cur
            x_hat = x + np.sqrt(sigma_hat**2 - sigma_cur**2) * epsilon
            d_cur = (x_hat - denoised(x_hat, sigma_hat)) / sigma_hat
            if sigma_next > 0:
                s = _middle(sigma_hat, sigma_next)  # line 3
                u = x_hat + (s - sigma_hat) * d_cur  # line 4
                d_mid = (u - denoised(u, s)) / s
                x = x_hat + (sigma_next - sigma_hat) * d_mid  # line 5
            else:
                x = x_hat + (sigma_next - sigma_hat) * d_cur  # half-way to 0 in lambda there is no level
        return x  # line 7

    @property
    def order(self) -> int:
        """Global order of the solver."""
        return 2

    @property
    def num_calls(self) -> int:
        """Model calls of one run: the step to 0 has no middle."""
        steps = len(self.levels) - 1
        return 2 * steps - 1 if self.levels[-1] == 0 else 2 * steps


class DPM2AncestralSteps(AncestralSteps):
    """A step along the slope in the middle down to sigma_down, and fresh noise of sigma_up on top."""

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: Algorithm 1 on noise levels, down to sigma_down at each step.

        Draws:
            One of the sample's shape at the start; with ``eta`` > 0 one after each step but the last.
        """
        denoised = self.denoiser(model)
        x: Array = self.initial_std * noise()  # line 1
        for sigma_cur, sigma_next in pairwise(self.levels):  # line 2
            sigma_down, sigma_up = self.ancestral_step(sigma_cur, sigma_next)
            d_cur = (x - denoised(x, sigma_cur)) / sigma_cur
            if sigma_down > 0:
                s = _middle(sigma_cur, sigma_down)  # line 3
                u = x + (s - sigma_cur) * d_cur  # line 4
                d_mid = (u - denoised(u, s)) / s
                x = x + (sigma_down - sigma_cur) * d_mid  # line 5
            else:
                x = x + (sigma_down - sigma_cur) * d_cur  # half-way to 0 in lambda there is no level
            if sigma_up > 0:  # a draw times 0 would leave the law as it is
                x = x + self.s_noise * sigma_up * noise()  # Song et al. 2021, eq. 47, draw
        return x  # line 7

    @property
    def order(self) -> int:
        """Global order: of the solver where nothing is drawn, else of the ancestral step."""
        return 2 if self.eta == 0 else 1

    @property
    def num_calls(self) -> int:
        """Model calls of one run: a step down to 0 has no middle."""
        return sum(2 if self.ancestral_step(*step)[0] > 0 else 1 for step in pairwise(self.levels))


@dataclass(frozen=True)
class DPM2(VarianceExploding, LevelsByHand, DPM2Steps, Churn, KarrasLevels):
    """DPM-Solver-2 on noise levels: a step along the slope in its geometric middle.

    Source: Lu et al. 2022, arXiv:2206.00927, Algorithm 1 with alpha = 1 and r_1 = 1/2, as k-diffusion's
    ``sample_dpm_2`` has it with the churn of Karras et al. 2022. It is easily taken for the midpoint method, whose
    middle is the arithmetic one.

    Raises:
        ValueError: names field, value and legal range.
    """

    def check(self) -> None:
        """A model of a chain has a table for the levels in the middle."""
        if self.model_kind in ("epsilon", "v", "x0") and self.train_sigmas is None:
            raise refuse("train_sigmas", None, "given: times has none for the levels in the middle of a step")


@dataclass(frozen=True)
class DPM2Ancestral(VarianceExploding, LevelsByHand, AncestralNoise, DPM2AncestralSteps, KarrasLevels):
    """DPM-Solver-2 down to sigma_down, and fresh noise of sigma_up on top.

    Source: Lu et al. 2022, arXiv:2206.00927, Algorithm 1 with alpha = 1 and r_1 = 1/2; sigma_down and sigma_up: Song
    et al. 2021, arXiv:2011.13456, equation 47; joined as in k-diffusion's ``sample_dpm_2_ancestral``. Its middle is
    that of the way to sigma_down, easily taken for that to the next level.

    Raises:
        ValueError: names field, value and legal range.
    """

    def check(self) -> None:
        """A model of a chain has a table for the levels in the middle."""
        if self.model_kind in ("epsilon", "v", "x0") and self.train_sigmas is None:
            raise refuse("train_sigmas", None, "given: times has none for the levels in the middle of a step")

    def either_side(self, times: Sequence[float]) -> Iterator[Reference]:
        """Where a level falls so far that sigma_down is lost beside it, with none: rounding takes it for 0."""
        falls = [low / high for high, low in pairwise(self.levels) if low > 0]
        if self.eta == 1 and min(falls, default=1.0) < LOST:
            yield dataclasses.replace(self, eta=1 + LOST**2)
