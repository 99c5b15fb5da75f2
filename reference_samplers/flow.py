"""Liu et al. 2022, "Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow"."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from . import prediction, validation
from .openings import Array, Denoise, Model, Noise

__all__ = ["FlowEuler"]

#: Stands in for a signal scale of 0 where a denoiser must be told of a finite noise level.
_LEAST_SIGNAL = 1e-12


@dataclass(frozen=True)
class FlowEuler:
    """Euler's method along the straight path from noise to data.

    Source: Liu et al. 2022, arXiv:2209.03003, Algorithm 1, "Sampling", with time running from noise (1) to
    data (0) as in Esser et al. 2024, arXiv:2403.03206, whose equation 23 shifts the grid.

    Args:
        num_steps: N, >= 1.
        shift: > 0; above 1 it gives the noisy end more steps.

    Raises:
        ValueError: names field, value and legal range.
    """

    num_steps: int
    shift: float = 1.0

    def __post_init__(self) -> None:
        validation.store(self, "num_steps", validation.whole("num_steps", self.num_steps, 1))
        validation.store(self, "shift", validation.real("shift", self.shift, 0, above=True))

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: dx = flow dt, from t = 1 to t = 0.

        Draws:
            One of the sample's shape at the start.
        """
        x = noise()  # Z_0 of the paper, at t = 1 here
        for time_cur, time_next in pairwise(self.time_grid):
            flow = model(x, float(time_cur))
            x = x + (time_next - time_cur) * flow  # eq. 1
        return x

    @cached_property
    def time_grid(self) -> Array:
        """``(N + 1,)`` times from 1 to 0, evenly spaced before the shift."""
        even = np.linspace(1.0, 0.0, self.num_steps + 1)
        shifted: Array = self.shift * even / (1 + (self.shift - 1) * even)  # Esser et al. eq. 23
        return shifted

    def forward_scales(self, index: int) -> tuple[float, float]:
        """Scales of data and noise in ``x`` at an entry of the grid: ``(1 - t, t)``.

        Args:
            index: in [0, N]; N is the returned sample.
        """
        index = validation.whole("index", index, 0, self.num_steps)
        time = self.time_grid[index]
        return float(1 - time), float(time)

    def network(self, denoise: Denoise) -> Model:
        """The perfect network, from the posterior mean.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """

        def model(x: Array, time: float) -> Array:
            # At t = 1 the input is noise alone, which a very high level says as well.
            divisor = max(1 - time, _LEAST_SIGNAL)
            return prediction.from_x0("flow", x, denoise(x / divisor, time / divisor), 1 - time, time)

        return model

    @property
    def order(self) -> int:
        """Global order of the solver."""
        return 1

    @property
    def stochasticity(self) -> float | None:
        """0: nothing is drawn on the way."""
        return 0.0

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        return self.num_steps

    @property
    def is_clipped(self) -> bool:
        """Nothing is clamped."""
        return False

    @property
    def model_channels(self) -> int:
        """The model's output is shaped like its input."""
        return 1
