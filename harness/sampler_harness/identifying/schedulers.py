"""Candidates that are not on levels by hand: a chain's levels as schedulers lay them out, and tables of score SDEs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from reference_samplers import ScoreSDE
from reference_samplers.diffusers import (
    EDMEuler,
    EulerAncestralDiscrete,
    EulerDiscrete,
    HeunDiscrete,
    KDPM2AncestralDiscrete,
    KDPM2Discrete,
)
from reference_samplers.diffusers_consistency import SCM, CMStochasticIterative

from .grids import rho_of
from .made import made
from .numbers import agreeing, shortest
from .observed import Observed
from .readings import signal_at_calls
from .second_thoughts import clamped
from .steps import Steps
from .tables import tables_of

__all__ = ["SPACINGS", "on_schedulers", "on_tables"]

SPACINGS = ("linspace", "leading", "trailing")
_SPREAD = ("timesteps", "karras", "exponential", "beta")
_SINGLE = (EulerDiscrete, EulerAncestralDiscrete)
_PREDICTORS = ("reverse_diffusion", "ancestral_sampling", "euler_maruyama")
_LABELS = ("continuous", "time", "discrete")
_DOUBLE = (HeunDiscrete, KDPM2Discrete, KDPM2AncestralDiscrete)


def on_schedulers(seen: Observed, tried: Sequence[Any]) -> Iterator[Any]:
    """Configurations of a chain's levels, and of score SDEs, that a sampler may be.

    Args:
        seen: its runs.
        tried: what was looked at.
    """
    steps = Steps(seen.law)
    with np.errstate(all="ignore"):
        yield from _score_sdes(steps)
        found = [*_laid_out(steps, seen.steps), *_of_consistency(steps, seen.steps), *_of_networks(steps)]
    yield from found
    if not seen.is_affine:
        yield from clamped(seen, found)


def _laid_out(steps: Steps, asked: int) -> Iterator[Any]:
    for table, prediction in on_tables(steps):
        for kind in _SINGLE if steps.is_single else _DOUBLE:
            for spacing, spread in itertools.product(SPACINGS, _SPREAD):
                for offset in (0, 1) if spacing == "leading" else (0,):
                    fields = {**table, "prediction": prediction, "timestep_spacing": spacing, "sigma_spacing": spread}
                    for end in ("zero", "sigma_min") if kind is EulerDiscrete else ("zero",):
                        more = {"steps_offset": offset, "num_steps": asked, "final_level": end}
                        yield from made(kind, {**fields, **more})


def _of_consistency(steps: Steps, asked: int) -> Iterator[Any]:
    """Multistep consistency as two schedulers have it: on levels that are told as 250 ln(sigma), and on angles."""
    told = steps.law.times
    if not steps.is_single or (np.diff(told) >= 0).any():
        return
    fresh = [step.fresh for step in steps.single[:-1]]
    if 0 < told[0] < 2 and told[-1] > 0:
        noise = agreeing(list(np.array(fresh) / np.sin(told[1:]))) if fresh else (0.5, 0.0)
        fields: dict[str, Any] = {"num_steps": steps.calls, "first_time": shortest(float(told[0]), 1e-6)}
        if steps.calls == 2:
            fields["middle_time"] = shortest(float(told[1]), 1e-6)
        if noise is not None:
            yield from made(SCM, {**fields, "sigma_data": shortest(*noise)})
    sigma = np.exp(np.clip(4 * told / 1000, -30.0, 30.0))
    seen = 1 / np.sqrt(np.append(sigma[1:], 0.0) ** 2 + 0.25)
    for length in (40, 151, 1000):
        fields = {
            "num_steps": asked,
            "num_train_timesteps": length,
            "sigma_max": shortest(float(sigma[0]), 1e-5 * sigma[0]),
        }
        for config in made(CMStochasticIterative, {**fields, "clip_denoised": False}):
            missing = [config.missing_variance(float(level)) ** 0.5 for level in sigma[1:]]
            noise = agreeing(list(np.array(fresh) / seen[:-1] / missing)) if fresh and all(missing) else (1.0, 0.0)
            if noise is not None:
                yield from made(CMStochasticIterative, {**config.values(), "s_noise": shortest(*noise)})


def _of_networks(steps: Steps) -> Iterator[Any]:
    """Euler's method on a network inside the preconditioning, whose output may have the other sign."""
    told = steps.law.times
    if not steps.is_single or steps.drawn or float(np.abs(told).max()) > 3:
        return
    sigma = np.exp(4 * told)
    rho = rho_of(sigma)
    ends = {
        "sigma_max": shortest(float(sigma[0]), 1e-5 * sigma[0]),
        "sigma_min": shortest(float(sigma[-1]), 1e-5 * sigma[-1]),
    }
    fields = {**ends, "num_steps": steps.calls, **({} if rho is None else {"rho": rho})}
    ways = itertools.product(("karras", "exponential"), ("epsilon", "v"), ("unit_variance_data", "level"))
    for (spacing, predicts, first), end in itertools.product(ways, ("zero", "sigma_min")):
        more = {"sigma_spacing": spacing, "prediction": predicts, "first_noise": first, "final_level": end}
        yield from made(EDMEuler, {**fields, **more})


