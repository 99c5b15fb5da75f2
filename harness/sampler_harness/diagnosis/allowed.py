"""Configurations that a declaration allows, beyond those that were run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sampler_harness.budgets import BUDGETS
from sampler_harness.cases import covering_set
from sampler_harness.strategies import drawn_configurations
from sampler_harness.subject.base import ModelSubject

__all__ = ["allowed"]

#: Configurations that are considered for telling answers apart.
MOST = 60


def allowed(subject: ModelSubject, is_wanted: Callable[[Any], bool] = lambda config: True) -> Iterator[Any]:
    """The covering set's first, then drawn ones.

    Args:
        subject: whose declaration it is.
        is_wanted: which of them count.
    """
    budget = BUDGETS["standard"]
    drawn = (config for config, _ in drawn_configurations(subject, budget))
    count = 0
    for config in [*covering_set(subject, budget).configurations, *drawn]:
        if count < MOST and is_wanted(config):
            count += 1
            yield config
