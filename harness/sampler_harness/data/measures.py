"""What is read off the answers to the test frames: tone curve, color weights, rounding, geometry and kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sampler_harness.subject.preprocessing import LUMA

from .patterns import Array
from .resampling import Kernel, Measured

__all__ = [
    "ORIENTATIONS",
    "Colors",
    "Resampling",
    "Tone",
    "colors_of",
    "curve_name",
    "gamma_of",
    "name_of_weights",
    "orientation_of",
    "range_name",
    "rounded_up",
    "tone_of",
    "upright",
]

#: An integer's level is read to better than this; what lies farther from all integers was not rounded.
ON_GRID = 0.05
#: Levels nearer than this to an integer say nothing on how the rest is rounded.
BETWEEN = 0.1


@dataclass(frozen=True, eq=False)
class Tone:
    """How one channel answers to the 256 grays.

    Attributes:
        curve: ``(256,)`` the model's input for each, data units.
        slope: data units per gray level, by least squares over the inner levels.
        bend: largest distance, in gray levels, from the straight line between black and white.
        gamma: exponent that fits the curve best; None where it does not rise.
        rising: from each gray to the next the curve never turns back.
        turn: the gray after which it turns back most; -1 where it never does.
        levels: how many of the 256 stay apart.
    """

    curve: Array
    slope: float
    bend: float
    gamma: float | None
    rising: bool
    turn: int
    levels: int

    @property
    def black(self) -> float:
        """Data units."""
        return float(self.curve[0])

    @property
    def white(self) -> float:
        """Data units."""
        return float(self.curve[255])

    @property
    def span(self) -> float:
        """From black to white, data units; negative where they are turned over."""
        return self.white - self.black

    @property
    def is_alive(self) -> bool:
        """Whether the answer depends on the gray level at all."""
        return bool(np.ptp(self.curve) > 1e-9 * max(1.0, float(np.abs(self.curve).max())))

    @property
    def is_usable(self) -> bool:
        """Whether an answer can be turned back into a gray level."""
        return self.is_alive and self.rising and self.span != 0

    def level(self, values: Array) -> Array:
        """Gray levels of answers: along the line where the curve is straight, else by the curve itself."""
        if self.bend <= 4.5:
            return (values - self.black) / self.slope
        # A curve with flat parts has no inverse there: any of its levels will do.
        rising = self.curve + np.arange(256) * 1e-12 * abs(self.span)
        order = 1.0 if self.span > 0 else -1.0
        inner: Array = np.interp(order * values, order * rising, np.arange(256.0))
        return inner


def tone_of(curve: Array) -> Tone:
    """Read the answers to 256 grays.

    Args:
        curve: ``(256,)``, data units.
    """
    levels = np.arange(256.0)
    span = float(curve[255] - curve[0])
    inner = slice(8, 248)
    slope = float(np.polyfit(levels[inner], curve[inner], 1)[0])
    size = abs(span) if span else 1.0
    # Most steps tell the curve's direction: its ends do not, where integers wrap around.
    steps = np.diff(curve) * (1.0 if float(np.median(np.diff(curve))) >= 0 else -1.0)
    apart = max(size, float(np.ptp(curve)), 1e-300) / 255 / 8
    kept = np.sort(curve)
    count = 1 + int((np.diff(kept) > apart).sum()) if np.ptp(curve) > 0 else 1
    bends = 255 * (curve - curve[0]) / span - levels if span else np.full(256, 255.0)
    turn = int(steps.argmin()) if float(steps.min()) < -apart else -1
    return Tone(curve, slope or size / 255, float(np.abs(bends).max()), gamma_of(curve), turn < 0, turn, count)


def gamma_of(curve: Array) -> float | None:
    """The exponent g in ``(v / 255) ** g`` that fits a tone curve best, from its inner levels."""
    span = float(curve[255] - curve[0])
    if span == 0:
        return None
    inner = np.arange(32, 225)
    share = (curve[inner] - curve[0]) / span
    if not (share > 0).all():
        return None
    return float(np.median(np.log(share) / np.log(inner / 255.0)))


def srgb_decoded() -> Array:
    """The sRGB curve taken off: linear light of the 256 levels."""
    x = np.arange(256) / 255.0
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def curve_name(tone: Tone) -> str:
    """A tone curve's name for a person."""
    if not tone.is_alive:
        return "constant"
    if tone.bend <= 4.5:
        return "straight"
    share = (tone.curve - tone.black) / tone.span if tone.span else np.full(256, np.nan)
    if np.abs(share - srgb_decoded()).max() < 0.02:
        return "the sRGB curve taken off (linear light)"
    if _is_srgb_encoded(share):
        return "the sRGB curve put on twice"
    if tone.gamma is not None:
        fitted = (np.arange(256) / 255.0) ** tone.gamma
        if np.abs(share - fitted).max() < 0.02:
            return f"a gamma of {tone.gamma:.3g}"
    return "no known curve"


def _is_srgb_encoded(share: Array) -> bool:
    x = np.arange(256) / 255.0
    encoded = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-12) ** (1 / 2.4) - 0.055)
    return bool(np.abs(share - encoded).max() < 0.02)


