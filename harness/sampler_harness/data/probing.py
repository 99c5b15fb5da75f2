"""Run a user's preprocessing and its inverse on test frames; whatever they do becomes a sentence, never a crash."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sampler_harness.subject.preprocessing import PreprocessSubject

from .autoencoder import StandInAutoencoder
from .patterns import Array
from .reading import Output, Unreadable, read_frame, read_output

__all__ = ["Probe", "Stopped", "keywords_for", "told"]


class Stopped(Exception):
    """The user's function could not be run on a frame; the message says what it did."""


def keywords_for(function: Callable[..., Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    """What of the offered keyword arguments a function asks for.

    Args:
        function: the user's.
        offered: fixtures, device, the stand-in autoencoder; those that stand as positional arguments are left alone.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: offered[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY and p.name in offered}


def told(error: BaseException) -> str:
    """What was raised, on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


class Probe:
    """A declared preprocessing, called with test frames.

    Args:
        subject: the declaration.
        device: name of a torch device, for functions that take ``device``.
        fixtures: values for the functions' further keyword-only arguments.
    """

    def __init__(self, subject: PreprocessSubject, *, device: str = "cpu", fixtures: Mapping[str, Any]) -> None:
        self.subject = subject
        self.calls = 0
        self.autoencoder: StandInAutoencoder | None = None
        offered: dict[str, Any] = {"device": device, **fixtures}
        functions = [subject.function] + ([subject.inverse] if subject.inverse is not None else [])
        wants = [
            "autoencoder" in inspect.signature(f).parameters and "autoencoder" not in fixtures
            for f in functions
            if not isinstance(f, np.ufunc)
        ]
        if subject.latent_scale is not None and any(wants):
            self.autoencoder = StandInAutoencoder(subject.latent_scale, subject.latent_shift)
            offered["autoencoder"] = self.autoencoder
        self._forward = keywords_for(subject.function, offered)
        self._backward = keywords_for(subject.inverse, offered) if subject.inverse is not None else {}

    @property
    def sees_pixels(self) -> bool:
        """Whether the picture can be read: always, but for latents of an autoencoder that is not the stand-in."""
        stands_in = self.autoencoder is not None and "autoencoder" in self._forward
        return self.subject.latent_scale is None or stands_in

    def frame(self, pattern: Array) -> Any:
        """A pattern as the user's function takes frames."""
        subject = self.subject
        channels = subject.frame_channels
        frame = pattern[..., ::-1] if subject.frame_order == "bgr" else pattern
        if channels == 1:
            frame = frame[..., :1]
        elif channels == 4:
            frame = np.concatenate((frame, np.full((*frame.shape[:2], 1), 255.0)), axis=2)
        if len(subject.frame_shape) == 2:
            frame = frame[..., 0]
        elif subject.layout == "CHW":
            frame = frame.transpose(2, 0, 1)
        whole = subject.frame_dtype == "uint8"
        made: Any = np.ascontiguousarray(np.rint(frame)).astype(np.uint8) if whole else (frame / 255).astype(np.float32)
        if subject.frame_as == "tensor":
            import torch

            return torch.from_numpy(made.copy())
        if subject.frame_as == "image":
            image: Any = importlib.import_module("PIL.Image")
            return image.fromarray(made[..., 0] if made.ndim == 3 and made.shape[2] == 1 else made)
        return made

    def _together(self, patterns: tuple[Array, ...]) -> Any:
        frames = [self.frame(pattern) for pattern in patterns]
        if self.subject.pooled_frames == 1:
            return frames[0]
        if self.subject.frame_as == "tensor":
            import torch

            return torch.stack(frames)
        return frames if self.subject.frame_as == "image" else np.stack(frames)

    def raw(self, *patterns: Array) -> Any:
        """What the user's function returns for a frame, or for consecutive ones where they are pooled.

        Raises:
            Stopped: when it raises.
        """
        count = self.subject.pooled_frames
        given = patterns if len(patterns) == count else (patterns[0],) * count
        self.calls += 1
        try:
            return self.subject.function(self._together(given), **self._forward)
        except Exception as error:
            raise Stopped(f"{self.subject.name} raised {told(error)}") from error
        except SystemExit as error:
            raise Stopped(f"{self.subject.name} ended the process ({told(error)})") from error

    def output(self, *patterns: Array) -> Output:
        """What the model gets of a frame: with a stand-in autoencoder, what its encoder gets.

        Raises:
            Stopped: when the function raises, or returns what is no picture.
        """
        subject = self.subject
        if self.autoencoder is not None and "autoencoder" in self._forward:
            self.autoencoder.forget()
            raw = self.raw(*patterns)
            if not self.autoencoder.encoded:
                raise Stopped(f"{subject.name} takes an autoencoder and never calls autoencoder.encode")
            pixels = self.autoencoder.encoded[-1][0].numpy()
            return Output(np.asarray(pixels, dtype=np.float64), "BCHW", "float32", raw)
        raw = self.raw(*patterns)
        try:
            return read_output(raw, subject.channels, subject.size)
        except Unreadable as error:
            raise Stopped(f"{subject.name}: {error}") from None

    def values(self, *patterns: Array) -> Array:
        """``(C, H, W)`` of a frame."""
        return self.output(*patterns).values

    def returned(self, raw: Any) -> tuple[Array, bool]:
        """The frame that the inverse makes of a model's output, and whether it is of integers.

        Raises:
            Stopped: when it raises, or returns what is no frame.
        """
        assert self.subject.inverse is not None
        name = getattr(self.subject.inverse, "__name__", "the inverse")
        self.calls += 1
        try:
            back = self.subject.inverse(raw, **self._backward)
        except Exception as error:
            raise Stopped(f"{name} raised {told(error)} for a model output of the preprocessing's own shape") from error
        try:
            return read_frame(back)
        except Unreadable as error:
            raise Stopped(f"{name}: {error}") from None
