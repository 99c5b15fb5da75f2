"""What is done to an autoencoder's latents on the way to the model and back: read from the stand-in, or inferred."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import patterns
from .patterns import Array
from .probing import Probe, Stopped
from .reading import Unreadable, as_array

__all__ = ["Latents", "latents_of"]


@dataclass(frozen=True)
class Latents:
    """The factors that latents meet.

    Attributes:
        problem: why nothing could be measured; empty where it went well.
        encode: what the autoencoder's latents are multiplied by before the model; None where it cannot be read.
        decode: what the model's output is multiplied by before decoding; None where it cannot be read.
        encode_off: what remains, relative, where the model's latents are not a multiple of the autoencoder's.
        decode_off: the same for what is decoded.
        consistent: factor by which the model's latents must be multiplied for the frame to come back; 1.0 where encode
            and decode fit; None where it was not tried.
        spread: standard deviation of the latents that the model gets, over the test frames.
    """

    problem: str = ""
    encode: float | None = None
    decode: float | None = None
    encode_off: float = 0.0
    decode_off: float = 0.0
    consistent: float | None = None
    spread: float | None = None


def _multiple(got: Array, given: Array) -> tuple[float, float]:
    """The factor between two arrays, and what remains of the one, relative."""
    size = float((given * given).sum())
    if size == 0:
        return 0.0, 1.0
    factor = float((got * given).sum()) / size
    remains = float(np.abs(got - factor * given).max()) / max(float(np.abs(got).max()), 1e-300)
    return factor, remains


def latents_of(probe: Probe) -> Latents | None:
    """Measure the latents' factors; None where no scale is declared.

    Args:
        probe: of the preprocessing.
    """
    if probe.subject.latent_scale is None:
        return None
    try:
        return _of_stand_in(probe) if probe.sees_pixels else _of_own(probe)
    except Stopped as stop:
        return Latents(problem=str(stop))
    except Unreadable as error:
        return Latents(problem=str(error))


def _frame(probe: Probe) -> Array:
    """Blocks of many colors: latents of every size, on both sides of zero."""
    height, width = probe.subject.frame_size
    rows, columns = np.indices((height, width))
    colors = patterns.colors(64)
    frame: Array = colors[(rows * 8 // height) * 8 + columns * 8 // width]
    return frame


def _of_stand_in(probe: Probe) -> Latents:
    """Both sides are read where they meet the stand-in."""
    box = probe.autoencoder
    assert box is not None
    subject = probe.subject
    box.forget()
    raw = probe.raw(_frame(probe))
    if not box.latents:
        return Latents(problem=f"{subject.name} takes an autoencoder and never calls autoencoder.encode")
    got = as_array(raw, f"{subject.name} returned").astype(np.float64)
    given = box.latents[-1].numpy() - subject.latent_shift
    if got.size != given.size:
        return Latents(
            problem=f"{subject.name} returned shape {got.shape}, but autoencoder.encode gave {tuple(given.shape)}: it "
            "should return the latents"
        )
    encode, encode_off = _multiple(got.reshape(given.shape), given)
    decode, decode_off = None, 0.0
    if subject.inverse is not None:
        box.forget()
        probe.returned(raw)
        if not box.decoded:
            return Latents(problem="the inverse never calls autoencoder.decode", encode=encode, encode_off=encode_off)
        back = box.decoded[-1].numpy() - subject.latent_shift
        decode, decode_off = _multiple(back, got.reshape(back.shape))
    return Latents(encode=encode, decode=decode, encode_off=encode_off, decode_off=decode_off, spread=float(got.std()))


def _of_own(probe: Probe) -> Latents:
    """An autoencoder of the program's own: which factor on the latents brings the frame back best."""
    subject = probe.subject
    assert subject.latent_scale is not None
    raw: Any = probe.raw(_frame(probe))
    spread = float(as_array(raw, f"{subject.name} returned").astype(np.float64).std())
    if subject.inverse is None:
        return Latents(spread=spread)
    wanted = as_array(probe.frame(_frame(probe)), "the frame is").astype(np.float64)
    errors: dict[float, float] = {}
    for factor in (1.0, subject.latent_scale, 1.0 / subject.latent_scale):
        frame, _ = probe.returned(raw * factor)
        if frame.size != wanted.size:
            return Latents(spread=spread)
        seen = frame.reshape(wanted.shape) if frame.shape != wanted.shape else frame
        errors[factor] = float(np.abs(seen - wanted).mean())
    return Latents(consistent=min(errors, key=lambda factor: errors[factor]), spread=spread)
