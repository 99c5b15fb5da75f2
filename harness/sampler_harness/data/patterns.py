"""Test frames: what is put through a preprocessing so that its answer can be read off exactly.

Every frame is ``(H, W, 3)`` float64 in gray levels 0 to 255, red first; ``probing`` makes of it what the user's
function takes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["Array", "Size", "checkerboard", "colors", "flat", "lines", "noise", "part", "sprite"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Size = tuple[int, int]

#: Frames of noise keep this far from black and white, so that a kernel that overshoots by a quarter is not clamped.
NOISE_LOW, NOISE_HIGH = 48, 207
#: A line and what is around it: as far apart as the negative lobes of a Lanczos kernel allow.
LINE, AROUND = 224.0, 48.0
_SEED = 84


def flat(size: Size, color: float | Sequence[float]) -> Array:
    """One color everywhere.

    Args:
        size: height and width.
        color: a gray level, or red, green and blue, 0 to 255.
    """
    return np.broadcast_to(np.asarray(color, dtype=np.float64), (*size, 3)).copy()


def colors(count: int) -> Array:
    """Fixed colors of whole levels, ``(count, 3)``; each is followed by its complement to 255.

    Red, green and blue run through all levels with steps that are prime to one another: a plain sequence that fills
    the cube evenly, the same on every machine.
    """
    steps = np.arange(count // 2)[:, None] * np.array([89.0, 151.0, 47.0]) + np.array([17.0, 101.0, 200.0])
    half = np.mod(steps, 256.0)
    return np.stack((half, 255.0 - half), axis=1).reshape(-1, 3)


def lines(size: Size, axis: int, places: Sequence[int]) -> Array:
    """Bright lines of one pixel's width on a darker ground.

    Args:
        size: height and width.
        axis: 0 for rows, 1 for columns.
        places: which rows or columns.
    """
    frame = flat(size, AROUND)
    if axis == 0:
        frame[list(places)] = LINE
    else:
        frame[:, list(places)] = LINE
    return frame


def noise(size: Size, index: int) -> Array:
    """Gray noise of whole levels, each pixel its own; fixed."""
    generator = np.random.Generator(np.random.PCG64((_SEED, index)))
    gray = generator.integers(NOISE_LOW, NOISE_HIGH + 1, size=size).astype(np.float64)
    return np.repeat(gray[..., None], 3, axis=2)


def checkerboard(size: Size) -> Array:
    """Black and white pixels in turn."""
    rows, columns = np.indices(size)
    return np.repeat((255.0 * ((rows + columns) % 2))[..., None], 3, axis=2)


def part(size: Size, axis: int, start: float, stop: float, *, inside: float = 255.0, outside: float = 0.0) -> Array:
    """A band of one gray level, the rest of another.

    Args:
        size: height and width.
        axis: 0 for a band of rows, 1 for one of columns.
        start: where it begins, as a share of the axis.
        stop: where it ends.
        inside: its gray level.
        outside: of the rest.
    """
    frame = flat(size, outside)
    first, last = round(start * size[axis]), round(stop * size[axis])
    if axis == 0:
        frame[first:last] = inside
    else:
        frame[:, first:last] = inside
    return frame


def sprite(size: Size) -> Array:
    """A few bright blocks on black, as a game's sprites, far from one another."""
    frame = flat(size, 0.0)
    height, width = max(size[0] // 8, 1), max(size[1] // 8, 1)
    for row, column in itertools.product((1, 4, 6), (2, 5)):
        frame[row * height : (row + 1) * height, column * width : (column + 1) * width] = 255.0
    return frame
