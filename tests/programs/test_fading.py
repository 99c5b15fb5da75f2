"""The demo's parts: what is planted is found by the checks, and what is sound is not flagged."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from fixtures.fading.__main__ import main
from fixtures.fading.frames import gray_frame, load_frames, to_range
from fixtures.fading.model import WorldModel
from fixtures.fading.page import demo_page
from fixtures.fading.runs import RUNS, STORY, Scale, investigate, prepare, preprocessing, stream
from fixtures.fading.samplers import FAULTS, SAMPLER, sampler
from fixtures.fading.stages import is_story
from fixtures.fading.story import StageRecord, agreement
from fixtures.fading.training import TRAINING, train, training_step
from reference_samplers import EDM
from sampler_harness.runner import check_sampler

#: Enough for every fault to show, and quick.
FEW_STEPS = dataclasses.replace(SAMPLER, num_steps=3, s_churn=0.42)


@pytest.mark.parametrize("config", [SAMPLER, FEW_STEPS])
def test_the_sound_sampler_conforms(config: EDM) -> None:
    verdict = check_sampler(sampler(config=config), budget="quick")
    assert verdict.conforms, [(f.id, f.message) for f in verdict.findings if f.outcome == "failed"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.slow
def test_a_planted_sampler_does_not_conform(fault: str) -> None:
    verdict = check_sampler(sampler(fault, config=FEW_STEPS), budget="quick", diagnose=False)
    failed = {f.id for f in verdict.findings if f.outcome == "failed"}
    assert failed
    if fault == STORY:
        assert "state/rerun" in failed


@pytest.mark.slow
def test_the_training_step_conforms_and_the_planted_one_does_not() -> None:
    assert check_sampler(training_step(SAMPLER), budget="quick").conforms
    verdict = check_sampler(training_step(SAMPLER, added=2.0), budget="quick")
    assert "training/forward-backward-consistent" in {f.id for f in verdict.findings if f.outcome == "failed"}


@pytest.mark.slow
def test_real_frames_pass_the_data_checks_and_the_planted_range_does_not() -> None:
    pytest.importorskip("ale_py")
    scale = Scale(frames=160, held=40)
    frames = load_frames(scale.game, scale.frames, 1)
    assert frames.gray.shape == (160, 84, 84)
    assert frames.gray.std() > 5
    for run in RUNS[0], RUNS[3]:
        verdicts = [check_sampler(one, budget="quick") for one in (preprocessing(run), stream(run, frames, scale))]
        assert all(verdict.conforms for verdict in verdicts) == (run.cause != "data"), run.name


def test_the_same_seed_plays_the_same_game() -> None:
    pytest.importorskip("ale_py")
    one, two = (load_frames("freeway", 24, 3) for _ in range(2))
    assert np.array_equal(one.gray, two.gray)
    assert np.array_equal(one.actions, two.actions)


def test_gray_frames_keep_what_blinks() -> None:
    screens = np.zeros((2, 210, 160, 3), dtype=np.uint8)
    screens[1, 100:110, 50:60] = 255
    assert gray_frame(screens).max() == 255


def test_noise_does_not_raise_agreement() -> None:
    generator = np.random.Generator(np.random.PCG64(2))
    targets = generator.standard_normal((8, 1, 32, 32))
    assert agreement(targets, targets) == pytest.approx((1.0, 1.0, 1.0))
    noise = generator.standard_normal(targets.shape)
    # The coarsest octave has 8 frames of about 40 free coefficients: 0.06 is one standard error.
    assert max(abs(share) for share in agreement(noise, targets)) < 0.25
    assert agreement(0.5 * targets + noise, targets) == pytest.approx((0.5, 0.5, 0.5), abs=0.25)


def test_the_world_model_answers_in_the_networks_convention() -> None:
    model = WorldModel(width=8)
    answer = model(torch.zeros(2, 1, 84, 84), torch.zeros(2), torch.zeros(2, 3, 84, 84))
    assert answer.shape == (2, 1, 84, 84)
    assert TRAINING.model_kind == "network" == SAMPLER.model_kind


@pytest.mark.slow
def test_a_run_is_lived_and_the_page_shows_it(tmp_path: Path) -> None:
    pytest.importorskip("ale_py")
    pytest.importorskip("matplotlib")
    scale = Scale(frames=70, held=24, width=8, batch=2, stages=(1, 3), items=4)
    run = next(run for run in RUNS if run.cause == "sampler")
    seconds = prepare(run, scale, 0, tmp_path)
    assert seconds > 0
    assert prepare(run, scale, 0, tmp_path) == 0.0
    outcome = investigate(run, scale, 0, tmp_path, seconds)
    assert outcome.verdict.cause == "sampler"
    assert "state/rerun" in outcome.verdict.summary
    assert [record.step for record in outcome.story] == [1, 3]
    page = demo_page([dataclasses.replace(outcome, run=one) for one in RUNS], None, {"Frames": "seventy"})
    assert page.count("<section") == 7
    assert "named in 1 of 5 runs" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_training_gives_the_same_weights_again(tmp_path: Path) -> None:
    pytest.importorskip("ale_py")
    frames = load_frames("freeway", 30, 1)
    found = []
    for _ in range(2):
        model = WorldModel(width=8)
        trained = train(model, training_step(SAMPLER), frames, np.arange(20), to_range, stages=(0, 2), batch=2)
        assert len(trained.losses) == 2
        found.append(torch.cat([values.reshape(-1) for values in trained.stages[-1].state.values()]))
    assert torch.equal(found[0], found[1])


def test_the_story_is_detail_that_falls_while_the_model_gets_better() -> None:
    def records(*stages: tuple[float, float]) -> tuple[StageRecord, ...]:
        return tuple(StageRecord(1, (1.0,) * 3, (d,) * 3, e, np.zeros((1, 2, 2))) for d, e in stages)

    assert is_story(records((0.4, 0.3), (0.8, 0.2), (0.5, 0.1)))
    assert not is_story(records((0.4, 0.3), (0.8, 0.2), (0.9, 0.1)))
    assert not is_story(records((0.4, 0.3), (0.8, 0.1), (0.5, 0.2)))  # the model itself got worse


def test_a_wrong_fault_and_wrong_arguments_are_told() -> None:
    with pytest.raises(ValueError, match="should be one of initial-noise"):
        sampler("no-such")
    with pytest.raises(SystemExit):
        main(["--seeds", "0"])
