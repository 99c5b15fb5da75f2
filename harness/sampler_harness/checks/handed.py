"""Whether only what a sampler hands over is wrong: x as its model is given it, or the sample as it is returned.

A model input that is a multiple of what it should be, while all that is made of the answer is right, was not scaled, or
scaled wrongly, where it was handed to the model: a wrong x would have been carried on. A returned sample that is a
multiple of what it should be, or has a constant on top, after model inputs that are all right, was changed where it is
returned. Both are read off the law, and need no run.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence

import numpy as np

from sampler_harness.law.comparison import compare
from sampler_harness.law.law import Law
from sampler_harness.law.response import Array
from sampler_harness.observe.statements import Line, made_for, node_of
from sampler_harness.observe.trace import Case
from sampler_harness.observe.walk import Walk

from .evidence import Evidence

__all__ = ["line_of_handing"]

#: Cases in which it must be so.
CONFIRMED = 6
#: How far a factor must be from 1 to be one.
OFF = 1e-3


def line_of_handing(evidence: Evidence, failing: Sequence[Case]) -> Line | None:
    """The line that hands a wrong multiple to the model, or returns one; None where more than that is wrong.

    Args:
        evidence: as measured.
        failing: cases whose law is wrong.
    """
    cases = [case for case in failing if evidence.bundle(case).num_calls > 1][:CONFIRMED]
    found = [_scaled(evidence, case) for case in cases]
    if not found or any(rows is None for rows in found):
        return None
    calls = [evidence.bundle(case).num_calls for case in cases]
    returned = [rows is not None and rows == {count} for rows, count in zip(found, calls, strict=True)]
    walked = evidence.walked(cases[0])
    if all(returned):
        line = walked.last_return()
        return line if line is not None and _works_out(line) else None
    if any(rows is not None and count in rows for rows, count in zip(found, calls, strict=True)):
        return None
    return _handing(walked)


def _works_out(line: Line) -> bool:
    """Whether a line returns more than a name."""
    node = node_of(line)
    return isinstance(node, ast.Return) and isinstance(node.value, (ast.BinOp, ast.UnaryOp))


def _handing(walked: Walk) -> Line | None:
    """The line that calls the model, or the one that makes what only that line reads."""
    lines = {stack[0] for stack in walked.calls if stack}
    if len(lines) != 1:
        return None
    at = lines.pop()
    return made_for(at) or at


def _scaled(evidence: Evidence, case: Case) -> set[int] | None:
    """The rows that are multiples of what they should be, where that is all that is wrong; None where it is not."""
    side = evidence.side_of(case)
    bundle, should_be = evidence.bundle(case), evidence.standard.law(side)
    if bundle.problem is not None or should_be is None or bundle.law.num_calls != should_be.num_calls:
        return None
    law = bundle.law
    factors = np.array([_factor(law, should_be, row) for row in range(law.num_calls + 1)])
    if not np.isfinite(factors).all() or (factors <= 0).any():
        return None
    off = set(np.flatnonzero(np.abs(factors - 1.0) > OFF).tolist())
    offset = law.offset * factors
    if off == {law.num_calls}:  # a constant on top of the sample is handed over in the same line
        offset[-1] = should_be.offset[-1]
    scaled = dataclasses.replace(
        law, outputs=law.outputs * factors[:, None], factor=law.factor * factors[:, None], offset=offset
    )
    tolerance = evidence.standard.tolerance(side)
    if any(d.ratio > 1.0 for d in compare(scaled, should_be, tolerance, last_row=bundle.last_row)):
        return None
    return off or None


def _factor(law: Law, should_be: Law, row: int) -> float:
    """What a row is to be multiplied by, read at its largest entry."""
    got: Array = np.concatenate([law.outputs[row], law.factor[row]])
    wanted: Array = np.concatenate([should_be.outputs[row], *(should_be.column(k)[row : row + 1] for k in law.opened)])
    at = int(np.abs(wanted).argmax())
    if wanted[at] == 0.0:
        return 1.0
    return float(wanted[at] / got[at]) if got[at] else np.nan
