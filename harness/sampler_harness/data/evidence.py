"""What the checks of a preprocessing look at: its answers to all test frames, measured once in a fixed order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sampler_harness.evidence import AnyEvidence
from sampler_harness.subject.preprocessing import PreprocessSubject
from sampler_harness.verdict import Coverage

from . import patterns
from .latents import Latents, latents_of
from .measures import ORIENTATIONS, Colors, Resampling, Tone, colors_of, orientation_of, rounded_up, tone_of, upright
from .patterns import Array, Size
from .probing import Probe, Stopped
from .reading import Output
from .resampling import measured, nearest_kernel
from .returning import Return, return_of

__all__ = ["PreprocessEvidence"]

#: Colors that the weights are read from: pairs of complements.
COLORS = 128
#: Lines this far apart never meet in an output pixel; frames up to this size get one line at a time.
LINES_APART = 256
NOISE_FRAMES = 2


@dataclass(frozen=True)
class Edges:
    """What edges between black and white tell.

    Attributes:
        crossings: how often the answer to one edge crosses mid-gray; once, but where integers wrap.
        overshoot: gray levels beyond black or white.
        checkerboard: contrast that is left of a one-pixel checkerboard, 0 to 1.
    """

    crossings: int
    overshoot: float
    checkerboard: float


class PreprocessEvidence(AnyEvidence[PreprocessSubject]):
    """All that is measured of one preprocessing; the same frames are shown under each budget."""

    def prepare(self) -> None:
        """No frame has been shown yet."""
        self.problem: str | None = None
        self.not_finite: list[str] = []
        self.repeats_off: float | None = None
        self.output: Output | None = None
        self.tones: tuple[Tone, ...] = ()
        self.context = 0.0
        self.uneven = 0.0
        self.colors: Colors | None = None
        self.orientation: str | None = None
        self.rows: Resampling | None = None
        self.columns: Resampling | None = None
        self.resize_rounded: float | None = None
        self.edges: Edges | None = None
        self.pooling: Mapping[str, float] = {}
        self.back: Return | None = None
        self.latents: Latents | None = None
        self._calls = 0
        self._frames = 0

    @property
    def size(self) -> Size:
        """Height and width of a frame."""
        return self.subject.frame_size

    @property
    def sees_pixels(self) -> bool:
        """Whether the picture that the model gets could be read."""
        return self.problem is None and bool(self.tones)

    @property
    def is_straight(self) -> bool:
        """Whether every channel's answer can be turned back into gray levels."""
        return bool(self.tones) and all(tone.is_usable for tone in self.tones)

    def coverage(self) -> Coverage:
        """Frames shown and calls made."""
        declared = {name for name, value in self.subject.fields.items() if value is not None}
        told = tuple(n for n in ("size", "luma", "resize", "inverse", "clip", "latent_scale") if n not in declared)
        return Coverage(
            fields={"gray levels": "256/256" if self.tones else "0/256"},
            not_varied=told,
            cases=self._frames,
            model_calls=self._calls,
        )

    def measure_all(self) -> None:
        """Show all test frames."""
        probe = Probe(self.subject, device=self.device, fixtures=self.fixtures)
        try:
            self._measure(probe)
        except Stopped as stop:
            self.problem = str(stop)
        if self.problem is None:
            self.back = return_of(probe, self.tones)
            self.latents = latents_of(probe)
        self._calls = self._frames = probe.calls

    def _measure(self, probe: Probe) -> None:
        frames = [("noise", patterns.noise(self.size, 0)), ("black", patterns.flat(self.size, 0))]
        first = probe.output(frames[0][1]) if probe.sees_pixels else None
        if first is None:
            probe.raw(frames[0][1])
            return
        self.output = first
        again = probe.values(frames[0][1])
        if again.shape != first.values.shape:
            raise Stopped(f"one frame twice gave shapes {first.values.shape} and {again.shape}, should be one")
        with np.errstate(invalid="ignore"):
            off = np.abs(again - first.values)
        self.repeats_off = float(np.nanmax(off)) if np.isfinite(off).any() else 0.0
        for name, frame in [*frames, ("white", patterns.flat(self.size, 255)), ("gray", patterns.flat(self.size, 128))]:
            if not np.isfinite(probe.values(frame)).all():
                self.not_finite.append(name)
        if self.not_finite or self.repeats_off > 0:
            return
        self._measure_tone(probe)
        self._measure_context(probe)
        if self.is_straight:
            self._measure_colors(probe)
            self._measure_geometry(probe)
            self._measure_edges(probe)
            self._measure_pooling(probe)

    def _level(self, values: Array) -> Array:
        """``(C, …)`` answers as gray levels."""
        return np.stack([tone.level(channel) for tone, channel in zip(self.tones, values, strict=True)])

    def _values(self, probe: Probe, *frames: Array) -> Array:
        assert self.output is not None
        values = probe.values(*frames)
        if values.shape != self.output.values.shape:
            raise Stopped(
                f"frames of one size became {self.output.values.shape} and {values.shape}: should always be one shape"
            )
        return values

    def _measure_tone(self, probe: Probe) -> None:
        answers = [self._values(probe, patterns.flat(self.size, level)) for level in range(256)]
        curves = np.stack([np.median(a, axis=(1, 2)) for a in answers], axis=1)
        if not np.isfinite(curves).all():
            level = int(np.flatnonzero(~np.isfinite(curves).all(axis=0))[0])
            self.not_finite.append(f"gray {level}")
            return
        self.tones = tuple(tone_of(curve) for curve in curves)
        white = answers[-1]
        middle = np.median(white, axis=(1, 2), keepdims=True)
        size = max(float(np.ptp(curves)), 1e-300)
        self.uneven = float((np.abs(white - middle) > size / 64).mean())

    def _measure_context(self, probe: Probe) -> None:
        """How far gray's answer depends on what else is in the frame: nothing, where half of the frame is the same."""
        dark, bright = (
            self._values(probe, patterns.part(self.size, 1, 0.0, 0.5, inside=128, outside=outside))
            for outside in (0.0, 255.0)
        )
        # A frame's own spread makes an even frame 0: then these two tell how far the output reaches.
        reach = [*(float(np.ptp(tone.curve)) for tone in self.tones), float(np.ptp(dark)), float(np.ptp(bright))]
        size = max(*reach, 1e-300)
        self.context = float(np.quantile(np.abs(dark - bright), 0.25)) / size * 255

    def _measure_colors(self, probe: Probe) -> None:
        if self.subject.frame_channels < 3:
            return
        shown = patterns.colors(COLORS)
        answers = np.stack(
            [np.median(self._values(probe, patterns.flat(self.size, c)), axis=(1, 2)) for c in shown], axis=1
        )
        self.colors = colors_of(shown, self._level(answers))

    def _measure_geometry(self, probe: Probe) -> None:
        # A frame of a single row or column has no first and last part.
        if min(self.size) >= 8:
            top, left = (self._level(self._values(probe, patterns.part(self.size, axis, 0.0, 0.5))) for axis in (0, 1))
            self.orientation = orientation_of(top, left)
        if self.orientation is None:
            return
        self.rows, self.columns = self._resampling(probe, 0), self._resampling(probe, 1)
        self._measure_resize_rounding(probe)

    def _resampling(self, probe: Probe, axis: int) -> Resampling:
        """The matrix along rows or columns, from the answers to single lines."""
        assert self.orientation is not None
        steps = ORIENTATIONS[self.orientation]
        n = self.size[axis]
        ground = upright(self._level(self._values(probe, patterns.flat(self.size, patterns.AROUND))), steps)[0]
        m = ground.shape[axis]
        matrix = np.zeros((m, n))
        expected = (np.arange(m) + 0.5) * n / m - 0.5
        for start in range(min(n, LINES_APART)):
            places = np.arange(start, n, LINES_APART)
            answer = upright(self._level(self._values(probe, patterns.lines(self.size, axis, list(places)))), steps)[0]
            share = np.median((answer - ground) / (patterns.LINE - patterns.AROUND), axis=1 - axis)
            # Several lines: each output belongs to the one that is nearest.
            nearest = places[np.abs(expected[:, None] - places).argmin(axis=1)]
            matrix[np.arange(m), nearest] += share
        return self._named(matrix, axis)

    def _named(self, matrix: Array, axis: int) -> Resampling:
        """The matrix with its geometry and the kernel that it is closest to, on the part of the frame that is used."""
        m, n = matrix.shape
        geometry = measured(matrix)
        used = (0, n)
        if self.subject.crop is not None:
            start = self.subject.crop[axis]
            used = (start, start + self.subject.crop[axis + 2])
        elif geometry is not None and self.subject.resize is None:
            found = (max(round(geometry.start), 0), min(round(geometry.stop), n))
            loose = max(1.5, 0.6 * n / m)
            if (found[0] > loose or n - found[1] > loose) and found[1] > found[0]:
                used = found
        kernel, distance = nearest_kernel(matrix[:, slice(*used)])
        return Resampling(matrix, geometry, kernel, distance)

    def _measure_resize_rounding(self, probe: Probe) -> None:
        """Whether what lies between two gray levels after resampling is rounded or truncated."""
        assert self.rows is not None
        assert self.columns is not None
        assert self.orientation is not None
        if not (self.rows.is_known and self.columns.is_known) or self.subject.crop is not None:
            return
        by_row, by_column = self.rows.kernel.matrix, self.columns.kernel.matrix
        if by_row.shape[1] != self.size[0] or by_column.shape[1] != self.size[1]:
            return
        exact, got = [], []
        for index in range(NOISE_FRAMES):
            frame = patterns.noise(self.size, index)
            exact.append(by_row @ frame[..., 0] @ by_column.T)
            got.append(upright(self._level(self._values(probe, frame)), ORIENTATIONS[self.orientation])[0])
        self.resize_rounded = rounded_up(np.stack(exact), np.stack(got))

    def _measure_edges(self, probe: Probe) -> None:
        if min(self.size) < 8:
            return
        levels = self._level(self._values(probe, patterns.part(self.size, 1, 0.0, 0.5)))
        bright = levels > 127.5
        along = max(int((bright[:, 1:] != bright[:, :-1]).sum(axis=1).max(initial=0)), 0)
        across = max(int((bright[..., 1:] != bright[..., :-1]).sum(axis=2).max(initial=0)), 0)
        beyond = abs(max(float(levels.max()) - 255.0, -float(levels.min()), 0.0))
        board = self._level(self._values(probe, patterns.checkerboard(self.size)))
        self.edges = Edges(max(along, across), beyond, min(float(board.std()) / 127.5, 1.0))

    def _measure_pooling(self, probe: Probe) -> None:
        """Levels by which a sprite is weaker where only one of the frames holds it."""
        count = self.subject.pooled_frames
        if count == 1:
            return
        nothing, something = patterns.flat(self.size, 0), patterns.sprite(self.size)
        whole = self._level(self._values(probe, *[something] * count))
        found = {}
        for index in range(count):
            frames = [something if i == index else nothing for i in range(count)]
            found[f"frame {index + 1} of {count}"] = float(
                np.abs(self._level(self._values(probe, *frames)) - whole).max()
            )
        self.pooling = found

    def tolerance_in_levels(self) -> float:
        """What the output's own precision does to a gray level: nothing but in half precision."""
        unit = {"bfloat16": 2.0**-9, "float16": 2.0**-12}.get(self.output.dtype if self.output else "", 2.0**-25)
        span = max((abs(tone.span) for tone in self.tones), default=1.0)
        reach = max((float(np.abs(tone.curve).max()) for tone in self.tones), default=1.0)
        return 4 * unit * reach / span * 255 if span and math.isfinite(span) else 0.0
