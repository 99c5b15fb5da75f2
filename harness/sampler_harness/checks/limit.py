"""The rows ``limit/*``: decided without comparing with a formula, from the law and an exact denoiser.

With the exact denoiser of a Gaussian every model output is affine in its input, so that the law gives the mean and
the covariance of each row in closed form. Comparing with a copy of a published formula cannot see that the formula
is wrong; this can.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sampler_harness.law.law import Law
from sampler_harness.law.tolerance import reference_law
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.observe.trace import Case
from sampler_harness.verdict import Finding

from .evidence import Evidence, expected_calls
from .judging import Judged, conclude, skipped
from .law import cause_of
from .marginal import exact, propagate, seen_scales

__all__ = ["check_gaussian", "check_order"]

#: Directions of an off-centre, anisotropic Gaussian: (mean, variance), data units.
DIRECTIONS = ((0.5, 0.25), (-1.0, 0.04), (0.2, 1.0))
#: Share of the last error that may be left at infinitely many steps.
LEFT_SHARE = 0.15
#: A slope may be this much below the claimed order; a little more where few steps are not yet asymptotic.
ORDER_BAND = 0.25
SHORT_LADDER_BAND = 0.35
#: Steps from which errors fall as they will, also where the grid's last level moves with their number.
ASYMPTOTIC = 250

#: Number of steps, configuration, case and law.
_Rung = tuple[int, Any, Case, Law]
_TOO_FEW = (
    "with so few steps not even the reference's own error falls by its order yet, so nothing can be told: "
    "declare a wider range of num_steps (up to 256 is always enough)"
)


def _error(config: Any, law: Law, row: int) -> float:
    """Largest distance of one row's means and standard deviations from the exact ones, over the level's scale."""
    begin, stop = seen_scales(config, law.times[0]), seen_scales(config, law.times[row])
    found = []
    for mean, variance in DIRECTIONS:
        rows = propagate(law, config.network, mean, variance)
        wanted_mean, wanted_variance = exact(rows[0], stop, begin, mean, variance, float(config.stochasticity))
        scale = np.sqrt(stop[0] ** 2 * variance + stop[1] ** 2)
        found.append((rows[row].mean - wanted_mean) / scale)
        found.append((np.sqrt(rows[row].variance) - np.sqrt(max(wanted_variance, 0.0))) / scale)
    return float(np.abs(found).max())


def _limit(errors: list[float]) -> float:
    """What would be left of the error at infinitely many steps: Aitken's extrapolation, exact for c + a N^-p.

    Args:
        errors: at numbers of steps that about double, the last three count.
    """
    first, second, third = errors[-3:]
    if not first > second > third:
        return third
    bend = first + third - 2 * second
    if bend <= 0:  # falling ever faster: no limit above 0 is in sight
        return 0.0
    return max(0.0, (first * third - second**2) / bend)


def _ladder(evidence: Evidence, config: Any) -> list[int]:
    """Numbers of steps, about doubling, as far as declaration and budget reach."""
    values = [v for v in evidence.covering.values.get("num_steps", []) if v is not None]
    top = max(values, default=0)
    quick = evidence.budget.name == "quick"
    table = config.table_to_divide
    if table is not None:
        # Only divisors of the table cover its whole range, and only doublings can be extrapolated.
        most = min(top, 50 if quick else table // 2)
        largest = next((n for n in range(most, 19, -1) if n % 4 == 0 and table % n == 0), None)
        return [] if largest is None else [largest // 4, largest // 2, largest]
    long = [64, 128, 256, 512] if top >= 512 else [top // 8, top // 4, top // 2, top]
    wanted = [12, 24, 48] if quick and top >= 48 else [top // 4, top // 2, top] if quick else long
    return [n for n in wanted if 5 <= n <= top]


def _replaced(config: Any, changes: dict[str, Any]) -> Any:
    """The configuration with some fields changed; None where the reference refuses that."""
    try:
        return dataclasses.replace(config, **changes)
    except ValueError:
        return None


def _plain(evidence: Evidence, *, deterministic: bool) -> Any:
    """The base without churn, clamp or partial stochasticity; None where the declaration fixes one of them."""
    wanted: dict[str, Any] = {
        "s_churn": 0.0,
        "clip_denoised": False,
        "threshold": None,
        "rescale_zero_terminal_snr": False,
        "timestep_spacing": "linspace",
        "num_corrector_steps": 0,
    }
    if deterministic:
        wanted["eta"] = 0.0
    base = evidence.covering.base
    allowed = evidence.covering.values
    changes = {name: value for name, value in wanted.items() if value in allowed.get(name, ())}
    # The spacing is a wish: a reference may refuse it, and its own will do.
    kept = {name: value for name, value in changes.items() if name != "timestep_spacing"}
    config = _replaced(base, changes) or _replaced(base, kept)
    if config is None:
        return None
    if config.stochasticity is None or config.is_clipped:
        return None
    if learned_variance(config):  # the stand-in's variance is a probe, not the exact one
        return None
    if deterministic and config.stochasticity != 0:
        return None
    return config


def _measured(evidence: Evidence, config: Any, ladder: list[int]) -> list[_Rung]:
    found: list[_Rung] = []
    for steps in ladder:
        one = _replaced(config, {"num_steps": steps})
        if one is None:
            continue
        case = evidence.case(one, dtype=evidence.precise_dtype)
        bundle = evidence.bundle(case)
        if bundle.zero.problem is None and bundle.first.problem is None:
            found.append((steps, one, case, bundle.law))
    return found


def _last_level_moves(config: Any, ladder: list[int]) -> bool:
    """Whether runs of few and of many steps end at different levels: errors at few steps then say little."""
    ends = []
    for steps in (ladder[0], ladder[-1]):
        one = _replaced(config, {"num_steps": steps})
        if one is None:
            return True
        signal, noise = seen_scales(one, reference_law(one).times[-1])
        ends.append(noise / signal)
    return abs(ends[0] - ends[1]) > 0.01 * ends[1]


def _applies(evidence: Evidence, id: str, *, deterministic: bool) -> tuple[Any, list[int]] | Finding:
    if not evidence.standard.reference:
        return skipped(id, "held against another law than the reference's own, which has no such limit to reach")
    if evidence.in_half_alone:
        return skipped(id, f"cannot be judged in {evidence.dtype}, whose rounding is larger than the errors that fall")
    base = evidence.covering.base
    if not base.has_network:
        return skipped(id, f"{type(base).__name__} gives no exact network")
    if drawn := evidence.not_normal(evidence.base):
        return skipped(id, f"what is drawn with {drawn!r} is not normal noise, of which alone the law tells")
    config = _plain(evidence, deterministic=deterministic)
    if config is None:
        kind = "deterministic configuration" if deterministic else "configuration with a closed form"
        return skipped(id, f"the declaration allows no {kind} without clamp")
    rungs = ((n, _replaced(config, {"num_steps": n})) for n in _ladder(evidence, config))
    ladder = [n for n, one in rungs if one is not None and one.has_network]
    if len(ladder) < 3:
        return skipped(id, "needs a range of steps up to 20 or more: declare a wider range of num_steps")
    if ladder[-1] < ASYMPTOTIC and _last_level_moves(config, ladder):
        return skipped(id, f"the lowest level moves with the number of steps: needs {ASYMPTOTIC} steps or more")
    cost = sum(2 * expected_calls(dataclasses.replace(config, num_steps=n)) for n in ladder)
    if not evidence.affords(cost):
        return skipped(
            id, f"its {cost} model calls are too many for the {evidence.budget.name} budget: run with a larger one"
        )
    return config, ladder


def _blame(evidence: Evidence, measured: Sequence[_Rung]) -> str | None:
    """The check that says what is wrong with these runs; None where they have the reference's law."""
    return next((cause for _, _, case, _ in measured if (cause := cause_of(evidence, case)) is not None), None)


