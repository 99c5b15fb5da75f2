"""Figures for a page: curves as inline SVG, frames as one inline PNG. The same figures give the same text.

Colors are names of the page (``--series-1`` …, with a light color where the page has none), so that one figure is
readable on a light and on a dark page; text and axes take the page's own color. matplotlib comes with the extra
``report`` and is only loaded when a curve is drawn; its state and the host's settings are neither read nor changed.
"""

from __future__ import annotations

import base64
import contextlib
import html
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .page import EXTRA, MissingExtraError, render_page

__all__ = [
    "MARKERS",
    "SERIES",
    "TEXT",
    "curves",
    "drawing",
    "encode_png",
    "filmstrip",
    "flattened",
    "framed",
    "named_apart",
    "png_of",
    "quiet_axes",
    "svg_of",
]

#: Okabe and Ito's colors (2008), told apart by people with any color vision; yellow is left out, it fades on white.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#777777")
#: Neither color alone nor shape alone tells lines apart.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
#: Letters of the names along an axis that stand beside each other; more are turned.
ROOM = 70
#: A value above so many times the others, or times what is right, would press all else flat.
TALL = 2.5
#: Stands for the page's text color until the SVG is written; nobody draws with it.
TEXT = "#010203"
#: What no frame shows: not gray, and not a color that a frame of a game often has.
BROKEN = (255, 0, 255)
#: A frame is enlarged by a whole factor until its larger side has at least so many pixels …
ENLARGED = 96
#: … unless the strip would then be wider than a page.
WIDEST = 1040

Array = np.ndarray[Any, np.dtype[np.float64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


@contextlib.contextmanager
def drawing() -> Iterator[Callable[[float, float], Any]]:
    """Give what makes a figure of a width and a height in inches; a host's own settings are put aside meanwhile.

    Raises:
        MissingExtraError: when matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError(EXTRA) from None

    def figure(width: float, height: float) -> Any:
        return Figure(figsize=(width, height), layout="constrained", facecolor="none")

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a host's matplotlibrc would change what the same run looks like
        matplotlib.rcParams.update(
            {"svg.hashsalt": "sampler-harness", "svg.fonttype": "none", "text.parse_math": False}
        )
        yield figure


def svg_of(figure: Any, label: str) -> str:
    """A figure as the text of an SVG element to stand in an HTML page; to be called while drawing.

    Args:
        figure: of matplotlib.
        label: what it shows, for whoever does not see it.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    written = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    FigureCanvasSVG(figure).print_svg(written, metadata=nothing)  # type: ignore[no-untyped-call]
    return _for_a_page(written.getvalue(), label)


def png_of(figure: Any) -> bytes:
    """A figure as a PNG file on white, without a date; to be called while drawing.

    Args:
        figure: of matplotlib; what is drawn in ``TEXT`` is nearly black.
    """
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=110.0, facecolor="#ffffff", metadata={"Software": None})
    return written.getvalue()


def named_apart(svg: str, name: str) -> str:
    """The same SVG with names of its own inside: several figures of one page must not answer to each other's.

    Args:
        svg: from :func:`svg_of`.
        name: of the figure, unlike any other's of the page.
    """
    asked = set(re.findall(r'href="#([^"]+)"', svg)) | set(re.findall(r"url\(#([^)]+)\)", svg))

    def renamed(found: re.Match[str]) -> str:
        # Nobody asks for an image by its name, which is that of its content: two that are alike would share it.
        return f' id="{name}-{found[1]}"' if found[1] in asked else ""

    svg = re.sub(r'\sid="([^"]*)"', renamed, svg)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)


def framed(axes: Any, *, alpha: float = 0.35) -> None:
    """Axes around a picture: a faint frame on all sides, in the page's text color.

    Args:
        axes: of matplotlib.
        alpha: opacity of the frame.
    """
    axes.tick_params(colors=TEXT, which="both")
    for spine in axes.spines.values():
        spine.set(color=TEXT, alpha=alpha)


