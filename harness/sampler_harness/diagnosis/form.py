"""What another form of a reference's lines is made of."""

from __future__ import annotations

from dataclasses import dataclass

from sampler_harness.law.replacement import Replacement

__all__ = ["Form"]


@dataclass(frozen=True)
class Form:
    """A step in other lines.

    Attributes:
        name: as a verdict says it, after "written".
        replacements: what turns the reference's lines into it; its law stays what it is.
    """

    name: str
    replacements: tuple[Replacement, ...]
