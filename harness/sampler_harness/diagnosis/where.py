"""Where a change is: in one branch of a program only, such as one kind of model, or noise that is not 0."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Where", "wheres"]


@dataclass(frozen=True)
class Condition:
    """What a field has in a part of the configurations.

    Attributes:
        field: of the reference.
        relation: what is said of it: that it is a value or not, above 0, given or left at None.
        value: that it has, or has not.
    """

    field: str
    relation: Literal["is", "is not", "is above 0", "is given", "is not given"]
    value: str | bool | None = None

    def holds(self, config: Any) -> bool:
        """Whether a configuration fulfills it."""
        has = config.values().get(self.field)
        if self.relation == "is above 0":
            return isinstance(has, float) and has > 0
        if self.relation in ("is given", "is not given"):
            return (has is not None) == (self.relation == "is given")
        return (type(has) is type(self.value) and bool(has == self.value)) == (self.relation == "is")

    def __str__(self) -> str:
        if self.relation == "is":
            return f"{self.field}={self.value!r}"
        return f"{self.field} {self.relation}" + (f" {self.value!r}" if self.relation == "is not" else "")


@dataclass(frozen=True)
class Where:
    """A part of the declared configurations.

    Attributes:
        conditions: all of which are fulfilled there.
    """

    conditions: tuple[Condition, ...]

    def holds(self, config: Any) -> bool:
        """Whether a declared configuration is one of them.

        Args:
            config: of the sampler's own reference.
        """
        return all(condition.holds(config) for condition in self.conditions)

    def __str__(self) -> str:
        """As a sentence begins: ``where eta is above 0``."""
        return f"where {' and '.join(map(str, self.conditions))}"


def wheres(wrong: Sequence[Any], right: Sequence[Any], fields: Collection[str]) -> list[Where]:
    """Parts that hold all configurations in which the sampler is wrong, and not all in which it is right.

    Args:
        wrong: configurations.
        right: configurations.
        fields: of the algorithm; of others a part is never a range of numbers.

    Returns:
        Of one condition, then of two.
    """
    found = []
    for field, value in wrong[0].values().items() if wrong else ():
        conditions = []
        if isinstance(value, (str, bool)):
            conditions.append(Condition(field, "is", value))
        elif field in fields and isinstance(value, float):
            conditions.append(Condition(field, "is above 0"))
        if isinstance(value, str):
            others = dict.fromkeys(config.values().get(field) for config in right)
            conditions += [Condition(field, "is not", other) for other in others if isinstance(other, str)]
        if not isinstance(value, (str, bool)):  # a line that is run only with levels of one's own, or only without
            conditions.append(Condition(field, "is not given" if value is None else "is given"))
        found += [Where((one,)) for one in conditions if all(map(one.holds, wrong)) and not all(map(one.holds, right))]
    both = [Where(one.conditions + other.conditions) for one, other in itertools.combinations(found, 2)]
    return found + [where for where in both if all(_leaves_out(where, one, right) for one in found)]


def _leaves_out(both: Where, one: Where, right: Sequence[Any]) -> bool:
    """Whether two conditions together leave out a sound configuration that one of the two does not."""
    if not set(one.conditions) <= set(both.conditions):
        return True
    return any(one.holds(config) and not both.holds(config) for config in right)
