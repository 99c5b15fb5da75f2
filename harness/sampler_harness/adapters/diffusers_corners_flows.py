"""Samplers of rectified flows where diffusers' schedulers follow them: see ``diffusers_corners``."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

import reference_samplers
from reference_samplers.grids import EvenTimes, FlowMatchTimes
from reference_samplers.grids.flow_match_times import FlowSpacing
from reference_samplers.grids.sized_times import MuIs
from reference_samplers.openings import Array
from reference_samplers.processes.rectified_flow import FlowPrediction, RectifiedFlow
from reference_samplers.validation import choice, flag, real, refuse, store, whole

from .diffusers_handling import Handling

__all__ = [
    "FlowMapEuler",
    "FlowMatchEuler",
    "FlowMatchHeun",
    "FlowMatchLCM",
    "LTXEulerAncestralRF",
    "MiniMaxH3",
]

#: The velocity is worked out as (x - (x - sigma v)) / sigma, which in float32 is off by a third of a unit roundoff over
#: sigma (FINDINGS, "Further schedulers"): here that is no more than what any order of operations loses.
LOWEST_KEPT = 0.02


@dataclass(frozen=True)
class _FlowMatch(RectifiedFlow, EvenTimes):
    """The grid of these schedulers, ``reference_samplers.grids.FlowMatchTimes``.

    Args:
        num_train_timesteps: T: the model is told T t, and was trained at times down to 1 / T, which the shift moves
            too, ahead of the one that it does to the whole grid (FINDINGS, "Is a flow's shift applied twice?").
        mu: what a pipeline makes of the image's size, in place of ``shift``; None for ``shift``.
        time_shift_type: the shift is exp(mu), or with ``"linear"`` mu itself.
        terminal: to which time the last call is stretched, in (0, 1); None for none.
        sigma_spacing: ``"timesteps"``: as they are; else N levels between the first and the last of them.
        handling: what was done to the scheduler before the run, which must change nothing.
        time_scale: T.
        lowest_time: follows from T and the shift.
    """

    num_train_timesteps: int = whole(1000, low=2)
    mu: float | None = real(None)
    time_shift_type: MuIs = choice("exponential")
    terminal: float | None = real(None, above=0, below=1)
    sigma_spacing: FlowSpacing = choice("timesteps")
    handling: Handling = choice("new")
    time_scale: float = field(init=False, default=1.0, repr=False)
    lowest_time: float | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        store(self, "time_scale", float(self.num_train_timesteps))
        store(self, "lowest_time", None)
        super().__post_init__()

    def check(self) -> None:
        """Levels that the scheduler makes; a single one is not stretched."""
        if self.sigmas is not None:
            raise refuse("sigmas", self.sigmas, "None: the scheduler shifts what it is given")
        if self.terminal is not None and self.num_steps == 1:
            raise refuse("num_steps", 1, "> 1 where terminal is given: it divides by the distance from 1")
        _ = self.times  # refuses what is no grid

    def refuse_what_it_lacks(self) -> None:
        """Of a scheduler that neither stretches its grid nor respaces it."""
        if self.terminal is not None:
            raise refuse("terminal", self.terminal, "None: the scheduler has no such option")
        if self.sigma_spacing != "timesteps":
            raise refuse("sigma_spacing", self.sigma_spacing, "'timesteps': the scheduler has no such option")

    @property
    def times(self) -> FlowMatchTimes:
        """The grid by itself."""
        return FlowMatchTimes(
            num_steps=self.num_steps or 1,
            num_train_timesteps=self.num_train_timesteps,
            shift=self.shift,
            mu=self.mu,
            time_shift_type=self.time_shift_type,
            terminal=self.terminal,
            sigma_spacing=self.sigma_spacing,
        )

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` times from 1 to 0."""
        return self.times.levels

    @property
    def has_network(self) -> bool:
        """The last step from a terminal level is as long with any number of steps: no limit is claimed."""
        return self.terminal is None and super().has_network


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
class FlowMatchHeun(_FlowMatch, reference_samplers.FlowRungeKutta):
    """Heun's method, the step to 0 uncorrected, where ``FlowMatchHeunDiscreteScheduler`` follows it.

    Source: see :class:`reference_samplers.FlowRungeKutta`.
    """

    corrects_last: bool = flag(False)

    def check(self) -> None:
        """The scheduler has one solver, and lays its grid out in one way."""
        if self.solver != "heun" or self.corrects_last:
            raise refuse("solver", self.solver, "'heun', with corrects_last=False: the scheduler has no such option")
        self.refuse_what_it_lacks()
        if self.mu is not None:
            raise refuse("mu", self.mu, "None: the scheduler has no such option")
        if self.levels[-2] < LOWEST_KEPT and len(self.levels) > 2:
            legal = (
                f"such that the lowest level, {self.levels[-2]:.4g}, is at least {LOWEST_KEPT}: below, digits are lost"
            )
            raise refuse("shift", self.shift, legal)


@dataclass(frozen=True)
class LTXEulerAncestralRF(_FlowMatch, reference_samplers.FlowAncestral):
    """Euler's method with fresh noise where ``LTXEulerAncestralRFScheduler`` follows it.

    Source: see :class:`reference_samplers.FlowAncestral`.
    """

    def check(self) -> None:
        """The scheduler shifts nothing."""
        if self.mu is not None or self.shift != 1:
            raise refuse("shift", self.shift, "1: the scheduler has no such option")
        self.refuse_what_it_lacks()


@dataclass(frozen=True)
class FlowMapEuler(reference_samplers.FlowEuler):
    """Euler's method where ``FlowMapEulerDiscreteScheduler`` follows it: each step goes to the next time of the grid.

    Source: Liu et al. 2022, arXiv:2209.03003; see :class:`reference_samplers.FlowEuler`. A flow map is told both ends
    of a step by its pipeline; what is done with its answer is this.

    Args:
        num_train_timesteps: T: the model is told T t.
        handling: what was done to the scheduler before the run, which must change nothing.
        time_scale: T.
    """

    num_train_timesteps: int = whole(1000, low=2)
    handling: Handling = choice("new")
    time_scale: float = field(init=False, default=1.0, repr=False)

    def __post_init__(self) -> None:
        store(self, "time_scale", float(self.num_train_timesteps))
        super().__post_init__()

    def check(self) -> None:
        """Levels that the scheduler makes."""
        if self.sigmas is not None:
            raise refuse("sigmas", self.sigmas, "None: the scheduler shifts what it is given")


@dataclass(frozen=True)
class MiniMaxH3(reference_samplers.FlowEuler):
    """Euler's method where ``MiniMaxH3Scheduler`` follows it: the model counts time from noise to data.

    Source: Liu et al. 2022, arXiv:2209.03003; see :class:`reference_samplers.FlowEuler`.

    Args:
        handling: what was done to the scheduler before the run, which must change nothing.
        data_at_one: True.
        prediction: ``"reversed_flow"``.
    """

    shift: float = real(12.0, above=0)
    handling: Handling = choice("new")
    data_at_one: bool = field(init=False, default=True, repr=False)
    prediction: FlowPrediction = field(init=False, default="reversed_flow", repr=False)

    def __post_init__(self) -> None:
        if self.sigmas is not None:
            store(self, "num_steps", None)
            store(self, "shift", type(self).shift)
        super().__post_init__()

    def check(self) -> None:
        """No two times are one in float32: the scheduler leaves one out then."""
        if (np.diff(self.levels.astype(np.float32)) == 0).any():
            raise refuse("num_steps", self.num_steps, "one for which no two times are the same in float32")
