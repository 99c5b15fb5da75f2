"""Ma et al. 2024, "SiT: Exploring Flow and Diffusion-based Generative Models", arXiv:2401.08740."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from .grids.even_times import EvenTimes
from .openings import Array, Model, Noise
from .processes.rectified_flow import RectifiedFlow
from .validation import choice, real

__all__ = ["Diffusion", "FlowSDE", "LastStep"]

Diffusion = Literal["constant", "sigma", "flow_grpo"]
LastStep = Literal["mean", "euler", "tweedie", "drawn"]


@dataclass(frozen=True)
class FlowSDE(RectifiedFlow, EvenTimes):
    """Euler-Maruyama steps of the reverse SDE that has the marginals of a rectified flow.

    Source: Ma et al. 2024, arXiv:2401.08740, section 2.1, with the score of section 2.2 and a diffusion as in section
    2.4, time running from noise (1) to data (0); ``"flow_grpo"``: Liu et al. 2025, arXiv:2505.05470, with its released
    code. The score's part is easily forgotten, or taken of another diffusion than the draw: then noise stays in the
    samples.

    Args:
        diffusion: w(t). ``"constant"``: 1; ``"sigma"``: t; ``"flow_grpo"``: t / (1 - t), where 1 - t is that of the
            second time of the grid if t is 1. All times ``diffusion_scale``.
        diffusion_scale: >= 0, factor of w: twice the ``diffusion_norm`` of SiT's released code; the square of
            Flow-GRPO's a.
        last_step: how the step to 0 is made. ``"mean"``: without its draw; ``"euler"``: without the score too;
            ``"tweedie"``: to the predicted data; ``"drawn"``: like every other.

    Raises:
        ValueError: names field, value and legal range.
    """

    diffusion: Diffusion = choice("sigma")
    diffusion_scale: float = real(1.0, low=0)
    last_step: LastStep = choice("mean")

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: dx = v dt - w s dt / 2 + sqrt(w) dW, from t = 1 to t = 0.

        Draws:
            One of the sample's shape at the start, and one in each step but the last; there too with
            ``last_step="drawn"``.
        """
        x = noise()
        for t, t_next in pairwise(self.time_grid):
            dt = t_next - t
            v = self.to_flow(x, model(x, self.time(t)), t)
            s = -(x + (1 - t) * v) / t  # section 2.2
            w = self.diffusion_at(t)  # section 2.4
            if t_next == 0 and self.last_step == "tweedie":
                x0: Array = x - t * v
                return x0
            x = x + v * dt  # section 2.1, flow
            if t_next > 0 or self.last_step != "euler":
                x = x - 0.5 * w * s * dt  # section 2.1, score
            if t_next > 0 or self.last_step == "drawn":
                x = x + np.sqrt(w * -dt) * noise()  # section 2.1, draw
        return x

    def diffusion_at(self, t: Any) -> Any:
        """w(t)."""
        if self.diffusion == "constant":
            return self.diffusion_scale
        if self.diffusion == "sigma":
            return self.diffusion_scale * t
        signal_scale = 1 - t if t < 1 else 1 - self.time_grid[1]
        return self.diffusion_scale * t / signal_scale

    @property
    def stochasticity(self) -> float | None:
        """From pure noise any w leads to the data's distribution, as the reverse process itself does."""
        return 1.0 if self.levels[0] == 1 else None

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        return len(self.levels) - 1
