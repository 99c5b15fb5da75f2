"""Weights that differ from place to place: a mask, a window, a channel of its own. Affine, but no law of one element.

A law is read at one element for each draw and output. Where a run with given values everywhere is not what that law
says, each draw and output is sent alone, with values everywhere: what arrives at an element, over what was sent there,
is the weight at that place. The same run then shows whether these weights are all there is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sampler_harness.observe.layout import Layout
from sampler_harness.observe.probes import Dense

from .bundle import Bundle, DenseRun
from .dense import dense_values
from .response import Array

__all__ = ["PlaceMap", "is_uneven", "place_map"]

#: Draws and outputs that are sent one by one, at most.
MOST = 40
#: Share of a row's scale by which an element may miss what its weights say: far above rounding, far below a mask.
OFF = 0.02
#: Share of the largest by which weights differ that are not the same.
APART = 1e-3


@dataclass(frozen=True)
class PlaceMap:
    """Weights that differ from place to place, alike in every item.

    Attributes:
        row: the first model input in which they do; the number of calls for the returned sample.
        draw: which unit normal is weighed so; None where it is an output.
        output: which output; None where it is a draw.
        weights: the weights, the commonest first, four at most, each with its share of places.
    """

    row: int
    draw: int | None
    output: int | None
    weights: tuple[tuple[float, float], ...]


def is_uneven(bundle: Bundle) -> bool:
    """Whether a run with given values everywhere is not what the sampler's law says.

    Args:
        bundle: of a case.
    """
    if bundle.problem is not None or not bundle.is_affine or bundle.unread or bundle.case.config.is_clipped:
        return False
    dense, layout = bundle.dense, bundle.layout
    if not isinstance(dense, DenseRun) or layout is None or layout.shared or layout.missing:
        return False
    response = bundle.first.response
    if dense.outputs.shape[0] != response.num_calls or dense.fields.shape[0] != response.noise.shape[1]:
        return False
    predicted = bundle.zero.rows() + response.noise @ dense.fields + response.outputs @ dense.outputs
    return _misses(bundle, dense, predicted, np.abs(response.noise), np.abs(response.outputs))


def _misses(bundle: Bundle, dense: DenseRun, predicted: Array, noise: Array, outputs: Array) -> bool:
    scale = noise @ np.abs(dense.fields) + outputs @ (np.abs(dense.outputs) + np.abs(dense.rows[:-1]))
    allowed = OFF * (np.abs(predicted) + scale + scale.mean(axis=1, keepdims=True)) + 1e-30
    rows = slice(None) if bundle.last_row and bundle.end is None else slice(-1)
    return not bool((np.abs(dense.rows - predicted) <= allowed)[rows].all())


def place_map(bundle: Bundle) -> PlaceMap | None:
    """The weights of each place; None where they are alike everywhere, differ between items, or are not all there is.

    Args:
        bundle: of a case that :func:`is_uneven`.
    """
    layout, dense = bundle.layout, bundle.dense
    calls, size = bundle.num_calls, bundle.case.numel
    fields = 0 if layout is None else len(layout.fields)
    if layout is None or not isinstance(dense, DenseRun) or fields + calls > MOST:
        return None
    weights = np.zeros((calls + 1, fields + calls, size))
    for number in range(fields + calls):
        found = _alone(bundle, layout, number)
        if found is None:
            return None
        weights[:, number] = found
    sent = np.concatenate([dense.fields, dense.outputs])
    predicted = bundle.zero.rows() + np.einsum("rps,ps->rs", weights, sent)
    largest = np.abs(weights).max(axis=2)
    if _misses(bundle, dense, predicted, largest[:, :fields], largest[:, fields:]):
        return None
    by_item = weights.reshape(calls + 1, fields + calls, bundle.case.shape[0], -1)
    allowed = APART * largest.max(axis=1)[:, None]
    if bool((np.ptp(by_item, axis=2).max(axis=2) > allowed).any()):
        return None  # items differ, which shape/batch tells
    uneven = np.ptp(weights, axis=2) > allowed
    if not uneven.any():
        return None
    row = int(np.flatnonzero(uneven.any(axis=1))[0])
    number = int(np.flatnonzero(uneven[row])[0])
    told = _told(by_item[row, number, 0], float(allowed[row, 0]))
    is_draw = number < fields
    return PlaceMap(row, number if is_draw else None, None if is_draw else number - fields, told)


def _alone(bundle: Bundle, layout: Layout, number: int) -> Array | None:
    """``(K + 1, numel)`` the weight of one draw or output at each element; None where the run goes wrong."""
    size, fields = bundle.case.numel, len(layout.fields)
    seen = dense_values(0, 31 + number, size)
    values = np.copysign(0.5 + np.abs(seen), seen) * bundle.amplitude
    raw: dict[int, Array] = {}
    if number < fields:
        field = layout.fields[number]
        for j, part in enumerate(field.parts):
            raw[part] = np.zeros(bundle.zero.draws[part].numel)
            raw[part][field.offset_of[field.draw_of == j]] = values[field.draw_of == j]

    def draws(index: int, shape: tuple[int, ...]) -> Array | None:
        found = raw.get(index)
        return None if found is None or found.size != math.prod(shape) else found.reshape(shape)

    def outputs(call: int, shape: tuple[int, ...]) -> Array | None:
        return values.reshape(shape) if call == number - fields else None

    run = bundle.execute(Dense(draws=draws, outputs=outputs))
    if run.problem is not None or len(run.calls) != bundle.num_calls:
        return None
    found: Array = (run.rows() - bundle.zero.rows()) / values
    return found


def _told(weights: Array, allowed: float) -> tuple[tuple[float, float], ...]:
    """Weights and their shares of places: values within the tolerance are one."""
    ordered = np.sort(weights)
    groups = np.split(ordered, np.flatnonzero(np.diff(ordered) > allowed) + 1)
    groups.sort(key=lambda group: -group.size)
    return tuple((float(np.median(group)), group.size / weights.size) for group in groups[:4])
