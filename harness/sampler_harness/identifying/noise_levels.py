"""Candidates on noise levels: Euler, Heun, DPM-Solver-2, ancestral steps, consistency models, AlphaFold 3's sampler.

Each method says by its own formula which levels its steps lead to, and how much noise was drawn: what is read off a law
is solved for the fields, and levels are given by hand. Which grid they are is asked later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference_samplers import DPM2, EDM, AlphaFold3, ConsistencyModel, DPM2Ancestral, EulerAncestral
from sampler_harness.law.response import Array

from .grids import rho_of
from .made import made
from .numbers import agreeing, shortest
from .steps import Steps

__all__ = ["MOST", "Reading", "between", "gamma_min_of", "gap_of_gamma_min", "on_noise_levels", "window"]

#: Fresh noise below this share of the level is none.
STILL = 1e-5
#: Where gamma is as large as Karras et al. let it be.
MOST = 2.0**0.5 - 1


@dataclass(frozen=True)
class Reading:
    """What the model is told and sees, in terms of noise levels.

    Attributes:
        sigma: ``(K,)`` the noise level at each call.
        fields: of the process.
        seen: ``(K + 1,)`` what x is multiplied by before the model sees it; 1 for the sample.
        skip: ``(K,)`` share of x in the denoised sample.
        out: ``(K,)`` weight of the output in it.
        of_alphafold: whether the model is told of a level over ``sigma_data``, as AlphaFold 3's alone is.
    """

    sigma: Array
    fields: Mapping[str, Any]
    seen: Array
    skip: Array
    out: Array
    of_alphafold: bool = False


@dataclass(frozen=True)
class _Row:
    """A row in units of x: ``kept * x + denoised * D + fresh * z``, of the call before it."""

    kept: float
    denoised: float
    fresh: float


def _row(steps: Steps, reading: Reading, row: int) -> _Row:
    step, call = steps.step(row, row - 1), row - 1
    here, there = reading.seen[call], reading.seen[row]
    weight = float(step.weights[0])
    kept = (step.kept * here - weight * reading.skip[call] / reading.out[call]) / there
    return _Row(float(kept), float(weight / (reading.out[call] * there)), step.fresh / float(there))


def on_noise_levels(steps: Steps, reading: Reading) -> Iterator[Any]:
    """Configurations on levels by hand that a sampler may be.

    Args:
        steps: of its law.
        reading: of its times.
    """
    if not np.isfinite(reading.sigma).all() or (reading.sigma <= 0).any():
        return
    first = float(steps.law.factor[0, 0]) / float(reading.seen[0]) if steps.law.factor.shape[1] else 0.0
    if first <= 0:
        return
    with np.errstate(all="ignore"):
        if steps.is_single:
            rows = [_row(steps, reading, row) for row in range(1, steps.calls + 1)]
            if reading.of_alphafold:
                yield from _alphafold(reading, rows, first)
                return
            yield from _euler(reading, rows, first)
            yield from _euler_ancestral(reading, rows, first)
            yield from _consistency(reading, rows)
            yield from _alphafold(reading, rows, first)
        groups = steps.in_groups(2)
        if groups is not None and steps.calls % 2:
            fresh = [steps.step(row, row - 2).fresh / float(reading.seen[row]) for row in range(2, steps.calls, 2)]
            yield from _heun(reading, fresh, first)
            yield from _dpm2(reading, fresh, first)
            yield from _dpm2_ancestral(reading, fresh, first)


def _levels(values: Array | list[float]) -> tuple[float, ...]:
    return (*(float(one) for one in values), 0.0)


def _by_hand(reading: Reading, levels: tuple[float, ...], first: float) -> dict[str, Any]:
    """Fields of levels by hand, with the first noise's scale where it is not the first level."""
    fields = {**reading.fields, "sigmas": levels}
    # How a network inside the preconditioning sees noise that is far above its data says little of its size.
    is_network = reading.fields.get("model_kind") == "network"
    if abs(first - levels[0]) > (1e-4 if is_network else 1e-5) * levels[0]:
        fields["initial_scale"] = shortest(first, (3e-4 if is_network else 1e-6) * first)
    return fields


