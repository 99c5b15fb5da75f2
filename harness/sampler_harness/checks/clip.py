"""The row ``clip/replay``: with large values the sampler still does what the reference does."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from sampler_harness.law.bundle import Bundle, DenseRun
from sampler_harness.law.clamped import NO_CLAMP, Bounds, clamped_end, end_clamp
from sampler_harness.law.law import rounding_gain
from sampler_harness.law.replay import innovations, with_fresh_noise
from sampler_harness.law.tolerance import PRECISIONS, SAFETY
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.observe.narrowed import first_narrowing
from sampler_harness.observe.trace import Case, Problem
from sampler_harness.verdict import Finding

from .evidence import Evidence
from .judging import Judged, conclude, nothing_seen, skipped
from .law import cause_of, where
from .noise import AFFINE_ULP, AFFINE_ULP_IN_HALF, affine_ratio
from .replayed import ends_clamped, hold, row_ratios, row_tolerance

#: A power of two, far below any clamp.
SCALED_DOWN = 2.0**-20
#: Spacing of the smallest numbers of float16.
SMALLEST_FLOAT16 = 2.0**-24
#: In float16, where values below 2^-14 lose digits.
SCALED_DOWN_IN_FLOAT16 = 2.0**-4

#: Where the reference is not affine: outputs this much smaller and larger. A step size from norms grows as they shrink;
#: what a step adds is then seen beside what others added, whatever the level.
OUTPUT_SCALES = (2.0**-9, 2.0**3)
#: What one rounding to the coarsest type may change, as a share of the size.
COARSEST = 2.0**-7
#: Steps that are looked at one by one, with what came before them silenced, at most.
STAGES = 6

__all__ = ["Replay", "check_replay", "replayed_ratio"]


@dataclass(frozen=True)
class Replay:
    """A dense run against the reference's replay of it.

    Attributes:
        ratio: worst deviation over its tolerance.
        row: the first that is beyond its tolerance, or the worst.
        got: what stands there.
        should_be: what the reference has there.
        ends: of a clamp at the end of the run that alone explains what is off; None where there is none.
    """

    ratio: float
    row: int
    got: float
    should_be: float
    ends: Bounds | None = None


def replayed_ratio(case: Case, dense: DenseRun, bundle: Bundle) -> Replay | None:
    """A dense run against the reference's replay of it; None where it cannot be replayed."""
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
    # As the law allows it: another form of the update is off as a whole, whether a clamp bites or not.
    form = case.config.spread_of_forms(PRECISIONS["float32"].unit)
    if form is not None and form.size == exact.shape[0]:
        spread = np.maximum(spread, form[:, None] * np.abs(exact))
    tolerance = row_tolerance(exact, spread, floor=precision.floor, safety=safety)
    ratio = row_ratios(bundle, rows, exact, tolerance)
    worst_rows = ratio.max(axis=1)
    beyond = np.flatnonzero(worst_rows > 1.0)
    row = int(beyond[0]) if beyond.size else int(worst_rows.argmax())
    element = int(ratio[row].argmax())
    is_end = beyond.size > 0 and row == rows.shape[0] - 1
    ends = end_clamp(rows[row], exact[row], tolerance[row]) if is_end else None
    should_be = clamped_end(exact, bundle.subject.output_clip)
    return Replay(float(worst_rows.max()), row, float(rows[row, element]), float(should_be[row, element]), ends)


@dataclass(frozen=True)
class Scaled:
    """How far a run is from a smaller one made larger.

    Attributes:
        ratio: the worst deviation over what may be.
        row: the first that is beyond it, or the worst.
        ends: of a clamp at the end of the run that alone explains what is off; None where there is none.
    """

    ratio: float
    row: int
    ends: Bounds | None = None


