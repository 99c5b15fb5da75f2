"""Where a change is: in one branch of a program only, such as one kind of model, or noise that is not 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .observation import Observation

__all__ = ["Where", "wheres"]


@dataclass(frozen=True)
class Where:
    """A part of the declared configurations.

    Attributes:
        field: of the reference.
        value: that the field has there; None where it is above 0 there.
    """

    field: str
    value: str | bool | None

    def holds(self, config: Any) -> bool:
        """Whether a declared configuration is one of them.

        Args:
            config: of the sampler's own reference.
        """
        has = config.values().get(self.field)
        if self.value is None:
            return isinstance(has, float) and has > 0
        return type(has) is type(self.value) and bool(has == self.value)

    def __str__(self) -> str:
        """As a sentence ends: ``where eta is above 0``."""
        return f"where {self.field} is above 0" if self.value is None else f"where {self.field}={self.value!r}"


def wheres(targets: Sequence[Observation]) -> list[Where]:
    """Parts that hold all cases in which the sampler is wrong, and not all in which it is right.

    Args:
        targets: the sampler's cases.
    """
    wrong = [t.config for t in targets if t.reference_ratio > 1]
    right = [t.config for t in targets if t.reference_ratio <= 1]
    found = []
    for field, value in wrong[0].values().items() if wrong else ():
        if isinstance(value, float):
            where = Where(field, None)
        elif isinstance(value, (str, bool)):
            where = Where(field, value)
        else:
            continue
        if all(where.holds(config) for config in wrong) and not all(where.holds(config) for config in right):
            found.append(where)
    return found
