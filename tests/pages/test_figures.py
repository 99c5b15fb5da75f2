"""Figures and pages: what they show, that they show it again, and what they say when they cannot."""

from __future__ import annotations

import base64
import io
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from sampler_harness.report.figures import BROKEN, curves, encode_png, filmstrip, flattened
from sampler_harness.report.page import EXTRA, TEMPLATES, MissingExtraError, render_page, write_page

matplotlib = pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

LINES = {"2 to 4 px": ([1000, 2000, 3000], [0.9, 0.8, 0.4]), "4 to 8 px": ([1000, 2000, 3000], [1.0, 0.9, 0.8])}


def picture(strip: str) -> np.ndarray:
    """The pixels of a strip's PNG, red, green, blue and opacity."""
    found = re.search(r"data:image/png;base64,([^\"]+)", strip)
    assert found is not None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found.group(1)))).convert("RGBA"))


def texts(svg: str) -> list[str]:
    return ["".join(one.itertext()) for one in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_curves_show_their_lines_by_name_as_text() -> None:
    svg = curves(LINES, xlabel="step", ylabel="detail", marks={"keep 1000": 1000}, levels={"data": 1.0}, lowest=0.0)
    assert {"2 to 4 px", "4 to 8 px", "step", "detail", "keep 1000", "data", "0"} <= set(texts(svg))
    assert svg.startswith("<svg")
    assert 'role="img"' in svg


def test_curves_are_the_same_text_each_time() -> None:
    first, second = (curves(LINES, xlabel="step", ylabel="detail", logy=True) for _ in range(2))
    assert first == second
    assert "<metadata" not in first
    assert not re.search(r"20\d\d-\d\d-\d\d", first)


def test_curves_take_the_colors_of_the_page() -> None:
    svg = curves(LINES, xlabel="step", ylabel="detail")
    assert "currentColor" in svg
    assert "var(--series-1," in svg
    assert "var(--series-2," in svg
    assert not re.search(r"#0{6}\b", svg), "black would vanish on a dark page"


def test_curves_leave_matplotlib_as_it_was() -> None:
    before, had_pyplot = dict(matplotlib.rcParams), "matplotlib.pyplot" in sys.modules
    expected = curves(LINES, xlabel="step", ylabel="detail")
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30.0}):
        assert curves(LINES, xlabel="step", ylabel="detail") == expected, "a host's settings change the figure"
    assert dict(matplotlib.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot


def test_curves_leave_gaps_where_there_is_no_value() -> None:
    whole = curves({"a": ([1, 2, 3, 4, 5], [1.0, 2.0, 3.0, 4.0, 5.0])}, xlabel="x", ylabel="y")
    holed = curves({"a": ([1, 2, 3, 4, 5], [1.0, 2.0, np.nan, 4.0, 5.0])}, xlabel="x", ylabel="y")
    assert whole != holed
    assert "nan" not in holed.lower()
    assert "inf" not in curves({"a": ([1, 2, 3], [1.0, np.inf, 0.0])}, xlabel="x", ylabel="y", logy=True).lower()
    assert "nothing finite to show" in curves({"a": ([1.0], [np.nan])}, xlabel="x", ylabel="y")


def test_curves_draw_names_as_they_are() -> None:
    svg = curves({"a <b> & $c^2$": ([1, 2], [1, 2])}, xlabel="x", ylabel="y")
    assert "a <b> & $c^2$" in texts(svg)


def test_curves_refuse_what_is_no_line() -> None:
    with pytest.raises(ValueError, match="no line"):
        curves({}, xlabel="x", ylabel="y")
    with pytest.raises(ValueError, match="3 x and 2 y"):
        curves({"a": ([1, 2, 3], [1, 2])}, xlabel="x", ylabel="y")


def test_a_missing_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError) as curve:
        curves(LINES, xlabel="x", ylabel="y")
    with pytest.raises(MissingExtraError) as page:
        render_page("base.html.j2")
    with pytest.raises(MissingExtraError) as strip:
        filmstrip({"a": np.zeros((1, 4, 4))})
    assert str(curve.value) == str(page.value) == str(strip.value) == EXTRA


def test_a_strip_shows_each_frame_enlarged_pixel_by_pixel() -> None:
    frames = np.linspace(-1.0, 1.0, 3 * 5 * 7).reshape(3, 5, 7)
    pixels = picture(filmstrip({"a": frames}, data_range=(-1, 1)))
    factor = 14  # the first whole number that makes 7 pixels at least 96
    shown = pixels[: 5 * factor, : 7 * factor, 0][::factor, ::factor]
    expected = np.rint(255 * (frames[0] + 1) / 2)
    np.testing.assert_array_equal(shown, expected)
    block = pixels[:factor, factor : 2 * factor, :3]
    assert (block == block[0, 0]).all(), "a pixel is one color all over"
    third = pixels[: 5 * factor, 2 * (7 * factor + 4) :][::factor, : 7 * factor : factor, 0]
    np.testing.assert_array_equal(third, np.rint(255 * (frames[2] + 1) / 2))


