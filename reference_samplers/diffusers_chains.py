"""Chains whose tables are a library's own: the methods are those of the papers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .ddim import DDIM
from .openings import Array
from .processes import betas
from .processes.betas import BetaSchedule
from .validation import choice, real, refuse

__all__ = ["CogVideoXDDIM"]


@dataclass(frozen=True)
class CogVideoXDDIM(DDIM):
    """DDIM on a table with less signal throughout, as ``CogVideoXDDIMScheduler`` documents it.

    Source: Song et al. 2020, arXiv:2010.02502, equation 12 with eta = 0; the table: Yang et al. 2024,
    arXiv:2408.06072, released code, which shifts it and then rescales it as Lin et al. 2023, arXiv:2305.08891, do. No
    noise is drawn on the way and nothing is clamped.

    Args:
        snr_shift: s, > 0: the ratio of signal and noise variance is divided by it.

    Raises:
        ValueError: names field, value and legal range.
    """

    beta_schedule: BetaSchedule = choice("scaled_linear")
    beta_start: float = real(0.00085, above=0, below=1)
    beta_end: float = real(0.012, above=0, below=1)
    snr_shift: float = real(3.0, above=0)

    def check(self) -> None:
        """What the scheduler does not offer is left alone."""
        if self.eta != 0:
            raise refuse("eta", self.eta, "0: the scheduler draws nothing")
        if self.is_clipped:
            raise refuse("clip_denoised", self.clip_denoised, "False, and threshold None: the scheduler clamps nothing")

    @property
    def table_before_shift(self) -> Array:
        """``(T,)`` alpha_bar of the schedule itself."""
        if self.betas is not None:
            return betas.alpha_bar(np.array(self.betas))
        table = betas.betas(self.beta_schedule, self.num_train_timesteps, self.beta_start, self.beta_end)
        return betas.alpha_bar(table)

    @property
    def table_of_schedule(self) -> Array:
        """``(T,)`` alpha_bar after each timestep."""
        plain = self.table_before_shift
        shifted: Array = plain / (self.snr_shift + (1 - self.snr_shift) * plain)
        return shifted
