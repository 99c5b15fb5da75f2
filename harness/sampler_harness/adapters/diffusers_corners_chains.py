"""Chains where the further schedulers of diffusers follow them: see ``diffusers_corners``."""

from __future__ import annotations

from dataclasses import dataclass, field

import reference_samplers
from reference_samplers import diffusers_chains, diffusers_cosine
from reference_samplers.contract import Reference
from reference_samplers.grids.spacings import TimestepSpacing
from reference_samplers.processes.betas import BetaSchedule
from reference_samplers.validation import choice, flag, refuse, store

from .diffusers_corners import DDIM, DDPM, Taken, refuse_other_strides
from .diffusers_handling import Handling

__all__ = [
    "BatchedDDIM",
    "BatchedDDPM",
    "CogVideoXDDIM",
    "Cosine",
    "DDIMInverse",
    "DDIMParallel",
    "DDPMParallel",
    "UnCLIP",
]


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
    if config.timesteps is not None:
        raise refuse("timesteps", config.timesteps, "None where steps are made in batches (FINDINGS: t - T // n)")
    refuse_other_strides(config, ", and steps made in batches")


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


@dataclass(frozen=True)
class CogVideoXDDIM(Taken, diffusers_chains.CogVideoXDDIM):
    """DDIM where ``CogVideoXDDIMScheduler`` follows it.

    Source: Song et al. 2020, arXiv:2010.02502; see :class:`reference_samplers.diffusers_chains.CogVideoXDDIM`.
    """

    def check(self) -> None:
        """A step of T // n timesteps ends at the next entry of the grid."""
        if self.timesteps is not None:
            raise refuse("timesteps", self.timesteps, "None: the scheduler takes none")
        if self.handling == "unset":
            raise refuse("handling", "unset", "another: step asks for set_timesteps")
        refuse_other_strides(self)


@dataclass(frozen=True)
class UnCLIP(Taken, reference_samplers.DDPM):
    """DDPM where ``UnCLIPScheduler`` follows it: the caller says where each step goes.

    Source: Ho et al. 2020, arXiv:2006.11239; see :class:`reference_samplers.DDPM`.

    Args:
        variance_as_logarithm: follows from ``variance``: the scheduler has no other word for the small one.
    """

    beta_schedule: BetaSchedule = choice("cosine")
    timestep_spacing: TimestepSpacing = choice("linspace")
    clip_denoised: bool = flag(True)
    variance_as_logarithm: bool = field(init=False, default=True, repr=False)

    def __post_init__(self) -> None:
        store(self, "variance_as_logarithm", self.variance == "fixed_small")
        super().__post_init__()

    def check(self) -> None:
        """The scheduler has one table, one spacing, and no grid of one step."""
        if self.beta_schedule != "cosine" or self.betas is not None or self.rescale_zero_terminal_snr:
            raise refuse("beta_schedule", self.beta_schedule, "'cosine', as it is: the scheduler has no other table")
        if self.timestep_spacing != "linspace" or self.timesteps is not None:
            raise refuse("timestep_spacing", self.timestep_spacing, "'linspace': the scheduler has no other")
        if self.num_steps == 1:
            raise refuse("num_steps", 1, "> 1: the scheduler divides by one less")
        if self.variance not in ("fixed_small", "learned_range"):
            raise refuse("variance", self.variance, "'fixed_small' or 'learned_range': the scheduler has no other")
        if self.prediction == "v" or self.threshold is not None:
            raise refuse("prediction", self.prediction, "'epsilon' or 'x0', and threshold None")


@dataclass(frozen=True)
class DDIMInverse(Taken, reference_samplers.DDIMInversion):
    """DDIM inversion where ``DDIMInverseScheduler`` follows it.

    Source: Song et al. 2020, arXiv:2010.02502; see :class:`reference_samplers.DDIMInversion`.
    """

    clip_denoised: bool = flag(True)

    @property
    def returns_last_x0(self) -> bool:
        """No run ends in data."""
        return False

    def check(self) -> None:
        """Each step begins where the one before it ended."""
        if self.told != "next" or self.rederive_epsilon or self.threshold is not None:
            raise refuse("told", self.told, "'next', with the network's own epsilon and no threshold: it has no other")
        if self.timesteps is not None or self.timestep_spacing not in ("leading", "trailing"):
            raise refuse(
                "timestep_spacing", self.timestep_spacing, "'leading' or 'trailing': the scheduler has no other"
            )
        if self.handling == "unset":
            raise refuse("handling", "unset", "another: step asks for set_timesteps")
        refuse_other_strides(self)


@dataclass(frozen=True)
class Cosine(diffusers_cosine.DDPMWuerstchen):
    """DDPM on even times where ``DDPMWuerstchenScheduler`` follows it: it takes no others.

    Source: Ho et al. 2020, arXiv:2006.11239; see :class:`reference_samplers.diffusers_cosine.DDPMWuerstchen`.

    Args:
        handling: what was done to the scheduler before the run, which must change nothing.
    """

    handling: Handling = choice("new")

    def check(self) -> None:
        """A scheduler that draws draws nothing before the run."""
        if self.handling not in ("new", "saved"):
            raise refuse("handling", self.handling, "'new' or 'saved'")
