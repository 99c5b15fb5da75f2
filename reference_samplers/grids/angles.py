"""Angles from noise (near pi / 2) to data (0)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from reference_samplers.contract import Reference
from reference_samplers.openings import Array
from reference_samplers.validation import checked_whole, real, reals, refuse, store

__all__ = ["EvenAngles"]


@dataclass(frozen=True)
class EvenAngles(Reference):
    """Angles that fall to 0.

    Source: Lu & Song 2024, arXiv:2410.11081, section 3: the first angle is arctan(sigma_max / sigma_data); few-step
    samplers choose the others by hand.

    Args:
        num_steps: N, >= 1; None where ``angles`` is given.
        first_angle: in (0, pi / 2); that of sigma_max = 80 and sigma_data = 0.5 unless it is said.
        angles: the grid itself, falling, in [0, pi / 2], with its final 0; excludes ``num_steps`` and ``first_angle``.
    """

    num_steps: int | None = None
    first_angle: float = real(math.atan(160.0), above=0, below=math.pi / 2)
    angles: tuple[float, ...] | None = reals(low=0, high=math.pi / 2)

    def check(self) -> None:
        """Either a number of steps, or angles that fall, strictly, and end at 0."""
        if self.angles is None:
            if self.num_steps is None:
                raise refuse("num_steps", None, "a whole number >= 1 where angles is not given")
            store(self, "num_steps", checked_whole("num_steps", self.num_steps, 1))
            return
        self.refuse_beside("angles", "num_steps", "first_angle")
        if len(self.angles) < 2 or self.angles[-1] != 0:
            raise refuse("angles", self.angles, "at least one angle and then a final 0")
        if any(low >= high for high, low in pairwise(self.angles)):
            raise refuse("angles", self.angles, "strictly decreasing")

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` angles, falling to 0."""
        if self.angles is not None:
            return np.array(self.angles)
        assert self.num_steps is not None
        return np.linspace(self.first_angle, 0.0, self.num_steps + 1)
