"""A clamp that a sampler does not have: what the reference clamps is worked out, and no line holds it clamped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from sampler_harness.law.intermediates import Intermediates
from sampler_harness.law.response import Array
from sampler_harness.observe.walk import Line

from .mended import Mending
from .replacing import Variable, is_same

__all__ = ["unclamped"]


def unclamped(variables: Sequence[dict[Variable, dict[int, Any]]], values: Sequence[Intermediates]) -> Mending | None:
    """The line that makes what should be clamped and is not.

    Args:
        variables: of each case that is wrong, what own lines assign.
        values: of the same cases, what the reference works out.

    Returns:
        None where no clamp of the reference bites, or a line of the sampler's holds what it gives.
    """
    found = [_unclamped(*one) for one in zip(variables, values, strict=True)]
    lines = {one for one in found if one is not None}
    if None in found or len(lines) != 1:
        return None
    line, name = lines.pop()
    return Mending(line, name)


def _unclamped(variables: dict[Variable, dict[int, Any]], values: Intermediates) -> tuple[Line, str] | None:
    for segment, before, after in _clamps(values):
        own = [(one, seen[segment]) for one, seen in variables.items() if segment in seen]
        if any(is_same(value, after) for _, value in own if _fits(value, after)):
            return None
        whole = [one for one, value in own if _fits(value, before) and is_same(value, before) and not one.is_argument]
        if whole:
            return whole[0].line, whole[0].name
    return None


def _fits(value: Any, other: Array) -> bool:
    return isinstance(value, torch.Tensor) and value.numel() == other.size


def _clamps(values: Intermediates) -> Iterator[tuple[int, Array, Array]]:
    """What the reference clamps to a range about 0, and what that gives, where it bites; by segment."""
    segments = sorted({segment for by_segment in values.arrays.values() for segment in by_segment})
    for segment in segments:
        arrays = [by_segment[segment] for by_segment in values.arrays.values() if segment in by_segment]
        for after in arrays:
            bound = float(np.abs(after).max(initial=0.0))
            larger = (one for one in arrays if one.shape == after.shape and np.abs(one).max(initial=0.0) > bound > 0.0)
            for before in larger:
                if np.array_equal(np.clip(before, -bound, bound), after):
                    yield segment, before, after
