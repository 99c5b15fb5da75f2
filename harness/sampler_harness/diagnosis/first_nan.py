"""Where NaN comes from: the first operation that makes one out of numbers, and the line of the sampler it stands in."""

from __future__ import annotations

import math
import traceback
from typing import Any

import torch

from sampler_harness.law.bundle import Bundle
from sampler_harness.observe.probes import Impulses
from sampler_harness.observe.torch_private import DispatchTap, operator_name

__all__ = ["first_nan"]


class _Watch(DispatchTap):  # type: ignore[no-untyped-call]  # torch's base is untyped
    """Notes the first operation whose result holds NaN or infinity where its operands held none."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: str | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.found is None and isinstance(result, torch.Tensor) and result.is_floating_point() and _bad(result):
            operands = [*args, *(kwargs or {}).values()]
            wrong = [n for n, one in enumerate(operands) if _bad(one)]
            name = operator_name(func)
            line = _line()
            if not wrong:
                self.found = f"{name} makes {_what(result)} out of numbers{line}"
            elif not any(isinstance(operands[n], torch.Tensor) for n in wrong):
                self.found = f"{name} is given {operands[wrong[0]]!r} as operand {wrong[0]}{line}"
        return result


def _bad(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return not bool(torch.isfinite(value).all())
    return False


def _what(values: torch.Tensor) -> str:
    return "NaN" if bool(torch.isnan(values).any()) else "infinity"


def _line() -> str:
    """The innermost line outside of torch and of the harness."""
    for frame in reversed(traceback.extract_stack()):
        if "/torch/" not in frame.filename and "/sampler_harness/" not in frame.filename:
            return f", in {frame.name}, line {frame.lineno}: {frame.line}"
    return ""


def first_nan(bundle: Bundle) -> str | None:
    """The operation that made the first NaN or infinity of a run with zero draws and outputs; None where none did.

    Args:
        bundle: of the case that failed.
    """
    watch = _Watch()
    with watch:
        bundle.execute(Impulses())
    return watch.found
