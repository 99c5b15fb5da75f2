"""The stochastic processes of Song et al. 2021, arXiv:2011.13456: variance exploding and variance preserving."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal

import numpy as np

from reference_samplers import prediction
from reference_samplers.openings import Array, Denoise, Model

from .process import Process

__all__ = ["SDE", "Labels", "ReverseSDE", "ScorePrediction"]

SDE = Literal["ve", "vp"]
Labels = Literal["time", "continuous", "discrete"]
ScorePrediction = Literal["score", "epsilon"]

#: What the released VP networks are told in place of t = 1.
_LAST_LABEL = 999
#: Rounding may put a label of a whole level just below it.
_LABEL_GUARD = 1e-3


class ReverseSDE(Process):
    """A level i is an entry of the paper's tables: N is the noisiest, 1 the last that is trained at, 0 the data.

    Source: Song et al. 2021, arXiv:2011.13456, equations 29 to 33 with appendix C.
    """

    sde: SDE
    num_steps: int
    sigma_min: float
    sigma_max: float
    beta_min: float
    beta_max: float
    labels: Labels
    prediction: ScorePrediction
    time_grid: Array

    def score(self, model: Model) -> Callable[[Array, int], Array]:
        """s(x, i), from what the model predicts."""

        def score(x: Array, i: int) -> Array:
            output: Array = model(x, self.time(i))
            if self.prediction == "epsilon":
                output = -output / self.model_std(i)
            return output

        return score

    def time(self, i: int) -> float:
        """What the model is told at level i."""
        t = self.time_grid[self.num_steps - i]
        if self.labels == "time":
            return float(t)
        if self.labels == "continuous":
            return float(self.sigma_of(t) if self.sde == "ve" else _LAST_LABEL * t)
        return float(self.num_steps - i if self.sde == "ve" else t * (self.num_steps - 1))

    def model_std(self, i: int) -> Any:
        """Std of the noise in x that an epsilon model is taken to mean at level i."""
        if self.labels != "discrete":
            return self.scales_at(self.time_grid[self.num_steps - i])[1]
        return self.sigma[i] if self.sde == "ve" else np.sqrt(1 - self.alpha_bar[i])

    @cached_property
    def sigma(self) -> Array:
        """``(N + 1,)`` noise levels of ``"ve"``, data units: a geometric sequence behind sigma_0 = 0 (eq. 30)."""
        ramp = np.linspace(0.0, 1.0, self.num_steps)  # (i - 1) / (N - 1)
        return np.append(0.0, self.sigma_of(ramp))

    @cached_property
    def beta(self) -> Array:
        """``(N + 1,)`` variances of ``"vp"``: an arithmetic sequence; entry 0 is no step (eq. 32)."""
        table = np.linspace(self.beta_min / self.num_steps, self.beta_max / self.num_steps, self.num_steps)
        return np.append(0.0, table)

    @cached_property
    def alpha_bar(self) -> Array:
        """``(N + 1,)`` shares of signal variance of ``"vp"``; 1 at level 0."""
        return np.cumprod(1 - self.beta, dtype=np.float64)

    @property
    def initial_std(self) -> float:
        """Std of the first noise."""
        return self.sigma_max if self.sde == "ve" else 1.0

    def sigma_of(self, t: Any) -> Any:
        """Noise level of ``"ve"`` at time t (appendix C)."""
        return self.sigma_min * np.power(self.sigma_max / self.sigma_min, t)

    def drift(self, t: Any) -> Any:
        """f(x, t) over x (eq. 30, 32)."""
        if self.sde == "ve":
            return 0.0
        return -0.5 * (self.beta_min + t * (self.beta_max - self.beta_min))

    def diffusion(self, t: Any) -> Any:
        """g(t) (eq. 30, 32)."""
        if self.sde == "ve":
            return self.sigma_of(t) * np.sqrt(2 * np.log(self.sigma_max / self.sigma_min))
        return np.sqrt(self.beta_min + t * (self.beta_max - self.beta_min))

    def scales_at(self, t: Any) -> tuple[Any, Any]:
        """Scales of data and noise in x at time t (eq. 29, 33)."""
        if self.sde == "ve":
            return 1.0, self.sigma_of(t)
        log_scale = -0.25 * t**2 * (self.beta_max - self.beta_min) - 0.5 * t * self.beta_min
        return np.exp(log_scale), np.sqrt(1 - np.exp(2 * log_scale))

    def scales(self, i: int) -> tuple[Any, Any]:
        """Scales of data and noise in x at a level."""
        if self.sde == "ve":
            return 1.0, self.sigma[i]
        return np.sqrt(self.alpha_bar[i]), np.sqrt(1 - self.alpha_bar[i])

    def denoiser(self, model: Model) -> Callable[[Array, int], Array]:
        """x0 from x at a level, by the score there."""
        score = self.score(model)

        def denoised(x: Array, i: int) -> Array:
            return prediction.x0_from_score(x, score(x, i), *self.scales(i))

        return denoised

    def network(self, denoise: Denoise) -> Model:
        """The perfect model of this configuration, from the posterior mean.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """

        def model(x: Array, label: float) -> Array:
            signal_scale, noise_scale = self.seen_scales(label)
            x0 = denoise(x / signal_scale, float(noise_scale / signal_scale))
            return prediction.from_x0(self.prediction, x, x0, signal_scale, noise_scale)

        return model

    def seen_scales(self, label: float) -> tuple[Any, Any]:
        """Scales of data and noise in what a network was trained on under a label: a level's, or those of a time."""
        if self.labels == "discrete" and self.sde == "ve":
            return self.forward_scales(int(label))
        if self.labels == "discrete":
            return self.forward_scales(self.num_steps - 1 - int(label + _LABEL_GUARD))
        if self.labels == "time":
            return self.scales_at(label)
        if self.sde == "ve":
            return 1.0, label
        return self.scales_at(label / _LAST_LABEL)
