"""Power per spatial frequency: the measure of detail that everything in this package shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "Array", "LevelError", "Octave", "Spectrum", "as_frames", "octaves", "psnr", "radial_spectrum", "retained",
    "retained_error",
]  # fmt: skip

Array = np.ndarray[Any, np.dtype[np.float64]]

#: The finest octave reaches from here to the corners of the frequency plane, cycles per pixel.
FINEST = 0.25


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Radially averaged power.

    Attributes:
        frequency: ``(R,)`` mean radial frequency of each ring, cycles per pixel, increasing; no zero frequency.
        power: ``(R,)`` mean power of a coefficient in the ring, data units squared: what a frame of white noise of
            variance v has at every frequency is v.
        count: ``(R,)`` coefficients in the ring, per frame and channel.
        frames: how many frames and channels were averaged.
    """

    frequency: Array
    power: Array
    count: Array
    frames: int


@dataclass(frozen=True)
class Octave:
    """The power between a radial frequency and its double.

    Attributes:
        low: cycles per pixel, excluded.
        high: cycles per pixel, included; the finest octave includes the corners beyond 1/2.
        power: mean power of a coefficient, data units squared.
        count: coefficients, per frame and channel.
    """

    low: float
    high: float
    power: float
    count: float

    @property
    def name(self) -> str:
        """Its scale for a person: the wavelengths in pixels that it holds."""
        finest = 1.0 / self.high if self.high <= 0.5 else 2.0
        return f"{finest:g} to {1.0 / self.low:g} px"


@dataclass(frozen=True)
class LevelError:
    """The denoising error at one noise level.

    Attributes:
        sigma: noise level, data units.
        mse: mean squared error of a pixel, data units squared.
        relative: ``mse`` over the data's variance: 1 is what the mean gray alone would give.
    """

    sigma: float
    mse: float
    relative: float


def as_frames(frames: Any, name: str = "frames", *, finite: bool = True) -> Array:
    """Frames as a float64 array ``(N, C, H, W)``.

    Args:
        frames: array or tensor, ``(N, H, W)`` or ``(N, C, H, W)``, or a sequence of frames of one size.
        name: what to call them in an error.
        finite: False where NaN and infinity are to be seen.

    Raises:
        ValueError: when they are empty, ragged, of another number of axes or not finite.
    """
    if isinstance(frames, (list, tuple)):
        if not frames:
            raise ValueError(f"{name} are empty: at least one frame is needed")
        frames = [_on_host(one) for one in frames]
        sizes = {one.shape for one in frames}
        if len(sizes) > 1:
            shown = ", ".join(str(size) for size in sorted(sizes)[:3])
            raise ValueError(f"{name} have different sizes ({shown}): bring them to one size first")
        frames = np.stack(frames)
    try:
        values: Array = np.asarray(_on_host(frames), dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} are no numbers: give an array or tensor (N, C, H, W), got {type(frames).__name__}"
        ) from None
    if values.ndim == 3:
        values = values[:, None]
    if values.ndim != 4:
        raise ValueError(f"{name} have shape {values.shape}, should be (N, C, H, W) or (N, H, W)")
    if values.size == 0:
        raise ValueError(f"{name} are empty (shape {values.shape}): at least one frame is needed")
    if finite and not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).reshape(values.shape[0], -1).any(axis=1).argmax())
        raise ValueError(f"{name} hold NaN or infinity, first in frame {bad}")
    return values


def _on_host(values: Any) -> Any:
    """A tensor, whose device may have no float64, as an array."""
    return values.detach().to("cpu").double().numpy() if hasattr(values, "detach") else np.asarray(values)


def hann_window(height: int, width: int) -> Array:
    """Hann's window of unit mean square: frames do not repeat at their border, and the jump there is no detail."""
    rows = np.sin(np.pi * (np.arange(height) + 0.5) / height) ** 2
    columns = np.sin(np.pi * (np.arange(width) + 0.5) / width) ** 2
    window: Array = rows[:, None] * columns[None, :]
    normed: Array = window / np.sqrt((window**2).mean())
    return normed


def radial_frequency(height: int, width: int) -> Array:
    """``(H, W)`` distance of each coefficient of ``np.fft.fft2`` from frequency zero, cycles per pixel."""
    radius: Array = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    return radius