#: Ranges that are met, by name; the last word on what went wrong.
_RANGES: Mapping[tuple[float, float], str] = {
    (-1.0, 1.0): "[-1,1]",
    (0.0, 1.0): "[0,1]: the range that ToTensor gives",
    (0.0, 255.0): "[0,255]: it is not normalised",
    (-0.5, 0.5): "[-0.5,0.5]: half of [-1,1]",
    (0.0, 2.0): "[0,2]: the 1 is not subtracted",
    (-3.0, 1.0): "[-3,1]: x * 2 - 1 is applied twice",
    (-1.0, 509.0): "[-1,509]: x * 2 - 1 without the division by 255",
    (-1.0, 0.0): "[-1,0]: the factor 2 is missing",
    (0.0, 1 / 255): "[0,1/255]: divided by 255 twice",
    (-1.0, -1.0 + 2 / 255): "[-1,-0.992]: divided by 255 twice",
    (-1 - 1 / 127.5, -1 + 1 / 127.5): "[-1.008,-0.992]: x / 127.5 - 1 is applied twice",
    (1.0, -1.0): "[1,-1]: black and white are turned over",
    (1.0, 0.0): "[1,0]: black and white are turned over",
    (16 * 2 / 255 - 1, 235 * 2 / 255 - 1): "the levels 16 to 235 of video",
    (-128.0, 127.0): "[-128,127]: shifted by 128, not divided",
}


def range_name(black: float, white: float) -> str:
    """What is known of two ends, or the ends themselves."""
    for (low, high), name in _RANGES.items():
        close = 0.02 * abs(high - low)
        if abs(black - low) <= close and abs(white - high) <= close:
            return name
    return f"[{black:.4g},{white:.4g}]"


@dataclass(frozen=True, eq=False)
class Colors:
    """How colors become the output's channels.

    Attributes:
        weights: ``(C, 3)`` of red, green, blue, in the order of the frame as declared.
        misfit: largest distance, in gray levels, of a color's answer from that weighted sum.
        rounded: share of answers rounded up among those between two levels; None where they are not whole levels.
    """

    weights: Array
    misfit: float
    rounded: float | None


def colors_of(colors: Array, levels: Array) -> Colors:
    """Weights and rounding from fixed colors.

    Args:
        colors: ``(N, 3)`` gray levels.
        levels: ``(C, N)`` gray levels of the answers.
    """
    design = np.concatenate((colors, np.ones((len(colors), 1))), axis=1)
    fitted, *_ = np.linalg.lstsq(design, levels.T, rcond=None)
    misfit = float(np.abs(levels.T - design @ fitted).max())
    weights: Array = np.asarray(fitted[:3].T, dtype=np.float64)
    rounded = None
    if len(weights) == 1:
        name = name_of_weights(weights[0])
        exact = colors @ (np.asarray(LUMA[name]) if name in LUMA else weights[0])
        rounded = rounded_up(exact, levels[0])
    return Colors(weights, misfit, rounded)


def name_of_weights(weights: Array) -> str:
    """A luma's name, or the three weights."""
    tolerance = 0.012
    for name, known in LUMA.items():
        if np.abs(weights - known).max() <= tolerance:
            return name
    for name in ("rec601", "rec709"):
        if np.abs(weights - np.asarray(LUMA[name])[::-1]).max() <= tolerance:
            return f"{name} with red and blue swapped"
    for index, name in enumerate(("red", "green", "blue")):
        if np.abs(weights - np.eye(3)[index]).max() <= tolerance:
            return f"{name} only"
    return ", ".join(f"{weight:.4g}" for weight in weights)


def rounded_up(exact: Array, levels: Array) -> float | None:
    """Of levels that lie between two integers, the share that was rounded up: 1/2 for rounding, 0 for truncation.

    Args:
        exact: what the levels would be without rounding.
        levels: what they are.

    Returns:
        None where the levels are no integers, or none lies between two.
    """
    if np.abs(levels - np.rint(levels)).max() > ON_GRID:
        return None
    share = exact - np.floor(exact)
    between = (share > BETWEEN) & (share < 1 - BETWEEN)
    if int(between.sum()) < 16:
        return None
    return float((levels[between] > exact[between]).mean())


@dataclass(frozen=True, eq=False)
class Resampling:
    """How the picture's rows or columns become the output's.

    Attributes:
        matrix: ``(m, n)`` as measured.
        geometry: start, stop, shift and width; None where nothing arrives.
        kernel: the known one that is closest.
        distance: largest difference of the matrix from it.
    """

    matrix: Array
    geometry: Measured | None
    kernel: Kernel
    distance: float

    @property
    def is_known(self) -> bool:
        """Whether the closest known kernel is the one."""
        return self.distance <= 0.02


#: How a picture may stand, by what undoes it on ``(C, H, W)``.
ORIENTATIONS: Mapping[str, str] = {
    "as it stood": "",
    "mirrored left to right": "x",
    "upside down": "y",
    "turned by half a circle": "xy",
    "with rows and columns swapped": "t",
    "turned by a quarter to the left": "tx",
    "turned by a quarter to the right": "ty",
    "with rows and columns swapped, and turned over": "txy",
}


def upright(values: Array, steps: str) -> Array:
    """Undo an orientation: transpose first, then mirror."""
    if "t" in steps:
        values = values.transpose(0, 2, 1)
    if "x" in steps:
        values = values[:, :, ::-1]
    return values[:, ::-1] if "y" in steps else values


def orientation_of(top: Array, left: Array) -> str | None:
    """How the picture stands, from the answers to a bright top and to a bright left.

    Args:
        top: ``(C, H, W)`` gray levels of a frame whose top is white.
        left: of one whose left is white.

    Returns:
        A name of :data:`ORIENTATIONS`; None where it cannot be told.
    """
    for name, steps in ORIENTATIONS.items():
        rows = upright(top, steps).mean(axis=(0, 2))
        columns = upright(left, steps).mean(axis=(0, 1))
        if _falls(rows) and _falls(columns):
            return name
    return None


def _falls(profile: Array) -> bool:
    """Bright at the start and dark at the end."""
    edge = max(len(profile) // 8, 1)
    return len(profile) > 1 and float(profile[:edge].mean() - profile[-edge:].mean()) > 64.0
