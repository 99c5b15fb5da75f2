"""The trend says when detail falls, and does not say it when it does not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from sampler_harness.detail.records import Stage
from sampler_harness.detail.trend import AFTER_BEST, FEWEST, OCTAVES, SIGNIFICANT, TESTS, find_trend
from tests.programs import monitor_runs as runs

STORY = runs.FADING["the story"][0]


def test_there_are_twenty_sound_runs() -> None:
    assert len(runs.SOUND) == 20


@pytest.mark.parametrize("name", runs.SOUND)
def test_a_sound_run_raises_no_alarm_at_any_stage(name: str) -> None:
    stages = runs.SOUND[name]
    told = [find_trend(stages[:count], runs.OCTAVES) for count in range(1, len(stages) + 1)]
    assert not any(trend.alarm for trend in told)
    assert all(trend.message and trend.began_at is None and trend.suspect is None for trend in told)


@pytest.mark.parametrize("name", runs.FADING)
def test_a_fading_run_is_told(name: str) -> None:
    stages, suspect, (earliest, latest) = runs.FADING[name]
    trend = find_trend(stages, runs.OCTAVES)
    assert trend.alarm
    assert trend.suspect == suspect
    assert trend.began_at is not None
    assert earliest <= trend.began_at <= latest
    assert trend.keep is not None
    assert trend.keep[0] < trend.began_at
    assert trend.keep[1] == f"model-{trend.keep[0]}.pt"
    assert trend.p_value <= SIGNIFICANT / 3, "the margin of this project's own cases"


def test_the_alarm_comes_in_the_middle_of_the_loss() -> None:
    first = next(count for count in range(1, 21) if find_trend(STORY[:count], runs.OCTAVES).alarm)
    assert STORY[first - 1].step <= 12000


def test_the_message_names_octave_shares_steps_and_where_to_look() -> None:
    trend = find_trend(STORY, runs.OCTAVES)
    assert trend.keep == (5000, "model-5000.pt")
    assert trend.message == (
        "detail of 2 to 4 px fell from 0.91 (step 5000) to 0.42 (step 20000) while the model's own denoising error "
        "kept falling: look at the sampler, not at the model"
    )
    worse = find_trend(runs.FADING["the model gets worse too"][0], runs.OCTAVES)
    assert "denoising error rose" in worse.message
    assert "look at the model or its data first" in worse.message


def test_without_a_denoising_error_nobody_is_suspected() -> None:
    trend = find_trend([replace(stage, denoising=()) for stage in STORY], runs.OCTAVES)
    assert trend.alarm
    assert trend.suspect is None
    assert "give log() the model too" in trend.message
    late = find_trend([replace(stage, denoising=()) for stage in STORY[:-3]] + list(STORY[-3:]), runs.OCTAVES)
    assert late.suspect is None
    assert "3 stages since then is too little to tell" in late.message


def test_a_denoising_error_that_stays_leaves_the_sampler() -> None:
    stages = runs.stages_of(
        runs.fading(0.93, 0.41, 0.2), count=20, noise=0.1, seed=51, error=lambda t: 0.2 + 0.002 * np.sin(50 * t)
    )
    trend = find_trend(stages, runs.OCTAVES)
    assert trend.suspect == "sampler"
    assert "did not rise" in trend.message


def test_few_stages_are_said_to_be_few() -> None:
    for count in range(1, FEWEST):
        trend = find_trend(STORY[:count], runs.OCTAVES)
        assert not trend.decided
        assert trend.message == f"not enough stages to tell whether detail falls ({count}, needs {FEWEST})"
    assert find_trend(STORY[:FEWEST], runs.OCTAVES).message != trend.message


def test_the_fewest_stages_are_those_that_can_be_significant() -> None:
    assert TESTS * OCTAVES / math.factorial(AFTER_BEST) <= SIGNIFICANT
    assert TESTS * OCTAVES / math.factorial(AFTER_BEST - 1) > SIGNIFICANT
    falling = [Stage(step, retained=(0.9 * 0.8**step,)) for step in range(FEWEST)]
    assert find_trend(falling, ["2 to 4 px"]).alarm


def test_a_fall_too_young_to_call_is_not_called_sound() -> None:
    shares = [0.9, 0.91, 0.9, 0.92, 0.91, 0.9, 0.5, 0.5]
    trend = find_trend([Stage(step, retained=(share,)) for step, share in enumerate(shares)], ["2 to 4 px"])
    assert not trend.alarm
    assert not trend.decided
    assert "too few to call that a fall" in trend.message


def test_stages_that_could_not_be_measured_are_passed_over() -> None:
    broken = Stage(20500, retained=None, problem="NaN")
    strange = Stage(20600, retained=(math.nan, 1.0, 1.0, 1.0))
    assert find_trend([*STORY, broken, strange], runs.OCTAVES) == find_trend(STORY, runs.OCTAVES)
    nothing = find_trend([broken], runs.OCTAVES)
    assert (nothing.alarm, nothing.keep, nothing.decided) == (False, None, False)
    assert "no stage has samples" in nothing.message
    assert find_trend([], runs.OCTAVES) == nothing


def test_detail_that_goes_to_nothing_is_a_fall() -> None:
    stages = [Stage(step, retained=(max(0.0, 0.9 - 0.1 * step),) * 2) for step in range(12)]
    trend = find_trend(stages, ["2 to 4 px", "4 to 8 px"])
    assert trend.alarm
    assert trend.octave == "2 to 4 px"
    assert math.isfinite(trend.fall)


def test_a_fall_that_was_mended_is_over() -> None:
    shares = [0.9] * 8 + [0.4] * 8 + [0.9] * 8
    stages = [Stage(step, retained=(share,)) for step, share in enumerate(shares)]
    assert find_trend(stages[:16], ["2 to 4 px"]).alarm
    assert not find_trend(stages, ["2 to 4 px"]).alarm


def test_a_coarser_octave_is_asked_too() -> None:
    fine, coarse = [0.9] * 20, list(0.95 * 0.93 ** np.arange(20))
    stages = [Stage(step, retained=(a, b, 1.0)) for step, (a, b) in enumerate(zip(fine, coarse, strict=True))]
    trend = find_trend(stages, runs.OCTAVES[:3])
    assert trend.alarm
    assert trend.octave == "4 to 8 px"
