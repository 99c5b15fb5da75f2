"""The rows ``shape/*``: items are independent, and every declared shape has the same law."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from sampler_harness.law.bundle import Bundle, DenseRun, dense_values
from sampler_harness.law.coded import measured_layout
from sampler_harness.law.comparison import compare
from sampler_harness.law.response import Array
from sampler_harness.law.tolerance import PRECISIONS, tolerance_between
from sampler_harness.observe.layout import Layout
from sampler_harness.observe.probes import Dense
from sampler_harness.observe.trace import Case, Problem
from sampler_harness.verdict import Finding

from .clip import replayed_ratio
from .evidence import Evidence
from .judging import Judged, conclude, skipped
from .law import cause_of, in_words, nothing_compared, told_of, where

__all__ = ["check_any", "check_batch"]


def _item(shape: tuple[int, ...], element: int) -> int:
    return int(np.unravel_index(element, shape)[0])


def _leaks(bundle: Bundle) -> list[Judged]:
    """Impulses of one item that were seen in another."""
    case = bundle.case
    judged = []
    for reading in (bundle.first, bundle.second):
        for leak in reading.leaks:
            if leak.primitive.kind == "draw" and not all(reading.arrived):
                continue  # told by noise/shape
            source, seen = _item(case.shape, leak.source), _item(case.shape, leak.seen_at)
            if source != seen:
                text = (
                    f"step {leak.row - 1}: {leak.primitive} of item {source} changes item {seen} "
                    f"(coefficient {leak.size:.3g}): items of a batch are coupled"
                )
                judged.append(Judged(math.inf, text, case, {"step": leak.row, "from": source, "to": seen}))
    return judged or [Judged(0.0, case=case)]


def _positions(bundle: Bundle) -> list[Judged]:
    """The same coefficient read in different items must be the same."""
    case = bundle.case
    first, second = bundle.first, bundle.second
    a = np.concatenate([first.response.noise, first.response.outputs], axis=1)
    b = np.concatenate([second.response.noise, second.response.outputs], axis=1)
    items_a = np.array([_item(case.shape, e) for e in first.elements])
    items_b = np.array([_item(case.shape, e) for e in second.elements])
    apart = items_a != items_b
    if a.shape != b.shape or not apart.any():
        return []
    scale = np.maximum(np.abs(a), np.abs(b)).max(axis=1, initial=0.0, keepdims=True)
    allowed = (
        (1 + bundle.num_calls) ** 0.5
        * PRECISIONS[case.dtype].off(64, 4)
        * np.maximum(np.maximum(np.abs(a), np.abs(b)), 1e-3 * scale)
    )
    allowed = np.maximum(allowed, 1e-30) + bundle.law.unread[:, None]
    last = None if bundle.last_row else -1
    ratio: Array = (np.abs(a - b) / allowed)[:last][:, apart]
    worst = float(ratio.max(initial=0.0))
    row = int(np.unravel_index(int(ratio.argmax()), ratio.shape)[0]) if ratio.size else 0
    column = int(np.flatnonzero(apart)[int(ratio.argmax()) % ratio.shape[1]]) if ratio.size else 0
    text = (
        f"step {row - 1}: the same coefficient is {a[row, column]:.6g} in item {items_a[column]} and "
        f"{b[row, column]:.6g} in item {items_b[column]}: items are treated differently by position"
    )
    return [Judged(worst, text, case, {"step": row})]


def _alone(evidence: Evidence, bundle: Bundle) -> list[Judged]:
    """Item 1 of a batch of three, against the same item run alone on the same values."""
    shape = (3, *bundle.case.shape[1:])
    if evidence.subject.shapes is not None and not _batch_declared(evidence):
        return []
    together = evidence.bundle(Case(bundle.case.config, shape, bundle.case.dtype, bundle.case.device))
    alone = evidence.bundle(Case(bundle.case.config, (1, *shape[1:]), bundle.case.dtype, bundle.case.device))
    if together.problem is not None or alone.problem is not None:
        problem = together.problem or alone.problem
        assert problem is not None
        case = together.case if together.problem is not None else alone.case
        return [Judged(math.inf, f"with a batch of {case.shape[0]}: {problem.message}", case)]
    per_item = int(np.prod(shape[1:]))
    if bundle.is_affine:
        return _compared(together, alone, per_item)
    return [j for scale in (1.0, 2.0**-9) for j in _compared(together, alone, per_item, scale)]


def _compared(together: Bundle, alone: Bundle, per_item: int, scale: float | None = None) -> list[Judged]:
    """Item 1 in both; ``scale`` of the outputs where a step is from norms, whose items then differ in size."""
    rows = []
    for one, items in ((together, 3), (alone, 1)):
        found = _rows_with_item_values(one, items, per_item, scale)
        if found is None:
            return []
        rows.append(found)
    batch, single = rows
    if batch.shape[0] != single.shape[0]:
        text = "the number of model calls depends on the size of the batch"
        return [Judged(math.inf, text, together.case)]
    mine = batch.reshape(batch.shape[0], 3, per_item)[:, 1]
    size = np.abs(single).max(axis=1, keepdims=True) + np.abs(single)
    calls = together.num_calls
    off = PRECISIONS[together.case.dtype].off(1024 + 64 * calls, 8 + calls)
    allowed = np.maximum(off * size, 1e-30)
    ratio = np.abs(mine - single) / allowed
    ratio = np.where(np.isfinite(ratio), ratio, np.inf)
    row = int(np.unravel_index(int(ratio.argmax()), ratio.shape)[0])
    text = (
        f"step {row - 1}: an item gives another result in a batch of three than alone, with the same draws and "
        "the same model outputs: items of a batch are coupled"
    )
    return [Judged(float(ratio.max()), text, together.case, {"step": row})]


def _batch_declared(evidence: Evidence) -> bool:
    """Whether declared shapes show that the batch's size is free."""
    declared = evidence.subject.shapes or ()
    return len({s[0] for s in declared}) > 1


