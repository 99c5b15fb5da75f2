"""Candidates on a table chain: DDPM, DDIM, LCM and TCD on the timesteps that the model was told."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reference_samplers import DDIM, DDPM, LCM, TCD

from .made import made
from .numbers import agreeing, shortest
from .signal import ChainPrediction, renoised, signals_of
from .steps import Steps
from .tables import named_tables, other_tables, tables_of, tables_that_turn

__all__ = ["on_a_chain", "on_a_named_chain"]

#: Fewer of DDIM's steps draw than this: no eta can be read.
_TINY = 1e-4
#: Calls of a chain that is long.
LONG = 100
#: How far the square of a fresh noise may be off in float32.
ROUNDED = 4e-7
_FINAL = ("one", "first")


def on_a_chain(steps: Steps, *, learned_variance: bool = False, named: bool = True) -> Iterator[Any]:
    """Configurations that a sampler may be that tells its model whole timesteps.

    Args:
        steps: of its law.
        learned_variance: the model returns a pair.
        named: on tables with a name; else on others.
    """
    timesteps = _timesteps(steps)
    if timesteps is None:
        return
    tables = tables_of if named else other_tables
    predictions: tuple[ChainPrediction, ...] = ("epsilon", "v", "x0")
    for prediction in predictions:
        for place, alpha in enumerate(signals_of(steps.single, prediction)):
            if place and not named and len(timesteps) > LONG:
                break  # of a long chain one way to end is written out, or the search would take minutes
            for table in tables(timesteps, alpha[:-1] ** 2):
                shared = {**table, "timesteps": timesteps, "prediction": prediction}
                yield from _methods(steps, shared, learned_variance)
    for table, _ in tables_that_turn(timesteps, steps.single) if named else ():
        yield from _methods(steps, {**table, "timesteps": timesteps, "prediction": "v"}, learned_variance)
    alpha_of_noise = renoised(steps.single)
    if alpha_of_noise is not None and not learned_variance:
        for table, prediction in itertools.product(list(tables(timesteps, alpha_of_noise[:-1] ** 2)), predictions):
            yield from made(LCM, {**table, "timesteps": timesteps, "prediction": prediction})


def _timesteps(steps: Steps) -> tuple[int, ...] | None:
    """Whole timesteps, falling, of steps of one call."""
    times = steps.law.times
    if not steps.is_single or bool((times != np.rint(times)).any()) or times[-1] < 0 or (np.diff(times) >= 0).any():
        return None
    return tuple(int(time) for time in times)


def on_a_named_chain(steps: Steps, *, learned_variance: bool = False) -> Iterator[Any]:
    """DDPM on every table that has a name: with a larger variance its steps do not say how much signal there is.

    Args:
        steps: of its law.
        learned_variance: the model returns a pair.
    """
    timesteps = _timesteps(steps)
    if timesteps is None:
        return
    variances = ("learned_range", "learned") if learned_variance else ("fixed_large",)
    for table in named_tables(timesteps):
        for prediction, final, variance in itertools.product(("epsilon", "v", "x0"), _FINAL, variances):
            fields = {"timesteps": timesteps, "prediction": prediction, "final_alpha_bar": final, "variance": variance}
            yield from made(DDPM, {**table, **fields})


def _methods(steps: Steps, shared: Mapping[str, Any], learned_variance: bool) -> Iterator[Any]:
    if learned_variance:
        for variance in ("learned_range", "learned"):
            yield from made(DDPM, {**shared, "variance": variance})
        return
    for final in _FINAL:
        plain = made(DDIM, {**shared, "final_alpha_bar": final})
        for config in plain:
            for eta in _etas(steps, config):
                yield from made(DDIM, {**shared, "final_alpha_bar": final, "eta": eta})
        for variance in ("fixed_small", "fixed_large"):
            yield from made(DDPM, {**shared, "final_alpha_bar": final, "variance": variance})
    yield from made(LCM, shared)
    for config in made(TCD, {**shared, "gamma": 0.0}):
        for gamma in _gammas(steps, config):
            yield from made(TCD, {**shared, "gamma": gamma})


def _etas(steps: Steps, config: DDIM) -> Iterator[float]:
    """Equation 16, solved for eta at every step that draws."""
    whole = dataclasses.replace(config, eta=1.0)
    readings, sizes = [], []
    for step, (t, t_next) in zip(steps.single, config.transitions, strict=True):
        size = float(whole.sigma(whole.alpha_bar[t], whole.alpha_bar[t_next])) if t_next > 0 else 0.0
        if size > _TINY:
            readings.append(step.fresh / size)
            sizes.append(size)
    if not readings:
        yield 0.0
        return
    found = agreeing(readings, sizes)
    if found is not None and found[0] <= 1 + found[1]:
        yield min(shortest(*found), 1.0)
        return
    yield float(np.clip(np.median(readings), 0.0, 1.0))  # of several, for what comes nearest


def _gammas(steps: Steps, config: TCD) -> Iterator[float]:
    """The timestep below the next one that each step went to, by its fresh noise: what share of it is left out.

    ``c^2 = 1 - alpha_bar_next / alpha_bar_s`` names s, and ``s = floor((1 - gamma) t_next)`` an interval for gamma.
    """
    low, high = 0.0, 1.0
    table = config.alpha_bar
    for step, (_, t_next) in zip(steps.single, config.transitions, strict=True):
        if t_next <= 1:
            continue
        left = max(1 - step.fresh**2, 1e-12)
        off = np.abs(np.log(table[1 : t_next + 1]) - np.log(min(table[t_next] / left, 1.0)))
        # Where next to nothing is kept of x, rounding leaves several timesteps open.
        near = np.flatnonzero(off <= max(float(off.min()), ROUNDED / left)) + 1
        # s - 1 <= (1 - gamma) (t_next - 1) < s
        high = min(high, 1 - (float(near.min()) - 1) / (t_next - 1))
        low = max(low, 1 - float(near.max()) / (t_next - 1))
    if low > high:
        return
    yield _inside(low, high)


def _inside(low: float, high: float) -> float:
    """The shortest decimal of an interval that is open below."""
    for digits in range(0, 9):
        scale = 10.0**digits
        value = float(np.floor(high * scale + 1e-9) / scale)
        if low < value <= high + 1e-12:
            return min(max(value, 0.0), 1.0)
    return high