def _raised(
    kind: type[Any], reading: Reading, begun: Array, ends: list[float], fresh: list[float], first: float, **more: Any
) -> Iterator[Any]:
    """A method that raises the level ahead of each step: by how much, at which levels, with how much noise.

    Args:
        kind: of reference.
        reading: of the times.
        begun: ``(N,)`` levels at which steps begin, raised.
        ends: levels that the steps lead to, the last of which is 0.
        fresh: noise that comes in ahead of each step but the first.
        first: std of the first noise.
        more: fields.
    """
    if abs(ends[-1]) > 1e-3 * begun[-1]:
        return
    steps = len(begun)
    before = np.asarray(ends[:-1], dtype=np.float64)
    rises = begun[1:] / before - 1 if steps > 1 else np.zeros(0)
    still = np.array(fresh) <= STILL * begun[1:]
    if still.all():
        yield from made(kind, {**_by_hand(reading, _levels(begun), first), **more})
        return
    found = agreeing(list(rises[~still]), list(before[~still]))
    if found is None or found[0] <= 0:
        return
    gamma = found[0]
    noise = [c / float(np.sqrt(max(hat**2 - low**2, 1e-300))) for c, hat, low, is_still in
             zip(fresh, begun[1:], before, still, strict=True) if not is_still]  # fmt: skip
    strength = agreeing(noise)
    if strength is None:
        return
    s_noise = shortest(*strength)
    capped = gamma >= MOST - 2e-5
    churn = MOST * steps if capped else gamma * steps
    s_churn = float(np.ceil(churn)) if capped else shortest(churn, max(found[1] * steps, 2e-6 * churn))
    # What the model is told is known best.
    rise = MOST if capped else s_churn / steps
    before = np.where(still, begun[1:], begun[1:] / (1 + rise))
    for is_first_raised in (True, False):
        start = float(begun[0]) / (1 + gamma) if is_first_raised else float(begun[0])
        levels = _levels([start, *before])
        whole = start if not is_first_raised else float(np.sqrt(start**2 + s_noise**2 * (begun[0] ** 2 - start**2)))
        fields = {**reading.fields, "sigmas": levels, "s_noise": s_noise, **more}
        if abs(first - whole) > 1e-5 * whole:
            begins = first**2 - (whole**2 - start**2)
            if begins <= 0:
                continue
            fields["initial_scale"] = shortest(float(np.sqrt(begins)), 1e-6 * first)
        rests = np.concatenate([[not is_first_raised], still])
        fields |= window(np.array(levels[:-1])[~rests], np.array(levels[:-1])[rests])
        yield from made(kind, {**fields, "s_churn": s_churn})


def window(raised: Array, still: Array) -> dict[str, float]:
    """Ends of the window in which levels rise, between the levels that do and those that do not.

    Args:
        raised: levels that rise, at least one.
        still: those that do not.
    """
    above, below = still[still > raised.max()], still[still < raised.min()]
    fields = {}
    if above.size:
        fields["s_tmax"] = _between(float(raised.max()), float(above.min()))
    if below.size:
        fields["s_tmin"] = _between(float(below.max()), float(raised.min()))
    return fields


def _between(low: float, high: float) -> float:
    for digits in range(1, 9):
        value = float(f"{(low * high) ** 0.5:.{digits}g}")
        if low * (1 + 1e-5) < value < high * (1 - 1e-5):
            return value
    return float((low * high) ** 0.5)


def between(levels: Sequence[float], raised: Sequence[float], *, below: bool) -> tuple[float, float] | None:
    """The gap in which an end of a window lies, between a level that rises and one that does not.

    Args:
        levels: all of them.
        raised: those that rise.
        below: the lower end, else the upper one.
    """
    still = [s for s in levels if s not in raised]
    if not raised:
        return None
    if below:
        under = [s for s in still if s < min(raised)]
        return (max(under), min(raised)) if under else None
    over = [s for s in still if s > max(raised)]
    return (max(raised), min(over)) if over else None


