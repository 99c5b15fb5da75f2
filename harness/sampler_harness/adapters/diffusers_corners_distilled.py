"""Samplers of distilled models where diffusers' schedulers follow them: see ``diffusers_corners``."""

from __future__ import annotations

from dataclasses import dataclass

import reference_samplers
from reference_samplers.processes.betas import BetaSchedule
from reference_samplers.validation import choice, real, refuse

from .diffusers_corners import Taken, count_by_hand

__all__ = ["LCM", "TCD"]


def _check_length(num_train_timesteps: int, original_steps: int) -> None:
    if num_train_timesteps < original_steps:
        raise refuse("num_train_timesteps", num_train_timesteps, f">= original_steps={original_steps}")


@dataclass(frozen=True)
class LCM(Taken, reference_samplers.LCM):
    """Latent consistency sampling where ``LCMScheduler`` follows it, with diffusers' defaults.

    Source: Luo et al. 2023, arXiv:2310.04378; see :class:`reference_samplers.LCM`.
    """

    beta_schedule: BetaSchedule = choice("scaled_linear")
    beta_start: float = real(0.00085, above=0, below=1)
    beta_end: float = real(0.012, above=0, below=1)
    threshold_max: float = real(1.0, low=1, finite=False)

    def __post_init__(self) -> None:
        count_by_hand(self)
        super().__post_init__()

    def check(self) -> None:
        """The table holds the timesteps of the distillation, also where a run has others."""
        _check_length(self.num_train_timesteps, self.original_steps)


@dataclass(frozen=True)
class TCD(Taken, reference_samplers.TCD):
    """Strategic stochastic sampling where ``TCDScheduler`` follows it, with diffusers' defaults.

    Source: Zheng et al. 2024, arXiv:2402.19159; see :class:`reference_samplers.TCD`.
    """

    beta_schedule: BetaSchedule = choice("scaled_linear")
    beta_start: float = real(0.00085, above=0, below=1)
    beta_end: float = real(0.012, above=0, below=1)

    def __post_init__(self) -> None:
        count_by_hand(self)
        super().__post_init__()

    def check(self) -> None:
        """The table holds the timesteps of the distillation, also where a run has others."""
        _check_length(self.num_train_timesteps, self.original_steps)
