"""What a user declares of the way from a frame to the model's input and back, and of batches of data.

``@preprocess_under_test(range="[-1,1]", size=(84, 84))`` and ``@data_under_test(range="[-1,1]")`` turn functions into
subjects. Nothing here imports numpy or torch: declaring costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sampler_harness.subject import DeclarationError, _fixture_names

from .options import (
    DTYPES,
    FRAME_DTYPES,
    FRAME_KINDS,
    LAYOUTS,
    RESIZES,
    Ends,
    check_frame,
    checked_clip,
    checked_crop,
    checked_expectations,
    checked_function,
    checked_inverse,
    checked_luma,
    checked_range,
    checked_sizes,
    choice,
    dtype_name,
    real,
    whole,
)

__all__ = [
    "DataSubject",
    "DeclaredDataSubject",
    "DeclaredPreprocessSubject",
    "PreprocessSubject",
    "data_under_test",
    "preprocess_under_test",
]


FrameKind = Literal["array", "tensor", "image"]


@dataclass(frozen=True, eq=False)
class PreprocessSubject:
    """A ``frame -> model input`` function and everything that was declared of it.

    Attributes:
        function: the user's, called with one frame (or with ``pooled_frames`` of them, stacked).
        name: short name, the function's.
        target: how a person names it, ``file.py:to_model``.
        source: file and line of the function.
        range: what black and white become, data units; None where nothing is declared.
        channels: of the model's input.
        size: height and width of the model's input; None to be told.
        frame_shape: of a frame as the function gets it: height, width, channels; or height, width.
        frame_dtype: ``uint8``, or ``float32`` for frames in [0, 1].
        frame_as: ``array`` (numpy), ``tensor`` (torch) or ``image`` (PIL).
        layout: of the frame: ``HWC`` or ``CHW``.
        frame_order: ``rgb`` or ``bgr``: what the frame's channels are.
        inverse: ``model output -> frame``; None where there is none.
        luma: weights of red, green, blue that a gray output is made with, or ``same``/``reversed``; None to be told.
        gamma: exponent of the tone curve, 1.0 for a straight one; None to be told.
        resize: kernel; None to be told.
        crop: top, left, height, width of the part of the frame that is used; None for all of it.
        latent_scale: what an autoencoder's latents are multiplied by; None where the model works on pixels.
        latent_shift: what is subtracted from the latents before that.
        clip: the range that the sampler clips to; None where it does not.
        pooled_frames: how many consecutive frames are given at once, to be pooled by their maximum.
        expected_failures: check id to reason, for known deviations.
        fields: what was declared, by name.
    """

    function: Callable[..., Any]
    name: str = ""
    target: str = ""
    source: tuple[str, int] = ("", 0)
    range: Ends | None = (-1.0, 1.0)
    channels: int = 1
    size: tuple[int, int] | None = None
    frame_shape: tuple[int, ...] = (210, 160, 3)
    frame_dtype: str = "uint8"
    frame_as: str = "array"
    layout: str = "HWC"
    frame_order: str = "rgb"
    inverse: Callable[..., Any] | None = None
    luma: tuple[float, float, float] | str | None = None
    gamma: float | None = 1.0
    resize: str | None = None
    crop: tuple[int, int, int, int] | None = None
    latent_scale: float | None = None
    latent_shift: float = 0.0
    clip: Ends | None = None
    pooled_frames: int = 1
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)

    #: The pytest plugin recognises subjects by this attribute, without importing anything.
    is_sampler_under_test = True
    kind = "preprocessing"

    @property
    def reference_name(self) -> str:
        """What it is held against, for a person."""
        parts = [_range_name(self.range), _channels_name(self.channels)]
        parts += [f"{self.size[0]}x{self.size[1]}"] if self.size else []
        parts += [str(self.fields["luma"])] if self.luma is not None and "luma" in self.fields else []
        parts += [self.resize] if self.resize else []
        parts += [f"latents times {self.latent_scale:g}"] if self.latent_scale is not None else []
        return ", ".join(parts)

    @property
    def frame_channels(self) -> int:
        """Channels of a frame; 1 where it has no axis for them."""
        if len(self.frame_shape) == 2:
            return 1
        return self.frame_shape[2] if self.layout == "HWC" else self.frame_shape[0]

    @property
    def frame_size(self) -> tuple[int, int]:
        """Height and width of a frame."""
        if len(self.frame_shape) == 3 and self.layout == "CHW":
            return self.frame_shape[1], self.frame_shape[2]
        return self.frame_shape[0], self.frame_shape[1]

    @property
    def fixture_names(self) -> tuple[str, ...]:
        """Keyword-only arguments without a default that the harness does not fill: fixtures of the host."""
        own = _fixture_names(self.function)
        other = _fixture_names(self.inverse) if self.inverse is not None else ()
        filled = () if self.latent_scale is None else ("autoencoder",)
        return tuple(dict.fromkeys(name for name in (*own, *other) if name not in filled))

    @property
    def __name__(self) -> str:
        """The function's name; pytest's marks want one of what they are put on."""
        return self.name or getattr(self.function, "__name__", "preprocess")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the user's function: the decorated name still works as before."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<preprocessing under test {self.target or self.name} against {self.reference_name}>"


class DeclaredPreprocessSubject(PreprocessSubject):
    """One that the decorator made: unlike a plain one it may carry ``pytestmark``."""

    pytestmark: list[Any]


@dataclass(frozen=True, eq=False)
class DataSubject:
    """A function that returns batches, and everything that was declared of them.

    Attributes:
        function: the user's, called with nothing; returns an iterable of batches.
        name: short name, the function's.
        target: how a person names it, ``file.py:my_batches``.
        source: file and line of the function.
        range: of the values, data units; None where nothing is declared.
        channels: of each image.
        size: height and width of each image; None to be told.
        dtype: name of the images' dtype; None to be told.
        batches: how many batches to look at.
        images: key, index or function that gives the images of a batch; None where it is clear.
        levels: gray levels of the source that the range stands for (256 for 8 bits); None for a continuous source.
        latent_scale: what an autoencoder's latents were multiplied by; None for pixels.
        expected_failures: check id to reason, for known deviations.
        fields: what was declared, by name.
    """

    function: Callable[..., Any]
    name: str = ""
    target: str = ""
    source: tuple[str, int] = ("", 0)
    range: Ends | None = (-1.0, 1.0)
    channels: int = 1
    size: tuple[int, int] | None = None
    dtype: str | None = "float32"
    batches: int = 16
    images: Any = None
    levels: int | None = 256
    latent_scale: float | None = None
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)

    #: The pytest plugin recognises subjects by this attribute, without importing anything.
    is_sampler_under_test = True
    kind = "data"

    @property
    def reference_name(self) -> str:
        """What it is held against, for a person."""
        parts = [_range_name(self.range), _channels_name(self.channels)]
        parts += [f"{self.size[0]}x{self.size[1]}"] if self.size else []
        parts += [self.dtype] if self.dtype else []
        parts += [f"latents times {self.latent_scale:g}"] if self.latent_scale is not None else []
        return ", ".join(parts)

    @property
    def fixture_names(self) -> tuple[str, ...]:
        """Keyword-only arguments without a default that the harness does not fill: fixtures of the host."""
        return _fixture_names(self.function)

    @property
    def __name__(self) -> str:
        """The function's name; pytest's marks want one of what they are put on."""
        return self.name or getattr(self.function, "__name__", "batches")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the user's function: the decorated name still works as before."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<data under test {self.target or self.name} against {self.reference_name}>"


class DeclaredDataSubject(DataSubject):
    """One that the decorator made: unlike a plain one it may carry ``pytestmark``."""

    pytestmark: list[Any]


def preprocess_under_test(
    *,
    range: Any = "[-1,1]",
    channels: int = 1,
    size: tuple[int, int] | None = None,
    frame_shape: Sequence[int] = (210, 160, 3),
    frame_dtype: Any = "uint8",
    frame_as: FrameKind = "array",
    layout: str = "HWC",
    frame_order: str = "rgb",
    inverse: Callable[..., Any] | None = None,
    luma: str | Sequence[float] | None = None,
    gamma: float | None = 1.0,
    resize: str | None = None,
    crop: Sequence[int] | None = None,
    latent_scale: float | None = None,
    latent_shift: float = 0.0,
    clip: Any = None,
    pooled_frames: int = 1,
    expected_failures: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., Any]], PreprocessSubject]:
    """Declare that the function below turns a frame into the model's input.

    The function is ``to_model(frame)``. It returns a tensor or array in any of CHW, BCHW, HWC, HW; which of them is
    found and told. With ``autoencoder`` as a keyword-only argument it is given a stand-in for the autoencoder.

    Args:
        range: what black and white become, ``"[-1,1]"`` or ``(-1.0, 1.0)``; None to be told.
        channels: of the model's input, >= 1.
        size: its ``(height, width)``; None to be told.
        frame_shape: of the frame that the function gets, ``(height, width, channels)``, or in ``layout``'s order.
        frame_dtype: ``uint8``, or ``float32`` for frames in [0, 1].
        frame_as: the frame is a numpy ``array``, a torch ``tensor`` or a PIL ``image``.
        layout: ``HWC`` or ``CHW``.
        frame_order: ``rgb``, or ``bgr`` as cv2.imread gives.
        inverse: the program's own ``model output -> frame``.
        luma: how gray is made of colors: ``rec601``, ``rec709``, ``mean``, three weights of red, green, blue; ``same``
            or ``reversed`` where the model's input has the frame's channels. None: told, not judged.
        gamma: exponent of the tone curve on [0, 1]; None: told, not judged.
        resize: ``area``, ``bilinear``, ``bicubic``, ``lanczos`` or ``nearest``. None: told, not judged.
        crop: ``(top, left, height, width)`` of the part of the frame that is used; None for all of it.
        latent_scale: what an autoencoder's latents are multiplied by, as 0.18215.
        latent_shift: what is subtracted from them before.
        clip: ``(low, high)`` that the sampler clips to, or a sampler's configuration with clipping.
        pooled_frames: how many consecutive frames are given at once, stacked in front, for their maximum.
        expected_failures: check id to the reason why it is known to fail.

    Returns:
        A decorator that turns the function into a :class:`PreprocessSubject`, which can still be called.

    Raises:
        DeclarationError: where the declaration is wrong; the message says what to write instead.
    """
    __tracebackhide__ = True
    given = {name: value for name, value in locals().items() if not name.startswith("__")}

    def declare(function: Callable[..., Any]) -> PreprocessSubject:
        __tracebackhide__ = True
        name, source = checked_function(function, "preprocess_under_test", "to_model(frame)", 1)
        try:
            shape = checked_sizes("frame_shape", frame_shape, (2, 3), "(210, 160, 3)")
            order = choice("layout", layout, LAYOUTS)
            checked: dict[str, Any] = {
                "range": checked_range(range),
                "channels": whole("channels", channels, 1),
                "size": None if size is None else checked_sizes("size", size, (2,), "(84, 84)"),
                "frame_shape": shape,
                "frame_dtype": choice("frame_dtype", dtype_name(frame_dtype), FRAME_DTYPES),
                "frame_as": choice("frame_as", frame_as, FRAME_KINDS),
                "layout": order,
                "frame_order": choice("frame_order", frame_order, ("rgb", "bgr")),
                "inverse": checked_inverse(inverse),
                "luma": checked_luma(luma),
                "gamma": None if gamma is None else real("gamma", gamma, above=0.0),
                "resize": None if resize is None else choice("resize", resize, RESIZES),
                "crop": checked_crop(crop, shape, order),
                "latent_scale": None if latent_scale is None else real("latent_scale", latent_scale, above=0.0),
                "latent_shift": real("latent_shift", latent_shift),
                "clip": checked_clip(clip),
                "pooled_frames": whole("pooled_frames", pooled_frames, 1),
                "expected_failures": checked_expectations(expected_failures, "preprocessing", "data/resize"),
            }
            check_frame(checked)
        except DeclarationError as error:
            raise DeclarationError(f"{name} ({source[0]}:{source[1]}): {error}") from None
        return DeclaredPreprocessSubject(
            function=function, name=name, target=f"{source[0]}:{name}", source=source, fields=given, **checked
        )

    return declare


def data_under_test(
    *,
    range: Any = "[-1,1]",
    channels: int = 1,
    size: tuple[int, int] | None = None,
    dtype: Any = "float32",
    batches: int = 16,
    images: Any = None,
    levels: int | None = 256,
    latent_scale: float | None = None,
    expected_failures: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., Any]], DataSubject]:
    """Declare that the function below returns batches as the training loop gets them.

    The function is ``my_batches()``; it returns an iterable of batches (or yields them): tensors or arrays ``(B, C, H,
    W)`` or sequences ``(B, T, C, H, W)``, tuples with the images first, or dicts.

    Args:
        range: of the values, ``"[-1,1]"`` or ``(-1.0, 1.0)``; None: told, not judged.
        channels: of each image, >= 1.
        size: ``(height, width)`` of each image; None to be told.
        dtype: of the images; None: told, not judged.
        batches: how many of them to look at, >= 1.
        images: key, index or function that gives a batch's images, where it is a tuple or dict.
        levels: gray levels of the source that the range stands for; None for a continuous source.
        latent_scale: what an autoencoder's latents were multiplied by, where the batches hold latents.
        expected_failures: check id to the reason why it is known to fail.

    Returns:
        A decorator that turns the function into a :class:`DataSubject`, which can still be called.

    Raises:
        DeclarationError: where the declaration is wrong; the message says what to write instead.
    """
    __tracebackhide__ = True
    given = {name: value for name, value in locals().items() if not name.startswith("__")}

    def declare(function: Callable[..., Any]) -> DataSubject:
        __tracebackhide__ = True
        name, source = checked_function(function, "data_under_test", "my_batches()", 0)
        try:
            if images is not None and not (callable(images) or isinstance(images, (str, int))):
                raise DeclarationError(f"images must be a key, an index or a function of a batch, got {images!r}")
            checked: dict[str, Any] = {
                "range": None if latent_scale is not None else checked_range(range),
                "channels": whole("channels", channels, 1),
                "size": None if size is None else checked_sizes("size", size, (2,), "(84, 84)"),
                "dtype": None if dtype is None else choice("dtype", dtype_name(dtype), DTYPES),
                "batches": whole("batches", batches, 1),
                "images": images,
                "levels": None if levels is None else whole("levels", levels, 2),
                "latent_scale": None if latent_scale is None else real("latent_scale", latent_scale, above=0.0),
                "expected_failures": checked_expectations(expected_failures, "data", "data/contrast"),
            }
        except DeclarationError as error:
            raise DeclarationError(f"{name} ({source[0]}:{source[1]}): {error}") from None
        return DeclaredDataSubject(
            function=function, name=name, target=f"{source[0]}:{name}", source=source, fields=given, **checked
        )

    return declare


def _range_name(ends: Ends | None) -> str:
    return "any range" if ends is None else f"[{ends[0]:g},{ends[1]:g}]"


def _channels_name(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"
