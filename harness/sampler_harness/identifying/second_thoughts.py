"""Candidates that are looked at where none of the first has the law: named tables, clamps, one number more."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from reference_samplers.processes.rectified_flow import RectifiedFlow

from .chains import on_a_chain, on_a_named_chain
from .fitting import HOPELESS, law_off, off, roughly_off
from .made import made
from .numbers import shortest
from .observed import Observed
from .steps import Steps

__all__ = ["clamped", "on_named_chains", "on_other_tables", "solved"]

#: Quantiles that dynamic thresholding is made at.
_QUANTILES = (0.995, 0.9, 0.95, 0.99, 0.75)


def clamped(seen: Observed, tried: Sequence[Any]) -> Iterator[Any]:
    """What has the law of small values, with clamps that large ones show.

    Args:
        seen: the sampler's runs.
        tried: what was looked at.
    """
    if not seen.is_affine:
        for config in tried:
            if "clip_denoised" in config.values() and law_off(seen, config) <= 1.0:
                yield from _clamped(seen, config)


def solved(seen: Observed, tried: Sequence[Any]) -> Iterator[Any]:
    """Networks and boundaries with a number that no single step says well.

    Args:
        seen: the sampler's runs.
        tried: what was looked at.
    """
    for config in tried:
        if not isinstance(config, RectifiedFlow):
            yield from _solved(seen, config)


def on_other_tables(seen: Observed, tried: Sequence[Any]) -> Iterator[Any]:
    """Chains on tables that have no name.

    Args:
        seen: the sampler's runs.
        tried: what was looked at.
    """
    with np.errstate(all="ignore"):
        found = list(on_a_chain(Steps(seen.law), learned_variance=seen.learned_variance, named=False))
    yield from found
    yield from clamped(seen, found)


def on_named_chains(seen: Observed, tried: Sequence[Any]) -> Iterator[Any]:
    """Chains whose steps do not say how much signal there is, on every table that has a name.

    Args:
        seen: the sampler's runs.
        tried: what was looked at.
    """
    found = list(on_a_named_chain(Steps(seen.law), learned_variance=seen.learned_variance))
    yield from found
    yield from clamped(seen, found)


def _clamped(seen: Observed, config: Any) -> Iterator[Any]:
    """The same with predicted data clamped, where large values agree: to ±1, to the largest sample, at a quantile."""
    if seen.dense is None:
        return
    values = config.values()
    largest = float(np.abs(seen.dense.rows[-1]).max())
    ways: list[dict[str, Any]] = [
        {"clip_denoised": True, "clip_range": reach}
        for reach in dict.fromkeys((1.0, shortest(largest, 2e-4 * largest)))
    ]
    ways += [{"threshold": quantile, "threshold_max": most} for quantile in _QUANTILES for most in (1.0, float("inf"))]
    for way in ways:
        for rederive in (True, False) if "rederive_epsilon" in values else (None,):
            more = {} if rederive is None else {"rederive_epsilon": rederive}
            for other in made(type(config), {**values, **way, **more}):
                if off(seen, other) <= 1.0:
                    yield other
                    return


def _solved(seen: Observed, config: Any) -> Iterator[Any]:
    """One number that no single step says well, solved for over the whole law.

    A network's ``sigma_data``, where levels are far above it, and the scale of timesteps in a consistency model's
    boundary.
    """
    from scipy.optimize import minimize_scalar

    values = config.values()
    name = "timestep_scaling" if "timestep_scaling" in values else "sigma_data"
    if name == "sigma_data" and values.get("model_kind") != "network":
        return
    if not np.isfinite(roughly_off(seen, config)):
        return

    def far(logarithm: float) -> float:
        changed: dict[str, Any] = {name: float(np.exp(logarithm))}
        return roughly_off(seen, dataclasses.replace(config, **changed))

    starts = np.log(values[name]) + np.linspace(-7, 2, 28)
    begun = starts[int(np.argmin([far(float(one)) for one in starts]))]
    solved = minimize_scalar(far, bounds=(begun - 0.4, begun + 0.4), method="bounded", options={"xatol": 1e-9})
    if solved.fun < HOPELESS:
        value = float(np.exp(solved.x))
        for known in (1e-2, 3e-4, 1e-5):
            changed: dict[str, Any] = {name: shortest(value, known * value)}
            found = dataclasses.replace(config, **changed)
            if off(seen, found) <= 1.0:
                yield found
                return
