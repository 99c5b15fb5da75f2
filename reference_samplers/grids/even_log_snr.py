"""Times at which the logarithm of the signal-to-noise ratio is evenly spaced."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reference_samplers.openings import Array
from reference_samplers.validation import real, refuse, whole

from .grid import Grid

__all__ = ["FlowLogSNR", "VPLogSNR"]


@dataclass(frozen=True)
class FlowLogSNR(Grid):
    """Times of a rectified flow at which ln((1 - t) / t) is evenly spaced.

    Source: Lu et al. 2022, arXiv:2206.00927, section 3.4 (uniform in half the log-SNR), with the scales of a rectified
    flow, Liu et al. 2022, arXiv:2209.03003, equation 1.

    Args:
        num_steps: N, >= 1.
        first_time: where the run starts, in (0, 1): at 1 there is no signal, and no logarithm.
        last_time: where it ends, in (0, ``first_time``).
    """

    num_steps: int = whole(low=1)
    first_time: float = real(0.999, above=0, below=1)
    last_time: float = real(0.001, above=0, below=1)

    def check(self) -> None:
        """The times fall."""
        if self.last_time >= self.first_time:
            raise refuse("last_time", self.last_time, f"< first_time={self.first_time!r}")

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` times from the first to the last."""
        first, last = (np.log((1 - t) / t) for t in (self.first_time, self.last_time))
        logarithms = np.linspace(first, last, self.num_steps + 1)
        times: Array = 1 / (1 + np.exp(logarithms))
        return times


@dataclass(frozen=True)
class VPLogSNR(Grid):
    """Times of a variance-preserving process with linear beta(t) at which the log-SNR is evenly spaced.

    Source: Lu et al. 2022, arXiv:2206.00927, section 3.4 and appendix D.4 (linear noise schedule); ``skip_type``
    ``"logSNR"`` of its released code.

    Args:
        num_steps: N, >= 1.
        beta_min: beta(0), > 0.
        beta_max: beta(1), > ``beta_min``.
        first_time: where the run starts, in (0, 1].
        last_time: where it ends, in (0, ``first_time``).
    """

    num_steps: int = whole(low=1)
    beta_min: float = real(0.1, above=0)
    beta_max: float = real(20.0, above=0)
    first_time: float = real(1.0, above=0, high=1)
    last_time: float = real(0.001, above=0, below=1)

    def check(self) -> None:
        """The times fall, and beta rises."""
        if self.last_time >= self.first_time:
            raise refuse("last_time", self.last_time, f"< first_time={self.first_time!r}")
        if self.beta_max <= self.beta_min:
            raise refuse("beta_max", self.beta_max, f"> beta_min={self.beta_min!r}")

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` times from the first to the last."""
        logarithms = np.linspace(
            self.half_log_snr(self.first_time), self.half_log_snr(self.last_time), self.num_steps + 1
        )
        # Solved for t, the root of a t^2 / 2 + b t = m, without a small difference.
        rise = self.beta_max - self.beta_min
        spent = np.logaddexp(-2 * logarithms, 0.0)
        times: Array = 2 * spent / (self.beta_min + np.sqrt(self.beta_min**2 + 2 * rise * spent))
        return times

    def half_log_snr(self, t: float) -> float:
        """ln(alpha / sigma) at a time."""
        spent = self.beta_min * t + (self.beta_max - self.beta_min) * t**2 / 2  # -2 ln(alpha)
        return float(-0.5 * np.log(np.expm1(spent)))
