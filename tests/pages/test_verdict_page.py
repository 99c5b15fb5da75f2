"""The page of a verdict, and what is drawn on it: from real samplers, sound, faulty and broken."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from sampler_harness.checks.evidence import Evidence
from sampler_harness.plugin.told import Told
from sampler_harness.portrait import BROKEN, Portrait
from sampler_harness.portraying.pictures import TiledPictures
from sampler_harness.portraying.portray import portray
from sampler_harness.report.filmstrip_figure import write_trajectory
from sampler_harness.report.page import MissingExtraError, require_extra
from sampler_harness.report.verdict_page import verdict_page, write_verdict_page
from sampler_harness.runner import Assessment, check_sampler, save_law
from sampler_harness.saved_laws import load_law
from sampler_harness.targets import load_sampler
from sampler_harness.verdict import Verdict

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

SVG = "{http://www.w3.org/2000/svg}"
HERE = "tests.pages.portrayed"

#: One worker, so that each verdict is made once.
pytestmark = pytest.mark.xdist_group("verdict-page")

_VERDICTS: dict[str, Verdict] = {}


def verdict_of(target: str) -> Verdict:
    """A verdict with its portrait, made once."""
    if target not in _VERDICTS:
        _VERDICTS[target] = check_sampler(load_sampler(target), budget="quick", diagnose=False, portray=True)
    return _VERDICTS[target]


def portrait_of(target: str) -> Portrait:
    portrait = verdict_of(target).portrait
    assert portrait is not None
    return portrait


def drawings(page: str, kind: str) -> list[ElementTree.Element]:
    """The pictures of one kind: law, run, times or noise."""
    found = re.findall(rf'<figure class="drawn {kind}">(<svg.*?</svg>)', page, flags=re.DOTALL)
    return [ElementTree.fromstring(svg) for svg in found]


def texts(svg: ElementTree.Element) -> list[str]:
    return ["".join(one.itertext()) for one in svg.iter(f"{SVG}text")]


def visible(page: str) -> str:
    """The page's words."""
    without = re.sub(r"<(style|svg).*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", without)).replace("&#39;", "'").replace("&gt;", ">")


def heights(group: ElementTree.Element) -> tuple[float, float]:
    """Top and bottom of what a group draws."""
    path = next(group.iter(f"{SVG}path")).attrib["d"]
    ys = [float(y) for y in re.findall(r"[ML] [-\d.]+ ([-\d.]+)", path)]
    return min(ys), max(ys)


def frames_of(svg: ElementTree.Element) -> list[ElementTree.Element]:
    return [group for group in svg.iter(f"{SVG}g") if group.get("class") == "first-row"]


def place_of_text(svg: ElementTree.Element, text: str) -> float:
    """How far down a text stands."""
    return next(float(one.attrib["y"]) for one in svg.iter(f"{SVG}text") if "".join(one.itertext()) == text)


# Sound


def test_a_sound_sampler_has_all_pictures_and_no_frame() -> None:
    page = verdict_page([verdict_of("tests.small_samplers:sound")])
    (law,) = drawings(page, "law")
    assert {"yours", "EDM", "difference", "sample", "every weight"} <= set(texts(law))
    assert not frames_of(law)
    (run,) = drawings(page, "run")
    assert texts(run).count("same") == 8
    assert len(drawings(page, "times")) == len(drawings(page, "noise")) == 1
    assert "No row differs by more than its tolerance." in visible(page)
    assert "Both end in the same sample." in visible(page)


def test_the_law_is_drawn_as_it_was_measured() -> None:
    portrait = portrait_of("tests.small_samplers:sound")
    assert portrait.own is not None
    assert portrait.should_be is not None
    subject = load_sampler("tests.small_samplers:sound")
    config = subject.reference(num_steps=10, sigma_max=5.0, solver="euler")
    evidence = Evidence(subject, budget="quick")
    law = evidence.bundle(evidence.case(config)).law
    weights = np.array(portrait.own.weights)
    assert portrait.own.calls == 10
    assert np.allclose(weights[:, :10], law.outputs, rtol=1e-5, atol=0)
    assert np.allclose(weights[:, 10], law.factor[:, 0], rtol=1e-5, atol=0)
    assert portrait.own.fresh[0] == pytest.approx(5.0, rel=1e-5)
    assert set(portrait.own.fresh[1:]) == {0.0}
    assert portrait.own.times == pytest.approx(portrait.should_be.times, rel=1e-5)
    assert np.abs(np.array(portrait.ratio)).max() < 1 / 3


