"""How much may be run for one verdict."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BUDGETS", "Budget"]


@dataclass(frozen=True)
class Budget:
    """How much may be run, counted in model calls so that every machine runs the same.

    Attributes:
        name: ``quick``, ``standard`` or ``thorough``.
        model_calls: in total.
        longest_chain: steps of the longest run.
        drawn: how many configurations Hypothesis draws.
        shrinking: how many further cases a failure may be shrunk with.
    """

    name: str
    model_calls: int
    longest_chain: int
    drawn: int
    shrinking: int


BUDGETS = {
    "quick": Budget("quick", 3_000, 50, 8, 40),
    "standard": Budget("standard", 30_000, 1_000, 40, 80),
    "thorough": Budget("thorough", 1_000_000, 4_000, 600, 300),
}
