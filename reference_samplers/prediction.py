"""What a network predicts, and how to get from one prediction to another.

Everywhere ``x = signal_scale * x0 + noise_scale * epsilon``. The scales are numbers, or arrays that broadcast
against ``x``; x0 is in data units, epsilon is a unit normal.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .openings import Array

__all__ = [
    "PREDICTIONS",
    "Prediction",
    "c_in",
    "c_noise",
    "c_out",
    "c_skip",
    "epsilon_from_x0",
    "flow_from_x0",
    "from_x0",
    "score_from_x0",
    "to_x0",
    "v_from_x0",
    "x0_from_epsilon",
    "x0_from_flow",
    "x0_from_score",
    "x0_from_v",
]

Prediction = Literal["x0", "epsilon", "v", "flow", "score"]

PREDICTIONS: tuple[Prediction, ...] = ("x0", "epsilon", "v", "flow", "score")


def x0_from_epsilon(x: Array, epsilon: Array, signal_scale: Any, noise_scale: Any) -> Array:
    """Take the predicted noise away and undo the scale; undefined where ``signal_scale`` is 0.

    Source: Ho et al. 2020, arXiv:2006.11239, equation 15.
    """
    x0: Array = (x - noise_scale * epsilon) / signal_scale
    return x0


def epsilon_from_x0(x: Array, x0: Array, signal_scale: Any, noise_scale: Any) -> Array:
    """The noise that is left when the predicted data is taken away; undefined where ``noise_scale`` is 0."""
    epsilon: Array = (x - signal_scale * x0) / noise_scale
    return epsilon


def x0_from_v(x: Array, v: Array, signal_scale: Any, noise_scale: Any) -> Array:
    """Turn the velocity ``v = signal_scale * epsilon - noise_scale * x0`` back.

    Source: Salimans & Ho 2022, arXiv:2202.00512, appendix D, where the squares of the scales add up to 1.
    """
    power = signal_scale**2 + noise_scale**2
    x0: Array = (signal_scale * x - noise_scale * v) / power
    return x0


def v_from_x0(x: Array, x0: Array, signal_scale: Any, noise_scale: Any) -> Array:
    """The velocity, from the data and what it implies for the noise; undefined where ``noise_scale`` is 0."""
    v: Array = signal_scale * epsilon_from_x0(x, x0, signal_scale, noise_scale) - noise_scale * x0
    return v


def x0_from_flow(x: Array, flow: Array, signal_scale: Any, noise_scale: Any) -> Array:
    """Turn the flow ``epsilon - x0`` back.

    Source: Liu et al. 2022, arXiv:2209.03003, equation 1, with noise where that paper has its first end.
    """
    x0: Array = (x - noise_scale * flow) / (signal_scale + noise_scale)
    return x0


def flow_from_x0(x: Array, x0: Array, signal_scale: Any, noise_scale: Any) -> Array:
    """The flow, from the data and what it implies for the noise; undefined where ``noise_scale`` is 0."""
    return epsilon_from_x0(x, x0, signal_scale, noise_scale) - x0


def x0_from_score(x: Array, score: Array, signal_scale: Any, noise_scale: Any) -> Array:
    """Follow the gradient of x's log-density back to the data; undefined where ``signal_scale`` is 0.

    Source: Song et al. 2021, arXiv:2011.13456, equation 1: given x0 the score of x is ``-epsilon / noise_scale``.
    """
    x0: Array = (x + noise_scale**2 * score) / signal_scale
    return x0


def score_from_x0(x: Array, x0: Array, signal_scale: Any, noise_scale: Any) -> Array:
    """The score, from the data; undefined where ``noise_scale`` is 0."""
    score: Array = (signal_scale * x0 - x) / noise_scale**2
    return score


def to_x0(prediction: Prediction, x: Array, output: Array, signal_scale: Any, noise_scale: Any) -> Array:
    """The data that a network's output stands for.

    Args:
        prediction: what the network predicts.
        x: the noisy sample, of any shape.
        output: what the network gave, shaped like ``x``.
        signal_scale: of ``x``, >= 0.
        noise_scale: of ``x``, >= 0.

    Returns:
        x0, shaped like ``x``, data units.

    Raises:
        ValueError: for an unknown kind.
    """
    if prediction == "x0":
        return output
    if prediction == "epsilon":
        return x0_from_epsilon(x, output, signal_scale, noise_scale)
    if prediction == "v":
        return x0_from_v(x, output, signal_scale, noise_scale)
    if prediction == "flow":
        return x0_from_flow(x, output, signal_scale, noise_scale)
    if prediction == "score":
        return x0_from_score(x, output, signal_scale, noise_scale)
    raise ValueError(f"prediction must be one of {', '.join(PREDICTIONS)}, got {prediction!r}")


def from_x0(prediction: Prediction, x: Array, x0: Array, signal_scale: Any, noise_scale: Any) -> Array:
    """What a network would have to give for this data: the inverse of :func:`to_x0`.

    Args:
        prediction: what the network predicts.
        x: the noisy sample, of any shape.
        x0: the data, shaped like ``x``.
        signal_scale: of ``x``, >= 0.
        noise_scale: of ``x``, > 0.

    Returns:
        The output, shaped like ``x``.

    Raises:
        ValueError: for an unknown kind.
    """
    if prediction == "x0":
        return x0
    if prediction == "epsilon":
        return epsilon_from_x0(x, x0, signal_scale, noise_scale)
    if prediction == "v":
        return v_from_x0(x, x0, signal_scale, noise_scale)
    if prediction == "flow":
        return flow_from_x0(x, x0, signal_scale, noise_scale)
    if prediction == "score":
        return score_from_x0(x, x0, signal_scale, noise_scale)
    raise ValueError(f"prediction must be one of {', '.join(PREDICTIONS)}, got {prediction!r}")


# Karras et al. 2022, arXiv:2206.00364, table 1, column "Ours": D(x; sigma) = c_skip x + c_out F(c_in x; c_noise).


def c_skip(sigma: Any, sigma_data: float) -> Any:
    """How much of its input the denoiser keeps (Karras et al. 2022, table 1)."""
    return sigma_data**2 / (sigma**2 + sigma_data**2)


def c_out(sigma: Any, sigma_data: float) -> Any:
    """What the network's output is multiplied by (Karras et al. 2022, table 1)."""
    return sigma * sigma_data / np.sqrt(sigma**2 + sigma_data**2)


def c_in(sigma: Any, sigma_data: float) -> Any:
    """What makes the network's input have unit variance (Karras et al. 2022, table 1)."""
    return 1 / np.sqrt(sigma**2 + sigma_data**2)


def c_noise(sigma: Any) -> Any:
    """How the network is told the noise level (Karras et al. 2022, table 1)."""
    return np.log(sigma) / 4
