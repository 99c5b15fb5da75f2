"""A cast is named where its rounding makes all times that a model was told, and no other mistake would."""

from __future__ import annotations

import pytest

from sampler_harness.law.casts import cast_between, cast_of


@pytest.mark.parametrize(
    ("got", "should", "told"),
    [(664.0, 666.0, "bfloat16"), (34.0, 34.9897, "whole numbers"), (499.0, 0.0, None), (5.0, 7.07107, None)],
)
def test_a_cast_is_one_that_rounds_a_time_to_the_other(got: float, should: float, told: str | None) -> None:
    assert cast_between(got, should) == told


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ([(1.0, 1.0), (0.752, 0.75), (0.5, 0.5)], "bfloat16, 1000 times as large"),
        ([(1000.0, 999.0), (664.0, 666.0), (332.0, 333.0)], "bfloat16"),
        ([(34.0, 34.9897), (5.0, 5.3), (1.0, 1.0)], "whole numbers"),
        ([(0.8, 0.81), (0.3, 0.31)], None),
        # The next time, which is 1 or 500, in place of one above it.
        ([(2.0, 2.0), (1.0, 1.73)], None),
        ([(500.0, 499.0)], None),
        ([(999.0, 999.0), (500.0, 499.0), (0.0, 1.0)], None),
        ([(5.0, 7.07), (1.0, 1.73)], None),
        ([(1.0, 1.0)], None),
        ([], None),
    ],
)
def test_a_cast_is_named_where_it_makes_all_times(times: list[tuple[float, float]], told: str | None) -> None:
    assert cast_of(times) == told
