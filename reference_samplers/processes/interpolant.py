"""Stochastic interpolants: ``x = alpha(t) * x0 + sigma(t) * epsilon``, with noise at t = 1 and data at t = 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from reference_samplers import prediction
from reference_samplers.openings import Array, Denoise, Model
from reference_samplers.validation import choice, flag, real, refuse

from .flow_process import FlowProcess

__all__ = ["Interpolant", "InterpolantPrediction", "Path"]

Path = Literal["linear", "gvp", "vp"]
InterpolantPrediction = Literal["flow", "reversed_flow", "x0", "epsilon", "score"]

#: Stands in for a signal scale of 0 where a denoiser must be told of a finite noise level.
_LEAST_SIGNAL = 1e-12
#: Stands in for 0, where the noise of ``"vp"`` grows without bound.
_LEAST_TIME = 1e-12


@dataclass(frozen=True)
class Interpolant(FlowProcess):
    """A level is the time t, whatever the model is told in its place, and whatever it predicts.

    Source: Albergo et al. 2023, arXiv:2303.08797, without the latent variable; paths and conversions: Ma et al. 2024,
    arXiv:2401.08740, sections 2.1 and 2.2.

    Args:
        path: ``"linear"``, 1 - t and t; ``"gvp"``, cos(pi t / 2) and sin(pi t / 2), of constant variance; or ``"vp"``,
            the path of a variance-preserving diffusion (Song et al. 2021, arXiv:2011.13456, equation 33), which is
            nearly noise at 1.
        beta_min: rate of ``"vp"`` at t = 0, > 0; what SiT calls sigma_min.
        beta_max: rate of ``"vp"`` at t = 1, >= ``beta_min``; what SiT calls sigma_max.
        data_at_one: the model is told 1 - t: it counts from noise (0) to data (1), as SiT's released code does.
        time_scale: > 0, what the model is told in place of 1.
        prediction: what the model predicts: ``"flow"``, the velocity dx/dt; ``"reversed_flow"``, that of a time that
            runs to data at 1; ``"x0"``, ``"epsilon"`` or the ``"score"``, of which the last two say nothing where there
            is no signal.
    """

    path: Path = choice("linear")
    beta_min: float = real(0.1, above=0)
    beta_max: float = real(20.0, above=0)
    data_at_one: bool = flag(False)
    time_scale: float = real(1.0, above=0)
    prediction: InterpolantPrediction = choice("flow")

    def check(self) -> None:
        """Rates are a range, and a model of the noise is never asked where there is no signal."""
        if self.beta_max < self.beta_min:
            raise refuse("beta_max", self.beta_max, f">= beta_min={self.beta_min!r}")
        if self.path != "vp":
            self.refuse_beside_other_paths("beta_min", "beta_max")
        if self.prediction in ("epsilon", "score") and self.path != "vp" and self.levels[0] == 1:
            legal = "'flow', 'reversed_flow' or 'x0' where the grid begins at 1, at which x is epsilon"
            raise refuse("prediction", self.prediction, legal)

    def refuse_beside_other_paths(self, *names: str) -> None:
        """What ``"vp"`` alone reads is left at its default.

        Args:
            names: of fields.
        """
        for name in names:
            if self.values()[name] != vars(Interpolant)[name]:
                raise refuse(name, self.values()[name], "left out where path is not 'vp'")

    @property
    def initial_std(self) -> float:
        """Std of the first noise."""
        return 1.0

    def scales(self, t: Any) -> tuple[Any, Any]:
        """Alpha and sigma: signal and noise in x at a time."""
        if self.path == "gvp":
            return np.cos(np.pi / 2 * t), np.sin(np.pi / 2 * t)
        if self.path == "vp":
            alpha = np.exp(-0.25 * t**2 * (self.beta_max - self.beta_min) - 0.5 * t * self.beta_min)
            return alpha, np.sqrt(1 - alpha**2)
        return 1 - t, t

    def rates(self, t: Any) -> tuple[Any, Any]:
        """What signal and noise change by with time."""
        if self.path == "gvp":
            return -np.pi / 2 * np.sin(np.pi / 2 * t), np.pi / 2 * np.cos(np.pi / 2 * t)
        if self.path == "vp":
            alpha, sigma = self.scales(t)
            rate = -0.5 * t * (self.beta_max - self.beta_min) - 0.5 * self.beta_min
            return rate * alpha, -rate * alpha**2 / sigma
        return -1.0, 1.0

    def time(self, t: Any) -> float:
        """What the model is told."""
        return float(self.time_scale * (1 - t if self.data_at_one else t))

    def to_flow(self, x: Array, output: Array, t: Any) -> Array:
        """The velocity that the model's output stands for."""
        if self.prediction == "flow":
            return output
        if self.prediction == "reversed_flow":
            return -output
        (alpha, sigma), (alpha_rate, sigma_rate) = self.scales(t), self.rates(t)
        if self.prediction == "x0":
            from_data: Array = alpha_rate * output + sigma_rate * (x - alpha * output) / sigma
            return from_data
        epsilon = -sigma * output if self.prediction == "score" else output
        ratio = alpha_rate / alpha
        flow: Array = ratio * x + (sigma_rate - ratio * sigma) * epsilon
        return flow

    def to_epsilon(self, x: Array, flow: Array, t: Any) -> Array:
        """The noise in x, from the velocity."""
        (alpha, sigma), (alpha_rate, sigma_rate) = self.scales(t), self.rates(t)
        epsilon: Array = (alpha * flow - alpha_rate * x) / (alpha * sigma_rate - alpha_rate * sigma)
        return epsilon

    def to_score(self, x: Array, flow: Array, t: Any) -> Array:
        """The score of x, from the velocity."""
        score: Array = -self.to_epsilon(x, flow, t) / self.scales(t)[1]
        return score

    def to_x0(self, x: Array, output: Array, t: Any) -> Array:
        """The data that the model's output stands for."""
        if self.prediction == "x0":
            return output
        (alpha, sigma), (alpha_rate, sigma_rate) = self.scales(t), self.rates(t)
        flow = self.to_flow(x, output, t)
        x0: Array = (sigma_rate * x - sigma * flow) / (alpha * sigma_rate - alpha_rate * sigma)
        return x0

    def denoiser(self, model: Model) -> Callable[[Array, Any], Array]:
        """x0 from x at a time."""

        def denoised(x: Array, t: Any) -> Array:
            return self.to_x0(x, model(x, self.time(t)), t)

        return denoised

    def network(self, denoise: Denoise) -> Model:
        """The perfect network, from the posterior mean.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """

        def model(x: Array, told: float) -> Array:
            time = told / self.time_scale
            if self.data_at_one:
                time = 1 - time
            alpha, sigma = self.scales(time)
            # Where there is no signal the input is noise alone, which a very high level says as well.
            divisor = max(alpha, _LEAST_SIGNAL)
            x0 = denoise(x / divisor, float(sigma / divisor))
            # At 0 x is the data, and says nothing of epsilon, whose mean is 0.
            epsilon = 0 * x if sigma == 0 else (x - alpha * x0) / sigma
            if self.prediction in ("x0", "epsilon", "score"):
                if self.prediction == "score":
                    return 0 * x if sigma == 0 else prediction.score_from_x0(x, x0, alpha, sigma)
                return x0 if self.prediction == "x0" else epsilon
            alpha_rate, sigma_rate = self.rates(max(time, _LEAST_TIME))
            flow: Array = alpha_rate * x0 + (0 if sigma == 0 else sigma_rate * epsilon)
            return flow if self.prediction == "flow" else -flow

        return model
