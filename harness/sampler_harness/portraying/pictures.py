"""A distribution of pictures whose exact denoiser is known: tiles of any brightness, each with fine stripes in it.

Context: a page is to show what a sampler does to details. With a network that knows a few pictures by heart every
sampler ends in one of them, sharp, whatever it did wrong.
Choice: a Gaussian whose principal axes are drawn by hand: brightness of a quarter, of a tile, and stripes or checks of
one pixel in it, each with a variance of its own and none in any other direction. Then a sampler that loses variance
fades tiles and stripes, and one that leaves noise leaves grain, which no picture of the distribution has.
Reversed by: a denoiser of real pictures that is as exact and as small.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

__all__ = ["TiledPictures"]

#: Standard deviations of a pixel, data units: of a quarter's brightness, of a tile's, of the stripes in it.
QUARTER, TILE, STRIPES = 0.25, 0.2, 0.3
#: Of three channels, how much color varies as a share of brightness.
COLOR = 0.4
#: Tiles along an axis, where there is room for stripes in them.
TILES = 4
#: Lowest noise level that is divided by: below it every picture is itself.
LEAST_SIGMA = 1e-12


def _spans(length: int, parts: int) -> list[slice]:
    """``length`` places cut into about equal parts, none of them empty."""
    parts = max(1, min(parts, length))
    ends = [round(i * length / parts) for i in range(parts + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(ends)]


def _boxes(sizes: Sequence[int], parts: int) -> list[tuple[slice, ...]]:
    """All boxes that arise when each axis is cut into so many parts."""
    boxes: list[tuple[slice, ...]] = [()]
    for size in sizes:
        boxes = [(*box, span) for box in boxes for span in _spans(size, parts)]
    return boxes


def _stripes(sizes: Sequence[int], number: int) -> Array:
    """A pattern of -1 and 1 that changes from pixel to pixel: along one axis, the other, or both."""
    axes = np.meshgrid(*(np.arange(size) for size in sizes), indexing="ij")
    if len(sizes) == 1:
        along: Array = axes[0].astype(np.float64)
    else:
        along = (axes[-1], axes[-2], axes[-1] + axes[-2])[number % 3].astype(np.float64)
    pattern: Array = 1.0 - 2.0 * np.mod(along, 2.0)
    return pattern


def _axes_of(sizes: Sequence[int]) -> tuple[Array, Array]:
    """Principal axes ``(d, m)``, orthonormal, and the variance along each."""
    patterns: list[tuple[Array, float]] = []
    for parts, std in ((2, QUARTER), (TILES, TILE)):
        for box in _boxes(sizes, parts):
            flat = np.zeros(sizes)
            flat[box] = 1.0
            patterns.append((flat, std))
    whole = [_stripes(sizes, number) for number in range(3)]
    for number, box in enumerate(_boxes(sizes, TILES)):
        fine = np.zeros(sizes)
        fine[box] = whole[number % 3][box] - whole[number % 3][box].mean()
        patterns.append((fine, STRIPES))
    kept = [(pattern.reshape(-1), std) for pattern, std in patterns if np.abs(pattern).max() > 0]
    weighted = np.stack([pattern * std for pattern, std in kept], axis=1)  # covariance = weighted @ weighted.T
    axes, scales, _ = np.linalg.svd(weighted, full_matrices=False)
    used = scales > 1e-9 * scales[0]
    return axes[:, used], scales[used] ** 2


class TiledPictures:
    """Pictures of tiles and stripes, and their exact posterior mean.

    Three channels are red, green and blue: they vary together, and a little apart. Other channels, frames and whatever
    else stands before the picture's own axes are independent of each other.

    Args:
        shape: of one item: the last two of three or more axes are a picture's where both have room for it; else the
            longest is a line's.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.is_image = len(shape) >= 3 and min(shape[-2:]) >= 6
        if self.is_image:
            self._order = tuple(range(len(shape)))
            self.sizes: tuple[int, ...] = shape[-2:]
        else:
            longest = max(range(len(shape)), key=lambda axis: shape[axis], default=0)
            self._order = (*(axis for axis in range(len(shape)) if axis != longest), longest)
            self.sizes = (shape[longest],) if shape else (1,)
        self._axes, self._variances = _axes_of(self.sizes)
        # Brightness and two directions of color: an orthonormal turn of red, green and blue.
        colored = self.is_image and len(shape) == 3 and shape[0] == 3
        turn = [[1, 1, 1], [1, 0, -1], [1, -2, 1]] if colored else [[1]]
        self._turn = np.array([np.array(row) / math.sqrt(sum(v * v for v in row)) for row in turn])
        self._shares = np.array([3.0, 3.0 * COLOR**2, 3.0 * COLOR**2] if colored else [1.0])  # a channel has a third

    def parts(self, values: Array) -> Array:
        """``(B, channels, *sizes)``: pictures or lines, out of ``(B, *shape)``."""
        order = (0, *(axis + 1 for axis in self._order)) if self.shape else (0,)
        moved: Array = np.transpose(values, order).reshape(values.shape[0], -1, *self.sizes)
        return moved

    def __call__(self, x: Array, sigma: float) -> Array:
        """The posterior mean: each axis shrinks by ``variance / (variance + sigma^2)``, all else to 0.

        Args:
            x: ``(B, *shape)`` noisy items, data units.
            sigma: noise level, data units.
        """
        values = np.asarray(x, dtype=np.float64)
        items = values.shape[0]
        channels = len(self._turn)
        rows = self.parts(values).reshape(-1, channels, math.prod(self.sizes))
        level = max(float(sigma) ** 2, LEAST_SIGMA**2)
        variances = self._shares[:, None] * self._variances
        seen = (self._turn @ rows @ self._axes) * (variances / (variances + level))
        found = self._turn.T @ seen @ self._axes.T
        order = self._order
        moved = found.reshape(items, *(self.shape[axis] for axis in order)) if self.shape else found.reshape(items)
        back = np.argsort((0, *(axis + 1 for axis in order))) if self.shape else (0,)
        mean: Array = np.ascontiguousarray(np.transpose(moved, tuple(int(axis) for axis in back)))
        return mean