def test_the_page_says_what_was_checked_and_what_was_not() -> None:
    verdict = verdict_of("tests.small_samplers:sound")
    words = visible(verdict_page([verdict]))
    for finding in verdict.findings:
        assert finding.id in words
    for field in verdict.coverage.not_varied:
        assert field in words
    assert f"{verdict.coverage.cases} configurations, {verdict.coverage.model_calls} model calls" in words


def test_a_portrait_leaves_the_verdict_as_it_was() -> None:
    subject = load_sampler("tests.small_samplers:blurred")
    plain, drawn = (check_sampler(subject, budget="quick", diagnose=False, portray=wanted) for wanted in (False, True))
    assert plain.portrait is None
    assert drawn.portrait is not None
    assert plain.coverage == drawn.coverage
    timeless = [[dataclasses.replace(f, seconds=0.0) for f in one.findings] for one in (plain, drawn)]
    assert timeless[0] == timeless[1]


# Faulty


def test_the_first_differing_row_is_framed_in_every_picture() -> None:
    page = verdict_page([verdict_of(f"{HERE}:wrong_step")])
    assert portrait_of(f"{HERE}:wrong_step").first_row == 4
    (law,) = drawings(page, "law")
    frames = frames_of(law)
    assert [frame.get("data-row") for frame in frames] == ["4", "4", "4"]
    top, bottom = heights(frames[0])
    # Text stands on its line: a little below the middle of the row that it names.
    assert top < place_of_text(law, "call 4") - 2 < bottom
    assert not top < place_of_text(law, "call 5") - 2 < bottom
    assert "Framed: row 4, the input of model call 4, is the first to differ" in visible(page)


def test_what_is_within_tolerance_is_left_empty() -> None:
    ratio = np.abs(np.array(portrait_of(f"{HERE}:wrong_step").ratio))
    assert (ratio[:4] < 1).all()
    assert (ratio[4:] > 1).any(axis=1)[0]
    page = verdict_page([verdict_of(f"{HERE}:wrong_step")])
    (law,) = drawings(page, "law")
    name = "{http://www.w3.org/1999/xlink}href"
    pixels = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(image.attrib[name].partition(",")[2]))).convert("RGBA"))
        for image in law.iter(f"{SVG}image")
    ]
    difference = next(one for one in pixels[2:] if one.shape[0] == ratio.shape[0])
    assert np.array_equal(difference[..., 3] > 0, ratio > 1)


def test_the_smallest_failing_configuration_is_named_and_a_larger_one_drawn() -> None:
    portrait = portrait_of("tests.small_samplers:unscaled")
    assert portrait.configuration == "EDM(num_steps=10, sigma_max=5.0, solver='euler')"
    assert "The smallest one in which law/initial-noise fails is EDM(num_steps=1" in portrait.why
    assert portrait.first_row == 0
    assert portrait.worst[0].part == "the first noise"
    assert (portrait.worst[0].got, portrait.worst[0].should_be) == (1.0, 5.0)


@pytest.mark.slow
def test_a_fault_that_only_one_number_of_steps_has_is_drawn_there() -> None:
    portrait = portrait_of("fixtures/faulty_samplers/diamond.py:diamond")
    assert portrait.late[:2] == (0, 2)
    assert portrait.first_told == "model call 0 is told time 5, should be 7"
    words = visible(verdict_page([verdict_of("fixtures/faulty_samplers/diamond.py:diamond")]))
    assert "▸ marks a row in which the network is told a wrong time" in words


