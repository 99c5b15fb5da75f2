"""Frames of a stage on disk, small and whole: in 8 bits, the middle of each, what is not finite among them."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sampler_harness.detail.spectrum import Array

__all__ = ["pack_frames", "read_frames", "unpack_frames", "write_frames"]

#: Kept frames are cut to the middle so many pixels: shrinking them would blur what the strip is there to show.
SIDE = 128
#: In a kept frame: not finite. The levels 0 to 254 are the data's range.
BROKEN = 255

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


def pack_frames(frames: Any, data_range: Sequence[float], *, fit: bool = False) -> tuple[Bytes, Array]:
    """Frames in 8 bits: 0 to 254 is the data's range, 255 is a value that is not finite.

    Args:
        frames: ``(N, C, H, W)``, data units.
        data_range: lowest and highest value.
        fit: whether frames that are wider than the range, but for the last, are divided until they fit: what a
            sampler starts from is noise many times as wide as the data.

    Returns:
        ``(N, C, H', W')`` uint8, the middle of each frame, at most :data:`SIDE` pixels wide and high; and ``(N,)`` by
        what each was divided, about the middle of the range.
    """
    values = np.asarray(frames, dtype=np.float64)
    height, width = values.shape[2:]
    top, left = (max(0, (size - SIDE) // 2) for size in (height, width))
    values = values[:, :, top : top + SIDE, left : left + SIDE]
    low, high = (float(end) for end in data_range)
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    unit = (values - middle) / half
    divided = np.ones(len(values))
    for index in range(len(values) - 1 if fit else 0):
        finite = np.abs(unit[index][np.isfinite(unit[index])])
        width_needed = float(np.quantile(finite, 0.99)) if finite.size else 1.0
        if width_needed > 1.25:  # a little beyond the range is cut off, as a screen does
            divided[index] = width_needed
    unit = unit / divided[:, None, None, None]
    levels = np.rint(127.0 * (np.clip(np.nan_to_num(unit), -1.0, 1.0) + 1.0)).astype(np.uint8)
    return np.where(np.isfinite(unit), levels, np.uint8(BROKEN)), divided


def unpack_frames(packed: Any) -> Array:
    """What :func:`pack_frames` made, in [-1, 1]; NaN where a value was not finite."""
    levels = np.asarray(packed)
    return np.where(levels == BROKEN, np.nan, levels.astype(np.float64) / 127.0 - 1.0)


def write_frames(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays to an ``.npz`` file, whole or not at all; without a date."""
    written = io.BytesIO()
    plain: dict[str, Any] = {name: np.asarray(value) for name, value in arrays.items()}
    np.savez_compressed(written, **plain)
    half = path.with_name(path.name + ".part")
    with half.open("wb") as file:
        file.write(written.getvalue())
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def read_frames(path: str | Path) -> dict[str, Any]:
    """The arrays of :func:`write_frames`.

    Raises:
        ValueError: when the file is missing or not whole, with its name.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except FileNotFoundError:
        raise ValueError(f"{path} is missing") from None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
