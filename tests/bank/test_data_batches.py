"""Batches under test: sound streams, however odd, are never flagged; faulty ones fail the check that fits."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from fixtures.faulty_data import FAULTY, Faulty
from fixtures.sound_data import SOUND, Sound
from fixtures.sound_data.frames import game, shaded
from sampler_harness import data_under_test
from sampler_harness.catalogue.data import DATA_CHECKS, PREPROCESSING_CHECKS
from sampler_harness.data.batches import DataEvidence
from sampler_harness.runner import check_sampler
from sampler_harness.subject import DeclarationError
from sampler_harness.subject.data import DataSubject

from .data_verdicts import atari_frames, failed, finding_of, told, verdict_of

STREAMS = [s for s in SOUND if ".batches:" in s.subject_path]
MISTAKES = [f for f in FAULTY if ".batches:" in f.subject_path]
#: A border on a logarithmic axis half way between right and wrong: neither is three times it.
HALF_WAY = {"batches-latents-unscaled", "batches-latents-scaled-twice"}


def declared(given: Any, /, **options: Any) -> DataSubject:
    def stream() -> Any:
        return given

    return data_under_test(**options)(stream)


def frames(count: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(game(count, seed=seed)[:, :1].copy()).float() / 127.5 - 1


def several(count: int = 8) -> list[torch.Tensor]:
    return [frames(seed=index) for index in range(count)]


@pytest.mark.parametrize("sound", STREAMS, ids=lambda s: s.name)
def test_a_sound_stream_passes_all(sound: Sound) -> None:
    verdict = verdict_of(sound.subject_path)
    assert verdict.conforms, told(verdict)
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3


@pytest.mark.parametrize("faulty", MISTAKES, ids=lambda f: f.name)
def test_a_faulty_stream_fails_what_fits(faulty: Faulty) -> None:
    verdict = verdict_of(faulty.subject_path)
    assert not verdict.conforms
    assert set(faulty.fails) <= set(failed(verdict)), told(verdict)
    for finding in verdict.findings:
        if finding.id in faulty.fails:
            assert finding.margin is not None
            assert finding.margin > (1.9 if faulty.name in HALF_WAY else 3)


def test_one_later_batch_with_other_channels_is_seen() -> None:
    colored = [batch.repeat(1, 3, 1, 1) for batch in several()]
    verdict = check_sampler(declared([*colored[:5], several()[5], *colored[6:]], channels=3))
    assert list(failed(verdict)) == ["data/channels"]


@pytest.mark.parametrize("faulty", MISTAKES, ids=lambda f: f.name)
def test_a_mistake_has_one_cause(faulty: Faulty) -> None:
    verdict = verdict_of(faulty.subject_path)
    causes = {f.id for f in verdict.findings if f.outcome in ("failed", "error") and f.consequence_of is None}
    assert causes <= set(faulty.fails)


@pytest.mark.parametrize("check", [info.id for info in DATA_CHECKS])
def test_every_check_fails_a_faulty_stream(check: str) -> None:
    assert any(check in failed(verdict_of(f.subject_path)) for f in MISTAKES if check in f.fails)


def test_the_bank_is_large_and_the_catalogue_whole() -> None:
    assert len(MISTAKES) >= 12
    rows = PREPROCESSING_CHECKS + DATA_CHECKS
    assert len({info.id for info in rows}) == len(rows)
    assert all(info.id.startswith("data/") for info in rows)


def test_evidence_is_json() -> None:
    for target in [f.subject_path for f in MISTAKES] + [s.subject_path for s in STREAMS]:
        for finding in verdict_of(target).findings:
            json.dumps(dict(finding.evidence), allow_nan=False)
            assert finding.margin is None or math.isfinite(finding.margin)
            compile(finding.reproduction, finding.id, "exec")


def ways(name: str) -> Callable[[Any], torch.Tensor]:
    """Ways in which a data set turns real frames into a model's input."""

    def gray(x: Any) -> torch.Tensor:
        weights = torch.tensor([0.299, 0.587, 0.114])
        return (torch.from_numpy(x).float() @ weights).round()[:, None]

    def resized(x: Any, **how: Any) -> torch.Tensor:
        return functional.interpolate(gray(x) / 127.5 - 1, size=(84, 84), **how)

    found: dict[str, Callable[[Any], torch.Tensor]] = {
        "colors": lambda x: torch.from_numpy(x).permute(0, 3, 1, 2).float() / 127.5 - 1,
        "gray": lambda x: gray(x) / 127.5 - 1,
        "rounded": lambda x: ((resized(x, mode="area") + 1) * 127.5).round() / 127.5 - 1,
        "antialiased": lambda x: resized(x, mode="bilinear", antialias=True),
        "bicubic": lambda x: resized(x, mode="bicubic"),
    }
    return found[name]


