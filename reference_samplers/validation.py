"""A configuration that is wrong is refused where it is made, with the field, its value and what is legal."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

__all__ = ["choice", "flag", "real", "real_tuple", "refuse", "store", "whole", "whole_tuple"]

_INFINITY = float("inf")


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


def whole(name: str, value: object, low: int, high: int | None = None) -> int:
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


def real(
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


def choice(name: str, value: object, options: Sequence[str]) -> None:
    """One of the named options.

    Raises:
        ValueError: names field, value and options.
    """
    if not isinstance(value, str) or value not in options:
        raise refuse(name, value, "one of " + ", ".join(repr(option) for option in options))


def flag(name: str, value: object) -> bool:
    """True or False, and nothing that merely counts as such.

    Raises:
        ValueError: names field and value.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise refuse(name, value, "True or False")
    return bool(value)


def _items(name: str, value: object, legal: str) -> list[object]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise refuse(name, value, legal)
    items = list(value)
    if not items:
        raise refuse(name, value, f"{legal}, not empty")
    return items


def real_tuple(name: str, value: object, low: float, high: float, *, above: bool = False) -> tuple[float, ...]:
    """A sequence of finite numbers in range, as a hashable tuple of Python floats.

    Raises:
        ValueError: names field, entry, value and range.
    """
    items = _items(name, value, "a sequence of numbers")
    return tuple(real(f"{name}[{i}]", item, low, high, above=above) for i, item in enumerate(items))


def whole_tuple(name: str, value: object, low: int, high: int) -> tuple[int, ...]:
    """A sequence of whole numbers in range, as a hashable tuple of Python ints.

    Raises:
        ValueError: names field, entry, value and range.
    """
    items = _items(name, value, "a sequence of whole numbers")
    return tuple(whole(f"{name}[{i}]", item, low, high) for i, item in enumerate(items))
