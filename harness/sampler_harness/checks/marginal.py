"""What a law does to a Gaussian: mean and variance of each row under an exact model, and what the process has there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sampler_harness.law.law import Law
from sampler_harness.law.response import Array

__all__ = ["Marginal", "exact", "propagate", "seen_scales"]


@dataclass(frozen=True)
class Marginal:
    """One row's distribution in one direction: mean and the weights of the unit normals."""

    mean: float
    weights: Array

    @property
    def variance(self) -> float:
        """Sum of squared weights."""
        return float(self.weights @ self.weights)


def propagate(
    law: Law, network: Callable[[Callable[[Any, float], Any]], Any], mean: float, variance: float
) -> list[Marginal]:
    """Every row's mean and noise weights when the model is exact for one Gaussian direction.

    Args:
        law: the measured law.
        network: ``reference.network``: turns an exact denoiser into the model that the configuration expects.
        mean: of the data.
        variance: of the data.
    """

    def denoise(x: Any, sigma: float) -> Any:
        gain = variance / (variance + sigma**2)
        return mean + gain * (x - mean)

    model = network(denoise)
    calls = law.num_calls
    columns = law.factor.shape[1]
    rows = np.zeros((calls + 1, columns + 1))
    rows[:, 0] = law.offset
    rows[:, 1:] = law.factor
    answers = np.zeros((calls, columns + 1))
    for k in range(calls + 1):
        if k:
            rows[k] += law.outputs[k, :k] @ answers[:k]
        if k < calls:
            # The model is affine: two evaluations give it exactly.
            at_zero, at_one = (np.asarray(_predicted(model(np.array([v]), law.times[k])))[0] for v in (0.0, 1.0))
            answers[k] = (at_one - at_zero) * rows[k]
            answers[k, 0] += at_zero
    return [Marginal(float(row[0]), row[1:]) for row in rows]


def _predicted(answer: Any) -> Any:
    """The prediction of a model that may return variance values beside it."""
    return answer[0] if isinstance(answer, tuple) else answer


def seen_scales(config: Any, time: float) -> tuple[float, float]:
    """(signal_scale, noise_scale) of what the model sees at a time, read off the exact network.

    The network hands its denoiser ``x / signal`` and ``sigma = noise / signal``; one call tells both.
    """
    told: list[tuple[float, float]] = []

    def denoise(x: Any, sigma: float) -> Any:
        told.append((float(np.asarray(x).reshape(-1)[0]), float(sigma)))
        return np.zeros_like(x)

    config.network(denoise)(np.ones(1), time)
    unscaled, sigma = told[0]
    return 1.0 / unscaled, sigma / unscaled


def exact(
    start: Marginal,
    stop: tuple[float, float],
    begin: tuple[float, float],
    mean: float,
    variance: float,
    lam: float,
) -> tuple[float, float]:
    """Exact mean and variance at the level ``stop`` of the process started from ``start`` at the level ``begin``.

    In the variable x / signal with sigma = noise / signal: dx = (1 + lam^2)/2 of the reverse drift, lam^2 of its
    noise. The distance to the mean contracts by ((V + sigma_stop^2) / (V + sigma_begin^2))^((1 + lam^2) / 2), the
    excess of variance over the stationary one by its square.

    Args:
        start: the first row's distribution, as the model sees it.
        stop: (signal, noise) scales where the process is looked at.
        begin: the same where it starts.
        mean: of the data.
        variance: V, of the data.
        lam: 0 for the ODE, 1 for the full reverse process.
    """
    sigma_begin, sigma_stop = begin[1] / begin[0], stop[1] / stop[0]
    ratio = (variance + sigma_stop**2) / (variance + sigma_begin**2)
    first_mean, first_variance = start.mean / begin[0], start.variance / begin[0] ** 2
    contraction = ratio ** ((1 + lam**2) / 2)
    exact_mean = mean + contraction * (first_mean - mean)
    excess = first_variance - (variance + sigma_begin**2)
    exact_variance = variance + sigma_stop**2 + contraction**2 * excess if lam else contraction**2 * first_variance
    return exact_mean * stop[0], exact_variance * stop[0] ** 2