@pytest.mark.parametrize("way", ["colors", "gray", "rounded", "antialiased", "bicubic"])
@pytest.mark.parametrize("name", ["pong", "breakout"])
def test_real_frames_are_never_flagged(name: str, way: str) -> None:
    made = ways(way)(atari_frames(name, 40))
    subject = declared([made[i : i + 4] for i in range(0, 40, 4)], channels=made.shape[1], batches=10)
    verdict = check_sampler(subject)
    assert verdict.conforms, told(verdict)
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (lambda x: (x + 1) * 127.5, "data/normalisation"),
        (lambda x: (x + 1) / 255 - 1, "data/normalisation"),
        (lambda x: x * 2 - 1, "data/normalisation"),
        (lambda x: x.permute(0, 2, 3, 1), "data/channels"),
        (lambda x: x.permute(0, 2, 3, 1).reshape(x.shape), "data/channels"),
        (lambda x: x.double(), "data/dtype"),
        (lambda x: x / (x - x), "data/finite"),
    ],
    ids=["bytes", "divided twice", "mapped twice", "channels last", "reshaped", "double", "nan"],
)
def test_real_frames_that_are_spoiled_are_flagged(spoil: Callable[[torch.Tensor], torch.Tensor], check: str) -> None:
    made = ways("colors")(atari_frames("breakout", 8))
    finding = finding_of(declared([spoil(made[:4]), spoil(made[4:])], channels=3), check)
    assert finding.outcome == "failed"


# Thresholds, from both sides.


def test_bright_data_is_told_of_and_not_flagged() -> None:
    verdict = verdict_of("fixtures.sound_data.batches:bright_only")
    assert "none is below 0 though the range begins at -1" in message(verdict, "data/normalisation")
    dark = verdict_of("fixtures.sound_data.batches:dark_only")
    assert "lower half" in message(dark, "data/normalisation")


def message(verdict: Any, check: str) -> str:
    return str(next(f.message for f in verdict.findings if f.id == check))


def test_what_cannot_be_decided_is_told() -> None:
    for name, check, says in (
        ("gray_as_rgb", "data/channels", "all 3 are the same in every image"),
        ("episodes_begin_black", "data/frames", "have one value everywhere"),
        ("still_scene", "data/frames", "of them different"),
        ("one_batch_again_and_again", "data/frames", "every batch holds the same 8 images"),
        ("sharpened", "data/normalisation", "lie outside of [-1, 1]"),
        ("float_resized", "data/contrast", "cannot be told (no grid)"),
        ("two_gray_values", "data/contrast", "too few different values"),
        ("deep_source", "data/contrast", "on a grid of which 256 levels fill 24.9%"),
    ):
        assert says in message(verdict_of(f"fixtures.sound_data.batches:{name}"), check)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_few_values_from_zero_to_one_are_not_flagged(count: int) -> None:
    mask = torch.from_numpy(np.random.Generator(np.random.PCG64(count)).integers(0, count + 1, (8, 1, 16, 16)) / count)
    finding = finding_of(declared([mask.float()] * 4), "data/normalisation")
    assert finding.outcome == "passed"
    assert "none is below 0" in finding.message


def test_a_floor_of_zero_with_many_values_is_flagged_in_minus_one_one_only() -> None:
    batches = [(x + 1) / 2 for x in several()]
    assert finding_of(declared(batches), "data/normalisation").outcome == "failed"
    assert finding_of(declared(batches, range="[0,1]"), "data/normalisation").outcome == "passed"
    assert finding_of(declared(batches, levels=None), "data/normalisation").outcome == "passed"


def test_a_ramp_without_a_wrap_is_smooth_and_one_with_it_is_flagged() -> None:
    smooth = [torch.from_numpy(shaded(8, 64, seed=i)[:, :1].copy()).float() / 127.5 - 1 for i in range(4)]
    assert finding_of(declared(smooth), "data/normalisation").margin == 0.0
    wrapped = [torch.remainder((x + 1) * 127.5 + 100, 256).round().clamp(max=255) / 127.5 - 1 for x in smooth]
    assert finding_of(declared(wrapped), "data/normalisation").outcome == "failed"


