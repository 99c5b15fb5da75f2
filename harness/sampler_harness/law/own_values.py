"""Values that own lines assign, beside those that a reference works out: which are known, and what may stand there.

Shared by training steps and grids, whose runs have no steps in which a name holds another value each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from sampler_harness.observe.statements import Line, names_read, node_of

from .response import Array

__all__ = ["OwnValue", "is_one", "like", "made_of_known", "numbers_of"]

#: Values that differ by less, as a share of the largest, are one.
SAME = 1e-4


class OwnValue(NamedTuple):
    """A name that a line assigns, or an argument that it hands on."""

    line: Line
    name: str

    @property
    def place(self) -> tuple[str, str]:
        """The function that reads it, and its name there."""
        callee, _, argument = self.name.partition("(")
        return (callee, argument.rstrip(")")) if argument else (self.line.function, self.name)


def made_of_known(variable: OwnValue, known: Mapping[OwnValue, bool]) -> bool:
    """Whether what a line made a value of is the reference's, so that the line itself is to blame.

    Args:
        variable: that the line assigns.
        known: for each that was assigned, in that order, whether its value is one of the reference's.
    """
    node = node_of(variable.line)
    read = set(names_read(node)) if node is not None else set()
    before = list(known)[: list(known).index(variable)]
    for name in read:
        earlier = [v for v in before if v.place == (variable.line.function, name) and v.line != variable.line]
        if earlier and not known[earlier[-1]]:
            return False
    return True


def numbers_of(value: Any) -> Array | None:
    """A value as numbers; None where it is something else."""
    if isinstance(value, (bool, int)):
        return None  # a count
    if isinstance(value, torch.Tensor):
        return None if value.dtype is torch.bool else value.detach().to("cpu", torch.float64).numpy()
    if isinstance(value, (float, np.ndarray, np.number)):
        found: Array = np.asarray(value, dtype=np.float64)
        return found
    if isinstance(value, (list, tuple)) and value and all(type(one) in (int, float) for one in value):
        return np.asarray(value, dtype=np.float64)
    return None


def is_one(own: Array, other: Array) -> bool:
    """Whether two values are one, laid out in whatever way; a single number may be one of an item's."""
    if own.size == 1 and other.size > 1:
        flat = other.reshape(-1)
        return other.ndim == 1 and bool((np.abs(flat - own.reshape(-1)[0]) <= SAME * np.abs(flat) + 1e-9).any())
    if own.size != other.size:
        return False
    one, two = own.reshape(-1), other.reshape(-1)
    with np.errstate(invalid="ignore"):
        per_item = two.size <= 64 or other.ndim <= 1
        scale = np.abs(two) if per_item else np.full_like(two, float(np.abs(two).max()))
        return bool((np.abs(one - two) <= SAME * scale + 1e-9).all())


def like(value: Any, new: Array) -> Any:
    """The reference's numbers in the form of a value; what hangs on the model's answer goes on hanging on it."""
    if isinstance(value, torch.Tensor):
        shape = tuple(value.shape) if value.numel() == new.size else new.shape
        dtype = value.dtype if value.is_floating_point() or np.array_equal(new, np.round(new)) else torch.float32
        made = torch.from_numpy(np.asarray(new, dtype=np.float64).reshape(shape).copy()).to(value.device, dtype)
        return value + (made - value.detach()) if value.requires_grad else made
    if isinstance(value, (list, tuple)):
        return type(value)(float(one) for one in new.reshape(-1))
    if isinstance(value, np.ndarray):
        return new.reshape(value.shape) if value.size == new.size else new
    return type(value)(new.reshape(-1)[0]) if isinstance(value, (int, float)) else value
