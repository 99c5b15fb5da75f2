"""Noise levels taken from the table of a chain: how programs run a chain's network on noise levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np

from reference_samplers.openings import Array
from reference_samplers.processes import betas
from reference_samplers.processes.variance_exploding import NoiseLevels
from reference_samplers.validation import checked_whole, choice, flag, real, reals, refuse, whole

from . import quantiles, sigmas, spacings
from .grid import Grid
from .timesteps import on_timesteps

__all__ = ["SigmaSpacing", "TableLevels", "TableSchedule"]

TableSchedule = Literal["linear", "scaled_linear", "cosine", "exponential"]
SigmaSpacing = Literal["timesteps", "karras", "exponential", "beta"]
LevelSpacing = Literal["linspace", "leading", "trailing"]

#: Both parameters of the beta distribution whose quantiles space ``sigma_spacing="beta"``.
BETA_SHAPE = 0.6


@dataclass(frozen=True)
class TableLevels(NoiseLevels, Grid):
    """The noise levels of a chain at timesteps, or spread between two of them.

    Source: Karras et al. 2022, arXiv:2206.00364, appendix C.3.4; timesteps: Lin et al. 2023, arXiv:2305.08891, table 2;
    ``"beta"``: Lee et al. 2024, arXiv:2407.12173 (quantiles of time); all as diffusers' ``set_timesteps`` of
    ``EulerDiscreteScheduler`` documents them.

    Args:
        num_steps: N, >= 1; None where ``timesteps`` or ``sigmas`` is given.
        num_train_timesteps: T, length of the table.
        beta_schedule: ``"linear"``, ``"scaled_linear"``, ``"cosine"``, or ``"exponential"`` (Heun alone),
            alpha_bar = exp(-12 t / T).
        beta_start: in (0, 1).
        beta_end: in (0, 1).
        betas: the table itself; excludes the schedule.
        rescale_zero_terminal_snr: the table is rescaled; its last alpha_bar is then 2^-24 where the paper has 0.
        timestep_spacing: ``"linspace"``, ``"leading"`` or ``"trailing"``. It also chooses the first noise: with
            ``"leading"`` data of unit variance is thought to be in it, sqrt(sigma^2 + 1), else not, sigma.
        steps_offset: >= 0, added to each timestep of ``"leading"``.
        timesteps: the timesteps themselves, descending, fractions allowed.
        sigmas: the levels themselves, decreasing, with the final 0.
        sigma_spacing: ``"timesteps"``: the table's levels at the timesteps, linear between entries; ``"karras"``
            and ``"exponential"``: N levels between those of the first and the last timestep, or between
            ``sigma_max`` and ``sigma_min``; ``"beta"``: levels at quantiles of the time.
        sigma_min: lowest level of the last three, data units.
        sigma_max: highest level of the last three, data units.
    """

    num_steps: int | None = whole(10, low=1)
    num_train_timesteps: int = whole(1000, low=2)
    beta_schedule: TableSchedule = choice("linear")
    beta_start: float = real(1e-4, above=0, below=1)
    beta_end: float = real(0.02, above=0, below=1)
    betas: tuple[float, ...] | None = reals(above=0, high=1)
    rescale_zero_terminal_snr: bool = flag(False)
    timestep_spacing: LevelSpacing = choice("linspace")
    steps_offset: int = whole(0, low=0)
    timesteps: tuple[float, ...] | None = reals()
    sigmas: tuple[float, ...] | None = reals(low=0)
    sigma_spacing: SigmaSpacing = choice("timesteps")
    sigma_min: float | None = real(None, above=0)
    sigma_max: float | None = real(None, above=0)

    def check(self) -> None:
        """The grid is given in one way, and lies in the table."""
        if self.betas is not None and len(self.betas) != self.num_train_timesteps:
            raise refuse("num_train_timesteps", self.num_train_timesteps, f"{len(self.betas)}, one per beta")
        by_hand = [name for name, one in (("timesteps", self.timesteps), ("sigmas", self.sigmas)) if one is not None]
        if by_hand:
            if self.num_steps is not None or len(by_hand) > 1:
                raise refuse("num_steps", self.num_steps, f"None where {by_hand[0]} is given")
            if self.sigma_spacing != "timesteps":
                raise refuse("sigma_spacing", self.sigma_spacing, f"'timesteps' where {by_hand[0]} is given")
        elif self.num_steps is None:
            raise refuse("num_steps", None, "given, or timesteps, or sigmas")
        else:
            checked_whole("num_steps", self.num_steps, 1, self.num_train_timesteps)
            if self.sigma_spacing == "timesteps" and (self.sigma_min, self.sigma_max) != (None, None):
                raise refuse("sigma_spacing", self.sigma_spacing, "one that sigma_min and sigma_max bound")
        if self.grid[0] > self.num_train_timesteps - 1 and self.timesteps is None:
            last = self.num_train_timesteps - 1
            raise refuse("steps_offset", self.steps_offset, f"small enough for the grid to end by {last}")
        if self.sigma_spacing != "timesteps" and not self.is_table_increasing:
            legal = "'timesteps' where rescaling leaves levels that do not increase"
            raise refuse("sigma_spacing", self.sigma_spacing, legal)

    @cached_property
    def table(self) -> Array:
        """``(T,)`` noise levels of the chain, increasing, data units."""
        if self.betas is not None:
            table = betas.alpha_bar(np.array(self.betas))
        elif self.beta_schedule == "exponential":
            table = betas.alpha_bar(betas.exponential_betas(self.num_train_timesteps))
        else:
            variances = betas.betas(self.beta_schedule, self.num_train_timesteps, self.beta_start, self.beta_end)
            table = betas.alpha_bar(variances)
        if self.rescale_zero_terminal_snr:
            # In place of 0, where the noise level would be infinite.
            table = np.append(betas.rescale_zero_terminal_snr(table)[:-1], 2.0**-24)
        levels: Array = np.sqrt((1 - table) / table)
        return levels

    @property
    def is_table_increasing(self) -> bool:
        """False where rescaling puts an entry before the last one below what stands for 0 there."""
        return bool(np.all(np.diff(self.table) > 0))

    @property
    def train_sigmas(self) -> Array | None:
        """The table, where a level has one place in it."""
        return self.table if self.is_table_increasing else None

    @property
    def grid_length(self) -> int:
        """How many timesteps a spacing is laid over: those of the table."""
        return self.num_train_timesteps

    @cached_property
    def grid(self) -> tuple[float, ...]:
        """``(N,)`` timesteps, descending, before a spacing of levels replaces them."""
        if self.timesteps is not None:
            return self.timesteps
        if self.sigmas is not None:
            return tuple(float(t) for t in sigmas.fractional_index(np.array(self.sigmas[:-1]), np.log(self.table)))
        count = self.num_train_timesteps if self.num_steps is None else self.num_steps
        if self.timestep_spacing == "linspace":  # not rounded here
            last = self.grid_length - 1.0
            stride = last / (count - 1) if count > 1 else 0.0
            # The end itself: a multiple of the stride may be beyond it by a rounding.
            return (*([last] if count > 1 else []), *(i * stride for i in reversed(range(max(count - 1, 1)))))
        spaced = spacings.spaced_timesteps(self.timestep_spacing, self.grid_length, count, self.steps_offset)
        return tuple(float(t) for t in spaced)

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` noise levels, decreasing to where the run ends, data units."""
        return np.append(self.levels_above_zero(), self.last_level)

    @property
    def last_level(self) -> Any:
        """Where the run ends: in data."""
        return 0.0

    def levels_above_zero(self) -> Array:
        """``(N,)`` levels of the named spacing, or as given."""
        if self.sigmas is not None:
            return np.array(self.sigmas[:-1])
        at_timesteps = np.interp(self.grid, np.arange(len(self.table)), self.table)
        if self.sigma_spacing == "timesteps":
            return at_timesteps
        low, high = self.ends_of_levels(at_timesteps)
        if self.sigma_spacing == "exponential":
            return sigmas.exponential_sigmas(len(self.grid), low, high)
        if self.sigma_spacing == "karras":
            rho = 7.0  # the paper's: diffusers does not let one choose
            return sigmas.karras_sigmas(len(self.grid), low, high, rho)[:-1]
        return self.beta_levels(low, high)

    def ends_of_levels(self, at_timesteps: Array) -> tuple[Any, Any]:
        """Lowest and highest level of a spacing that is not by timesteps.

        Args:
            at_timesteps: ``(N,)`` the table's levels at the timesteps.
        """
        low = at_timesteps[-1] if self.sigma_min is None else self.sigma_min
        high = at_timesteps[0] if self.sigma_max is None else self.sigma_max
        return low, high

    def beta_levels(self, low: Any, high: Any) -> Array:
        """``(N,)`` levels at the quantiles of a beta distribution of time.

        Args:
            low: lowest level, data units.
            high: highest level, data units.
        """
        spread = quantiles.beta_quantiles(1 - np.linspace(0.0, 1.0, len(self.grid)), BETA_SHAPE, BETA_SHAPE)
        logarithms = np.log(self.table)
        first, last = (sigmas.fractional_index(level, logarithms) for level in (high, low))
        times = last + spread * (first - last)
        levels: Array = np.interp(times, np.arange(len(self.table)), self.table)
        return levels

    @property
    def initial_scale(self) -> float:
        """Std of the first noise: with ``"leading"`` that of data of unit variance with the first level's noise."""
        largest = self.levels[0]
        return float(np.sqrt(np.square(largest) + 1) if self.timestep_spacing == "leading" else largest)

    @property
    def window_levels(self) -> tuple[float, ...]:
        """All levels."""
        return tuple(float(level) for level in self.levels)

    @property
    def table_to_divide(self) -> int | None:
        """T, but where the spacing has both ends of the table whatever the number of steps."""
        return None if self.timestep_spacing == "linspace" else self.num_train_timesteps

    def on_grid_of(self, times: Sequence[float]) -> Self | None:
        """On the timesteps that the sampler told its model."""
        other: Self | None = on_timesteps(self, times)
        return other
