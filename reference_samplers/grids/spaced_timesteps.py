"""Timesteps of a chain by themselves, as programs count them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from reference_samplers.validation import checked_whole, choice, refuse, whole

from . import spacings
from .grid import Grid

__all__ = ["SpacedTimesteps"]


@dataclass(frozen=True)
class SpacedTimesteps(Grid):
    """The timesteps that are visited, from 0 to T - 1, in descending order; where the run ends is no timestep.

    Source: Lin et al. 2023, arXiv:2305.08891, table 2 (``"leading"``, ``"linspace"``, ``"trailing"``); Nichol &
    Dhariwal 2021, arXiv:2102.09672, released code, ``space_timesteps(T, [n])`` (``"respaced"``).

    Args:
        num_steps: n, in [1, T].
        num_train_timesteps: T.
        timestep_spacing: ``"leading"``, ``"linspace"``, ``"trailing"`` or ``"respaced"``.
        steps_offset: >= 0, added to each timestep of ``"leading"``; the others do not use it.
    """

    num_steps: int = whole(low=1)
    num_train_timesteps: int = whole(1000, low=1)
    timestep_spacing: spacings.TimestepSpacing = choice("leading")
    steps_offset: int = whole(0, low=0)

    def check(self) -> None:
        """The timesteps lie in the table."""
        last = self.num_train_timesteps - 1
        checked_whole("num_steps", self.num_steps, 1, self.num_train_timesteps)
        if self.levels[0] > last:
            legal = f"small enough for the first timestep to be {last} at most"
            raise refuse("steps_offset", self.steps_offset, legal)

    @cached_property
    def levels(self) -> tuple[int, ...]:
        """``(n,)`` timesteps, descending."""
        return spacings.spaced_timesteps(
            self.timestep_spacing, self.num_train_timesteps, self.num_steps, self.steps_offset
        )

    @property
    def num_levels(self) -> int:
        """All of them."""
        return len(self.levels)

    @property
    def has_end(self) -> bool:
        """No: the run ends behind the last timestep."""
        return False

    @property
    def also(self) -> tuple[int, ...] | None:
        """The other neighbor of each half, which some programs round up and others to even."""
        exact = spacings.positions(self.timestep_spacing, self.num_train_timesteps, self.num_steps)
        if exact is None:
            return None
        beside = (
            2 * int(value) + 1 - t if value - int(value) == 0.5 else t
            for value, t in zip(exact, self.levels, strict=True)
        )
        return tuple(beside)
