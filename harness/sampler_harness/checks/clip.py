"""The row ``clip/replay``: with large values the sampler still does what the reference does."""

from __future__ import annotations

import math

import numpy as np

from sampler_harness.law.bundle import Bundle, DenseRun
from sampler_harness.law.replay import innovations, with_fresh_noise
from sampler_harness.law.tolerance import PRECISIONS, SAFETY
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.observe.narrowed import first_narrowing
from sampler_harness.observe.trace import Case, Problem
from sampler_harness.verdict import Finding

from .evidence import Evidence
from .judging import Judged, conclude, nothing_seen, skipped
from .law import cause_of, where
from .noise import AFFINE_ULP, affine_ratio
from .replayed import hold, row_ratios

#: A power of two, far below any clamp.
SCALED_DOWN = 2.0**-20

#: Where the reference is not affine: outputs this much smaller and larger. A step size from norms grows as they shrink;
#: what a step adds is then seen beside what others added, whatever the level.
OUTPUT_SCALES = (2.0**-9, 2.0**3)
#: What one rounding to the coarsest type may change, as a share of the size.
COARSEST = 2.0**-7
#: Steps that are looked at one by one, with what came before them silenced, at most.
STAGES = 6

__all__ = ["check_replay", "replayed_ratio"]


def replayed_ratio(case: Case, dense: DenseRun, bundle: Bundle) -> tuple[float, int, float, float] | None:
    """A dense run against the reference's replay of it.

    Returns:
        Worst ratio of deviation to tolerance, its row, got and should-be; None where it cannot be replayed.
    """
    dtype, learned = dense.run.case.dtype, learned_variance(case.config)
    precision, tables = PRECISIONS[dtype], dtype == "float32"
    fresh = innovations(bundle.first.response, dense.fields, PRECISIONS[bundle.case.dtype].unit)
    replayed = with_fresh_noise(
        case.config, case.shape, dense.outputs, fresh, bits=precision.bits, tables=tables, learned_variance=learned
    )
    if replayed is None or replayed[0].shape != dense.rows.shape:
        return None
    exact, spread = replayed
    safety = SAFETY if tables else 2 * SAFETY  # in half precision the order of operations is most of the rounding
    rows = dense.rows
    ratio = row_ratios(bundle, rows, exact, spread, floor=precision.floor, safety=safety)
    worst_rows = ratio.max(axis=1)
    beyond = np.flatnonzero(worst_rows > 1.0)
    row = int(beyond[0]) if beyond.size else int(worst_rows.argmax())
    element = int(ratio[row].argmax())
    return float(worst_rows.max()), row, float(rows[row, element]), float(exact[row, element])


def _scaling_ratio(bundle: Bundle, dense: DenseRun) -> tuple[float, int, int]:
    """How far a run with everything a power of two smaller is from being that much smaller.

    Multiplying by a power of two is exact: arithmetic that is linear gives the same digits, so that rounding plays no
    part, and a clamp, ``tanh`` or a statistic stands out by itself.

    Returns:
        The worst ratio, its row and its element.
    """
    small = bundle.run_dense(draw_scale=SCALED_DOWN, output_scale=SCALED_DOWN)
    if isinstance(small, Problem) or small.rows.shape != dense.rows.shape:
        return math.inf, 0, 0
    constant = bundle.zero.rows()
    got = (small.rows - constant) / SCALED_DOWN
    should_be = dense.rows - constant
    size = np.abs(should_be) + np.abs(should_be).mean(axis=1, keepdims=True)
    unit = PRECISIONS[bundle.case.dtype].unit
    # A guard of 1e-8 in a divisor, or a constant, is no clamp; a declared shift swallows digits of the last row.
    allowed = 1e-4 * size + 64 * unit * np.abs(constant) / SCALED_DOWN + 1e-30
    allowed[-1] += 64 * unit * abs(bundle.shift) / SCALED_DOWN
    rows = slice(None) if bundle.last_row else slice(-1)
    ratio = (np.abs(got - should_be) / allowed)[rows]
    ratio = np.where(np.isfinite(ratio), ratio, np.inf)
    row, element = (int(i) for i in np.unravel_index(int(ratio.argmax()), ratio.shape))
    return float(ratio[row, element]), row, element


def _of_a_cast(evidence: Evidence, case: Case, ratio: float, own: float) -> str | None:
    """``precision/dtype`` where a cast to fewer digits is made, and rounding to those explains what is not affine.

    Args:
        evidence: as measured.
        case: that was run.
        ratio: of the worst deviation.
        own: of the dense run from the sampler's own coefficients; runs that are scaled down fall below what such a type
            holds.
    """
    if ratio <= 1.0 or not own * AFFINE_ULP * PRECISIONS[case.dtype].unit < COARSEST:
        return None
    narrowed = first_narrowing(evidence.subject, case, evidence.fixtures)
    return None if narrowed is None else "precision/dtype"


