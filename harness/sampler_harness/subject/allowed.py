"""What a Hypothesis strategy allows, read off the strategy itself: nothing is drawn, Hypothesis is not imported.

Context: a covering set needs the options of ``sampled_from`` and the ends of ``floats``, which strategies do not tell.
Choice: their private attributes, of the promised releases; a strategy that has none of them is opaque.
Reversed by: a public way to ask.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

__all__ = ["alternatives", "bounds_of", "combinations", "is_strategy", "named_values", "refused_value", "unwrapped"]

_T = TypeVar("_T")


def is_strategy(value: Any) -> bool:
    """Whether a value of a declaration is to be drawn."""
    return hasattr(value, "example") and hasattr(value, "map") and hasattr(value, "filter")


def unwrapped(strategy: Any) -> Any:
    """The concrete strategy behind Hypothesis's lazy wrapper, where this release has one."""
    for _ in range(8):
        inner = getattr(strategy, "wrapped_strategy", None)
        if inner is None or inner is strategy:
            return strategy
        strategy = inner
    return strategy


def bounds_of(strategy: Any) -> tuple[Any, Any] | None:
    """Both ends of a range of integers or floats; None for anything else."""
    inner = unwrapped(strategy)
    for low, high in (("start", "end"), ("min_value", "max_value")):
        if hasattr(inner, low) and hasattr(inner, high):
            bottom, top = getattr(inner, low), getattr(inner, high)
            if isinstance(bottom, (int, float)) and isinstance(top, (int, float)):
                return bottom, top
    return None


def alternatives(value: Any) -> Sequence[Any]:
    """The strategies of which a value is drawn from one; empty where there is one alone."""
    return getattr(unwrapped(value), "original_strategies", ()) if is_strategy(value) else ()


def named_values(value: Any) -> list[Any] | None:
    """The values that a declaration names one by one, and both ends of a range; None where none can be read.

    Args:
        value: a value, or a strategy: alternatives count together, what is mapped or filtered cannot be read.
    """
    if not is_strategy(value):
        return [value]
    inner = unwrapped(value)
    if (elements := getattr(inner, "elements", None)) is not None:
        return list(elements)
    if options := alternatives(value):
        return [one for option in options for one in named_values(option) or ()] or None
    if type(inner).__name__ == "JustStrategy":
        return [inner.value]
    if type(inner).__name__ == "BooleansStrategy":
        return [False, True]
    bounds = bounds_of(value)
    return None if bounds is None else list(bounds)


def combinations(choices: Mapping[str, Sequence[_T]], most: int = 20_000) -> Iterator[dict[str, _T]]:
    """One choice of each, in the same order everywhere.

    Args:
        choices: by name.
        most: how many, at most.
    """
    for values in itertools.islice(itertools.product(*choices.values()), most):
        yield dict(zip(choices, values, strict=True))


def refused_value(
    build: Callable[..., Any], fields: Mapping[str, Any], drawn: Mapping[str, Sequence[Any]] | None = None
) -> tuple[str, Any, str] | None:
    """The first value that a declaration names and that no configuration can have.

    Hypothesis leaves out what a filter refuses, and so a value that is never legal would never be run: the verdict
    would be green without it. A value that is legal with some value of the other fields is none of these.

    Args:
        build: makes a configuration, or raises ValueError or TypeError.
        fields: what the declaration gives for each field.
        drawn: values of the fields whose strategies cannot be read; where these are not given, nothing is decided.

    Returns:
        Field, value and what was said of it where the other fields have their first values; None where there is none.
    """
    named = {name: named_values(value) for name, value in fields.items()}
    domain: dict[str, Sequence[Any]] = {}
    for name, values in named.items():
        chosen = values if values is not None else (drawn or {}).get(name)
        if chosen is None:
            return None
        domain[name] = chosen
    legal = {name: values[0] for name, values in domain.items()}
    for name, values in named.items():
        for value in values or () if is_strategy(fields[name]) else ():
            said = ""
            # Of many fields those that must differ come late in the order of combinations: near ones are tried first.
            for row in itertools.chain(
                _near({**legal, name: value}, name, domain), combinations({**domain, name: [value]})
            ):
                try:
                    build(**row)
                except (ValueError, TypeError) as error:
                    said = said or str(error)
                else:
                    legal = row
                    break
            else:
                return name, value, said
    return None


def _near(row: Mapping[str, Any], held: str, choices: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """A row, and those that differ from it in one or in two fields beside the one that is held."""
    yield dict(row)
    others = [(name, value) for name, values in choices.items() if name != held for value in values]
    yield from ({**row, name: value} for name, value in others)
    for (name, value), (second, other) in itertools.combinations(others, 2):
        if name != second:
            yield {**row, name: value, second: other}
