"""What stands in for a learned variance, on both sides of a comparison; numpy-free and torch-free."""

from __future__ import annotations

__all__ = ["variance_value"]


def variance_value(call: int) -> float:
    """A fixed learned-variance value per call, in [-1, 1] and exact in every float type: never all alike."""
    return ((5 * call + 3) % 17 - 8) / 8
