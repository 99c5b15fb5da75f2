"""What a search found: answers that explain everything, and the nearest that explain a part."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from .answers import Answer
from .explanation import Explanation, Kind

__all__ = ["Found", "Lead", "Near", "found_by"]

REPORT = "please report this"
Case = TypeVar("Case")


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
    """

    answers: list[Answer] = field(default_factory=list)
    exact: bool = False
    near: list[Near] = field(default_factory=list)
    programs: int = 0
    ended: bool = True
    cases: int = 0


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


def found_by(search: Callable[[], tuple[Found | None, list[Case]]]) -> tuple[Found | None, list[Case], str]:
    """What a search found, the cases that it looked at, and how it failed; empty where it did not.

    Context: an edit may do anything, and a subject more. A traceback at the end of a verdict helps nobody, and what the
    checks have found stands without the search.
    Choice: whatever comes out of it is told by its name, and the diagnosis is that it cannot tell.
    Reversed by: nothing but a search that cannot fail.

    Args:
        search: for what explains some cases.
    """
    try:
        with np.errstate(all="ignore"):
            found, cases = search()
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.name}, line {place.lineno}"
        return None, [], f"the search itself failed with {type(error).__name__}: {error} ({where}); {REPORT}"
    return found, cases, ""
