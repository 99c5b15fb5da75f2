"""What the checks of a grid look at: its levels in every configuration, each asked for twice."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sampler_harness.cases import CoveringSet, covering_set
from sampler_harness.evidence import AnyEvidence
from sampler_harness.law.tolerance import PRECISIONS
from sampler_harness.strategies import drawn_configurations
from sampler_harness.subject.allowed import bounds_of, is_strategy
from sampler_harness.subject.grid import GridSubject
from sampler_harness.verdict import Coverage

from .reading import Array, Returned, in_units, returned
from .tolerance import levels_in, tolerance_of

__all__ = ["GridEvidence", "Seen", "seen_of"]

#: Configurations at most, by budget.
MOST = {"quick": 120, "standard": 600, "thorough": 3_000}
#: Numbers of steps from the lowest on that are all looked at, by budget.
ALL_STEPS = {"quick": 40, "standard": 150, "thorough": 1_000}


@dataclass(frozen=True)
class Seen:
    """Levels in one configuration, beside what they should be.

    Attributes:
        config: the configuration.
        dtype: that was asked for.
        returned: by the function.
        again: whether it returned the same bits when it was asked once more, after all others.
        later: what it returned then.
        levels: in units of the reference's; empty where there are none.
        should_be: those of the reference, the end left out where it is not returned.
        tolerance: of them.
        also: what sound programs have in their place where a rounding decides.
        has_end: whether the last of them is where the run ends.
        first_noise: the level that the first noise has, as declared; None where nothing is said.
    """

    config: Any
    dtype: str
    returned: Returned
    later: Returned
    levels: Array
    should_be: Array
    tolerance: Array
    also: Array
    has_end: bool
    first_noise: float | None = None

    @property
    def again(self) -> bool:
        """Whether both calls returned the same bits."""
        return self.returned.is_same(self.later)

    @property
    def read(self) -> Array:
        """The levels, with what a rounding decides as the reference has it."""
        return as_should_be(self.levels, self.should_be, self.also, self.tolerance)

    @property
    def num_calls(self) -> int:
        """Model calls that these levels should be of."""
        return self.should_be.size - self.has_end


def as_should_be(levels: Array, should_be: Array, also: Array, tolerance: Array) -> Array:
    """Levels, with those that are as good as the reference's own in its place.

    Args:
        levels: as returned.
        should_be: those of the reference.
        also: what is as good.
        tolerance: of them.
    """
    if levels.shape != also.shape:
        return levels
    return np.where((also != should_be) & (np.abs(levels - also) <= tolerance), should_be, levels)


def seen_of(subject: GridSubject, config: Any, dtype: str, found: Returned, later: Returned | None = None) -> Seen:
    """What a function returned beside what it should have returned.

    Args:
        subject: the declaration.
        config: the configuration.
        dtype: that was asked for.
        found: by the function.
        later: asked once more; None where it was not.
    """
    should_be, tolerance = levels_in(config), tolerance_of(config, dtype)
    also = should_be if config.also is None else np.asarray(config.also, dtype=np.float64)
    has_end = config.has_end and subject.includes_end
    if config.has_end and not has_end:
        should_be, tolerance, also = should_be[:-1], tolerance[:-1], also[:-1]
    levels = np.zeros(0) if found.values is None else in_units(subject, found.values)
    # What the program's own scale and shift round, where numbers come back as floats.
    unit = PRECISIONS[dtype].unit
    beyond = abs(subject.output_shift / subject.output_scale)
    first = None if subject.first_noise is None else float(subject.first_noise(config))
    return Seen(
        config,
        dtype,
        found,
        found if later is None else later,
        levels,
        should_be,
        tolerance + 2 * unit * (np.abs(should_be) + beyond) * (beyond > 0),
        also,
        has_end,
        first,
    )


class GridEvidence(AnyEvidence[GridSubject]):
    """Everything that is measured of one function of levels."""

    @functools.cached_property
    def covering(self) -> CoveringSet:
        """The fixed configurations."""
        return covering_set(self.subject, self.budget)

    @functools.cached_property
    def configurations(self) -> tuple[Any, ...]:
        """All that are looked at: the covering ones, every number of steps, and what Hypothesis draws."""
        found = list(self.covering.configurations)
        found += [config for config in self._every_number_of_steps() if config not in found]
        found += [config for config, _ in drawn_configurations(self.subject, self.budget) if config not in found]
        return tuple(found[: MOST[self.budget.name]])

    def _every_number_of_steps(self) -> list[Any]:
        steps = self.subject.fields.get("num_steps")
        bounds = bounds_of(steps) if is_strategy(steps) else None
        if bounds is None:
            return []
        low = int(bounds[0])
        found = []
        for count in range(low, min(int(bounds[1]), low + ALL_STEPS[self.budget.name]) + 1):
            values: Mapping[str, Any] = {**self.covering.base.values(), "num_steps": count}
            try:
                found.append(type(self.covering.base)(**values))
            except ValueError:
                continue
        return found

    @functools.cached_property
    def seen(self) -> tuple[Seen, ...]:
        """Levels in every configuration and dtype; those of the first dtype first."""
        with np.errstate(all="ignore"):
            asked = [(config, dtype) for dtype in self.subject.dtypes for config in self.configurations]
            first = [self._returned(config, dtype) for config, dtype in asked]
            later = [self._returned(config, dtype) for config, dtype in reversed(asked)][::-1]
            return tuple(
                seen_of(self.subject, config, dtype, one, other)
                for (config, dtype), one, other in zip(asked, first, later, strict=True)
            )

    def look(self, config: Any, dtype: str) -> Seen:
        """Levels in one further configuration, asked for twice.

        Args:
            config: allowed by the declaration.
            dtype: one of the declared ones.
        """
        with np.errstate(all="ignore"):
            return seen_of(self.subject, config, dtype, self._returned(config, dtype), self._returned(config, dtype))

    def _returned(self, config: Any, dtype: str) -> Returned:
        return returned(self.subject, config, dtype, self.device, self.fixtures)

    def measure_all(self) -> None:
        """Ask for all levels, in their fixed order."""
        _ = self.seen

    def coverage(self) -> Coverage:
        """What was varied, as far as it has been measured."""
        try:
            fields, pairs = self.covering.seen([one.config for one in self.seen])
        except ValueError:
            return Coverage()
        return Coverage(
            fields=fields, pairs=pairs, not_varied=self.covering.not_varied, cases=len(self.seen), model_calls=0
        )
