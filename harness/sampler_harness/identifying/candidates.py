"""Everything that a law may be, on levels by hand: the process read first, then what each method makes of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from .chains import on_a_chain
from .flows import on_a_flow
from .noise_levels import on_noise_levels
from .observed import Observed
from .readings import readings
from .steps import Steps

__all__ = ["candidates"]


def candidates(seen: Observed) -> list[Any]:
    """Configurations of references that may have a sampler's law, each once.

    Args:
        seen: the sampler's runs.
    """
    steps = Steps(seen.law)
    with np.errstate(all="ignore"):
        found = _while_it_goes(on_a_chain(steps, learned_variance=seen.learned_variance))
        if not seen.learned_variance:
            for reading in _while_it_goes(readings(steps)):
                found += _while_it_goes(on_noise_levels(steps, reading))
            found += _while_it_goes(on_a_flow(steps))
    return list(dict.fromkeys(found))


def _while_it_goes(them: Iterator[Any]) -> list[Any]:
    """What is read before a number of a stranger's law makes a formula of ours divide by 0."""
    found = []
    with contextlib.suppress(ArithmeticError):
        for one in them:
            found.append(one)  # noqa: PERF402 - what came before an error is kept
    return found