def on_tables(steps: Steps) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Tables with a name, and what is predicted, of which the model seems to be told the places.

    Args:
        steps: of a law.
    """
    told = [float(one) for one in steps.law.times]
    if min(told) < 0:
        return
    for prediction in ("epsilon", "v", "x0"):
        for alpha in signal_at_calls(steps, prediction):
            known = np.where(np.isfinite(alpha), alpha, np.nan)
            for table in tables_of(told, known**2):
                yield table, prediction


def _score_sdes(steps: Steps) -> Iterator[Any]:
    """Every combination that draws and is told as the sampler does, its ends solved from weights and times."""
    if not steps.is_single or steps.calls < 3:
        return
    first = float(steps.law.factor[0, 0]) if 0 in steps.law.opened else 0.0
    flow = not steps.drawn
    shared = {"num_steps": steps.calls, "probability_flow": flow, "denoise": flow or steps.calls not in steps.drawn}
    for sde, predictor in itertools.product(("ve", "vp"), _PREDICTORS):
        if flow and predictor == "ancestral_sampling":
            continue
        ends = _ends_of_ve(steps, first) if sde == "ve" else _ends_of_vp(steps, predictor)
        for labels, prediction, end in itertools.product(_LABELS, ("score", "epsilon"), ends):
            fields = {**shared, "sde": sde, "predictor": predictor, "labels": labels, "prediction": prediction, **end}
            for eps in dict.fromkeys((None, _eps(steps, fields))):
                yield from made(ScoreSDE, {**fields, "eps": eps})


def _ends_of_ve(steps: Steps, first: float) -> list[dict[str, float]]:
    """``sigma_i`` falls in equal ratios, as do the variances that steps take out: 1 / r^2 from one to the next."""
    usual = {"sigma_min": 0.01, "sigma_max": 50.0}
    if first <= 0:
        return [usual]
    found = [usual] if abs(first - 50.0) < 1e-3 else []
    drawn = [step.fresh for step in steps.single[:-1]]
    if all(drawn) and len(drawn) > 1:
        ratio = agreeing([b / a for a, b in itertools.pairwise(drawn)])
        if ratio is not None and 0 < ratio[0] < 1:
            low = first * ratio[0] ** (steps.calls - 1)
            found.append({"sigma_min": shortest(low, 1e-4 * low), "sigma_max": shortest(first, 1e-6 * first)})
    return found


def _ends_of_vp(steps: Steps, predictor: str) -> list[dict[str, float]]:
    """``beta_i`` rises in equal steps: read off what is kept of x, where the score is told apart from it."""
    kept = np.array([step.kept for step in steps.single])
    with np.errstate(all="ignore"):
        beta = {
            "reverse_diffusion": 1 - (2 - kept) ** 2, "ancestral_sampling": 1 - 1 / kept**2,
            "euler_maruyama": 2 * (kept - 1),
        }[predictor]  # fmt: skip
    usual = {"beta_min": 0.1, "beta_max": 20.0}
    if not np.isfinite(beta).all() or predictor == "euler_maruyama":
        return [usual]
    high, low = float(beta[0] * steps.calls), float(beta[-1] * steps.calls)
    if not 0 < low < high:
        return [usual]
    return [{"beta_min": shortest(low, 1e-3 * low), "beta_max": shortest(high, 1e-4 * high)}]


def _eps(steps: Steps, fields: Mapping[str, Any]) -> float | None:
    """Time of the last call, by what the model is told there."""
    told = float(steps.law.times[-1])
    if fields["labels"] == "time":
        found = told
    elif fields["labels"] == "discrete":
        found = 0.0 if fields["sde"] == "ve" else told / max(steps.calls - 1, 1)
    elif fields["sde"] == "vp":
        found = told / 999
    else:
        ratio = told / fields["sigma_min"]
        found = float(np.log(ratio) / np.log(fields["sigma_max"] / fields["sigma_min"])) if ratio > 1 else 0.0
    return shortest(found, 1e-3 * found) if 0 < found < 1 else None
