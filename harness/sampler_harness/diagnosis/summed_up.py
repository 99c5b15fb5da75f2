"""What a search found, as a verdict tells it: alike for samplers, training steps and grids."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from sampler_harness.verdict import Diagnosis
from sampler_harness.verdict import Explanation as Told

from .found import Found, Near
from .words import told, told_as_part

__all__ = ["summed_up"]

#: Answers that are told at most.
MOST_ANSWERS = 3


def summed_up(found: Found, configs: Sequence[Any], as_far: Callable[[Near], str], seconds: float) -> Diagnosis:
    """The diagnosis, without what only one kind of subject has.

    Args:
        found: by the search.
        configs: of the cases that were looked at, the one that is explained first at the head.
        as_far: how far an explanation goes along that explains no case whole, in words.
        seconds: since the search was begun.
    """
    held = "1 configuration" if found.cases == 1 else f"{found.cases} configurations"
    end = "" if found.ended else ", until the budget was spent"
    return Diagnosis(
        exact=found.exact,
        answers=tuple(told(answer.first, configs, answer.variants) for answer in found.answers[:MOST_ANSWERS]),
        near=tuple(_near(one, configs, as_far) for one in found.near),
        searched=f"{found.programs} programs measured{end}; answers held against {held}",
        settled_by=found.settled_by,
        seconds=seconds,
    )


def _near(near: Near, configs: Sequence[Any], as_far: Callable[[Near], str]) -> Told:
    part = told_as_part(near.explanation, configs)
    if near.is_for_all_numbers:
        how = f"explains all {near.of} configurations in which your sampler gives numbers, but not where it gives none"
    elif near.cases:
        how = f"explains {near.cases} of the {near.of} configurations that were compared"
    else:
        how = as_far(near)
    return dataclasses.replace(part, summary=f"{part.summary}; {how}")
