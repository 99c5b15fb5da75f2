"""ComfyUI, released code: ancestral steps of a rectified flow, which no paper has."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .grids.even_times import EvenTimes
from .openings import Array, Model, Noise
from .processes.rectified_flow import RectifiedFlow
from .validation import real

__all__ = ["FlowAncestral"]


@dataclass(frozen=True)
class FlowAncestral(RectifiedFlow, EvenTimes):
    """Euler's method with fresh noise on the straight path, whose steps go down by a share of the step.

    Source: no paper; ComfyUI's released code (``sample_euler_ancestral_RF``), which diffusers follows in
    ``LTXEulerAncestralRFScheduler``. The forward process from the lower level is what mixes data and noise. It is
    easily taken for :class:`~reference_samplers.EulerAncestral` in the variable t / (1 - t). The two draw the same
    share of noise in the limit of small steps where ``eta`` here is the square of that one's; with steps that are not
    small they agree at ``eta`` = 0 alone.

    Args:
        eta: in [0, 1]. A step goes to ``t_next * (1 - eta * (t - t_next) / t)``, and noise brings it up to ``t_next``;
            0 draws nothing after the start.
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
        if self.eta == 0:
            return 0.0
        return float(np.sqrt(self.eta)) if self.s_noise == 1 and self.levels[0] == 1 else None

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        return len(self.levels) - 1
