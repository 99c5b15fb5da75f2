"""The references of diffusers' schedulers without the corners in which these leave their papers.

Context: each scheduler leaves its paper in some corner of its options.
Choice: the corners are refused here, so that a scheduler is held to its paper everywhere else, and declared one by one
in ``diffusers_deviations``; the references themselves know nothing of them.
Reversed by: a release of diffusers in which a corner follows the paper; then its refusal and its entry go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import reference_samplers
from reference_samplers import diffusers
from reference_samplers.contract import Reference
from reference_samplers.grids import spacings
from reference_samplers.grids.table_levels import TableLevels
from reference_samplers.grids.timesteps import Timesteps
from reference_samplers.validation import choice, flag, real, refuse, store

from .diffusers_deviations import overruns
from .diffusers_handling import Handling, Result

__all__ = [
    "DDIM",
    "DDPM",
    "EDMEuler",
    "EulerDiscrete",
    "HeunDiscrete",
    "Taken",
    "check_handling",
    "check_table_levels",
    "count_by_hand",
    "refuse_other_strides",
]

#: Below this alpha_bar the part of 1 that a step keeps is lost in float32, and so may be its sign.
LOST_ALPHA_BAR = 1e-6


def _refuse_trailing(num_train_timesteps: int, num_steps: int) -> None:
    if overruns(num_train_timesteps, num_steps):
        raise refuse(
            "num_steps", num_steps, "one for which trailing timesteps end in time (FINDINGS: one step too many)"
        )
    if spacings.rounds_a_half("trailing", num_train_timesteps, num_steps):
        raise refuse(
            "num_steps", num_steps, "one for which no trailing timestep is a half: how it rounds is nobody's claim"
        )


def count_by_hand(config: Any) -> None:
    """Where the grid is given by hand, how many steps it has is not said a second time.

    Args:
        config: being made.
    """
    if config.timesteps is not None or config.values().get("sigmas") is not None:
        store(config, "num_steps", None)


def refuse_other_strides(config: Timesteps, where: str = "") -> None:
    """Where a step of T // n timesteps does not end at the next entry of the grid, the scheduler leaves its paper.

    Args:
        config: of a chain.
        where: further words for a person.

    Raises:
        ValueError: names the field.
    """
    length, count = config.num_train_timesteps, len(config.grid)
    if config.timestep_spacing == "linspace" and count not in (1, length):
        legal = f"1 or {length} where timesteps are spaced by linspace{where} (FINDINGS: t - T // n)"
        raise refuse("num_steps", count, legal)
    if config.timestep_spacing == "trailing" and length % count:
        legal = f"a divisor of {length} where timesteps are trailing{where} (FINDINGS: t - T // n)"
        raise refuse("num_steps", count, legal)
    if config.timestep_spacing == "leading" and config.steps_offset >= length // count:
        raise refuse("steps_offset", config.steps_offset, f"< {length // count}{where} (FINDINGS: t - T // n)")


def check_handling(handling: Handling, num_steps: int | None, table: int) -> None:
    """A scheduler that was never laid out visits its whole table, level by level.

    Args:
        handling: what was done to it.
        num_steps: of the run.
        table: entries of its table.

    Raises:
        ValueError: for another number of steps.
    """
    if handling == "unset" and num_steps != table:
        raise refuse("num_steps", num_steps, f"{table} where set_timesteps is not called")


@dataclass(frozen=True)
class Taken(Reference):
    """How a scheduler came to a run, and what of its steps is taken: neither may change anything.

    Args:
        handling: what was done to the scheduler before the run, which must change nothing.
        result: what of ``step`` is taken, which must change nothing.
    """

    handling: Handling = choice("new")
    result: Result = choice("object")

    @property
    def returns_last_x0(self) -> bool:
        """Where the run ends in data, and x0 was asked for beside what the step makes of it."""
        given = self.values()
        ends_in_data = given.get("final_alpha_bar", "one") == "one" and given.get("final_level", "zero") == "zero"
        return self.result != "object" and ends_in_data


@dataclass(frozen=True)
class DDPM(Taken, reference_samplers.DDPM):
    """DDPM where diffusers follows it, with diffusers' defaults.

    Source: Ho et al. 2020, arXiv:2006.11239; see :class:`reference_samplers.DDPM`.

    Args:
        variance_as_logarithm: the program keeps the variance as a logarithm, which must change nothing.
    """

    clip_denoised: bool = flag(True)
    threshold_max: float = real(1.0, low=1, finite=False)
    variance_as_logarithm: bool = flag(False)

    def __post_init__(self) -> None:
        count_by_hand(self)
        super().__post_init__()

    def check(self) -> None:
        """Timesteps end in time, and no noise is drawn on a last step above 0."""
        check_handling(self.handling, self.num_steps, self.num_train_timesteps)
        if self.variance_as_logarithm and self.variance != "fixed_small":
            raise refuse("variance_as_logarithm", True, "False unless variance is 'fixed_small'")
        if self.timestep_spacing == "trailing":
            _refuse_trailing(self.num_train_timesteps, len(self.grid))
        if self.variance != "fixed_small" and self.grid[-1] > 0:
            legal = f"'fixed_small' where the grid ends in {self.grid[-1]} (FINDINGS: noise on the last step)"
            raise refuse("variance", self.variance, legal)


@dataclass(frozen=True)
class DDIM(Taken, reference_samplers.DDIM):
    """DDIM where diffusers follows it, with diffusers' defaults.

    Source: Song et al. 2020, arXiv:2010.02502; see :class:`reference_samplers.DDIM`.

    Args:
        hands_noise: the caller draws and hands the noise to ``step``, which must change nothing.
    """

    clip_denoised: bool = flag(True)
    threshold_max: float = real(1.0, low=1, finite=False)
    rederive_epsilon: bool = flag(False)
    hands_noise: bool = flag(False)

    def __post_init__(self) -> None:
        count_by_hand(self)
        super().__post_init__()

    def check(self) -> None:
        """A step of T // n timesteps ends at the next entry of the grid."""
        if self.timesteps is not None:
            raise refuse("timesteps", self.timesteps, "None: the scheduler takes none")
        if self.handling == "unset":
            raise refuse("handling", "unset", "another: step asks for set_timesteps")
        refuse_other_strides(self)
        if self.final_alpha_bar == "first" and self.eta > 0 and self.grid[-1] > 0:
            # Equation 16 has noise there, since the last level is not 0; this project's DDIM has none.
            raise refuse("eta", self.eta, "0 where the last step goes from above entry 0 to its level")
        if self.eta > 1 - 1e-6 and self.alpha_bar[self.levels[0]] < LOST_ALPHA_BAR:
            raise refuse("eta", self.eta, "< 1 where alpha_bar starts near 0 (FINDINGS: a root below 0)")


