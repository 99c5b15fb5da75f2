"""The wrong line is named in samplers that are written in other ways than most of the fixtures."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from fixtures.faulty_samplers.rounded_times import ROUNDED
from fixtures.faulty_samplers.written_otherwise import FORMS
from sampler_harness import Subject, check_sampler


def marked(function: Callable[..., Any]) -> int:
    """The line that is marked."""
    lines, first = inspect.getsourcelines(function)
    (at,) = [number for number, line in enumerate(lines, first) if "# wrong" in line]
    return at


@pytest.mark.slow
@pytest.mark.parametrize(
    ("subject", "holder"), [*FORMS, *ROUNDED], ids=[subject.name for subject, _ in (*FORMS, *ROUNDED)]
)
def test_the_wrong_line_is_named_and_counted_once(subject: Subject, holder: Callable[..., Any]) -> None:
    verdict = check_sampler(subject, budget="quick", diagnose=False)
    place = verdict.causes[0].place
    assert place is not None
    assert marked(holder) in (place.line, place.or_line)
    assert len(verdict.causes) == 1
