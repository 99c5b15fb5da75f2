"""Times of a flow, stretched so that the last call is at a level that is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reference_samplers.openings import Array
from reference_samplers.validation import real, whole

from .even_times import ShiftedTimes

__all__ = ["StretchedTimes", "stretched"]


def stretched(times: Array, terminal: float) -> Array:
    """Times from 1 downwards, moved away from 1 in proportion until the last one is where it shall be.

    Source: Lightricks, LTX-Video, released code, ``stretch_shift_to_terminal``. A single time is 1, and stays: there is
    nothing to stretch (huggingface/diffusers#14572).

    Args:
        times: ``(N,)`` falling from 1.
        terminal: the last of them, in (0, 1).

    Returns:
        ``(N,)``.
    """
    if len(times) == 1:
        return times
    scale = (1 - terminal) / (1 - times[-1])
    moved: Array = 1 - (1 - times) * scale
    return moved


@dataclass(frozen=True)
class StretchedTimes(ShiftedTimes):
    """Even times from 1, shifted, then stretched so that the last call is at ``terminal``; behind it the run goes to 0.

    Source: Lightricks, LTX-Video, released code; the shift: Esser et al. 2024, arXiv:2403.03206, equation 23.

    Args:
        num_steps: N, >= 1; 1 has the level 1 alone, and is not stretched.
        shift: > 0.
        terminal: time of the last call, in (0, 1).
        lowest_time: time of the last call before shift and stretch, in (0, 1); None for N even steps that end at 0.
    """

    num_steps: int = whole(low=1)
    shift: float = real(1.0, above=0)
    terminal: float = real(0.1, above=0, below=1)
    lowest_time: float | None = real(None, above=0, below=1)

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` times from 1 to 0."""
        called = self.shifted_times()[:-1]
        return np.append(stretched(called, self.terminal), 0.0)
