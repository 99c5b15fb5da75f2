"""The demo's parts: what is planted is found by the checks, and what is sound is not flagged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.fading.frames import gray_frame, load_frames
from fixtures.fading.model import WorldModel
from fixtures.fading.runs import RUNS, STORY, Scale, preprocessing, stream
from fixtures.fading.samplers import FAULTS, SAMPLER, sampler
from fixtures.fading.story import agreement
from fixtures.fading.training import TRAINING, training_step
from sampler_harness.runner import check_sampler


def test_the_sound_sampler_conforms() -> None:
    verdict = check_sampler(sampler(), budget="quick")
    assert verdict.conforms, [(f.id, f.message) for f in verdict.findings if f.outcome == "failed"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_sampler_does_not_conform(fault: str) -> None:
    verdict = check_sampler(sampler(fault), budget="quick")
    failed = {f.id for f in verdict.findings if f.outcome == "failed"}
    assert failed
    if fault == STORY:
        assert "state/rerun" in failed


def test_the_training_step_conforms_and_the_planted_one_does_not() -> None:
    assert check_sampler(training_step(SAMPLER), budget="quick").conforms
    verdict = check_sampler(training_step(SAMPLER, added=2.0), budget="quick")
    assert "training/forward-backward-consistent" in {f.id for f in verdict.findings if f.outcome == "failed"}


def test_real_frames_pass_the_data_checks_and_the_planted_range_does_not() -> None:
    pytest.importorskip("ale_py")
    scale = Scale(frames=160, held=40)
    frames = load_frames(scale.game, scale.frames, 1)
    assert frames.gray.shape == (160, 84, 84)
    assert frames.gray.std() > 5
    for run in RUNS:
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
