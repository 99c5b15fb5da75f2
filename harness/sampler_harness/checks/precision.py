"""The row ``precision/dtype``: declared dtypes come back, and each is as accurate as it can be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from sampler_harness.law.bundle import Bundle, DenseRun
from sampler_harness.law.casts import cast_of
from sampler_harness.law.clamped import clamped_end
from sampler_harness.law.dense import LARGEST_DENSE
from sampler_harness.law.reading import times_of
from sampler_harness.law.replay import innovations, with_fresh_noise
from sampler_harness.law.response import Array
from sampler_harness.law.tolerance import PRECISIONS
from sampler_harness.observe.learned_variance import learned_variance
from sampler_harness.observe.trace import Case, Problem
from sampler_harness.verdict import Finding

from .clip import Replay, replayed_ratio
from .evidence import Evidence
from .judging import Judged, conclude, skipped
from .law import cause_of, told_of, where
from .noise import affine_ratio
from .replayed import ends_clamped, hold
from .told_times import times_wanted

__all__ = ["check_dtype"]

#: Why nothing is said of a dtype's digits.
UNSEEN = "how accurate it is cannot be told, since what it is held against has no law to compare with"
#: Times what rounding does to the reference, in the mean over a row: of programs of any form at most 2^2.4 was seen.
#: The next narrower dtype rounds 2^13 times as much.
ROOM = 2.0**6


def check_dtype(evidence: Evidence) -> Finding:
    """The sample has the declared dtype, and each declared dtype is as accurate as it can be.

    More precision inside is told, not failed. A cast is seen too where the sampler's other deviations are declared.
    """
    judged: list[Judged] = []
    told: list[str] = []
    accurate: dict[str, bool] = {}  # whether anything could be said of a dtype's digits
    for dtype in evidence.subject.dtypes:
        for case in _cases_for(evidence, dtype):
            bundle = evidence.bundle(case)
            if bundle.zero.problem is not None:
                blame = "law/times" if evidence.bundle(evidence.base).problem is not None else None
                text = f"in {dtype}: {bundle.zero.problem.message}"
                judged.append(Judged(math.inf, text, case, {}, blame, bundle.zero.problem.kind))
                continue
            judged.append(_returned_dtype(evidence, case))
            inside = {str(c.x.dtype).removeprefix("torch.") for c in bundle.zero.calls}
            wider = sorted(d for d in inside if PRECISIONS[d].bits > PRECISIONS[dtype].bits)
            if wider:
                told.append(f"{dtype}: the state is kept in {wider[0]}")
            judged += _times_rounded(evidence, case)
            # The dtype in which laws are read is half precision where there is no other.
            by_replay = PRECISIONS[dtype].is_half and dtype != evidence.dtype
            found = _half(evidence, case) if by_replay else [*_law(evidence, case), *_digits(evidence, case)]
            accurate[dtype] = bool(found) or accurate.get(dtype, False)
            judged += found
    seen, unseen = ([dtype for dtype, has in accurate.items() if has is wanted] for wanted in (True, False))
    if unseen and not any(one.fails for one in judged):
        if not seen:
            return skipped("precision/dtype", f"{_right_dtype(unseen)}; {UNSEEN}")
        told.append(f"{_right_dtype(unseen)}, which is all that is known of it: {UNSEEN}")
    note = f" ({'; '.join(dict.fromkeys(told))})" if told else ""
    return conclude("precision/dtype", evidence, judged, passed=f"as accurate as {', '.join(seen)} can be{note}")


def _right_dtype(dtypes: Sequence[str]) -> str:
    return f"asked for {' or '.join(dtypes)}, the sampler returns the dtype that it should"


def _cases_for(evidence: Evidence, dtype: str) -> list[Case]:
    """The base and, for what rounds most, chains of few steps; in half precision each value of each option once."""
    configs = [evidence.covering.base]
    if PRECISIONS[dtype].is_half:
        configs = [case.config for case in evidence.telling_cases]
    else:
        paired = [c.config for c in evidence.cases if c.config != evidence.covering.base]
        configs += paired[:3]
    return [evidence.case(config, shape=evidence.base.shape, dtype=dtype) for config in configs]


def _returned_dtype(evidence: Evidence, case: Case) -> Judged:
    sample = evidence.bundle(case).zero.raw_sample
    got = str(sample.dtype).removeprefix("torch.")
    should_be = evidence.subject.output_dtype or case.dtype
    text = f"asked for {case.dtype}, the sampler returns {got}, should be {should_be}"
    return Judged(0.0 if got == should_be else math.inf, text, case, {"got": got, "should_be": should_be})


def _times_rounded(evidence: Evidence, case: Case) -> list[Judged]:
    """Times must not have gone through a half-precision cast."""
    found = _times(evidence, case)
    if found is None:
        return []
    got, should_be, allowed = found
    ratio = abs(got - should_be) / allowed
    call = int(ratio.argmax())
    base = evidence.compared(evidence.base)
    wrong_anyway = any(d.term in ("time", "count") and d.ratio > 1.0 for d in base)
    cast = _cast_of_times(evidence, case.dtype) if ratio[call] > 1.0 else None
    why = f": the time was rounded by a cast to {cast}" if cast else ""
    told = f"is told time {got[call]:.8g}, should be {should_be[call]:.8g}{why}"
    text = f"in {case.dtype} model call {call} {told}"
    blame = "law/times" if wrong_anyway else None
    return [Judged(float(ratio[call]), text, case, {"step": call, "term": "time"}, blame)]


def _times(evidence: Evidence, case: Case) -> tuple[Array, Array, Array] | None:
    """The times of a case, those that they should be, and how far they may be off; None where these are not known."""
    bundle = evidence.bundle(case)
    wanted = None if bundle.zero.problem is not None else times_wanted(evidence, case)
    if wanted is None:
        return None
    got = times_of(bundle.zero)
    return (got, *wanted) if wanted[0].shape == got.shape else None


def _cast_of_times(evidence: Evidence, dtype: str) -> str | None:
    """The cast that makes all times of all cases in a dtype."""
    found = [_times(evidence, case) for case in _cases_for(evidence, dtype)]
    return cast_of(pair for one in found if one is not None for pair in zip(one[0], one[1], strict=True))


def _law(evidence: Evidence, case: Case) -> list[Judged]:
    if not evidence.bundle(case).is_affine:
        return _by_replay(evidence, case)
    deviations = evidence.compared(case)
    if not deviations:
        return []
    worst = max(deviations, key=lambda d: d.ratio)
    blame = cause_of(evidence, evidence.case(case.config, shape=case.shape)) or _seen_finer(evidence, case.dtype)
    why = f": {_less(evidence, case.dtype)}" if blame is None else ""
    text = f"in {case.dtype}: {told_of(evidence, case, worst)}{why}"
    return [Judged(worst.ratio, text, case, {"step": worst.row}, blame)]


def _is_finer(evidence: Evidence, dtype: str) -> bool:
    """Whether a dtype shows what the one in which laws are read does not."""
    return PRECISIONS[dtype].bits > PRECISIONS[evidence.dtype].bits


def _seen_finer(evidence: Evidence, dtype: str) -> str | None:
    """The check that fails in another configuration, where a dtype has more digits than those that laws are read in.

    Context: a small error of a formula is within what float32's rounding does in one configuration and beyond it in
    another, and beyond float64's in both. Choice: it is one cause. Reversed by: telling digits that are lost in float64
    alone from a formula that is off by as much.
    """
    if not _is_finer(evidence, dtype):
        return None
    return next((cause for case in evidence.affine_cases if (cause := cause_of(evidence, case)) is not None), None)


def _less(evidence: Evidence, dtype: str) -> str:
    if _is_finer(evidence, dtype):
        return f"too little to show in {evidence.dtype}: a small error of the formula, or digits lost on the way"
    return "less accurate than the dtype allows"


def _digits(evidence: Evidence, case: Case) -> list[Judged]:
    """Given values everywhere, each row has the digits of its dtype.

    An impulse is a power of two, which every dtype holds: a cast of what is multiplied by 1 shows in no coefficient.
    Rows are held against the sampler's own coefficients, so that it is no matter which law it has.
    """
    bundle = evidence.bundle(case)
    if bundle.unread or bundle.problem is not None or not bundle.is_affine or bundle.layout is None:
        return []
    if not case.config.has_steps:  # nothing says what rounding may do
        return []
    if PRECISIONS[case.dtype].is_half:  # its coefficients have no more digits than its rows
        return []
    small = bundle.amplitude / LARGEST_DENSE
    if case.config.is_clipped or evidence.subject.output_clip is not None:
        return _digits_of(evidence, case, small)
    large = _digits_of(evidence, case, None)
    # A clamp that nobody declared costs no digits where it sleeps; a cast costs as many at any size.
    if not any(one.fails for one in large):
        return large
    again = _digits_of(evidence, case, small)
    # Below what a narrow type holds nothing can be judged: then the large run stands.
    return large if not again or any(one.fails for one in again) else again


def _digits_of(evidence: Evidence, case: Case, scale: float | None) -> list[Judged]:
    """The digits of one run.

    Args:
        evidence: of the sampler.
        case: whose run it is.
        scale: of the given values; None for the run that all checks share.
    """
    bundle = evidence.bundle(case)
    dense = bundle.dense if scale is None else bundle.run_dense(draw_scale=scale, output_scale=scale)
    response, unit = bundle.first.response, PRECISIONS[case.dtype].unit
    # What is not affine at all, or draws other noise then, is for clip/replay to tell.
    if isinstance(dense, Problem) or affine_ratio(bundle, dense)[0] > PRECISIONS["float32"].unit / unit:
        return []
    config = evidence.side_of(case).config
    learned = learned_variance(config)
    fresh = innovations(response, dense.fields, unit)
    bits = PRECISIONS[case.dtype].bits
    replayed = with_fresh_noise(
        config, case.shape, dense.outputs, fresh, bits=bits, tables=False, learned_variance=learned
    )
    if replayed is None or replayed[0].shape != dense.rows.shape:
        return []
    spread = replayed[1]
    linear = bundle.zero.rows() + response.noise @ dense.fields + response.outputs @ dense.outputs
    should_be = clamped_end(linear, bundle.end)
    allowed = _size(spread) + unit * _size(should_be)
    if cause_of(evidence, case) is not None:
        # With weights of its own it has states of its own size, by which it rounds, and which may cancel further on.
        allowed += unit * np.maximum.accumulate(_size(linear))
    allowed[-1] += 2 * unit * abs(bundle.shift)
    unread = bundle.law.last_resolution * (_size(dense.fields).sum() + _size(dense.outputs).sum())
    allowed[-1] += unread / ROOM
    ratios = _size(dense.rows - should_be) / (ROOM * np.maximum(allowed, 1e-30))
    ratios = ratios if bundle.last_row else ratios[:-1]
    row = int(np.argmax(ratios > 1.0)) if (ratios > 1.0).any() else int(ratios.argmax())
    lost = float(_size(dense.rows - should_be)[row] / max(_size(should_be)[row], 1e-30))
    text = (
        f"in {case.dtype} {where(row, bundle.num_calls)} is off by {lost:.2g} of its size from what the sampler's own "
        f"coefficients give, where {case.dtype} is off by {unit:.2g}{_cast(dense.rows[row], case.dtype)}"
    )
    return [Judged(float(ratios.max()), text, case, {"step": row})]


def _size(rows: Array) -> Array:
    """Root mean square of each row."""
    size: Array = np.sqrt(np.mean(np.square(rows), axis=1))
    return size


def _cast(row: Array, dtype: str) -> str:
    """Which narrower dtype holds every number of a row."""
    import torch

    values = torch.tensor(row)
    for name in ("bfloat16", "float16", "float32"):
        narrow: torch.dtype = getattr(torch, name)
        if PRECISIONS[name].bits < PRECISIONS[dtype].bits and bool((values.to(narrow).double() == values).all()):
            return f": every number fits into {name}, it went through a cast"
    return ": something on the way was rounded to fewer digits"


def _by_replay(evidence: Evidence, case: Case) -> list[Judged]:
    if not evidence.standard.reference:
        return []
    blame = cause_of(evidence, evidence.case(case.config, shape=case.shape))
    return [evidence.held(case).judged(case, f"in {case.dtype} ", blame)]


def _half(evidence: Evidence, case: Case) -> list[Judged]:
    """Half precision is compared by replay: impulses would underflow."""
    wide_case = evidence.case(case.config, shape=case.shape)
    wide = evidence.bundle(wide_case)
    if not (evidence.standard.reference or evidence.has_the_references_law(wide_case)):
        return []
    if wide.problem is not None or wide.layout is None:
        return []
    bundle = evidence.bundle(case)
    # A formula that is wrong in this configuration, or in another with the same options, is so in every dtype.
    blame = cause_of(evidence, wide_case) or cause_of(evidence, evidence.base)
    if not bundle.is_affine:
        held = hold(bundle, bundle.run_dense(output_scale=2.0**-5, draw_scale=2.0**-5))
        return [held.judged(case, f"in {case.dtype} ", blame)]
    side = evidence.side_of(wide_case)
    # (x - D) / sigma leaves float16 where a model answers what no model would: gentle values, then gentler ones.
    dense: DenseRun | Problem = Problem("outside", "not run")
    for scale in (0.5, 2.0**-5, 2.0**-9):
        dense = bundle.run_dense(output_scale=0.1 * scale, draw_scale=scale, layout=wide.layout)
        if isinstance(dense, DenseRun):
            break
    if isinstance(dense, Problem):
        return [Judged(math.inf, f"in {case.dtype}: {dense.message}", case)]
    judged = [
        Judged(0.0 if found.ends else found.ratio, _more_lost(case, found, bundle), case, {"step": found.row}, blame)
        for found in (replayed_ratio(side, dense, wide),)
        if found is not None
    ]
    # A clamp that is there in this dtype alone bites at large values, as far as these are finite.
    large = bundle.run_dense(layout=wide.layout)
    found = replayed_ratio(side, large, wide) if isinstance(large, DenseRun) else None
    return judged if found is None else [*judged, _clamp_of_its_own(evidence, case, found)]


def _more_lost(case: Case, found: Replay, bundle: Bundle) -> str:
    return (
        f"in {case.dtype} {where(found.row, bundle.num_calls)} holds {found.got:.5g} where the reference has "
        f"{found.should_be:.5g}: more is lost than the dtype's rounding"
    )


def _clamp_of_its_own(evidence: Evidence, case: Case, found: Replay) -> Judged:
    """What a run with large values in half precision is, that the same run in a wide dtype is not."""
    bundle, wide_case = evidence.bundle(case), evidence.case(case.config, shape=case.shape)
    wide = evidence.bundle(wide_case)
    text = f"in {case.dtype}, with large values, " + (
        ends_clamped(found.ends, bundle.subject.output_clip)
        if found.ends
        else f"{where(found.row, bundle.num_calls)} holds {found.got:.5g} where the reference has {found.should_be:.5g}"
    )
    blame = None
    if found.ratio > 1.0 and isinstance(wide.dense, DenseRun):
        same = replayed_ratio(evidence.side_of(wide_case), wide.dense, wide)
        # One clamp at the end in both is no loss of digits: clip/replay tells of it.
        unit = PRECISIONS[case.dtype].unit
        if found.ends and same is not None and same.ends and np.allclose(found.ends, same.ends, rtol=unit, atol=unit):
            return Judged(0.0, case=case)
        blame = "clip/replay" if same is not None and same.ratio > 1.0 else None
    if blame is None:
        blame = cause_of(evidence, wide_case) or cause_of(evidence, evidence.base)
        text += f"; in {wide_case.dtype} it is right"
    return Judged(found.ratio, text, case, {"step": found.row, "held_back": True}, blame)
