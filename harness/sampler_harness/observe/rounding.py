"""Own lines that round a number: they cast it to fewer digits, make it in such a type, or take a whole number of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from .statements import Line
from .walk import own_stack

__all__ = ["Rounding", "rounding"]

_HALF = (torch.bfloat16, torch.float16)
#: What makes a tensor of numbers in the type that it is asked for.
_MAKES = frozenset(("arange", "as_tensor", "asarray", "full", "linspace", "logspace", "scalar_tensor", "tensor"))
#: What makes one in the type of another tensor.
_MAKES_LIKE = frozenset(("full_like", "new_full", "new_tensor"))
_WHOLE = frozenset(("ceil", "fix", "floor", "round", "trunc"))


class Rounding(TorchFunctionMode):
    """Notes the lines that round tensors which are no samples, and keeps what is rounded in some of them as it was.

    Args:
        numel: elements of a sample; what is as large is left alone.
        kept: lines in which nothing is rounded.
    """

    def __init__(self, numel: int, kept: Collection[Line] = ()) -> None:
        super().__init__()
        #: In the order in which they first round.
        self.lines: dict[Line, None] = {}
        self._numel = numel
        self._kept = frozenset(kept)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        result = func(*args, **named)
        if not isinstance(result, torch.Tensor) or result.numel() == self._numel:
            return result
        whole = _unrounded(getattr(func, "__name__", ""), func, result, args, named)
        line = None if whole is None else next(own_stack(sys._getframe()), None)
        if whole is None or line is None:
            return result
        self.lines.setdefault(line)
        return whole() if line in self._kept else result


def _unrounded(
    name: str, func: Any, result: torch.Tensor, args: Any, named: dict[str, Any]
) -> Callable[[], torch.Tensor] | None:
    """What gives the same without rounding; None for what rounds nothing."""
    first = args[0] if args and isinstance(args[0], torch.Tensor) else None
    wide = first if first is not None and first.is_floating_point() and first.dtype not in _HALF else None
    if wide is not None and (name in _WHOLE or result.dtype in _HALF or not result.dtype.is_floating_point):
        # A cast, or a whole number: one of each number. What compares gives no number.
        same = result.dtype is not torch.bool and result.shape == wide.shape
        return (lambda: wide.to(result.device, copy=True)) if same else None
    if result.dtype not in _HALF:
        return None
    if name in _MAKES:
        return lambda: func(*args, **{**named, "dtype": torch.float32})
    if name in _MAKES_LIKE and first is not None:
        return lambda: func(first.to(torch.float32), *args[1:], **{**named, "dtype": torch.float32})
    return None


def rounding(function: Callable[..., Any], mode: Rounding) -> Callable[..., Any]:
    """A sampler that runs under a mode.

    Args:
        function: the sampler.
        mode: notes the lines that round, and leaves some of them without effect.
    """

    def run(*args: Any, **kwargs: Any) -> Any:
        with mode:
            return function(*args, **kwargs)

    return run
