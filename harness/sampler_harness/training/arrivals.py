"""Where the elements of the data and of a draw arrive in a model's input, whatever order a step lays them out in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np

from .probing import Array

__all__ = ["coefficient", "is_own", "left_over", "parts_of_one", "placed", "shared_axes"]


def parts_of_one(patterns: Mapping[int, Array]) -> list[tuple[int, int]]:
    """Draws of normals that fill different items or channels, in pairs: the first of them and another that joins it."""
    filled: dict[int, Array] = {}
    joined = []
    for j, pattern in patterns.items():
        here = pattern != 0
        first = next((i for i, there in filled.items() if not (there & here).any()), None) if j >= 0 else None
        if first is None:
            filled |= {j: here} if j >= 0 else {}
        else:
            filled[first] = filled[first] | here
            joined.append((first, j))
    return joined


def is_own(pattern: Array) -> bool:
    """Whether every element of a batch has a normal of its own: what is shared repeats along an axis."""
    if pattern.size == 1:
        return True
    return all(size == 1 or not _repeats(pattern, axis) for axis, size in enumerate(pattern.shape))


def shared_axes(pattern: Array) -> tuple[bool, bool, bool]:
    """Whether a draw's normals are shared by the items of a batch, by its channels, and by all places of a channel."""
    batch, channels, *places = (size > 1 and _repeats(pattern, axis) for axis, size in enumerate(pattern.shape))
    several = [shared for shared, size in zip(places, pattern.shape[2:], strict=True) if size > 1]
    return batch, channels, bool(several) and all(several)


def _repeats(pattern: Array, axis: int) -> bool:
    """Whether some entry along an axis is another's, and not nothing."""
    rows = np.moveaxis(pattern, axis, 0).reshape(pattern.shape[axis], -1)
    rows = rows[(rows != 0).any(axis=1)]
    return len(rows) > 1 and bool((rows == np.roll(rows, 1, 0)).all())


def coefficient(response: Array, pattern: Array) -> float:
    """How often a pattern stands in a response, by least squares."""
    power = float((pattern * pattern).sum())
    return float((response * pattern).sum()) / power if power > 0 else 0.0


def left_over(total: Array, patterns: Mapping[int, Array], coefficients: Mapping[int, float], item: int) -> float:
    """What the patterns do not explain, relative to the largest entry."""
    left = total - sum((coefficients[i] * p[item] for i, p in patterns.items()), np.zeros_like(total))
    scale = float(np.abs(total).max())
    return float(np.abs(left).max()) / scale if scale > 0 else 0.0


def placed(values: Array, response: Array) -> Array | None:
    """Where the elements of the data or of a draw arrive in a call's input: the values, laid out as the input.

    Tried in turn: as they are, one slice along an axis (a frame of a clip), several slices flattened into the batch, a
    part of the batch, repeated along axes (shared), and in any other order within the items.
    """
    scale = float(np.abs(response).max())
    best: tuple[float, Array | None] = (math.inf, None)
    for layout in _layouts(values, response.shape):
        candidate = _where_it_arrives(layout, response)
        left = max(
            float(np.abs(response[b] - coefficient(response[b], candidate[b]) * candidate[b]).max())
            for b in range(response.shape[0])
        )
        if left < best[0]:
            best = (left, candidate)
        if left <= 1e-2 * scale:
            return candidate
    permuted = _permuted(values, response)
    return permuted if permuted is not None else best[1]


def _where_it_arrives(pattern: Array, response: Array) -> Array:
    """The pattern in the items and channels that the draw reaches; noise may be drawn for each of them by itself."""
    reached = response != 0
    if not reached.any():
        return pattern
    kept = reached.any(axis=tuple(range(2, response.ndim)), keepdims=True)
    return np.where(kept, pattern, 0.0)


def _layouts(values: Array, shape: tuple[int, ...]) -> list[Array]:
    found: list[Array] = []
    if values.size == int(np.prod(shape)):
        found.append(values.reshape(shape))
    for axis in range(values.ndim):
        rest = values.shape[:axis] + values.shape[axis + 1 :]
        if values.ndim > len(shape) and rest == shape:
            found += [np.take(values, n, axis) for n in range(values.shape[axis])]
    if values.ndim == len(shape) + 1 and values.shape[2:] == shape[1:]:
        found += [values[:, n:].reshape(shape) for n in range(values.shape[1]) if values[:, n:].size == np.prod(shape)]
    if values.ndim == len(shape) and values.shape[1:] == shape[1:] and values.shape[0] > shape[0]:
        found += [values[n : n + shape[0]] for n in range(values.shape[0] - shape[0] + 1)]
    if values.size < int(np.prod(shape)):
        for axes in combinations(range(len(shape)), max(len(shape) - values.ndim, 0)):
            try:
                found.append(np.broadcast_to(np.expand_dims(values, axes), shape))
            except ValueError:
                continue
    return found


def _permuted(values: Array, response: Array) -> Array | None:
    """The same values in another order within each item, where the response is such an order of them."""
    if values.size != response.size:
        return None
    flat = values.reshape(response.shape[0], -1)
    result = np.empty_like(flat)
    for b, row in enumerate(response.reshape(response.shape[0], -1)):
        size = float(np.sqrt((row * row).sum() / (flat[b] * flat[b]).sum()))
        if size == 0.0:
            return None
        for sign in (1.0, -1.0):
            order = np.argsort(sign * row, kind="stable")
            ranked = np.sort(flat[b])
            if np.abs(sign * row[order] / size - ranked).max() < 1e-2 / 64:
                result[b, order] = ranked
                break
        else:
            return None
    return result.reshape(response.shape)
