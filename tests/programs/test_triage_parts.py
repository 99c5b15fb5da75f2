"""Parts of triage: which configuration is run, which frames are refused, what checkpoints tell, the best clue."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import nn

from reference_samplers import DDIM, DDPM, EDM, EDMTraining, FlowEuler
from sampler_harness import data_under_test, preprocess_under_test, sampler_under_test, training_under_test
from sampler_harness.detail.spectrum import Array, retained, retained_error
from sampler_harness.subject import Subject
from sampler_harness.triage.answer import answer
from sampler_harness.triage.checkpoints import equal_checkpoints, still_averages
from sampler_harness.triage.clue import clamped, step_at_fault
from sampler_harness.triage.configuration import chosen_configuration
from sampler_harness.triage.experiment import Experiment, Side, compare_samplers
from sampler_harness.triage.telling import kept_text, share_text
from sampler_harness.triage.triage import Unusable, triage
from sampler_harness.triage.units import change_of_units, declared_units
from sampler_harness.triage.verdict import Stage, Step
from sampler_harness.verdict import Coverage, Diagnosis, Edit, Explanation, Finding, Place, Verdict

from . import small_pipeline as pipeline


def declared(reference: Any, **fields: Any) -> Subject:
    @sampler_under_test(reference, **fields)
    def subject(model: Any, shape: Any, config: Any, *, device: Any, dtype: Any) -> Any:
        raise NotImplementedError

    return subject


# Which configuration is run.


@pytest.mark.parametrize(
    ("subject", "given", "told", "unsaid"),
    [
        (declared(EDM, num_steps=7), {}, "EDM(num_steps=7)", ()),
        (declared(EDM, num_steps=st.integers(2, 40)), {}, "EDM(num_steps=18)", ("num_steps",)),
        (declared(EDM, num_steps=st.integers(2, 40)), {"num_steps": 30}, "EDM(num_steps=30)", ()),
        (declared(EDM, s_churn=st.floats(0, 40)), {}, "EDM(num_steps=18)", ("s_churn",)),
        (declared(EDM), {"num_steps": 30}, "EDM(num_steps=30)", ()),
        (declared(EDM, num_steps=st.sampled_from([25, 50])), {}, "EDM(num_steps=25)", ("num_steps",)),
        (declared(DDIM, num_steps=st.none() | st.integers(1, 50)), {}, "DDIM(num_steps=1000)", ("num_steps",)),
        (declared(DDIM, num_steps=st.integers(1, 50)), {"num_steps": 40}, "DDIM(num_steps=40)", ()),
        (declared(DDPM, timesteps=(999, 500, 0)), {}, "DDPM(num_steps=3, timesteps=(999, 500, 0))", ()),
    ],
)  # fmt: skip
def test_what_is_sampled_with_is_what_is_run(subject: Subject, given: Any, told: str, unsaid: tuple[str, ...]) -> None:
    chosen = chosen_configuration(subject, given)
    assert chosen.told == told
    assert chosen.unsaid == unsaid
    assert ("by default: if you sample otherwise" in chosen.sentence) == bool(unsaid)


def test_a_field_that_is_not_declared_is_checked_too_where_it_is_given() -> None:
    assert chosen_configuration(declared(EDM), {"s_churn": 10.0}).subject.fields["s_churn"] == 10.0


@pytest.mark.parametrize(
    ("subject", "given", "words"),
    [
        (declared(EDM, num_steps=st.integers(20, 40)), {}, "num_steps is declared as 20 to 40.*--steps N"),
        (declared(DDIM, num_steps=st.integers(1, 50)), {}, "None by default, outside of it.*--steps N"),
        (declared(EDM, sigma_max=st.floats(1, 10)), {}, "sigma_max is declared as 1 to 10.*--set sigma_max=VALUE"),
        (declared(EDM, num_steps=7), {"num_steps": 9}, "declares num_steps=7, and you sample with 9"),
        (declared(EDM, num_steps=st.integers(2, 9)), {"num_steps": 50}, "not among what"),
        (declared(EDM, num_steps=st.integers(2, 9)), {"num_steps": 2.5}, "not among what"),
        (declared(EDM), {"steps": 9}, "no field 'steps'; did you mean 'num_steps'"),
        (declared(EDM), {"num_steps": 0}, "cannot be run as asked: num_steps"),
    ],
)
def test_a_configuration_that_only_the_user_knows_is_asked_for(subject: Subject, given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        chosen_configuration(subject, given)


# Which frames are refused.


def _pictures(low: float, high: float, seed: int = 3) -> Array:
    """Even areas and edges in gray levels from low to high, both of which occur."""
    source = np.random.Generator(np.random.PCG64(seed))
    frames = np.kron(source.integers(0, 256, (8, 1, 4, 4)), np.ones((1, 1, 6, 6)))
    frames[:, :, 0, :2] = 0, 255
    values: Array = low + frames / 255 * (high - low)
    return values


def _gray_levels(contrast: float, lowest: int) -> Array:
    """Whole gray levels of a scene that fills a part of them."""
    levels: Array = np.rint(lowest + contrast * _pictures(0, 255))
    return levels


def _sharpened(frames: Array) -> Array:
    """With edges that overshoot, as some kernels make them."""
    blurred = (np.roll(frames, 1, axis=3) + frames + np.roll(frames, -1, axis=3)) / 3
    sharp: Array = frames + 0.2 * (frames - blurred)
    return sharp


def _units(frames: Array, subject: Subject, *data: Any, training: Any = None, dtype: str = "float32") -> str:
    config = chosen_configuration(subject, {}).config
    return declared_units(frames, dtype, subject, config, data, training).problem


_BATCHES = data_under_test(range="[-1,1]")(lambda: [])
_UNIT_BATCHES = data_under_test(range="[0,1]")(lambda: [])
_ANY_BATCHES = data_under_test(range=None)(lambda: [])
_LATENTS = data_under_test(latent_scale=0.18215, channels=4)(lambda: [])


@preprocess_under_test(range="[-1,1]", size=(24, 24))
def _to_model(frame: Any) -> Any:
    raise NotImplementedError


@training_under_test(EDMTraining, sigma_data=0.3)
def _narrow_training(model: Any, x0: Any, config: Any) -> Any:
    raise NotImplementedError


SOUND_UNITS: dict[str, tuple[Any, ...]] = {
    "pictures in the declared range": (_pictures(-1, 1), declared(EDM), _BATCHES),
    "pictures in [0, 1], declared so": (_pictures(0, 1), declared(EDM), _UNIT_BATCHES),
    "pictures, declared by the way to them": (_pictures(-1, 1), declared(EDM), _to_model),
    "pictures, no range declared": (_pictures(-1, 1), declared(EDM), _ANY_BATCHES),
    "pictures in [0, 1], nothing declared": (_pictures(0, 1), declared(EDM)),
    "pictures in gray levels, a sampler made for them": (
        _pictures(0, 255), declared(EDM, sigma_max=20_000.0, sigma_min=0.5),
    ),
    "pictures in gray levels, declared so": (
        _pictures(0, 255), declared(EDM, sigma_max=20_000.0), data_under_test(range="[0,255]")(lambda: []),
    ),
    "nearly black pictures, dark in [-1, 1]": (0.002 * (_pictures(-1, 1) + 1) - 1, declared(DDPM)),
    "pictures, a run that starts from little noise": (_pictures(-1, 1), declared(EDM, sigma_max=0.5), _BATCHES),
    "dark pictures": (_gray_levels(0.1, 0) / 127.5 - 1, declared(EDM), _BATCHES),
    "bright pictures": (_gray_levels(0.3, 178) / 127.5 - 1, declared(EDM), _BATCHES),
    "black and white": (np.where(_pictures(-1, 1) > 0, 1.0, -1.0), declared(EDM), _BATCHES),
    "pictures that overshoot a little": (_sharpened(_pictures(-1, 1)), declared(EDM), _BATCHES),
    "pictures, a sampler that clamps": (_pictures(-1, 1), declared(DDPM, clip_denoised=True)),
    "pictures in [0, 1], a sampler that clamps": (_pictures(0, 1), declared(DDPM, clip_denoised=True), _UNIT_BATCHES),
    "pictures, a sample clamped from below": (_pictures(-1, 1), declared(EDM, output_clip=(-1, np.inf)), _BATCHES),
    "pictures for a flow": (_pictures(-1, 1), declared(FlowEuler, num_steps=9), _BATCHES),
    "latents": (
        np.random.Generator(np.random.PCG64(1)).standard_normal((8, 4, 16, 16)), declared(EDM, sigma_data=1.0),
        _LATENTS,
    ),
    "pictures beside a network's sigma_data": (_pictures(-1, 1), declared(EDM, model_kind="network"), _BATCHES),
}  # fmt: skip
OTHER_UNITS: dict[str, tuple[Any, ...]] = {
    "gray levels, [-1, 1] declared": (_pictures(0, 255), declared(EDM), _BATCHES),
    "gray levels, [0, 1] declared": (_pictures(0, 255), declared(EDM), _UNIT_BATCHES),
    "gray levels, [-1, 1] declared by the way to them": (_pictures(0, 255), declared(EDM), _to_model),
    "[0, 1], [-1, 1] declared": (_pictures(0, 1), declared(EDM), _BATCHES),
    "standardised": (_pictures(-2.2, 2.4), declared(EDM), _BATCHES),
    "gray levels, declared so, beside sigma_data": (
        _pictures(0, 255), declared(EDM, sigma_data=0.5), data_under_test(range="[0,255]")(lambda: []),
    ),
    "gray levels, the sampler clamps": (_pictures(0, 255), declared(DDPM, clip_denoised=True)),
    "gray levels, the sample is clamped": (_pictures(0, 255), declared(EDM, sigma_max=20_000.0, output_clip=1.0)),
    "gray levels, nothing declared of a chain": (_pictures(0, 255), declared(DDPM)),
    "gray levels, nothing declared of a flow": (_pictures(0, 255), declared(FlowEuler, num_steps=9)),
    "gray levels, nothing declared of EDM": (_pictures(0, 255), declared(EDM)),
    "gray levels, beside a network's sigma_data": (_pictures(0, 255), declared(EDM, model_kind="network")),
    "divided by 255 twice, beside sigma_data": (_pictures(0, 1) / 255, declared(EDM, sigma_data=0.5)),
    "latents whose scale is forgotten": (
        5.5 * np.random.Generator(np.random.PCG64(1)).standard_normal((8, 4, 16, 16)), declared(EDM), _LATENTS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND_UNITS)
def test_frames_in_their_units_are_not_refused(name: str) -> None:
    assert _units(*SOUND_UNITS[name]) == ""


@pytest.mark.parametrize("name", OTHER_UNITS)
def test_frames_in_other_units_are_refused(name: str) -> None:
    assert _units(*OTHER_UNITS[name])


def test_a_training_step_says_which_spread_its_model_is_made_for() -> None:
    config = chosen_configuration(declared(EDM)).config
    told = declared_units(_pictures(-1, 1), "float32", declared(EDM), config, (), _narrow_training)
    assert not told.problem
    assert "sigma_data of the training step is 0.3" not in "".join(told.remarks)
    told = declared_units(0.2 * _pictures(-1, 1), "float32", declared(EDM), config, (), _narrow_training)
    assert "sigma_data of the training step is 0.3" in told.remarks[0]


def _experiment(sample: Array, frames: Array) -> Experiment:
    """An experiment whose reference made a sample."""
    config = EDM(num_steps=2, sigma_max=5.0, sigma_min=0.01)
    made = compare_samplers(pipeline.sampler, lambda x, sigma: x, frames, config=config)
    reference = dataclasses.replace(made.reference, sample=sample)
    kept = retained(sample, frames)
    return dataclasses.replace(made, reference=reference, kept_reference=kept, error=retained_error(sample, frames))


def test_samples_tell_a_change_of_units_and_nothing_else_does() -> None:
    frames, other = pipeline.frames_unit(), pipeline.gray(32)[16:] / 127.5 - 1
    assert "2 * x - 1" in change_of_units(frames, _experiment(other, frames))
    assert "x / 127.5 - 1" in change_of_units(pipeline.frames_255(), _experiment(other, pipeline.frames_255()))
    assert change_of_units(pipeline.frames(), _experiment(other, pipeline.frames())) == ""
    noise = np.random.Generator(np.random.PCG64(2)).standard_normal(frames.shape)
    others: list[Any] = [
        frames + 0.3 * noise,
        0.5 * frames + 0.25,
        2 * frames - 0.5,
        noise,
        np.full_like(frames, 0.5),
    ]
    for wrong in others:
        assert change_of_units(frames, _experiment(wrong, frames)) == ""


# What checkpoints tell.


def _stage(name: str, weights: str) -> Stage:
    empty = Side("own", np.zeros((0, 0, 0, 0, 0)), np.zeros((0, 0, 0, 0, 0)), np.zeros(0), None)
    return Stage(name, Experiment(empty, empty, EDM(), True, None, None, (), None), weights=weights)


def _saved(folder: Path, **held: Any) -> Path:
    path = folder / f"{len(list(folder.iterdir()))}.pt"
    torch.save(held, path)
    return path


def test_equal_checkpoints_are_told_with_what_moved_in_their_files(tmp_path: Path) -> None:
    one, other = nn.Linear(2, 2).state_dict(), nn.Linear(2, 2).state_dict()
    alike, apart = [_stage("a.pt", "1"), _stage("b.pt", "1")], [_stage("a.pt", "1"), _stage("b.pt", "2")]
    average = [_saved(tmp_path, model=one, ema=one), _saved(tmp_path, model=other, ema=one)]
    assert "model changed, ema did not: the average that is loaded never moved" in equal_checkpoints(alike, average)
    frozen = [_saved(tmp_path, model=one, optimizer=one), _saved(tmp_path, model=one, optimizer=other)]
    assert "optimizer changed, model did not: what is loaded was never trained" in equal_checkpoints(alike, frozen)
    same = [_saved(tmp_path, model=one), _saved(tmp_path, model=one)]
    assert "what is saved does not change" in equal_checkpoints(alike, same)
    same[1].write_bytes(same[0].read_bytes())
    assert "what is saved does not change" in equal_checkpoints(alike, same)
    flat = [_saved(tmp_path, **one), _saved(tmp_path, **other)]
    assert "the loader does not load them" in equal_checkpoints(alike, flat)
    for number, content in enumerate((b"some", b"other")):
        (tmp_path / f"raw{number}").write_bytes(content)
    assert "though the files differ" in equal_checkpoints(alike, [tmp_path / "raw0", tmp_path / "raw1"])
    assert "does the loader read the file" in equal_checkpoints(alike, [tmp_path / "no", tmp_path / "nor"])
    assert equal_checkpoints(apart, average) == ""
    assert "from 0.pt to 1.pt ema never moves in the files, while model does" in still_averages(average)
    assert still_averages(frozen) == still_averages(average[:1]) == still_averages(flat) == ""
    assert equal_checkpoints([_stage("a.pt", "1"), Stage("b.pt", None, problem="gone")], average) == ""


def test_a_checkpoint_that_is_given_twice_is_refused() -> None:
    with pytest.raises(Unusable, match="given twice"):
        triage(model=pipeline.load, data=pipeline.frames(), sampler=pipeline.sampler, checkpoints=["one.pt", "one.pt"])


# What is refused in a sentence.


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros((8, 16, 7)), "are no pictures.*Sequences"),
        ([np.zeros((16, 7))] * 3, "are no pictures.*Sequences"),
        ("frames.npz", "no numbers"),
        (np.full((8, 1, 16, 16), 0.5), "no detail at all of 2 to 4 px"),
    ],
)
def test_what_is_no_picture_is_refused(data: Any, words: str) -> None:
    with pytest.raises(Unusable, match=words):
        triage(model=pipeline.load(None), data=data, sampler=pipeline.sampler)


def test_a_loader_that_returns_no_model_is_told() -> None:
    with pytest.raises(Unusable, match=r"NoneType, should be callable.*does the loader return it"):
        triage(model=lambda path: None, data=pipeline.frames(), sampler=pipeline.sampler, checkpoints=["one.pt"])


# The best clue.


def _verdict(diagnosis: Diagnosis | None) -> tuple[Verdict, Finding]:
    place = Place("mine.py", 12, "sample", "x = x + d")
    finding = Finding("law/outputs", "failed", "row 1 is off\nlook at: mine.py", {"step": 1}, place=place)
    return Verdict("mine.py:s", "EDM", (finding,), Coverage(), 1.0, "quick", "cpu", diagnosis=diagnosis), finding


def _explained(sampler: str) -> Explanation:
    edit = Edit("edm.py", 9, "d = f(x)  # line 7", sampler)
    return Explanation("your sampler is EDM with one line changed", (edit,), diff="- d\n+ e")


@pytest.mark.parametrize(
    ("diagnosis", "words"),
    [
        (None, "Look at mine.py, line 12, in sample: x = x + d"),
        (Diagnosis(True, (_explained("d = g(x)"),)), "with one line changed: `d = g(x)` where it has `d = f(x)`."),
        (Diagnosis(True, (_explained(""),)), "with one line changed: without `d = f(x)`."),
        (Diagnosis(False, (_explained("d = g(x)"),)), "Perhaps (not sure): Your sampler is EDM"),
        (Diagnosis(False, (_explained("d = g(x)"), _explained("d = h(x)"))), "One of several: Your sampler is EDM"),
        (Diagnosis(False, observed=("what it predicts is clamped to ±1",)), "What it predicts is clamped to ±1."),
        (Diagnosis(False, near=(_explained("d = g(x)"),)), "Look at mine.py"),
    ],
)
def test_the_best_clue_of_the_checks_is_kept(diagnosis: Diagnosis | None, words: str) -> None:
    verdict, finding = _verdict(diagnosis)
    step = step_at_fault("sampler", verdict, finding, (verdict,))
    assert words in step.clue
    assert "Look at mine.py, line 12" in step.clue
    assert step.headline == "law/outputs: row 1 is off"
    assert step.remedy
    if diagnosis is not None and not diagnosis.answers and diagnosis.near:
        assert "g(x)" not in step.clue, "what explains a part is no clue to the whole"


def test_samples_that_pile_up_at_their_ends_are_told() -> None:
    frames = pipeline.frames()
    made = _experiment(frames, frames)
    soft: Array = np.asarray(np.random.Generator(np.random.PCG64(4)).standard_normal(frames.shape))
    reference = dataclasses.replace(made.reference, sample=soft)

    def told(own: Array) -> str:
        side = dataclasses.replace(made.own, sample=own)
        return clamped(dataclasses.replace(made, own=side, reference=reference))

    assert "are exactly -1 or 0.5, the reference's are not" in told(soft.clip(-1, 0.5))
    assert told(soft) == told(soft + 0.1) == ""


# Figures that a person can read, and the frames that carry them.


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (0.0, "0 %"), (0.001, "less than 1 %"), (0.96, "96 %"), (1.4, "140 %"), (2.4, "2.4 times"),
        (26.73, "27 times"), (65_025.0, "more than 10,000 times"), (float("inf"), "more than 10,000 times"),
    ],
)  # fmt: skip
def test_shares_are_told_as_a_person_reads_them(share: float, told: str) -> None:
    assert share_text(share) == told
    assert told in kept_text([share], ["2 to 4 px"])


def _steps() -> list[Step]:
    return [Step(name, "sound", f"{name} is sound") for name in ("data", "training", "sampler", "capacity")]


def _kept(share: float, error: float, count: int) -> Stage:
    sample = np.zeros((count, 1, 8, 8))
    side = Side("own", sample[None], sample[None], np.zeros(1), sample)
    return Stage("", Experiment(side, side, EDM(), True, (share,) * 3, (share,) * 3, (error,) * 3, 0.0))


@pytest.mark.parametrize(
    ("share", "error", "count", "cause"),
    [
        (1.0, 0.1, 16, "none"),
        (0.9, 0.2, 16, "none"),
        (0.3, 0.05, 16, "capacity"),
        (26.7, 7.0, 16, "capacity"),
        (1.6, 0.3, 16, "none"),
        (26.7, 7.0, 2, "unknown"),
        (1.2, 0.3, 2, "none"),
        (3.0, float("inf"), 1, "unknown"),
    ],
)
def test_a_share_is_judged_by_factors(share: float, error: float, count: int, cause: str) -> None:
    """27 times the power is no chance of a few frames, however wide its error is in itself."""
    names = ("2 to 4 px", "4 to 8 px", "8 to 16 px")
    assert answer(_steps(), _kept(share, error, count), names, ()).cause == cause


@pytest.mark.parametrize(
    ("share", "error", "possible", "cause"),
    [
        (0.5, 0.02, 0.5, "configuration"),
        (6.5, 0.3, 6.5, "configuration"),
        (0.7, 0.2, 0.6, "none"),
        (1.0, 0.02, 1.33, "none"),
        (0.9, 0.02, 1.33, "none"),
        (0.6, 0.02, 1.33, "capacity"),
        (3.0, 0.02, 0.7, "capacity"),
    ],
)
def test_the_configuration_is_named_for_what_it_does_itself(
    share: float, error: float, possible: float, cause: str
) -> None:
    """Where a perfect model would leave noise, detail that is lost has another cause."""
    names = ("2 to 4 px", "4 to 8 px", "8 to 16 px")
    assert answer(_steps(), _kept(share, error, 16), names, (possible,) * 3).cause == cause
