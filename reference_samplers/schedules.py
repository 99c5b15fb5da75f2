"""Noise schedules and grids: the tables that samplers walk along.

Sigmas are in data units; betas and alpha_bar are dimensionless. Tables are arrays, grids of timesteps are Python
integers: which steps are taken must not depend on the precision that a table is kept in.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .openings import Array

__all__ = [
    "BETA_SCHEDULES",
    "TIMESTEP_SPACINGS",
    "BetaSchedule",
    "TimestepSpacing",
    "alpha_bar",
    "betas",
    "cosine_betas",
    "fractional_index",
    "karras_sigmas",
    "leading",
    "linear_betas",
    "linspace",
    "rescale_zero_terminal_snr",
    "respaced",
    "rounds_a_half",
    "scaled_linear_betas",
    "sigmoid_betas",
    "spaced_timesteps",
    "trailing",
]

BetaSchedule = Literal["linear", "scaled_linear", "cosine", "sigmoid"]
TimestepSpacing = Literal["leading", "linspace", "trailing", "respaced"]

BETA_SCHEDULES: tuple[BetaSchedule, ...] = ("linear", "scaled_linear", "cosine", "sigmoid")
TIMESTEP_SPACINGS: tuple[TimestepSpacing, ...] = ("leading", "linspace", "trailing", "respaced")


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


def linear_betas(num_train_timesteps: int, beta_start: float, beta_end: float) -> Array:
    """Variances that grow evenly; the ends stay what they are, whatever the number of timesteps.

    Source: Ho et al. 2020, arXiv:2006.11239, section 4.

    Args:
        num_train_timesteps: T, length of the chain.
        beta_start: first variance, in (0, 1).
        beta_end: last variance, in (0, 1).

    Returns:
        ``(T,)`` betas.
    """
    return np.linspace(beta_start, beta_end, num_train_timesteps)


def scaled_linear_betas(num_train_timesteps: int, beta_start: float, beta_end: float) -> Array:
    """Variances whose square roots grow evenly.

    Source: Rombach et al. 2022, arXiv:2112.10752, released code.

    Args:
        num_train_timesteps: T, length of the chain.
        beta_start: first variance, in (0, 1).
        beta_end: last variance, in (0, 1).

    Returns:
        ``(T,)`` betas.
    """
    root = np.linspace(np.sqrt(beta_start), np.sqrt(beta_end), num_train_timesteps)
    table: Array = root**2
    return table


def cosine_betas(num_train_timesteps: int) -> Array:
    """Variances whose alpha_bar follows a squared cosine, at most 0.999 each.

    Source: Nichol & Dhariwal 2021, arXiv:2102.09672, equation 17 with s = 0.008.

    Args:
        num_train_timesteps: T, length of the chain.

    Returns:
        ``(T,)`` betas.
    """
    time = np.linspace(0.0, 1.0, num_train_timesteps + 1)  # t / T
    level = np.cos((time + 0.008) / 1.008 * (np.pi / 2)) ** 2  # f(t); f(0) cancels in the ratio
    table: Array = np.minimum(1 - level[1:] / level[:-1], 0.999)
    return table


def sigmoid_betas(num_train_timesteps: int, beta_start: float, beta_end: float) -> Array:
    """Variances that go from near ``beta_start`` to near ``beta_end`` along a sigmoid on [-6, 6].

    Source: Xu et al. 2022 (GeoDiff), arXiv:2203.02923, released code.

    Args:
        num_train_timesteps: T, length of the chain.
        beta_start: lower asymptote, in (0, 1).
        beta_end: upper asymptote, in (0, 1).

    Returns:
        ``(T,)`` betas, linear in the sigmoid's value.
    """
    ramp = np.linspace(-6.0, 6.0, num_train_timesteps)
    return (beta_end - beta_start) / (1 + np.exp(-ramp)) + beta_start


def betas(schedule: BetaSchedule, num_train_timesteps: int, beta_start: float, beta_end: float) -> Array:
    """The table of a named schedule; the cosine one has no use for the ends.

    Args:
        schedule: its name.
        num_train_timesteps: T, length of the chain.
        beta_start: in (0, 1).
        beta_end: in (0, 1).

    Returns:
        ``(T,)`` betas.

    Raises:
        ValueError: for an unknown name.
    """
    if schedule == "linear":
        return linear_betas(num_train_timesteps, beta_start, beta_end)
    if schedule == "scaled_linear":
        return scaled_linear_betas(num_train_timesteps, beta_start, beta_end)
    if schedule == "cosine":
        return cosine_betas(num_train_timesteps)
    if schedule == "sigmoid":
        return sigmoid_betas(num_train_timesteps, beta_start, beta_end)
    raise ValueError(f"schedule must be one of {', '.join(BETA_SCHEDULES)}, got {schedule!r}")


def alpha_bar(betas: Array) -> Array:
    """The signal's share of the variance after each timestep: the product of all ``1 - beta`` so far.

    Source: Ho et al. 2020, arXiv:2006.11239, equation 4.

    Args:
        betas: ``(T,)`` in (0, 1].

    Returns:
        ``(T,)`` decreasing, in [0, 1).
    """
    return np.cumprod(1 - betas, dtype=np.float64)


def rescale_zero_terminal_snr(alpha_bar: Array) -> Array:
    """The same table, shifted and scaled so that its last entry is exactly 0 and its first one is kept.

    Source: Lin et al. 2023, arXiv:2305.08891, Algorithm 1 (whose betas follow from the table returned here).

    Args:
        alpha_bar: ``(T,)``, T >= 2, decreasing, in (0, 1).

    Returns:
        ``(T,)`` alpha_bar.
    """
    root: Array = np.sqrt(alpha_bar)
    shifted = root - root[-1]  # so that the last timestep is zero
    scaled = shifted * (root[0] / (root[0] - root[-1]))  # so that the first one is back
    rescaled: Array = scaled**2
    return rescaled


def leading(num_train_timesteps: int, num_steps: int, steps_offset: int = 0) -> tuple[int, ...]:
    """Every ``T // n``-th timestep from ``steps_offset`` upwards, in descending order.

    Source: Song et al. 2020, arXiv:2010.02502, released code; named in Lin et al. 2023, table 2.

    Args:
        num_train_timesteps: T.
        num_steps: n, in [1, T].
        steps_offset: added to each timestep.

    Returns:
        n timesteps; with an offset they may leave the table, which the caller refuses.
    """
    stride = num_train_timesteps // num_steps
    return tuple(i * stride + steps_offset for i in reversed(range(num_steps)))


def linspace(num_train_timesteps: int, num_steps: int) -> tuple[int, ...]:
    """Evenly spaced timesteps with both ends, halves rounded to even, in descending order.

    Source: Lin et al. 2023, arXiv:2305.08891, table 2.

    Args:
        num_train_timesteps: T.
        num_steps: n, in [1, T]; 1 gives timestep 0.

    Returns:
        n timesteps.
    """
    if num_steps == 1:
        return (0,)
    last = num_train_timesteps - 1
    stride = last / (num_steps - 1)
    # A multiple of the stride, as numpy's linspace has it: near a half that decides where it is rounded to.
    return (last, *(round(i * stride) for i in reversed(range(num_steps - 1))))


def trailing(num_train_timesteps: int, num_steps: int) -> tuple[int, ...]:
    """Evenly spaced timesteps from the last one downwards, halves rounded to even, in descending order.

    Source: Lin et al. 2023, arXiv:2305.08891, table 2.

    Args:
        num_train_timesteps: T.
        num_steps: n, in [1, T].

    Returns:
        n timesteps.
    """
    return tuple(round(num_train_timesteps - i * num_train_timesteps / num_steps) - 1 for i in range(num_steps))


def respaced(num_train_timesteps: int, num_steps: int) -> tuple[int, ...]:
    """Evenly spaced timesteps with both ends, by adding up a fractional stride, in descending order.

    Source: Nichol & Dhariwal 2021, arXiv:2102.09672, released code, ``space_timesteps(T, [n])``.

    Args:
        num_train_timesteps: T.
        num_steps: n, in [1, T]; 1 gives timestep 0.

    Returns:
        n timesteps.
    """
    stride = (num_train_timesteps - 1) / (num_steps - 1) if num_steps > 1 else 1.0
    position = 0.0
    taken = []
    for _ in range(num_steps):
        taken.append(round(position))
        position += stride
    return tuple(reversed(taken))


def rounds_a_half(spacing: TimestepSpacing, num_train_timesteps: int, num_steps: int) -> bool:
    """Whether a position of the grid is a half, so that sound programs may differ in where they round it to.

    Args:
        spacing: its name.
        num_train_timesteps: T.
        num_steps: n, in [1, T].

    Returns:
        True where some position, in exact arithmetic, lies midway between two timesteps.
    """
    if spacing == "leading" or num_steps == 1:
        return False
    # Position i is i * span / gaps (trailing: T minus that): a half where twice it is odd.
    span, gaps = num_train_timesteps - 1, num_steps - 1
    if spacing == "trailing":
        span, gaps = num_train_timesteps, num_steps
    return any(2 * i * span % gaps == 0 and 2 * i * span // gaps % 2 == 1 for i in range(num_steps))


def spaced_timesteps(
    spacing: TimestepSpacing, num_train_timesteps: int, num_steps: int, steps_offset: int = 0
) -> tuple[int, ...]:
    """The grid of a named spacing; the offset belongs to ``leading`` alone.

    Args:
        spacing: its name.
        num_train_timesteps: T.
        num_steps: n, in [1, T].
        steps_offset: added to each timestep of ``leading``.

    Returns:
        n timesteps, descending.

    Raises:
        ValueError: for an unknown name.
    """
    if spacing == "leading":
        return leading(num_train_timesteps, num_steps, steps_offset)
    if spacing == "linspace":
        return linspace(num_train_timesteps, num_steps)
    if spacing == "trailing":
        return trailing(num_train_timesteps, num_steps)
    if spacing == "respaced":
        return respaced(num_train_timesteps, num_steps)
    raise ValueError(f"spacing must be one of {', '.join(TIMESTEP_SPACINGS)}, got {spacing!r}")


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
