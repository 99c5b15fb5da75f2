"""Luo et al. 2023, "Latent Consistency Models", arXiv:2310.04378."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import prediction
from .consistency import MultistepConsistency
from .grids.timesteps import DistilledTimesteps
from .openings import Array
from .processes.table_chain import TableChain
from .validation import real

__all__ = ["LCM"]


@dataclass(frozen=True)
class LCM(MultistepConsistency, TableChain, DistilledTimesteps):
    """Multistep consistency sampling on a table chain: predict the data, diffuse it anew, and predict again.

    Source: Luo et al. 2023, arXiv:2310.04378, Algorithm 3; the consistency function's boundary: Song et al. 2023,
    arXiv:2303.01469, equation 5, with the scaled timesteps of the released code. It is easily taken for DDIM with
    eta = 1, which keeps some of the noise of x, and which has no boundary.

    Args:
        timestep_scaling: > 0, what a timestep is multiplied by in the boundary's weights.
        sigma_data: std of the data in those weights, > 0.

    Raises:
        ValueError: names field, value and legal range.
    """

    timestep_scaling: float = real(10.0, above=0)
    sigma_data: float = real(0.5, above=0)

    def denoised_at(self, x: Array, output: Array, t: int) -> Array:
        """f(x, t): x itself where t is 0, the predicted data where it is far from 0."""
        scaled = self.timestep_scaling * self.time(t)
        c_skip = prediction.c_skip(scaled, self.sigma_data)
        c_out = scaled / np.sqrt(scaled**2 + self.sigma_data**2)
        x0 = self.to_x0(x, output, self.alpha_bar[t])
        f: Array = c_skip * x + c_out * x0  # Song et al. eq. 5
        return f

    def denoiser(self, model: Any) -> Any:
        """The consistency function, from whatever the network predicts."""

        def f(x: Array, t: int) -> Array:
            return self.denoised_at(x, model(x, self.time(t)), t)

        return f
