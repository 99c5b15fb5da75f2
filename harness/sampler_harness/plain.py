"""Values as JSON has them, and dataclasses back from it: read by the types that their fields declare."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

__all__ = ["from_plain", "plain"]


def plain(value: Any) -> Any:
    """A value that JSON has: numpy scalars become numbers, infinity and NaN text, anything else its repr.

    Args:
        value: of any type; a dataclass becomes an object of its fields.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        return [plain(one) for one in items]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return repr(value)


def from_plain(kind: Any, value: Any) -> Any:
    """What :func:`plain` was given, where its type is known.

    Args:
        kind: a dataclass, or what a field of one is declared as: tuples and options of dataclasses and numbers. What
            is declared as anything else stays as JSON has it.
        value: from JSON.

    Raises:
        KeyError, TypeError, ValueError: when it is something else.
    """
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        return kind(**{name: from_plain(hints[name], one) for name, one in value.items()})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        kinds = [one for one in arguments if one is not types.NoneType]
        return value if value is None or len(kinds) > 1 else from_plain(kinds[0], value)
    if origin is tuple:
        endless = arguments[-1] is Ellipsis
        pairs = zip(itertools.repeat(arguments[0]), value) if endless else zip(arguments, value, strict=True)
        return tuple(from_plain(one, item) for one, item in pairs)
    return kind(value) if kind in (int, float) else value


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