def test_a_strip_shows_colors_ranges_and_rows_of_any_length() -> None:
    red = np.stack([np.ones((8, 8)), np.zeros((8, 8)), np.zeros((8, 8))])[None]
    strip = filmstrip(
        {"red": red, "two": torch.full((2, 1, 8, 8), 5.0), "none": np.zeros((0, 8, 8))}, data_range=(0, 1)
    )
    pixels = picture(strip)
    cell = 96 + 4
    assert tuple(pixels[0, 0]) == (255, 0, 0, 255)
    assert tuple(pixels[cell, cell]) == (255, 255, 255, 255), "beyond the range is cut off"
    assert pixels[0, cell, 3] == 0, "no frame, no ink"
    assert pixels[2 * cell, 0, 3] == 0
    assert all(f"<span>{name}</span>" in strip for name in ("red", "two", "none"))


def test_a_strip_shows_what_is_not_finite() -> None:
    frames = np.zeros((1, 4, 4))
    frames[0, 0, 0], frames[0, 0, 1] = np.nan, np.inf
    strip = filmstrip({"bad": frames})
    pixels = picture(strip)
    assert tuple(pixels[0, 0, :3]) == tuple(pixels[0, 24, :3]) == BROKEN
    assert tuple(pixels[0, 48, :3]) == (128, 128, 128)
    assert "bad: 12.5% of the values are NaN or infinite" in strip


def test_a_strip_says_that_channels_are_left_out_and_escapes_names() -> None:
    strip = filmstrip({"<b>": np.zeros((1, 4, 8, 8))}, titles=["a & b", "too many"])
    assert "&lt;b&gt;: the first of 4 channels." in strip
    assert "<span>a &amp; b</span>" in strip
    assert "too many" not in strip
    assert "<b>" not in strip
    assert "image-rendering:pixelated" in strip


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ({}, {}, "no frame to show"),
        ({"a": np.zeros((0, 4, 4))}, {}, "no frame to show"),
        ({"a": np.zeros((4, 4))}, {}, "should be"),
        ({"a": np.zeros((1, 4, 4))}, {"data_range": (1, 1)}, "lowest and the highest"),
    ],
)
def test_a_strip_refuses_what_is_no_frame(rows: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        filmstrip(rows, **options)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4), (1, 1)])
def test_a_png_is_read_as_it_was_written(shape: tuple[int, ...]) -> None:
    pixels = np.random.Generator(np.random.PCG64(3)).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(pixels)))), pixels)
    assert encode_png(pixels) == encode_png(pixels.copy())


@pytest.mark.parametrize("pixels", [np.zeros((2, 2)), np.zeros((2, 2, 2), np.uint8), np.zeros((0, 2), np.uint8)])
def test_a_png_refuses_other_pixels(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8 pixels"):
        encode_png(pixels)


def test_the_base_page_stands_alone() -> None:
    page = render_page("base.html.j2")
    assert page.startswith("<!doctype html>")
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"(src|href)=|url\(|@import", page), "a page fetches nothing"
    assert (TEMPLATES / "base.html.j2").is_file()


def test_names_stand_along_an_axis_in_place_of_numbers() -> None:
    lines = {"own": ([1, 2], [0.2, 0.9])}
    drawn = curves(lines, xlabel="checkpoint", ylabel="power", ticks={1.0: "early.pt", 2.0: "late.pt"})
    assert "early.pt" in drawn
    assert "late.pt" in drawn
    assert "rotate(-30" not in drawn
    names = {float(n): f"a_long_name_of_a_checkpoint_{n}.pt" for n in range(1, 5)}
    assert "rotate(-30" in curves({"own": ([1, 4], [0, 1])}, xlabel="x", ylabel="y", ticks=names)


def test_a_value_that_presses_all_else_flat_is_told() -> None:
    assert not flattened({"own": ([1, 2], [0.2, 1.3]), "reference": ([1, 2], [0.9, float("nan")])})
    assert flattened({"own": ([1, 2], [0.2, 27.0]), "reference": ([1, 2], [0.9, 1.0])})
    assert not flattened({})


def test_a_page_is_written_where_it_was_asked_for(tmp_path: Path) -> None:
    out = write_page("<p>σ</p>", tmp_path / "new" / "page.html")
    assert out.read_text(encoding="utf-8") == "<p>σ</p>"
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot write the page"):
        write_page("", tmp_path / "file" / "page.html")
