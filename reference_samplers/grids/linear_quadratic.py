"""A straight beginning near the noise, and a parabola from there to the data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reference_samplers.openings import Array
from reference_samplers.validation import real, refuse, whole

from .grid import Grid

__all__ = ["LinearQuadratic"]


@dataclass(frozen=True)
class LinearQuadratic(Grid):
    """Times that fall from 1 evenly to ``1 - threshold_noise``, then along a parabola to 0, with no kink between.

    Source: Genmo, Mochi 1, released code, ``linear_quadratic_schedule``; so in LTX-Video and, as ``linear_quadratic``,
    in ComfyUI, which multiplies it by the model's highest level.

    Args:
        num_steps: N, >= 1; 1 is the grid (1, 0).
        threshold_noise: how far the straight part goes, in (0, 1).
        linear_steps: steps of the straight part, in [1, N - 1]; None for half of them, rounded down.
        sigma_max: > 0, what the times are multiplied by.
    """

    num_steps: int = whole(64, low=1)
    threshold_noise: float = real(0.025, above=0, below=1)
    linear_steps: int | None = whole(None, low=1)
    sigma_max: float = real(1.0, above=0)

    def check(self) -> None:
        """Both parts have a step, and the parabola falls all the way."""
        if self.num_steps > 1 and not 1 <= self.straight < self.num_steps:
            raise refuse("linear_steps", self.linear_steps, f"from 1 to {self.num_steps - 1}")
        if any(np.diff(self.levels) >= 0):
            raise refuse("threshold_noise", self.threshold_noise, "so small that the parabola falls all the way")

    @property
    def straight(self) -> int:
        """Steps of the straight part."""
        return self.num_steps // 2 if self.linear_steps is None else self.linear_steps

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` levels from ``sigma_max`` to 0."""
        if self.num_steps == 1:
            return np.array([self.sigma_max, 0.0])
        slope = self.threshold_noise / self.straight
        behind = self.num_steps - self.straight  # steps of the parabola
        bend = (1 - self.threshold_noise - slope * behind) / behind**2  # it starts with that slope, and ends at 1
        place = np.arange(self.num_steps + 1)
        beyond = np.maximum(place - self.straight, 0)
        levels: Array = self.sigma_max * (1 - (slope * place + bend * beyond**2))
        levels[-1] = 0.0
        return levels
