"""Triage by its command: frames, model, sampler, training and data combined, each with answer and exit status."""

from __future__ import annotations

import html
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sampler_harness.cli import main

from . import small_pipeline as pipeline

HERE = "tests.programs.small_pipeline"
#: What a pipeline declares that had everything looked at.
ALL = ("training", "batches")


@dataclass(frozen=True)
class Row:
    """One combination.

    Attributes:
        name: short.
        cause: that triage names; empty where it refuses the call.
        status: how the command exits.
        says: what its answer holds, of which nothing may be missing.
        frames: of ``--data``.
        model: the loader of ``--model``.
        sampler: the declared one.
        others: the other declarations.
        options: further words of the command line.
        keeps: a part of the pipeline to its row's state.
        checkpoints: whether two are given.
        slow: whether a diagnosis runs.
    """

    name: str
    cause: str
    status: int
    says: tuple[str, ...]
    frames: str = "frames"
    model: str = "load"
    sampler: str = "sampler"
    others: tuple[str, ...] = ALL
    options: tuple[str, ...] = ()
    keeps: tuple[tuple[str, str], ...] = ()
    checkpoints: bool = False
    slow: bool = True


def _refused(name: str, *says: str, **given: Any) -> Row:
    return Row(name, "", 2, says, slow=False, **given)


TABLE = (
    # Everything is right.
    Row("all sound", "none", 0, ("Nothing found: no check fails, and",)),
    Row("all sound, only the sampler declared", "none", 0, ("Nothing found in what was looked at",), others=()),
    # Frames.
    _refused("frames uint8", "0 to 255", "[-1, 1], declared by batches", "x / 127.5 - 1", frames="frames_uint8"),
    _refused("frames in [0, 255]", "0 to 255", "x / 127.5 - 1", frames="frames_255"),
    _refused("frames in [0, 255], nothing declared", "std 5,", "x / 127.5 - 1", frames="frames_255", others=()),
    _refused("frames in [0, 1]", "50.0% of the range [-1, 1]", "2 * x - 1", frames="frames_unit"),
    _refused(
        "frames in [0, 1], nothing declared", "the samples are what 2 * x - 1 would make of your frames",
        frames="frames_unit", others=(),
    ),
    _refused(
        "frames in [0, 1], another model", "the frames are in other units", frames="frames_unit", model="load_blurred"
    ),
    _refused("frames standardised", "far outside of [-1, 1]", frames="frames_standardised"),
    _refused("frames with NaN", "NaN or infinity, first in frame 3", frames="frames_broken"),
    _refused(
        "frames that cannot be had", "FileNotFoundError: episode_17.npz", "small_pipeline.py, line ", "in frames_gone",
        frames="frames_gone",
    ),
    Row(
        "two frames and noise", "unknown", 3, ("Cannot tell yet: 2 frames do not say", "Give more frames"),
        frames="two_frames", model="load_very_noisy",
    ),
    # Data.
    Row(
        "data in [0, 1]", "data", 1, ("The data is at fault: data/contrast", "50.0% of the range"),
        others=("training", "batches_unit"),
    ),
    Row(
        "data and frames in [0, 1]", "data", 1, ("The data is at fault: data/contrast", "50.0% of the range"),
        frames="frames_unit", others=("training", "batches_unit"),
    ),
    _refused(
        "data that cannot be had", "FileNotFoundError: train_000.npz", "in batches_gone",
        others=("training", "batches_gone"),
    ),
    # Model.
    Row(
        "a blurred model", "capacity", 1, ("Both samplers lose detail", "the model is to blame"),
        model="load_blurred", keeps=(("data", "sound"), ("training", "sound"), ("sampler", "sound")),
    ),
    Row(
        "a blurred model, nothing else declared", "unknown", 3,
        ("Cannot tell yet: look at the data and the training path", "@data_under_test", "@training_under_test"),
        model="load_blurred", others=(), keeps=(("capacity", "cannot tell"),),
    ),
    Row(
        "a blurred model, no training declared", "unknown", 3,
        ("Cannot tell yet: look at the training path", "the training path was not looked at"),
        model="load_blurred", others=("batches",),
    ),
    Row("a model that leaves noise", "capacity", 1, ("leave noise in place of detail", "times"), model="load_noisy"),
    Row("a model of NaN", "capacity", 1, ("The model is at fault", "NaN"), model="load_nan"),
    _refused(
        "a model that raises", "KeyError: 'no embedding for this level'", "in model: raise KeyError", "told 0.0",
        model="load_raising",
    ),
    _refused("a model of another shape", "returned (16, 1, 16, 15)", "should be (16, 1, 16, 16)", model="load_narrow"),
    _refused("a loader that raises", "Missing key(s)", "in load_absent: raise RuntimeError", model="load_absent"),
    Row(
        "an average that never moved", "training", 1,
        ("early.pt and late.pt give the model the same weights", "model changed, ema did not", "the average that is"),
        model="load_average", checkpoints=True, keeps=(("training", "at fault"),),
    ),
    # Training.
    Row(
        "training adds less noise", "training", 1,
        ("The training path is at fault", "training/forward-backward-consistent"),
        others=("adds_less_noise", "batches"),
    ),
    # Sampler.
    Row(
        "a sampler tells twice the level", "sampler", 1,
        ("The sampler is at fault: law/times", "one line changed: `return 2.0 * float(sigma)`", "told=2.0)"),
        sampler="tells_twice_the_level",
    ),
    Row(
        "a sampler clamps", "sampler", 1,
        ("The sampler is at fault", "the returned sample is clamped to ±0.2", "small_pipeline.py, line", "x.clamp("),
        sampler="clamps_the_sample",
    ),
    Row("a sampler crashes", "sampler", 1, ("OSError", "the disk is gone"), sampler="crashes"),
    Row(
        "a sampler deviates by nothing, a blurred model", "capacity", 1,
        ("the model is to blame", "deviates, which costs no detail here: law/times"),
        sampler="tells_a_little_more", model="load_blurred", keeps=(("sampler", "remark"),),
    ),
    Row(
        "a sampler does otherwise than the checks see", "unknown", 3,
        ("the sampler conforms as declared, but with your model",), sampler="other_for_large_batches",
        keeps=(("sampler", "cannot tell"),),
    ),
    # Sequences.
    Row(
        "sequences", "none", 0, ("Nothing found", "of 2 to 4 steps"), frames="motions", model="load_motions",
        sampler="motion_sampler", others=(),
    ),
    Row(
        "sequences, a model of slow ones", "unknown", 3, ("Both samplers lose detail", "of 2 to 4 steps"),
        frames="motions", model="load_slow_motions", sampler="motion_sampler", others=(),
    ),
    _refused("sequences for a sampler of pictures", "are no pictures", "shapes=[(2, time", frames="motions"),
    _refused("pictures for a sampler of sequences", "is declared for sequences", sampler="motion_sampler"),
    # Configuration.
    Row(
        "few steps", "configuration", 1, ("It is the configuration", "EDM(num_steps=3", "Take more steps"),
        options=("--steps", "3"),
    ),
    _refused("steps beyond the declaration", "num_steps=50 is not among what", options=("--steps", "50")),
    _refused("steps that nobody knows", "num_steps is declared as 20 to 40", "--steps N", sampler="steps_unknown"),
    Row(
        "steps that are told", "none", 0, ("EDM(num_steps=30",), sampler="steps_unknown", options=("--steps", "30"),
    ),
)  # fmt: skip


