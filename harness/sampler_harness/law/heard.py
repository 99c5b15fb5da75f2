"""Which draws reach something: runs with other values in some of them, and the same in all others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sampler_harness.observe.probes import Dense
from sampler_harness.observe.trace import Run

from .dense import dense_values
from .reading import Reader
from .response import Array

__all__ = ["first_heard", "reach_nothing", "unheard"]


def reach_nothing(reader: Reader, draws: Sequence[int]) -> bool:
    """Whether the values of some draws change no digit anywhere.

    Args:
        reader: of the case.
        draws: by index.
    """
    quiet, other = (_run_with(reader, draws, scale) for scale in (0.5, -1.0))
    return quiet.problem is None and other.problem is None and np.array_equal(quiet.rows(), other.rows())


def unheard(reader: Reader, draws: Sequence[int]) -> list[int]:
    """Those of some draws whose values change no digit anywhere.

    Args:
        reader: of the case.
        draws: by index.
    """
    if reach_nothing(reader, draws):
        return list(draws)
    half = len(draws) // 2
    return [one for part in (draws[:half], draws[half:]) if half for one in unheard(reader, part)]


def first_heard(reader: Reader, draws: Sequence[int]) -> int | None:
    """The first of some draws whose value changes a digit somewhere; None where none does.

    Args:
        reader: of the case.
        draws: by index.
    """
    if not draws or reach_nothing(reader, draws):
        return None
    while len(draws) > 1:
        half = len(draws) // 2
        draws = draws[half:] if reach_nothing(reader, draws[:half]) else draws[:half]
    return draws[0]


def _run_with(reader: Reader, draws: Sequence[int], scale: float) -> Run:
    """A run with some numbers in all draws, and ``scale`` times them in a few."""
    chosen = set(draws)

    def values(index: int, shape: tuple[int, ...]) -> Array:
        numbers = reader.amplitude * dense_values(0, index, int(np.prod(shape))).reshape(shape)
        return scale * numbers if index in chosen else numbers

    return reader.execute(Dense(draws=values, outputs=lambda i, s: None), same={})
