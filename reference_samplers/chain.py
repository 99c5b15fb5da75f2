"""What DDPM and DDIM share: a chain of T timesteps, the grid of those that are visited, and the clamp of x0."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from . import prediction, schedules, validation
from .openings import Array, Denoise, Model

__all__ = ["Chain", "ChainPrediction", "threshold_x0"]

ChainPrediction = Literal["epsilon", "x0", "v"]

_PREDICTIONS: tuple[ChainPrediction, ...] = ("epsilon", "x0", "v")
_INFINITY = float("inf")

#: Stands in for a signal scale of 0 where a denoiser must be told of a finite noise level.
_LEAST_SIGNAL = 1e-12


def threshold_x0(x0: Array, quantile: float, largest: float) -> Array:
    """Clamp each item at a quantile of its own magnitudes, and bring that quantile back to 1.

    Source: Saharia et al. 2022 (Imagen), arXiv:2205.11487, section 2.3, "dynamic thresholding".

    Args:
        x0: ``(B, *D)`` predicted data, data units.
        quantile: in [0, 1], of the magnitudes in an item.
        largest: upper bound of the clamp, data units, >= 1.

    Returns:
        ``(B, *D)`` in [-1, 1].
    """
    magnitudes = np.abs(x0).reshape(x0.shape[0], -1)
    s = np.clip(np.quantile(magnitudes, quantile, axis=1), 1, largest)
    s = s.reshape(-1, *[1] * (x0.ndim - 1))
    limited: Array = np.clip(x0, -s, s) / s
    return limited


@dataclass(frozen=True)
class Chain:
    """The chain that a network was trained on, and the timesteps of it that a sampler visits.

    Source: Ho et al. 2020, arXiv:2006.11239, section 2; subsets of it: Nichol & Dhariwal 2021,
    arXiv:2102.09672, section 4, and Song et al. 2020, arXiv:2010.02502, section 4.2.

    Args:
        num_train_timesteps: T, >= 1; where ``betas`` is given, their number.
        beta_schedule: ``"linear"``, ``"scaled_linear"``, ``"cosine"`` or ``"sigmoid"``; not scaled with T.
        beta_start: in (0, 1); the cosine schedule does not use it.
        beta_end: in (0, 1), >= ``beta_start``; the cosine schedule does not use it.
        betas: the table itself, in (0, 1), the last one at most 1; excludes the schedule.
        num_steps: n, in [1, T]; None visits all.
        timestep_spacing: ``"leading"``, ``"linspace"``, ``"trailing"`` or ``"respaced"``.
        timesteps: the grid itself, descending; excludes ``num_steps`` and the spacing.
        steps_offset: >= 0, added to each timestep of ``"leading"``; the others do not use it.
        rescale_zero_terminal_snr: the table is rescaled to end in alpha_bar = 0.
        prediction: what the network predicts: ``"epsilon"``, ``"x0"`` or ``"v"``.
        clip_denoised: x0 is clamped to ``[-clip_range, clip_range]``.
        clip_range: data units, > 0.
        threshold: quantile in [0, 1] for dynamic thresholding, which replaces the clamp; None for none.
        threshold_max: upper bound of its clamp, data units, >= 1.

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
    clip_denoised: bool = False
    clip_range: float = 1.0
    threshold: float | None = None
    threshold_max: float = _INFINITY

    def __post_init__(self) -> None:
        self._check_table()
        self._check_grid()
        validation.choice("prediction", self.prediction, _PREDICTIONS)
        validation.store(self, "clip_denoised", validation.flag("clip_denoised", self.clip_denoised))
        validation.store(self, "clip_range", validation.real("clip_range", self.clip_range, 0, above=True))
        if self.threshold is not None:
            validation.store(self, "threshold", validation.real("threshold", self.threshold, 0, 1))
        largest = validation.real("threshold_max", self.threshold_max, 1, finite=False)
        validation.store(self, "threshold_max", largest)
        if self.prediction == "epsilon" and self.alpha_bar[self.grid[0]] == 0:
            legal = f"'x0' or 'v' where the grid holds timestep {self.grid[0]}, at which alpha_bar is 0"
            raise validation.refuse("prediction", self.prediction, legal)

    def _check_table(self) -> None:
        length = validation.whole("num_train_timesteps", self.num_train_timesteps, 1)
        validation.choice("beta_schedule", self.beta_schedule, schedules.BETA_SCHEDULES)
        for name in ("beta_start", "beta_end"):
            beta = validation.real(name, getattr(self, name), 0, 1, above=True)
            if beta == 1:
                raise validation.refuse(name, beta, "< 1")
            validation.store(self, name, beta)
        if self.beta_end < self.beta_start:
            raise validation.refuse("beta_end", self.beta_end, f">= beta_start={self.beta_start!r}")
        if self.betas is not None:
            betas = validation.real_tuple("betas", self.betas, 0, 1, above=True)
            for i, beta in enumerate(betas[:-1]):
                if beta == 1:
                    raise validation.refuse(f"betas[{i}]", beta, "< 1, except for the last one")
            for name in ("beta_schedule", "beta_start", "beta_end"):
                if getattr(self, name) != getattr(type(self), name):
                    raise validation.refuse(name, getattr(self, name), "left out where betas is given")
            if length not in (len(betas), type(self).num_train_timesteps):
                raise validation.refuse("num_train_timesteps", length, f"the number of betas, {len(betas)}")
            length = len(betas)
            validation.store(self, "betas", betas)
        validation.store(self, "num_train_timesteps", length)
        rescale = validation.flag("rescale_zero_terminal_snr", self.rescale_zero_terminal_snr)
        validation.store(self, "rescale_zero_terminal_snr", rescale)
        if rescale and length == 1:
            raise validation.refuse("num_train_timesteps", length, ">= 2 where rescale_zero_terminal_snr is set")
        if rescale and self.betas is not None and self.betas[-1] == 1:
            legal = "False where the last of betas is 1: alpha_bar ends in 0 already"
            raise validation.refuse("rescale_zero_terminal_snr", rescale, legal)

    def _check_grid(self) -> None:
        last = self.num_train_timesteps - 1
        validation.choice("timestep_spacing", self.timestep_spacing, schedules.TIMESTEP_SPACINGS)
        validation.store(self, "steps_offset", validation.whole("steps_offset", self.steps_offset, 0))
        if self.num_steps is not None:
            num_steps = validation.whole("num_steps", self.num_steps, 1, self.num_train_timesteps)
            validation.store(self, "num_steps", num_steps)
        if self.timesteps is not None:
            timesteps = validation.whole_tuple("timesteps", self.timesteps, 0, last)
            if any(low >= high for high, low in pairwise(timesteps)):
                raise validation.refuse("timesteps", self.timesteps, "strictly descending, without repetition")
            for name in ("num_steps", "timestep_spacing", "steps_offset"):
                if getattr(self, name) != getattr(type(self), name):
                    raise validation.refuse(name, getattr(self, name), "left out where timesteps is given")
            validation.store(self, "timesteps", timesteps)
        elif self.grid[0] > last:
            legal = f"<= {last - self.grid[0] + self.steps_offset} for num_steps={self.num_steps!r}"
            raise validation.refuse("steps_offset", self.steps_offset, f"{legal}: the grid must end by {last}")

    @cached_property
    def grid(self) -> tuple[int, ...]:
        """``(n,)`` the timesteps that are visited, descending."""
        if self.timesteps is not None:
            return self.timesteps
        num_steps = self.num_train_timesteps if self.num_steps is None else self.num_steps
        return schedules.spaced_timesteps(self.timestep_spacing, self.num_train_timesteps, num_steps, self.steps_offset)

    @property
    def transitions(self) -> tuple[tuple[int, int], ...]:
        """``(t, t_next)`` for each step: the level before t is the next entry of the grid, after the last one -1."""
        return tuple(zip(self.grid, (*self.grid[1:], -1), strict=True))

    @cached_property
    def alpha_bar(self) -> Array:
        """``(T + 1,)`` table over the timesteps; its last entry, index -1, is the level after the last step."""
        table = self._train_alpha_bar
        return np.append(table, self._final_alpha_bar(table))

    @cached_property
    def _train_alpha_bar(self) -> Array:
        if self.betas is not None:
            betas = np.array(self.betas)
        else:
            betas = schedules.betas(self.beta_schedule, self.num_train_timesteps, self.beta_start, self.beta_end)
        table = schedules.alpha_bar(betas)
        return schedules.rescale_zero_terminal_snr(table) if self.rescale_zero_terminal_snr else table

    def _final_alpha_bar(self, table: Array) -> Any:
        return 1.0

    def to_x0(self, x: Array, output: Array, alpha_bar: Any) -> Array:
        """The data that the network's output stands for, clamped where that is asked for (DDPM, equation 15)."""
        x0 = prediction.to_x0(self.prediction, x, output, np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar))
        if self.threshold is not None:
            return threshold_x0(x0, self.threshold, self.threshold_max)
        if self.clip_denoised:
            return np.clip(x0, -self.clip_range, self.clip_range)
        return x0

    def forward_scales(self, index: int) -> tuple[float, float]:
        """Scales of data and noise in ``x`` at an entry of the grid (DDPM, equation 4).

        Args:
            index: in [0, n]; n is the returned sample.
        """
        index = validation.whole("index", index, 0, len(self.grid))
        alpha_bar = self.alpha_bar[(*self.grid, -1)[index]]
        return float(np.sqrt(alpha_bar)), float(np.sqrt(1 - alpha_bar))

    def network(self, denoise: Denoise) -> Model:
        """The perfect network of this configuration, from the posterior mean.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """

        def model(x: Array, timestep: float) -> Any:
            alpha_bar = self.alpha_bar[int(timestep)]
            signal_scale, noise_scale = np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)
            # At alpha_bar = 0 the input is noise alone, which a very high level says as well.
            divisor = np.maximum(signal_scale, _LEAST_SIGNAL)
            x0 = denoise(x / divisor, float(noise_scale / divisor))
            return prediction.from_x0(self.prediction, x, x0, signal_scale, noise_scale)

        return model

    @property
    def order(self) -> int:
        """Global order of the method in the number of steps."""
        return 1

    @property
    def num_calls(self) -> int:
        """Model calls of one run."""
        return len(self.grid)

    @property
    def is_clipped(self) -> bool:
        """Whether a clamp or a threshold may act."""
        return self.clip_denoised or self.threshold is not None
