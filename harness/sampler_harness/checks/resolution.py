"""How little is left to read where a sampler exists in half precision alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .evidence import Evidence

__all__ = ["resolution"]


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
        f"the sampler is declared in {evidence.dtype} alone, whose rounding hides small errors: half of the weights "
        f"may be off by {' and '.join(runs)} model calls; declare float32 too where it can run in that"
    ]
