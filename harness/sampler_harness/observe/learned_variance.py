"""What stands in for a learned variance, on both sides of a comparison; numpy-free and torch-free."""

from __future__ import annotations

from typing import Any

__all__ = ["learned_variance", "variance_value"]


def learned_variance(config: Any) -> bool:
    """Whether the model returns variance values beside its prediction.

    Args:
        config: an instance of a reference's dataclass.
    """
    return bool(config.model_channels == 2)


def variance_value(call: int) -> float:
    """A fixed learned-variance value per call, in [-1, 1] and exact in every float type: never all alike."""
    return ((5 * call + 3) % 17 - 8) / 8