def test_lost_detail_is_seen_and_told() -> None:
    sound, faulty = (portrait_of(f"tests.small_samplers:{name}").filmstrip for name in ("sound", "unscaled"))
    assert sound is not None
    assert faulty is not None
    assert sound.detail is not None
    assert faulty.detail is not None
    assert sound.detail[0] == pytest.approx(sound.detail[1], rel=1e-3)
    assert faulty.detail[0] < 0.7 * faulty.detail[1]
    assert max(float(a or 0) for a in sound.apart) < 1e-4
    assert float(faulty.apart[-1] or 0) > 0.05
    assert faulty.reference == sound.reference, "the reference's own run does not depend on the sampler"


@pytest.mark.slow
def test_each_failure_has_its_own_script() -> None:
    verdict = verdict_of("tests.small_samplers:unscaled")
    scripts = [f.reproduction for f in verdict.findings if f.outcome == "failed"]
    assert len(scripts) > 2
    page = verdict_page([verdict])
    shown = re.findall(r"<details><summary>A script that shows it[^<]*</summary>\s*<pre>(.*?)</pre>", page, re.DOTALL)
    lines = Counter(text.splitlines()[-1] for text in shown)
    for script in scripts:
        last = script.splitlines()[-1].replace("'", "&#39;").replace(">", "&gt;").replace("<", "&lt;")
        assert lines[last] == 1, last


# Neither


@pytest.mark.slow
def test_a_sampler_that_is_not_affine_shows_in_its_run() -> None:
    target = "fixtures/faulty_samplers/clip.py:tanh_for_clamp"
    portrait = portrait_of(target)
    assert portrait.first_row is None
    assert portrait.filmstrip is not None
    assert float(portrait.filmstrip.apart[0] or 0) < 1e-4
    assert float(portrait.filmstrip.apart[-1] or 0) > 0.01
    page = verdict_page([verdict_of(target)])
    assert "No row differs: what fails (clip/replay) does not show in these weights" in visible(page)
    assert not frames_of(drawings(page, "law")[0])


def test_a_sampler_without_a_law_keeps_its_run_and_the_reference() -> None:
    portrait = portrait_of(f"{HERE}:standardized")
    assert portrait.own is None
    assert portrait.should_be is not None
    assert portrait.filmstrip is not None
    assert portrait.filmstrip.own[-1] is not None
    page = verdict_page([verdict_of(f"{HERE}:standardized")])
    assert "could not be measured" in texts(drawings(page, "law")[0])
    assert "call 0" in texts(drawings(page, "law")[0]), "the reference's rows are named where yours are missing"
    assert "Your sampler has no law that could be measured: with a model that returns 0 alone a run is NaN" in visible(
        page
    )


def test_a_crash_is_shown_as_far_as_it_came_and_its_words_stay_words() -> None:
    portrait = portrait_of(f"{HERE}:crashes")
    assert portrait.filmstrip is not None
    assert [frame is not None for frame in portrait.filmstrip.own].count(True) == 2
    assert None not in portrait.filmstrip.reference
    page = verdict_page([verdict_of(f"{HERE}:crashes")])
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; no more" in page


def test_nan_is_magenta_and_said() -> None:
    verdict = verdict_of(f"{HERE}:standardized")
    assert verdict.portrait is not None
    strip = verdict.portrait.filmstrip
    assert strip is not None
    assert strip.own[-1] is not None
    broken = dataclasses.replace(strip, own=(*strip.own[:-1], (BROKEN,) * len(strip.own[-1])))
    shown = dataclasses.replace(verdict, portrait=dataclasses.replace(verdict.portrait, filmstrip=broken))
    assert "Magenta is NaN or infinite." in visible(verdict_page([shown]))
    assert "Magenta" not in visible(verdict_page([verdict]))


