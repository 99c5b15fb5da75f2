"""Triage: each cause is named where it was planted, and where nothing can be told it says so."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference_samplers import EDM
from sampler_harness.cli import main
from sampler_harness.detail.baselines import linear_error
from sampler_harness.detail.retention import power_law
from sampler_harness.detail.spectrum import retained, retained_error
from sampler_harness.subject import Subject
from sampler_harness.triage.command import one_of_each
from sampler_harness.triage.experiment import compare_samplers
from sampler_harness.triage.telling import render
from sampler_harness.triage.triage import Unusable, triage

from . import small_world as world
from .small_world import FIELDS, SIZE, STD, Perfect, frames


def test_a_sound_run_is_cleared() -> None:
    verdict = triage(
        model=Perfect(), data=frames(), sampler=world.sound, training=world.sound_step, data_stream=world.sound_data
    )
    assert verdict.cause == "none", verdict.summary
    assert [s.state for s in verdict.steps] == ["sound"] * 4
    experiment = verdict.stages[0].experiment
    assert experiment is not None
    assert experiment.same_draws
    assert experiment.apart is not None
    assert experiment.apart < 1e-3


@pytest.mark.slow
def test_the_sampler_is_named() -> None:
    verdict = triage(
        model=Perfect(),
        data=frames(),
        sampler=world.tells_twice_the_level,
        training=world.sound_step,
        data_stream=world.sound_data,
    )
    assert verdict.cause == "sampler"
    assert "law/times" in verdict.summary
    experiment = verdict.stages[0].experiment
    assert experiment is not None
    assert experiment.kept_own is not None
    assert experiment.kept_reference is not None
    # A model that is told twice the level takes detail for noise.
    assert experiment.kept_own[0] < 0.8 < experiment.kept_reference[0]


@pytest.mark.slow
def test_the_training_path_is_named() -> None:
    verdict = triage(
        model=Perfect(),
        data=frames(),
        sampler=world.sound,
        training=world.adds_less_noise,
        data_stream=world.sound_data,
    )
    assert verdict.cause == "training"
    assert "training/forward-backward-consistent" in verdict.summary


def test_the_data_are_named() -> None:
    verdict = triage(
        model=Perfect(), data=frames(), sampler=world.sound, training=world.sound_step, data_stream=world.unit_range
    )
    assert verdict.cause == "data"
    assert "data/normalisation" in verdict.summary


def test_a_model_that_knows_no_detail_is_named() -> None:
    verdict = triage(
        model=Perfect(blur=0.2),
        data=frames(),
        sampler=world.sound,
        training=world.sound_step,
        data_stream=world.sound_data,
    )
    assert verdict.cause == "capacity"
    assert verdict.summary.startswith("Both samplers lose detail")


def test_noise_that_is_left_is_not_taken_for_detail() -> None:
    def leaves_noise(x: Tensor, sigma: Tensor) -> Tensor:
        answer: Tensor = 0.9 * Perfect()(x, sigma) + 0.1 * x
        return answer

    verdict = triage(
        model=leaves_noise,
        data=frames(),
        sampler=world.sound,
        training=world.sound_step,
        data_stream=world.sound_data,
    )
    assert verdict.cause == "capacity"
    assert "leave noise in place of detail" in verdict.summary
    kept = verdict.stages[0].experiment.kept_reference  # type: ignore[union-attr]
    assert kept is not None
    assert kept[0] > 2


def test_the_error_of_a_share_is_what_other_frames_would_make_of_it() -> None:
    data, count = frames(256), 16
    samples = frames(512)[256:]
    shares = [retained(samples[n : n + count], data[n : n + count]) for n in range(0, 256, count)]
    told = [retained_error(samples[n : n + count], data[n : n + count]) for n in range(0, 256, count)]
    seen = np.std(shares, axis=0, ddof=1)
    assert np.all(np.abs(np.mean(told, axis=0) / seen - 1) < 0.5)
    assert retained_error(samples[:1], data[:1]) == (float("inf"),) * len(shares[0])


@pytest.mark.slow
def test_an_octave_that_other_frames_would_put_elsewhere_is_no_fault() -> None:
    """Two frames alone say little about how much detail is kept."""
    few = [
        triage(
            model=Perfect(),
            data=frames(256)[n : n + 2],
            sampler=world.sound,
            training=world.sound_step,
            data_stream=world.sound_data,
        )
        for n in range(0, 16, 2)
    ]
    assert {verdict.cause for verdict in few} == {"none"}
    assert any("another choice of frames" in verdict.summary for verdict in few)


@pytest.mark.slow
def test_a_sampler_that_keeps_something_between_runs_is_named_and_its_stages_are_its_own_runs() -> None:
    """The model is sampled before the checks run the sampler hundreds of times."""
    verdict = triage(
        model=lambda path: Perfect(),
        data=frames(),
        sampler=world.remembers_its_runs(),
        checkpoints=["one.pt", "two.pt", "three.pt"],
        training=world.sound_step,
        data_stream=world.sound_data,
    )
    assert verdict.cause == "sampler"
    assert "state/rerun" in verdict.summary
    kept = [stage.experiment.kept_own[0] for stage in verdict.stages]  # type: ignore[union-attr, index]
    assert kept[0] > 0.9
    assert kept[0] > kept[1] > kept[2]


def test_what_was_not_declared_is_not_cleared() -> None:
    verdict = triage(model=Perfect(blur=0.2), data=frames(), sampler=world.sound)
    assert verdict.cause in ("capacity", "unknown")
    verdict = triage(model=Perfect(blur=0.45), data=frames(), sampler=world.sound)
    if verdict.cause == "unknown":
        assert "declare it" in verdict.summary
    assert [s.state for s in verdict.steps[:2]] == ["not looked at"] * 2


def test_a_sampler_that_conforms_but_behaves_otherwise_is_not_decided() -> None:
    """Declared and run are two things: only the declared one was checked."""
    other = dataclasses.replace(world.sound, function=world.tells_twice_the_level.function)
    assert isinstance(other, Subject)
    experiment = compare_samplers(other, Perfect(), frames(), config=EDM(**FIELDS))
    assert experiment.kept_own is not None
    assert experiment.kept_own[0] < 0.8


def test_a_sampler_may_call_its_network_by_another_name() -> None:
    def by_name(model: Any, shape: Any, config: Any, **named: Any) -> Any:
        return world.sound.function(model.method("denoise").denoise, shape, config, **named)

    other = dataclasses.replace(world.sound, function=by_name)
    experiment = compare_samplers(other, Perfect(), frames(), config=EDM(**FIELDS))
    assert experiment.own.problem is None
    assert experiment.apart is not None
    assert experiment.apart < 1e-3


def test_a_sampler_that_crashes_is_told_in_a_sentence() -> None:
    verdict = triage(model=Perfect(), data=frames(), sampler=world.crashes)
    assert verdict.cause == "sampler"
    assert "the disk is gone" in verdict.summary


def test_a_model_that_raises_at_some_level_is_told() -> None:
    def model(x: Tensor, sigma: Tensor) -> Tensor:
        if float(sigma.reshape(-1)[0]) < 1.0:
            raise RuntimeError("no table entry below 1")
        return x

    with pytest.raises(Unusable, match=r"no table entry below 1 \(.*test_triage.py, line \d+, in model: raise Runtime"):
        triage(model=model, data=frames(), sampler=world.sound)


def test_stages_are_told_one_by_one(tmp_path: Path) -> None:
    paths = []
    for name, blur in (("early", 0.2), ("late", 1.0)):
        paths.append(tmp_path / f"{name}.pt")
        torch.save(Perfect(blur).state_dict(), paths[-1])
    (tmp_path / "other.pt").write_bytes(b"")
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "other.pt")

    def load(path: str) -> nn.Module:
        model = Perfect()
        model.load_state_dict(torch.load(path, weights_only=True))
        return model

    verdict = triage(
        model=load, data=frames(), sampler=world.sound, checkpoints=[paths[0], tmp_path / "other.pt", paths[1]]
    )
    early, other, late = verdict.stages
    assert other.problem is not None
    assert "other.pt cannot be loaded" in other.problem
    assert "Missing key(s)" in other.problem
    assert early.experiment is not None
    assert late.experiment is not None
    assert early.experiment.kept_own is not None
    assert late.experiment.kept_own is not None
    assert early.experiment.kept_own[0] < 0.5 < late.experiment.kept_own[0]
    told = "\n".join(render(verdict))
    assert "early.pt" in told
    assert "linear filter" in told
    assert json.loads(json.dumps(verdict.to_json(), allow_nan=False))["stages"][1]["problem"]


def test_the_linear_filter_leaves_what_wiener_says() -> None:
    spectrum = power_law(SIZE, SIZE, std=STD)
    assert linear_error(spectrum, 1e-6) == pytest.approx(0.0, abs=1e-6)
    assert linear_error(spectrum, 1e6) == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros((0, 1, 8, 8)), "data are empty"),
        ([np.zeros((8, 8)), np.zeros((8, 9))], "different sizes"),
        (np.full((2, 1, 8, 8), np.nan), "NaN or infinity"),
    ],
)
def test_unusable_data_are_refused(data: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        triage(model=Perfect(), data=data, sampler=world.sound)


def test_one_sampler_must_be_named() -> None:
    with pytest.raises(ValueError, match="no sampler was named"):
        one_of_each([world.sound_step])
    with pytest.raises(ValueError, match="two declarations of a sampler"):
        one_of_each([world.sound, world.crashes])


def test_the_command_line_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, answer = tmp_path / "why.html", tmp_path / "why.json"
    here = "tests.programs.small_world"
    arguments = ["--model", f"{here}:load_perfect", "--data", f"{here}:frames", "--budget", "quick"]
    status = main([f"{here}:tells_twice_the_level", *arguments, "--html", str(page), "--json", str(answer)])
    assert status == 1
    assert "The sampler is at fault" in capsys.readouterr().out
    assert json.loads(answer.read_text())[0]["cause"] == "sampler"
    text = page.read_text(encoding="utf-8")
    assert "It is the sampler" in text
    assert "<svg" in text
    assert "http" not in text.replace("http://www.w3.org", "")
    assert main([f"{here}:sound", *arguments]) == 0
    assert main([f"{here}:sound", "--model", f"{here}:load_perfect"]) == 2
    assert main([f"{here}:sound", "--steps", "9"]) == 2
    assert main([f"{here}:sound", *arguments, "--checkpoint", str(tmp_path / "none.pt")]) == 2
