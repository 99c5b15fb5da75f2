"""What an edited program may not ask for: tables and ranges of absurd length."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["BoundedNumpy", "bounded_range"]

#: Largest table or range that a program may make: an edit may ask for billions.
LARGEST = 100_000


class BoundedNumpy:
    """Plays ``np``: tables of absurd length are refused before they are made.

    Args:
        numpy: what is played.
    """

    def __init__(self, numpy: Any) -> None:
        self._numpy = numpy
        for name in ("linspace", "arange", "full", "zeros", "ones"):
            self.__dict__[name] = _bounded(getattr(numpy, name))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._numpy, name)
        self.__dict__[name] = value
        return value


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            if isinstance(value, (int, np.integer)) and abs(int(value)) > LARGEST:
                raise OverflowError(f"{value} entries")
        return function(*args, **kwargs)

    return call


def bounded_range(*args: int) -> range:
    """``range``, refused where it is of absurd length.

    Raises:
        OverflowError: for more than :data:`LARGEST` steps.
    """
    found = range(*args)
    if len(found) > LARGEST:
        raise OverflowError(f"{len(found)} steps")
    return found