def test_other_numbers_of_calls_are_compared_as_far_as_both_go() -> None:
    portrait = portrait_of(f"{HERE}:one_call_more")
    assert portrait.own is not None
    assert portrait.should_be is not None
    assert (portrait.own.calls, portrait.should_be.calls) == (11, 10)
    assert portrait.first_row == 10
    assert np.abs(np.array(portrait.ratio)).max() < 1
    assert portrait.filmstrip is not None
    assert portrait.filmstrip.apart[1] is None
    assert portrait.filmstrip.apart[-1] is not None
    page = verdict_page([verdict_of(f"{HERE}:one_call_more")])
    assert "the model is called 11 times in a run, should be 10" in visible(page)
    assert [frame.get("data-row") for frame in frames_of(drawings(page, "law")[0])] == ["10", "10"]


def test_lines_are_drawn_for_what_is_no_image() -> None:
    portrait = portrait_of(f"{HERE}:actions")
    assert portrait.filmstrip is not None
    assert portrait.filmstrip.kind == "lines"
    assert portrait.filmstrip.shape == (3, 16)
    page = verdict_page([verdict_of(f"{HERE}:actions")])
    assert not list(drawings(page, "run")[0].iter(f"{SVG}image"))
    assert "The broad band is the reference, the thin line yours." in visible(page)


@pytest.mark.slow
def test_a_learned_variance_is_drawn() -> None:
    portrait = portrait_of("fixtures.torch_samplers.under_test:ddpm_learned")
    assert not portrait.missing
    assert portrait.own is not None
    assert portrait.own.noise == tuple(range(10)), "fresh noise at every step but the last"
    assert portrait.filmstrip is not None
    assert max(float(a or 0) for a in portrait.filmstrip.apart) < 1e-4


def test_a_reference_that_names_no_network_is_told_and_its_law_drawn() -> None:
    portrait = portrait_of(f"{HERE}:without_network")
    assert portrait.filmstrip is None
    assert portrait.own is not None
    page = verdict_page([verdict_of(f"{HERE}:without_network")])
    assert "WithoutNetwork does not say what its network predicts" in visible(page)
    assert len(drawings(page, "law")) == 1
    assert not drawings(page, "run")


@pytest.mark.slow
def test_a_long_chain_is_drawn_in_blocks() -> None:
    portrait = portray(Evidence(load_sampler(f"{HERE}:long_chain"), budget="quick"), ())
    assert portrait.own is not None
    assert portrait.own.calls == 100
    assert portrait.own.is_in_blocks
    assert len(portrait.own.rows) <= 52
    assert portrait.own.rows[-1] == 100
    assert len(portrait.own.times) == 100
    assert portrait.first_row is not None
    verdict = dataclasses.replace(verdict_of(f"{HERE}:wrong_step"), portrait=portrait)
    page = verdict_page([verdict])
    assert "A run has 100 calls: rows and columns are drawn in 52 blocks" in visible(page)
    row = str(portrait.first_row)
    assert [frame.get("data-row") for frame in frames_of(drawings(page, "law")[0])] == [row, row, row]


# Against another law


def test_held_against_another_sampler_and_against_a_saved_law(tmp_path: Path) -> None:
    other = load_sampler("tests.small_samplers:sound")
    held = check_sampler(
        load_sampler(f"{HERE}:wrong_step"), budget="quick", against=other, diagnose=False, portray=True
    )
    assert held.portrait is not None
    assert held.portrait.first_row == 4
    assert held.portrait.reference.endswith(":sound")
    assert held.portrait.filmstrip is not None
    exact = portrait_of(f"{HERE}:wrong_step").filmstrip
    assert exact is not None
    for theirs, reference in zip(held.portrait.filmstrip.reference, exact.reference, strict=True):
        # What the law says of a run is the run, but for float32.
        assert np.abs(np.array(theirs) - np.array(reference)).max() <= 3
    assessment = Assessment(other, budget="quick", diagnose=False)
    assessment.verdict()
    save_law(assessment, tmp_path / "law.json")
    saved = check_sampler(other, budget="quick", against=load_law(tmp_path / "law.json"), diagnose=False, portray=True)
    assert saved.portrait is not None
    page = verdict_page([saved])
    assert not [figure for figure in drawings(page, "law") if frames_of(figure)]
    assert saved.portrait.own is not None


