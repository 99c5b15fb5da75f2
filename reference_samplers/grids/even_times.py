"""Times from noise (1) to data (0), evenly spaced before a shift."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reference_samplers.contract import Reference
from reference_samplers.openings import Array
from reference_samplers.validation import real, whole

__all__ = ["EvenTimes", "TimesToEps"]


@dataclass(frozen=True)
class EvenTimes(Reference):
    """Times from 1 to 0.

    Source: Liu et al. 2022, arXiv:2209.03003, Algorithm 1; the shift: Esser et al. 2024, arXiv:2403.03206, equation 23.

    Args:
        num_steps: N, >= 1.
        shift: > 0; above 1 it gives the noisy end more steps.
    """

    num_steps: int = whole(low=1)
    shift: float = real(1.0, above=0)

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` times from 1 to 0, evenly spaced before the shift."""
        even = np.linspace(1.0, 0.0, self.num_steps + 1)
        shifted: Array = self.shift * even / (1 + (self.shift - 1) * even)  # Esser et al. eq. 23
        return shifted


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
