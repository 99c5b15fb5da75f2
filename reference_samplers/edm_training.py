"""Training of Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models" (EDM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from . import prediction
from .openings import Array
from .training_contract import OfLevel, TrainingReference, of_level
from .training_openings import Draws, TrainedModel, column, standard_normal_quantile
from .validation import choice, choice_or_function, real, real_or_function, refuse

__all__ = ["EDMTraining"]

ModelKind = Literal["denoiser", "network"]
Weighting = Literal["edm", "snr"]
Told = Literal["sigma", "c_noise"]


@dataclass(frozen=True)
class EDMTraining(TrainingReference):
    """One step of denoising score matching with preconditioning: the loss of each item.

    Source: Karras et al. 2022, arXiv:2206.00364, equations 2, 7 and 8, table 1 ("Training" and "Network and
    preconditioning"), column "Ours". Offset noise: Guttenberg 2023. A *level* is sigma, data units.

    Args:
        P_mean: mean of ln(sigma).
        P_std: standard deviation of ln(sigma), > 0.
        sigma_data: standard deviation of the data, > 0.
        sigma_min: drawn levels below it are raised to it, data units, >= 0.
        sigma_max: drawn levels above it are lowered to it, data units, > ``sigma_min``.
        offset_noise: >= 0, strength of one more normal per item and channel in the noise, in units of sigma; or a
            function of sigma that gives it.
        sigma_offset_noise: >= 0, the same in data units, at every level; the model then hears of the whole noise,
            sqrt(sigma^2 + sigma_offset_noise^2), in its preconditioning, weight and time (Alonso et al. 2024,
            arXiv:2405.12399, released code). Excludes ``offset_noise``.
        model_kind: ``"denoiser"`` is D(x; sigma), told sigma; ``"network"`` is F inside the preconditioning.
        weighting: ``"edm"`` is lambda(sigma) of table 1; ``"snr"`` weighs F by sigma_data^2 / (sigma^2 + sigma_data^2).
            Or a function of sigma that gives the weight of the squared error of what the model returns, D or F.
        told: what ``"network"`` is told: ``"c_noise"`` is ln(sigma)/4; ``"sigma"`` the level itself; None for the
            kind's own convention.

    Raises:
        ValueError: names field, value and legal range.
    """

    P_mean: float = real(-1.2)
    P_std: float = real(1.2, above=0)
    sigma_data: float = real(0.5, above=0)
    sigma_min: float = real(0.0, low=0)
    sigma_max: float = real(float("inf"), low=0, finite=False)
    offset_noise: float | OfLevel = real_or_function(0.0, low=0)
    sigma_offset_noise: float = real(0.0, low=0)
    model_kind: ModelKind = choice("denoiser")
    weighting: Weighting | OfLevel = choice_or_function("edm")
    told: Told | None = choice(None)

    def check(self) -> None:
        """One kind of offset noise, and a level that the model can be told."""
        if self.sigma_max <= self.sigma_min:
            raise refuse("sigma_max", self.sigma_max, f"> sigma_min={self.sigma_min!r}")
        if self.offset_noise != 0 and self.sigma_offset_noise > 0:
            raise refuse("sigma_offset_noise", self.sigma_offset_noise, "0 where offset_noise is given")
        if self.model_kind == "denoiser" and self.told == "c_noise":
            raise refuse("told", self.told, "'sigma' or None for model_kind='denoiser'")

    def step(self, model: TrainedModel, x0: Array, draws: Draws) -> Array:
        """The loss of each item, mean over its elements.

        Draws:
            One normal per item for its level, one per element for the noise; with ``offset_noise`` one per item
            and channel.

        Args:
            model: ``(x, time)`` to its output; time is ``(B,)``.
            x0: ``(B, C, *D)`` data, data units.
            draws: the openings.

        Returns:
            ``(B,)``.
        """
        ln_sigma = self.P_mean + self.P_std * draws.normal((x0.shape[0],))  # table 1, "Noise distribution"
        sigma = np.clip(np.exp(ln_sigma), self.sigma_min, self.sigma_max)
        n = draws.normal(x0.shape)
        x = x0 + column(sigma, x0.ndim) * n  # eq. 2: y + n, n of variance sigma^2
        if self.offset_noise != 0 or self.sigma_offset_noise > 0:
            strength = column([self.offset_scale(one) * one for one in sigma], x0.ndim)
            x = x + strength * draws.normal((*x0.shape[:2], *[1] * (x0.ndim - 2)))
        told = np.array([self.told_time(one) for one in sigma])
        s = column(self.total(sigma), x0.ndim)
        if self.model_kind == "denoiser":
            difference = model(x, told) - x0
        else:
            # eq. 8: lambda c_out^2 || F(c_in x; c_noise) - (y - c_skip x) / c_out ||^2
            effective = (x0 - prediction.c_skip(s, self.sigma_data) * x) / prediction.c_out(s, self.sigma_data)
            difference = model(prediction.c_in(s, self.sigma_data) * x, told) - effective
        weight = column([self.weight(one) for one in sigma], x0.ndim)
        loss: Array = (weight * difference**2).reshape(x0.shape[0], -1).mean(axis=1)
        return loss

    def total(self, level: Any) -> Any:
        """Std of all noise in the input as the model hears of it, data units."""
        if self.sigma_offset_noise == 0:
            return level
        return np.sqrt(level**2 + self.sigma_offset_noise**2)

    def _lambda(self, sigma: Any) -> Any:
        """Weight of the denoiser's squared error (table 1, "Loss weighting")."""
        balanced = (sigma**2 + self.sigma_data**2) / (sigma * self.sigma_data) ** 2
        if self.weighting == "edm":
            return balanced
        return balanced * self.sigma_data**2 / (sigma**2 + self.sigma_data**2)

    @property
    def time_draw(self) -> Literal["normal"]:
        """ln(sigma) is normal."""
        return "normal"

    def level(self, draw: float) -> float:
        """sigma, data units, from one standard normal."""
        return float(np.clip(np.exp(self.P_mean + self.P_std * np.float64(draw)), self.sigma_min, self.sigma_max))

    def quantile(self, p: float) -> float:
        """The level below which a share ``p`` of the draws lies."""
        return self.level(standard_normal_quantile(p))

    @property
    def level_bounds(self) -> tuple[float, float]:
        """Lowest and highest sigma, data units."""
        return self.sigma_min, self.sigma_max

    def told_time(self, level: float) -> float:
        """What the model is told."""
        told = self.told or ("sigma" if self.model_kind == "denoiser" else "c_noise")
        total = self.total(level)
        return float(total) if told == "sigma" else float(prediction.c_noise(total))

    def level_of_time(self, time: float) -> float:
        """Sigma from what the model is told."""
        told = self.told or ("sigma" if self.model_kind == "denoiser" else "c_noise")
        total = float(time) if told == "sigma" else float(np.exp(4 * np.float64(time)))
        return float(np.sqrt(max(total**2 - self.sigma_offset_noise**2, 0.0))) if self.sigma_offset_noise else total

    def forward_scales(self, level: float) -> tuple[float, float]:
        """Scales of data and noise before the model's own input scaling: ``(1, sigma)``."""
        return 1.0, float(level)

    def input_scales(self, level: float) -> tuple[float, float]:
        """Scales of data and noise in the model's input."""
        if self.model_kind == "denoiser":
            return self.forward_scales(level)
        c_in = float(prediction.c_in(self.total(level), self.sigma_data))
        return c_in, c_in * float(level)

    def target_scales(self, level: float) -> tuple[float, float]:
        """Weights of data and noise in what the model's raw output is compared with."""
        if self.model_kind == "denoiser":
            return 1.0, 0.0
        # (y - c_skip (y + sigma z)) / c_out, with 1 - c_skip = sigma^2 / (sigma^2 + sigma_data^2) taken together:
        # as a difference it would cancel at low levels.
        total = float(self.total(level))
        root = float(np.sqrt(total**2 + self.sigma_data**2))
        return total / (self.sigma_data * root), -self.sigma_data / root * (float(level) / total)

    def target_terms(self, level: float) -> float:
        """Size of the largest term that the target is the sum of: what its rounding is measured by."""
        if self.model_kind == "denoiser":
            return 1.0
        return 1.0 / float(prediction.c_out(self.total(level), self.sigma_data))

    def weight(self, level: float) -> float:
        """An item's loss is this times the mean squared difference of output and target."""
        if callable(self.weighting):
            return of_level("weighting", self.weighting, float(level))
        level = self.total(level)
        weight = float(self._lambda(level))
        return (
            weight if self.model_kind == "denoiser" else weight * float(prediction.c_out(level, self.sigma_data)) ** 2
        )

    def offset_scale(self, level: float) -> float:
        """Strength of the normal per item and channel, in units of the noise at a level."""
        if callable(self.offset_noise):
            return of_level("offset_noise", self.offset_noise, float(level))
        return self.sigma_offset_noise / float(level) if self.sigma_offset_noise else self.offset_noise

    @property
    def tells_offset(self) -> bool:
        """Whether ``sigma_offset_noise`` is in what the model hears of."""
        return self.sigma_offset_noise > 0

    @property
    def is_preconditioned(self) -> bool:
        """Whether the model is F."""
        return self.model_kind == "network"
