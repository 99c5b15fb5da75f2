"""Did detail begin to fall, when, and is it the sampler or the model? From the stages of one training run.

Note [When a fall is a fall]. A series of detail, in dB, scatters from stage to stage, rises at first, and may start
with more power than the data has: noise that the young model leaves in. A fall is told when all of this holds in one
of the finest octaves:

- *order*: among the stages after the best one, later ones are lower (Mann 1945 and Kendall's tau, one-sided), or the
  stages after the best plateau are lower than the plateau (Mann and Whitney 1947). The best stage itself is left out
  of the first test: stages after the largest of a series without trend are still in random order, so that choosing
  it costs nothing. p is multiplied by the number of tests and of octaves (Bonferroni), and must be at most 1 %.
- *size*: the middle of the last three stages lies below the middle of the best three by at least 1 dB (a fifth of
  the power), and by at least four times the scatter of a stage.
- *not the warm-up*: detail above the data's is no detail: it counts as 0 dB, and what overshot by x dB may settle
  x/2 dB below; x dB, where it did not stay at its best for six stages but went straight through.

Context: the test is asked anew at every stage, so that 1 % alone would be passed by chance now and then. Choice: the
rule of size, which a series without trend passes rarely however often it is asked, instead of a correction for the
number of looks, which would need to know the length of the run. Asked at every stage of 60 runs each: a plateau
with 0.1 to 1.5 dB of scatter raised no alarm in 240 runs, one whose stages inherit half of their scatter in 4 of 60;
a loss from 0.93 to 0.41 under 0.4 dB of scatter was told in 60 of 60. Reversed by: a sequential test with a stopping
rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sampler_harness.detail.records import Stage

__all__ = ["Trend", "find_trend"]

Array = np.ndarray[Any, np.dtype[np.float64]]

#: How many of the finest octaves are asked: where detail goes first, and where a stage has coefficients enough.
OCTAVES = 3
#: How many tests each octave gets: order after the best stage, and plateau against what follows.
TESTS = 2
#: The largest p-value, all octaves and tests counted, that is called a fall.
SIGNIFICANT = 0.01
#: A fall below this is not told: 1 dB is a fifth of the power.
SMALLEST_FALL = 1.0
#: How many times the scatter of a stage a fall exceeds. Middles of three, the best of them chosen, differ by up to 2.5
#: scatters in one run of 50 stages without trend out of 20.
SCATTERS = 4.0
#: How far apart stages are compared to learn their scatter.
LAGS = 2
#: Best and last are middles of so many stages: one stage alone may be luck.
RUN = 3
#: Less power than this share is the same as none: a sampler that returns constants has no logarithm.
NO_DETAIL = 1e-4
#: By how much of itself a denoising error must rise to be called worse.
WORSE = 0.1

#: Fewest stages after the best one with which the order can be significant: n stages in falling order have p = 1/n!.
AFTER_BEST = next(n for n in range(2, 20) if TESTS * OCTAVES / math.factorial(n) <= SIGNIFICANT)
FEWEST = AFTER_BEST + 1


@dataclass(frozen=True)
class Trend:
    """The answer.

    Attributes:
        alarm: whether detail fell, and is down now.
        began_at: step of the first stage from which on detail stayed below its best; None without an alarm.
        keep: step and checkpoint of the stage with the best detail; None where there is no usable stage.
        octave: name of the octave that fell most, or that came nearest to falling.
        p_value: smallest over octaves and tests, multiplied by their number; 1 where nothing could be tested.
        message: for a person.
        suspect: ``sampler`` where the model's own denoising error did not get worse, ``model or data`` where it did;
            None where it is not known, or without an alarm.
        fall: of that octave, in dB, from the best run of stages to the last one.
        decided: False where more stages are needed before "no alarm" means that detail does not fall.
    """

    alarm: bool
    began_at: int | None
    keep: tuple[int, str | None] | None
    octave: str | None
    p_value: float
    message: str
    suspect: Literal["sampler", "model or data"] | None
    fall: float = 0.0
    decided: bool = True


@dataclass(frozen=True)
class _Fall:
    """What one octave says."""

    octave: int
    best: int  # the stage with the best detail, of those in the best run
    best_run: float
    last_run: float
    began: int
    needed: float
    p_value: float

    @property
    def size(self) -> float:
        return self.best_run - self.last_run

    @property
    def is_fall(self) -> bool:
        return self.p_value <= SIGNIFICANT and self.size >= self.needed


def find_trend(stages: Sequence[Stage], octaves: Sequence[str]) -> Trend:
    """Whether detail began to fall.

    Catches: a loss of at least 1 dB in one of the three finest octaves, slow or sudden, that is still there.
    Blind to: detail that was never there; a loss within six stages of the best one; structure that is wrong but has
    the right power. False alarms: two low stages in a row count as a fall until the next good one; scatter of which a
    stage inherits more than half from the one before.

    Args:
        stages: by step, one per step, as ``Records.current``.
        octaves: their names, the finest first.
    """
    used = [stage for stage in stages if stage.retained is not None and np.isfinite(stage.retained).all()]
    if not used:
        return Trend(
            False, None, None, None, 1.0, "no stage has samples whose detail could be measured", None, 0.0, False
        )
    shares = np.array([list(stage.retained or ()) for stage in used])[:, :OCTAVES]
    levels = 10.0 * np.log10(np.maximum(shares, NO_DETAIL))
    if len(used) < FEWEST:
        best = int(np.abs(levels[:, 0]).argmin())
        return Trend(
            False, None, (used[best].step, used[best].checkpoint), octaves[0], 1.0,
            f"not enough stages to tell whether detail falls ({len(used)}, needs {FEWEST})", None, 0.0, False,
        )  # fmt: skip
    falls = [_fall(levels[:, octave], octave, levels.shape[1]) for octave in range(levels.shape[1])]
    fallen = [fall for fall in falls if fall.is_fall]
    worst = max(fallen or falls, key=lambda fall: (fall.size, -fall.octave))
    name = octaves[worst.octave]
    best, p_value = worst.best, min(fall.p_value for fall in falls)
    keep = (used[best].step, used[best].checkpoint)
    now, then = (float(shares[index, worst.octave]) for index in (-1, best))
    if not fallen:
        told, is_low = _no_fall(used, name, best, now, then, worst), worst.size >= worst.needed
        return Trend(False, None, keep, name, p_value, told, None, worst.size, decided=not is_low)
    suspect, why = _suspect(used, best)
    message = (
        f"detail of {name} fell from {then:.2f} (step {used[best].step}) to {now:.2f} (step {used[-1].step}) {why}"
    )
    return Trend(True, used[worst.began].step, keep, name, p_value, message, suspect, worst.size)


def _no_fall(used: Sequence[Stage], name: str, best: int, now: float, then: float, worst: _Fall) -> str:
    """Why there is no alarm, in words."""
    seen = f"detail of {name} is {now:.2f} at step {used[-1].step}, {then:.2f} at its best (step {used[best].step})"
    if worst.size >= worst.needed:
        return f"{seen}: it is lower than it was, but {len(used)} stages are too few to call that a fall"
    return f"detail does not fall: {seen}"


def _fall(levels: Array, octave: int, tested: int) -> _Fall:
    """Compare the best stages of one octave with the last ones."""
    detail = np.minimum(levels, 0.0)  # power beyond the data's is noise
    alike = -np.abs(levels)  # the best stages are those most like the data, not those that are still noisy
    middles = np.median(np.lib.stride_tricks.sliding_window_view(alike, RUN), axis=1)
    start = alike.size - RUN - int(middles[::-1].argmax())  # of equals the last: training longer did no harm
    best_run, last_run = float(middles[start]), float(np.median(detail[-RUN:]))
    best = start + RUN - 1 - int(alike[start : start + RUN][::-1].argmax())
    scatter = _scatter(detail)
    near = best_run - max(2.0 * scatter, 0.25 * SMALLEST_FALL)
    holding = np.flatnonzero(detail >= near)
    overshot = max(0.0, float(np.max(levels[: best + 1], initial=0.0)))
    settled = np.count_nonzero(levels[holding] <= max(2.0 * scatter, 0.25 * SMALLEST_FALL)) >= 2 * RUN
    needed = max(SMALLEST_FALL, SCATTERS * scatter, overshot * (0.5 if settled else 1.0))
    began = min(int(holding[-1]) + 1, detail.size - 1)
    p_value = min(_order(detail[best + 1 :]), _drop(detail, best, near))
    return _Fall(octave, best, best_run, last_run, began, needed, min(1.0, TESTS * tested * p_value))


def _scatter(levels: Array) -> float:
    """Standard deviation of a stage about its neighbors' trend, from second differences, robust against jumps.

    Neighbors one and two stages apart are asked, and the largest answer taken: where a stage inherits the scatter of
    the one before, next neighbors are too alike to show it.
    """
    found = [0.0]
    for lag in range(1, LAGS + 1):
        bends = levels[2 * lag :] - 2.0 * levels[lag:-lag] + levels[: -2 * lag]
        if bends.size >= FEWEST - 2:
            found.append(float(1.4826 * np.median(np.abs(bends)) / math.sqrt(6.0)))
    return max(found)


def _order(levels: Array) -> float:
    """Probability of a falling order by chance."""
    from scipy.stats import kendalltau

    if levels.size < 2 or np.ptp(levels) == 0.0:
        return 1.0
    return float(kendalltau(np.arange(levels.size), levels, alternative="less").pvalue)


def _drop(levels: Array, best: int, near: float) -> float:
    """Probability of the plateau around the best stage being above what follows it, by chance."""
    from scipy.stats import mannwhitneyu

    held = levels >= near
    first = last = best
    while first > 0 and held[first - 1]:
        first -= 1
    while last + 1 < levels.size and held[last + 1]:
        last += 1
    plateau, after = levels[first : last + 1], levels[last + 1 :]
    if after.size == 0:
        return 1.0
    return float(mannwhitneyu(plateau, after, alternative="greater", method="auto").pvalue)


def _suspect(used: Sequence[Stage], best: int) -> tuple[Literal["sampler", "model or data"] | None, str]:
    """Who did it: the model's own denoising error, which no sampler has a part in, from the best stages to the last."""
    measured = [stage for stage in used[max(0, best - 1) :] if stage.denoising]
    sigmas = measured[-1].denoising if measured else ()
    changes: dict[float, float] = {}
    for level in sigmas:
        errors = [one.relative for stage in measured for one in stage.denoising if one.sigma == level.sigma]
        logs = np.log([error for error in errors if math.isfinite(error) and error > 0.0])
        if logs.size < 2 * RUN:
            continue
        change = float(np.median(logs[-RUN:]) - np.median(logs[:RUN]))
        is_clear = abs(change) > SCATTERS * _scatter(logs)
        changes[level.sigma] = change if is_clear else 0.0
    if not changes and measured:
        return None, f"; the denoising error of {len(measured)} stages since then is too little to tell who lost it"
    if not changes:
        return None, "; give log() the model too, and the denoising error tells whether model or sampler lost it"
    worst = max(changes, key=lambda sigma: changes[sigma])
    if changes[worst] > math.log1p(WORSE):
        grown = math.exp(changes[worst])
        return "model or data", (
            f"and the model's own denoising error rose with it, to {grown:.2f} times at noise level {worst:g}: "
            "look at the model or its data first"
        )
    moved = "kept falling" if min(changes.values()) < -math.log1p(WORSE) / 2 else "did not rise"
    return "sampler", f"while the model's own denoising error {moved}: look at the sampler, not at the model"