def _rows_with_item_values(bundle: Bundle, items: int, per_item: int, scale: float | None = None) -> Array | None:
    """A dense run in which item 1 of three and the only item of one receive the same numbers."""
    layout: Layout | None = bundle.layout
    if layout is None:
        return None
    which = [0, 1, 2] if items == 3 else [1]

    def item_values(kind: int, index: int) -> Array:
        values = [dense_values(kind, 7 * index + item, per_item) for item in which]
        if scale is not None:
            values = [
                (4.0, 1.0, 0.5)[item] * (scale if kind else 1.0) * v for item, v in zip(which, values, strict=True)
            ]
        return np.concatenate(values)

    # Noise that is cut off has no part in this, however much of it is drawn for one item or for three.
    used = {field: number for number, field in enumerate(bundle.used_fields)}
    nothing = np.zeros(bundle.case.numel)
    fields = [item_values(0, used[n]) if n in used else nothing for n in range(len(layout.fields))]
    raw = layout.drawn(fields, {index: draw.numel for index, draw in enumerate(bundle.zero.draws)})

    def draws(index: int, shape: tuple[int, ...]) -> Array | None:
        values = raw.get(index)
        return None if values is None else values.reshape(shape)

    run = bundle.execute(Dense(draws=draws, outputs=lambda call, shape: item_values(1, call).reshape(shape)))
    return None if run.problem is not None else run.rows()


def check_batch(evidence: Evidence) -> Finding:
    """An item does not depend on its neighbours, on the batch's size or on its position."""
    bundle = evidence.bundle(evidence.base)
    if bundle.problem is not None:
        return conclude("shape/batch", evidence, [], passed="")
    if evidence.base.config.couples_items:
        return skipped("shape/batch", "the reference itself takes means over the batch, as is declared")
    if not bundle.is_affine:
        alone = _alone(evidence, bundle)
        if not alone:
            return skipped("shape/batch", "the declared shapes leave the batch no choice of its size")
        return conclude("shape/batch", evidence, alone, passed="an item is the same alone and in a batch of three")
    # Where weights differ from place to place, alike in every item, two places say nothing of two items.
    positions = [] if evidence.is_mapped(evidence.base) else _positions(bundle)
    judged = [*_leaks(bundle), *positions, *_alone(evidence, bundle)]
    for case in _clipped(evidence):
        other = evidence.bundle(case)
        if other.problem is None:
            judged += _alone(evidence, other)
    return conclude("shape/batch", evidence, judged, passed="items of a batch are independent")


def _clipped(evidence: Evidence) -> list[Case]:
    """One thresholded and one clipped case: thresholds are where items get coupled."""
    found: list[Case] = []
    for wanted in ("threshold", "clip_denoised"):
        for case in evidence.cases:
            if case.config.values().get(wanted) and case not in found:
                found.append(case)
                break
    return found


def _inside_leak(bundle: Bundle) -> Judged | None:
    """An impulse that moved another place of its own item."""
    for leak in (*bundle.first.leaks, *bundle.second.leaks):
        if leak.primitive.kind == "output" and _item(bundle.case.shape, leak.source) == _item(
            bundle.case.shape, leak.seen_at
        ):
            text = (
                f"step {leak.row - 1}: {leak.primitive} at one place changes another place of the same item "
                f"(coefficient {leak.size:.3g})"
            )
            return Judged(math.inf, text, bundle.case, {"step": leak.row})
    return None


