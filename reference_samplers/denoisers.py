"""Data distributions whose posterior mean has a closed form: what the perfect network would answer.

Each takes ``x = x0 + sigma * epsilon`` of shape ``(B, *D)`` and gives the mean of x0 given x, in the same shape;
an item is flattened to d numbers. They are skewed, off-center and anisotropic on purpose: symmetric data hides
mistakes of sign, mean and scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from . import validation
from .openings import Array

__all__ = ["GaussianData", "MixtureData", "PointData"]

_INFINITY = float("inf")


def _matrix(name: str, value: object, rows: int | None = None, columns: int | None = None) -> Array:
    """A finite float64 matrix of a given shape.

    Raises:
        ValueError: names field and shape.
    """
    matrix: Array = np.array(value, dtype=np.float64)
    shape = f"({rows or 'M'}, {columns or 'd'})"
    fits = matrix.ndim == 2 and (rows or matrix.shape[0]) == matrix.shape[0] and matrix.size > 0
    if not fits or (columns or matrix.shape[1]) != matrix.shape[1] or not np.isfinite(matrix).all():
        raise ValueError(f"{name} must be a finite matrix of shape {shape}, got shape {matrix.shape}")
    return matrix


def _flat(x: Array, size: int) -> Array:
    items = np.asarray(x, dtype=np.float64).reshape(np.shape(x)[0], -1)
    if items.shape[1] != size:
        raise ValueError(f"x must have items of {size} numbers, got shape {np.shape(x)}")
    return items


def _softmax(scores: Array) -> Array:
    """Shares of the exponentials along the last axis."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Array = weights / weights.sum(axis=-1, keepdims=True)
    return shares


@dataclass(frozen=True, eq=False)
class GaussianData:
    """A Gaussian, off-center and anisotropic: the one case in which the whole process has a closed form.

    Args:
        mean: ``(d,)`` data units.
        covariance: ``(d, d)`` symmetric, no negative eigenvalue; data units squared.

    Raises:
        ValueError: names field, value and what is legal.
    """

    mean: Any
    covariance: Any

    def __post_init__(self) -> None:
        mean = np.array(self.mean, dtype=np.float64)
        if mean.ndim != 1 or mean.size == 0 or not np.isfinite(mean).all():
            raise ValueError(f"mean must be a finite vector of shape (d,), got shape {mean.shape}")
        covariance = _matrix("covariance", self.covariance, mean.size, mean.size)
        if not np.allclose(covariance, covariance.T, rtol=0.0, atol=1e-12 * np.abs(covariance).max()):
            raise ValueError("covariance must be symmetric")
        if np.linalg.eigvalsh(covariance)[0] < -1e-12 * np.abs(covariance).max():
            raise ValueError("covariance must have no negative eigenvalue")
        validation.store(self, "mean", mean)
        validation.store(self, "covariance", covariance)

    @cached_property
    def _axes(self) -> tuple[Array, Array]:
        variances, axes = np.linalg.eigh(self.covariance)
        return np.maximum(variances, 0.0), axes

    def _stretch(self, x: Array, factors: Array) -> Array:
        """Scale what is off the mean along each principal axis."""
        _, axes = self._axes
        off = _flat(x, self.mean.size) - self.mean
        stretched: Array = self.mean + ((off @ axes) * factors) @ axes.T
        return stretched.reshape(np.shape(x))

    def __call__(self, x: Array, sigma: float) -> Array:
        """The posterior mean: each axis shrinks by ``variance / (variance + sigma^2)``.

        Args:
            x: ``(B, *D)`` noisy items.
            sigma: noise level, data units, >= 0; at 0 this is x itself.
        """
        variances, _ = self._axes
        if sigma == 0:
            return np.array(x, dtype=np.float64)
        return self._stretch(x, variances / (variances + sigma**2))

    def flow(self, x: Array, sigma_from: float, sigma_to: float) -> Array:
        """The exact solution of the probability-flow ODE dx/dsigma = (x - D(x; sigma)) / sigma.

        Source: Karras et al. 2022, arXiv:2206.00364, equation 1, solved for this distribution: off the mean, each
        axis keeps its place in units of its own standard deviation.

        Args:
            x: ``(B, *D)`` at level ``sigma_from``.
            sigma_from: data units, > 0.
            sigma_to: data units, >= 0.
        """
        variances, _ = self._axes
        return self._stretch(x, np.sqrt((variances + sigma_to**2) / (variances + sigma_from**2)))


@dataclass(frozen=True, eq=False)
class MixtureData:
    """A mixture of isotropic Gaussians.

    Args:
        weights: ``(M,)`` > 0; they are brought to sum 1.
        means: ``(M, d)`` data units.
        stds: ``(M,)`` >= 0, data units.

    Raises:
        ValueError: names field, value and what is legal.
    """

    weights: Any
    means: Any
    stds: Any

    def __post_init__(self) -> None:
        means = _matrix("means", self.means)
        weights = np.array(validation.checked_reals("weights", self.weights, 0, _INFINITY, above=True))
        stds = np.array(validation.checked_reals("stds", self.stds, 0, _INFINITY))
        for name, values in (("weights", weights), ("stds", stds)):
            if values.size != len(means):
                raise ValueError(f"{name} must have one number for each of {len(means)} means, got {values.size}")
        validation.store(self, "weights", weights / weights.sum())
        validation.store(self, "means", means)
        validation.store(self, "stds", stds)

    def __call__(self, x: Array, sigma: float) -> Array:
        """The posterior mean: that of each component, weighed by how likely it made x.

        Args:
            x: ``(B, *D)`` noisy items.
            sigma: noise level, data units, > 0.
        """
        size = self.means.shape[1]
        off = _flat(x, size)[:, None, :] - self.means  # (B, M, d)
        variances = self.stds**2 + sigma**2  # (M,) of x around each mean
        log_likelihood = -0.5 * (off**2).sum(axis=2) / variances - 0.5 * size * np.log(variances)
        shares = _softmax(np.log(self.weights) + log_likelihood)  # (B, M)
        posterior_means = self.means + (self.stds**2 / variances)[:, None] * off
        mean: Array = (shares[:, :, None] * posterior_means).sum(axis=1)
        return mean.reshape(np.shape(x))


@dataclass(frozen=True, eq=False)
class PointData:
    """A finite set of equally likely points: the training set itself, as a network that knows it by heart sees it.

    Source: Karras et al. 2022, arXiv:2206.00364, equation 57 (appendix B.3).

    Args:
        points: ``(M, d)`` data units.

    Raises:
        ValueError: names field, value and what is legal.
    """

    points: Any

    def __post_init__(self) -> None:
        validation.store(self, "points", _matrix("points", self.points))

    def __call__(self, x: Array, sigma: float) -> Array:
        """The posterior mean: the points, weighed by how near to x they are in units of ``sigma``.

        Args:
            x: ``(B, *D)`` noisy items.
            sigma: noise level, data units, > 0.
        """
        off = _flat(x, self.points.shape[1])[:, None, :] - self.points  # (B, M, d)
        shares = _softmax(-0.5 * (off**2).sum(axis=2) / sigma**2)  # (B, M)
        mean: Array = shares @ self.points
        return mean.reshape(np.shape(x))
