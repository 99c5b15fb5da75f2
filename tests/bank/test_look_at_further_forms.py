"""The wrong line is named in samplers that are written in other ways than most of the fixtures."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from fixtures.faulty_samplers.rounded_times import ROUNDED
from fixtures.faulty_samplers.two_faults import FIRST_OF_TWO, FLOWS
from fixtures.faulty_samplers.written_otherwise import FORMS
from sampler_harness import Subject, check_sampler


def marked(function: Callable[..., Any]) -> int:
    """The line that is marked."""
    lines, first = inspect.getsourcelines(function)
    (at,) = [number for number, line in enumerate(lines, first) if "# wrong" in line]
    return at


@pytest.mark.slow
@pytest.mark.parametrize(
    ("subject", "holder"), [*FORMS, *ROUNDED, *FLOWS], ids=[subject.name for subject, _ in (*FORMS, *ROUNDED, *FLOWS)]
)
def test_the_wrong_line_is_named_and_counted_once(subject: Subject, holder: Callable[..., Any]) -> None:
    verdict = check_sampler(subject, budget="quick", diagnose=False)
    place = verdict.causes[0].place
    assert place is not None
    assert marked(holder) in (place.line, place.or_line)
    assert len(verdict.causes) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("subject", "holder"), FIRST_OF_TWO, ids=[subject.name for subject, _ in FIRST_OF_TWO])
def test_of_two_faults_what_the_model_is_told_has_its_own_line(subject: Subject, holder: Callable[..., Any]) -> None:
    verdict = check_sampler(subject, budget="quick", diagnose=False)
    assert [finding.id for finding in verdict.causes] == ["law/times", "law/noise"]
    place = verdict.causes[0].place
    assert place is not None
    assert marked(holder) in (place.line, place.or_line)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["noise_where_none_should_be", "noise_in_a_function_of_its_own"])
def test_times_that_are_right_are_not_to_blame_for_noise_that_is_made_of_them(name: str) -> None:
    subject, holder = next((subject, holder) for subject, holder in FLOWS if subject.name == name)
    place = check_sampler(subject, budget="quick", diagnose=False, checks=["law/noise"]).causes[0].place
    assert place is not None
    assert (place.line, place.or_line) == (marked(holder), 0)
