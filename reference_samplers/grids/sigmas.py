"""Which noise levels are visited: the conventions, each a function with its source."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference_samplers.openings import Array

__all__ = [
    "exponential_sigmas",
    "fractional_index",
    "index_spread",
    "karras_sigmas",
    "kl_optimal_sigmas",
    "polyexponential_sigmas",
]


def karras_sigmas(num_steps: int, sigma_min: float, sigma_max: float, rho: float) -> Array:
    """Noise levels whose ``rho``-th roots are evenly spaced, and a final 0.

    Source: Karras et al. 2022, arXiv:2206.00364, equation 5.

    Args:
        num_steps: number of levels above 0, >= 1; 1 gives ``(sigma_max, 0)``.
        sigma_min: lowest level above 0, data units, > 0.
        sigma_max: highest level, data units, >= ``sigma_min``.
        rho: > 0; 1 spaces evenly, 7 is the paper's.

    Returns:
        ``(num_steps + 1,)`` decreasing, data units.
    """
    ramp = np.linspace(0.0, 1.0, num_steps)  # i / (N - 1)
    root_max = np.power(sigma_max, 1 / rho)
    root_min = np.power(sigma_min, 1 / rho)
    sigmas = (root_max + ramp * (root_min - root_max)) ** rho
    return np.append(sigmas, 0.0)


def exponential_sigmas(num_steps: int, sigma_min: float, sigma_max: float) -> Array:
    """Noise levels with evenly spaced logarithms, without a final 0; one step has the highest level alone.

    Source: k-diffusion, released code, ``get_sigmas_exponential``.

    Args:
        num_steps: number of levels, >= 1.
        sigma_min: the last one, data units, > 0.
        sigma_max: the first one, data units, >= ``sigma_min``.

    Returns:
        ``(num_steps,)`` decreasing, data units.
    """
    ramp = np.linspace(0.0, 1.0, num_steps)
    high, low = np.log(sigma_max), np.log(sigma_min)
    levels: Array = np.exp(high + ramp * (low - high))
    return levels


def polyexponential_sigmas(num_steps: int, sigma_min: float, sigma_max: float, rho: float) -> Array:
    """Noise levels whose logarithms fall as a power of what is left of the run, without a final 0.

    Source: k-diffusion, released code, ``get_sigmas_polyexponential``; ``rho`` 1 is :func:`exponential_sigmas`.

    Args:
        num_steps: number of levels, >= 1; one step has the highest level alone.
        sigma_min: the last one, data units, > 0.
        sigma_max: the first one, data units, >= ``sigma_min``.
        rho: > 0; above 1 it favors low levels.

    Returns:
        ``(num_steps,)`` decreasing, data units.
    """
    ramp = (1 - np.linspace(0.0, 1.0, num_steps)) ** rho
    high, low = np.log(sigma_max), np.log(sigma_min)
    levels: Array = np.exp(ramp * (high - low) + low)
    return levels


def kl_optimal_sigmas(num_steps: int, sigma_min: float, sigma_max: float) -> Array:
    """Noise levels with evenly spaced arc tangents, without a final 0; one step has the highest level alone.

    Source: Sabour et al. 2024, arXiv:2404.14507, theorem 3.1 (data of unit variance).

    Args:
        num_steps: number of levels, >= 1.
        sigma_min: the last one, data units, > 0.
        sigma_max: the first one, data units, >= ``sigma_min``.

    Returns:
        ``(num_steps,)`` decreasing, data units.
    """
    ramp = np.linspace(0.0, 1.0, num_steps)
    high, low = np.arctan(sigma_max), np.arctan(sigma_min)
    levels: Array = np.tan(high + ramp * (low - high))
    return levels


def fractional_index(sigma: Any, log_train_sigmas: Array) -> Any:
    """Where a noise level lies in a table of levels, by linear interpolation of its logarithm.

    Source: k-diffusion, released code, ``DiscreteSchedule.sigma_to_t``; levels outside the table get its ends.

    Args:
        sigma: noise level or levels, data units, > 0.
        log_train_sigmas: ``(T,)`` logarithms of the table, increasing.

    Returns:
        The index, a fraction in [0, T - 1].
    """
    return np.interp(np.log(sigma), log_train_sigmas, np.arange(len(log_train_sigmas)))


def index_spread(index: float, log_train_sigmas: Array, unit: float) -> float:
    """How far rounding the logarithms of a table, and not that of the level, moves its :func:`fractional_index`.

    One program has both in float32, in which equal levels have equal logarithms; another has the level in float64.

    Args:
        index: in [0, T - 1].
        log_train_sigmas: ``(T,)`` logarithms of the table, increasing.
        unit: unit roundoff.
    """
    place = int(np.clip(np.nan_to_num(index), 0, len(log_train_sigmas) - 2))
    around = log_train_sigmas[max(place - 1, 0) : place + 3]
    steps = np.diff(around)
    return float(unit * np.abs(around).max() / steps[steps > 0].min(initial=np.inf))
