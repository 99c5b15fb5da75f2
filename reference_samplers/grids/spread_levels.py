"""Noise levels spread between a highest and a lowest, and then 0."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reference_samplers.openings import Array
from reference_samplers.validation import real, refuse, whole

from . import sigmas
from .grid import Grid

__all__ = ["ExponentialLevels", "KLOptimalLevels", "PolyexponentialLevels"]


@dataclass(frozen=True)
class _Spread(Grid):
    """Between two levels.

    Args:
        num_steps: N, >= 1; 1 is the grid (sigma_max, 0).
        sigma_min: lowest noise level above 0, data units, > 0.
        sigma_max: first noise level, data units, >= ``sigma_min``; above it where num_steps > 1.
    """

    num_steps: int = whole(18, low=1)
    sigma_min: float = real(0.002, above=0)
    sigma_max: float = real(80.0, above=0)

    def check(self) -> None:
        """The levels fall."""
        if self.sigma_max < self.sigma_min or (self.sigma_max == self.sigma_min and self.num_steps > 1):
            raise refuse("sigma_max", self.sigma_max, f"> sigma_min={self.sigma_min!r}")


@dataclass(frozen=True)
class ExponentialLevels(_Spread):
    """Levels with evenly spaced logarithms: uniform in log-SNR where noise is added to data.

    Source: k-diffusion, released code, ``get_sigmas_exponential``.
    """

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` noise levels in data units, decreasing to 0."""
        return np.append(sigmas.exponential_sigmas(self.num_steps, self.sigma_min, self.sigma_max), 0.0)


@dataclass(frozen=True)
class PolyexponentialLevels(_Spread):
    """Levels whose logarithms fall as a power of what is left of the run.

    Source: k-diffusion, released code, ``get_sigmas_polyexponential``.

    Args:
        rho: > 0; 1 is :class:`ExponentialLevels`, above 1 low levels are favored.
    """

    rho: float = real(1.0, above=0)

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` noise levels in data units, decreasing to 0."""
        spread = sigmas.polyexponential_sigmas(self.num_steps, self.sigma_min, self.sigma_max, self.rho)
        return np.append(spread, 0.0)


@dataclass(frozen=True)
class KLOptimalLevels(_Spread):
    """Levels with evenly spaced arc tangents.

    Source: Sabour et al. 2024, arXiv:2404.14507, theorem 3.1; ``kl_optimal`` of ComfyUI, which has no single step.
    """

    @cached_property
    def levels(self) -> Array:
        """``(N + 1,)`` noise levels in data units, decreasing to 0."""
        return np.append(sigmas.kl_optimal_sigmas(self.num_steps, self.sigma_min, self.sigma_max), 0.0)
