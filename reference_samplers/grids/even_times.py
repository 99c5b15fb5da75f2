"""Times from noise (1) to data (0): evenly spaced before a shift, or written out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from reference_samplers.contract import Reference
from reference_samplers.openings import Array
from reference_samplers.validation import checked_whole, real, reals, refuse, store

from .grid import Grid

__all__ = ["EvenTimes", "ShiftedTimes", "TimesToEps"]


class ShiftedTimes(Grid):
    """Evenly spaced times, shifted.

    Source: Esser et al. 2024, arXiv:2403.03206, section 5.3.2, equation 23. What stands here as a property may be a
    field.
    """

    num_steps: Any

    @property
    def shift(self) -> float:
        """Above 1 it gives the noisy end more steps."""
        return 1.0

    @property
    def lowest_time(self) -> float | None:
        """Time of the last call before the shift; None where N even steps end at 0."""
        return None

    def shifted_times(self) -> Array:
        """``(N + 1,)`` times from 1 to 0, evenly spaced before the shift."""
        even = np.linspace(1.0, 0.0, self.num_steps + 1)
        if self.lowest_time is not None:
            even = np.append(np.linspace(1.0, self.lowest_time, self.num_steps), 0.0)
        shifted: Array = self.shift * even / (1 + (self.shift - 1) * even)  # Esser et al. eq. 23
        return shifted


@dataclass(frozen=True)
class EvenTimes(ShiftedTimes):
    """Times from 1 to 0.

    Source: Liu et al. 2022, arXiv:2209.03003, Algorithm 1; the shift: Esser et al. 2024, arXiv:2403.03206, equation 23;
    ``lowest_time``: their released code, whose last call is at the lowest level that the model was trained at.

    Args:
        num_steps: N, >= 1; None where ``sigmas`` is given.
        shift: > 0; above 1 it gives the noisy end more steps.
        lowest_time: time of the last call before the shift, in (0, 1), behind which the run goes to 0 at once; not used
            where N = 1. None for N even steps that end at 0.
        sigmas: the grid itself, falling, in (0, 1], with its final 0; excludes ``num_steps``, ``shift`` and
            ``lowest_time``.
    """

    num_steps: int | None = None
    shift: float = real(1.0, above=0)
    lowest_time: float | None = real(None, above=0, below=1)
    sigmas: tuple[float, ...] | None = reals(low=0, high=1)

    def check(self) -> None:
        """Either a number of steps, or times that fall, strictly, and end at 0."""
        if self.sigmas is None:
            if self.num_steps is None:
                raise refuse("num_steps", None, "a whole number >= 1 where sigmas is not given")
            store(self, "num_steps", checked_whole("num_steps", self.num_steps, 1))
            return
        self.refuse_beside("sigmas", "num_steps", "shift", "lowest_time")
        if len(self.sigmas) < 2 or self.sigmas[-1] != 0:
            raise refuse("sigmas", self.sigmas, "at least one time and then a final 0")
        if any(low >= high for high, low in pairwise(self.sigmas)):
            raise refuse("sigmas", self.sigmas, "strictly decreasing")

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` times from 1 to 0, evenly spaced before the shift; or those that are given."""
        return np.array(self.sigmas) if self.num_steps is None else self.shifted_times()


class TimesToEps(Reference):
    """N even times from 1 to ``eps``, one for each entry of a process's tables.

    Source: Song et al. 2021, arXiv:2011.13456, released code.
    """

    num_steps: int
    eps: float | None

    @property
    def levels(self) -> range:
        """``(N + 1,)`` entries of the tables, N to 0."""
        return range(self.num_steps, -1, -1)

    @property
    def end_time(self) -> float:
        """Time of the last call."""
        raise NotImplementedError

    @cached_property
    def time_grid(self) -> Array:
        """``(N,)`` times from 1 to ``eps``."""
        return np.linspace(1.0, self.end_time, self.num_steps)
