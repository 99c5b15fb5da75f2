"""Where a sampler loses digits: the first of its lines that casts a sample to fewer than it was asked for."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch

from sampler_harness.subject import Subject

from .probes import Impulses
from .torch_private import DispatchTap, operator_name
from .trace import Case, execute
from .walk import Line, own_stack

__all__ = ["first_narrowing"]

#: Digits of mantissa.
_BITS = {torch.bfloat16: 8, torch.float16: 11, torch.float32: 24, torch.float64: 53}


class _Watch(DispatchTap):  # type: ignore[no-untyped-call]  # torch's base is untyped
    """Notes the first tensor of a sample's size that has fewer digits than asked for."""

    def __init__(self, case: Case) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: Line | None = None
        self._size = case.numel
        self._bits = _BITS[getattr(torch, case.dtype)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.found is None and isinstance(result, torch.Tensor) and result.numel() == self._size:
            made = operator_name(func) in ("_to_copy", "to") or operator_name(func).startswith(("rand", "normal"))
            if made and _BITS.get(result.dtype, 99) < self._bits:
                self.found = next(iter(own_stack(sys._getframe())), None)
        return result


def first_narrowing(subject: Subject, case: Case, fixtures: Mapping[str, Any] | None = None) -> Line | None:
    """The first own line that makes a tensor of the sample's size in a type of fewer digits than the case's.

    Args:
        subject: what was declared.
        case: what to run.
        fixtures: values for the sampler's further keyword-only arguments.

    Returns:
        None where none does.
    """
    watch = _Watch(case)

    def run(*args: Any, **kwargs: Any) -> Any:
        with watch:
            return subject.function(*args, **kwargs)

    execute(subject, case, Impulses(), fixtures=fixtures, entry=run)
    return watch.found
