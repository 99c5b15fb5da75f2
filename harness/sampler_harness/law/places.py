"""Weights that differ from place to place: a mask, a window, a channel of its own. Affine, but no law of one element.

A law is read at one element for each draw and output. Where a run with given values everywhere is not what that law
says, each draw and output is sent alone, with values everywhere: what arrives at an element, over what was sent there,
is the weight at that place. The same run then shows whether these weights are all there is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sampler_harness.observe.layout import Layout
from sampler_harness.observe.probes import Dense

from .bundle import Bundle, DenseRun
from .dense import LARGEST_DENSE, dense_values
from .response import Array
from .tolerance import PRECISIONS

__all__ = ["PlaceMap", "is_uneven", "maps_places", "place_map", "rows_of_sent"]

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


def is_uneven(bundle: Bundle, *, asleep: bool = False) -> bool:
    """Whether a run with given values everywhere is not what the sampler's law says.

    Args:
        bundle: of a case.
        asleep: make a run with values so small that the reference's clamps sleep; else those that clamp are not told.
    """
    if bundle.problem is not None or not bundle.is_affine or bundle.unread:
        return False
    if bundle.case.config.is_clipped and not asleep:
        return False
    dense, layout = bundle.dense, bundle.layout
    if not isinstance(dense, DenseRun) or layout is None or layout.shared or layout.missing:
        return False
    response = bundle.first.response
    if dense.outputs.shape[0] != response.num_calls or dense.fields.shape[0] != response.noise.shape[1]:
        return False
    scale = bundle.amplitude / LARGEST_DENSE if asleep else 1.0
    fields, outputs = scale * dense.fields, scale * dense.outputs
    rows = rows_of_sent(bundle, layout, fields, outputs) if asleep else dense.rows - bundle.zero.rows()
    if rows is None:
        return False
    predicted = response.noise @ fields + response.outputs @ outputs
    if asleep and bundle.shift:  # beside what is added to the sample, values so small are lost in float32
        rows, predicted = (np.concatenate([one[:-1], np.zeros_like(one[-1:])]) for one in (rows, predicted))
    return _misses(bundle, rows, predicted, np.concatenate([fields, outputs]), _sizes(bundle))


def _sizes(bundle: Bundle) -> Array:
    """``(K + 1, P + K)`` of the sampler's own coefficients."""
    response = bundle.first.response
    sizes: Array = np.abs(np.concatenate([response.noise, response.outputs], axis=1))
    return sizes


def _misses(bundle: Bundle, rows: Array, predicted: Array, sent: Array, sizes: Array) -> bool:
    """Whether rows, the constant taken off, are not what is predicted of what was sent, to a share of its size."""
    calls = bundle.num_calls
    scale = sizes @ np.abs(sent) + sizes[:, -calls:] @ np.abs(rows[:-1])
    allowed = _off(bundle) * (np.abs(predicted) + scale + scale.mean(axis=1, keepdims=True)) + 1e-30
    read = _read(bundle)
    return not bool((np.abs(rows - predicted) <= allowed)[read].all())


def _off(bundle: Bundle) -> float:
    """How far an element may be off: in half precision what rounding does is more than the usual share."""
    return max(OFF, PRECISIONS[bundle.case.dtype].of_steps(bundle.num_calls))


def _read(bundle: Bundle) -> slice:
    """The rows that can be read."""
    return slice(None) if bundle.last_row and bundle.end is None else slice(-1)


