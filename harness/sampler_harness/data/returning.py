"""What a program's own inverse makes of the model's outputs: gray levels, fractions of them, and what lies outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import patterns
from .measures import Tone, orientation_of
from .patterns import Array
from .probing import Probe, Stopped
from .reading import as_array

__all__ = ["Return", "return_of"]

#: Where between two levels the inverse is asked; none is a half, which may be rounded either way.
FRACTIONS = (0.2, 0.4, 0.6, 0.8)
#: Shares of half the range by which a model's output is beyond it: -1.02 and 1.02, and far beyond.
SLIGHTLY, FAR = 0.02, 0.5


@dataclass(frozen=True, eq=False)
class Return:
    """An inverse, measured.

    Attributes:
        problem: what it did that made it impossible to measure; empty where it went well.
        there_and_back: ``(256,)`` gray levels that come back; NaN where nothing was measured.
        bias: mean of what comes back minus what was put in, gray levels, over fractions of levels.
        whole: it returns integers.
        beyond: name of a place outside of the range to the level that comes back for it and the one that should.
        orientation: how the picture stands that comes back; None where it cannot be told.
        colors: largest error of a pure color, gray levels; None where the model's input has no colors.
        size: height and width that come back.
        from_declared: largest error for outputs made from the declared range, gray levels; None where none is declared.
    """

    problem: str = ""
    there_and_back: Array = field(default_factory=lambda: np.full(256, np.nan))
    bias: float | None = None
    whole: bool = False
    beyond: tuple[tuple[str, float, float], ...] = ()
    orientation: str | None = None
    colors: float | None = None
    size: tuple[int, int] = (0, 0)
    from_declared: float | None = None


def _held(raw: Any) -> Any:
    """Something that can be added and multiplied."""
    if isinstance(raw, np.ndarray):
        return raw.astype(np.float64) if raw.dtype.kind in "iub" else raw
    return raw if raw.is_floating_point() else raw.float()


def _blend(black: Any, white: Any, share: float) -> Any:
    """The model's output on the way from black to white, in its own dtype."""
    mixed = _held(black) * (1.0 - share) + _held(white) * share
    return mixed.astype(black.dtype) if isinstance(black, np.ndarray) and black.dtype.kind == "f" else mixed


def return_of(probe: Probe, tones: tuple[Tone, ...]) -> Return | None:
    """Measure the inverse of a preprocessing; None where none is declared.

    Args:
        probe: of the preprocessing.
        tones: its tone curves; empty where the picture could not be read.
    """
    if probe.subject.inverse is None or not tones or not all(tone.is_usable for tone in tones):
        return None
    try:
        return _measured(probe, tones)
    except Stopped as stop:
        return Return(problem=str(stop))


def _measured(probe: Probe, tones: tuple[Tone, ...]) -> Return:
    size = probe.subject.frame_size
    black, white = (probe.raw(patterns.flat(size, level)) for level in (0, 255))
    frame, whole = probe.returned(white)
    if not np.isfinite(frame).all():
        return Return(problem="the inverse returned NaN or infinity for a white frame")
    top = float(np.median(frame))
    scale = _scale(top, whole)

    def level(raw: Any) -> float:
        return float(np.median(probe.returned(raw)[0])) * scale

    back = np.array([level(probe.raw(patterns.flat(size, v))) for v in range(256)])
    integers = as_array(white, "the function returned").dtype.kind in "iub"
    straight = all(tone.bend <= 4.5 for tone in tones) and not integers
    bias = None
    if straight:
        asked = [v + f for v in range(4, 252, 4) for f in FRACTIONS]
        bias = float(np.mean([level(_blend(black, white, a / 255)) - a for a in asked]))
    beyond = []
    if not integers:
        for name, share, should in (
            ("just below black", -SLIGHTLY / 2, 0.0),
            ("just above white", 1 + SLIGHTLY / 2, 255.0),
            ("far below black", -FAR / 2, 0.0),
            ("far above white", 1 + FAR / 2, 255.0),
        ):
            beyond.append((name, level(_blend(black, white, share)), should))
    return Return(
        there_and_back=back,
        bias=bias,
        whole=whole,
        beyond=tuple(beyond),
        orientation=_standing(probe, scale),
        colors=_colors(probe, scale) if probe.subject.frame_channels >= 3 and len(tones) >= 3 else None,
        size=(int(frame.shape[0]), int(frame.shape[1])),
        from_declared=_from_declared(probe, black, white, tones, level),
    )


def _scale(top: float, whole: bool) -> float:
    """Frames of floats may run to 1 or to 255: white tells which."""
    return 255.0 if not whole and abs(top) <= 2.0 else 1.0


def _standing(probe: Probe, scale: float) -> str | None:
    size = probe.subject.frame_size
    if min(size) < 8:
        return None
    top, left = (
        probe.returned(probe.raw(patterns.part(size, axis, 0.0, 0.5)))[0].transpose(2, 0, 1) * scale for axis in (0, 1)
    )
    return orientation_of(top, left)


def _colors(probe: Probe, scale: float) -> float | None:
    """Largest error of pure red, green and blue."""
    worst = 0.0
    for color in ((255, 0, 0), (0, 255, 0), (0, 0, 255)):
        frame, _ = probe.returned(probe.raw(patterns.flat(probe.subject.frame_size, color)))
        if frame.shape[2] < 3:
            return None
        should = np.array(color if probe.subject.frame_order == "rgb" else color[::-1], dtype=np.float64)
        worst = max(worst, float(np.abs(np.median(frame[..., :3], axis=(0, 1)) * scale - should).max()))
    return worst


def _from_declared(
    probe: Probe, black: Any, white: Any, tones: tuple[Tone, ...], level: Callable[[Any], float]
) -> float | None:
    """The inverse alone: outputs in the declared range, whatever the preprocessing made."""
    ends = probe.subject.range
    if ends is None or probe.subject.latent_scale is not None:
        return None
    tone = tones[0]
    shares = [(ends[0] + (ends[1] - ends[0]) * v / 255 - tone.black) / tone.span for v in (0, 64, 128, 192, 255)]
    wanted = (0, 64, 128, 192, 255)
    return max(abs(level(_blend(black, white, s)) - v) for s, v in zip(shares, wanted, strict=True))
