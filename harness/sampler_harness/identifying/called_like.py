"""A sampler that has no law of a reference, and calls its model and draws where one does: what to hold it against."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .fitting import agreement, law_of
from .laid import Laid, grids_of
from .naming import named
from .observed import Observed
from .steps import Steps

__all__ = ["called_like"]

#: Times that differ by less, as a share, are the same.
NEAR = 1e-5


def called_like(seen: Sequence[Observed], tried: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    """A sentence on the method that asks its model at the same levels, and draws at the same places; none without one.

    Only methods without memory are told: what a multistep method does with old outputs is no slip of a single step.

    Args:
        seen: the runs.
        tried: configurations that were looked at for each.
    """
    steps = Steps(seen[0].law)
    if not (steps.is_single or steps.in_groups(2) or steps.in_groups(4)):
        return ()
    alike = [config for config in tried[0] if _is_called_alike(seen[0], config)]
    alike.sort(key=lambda config: agreement(seen[0], config), reverse=True)
    for config in alike:
        for laid in grids_of(config, seen[0]):
            if all(_has(laid, type(config), one, some) for one, some in zip(seen, tried, strict=True)):
                name = named(config, laid, seen[0].steps)
                where = ", ".join(part for part in (name.method, name.grid) if part)
                return (
                    f"it calls its model at the levels of {where}, begins with its noise, and draws where that draws; "
                    "what it makes of the outputs is another thing",
                    f"to see in which line, hold it against that: {name.declaration}",
                )
    return ()


def _is_called_alike(seen: Observed, config: Any) -> bool:
    law = law_of(config)
    if law is None or law.num_calls != seen.law.num_calls or law.opened != seen.law.opened:
        return False
    begun, should_be = abs(float(seen.law.factor[0, 0])), abs(float(law.factor[0, 0]))
    largest = float(np.abs(law.times).max(initial=0.0))
    return bool(
        (np.abs(seen.law.times - law.times) <= NEAR * largest).all() and abs(begun - should_be) <= NEAR * should_be
    )


def _has(laid: Laid, kind: type[Any], seen: Observed, tried: Sequence[Any]) -> bool:
    """Whether a run is called as the method on that grid is."""
    on_it: Iterator[Any] = (laid.on(config, seen.steps) for config in tried if type(config) is kind)
    return any(one is not None and _is_called_alike(seen, one) for one in itertools.islice(on_it, 8))
