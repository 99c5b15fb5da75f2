"""A law as pictures: theirs, the reference's and the difference side by side.

Context: entries of a law span decades, and a page may be light or dark.
Choice: hue tells the sign and opacity the magnitude, over as many decades as rows need to show; what is 0, or within
tolerance, is left empty, so that it has the page's own color.
Reversed by: a color map that is told as easily on both kinds of page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sampler_harness.portrait import LawPicture, Portrait

from .figures import SERIES, TEXT, Array, drawing, framed, svg_of

__all__ = ["law_figure", "plain_number", "shaded", "short_name"]

POSITIVE, NEGATIVE = SERIES[1], SERIES[0]
#: Opacity of the smallest entry that is shown.
FAINTEST = 0.16
#: Decades between the smallest entry that is shown and the largest.
DECADES = (3, 7)
#: Deviations beyond so many tolerances are shown alike.
MOST_TOLERANCES = 1000.0
WIDTH = 11.8


def shaded(values: Array, depth: Array) -> Array:
    """``(H, W, 4)``: hue by sign, opacity by depth; nothing where the depth is 0 or less.

    Args:
        values: whose signs count.
        depth: how strong each is, 1 for the strongest.
    """
    from matplotlib.colors import to_rgb

    picture = np.zeros((*values.shape, 4))
    picture[..., :3] = np.where((values > 0)[..., None], to_rgb(POSITIVE), to_rgb(NEGATIVE))
    opacity = FAINTEST + (1.0 - FAINTEST) * np.clip(depth, 0.0, 1.0)
    picture[..., 3] = np.where(depth > 0.0, opacity, 0.0)
    return picture


def _magnitudes(pictures: Sequence[LawPicture]) -> tuple[float, int]:
    """The largest entry and how many decades below it are shown: each row's strongest entry is to be seen."""
    rows = np.concatenate([np.abs(np.array(one.weights)).max(axis=1) for one in pictures])
    rows = rows[np.isfinite(rows) & (rows > 0)]
    if rows.size == 0:
        return 1.0, DECADES[0]
    span = math.log10(float(rows.max() / rows.min()))
    return float(rows.max()), int(np.clip(math.ceil(span + 2.0), *DECADES))


def _weight_depth(values: Array, largest: float, decades: int) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        depth: Array = 1.0 + np.log10(np.abs(values) / largest) / decades
    return np.where(np.isfinite(depth), depth, 0.0)


