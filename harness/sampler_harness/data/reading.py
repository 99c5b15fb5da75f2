"""What a user's function returned, as an array whose axes are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .patterns import Array, Size

__all__ = ["Output", "Unreadable", "article", "as_array", "dtype_name", "read_frame", "read_output"]


class Unreadable(ValueError):
    """What came back cannot be read; the message says what it was and what should be."""


@dataclass(frozen=True, eq=False)
class Output:
    """A model's input as it was returned.

    Attributes:
        values: ``(C, H, W)`` float64.
        axes: of what was returned: ``CHW``, ``BCHW``, ``HWC``, ``BHWC``, ``HW``, ``BHW``.
        dtype: its dtype's name.
        raw: what was returned.
    """

    values: Array
    axes: str
    dtype: str
    raw: Any

    @property
    def channels(self) -> int:
        """How many channels it has."""
        return int(self.values.shape[0])

    @property
    def size(self) -> Size:
        """Height and width."""
        return int(self.values.shape[1]), int(self.values.shape[2])


def dtype_name(value: Any) -> str:
    """The dtype of a tensor or array, without its package."""
    return str(value.dtype).removeprefix("torch.")


def article(noun: str) -> str:
    """A noun with its indefinite article."""
    return f"{'an' if noun[:1] in 'aeiouAEIOU' else 'a'} {noun}"


def _described(value: Any) -> str:
    if value is None:
        return "None (is a return missing?)"
    shape = getattr(value, "shape", None)
    kind = type(value).__name__
    if shape is not None:
        return f"{article(kind)} of shape {tuple(shape)}"
    if isinstance(value, (tuple, list)):
        inside = ", ".join(type(item).__name__ for item in value[:3])
        return f"{article(kind)} of {len(value)} ({inside}{', …' if len(value) > 3 else ''})"
    return article(kind)


def as_array(value: Any, what: str) -> np.ndarray[Any, Any]:
    """A tensor, an array or a PIL image as a numeric array, float64 where it was a float.

    Args:
        value: anything.
        what: begins the sentence that refuses it, "the function returned".

    Raises:
        Unreadable: for anything else.
    """
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        held = value.detach().cpu()
        if held.is_complex():
            raise Unreadable(f"{what} complex numbers, should be real")
        value = held.double().numpy() if held.is_floating_point() else held.numpy()
    elif hasattr(value, "mode") and hasattr(value, "getbands"):
        value = np.asarray(value)
    if not isinstance(value, np.ndarray):
        raise Unreadable(f"{what} {_described(value)}, should be a tensor or an array")
    if value.dtype.kind not in "fiub":
        raise Unreadable(f"{what} an array of {value.dtype}, should be of numbers")
    return value


def read_output(value: Any, channels: int, size: Size | None) -> Output:
    """A model's input, whichever of the usual layouts it has.

    Args:
        value: what was returned.
        channels: declared; decides between CHW and HWC.
        size: declared height and width, or None.

    Raises:
        Unreadable: where it is no picture.
    """
    array = as_array(value, "the function returned")
    shape, axes = array.shape, ""
    if array.ndim == 4 or (array.ndim == 3 and shape[0] == 1 and channels == 1 and size == shape[1:]):
        if array.ndim == 4 and shape[0] != 1:
            raise Unreadable(
                f"one frame became a batch of {shape[0]}, shape {shape}: it should stay one, shape (channels, height, "
                "width)"
            )
        if array.ndim == 4:
            axes, array = "B", array[0]
    if array.ndim == 2:
        axes, array = axes + "HW", array[None]
    elif array.ndim == 3:
        last = _fit(array.shape[2], array.shape[:2], channels, size)
        first = _fit(array.shape[0], array.shape[1:], channels, size)
        axes, array = (axes + "HWC", array.transpose(2, 0, 1)) if last > first else (axes + "CHW", array)
    else:
        raise Unreadable(f"the function returned {_described(value)}, should be (channels, height, width)")
    if array.size == 0:
        raise Unreadable(f"the function returned {_described(value)}, which is empty")
    return Output(array.astype(np.float64), axes, dtype_name(value) if hasattr(value, "dtype") else "uint8", value)


def _fit(channels: int, size: Sequence[int], wanted: int, wanted_size: Size | None) -> float:
    """How well a reading of the axes fits what was declared."""
    fit = 4.0 * (channels == wanted)
    if wanted_size is not None:
        fit += 2.0 * (tuple(size) == wanted_size) + 1.0 * (tuple(size) == wanted_size[::-1])
    # Nothing fits: the axis of few entries is the one of channels.
    return fit + 0.5 * (channels <= 4)


def read_frame(value: Any) -> tuple[Array, bool]:
    """What an inverse returned: ``(H, W, C)`` float64, and whether it was of integers.

    Raises:
        Unreadable: where it is no frame.
    """
    array = as_array(value, "the inverse returned")
    whole = array.dtype.kind in "iub"
    while array.ndim > 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.size == 0:
        raise Unreadable(f"the inverse returned {_described(value)}, should be a frame, (height, width, channels)")
    if array.shape[2] not in (1, 3, 4) and array.shape[0] in (1, 3, 4):
        array = array.transpose(1, 2, 0)
    return array.astype(np.float64), whole
