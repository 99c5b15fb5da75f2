"""Times of an interpolant from noise (1) to data (0), which may begin and end a little inside."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from reference_samplers.contract import Reference
from reference_samplers.openings import Array
from reference_samplers.validation import checked_whole, real, reals, refuse, store

__all__ = ["PathTimes"]


@dataclass(frozen=True)
class PathTimes(Reference):
    """Evenly spaced times, and a last step of another length where that is asked for.

    Source: Ma et al. 2024, arXiv:2401.08740, released code, whose n times are n - 1 steps of an equation without noise,
    and n of one with noise, the last of them of a length of its own.

    Args:
        num_steps: N, >= 1; None where ``sigmas`` is given.
        first_time: where the run begins, in (0, 1]; x is taken for noise alone there.
        end_time: where the run ends, in [0, 1), < ``first_time``.
        lowest_time: time of the last call, between both, behind which the run goes to ``end_time`` at once; not used
            where N = 1. None for N even steps.
        sigmas: the grid itself, falling, in [0, 1]; excludes all others.
    """

    num_steps: int | None = None
    first_time: float = real(1.0, above=0, high=1)
    end_time: float = real(0.0, low=0, below=1)
    lowest_time: float | None = real(None, above=0, below=1)
    sigmas: tuple[float, ...] | None = reals(low=0, high=1)

    def check(self) -> None:
        """Either a number of steps, or times that fall, strictly."""
        if self.sigmas is not None:
            self.refuse_beside("sigmas", "num_steps", "first_time", "end_time", "lowest_time")
            if len(self.sigmas) < 2 or any(low >= high for high, low in pairwise(self.sigmas)):
                raise refuse("sigmas", self.sigmas, "at least two times, strictly decreasing")
            return
        if self.num_steps is None:
            raise refuse("num_steps", None, "a whole number >= 1 where sigmas is not given")
        store(self, "num_steps", checked_whole("num_steps", self.num_steps, 1))
        if self.end_time >= self.first_time:
            raise refuse("end_time", self.end_time, f"< first_time={self.first_time!r}")
        if self.lowest_time is not None and not self.end_time < self.lowest_time < self.first_time:
            raise refuse("lowest_time", self.lowest_time, "between end_time and first_time")

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` times, falling."""
        if self.sigmas is not None:
            return np.array(self.sigmas)
        assert self.num_steps is not None
        if self.lowest_time is None:
            return np.linspace(self.first_time, self.end_time, self.num_steps + 1)
        return np.append(np.linspace(self.first_time, self.lowest_time, self.num_steps), self.end_time)
