"""Rectified flow: ``x = (1 - t) * x0 + t * epsilon``, with noise at t = 1 and data at t = 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from reference_samplers import prediction
from reference_samplers.openings import Array, Denoise, Model
from reference_samplers.validation import choice, flag, real, refuse

from .flow_process import FlowProcess

__all__ = ["FlowPrediction", "RectifiedFlow", "TimeRounding"]

FlowPrediction = Literal["flow", "reversed_flow", "x0", "epsilon"]
TimeRounding = Literal["exact", "nearest", "down"]

#: Stands in for a signal scale of 0 where a denoiser must be told of a finite noise level.
_LEAST_SIGNAL = 1e-12


@dataclass(frozen=True)
class RectifiedFlow(FlowProcess):
    """A level is the time t, whatever the model is told in its place, and whatever it predicts of the flow.

    Source: Liu et al. 2022, arXiv:2209.03003, equation 1, with time as in Esser et al. 2024, arXiv:2403.03206.

    Args:
        data_at_one: the model is told 1 - t: it counts from noise (0) to data (1), as Liu et al. do.
        time_scale: > 0, what the model is told in place of 1: 1000 where it is told 1000 t, as released models are.
        time_rounding: what is told is ``"exact"``, rounded to the ``"nearest"`` whole number (halves to even), or
            ``"down"`` to the next one.
        prediction: what the model predicts: ``"flow"``, epsilon - x0; ``"reversed_flow"``, x0 - epsilon, the velocity
            of a time that runs to data at 1; ``"x0"``; or ``"epsilon"``, which says nothing at t = 1.
    """

    data_at_one: bool = flag(False)
    time_scale: float = real(1.0, above=0)
    time_rounding: TimeRounding = choice("exact")
    prediction: FlowPrediction = choice("flow")

    def check(self) -> None:
        """An epsilon model is never asked where there is no signal."""
        if self.prediction == "epsilon" and self.levels[0] == 1:
            legal = "'flow', 'reversed_flow' or 'x0' where the grid begins at 1, at which x is epsilon"
            raise refuse("prediction", self.prediction, legal)

    @property
    def initial_std(self) -> float:
        """Std of the first noise."""
        return 1.0

    def scales(self, t: Any) -> tuple[Any, Any]:
        """Signal and noise in x at a time."""
        return 1 - t, t

    def time(self, t: Any) -> float:
        """What the model is told."""
        told = self.time_scale * (1 - t if self.data_at_one else t)
        if self.time_rounding == "nearest":
            told = np.round(told)
        if self.time_rounding == "down":
            told = np.floor(told)
        return float(told)

    def to_x0(self, x: Array, output: Array, t: Any) -> Array:
        """The data that the model's output stands for (equation 1)."""
        if self.prediction == "reversed_flow":
            return prediction.x0_from_flow(x, -output, 1 - t, t)
        return prediction.to_x0(self.prediction, x, output, 1 - t, t)

    def to_flow(self, x: Array, output: Array, t: Any) -> Array:
        """dx/dt = epsilon - x0, of which x holds the share t beside the data."""
        if self.prediction == "flow":
            return output
        if self.prediction == "reversed_flow":
            return -output
        flow: Array = (x - self.to_x0(x, output, t)) / t
        return flow

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
            # At t = 1 the input is noise alone, which a very high level says as well.
            divisor = max(1 - time, _LEAST_SIGNAL)
            x0 = denoise(x / divisor, time / divisor)
            if time == 0:  # x is the data, and says nothing of epsilon, whose mean is 0
                return {"flow": -x, "reversed_flow": x, "x0": x, "epsilon": 0 * x}[self.prediction]
            if self.prediction == "reversed_flow":
                return -prediction.flow_from_x0(x, x0, 1 - time, time)
            return prediction.from_x0(self.prediction, x, x0, 1 - time, time)

        return model