def _ratio_depth(ratio: Array) -> Array:
    """0 within tolerance; then a third at once, so that what is off is seen, up to 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        beyond = np.log10(np.abs(ratio)) / math.log10(MOST_TOLERANCES)
    depth: Array = np.where(np.abs(ratio) > 1.0, 0.3 + 0.7 * beyond, 0.0)
    return depth


def law_figure(portrait: Portrait) -> str:
    """Theirs, the reference's, and the difference in tolerances; the first differing row framed in each.

    Args:
        portrait: with at least one law.

    Returns:
        The text of an SVG element; its frames are ``<g class="first-row" data-row="…">``.

    Raises:
        ValueError: when there is no law.
        MissingExtraError: when matplotlib is not installed.
    """
    pictures = [one for one in (portrait.own, portrait.should_be) if one is not None]
    if not pictures:
        raise ValueError("there is no law to draw")
    largest, decades = _magnitudes(pictures)
    rows = max(len(one.rows) for one in pictures)
    with drawing() as make:
        figure = make(WIDTH, float(np.clip(2.0 + 0.13 * rows, 3.3, 6.2)))
        grid = figure.add_gridspec(2, 3, height_ratios=(1.0, 0.045), wspace=0.05)
        shown = (("yours", portrait.own), (short_name(portrait.reference), portrait.should_be))
        for index, (name, law) in enumerate(shown):
            axes = figure.add_subplot(grid[0, index], facecolor="none")
            if law is None:
                _nothing(axes, name, "could not be measured" if index == 0 else "there is none")
                continue
            values = np.array(law.weights)
            labels = index == 0 or portrait.own is None
            _panel(axes, name, law, shaded(values, _weight_depth(values, largest, decades)), labels=labels)
            _frame(axes, law, portrait.first_row, said=False)
        axes = figure.add_subplot(grid[0, 2], facecolor="none")
        grown = _of_ratio(portrait)
        if grown is None:
            _nothing(axes, "difference", "nothing to compare")
        else:
            ratio = np.array(portrait.ratio)
            _panel(axes, "difference", grown, shaded(ratio, _ratio_depth(ratio)), labels=False)
            if not (np.abs(ratio) > 1.0).any():
                _say_within(axes, grown)
            _late(axes, grown, portrait.late)
            _frame(axes, grown, portrait.first_row, said=True)
        _weight_bar(figure.add_subplot(grid[1, :2], facecolor="none"), largest, decades)
        _ratio_bar(figure.add_subplot(grid[1, 2], facecolor="none"))
        what = "weights of the network's outputs and of noise: yours, the reference's, and the difference"
        return svg_of(figure, what)


def _say_within(axes: Any, law: LawPicture) -> None:
    """An empty picture says that it is meant to be empty, beside the line between outputs and noise."""
    outputs, noise = len(law.outputs), len(law.noise)
    middle = (outputs - 1) / 2 if outputs >= noise else outputs + (noise - 1) / 2
    axes.annotate(
        "every weight\nis within tolerance", (middle, 0.3), xycoords=("data", "axes fraction"),
        ha="center", va="center", color=TEXT, fontsize=9,
    )  # fmt: skip


def short_name(name: str) -> str:
    """A name that fits above a picture: the end of a long one."""
    return name if len(name) <= 40 else f"…{name[-38:]}"


def _of_ratio(portrait: Portrait) -> LawPicture | None:
    """Rows and columns that the difference has: those of the law with fewer calls."""
    laws = [one for one in (portrait.own, portrait.should_be) if one is not None]
    if not portrait.ratio or len(laws) < 2:
        return None
    fewer = min(laws, key=lambda one: one.calls)
    width = len(portrait.ratio[0])
    count = len(portrait.ratio)
    named = sorted({row for one in laws for row in one.noise if row <= fewer.rows[count - 1]})
    noise = tuple(named[: width - len(fewer.outputs) - (1 if fewer.has_constant else 0)])
    return LawPicture(
        fewer.calls, fewer.times, fewer.fresh, fewer.rows[:count], fewer.outputs, noise, (), fewer.has_constant
    )


def _panel(axes: Any, name: str, law: LawPicture, picture: Array, *, labels: bool) -> None:
    height, width = picture.shape[:2]
    axes.imshow(picture, interpolation="none", aspect="auto", extent=(-0.5, width - 0.5, height - 0.5, -0.5))
    axes.set_title(name, color=TEXT, fontsize=11, pad=8)
    framed(axes)
    _row_ticks(axes, law, labels=labels)
    _column_ticks(axes, law, width)


def _even(count: int, most: int) -> range:
    """Places of labels at even steps, at most so many."""
    steps = (step * 10**power for power in range(5) for step in (1, 2, 5))
    return range(0, count, next(step for step in steps if math.ceil(count / step) <= most))


def _row_ticks(axes: Any, law: LawPicture, *, labels: bool) -> None:
    last = len(law.rows) - 1
    has_sample = law.rows[-1] == law.calls
    chosen = list(_even(last if has_sample else last + 1, 10))
    if has_sample:
        near = max(1, round(0.05 * (last + 1)))
        chosen = [place for place in chosen if last - place >= near] + [last]
    names = ["sample" if has_sample and place == last else f"call {law.rows[place]}" for place in chosen]
    axes.set_yticks(chosen, names if labels else [""] * len(chosen), fontsize=9)
    axes.tick_params(axis="y", length=3)


def _column_ticks(axes: Any, law: LawPicture, width: int) -> None:
    """Numbers under the columns, and under them what the columns are."""
    outputs, noise = len(law.outputs), len(law.noise)
    ticks: list[tuple[int, str]] = []
    for start, starts in ((0, law.outputs), (outputs, law.noise)):
        room = max(1, math.floor(16 * len(starts) / max(width, 1)))
        # The last label under the outputs would touch the first under the noise.
        near = outputs - 0.045 * width if noise and not start else math.inf
        shown = [place for place in _even(len(starts), room) if place == 0 or place <= near]
        ticks += [(start + place, f"{starts[place]}") for place in shown]
    if law.has_constant:
        ticks.append((width - 1, "c"))
    axes.set_xticks([at for at, _ in ticks], [name for _, name in ticks], fontsize=8)
    axes.tick_params(axis="x", length=2, pad=2)
    edges = [outputs, *([outputs + noise] if law.has_constant else [])]
    for edge in edges:
        if 0 < edge < width:
            axes.axvline(edge - 0.5, color=TEXT, lw=0.9, alpha=0.5)
    for start, count, name in ((0, outputs, "output of call"), (outputs, noise, "noise of row")):
        if count:
            share = count / max(width, 1)
            wide = name if share > 0.22 else name.partition(" ")[0]
            axes.annotate(
                wide, (start + (count - 1) / 2, 0.0), (0, -20), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="center", va="top", fontsize=9, color=TEXT,
            )  # fmt: skip


def _place_of(law: LawPicture, row: int) -> int | None:
    """Which row of the picture a row of the law is in."""
    if not law.is_in_blocks:
        return row if row < len(law.rows) else None
    places = [place for place, start in enumerate(law.rows) if start <= row]
    return places[-1] if row <= law.calls else None


def _frame(axes: Any, law: LawPicture, row: int | None, *, said: bool) -> None:
    from matplotlib.patches import Rectangle

    place = None if row is None else _place_of(law, row)
    if place is None:
        return
    left, right = axes.get_xlim()
    frame = Rectangle((left, place - 0.5), right - left, 1.0, fill=False, edgecolor=TEXT, lw=2.0, clip_on=False)
    frame.set_gid(f"row:first-row:{row}")
    axes.add_patch(frame)
    if said:
        axes.annotate(
            "first to\ndiffer", (1.0, place), (5, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="left", va="center", fontsize=8.5, color=TEXT, linespacing=1.0,
        )  # fmt: skip


def _late(axes: Any, law: LawPicture, late: Sequence[int]) -> None:
    """A mark beside each row in which the network is told a wrong time."""
    places = sorted({place for row in late if (place := _place_of(law, row)) is not None})
    if places:
        left, right = axes.get_xlim()
        at = left - 0.025 * (right - left)
        axes.plot([at] * len(places), places, ls="", marker=">", ms=4, color=TEXT, clip_on=False)
        axes.set_xlim(left, right)


def _nothing(axes: Any, name: str, why: str) -> None:
    axes.set_title(name, color=TEXT, fontsize=11, pad=8)
    axes.set_xticks([])
    axes.set_yticks([])
    framed(axes)
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", color=TEXT, fontsize=10)


def plain_number(value: float) -> str:
    """A tick without a zero that pads an exponent."""
    return f"{value:.3g}".replace("e-0", "e-")


def _weight_bar(axes: Any, largest: float, decades: int) -> None:
    """From the largest negative weight over nothing to the largest positive one."""
    half = np.linspace(0.0, 1.0, 160)
    depth = np.concatenate([half[::-1], half])[None, :]
    signs = np.concatenate([-np.ones(160), np.ones(160)])[None, :]
    axes.imshow(shaded(signs, depth), interpolation="none", aspect="auto", extent=(-1.0, 1.0, 0.0, 1.0))
    sizes = [largest * 10.0 ** (-step) for step in range(0, decades, 1 if decades <= 4 else 2)]
    places = [1.0 + math.log10(size / largest) / decades for size in sizes]
    ticks = [(-at, f"−{plain_number(size)}") for at, size in zip(places, sizes, strict=True)]
    ticks += [(0.0, "0")] + [(at, plain_number(size)) for at, size in zip(places, sizes, strict=True)]
    _bar(axes, sorted(ticks), "weight (each tick ten times the one before)" if decades <= 4 else "weight")


def _ratio_bar(axes: Any) -> None:
    within = np.zeros(80)
    beyond = np.logspace(0.0, math.log10(MOST_TOLERANCES), 120)[1:]
    ratio = np.concatenate([-beyond[::-1], within, beyond])[None, :]
    axes.imshow(shaded(ratio, _ratio_depth(ratio)), interpolation="none", aspect="auto", extent=(-1.0, 1.0, 0.0, 1.0))
    edge = 40.0 / 159.0
    step = (1.0 - edge) / 3.0
    ticks = [(sign * (edge + step * k), f"{'−' if sign < 0 else ''}{10**k}") for sign in (-1, 1) for k in range(4)]
    _bar(axes, sorted(ticks), "deviation in tolerances (empty: within)")


def _bar(axes: Any, ticks: list[tuple[float, str]], label: str) -> None:
    axes.set_yticks([])
    axes.set_xticks([at for at, _ in ticks], [name for _, name in ticks], fontsize=8)
    axes.set_xlabel(label, color=TEXT, fontsize=9)
    framed(axes)