@dataclass(frozen=True)
class EDMEuler(Taken, diffusers.EDMEuler):
    """EDM's Euler steps where ``EDMEulerScheduler`` follows them.

    Source: Karras et al. 2022, arXiv:2206.00364; see :class:`reference_samplers.diffusers.EDMEuler`.

    Args:
        hands_x0: the caller hands the denoised sample to ``step``, which must change nothing.
    """

    hands_x0: bool = flag(False)

    def check(self) -> None:
        """One step has the highest level, and none are given by hand."""
        if self.handling == "unset" and self.num_steps == 1:
            raise refuse("num_steps", 1, "> 1 where set_timesteps is not called")
        if self.num_steps == 1 and self.sigma_spacing == "exponential":
            raise refuse("num_steps", 1, "> 1 where levels are exponential (FINDINGS: one step)")
        if self.sigmas is not None:
            raise refuse("sigmas", self.sigmas, "None (FINDINGS: levels given by hand)")


def check_table_levels(config: TableLevels) -> None:
    """Timesteps end in time, and levels lie in the table.

    Args:
        config: of a scheduler on the levels of a table.

    Raises:
        ValueError: names the field.
    """
    by_hand, table = (config.sigmas or ())[:-1], config.table
    if by_hand and not table[0] <= min(by_hand) <= max(by_hand) <= table[-1]:
        raise refuse("sigmas", config.sigmas, "levels in the table (FINDINGS: levels beyond it)")
    last = config.num_train_timesteps - 1
    if config.timesteps is not None and config.timesteps[0] > last:
        raise refuse("timesteps", config.timesteps, f"<= {last}, in the table")
    if config.num_steps is None:
        return
    if config.timestep_spacing == "trailing":
        _refuse_trailing(config.grid_length, config.num_steps)
    if config.sigma_spacing == "timesteps" or config.num_steps == 1:
        return
    low, high = config.ends_of_levels(np.interp(config.grid, np.arange(len(table)), table))
    if not table[0] * (1 - 1e-6) <= low < high <= table[-1] * (1 + 1e-6):
        raise refuse("sigma_max", config.sigma_max, "levels in the table (FINDINGS: levels beyond it)")


@dataclass(frozen=True)
class EulerDiscrete(Taken, diffusers.EulerDiscrete):
    """EDM's Euler steps where ``EulerDiscreteScheduler`` follows them.

    Source: Karras et al. 2022, arXiv:2206.00364; see :class:`reference_samplers.diffusers.EulerDiscrete`.
    """

    def __post_init__(self) -> None:
        count_by_hand(self)
        super().__post_init__()

    def check(self) -> None:
        """The grid is one that the scheduler lays out as documented."""
        check_handling(self.handling, self.num_steps, self.num_train_timesteps)
        if self.handling == "unset" and self.sigma_spacing != "timesteps":
            raise refuse("sigma_spacing", self.sigma_spacing, "'timesteps' where set_timesteps is not called")
        if self.handling == "unset" and self.final_level != "zero":
            raise refuse("final_level", self.final_level, "'zero' where set_timesteps is not called")
        if self.num_steps == 1 and self.sigma_spacing != "timesteps" and self.sigma_min is not None:
            # It has no effect there, and would be taken for seen beside a spacing in which it has one.
            raise refuse("sigma_min", self.sigma_min, "None where there is one level, the highest")
        check_table_levels(self)


@dataclass(frozen=True)
class HeunDiscrete(Taken, diffusers.HeunDiscrete):
    """EDM's Heun steps where ``HeunDiscreteScheduler`` follows them.

    Source: Karras et al. 2022, arXiv:2206.00364; see :class:`reference_samplers.diffusers.HeunDiscrete`.
    """

    def __post_init__(self) -> None:
        count_by_hand(self)
        super().__post_init__()

    def check(self) -> None:
        """The grid is one that the scheduler lays out as documented."""
        check_handling(self.handling, self.num_steps, self.num_train_timesteps)
        if self.grid_timesteps is not None:
            if self.handling == "unset" or self.timesteps is not None:
                raise refuse("grid_timesteps", self.grid_timesteps, "None where set_timesteps lays no grid out")
            if self.num_steps is not None and self.num_steps > self.grid_timesteps:
                raise refuse("num_steps", self.num_steps, f"<= grid_timesteps={self.grid_timesteps}")
        check_table_levels(self)