def _scaling_ratio(bundle: Bundle, dense: DenseRun, scale: float) -> Scaled:
    """How far a run with everything a power of two smaller is from being that much smaller.

    Multiplying by a power of two is exact: arithmetic that is linear gives the same digits, so that rounding plays no
    part, and a clamp, ``tanh`` or a statistic stands out by itself.
    """
    is_float16 = bundle.case.dtype == "float16"
    down = SCALED_DOWN_IN_FLOAT16 if is_float16 else SCALED_DOWN
    small = bundle.run_dense(draw_scale=scale * down, output_scale=scale * down)
    if isinstance(small, Problem) or small.rows.shape != dense.rows.shape:
        return Scaled(math.inf, 0)
    constant = bundle.zero.rows()
    got = (small.rows - constant) / down
    signs = bundle.of_both_signs(scale * down) if bundle.ends_at_zero else None
    if signs is not None:
        got = np.concatenate([got[:-1], (signs[0] - signs[1])[None] / down])
    size = np.abs(dense.rows - constant) + np.abs(dense.rows - constant).mean(axis=1, keepdims=True)
    unit = PRECISIONS[bundle.case.dtype].unit
    # A guard of 1e-8 in a divisor, or a constant, is no clamp; a declared shift swallows digits of the last row.
    allowed = 1e-4 * size + 64 * unit * np.abs(constant) / down + 1e-30
    allowed[-1] += 64 * unit * abs(bundle.shift) / down
    if is_float16:
        gain = rounding_gain(bundle.first.response.outputs)[:, None]
        allowed = np.maximum(allowed, AFFINE_ULP_IN_HALF * unit * size) + SMALLEST_FLOAT16 * gain / down
    # What lies beyond a declared end for certain is that end, however few digits are known of what it was.
    for low_or_high, bound in zip((-1.0, 1.0), bundle.subject.output_clip or (), strict=False):
        certain = low_or_high * ((got + constant)[-1] - bound) > allowed[-1]
        exactly = 64 * unit * (abs(bound) + abs(bundle.shift)) + 1e-30
        allowed[-1] = np.where(certain, exactly, allowed[-1])
    gap = np.abs(clamped_end(got + constant, bundle.subject.output_clip) - dense.rows)
    rows = slice(None) if bundle.last_row else slice(-1)
    ratio = (gap / allowed)[rows]
    ratio = np.where(np.isfinite(ratio), ratio, np.inf)
    by_row = ratio.max(axis=1)
    row = int(np.argmax(by_row > 1.0)) if (by_row > 1.0).any() else int(by_row.argmax())
    ends = None
    if float(by_row.max()) > 1.0 and row == bundle.num_calls:
        ends = end_clamp(dense.rows[-1], (got + constant)[-1], allowed[-1])
        if ends is None and bool((np.abs(got + constant - dense.rows)[-1] <= allowed[-1]).all()):
            ends = NO_CLAMP
    return Scaled(float(by_row.max()), row, ends)


def _biting(bundle: Bundle, dense: DenseRun) -> tuple[DenseRun | Problem, float]:
    """A run in which a declared clamp of the finished sample bites, and how much larger its values are."""
    declared = bundle.subject.output_clip
    if declared is None:
        return dense, 1.0
    last = np.abs(dense.rows[-1])
    reach = max(abs(bound) for bound in declared if math.isfinite(bound))
    typical = float(np.sqrt(np.mean(last**2)))
    if int((last >= reach).sum()) > last.size // 8 or typical == 0.0:
        return dense, 1.0
    scale = 2.0 ** math.ceil(math.log2(4 * reach / typical))
    return bundle.run_dense(draw_scale=scale, output_scale=scale), scale


def _of_a_cast(evidence: Evidence, case: Case, ratio: float, own: float) -> str | None:
    """``precision/dtype`` where a cast to fewer digits is made, and rounding to those explains what is not affine.

    Args:
        evidence: as measured.
        case: that was run.
        ratio: of the worst deviation.
        own: of the dense run from the sampler's own coefficients; runs that are scaled down fall below what such a type
            holds.
    """
    if ratio <= 1.0 or PRECISIONS[case.dtype].is_half or not own * AFFINE_ULP * PRECISIONS[case.dtype].unit < COARSEST:
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
        run = bundle.run_dense(output_scale=scale, quiet_before=stage, uneven=True)
        if isinstance(run, Problem) and run.kind == "not-finite" and case.dtype == "float16":
            continue  # a norm of small values, squared, is more than float16 holds
        found.append(hold(bundle, run))
    return [one.judged(case) for one in found]


def _linear(bundle: Bundle, dense: DenseRun, scaled: Scaled, *, only_the_end: bool, is_mapped: bool) -> Judged:
    """A case whose reference clamps nothing: the run must be what the sampler's own coefficients give.

    Args:
        bundle: of the case.
        dense: with values at which a clamp bites.
        scaled: how far it is from a smaller run made larger.
        only_the_end: whether nothing shows that more than the finished sample is clamped.
        is_mapped: whether each place has coefficients of its own, of which those of one place alone are known.
    """
    if scaled.ends is not None and only_the_end:
        return _ends(bundle, scaled.ratio, scaled.ends)
    affine, worst, _ = (0.0, 0, 0) if is_mapped else affine_ratio(bundle, dense)
    ratio, row = (scaled.ratio, scaled.row) if scaled.ratio > 1.0 else max((affine, worst), (scaled.ratio, scaled.row))
    hint = "; if the reference clips, declare it (clip_denoised=True)"
    text = (
        f"with large values {where(row, bundle.num_calls)} is not what the sampler's own coefficients give: something "
        f"is not affine (a clamp, tanh, division by a statistic)"
        f"{hint if 'clip_denoised' in bundle.case.config.values() else ''}"
    )
    return Judged(ratio, text, bundle.case, {"step": row})


