"""Times of a flow as diffusers' schedulers of flows lay them out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from reference_samplers.openings import Array
from reference_samplers.validation import choice, real, refuse, whole

from . import quantiles, sigmas
from .even_times import EvenTimes
from .grid import Grid
from .sized_times import MuIs
from .stretched_times import stretched

__all__ = ["FlowMatchTimes", "FlowSpacing"]

FlowSpacing = Literal["timesteps", "karras", "exponential", "beta"]

#: Karras et al. 2022, equation 5; the schedulers do not let one choose.
RHO = 7.0
#: Both parameters of the beta distribution of ``"beta"``.
BETA_SHAPE = 0.6


@dataclass(frozen=True)
class FlowMatchTimes(Grid):
    """N times from 1 to the lowest that the model was trained at, shifted, stretched, spread anew, and then 0.

    Source: diffusers, ``FlowMatchEulerDiscreteScheduler.set_timesteps``; the shift: Esser et al. 2024,
    arXiv:2403.03206, equation 23; ``"karras"``: Karras et al. 2022, arXiv:2206.00364, equation 5; ``"beta"``: Lee et
    al. 2024, arXiv:2407.12173.

    Args:
        num_steps: N, >= 1; 1 has the level 1 alone, whatever the options.
        num_train_timesteps: T: the model was trained at times down to 1 / T, which the shift moves too, ahead of the
            one that it does to the whole grid (FINDINGS, "Is a flow's shift applied twice?").
        shift: > 0.
        mu: what a pipeline makes of the image's size, in place of ``shift``; None for ``shift``.
        time_shift_type: the shift is exp(mu), or with ``"linear"`` mu itself.
        terminal: to which time the last call is stretched, in (0, 1); None for none.
        sigma_spacing: ``"timesteps"``: as they are; else N levels between the first and the last of them.
    """

    num_steps: int = whole(low=1)
    num_train_timesteps: int = whole(1000, low=2)
    shift: float = real(1.0, above=0)
    mu: float | None = real(None)
    time_shift_type: MuIs = choice("exponential")
    terminal: float | None = real(None, above=0, below=1)
    sigma_spacing: FlowSpacing = choice("timesteps")

    def check(self) -> None:
        """One shift."""
        if self.mu is not None and self.shift != 1:
            raise refuse("shift", self.shift, "1 where mu is given, which takes its place")
        if self.mu is not None and self.time_shift_type == "linear" and self.mu <= 0:
            raise refuse("mu", self.mu, "> 0 where time_shift_type is 'linear'")

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` times from 1 to 0."""
        length, shift = self.num_train_timesteps, self.shift
        lowest = shift / (length + shift - 1)  # 1 / T, shifted
        if self.mu is not None:
            shift, lowest = (math.exp(self.mu) if self.time_shift_type == "exponential" else self.mu), 1 / length
        times = EvenTimes(num_steps=self.num_steps, shift=shift, lowest_time=lowest).levels[:-1]
        if self.terminal is not None:
            times = stretched(times, self.terminal)
        return np.append(self.spread(times), 0.0)

    def spread(self, times: Array) -> Array:
        """``(N,)`` levels of the named spacing between the first time and the last."""
        high, low = float(times[0]), float(times[-1])
        if self.sigma_spacing == "karras":
            return sigmas.karras_sigmas(self.num_steps, low, high, RHO)[:-1]
        if self.sigma_spacing == "exponential":
            return sigmas.exponential_sigmas(self.num_steps, low, high)
        if self.sigma_spacing == "beta":
            shares = 1 - np.linspace(0.0, 1.0, self.num_steps)
            return low + quantiles.beta_quantiles(shares, BETA_SHAPE, BETA_SHAPE) * (high - low)
        return times
