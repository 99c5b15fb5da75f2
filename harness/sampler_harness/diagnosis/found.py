"""What a search found: answers that explain everything, and the nearest that explain a part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .answers import Answer
from .explanation import Explanation, Kind

__all__ = ["Found", "Lead", "Near"]


@dataclass(frozen=True)
class Near:
    """An explanation of a part.

    Attributes:
        explanation: what.
        cases: how many cases it explains.
        of: how many there are.
        rows: model inputs of the first case, from the first on, that it explains; the sample is the last row.
        of_rows: how many there are.
        config: of that case.
        is_for_all_numbers: it explains all cases that have a law, but not those that have none.
    """

    explanation: Explanation
    cases: int
    of: int
    rows: int
    of_rows: int
    config: Any
    is_for_all_numbers: bool = False


@dataclass
class Found:
    """What a search found.

    Attributes:
        answers: that explain every case, the simplest first.
        exact: there is one, within the derived tolerance everywhere.
        near: explanations of a part, the furthest first.
        programs: how many were measured.
        ended: whether all there is was looked at, within the budget.
        cases: how many cases the answers were held against.
        settled_by: fields with one declared value in whose other values several answers differ.
    """

    answers: list[Answer] = field(default_factory=list)
    exact: bool = False
    near: list[Near] = field(default_factory=list)
    programs: int = 0
    ended: bool = True
    cases: int = 0
    settled_by: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Lead:
    """A candidate and how far it goes; its text is written only where it is wanted.

    Attributes:
        terms: of the case that it explains, from the first row on.
        whole: whether these are all.
        kind: what is changed.
        make: the explanation itself.
        is_ground: whether pairs may be built upon it; a window that holds no step hides what is wrong in it.
    """

    terms: int
    whole: bool
    kind: Kind
    make: Callable[[], Explanation]
    is_ground: bool = True
