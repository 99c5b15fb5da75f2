"""What DDPM and DDIM share: a chain of T timesteps, the grid of those that are visited, and the clamp of x0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from . import prediction, schedules, validation
from .openings import Array, Denoise

__all__ = ["Chain", "ChainPrediction", "threshold_x0"]

ChainPrediction = Literal["epsilon", "x0", "v"]

_PREDICTIONS: tuple[ChainPrediction, ...] = ("epsilon", "x0", "v")
_INFINITY = float("inf")
#: Stands in for alpha_bar = 0 where a model must be told of a finite noise level.
_LEAST_ALPHA_BAR = 1e-24


def threshold_x0(x0: Array, quantile: float, largest: float) -> Array:
    """Clamp each item at a quantile of its own magnitudes, and bring that quantile back to 1.

    Source: Saharia et al. 2022 (Imagen), arXiv:2205.11487, section 2.3, "dynamic thresholding".

    Args:
        x0: ``(B, *D)`` predicted data, data units.
        quantile: in (0, 1], of the magnitudes in an item.
        largest: upper bound of the clamp, data units, >= 1.

    Returns:
        ``(B, *D)`` in [-1, 1].
    """
    magnitudes = np.abs(x0).reshape(x0.shape[0], -1)
    s = np.clip(np.quantile(magnitudes, quantile, axis=1), 1, largest)
    s = s.reshape(-1, *[1] * (x0.ndim - 1))
    return np.clip(x0, -s, s) / s


@dataclass(frozen=True)
class Chain:
    """The chain that a network was trained on, and the timesteps of it that a sampler visits.

    Args:
        num_train_timesteps: T, >= 1; where ``betas`` is given their number.
        beta_schedule: ``"linear"``, ``"scaled_linear"``, ``"cosine"`` or ``"sigmoid"``; not scaled with T.
        beta_start: in (0, 1); the cosine schedule does not use it.
        beta_end: in (0, 1); the cosine schedule does not use it.
        betas: the table itself, in (0, 1]; excludes the schedule.
        num_steps: n, in [1, T]; None visits all.
        timestep_spacing: ``"leading"``, ``"linspace"``, ``"trailing"`` or ``"respaced"``.
        timesteps: the grid itself, descending; excludes ``num_steps`` and the spacing.
        steps_offset: >= 0, added to each timestep of ``"leading"``; the others do not use it.
        rescale_zero_terminal_snr: the table is rescaled to end in alpha_bar = 0.
        prediction: what the network predicts.
        clip_denoised: x0 is clamped to ``[-clip_range, clip_range]``.
        clip_range: data units, > 0.
        threshold: quantile in (0, 1] for dynamic thresholding, which then replaces the clamp; None for none.
        threshold_max: upper bound of its clamp, >= 1.

    Raises:
        ValueError: names field, value and legal range.
    """

    num_train_timesteps: int = 1000
    beta_schedule: schedules.BetaSchedule = "linear"
    beta_start: float = 1e-4
    beta_end: float = 0.02
    betas: tuple[float, ...] | None = None
    num_steps: int | None = None
    timestep_spacing: schedules.TimestepSpacing = "leading"
    timesteps: tuple[int, ...] | None = None
    steps_offset: int = 0
    rescale_zero_terminal_snr: bool = False
    prediction: ChainPrediction = "epsilon"
