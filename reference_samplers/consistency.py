"""Song et al. 2023, "Consistency Models", arXiv:2303.01469."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .grids.even_times import EvenTimes
from .grids.noise_levels import KarrasLevels, LevelsByHand
from .openings import Array, Model, Noise
from .processes.process import Process
from .processes.rectified_flow import RectifiedFlow
from .processes.variance_exploding import NoiseLevels

__all__ = ["ConsistencyModel", "FlowConsistency", "MultistepConsistency"]


class MultistepConsistency(Process):
    """Predict the data, add fresh noise of the next level, and predict again: Algorithm 1."""

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: Algorithm 1, line for line.

        Draws:
            One of the sample's shape at the start, and one before each further call.
        """
        f = self.denoiser(model)
        tau_first, *taus = self.levels[:-1]
        x_hat: Array = self.initial_std * noise()  # input
        x = f(x_hat, tau_first)  # line 1
        for tau in taus:  # line 2
            z = noise()  # line 3
            alpha, sigma = self.renoised_scales(tau)
            x_hat = alpha * x + sigma * z  # line 4
            x = f(x_hat, tau)  # line 5
        return x  # line 7

    def renoised_scales(self, level: Any) -> tuple[Any, Any]:
        """Scales of the predicted data and of the fresh noise."""
        return self.scales(level)

    @property
    def num_calls(self) -> int:
        """Model calls of one run: one at each level above the data."""
        return len(self.levels) - 1

    @property
    def stochasticity(self) -> float | None:
        """All is drawn anew before each call, which no equation describes."""
        return None

    @property
    def has_network(self) -> bool:
        """The exact model gives the end of x's path, and not the posterior mean."""
        return False


@dataclass(frozen=True)
class ConsistencyModel(MultistepConsistency, NoiseLevels, LevelsByHand, KarrasLevels):
    """Multistep consistency sampling on noise levels.

    Source: Song et al. 2023, arXiv:2303.01469, Algorithm 1; time points on the grid of Karras et al. 2022,
    arXiv:2206.00364, equation 5 (appendix C). It is easily taken for Euler's method on the same grid, which keeps the
    noise of x where this draws its own; and for adding noise behind the last call too.

    Args:
        num_steps: N, calls of the model, >= 1; 1 is generation in a single step. Not used where ``sigmas`` is given.
        sigma_min: epsilon, the lowest time that the model knows, data units, > 0. What it predicts is data with that
            much noise, so that fresh noise is added to reach a level, not the whole of it.
        sigmas: the time points themselves, decreasing, and a final 0; none below ``sigma_min``. None for ``num_steps``,
            ``sigma_min``, ``sigma_max``, ``rho``.

    Raises:
        ValueError: names field, value and legal range.
    """

    def renoised_scales(self, level: Any) -> tuple[Any, Any]:
        """The whole of the predicted data, and what noise is missing in it."""
        # 0 at the lowest level, where rounding must not take it below.
        return 1.0, np.sqrt(np.maximum(level**2 - self.sigma_min**2, 0))

    @property
    def wants_denoiser(self) -> bool:
        """The model gives the sample itself."""
        return True


@dataclass(frozen=True)
class FlowConsistency(MultistepConsistency, RectifiedFlow, EvenTimes):
    """Multistep consistency sampling on the straight path: predict the data, and mix it with fresh noise.

    Source: Song et al. 2023, arXiv:2303.01469, Algorithm 1, with the scales of Liu et al. 2022, arXiv:2209.03003,
    equation 1, as few-step models of rectified flow are sampled ("pingpong"). It is easily taken for Euler's method,
    whose every step keeps the noise of x.

    Raises:
        ValueError: names field, value and legal range.
    """
