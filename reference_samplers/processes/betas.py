"""Tables of a chain: the variance that each timestep adds, and what is left of the signal after it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from reference_samplers.openings import Array

__all__ = [
    "BETA_SCHEDULES",
    "BetaSchedule",
    "alpha_bar",
    "betas",
    "cosine_betas",
    "exponential_betas",
    "jabri_betas",
    "laplace_betas",
    "limited_betas",
    "linear_betas",
    "rescale_zero_terminal_snr",
    "scaled_linear_betas",
    "sigmoid_betas",
]

#: Two formulas are called sigmoid: the name alone is Xu et al.'s (as in diffusers), ``sigmoid_jabri`` Jabri et al.'s.
BetaSchedule = Literal["linear", "scaled_linear", "cosine", "sigmoid", "sigmoid_jabri"]

BETA_SCHEDULES: tuple[BetaSchedule, ...] = ("linear", "scaled_linear", "cosine", "sigmoid", "sigmoid_jabri")


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


def limited_betas(level: Array) -> Array:
    """Variances of the chain that goes from one level to the next, at most 0.999 each.

    Source: Nichol & Dhariwal 2021, arXiv:2102.09672, section 3.2.

    Args:
        level: ``(T + 1,)`` alpha_bar, or what is proportional to it, decreasing.

    Returns:
        ``(T,)`` betas.
    """
    table: Array = np.minimum(1 - level[1:] / level[:-1], 0.999)
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
    return limited_betas(level)


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


def jabri_betas(num_train_timesteps: int) -> Array:
    """Variances whose alpha_bar falls along a sigmoid from -3 to 3, at most 0.999 each.

    Source: Jabri et al. 2022, arXiv:2212.11972, the sigmoid gamma(t) with start = -3, end = 3 and tau = 1; cut into T
    timesteps as denoising-diffusion-pytorch's ``sigmoid_beta_schedule`` does.

    Args:
        num_train_timesteps: T, length of the chain.

    Returns:
        ``(T,)`` betas.
    """
    time = np.linspace(0.0, 1.0, num_train_timesteps + 1)  # t / T
    fallen = 1 / (1 + np.exp(3.0 - 6.0 * time))
    level = (fallen[-1] - fallen) / (fallen[-1] - fallen[0])
    return limited_betas(level)


def exponential_betas(num_train_timesteps: int) -> Array:
    """Variances of the chain with alpha_bar = exp(-12 t / T), at most 0.999 each.

    Source: diffusers, released code, ``betas_for_alpha_bar(alpha_transform_type="exp")``.

    Args:
        num_train_timesteps: T.

    Returns:
        ``(T,)`` betas.
    """
    level = np.exp(-12 * np.linspace(0.0, 1.0, num_train_timesteps + 1))
    return limited_betas(level)


def laplace_betas(num_train_timesteps: int) -> Array:
    """Variances of the chain whose logarithmic signal-to-noise ratio is spread as a Laplace distribution.

    Source: Hang et al. 2024, arXiv:2407.03297, Laplace schedule with mu = 0 and b = 0.5, where SNR is the ratio of
    squared scales, so that alpha_bar = SNR / (1 + SNR).

    Args:
        num_train_timesteps: T.

    Returns:
        ``(T,)`` betas.
    """
    time = np.linspace(0.0, 1.0, num_train_timesteps + 1)
    # 1e-6 keeps both ends finite, as diffusers has it.
    log_snr = -0.5 * np.sign(0.5 - time) * np.log(1 - 2 * np.abs(0.5 - time) + 1e-6)
    level = 1 / (1 + np.exp(-log_snr))
    return limited_betas(level)


def betas(schedule: BetaSchedule, num_train_timesteps: int, beta_start: float, beta_end: float) -> Array:
    """The table of a named schedule; ``"cosine"`` and ``"sigmoid_jabri"`` have no use for the ends.

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
    if schedule == "sigmoid_jabri":
        return jabri_betas(num_train_timesteps)
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
