"""Ancestral samplers and DPM-Solver-2 where diffusers' schedulers follow them: see ``diffusers_corners``."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from reference_samplers import diffusers
from reference_samplers.validation import refuse

from .diffusers_corners import Taken, check_handling, check_table_levels

#: Of sigma_next^2, what sigma_down^2 is: six roundings of sigma_up^2, each of half a unit, may come to this much.
LOST_SHARE = 2.0**-21

__all__ = ["EulerAncestralDiscrete", "KDPM2AncestralDiscrete", "KDPM2Discrete"]


@dataclass(frozen=True)
class _OnTable(Taken):
    """A grid that the scheduler lays out as documented; joined with a reference on the levels of a table."""

    def check(self) -> None:
        """Times of Karras levels are rounded, and quantiles of levels are taken for those of time."""
        config: Any = self
        check_handling(self.handling, config.num_steps, config.num_train_timesteps)
        if config.sigma_spacing in ("karras", "beta"):
            legal = "another (FINDINGS, further schedulers: whole times of Karras levels, quantiles of levels)"
            raise refuse("sigma_spacing", config.sigma_spacing, legal)
        check_table_levels(config)


@dataclass(frozen=True)
class EulerAncestralDiscrete(_OnTable, diffusers.EulerAncestralDiscrete):
    """Ancestral Euler steps where ``EulerAncestralDiscreteScheduler`` follows them.

    Source: see :class:`reference_samplers.diffusers.EulerAncestralDiscrete`.
    """

    def check(self) -> None:
        """Behind a level that is far above the next one, the root that sigma_down is may be of a number below 0."""
        super().check()
        falls = [(low / high) ** 2 for high, low in pairwise(self.levels) if low > 0]
        if min(falls, default=1.0) < LOST_SHARE:
            legal = "one whose levels fall by less than a factor of 1448 (FINDINGS: a root below 0)"
            raise refuse("num_steps", self.num_steps, legal)


@dataclass(frozen=True)
class KDPM2Discrete(_OnTable, diffusers.KDPM2Discrete):
    """DPM-Solver-2 where ``KDPM2DiscreteScheduler`` follows it.

    Source: see :class:`reference_samplers.diffusers.KDPM2Discrete`.
    """


@dataclass(frozen=True)
class KDPM2AncestralDiscrete(_OnTable, diffusers.KDPM2AncestralDiscrete):
    """DPM-Solver-2 with ancestral noise where ``KDPM2AncestralDiscreteScheduler`` follows it.

    Source: see :class:`reference_samplers.diffusers.KDPM2AncestralDiscrete`.
    """
