"""Where answers that cannot be told apart would differ: fields that a declaration gives one value."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .answers import Answer, laws_of, same_laws
from .observation import Observation

__all__ = ["settled_by"]

#: A field's value is tried so many times as large; where it is 0, the factor itself.
OTHERWISE = (1.3, 0.7)
#: Fields that are told, at most.
FIELDS = 3


def settled_by(
    answers: Sequence[Answer], configs: Sequence[Any], hypothetical: Callable[[Any], Observation | None]
) -> tuple[str, ...]:
    """Numbers that are declared with one value, and in another value of which the answers have different laws.

    Args:
        answers: that explain every case.
        configs: in which the sampler was run.
        hypothetical: a case as it would be if the sampler were sound; None where there is none.
    """
    if len(answers) < 2:
        return ()
    fixed = [name for name in configs[0].values() if len({repr(config.values()[name]) for config in configs}) == 1]
    found = (name for name in fixed if any(_differ(answers, case) for case in _elsewhere(configs, name, hypothetical)))
    return tuple(name for name, _ in zip(found, range(FIELDS), strict=False))


def _elsewhere(
    configs: Sequence[Any], name: str, hypothetical: Callable[[Any], Observation | None]
) -> Iterator[Observation]:
    """Cases with another value of a field."""
    value = configs[0].values()[name]
    if type(value) not in (int, float) or not np.isfinite(value):
        return
    others = [value + 1, value + 2] if isinstance(value, int) else [factor * (value or 1.0) for factor in OTHERWISE]
    for other in others:
        for config in configs[:2]:
            try:
                case = hypothetical(dataclasses.replace(config, **{name: other}))
            except (ValueError, TypeError):
                continue
            if case is not None:
                yield case


def _differ(answers: Sequence[Answer], case: Observation) -> bool:
    with np.errstate(all="ignore"):
        laws = [laws_of(answer.first, [case]) for answer in answers]
    return any(not same_laws(laws[0], other) for other in laws[1:])
