"""One call of a function of levels under guard, and what it returned as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sampler_harness.observe.problems import Problem
from sampler_harness.observe.watched import watched
from sampler_harness.subject.grid import GridSubject

__all__ = ["Array", "Returned", "levels_of", "returned"]

Array = np.ndarray[Any, np.dtype[np.float64]]

#: What a plain Python number is.
PLAIN = "float64"


@dataclass(frozen=True)
class Returned:
    """What a function returned in one configuration.

    Attributes:
        values: as returned, in float64; None where there are none.
        dtype: they came in; empty for whole numbers, which are exact.
        problem: why there are none; empty where there are.
        stopped: the problem, where the function returned nothing; None where what it returned is no row of numbers.
    """

    values: Array | None = None
    dtype: str = ""
    problem: str = ""
    stopped: Problem | None = None

    @property
    def kind(self) -> str:
        """Of the problem: ``"returned"`` where what came back is no row of numbers; empty where there is none."""
        return self.stopped.kind if self.stopped is not None else "returned" if self.problem else ""

    def is_same(self, other: Returned) -> bool:
        """Whether another call returned the same bits."""
        if self.values is None or other.values is None:
            return self.problem == other.problem
        return np.array_equal(self.values, other.values, equal_nan=True)


class _Unreadable(Exception):
    """What came back is no row of numbers."""


def returned(
    subject: GridSubject, config: Any, dtype: str, device: str = "cpu", fixtures: Mapping[str, Any] | None = None
) -> Returned:
    """Call the function once; whatever it does becomes a sentence, never a crash.

    Args:
        subject: the declaration.
        config: what it is asked for.
        dtype: that it is given, where it takes one.
        device: the same.
        fixtures: values for its further keyword-only arguments.
    """
    offered: dict[str, Any] = {"dtype": _torch_dtype(dtype), "device": torch.device(device)}
    given = {name: offered[name] for name in subject.takes} | dict(fixtures or {})
    found = watched(lambda: subject.function(config, **given), None, torch.device(device), "function")
    if found.problem is not None:
        return Returned(problem=found.problem.message, stopped=found.problem)
    try:
        values, came_in = _read(found.result)
    except _Unreadable as error:
        return Returned(problem=str(error))
    return Returned(values, came_in)


def levels_of(subject: GridSubject, config: Any, dtype: str = "float32") -> list[float]:
    """What a function returns, in units of its reference's levels.

    Args:
        subject: the declaration.
        config: what it is asked for.
        dtype: that it is given, where it takes one.

    Raises:
        ValueError: where it returns no levels.
    """
    found = returned(subject, config, dtype)
    if found.values is None:
        raise ValueError(found.problem)
    return [float(level) for level in in_units(subject, found.values)]


def in_units(subject: GridSubject, values: Array) -> Array:
    """Returned numbers in units of the reference's levels."""
    undone: Array = (values - subject.output_shift) / subject.output_scale
    return undone


def _torch_dtype(name: str) -> torch.dtype:
    return {"float64": torch.float64, "float32": torch.float32, "float16": torch.float16}.get(name, torch.bfloat16)


def _read(result: Any) -> tuple[Array, str]:
    if isinstance(result, torch.Tensor):
        _check_axes(tuple(result.shape))
        if result.is_complex():
            raise _Unreadable(f"the function returned {result.dtype}, should be real numbers")
        whole = not result.is_floating_point()
        values = result.detach().cpu().to(torch.float64).numpy().copy()  # the function may keep it, and write into it
        return values, "" if whole else str(result.dtype).removeprefix("torch.")
    if isinstance(result, (list, tuple)):
        return _read_items(list(result), type(result).__name__)
    if isinstance(result, range):
        return np.array(result, dtype=np.float64), ""
    if isinstance(result, np.ndarray):
        _check_axes(result.shape)
        if result.dtype.kind not in "fiu":
            raise _Unreadable(f"the function returned an array of {result.dtype}, should be real numbers")
        return result.astype(np.float64), result.dtype.name if result.dtype.kind == "f" else ""
    wanted = "a tensor, an array or a list of levels"
    raise _Unreadable(f"the function returned {_a(result)}, should be {wanted}{_hint(result)}")


def _hint(result: Any) -> str:
    """What to do about a result that is no row of numbers."""
    if result is None:
        return ": does it end without a return statement?"
    if isinstance(result, Mapping):
        rows = (torch.Tensor, np.ndarray, list)
        named = next((name for name, value in result.items() if isinstance(value, rows)), None)
        return "" if named is None else f": return the levels alone, as result[{named!r}]"
    return ": return list(…) of it" if isinstance(result, Iterator) else ""


def _read_items(items: list[Any], kind: str) -> tuple[Array, str]:
    parts = [_number(item, index, kind) for index, item in enumerate(items)]
    if not parts:
        raise _Unreadable("the function returned no level")
    coarse = [dtype for _, dtype in parts if dtype]
    order = ("bfloat16", "float16", "float32", "float64")
    dtype = min(coarse, key=lambda name: order.index(name) if name in order else len(order), default="")
    return np.array([value for value, _ in parts]), dtype


def _number(item: Any, index: int, kind: str) -> tuple[float, str]:
    if isinstance(item, torch.Tensor) and item.numel() == 1:
        return float(item), str(item.dtype).removeprefix("torch.") if item.is_floating_point() else ""
    if isinstance(item, np.ndarray) and item.size == 1 and item.dtype.kind in "fiu":
        return float(item.reshape(())), item.dtype.name if item.dtype.kind == "f" else ""
    if isinstance(item, np.floating):
        return float(item), item.dtype.name
    if isinstance(item, bool) or not isinstance(item, (int, float, np.integer)):
        several = isinstance(item, (torch.Tensor, np.ndarray, list, tuple))
        hint = ": return the levels alone, in one tensor or list" if several else ""
        raise _Unreadable(f"the function returned a {kind} whose entry {index} is {_a(item)}, should be a number{hint}")
    return float(item), "" if isinstance(item, (int, np.integer)) else PLAIN


def _check_axes(shape: tuple[int, ...]) -> None:
    if len(shape) != 1:
        raise _Unreadable(f"the function returned the shape {shape}, should have one axis: {_one_axis(shape)}")
    if shape[0] == 0:
        raise _Unreadable("the function returned no level")


def _one_axis(shape: tuple[int, ...]) -> str:
    """What to do about a shape that has not one axis."""
    if not shape:
        return "a single number is no row of levels"
    return "squeeze the others away" if sum(size != 1 for size in shape) <= 1 else "return one row of levels"


def _a(value: Any) -> str:
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return f"{'a tensor' if isinstance(value, torch.Tensor) else 'an array'} of shape {tuple(value.shape)}"
    return "None" if value is None else f"a {type(value).__name__}"
