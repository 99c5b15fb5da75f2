"""An edit of a reference's text; light, since lists of faults are made of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Replacement"]


@dataclass(frozen=True)
class Replacement:
    """An edit of a reference's text.

    Attributes:
        file: as ``reference_samplers/edm.py``.
        before: text that stands exactly once in it.
        after: what it becomes.
    """

    file: str
    before: str
    after: str