def check_any(evidence: Evidence) -> Finding:
    """The law is the same for every declared shape, and for outputs that are not contiguous.

    Where a shape is so small and the chain so long that reading it would pass the budget, one run of it is held against
    the reference.
    """
    judged: list[Judged] = []
    not_run: list[str] = []
    blame = cause_of(evidence, evidence.base)
    for shape in evidence.shapes:
        case = evidence.case(evidence.covering.base, shape=shape)
        bundle = evidence.bundle(case)
        if bundle.problem is not None:
            broken = "law/times" if evidence.bundle(evidence.base).problem is not None else None
            told = f"shape {shape}: {bundle.problem.message}"
            judged.append(Judged(math.inf, told, case, {}, broken, bundle.problem.kind))
            continue
        if not bundle.is_affine:
            judged += _by_replay(evidence, case, blame)
            continue
        if bundle.unread:
            found = _one_run(evidence, case, blame)
            judged += found
            not_run += [] if found else [f"{shape}"]
            continue
        inside = _inside_leak(bundle)
        if inside is not None:
            judged.append(inside)
        judged += _against_standard(evidence, case, blame)
    if not judged and len(evidence.shapes) > 1 and (nothing := nothing_compared("shape/any", evidence)) is not None:
        return nothing
    judged += _strided(evidence)
    if len(evidence.shapes) < 2 and not judged:
        return skipped("shape/any", "only one shape is declared")
    passed = f"does the same for {len(evidence.shapes) - len(not_run)} shapes"
    if not_run:
        passed += f" ({' and '.join(not_run)} left out: with so many steps they need a larger budget)"
    return conclude("shape/any", evidence, judged, passed=passed)


def _one_run(evidence: Evidence, case: Case, blame: str | None) -> list[Judged]:
    """A shape that cannot be read: one dense run against the reference; nothing where that cannot be replayed."""
    base, bundle = evidence.bundle(evidence.base), evidence.bundle(case)
    if not evidence.standard.reference or base.problem is not None or bundle.layout is None:
        return []
    dense = bundle.dense
    if isinstance(dense, Problem):
        return [Judged(math.inf, f"with shape {case.shape}: {dense.message}", case, {}, blame)]
    side = dataclasses.replace(evidence.side_of(evidence.base), shape=case.shape)
    found = replayed_ratio(side, dense, base)
    if found is not None and found.ratio > 1.0 and base.layout is not None and base.layout.kind == "coded":
        # Its noise is moved about there too, as far as that can be told.
        layout = measured_layout(bundle.reader)
        moved = None if layout is None else bundle.run_dense(layout=layout)
        found = replayed_ratio(side, moved, base) if isinstance(moved, DenseRun) else None
    if found is None:
        return []
    text = (
        f"with shape {case.shape} {where(found.row, base.num_calls)} holds {found.got:.6g} where the reference has "
        f"{found.should_be:.6g} (same draws, same model outputs)"
    )
    details = {"step": found.row, "got": found.got, "should_be": found.should_be}
    return [Judged(0.0 if found.ends else found.ratio, text, case, details, blame)]  # clip/replay tells the end


def _by_replay(evidence: Evidence, case: Case, blame: str | None) -> list[Judged]:
    """Where there is no law: the reference's rows at this shape, on the same draws and outputs."""
    if not evidence.standard.reference:
        return []
    return [evidence.held(case).judged(case, f"with shape {case.shape} ", blame)]


def _against_standard(evidence: Evidence, case: Case, blame: str | None) -> list[Judged]:
    deviations = evidence.compared(case)
    if not deviations:  # what it is held against has other shapes: those of the sampler must still be one law
        return [] if case == evidence.base else _unlike_the_base(evidence, case)
    worst = max(deviations, key=lambda d: d.ratio)
    text = f"with shape {case.shape}: {told_of(evidence, case, worst)}"
    found = [Judged(worst.ratio, text, case, {"step": worst.row}, blame)]
    return found if blame is None else [*found, *_unlike_the_base(evidence, case)]


def _unlike_the_base(evidence: Evidence, case: Case) -> list[Judged]:
    """Where the law is another one anyway: it must be the same other one for every shape."""
    base, bundle = evidence.bundle(evidence.base), evidence.bundle(case)
    if base.problem is not None or evidence.is_mapped(case) or evidence.is_mapped(base.case):
        return []  # two places of one law, or of two, cannot be told apart
    tolerance = tolerance_between(base.law, case.dtype)
    worst = max(compare(bundle.law, base.law, tolerance, last_row=bundle.last_row), key=lambda d: d.ratio)
    told = in_words(worst, bundle.num_calls)
    text = f"with shape {case.shape}: {told} (as with shape {base.case.shape})"
    return [Judged(worst.ratio, text, case, {"step": worst.row})]


def _strided(evidence: Evidence) -> list[Judged]:
    """Model outputs whose memory is not contiguous: the values are what counts."""
    bundle = evidence.bundle(evidence.base)
    if bundle.problem is not None or bundle.layout is None:
        return []
    plain, strided = bundle.dense, bundle.run_dense(strided=True)
    if isinstance(plain, Problem):
        return []
    if isinstance(strided, Problem):
        return [Judged(math.inf, f"with a non-contiguous model output: {strided.message}", bundle.case)]
    rows: tuple[Any, Any] = (plain.rows, strided.rows)
    scale = np.abs(rows[0]).max(axis=1, keepdims=True) + 1e-30
    off = PRECISIONS[bundle.case.dtype].off(256, 8)
    ratio = float((np.abs(rows[0] - rows[1]) / (off * scale)).max())
    text = "a model output that is not contiguous in memory gives another result: values are read by position"
    return [Judged(ratio, text, bundle.case)]
