"""Liu et al. 2022, "Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow"."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from .grids.even_times import EvenTimes
from .openings import Array, Model, Noise
from .processes.flow_process import FlowProcess
from .processes.rectified_flow import RectifiedFlow

__all__ = ["FlowEuler", "FlowEulerSteps"]


class FlowEulerSteps(FlowProcess):
    """Euler's method along the path from noise to data."""

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: dx = flow dt, from t = 1 to t = 0.

        Draws:
            One of the sample's shape at the start.
        """
        x = noise()  # Z_0 of the paper, at t = 1 here
        for time_cur, time_next in pairwise(self.time_grid):
            flow = self.to_flow(x, model(x, self.time(time_cur)), time_cur)
            x = x + (time_next - time_cur) * flow  # eq. 1
        return x

    @property
    def stochasticity(self) -> float | None:
        """0: nothing is drawn on the way."""
        return 0.0

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        return len(self.levels) - 1


@dataclass(frozen=True)
class FlowEuler(FlowEulerSteps, RectifiedFlow, EvenTimes):
    """Euler's method along the straight path from noise to data.

    Source: Liu et al. 2022, arXiv:2209.03003, Algorithm 1, "Sampling", with time running from noise (1) to
    data (0) as in Esser et al. 2024, arXiv:2403.03206, whose equation 23 shifts the grid.

    Raises:
        ValueError: names field, value and legal range.
    """