def test_signed_bytes_are_wrapped_bytes() -> None:
    bytes_ = [torch.from_numpy(shaded(8, 64, seed=i)[:, :1].copy()).view(torch.int8).float() / 128 for i in range(4)]
    finding = finding_of(declared(bytes_), "data/normalisation")
    assert finding.outcome == "failed"
    assert "integers wrapped around" in finding.message


def test_contrast_is_judged_from_end_to_end_only() -> None:
    for factor, outcome in ((0.7, "failed"), (1.0, "passed"), (1.05, "failed")):
        subject = declared([x * factor for x in several()])
        assert finding_of(subject, "data/contrast").outcome == outcome
    clipped = declared([x.clamp(min=26 / 127.5 - 1) * 0.7 for x in several()])
    finding = finding_of(clipped, "data/contrast")
    assert finding.outcome == "passed"
    assert finding.evidence["share_of_all_levels"] == pytest.approx(0.7, abs=1e-4)


@pytest.mark.parametrize(("spread", "outcome"), [(0.5, "passed"), (1.0, "passed"), (2.0, "passed"), (5.49, "failed")])
def test_the_spread_of_latents(spread: float, outcome: str) -> None:
    draws = np.random.Generator(np.random.PCG64(3)).standard_normal((4, 8, 4, 8, 8))
    subject = declared(list(torch.from_numpy(spread * draws).float()), channels=4, latent_scale=0.18215)
    assert finding_of(subject, "data/normalisation").outcome == outcome


def test_stillness_is_no_mistake_until_it_lasts() -> None:
    assert finding_of(declared([frames(1).expand(16, -1, -1, -1)] * 2), "data/frames").outcome == "passed"
    assert finding_of(declared([frames(1).expand(16, -1, -1, -1)] * 16), "data/frames").outcome == "failed"


# Bad input: a sentence, never a crash, never a silent pass.


def raises() -> Any:
    raise KeyError("episodes")


def no_return() -> Any:
    return None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (raises, "raises raised KeyError: 'episodes'"),
        (no_return, "no_return returned None (is a return missing?), should be an iterable of batches"),
        (lambda: 3, "returned an int, should be an iterable"),
        (lambda: "abc", "returned a str, should be an iterable"),
        (lambda: frames(), "returned one Tensor of shape (8, 1, 32, 32), should be an iterable"),
        (lambda: [], "yields no batch at all"),
        (lambda: iter(()), "yields no batch at all"),
        (lambda: [None], "batch 0 of <lambda>: it is None"),
        (lambda: [()], "it is empty"),
        (lambda: ["x"], "its images are a str, should be a tensor or an array"),
        (lambda: [(1, frames())], "whose first entry is a int, not images: give images= the index"),
        (lambda: [{"a": frames(), "b": frames()}], "of which 2 can be images: give images= the key"),
        (lambda: [{"label": 3}], "it is a dict of label, of which 0 can be images"),
        (lambda: [torch.zeros(4, 4)], "its images have shape (4, 4), should be (batch, channels, height, width)"),
        (lambda: [torch.zeros(0, 1, 8, 8)], "batch 0 holds no images"),
        (lambda: [np.array([["a"]])], "should be of numbers"),
        (lambda: [frames(), frames()[:, :, :8]], "different sizes (8x32, 32x32)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_stream_is_a_finding(given: Callable[[], Any], says: str) -> None:
    verdict = check_sampler(data_under_test()(given))
    first = verdict.findings[0]
    assert first.id == "data/frames"
    assert first.outcome == "failed"
    assert says in first.message
    causes = {f.id for f in verdict.findings if f.outcome in ("failed", "error") and f.consequence_of is None}
    assert causes == {"data/frames"}


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ("obs", "it has no 'obs' (act, rew): give images="),
        (lambda batch: batch["x"], "images= raised KeyError"),
    ],
    ids=["key", "function"],
)
def test_a_wrong_choice_of_images_is_a_finding(images: Any, says: str) -> None:
    finding = finding_of(declared([{"act": 1, "rew": 2}], images=images), "data/frames")
    assert finding.outcome == "failed"
    assert says in finding.message