def _marked(row: Row) -> Any:
    return pytest.param(row, id=row.name.replace(" ", "-"), marks=[pytest.mark.slow] if row.slow else [])


@pytest.mark.parametrize("row", [_marked(row) for row in TABLE])
def test_each_combination_has_its_answer(row: Row, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = tmp_path / "told.json"
    words = [f"{HERE}:{row.sampler}", *(f"{HERE}:{name}" for name in row.others)]
    words += ["--model", f"{HERE}:{row.model}", "--data", f"{HERE}:{row.frames}", "--budget", "quick"]
    page = tmp_path / "why.html"
    words += [*row.options, "--json", str(told), "--html", str(page)]
    if row.checkpoints:
        words += [word for place in pipeline.write_checkpoints(tmp_path) for word in ("--checkpoint", str(place))]
    status = main(words)
    shown = capsys.readouterr()
    text = " ".join((shown.out + shown.err).split())
    assert status == row.status, text
    assert all(one in text for one in row.says), text
    assert "%" not in text or all(float(word) <= 200 for word in _percents(text)), text
    if row.status == 2:
        assert shown.err.startswith("check-sampler: ")
        assert shown.err.count("\n") == 1
        return
    verdict = json.loads(told.read_text(encoding="utf-8"))[0]
    assert verdict["cause"] == row.cause
    assert verdict["status"] == status
    states = {step["name"]: step["state"] for step in verdict["steps"]}
    for part, state in row.keeps:
        assert states[part] == state
    _check_no_contradiction(verdict, states)
    shown_page = html.unescape(page.read_text(encoding="utf-8"))
    told_once = [verdict["summary"], verdict["configuration"], verdict["frames"]]
    for text in (*told_once, *verdict["advice"], *verdict["notes"]):
        assert text in shown_page
    assert all(stage["checkpoint"] in shown_page for stage in verdict["stages"] if stage["checkpoint"])


def _percents(text: str) -> list[str]:
    words = text.split()
    return [before for before, after in itertools.pairwise(words) if after.startswith("%")]


def _check_no_contradiction(verdict: Any, states: dict[str, str]) -> None:
    """Headline, rows and status say one thing."""
    cause, summary = verdict["cause"], verdict["summary"]
    blamed = {part for part, state in states.items() if state in ("at fault", "suspect")}
    if cause in states:
        assert cause in blamed
    else:
        assert not blamed, "a row blames what the headline does not"
    if cause == "capacity":
        assert states["data"] == states["training"] == "sound", "the model is named, and what made it was not looked at"
    else:
        assert "the model is to blame" not in summary
        assert states["capacity"] != "suspect"
    if cause == "none":
        assert set(states.values()) <= {"sound", "remark", "not looked at"}
    assert ("Cannot tell yet" in summary) == (cause == "unknown")
    assert verdict["configuration"].startswith("EDM(num_steps=")
    assert verdict["advice"]
