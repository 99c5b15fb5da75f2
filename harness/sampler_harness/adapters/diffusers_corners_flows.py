"""Samplers of rectified flows where diffusers' schedulers follow them: see ``diffusers_corners``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import reference_samplers
from reference_samplers.grids.even_times import EvenTimes
from reference_samplers.openings import Array
from reference_samplers.processes.rectified_flow import RectifiedFlow
from reference_samplers.validation import choice, real, refuse, store, whole

from .diffusers_handling import Handling

__all__ = ["FlowMatchEuler", "FlowMatchLCM", "LTXEulerAncestralRF", "TimeShift"]

TimeShift = Literal["exponential", "linear"]


@dataclass(frozen=True)
class _FlowMatch(RectifiedFlow, EvenTimes):
    """The grid of these schedulers: N times from 1 to the lowest that the model was trained at, shifted, and then 0.

    Args:
        num_train_timesteps: T: the model is told T t, and was trained at times down to 1 / T, which the shift moves
            too, ahead of the one that it does to the whole grid (FINDINGS, "Is a flow's shift applied twice?").
        mu: what a pipeline makes of the image's size, in place of ``shift``; None for ``shift``.
        time_shift_type: the shift is exp(mu), or with ``"linear"`` mu itself.
        handling: what was done to the scheduler before the run, which must change nothing.
        time_scale: T.
        lowest_time: follows from T and the shift.
    """

    num_train_timesteps: int = whole(1000, low=2)
    mu: float | None = real(None)
    time_shift_type: TimeShift = choice("exponential")
    handling: Handling = choice("new")
    time_scale: float = field(init=False, default=1.0, repr=False)
    lowest_time: float | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        store(self, "time_scale", float(self.num_train_timesteps))
        store(self, "lowest_time", None)
        super().__post_init__()

    def check(self) -> None:
        """One shift, and levels that the scheduler makes."""
        if self.sigmas is not None:
            raise refuse("sigmas", self.sigmas, "None: the scheduler shifts what it is given")
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
        return EvenTimes(num_steps=self.num_steps, shift=shift, lowest_time=lowest).levels


@dataclass(frozen=True)
class FlowMatchEuler(_FlowMatch, reference_samplers.FlowEuler):
    """Euler's method where ``FlowMatchEulerDiscreteScheduler`` follows it.

    Source: Liu et al. 2022, arXiv:2209.03003; see :class:`reference_samplers.FlowEuler`.
    """


@dataclass(frozen=True)
class FlowMatchLCM(_FlowMatch, reference_samplers.FlowConsistency):
    """Multistep consistency sampling where ``FlowMatchLCMScheduler`` follows it.

    Source: Song et al. 2023, arXiv:2303.01469; see :class:`reference_samplers.FlowConsistency`.
    """


@dataclass(frozen=True)
class LTXEulerAncestralRF(_FlowMatch, reference_samplers.FlowAncestral):
    """Euler's method with fresh noise where ``LTXEulerAncestralRFScheduler`` follows it.

    Source: see :class:`reference_samplers.FlowAncestral`.
    """

    def check(self) -> None:
        """The scheduler shifts nothing."""
        if self.mu is not None or self.shift != 1:
            raise refuse("shift", self.shift, "1: the scheduler has no such option")
        super().check()
