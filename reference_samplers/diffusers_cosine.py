"""DDPM on a cosine of continuous time, as a library has it: the method is the paper's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from . import prediction
from .openings import Array, Model, Noise
from .processes.process import Process
from .validation import real, whole

__all__ = ["DDPMWuerstchen"]

#: alpha_bar never leaves this range, at either end of time.
_ENDS = (0.0001, 0.9999)


@dataclass(frozen=True)
class DDPMWuerstchen(Process):
    """Ancestral sampling on even times, as ``DDPMWuerstchenScheduler`` documents it.

    Source: Ho et al. 2020, arXiv:2006.11239, Algorithm 2 with the posterior's variance; alpha_bar: Nichol & Dhariwal
    2021, arXiv:2102.09672, equation 17; times and ends: Pernias et al. 2023, arXiv:2306.00637, released code.

    Args:
        num_steps: N, >= 1.
        scaler: > 0, bends time: above 1 towards noise, below 1 too, by another power.
        s: >= 0, offset of the cosine.

    Raises:
        ValueError: names field, value and legal range.
    """

    num_steps: int = whole(10, low=1)
    scaler: float = real(1.0, above=0)
    s: float = real(0.008, low=0)

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: Algorithm 2, line for line.

        Draws:
            One of the sample's shape at the start, and one at each step but the last.
        """
        x = noise()  # line 1
        for t, t_next in pairwise(self.levels):  # line 2
            alpha_bar, alpha_bar_next = self.alpha_bar(t), self.alpha_bar(t_next)
            alpha = alpha_bar / alpha_bar_next
            epsilon = model(x, self.time(t))
            x = (x - (1 - alpha) / np.sqrt(1 - alpha_bar) * epsilon) / np.sqrt(alpha)  # line 4, mean
            if t_next > 0:  # line 3
                x = x + np.sqrt((1 - alpha) * (1 - alpha_bar_next) / (1 - alpha_bar)) * noise()  # line 4, draw
        return x  # line 6

    def alpha_bar(self, t: Any) -> Any:
        """Share of signal variance left at a time."""
        if self.scaler > 1:
            t = 1 - (1 - t) ** self.scaler
        elif self.scaler < 1:
            t = t**self.scaler
        level = np.cos((t + self.s) / (1 + self.s) * np.pi / 2) ** 2 / np.cos(self.s / (1 + self.s) * np.pi / 2) ** 2
        return np.clip(level, *_ENDS)

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` times from 1 to 0."""
        return np.linspace(1.0, 0.0, self.num_steps + 1)

    @property
    def initial_std(self) -> float:
        """Std of the first noise."""
        return 1.0

    def scales(self, t: Any) -> tuple[Any, Any]:
        """Signal and noise in x at a time (equation 4)."""
        alpha_bar = self.alpha_bar(t)
        return np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)

    def time(self, t: Any) -> float:
        """What the model is told."""
        return float(t)

    def denoiser(self, model: Model) -> Callable[[Array, Any], Array]:
        """x0 from x at a time (equation 15)."""

        def denoised(x: Array, t: Any) -> Array:
            return prediction.x0_from_epsilon(x, model(x, self.time(t)), *self.scales(t))

        return denoised

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        return self.num_steps