def _errors(measured: Sequence[_Rung]) -> list[float]:
    return [_error(one, law, law.num_calls - 1) for _, one, _, law in measured]


def _left(measured: Sequence[_Rung]) -> float:
    """What would be left of the error, over what may be left."""
    errors = _errors(measured)
    # What converges leaves next to nothing of its last error at infinitely many steps; a wrong limit leaves it all.
    floor = 0.02 if measured[-1][0] < 256 else 2e-3
    ratio = _limit(errors) / (LEFT_SHARE * errors[-1] + floor)
    return ratio if np.isfinite(ratio) else np.inf


def _too_few(measured: Sequence[_Rung], ratio: Callable[[Sequence[_Rung]], float]) -> bool:
    """Whether the reference itself is not yet where its errors fall as they will.

    Context: a sound second-order sampler was flagged with 5, 11 and 22 steps at sigma_max = 80, and a sound Euler at
    sigma_max = 500 and rho = 1.5 even with 60: extrapolation needs errors that fall by the method's order.
    Choice: with few steps the check speaks only where the reference's own law would pass it clearly; with many it
    always does, so that a formula that is wrong in the reference too is still seen.
    Reversed by: a bound on the error at few steps.
    """
    if measured[-1][0] >= ASYMPTOTIC:
        return False
    own = [(n, one, case, reference_law(one, learned_variance(one))) for n, one, case, _ in measured]
    return not ratio(own) <= 1 / 3