def place_map(bundle: Bundle) -> PlaceMap | None:
    """The weights of each place; None where they are alike everywhere, differ between items, or are not all there is.

    Args:
        bundle: of a case that :func:`maps_places`.
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
    sent = bundle.amplitude * np.concatenate([dense.fields, dense.outputs])
    largest = np.abs(weights).max(axis=2)
    rows = rows_of_sent(bundle, layout, sent[:fields], sent[fields:])
    if rows is None or _misses(bundle, rows, np.einsum("rps,ps->rs", weights, sent), sent, largest):
        return None
    by_item = weights.reshape(calls + 1, fields + calls, bundle.case.shape[0], -1)
    allowed = max(APART, PRECISIONS[bundle.case.dtype].of_steps(calls)) * largest.max(axis=1)[:, None]
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


def maps_places(bundle: Bundle) -> bool:
    """Whether what arrives at a place is made of what was sent to that place alone, affine, and alike in every item.

    Told by five runs, of however many draws and calls, whose values are so small that a clamp beside the map sleeps:
    that one is for clip/replay to tell.

    Args:
        bundle: of a case that :func:`is_uneven`.
    """
    layout, dense = bundle.layout, bundle.dense
    if layout is None or not isinstance(dense, DenseRun):
        return False
    fields, outputs, items = bundle.amplitude * dense.fields, bundle.amplitude * dense.outputs, bundle.case.shape[0]
    signs = np.where(dense_values(0, 53, bundle.case.numel) > 0, 1.0, -1.0)
    in_all = [np.tile(values[:, : bundle.case.numel // items], items) for values in (fields, outputs)]
    whole = rows_of_sent(bundle, layout, fields, outputs)
    draws_alone = rows_of_sent(bundle, layout, fields, 0 * outputs)
    outputs_alone = rows_of_sent(bundle, layout, 0 * fields, outputs)
    turned = rows_of_sent(bundle, layout, signs * fields, signs * outputs)
    alike = rows_of_sent(bundle, layout, *in_all)
    if whole is None or draws_alone is None or outputs_alone is None or turned is None or alike is None:
        return False
    response, read = bundle.first.response, _read(bundle)
    predicted = response.noise @ fields + response.outputs @ outputs
    if not _misses(bundle, whole, predicted, np.concatenate([fields, outputs]), _sizes(bundle)):
        return False  # alike everywhere, where a clamp sleeps
    off = _off(bundle)
    by_item = alike.reshape(alike.shape[0], items, -1)
    return (
        _are_near((draws_alone + outputs_alone)[read], whole[read], off=off)
        and _are_near(turned[read], whole[read], signs > 0, off=off)
        and _are_near(by_item[read], np.broadcast_to(by_item[:, :1], by_item.shape)[read], off=off)
    )


def _are_near(one: Array, other: Array, places: Any = slice(None), *, off: float) -> bool:
    """Whether rows agree at some places, to a share of the row's size."""
    size = np.abs(other) + np.sqrt(np.mean(np.square(other), axis=tuple(range(1, other.ndim)), keepdims=True))
    return bool((np.abs(one - other) <= off * size + 1e-30)[:, places].all())


def rows_of_sent(bundle: Bundle, layout: Layout, fields: Array, outputs: Array) -> Array | None:
    """``(K + 1, numel)`` what a run is with these draws and outputs, the constant taken off; None where it goes wrong.

    Args:
        bundle: of the case.
        layout: how draws make fields.
        fields: ``(P, numel)`` unit normals.
        outputs: ``(K, numel)`` what the model answers.
    """
    raw = layout.drawn(list(fields), {index: draw.numel for index, draw in enumerate(bundle.zero.draws)})

    def draws(index: int, shape: tuple[int, ...]) -> Array | None:
        found = raw.get(index)
        return None if found is None or found.size != math.prod(shape) else found.reshape(shape)

    run = bundle.execute(Dense(draws=draws, outputs=lambda call, shape: outputs[call].reshape(shape)))
    if run.problem is not None or len(run.calls) != bundle.num_calls:
        return None
    rows: Array = run.rows() - bundle.zero.rows()
    return rows


def _alone(bundle: Bundle, layout: Layout, number: int) -> Array | None:
    """``(K + 1, numel)`` the weight of one draw or output at each element; None where the run goes wrong."""
    size, fields, calls = bundle.case.numel, len(layout.fields), bundle.num_calls
    seen = dense_values(0, 31 + number, size)
    values = np.copysign(0.5 + np.abs(seen), seen) * bundle.amplitude
    sent = np.zeros((fields + calls, size))
    sent[number] = values
    rows = rows_of_sent(bundle, layout, sent[:fields], sent[fields:])
    return None if rows is None else rows / values


def _told(weights: Array, allowed: float) -> tuple[tuple[float, float], ...]:
    """Weights and their shares of places: values within the tolerance are one."""
    ordered = np.sort(weights)
    groups = np.split(ordered, np.flatnonzero(np.diff(ordered) > allowed) + 1)
    groups.sort(key=lambda group: -group.size)
    return tuple((float(np.median(group)), group.size / weights.size) for group in groups[:4])
