"""Times of a flow at the quantiles of a distribution of time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reference_samplers.openings import Array
from reference_samplers.validation import real, whole

from . import quantiles
from .grid import Grid

__all__ = ["BetaTimes", "LogitNormalTimes"]


@dataclass(frozen=True)
class LogitNormalTimes(Grid):
    """Times below which even shares of a logit-normal distribution lie: steps are where a model was trained most.

    Source: the distribution: Esser et al. 2024, arXiv:2403.03206, equation 19.

    Args:
        num_steps: N, >= 1.
        logit_mean: mean of ln(t / (1 - t)); above 0 the noisy end has more steps.
        logit_std: its standard deviation, > 0.
    """

    num_steps: int = whole(low=1)
    logit_mean: float = real(0.0)
    logit_std: float = real(1.0, above=0)

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` times from 1 to 0."""
        shares = np.linspace(1.0, 0.0, self.num_steps + 1)
        return quantiles.logit_normal_quantiles(shares, self.logit_mean, self.logit_std)


@dataclass(frozen=True)
class BetaTimes(Grid):
    """Times at the quantiles of a beta distribution, which has many at both ends.

    Source: Lee et al. 2024, arXiv:2407.12173.

    Args:
        num_steps: N, >= 1.
        alpha: > 0.
        beta: > 0.
        lowest_time: of the last call, in (0, 1): quantiles lie between 1 and there, and behind them the run goes to 0;
            None where they lie between 1 and 0, so that the last step is one of them.
    """

    num_steps: int = whole(low=1)
    alpha: float = real(0.6, above=0)
    beta: float = real(0.6, above=0)
    lowest_time: float | None = real(None, above=0, below=1)

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` times from 1 to 0."""
        if self.lowest_time is None:
            return quantiles.beta_quantiles(np.linspace(1.0, 0.0, self.num_steps + 1), self.alpha, self.beta)
        spread = quantiles.beta_quantiles(np.linspace(1.0, 0.0, self.num_steps), self.alpha, self.beta)
        return np.append(self.lowest_time + spread * (1 - self.lowest_time), 0.0)