def quiet_axes(axes: Any) -> None:
    """Axes around curves: in the page's text color, with the lines that are needed.

    Args:
        axes: of matplotlib.
    """
    axes.tick_params(colors=TEXT, which="both")
    axes.grid(True, color=TEXT, alpha=0.15, lw=0.6)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(TEXT)


def curves(
    lines: Mapping[str, tuple[Any, Any]],
    *,
    xlabel: str,
    ylabel: str,
    logx: bool = False,
    logy: bool = False,
    marks: Mapping[str, float] | None = None,
    levels: Mapping[str, float] | None = None,
    lowest: float | None = None,
    ticks: Mapping[float, str] | None = None,
) -> str:
    """Lines over one pair of axes, as the text of an SVG element to stand in an HTML page.

    Args:
        lines: from each line's name to its ``(x, y)``, sequences of one length. A value that is not finite, or not
            positive on a logarithmic axis, leaves a gap.
        xlabel: what x is, with its unit.
        ylabel: what y is, with its unit.
        logx: whether x is logarithmic.
        logy: whether y is logarithmic.
        marks: from a name to the x of a vertical line.
        levels: from a name to the y of a horizontal line.
        lowest: where y starts; None for wherever the values do. Ignored where y is logarithmic.
        ticks: from an x to what stands there in place of its number.

    Raises:
        ValueError: when there is no line, or x and y differ in length.
        MissingExtraError: when matplotlib is not installed.
    """
    if not lines:
        raise ValueError("there is no line to draw")
    points = {name: _points(name, xy, logx=logx, logy=logy) for name, xy in lines.items()}
    with drawing() as make:
        figure = make(8.0, 3.4)
        axes = figure.add_subplot(facecolor="none")
        for index, (name, (x, y)) in enumerate(points.items()):
            color = SERIES[index % len(SERIES)]
            axes.plot(x, y, label=name, color=color, marker=MARKERS[index % len(MARKERS)], markersize=3.5, lw=1.6)
        for name, value in (levels or {}).items():
            axes.axhline(value, color=TEXT, lw=0.9, ls=":")
            axes.annotate(
                name, (1.0, value), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                va="center", fontsize=8, color=TEXT,
            )  # fmt: skip
        _scale(axes, logx=logx, logy=logy)
        _mark(axes, marks or {})
        if ticks:
            long = sum(len(name) for name in ticks.values()) > ROOM
            turned = {"rotation": 30, "ha": "right"} if long else {}
            axes.set_xticks(list(ticks), list(ticks.values()), **turned)
        if lowest is not None and not logy:
            axes.set_ylim(bottom=lowest)
        if not any(np.isfinite(x * y).any() for x, y in points.values()):
            axes.text(0.5, 0.5, "nothing finite to show", transform=axes.transAxes, ha="center", color=TEXT)
        axes.set_xlabel(xlabel, color=TEXT)
        axes.set_ylabel(ylabel, color=TEXT)
        quiet_axes(axes)
        figure.legend(loc="outside right upper", frameon=False, labelcolor=TEXT, fontsize=9)
        return svg_of(figure, f"{ylabel} over {xlabel}: {', '.join(lines)}")


def flattened(lines: Mapping[str, tuple[Any, Any]], right: float = 1.0) -> bool:
    """Whether one value presses all else flat, so that y should be logarithmic.

    Args:
        lines: as :func:`curves` takes them.
        right: the value that is right, about which the others lie.
    """
    values = [np.asarray(y, dtype=np.float64).ravel() for _, y in lines.values()]
    finite = np.concatenate([one[np.isfinite(one)] for one in values]) if values else np.zeros(0)
    return bool(finite.size and finite.max() > TALL * right)


