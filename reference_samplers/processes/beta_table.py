"""The table of variances that a chain of T timesteps adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reference_samplers.contract import Reference
from reference_samplers.openings import Array
from reference_samplers.validation import choice, real, reals, refuse, store, whole

from . import betas

__all__ = ["BetaTable"]


@dataclass(frozen=True)
class BetaTable(Reference):
    """The chain that a network was trained on.

    Source: Ho et al. 2020, arXiv:2006.11239, section 2.

    Args:
        num_train_timesteps: T, >= 1; where ``betas`` is given, their number.
        beta_schedule: ``"linear"`` (Ho et al. 2020), ``"scaled_linear"`` (Rombach et al. 2022), ``"cosine"`` (Nichol &
            Dhariwal 2021), ``"sigmoid"`` (Xu et al. 2022, as diffusers has it) or ``"sigmoid_jabri"`` (Jabri et al.
            2022, as denoising-diffusion-pytorch has it); not scaled with T.
        beta_start: in (0, 1); ``"cosine"`` and ``"sigmoid_jabri"`` do not use it.
        beta_end: in (0, 1), >= ``beta_start``; ``"cosine"`` and ``"sigmoid_jabri"`` do not use it.
        betas: the table itself, in (0, 1), the last one at most 1; excludes the schedule.
    """

    num_train_timesteps: int = whole(1000, low=1)
    beta_schedule: betas.BetaSchedule = choice("linear")
    beta_start: float = real(1e-4, above=0, below=1)
    beta_end: float = real(0.02, above=0, below=1)
    betas: tuple[float, ...] | None = reals(above=0, high=1)

    def check(self) -> None:
        """The schedule rises, or there is a table in its place."""
        if self.beta_end < self.beta_start:
            raise refuse("beta_end", self.beta_end, f">= beta_start={self.beta_start!r}")
        if self.betas is None:
            return
        for i, beta in enumerate(self.betas[:-1]):
            if beta == 1:
                raise refuse(f"betas[{i}]", beta, "< 1, except for the last one")
        self.refuse_beside("betas", "beta_schedule", "beta_start", "beta_end")
        if self.num_train_timesteps not in (len(self.betas), type(self).num_train_timesteps):
            legal = f"the number of betas, {len(self.betas)}"
            raise refuse("num_train_timesteps", self.num_train_timesteps, legal)
        store(self, "num_train_timesteps", len(self.betas))

    @property
    def table_of_schedule(self) -> Array:
        """``(T,)`` alpha_bar after each timestep (equation 4)."""
        if self.betas is not None:
            table = np.array(self.betas)
        else:
            table = betas.betas(self.beta_schedule, self.num_train_timesteps, self.beta_start, self.beta_end)
        return betas.alpha_bar(table)
