"""Rectified flow: ``x = (1 - t) * x0 + t * epsilon``, with noise at t = 1 and data at t = 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reference_samplers import prediction
from reference_samplers.openings import Array, Denoise, Model
from reference_samplers.validation import real

from .process import Process

__all__ = ["RectifiedFlow"]

#: Stands in for a signal scale of 0 where a denoiser must be told of a finite noise level.
_LEAST_SIGNAL = 1e-12


@dataclass(frozen=True)
class RectifiedFlow(Process):
    """A level is the time t; the model is told it, and predicts the flow ``epsilon - x0``.

    Source: Liu et al. 2022, arXiv:2209.03003, equation 1, with time as in Esser et al. 2024, arXiv:2403.03206.

    Args:
        time_scale: > 0, what the model is told in place of t = 1: 1000 where it is told 1000 t, as released models are.
    """

    time_scale: float = real(1.0, above=0)

    @property
    def time_grid(self) -> Any:
        """``(N + 1,)`` times from 1 to 0: the grid, of which a level is its time."""
        return self.levels

    @property
    def initial_std(self) -> float:
        """Std of the first noise."""
        return 1.0

    def scales(self, t: Any) -> tuple[Any, Any]:
        """Signal and noise in x at a time."""
        return 1 - t, t

    def time(self, t: Any) -> float:
        """What the model is told."""
        return float(self.time_scale * t)

    def denoiser(self, model: Model) -> Callable[[Array, Any], Array]:
        """x0 from x at a time."""

        def denoised(x: Array, t: Any) -> Array:
            return prediction.x0_from_flow(x, model(x, self.time(t)), 1 - t, t)

        return denoised

    def network(self, denoise: Denoise) -> Model:
        """The perfect network, from the posterior mean.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """

        def model(x: Array, told: float) -> Array:
            time = told / self.time_scale
            # At t = 1 the input is noise alone, which a very high level says as well.
            divisor = max(1 - time, _LEAST_SIGNAL)
            return prediction.from_x0("flow", x, denoise(x / divisor, time / divisor), 1 - time, time)

        return model