def _ends(bundle: Bundle, ratio: float, ends: Bounds) -> Judged:
    text = ends_clamped(ends, bundle.subject.output_clip)
    return Judged(ratio, text, bundle.case, {"step": bundle.num_calls, "clamped_to": list(ends)})


def check_replay(evidence: Evidence) -> Finding:
    """With large values the sampler still does what the reference does.

    Where the reference is not affine (the corrector of Song et al. 2021) this check alone decides: every row of several
    runs against the reference's, on the same draws and outputs.
    Held against another law than its reference's, a sampler's clamps are still the reference's to decide, where it has
    the reference's law; where it has not, no law says where they bite.
    """
    spent = [0]
    untold: list[Case] = []
    earlier: list[bool] = []  # whether a case shows that more is clamped than the finished sample
    scaled: dict[Case, Scaled] = {}  # what was measured, of cases that are told once more
    replayed_of: dict[Case, Replay | None] = {}

    def judge(case: Case) -> list[Judged]:
        bundle = evidence.bundle(case)
        if bundle.problem is not None:
            return []
        if not bundle.is_affine:
            return _not_affine(evidence, case, spent) if evidence.standard.reference else []
        dense, scale = (bundle.dense, 1.0) if isinstance(bundle.dense, Problem) else _biting(bundle, bundle.dense)
        if isinstance(dense, Problem):
            if dense.kind == "unread":  # law/times tells it, and nothing is wrong with it
                return []
            return [Judged(math.inf, f"with large values: {dense.message}", case)]
        if bundle.layout is None:
            return []
        blame = cause_of(evidence, case)
        clipped = case.config.is_clipped
        if clipped and not (evidence.standard.reference or evidence.has_the_references_law(case)):
            untold.append(case)
            return []
        if not clipped:
            is_mapped = evidence.is_mapped(case)  # its weights are told by law/outputs
            if case not in scaled:
                scaled[case] = _scaling_ratio(bundle, dense, scale)
            linear = _linear(bundle, dense, scaled[case], only_the_end=not any(earlier), is_mapped=is_mapped)
            blame = _of_a_cast(evidence, case, linear.ratio, affine_ratio(bundle, dense)[0]) if linear.fails else None
            return [linear if blame is None else dataclasses.replace(linear, consequence_of=blame)]
        if case not in replayed_of:
            replayed_of[case] = replayed_ratio(evidence.side_of(case), dense, bundle)
        found = replayed_of[case]
        if found is None:
            return []
        if found.ends is not None and not any(earlier):
            return [_ends(bundle, found.ratio, found.ends)]
        text = (
            f"when the clamp bites, {where(found.row, bundle.num_calls)} holds {found.got:.6g} where the reference has "
            f"{found.should_be:.6g} (same draws, same model outputs)"
        )
        details = {"step": found.row, "got": found.got, "should_be": found.should_be}
        return [Judged(found.ratio, text, case, details, blame)]

    judged = [j for case in evidence.cases for j in judge(case)]
    if any(j.fails and j.case and int(j.evidence.get("step", 0)) < evidence.bundle(j.case).num_calls for j in judged):
        # In a run of one call the finished sample is the predicted data: what clamps that at each step looks alike.
        earlier.append(True)
        ends = [one for one in judged if "clamped_to" in one.evidence]
        judged = [one for one in judged if one not in ends]
        judged += [again for one in ends if one.case is not None for again in judge(one.case)]
    if not evidence.standard.reference and not evidence.affine_cases:
        why = "the sampler is not affine, so there is no law to compare with another's: compare with the reference"
        return nothing_seen("clip/replay", why)
    replayed = len(evidence.cases) - len(evidence.affine_cases)
    if replayed and evidence.standard.reference:
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
    clipped = sum(case.config.is_clipped for case in evidence.affine_cases) - len(untold)
    rest = [f"{len(untold)} with a clamp are left out, since no law says where it bites"] if untold else []
    rest += [f"{replayed} that are not affine are left out, since they have no law"] if replayed else []
    like = (
        "agrees with the reference" if evidence.standard.reference or clipped else "is what its own coefficients give"
    )
    counted = [f"{clipped} of {len({one.case for one in judged})} cases with a clamp", *rest]
    return conclude(
        "clip/replay", evidence, judged, passed=f"{like} at large values ({'; '.join(counted)})", shrink=judge
    )
