"""Chains where the further schedulers of diffusers follow them: see ``diffusers_corners``."""

from __future__ import annotations

from dataclasses import dataclass

import reference_samplers
from reference_samplers.contract import Reference
from reference_samplers.validation import flag, refuse

from .diffusers_corners import DDIM, DDPM

__all__ = ["BatchedDDIM", "BatchedDDPM", "DDIMParallel", "DDPMParallel"]


@dataclass(frozen=True)
class InBatches(Reference):
    """Which of its two steps a scheduler is asked for, which must change nothing.

    Args:
        in_batches: each step is ``batch_step_no_noise``, with a timestep for each item; the caller draws.
    """

    in_batches: bool = flag(False)


def _refuse_in_batches(config: DDIMParallel | DDPMParallel) -> None:
    """A step in batches returns the state alone, and goes T // n timesteps down."""
    if config.result != "object":
        raise refuse("result", config.result, "'object' where steps are made in batches: they return the state alone")
    length, count = config.num_train_timesteps, len(config.grid)
    stride = length // count
    if config.timesteps is not None:
        raise refuse("timesteps", config.timesteps, "None where steps are made in batches (FINDINGS: t - T // n)")
    if config.timestep_spacing == "linspace" and count not in (1, length):
        legal = f"1 or {length} where steps are made in batches of linspace (FINDINGS: t - T // n)"
        raise refuse("num_steps", count, legal)
    if config.timestep_spacing == "trailing" and length % count:
        legal = f"a divisor of {length} where steps are made in batches (FINDINGS: t - T // n)"
        raise refuse("num_steps", count, legal)
    if config.timestep_spacing == "leading" and config.steps_offset >= stride:
        legal = f"< {stride} where steps are made in batches (FINDINGS: t - T // n)"
        raise refuse("steps_offset", config.steps_offset, legal)


@dataclass(frozen=True)
class DDIMParallel(InBatches, DDIM):
    """DDIM where ``DDIMParallelScheduler`` follows it.

    Source: Song et al. 2020, arXiv:2010.02502; steps in batches: Shih et al. 2023, arXiv:2305.16317.
    """

    def check(self) -> None:
        """Steps in batches draw nothing, and end in data."""
        if not self.in_batches:
            return
        if self.eta != 0 or self.hands_noise:
            raise refuse("eta", self.eta, "0 where steps are made in batches: the scheduler takes no other")
        if self.final_alpha_bar != "one":
            legal = "'one' where steps are made in batches (FINDINGS: ddim-parallel-batch-final-alpha)"
            raise refuse("final_alpha_bar", self.final_alpha_bar, legal)
        _refuse_in_batches(self)


@dataclass(frozen=True)
class DDPMParallel(InBatches, DDPM):
    """DDPM where ``DDPMParallelScheduler`` follows it.

    Source: Ho et al. 2020, arXiv:2006.11239; steps in batches: Shih et al. 2023, arXiv:2305.16317.
    """

    def check(self) -> None:
        """The caller of steps in batches draws with a variance that no model says."""
        if not self.in_batches:
            return
        if self.variance not in ("fixed_small", "fixed_large") or self.variance_as_logarithm:
            legal = "'fixed_small' or 'fixed_large' where steps are made in batches: the caller draws"
            raise refuse("variance", self.variance, legal)
        _refuse_in_batches(self)


@dataclass(frozen=True)
class BatchedDDIM(InBatches, reference_samplers.DDIM):
    """DDIM in every corner, with a caller that may make its steps in batches.

    Source: Song et al. 2020, arXiv:2010.02502; see :class:`reference_samplers.DDIM`.
    """


@dataclass(frozen=True)
class BatchedDDPM(InBatches, reference_samplers.DDPM):
    """DDPM in every corner, with a caller that may make its steps in batches.

    Source: Ho et al. 2020, arXiv:2006.11239; see :class:`reference_samplers.DDPM`.
    """