def radial_spectrum(frames: Any, *, window: bool = True) -> Spectrum:
    """The second moment of frames about their own mean gray, per ring of spatial frequency.

    What all frames share (a static background) counts as power too: it is detail that a person sees.

    Args:
        frames: ``(N, C, H, W)`` or ``(N, H, W)``, data units. An axis of one has no frequencies: sequences are
            ``(N, A, T, 1)``.
        window: weigh pixels by Hann's window first; False where frames are periodic, as in closed forms.

    Raises:
        ValueError: when there are no finite frames, or they are single pixels.
    """
    values = as_frames(frames)
    number, channels, height, width = values.shape
    if max(height, width) < 2:
        raise ValueError(f"frames of {height} × {width} have no spatial frequencies: an axis of at least 2 is needed")
    values = values - values.mean(axis=(2, 3), keepdims=True)
    if window:
        weights = hann_window(height, width)
        values = values * weights
        values = values - weights * (values.mean(axis=(2, 3), keepdims=True) / weights.mean())
    power = np.zeros((height, width))
    for start in range(0, number, 256):  # bounds the memory of a large data set
        power += (np.abs(np.fft.fft2(values[start : start + 256])) ** 2).sum(axis=(0, 1))
    power /= number * channels * height * width
    radius = radial_frequency(height, width)
    rings = np.rint(radius * max(height, width)).astype(int)
    rings[0, 0] = 0
    count = np.bincount(rings.ravel(), minlength=int(rings.max()) + 1).astype(float)
    used = np.flatnonzero(count[1:]) + 1
    mean_power = np.bincount(rings.ravel(), power.ravel())[used] / count[used]
    mean_radius = np.bincount(rings.ravel(), radius.ravel())[used] / count[used]
    return Spectrum(mean_radius, mean_power, count[used], number * channels)


def octaves(spectrum: Spectrum) -> tuple[Octave, ...]:
    """A spectrum in octaves, the finest first, as many as hold a ring."""
    found = []
    high = FINEST * 2
    while high > spectrum.frequency[0]:
        low = high / 2
        inside = (spectrum.frequency > low) & ((spectrum.frequency <= high) | (high == FINEST * 2))
        if inside.any():
            count = spectrum.count[inside]
            power = float((count * spectrum.power[inside]).sum() / count.sum())
            found.append(Octave(low, high, power, float(count.sum())))
        high = low
    return tuple(found)


def retained(samples: Any, data: Any, *, window: bool = True) -> tuple[float, ...]:
    """The share of the data's power that samples have, per octave, the finest first; 1 is all of it.

    Args:
        samples: ``(N, C, H, W)`` data units, or a :class:`Spectrum` of them.
        data: the same of the data; frames of the same height and width.
        window: as in :func:`radial_spectrum`.

    Raises:
        ValueError: when the two have different sizes, or the data has no power in an octave.
    """
    own, should = (
        one if isinstance(one, Spectrum) else radial_spectrum(as_frames(one, name), window=window)
        for one, name in ((samples, "samples"), (data, "data"))
    )
    if own.count.shape != should.count.shape or not np.array_equal(own.count, should.count):
        raise ValueError("samples and data have different heights or widths: their spectra cannot be compared")
    shares = []
    for mine, theirs in zip(octaves(own), octaves(should), strict=True):
        if theirs.power <= 0.0:
            raise ValueError(f"the data has no detail at all of {theirs.name}: its frames are constant there")
        shares.append(mine.power / theirs.power)
    return tuple(shares)


def retained_error(samples: Any, data: Any, *, window: bool = True) -> tuple[float, ...]:
    """Standard error of :func:`retained`, per octave, as leaving out one item at a time tells it.

    Source: Efron & Stein 1981, "The jackknife estimate of variance", equation 1.3.

    Args:
        samples: ``(N, C, H, W)`` data units, each beside the frame of the same index.
        data: ``(N, C, H, W)``.
        window: as in :func:`radial_spectrum`.

    Returns:
        Infinity in every octave where there is one item alone.

    Raises:
        ValueError: when the two have different shapes.
    """
    own, should = as_frames(samples, "samples"), as_frames(data, "data")
    if own.shape != should.shape:
        raise ValueError(f"samples have shape {own.shape}, data {should.shape}: each sample needs its frame")
    count = own.shape[0]
    mine, theirs = (
        np.array([[o.power for o in octaves(radial_spectrum(one[n : n + 1], window=window))] for n in range(count)])
        for one in (own, should)
    )
    if count == 1:
        return (math.inf,) * int(mine.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        without = (mine.sum(0) - mine) / (theirs.sum(0) - theirs)
    variance: Array = (count - 1) / count * ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    errors: list[float] = np.sqrt(variance).tolist()
    return tuple(error if math.isfinite(error) else math.inf for error in errors)


def psnr(samples: Any, targets: Any, data_range: float | Sequence[float] = 2.0) -> float:
    """Peak signal-to-noise ratio of samples that have a target each, in dB.

    Source: 10 log10(range² / mean squared difference).

    Args:
        samples: ``(N, C, H, W)`` data units.
        targets: the same shape.
        data_range: highest minus lowest legal value, or the two of them.

    Raises:
        ValueError: when the shapes differ.
    """
    own, should = as_frames(samples, "samples"), as_frames(targets, "targets")
    if own.shape != should.shape:
        raise ValueError(f"samples have shape {own.shape}, targets {should.shape}: each sample needs its target")
    span = data_range if isinstance(data_range, (int, float)) else float(data_range[1]) - float(data_range[0])
    error = float(((own - should) ** 2).mean())
    return float("inf") if error == 0.0 else float(10 * np.log10(span**2 / error))
