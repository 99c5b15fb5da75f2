"""The value of an option that was typed as text, where nothing says of which kind it should be."""

from __future__ import annotations

import ast
from typing import Any

__all__ = ["typed"]

_NAMED = {"true": True, "false": False, "none": None, "inf": float("inf"), "infinity": float("inf")}


def typed(value: Any) -> Any:
    """A number, a truth value or a table where the text is one, else the text itself.

    Args:
        value: as ``--set key=value`` gives it; anything but text stays what it is.
    """
    if not isinstance(value, str):
        return value
    if value.lower() in _NAMED:
        return _NAMED[value.lower()]
    try:
        read = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    return int(read) if isinstance(read, float) and read.is_integer() else read  # 1e3 is a whole number
