"""Runs with given values everywhere: what they are given, and what is kept of them."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch

from sampler_harness.observe.trace import Run

from .response import Array

__all__ = ["LARGEST_DENSE", "DenseRun", "as_dtype", "dense_values"]

#: Largest of the given values, roughly: divided by it they stay where no clamp bites.
LARGEST_DENSE = 2.0**8


@dataclass(frozen=True)
class DenseRun:
    """A run with given values everywhere.

    Attributes:
        rows: ``(K + 1, numel)`` model inputs and sample.
        fields: ``(P, numel)`` the unit normals as fields.
        outputs: ``(K, numel)`` what the model answered.
        run: the run itself.
    """

    rows: Array
    fields: Array
    outputs: Array
    run: Run


def dense_values(kind: int, index: int, size: int) -> Array:
    """Fixed values for draw or output ``index``: normal-shaped for draws, heavy-tailed for outputs.

    Built from a multiplicative sequence, not from a generator: the same on every machine.

    Args:
        kind: 0 for draws (about unit normal), 1 for outputs (from 0.1 to 30 in magnitude, so that clamps bite).
        index: which draw or call.
        size: number of elements.
    """
    start = 977 * index
    length = 1 << max(14, (start + size - 1).bit_length())
    return _sequence(kind, length)[start : start + size]


@functools.lru_cache(maxsize=8)
def _sequence(kind: int, length: int) -> Array:
    """All dense values of a kind in a row: those of each index begin a little further on."""
    k = np.arange(1, length + 1, dtype=np.float64) + 31_337.0 * kind
    u = np.mod(k * 0.6180339887498949, 1.0)
    w = np.mod(k * 0.7548776662466927 + 0.5 * u, 1.0)
    normal: Array = np.sqrt(-2.0 * np.log(np.clip(u, 1e-6, 1.0))) * np.cos(2.0 * np.pi * w)
    if kind != 0:
        v = np.mod(k * 0.5698402909980532, 1.0)
        normal *= 10.0 ** (1.5 * v - 0.75)
    normal.setflags(write=False)
    return normal


def as_dtype(values: Array, dtype: str) -> Array:
    """The numbers as the sampler will see them, back in float64."""
    rounded: Array
    if dtype == "bfloat16":  # which numpy does not have
        rounded = torch.from_numpy(np.ascontiguousarray(values)).to(torch.bfloat16).double().numpy()
        return rounded
    with np.errstate(over="ignore"):
        rounded = values.astype(dtype).astype(np.float64)
    return rounded
