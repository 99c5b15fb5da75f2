"""A configuration that is wrong is refused where it is made, with the field, its value and what is legal.

Each field of a reference says on its own line which values it may have::

    num_steps: int = whole(18, low=1)
    solver: Solver = choice("heun")

:func:`check_fields` holds a configuration to that, and stores numpy's numbers and sequences as plain Python values. A
field whose type has None may be None.
"""

from __future__ import annotations

import dataclasses
import functools
import numbers
import operator
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

__all__ = [
    "check_fields",
    "checked_choice",
    "checked_real",
    "checked_reals",
    "checked_whole",
    "checked_wholes",
    "choice",
    "choice_or_function",
    "flag",
    "real",
    "real_or_function",
    "reals",
    "refuse",
    "store",
    "whole",
]

_INFINITY = float("inf")
_RULE = "rule"
_OR_FUNCTION = "or a function"

#: ``rule(name, value)`` gives the value as it is stored, or raises.
_Rule = Callable[[str, Any], Any]


def refuse(name: str, value: object, legal: str) -> ValueError:
    """The error for a field: name, value and legal range, in one wording everywhere.

    Args:
        name: the field's name.
        value: what was given.
        legal: completes the sentence "must be …".

    Returns:
        The error, to be raised by the caller.
    """
    shown = repr(value)
    return ValueError(f"{name} must be {legal}, got {shown if len(shown) <= 100 else shown[:97] + '...'}")


def store(instance: Any, name: str, value: object) -> None:
    """Set a field of a frozen dataclass while it is being made."""
    object.__setattr__(instance, name, value)


# Fields and the values that they may have.


def whole(default: Any = dataclasses.MISSING, *, low: int, high: int | None = None) -> Any:
    """A field for a whole number in ``[low, high]``; without a default it must be given."""
    return _field(default, lambda name, value: checked_whole(name, value, low, high))


def real(
    default: Any = dataclasses.MISSING,
    *,
    low: float = -_INFINITY,
    high: float = _INFINITY,
    above: float | None = None,
    below: float | None = None,
    finite: bool = True,
) -> Any:
    """A field for a real number in ``[low, high]``, or in ``(above, below)``; never NaN."""

    def rule(name: str, value: Any) -> float:
        bounds = (low if above is None else above), (high if below is None else below)
        number = checked_real(name, value, *bounds, above=above is not None, finite=finite)
        if number == below:
            raise refuse(name, number, f"< {below:g}")
        return number

    return _field(default, rule)


def choice(default: Any = dataclasses.MISSING) -> Any:
    """A field for one of the names that its ``Literal`` type lists."""
    return _field(default, None)


def choice_or_function(default: str) -> Any:
    """A field for one of the names that its ``Literal`` type lists, or for a function in its place."""
    return dataclasses.field(default=default, metadata={_RULE: None, _OR_FUNCTION: True})


def real_or_function(default: float, *, low: float) -> Any:
    """A field for a finite number from ``low`` on, or for a function that gives one."""
    return _field(default, lambda name, value: value if callable(value) else checked_real(name, value, low))


def flag(default: bool) -> Any:
    """A field for True or False, and nothing that merely counts as such."""

    def rule(name: str, value: Any) -> bool:
        if not isinstance(value, (bool, np.bool_)):
            raise refuse(name, value, "True or False")
        return bool(value)

    return _field(default, rule)


def reals(*, low: float = -_INFINITY, high: float = _INFINITY, above: float | None = None) -> Any:
    """A field for a sequence of finite numbers in range, stored as a tuple of floats; None where it is left out."""
    low = low if above is None else above
    return _field(None, lambda name, value: checked_reals(name, value, low, high, above=above is not None))


def _field(default: Any, rule: _Rule | None) -> Any:
    return dataclasses.field(default=default, metadata={_RULE: rule})


@functools.cache
def _rules(kind: Any) -> tuple[tuple[str, bool, _Rule], ...]:
    """Name, whether it may be None, and rule of each field that has one."""
    hints = typing.get_type_hints(kind)
    found: list[tuple[str, bool, _Rule]] = []
    for field in dataclasses.fields(kind):
        if _RULE not in field.metadata:
            continue
        rule = field.metadata[_RULE]
        if rule is None:
            chosen = functools.partial(_choose, _names(hints[field.name]))
            rule = functools.partial(_or_function, chosen) if field.metadata.get(_OR_FUNCTION) else chosen
        found.append((field.name, type(None) in typing.get_args(hints[field.name]), rule))
    return tuple(found)


