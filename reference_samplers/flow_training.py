"""Training of Liu et al. 2022, "Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .openings import Array
from .training_contract import OfLevel, TrainingReference, of_level
from .training_openings import Draws, TrainedModel, column, standard_normal_quantile
from .validation import choice, choice_or_function, real

__all__ = ["FlowTraining"]


@dataclass(frozen=True)
class FlowTraining(TrainingReference):
    """One step of flow matching along the straight path: the loss of each item.

    Source: Liu et al. 2022, arXiv:2209.03003, equation 1 and Algorithm 1, "Training", with time running from data
    (0) to noise (1) as in Esser et al. 2024, arXiv:2403.03206, whose equation 19 draws a logit-normal time and
    whose equation 23 shifts it. A *level* is t in [0, 1].

    Args:
        time: ``"uniform"`` or ``"logit_normal"``.
        logit_mean: mean of ln(t / (1 - t)) before the shift, for ``"logit_normal"``.
        logit_std: its standard deviation, > 0.
        shift: > 0; above 1 it moves times towards noise.
        time_scale: > 0, what the model is told in place of t = 1: 1000 where it is told 1000 t.
        weighting: ``"uniform"`` weighs every squared error by 1; or a function of t that gives the weight.

    Raises:
        ValueError: names field, value and legal range.
    """

    time: Literal["uniform", "logit_normal"] = choice("uniform")
    logit_mean: float = real(0.0)
    logit_std: float = real(1.0, above=0)
    shift: float = real(1.0, above=0)
    time_scale: float = real(1.0, above=0)
    weighting: Literal["uniform"] | OfLevel = choice_or_function("uniform")

    def step(self, model: TrainedModel, x0: Array, draws: Draws) -> Array:
        """The loss of each item, mean over its elements.

        Draws:
            One number per item for its time, uniform or normal, and one normal per element for the noise.

        Args:
            model: ``(x, time)`` to its output; time is ``(B,)``.
            x0: ``(B, *D)`` data, data units.
            draws: the openings.

        Returns:
            ``(B,)``.
        """
        count = x0.shape[0]
        drawn = draws.uniform(count) if self.time == "uniform" else draws.normal((count,))
        t = np.array([self.level(one) for one in drawn])
        noise = draws.normal(x0.shape)  # X_0 of the paper, at t = 1 here
        t_ = column(t, x0.ndim)
        x_t = (1 - t_) * x0 + t_ * noise
        difference = model(x_t, self.time_scale * t) - (noise - x0)  # eq. 1
        weight = column([self.weight(one) for one in t], x0.ndim)
        loss: Array = (weight * difference**2).reshape(count, -1).mean(axis=1)
        return loss

    @property
    def time_draw(self) -> Literal["uniform", "normal"]:
        """T is uniform, or its logit is normal."""
        return "uniform" if self.time == "uniform" else "normal"

    def level(self, draw: float) -> float:
        """t, from a number in [0, 1) or a standard normal."""
        t = np.float64(draw)
        if self.time == "logit_normal":
            t = 1 / (1 + np.exp(-(self.logit_mean + self.logit_std * t)))  # Esser et al. eq. 19
        return float(self.shift * t / (1 + (self.shift - 1) * t))  # Esser et al. eq. 23

    def told_time(self, level: float) -> float:
        """What the model is told."""
        return float(self.time_scale * level)

    def level_of_time(self, time: float) -> float:
        """t, from what the model is told."""
        return float(time / self.time_scale)

    def weight(self, level: float) -> float:
        """An item's loss is this times the mean squared difference of output and target."""
        return 1.0 if self.weighting == "uniform" else of_level("weighting", self.weighting, level)

    def quantile(self, p: float) -> float:
        """The time below which a share ``p`` of the draws lies."""
        return self.level(p if self.time == "uniform" else standard_normal_quantile(p))

    @property
    def level_bounds(self) -> tuple[float, float]:
        """Data and noise."""
        return 0.0, 1.0

    def forward_scales(self, level: float) -> tuple[float, float]:
        """Scales of data and noise in x_t: ``(1 - t, t)``."""
        return 1.0 - float(level), float(level)

    def target_scales(self, level: float) -> tuple[float, float]:
        """Weights of data and noise in the flow: ``(-1, 1)`` at every time."""
        return -1.0, 1.0
