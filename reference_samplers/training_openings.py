"""The openings of a training step to the world: its model, and the draws for noise and time."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np

from .openings import Array

__all__ = ["Draws", "TrainedModel", "column", "standard_normal_quantile"]

#: ``model(x, time)`` gives the network's raw output, shaped like ``x``; time is ``(B,)``, in the model's convention.
TrainedModel = Callable[[Array, Array], Array]


class Draws(Protocol):
    """What is drawn at random in one step."""

    def normal(self, shape: tuple[int, ...]) -> Array:
        """Unit normals."""

    def integers(self, low: int, high: int, count: int) -> Any:
        """Whole numbers in ``[low, high)``, all equally likely."""

    def uniform(self, count: int) -> Array:
        """Numbers in ``[0, 1)``, all equally likely."""


def column(values: Any, ndim: int) -> Array:
    """One value per item as an array that broadcasts over the item's elements."""
    shaped: Array = np.reshape(np.asarray(values, dtype=np.float64), (-1, *[1] * (ndim - 1)))
    return shaped


def standard_normal_quantile(p: float) -> float:
    """The number below which a share ``p`` in (0, 1) of standard normals lies."""
    return NormalDist().inv_cdf(p)
