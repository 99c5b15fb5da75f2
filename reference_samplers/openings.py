"""The two openings of a sampler to the world, and the array that passes through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Denoise", "Model", "Noise"]

#: Float64 values of any shape; the item axis is 0.
Array = NDArray[np.float64]

#: ``model(x, time)`` gives the network's output, shaped like ``x``; with learned variance a pair of such arrays.
Model = Callable[[Array, float], Any]

#: ``noise()`` gives unit normals of the sample's shape, independent of all that were given before.
Noise = Callable[[], Array]

#: ``denoise(x, sigma)`` gives the posterior mean of x0 where ``x = x0 + sigma * epsilon``, data units.
Denoise = Callable[[Array, float], Array]
