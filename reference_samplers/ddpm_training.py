"""Training of Ho et al. 2020, "Denoising Diffusion Probabilistic Models", arXiv:2006.11239, and its weightings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from .openings import Array
from .processes import betas
from .training_contract import OfLevel, TrainingReference, of_level
from .training_openings import Draws, TrainedModel, column
from .validation import choice, choice_or_function, real, real_or_function, refuse, whole

__all__ = ["DDPMTraining"]

TrainedPrediction = Literal["epsilon", "x0", "v"]
Weighting = Literal["uniform", "snr", "min_snr", "objective"]


@dataclass(frozen=True)
class DDPMTraining(TrainingReference):
    """One step of training a network on the chain: the loss of each item.

    Source: Ho et al. 2020, arXiv:2006.11239, Algorithm 1; v: Salimans & Ho 2022, arXiv:2202.00512, section 4;
    min-SNR: Hang et al. 2023, arXiv:2303.09556, section 3.4; input perturbation: Ning et al. 2023,
    arXiv:2301.11706, Algorithm 1; offset noise: Guttenberg 2023. A *level* is the timestep t, counted from 0.

    Args:
        num_train_timesteps: T, >= 1.
        beta_schedule: ``"linear"`` (Ho et al. 2020), ``"scaled_linear"`` (Rombach et al. 2022), ``"cosine"`` (Nichol &
            Dhariwal 2021), ``"sigmoid"`` (Xu et al. 2022, as diffusers has it) or ``"sigmoid_jabri"`` (Jabri et al.
            2022, as denoising-diffusion-pytorch has it); not scaled with T.
        beta_start: in (0, 1); ``"cosine"`` and ``"sigmoid_jabri"`` do not use it.
        beta_end: in (0, 1), >= ``beta_start``; ``"cosine"`` and ``"sigmoid_jabri"`` do not use it.
        prediction: what the network predicts: ``"epsilon"``, ``"x0"`` or ``"v"``.
        weighting: ``"uniform"`` weighs every squared error by 1; ``"snr"`` is the weight that makes it the squared
            error of x0 times the SNR: 1, SNR, SNR/(SNR + 1) for epsilon, x0, v; ``"objective"`` is
            denoising-diffusion-pytorch's name for the same; ``"min_snr"`` caps the SNR in it at ``snr_gamma``:
            min(SNR, gamma) over SNR, 1, SNR + 1. Or a function of the timestep that gives the weight, as
            ``lambda t: 1 / (snr[t] + 1)`` for debiased estimation of v (Yu et al. 2023, arXiv:2310.08442).
        snr_gamma: > 0, the cap.
        offset_noise: >= 0, strength of one more normal per item and channel in the noise; or a function of the timestep
            that gives it.
        input_perturbation: >= 0, strength of noise that the input has and the target has not.

    Raises:
        ValueError: names field, value and legal range.
    """

    num_train_timesteps: int = whole(1000, low=1)
    beta_schedule: betas.BetaSchedule = choice("linear")
    beta_start: float = real(1e-4, above=0, below=1)
    beta_end: float = real(0.02, above=0, below=1)
    prediction: TrainedPrediction = choice("epsilon")
    weighting: Weighting | OfLevel = choice_or_function("uniform")
    snr_gamma: float = real(5.0, above=0)
    offset_noise: float | OfLevel = real_or_function(0.0, low=0)
    input_perturbation: float = real(0.0, low=0)

    def check(self) -> None:
        """The schedule rises."""
        if self.beta_end < self.beta_start:
            raise refuse("beta_end", self.beta_end, f">= beta_start={self.beta_start!r}")

    def step(self, model: TrainedModel, x0: Array, draws: Draws) -> Array:
        """The loss of each item, mean over its elements: Algorithm 1, lines 2 to 5.

        Draws:
            One whole number per item for its timestep, one normal per element for the noise; with
            ``offset_noise`` one per item and channel; with ``input_perturbation`` one more per element.

        Args:
            model: ``(x, time)`` to its output; time is ``(B,)``.
            x0: ``(B, C, *D)`` data, data units.
            draws: the openings.

        Returns:
            ``(B,)``.
        """
        t = draws.integers(0, self.num_train_timesteps, x0.shape[0])  # line 3, counted from 0
        epsilon = draws.normal(x0.shape)  # line 4
        if self.offset_noise != 0:
            strength = column([self.offset_scale(one) for one in t], x0.ndim)
            epsilon = epsilon + strength * draws.normal((*x0.shape[:2], *[1] * (x0.ndim - 2)))
        added = epsilon
        if self.input_perturbation > 0:
            added = epsilon + self.input_perturbation * draws.normal(x0.shape)
        alpha_bar = column(self.alpha_bar[t], x0.ndim)
        x_t = np.sqrt(alpha_bar) * x0 + np.sqrt(1 - alpha_bar) * added  # line 5, the network's argument
        target = self._target(x0, epsilon, alpha_bar)
        weight = column([self.weight(int(one)) for one in t], x0.ndim)
        difference = model(x_t, np.asarray(t, dtype=np.float64)) - target
        loss: Array = (weight * difference**2).reshape(x0.shape[0], -1).mean(axis=1)
        return loss

    def _target(self, x0: Array, epsilon: Array, alpha_bar: Array) -> Array:
        if self.prediction == "epsilon":
            return epsilon
        if self.prediction == "x0":
            return x0
        v: Array = np.sqrt(alpha_bar) * epsilon - np.sqrt(1 - alpha_bar) * x0  # Salimans & Ho, section 4
        return v

    @cached_property
    def alpha_bar(self) -> Array:
        """``(T,)`` share of the data's variance in x_t."""
        table = betas.betas(self.beta_schedule, self.num_train_timesteps, self.beta_start, self.beta_end)
        return betas.alpha_bar(table)

    def snr(self, level: float) -> Any:
        """Signal-to-noise ratio at a timestep: alpha_bar / (1 - alpha_bar)."""
        alpha_bar = self.alpha_bar[int(level)]
        return alpha_bar / (1 - alpha_bar)

    @property
    def time_draw(self) -> Literal["integers"]:
        """Timesteps are equally likely."""
        return "integers"

    def level(self, draw: float) -> float:
        """The timestep, from a whole number in ``[0, T)``."""
        return float(int(draw))

    def quantile(self, p: float) -> float:
        """The timestep at or below which a share ``p`` of the draws lies."""
        return float(min(int(p * self.num_train_timesteps), self.num_train_timesteps - 1))

    @property
    def level_bounds(self) -> tuple[float, float]:
        """First and last timestep."""
        return 0.0, float(self.num_train_timesteps - 1)

    def told_time(self, level: float) -> float:
        """What the model is told: the timestep."""
        return float(int(level))

    def forward_scales(self, level: float) -> tuple[float, float]:
        """Scales of data and noise in x_t (equation 4)."""
        alpha_bar = self.alpha_bar[int(level)]
        return float(np.sqrt(alpha_bar)), float(np.sqrt(1 - alpha_bar))

    def target_scales(self, level: float) -> tuple[float, float]:
        """Weights of data and noise in what the model's raw output is compared with."""
        if self.prediction == "epsilon":
            return 0.0, 1.0
        if self.prediction == "x0":
            return 1.0, 0.0
        signal_scale, noise_scale = self.forward_scales(level)
        return -noise_scale, signal_scale

    def weight(self, level: float) -> float:
        """An item's loss is this times the mean squared difference of output and target."""
        if self.weighting == "uniform":
            return 1.0
        if callable(self.weighting):
            return of_level("weighting", self.weighting, int(level))
        snr = self.snr(level)
        capped = np.minimum(snr, self.snr_gamma) if self.weighting == "min_snr" else snr
        divisor = {"epsilon": snr, "x0": 1.0, "v": snr + 1.0}[self.prediction]
        return float(capped / divisor)

    def offset_scale(self, level: float) -> float:
        """Strength of the normal per item and channel, in units of the noise at a level."""
        if callable(self.offset_noise):
            return of_level("offset_noise", self.offset_noise, int(level))
        return self.offset_noise

    @property
    def perturbation(self) -> float:
        """Strength of the noise that only the input has."""
        return self.input_perturbation