def _names(hint: Any) -> tuple[str, ...]:
    """All names in a ``Literal``, alone or beside None."""
    found: list[str] = []
    for one in typing.get_args(hint):
        found += [one] if isinstance(one, str) else _names(one)
    return tuple(found)


def _choose(options: Sequence[str], name: str, value: Any) -> str:
    checked_choice(name, value, options)
    return str(value)


def _or_function(rule: _Rule, name: str, value: Any) -> Any:
    return value if callable(value) else rule(name, value)


def check_fields(instance: Any) -> None:
    """Hold each field of a configuration to what its own line allows, in order, and store it as a plain value.

    Args:
        instance: a frozen dataclass that is being made.

    Raises:
        ValueError: names field, value and legal range.
    """
    kind: Any = type(instance)
    for name, is_optional, rule in _rules(kind):
        value = instance.__dict__[name]
        if value is not None or not is_optional:
            store(instance, name, rule(name, value))


# Single values.


def checked_whole(name: str, value: object, low: int, high: int | None = None) -> int:
    """A whole number in ``[low, high]``; numpy's are accepted, booleans and floats are not.

    Raises:
        ValueError: names field, value and range.
    """
    legal = f"a whole number >= {low}" if high is None else f"a whole number from {low} to {high}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise refuse(name, value, legal)
    number = operator.index(value)
    if number < low or (high is not None and number > high):
        raise refuse(name, value, legal)
    return number


def checked_wholes(name: str, value: object, low: int, high: int) -> tuple[int, ...]:
    """A sequence of whole numbers in ``[low, high]``, as a tuple of ints.

    Raises:
        ValueError: names field, entry, value and range.
    """
    items = _items(name, value, "a sequence of whole numbers")
    return tuple(checked_whole(f"{name}[{i}]", item, low, high) for i, item in enumerate(items))


def checked_real(
    name: str,
    value: object,
    low: float = -_INFINITY,
    high: float = _INFINITY,
    *,
    above: bool = False,
    finite: bool = True,
) -> float:
    """A real number in ``[low, high]``, or in ``(low, high]`` if ``above``; never NaN.

    Args:
        name: the field's name.
        value: what was given.
        low: lower end of the legal range.
        high: upper end, included.
        above: the lower end itself is excluded.
        finite: infinity is excluded.

    Returns:
        The value as a Python float.

    Raises:
        ValueError: names field, value and range.
    """
    legal = "a finite number" if finite else "a number"
    if low > -_INFINITY:
        legal += f" {'>' if above else '>='} {low:g}"
    if high < _INFINITY:
        legal += f"{' and' if low > -_INFINITY else ''} <= {high:g}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise refuse(name, value, legal)
    number = float(value)
    # Written so that NaN fails each comparison.
    if not (low < number if above else low <= number) or not number <= high:
        raise refuse(name, value, legal)
    if finite and not -_INFINITY < number < _INFINITY:
        raise refuse(name, value, legal)
    return number


def checked_reals(name: str, value: object, low: float, high: float, *, above: bool = False) -> tuple[float, ...]:
    """A sequence of finite numbers in range, as a hashable tuple of Python floats.

    Raises:
        ValueError: names field, entry, value and range.
    """
    items = _items(name, value, "a sequence of numbers")
    return tuple(checked_real(f"{name}[{i}]", item, low, high, above=above) for i, item in enumerate(items))


def checked_choice(name: str, value: object, options: Sequence[str]) -> None:
    """One of the named options.

    Raises:
        ValueError: names field, value and options.
    """
    if not isinstance(value, str) or value not in options:
        raise refuse(name, value, "one of " + ", ".join(repr(option) for option in options))


def _items(name: str, value: object, legal: str) -> list[object]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise refuse(name, value, legal)
    items = list(value)
    if not items:
        raise refuse(name, value, f"{legal}, not empty")
    return items
