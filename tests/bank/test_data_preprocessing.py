"""Preprocessing under test: what is measured is right, sound ones pass, faulty ones fail the check that fits."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from fixtures.faulty_data import FAULTY, Faulty
from fixtures.sound_data import SOUND, Sound
from fixtures.sound_data.with_torch import to_frame
from reference_samplers import DDPM, EDM
from sampler_harness import preprocess_under_test
from sampler_harness.catalogue.data import PREPROCESSING_CHECKS
from sampler_harness.data import patterns
from sampler_harness.data.evidence import PreprocessEvidence
from sampler_harness.data.measures import orientation_of, rounded_up, tone_of
from sampler_harness.data.reading import Unreadable, read_output
from sampler_harness.data.resampling import kernels, measured, nearest_kernel
from sampler_harness.runner import check_sampler
from sampler_harness.subject import DeclarationError
from sampler_harness.subject.preprocessing import PreprocessSubject

from .data_verdicts import failed, finding_of, told, verdict_of

PREPROCESSINGS = [s for s in SOUND if "batches" not in s.subject_path]
MISTAKES = [f for f in FAULTY if ".batches:" not in f.subject_path]
SMALL: dict[str, Any] = {"frame_shape": (24, 16, 3)}


def declared(function: Callable[..., Any], **options: Any) -> PreprocessSubject:
    return preprocess_under_test(**{**SMALL, **options})(function)


def plain(frame: Any) -> Any:
    return torch.from_numpy(frame.copy()).permute(2, 0, 1).float().mean(dim=0, keepdim=True) / 127.5 - 1


@pytest.mark.parametrize("sound", PREPROCESSINGS, ids=lambda s: s.name)
@pytest.mark.sampled(every=4)
def test_a_sound_preprocessing_passes_all(sound: Sound) -> None:
    if sound.needs:
        pytest.importorskip(sound.needs)
    verdict = verdict_of(sound.subject_path)
    assert verdict.conforms, told(verdict)
    assert verdict.margin is not None
    assert verdict.margin < 1 / 3


@pytest.mark.parametrize("faulty", MISTAKES, ids=lambda f: f.name)
@pytest.mark.sampled(every=5)
def test_a_faulty_preprocessing_fails_what_fits(faulty: Faulty) -> None:
    verdict = verdict_of(faulty.subject_path)
    assert not verdict.conforms
    assert set(faulty.fails) <= set(failed(verdict)), told(verdict)
    for finding in verdict.findings:
        if finding.id in faulty.fails:
            assert finding.margin is not None
            assert finding.margin >= 3 * (1 - 1e-6)


@pytest.mark.parametrize("faulty", MISTAKES, ids=lambda f: f.name)
@pytest.mark.sampled(every=5)
def test_a_mistake_has_one_cause(faulty: Faulty) -> None:
    verdict = verdict_of(faulty.subject_path)
    causes = {f.id for f in verdict.findings if f.outcome in ("failed", "error") and f.consequence_of is None}
    assert causes <= set(faulty.fails)


@pytest.mark.parametrize("check", [info.id for info in PREPROCESSING_CHECKS])
def test_every_check_fails_a_faulty_preprocessing(check: str) -> None:
    made_for_it = [f for f in MISTAKES if check in f.fails]
    assert any(check in failed(verdict_of(f.subject_path)) for f in made_for_it)


def test_the_bank_is_large_and_names_real_bugs() -> None:
    assert len(MISTAKES) >= 12
    assert {f.bug_id for f in MISTAKES if not f.constructed} == {
        "data-not-mapped-to-minus-one-one",
        "imagen-lowres-noised-before-normalising",
        "diamond-quantise-by-truncation",
    }
    assert all(f.bug_id for f in MISTAKES if not f.constructed)
    assert all(f.sees for f in FAULTY)
    assert len({f.name for f in FAULTY}) == len(FAULTY)


@pytest.mark.slow
def test_evidence_is_json_and_failures_can_be_reproduced() -> None:
    scripts = 0
    for faulty in MISTAKES:
        for finding in verdict_of(faulty.subject_path).findings:
            json.dumps(dict(finding.evidence), allow_nan=False)
            assert finding.margin is None or math.isfinite(finding.margin)
            assert len(finding.reproduction.splitlines()) <= 15
            if finding.reproduction:
                compile(finding.reproduction, finding.id, "exec")
                scripts += 1
    assert scripts >= 20


def test_a_reproduction_shows_what_was_seen(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = verdict_of("fixtures.faulty_data.ranges:not_mapped")
    script = next(f.reproduction for f in verdict.findings if f.id == "data/range")
    exec(compile(script, "reproduction", "exec"), {})
    assert capsys.readouterr().out.strip().endswith("for a white frame")


# What is measured.


@pytest.mark.parametrize(
    ("m", "n"), [(84, 210), (84, 160), (64, 64), (42, 84), (100, 30), (7, 5)], ids=lambda size: str(size)
)
def test_kernels_are_those_of_torch(m: int, n: int) -> None:
    eye = torch.eye(n, dtype=torch.float64)[:, None, None]
    for kernel in kernels(m, n):
        assert np.allclose(kernel.matrix.sum(axis=1), 1.0)
    for how, name in (
        ({"mode": "area"}, "area (adaptive pooling)"),
        ({"mode": "bilinear"}, "bilinear (two taps, no antialiasing)"),
        ({"mode": "bilinear", "antialias": True}, "bilinear (antialiased)"),
        ({"mode": "bilinear", "align_corners": True}, "bilinear (aligned corners)"),
        ({"mode": "bicubic"}, "bicubic (four taps, a = -0.75, no antialiasing)"),
        ({"mode": "nearest"}, "nearest"),
        ({"mode": "nearest-exact"}, "nearest (by centers)"),
    ):
        matrix = functional.interpolate(eye, size=(1, m), **how)[:, 0, 0].T.numpy()
        assert min(np.abs(k.matrix - matrix).max() for k in kernels(m, n) if k.name == name) < 1e-6


def test_a_shifted_kernel_is_measured_as_such() -> None:
    corner = next(k for k in kernels(40, 80) if k.form == "pixels counted from their corners")
    geometry = measured(corner.matrix)
    assert geometry is not None
    assert geometry.shift == pytest.approx(-0.5)
    assert geometry.unseen > 0


def test_a_blurred_kernel_is_wider_than_area_averaging() -> None:
    area, wide = (next(k for k in kernels(40, 120) if k.name.startswith(n)) for n in ("area", "lanczos"))
    assert nearest_kernel(area.matrix)[0].family == "area"
    narrow, broad = measured(area.matrix), measured(wide.matrix)
    assert narrow is not None
    assert broad is not None
    assert broad.width > 2 * narrow.width


@pytest.mark.parametrize(
    ("turn", "name"),
    [
        (lambda x: x, "as it stood"),
        (lambda x: x[:, :, ::-1], "mirrored left to right"),
        (lambda x: x[:, ::-1], "upside down"),
        (lambda x: x[:, ::-1, ::-1], "turned by half a circle"),
        (lambda x: x.transpose(0, 2, 1), "with rows and columns swapped"),
        (lambda x: np.rot90(x, 1, axes=(1, 2)), "turned by a quarter to the left"),
        (lambda x: np.rot90(x, -1, axes=(1, 2)), "turned by a quarter to the right"),
        (lambda x: x.transpose(0, 2, 1)[:, ::-1, ::-1], "with rows and columns swapped, and turned over"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_of_eight_orientations_is_named(turn: Callable[[Any], Any], name: str) -> None:
    top, left = (patterns.part((24, 16), axis, 0.0, 0.5).transpose(2, 0, 1)[:1] for axis in (0, 1))
    assert orientation_of(turn(top), turn(left)) == name


@pytest.mark.parametrize("gamma", [0.4, 1.0, 1.8, 2.2])
def test_gamma_is_read_off_the_ramp(gamma: float) -> None:
    tone = tone_of(3 * (np.arange(256) / 255) ** gamma - 1)
    assert tone.gamma == pytest.approx(gamma, abs=1e-9)
    assert (tone.bend < 1e-9) == (gamma == 1.0)
    assert tone.rising
    back = tone.level(tone.curve)
    assert np.allclose(back, np.arange(256), atol=0.01)


def test_a_wrap_is_placed() -> None:
    tone = tone_of(np.mod(np.arange(256.0) + 40, 256))
    assert not tone.rising
    assert tone.turn == 215


@pytest.mark.parametrize(
    ("how", "share"), [(np.rint, 0.5), (np.floor, 0.0), (np.ceil, 1.0)], ids=["rounded", "truncated", "raised"]
)
def test_rounding_is_told_from_truncation(how: Callable[[Any], Any], share: float) -> None:
    exact: Any = np.mod(np.arange(4000) * 0.6180339887, 255.0)
    assert rounded_up(exact, how(exact)) == pytest.approx(share, abs=0.02)


def test_what_is_not_rounded_is_not_judged() -> None:
    exact: Any = np.arange(100) * 0.37
    assert rounded_up(exact, exact) is None
    assert rounded_up(np.arange(100.0), np.arange(100.0)) is None


@pytest.mark.parametrize(
    ("shape", "channels", "size", "axes"),
    [
        ((1, 84, 84), 1, (84, 84), "CHW"),
        ((84, 84, 1), 1, (84, 84), "HWC"),
        ((84, 84), 1, None, "HW"),
        ((1, 84, 84), 1, None, "CHW"),
        ((1, 3, 64, 48), 3, (64, 48), "BCHW"),
        ((1, 64, 48, 3), 3, (64, 48), "BHWC"),
        ((3, 64, 48), 3, None, "CHW"),
        ((64, 48, 3), 3, None, "HWC"),
        ((64, 48, 3), 1, (64, 48), "HWC"),
        ((3, 3, 3), 3, None, "CHW"),
        ((4, 84, 84), 4, (84, 84), "CHW"),
    ],
)
def test_the_layout_is_found(shape: tuple[int, ...], channels: int, size: tuple[int, int] | None, axes: str) -> None:
    output = read_output(np.zeros(shape, dtype=np.float32), channels, size)
    assert output.axes == axes
    assert output.values.ndim == 3


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "returned None (is a return missing?)"),
        ([1, 2], "returned a list of 2 (int, int)"),
        ("x", "returned a str, should be a tensor or an array"),
        (np.zeros((2, 1, 8, 8)), "one frame became a batch of 2"),
        (np.zeros(7), "shape (7,), should be (channels, height, width)"),
        (np.zeros((1, 0, 4)), "which is empty"),
        (np.array(["a"]), "should be of numbers"),
        (torch.zeros(1, 4, 4, dtype=torch.complex64), "complex numbers"),
    ],
    ids=str,
)
def test_what_is_no_picture_is_refused_in_a_sentence(value: Any, says: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_output(value, 1, None)
    assert says in str(refused.value)


def test_the_colors_are_fixed_and_come_with_their_complements() -> None:
    shown = patterns.colors(128)
    assert np.array_equal(shown[::2] + shown[1::2], np.full((64, 3), 255.0))
    assert len({tuple(c) for c in shown.tolist()}) == 128
    assert np.array_equal(patterns.noise((4, 5), 0), patterns.noise((4, 5), 0))


# What the user reads.


def test_what_is_measured_is_told_even_where_nothing_is_declared() -> None:
    verdict = verdict_of("fixtures.sound_data.with_torch:nothing_declared")
    said = {f.id: f for f in verdict.findings}
    assert said["data/channel-weights"].outcome == "skipped"
    assert said["data/channel-weights"].evidence["weights"] == [[0.114, 0.587, 0.299]]
    assert "red and blue swapped" in said["data/channel-weights"].message
    assert "black 0, white 3" in said["data/range"].message
    assert said["data/gamma"].evidence["gamma"] == pytest.approx(0.5)
    assert said["data/resize"].evidence["columns"]["kernel"] == "nearest"


@pytest.mark.parametrize(
    ("name", "check", "says"),
    [
        ("ranges:not_mapped", "data/range", "black becomes 0 and white 1 ([0,1]"),
        ("ranges:divided_twice", "data/range", "divided by 255 twice"),
        ("ranges:mapped_twice", "data/range", "x * 2 - 1 is applied twice"),
        ("ranges:turned_over", "data/range", "turned over"),
        ("ranges:clip_of_another_range", "data/clip-range", "fills [0, 1] only, 50%"),
        ("ranges:not_normalised", "data/clip-range", "cuts off"),
        ("ranges:standardised_per_frame", "data/gamma", "the frame's own statistics"),
        ("ranges:stretched_per_frame", "data/shape", "NaN or infinity comes out for test frames (black, white, gray;"),
        ("tones:bgr_for_rgb", "data/channel-weights", "red and blue are swapped"),
        ("tones:green_only", "data/channel-weights", "green only"),
        ("tones:television_luma", "data/channel-weights", "(rec709), should be"),
        ("tones:brightest_channel", "data/channel-weights", "off any weighted sum"),
        ("tones:linear_light", "data/gamma", "the sRGB curve taken off"),
        ("tones:gamma_twice", "data/gamma", "a gamma of 0.455"),
        ("tones:brightened_in_bytes", "data/gamma", "gray 215 becomes 1 but gray 216 becomes -1"),
        ("tones:luma_truncated", "data/rounding", "it is truncated"),
        ("tones:bits_lost", "data/rounding", "256 gray levels go in and 128 come out"),
        ("pictures:decimated", "data/resize", "125 of 210 lines reach no output"),
        ("pictures:origin_at_corner", "data/resize", "shifted by -0.75 pixels"),
        ("pictures:corners_aligned", "data/resize", "aligned corners"),
        ("pictures:resized_by_way_of_42", "data/resize", "times as wide as exact area averaging"),
        ("pictures:lies_on_its_side", "data/resize", "rows and columns swapped"),
        ("pictures:cut_off", "data/resize", "34.0 to 194.0 are used, should be 0 to 210"),
        ("pictures:width_first", "data/shape", "height and width are swapped"),
        ("pictures:overshoot_wraps", "data/rounding", "crosses mid-gray 3 times"),
        ("pictures:first_frame_dropped", "data/pooling", "only frame 1 of 2 holds comes out 255"),
        ("returns:truncated", "data/round-trip", "off by -0.50 on average: it truncates"),
        ("returns:wraps_around", "data/round-trip", "just above white comes back as 2, should be 255: it wraps around"),
        ("returns:rows_for_columns", "data/round-trip", "comes back with rows and columns swapped"),
        ("latents:scale_forgotten", "data/latent-scale", "it is forgotten"),
        ("latents:scale_applied_twice", "data/latent-scale", "it is applied twice"),
        (
            "latents:scale_not_undone",
            "data/latent-scale",
            "before decoding latents are multiplied by 1, should",
        ),
        ("broken:raises", "data/shape", "raised TypeError"),
        ("broken:returns_nothing", "data/shape", "is a return missing?"),
        ("broken:dequantised", "data/shape", "the same frame twice gives different outputs"),
    ],
)
def test_the_mistake_is_named(name: str, check: str, says: str) -> None:
    verdict = verdict_of(f"fixtures.faulty_data.{name}")
    assert says in next(f.message for f in verdict.findings if f.id == check)


def test_what_follows_is_told_as_such() -> None:
    verdict = verdict_of("fixtures.faulty_data.ranges:not_mapped")
    clip = next(f for f in verdict.findings if f.id == "data/clip-range")
    assert clip.consequence_of == "data/range"
    broken = verdict_of("fixtures.faulty_data.broken:raises")
    others = [f for f in broken.findings if f.outcome == "error"]
    assert others
    assert {f.consequence_of for f in others} == {"data/shape"}


# Bad input: a sentence, never a crash, never a silent pass.


def test_an_inverse_that_raises_is_a_finding() -> None:
    def inverse(x: Any) -> Any:
        raise RuntimeError("out of paper")

    finding = finding_of(declared(plain, inverse=inverse), "data/round-trip")
    assert finding.outcome == "failed"
    assert "inverse raised RuntimeError: out of paper" in finding.message


def test_an_inverse_that_gives_nan_is_a_finding() -> None:
    finding = finding_of(declared(plain, inverse=lambda x: x * float("nan")), "data/round-trip")
    assert finding.outcome == "failed"
    assert "NaN" in finding.message


def test_a_function_that_ends_the_process_does_not() -> None:
    def leaves(frame: Any) -> Any:
        raise SystemExit(3)

    verdict = check_sampler(declared(leaves))
    assert failed(verdict) == ("data/shape",)
    assert "ended the process" in verdict.findings[0].message


def test_nan_for_one_gray_level_is_found() -> None:
    def hole(frame: Any) -> Any:
        x = plain(frame)
        return x.masked_fill((x - (20 / 127.5 - 1)).abs() < 1e-4, float("nan"))

    finding = finding_of(declared(hole), "data/shape")
    assert finding.outcome == "failed"
    assert "gray 20" in finding.message


def test_shapes_that_change_are_a_finding() -> None:
    sizes = itertools.count(8)

    def grows(frame: Any) -> Any:
        return torch.zeros(1, next(sizes), 8)

    finding = finding_of(declared(grows), "data/shape")
    assert finding.outcome == "failed"
    assert "should be one" in finding.message


def test_an_output_that_knows_nothing_of_the_frame_is_a_finding() -> None:
    verdict = check_sampler(declared(lambda frame: torch.zeros(1, 8, 8)))
    assert failed(verdict) == ("data/range",)
    assert "every gray becomes 0" in next(f.message for f in verdict.findings if f.id == "data/range")
    assert {f.consequence_of for f in verdict.findings if f.outcome == "error"} <= {"data/range", "data/gamma"}


def test_a_scale_that_cannot_be_read_is_no_pass() -> None:
    finding = finding_of(declared(plain, latent_scale=0.2), "data/latent-scale")
    assert finding.outcome == "error"
    assert "take the autoencoder as a keyword-only argument" in finding.message


def test_an_autoencoder_that_is_never_called_is_a_finding() -> None:
    def ignores(frame: Any, *, autoencoder: Any) -> Any:
        return plain(frame)

    finding = finding_of(declared(ignores, latent_scale=0.2), "data/shape")
    assert finding.outcome == "failed"
    assert "never calls autoencoder.encode" in finding.message


def test_fixtures_of_the_host_are_passed() -> None:
    def uses(frame: Any, *, offset: Any, device: Any) -> Any:
        assert device == "cpu"
        return plain(frame) + offset

    subject = declared(uses)
    assert subject.fixture_names == ("offset",)
    verdict = check_sampler(subject, fixtures={"offset": 0.0})
    assert verdict.conforms, told(verdict)


def test_measuring_twice_changes_nothing() -> None:
    evidence = PreprocessEvidence(declared(plain))
    evidence.measure()
    calls = evidence.coverage().model_calls
    evidence.measure()
    assert evidence.coverage().model_calls == calls > 256
    assert evidence.coverage().fields["gray levels"] == "256/256"


def test_wide_frames_are_measured_with_several_lines_at_once() -> None:
    def halved(frame: Any) -> Any:
        x = torch.from_numpy(frame.copy())[None].float()
        return functional.interpolate(x[None], size=(8, 300), mode="area")[0] / 127.5 - 1

    subject = preprocess_under_test(frame_shape=(16, 600), size=(8, 300), resize="area")(halved)
    verdict = check_sampler(subject)
    assert verdict.conforms, told(verdict)


def test_expected_failures_are_told_and_a_pass_is_not_expected() -> None:
    told_so = check_sampler(
        declared(lambda f: (plain(f) + 1) / 2, expected_failures={"data/range": "the model maps it itself"})
    )
    assert told_so.conforms
    assert next(f.outcome for f in told_so.findings if f.id == "data/range") == "expected"
    passes = check_sampler(declared(plain, expected_failures={"data/range": "once"}))
    assert failed(passes) == ("data/range",)


# Declarations.


def test_a_declaration_keeps_what_it_was_given() -> None:
    subject = preprocess_under_test(
        range=(0, 1),
        size=(32, 40),
        frame_dtype=np.uint8,
        luma="rec709",
        clip=DDPM(clip_denoised=True, clip_range=2.0),
        inverse=to_frame,
    )(plain)
    assert subject.range == (0.0, 1.0)
    assert subject.size == (32, 40)
    assert subject.clip == (-2.0, 2.0)
    assert subject.luma == (0.2126, 0.7152, 0.0722)
    assert subject.name == subject.__name__ == "plain"
    assert subject.target.endswith("test_data_preprocessing.py:plain")
    assert subject.reference_name == "[0,1], 1 channel, 32x40, rec709"
    assert subject.kind == "preprocessing"
    frame = np.zeros((4, 4, 3), dtype=np.uint8)
    assert float(subject(frame).max()) == -1.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"range": "[-1;1]"}, 'range must be written as "[-1,1]"'),
        ({"range": (1, -1)}, "range must rise from low to high"),
        ({"range": "[0,0]"}, "range must rise"),
        ({"channels": 0}, "channels must be a whole number >= 1, got 0"),
        ({"size": 84}, "as in size=(84, 84), got 84"),
        ({"frame_shape": (3, 210, 160)}, "or layout='CHW'"),
        ({"frame_as": "numpy"}, "frame_as must be one of"),
        ({"luma": "rec602"}, "did you mean 'rec601'?"),
        ({"luma": (0.3, 0.7)}, "or three weights"),
        ({"luma": "same"}, "keeps the frame's 3 channels, but channels=1 is declared"),
        ({"luma": "mean", "channels": 3}, "into one channel"),
        ({"gamma": 0}, "gamma must be a finite number above 0"),
        ({"resize": "biliner"}, "did you mean 'bilinear'?"),
        ({"crop": (0, 0, 30, 10)}, "does not lie in a frame of 24x16"),
        ({"clip": EDM()}, "that does not clip"),
        ({"clip": 1.0}, "clip must be two numbers"),
        ({"inverse": 3}, "inverse must be a function"),
        ({"latent_scale": -1.0}, "latent_scale must be a finite number above 0"),
        ({"pooled_frames": 0}, "pooled_frames must be a whole number >= 1"),
        ({"expected_failures": {"data/rang": "x"}}, "did you mean 'data/range'?"),
        ({"expected_failures": {"data/range": ""}}, "needs a reason"),
        ({"frame_as": "image", "frame_dtype": "float32"}, "its frames are uint8"),
    ],
    ids=str,
)
def test_a_wrong_declaration_says_what_to_write(options: dict[str, Any], says: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        declared(plain, **options)
    assert says in str(refused.value)
    assert "plain (" in str(refused.value)


def test_what_it_is_put_on_must_take_one_frame() -> None:
    def two(frame: Any, other: Any) -> Any:
        return frame

    def none() -> Any:
        return 0

    def pieces(frame: Any) -> Any:
        yield frame

    for wrong, says in ((two, "should take one"), (none, "should take one"), (pieces, "is a generator")):
        with pytest.raises(DeclarationError) as refused:
            declared(wrong)
        assert says in str(refused.value)
    with pytest.raises(DeclarationError, match="declared twice"):
        declared(declared(plain))


@pytest.mark.parametrize("how", ["pytest mark", "rename"])
def test_a_declaration_is_used_by_pytest_and_renamed(how: str) -> None:
    from sampler_harness.subject import renamed

    subject = declared(plain)
    if how == "rename":
        other = renamed(subject, "other", "file.py:other")
        assert other.target == "file.py:other"
        assert other.kind == "preprocessing"
    else:
        marked = pytest.mark.usefixtures()(subject)
        assert marked is subject
