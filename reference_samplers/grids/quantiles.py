"""Quantiles of distributions of time: where a share of the training, or of the importance, lies below."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from reference_samplers.openings import Array

__all__ = ["beta_quantiles", "logit_normal_quantiles"]


def beta_quantiles(shares: Array, alpha: float, beta: float) -> Array:
    """Quantiles of a beta distribution.

    Source: Lee et al. 2024, arXiv:2407.12173, whose both parameters are 0.6.

    Args:
        shares: in [0, 1].
        alpha: > 0; below 1 there are many at 0.
        beta: > 0; below 1 there are many at 1.

    Returns:
        In [0, 1], as many.
    """
    from scipy import stats  # here alone: the other references need numpy and nothing else

    return np.asarray(stats.beta.ppf(shares, alpha, beta))


def logit_normal_quantiles(shares: Array, mean: float, std: float) -> Array:
    """Quantiles of a time whose ln(t / (1 - t)) is normal.

    Source: Esser et al. 2024, arXiv:2403.03206, equation 19.

    Args:
        shares: in [0, 1].
        mean: of the logit.
        std: of the logit, > 0.

    Returns:
        In [0, 1], as many; 0 and 1 themselves at the ends.
    """
    inner = [NormalDist().inv_cdf(float(share)) if 0 < share < 1 else float("inf") * (share - 0.5) for share in shares]
    logits = mean + std * np.array(inner)
    times: Array = 1 / (1 + np.exp(-logits))
    return times