def gap_of_gamma_min(configs: Sequence[Any]) -> tuple[float, float] | None:
    """Where ``gamma_min`` of AlphaFold 3's sampler may lie, by the levels that its raised steps lead to, and others.

    Args:
        configs: of it, on the levels of each run.
    """
    up = [float(s) for one in configs for s in one.levels[1:] if s > one.gamma_min]
    down = [float(s) for one in configs for s in one.levels[1:] if s <= one.gamma_min]
    return (max(down), min(up)) if up and down and max(down) < min(up) else None


def gamma_min_of(configs: Sequence[Any]) -> float:
    """A number that it may be: the paper's, where that may be it.

    Args:
        configs: of AlphaFold 3's sampler, on the levels of each run.
    """
    gap = gap_of_gamma_min(configs)
    if gap is None:
        return float(configs[0].gamma_min)
    usual = float(AlphaFold3.gamma_min)
    return usual if gap[0] <= usual < gap[1] else _between(max(gap[0], 1e-9), gap[1])


def _euler(reading: Reading, rows: list[_Row], first: float) -> Iterator[Any]:
    ends = [row.kept * float(sigma) for row, sigma in zip(rows, reading.sigma, strict=True)]
    fresh = [row.fresh for row in rows[:-1]]
    yield from _raised(EDM, reading, reading.sigma, ends, fresh, first, solver="euler")


def _heun(reading: Reading, fresh: list[float], first: float) -> Iterator[Any]:
    ends = [*(float(one) for one in reading.sigma[1::2]), 0.0]
    yield from _raised(EDM, reading, reading.sigma[::2], ends, fresh, first, solver="heun")


def _dpm2(reading: Reading, fresh: list[float], first: float) -> Iterator[Any]:
    begun = reading.sigma[::2]
    ends = [*(float(one) for one in reading.sigma[1::2] ** 2 / begun[:-1]), 0.0]
    yield from _raised(DPM2, reading, begun, ends, fresh, first)


def _ancestral(
    kind: type[Any], reading: Reading, begun: Array, down: Array, fresh: list[float], first: float
) -> Iterator[Any]:
    """Steps down to ``down`` and back up to the next level: how much of the noise is drawn, and how strong it is."""
    if len(begun) < 2:
        yield from made(kind, _by_hand(reading, _levels(begun), first))
        return
    after = begun[1:]
    share = np.sqrt(np.maximum(after**2 * (begun[:-1] ** 2 - after**2) / begun[:-1] ** 2, 0))
    up = np.sqrt(np.maximum(after**2 - down**2, 0))
    plain = _by_hand(reading, _levels(begun), first)
    if all(one <= 1e-5 * level for one, level in zip(fresh, after, strict=True)):
        yield from made(kind, {**plain, "eta": 0.0})
        return
    # There is never more noise than the next level has: a step that draws all of it says of eta what it is at least.
    free = up < (1 - 1e-6) * after
    eta = agreeing(list((up / share)[free]), list(np.minimum(up, share)[free]))
    noise = agreeing(list(np.array(fresh) / up), list(up))
    if eta is not None and noise is not None:
        yield from made(kind, {**plain, "eta": shortest(*eta), "s_noise": shortest(*noise)})
        return
    yield from made(kind, plain)  # for what comes nearest


def _euler_ancestral(reading: Reading, rows: list[_Row], first: float) -> Iterator[Any]:
    down = np.array([row.kept * float(sigma) for row, sigma in zip(rows, reading.sigma, strict=True)])
    yield from _ancestral(EulerAncestral, reading, reading.sigma, down[:-1], [row.fresh for row in rows[:-1]], first)


def _dpm2_ancestral(reading: Reading, fresh: list[float], first: float) -> Iterator[Any]:
    begun = reading.sigma[::2]
    yield from _ancestral(DPM2Ancestral, reading, begun, reading.sigma[1::2] ** 2 / begun[:-1], fresh, first)


def _consistency(reading: Reading, rows: list[_Row]) -> Iterator[Any]:
    """The predicted data, and fresh noise of ``sqrt(level^2 - sigma_min^2)`` on top."""
    levels = _levels(reading.sigma)
    fields = {**reading.fields, "sigmas": levels}
    missing = [float(level**2 - row.fresh**2) for row, level in zip(rows[:-1], reading.sigma[1:], strict=True)]
    lowest = float(np.sqrt(max(missing[-1], 0.0))) if missing else 0.0
    for sigma_min in dict.fromkeys((0.002, float(reading.sigma[-1]), lowest)):
        if sigma_min > 0:
            yield from made(ConsistencyModel, {**fields, "sigma_min": sigma_min})
    if not missing or lowest <= 1e-3 * float(reading.sigma[-1]):
        yield from made(ConsistencyModel, {**fields, "sigma_min": 1e-9})


