"""What a failing check shows in the fixed configurations: the figures that a known failure is pinned by."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from sampler_harness.judging import Judged, short
from sampler_harness.law.same import side_by_side
from sampler_harness.observe.trace import Case
from sampler_harness.pinned import Shown

from .evidence import Evidence, expected_calls

__all__ = ["shown"]

#: Stands for the size of a law that could not be measured.
UNMEASURED = -1.0
#: Figures in a sentence: they may move with rounding, and with the machine.
_FIGURES = re.compile(r"[-+]?\d[\d.,]*(?:e[-+]?\d+)?")


def shown(id: str, evidence: Evidence, failing: Sequence[Judged]) -> Shown | None:
    """The figures of a failure; None where no fixed configuration fails.

    What Hypothesis draws and shrinks is left out: it may differ from one version of it to the next.

    Args:
        id: the check.
        evidence: of the sampler.
        failing: its judgements that fail, before any is made smaller.
    """
    fixed = set(evidence.covering.configurations)
    known = [judged for judged in failing if judged.case is None or judged.case.config in fixed]
    if not known:
        return None
    first = min(known, key=_size)
    step = first.evidence.get("step")
    by_law = id.startswith("law/") and not first.problem
    sizes = _sizes(evidence) if id.startswith("law/") else {}
    got, should_be = (_number(first.evidence.get(name)) if by_law else None for name in ("got", "should_be"))
    return Shown(
        configuration=short(first.case.config) if first.case is not None else "",
        term=str(first.evidence.get("term", "")),
        step=step if isinstance(step, int) and not isinstance(step, bool) else None,
        got=got,
        should_be=should_be,
        problem=first.problem,
        says="" if by_law else _said(first),
        sizes=tuple(size for size, _ in sizes.values()),
        got_allowed=_allowed(evidence, first, got, should_be),
        sizes_allowed=tuple(allowed for _, allowed in sizes.values()),
    )


def _allowed(evidence: Evidence, judged: Judged, got: float | None, should_be: float | None) -> float:
    """What rounding may do to the entry that is told of; 0 where it is no entry of a law."""
    if judged.case is None or got is None or should_be is None:
        return 0.0
    entries = [d for d in evidence.compared(judged.case) if (d.got, d.should_be) == (got, should_be)]
    ratios = [d.ratio for d in entries if 0.0 < d.ratio < math.inf]
    return abs(got - should_be) / min(ratios) if ratios else 0.0


def _said(judged: Judged) -> str:
    """A finding without its figures; of an exception its type, since its words are its library's."""
    line = judged.message.partition("\n")[0]
    return _FIGURES.sub("#", line.partition(": ")[0] if judged.problem else line)


def _size(judged: Judged) -> tuple[bool, int, str]:
    config = judged.case.config if judged.case is not None else None
    calls = expected_calls(config) if config is not None else 0
    return judged.consequence_of is not None, calls, short(config)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _sizes(evidence: Evidence) -> dict[Any, tuple[float, float]]:
    """Of each fixed configuration that was measured: how far its law is off, and what rounding may do to that."""
    measured = set(evidence.cases)
    cases = [evidence.case(config) for config in evidence.covering.configurations]
    return {case.config: _law_size(evidence, case) for case in cases if case in measured}


def _law_size(evidence: Evidence, case: Case) -> tuple[float, float]:
    bundle = evidence.bundle(case)
    if bundle.problem is not None:
        return UNMEASURED, 0.0
    if not bundle.is_affine:
        ratio = evidence.held(case).ratio
        return (ratio, 1.0) if math.isfinite(ratio) else (UNMEASURED, 0.0)
    law, should_be = bundle.law, evidence.standard.law(case)
    if should_be is None:
        return UNMEASURED, 0.0
    tolerance = evidence.standard.tolerance(case)
    calls = min(law.num_calls, should_be.num_calls)
    rows = calls + (1 if law.num_calls == should_be.num_calls and bundle.last_row else 0)
    opened = tuple(sorted(row for row in set(law.opened) | set(should_be.opened) if row < rows))
    got, reference, allowed = side_by_side(law, should_be, tolerance, rows, opened)
    read = np.isfinite(allowed) & np.isfinite(got)
    off = np.abs(got - reference)[read].sum() + np.abs(law.times[:calls] - should_be.times[:calls]).sum()
    by = allowed[read].sum() + tolerance.times[:calls].sum()
    return float(off) + abs(law.num_calls - should_be.num_calls), float(by)