def _stages(calls: int) -> list[int]:
    """Model calls from which a run is looked at: all, or some of them from first to last."""
    last = calls - 1
    return (
        sorted({round(1 + i * (last - 1) / (STAGES - 1)) for i in range(STAGES)})
        if last > STAGES
        else [*range(1, calls)]
    )


def _not_affine(evidence: Evidence, case: Case, spent: list[int]) -> list[Judged]:
    """Runs of a case that has no law, each held against the reference.

    Beside the dense run: outputs small and large, and from step after step on with what came before silenced, since
    early steps are large and late ones small. As far as the check's share of the budget reaches.
    """
    bundle = evidence.bundle(case)
    held = evidence.held(case)
    if held.cause not in (None, "clip/replay"):
        return [held.judged(case, blame=held.cause)]
    found = [held]
    runs = [(scale, 0) for scale in OUTPUT_SCALES]
    runs += [(scale, stage) for stage in _stages(bundle.num_calls) for scale in OUTPUT_SCALES]
    for scale, stage in runs:
        if not evidence.affords(spent[0] + bundle.num_calls):
            break
        spent[0] += bundle.num_calls
        found.append(hold(bundle, bundle.run_dense(output_scale=scale, quiet_before=stage, uneven=True)))
    return [one.judged(case) for one in found]


def check_replay(evidence: Evidence) -> Finding:
    """With large values the sampler still does what the reference does.

    Where the reference is not affine (the corrector of Song et al. 2021) this check alone decides: every row of several
    runs against the reference's, on the same draws and outputs.
    Held against another law than its reference's, a sampler's clamps are still the reference's to decide, where it has
    the reference's law; where it has not, no law says where they bite.
    """
    spent = [0]
    untold: list[Case] = []

    def judge(case: Case) -> list[Judged]:
        bundle = evidence.bundle(case)
        if bundle.problem is not None:
            return []
        if not bundle.is_affine:
            return _not_affine(evidence, case, spent) if evidence.standard.reference else []
        dense = bundle.dense
        if isinstance(dense, Problem):
            return [Judged(math.inf, f"with large values: {dense.message}", case)]
        if bundle.layout is None:
            return []
        blame = cause_of(evidence, case)
        clipped = case.config.is_clipped
        if clipped and not (evidence.standard.reference or evidence.has_the_references_law(case)):
            untold.append(case)
            return []
        if not clipped:
            own = affine_ratio(bundle, dense)
            ratio, row, _ = max(own, _scaling_ratio(bundle, dense))
            text = (
                f"with large values {where(row, bundle.num_calls)} is not what the sampler's own coefficients "
                "give: something is not affine (a clamp, tanh, division by a statistic); if the reference clips, "
                "declare it (clip_denoised=True)"
            )
            return [Judged(ratio, text, case, {"step": row}, _of_a_cast(evidence, case, ratio, own[0]))]
        found = replayed_ratio(evidence.side_of(case), dense, bundle)
        if found is None:
            return []
        ratio, row, got, should_be = found
        text = (
            f"when the clamp bites, {where(row, bundle.num_calls)} holds {got:.6g} where the reference has "
            f"{should_be:.6g} (same draws, same model outputs)"
        )
        return [Judged(ratio, text, case, {"step": row, "got": got, "should_be": should_be}, blame)]

    judged = [j for case in evidence.cases for j in judge(case)]
    if not evidence.standard.reference and not evidence.affine_cases:
        why = (
            "the sampler is not affine, so that it has no law to be held against another's: compare with the reference"
        )
        return nothing_seen("clip/replay", why)
    replayed = len(evidence.cases) - len(evidence.affine_cases)
    if replayed:
        return conclude(
            "clip/replay",
            evidence,
            judged,
            passed=f"{replayed} cases are not affine: the same rows as the reference on the same draws and outputs, in "
            f"{len(judged)} runs",
            shrink=judge,
        )
    if untold and not judged:
        return skipped(
            "clip/replay", "what it is held against has no reference: its law does not say where a clamp bites"
        )
    clipped = sum(case.config.is_clipped for case in evidence.cases) - len(untold)
    rest = f"; {len(untold)} with a clamp are left out, since no law says where it bites" if untold else ""
    return conclude(
        "clip/replay",
        evidence,
        judged,
        passed=f"agrees with the reference at large values ({clipped} of {len(judged)} cases with a clamp{rest})",
        shrink=judge,
    )