def check_gaussian(evidence: Evidence) -> Finding:
    """With the exact denoiser of a Gaussian the result converges to the exact solution.

    The exact solution is that of the process started from the sampler's own first noise; the remaining distance to
    the data is told, not judged.
    """
    applies = _applies(evidence, "limit/gaussian", deterministic=False)
    if isinstance(applies, Finding):
        return applies
    config, ladder = applies
    measured = _measured(evidence, config, ladder)
    if len(measured) < 3:
        return conclude("limit/gaussian", evidence, [], passed="")
    if _too_few(measured, _left):
        return skipped("limit/gaussian", _TOO_FEW)
    steps = [n for n, *_ in measured]
    errors = _errors(measured)
    left = _limit(errors)
    ratio = _left(measured)
    text = (
        f"with the exact denoiser of a Gaussian the distance to the exact solution is {errors[0]:.3g} at {steps[0]} "
        f"steps and {errors[-1]:.3g} at {steps[-1]}, and would stay at {left:.3g}: it converges to something else"
    )
    case = measured[0][2]
    details = {"errors": dict(zip(map(str, steps), errors, strict=True)), "limit": left}
    blame = _blame(evidence, measured) if not ratio <= 1.0 else None
    return conclude(
        "limit/gaussian",
        evidence,
        [Judged(float(ratio), text, case, details, blame)],
        passed=f"distance to the exact solution falls from {errors[0]:.2g} to {errors[-1]:.2g} "
        f"between {steps[0]} and {steps[-1]} steps",
    )


def _slope(points: list[tuple[int, float]]) -> float:
    """The order that the errors tend to: slope of the last doubling, continued by its own change.

    Few steps are not yet asymptotic; what the slope still gains (or loses) from one doubling to the next is added
    once more, within bounds.
    """
    slopes = [
        float(np.log(before / after) / np.log(more / fewer))
        for (fewer, before), (more, after) in itertools.pairwise(points)
    ]
    change = slopes[-1] - slopes[-2] if len(slopes) > 1 else 0.0
    return slopes[-1] + float(np.clip(change, -ORDER_BAND, ORDER_BAND))


def check_order(evidence: Evidence) -> Finding:
    """The order that the method claims is the order that it has.

    Slope of the error as the steps double, on the grid without its step to zero.
    """
    applies = _applies(evidence, "limit/order", deterministic=True)
    if isinstance(applies, Finding):
        return applies
    config, ladder = applies
    measured = _measured(evidence, config, ladder)
    if len(measured) < 2:
        return conclude("limit/order", evidence, [], passed="")
    noise_floor = 1e-12 if evidence.precise_dtype == "float64" else 1e-5
    order = int(config.order)

    def short_by(rungs: Sequence[_Rung]) -> float:
        """How much of the order is missing, over what may be."""
        above = [(n, e) for (n, *_), e in zip(rungs, _errors(rungs), strict=True) if e > noise_floor]
        if len(above) < 2:
            return 0.0
        return max(0.0, order - _slope(above)) / (ORDER_BAND if above[-1][0] >= 256 else SHORT_LADDER_BAND)

    if _too_few(measured, short_by):
        return skipped("limit/order", _TOO_FEW)
    points = [(n, e) for (n, *_), e in zip(measured, _errors(measured), strict=True)]
    usable = [(n, e) for n, e in points if e > noise_floor]
    details = {"errors": {str(n): e for n, e in points}, "order": order}
    case = measured[0][2]
    if len(usable) < 2:
        return conclude(
            "limit/order",
            evidence,
            [Judged(0.0, "", case, details)],
            passed=f"the error is below {noise_floor:g} already",
        )
    slope = _slope(usable)
    text = (
        f"the error falls with slope {slope:.2f} between {usable[0][0]} and {usable[-1][0]} steps, should be "
        f"{order}: the method does not have the order that it claims"
    )
    missing = short_by(measured)
    blame = _blame(evidence, measured) if not missing <= 1.0 else None
    return conclude(
        "limit/order",
        evidence,
        [Judged(missing, text, case, details | {"slope": slope}, blame)],
        passed=f"slope {slope:.2f} for order {order}",
    )
