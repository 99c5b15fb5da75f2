"""Resampling kernels as matrices, and the name of the one that was measured.

A separable resize of ``n`` pixels to ``m`` is an ``(m, n)`` matrix whose rows sum to one. cv2, PIL and torch differ in
what they call by one name; each form in use is here, so that a declared ``area`` or ``bilinear`` means any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .patterns import Array

__all__ = ["Kernel", "Measured", "kernels", "measured", "nearest_kernel"]


@dataclass(frozen=True, eq=False)
class Kernel:
    """One way to resample.

    Attributes:
        family: the name that is declared, ``bilinear``.
        form: which of them, for a person.
        sound: false for forms that are met as mistakes (a shift of the grid).
        matrix: ``(m, n)``.
    """

    family: str
    form: str
    sound: bool
    matrix: Array

    @property
    def name(self) -> str:
        """For a person."""
        return f"{self.family} ({self.form})" if self.form else self.family


def _triangle(x: Array) -> Array:
    weight: Array = np.maximum(1.0 - np.abs(x), 0.0)
    return weight


def _cubic(a: float) -> Callable[[Array], Array]:
    def weight(x: Array) -> Array:
        x = np.abs(x)
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        inside: Array = np.where(x < 1, near, np.where(x < 2, far, 0.0))
        return inside

    return weight


def _lanczos(lobes: int) -> Callable[[Array], Array]:
    def weight(x: Array) -> Array:
        inside: Array = np.where(np.abs(x) < lobes, np.sinc(x) * np.sinc(x / lobes), 0.0)
        return inside

    return weight


def _normalized(matrix: Array) -> Array:
    shares: Array = matrix / matrix.sum(axis=1, keepdims=True)
    return shares


def _centers(m: int, n: int) -> Array:
    """Where an output's center lies on the input's pixels."""
    return (np.arange(m) + 0.5) * n / m - 0.5


def _interpolated(m: int, n: int, weight: Callable[[Array], Array], reach: int, centers: Array) -> Array:
    """Taps at the pixels around each center, whatever the scale; beyond the border the last pixel is repeated."""
    matrix = np.zeros((m, n))
    base = np.floor(centers).astype(int)
    taps = base[:, None] + np.arange(1 - reach, reach + 1)
    weights = _normalized(weight(centers[:, None] - taps))
    np.add.at(matrix, (np.arange(m)[:, None], np.clip(taps, 0, n - 1)), weights)
    return matrix


def _antialiased(m: int, n: int, weight: Callable[[Array], Array], reach: float) -> Array:
    """A kernel that is stretched by the scale; at the border it is cut and normalized again."""
    scale = max(n / m, 1.0)
    distance = (np.arange(n)[None] - _centers(m, n)[:, None]) / scale
    return _normalized(np.where(np.abs(distance) < reach, weight(distance), 0.0))


def _overlap(m: int, n: int) -> Array:
    """Each output is the mean of what it covers, pixels at its border by their share."""
    edges = np.arange(m + 1) * n / m
    pixels = np.arange(n)
    low = np.maximum(edges[:-1, None], pixels[None])
    high = np.minimum(edges[1:, None], pixels[None] + 1)
    return _normalized(np.maximum(high - low, 0.0))


def _whole_pixels(m: int, n: int) -> Array:
    """The mean of all pixels that an output touches: adaptive average pooling."""
    first = np.floor(np.arange(m) * n / m).astype(int)
    last = np.ceil((np.arange(m) + 1) * n / m).astype(int)
    pixels = np.arange(n)[None]
    return _normalized(((pixels >= first[:, None]) & (pixels < last[:, None])).astype(np.float64))


def _box(m: int, n: int) -> Array:
    """The mean of the pixels whose centers an output covers."""
    distance = (np.arange(n)[None] - _centers(m, n)[:, None]) / max(n / m, 1.0)
    return _normalized(((distance > -0.5) & (distance <= 0.5)).astype(np.float64))


def _picked(m: int, n: int, places: Array) -> Array:
    matrix = np.zeros((m, n))
    matrix[np.arange(m), np.clip(np.floor(places), 0, n - 1).astype(int)] = 1.0
    return matrix


def kernels(m: int, n: int) -> Iterator[Kernel]:
    """Every known way from ``n`` pixels to ``m``."""
    half = _centers(m, n)
    origin = np.arange(m) * n / m
    corners = np.arange(m) * (n - 1) / max(m - 1, 1)
    yield Kernel("area", "exact overlap", True, _overlap(m, n))
    yield Kernel("area", "box filter", True, _box(m, n))
    yield Kernel("area", "adaptive pooling", True, _whole_pixels(m, n))
    yield Kernel("bilinear", "two taps, no antialiasing", True, _interpolated(m, n, _triangle, 1, half))
    yield Kernel("bilinear", "antialiased", True, _antialiased(m, n, _triangle, 1))
    yield Kernel("bilinear", "aligned corners", False, _interpolated(m, n, _triangle, 1, corners))
    yield Kernel("bilinear", "pixels counted from their corners", False, _interpolated(m, n, _triangle, 1, origin))
    for a in (-0.75, -0.5):
        yield Kernel("bicubic", f"four taps, a = {a}, no antialiasing", True, _interpolated(m, n, _cubic(a), 2, half))
        yield Kernel("bicubic", f"antialiased, a = {a}", True, _antialiased(m, n, _cubic(a), 2))
    yield Kernel("bicubic", "aligned corners", False, _interpolated(m, n, _cubic(-0.75), 2, corners))
    yield Kernel("lanczos", "antialiased, 3 lobes", True, _antialiased(m, n, _lanczos(3), 3))
    yield Kernel("lanczos", "8 taps, no antialiasing", True, _interpolated(m, n, _lanczos(4), 4, half))
    yield Kernel("nearest", "", True, _picked(m, n, origin + 1e-6))
    # A center on the border between two pixels is given to either, as rounding has it.
    yield Kernel("nearest", "by centers", True, _picked(m, n, half + 0.5 + 1e-6))
    yield Kernel("nearest", "by centers", True, _picked(m, n, half + 0.5 - 1e-6))


def nearest_kernel(matrix: Array, family: str | None = None) -> tuple[Kernel, float]:
    """The known kernel that a measured matrix is closest to, and its largest difference.

    Args:
        matrix: ``(m, n)``, as measured.
        family: only sound forms of this one; None for all.
    """
    m, n = matrix.shape
    found = [
        (float(np.abs(kernel.matrix - matrix).max()), index, kernel)
        for index, kernel in enumerate(kernels(m, n))
        if family is None or (kernel.family == family and kernel.sound)
    ]
    distance, _, kernel = min(found, key=lambda item: item[:2])
    return kernel, distance


@dataclass(frozen=True)
class Measured:
    """What a person wants to know of a resampling along one axis.

    Attributes:
        start: where the used part of the axis begins, pixels of the frame.
        stop: where it ends.
        shift: of the picture's middle against that part's, pixels of the frame.
        width: spread (standard deviation) of the kernel over that of exact area averaging.
        unseen: pixels of the used part that reach no output.
    """

    start: float
    stop: float
    shift: float
    width: float
    unseen: int


def measured(matrix: Array) -> Measured | None:
    """Geometry and width of a measured kernel; None where nothing arrives."""
    m, n = matrix.shape
    total = matrix.sum(axis=1)
    rows = np.flatnonzero(np.abs(total) > 0.5)
    if len(rows) == 0:
        return None
    places = np.arange(n)
    center = (matrix[rows] @ places) / total[rows]
    if len(rows) > 1:
        slope, offset = np.polyfit(rows.astype(np.float64), center, 1)
    else:
        slope, offset = n / m, float(center[0]) - rows[0] * n / m
    start = offset + slope * (rows[0] - 0.5) + 0.5
    stop = offset + slope * (rows[-1] + 0.5) + 0.5
    spread = np.sqrt(np.maximum((np.abs(matrix[rows]) * (places - center[:, None]) ** 2).sum(axis=1), 0.0))
    area = np.sqrt(max(slope**2 / 12.0, 1e-12))
    reached = np.abs(matrix).max(axis=0) > 0.02
    inner = reached[max(round(start), 0) : min(round(stop), n)]
    return Measured(
        float(start),
        float(stop),
        float((start + stop) / 2 - n / 2),
        float(np.median(spread) / area),
        int((~inner).sum()),
    )
