"""Zheng et al. 2024, "Trajectory Consistency Distillation", arXiv:2402.19159."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import prediction
from .contract import Reference
from .grids.timesteps import DistilledTimesteps
from .openings import Array, Model, Noise
from .processes.table_chain import TableChain
from .validation import real, refuse

__all__ = ["TCD"]


@dataclass(frozen=True)
class TCD(TableChain, DistilledTimesteps):
    """Each step goes along the trajectory below the next timestep, and diffuses back up to it.

    Source: Zheng et al. 2024, arXiv:2402.19159, Algorithm 4 (strategic stochastic sampling), with the timesteps and the
    end of the released code: the last step leads to timestep 0, which is the first entry of the table and not the data.
    With ``gamma`` = 0 it is DDIM that ends there; with 1 it is easily taken for :class:`~reference_samplers.LCM`, which
    predicts the data itself and has a boundary.

    Args:
        gamma: in [0, 1], how far below the next timestep a step goes, as a share of it (``eta`` of the released code).

    Raises:
        ValueError: names field, value and legal range.
    """

    gamma: float = real(0.3, low=0, high=1)

    def check(self) -> None:
        """What the released code has no use for is left alone."""
        for name in ("clip_denoised", "threshold"):
            if self.values()[name]:
                raise refuse(name, self.values()[name], "left at its default: nothing is clamped")

    def sample(self, model: Model, noise: Noise) -> Array:
        """Draw one sample: Algorithm 4.

        Draws:
            One of the sample's shape at the start; with ``gamma`` > 0 one after each step but the last.
        """
        x = noise()
        for t, t_next in self.transitions:
            s = self.below(t_next)
            alpha_bar, alpha_bar_s, alpha_bar_next = self.alpha_bar[t], self.alpha_bar[s], self.alpha_bar[t_next]
            output = model(x, t - 1)
            x0 = self.to_x0(x, output, alpha_bar)
            epsilon = prediction.epsilon_from_x0(x, x0, np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar))
            x = np.sqrt(alpha_bar_s) * x0 + np.sqrt(1 - alpha_bar_s) * epsilon  # along the trajectory, to s
            if t_next > 1 and self.gamma > 0:
                kept = alpha_bar_next / alpha_bar_s
                x = np.sqrt(kept) * x + np.sqrt(1 - kept) * noise()  # and back, to the next timestep
        return x

    def below(self, t_next: int) -> int:
        """S = (1 - gamma) t of the next timestep, rounded down; programs count timesteps from 0."""
        share = np.round((1 - self.gamma) * (t_next - 1), 9)  # 0.2 * 5 is 1, whatever rounding leaves of 1 - 0.8
        return int(np.floor(share)) + 1

    def either_side(self, times: Sequence[float]) -> Iterator[Reference]:
        """With whole shares of timesteps a little above or below, as rounding takes them."""
        shares = [(1 - self.gamma) * (t_next - 1) for _, t_next in self.transitions]
        if 0 < self.gamma < 1 and any(abs(share - np.round(share)) < 1e-6 for share in shares if share > 0):
            for gamma in (self.gamma - 1e-6, self.gamma + 1e-6):
                if 0 < gamma < 1:
                    yield dataclasses.replace(self, gamma=gamma)

    @property
    def levels(self) -> tuple[int, ...]:
        """``(n + 1,)`` entries of the chain, the last of which is 1: that of timestep 0."""
        return (*(t + 1 for t in self.grid), 1)

    @property
    def stochasticity(self) -> float | None:
        """0 without draws; with them the limit has no closed form."""
        return 0.0 if self.gamma == 0 else None

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        return len(self.grid)

    def final_alpha_bar_of(self, table: Array) -> Any:
        """alpha_bar of the data, which no run reaches.

        Args:
            table: ``(T,)`` alpha_bar of the timesteps.
        """
        return 1.0
