"""One run beside the reference's as a strip: yours, the reference's, the difference; for a page, or as a PNG file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sampler_harness.portrait import BROKEN, Filmstrip, Portrait
from sampler_harness.verdict import Verdict

from .figures import SERIES, TEXT, Array, drawing, framed, png_of, quiet_axes, svg_of
from .law_figure import shaded
from .page import write_page

__all__ = ["filmstrip_figure", "write_trajectory"]

#: What is black and what is white, in data units: data fill about -1 … 1, noise a little more.
DARKEST, BRIGHTEST = -1.5, 1.5
#: A difference of so many data units has the full color; one of a hundredth of it is not drawn.
FULL_DIFFERENCE = 0.75
MAGENTA = (1.0, 0.0, 1.0)


def _values(frame: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """Data units; NaN for what was not finite."""
    kept = np.asarray(frame, dtype=np.float64)
    values: Array = np.where(kept == BROKEN, np.nan, kept / 1000.0).reshape(shape)
    return values


def _pixels(values: Array) -> Array:
    """``(H, W, 3)``; what is not finite is magenta."""
    seen = values if values.shape[0] == 3 else values[:1]
    broken = ~np.isfinite(seen).all(axis=0)
    share = (np.clip(np.nan_to_num(seen), DARKEST, BRIGHTEST) - DARKEST) / (BRIGHTEST - DARKEST)
    picture = np.moveaxis(np.broadcast_to(share, (3, *share.shape[1:])), 0, -1).copy()
    picture[broken] = MAGENTA
    return picture


def _difference(own: Array, reference: Array) -> Array:
    """``(H, W, 4)``: of all channels the one that differs most, hue by sign; empty where they are the same."""
    gap = np.nan_to_num(own - reference)
    broken = ~np.isfinite(own - reference).all(axis=0)
    most = np.take_along_axis(gap, np.abs(gap).argmax(axis=0)[None], axis=0)[0]
    size = np.abs(most) / FULL_DIFFERENCE
    picture = shaded(most, np.where(size > 0.01, np.maximum(size, 0.02), 0.0))
    picture[broken] = (*MAGENTA, 1.0)
    return picture


def rms_text(apart: float | None) -> str:
    """The difference of a column in a few letters."""
    if apart is None:
        return ""
    return "same" if apart < 5e-5 else f"rms {apart:.2g}"


def _drawn(make: Any, strip: Filmstrip, reference: str) -> Any:
    columns = len(strip.titles)
    is_image = strip.kind == "image"
    height, width = strip.shape[-2:] if is_image else (3, 4)
    cell = 11.0 / max(columns, 4)
    rows = 3 if is_image else 2
    figure = make(11.8, 0.75 + rows * min(cell * height / max(width, 1), 2.2))
    grid = figure.add_gridspec(rows, columns, wspace=0.03, hspace=0.03)
    limits = _limits(strip)
    for column, title in enumerate(strip.titles):
        frames = [
            None if frame is None else _values(frame, strip.shape)
            for frame in (strip.own[column], strip.reference[column])
        ]
        cells = [figure.add_subplot(grid[row, column], facecolor="none") for row in range(rows)]
        cells[0].set_title(title, color=TEXT, fontsize=9.5, pad=5)
        cells[-1].set_xlabel(rms_text(strip.apart[column]), color=TEXT, fontsize=9.5)
        if is_image:
            _images(cells, frames, comparable=strip.apart[column] is not None)
        else:
            _lines(cells, frames, limits, first=column == 0, comparable=strip.apart[column] is not None)
        if column == 0:
            names = ("yours", reference, "difference") if is_image else (f"yours on\n{reference}", "difference")
            for axes, name in zip(cells, names, strict=True):
                axes.set_ylabel(_broken(name), color=TEXT, fontsize=10)
    return figure


def _broken(name: str) -> str:
    """A long name over two lines."""
    return name if len(name) <= 16 or "\n" in name else f"{name[:14]}…"


def _images(cells: list[Any], frames: list[Array | None], *, comparable: bool) -> None:
    own, reference = frames
    pictures = [None if frame is None else _pixels(frame) for frame in frames]
    pictures.append(None)
    words = ["none", "none", "none"]
    if own is not None and reference is not None:
        words[2] = "other step"
        if comparable or not np.isfinite(own - reference).all():
            pictures[2] = _difference(own, reference)
    for axes, picture, word in zip(cells, pictures, words, strict=True):
        axes.set_xticks([])
        axes.set_yticks([])
        framed(axes, alpha=0.3)
        if picture is not None:
            axes.imshow(picture, interpolation="none", aspect="equal")
        else:
            axes.set_aspect("equal")
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1)
            axes.text(0.5, 0.5, word, ha="center", va="center", color=TEXT, fontsize=9, alpha=0.7)


def _limits(strip: Filmstrip) -> tuple[float, float]:
    """Half the heights of the lines and of their differences, the same in all columns."""

    def largest(values: Array) -> float:
        return float(np.abs(np.nan_to_num(values)).max(initial=0.0))

    frames = [_values(frame, strip.shape) for frame in (*strip.own, *strip.reference) if frame is not None]
    gaps = [
        largest(_values(own, strip.shape) - _values(reference, strip.shape))
        for own, reference, apart in zip(strip.own, strip.reference, strip.apart, strict=True)
        if own is not None and reference is not None and apart is not None
    ]
    line = float(np.clip(max((largest(frame) for frame in frames), default=1.0), 1.0, 4.0))
    gap = float(np.clip(max(gaps, default=0.0), 0.01, line))
    return 1.05 * line, 1.05 * gap


def _lines(
    cells: list[Any], frames: list[Array | None], limits: tuple[float, float], *, first: bool, comparable: bool
) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    own, reference = frames
    upper, lower = cells
    for values, wide in ((reference, True), (own, False)):
        for line in () if values is None else values:
            upper.plot(line, color=SERIES[0 if wide else 1], lw=4.0 if wide else 1.0, alpha=0.4 if wide else 1.0)
    if own is None and reference is None:
        upper.text(0.5, 0.5, "none", transform=upper.transAxes, ha="center", va="center", color=TEXT, fontsize=9)
    if comparable and own is not None and reference is not None:
        for line in own - reference:
            lower.plot(line, color=SERIES[1], lw=1.0)
    for axes, limit in zip(cells, limits, strict=True):
        axes.set_ylim(-limit, limit)
        quiet_axes(axes)
        axes.set_xticks([])
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.tick_params(labelleft=first, labelsize=8)


def filmstrip_figure(strip: Filmstrip, reference: str) -> str:
    """The strip as the text of an SVG element.

    Args:
        strip: of a portrait.
        reference: name of what the sampler is held against.

    Raises:
        MissingExtraError: when matplotlib is not installed.
    """
    with drawing() as make:
        figure = _drawn(make, strip, reference)
        return svg_of(figure, f"one run step by step: yours, {reference}, and the difference")


def write_trajectory(shown: Verdict | Portrait, out: str | Path) -> Path:
    """Write one run beside the reference's as a PNG file.

    Args:
        shown: a verdict with a portrait, or a portrait.
        out: the file; its directory is made where it is missing.

    Returns:
        The file that was written.

    Raises:
        ValueError: when there is no run to draw, with the reason, or the file cannot be written.
        MissingExtraError: when matplotlib is not installed.
    """
    portrait = shown.portrait if isinstance(shown, Verdict) else shown
    if portrait is None or portrait.filmstrip is None:
        why = " ".join(portrait.missing) if portrait is not None else "the verdict carries no portrait."
        raise ValueError(f"there is no run to draw: {why}")
    with drawing() as make:
        figure = _drawn(make, portrait.filmstrip, portrait.reference)
        figure.suptitle(f"{portrait.configuration}, one run on the same noise", color=TEXT, fontsize=10)
        content = png_of(figure)
    return write_page(content, out, what="picture")