# The page as a file


@pytest.fixture(scope="session")
def all_pages() -> str:
    names = ("wrong_step", "crashes", "standardized", "actions")
    return verdict_page([verdict_of("tests.small_samplers:sound"), *(verdict_of(f"{HERE}:{name}") for name in names)])


def test_the_page_needs_nothing_from_elsewhere(all_pages: str) -> None:
    assert "<script" not in all_pages
    assert "<link" not in all_pages
    assert "@import" not in all_pages
    sources = re.findall(r'\b(?:src|xlink:href|srcset|data)="([^"]*)"', all_pages)
    assert sources
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    assert set(re.findall(r"url\((.)", all_pages)) <= {"#"}
    assert "<metadata" not in all_pages


def test_names_in_pictures_do_not_collide_and_all_are_found(all_pages: str) -> None:
    names = Counter(re.findall(r'\bid="([^"]*)"', all_pages))
    assert [name for name, count in names.items() if count > 1] == []
    asked = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', all_pages)
    assert asked
    assert {one or other for one, other in asked} <= set(names)


def test_several_samplers_have_their_own_pictures(all_pages: str) -> None:
    assert len(drawings(all_pages, "law")) == len(drawings(all_pages, "run")) == 5
    assert "1 of 5 conform" in visible(all_pages)
    assert all_pages.count('<h2 class="sampler ') == 5


