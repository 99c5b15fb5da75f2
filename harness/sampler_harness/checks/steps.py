"""The row ``steps/any``: the law holds for every number of steps."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from sampler_harness.observe.trace import Case
from sampler_harness.verdict import Finding

from .evidence import Evidence, expected_calls
from .judging import Judged, conclude, skipped
from .law import NO_LAW, cause_of, nothing_compared, told_of

__all__ = ["check_any"]

#: What says how many steps there are, and where.
GRID_FIELDS = ("num_steps", "timesteps", "sigmas", "times")


def check_any(evidence: Evidence) -> Finding:
    """The law holds for one (where declared), two, few, many and indivisible numbers of steps."""
    cases = [c for c in evidence.cases if _same_but_steps(c.config, evidence.covering.base)]
    if len({_steps_of(config) for config in evidence.covering.configurations}) < 2:
        return skipped("steps/any", "the number of steps is not varied: declare num_steps=st.integers(…)")
    failing = {case: worst for case in cases if (worst := _worst(evidence, case)) is not None}
    if not failing and (nothing := nothing_compared("steps/any", evidence)) is not None:
        return nothing
    judged = [
        Judged(
            ratio,
            f"with {_steps_of(case.config)} step{'' if _steps_of(case.config) == 1 else 's'}: {text}",
            case,
            {},
            "law/times" if (problem := evidence.bundle(case).problem) is not None else cause_of(evidence, case),
            "" if problem is None else problem.kind,
        )
        for case, (ratio, text) in failing.items()
    ]
    counts = sorted({_steps_of(case.config) for case in failing})
    passed = f"holds for {', '.join(map(str, counts))} steps"
    return conclude("steps/any", evidence, judged, passed=passed, why_nothing=NO_LAW)


def _steps_of(config: Any) -> int:
    return config.num_levels or expected_calls(config)


def _same_but_steps(config: Any, base: Any) -> bool:
    kept = [one.name for one in dataclasses.fields(base) if one.compare and one.name not in GRID_FIELDS]
    ours, others = base.values(), config.values()
    return all(ours[name] == others[name] for name in kept)


def _worst(evidence: Evidence, case: Case) -> tuple[float, str] | None:
    """The worst deviation and what it is; None where there is nothing to lay the case beside."""
    problem = evidence.bundle(case).problem
    if problem is not None:
        return math.inf, problem.message
    if not evidence.bundle(case).is_affine and evidence.standard.reference:
        held = evidence.held(case)
        return held.ratio, held.message
    deviations = evidence.compared(case)
    if not deviations:
        return None
    worst = max(deviations, key=lambda d: d.ratio)
    first = min((d for d in deviations if d.ratio > 1.0), key=lambda d: d.row, default=worst)
    return worst.ratio, told_of(evidence, case, first)