@pytest.mark.parametrize(
    ("batch", "options"),
    [
        ({"obs": "frames", "mask": "frames"}, {"images": "obs"}),
        ({"obs": "frames", "act": 1}, {}),
        (("frames", 1), {}),
        ((1, "frames"), {"images": 1}),
        ([0, {"x": "frames"}], {"images": lambda batch: batch[1]["x"]}),
    ],
    ids=["key", "the one entry", "first", "index", "function"],
)
def test_images_are_found_in_a_batch(batch: Any, options: dict[str, Any]) -> None:
    def filled(value: Any, index: int) -> Any:
        if isinstance(value, dict):
            return {key: filled(entry, index) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(filled(entry, index) for entry in value)
        return frames(seed=index) if value == "frames" else value

    verdict = check_sampler(declared([filled(batch, index) for index in range(4)], size=(32, 32), **options))
    assert verdict.conforms, told(verdict)


def test_single_images_are_batches_of_one() -> None:
    colors = [torch.from_numpy(game(1, seed=i)[0]).float() / 127.5 - 1 for i in range(4)]
    verdict = check_sampler(declared(colors, channels=3, size=(32, 32)))
    assert verdict.conforms, told(verdict)
    assert verdict.coverage.fields["images"] == "4/4"


def test_an_endless_stream_is_cut_off_and_budgets_count_batches() -> None:
    def endless() -> Iterator[torch.Tensor]:
        for index in itertools.count():
            yield frames(seed=index % 50)

    subject = data_under_test(batches=6)(endless)
    for budget, wanted in (("quick", 3), ("standard", 6), ("thorough", 24)):
        evidence = DataEvidence(subject, budget=budget)
        evidence.measure()
        assert len(evidence.batches) == wanted
        evidence.measure()
        assert len(evidence.batches) == wanted
        assert evidence.coverage().fields["batches"] == f"{wanted}/{wanted}"


def test_where_nan_is_found_is_told() -> None:
    batches = several(4)
    batches[2][3, 0, 5, 7] = float("inf")
    verdict = check_sampler(declared(batches))
    assert failed(verdict) == ("data/finite",)
    finding = next(f for f in verdict.findings if f.id == "data/finite")
    assert "batch 2, item 3 holds infinity (channel 0, row 5, column 7; 1 of 4 batches do)" in finding.message


def test_nothing_but_nan_is_no_pass() -> None:
    verdict = check_sampler(declared([torch.full((4, 1, 8, 8), float("nan"))] * 2))
    assert "data/finite" in failed(verdict)
    assert next(f.outcome for f in verdict.findings if f.id == "data/normalisation") == "error"


def test_a_wrong_number_of_channels_and_size_are_told() -> None:
    verdict = check_sampler(declared(several(), channels=4, size=(16, 32)))
    assert "images have 1 channels (shape (8, 1, 32, 32)), should have 4" in message(verdict, "data/channels")
    assert "images are 32x32, should be 16x32" in message(verdict, "data/frames")
    turned = check_sampler(declared([x[:, :, :16] for x in several()], size=(32, 16)))
    assert "height and width are swapped" in message(turned, "data/frames")


def test_bfloat16_and_fixtures_are_passed_through() -> None:
    def stream(*, scale: float, device: str) -> Any:
        assert device == "cpu"
        return [x.mul(scale).bfloat16() for x in several()]

    subject = data_under_test(dtype=torch.bfloat16)(stream)
    assert subject.fixture_names == ("scale",)
    verdict = check_sampler(subject, fixtures={"scale": 1.0})
    assert verdict.conforms, told(verdict)


# Declarations.


def test_a_declaration_keeps_what_it_was_given() -> None:
    subject = declared([], range=(0, 1), channels=3, size=(8, 9), dtype=np.float32, batches=2, levels=None)
    assert subject.range == (0.0, 1.0)
    assert subject.dtype == "float32"
    assert subject.kind == "data"
    assert subject.reference_name == "[0,1], 3 channels, 8x9, float32"
    assert subject() == []
    assert "data under test" in repr(subject)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"range": "minus one to one"}, 'range must be written as "[-1,1]"'),
        ({"dtype": "float23"}, "did you mean 'float32'?"),
        ({"batches": 0}, "batches must be a whole number >= 1"),
        ({"levels": 1}, "levels must be a whole number >= 2"),
        ({"images": 1.5}, "images must be a key, an index or a function"),
        ({"channels": True}, "channels must be a whole number"),
        ({"expected_failures": {"data/rang": "x"}}, "which is no check"),
        ({"expected_failures": ["data/frames"]}, "must be a dict of check id to reason"),
        ({"latent_scale": float("nan")}, "latent_scale must be a finite number above 0"),
    ],
    ids=str,
)
def test_a_wrong_declaration_says_what_to_write(options: dict[str, Any], says: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        declared([], **options)
    assert says in str(refused.value)


def test_a_stream_takes_no_arguments() -> None:
    with pytest.raises(DeclarationError, match="should take none"):
        data_under_test()(lambda path: [])
