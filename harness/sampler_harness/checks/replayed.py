"""Where the reference is not affine: runs held against it on the same draws and outputs, row by row.

A step size from norms makes what a program does with one draw depend on all others. Its law decides nothing; replay
alone does: the same draws in the same order, the same outputs, the same rows within what rounding does to them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sampler_harness.judging import Judged
from sampler_harness.law.bundle import Bundle, DenseRun
from sampler_harness.law.clamped import NO_CLAMP, Bounds, clamped_end, end_clamp, told_bounds
from sampler_harness.law.reading import times_of
from sampler_harness.law.replay import drawn_and_called, in_order
from sampler_harness.law.response import Array
from sampler_harness.law.tolerance import PRECISIONS, SAFETY, time_tolerance
from sampler_harness.observe.trace import Case, Problem

__all__ = ["NOT_AFFINE", "Held", "ends_clamped", "hold", "row_ratios", "row_tolerance", "where"]

#: Why a check of the law does not apply.
NOT_AFFINE = (
    "in the reference itself the size of a step depends on the values, so there is no law to compare: "
    "clip/replay decides, row by row"
)


@dataclass(frozen=True)
class Held:
    """A run held against the reference.

    Attributes:
        cause: the check that speaks of what is off, in the order of cause and effect; None where nothing is.
        ratio: of the worst row, deviation over tolerance.
        message: what is off, for a person.
        evidence: step, got, should_be, ….
        times_ratio: of the worst time.
        first_ratio: of row 0.
    """

    cause: str | None
    ratio: float
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    times_ratio: float = 0.0
    first_ratio: float = 0.0

    def judged(self, case: Case, where: str = "", blame: str | None = None) -> Judged:
        """As a judgement, for checks that have no law to go by.

        Args:
            case: that was run.
            where: put before what is off.
            blame: the check whose failure explains it.
        """
        return Judged(self.ratio, f"{where}{self.message}", case, self.evidence, blame)


def row_tolerance(exact: Array, spread: Array, *, floor: float, safety: float) -> Array:
    """How far every element of every row may be off.

    Args:
        exact: rows of the reference.
        spread: what rounding does to them.
        floor: relative tolerance below which none goes.
        safety: times the spread.
    """
    size = np.abs(exact) + np.sqrt(np.mean(exact**2, axis=1, keepdims=True))
    # A neighbour's rounding can be this element's: the row's own typical spread is the least that is allowed.
    typical = np.sqrt(np.mean(spread**2, axis=1, keepdims=True))
    tolerance: Array = np.maximum(floor * size + safety * np.maximum(spread, typical), 1e-30)
    return tolerance


def row_ratios(bundle: Bundle, rows: Array, exact: Array, tolerance: Array) -> Array:
    """Deviation over tolerance of every element of every row.

    Args:
        bundle: of the case, for what the program does after its last step.
        rows: of the sampler.
        exact: of the reference, before what the program does after its last step.
        tolerance: of them.
    """
    exact = clamped_end(exact, bundle.subject.output_clip)
    with np.errstate(invalid="ignore"):
        gap = np.abs(rows - exact)
    if bundle.subject.quantised is not None:
        gap[-1] = np.maximum(gap[-1] - 1.0 / bundle.subject.quantised, 0.0)
    ratio: Array = np.where(np.isfinite(gap), gap / tolerance, np.inf)
    return ratio


def where(row: int, calls: int) -> str:
    """A row in words."""
    return "the returned sample" if row == calls else f"the input of model call {row}"


def ends_clamped(bounds: Bounds, declared: Bounds | None) -> str:
    """A clamp at the end of the run that is not the declared one, in words.

    Args:
        bounds: of the clamp.
        declared: what is declared of the finished sample.
    """
    if bounds == NO_CLAMP:
        written = "" if declared is None else told_bounds(declared)[1]
        return f"the returned sample is not clamped, declared is output_clip={written}"
    told, written = told_bounds(bounds)
    if declared is None:
        return (
            f"the returned sample is clamped to {told}: the reference has no clamp there; output_clip={written} "
            "declares an intended one"
        )
    return f"the returned sample is clamped to {told}, declared is output_clip={told_bounds(declared)[1]}"


def _after(calls: int) -> str:
    return "before the first model call" if calls == 0 else f"after model call {calls - 1}"


def _numbers_of_draws(bundle: Bundle, wanted: tuple[int, ...]) -> Held | None:
    """Too many draws, or too few; None where the numbers agree."""
    layout = bundle.layout
    if layout is None:
        text = "the draws do not fill samples: they cannot be handed to the reference"
        return Held("noise/shape", math.inf, text)
    counted = bundle.counted_fields
    if len(counted) == len(wanted):
        return None
    places = [bundle.zero.draws[layout.fields[field].parts[0]].calls_before for field in counted]
    differs = next(
        (i for i, (a, b) in enumerate(zip(places, wanted, strict=False)) if a != b), min(len(places), len(wanted))
    )
    other = [f"the sampler's draw {differs} is made {_after(places[differs])}"] if differs < len(places) else []
    other += [f"the reference's {_after(wanted[differs])}"] if differs < len(wanted) else []
    text = (
        f"the sampler draws {len(counted)} unit normals that reach its samples, the reference {len(wanted)}"
        f"{': ' if other else ''}{', '.join(other)}"
    )
    details = {"got": len(counted), "should_be": len(wanted), "step": differs}
    if other and differs < min(len(places), len(wanted)) and places[differs] < wanted[differs]:
        details["early"] = layout.fields[counted[differs]].parts[0]
    return Held("law/noise", math.inf, text, details)


def hold(bundle: Bundle, dense: DenseRun | Problem) -> Held:
    """Replay a dense run with the reference and compare times and rows.

    Args:
        bundle: of a case whose reference is not affine.
        dense: the run.
    """
    case = bundle.case
    if isinstance(dense, Problem):
        return Held("law/times", math.inf, dense.message, {"problem": dense.kind, "step": dense.step})
    wanted, calls = drawn_and_called(case.config)
    got_calls = dense.outputs.shape[0]
    if got_calls != calls:
        text = f"the model is called {got_calls} times in a run, should be {calls}"
        return Held("law/times", math.inf, text, {"got": got_calls, "should_be": calls}, times_ratio=math.inf)
    unpaired = _numbers_of_draws(bundle, wanted)
    fields = np.zeros((len(wanted), case.numel)) if unpaired else dense.fields[list(bundle.counted_fields)]
    precision = PRECISIONS[case.dtype]
    exact, spread = in_order(
        case.config,
        case.shape,
        dense.outputs,
        fields,
        bits=precision.bits,
        tables=case.dtype == "float32",  # in half precision programs keep their tables in float32
    )
    times = times_of(dense.run)
    allowed = np.maximum(time_tolerance(exact.times), SAFETY * spread.times)
    time_ratios = np.where(np.isfinite(times), np.abs(times - exact.times) / allowed, np.inf)
    call = int(np.argmax(time_ratios > 1.0)) if (time_ratios > 1.0).any() else int(time_ratios.argmax())
    worst_time = float(time_ratios.max())
    if worst_time > 1.0:
        text = f"model call {call} is told time {times[call]:.6g}, should be {exact.times[call]:.6g}"
        details: dict[str, Any] = {"step": call, "got": float(times[call]), "should_be": float(exact.times[call])}
        return Held("law/times", worst_time, text, details, times_ratio=worst_time)
    if unpaired is not None:
        return unpaired
    safety = 2 * SAFETY if precision.bits < 24 else SAFETY
    tolerance = row_tolerance(exact.rows, spread.rows, floor=precision.floor, safety=safety)
    ratios = row_ratios(bundle, dense.rows, exact.rows, tolerance)
    if not bundle.last_row and bundle.subject.quantised is None:
        ratios = ratios[:-1]
    by_row = ratios.max(axis=1)
    worst, first = float(by_row.max()), float(by_row[0])
    row = int(np.argmax(by_row > 1.0)) if worst > 1.0 else int(by_row.argmax())
    element = int(ratios[row].argmax())
    shown = clamped_end(exact.rows, bundle.subject.output_clip)
    got, should_be = float(dense.rows[row, element]), float(shown[row, element])
    details = {"step": row, "got": got, "should_be": should_be}
    if worst > 1.0 and row == calls:
        ends = end_clamp(dense.rows[row], exact.rows[row], tolerance[row])
        if ends is not None:
            text, details = ends_clamped(ends, bundle.subject.output_clip), details | {"clamped_to": list(ends)}
            return Held("clip/replay", worst, text, details, worst_time, first)
    if first > 1.0:
        sizes = [float(np.sqrt(np.mean(values[0] ** 2))) for values in (dense.rows, exact.rows)]
        text = f"the first model input is of size {sizes[0]:.6g}, should be {sizes[1]:.6g} (same draw)"
        return Held("law/initial-noise", worst, text, details, worst_time, first)
    if worst > 1.0:
        text = (
            f"{where(row, calls)} holds {got:.6g} where the reference has {should_be:.6g}, on the same draws and "
            f"model outputs; up to model call {row - 1} they agree: the step behind it differs"
        )
        return Held("clip/replay", worst, text, details, worst_time, first)
    return Held(None, worst, "", details, worst_time, first)
