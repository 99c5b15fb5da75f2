"""Synthetic training runs, as the monitor would record them: twenty that are sound, eight whose detail fades.

Every run is (stages, name). Shares of power are what a person would see in a plot: 1 is all of the data's detail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sampler_harness.detail.records import Records, Run, Stage
from sampler_harness.detail.spectrum import LevelError

Array = np.ndarray[Any, np.dtype[np.float64]]
Shape = Callable[[Array], Array]

OCTAVES = ("2 to 4 px", "4 to 8 px", "8 to 16 px", "16 to 32 px")
LEVELS = (0.05, 0.2, 0.8, 3.0)


def stages_of(
    shape: Shape, *, count: int, noise: float, seed: int, error: Shape | None = None, correlated: float = 0.0
) -> tuple[Stage, ...]:
    """Stages of one run.

    Args:
        shape: from training time in [0, 1] to the share of the finest octave; coarser ones lose less.
        count: how many stages.
        noise: scatter of a stage, in dB.
        seed: of numpy's PCG64.
        error: from training time to the model's relative denoising error; falls slowly where it is None.
        correlated: how much of a stage's scatter the next one inherits.
    """
    draws = np.random.Generator(np.random.PCG64(seed)).standard_normal((count, len(OCTAVES)))
    for row in range(1, count):
        draws[row] = correlated * draws[row - 1] + np.sqrt(1.0 - correlated**2) * draws[row]
    time = np.linspace(0.0, 1.0, count)
    finest = shape(time)
    errors = (error or (lambda t: 0.2 + 0.5 * np.exp(-4.0 * t)))(time)
    stages = []
    for row in range(count):
        depth = 0.5 ** np.arange(len(OCTAVES))
        shares = finest[row] ** depth * 10.0 ** (noise * depth * draws[row] / 10.0)
        levels = tuple(LevelError(sigma, float(errors[row]) * 0.1, float(errors[row])) for sigma in LEVELS)
        step = 1000 * (row + 1)
        stages.append(Stage(step, checkpoint=f"model-{step}.pt", retained=tuple(map(float, shares)), denoising=levels))
    return tuple(stages)


def records_of(stages: tuple[Stage, ...]) -> Records:
    """The stages with what a directory holds beside them."""
    return Records((Run(OCTAVES, LEVELS, (-1.0, 1.0), (1, 84, 84), 64, "0" * 16, 0.5),), stages)


def rising(start: float, end: float, speed: float) -> Shape:
    return lambda t: end - (end - start) * np.exp(-speed * t)


def flat(level: float) -> Shape:
    return lambda t: np.full_like(t, level)


def overshoot(peak: float, end: float, speed: float) -> Shape:
    """Noisy samples first: more power than the data, which then goes."""
    return lambda t: end + (peak - end) * np.exp(-speed * t)


def dip(start: float, low: float, at: float) -> Shape:
    """One stage that was caught at a bad moment."""
    return lambda t: start - (start - low) * np.exp(-(((t - at) / 0.01) ** 2))


def fading(best: float, end: float, at: float, speed: float = 2.0) -> Shape:
    """The story: detail rises, is good, then is lost step by step."""

    def shape(t: Array) -> Array:
        risen = best * (1.0 - 0.7 * np.exp(-t / (0.3 * at)))
        gone = (1.0 - np.exp(-speed * np.maximum(0.0, t - at))) / (1.0 - np.exp(-speed * (1.0 - at)))
        shares: Array = risen * (1.0 - (1.0 - end / best) * gone)
        return shares

    return shape


def dropping(best: float, end: float, at: float) -> Shape:
    """A setting that was changed in the middle of a run."""
    return lambda t: np.where(t < at, best, end)


SOUND: dict[str, tuple[Stage, ...]] = {
    "improves, then flat": stages_of(rising(0.2, 0.95, 6.0), count=20, noise=0.1, seed=1),
    "improves, then flat, noisy": stages_of(rising(0.2, 0.95, 6.0), count=20, noise=0.4, seed=2),
    "improves, then flat, very noisy": stages_of(rising(0.1, 0.9, 8.0), count=40, noise=1.0, seed=3),
    "improves all the time": stages_of(rising(0.05, 1.0, 1.5), count=30, noise=0.2, seed=4),
    "slow rise": stages_of(rising(0.3, 0.6, 0.8), count=12, noise=0.3, seed=5),
    "slow rise, many stages": stages_of(rising(0.3, 0.9, 1.0), count=100, noise=0.5, seed=6),
    "plateau": stages_of(flat(0.93), count=20, noise=0.05, seed=7),
    "noisy plateau": stages_of(flat(0.9), count=25, noise=0.6, seed=8),
    "very noisy plateau": stages_of(flat(0.7), count=50, noise=1.5, seed=9),
    "low plateau": stages_of(flat(0.3), count=20, noise=0.3, seed=10),
    "plateau that wanders": stages_of(flat(0.85), count=40, noise=0.5, seed=11, correlated=0.7),
    "exactly flat": stages_of(flat(1.0), count=20, noise=0.0, seed=12),
    "warm-up overshoot": stages_of(overshoot(3.0, 0.95, 8.0), count=20, noise=0.15, seed=13),
    "slow warm-up overshoot": stages_of(overshoot(6.0, 0.9, 5.0), count=25, noise=0.3, seed=14),
    "overshoot that settles low": stages_of(overshoot(4.0, 0.7, 6.0), count=20, noise=0.2, seed=15),
    "small overshoot": stages_of(overshoot(1.2, 0.92, 4.0), count=15, noise=0.1, seed=16),
    "few stages": stages_of(rising(0.4, 0.9, 5.0), count=4, noise=0.5, seed=17),
    "few stages, the last one low": stages_of(dropping(0.9, 0.6, 0.9), count=6, noise=0.2, seed=18),
    "denoising error flat": stages_of(rising(0.4, 0.9, 9.0), count=30, noise=0.3, seed=19, error=flat(0.25)),
    "one low stage": stages_of(dip(0.92, 0.5, 15 / 29), count=30, noise=0.15, seed=20),
}

RISING_ERROR: Shape = lambda t: 0.2 + 0.3 * np.maximum(0.0, t - 0.25)  # noqa: E731 - one of many shapes

#: name: (stages, whom to suspect, first and last step where the fall may be said to have begun)
FADING: dict[str, tuple[tuple[Stage, ...], str | None, tuple[int, int]]] = {
    "the story": (stages_of(fading(0.93, 0.41, 0.2), count=20, noise=0.1, seed=31), "sampler", (4000, 9000)),
    "the story, noisy": (stages_of(fading(0.93, 0.41, 0.2), count=20, noise=0.4, seed=32), "sampler", (3000, 13000)),
    "slow loss": (stages_of(fading(0.95, 0.6, 0.4), count=40, noise=0.1, seed=33), "sampler", (15000, 24000)),
    "late loss": (stages_of(fading(0.9, 0.5, 0.7), count=40, noise=0.15, seed=34), "sampler", (27000, 33000)),
    "sudden drop": (stages_of(dropping(0.9, 0.45, 0.5), count=20, noise=0.2, seed=35), "sampler", (11000, 11000)),
    "from the first stage on": (
        stages_of(lambda t: 0.9 * np.exp(-1.2 * t), count=15, noise=0.1, seed=36), "sampler", (2000, 6000),
    ),
    "after an overshoot": (
        stages_of(
            lambda t: overshoot(2.0, 0.95, 20.0)(t) * fading(1.0, 0.3, 0.3)(np.maximum(t, 0.3)),
            count=30, noise=0.1, seed=37,
        ),
        "sampler", (8000, 16000),
    ),
    "the model gets worse too": (
        stages_of(fading(0.93, 0.41, 0.25), count=20, noise=0.1, seed=38, error=RISING_ERROR),
        "model or data", (4000, 10000),
    ),
}  # fmt: skip