@pytest.mark.slow
def test_the_same_verdict_gives_the_same_bytes(tmp_path: Path) -> None:
    verdict = verdict_of(f"{HERE}:wrong_step")
    first, second = (write_verdict_page([verdict], tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert first == second
    again = Assessment(load_sampler(f"{HERE}:wrong_step"), budget="quick", diagnose=False, portray=True)
    assert again.portrait(verdict.findings) is not None
    assert again.verdict().portrait == verdict.portrait
    pictures = [write_trajectory(verdict, tmp_path / name).read_bytes() for name in ("a.png", "b.png")]
    assert pictures[0] == pictures[1]


def test_a_picture_that_cannot_be_drawn_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(portrait: Portrait) -> str:
        raise RuntimeError("<b>no ink</b>")

    monkeypatch.setattr("sampler_harness.report.verdict_page.noise_figure", fails)
    page = verdict_page([verdict_of("tests.small_samplers:sound")])
    assert "The picture of the noise could not be drawn: RuntimeError: &lt;b&gt;no ink&lt;/b&gt;." in page
    assert len(drawings(page, "law")) == 1


def test_what_fails_while_measuring_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: Any, **named: Any) -> Portrait:
        raise RuntimeError("out of paint")

    monkeypatch.setattr("sampler_harness.portraying.portray.portray", fails)
    verdict = check_sampler(load_sampler("tests.small_samplers:sound"), budget="quick", portray=True)
    assert verdict.conforms
    assert "Nothing could be drawn: RuntimeError: out of paint." in visible(verdict_page([verdict]))


def test_a_page_without_verdicts_and_without_portraits() -> None:
    assert "Nothing was checked" in verdict_page([])
    plain = dataclasses.replace(verdict_of("tests.small_samplers:sound"), portrait=None)
    assert not drawings(verdict_page([plain]), "law")


# What travels


@pytest.mark.parametrize("name", ["wrong_step", "crashes", "standardized", "actions", "one_call_more"])
def test_a_portrait_travels_between_processes(name: str) -> None:
    verdict = verdict_of(f"{HERE}:{name}")
    text = Told("node", "law/times", dataclasses.replace(verdict, findings=())).as_text()
    assert Told.from_text(text).verdict.portrait == verdict.portrait
    assert len(text) < 500_000


def test_a_number_that_json_lacks_travels_too() -> None:
    verdict = verdict_of(f"{HERE}:wrong_step")
    portrait = portrait_of(f"{HERE}:wrong_step")
    assert portrait.own is not None
    own = dataclasses.replace(portrait.own, times=(float("nan"), *portrait.own.times[1:]))
    odd = dataclasses.replace(verdict.findings[0], evidence={"got": np.float64(0.5), "function": lambda: None})
    sent = dataclasses.replace(verdict, portrait=dataclasses.replace(portrait, own=own), findings=(odd,))
    back = Told.from_text(Told("node", odd.id, sent).as_text()).verdict
    assert back.portrait is not None
    assert back.portrait.own is not None
    assert np.isnan(back.portrait.own.times[0])
    assert back.findings[0].evidence["got"] == 0.5
    assert back.findings[0].evidence["function"].startswith("<function")
    assert verdict_page([back])


# The picture alone


def test_the_trajectory_as_a_picture(tmp_path: Path) -> None:
    files = [
        write_trajectory(verdict_of(f"tests.small_samplers:{name}"), tmp_path / "new" / f"{name}.png")
        for name in ("sound", "unscaled")
    ]
    pictures = []
    for file in files:
        with Image.open(file) as image:
            assert image.format == "PNG"
            pictures.append(np.asarray(image.convert("RGB")))
    assert all(len(np.unique(one.reshape(-1, 3), axis=0)) > 50 for one in pictures)
    assert pictures[0].shape == pictures[1].shape
    assert (pictures[0] != pictures[1]).any(axis=2).mean() > 0.05
    portrait = portrait_of(f"{HERE}:actions")
    assert write_trajectory(portrait, tmp_path / "lines.png").stat().st_size > 1000


def test_without_a_run_there_is_no_picture_and_why(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no run to draw: .*does not say what its network predicts"):
        write_trajectory(verdict_of(f"{HERE}:without_network"), tmp_path / "a.png")
    with pytest.raises(ValueError, match="carries no portrait"):
        write_trajectory(dataclasses.replace(verdict_of(f"{HERE}:actions"), portrait=None), tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot write the picture"):
        write_trajectory(verdict_of(f"{HERE}:actions"), tmp_path / "file" / "a.png")
    assert not (tmp_path / "a.png").exists()


# The pictures that samplers are shown on


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(3, 24, 24), (1, 7, 9), (16, 7), (5,), (1,), (2, 3, 6, 8)])
def test_the_denoiser_is_the_posterior_mean(shape: tuple[int, ...]) -> None:
    data = TiledPictures(shape)
    size = int(np.prod(shape))
    unit = np.eye(size).reshape(size, *shape)
    shrunk = data(unit, 0.7).reshape(size, size)
    assert np.allclose(shrunk, shrunk.T)
    shares = np.linalg.eigvalsh(shrunk)
    assert shares.min() > -1e-9
    assert shares.max() < 1
    # S (S + sigma^2)^-1 at two levels belongs to one covariance S.
    covariance = 0.7**2 * shrunk @ np.linalg.pinv(np.eye(size) - shrunk)
    other = covariance @ np.linalg.inv(covariance + 0.2**2 * np.eye(size))
    assert np.allclose(data(unit, 0.2).reshape(size, size), other, atol=1e-9)
    assert np.sqrt(np.diag(covariance)).max() < 1.0, "pixels stay about within -1 and 1"


# Before anything runs


def test_a_missing_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    require_extra()
    monkeypatch.setattr(
        "sampler_harness.report.page.importlib.util.find_spec", lambda name: None if name == "jinja2" else name
    )
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'sampler-harness[report]'")):
        require_extra()
    require_extra(["matplotlib"])


HOST = """\
from hypothesis import strategies as st
from reference_samplers import EDM
from sampler_harness import sampler_under_test
import itertools, torch

def run(model, shape, config, device, dtype, start):
    n, r = config.num_steps, 1 / config.rho
    top, bottom = config.sigma_max**r, config.sigma_min**r
    grid = [(top + i / max(n - 1, 1) * (bottom - top)) ** config.rho for i in range(n)] + [0.0]
    x = start * grid[0] * torch.randn(shape, device=device, dtype=dtype)
    for sigma, after in itertools.pairwise(grid):
        x = x + (after - sigma) * (x - model(x, sigma)) / sigma
    return x

@sampler_under_test(EDM, num_steps=st.integers(1, 8), solver="euler")
def unscaled(model, shape, config, *, device, dtype):
    return run(model, shape, config, device, dtype, 0.2)

@sampler_under_test(EDM, num_steps=st.integers(1, 8), solver="euler")
def sound(model, shape, config, *, device, dtype):
    return run(model, shape, config, device, dtype, 1.0)
"""


def timeless(page: str) -> str:
    """The page without how long its run took."""
    return re.sub(r"<dt>Run</dt><dd>[\d.]+ s,", "<dt>Run</dt><dd>", page)


@pytest.mark.slow
def test_pytest_writes_the_same_page_with_and_without_workers(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile(test_sampler=HOST)
    common = ("-p", "no:cacheprovider", "-q", "--sampler-no-diagnosis")
    alone = pytester.runpytest_subprocess(*common, "-p", "no:randomly", "--sampler-report", "alone.html")
    assert alone.ret == 1
    shared = pytester.runpytest_subprocess(*common, "-n", "2", "--sampler-report", "shared.html")
    assert shared.ret == 1
    pages = [(pytester.path / name).read_text(encoding="utf-8") for name in ("alone.html", "shared.html")]
    assert timeless(pages[0]) == timeless(pages[1])
    assert len(drawings(pages[0], "law")) == 2
    assert [len(frames_of(law)) for law in drawings(pages[0], "law")] == [3, 0]
    assert "1 of 2 conform" in visible(pages[0])
    assert "<script" not in pages[0]


@pytest.mark.slow
def test_a_part_of_the_checks_is_drawn_too_and_without_the_option_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(test_sampler=HOST)
    chosen = ("-k", "unscaled and law/initial-noise")
    common = ("-p", "no:cacheprovider", "-p", "no:xdist", "-q", "--sampler-no-diagnosis", *chosen)
    assert pytester.runpytest_subprocess(*common, "--sampler-report", "part.html").ret == 1
    page = (pytester.path / "part.html").read_text(encoding="utf-8")
    assert len(drawings(page, "law")) == 1
    assert not list(pytester.path.glob("*.png"))
    pytester.makeconftest(
        "import sampler_harness.runner as runner\n"
        "def forbidden(*given, **named):\n    raise AssertionError('drawn without being asked for')\n"
        "runner.Assessment.portrait = forbidden\n"
    )
    result = pytester.runpytest_subprocess(*common)
    result.assert_outcomes(failed=1, deselected=35)
    assert "drawn without being asked for" not in result.stdout.str()


def test_pytest_refuses_what_it_could_not_write_before_anything_runs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_sampler=HOST)
    nowhere = pytester.runpytest_subprocess("-p", "no:xdist", "--sampler-report", "no/such/page.html")
    assert nowhere.ret == pytest.ExitCode.USAGE_ERROR
    nowhere.stderr.fnmatch_lines(["*--sampler-report: there is no folder no?such*"])
    pytester.makeconftest(
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'matplotlib' else found(name, *rest)\n"
    )
    bare = pytester.runpytest_subprocess("-p", "no:xdist", "--sampler-report", "page.html")
    assert bare.ret == pytest.ExitCode.USAGE_ERROR
    bare.stderr.fnmatch_lines(
        ["*--sampler-report: the page needs matplotlib and Jinja2: pip install 'sampler-harness*"]
    )
    assert "collected" not in bare.stdout.str()


@pytest.mark.slow
def test_pytest_says_where_a_run_ended_too_early_to_draw(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_sampler=HOST)
    common = ("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly", "-q", "--sampler-no-diagnosis")
    pytester.runpytest_subprocess(*common, "-x", "-k", "unscaled", "--sampler-report", "early.html")
    page = (pytester.path / "early.html").read_text(encoding="utf-8")
    assert "Nothing is drawn: the last of this sampler's selected checks, which does that, did not run." in visible(
        page
    )
