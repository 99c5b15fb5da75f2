"""What a function of levels returned in one case, and how far a program is from returning the same."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sampler_harness.grids.evidence import Seen
from sampler_harness.grids.tolerance import floor_of, levels_in, spread_of
from sampler_harness.law.response import Array
from sampler_harness.law.same import SCREEN, TERMS, in_tolerances
from sampler_harness.law.tolerance import SAFETY

from .observation import Observation, Outcome
from .solving import FAR

if TYPE_CHECKING:
    from .explanation import Explanation

__all__ = ["GridTarget"]


class GridTarget(Observation):
    """The levels of one case.

    Args:
        seen: as measured; what is not finite, or raised, is met by a program that is not finite or raises too.
        includes_end: whether the level where the run ends is returned.
    """

    def __init__(self, seen: Seen, *, includes_end: bool) -> None:
        self.seen = seen
        self.config = seen.config
        self.includes_end = includes_end
        self.is_broken = not seen.levels.size or not bool(np.isfinite(seen.levels).all())
        self.rows = max(1, seen.levels.size)

    @property
    def length(self) -> int:
        """Nothing is called."""
        return 1

    def run(self, instance: Any, config: Any, *, stop: bool = True) -> Outcome:
        """Measure a program; see :class:`Observation`."""
        try:
            levels = self.returned_by(instance, config)
        except Exception:  # an edit may raise anything
            levels = None
        if levels is None or not np.isfinite(levels).all():
            if self.is_broken:
                return Outcome(TERMS, np.zeros(0), "whole")
            return Outcome(0, ending="error" if levels is None else "not-finite")
        if self.is_broken:
            return Outcome(0)
        both = min(levels.size, self.seen.levels.size)
        off = self._off(levels, SCREEN * self._floor(levels))[:both]
        agreeing = int(np.argmax(off > 1)) if (off > 1).any() else both
        whole = agreeing == self.seen.levels.size == levels.size
        return Outcome(TERMS * agreeing, levels if whole or not stop else None, "whole" if whole else "stopped")

    def returned_by(self, instance: Any, config: Any) -> Array:
        """What a program would have returned here.

        Args:
            instance: configured.
            config: that it runs.
        """
        levels = levels_in(instance)
        if levels.ndim != 1:
            raise ValueError("levels have one axis")
        return levels[:-1] if config.has_end and not self.includes_end else levels

    def _floor(self, levels: Array) -> Array:
        return floor_of(levels, self.seen.dtype)

    def _off(self, levels: Array, tolerance: Array) -> Array:
        """How far each is off, over its tolerance, as far as there are both."""
        both = min(levels.size, self.seen.levels.size)
        rounded = self.seen.tolerance[-1] if self.seen.tolerance.size else 0.0
        # What the program's own scale and shift round is in the reference's tolerance at its end, where levels are 0.
        allowed = tolerance[:both] + rounded
        off = (in_tolerances(got[:both], levels[:both], allowed) for got in (self.seen.levels, self.seen.read))
        return np.minimum(*off)

    def off(self, explanation: Explanation, *, exactly: bool) -> float:
        """How far an explanation is; see :class:`Observation`."""
        levels = explanation.response(self, stop=False)
        if levels is None:
            return math.inf
        if self.is_broken:
            return 0.0
        if levels.size != self.seen.levels.size:
            return math.inf
        tolerance = self._floor(levels)
        if exactly:
            part = explanation.part_for(self.config)
            config = part.config(self.config)
            spread = spread_of(
                levels, lambda: _Cut(part.rounding_program.configured(config), self, config), self.seen.dtype
            )
            tolerance = np.maximum(tolerance, SAFETY * spread)
        return float(self._off(levels, tolerance).max(initial=0.0))

    def distances(self, response: Array) -> Array | None:
        """How far every level is off; see :class:`Observation`."""
        if self.is_broken or response.size != self.seen.levels.size:
            return None
        return np.minimum(self._off(response, self._floor(response)), FAR)

    def vector(self, explanation: Explanation) -> Array:
        """An explanation's levels; empty where it has none."""
        levels = explanation.response(self, stop=False)
        return np.zeros(0) if levels is None else np.asarray(levels)

    @functools.cached_property
    def reference_ratio(self) -> float:
        """How far the levels are from the reference's."""
        if self.is_broken or self.seen.levels.size != self.seen.should_be.size:
            return math.inf
        return float(in_tolerances(self.seen.read, self.seen.should_be, self.seen.tolerance).max(initial=0.0))


class _Cut:
    """A grid in source that rounds, cut as what is returned is.

    Args:
        instance: the configured program.
        target: the case.
        config: that it runs.
    """

    def __init__(self, instance: Any, target: GridTarget, config: Any) -> None:
        self._instance, self._cut, self._config = instance, target, config

    @property
    def levels(self) -> Array:
        """As the case has them."""
        return self._cut.returned_by(self._instance, self._config)
