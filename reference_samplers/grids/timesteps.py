"""Which timesteps of a chain are visited.

Levels are counted as Ho et al. 2020 count them: level t = T is the noisiest, level 1 the last that a network was
trained at, and level 0 is behind the last step. Programs count timesteps from 0, so that a network is told t - 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

from reference_samplers.contract import Reference
from reference_samplers.processes.beta_table import BetaTable
from reference_samplers.validation import checked_whole, checked_wholes, choice, refuse, store, whole

from . import spacings

__all__ = ["DistilledTimesteps", "TimestepGrid", "Timesteps", "on_timesteps"]

#: Distance from a half within which programs differ in where they round.
_HALF = 1e-6


class TimestepGrid(BetaTable):
    """Some of the timesteps, and what follows from their being some."""

    @property
    def grid(self) -> tuple[int, ...]:
        """``(n,)`` the timesteps that are visited, as programs count them, descending."""
        raise NotImplementedError

    @property
    def levels(self) -> tuple[int, ...]:
        """``(n + 1,)`` entries of the chain, the last of which is 0: where a step begins, and where it ends."""
        return (*(t + 1 for t in self.grid), 0)

    @property
    def transitions(self) -> tuple[tuple[int, int], ...]:
        """``(t, t_next)`` for each step."""
        return tuple(pairwise(self.levels))

    @property
    def num_calls(self) -> int:
        """Model calls of one run: one at each timestep."""
        return len(self.grid)


@dataclass(frozen=True)
class Timesteps(TimestepGrid):
    """A subset of the timesteps.

    Source: Nichol & Dhariwal 2021, arXiv:2102.09672, section 4, and Song et al. 2020, arXiv:2010.02502, section 4.2.

    Args:
        num_steps: n, in [1, T]; None visits all.
        timestep_spacing: ``"leading"``, ``"linspace"``, ``"trailing"`` or ``"respaced"``.
        timesteps: the grid itself, descending; excludes ``num_steps`` and the spacing.
        steps_offset: >= 0, added to each timestep of ``"leading"``; the others do not use it.
    """

    num_steps: int | None = None
    timestep_spacing: spacings.TimestepSpacing = choice("leading")
    timesteps: tuple[int, ...] | None = None
    steps_offset: int = whole(0, low=0)

    def check(self) -> None:
        """The grid descends within the table."""
        last = self.num_train_timesteps - 1
        if self.num_steps is not None:
            store(self, "num_steps", checked_whole("num_steps", self.num_steps, 1, self.num_train_timesteps))
        if self.timesteps is not None:
            store(self, "timesteps", checked_wholes("timesteps", self.timesteps, 0, last))
            if any(low >= high for high, low in pairwise(self.timesteps)):
                raise refuse("timesteps", self.timesteps, "strictly descending, without repetition")
            self.refuse_beside("timesteps", "num_steps", "timestep_spacing", "steps_offset")
        elif self.grid[0] > last:
            legal = f"<= {last - self.grid[0] + self.steps_offset} for num_steps={self.num_steps!r}"
            raise refuse("steps_offset", self.steps_offset, f"{legal}: the grid must end by {last}")

    @cached_property
    def grid(self) -> tuple[int, ...]:
        """``(n,)`` the timesteps that are visited, as programs count them, descending."""
        if self.timesteps is not None:
            return self.timesteps
        num_steps = self.num_train_timesteps if self.num_steps is None else self.num_steps
        return spacings.spaced_timesteps(self.timestep_spacing, self.num_train_timesteps, num_steps, self.steps_offset)

    @property
    def table_to_divide(self) -> int | None:
        """T, but where the spacing has both ends of the table whatever the number of steps."""
        return None if self.timestep_spacing == "linspace" else self.num_train_timesteps

    def either_side(self, times: Sequence[float]) -> Iterator[Reference]:
        """With halves of the grid rounded as the sampler rounded them."""
        exact = self._unrounded
        halves = [abs(value - int(value) - 0.5) < _HALF for value in exact]
        if len(exact) != len(times) or not any(halves):
            return
        for value, is_half, timestep, time in zip(exact, halves, self.grid, times, strict=True):
            if time not in ({int(value), int(value) + 1} if is_half else {timestep}):
                return
        other = self.on_grid_of(times)
        if other is not None:
            yield other

    @property
    def _unrounded(self) -> list[float]:
        """The grid before rounding, less what is taken off afterwards; empty where nothing is rounded."""
        table, steps = self.num_train_timesteps, self.num_steps
        if steps is None or self.timesteps is not None:
            return []
        if self.timestep_spacing == "trailing":
            return [table - i * table / steps - 1 for i in range(steps)]
        if self.timestep_spacing == "linspace" and steps > 1:
            return [i * (table - 1) / (steps - 1) for i in reversed(range(steps))]
        return []

    def on_grid_of(self, times: Sequence[float]) -> Self | None:
        """On the timesteps that the sampler told its model."""
        other: Self | None = on_timesteps(self, times)
        return other


@dataclass(frozen=True)
class DistilledTimesteps(TimestepGrid):
    """A subset of the timesteps at which a few-step model was distilled.

    Source: Luo et al. 2023, arXiv:2310.04378, released code: of the K timesteps ``T // K - 1``, ``2 (T // K) - 1``, …
    those at the places ``i K / n``, rounded down, from the last.

    Args:
        num_steps: n, in [1, K]; None visits all K.
        original_steps: K, in [1, T], timesteps of the distillation.
        timesteps: the grid itself, descending; excludes ``num_steps`` and ``original_steps``.
    """

    num_steps: int | None = None
    original_steps: int = whole(50, low=1)
    timesteps: tuple[int, ...] | None = None

    def check(self) -> None:
        """The grid descends within the table."""
        if self.timesteps is not None:
            store(self, "timesteps", checked_wholes("timesteps", self.timesteps, 0, self.num_train_timesteps - 1))
            if any(low >= high for high, low in pairwise(self.timesteps)):
                raise refuse("timesteps", self.timesteps, "strictly descending, without repetition")
            self.refuse_beside("timesteps", "num_steps", "original_steps")
            return
        checked_whole("original_steps", self.original_steps, 1, self.num_train_timesteps)
        if self.num_steps is not None:
            store(self, "num_steps", checked_whole("num_steps", self.num_steps, 1, self.original_steps))

    @cached_property
    def grid(self) -> tuple[int, ...]:
        """``(n,)`` the timesteps that are visited, as programs count them, descending."""
        if self.timesteps is not None:
            return self.timesteps
        num_steps = self.original_steps if self.num_steps is None else self.num_steps
        return spacings.distilled(self.num_train_timesteps, num_steps, self.original_steps)


def on_timesteps(config: Any, times: Sequence[float]) -> Any:
    """A configuration with other timesteps in place of its own; None where these are no legal ones.

    Args:
        config: has ``num_steps``, ``timestep_spacing`` and ``timesteps``.
        times: what a sampler told its model.
    """
    try:
        if any(time != int(time) for time in times):
            return None
        usual: dict[str, Any] = {"num_steps": None, "timestep_spacing": type(config).timestep_spacing}
        return dataclasses.replace(config, **usual, timesteps=tuple(int(time) for time in times))
    except (ValueError, OverflowError):
        return None
