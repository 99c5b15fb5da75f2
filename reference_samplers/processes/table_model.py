"""A chain's network on noise levels: which timestep it is told at each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from reference_samplers import prediction
from reference_samplers.grids import sigmas
from reference_samplers.grids.table_levels import TableLevels
from reference_samplers.openings import Denoise, Model
from reference_samplers.validation import choice, flag, refuse

__all__ = ["TableModel", "TablePrediction"]

TablePrediction = Literal["epsilon", "x0", "v"]

#: A time that was rounded means the nearest one of the grid, within this share of it.
_ROUNDED = 1e-3


@dataclass(frozen=True)
class TableModel(TableLevels):
    """What a chain's network predicts, and what it is told.

    Source: Karras et al. 2022, arXiv:2206.00364, appendix C.3.4.

    Args:
        prediction: ``"epsilon"``, ``"x0"`` or ``"v"``.
        continuous_time: the model is told ln(sigma) / 4, not an index in the table; ``"v"`` alone.
    """

    prediction: TablePrediction = choice("epsilon")
    continuous_time: bool = flag(False)

    def check(self) -> None:
        """Only a v model has a continuous time."""
        if self.continuous_time and self.prediction != "v":
            raise refuse("continuous_time", True, "False unless prediction is 'v'")
        if self.continuous_time and self.timesteps is not None:
            raise refuse("sigma_spacing", self.sigma_spacing, "'timesteps' where timesteps is given")

    @property
    def model_kind(self) -> TablePrediction:
        """What the network predicts."""
        return self.prediction

    @cached_property
    def times(self) -> Sequence[float]:
        """``(N,)`` what the model is told at each level."""
        if self.continuous_time:
            return tuple(float(prediction.c_noise(level)) for level in self.levels[:-1])
        if self.sigma_spacing == "timesteps" and self.sigmas is None:
            return self.grid
        index = sigmas.fractional_index(self.levels[:-1], np.log(self.table))
        return tuple(float(time) for time in index)

    def spread_of_time(self, time: float, unit: float) -> float:
        """That of an index in the table, where a level is looked up in it.

        Args:
            time: what the model is told.
            unit: unit roundoff.
        """
        is_given = self.sigma_spacing == "timesteps" and self.sigmas is None
        return 0.0 if self.continuous_time or is_given else sigmas.index_spread(time, np.log(self.table), unit)

    def network(self, denoise: Denoise) -> Model:
        """The perfect model of this configuration; a time that was rounded means the nearest one of the grid.

        Args:
            denoise: ``(x, sigma)`` to the posterior mean of x0 given ``x = x0 + sigma * epsilon``.
        """
        exact = super().network(denoise)

        def model(x: Any, time: float) -> Any:
            nearest = min(self.times, key=lambda told: abs(told - time))
            return exact(x, nearest if abs(nearest - time) <= _ROUNDED * max(abs(time), 1.0) else time)

        return model
