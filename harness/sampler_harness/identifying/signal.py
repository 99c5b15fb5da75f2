"""How much signal x holds at each model call, read off the steps of a process whose variance is kept.

``x' = alpha' x0 + w epsilon + c z`` keeps ``alpha'^2 + w^2 + c^2 = 1`` in every method on a chain, ancestral or not,
and in the scaled input of a network on noise levels. With what the output predicts, one step then says where it begins:
from epsilon ``sigma = (1 - g^2 - h^2 - c^2) / (2 g h)``, where g is the weight of x, h that of the output.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from reference_samplers.processes.betas import cosine_betas
from sampler_harness.law.response import Array

from .steps import Step

__all__ = ["ChainPrediction", "renoised", "signals_of", "turns"]

ChainPrediction = Literal["epsilon", "x0", "v"]

#: How near to the signal's scale where runs end it is behind the last step, for the run to end there.
NEAR_END = 5e-4
#: Ends that are nearer to each other than this are one.
SAME_END = 2e-6
#: How far the identity of a step may be missed.
MISSED = 2e-3
#: Variance below which a step keeps none of the noise: rounding leaves as much of a difference.
NO_NOISE = 3e-7
#: Angles of v at which runs end: data, and the first entries of tables with a name.
ENDS = (0.0, *(float(np.arcsin(np.sqrt(beta))) for beta in (1e-4, 0.00085, float(cosine_betas(1000)[0]))))


def signals_of(steps: Sequence[Step], prediction: ChainPrediction) -> Iterator[Array]:
    """The scale of the signal, alpha, at every call and behind the last one, in each way that the steps allow.

    DDPM with a larger variance keeps no variance, and has the signal that its mean says: with epsilon it is read back
    from data, where the run ends.

    Args:
        steps: each of one call, one behind the other.
        prediction: what an output stands for.

    Yields:
        ``(K + 1,)``; NaN at the first call where its output alone is kept of it.
    """
    kept = np.array([step.kept for step in steps])
    weight = np.array([float(step.weights[0]) for step in steps])
    fresh = np.array([step.fresh for step in steps])
    with np.errstate(all="ignore"):
        if prediction == "v":
            found = [_by_angles(kept, weight, fresh, end) for end in ENDS]
        elif prediction == "epsilon":
            found = [*_from_epsilon(kept, (1 - kept**2 - weight**2 - fresh**2) / (2 * kept * weight))]
        else:
            found = [_from_x0(kept, weight, (1 - kept**2 - weight**2 - fresh**2) / (2 * kept * weight))]
        held = [one for one in found if one is not None and _holds(one, kept, weight, fresh, prediction)]
        yield from held
        if prediction == "epsilon" and not held:
            carried = np.concatenate([[1.0], np.cumprod(kept)])
            ends_in_data = carried / carried[-1]
            if np.isfinite(ends_in_data).all() and (np.diff(ends_in_data) > 0).all() and ends_in_data[0] > 0:
                yield ends_in_data


def renoised(steps: Sequence[Step]) -> Array | None:
    """The same of steps that predict the data and noise it anew: their fresh noise is all that there is.

    Args:
        steps: each of one call, one behind the other.

    Returns:
        ``(K + 1,)``, NaN at the first call, of which nothing is kept; None where a step draws none.
    """
    fresh = np.array([step.fresh for step in steps[:-1]])
    if not fresh.size or (fresh <= 0).any() or (fresh > 1 + MISSED).any():
        return None
    alpha = np.sqrt(np.maximum(1 - fresh**2, 0))
    return np.concatenate([[np.nan], alpha, [1.0]]) if (np.diff(alpha) > 0).all() else None


def _from_epsilon(kept: Array, sigma: Array) -> Iterator[Array]:
    """The signal of the step that says it best, carried on by ``alpha' = g alpha``; so that it ends where runs end."""
    carried = np.concatenate([[1.0], np.cumprod(kept)])
    if not np.isfinite(carried).all() or (carried <= 0).any():
        return
    known = np.flatnonzero(np.isfinite(sigma) & (sigma > 0) & (sigma < 1))
    if known.size == 0:
        if len(kept) == 1:
            yield carried / carried[-1]
        return
    best = known[np.abs(sigma[known] ** 2 - 0.5).argmin()]
    alpha = np.sqrt(1 - sigma[best] ** 2) * carried / carried[best]
    ends = [float(np.cos(end)) for end in ENDS if abs(alpha[-1] - np.cos(end)) <= NEAR_END]
    for end in ends:
        yield end * carried / carried[-1]
    if alpha[-1] <= 1 + MISSED and all(abs(alpha[-1] - end) > SAME_END for end in ends):
        yield alpha