def _points(name: str, xy: tuple[Any, Any], *, logx: bool, logy: bool) -> tuple[Array, Array]:
    """Both in float64, NaN where they cannot be drawn."""
    x, y = (np.asarray(values, dtype=np.float64).ravel() for values in xy)
    if x.size != y.size:
        raise ValueError(f"the line {name!r} has {x.size} x and {y.size} y: it needs one y for each x")
    hidden = ~np.isfinite(x) | ~np.isfinite(y) | (logx & (x <= 0.0)) | (logy & (y <= 0.0))
    return np.where(hidden, np.nan, x), np.where(hidden, np.nan, y)


def _scale(axes: Any, *, logx: bool, logy: bool) -> None:
    """Axes with plain numbers as ticks: an exponent is set in a font that the page does not carry."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    for axis, log in ((axes.xaxis, logx), (axes.yaxis, logy)):
        if log:
            (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
            axis.set_major_locator(LogLocator(subs=_subdivisions(axis.get_data_interval()), numticks=10))
            axis.set_minor_locator(NullLocator())
            axis.set_minor_formatter(NullFormatter())
        else:
            axis.set_major_locator(MaxNLocator(nbins=8 if axis is axes.xaxis else 6))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if abs(value) >= 1e3 else f"{value:g}"))


def _subdivisions(interval: Sequence[float]) -> tuple[float, ...]:
    """Where a decade is labeled: the more decades, the fewer places."""
    low, high = interval
    return (1.0,) if low > 0.0 and high > 100.0 * low else (1.0, 2.0, 5.0)


def _mark(axes: Any, marks: Mapping[str, float]) -> None:
    """Vertical lines, their names above the axes, stepped so that neighbors do not cover each other."""
    for index, (name, at) in enumerate(sorted(marks.items(), key=lambda item: item[1])):
        axes.axvline(at, color=TEXT, lw=1.1, ls="--")
        axes.annotate(
            name, (at, 1.0), (0, 3 + 11 * (index % 3)), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="center", fontsize=8.5, color=TEXT,
        )  # fmt: skip


def _for_a_page(written: str, label: str) -> str:
    """The SVG element alone: it scales with the page, takes the page's colors and font, and says what it shows."""
    svg = written[written.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="row:([a-z-]+):(\d+)">', r'<g class="\1" data-row="\2">', svg)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)  # names that every figure has; nothing in the element asks for them
    head, rest = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    assert box is not None  # matplotlib's SVG has always had one
    width = float(box.group().rstrip('"').split()[2])
    style = f"width:100%;max-width:{width * 4 / 3:.0f}px;height:auto;stroke-linejoin:round"
    rest = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", rest)
    rest = re.sub(r"<style.*?</style>", "", rest, count=1, flags=re.DOTALL)  # it would hold for the whole page
    rest = rest.replace(TEXT, "currentColor")
    for index, color in enumerate(SERIES):
        rest = rest.replace(color, f"var(--series-{index + 1}, {color})")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {box.group()} '
        f'class="curves" role="img" aria-label="{html.escape(label)}" style="{style}">{rest}'
    )


