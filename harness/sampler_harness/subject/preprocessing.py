"""What a user declares of the way from a frame to the model's input and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

from sampler_harness.pinned import Expected

from .base import decorator
from .functions import DeclarationError, Wanted, fixtures_of
from .images import Ends, ImageSubject, image_options
from .options import choice, expectations, numpy_or_torch_name, pair, real, sizes, whole

__all__ = ["LUMA", "PreprocessSubject", "preprocess_under_test"]

FrameKind = Literal["array", "tensor", "image"]

#: Weights of red, green and blue. Rec.601 is what cv2, PIL and most Atari pipelines use.
LUMA: Mapping[str, tuple[float, float, float]] = {
    "rec601": (0.299, 0.587, 0.114),
    "rec709": (0.2126, 0.7152, 0.0722),
    "mean": (1 / 3, 1 / 3, 1 / 3),
}
#: Where the output has the frame's channels: kept as they are, or in reversed order.
CHANNEL_ORDERS = ("same", "reversed")
RESIZES = ("area", "bilinear", "bicubic", "lanczos", "nearest")
FRAME_KINDS = ("array", "tensor", "image")
FRAME_DTYPES = ("uint8", "float32")
LAYOUTS = ("HWC", "CHW")


@dataclass(frozen=True, eq=False, repr=False)
class PreprocessSubject(ImageSubject):
    """A ``frame -> model input`` function and everything that was declared of it.

    It is called with one frame, or with ``pooled_frames`` of them, stacked; the images are the model's inputs.

    Attributes are what :func:`preprocess_under_test` takes: ranges as two numbers, ``luma`` as weights.
    """

    _: KW_ONLY
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
    latent_shift: float = 0.0
    clip: Ends | None = None
    pooled_frames: int = 1

    kind: ClassVar[str] = "preprocessing"
    title: ClassVar[str] = "preprocessing"

    def _further(self) -> list[str]:
        parts = [str(self.fields["luma"])] if self.luma is not None and "luma" in self.fields else []
        return parts + ([self.resize] if self.resize else [])

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
        other = fixtures_of(self.inverse) if self.inverse is not None else ()
        filled = () if self.latent_scale is None else ("autoencoder",)
        return tuple(dict.fromkeys(name for name in (*super().fixture_names, *other) if name not in filled))


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
    expected_failures: Mapping[str, str | Expected] | None = None,
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
        expected_failures: check id to the reason why it is known to fail; or an :class:`Expected`, with what it shows.

    Returns:
        A decorator that turns the function into a :class:`PreprocessSubject`, which can still be called.

    Raises:
        DeclarationError: where the declaration is wrong; the message says what to write instead.
    """
    given = dict(locals())
    __tracebackhide__ = True
    wanted = Wanted("preprocess_under_test", "to_model(frame)", ("frame",), returns="the model's input")

    def checked() -> dict[str, Any]:
        __tracebackhide__ = True
        shape = sizes("frame_shape", frame_shape, (2, 3), "(210, 160, 3)")
        order = choice("layout", layout, LAYOUTS)
        options = {
            **image_options(given),
            "frame_shape": shape,
            "frame_dtype": choice("frame_dtype", numpy_or_torch_name(frame_dtype), FRAME_DTYPES),
            "frame_as": choice("frame_as", frame_as, FRAME_KINDS),
            "layout": order,
            "frame_order": choice("frame_order", frame_order, ("rgb", "bgr")),
            "inverse": _checked_inverse(inverse),
            "luma": _checked_luma(luma),
            "gamma": None if gamma is None else real("gamma", gamma, above=0.0),
            "resize": None if resize is None else choice("resize", resize, RESIZES),
            "crop": _checked_crop(crop, shape, order),
            "latent_shift": real("latent_shift", latent_shift),
            "clip": _checked_clip(clip),
            "pooled_frames": whole("pooled_frames", pooled_frames, 1),
            "expected_failures": expectations(expected_failures, "preprocessing", "data/resize"),
        }
        _check_frame(options)
        return options

    return decorator(PreprocessSubject, wanted, checked)


def _checked_luma(value: Any) -> tuple[float, float, float] | str | None:
    """Three weights, or a channel order; None stays."""
    __tracebackhide__ = True
    if value is None:
        return None
    if isinstance(value, str):
        name = choice("luma", value, (*LUMA, *CHANNEL_ORDERS))
        return LUMA.get(name, name)
    weights = tuple(value) if isinstance(value, Iterable) else ()
    if len(weights) != 3:
        raise DeclarationError(
            f"luma must be 'rec601', 'rec709', 'mean', 'same', 'reversed' or three weights, got {value!r}"
        )
    red, green, blue = (real("luma's weight", weight) for weight in weights)
    return red, green, blue


def _checked_crop(value: Any, shape: tuple[int, ...], layout: str) -> tuple[int, int, int, int] | None:
    """Top, left, height and width that lie in the frame; None stays."""
    __tracebackhide__ = True
    if value is None:
        return None
    items = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    if len(items) != 4 or not all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in items):
        raise DeclarationError(f"crop must be (top, left, height, width) in pixels of the frame, got {value!r}")
    top, left, height, width = items
    rows, columns = shape[1:] if len(shape) == 3 and layout == "CHW" else shape[:2]
    if not (height >= 1 and width >= 1 and top + height <= rows and left + width <= columns):
        raise DeclarationError(f"crop {items} does not lie in a frame of {rows}x{columns}")
    return top, left, height, width


def _checked_clip(value: Any) -> Ends | None:
    """The range that a sampler clips to, from two numbers or from its configuration."""
    __tracebackhide__ = True
    if value is None:
        return None
    from reference_samplers.contract import Reference  # a declaration without it costs no numpy

    if isinstance(value, Reference):
        if not value.is_clipped:
            raise DeclarationError(f"clip was given {type(value).__name__}(…) that does not clip: leave clip out")
        return -value.clip_reach, value.clip_reach
    return pair("clip", value)


def _checked_inverse(value: Any) -> Callable[..., Any] | None:
    """A function; None stays."""
    __tracebackhide__ = True
    if value is None:
        return None
    if not callable(value) or isinstance(value, type):
        raise DeclarationError(f"inverse must be a function, model output -> frame, got {value!r}")
    function: Callable[..., Any] = value
    return function


def _check_frame(checked: Mapping[str, Any]) -> None:
    """What is declared of the frame, the luma and the channels fits together."""
    __tracebackhide__ = True
    shape, layout, luma = checked["frame_shape"], checked["layout"], checked["luma"]
    channels = 1 if len(shape) == 2 else shape[2] if layout == "HWC" else shape[0]
    if channels not in (1, 3, 4):
        raise DeclarationError(
            f"frame_shape {shape} has {channels} channels in layout {layout}, should be 1, 3 or 4: write "
            "frame_shape=(height, width, channels), or layout='CHW'"
        )
    if isinstance(luma, tuple) and (channels < 3 or checked["channels"] != 1):
        raise DeclarationError(
            f"luma weighs red, green and blue into one channel, but the frame has {channels} and the model's input "
            f"{checked['channels']}: leave luma out, or write luma='same'"
        )
    if isinstance(luma, str) and channels != checked["channels"]:
        raise DeclarationError(
            f"luma={luma!r} keeps the frame's {channels} channels, but channels={checked['channels']} is declared"
        )
    if checked["frame_as"] == "image" and (checked["frame_dtype"] != "uint8" or layout == "CHW"):
        raise DeclarationError("frame_as='image' gives a PIL image: its frames are uint8 in layout HWC")
