"""Which cast makes one time of another, and how little is left to read where there is half precision alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from .evidence import Evidence

__all__ = ["cast_between", "resolution"]

#: What programs multiply a time by before they cast it, beside nothing.
SCALES = (1.0, 1000.0)


def cast_between(got: float, should_be: float) -> str | None:
    """The type whose rounding makes one time of the other; None where none does.

    Args:
        got: what the model was told.
        should_be: what it should have been.
    """
    for scale in SCALES:
        whole = torch.tensor(scale * should_be, dtype=torch.float64)
        for dtype in (torch.bfloat16, torch.float16):
            if math.isclose(float(whole.to(dtype)), scale * got, rel_tol=1e-6):
                name = str(dtype).removeprefix("torch.")
                return name if scale == 1.0 else f"{name}, {scale:g} times as large"
    return "whole numbers" if got == math.trunc(should_be) != should_be else None


def resolution(evidence: Evidence) -> list[str]:
    """How far weights may be off unseen, where a sampler exists in half precision alone; nothing where it does not.

    Args:
        evidence: as measured.
    """
    if not evidence.in_half_alone:
        return []
    held: dict[int, float] = {}
    for case in evidence.affine_cases:
        law = evidence.standard.law(case)
        if law is None:
            continue
        tolerance = evidence.standard.tolerance(case)
        entries = np.concatenate([law.outputs, law.factor], axis=1)
        allowed = np.concatenate([tolerance.outputs, tolerance.factor], axis=1)
        if (nonzero := entries != 0).any():
            share = float(np.median(allowed[nonzero] / np.abs(entries[nonzero])))
            held[law.num_calls] = max(share, held.get(law.num_calls, 0.0))
    if not held:
        return []
    few, many = min(held), max(held)
    runs = [f"{held[calls]:.1%} of their size in runs of {calls}" for calls in dict.fromkeys((few, many))]
    return [
        f"the sampler is declared in {evidence.dtype} alone, whose rounding hides what is small: half of the weights "
        f"may be off by {' and '.join(runs)} model calls; declare float32 too where it can run in that"
    ]
