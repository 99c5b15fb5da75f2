"""What the searches of samplers and of training steps share: where else to look, and no traceback at the end."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from sampler_harness.budgets import BUDGETS
from sampler_harness.cases import covering_set
from sampler_harness.strategies import drawn_configurations

from .explanation import searched_as
from .found import Found
from .observation import Observation

__all__ = ["further", "guarded"]

Case = TypeVar("Case", bound=Observation)

#: Further configurations that are considered for telling answers apart.
FURTHER = 60
REPORT = "please report this"


def further(subject: Any, is_short: Callable[[Any], bool] = lambda config: True) -> Iterator[Any]:
    """Configurations that a declaration allows, run or not, the covering ones first.

    Args:
        subject: whose declaration is asked.
        is_short: whether a run in a configuration is short enough to be looked at.
    """
    budget = BUDGETS["standard"]
    count = 0
    configurations = covering_set(subject, budget).configurations
    for config in [*configurations, *(config for config, _ in drawn_configurations(subject, budget))]:
        if count < FURTHER and is_short(config):
            count += 1
            yield config


def guarded(
    reference: type, search: Callable[[], tuple[Found | None, list[Case]]], why_none: Callable[[list[Case]], str]
) -> tuple[Found | None, list[Case], str]:
    """What a search found, the cases that it looked at, and why there was none.

    Context: an edit may do anything, and a subject more. A traceback at the end of a verdict helps nobody, and what the
    checks have found stands without the search.
    Choice: whatever comes out of it is told by its name, and the diagnosis is that it cannot tell.
    Reversed by: nothing but a search that cannot fail.

    Args:
        reference: the declared one.
        search: begins it.
        why_none: why there was nothing to search for, of the cases.
    """
    try:
        searched_as(reference)
    except ValueError as error:
        return None, [], f"{error}"
    try:
        with np.errstate(all="ignore"):
            found, cases = search()
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.name}, line {place.lineno}"
        return None, [], f"the search itself failed with {type(error).__name__}: {error} ({where}); {REPORT}"
    return found, cases, "" if found is not None else why_none(cases)
