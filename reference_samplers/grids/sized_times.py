"""Times of a flow whose shift follows from the size of the image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from reference_samplers.openings import Array
from reference_samplers.validation import choice, real, refuse, whole

from .even_times import ShiftedTimes

__all__ = ["MuIs", "SizedTimes"]

MuIs = Literal["exponential", "linear"]


@dataclass(frozen=True)
class SizedTimes(ShiftedTimes):
    """Even times from 1 to 0, shifted by a number that grows with the image.

    Source: Black Forest Labs, FLUX.1, released code, ``get_schedule`` (``"exponential"``); diffusers,
    ``FlowMatchEulerDiscreteScheduler``, ``time_shift_type`` (both). The shift: Esser et al. 2024, arXiv:2403.03206,
    section 5.3.2, equation 23.

    Args:
        num_steps: N, >= 1.
        tokens: size of the image in tokens of the model, >= 1: of FLUX (height / 16) * (width / 16).
        base_tokens: size at which mu is ``base_mu``.
        most_tokens: size at which mu is ``most_mu``; beyond both the line goes on.
        base_mu: of the smaller size.
        most_mu: of the larger one.
        mu_is: the shift is exp(mu), or with ``"linear"`` mu itself, which then must be above 0.
        lowest_time: time of the last call before the shift, in (0, 1); None for N even steps that end at 0.
    """

    num_steps: int = whole(low=1)
    tokens: int = whole(4096, low=1)
    base_tokens: int = whole(256, low=1)
    most_tokens: int = whole(4096, low=1)
    base_mu: float = real(0.5)
    most_mu: float = real(1.15)
    mu_is: MuIs = choice("exponential")
    lowest_time: float | None = real(None, above=0, below=1)

    def check(self) -> None:
        """There is a line through both sizes, and a shift above 0."""
        if self.most_tokens == self.base_tokens:
            raise refuse("most_tokens", self.most_tokens, f"other than base_tokens={self.base_tokens!r}")
        if self.mu_is == "linear" and self.mu <= 0:
            raise refuse("tokens", self.tokens, f"such that mu, {self.mu:.6g}, is above 0 where mu_is is 'linear'")

    @property
    def mu(self) -> float:
        """On the line through both sizes."""
        slope = (self.most_mu - self.base_mu) / (self.most_tokens - self.base_tokens)
        return self.base_mu + slope * (self.tokens - self.base_tokens)

    @property
    def shift(self) -> float:
        """That of equation 23."""
        return float(np.exp(self.mu)) if self.mu_is == "exponential" else self.mu

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` times from 1 to 0."""
        return self.shifted_times()
