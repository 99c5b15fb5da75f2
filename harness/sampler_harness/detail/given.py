"""What a training loop hands to the monitor: frames, numbers and ranges, in whatever form loops have them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sampler_harness.detail.spectrum import Array, as_frames

__all__ = [
    "check_data",
    "check_pictures",
    "checked_range",
    "checked_step",
    "chosen",
    "collected",
    "evenly",
    "levels_in",
]

#: Noise levels of the denoising error, in halves of the data's range: fine structure is decided at the low ones.
LEVELS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
#: More of the data outside data_range than this share is a range that is wrong, not an outlier.
OUTLIERS = 0.01
#: Pixels along the shorter side of the smallest picture that is taken for one without its channels being said.
SMALLEST_SIDE = 8


def checked_range(data_range: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest legal value.

    Raises:
        ValueError: when there are not two finite ones, in this order.
    """
    try:
        low, high = (float(end) for end in data_range)
    except (TypeError, ValueError):
        raise ValueError(f"data_range is {data_range!r}, should be the lowest and the highest legal value") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"data_range is ({low:g}, {high:g}), should be the lowest and the highest legal value")
    return low, high


def levels_in(levels: Sequence[float] | None, data_range: tuple[float, float]) -> tuple[float, ...]:
    """Noise levels in data units, where none are given :data:`LEVELS` of a range.

    Raises:
        ValueError: when one is not above 0, or there are none.
    """
    half = 0.5 * (data_range[1] - data_range[0])
    found = tuple(level * half for level in LEVELS) if levels is None else tuple(float(level) for level in levels)
    if not found or not all(math.isfinite(level) and level > 0.0 for level in found):
        raise ValueError(f"levels are {levels!r}, should be noise levels above 0, in data units")
    return found


def check_data(data: Array, data_range: tuple[float, float]) -> None:
    """Refuse a range that is not the data's.

    Raises:
        ValueError: with the share of the data outside of it.
    """
    low, high = data_range
    outside = float(((data < low) | (data > high)).mean())
    if outside > OUTLIERS:
        raise ValueError(
            f"{outside:.0%} of the data lies outside data_range ({low:g}, {high:g}), it goes from {data.min():g} to "
            f"{data.max():g}: give data_range=(lowest, highest), or the data as the model sees it"
        )


def check_pictures(given: Any, name: str, instead: str = "cannot be compared here") -> None:
    """Refuse what has an axis of time in place of a height: it has no wavelengths in pixels.

    Args:
        given: frames as they came, an array, a tensor, or a list of one each.
        name: what to call them.
        instead: what is said of sequences.

    Raises:
        ValueError: for three axes of which one is shorter than any picture's side.
    """
    one = given[0] if isinstance(given, (list, tuple)) and given else given
    shape = tuple(getattr(one, "shape", ()))
    shape = (len(given), *shape) if one is not given else shape
    if len(shape) == 3 and 0 < min(shape[1:]) < SMALLEST_SIDE:
        raise ValueError(
            f"{name} of shape {shape} are no pictures: as (N, H, W) they would be {shape[1]} x {shape[2]} pixels. "
            f"Sequences (N, time, channels) have no detail in pixels and {instead}; pictures of that size are given as "
            "(N, 1, H, W)"
        )


def checked_step(step: Any) -> int:
    """The number of a training step, out of whatever has one.

    Raises:
        ValueError: when it is no integer.
    """
    try:
        value = step.item() if hasattr(step, "item") else step
        if isinstance(value, bool) or int(value) != value:
            raise TypeError
        return int(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise ValueError(f"step is {step!r}, should be the number of the training step") from None


def evenly(number: int, wanted: int) -> list[int]:
    """Places of at most ``wanted`` of ``number`` items, evenly spaced, the first and the last among them."""
    if number <= wanted:
        return list(range(number))
    return [round(place) for place in np.linspace(0, number - 1, wanted)]


def chosen(frames: Any, wanted: int) -> Any:
    """At most ``wanted`` items of an array, a tensor or a list, still on their device."""
    if not hasattr(frames, "__len__") or not hasattr(frames, "__getitem__"):
        raise ValueError(f"a tensor or array (N, C, H, W) is needed, got {type(frames).__name__}")
    places = evenly(len(frames), wanted)
    return frames[places] if hasattr(frames, "shape") else [frames[place] for place in places]


def collected(data: Any, items: int) -> Array:
    """At most ``items`` frames of the data, ``(N, C, H, W)``."""
    if hasattr(data, "shape"):
        return as_frames(chosen(data, items) if len(data.shape) else data, "data")
    if isinstance(data, (str, bytes, Path)) or not (hasattr(data, "__iter__") or hasattr(data, "__getitem__")):
        raise ValueError(f"data is {data!r}: give the frames themselves, an array or tensor (N, C, H, W)")
    if isinstance(data, (list, tuple)) and data and all(getattr(one, "ndim", 0) in (2, 3) for one in data):
        return as_frames(chosen(data, items), "data")
    frames: list[Any] = []
    are_batches: bool | None = None
    for element in data:
        image = _image_of(element)
        if are_batches is None:
            are_batches = image.ndim == 4 or (image.ndim == 3 and image.shape[0] > 4)  # (B, H, W), not (C, H, W)
        frames += list(image) if are_batches else [image]
        if len(frames) >= items:
            break
    return as_frames(frames[:items], "data")


def _image_of(element: Any) -> Any:
    """The first image of what a data set or loader hands out."""
    if isinstance(element, Mapping):
        element = list(element.values())
    if isinstance(element, (list, tuple)):
        found = [one for one in element if getattr(one, "ndim", 0) >= 2]
        if not found:
            raise ValueError("data hands out no image: neither a tensor nor an array of at least two axes is in it")
        return found[0]
    if getattr(element, "ndim", 0) < 2:
        raise ValueError(f"data hands out {type(element).__name__}, should hand out images as tensors or arrays")
    return element