def _alphafold(reading: Reading, rows: list[_Row], first: float) -> Iterator[Any]:
    """``t_hat' = (1 + gamma)(t_hat - h t_hat / eta)`` at every raised step: linear in ``1 + gamma`` and over eta."""
    hat = reading.sigma
    if len(rows) < 4:
        return
    ratio = hat[1:] / hat[:-1]
    weight = np.array([row.denoised for row in rows[:-1]])
    fresh = np.array([row.fresh for row in rows[:-1]])
    raised = fresh > 1e-6 * hat[1:]
    if not raised.any():
        yield from _overshooting(reading, rows, ratio, weight)
        return
    if int(raised.sum()) < 2:
        return
    table = np.stack([np.ones(int(raised.sum())), -weight[raised]], axis=1)
    (rise, over), *_ = np.linalg.lstsq(table, ratio[raised], rcond=None)
    if rise <= 1 or over <= 0:
        return
    step, gamma = rise / over, rise - 1
    ends = hat * (1 - np.array([row.denoised for row in rows]) / step)
    before = ends[:-1]
    lifted = np.abs(hat[1:] / before - 1) > 1e-3
    over_there = np.sqrt(np.maximum(hat[1:] ** 2 - before**2, 0))
    noise = agreeing(list((fresh / over_there)[lifted])) if lifted.any() else None
    if noise is None:
        return
    is_first_raised = abs(first - float(hat[0])) > 1e-4 * first or lifted[0]
    levels = [float(hat[0] / rise) if is_first_raised else float(hat[0]), *(float(one) for one in ends)]
    # A step is raised where the level that it leads to is above gamma_min.
    raises = [is_first_raised, *lifted]
    above = [low for low, is_up in zip(levels[1:], raises, strict=True) if is_up]
    below = [low for low, is_up in zip(levels[1:], raises, strict=True) if not is_up]
    fields = {
        **reading.fields, "gamma_0": shortest(float(gamma), 1e-4), "noise_scale": shortest(*noise),
        "gamma_min": _between(max(below), min(above)) if below and max(below) > 0 else 0.0,
        "step_scale": shortest(float(step), 1e-4 * float(step)),
    }  # fmt: skip
    yield from _on_levels_of_alphafold(fields, levels)


def _overshooting(reading: Reading, rows: list[_Row], ratio: Array, weight: Array) -> Iterator[Any]:
    """The same where no level is raised: steps that are longer than the way to the next level, or end above 0."""
    found = agreeing(list(weight / (1 - ratio)), list(np.abs(weight)))
    if found is None or found[0] <= 0:
        return
    end = float(reading.sigma[-1]) * (1 - rows[-1].denoised / found[0])
    if abs(found[0] - 1) <= max(found[1], 1e-4) and abs(end) <= 1e-4 * float(reading.sigma[-1]):
        return  # Euler's method, by its plainer name
    fields = {**reading.fields, "gamma_0": 0.0, "step_scale": shortest(found[0], max(found[1], 1e-5))}
    yield from _on_levels_of_alphafold(fields, [*(float(one) for one in reading.sigma), end])


def _on_levels_of_alphafold(fields: Mapping[str, Any], levels: list[float]) -> Iterator[Any]:
    """By hand where the run ends at 0, else on Karras et al.'s grid, whose lowest level is where it ends."""
    if abs(levels[-1]) <= 1e-4 * levels[-2]:
        yield from made(AlphaFold3, {**fields, "sigmas": (*levels[:-1], 0.0)})
        return
    rho = rho_of(np.array(levels))
    if rho is not None:
        high, low = shortest(levels[0], 1e-5 * levels[0]), shortest(levels[-1], 1e-4 * levels[-1])
        yield from made(
            AlphaFold3, {**fields, "sigma_max": high, "sigma_min": low, "num_steps": len(levels) - 1, "rho": rho}
        )
