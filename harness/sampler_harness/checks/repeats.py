"""Draws that are made of random numbers which an earlier draw was made of: meant, or a fault?

A generator that is put back, seeded anew or copied returns again what it returned. What that comes to is decided by
laws. Where draws that repeat are taken for what they are, one draw, and the law is the reference's, all is well: a
Brownian tree that keeps only its seed makes a node's noise anew each time. Where the law is the reference's only if
each of them were new, that they repeat is the fault, and all else is judged as if they were new.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sampler_harness.judging import Judged
from sampler_harness.law.bundle import Bundle
from sampler_harness.law.comparison import Deviation
from sampler_harness.law.tolerance import PRECISIONS
from sampler_harness.observe.layout import Field
from sampler_harness.observe.streams import Overlap
from sampler_harness.observe.tape import Draw
from sampler_harness.observe.trace import Case

if TYPE_CHECKING:
    from .evidence import Evidence

__all__ = ["as_drawn", "judge_repeats", "numbers", "when"]

_OF_NOISE = ("initial-noise", "noise")


def as_drawn(evidence: Evidence, case: Case, bundle: Bundle) -> Bundle:
    """The bundle that a case is judged by: its draws that repeat taken for one draw, or for new ones.

    Context: a law with repeats in it is the true one; read so, one line that seeds is a dozen wrong coefficients.
    Choice: read it so unless the noise is then wrong and would be right, or would enter at more places, if all draws
    were new. Reversed by: a sound sampler that draws again on purpose and has another fault beside.

    Args:
        evidence: that the bundle belongs to.
        case: that was run.
        bundle: as it was measured.
    """
    if bundle.zero.problem is not None or not bundle.repeats:
        return bundle
    if not bundle.is_affine:
        return bundle.apart()
    decisive = evidence.case(case.config)
    if case != decisive and (bundle.unread or (PRECISIONS[case.dtype].is_half and not evidence.in_half_alone)):
        return bundle.apart() if evidence.bundle(decisive).is_apart else bundle
    if evidence.standard.law(case) is None or bundle.problem is not None:
        return bundle
    taken, _ = evidence.deviations_of(bundle)
    if _is_right(taken):
        return bundle
    apart = bundle.apart()
    if apart.problem is not None:
        return bundle
    wrong, wrong_apart = _is_wrong(taken), _is_wrong(evidence.deviations_of(apart)[0])
    if wrong == wrong_apart:
        return apart if set(apart.law.opened) - set(bundle.law.opened) else bundle
    return apart if wrong else bundle


def _is_right(deviations: Sequence[Deviation]) -> bool:
    return all(d.ratio <= 1.0 for d in deviations if d.term in (*_OF_NOISE, "count"))


def _is_wrong(deviations: Sequence[Deviation]) -> bool:
    """Whether noise is off that does not merely follow from something else."""
    return any(d.ratio > 1.0 and not d.consequence for d in deviations if d.term in (*_OF_NOISE, "count"))


def judge_repeats(bundle: Bundle) -> list[Judged]:
    """Draws that should be new, reach the sample and are not new; empty where there are none.

    Args:
        bundle: from :func:`as_drawn`.
    """
    if not bundle.draws.overlaps() or bundle.problem is not None or (layout := bundle.layout) is None:
        return []
    reach = [layout.fields[number] for number in bundle.used_fields]
    found = bundle.draws.overlaps({part for field in reach for part in field.parts})
    if not found:
        return []
    draws = bundle.zero.draws
    of_draw = {part: field for field in layout.fields for part in field.parts}
    shared = [one for one in found if of_draw[one.draw] is of_draw[one.earlier]]
    whole = [one for one in found if one.whole and one not in shared]
    shape = bundle.case.shape
    whose = {
        part: f", item {numbers(list(_items(field, part, shape)))}" if len(field.parts) > 1 else ""
        for part, field in of_draw.items()
    }
    if shared:
        text = _in_one_field(shared, of_draw[shared[0].draw], draws, shape)
    elif whole:
        text = _in_words(whole, draws, whose)
    else:
        text = _in_part(found[0], draws, whose)
    chosen = (shared or whole or list(found))[0]
    details = {
        "step": draws[chosen.draw].calls_before,
        "draw": chosen.draw,
        "earlier": chosen.earlier,
        "seeded": True,
        "repeated": len(found),
    }
    return [Judged(math.inf, text, bundle.case, details)]


def when(draw: Draw) -> str:
    """When a draw is made, in model calls.

    Args:
        draw: of a sampler.
    """
    return "before the first model call" if draw.calls_before == 0 else f"after model call {draw.calls_before - 1}"


def _drawn(index: int, draws: Sequence[Draw], whose: Mapping[int, str]) -> str:
    draw = draws[index]
    return f"draw {index} ({draw.operator} of shape {draw.shape}, {when(draw)}{whose[index]})"


def numbers(indices: Sequence[int], most: int = 4) -> str:
    """Some numbers in words.

    Args:
        indices: in order.
        most: that are told one by one.
    """
    shown = ", ".join(str(i) for i in indices[:most])
    return f"{shown} and {len(indices) - most} more" if len(indices) > most else " and ".join(shown.rsplit(", ", 1))


def _in_words(whole: Sequence[Overlap], draws: Sequence[Draw], whose: Mapping[int, str]) -> str:
    first = whole[0]
    alike = [first.earlier, *(one.draw for one in whole if one.earlier == first.earlier)]
    if len(alike) == 2:
        one, other = (_drawn(index, draws, whose) for index in alike)
        text = (
            f"{other} is made from the same state of a generator as {one}: both are the same tensor, and the later one "
        )
        text += "should be new noise"
    else:
        text = (
            f"draws {numbers(alike)} (the last {when(draws[alike[-1]])}) are made from one state of a generator: "
            "all are the same tensor, and each should be new noise"
        )
    others = len(whole) + 1 - len(alike)
    return f"{text} ({others} further draws repeat others)" if others else text


def _in_one_field(shared: Sequence[Overlap], field: Field, draws: Sequence[Draw], shape: tuple[int, ...]) -> str:
    first = shared[0]
    parts = [first.earlier, *(one.draw for one in shared if one.earlier == first.earlier and one.draw in field.parts)]
    items = list(dict.fromkeys(item for part in parts for item in _items(field, part, shape)))
    whose = f"items {numbers(items)} share" if len(items) > 1 else f"places of item {numbers(items)} share"
    rest = "their noise" if first.whole else "a part of their noise"
    return (
        f"draws {numbers(parts)} of shape {draws[parts[0]].shape}, {when(draws[parts[0]])}, are made from one state of "
        f"a generator: {whose} {rest}"
    )


def _items(field: Field, part: int, shape: tuple[int, ...]) -> Iterator[int]:
    mine = np.flatnonzero((field.draw_of == field.parts.index(part)) & (field.offset_of >= 0))
    yield from np.unique(np.unravel_index(mine, shape)[0]).tolist()


def _in_part(overlap: Overlap, draws: Sequence[Draw], whose: Mapping[int, str]) -> str:
    later, earlier = _drawn(overlap.draw, draws, whose), _drawn(overlap.earlier, draws, whose)
    return (
        f"{later} is made of random numbers that {earlier} was made of too: a generator was put back, copied or given "
        "the seed of another, and their noise is not independent"
    )
