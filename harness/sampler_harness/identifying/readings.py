"""What a model is told of the noise in x, and what it predicts: each way that the law allows, as noise levels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reference_samplers import prediction
from sampler_harness.law.response import Array

from .noise_levels import Reading
from .numbers import agreeing, shortest
from .signal import ChainPrediction, signals_of
from .steps import Steps
from .tables import table_of, tables_of, tables_that_turn

__all__ = ["readings", "signal_at_calls"]

#: Below this share of signal one step alone does not say how much noise there is.
DROWNED = 0.02
_PREDICTIONS: tuple[ChainPrediction, ...] = ("epsilon", "v", "x0")


def readings(steps: Steps) -> Iterator[Reading]:
    """Noise levels at every call.

    Args:
        steps: of a law.
    """
    told = steps.law.times
    ones = np.ones(steps.calls + 1)
    if (told > 0).all():
        yield Reading(told, {}, ones, np.zeros(steps.calls), np.ones(steps.calls))
    with np.errstate(all="ignore"):
        sigma = np.exp(4 * told)
    if np.isfinite(sigma).all() and float(sigma.max()) < 1e6:
        for sigma_data in dict.fromkeys(_sigma_data(steps, sigma)):
            seen = np.append(prediction.c_in(sigma, sigma_data), 1.0)
            skip, out = prediction.c_skip(sigma, sigma_data), prediction.c_out(sigma, sigma_data)
            yield Reading(sigma, {"model_kind": "network", "sigma_data": sigma_data}, seen, skip, out)
    if np.isfinite(sigma).all() and float(sigma.max()) < 1e6:
        size = abs(float(steps.single[-1].weights[0]))
        for sigma_data in dict.fromkeys((16.0, shortest(size * float(np.sqrt(1 + sigma[-1] ** -2)), 1e-5 * size))):
            if sigma_data > 0:
                levels = sigma_data * sigma
                seen = np.append(prediction.c_in(levels, sigma_data), 1.0)
                skip, out = prediction.c_skip(levels, sigma_data), prediction.c_out(levels, sigma_data)
                yield Reading(levels, {"model_kind": "network", "sigma_data": sigma_data}, seen, skip, out, True)
    for kind in _PREDICTIONS:
        for levels, fields in _of_tables(steps, kind):
            yield _of_chain(kind, levels, fields)


def _of_chain(kind: ChainPrediction, sigma: Array, fields: Mapping[str, Any]) -> Reading:
    scale = 1 / np.sqrt(sigma**2 + 1)
    calls = len(sigma)
    skip = {"epsilon": np.ones(calls), "v": scale**2, "x0": np.zeros(calls)}[kind]
    out = {"epsilon": -sigma, "v": -sigma * scale, "x0": np.ones(calls)}[kind]
    return Reading(sigma, {"model_kind": kind, **fields}, np.append(scale, 1.0), skip, out)


def _sigma_data(steps: Steps, sigma: Array) -> Iterator[float]:
    """The usual one; what the steps say that go along the slope from one level."""
    from scipy.optimize import brentq

    yield 0.5
    found, trust = [], []
    for step in steps.single[:-1]:
        call, weight = step.base, float(step.weights[0])
        if not step.is_whole or not weight:
            continue

        def rest(logarithm: float, call: int = call, weight: float = weight, kept: float = step.kept) -> float:
            """What the weight of x misses, where that of the output says how far the step goes."""
            size = float(np.exp(logarithm))
            here, there = (float(prediction.c_in(one, size)) for one in (sigma[call], sigma[call + 1]))
            share = weight / (float(prediction.c_out(sigma[call], size)) * there)
            return (1 - share + share * float(prediction.c_skip(sigma[call], size))) * there / here - kept

        ends = np.log(0.02), np.log(50.0)
        if np.sign(rest(ends[0])) != np.sign(rest(ends[1])):
            root = float(brentq(rest, *ends, xtol=1e-12))
            found.append(float(np.exp(root)))
            trust.append(abs(rest(root + 1e-3) - rest(root - 1e-3)))
    agreed = agreeing(found, trust) if found else None
    if agreed is not None:
        yield shortest(agreed[0], max(agreed[1], 1e-4 * agreed[0]))


def _of_tables(steps: Steps, kind: ChainPrediction) -> Iterator[tuple[Array, Mapping[str, Any]]]:
    """Levels of a chain's network: as the steps say, and as a table with a name has them where the model is told."""
    told = tuple(float(one) for one in steps.law.times)
    alphas = signal_at_calls(steps, kind)
    for alpha in alphas:
        found = False
        for fields in tables_of(told, alpha**2) if min(told) >= 0 else ():
            table = table_of(fields)
            if table is None:
                continue
            sigmas = np.sqrt((1 - table) / np.maximum(table, 2.0**-48))
            if (np.diff(sigmas) <= 0).any():
                continue
            levels = np.exp(np.interp(told, np.arange(len(sigmas)), np.log(sigmas)))
            yield levels, {"train_sigmas": tuple(float(one) for one in sigmas)}
            found = True
        if steps.is_single and np.isfinite(alpha).all() and (alpha > 0).all():
            yield np.sqrt(np.maximum(1 / alpha**2 - 1, 0)), {"times": told}
        if not found and not steps.is_single and np.isfinite(alpha).all():
            yield np.sqrt(np.maximum(1 / alpha**2 - 1, 0)), {"times": told[::2]}


def signal_at_calls(steps: Steps, prediction: str) -> list[Array]:
    """The signal at every call, as far as steps say it; NaN elsewhere.

    Args:
        steps: of a law.
        prediction: what the model predicts.
    """
    kind: ChainPrediction = next(one for one in _PREDICTIONS if one == prediction)
    if not steps.is_single:
        return [_begun(steps, kind)] if kind != "v" else []
    alphas = [alpha[:-1] for alpha in signals_of(steps.single, kind)]
    if not alphas and steps.calls > 2 and not float(steps.single[-1].weights[0]):  # ends where it was
        alphas = list(signals_of(steps.single[:-1], kind))
    if kind == "v":
        told = [float(one) for one in steps.law.times]
        alphas += [alpha for _, alpha in tables_that_turn(told, steps.single)]
    return [alpha for alpha in alphas if np.isfinite(alpha).all() and (alpha > 0).all()]


def _begun(steps: Steps, kind: ChainPrediction) -> Array:
    """The signal at each call of steps of two: from every first call by itself; NaN where that does not say."""
    alpha = np.full(steps.calls, np.nan)
    for call in range(0, steps.calls, 2):
        step = steps.single[call]
        weight = float(step.weights[0])
        if not step.is_whole or not step.kept or not weight:
            continue
        local = (1 - step.kept**2 - weight**2) / (2 * step.kept * weight)
        begun = float(np.sqrt(max(1 - local**2, 0.0))) if kind == "epsilon" else local
        if not DROWNED < begun < 1:
            continue
        alpha[call] = begun
        if call + 1 < steps.calls:
            alpha[call + 1] = step.kept * begun + (weight if kind == "x0" else 0.0)
    return alpha
