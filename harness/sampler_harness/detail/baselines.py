"""Denoisers that need frames but no training: what a network must beat, and what one that learned by heart does."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import ndimage
from scipy.fft import dct
from torch import Tensor, nn

from sampler_harness.detail.spectrum import Array, Spectrum, as_frames

__all__ = ["MOST_AXES", "EmpiricalDenoiser", "FrequencyFilter", "PrincipalFilter", "linear_error", "linear_filters"]

#: Numbers in a frame up to which its full covariance is estimated.
MOST_AXES = 1024
#: Frames for each number of a frame that such an estimate needs, so that it is not the noise of its own sample.
FRAMES_PER_AXIS = 2
#: Weight of a coefficient's neighbors at the same distance from frequency zero, in frames: a power that was estimated
#: from a handful of frames is mostly chance.
NEIGHBOR_FRAMES = 8
#: Scores of noisy frames against training frames that are held at once.
MOST_SCORES = 2**22


class _LinearFilter(nn.Module):
    """The best linear estimate where coefficients are uncorrelated: each shrinks by the share of noise in it.

    Args:
        mean: ``(C, H, W)`` about which coefficients are taken, data units; frames are given that shape first.
        power: variance of each coefficient, data units squared.
        rows: ``(H, H)`` orthonormal transform along columns of pixels.
        columns: ``(W, W)`` the same along rows of pixels.
    """

    mean: Tensor
    power: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, *, mean: Array, power: Array, rows: Array, columns: Array) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("power", power), ("rows", rows), ("columns", columns)):
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values)))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The estimate; shapes as every denoiser's."""
        noise = sigma.to(self.power).reshape(-1, 1, 1, 1) ** 2
        coefficients = self.rows @ (x.to(self.mean).reshape(-1, *self.mean.shape) - self.mean) @ self.columns.T
        kept = coefficients * (self.power / (self.power + noise))
        return (self.mean + self.rows.T @ kept @ self.columns).reshape(x.shape).to(x.dtype)


class FrequencyFilter(_LinearFilter):
    """Wiener's filter on the cosine transform.

    Source: Wiener 1949; the cosine transform has no jump at the border, where frames do not repeat.

    Args:
        train: ``(N, C, H, W)`` data units, N >= 2: mean and power of each coefficient are estimated from them.

    Raises:
        ValueError: when there are fewer than two finite frames.
    """

    def __init__(self, train: Any) -> None:
        frames = _several(train)
        mean = frames.mean(axis=0)
        rows, columns = (dct(np.eye(size), axis=0, norm="ortho") for size in frames.shape[2:])
        number = len(frames)
        own = ((rows @ (frames - mean) @ columns.T) ** 2).sum(axis=0) / (number - 1)
        around = np.stack([_ring_means(channel) for channel in own])
        power = (number * own + NEIGHBOR_FRAMES * around) / (number + NEIGHBOR_FRAMES)
        super().__init__(mean=mean, power=power, rows=rows, columns=columns)


class PrincipalFilter(_LinearFilter):
    """The best linear estimate there is: along the principal axes of whole frames.

    Args:
        train: ``(N, C, H, W)`` data units, N >= 2.

    Raises:
        ValueError: when there are fewer than two finite frames, or a frame is too large for its covariance.
    """

    def __init__(self, train: Any) -> None:
        flat = _several(train).reshape(len(train), 1, 1, -1)
        size = flat.shape[3]
        if size > MOST_AXES:
            raise ValueError(f"frames of {size} numbers are too large for a covariance, at most {MOST_AXES}")
        power, axes = np.linalg.eigh(np.cov(flat.reshape(-1, size).T).reshape(size, size))
        super().__init__(mean=flat.mean(axis=0), power=np.maximum(power, 0.0), rows=np.eye(1), columns=axes.T)


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


def linear_error(spectrum: Spectrum, sigma: float) -> float:
    """Relative denoising error of the best linear, shift-invariant filter at a noise level.

    Source: Wiener's filter P / (P + sigma²), which leaves P sigma² / (P + sigma²) of each coefficient.

    Args:
        spectrum: of the data.
        sigma: noise level, data units.
    """
    left = spectrum.power * sigma**2 / (spectrum.power + sigma**2)
    return float((spectrum.count * left).sum() / (spectrum.count * spectrum.power).sum())


def _several(train: Any) -> Array:
    frames = as_frames(train, "train")
    if len(frames) < 2:
        raise ValueError("train holds one frame: a linear filter needs at least two to see what varies")
    return frames


def _ring_means(power: Array) -> Array:
    """``(H, W)`` each coefficient's mean over those at its distance from frequency zero."""
    height, width = power.shape
    radius = np.hypot(np.arange(height)[:, None] / height, np.arange(width)[None, :] / width)
    rings = np.rint(radius * max(height, width)).astype(int)
    means: Array = ndimage.mean(power, labels=rings, index=rings)
    return means
