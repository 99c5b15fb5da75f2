"""What a sampler makes, seen as frames: pictures as they are, sequences with time in place of height."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sampler_harness.detail.given import check_pictures
from sampler_harness.detail.spectrum import Array, as_frames
from sampler_harness.subject import Subject

__all__ = ["PICTURES", "Layout", "laid_out"]


@dataclass(frozen=True)
class Layout:
    """How items and frames turn into each other; for arrays and tensors alike.

    Attributes:
        is_sequence: items are ``(T, A)``, steps of a horizon times numbers in each: frames are ``(A, T, 1)``, in which
            a wavelength is one in steps.
    """

    is_sequence: bool = False

    def frames(self, items: Any) -> Any:
        """``(N, C, H, W)`` of a batch of items."""
        return items.swapaxes(1, 2)[..., None] if self.is_sequence else items

    def items(self, frames: Any) -> Any:
        """A batch of items of ``(N, C, H, W)``."""
        return frames[..., 0].swapaxes(1, 2) if self.is_sequence else frames

    def shown(self, frames: Array) -> Array:
        """Frames as pictures for a strip: colors, one channel, or a sequence with time from left to right."""
        if self.is_sequence:
            return frames[..., 0][:, None]
        return frames if frames.shape[1] == 3 else frames[:, :1]

    def named(self, octave: str) -> str:
        """An octave's name in its own unit."""
        return octave.replace(" px", " steps") if self.is_sequence else octave


PICTURES = Layout()


def laid_out(data: Any, subject: Subject, count: int) -> tuple[Layout, Array, str]:
    """The frames as they are compared, how they are laid out, and in what they came.

    Sequences are those of a sampler whose declared shapes all have an axis of time and one of numbers: nothing in an
    array tells a horizon of 16 from 16 pixels.

    Args:
        data: as given.
        subject: the declared sampler.
        count: how many are taken, the first.

    Raises:
        ValueError: when they are empty, ragged, not finite, no pictures, or of another kind than the sampler's.
    """
    first = data[0] if isinstance(data, (list, tuple)) and data else data
    dtype = str(getattr(first, "dtype", "")).removeprefix("torch.")
    axes = {len(shape) for shape in subject.shapes or ()}
    layout = Layout(axes == {3})
    if not layout.is_sequence:
        check_pictures(data, "frames", "are compared where the sampler declares shapes=[(2, time, channels)]")
        return layout, as_frames(data, "data")[:count], dtype
    values = as_frames(data, "data")
    if len(np.shape(data)) != 3:
        example = (subject.shapes or ((),))[0]
        raise ValueError(
            f"data has pictures of {values.shape[1:]}, and {subject.name} is declared for sequences, shapes as "
            f"{example}: give sequences (N, time, channels)"
        )
    return layout, np.ascontiguousarray(layout.frames(values[:count, 0])), dtype
