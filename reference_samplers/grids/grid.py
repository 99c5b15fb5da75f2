"""What a grid by itself answers: the levels that a run visits, without the method that visits them."""

from __future__ import annotations

from collections.abc import Sequence

from reference_samplers.contract import Reference
from reference_samplers.openings import Array

__all__ = ["Grid"]


class Grid(Reference):
    """Levels, from the noisiest to where the run ends, as a frozen dataclass says in one configuration.

    A sampler is joined of one, and a function that returns levels can be held against it alone.
    """

    @property
    def has_end(self) -> bool:
        """Whether the last level is where the run ends, at which no model is called."""
        return True

    @property
    def also(self) -> Sequence[float] | Array | None:
        """Levels that sound programs have in place of :attr:`levels` where a rounding decides; None for none."""
        return None
