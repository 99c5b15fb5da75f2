"""The rows ``noise/*``: where noise arrives, and which generator it comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sampler_harness.law.bundle import Bundle, DenseRun
from sampler_harness.law.clamped import clamped_end
from sampler_harness.law.response import Array
from sampler_harness.law.tolerance import PRECISIONS
from sampler_harness.observe.global_state import OF_TORCH
from sampler_harness.observe.layout import Field, Layout
from sampler_harness.observe.probes import Impulses, scattered
from sampler_harness.observe.tape import Draw
from sampler_harness.observe.trace import GENERATOR_SEED, Case, Problem
from sampler_harness.observe.walk import shown
from sampler_harness.verdict import Finding

from .evidence import LONG_CHAIN, Evidence
from .judging import Judged, conclude, skipped
from .law import where
from .repeats import judge_repeats, numbers, when
from .replayed import NOT_AFFINE
from .sources import always_alike, not_fed
from .unreadable import OTHER_STATES, is_hidden

#: Cases in which generators that a sampler makes of the given one are followed, beside the base.
MOST_FOLLOWED = 12
#: ulp of the scale by which a dense run may miss what the coefficients predict: 2 % in float32; in half precision,
#: whose coefficients are read as coarsely, 12 % in bfloat16 and 1.6 % in float16.
AFFINE_ULP, AFFINE_ULP_IN_HALF = 2.0**18.4, 32.0

__all__ = ["affine_ratio", "check_generator", "check_shape"]


def affine_ratio(bundle: Bundle, dense: DenseRun) -> tuple[float, int, int]:
    """How far a dense run is from what the sampler's own coefficients predict, over rounding.

    Returns:
        The worst ratio, its row and its element.
    """
    response = bundle.first.response
    if dense.outputs.shape[0] != response.num_calls or dense.fields.shape[0] != response.noise.shape[1]:
        return math.inf, 0, 0  # another number of calls or draws than was measured
    size = dense.rows.shape[1]
    # A long chain is predicted at as many places as can be afforded; a short one everywhere.
    places = np.arange(size) if bundle.num_calls <= LONG_CHAIN else np.array(sorted(scattered(600, size, 6)))
    zero, rows, fields, outputs = (v[:, places] for v in (bundle.zero.rows(), dense.rows, dense.fields, dense.outputs))
    predicted = clamped_end(zero + response.noise @ fields + response.outputs @ outputs, bundle.end)
    # An output is weighed against the state that it was asked at: (x - D) / sigma rounds with both.
    scale = np.abs(response.noise) @ np.abs(fields) + np.abs(response.outputs) @ (np.abs(outputs) + np.abs(rows[:-1]))
    # A row may be the small difference of the rows before it: their rounding is in it.
    scale = np.maximum.reduce([scale, *(np.vstack([scale[:1]] * j + [scale[:-j]]) for j in (1, 2) if len(scale) > j)])
    # Rounding grows with what a step cancels, noise in another place or a function that is not affine is off by a large
    # share of the scale: there is room between the two, and clip/replay asks for more where rounding plays no part.
    unit = PRECISIONS[bundle.case.dtype].unit
    allowed = PRECISIONS[bundle.case.dtype].off(AFFINE_ULP, AFFINE_ULP_IN_HALF) * (
        scale + np.abs(zero) + scale.mean(axis=1, keepdims=True)
    )
    # What a declared shift took from the coefficients and takes from the sample is no disagreement.
    unread = bundle.law.last_resolution * (np.abs(fields).sum(axis=0) + np.abs(outputs).sum(axis=0))
    allowed[-1] += unread + 2 * unit * abs(bundle.shift)
    allowed = np.maximum(allowed, 1e-30)
    rows = rows if bundle.last_row else rows[:-1]
    ratio: Array = np.abs(rows - predicted[: rows.shape[0]]) / allowed[: rows.shape[0]]
    ratio = np.where(np.isfinite(ratio), ratio, np.inf)
    row, element = (int(i) for i in np.unravel_index(int(ratio.argmax()), ratio.shape))
    return float(ratio[row, element]), row, int(places[element])


def _place(shape: tuple[int, ...], element: int) -> str:
    index = tuple(int(i) for i in np.unravel_index(element, shape))
    if len(index) == 1:
        return f"item {index[0]}"
    return f"item {index[0]}, place {index[1:]}"


def _most_shared(layout: Layout) -> Field:
    """The field of which one drawn number reaches the most elements."""

    def reached(field: Field) -> int:
        return int(np.unique(field.offset_of[field.offset_of >= 0], return_counts=True)[1].max(initial=0))

    return max(layout.fields, key=reached)


def _sharing(layout: Layout, draws: Sequence[Draw], shape: tuple[int, ...]) -> str:
    """Which draw is shared, and by what: items, channels or places."""
    field = _most_shared(layout)
    values, counts = np.unique(field.offset_of[field.offset_of >= 0], return_counts=True)
    together = np.flatnonzero(field.offset_of == values[int(counts.argmax())])
    index = np.stack(np.unravel_index(together, shape))
    axes = ["items", "channels" if len(shape) > 2 else "places", *["places"] * len(shape)][: len(shape)]
    # Places of an item share it only with places of the same item: one that is flipped shares it with another's.
    items, held = np.unique(index[0], return_counts=True)
    inside = index[:, index[0] == items[int(held.argmax())]]
    along_axes = [index[0], *inside[1:]]
    sharing = dict.fromkeys(axis for axis, along in zip(axes, along_axes, strict=True) if np.unique(along).size > 1)
    number = field.parts[0]
    when = (
        "before the first model call"
        if draws[number].calls_before == 0
        else (f"after model call {draws[number].calls_before - 1}")
    )
    shown = f"items {', '.join(str(i) for i in np.unique(index[0])[:4])} share it" if "items" in sharing else ""
    rest = [axis for axis in sharing if axis != "items"]
    shown = " and ".join([*([shown] if shown else []), *(f"{axis} of an item share it" for axis in rest)])
    return (
        f"one drawn number reaches {together.size} elements of the sample (draw {number} of shape "
        f"{draws[number].shape}, {when}): {shown}"
    )


def check_shape(evidence: Evidence) -> Finding:
    """Every element of the sample receives its own independent normal.

    Decided from where impulses arrive; the shape of the drawing call is not judged.
    """

    def judge(case: Case) -> list[Judged]:
        bundle = evidence.bundle(case)
        if bundle.problem is not None:
            return []
        should_be = evidence.standard.law(case)
        if evidence.not_normal(case):
            other = [d for d in bundle.zero.draws if not d.gaussian]
            times = "once" if len(other) == 1 else f"{len(other)} times"
            text = (
                f"the sampler draws {times} with {other[0].operator!r} (shape {other[0].shape}): the noise is not "
                'Gaussian, which is outside what the law covers; if that is intended, declare noise="other"'
            )
            return [Judged(math.inf, text, case, {"operator": other[0].operator})]
        drawn = [d for d in bundle.zero.draws if d.gaussian]
        if not drawn:
            if should_be is not None and should_be.factor.size == 0:
                return [Judged(0.0, case=case)]
            return [] if bundle.zero.draws or should_be is None else [_no_draw(bundle, case)]
        layout = bundle.layout
        if layout is None:
            shapes = ", ".join(str(d.shape) for d in drawn[:4])
            text = (
                f"the draws (shapes {shapes}, …) cannot be read as unit normals of the sample's shape "
                f"{case.shape}: outside what the law covers"
            )
            return [Judged(math.inf, text, case, {"draws": [list(d.shape) for d in drawn[:8]]})]
        repeated = judge_repeats(bundle)
        if repeated:
            return repeated
        if not bundle.is_affine:
            return []
        if layout.shared or layout.missing:
            text = (
                _sharing(layout, bundle.zero.draws, case.shape)
                if layout.shared
                else f"{layout.missing} elements of the sample receive no noise"
            )
            details = {"shared": layout.shared, "missing": layout.missing}
            if layout.shared:
                details["draw"] = _most_shared(layout).parts[0]
            return [Judged(math.inf, text, case, details)]
        leaked = [leak for leak in bundle.first.leaks if leak.primitive.kind == "draw"]
        if leaked and not all(bundle.first.arrived):
            leak = leaked[0]
            text = (
                f"noise drawn for {_place(case.shape, leak.source)} arrives at "
                f"{_place(case.shape, leak.seen_at)} in the input of model call {leak.row}"
            )
            return [Judged(math.inf, text, case, {"step": leak.row})]
        # Weights that differ from place to place are no shared noise: law/outputs tells of them.
        return [Judged(0.0, case=case)] if evidence.is_mapped(case) else _every_element(evidence, bundle, case)

    few = _few(evidence)
    judged = [j for case in few for j in judge(case)]
    # Seeds may run out after so many steps or items: every case is asked which draws are new.
    shaped = [evidence.case(evidence.covering.base, shape=shape) for shape in evidence.shapes]
    for case in dict.fromkeys((*evidence.cases, *shaped)):
        if case not in few and evidence.bundle(case).zero.problem is None:
            judged += judge_repeats(evidence.bundle(case))
    if not judged and not evidence.affine_cases and evidence.bundle(evidence.base).problem is None:
        return skipped("noise/shape", NOT_AFFINE)
    untold = _untold(evidence)
    return conclude(
        "noise/shape",
        evidence,
        judged,
        passed="every element receives its own normal"
        + (": whether any is drawn twice cannot be told" if untold else ""),
        why_nothing="the sampler drew no Gaussian noise",
        notes=[f"whether a draw repeats an earlier one cannot be told: {untold}"] if untold else [],
    )


def _untold(evidence: Evidence) -> str:
    """Why it is not known of some case whether its draws repeat; empty where it is known of all."""
    bundles = [evidence.bundle(case) for case in evidence.cases]
    told = (bundle.draws.untold for bundle in bundles if bundle.problem is None)
    return next((why for why in told if why), "")


def _no_draw(bundle: Bundle, case: Case) -> Judged:
    moved = ", ".join(bundle.zero.generators_moved)
    hint = f" ({moved} moved: draw with torch)" if moved else ""
    return Judged(math.inf, f"the sampler drew no noise that torch knows of{hint}", case)


def _every_element(evidence: Evidence, bundle: Bundle, case: Case) -> list[Judged]:
    """With noise alone, each element must hold what the coefficients make of its own normals."""
    # x0 = x / sqrt(alpha_bar) brings even small noise to a clamp, which must sleep as for impulses; values reach 5. A
    # clamp may be there undeclared, which clip/replay tells: what is off because of it is right where it sleeps.
    sleeping = bundle.amplitude / 8
    found: list[tuple[float, int, int]] = []
    # In float16 smaller values underflow.
    for scale in (sleeping,) if case.config.is_clipped or case.dtype == "float16" else (2.0**-10, sleeping):
        silent = bundle.run_dense(output_scale=0.0, draw_scale=scale)
        if isinstance(silent, Problem):
            return [Judged(math.inf, silent.message, case)]
        found.append(affine_ratio(bundle, silent))
        if found[-1][0] <= 1.0:
            break
    ratio, row, element = found[0] if found[-1][0] > 1.0 else found[-1]
    if ratio > 1.0 and (spread := _spread(evidence, bundle, case)) is not None:
        return [spread]
    text = (
        f"in {where(row, bundle.num_calls)} the noise at {_place(case.shape, element)} is not its own normal weighted "
        "as elsewhere; elements share noise or are scaled differently"
    )
    return [Judged(ratio, text, case, {"step": row})]


#: Draws of which each is heard by itself, where noise is not what the coefficients make of it.
HEARD_ALONE = 4


def _spread(evidence: Evidence, bundle: Bundle, case: Case) -> Judged | None:
    """One drawn number that reaches several elements of a row, heard alone; None where none is seen to.

    Where as much is drawn as there should be, only the row counts in which it arrives: what the steps mix further on is
    no matter of how noise is drawn.
    """
    layout, should_be = bundle.layout, evidence.standard.law(evidence.side_of(case))
    assert layout is not None
    too_few = should_be is not None and len(layout.fields) < len(should_be.opened)
    element = bundle.first.elements[0]
    for number in range(min(len(layout.fields), HEARD_ALONE)):
        drawn = layout.place(number, element)
        if drawn is None:
            continue
        run = bundle.execute(Impulses(draws={drawn[0]: [(drawn[1], bundle.amplitude)]}))
        if run.problem is not None or run.rows().shape != bundle.zero.rows().shape:
            return None
        seen = np.abs(run.rows() - bundle.zero.rows()) > PRECISIONS[case.dtype].unit * bundle.amplitude
        row = int(seen.sum(axis=1).argmax() if too_few else seen.any(axis=1).argmax())
        reached = np.flatnonzero(seen[row]).tolist()
        if len(reached) > 1:
            draw = bundle.zero.draws[drawn[0]]
            places = " and ".join(_place(case.shape, one) for one in reached[:2])
            text = (
                f"one drawn number reaches {len(reached)} elements (draw {drawn[0]} of shape {draw.shape}, "
                f"{when(draw)}): it is seen at {places} in {where(row, bundle.num_calls)}, and each should have its own"
            )
            return Judged(math.inf, text, case, {"step": row, "shared": len(reached), "draw": drawn[0]})
    return None


def _few(evidence: Evidence) -> list[Case]:
    """The base, and the shortest case with fresh noise: layout does not depend on more."""
    cases = [evidence.base]
    for case in evidence.cases:
        should_be = evidence.standard.law(case)
        if should_be is not None and len(should_be.opened) > 1 and case not in cases:
            cases.append(case)
            break
    return cases


def check_generator(evidence: Evidence) -> Finding:
    """A given generator feeds every draw, the global stream is untouched, nothing random is hidden."""
    cases = [c for c in _few(evidence) if evidence.bundle(c).problem is None]
    judged: list[Judged] = []
    for case in cases:
        judged += _judge_generator(evidence, case)
    if not evidence.subject.takes_generator:
        notes, unfollowed = _seeded_inside(evidence, cases), 0
    else:
        # An option may draw in a place of its own. A draw of the global stream shows as it is; generators that are made
        # of the given one are followed in a few cases.
        others = [case for case in evidence.cases if case not in cases and not _is_given_alone(evidence, case)]
        plain = [case for case in others if any(d.generator_seed is None for d in evidence.bundle(case).zero.draws)]
        derived = [case for case in others if case not in plain]
        asked = [*plain, *derived[:MOST_FOLLOWED]]
        judged += [_judge_fed(evidence, case) for case in asked]
        cases, unfollowed = [*cases, *asked], len(derived) - len(derived[:MOST_FOLLOWED])
        notes = _untold_sources(evidence, cases)
    passed = f"no hidden randomness{_fed(evidence, cases)}"
    if unfollowed:
        passed += f", but for {unfollowed} configurations whose generators, made of the given one, were not followed"
    return conclude("noise/generator", evidence, judged, passed=passed, notes=notes)


def _fed(evidence: Evidence, cases: Sequence[Case]) -> str:
    """What is known of the given generator; nothing where none is given."""
    if not evidence.subject.takes_generator:
        return ""
    drawn = any(evidence.bundle(case).zero.draws for case in cases)
    if any(evidence.bundle(case).draws.untold for case in cases):
        return "; whether the given generator feeds every draw cannot be told"
    return (
        ", the given generator feeds every draw" if drawn else "; nothing is drawn, from the given generator or another"
    )


def _untold_sources(evidence: Evidence, cases: Sequence[Case]) -> list[str]:
    """That it is not known what the draws come from, where it is not."""
    told = [why for case in cases if (why := evidence.bundle(case).draws.untold)]
    return [f"whether the given generator feeds every draw cannot be told: {told[0]}"] if told else []


def _seeded_inside(evidence: Evidence, cases: Sequence[Case]) -> list[str]:
    """Noise that is the same in every run, where no generator is given that should change it."""
    for case in cases:
        drawn = [i for i, d in enumerate(evidence.bundle(case).draws.run.draws) if d.gaussian and d.numel]
        alike = [i for i in always_alike(evidence.bundle(case)) if i in drawn]
        if not alike:
            continue
        which = (
            "every run returns the same noise"
            if alike == drawn
            else f"draws {numbers(alike)} are the same in every run"
        )
        line = evidence.walked(case).line_of_draw(alike[0], seeded=True)
        at = "" if line is None else f", at {shown(line.file)}, line {line.line}: {line.text}"
        return [f"{which}: the seed is set inside the run{at}"]
    return []


def _is_given_alone(evidence: Evidence, case: Case) -> bool:
    """Whether nothing but the given generator itself is drawn from, or nothing can be told."""
    zero = evidence.bundle(case).zero
    return zero.problem is not None or all(draw.generator_seed == GENERATOR_SEED for draw in zero.draws)


def _judge_fed(evidence: Evidence, case: Case) -> Judged:
    """Whether a given generator feeds every draw of a case."""
    without = [] if not evidence.subject.takes_generator else not_fed(evidence.bundle(case))
    if not without:
        return Judged(0.0, case=case)
    zero = evidence.bundle(case).zero
    draw = zero.draws[without[0]]
    text = f"draw {without[0]} of {len(zero.draws)} ({draw.operator}, {when(draw)}) "
    text += (
        "does not use the given generator"
        if draw.generator_seed is None
        else "comes from a generator that stands in the same state whatever the given one's seed is: it is the same "
        "noise in every run"
    )
    seeded = {} if draw.generator_seed is None else {"seeded": True}
    found = {"draws": without[:8], "draw": without[0], "step": draw.calls_before, **seeded}
    return Judged(math.inf, text, case, found)


def _foreign(evidence: Evidence, case: Case) -> Judged | None:
    """What is said of generators beside torch's that a case draws from; None where there are none.

    Context: a run whose values are the same wherever they stand may have drawn a name, or what to print; it may also
    have thrown a coin that falls one way in a hundred. Choice: that is not told apart, and not passed. Reversed by: a
    tap on what Python and numpy draw.
    """
    bundle = evidence.bundle(case)
    found = [name for name in bundle.zero.generators_moved if name not in OF_TORCH]
    if not found:
        return None
    names = " and ".join(found)
    if not bundle.is_affine or is_hidden(bundle):
        text = f"the sampler draws from {names}: that noise follows no torch seed or generator"
        return Judged(math.inf, text, case, {"foreign": found})
    text = (
        f"the sampler draws from {names}. In {len(OTHER_STATES)} states of it a run had the same values, which does "
        "not tell that none ever follows from it. Make what is no noise (a name, what to print) outside of the sampler"
    )
    return Judged(math.inf, text, case, {}, None, "unread")


def _judge_generator(evidence: Evidence, case: Case) -> list[Judged]:
    bundle = evidence.bundle(case)
    zero = bundle.zero
    judged = []
    details: dict[str, Any] = {}
    foreign = _foreign(evidence, case)
    if foreign is not None:
        details = {**foreign.evidence}
        judged.append(foreign)
    fed = _judge_fed(evidence, case)
    own = [name for name in zero.generators_moved if name in OF_TORCH]
    if fed.fails:
        judged.append(fed)
    elif evidence.subject.takes_generator and zero.draws and own:
        text = f"a generator was given, yet {' and '.join(own)} moved"
        judged.append(Judged(math.inf, text, case))
    first, second = bundle.dense, bundle.run_dense()
    if isinstance(first, Problem) or isinstance(second, Problem):
        problem = first if isinstance(first, Problem) else second
        assert isinstance(problem, Problem)
        return [*judged, Judged(math.inf, problem.message, case)]
    same = first.rows.shape == second.rows.shape and np.array_equal(first.rows, second.rows)
    largest = 0.0 if same or first.rows.shape != second.rows.shape else float(np.abs(first.rows - second.rows).max())
    text = (
        f"two runs with the same draws and the same model outputs differ by {largest:.3g}: something random is "
        "hidden from torch's generators"
    )
    hidden = {"hidden": True} if not same and evidence.unreadable is not None else {}
    judged.append(Judged(0.0 if same else math.inf, text, case, {**details, **hidden}))
    if not judged:
        return [Judged(0.0, case=case)]
    return judged
