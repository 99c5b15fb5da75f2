"""Everything that a law may be, on levels by hand: the process read first, then what each method makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .chains import on_a_chain
from .flows import on_a_flow
from .noise_levels import on_noise_levels
from .observed import Observed
from .readings import readings
from .steps import Steps

__all__ = ["candidates"]


def candidates(seen: Observed) -> Iterator[Any]:
    """Configurations of references that may have a sampler's law, each once.

    Args:
        seen: the sampler's runs.
    """
    steps = Steps(seen.law)
    given: set[Any] = set()
    for config in _all(steps, seen.learned_variance):
        if config not in given:
            given.add(config)
            yield config


def _all(steps: Steps, learned_variance: bool) -> Iterator[Any]:
    yield from on_a_chain(steps, learned_variance=learned_variance)
    if learned_variance:
        return
    for reading in readings(steps):
        yield from on_noise_levels(steps, reading)
    yield from on_a_flow(steps)