def _from_x0(kept: Array, weight: Array, alpha: Array) -> Array | None:
    """Each step says where it begins, but one that keeps nothing of x; ``alpha' = g alpha + h`` where it ends."""
    found = np.append(alpha, np.nan)
    for k in range(len(kept)):
        if kept[k] == 0:
            found[k + 1] = weight[k]
            if k and not np.isfinite(found[k]):
                return None
        elif np.isfinite(found[k]) and not np.isfinite(found[k + 1]):
            found[k + 1] = kept[k] * found[k] + weight[k]
    if kept[0] == 0:
        found[0] = np.nan
    return found if np.isfinite(found[1:]).all() else None


def turns(steps: Sequence[Step], alpha: Array) -> bool:
    """Whether steps of a model of v lead from each signal to the next: they say no angle, and by how much it turns.

    Args:
        steps: each of one call, one behind the other; of the last one it is not asked where it leads.
        alpha: ``(K,)`` the signal at each call.
    """
    with np.errstate(all="ignore"):
        here, there = np.arccos(np.clip(alpha[:-1], 0, 1)), np.arccos(np.clip(alpha[1:], 0, 1))
        fresh = np.array([step.fresh for step in steps[:-1]])
        kept = np.sqrt(np.maximum(np.sin(there) ** 2 - fresh**2, 0))
        told = np.arctan2(kept, np.cos(there)) - here
        turned = np.arctan2([float(step.weights[0]) for step in steps[:-1]], [step.kept for step in steps[:-1]])
        # A root of next to nothing is not known.
        unsure = np.where(kept**2 < 1e-4, 1e-2, 0.0)
    return bool(np.isfinite(told).all() and (np.abs(told - turned) <= MISSED + unsure).all())


def _by_angles(kept: Array, weight: Array, fresh: Array, end: float) -> Array | None:
    """A step turns x and v: angles add up to where the run ends.

    Args:
        kept: weight of x in every step.
        weight: of the output.
        fresh: std of fresh noise.
        end: angle behind the last step, 0 for data.
    """
    angle = end
    found = [float(np.cos(end))]
    for g, h, c in zip(kept[::-1], weight[::-1], fresh[::-1], strict=True):
        size = np.sqrt(1 - c**2)
        if not size > 0 or abs(g**2 + h**2 - size**2) > MISSED:
            return None
        # Of the noise there, what is not fresh is kept; next to none is none, whose root would be some.
        left = np.sin(angle) ** 2 - c**2
        angle = float(np.arctan2(np.sqrt(left) if left > NO_NOISE else 0.0, np.cos(angle)) - np.arctan2(h, g))
        if not -1e-6 <= angle <= np.pi / 2 + 1e-3:
            return None
        found.append(float(np.cos(angle)))
    return np.array(found[::-1])


def _holds(alpha: Array, kept: Array, weight: Array, fresh: Array, prediction: ChainPrediction) -> bool:
    """Whether every step keeps the variance, and the signal grows."""
    if prediction == "v":
        return bool((np.diff(alpha) > -1e-6).all())
    begin = alpha[:-1]
    sigma = np.sqrt(np.maximum(1 - begin**2, 0))
    if prediction == "epsilon":
        ends, noise = kept * begin, kept * sigma + weight
    else:
        begin = np.where(np.isfinite(begin), begin, 0.0)
        ends, noise = kept * begin + weight, kept * np.where(np.isfinite(sigma), sigma, 1.0)
    inside = bool(((alpha[np.isfinite(alpha)] >= -1e-9) & (alpha[np.isfinite(alpha)] <= 1 + MISSED)).all())
    missed = np.abs(ends**2 + noise**2 + fresh**2 - 1)
    grows = bool((np.diff(alpha[np.isfinite(alpha)]) > -1e-6).all())
    return inside and grows and bool((missed <= MISSED).all())
