"""The references' own source, run in arithmetic that rounds: what a tolerance is derived from.

Context: a tolerance must say what rounding does to a sound implementation in the declared precision, and the error
is not in the update but in the tables (``1 - alpha_bar`` cancels as t -> 0).
Choice: load the references a second time, with ``np`` replaced by a stand-in whose arrays round after every
operation, to nearest or at random. The formula is the reference's own, so a tolerance can never drift from it.
Reversed by: a published forward-error bound for each algorithm.
"""

from __future__ import annotations

import builtins
import dataclasses
import functools
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from .response import Array

__all__ = ["ROUNDING_NUMPY", "RoundedArray", "rounded_like", "rounding"]

_PREFIX = "_rounded_"


class _Mode:
    """How the arrays round at the moment: bits of the mantissa, and a generator for random rounding."""

    def __init__(self) -> None:
        self.bits = 24
        self.generator: np.random.Generator | None = None

    def round(self, values: Array) -> Array:
        """Round to ``bits`` of mantissa, to nearest or (with a generator) at random up or down."""
        if self.generator is None and self.bits == 24:
            single: Array = values.astype(np.float32).astype(np.float64)
            return single
        mantissa, exponent = np.frexp(values)
        scaled = mantissa * 2.0**self.bits
        whole = np.rint(scaled) if self.generator is None else np.floor(scaled + self.generator.random(scaled.shape))
        rounded: Array = np.ldexp(whole, exponent - self.bits)
        return rounded


_MODE = _Mode()


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


def _accumulate(ufunc: Any, values: Array) -> Any:
    """``cumprod`` and ``cumsum`` with a rounding at every entry, as plain code does."""
    if _MODE.bits == 24 and _MODE.generator is None:
        single: Array = ufunc.accumulate(np.asarray(values, dtype=np.float32)).astype(np.float64)
        return single.view(RoundedArray)
    # A relative error of up to one unit roundoff in each step, carried on: what rounding each step would do.
    noise = 0.0 if _MODE.generator is None else _MODE.generator.random(values.shape) - 0.5
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
            if type(result) is not RoundedArray:
                return rounded(result)
            # Rounded already, and again changes nothing: only the random numbers of a second rounding are used up.
            if _MODE.generator is not None:
                _MODE.generator.random(result.shape)
            return result

        self.__dict__[name] = call
        return call


#: What plays ``np`` in source that rounds.
ROUNDING_NUMPY: Any = _RoundingNumpy()


@functools.cache
def _copied_module(name: str) -> ModuleType:
    """A second copy of a module that defines references, with ``np`` replaced and references re-routed."""
    root = name.partition(".")[0]
    if root == "reference_samplers":
        return _copied_references(name)
    original = importlib.import_module(name)
    path = original.__file__
    if path is None:
        raise ValueError(f"{name} has no source file to run in rounding arithmetic")
    copy = ModuleType(_PREFIX + name)
    copy.__file__ = path
    copy.__package__ = original.__package__
    sys.modules[copy.__name__] = copy

    def routed(target: str, g: Any = None, lo: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if level == 0 and target.partition(".")[0] == "reference_samplers":
            _copied_references("reference_samplers")
            return builtins.__import__(_PREFIX + target, g, lo, fromlist or ("__name__",), 0)
        return builtins.__import__(target, g, lo, fromlist, level)

    copy.__dict__["__builtins__"] = {**vars(builtins), "__import__": routed}
    with open(path, encoding="utf-8") as stream:
        exec(compile(stream.read(), path, "exec"), copy.__dict__)
    copy.__dict__["np"] = ROUNDING_NUMPY
    return copy


@functools.cache
def _copied_references(name: str) -> ModuleType:
    root = _PREFIX + "reference_samplers"
    if root not in sys.modules:
        spec = importlib.util.find_spec("reference_samplers")
        if spec is None or spec.origin is None:
            raise ValueError("the reference samplers have no source file")
        location = spec.origin.rpartition("__init__.py")[0]
        copied = importlib.util.spec_from_file_location(root, spec.origin, submodule_search_locations=[location])
        assert copied is not None
        assert copied.loader is not None
        package = importlib.util.module_from_spec(copied)
        sys.modules[root] = package
        copied.loader.exec_module(package)
    module = importlib.import_module(_PREFIX + name)
    for key, loaded in list(sys.modules.items()):
        if key.startswith(root) and getattr(loaded, "np", None) is np:
            loaded.__dict__["np"] = ROUNDING_NUMPY
    return module


def rounded_like(reference: Any) -> Any:
    """The same configuration of the same reference, in source that rounds.

    Args:
        reference: an instance of a frozen dataclass with ``sample``.

    Raises:
        ValueError: where its source cannot be run a second time.
    """
    kind = type(reference)
    try:
        copied = getattr(_copied_module(kind.__module__), kind.__qualname__)
    except (ImportError, AttributeError, OSError) as error:
        raise ValueError(f"the source of {kind.__qualname__} cannot be run in rounding arithmetic") from error
    return copied(**{f.name: getattr(reference, f.name) for f in dataclasses.fields(reference) if f.init})


@contextmanager
def rounding(bits: int, seed: int | None = None) -> Iterator[None]:
    """Choose how the copied references round.

    Args:
        bits: of mantissa, the hidden one included: 24 for float32, 11 for float16, 8 for bfloat16.
        seed: None rounds to nearest; a number rounds at random, the same way each time.
    """
    before = (_MODE.bits, _MODE.generator)
    _MODE.bits = bits
    _MODE.generator = None if seed is None else np.random.Generator(np.random.PCG64(seed))
    try:
        yield
    finally:
        _MODE.bits, _MODE.generator = before
