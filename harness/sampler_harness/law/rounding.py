"""The references' own source, run in arithmetic that rounds: what a tolerance is derived from.

Context: a tolerance must say what rounding does to a sound implementation in the declared precision, and the error
is not in the update but in the tables (``1 - alpha_bar`` cancels as t -> 0).
Choice: run the references' source a second time, with ``np`` replaced by a stand-in whose arrays round after every
operation, to nearest or at random. The formula is the reference's own, so a tolerance can never drift from it.
Rounding at random is a function of the value and of a seed: an operation that gives the same number twice rounds it
the same way twice, as it does in any program, and the order in which tables are made does not matter. Where nothing is
raised, ``sigma_hat**2 - sigma_cur**2`` stays 0.
Reversed by: a published forward-error bound for each algorithm.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .program import Program
from .response import Array

__all__ = ["ROUNDING_NUMPY", "RoundedArray", "rounded_like", "rounding"]


_NUMBER, _BITS, _WORD = struct.Struct("=d"), struct.Struct("=Q"), 2**64 - 1


class _Mode:
    """How the arrays round at the moment: bits of the mantissa, and a seed for rounding at random."""

    def __init__(self) -> None:
        self.bits = 24
        self.seed: int | None = None

    def round(self, values: Array) -> Array:
        """Round to ``bits`` of mantissa, to nearest or (with a seed) at random up or down."""
        if self.seed is None and self.bits == 24:
            single: Array = values.astype(np.float32).astype(np.float64)
            return single
        if values.size == 1 and 1e-300 < abs(value := values.item()) < 1e300:
            return np.full(values.shape, self._round_number(value))
        mantissa, exponent = np.frexp(values)
        scaled = mantissa * 2.0**self.bits
        whole = np.rint(scaled) if self.seed is None else np.floor(scaled + _shares(values, self.seed))
        rounded: Array = np.ldexp(whole, exponent - self.bits)
        return rounded

    def _round_number(self, value: float) -> float:
        """The same for one number, of which most tables and weights are made: in Python several times as fast."""
        mantissa, exponent = math.frexp(value)
        scaled = math.ldexp(mantissa, self.bits)
        whole = round(scaled) if self.seed is None else math.floor(scaled + _share(value, self.seed))
        return math.ldexp(whole, exponent - self.bits)


_MODE = _Mode()


def _shares(values: Array, seed: int) -> Array:
    """A number in [0, 1) for each value, of its bits and a seed: equal values have equal ones.

    Source of the mixing constants: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
    """
    mixed = np.array(values, dtype=np.float64).reshape(-1).view(np.uint64)
    mixed += np.uint64(_start(seed))
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    shares: Array = np.ldexp((mixed >> np.uint64(11)).astype(np.float64), -53)
    return shares.reshape(np.shape(values))


def _share(value: float, seed: int) -> float:
    """That of one number."""
    (bits,) = _BITS.unpack(_NUMBER.pack(value))
    mixed = (bits + _start(seed)) & _WORD
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & _WORD
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & _WORD
    return math.ldexp((mixed ^ (mixed >> 31)) >> 11, -53)


def _start(seed: int) -> int:
    return 0x9E3779B97F4A7C15 * (seed + 1) & _WORD


class RoundedArray(np.ndarray[Any, np.dtype[np.float64]]):
    """A float64 array that rounds to fewer bits after each operation."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [i.view(np.ndarray) if type(i) is RoundedArray else i for i in inputs]
        if "out" in kwargs:
            kwargs["out"] = tuple(np.asarray(o) if isinstance(o, RoundedArray) else o for o in kwargs["out"])
        if method == "accumulate":
            return _accumulate(ufunc, plain[0])
        result = getattr(ufunc, method)(*plain, **kwargs)
        if isinstance(result, tuple):
            return tuple(rounded(part) for part in result)
        return rounded(result)

    def __getitem__(self, key: Any) -> Any:
        return rounded_view(np.asarray(self)[key])

    def __iter__(self) -> Iterator[Any]:
        for index in range(self.shape[0]):
            yield self[index]

    def __round__(self, digits: int | None = None) -> Any:
        return round(float(self), digits)  # as a number of numpy's does, which an array does not


def _accumulate(ufunc: Any, values: Array) -> Any:
    """``cumprod`` and ``cumsum`` with a rounding at every entry, as plain code does."""
    if _MODE.bits == 24 and _MODE.seed is None:
        single: Array = ufunc.accumulate(np.asarray(values, dtype=np.float32)).astype(np.float64)
        return single.view(RoundedArray)
    # A relative error of up to one unit roundoff in each step, carried on: what rounding each step would do.
    noise = 0.0 if _MODE.seed is None else _shares(ufunc.accumulate(values), _MODE.seed) - 0.5
    return rounded(ufunc.accumulate(values * (1.0 + 2.0 ** (1 - _MODE.bits) * noise)))


def rounded_view(values: Any) -> Any:
    """Mark as rounding without rounding again."""
    if isinstance(values, (np.ndarray, np.floating)) and values.dtype.char == "d":
        return np.asarray(values).view(RoundedArray)
    return values


def rounded(values: Any) -> Any:
    """Round float64 results; leave integers, booleans and everything else."""
    if isinstance(values, (np.ndarray, np.floating)) and values.dtype.char == "d":
        plain = values if type(values) is np.ndarray else np.asarray(values)
        return np.asarray(_MODE.round(plain)).view(RoundedArray)
    return values


class _RoundingNumpy:
    """Plays ``np`` inside the copied references: every result rounds."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(np, name)
        if isinstance(value, type) or not callable(value):
            return value

        @functools.wraps(value)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = value(*args, **kwargs)
            # What is rounded already is not changed by a second rounding.
            return result if type(result) is RoundedArray else rounded(result)

        self.__dict__[name] = call
        return call


#: What plays ``np`` in source that rounds.
ROUNDING_NUMPY: Any = _RoundingNumpy()


@functools.lru_cache(maxsize=256)
def _rounding_program(kind: Any) -> Program:
    return Program(kind, numpy=ROUNDING_NUMPY, whole=True)


def rounded_like(reference: Any) -> Any:
    """The same configuration of the same reference, in source that rounds.

    Args:
        reference: a configuration, of a sampler or of a training step.

    Raises:
        ValueError: where its source cannot be run a second time.
    """
    kind: Any = type(reference)
    return _rounding_program(kind).configured(reference)


@contextmanager
def rounding(bits: int, seed: int | None = None) -> Iterator[None]:
    """Choose how the copied references round.

    Args:
        bits: of mantissa, the hidden one included: 24 for float32, 11 for float16, 8 for bfloat16.
        seed: None rounds to nearest; a number rounds at random, the same way each time.
    """
    before = _MODE.bits, _MODE.seed
    _MODE.bits, _MODE.seed = bits, seed
    try:
        yield
    finally:
        _MODE.bits, _MODE.seed = before
