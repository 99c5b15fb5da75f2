"""TrigFlow: ``x = cos(t) * x0 + sin(t) * sigma_data * epsilon``, with data at t = 0 and noise at t = pi / 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from reference_samplers.openings import Array, Denoise, Model

from .process import Process

__all__ = ["TrigFlow", "TrigPrediction"]

TrigPrediction = Literal["network", "velocity"]

#: Stands in for a signal scale of 0 where a denoiser must be told of a finite noise level.
_LEAST_SIGNAL = 1e-12


class TrigFlow(Process):
    """A level is an angle, and what the model is told.

    Source: Lu & Song 2024, arXiv:2410.11081, section 3, equation 3. What stands here as a property may be a field.
    """

    @property
    def sigma_data(self) -> float:
        """Std of the data, and of the noise."""
        return 0.5

    @property
    def prediction(self) -> TrigPrediction:
        """``"network"``: F, which sees x / sigma_data; ``"velocity"``: dx/dt = sigma_data F, from x itself."""
        return "network"

    @property
    def initial_std(self) -> Any:
        """Std of the first noise."""
        return self.sigma_data

    def scales(self, t: Any) -> tuple[Any, Any]:
        """Signal and noise in x at an angle."""
        return np.cos(t), self.sigma_data * np.sin(t)

    def time(self, t: Any) -> float:
        """What the model is told."""
        return float(t)

    def to_x0(self, x: Array, output: Array, t: Any) -> Array:
        """The data that the model's output stands for (equation 3)."""
        return np.asarray(np.cos(t) * x - np.sin(t) * self.to_velocity(output))  # eq. 3

    def to_velocity(self, output: Array) -> Array:
        """dx/dt, from what the model gives."""
        return self.sigma_data * output if self.prediction == "network" else output

    def seen(self, x: Array) -> Array:
        """What the model is shown of x."""
        return x / self.sigma_data if self.prediction == "network" else x

    def denoiser(self, model: Model) -> Callable[[Array, Any], Array]:
        """x0 from x at an angle."""

        def denoised(x: Array, t: Any) -> Array:
            return self.to_x0(x, model(self.seen(x), self.time(t)), t)

        return denoised

    def network(self, denoise: Denoise) -> Model:
        """The perfect network, from the posterior mean.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """

        def model(seen: Array, t: float) -> Array:
            scale = self.sigma_data if self.prediction == "network" else 1.0
            x, signal, noise = scale * seen, np.cos(t), np.sin(t)
            if noise == 0:  # x is the data, and says nothing of the noise, whose mean is 0
                return 0 * seen
            divisor = max(signal, _LEAST_SIGNAL)
            x0 = denoise(x / divisor, float(self.sigma_data * noise / divisor))
            output: Array = (signal * x - x0) / (noise * scale)
            return output

        return model
