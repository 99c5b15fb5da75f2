"""A configuration: a frozen dataclass of parts, whose fields are checked when it is made and documented once."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import operator
import re
from collections.abc import Mapping
from typing import Any

from . import validation

__all__ = ["Configuration"]


class Configuration:
    """Parts mixed into one class: each may declare fields, and in ``check`` which of their values go together.

    The arguments that the parts' docstrings tell of stand in the docstring of the whole, in the order of the fields.
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.__doc__ = _with_arguments_of_parts(cls)

    def __post_init__(self) -> None:
        validation.check_fields(self)
        for part in reversed(type(self).__mro__):
            check = vars(part).get("check")
            if check is not None:
                check(self)

    def values(self) -> Mapping[str, Any]:
        """Every field by name, in the order in which they are declared."""
        kind: Any = type(self)
        return {name: operator.attrgetter(name)(self) for name in _field_names(kind)}

    @property
    def turning_points(self) -> Mapping[str, float]:
        """Field to the value at which a formula turns: what is declared is to be seen on either side of it."""
        return {}

    def refuse_beside(self, given: str, *names: str) -> None:
        """Fields that another one makes meaningless are left at their defaults.

        Args:
            given: the field that was given in their place.
            names: of these fields.

        Raises:
            ValueError: names the first that is not.
        """
        defaults = {field.name: field.default for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        for name in names:
            if self.__dict__[name] != defaults[name]:
                raise validation.refuse(name, self.__dict__[name], f"left out where {given} is given")


@functools.cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def _with_arguments_of_parts(kind: type[Any]) -> str | None:
    """A docstring in which the arguments of all parts stand, in the order of the fields."""
    own: str | None = vars(kind).get("__doc__")
    entries: dict[str, str] = {}
    for part in reversed(kind.__mro__[1:]):
        entries |= _arguments(inspect.cleandoc(vars(part).get("__doc__") or ""))
    if own is None or not entries:
        return own
    text = inspect.cleandoc(own)
    entries |= _arguments(text)
    head, _, rest = text.partition("\nArgs:\n")
    raises = f"Raises:{rest.partition('Raises:')[2]}" if "Raises:" in rest else ""
    head, _, alone = head.partition("\nRaises:")
    raises = raises or (f"Raises:{alone}" if alone else "")
    return f"{head.rstrip()}\n\nArgs:\n{''.join(entries.values()).rstrip()}\n\n{raises}".rstrip() + "\n"


def _arguments(document: str) -> dict[str, str]:
    """Entries of a docstring's ``Args`` by name, as they stand there."""
    part = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", document, re.DOTALL | re.MULTILINE)
    found = re.findall(r"^(    (\w+): .*?)(?=^    \S|\Z)", part.group(1) if part else "", re.DOTALL | re.MULTILINE)
    return {name: entry.rstrip() + "\n" for entry, name in found}
