"""What a law says of each call, beside the reference's: times that the network is told as lines, noise as bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sampler_harness.portrait import Portrait

from .figures import MARKERS, SERIES, TEXT, Array, drawing, quiet_axes, svg_of
from .law_figure import plain_number, short_name

__all__ = ["noise_figure", "times_figure"]

#: Points of a line, and pairs of bars, that can be told apart.
MOST_POINTS = 200
MOST_BARS = 64


def _thinned(values: Sequence[float]) -> tuple[Array, Array]:
    """Places and values, of a long chain some of them."""
    every = np.asarray(values, dtype=np.float64)
    count = every.size
    kept = np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(int)) if count else np.arange(0)
    return kept.astype(np.float64), every[kept]


def times_figure(portrait: Portrait) -> str:
    """What the network is told at each call: yours as points on the reference's band.

    Args:
        portrait: with at least one law.
    """
    lines = [
        (name, *_thinned(law.times))
        for name, law in ((short_name(portrait.reference), portrait.should_be), ("yours", portrait.own))
        if law is not None
    ]
    told = np.concatenate([y for _, _, y in lines])
    told = told[np.isfinite(told)]
    logarithmic = bool(told.size and told.min() > 0 and told.max() > 50 * told.min())
    with drawing() as make:
        figure = make(5.7, 3.1)
        axes = figure.add_subplot(facecolor="none")
        for name, x, y in lines:
            mine = name == "yours"
            axes.plot(
                x, y, label=name, color=SERIES[1 if mine else 0], lw=1.2 if mine else 6.0, alpha=1.0 if mine else 0.4,
                marker=MARKERS[0] if mine else "", markersize=3.0, solid_capstyle="butt",
            )  # fmt: skip
        if logarithmic:
            axes.set_yscale("log")
            _plain_ticks(axes.yaxis)
        _finish(axes, figure, "model call", "time that the network is told")
        return svg_of(figure, "time that the network is told at each call: yours and the reference's")


def _plain_ticks(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    axis.set_major_locator(LogLocator(subs=(1.0,), numticks=8))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))


def _finish(axes: Any, figure: Any, xlabel: str, ylabel: str) -> None:
    from matplotlib.ticker import MaxNLocator

    quiet_axes(axes)
    if not axes.get_xticklabels() or axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.set_xlabel(xlabel, color=TEXT)
    axes.set_ylabel(ylabel, color=TEXT)
    figure.legend(loc="outside upper right", ncols=2, frameon=False, labelcolor=TEXT, fontsize=9)


def noise_figure(portrait: Portrait) -> str:
    """The noise that each row brings in, as pairs of bars; no bar where there is none.

    Args:
        portrait: with at least one law.
    """
    sides = [
        (name, np.asarray(law.fresh, dtype=np.float64), color, law)
        for name, law, color in (
            ("yours", portrait.own, SERIES[1]),
            (short_name(portrait.reference), portrait.should_be, SERIES[0]),
        )
        if law is not None
    ]
    rows = max(values.size for _, values, _, _ in sides)
    block = max(1, math.ceil(rows / MOST_BARS))
    if block > 1:
        sides = [(name, _largest_of(values, block), color, law) for name, values, color, law in sides]
    sizes = np.concatenate([values for _, values, _, _ in sides])
    positive = sizes[np.isfinite(sizes) & (sizes > 0)]
    logarithmic = bool(positive.size and positive.max() > 20 * positive.min())
    floor = 10.0 ** math.floor(math.log10(float(positive.min()) / 2.0)) if logarithmic else 0.0
    with drawing() as make:
        figure = make(5.7, 3.1)
        axes = figure.add_subplot(facecolor="none")
        for index, (name, values, color, _) in enumerate(sides):
            finite = np.where(np.isfinite(values) & (values > 0), values, 0.0)
            heights = np.log10(np.maximum(finite, floor) / floor) if logarithmic else finite
            places = block * (np.arange(values.size) + (0.2 if index else -0.2) * (len(sides) > 1))
            axes.bar(places, heights, width=0.38 * block, color=color, label=name)
        if logarithmic:
            top = math.ceil(math.log10(float(positive.max()) / floor))
            every = max(1, math.ceil(top / 6))
            marks = list(range(every, top + 1, every))
            axes.set_yticks([0, *marks], ["none", *(plain_number(floor * 10.0**mark) for mark in marks)])
        elif not positive.size:
            axes.set_yticks([0], ["none"])
            axes.set_ylim(0, 1)
        _finish(axes, figure, "row: input of this model call, the last one the sample", "fresh noise (std)")
        return svg_of(figure, "standard deviation of the noise that enters at each row: yours and the reference's")


def _largest_of(values: Array, block: int) -> Array:
    """The largest of each block."""
    padded = np.pad(values, (0, -values.size % block), constant_values=0.0)
    largest: Array = padded.reshape(-1, block).max(axis=1)
    return largest
