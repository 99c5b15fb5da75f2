"""What a new method costs: this file. It runs on every process, since it asks for nothing but what each answers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from reference_samplers.grids.even_times import EvenTimes
from reference_samplers.grids.noise_levels import KarrasLevels
from reference_samplers.grids.timesteps import Timesteps
from reference_samplers.openings import Array, Model, Noise
from reference_samplers.processes.process import Process
from reference_samplers.processes.rectified_flow import RectifiedFlow
from reference_samplers.processes.table_chain import TableChain
from reference_samplers.processes.variance_exploding import VarianceExploding

__all__ = ["ImplicitChain", "ImplicitFlow", "ImplicitLevels"]


class Implicit(Process):
    """Keep the predicted data and the predicted noise, and put them together at the next level.

    Source: Song et al. 2020, arXiv:2010.02502, equation 12 with sigma = 0.
    """

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: equation 12 at each step."""
        denoised = self.denoiser(model)
        x: Array = self.initial_std * noise()
        for level, level_next in pairwise(self.levels):
            (alpha, sigma), (alpha_next, sigma_next) = self.scales(level), self.scales(level_next)
            x0 = denoised(x, level)
            epsilon = (x - alpha * x0) / sigma
            x = alpha_next * x0 + sigma_next * epsilon  # eq. 12
        return x

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        return len(self.levels) - 1

    @property
    def stochasticity(self) -> float:
        """Nothing is drawn on the way."""
        return 0.0


@dataclass(frozen=True)
class ImplicitLevels(Implicit, VarianceExploding, KarrasLevels):
    """On noise levels."""


@dataclass(frozen=True)
class ImplicitChain(Implicit, TableChain, Timesteps):
    """On a table chain."""


@dataclass(frozen=True)
class ImplicitFlow(Implicit, RectifiedFlow, EvenTimes):
    """On a rectified flow."""
