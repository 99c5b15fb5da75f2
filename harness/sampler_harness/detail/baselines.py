"""Denoisers that need frames but no training: what a network must beat, and what one that learned by heart does."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sampler_harness.detail.spectrum import Array, as_frames

__all__ = ["MOST_AXES", "EmpiricalDenoiser", "FrequencyFilter", "PrincipalFilter", "linear_filters"]

#: Numbers in a frame up to which its full covariance is estimated.
MOST_AXES = 1024
#: Frames for each number of a frame that such an estimate needs, so that it is not the noise of its own sample.
FRAMES_PER_AXIS = 2
#: Weight of a coefficient's neighbors at the same distance from frequency zero, in frames: a power that was estimated
#: from a handful of frames is mostly chance.
NEIGHBOR_FRAMES = 8
#: Scores of noisy frames against training frames that are held at once.
MOST_SCORES = 2**22


class FrequencyFilter(nn.Module):
    """Wiener's filter on the cosine transform: each coefficient shrinks by the share of noise in it.

    Source: Wiener 1949; the cosine transform has no jump at the border, where frames do not repeat.

    Args:
        train: ``(N, C, H, W)`` data units, N >= 2: mean and power of each coefficient are estimated from them.

    Raises:
        ValueError: when there are fewer than two finite frames.
    """

    mean: Tensor
    power: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, train: Any) -> None:
        super().__init__()
        frames = _several(train)
        mean = frames.mean(axis=0)
        rows, columns = _cosines(frames.shape[2]), _cosines(frames.shape[3])
        number = len(frames)
        own = ((rows @ (frames - mean) @ columns.T) ** 2).sum(axis=0) / (number - 1)
        around = np.stack([_ring_means(channel) for channel in own])
        power = (number * own + NEIGHBOR_FRAMES * around) / (number + NEIGHBOR_FRAMES)
        for name, values in (("mean", mean), ("power", power), ("rows", rows), ("columns", columns)):
            self.register_buffer(name, torch.from_numpy(values))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The best linear estimate, if coefficients are uncorrelated; shapes as every denoiser's."""
        noise = sigma.to(self.power).reshape(-1, 1, 1, 1) ** 2
        coefficients = self.rows @ (x.to(self.mean) - self.mean) @ self.columns.T
        kept = coefficients * (self.power / (self.power + noise))
        return (self.mean + self.rows.T @ kept @ self.columns).to(x.dtype)


class PrincipalFilter(nn.Module):
    """The best linear estimate there is: shrinks along the principal axes of whole frames.

    Args:
        train: ``(N, C, H, W)`` data units, N >= 2.

    Raises:
        ValueError: when there are fewer than two finite frames, or a frame is too large for its covariance.
    """

    mean: Tensor
    power: Tensor
    axes: Tensor

    def __init__(self, train: Any) -> None:
        super().__init__()
        frames = _several(train)
        flat = frames.reshape(len(frames), -1)
        if flat.shape[1] > MOST_AXES:
            raise ValueError(f"frames of {flat.shape[1]} numbers are too large for a covariance, at most {MOST_AXES}")
        mean = flat.mean(axis=0)
        power, axes = np.linalg.eigh((flat - mean).T @ (flat - mean) / (len(flat) - 1))
        for name, values in (("mean", mean), ("power", np.maximum(power, 0.0)), ("axes", axes)):
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values)))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The best linear estimate; shapes as every denoiser's."""
        noise = sigma.to(self.power).reshape(-1, 1) ** 2
        coefficients = (x.to(self.mean).flatten(1) - self.mean) @ self.axes
        kept = coefficients * (self.power / (self.power + noise))
        return (self.mean + kept @ self.axes.T).reshape(x.shape).to(x.dtype)


class EmpiricalDenoiser(nn.Module):
    """The posterior mean over a finite set of frames: what a network does that knows its training set by heart.

    Source: Karras et al. 2022, arXiv:2206.00364, equation 57; :class:`reference_samplers.denoisers.PointData` on
    tensors, in bounded memory.

    Args:
        points: ``(M, C, H, W)`` data units.

    Raises:
        ValueError: when there are no finite frames.
    """

    center: Tensor
    points: Tensor

    def __init__(self, points: Any) -> None:
        super().__init__()
        flat = as_frames(points, "points").reshape(len(points), -1)
        center = flat.mean(axis=0)
        # About their mean, so that products of large values do not swallow the differences.
        self.register_buffer("center", torch.from_numpy(center))
        self.register_buffer("points", torch.from_numpy(flat - center))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The training frames, weighed by how near they are to ``x``; shapes as every denoiser's."""
        flat = x.to(self.points).flatten(1) - self.center
        variance = sigma.to(self.points).reshape(-1, 1) ** 2
        half_squares = 0.5 * (self.points**2).sum(dim=1)
        batch = max(1, MOST_SCORES // len(self.points))
        means = []
        for start in range(0, len(flat), batch):
            some = slice(start, start + batch)
            # -|x - p|^2 / 2, but for |x|^2 / 2, which all points share.
            scores = (flat[some] @ self.points.T - half_squares) / variance[some]
            means.append(torch.softmax(scores, dim=1) @ self.points)
        return (self.center + torch.cat(means)).reshape(x.shape).to(x.dtype)


def linear_filters(train: Any) -> tuple[nn.Module, ...]:
    """The linear filters that so many frames can support.

    Args:
        train: ``(N, C, H, W)`` data units, N >= 2.

    Raises:
        ValueError: when there are fewer than two finite frames.
    """
    frames = _several(train)
    size = int(np.prod(frames.shape[1:]))
    if size <= MOST_AXES and len(frames) >= FRAMES_PER_AXIS * size:
        return FrequencyFilter(frames), PrincipalFilter(frames)
    return (FrequencyFilter(frames),)


def _several(train: Any) -> Array:
    frames = as_frames(train, "train")
    if len(frames) < 2:
        raise ValueError("train holds one frame: a linear filter needs at least two to see what varies")
    return frames


def _cosines(size: int) -> Array:
    """``(size, size)`` orthonormal cosine transform, type II."""
    place, frequency = np.arange(size) + 0.5, np.arange(size)[:, None]
    matrix: Array = np.sqrt(2.0 / size) * np.cos(np.pi * frequency * place / size)
    matrix[0] /= np.sqrt(2.0)
    return matrix


def _ring_means(power: Array) -> Array:
    """``(H, W)`` each coefficient's mean over those at its distance from frequency zero."""
    height, width = power.shape
    radius = np.hypot(np.arange(height)[:, None] / height, np.arange(width)[None, :] / width)
    rings = np.rint(radius * max(height, width)).astype(int)
    rings[0, 0] = 0
    means: Array = np.bincount(rings.ravel(), power.ravel()) / np.maximum(np.bincount(rings.ravel()), 1)
    around: Array = means[rings]
    return around