def filmstrip(
    rows: Mapping[str, Any], *, titles: Sequence[str] | None = None, data_range: Sequence[float] = (-1.0, 1.0)
) -> str:
    """Frames in labeled rows and titled columns, as the text of an HTML element around one PNG.

    Each frame is enlarged by nearest neighbor, so that its pixels are seen; what lies outside the data's range is
    cut off; what is not finite is magenta, and the caption says so.

    Args:
        rows: from each row's label to its frames, ``(N, H, W)`` or ``(N, C, H, W)`` in data units. Of three channels
            all are shown, as red, green and blue; of any other number the first, and the caption says so.
        titles: of the columns, from the left.
        data_range: what is black and what is white, data units.

    Raises:
        ValueError: when there is no frame, a row has another number of axes, or the range is empty.
    """
    low, high = (float(end) for end in data_range)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"data_range is ({low:g}, {high:g}): it should be the lowest and the highest value")
    strips = {label: _frames(label, frames) for label, frames in rows.items()}
    columns = max((len(strip) for strip in strips.values()), default=0)
    if columns == 0:
        raise ValueError("there is no frame to show")
    height = max(strip.shape[2] for strip in strips.values() if len(strip))
    width = max(strip.shape[3] for strip in strips.values() if len(strip))
    factor = max(1, min(math.ceil(ENLARGED / max(height, width)), WIDEST // (columns * width)))
    gap = 4
    canvas = np.zeros((len(strips) * (height * factor + gap), columns * (width * factor + gap), 4), dtype=np.uint8)
    notes = []
    for index, (label, strip) in enumerate(strips.items()):
        if not np.isfinite(strip).all():
            share = 1.0 - np.isfinite(strip).mean()
            notes.append(f"{label}: {share:.1%} of the values are NaN or infinite, shown in magenta.")
        if strip.shape[1] not in (1, 3):
            notes.append(f"{label}: the first of {strip.shape[1]} channels.")
        for column, frame in enumerate(strip):
            shown = np.kron(_pixels(frame, low, high), np.ones((factor, factor, 1), dtype=np.uint8))
            top, left = index * (height * factor + gap), column * (width * factor + gap)
            canvas[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
    # Text of the page stands around the PNG: it stays sharp, can be searched and takes the page's colors.
    return render_page(
        "filmstrip.html.j2",
        labels=list(strips),
        titles=[str(title) for title in titles or ()][:columns],
        columns=columns,
        width=canvas.shape[1],
        height=canvas.shape[0],
        source=base64.b64encode(encode_png(canvas)).decode("ascii"),
        notes=notes,
    )


def _frames(label: str, frames: Any) -> Array:
    """``(N, C, H, W)`` float64; values that are not finite stay, they are to be seen."""
    if hasattr(frames, "detach"):
        frames = frames.detach().to("cpu").double().numpy()
    values: Array = np.asarray(frames, dtype=np.float64)
    if values.ndim == 3:
        values = values[:, None]
    if values.ndim != 4 or 0 in values.shape[1:]:
        raise ValueError(f"the frames of {label!r} have shape {values.shape}, should be (N, H, W) or (N, C, H, W)")
    return values


def _pixels(frame: Array, low: float, high: float) -> Bytes:
    """``(H, W, 4)``: red, green, blue and opacity of one frame ``(C, H, W)``."""
    seen = frame if frame.shape[0] == 3 else frame[:1]
    broken = ~np.isfinite(seen).all(axis=0)
    gray = np.rint(255.0 * (np.clip(np.nan_to_num(seen), low, high) - low) / (high - low)).astype(np.uint8)
    pixels = np.full((*frame.shape[1:], 4), 255, dtype=np.uint8)
    pixels[..., :3] = np.moveaxis(gray, 0, -1)
    pixels[broken, :3] = BROKEN
    return pixels


def encode_png(pixels: Any) -> bytes:
    """A PNG file of 8-bit pixels, without a date.

    Args:
        pixels: ``(H, W)`` gray, ``(H, W, 3)`` red, green, blue, or ``(H, W, 4)`` with opacity; uint8.

    Raises:
        ValueError: for another shape or dtype.
        MissingExtraError: when Pillow, which comes with matplotlib, is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError(EXTRA) from None
    values: Bytes = np.ascontiguousarray(pixels)
    is_known = values.ndim == 2 or (values.ndim == 3 and values.shape[-1] in (3, 4))
    if values.dtype != np.uint8 or not is_known or values.size == 0:
        raise ValueError(f"a PNG takes uint8 pixels (H, W), (H, W, 3) or (H, W, 4), got {values.dtype} {values.shape}")
    written = io.BytesIO()
    Image.fromarray(values).save(written, format="PNG", optimize=True)
    return written.getvalue()
