"""A configuration of a reference from fields that were read, where it lets itself be made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["made"]


def made(kind: type[Any], fields: Mapping[str, Any]) -> list[Any]:
    """The configuration, or none where the reference refuses these values.

    Args:
        kind: the reference's class.
        fields: by name; those that it lacks must be at what nobody would say, and are left out.
    """
    known = {field.name for field in dataclasses.fields(kind) if field.init}
    try:
        with np.errstate(all="ignore"):
            return [kind(**{name: value for name, value in fields.items() if name in known})]
    except (ValueError, ArithmeticError, TypeError):
        return []
