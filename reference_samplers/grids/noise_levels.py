"""Grids of noise levels: a named convention, or the levels written out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from reference_samplers.openings import Array
from reference_samplers.validation import real, reals, refuse, whole

from . import sigmas
from .grid import Grid

__all__ = ["KarrasLevels", "LevelsByHand"]


@dataclass(frozen=True)
class KarrasLevels(Grid):
    """Levels whose rho-th roots are evenly spaced.

    Source: Karras et al. 2022, arXiv:2206.00364, equation 5.

    Args:
        num_steps: N, >= 1; 1 is the grid (sigma_max, 0). Not used where ``sigmas`` is given.
        sigma_min: lowest noise level above 0, data units, > 0.
        sigma_max: first noise level, data units, >= ``sigma_min``.
        rho: > 0, how much the grid favors low levels.
    """

    num_steps: int = whole(18, low=1)
    sigma_min: float = real(0.002, above=0)
    sigma_max: float = real(80.0, above=0)
    rho: float = real(7.0, above=0)

    def check(self) -> None:
        """The levels fall."""
        if self.sigma_max < self.sigma_min:
            raise refuse("sigma_max", self.sigma_max, f">= sigma_min={self.sigma_min!r}")

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` noise levels in data units, decreasing to 0."""
        return self.named_levels()

    @property
    def window_levels(self) -> tuple[float, ...]:
        """All of them."""
        return tuple(float(sigma) for sigma in self.levels)

    def named_levels(self) -> Array:
        """``(N + 1,)`` levels of equation 5, and a final 0."""
        return sigmas.karras_sigmas(self.num_steps, self.sigma_min, self.sigma_max, self.rho)


@dataclass(frozen=True)
class LevelsByHand(KarrasLevels):
    """Levels written out, where they are given.

    Args:
        sigmas: the grid itself, decreasing, with its final 0; None for ``num_steps``, ``sigma_min``,
            ``sigma_max``, ``rho``.
    """

    sigmas: tuple[float, ...] | None = reals(low=0)

    def check(self) -> None:
        """The levels fall, strictly, and end at 0."""
        if self.sigmas is not None:
            if len(self.sigmas) < 2 or self.sigmas[-1] != 0:
                raise refuse("sigmas", self.sigmas, "at least one level and then a final 0")
            if any(low >= high for high, low in pairwise(self.sigmas)):
                raise refuse("sigmas", self.sigmas, "strictly decreasing")
        elif self.num_steps > 1 and self.sigma_max == self.sigma_min:
            raise refuse("sigma_max", self.sigma_max, f"> sigma_min={self.sigma_min!r} where num_steps > 1")

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` noise levels in data units, decreasing to 0."""
        if self.sigmas is not None:
            return np.array(self.sigmas)
        return self.named_levels()
