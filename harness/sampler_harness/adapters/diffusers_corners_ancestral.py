"""Ancestral samplers and DPM-Solver-2 where diffusers' schedulers follow them: see ``diffusers_corners``."""

from __future__ import annotations

from dataclasses import dataclass

from reference_samplers import diffusers
from reference_samplers.grids.table_levels import SigmaSpacing
from reference_samplers.validation import choice, refuse

from .diffusers_corners import Taken, check_handling, check_table_levels
from .diffusers_handling import Handling, Result

__all__ = ["EulerAncestralDiscrete", "KDPM2AncestralDiscrete", "KDPM2Discrete"]


def _refuse_spacings(sigma_spacing: SigmaSpacing) -> None:
    """Both schedulers of DPM-Solver-2 round times of Karras levels, and take quantiles of levels for those of time."""
    if sigma_spacing == "karras":
        raise refuse("sigma_spacing", "karras", "another (FINDINGS: kdpm2-karras-times)")
    if sigma_spacing == "beta":
        raise refuse("sigma_spacing", "beta", "another (FINDINGS: beta-quantiles)")


@dataclass(frozen=True)
class EulerAncestralDiscrete(Taken, diffusers.EulerAncestralDiscrete):
    """Ancestral Euler steps where ``EulerAncestralDiscreteScheduler`` follows them.

    Source: see :class:`reference_samplers.diffusers.EulerAncestralDiscrete`.

    Args:
        handling: what was done to the scheduler before the run, which must change nothing.
        result: what of ``step`` is taken, which must change nothing.
    """

    handling: Handling = choice("new")
    result: Result = choice("object")

    def check(self) -> None:
        """The grid is one that the scheduler lays out as documented."""
        check_handling(self.handling, self.num_steps, self.num_train_timesteps)
        check_table_levels(self)


@dataclass(frozen=True)
class KDPM2Discrete(Taken, diffusers.KDPM2Discrete):
    """DPM-Solver-2 where ``KDPM2DiscreteScheduler`` follows it.

    Source: see :class:`reference_samplers.diffusers.KDPM2Discrete`.

    Args:
        handling: what was done to the scheduler before the run, which must change nothing.
        result: what of ``step`` is taken, which must change nothing.
    """

    handling: Handling = choice("new")
    result: Result = choice("object")

    def check(self) -> None:
        """The grid is one that the scheduler lays out as documented."""
        check_handling(self.handling, self.num_steps, self.num_train_timesteps)
        _refuse_spacings(self.sigma_spacing)
        check_table_levels(self)


@dataclass(frozen=True)
class KDPM2AncestralDiscrete(Taken, diffusers.KDPM2AncestralDiscrete):
    """DPM-Solver-2 with ancestral noise where ``KDPM2AncestralDiscreteScheduler`` follows it.

    Source: see :class:`reference_samplers.diffusers.KDPM2AncestralDiscrete`.

    Args:
        handling: what was done to the scheduler before the run, which must change nothing.
        result: what of ``step`` is taken, which must change nothing.
    """

    handling: Handling = choice("new")
    result: Result = choice("object")

    def check(self) -> None:
        """The grid is one that the scheduler lays out as documented."""
        check_handling(self.handling, self.num_steps, self.num_train_timesteps)
        _refuse_spacings(self.sigma_spacing)
        check_table_levels(self)
