"""A table chain, variance preserving: ``x = sqrt(alpha_bar) * x0 + sqrt(1 - alpha_bar) * epsilon``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from reference_samplers import prediction
from reference_samplers.openings import Array, Denoise, Model
from reference_samplers.validation import choice, flag, real, refuse

from . import betas
from .beta_table import BetaTable
from .process import Process

__all__ = ["ChainPrediction", "FinalAlphaBar", "TableChain", "threshold_x0"]

ChainPrediction = Literal["epsilon", "x0", "v"]
FinalAlphaBar = Literal["one", "first"]

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
class TableChain(BetaTable, Process):
    """A chain of timesteps: a level is the number of one, counted from 1; level 0 is behind the last step.

    Source: Ho et al. 2020, arXiv:2006.11239, section 2. Thresholding: Saharia et al. 2022, arXiv:2205.11487.

    Args:
        rescale_zero_terminal_snr: the table is rescaled to end in alpha_bar = 0.
        prediction: what the network predicts: ``"epsilon"``, ``"x0"`` or ``"v"``.
        clip_denoised: x0 is clamped to ``[-clip_range, clip_range]``.
        clip_range: data units, > 0.
        threshold: quantile in [0, 1] for dynamic thresholding, which replaces the clamp; None for none.
        threshold_max: upper bound of its clamp, data units, >= 1.
    """

    rescale_zero_terminal_snr: bool = flag(False)
    prediction: ChainPrediction = choice("epsilon")
    clip_denoised: bool = flag(False)
    clip_range: float = real(1.0, above=0)
    threshold: float | None = real(None, low=0, high=1)
    threshold_max: float = real(float("inf"), low=1, finite=False)

    def check(self) -> None:
        """An epsilon model is never asked where there is no signal."""
        length = self.num_train_timesteps
        if self.rescale_zero_terminal_snr and length == 1:
            raise refuse("num_train_timesteps", length, ">= 2 where rescale_zero_terminal_snr is set")
        if self.rescale_zero_terminal_snr and self.betas is not None and self.betas[-1] == 1:
            legal = "False where the last of betas is 1: alpha_bar ends in 0 already"
            raise refuse("rescale_zero_terminal_snr", True, legal)
        if self.prediction == "epsilon" and self.alpha_bar[self.levels[0]] == 0:
            legal = f"'x0' or 'v' where the grid holds timestep {self.time(self.levels[0])}, at which alpha_bar is 0"
            raise refuse("prediction", self.prediction, legal)

    @cached_property
    def alpha_bar(self) -> Array:
        """``(T + 1,)`` share of the signal's variance at each level; entry 0 is behind the last step."""
        table = self._train_alpha_bar
        return np.append(self.final_alpha_bar_of(table), table)

    @cached_property
    def _train_alpha_bar(self) -> Array:
        table = self.table_of_schedule
        return betas.rescale_zero_terminal_snr(table) if self.rescale_zero_terminal_snr else table

    def final_alpha_bar_of(self, table: Array) -> Any:
        """alpha_bar behind the last step: data alone.

        Args:
            table: ``(T,)`` alpha_bar of the timesteps.
        """
        return 1.0

    def scales(self, t: int) -> tuple[Any, Any]:
        """Signal and noise in x at a level (DDPM, equation 4)."""
        alpha_bar = self.alpha_bar[t]
        return np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)

    @property
    def initial_std(self) -> float:
        """Std of the first noise."""
        return 1.0

    def time(self, t: int) -> int:
        """What the model is told at a level: programs count timesteps from 0."""
        return t - 1

    def to_x0(self, x: Array, output: Array, alpha_bar: Any) -> Array:
        """The data that the network's output stands for, clamped where that is asked for (DDPM, equation 15)."""
        x0 = prediction.to_x0(self.prediction, x, output, np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar))
        return self.clipped(x0)

    def denoiser(self, model: Model) -> Callable[[Array, int], Array]:
        """x0 from x at a level, whatever the network predicts."""

        def denoised(x: Array, t: int) -> Array:
            return self.to_x0(x, model(x, self.time(t)), self.alpha_bar[t])

        return denoised

    @property
    def is_clipped(self) -> bool:
        """Whether a clamp or a threshold may act."""
        return self.clip_denoised or self.threshold is not None

    def clipped(self, x0: Array) -> Array:
        """Predicted data as clamp or threshold leave it."""
        if self.threshold is not None:
            return threshold_x0(x0, self.threshold, self.threshold_max)
        if self.clip_denoised:
            return np.clip(x0, -self.clip_range, self.clip_range)
        return x0

    @property
    def clip_reach(self) -> float:
        """Magnitude that a clamp leaves no value beyond."""
        return self.clip_range

    @property
    def clip_told(self) -> str:
        """What should be done to predicted data."""
        if self.threshold is not None:
            return f"threshold at the quantile {self.threshold:g}"
        return f"clamp at ±{self.clip_range:g}" if self.clip_denoised else super().clip_told

    @property
    def sleeping_amplitude(self) -> float:
        """From epsilon, x0 is formed with 1 / sqrt(alpha_bar): 20,000 where a cosine schedule ends."""
        gain = 1.0
        if self.prediction == "epsilon":
            gain = 1.0 / math.sqrt(max(min(float(self.alpha_bar[t]) for t in self.levels[:-1]), 2.0**-40))
        return 2.0 ** math.floor(math.log2(min(self.clip_range, 1.0) / (4.0 * gain)))

    @property
    def told_as_indices(self) -> bool:
        """A network of a chain looks its timestep up."""
        return True

    def is_trained_at(self, time: float) -> bool:
        """Whether it is a timestep of the chain."""
        return 0 <= time < self.num_train_timesteps

    def network(self, denoise: Denoise) -> Model:
        """The perfect network of this configuration, from the posterior mean.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """

        def model(x: Array, timestep: float) -> Any:
            signal_scale, noise_scale = self.scales(int(timestep) + 1)
            # At alpha_bar = 0 the input is noise alone, which a very high level says as well.
            divisor = np.maximum(signal_scale, _LEAST_SIGNAL)
            x0 = denoise(x / divisor, float(noise_scale / divisor))
            return prediction.from_x0(self.prediction, x, x0, signal_scale, noise_scale)

        return model
