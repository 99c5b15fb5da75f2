"""A declaration of preprocessing or data is checked where it is written: each option by itself. Light."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sampler_harness.checks.catalogue import check_ids
from sampler_harness.subject import DeclarationError, _closest, _source_of

__all__ = [
    "CHANNEL_ORDERS",
    "DTYPES",
    "FRAME_DTYPES",
    "FRAME_KINDS",
    "LAYOUTS",
    "LUMA",
    "RESIZES",
    "Ends",
    "check_frame",
    "checked_clip",
    "checked_crop",
    "checked_expectations",
    "checked_function",
    "checked_inverse",
    "checked_luma",
    "checked_range",
    "checked_sizes",
    "choice",
    "dtype_name",
    "pair",
    "real",
    "whole",
]

Ends = tuple[float, float]

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
DTYPES = ("float32", "float64", "float16", "bfloat16", "uint8")


def dtype_name(dtype: Any) -> str:
    """``torch.float32``, ``numpy.float32`` and ``"float32"`` are one."""
    return getattr(dtype, "__name__", None) or str(dtype).removeprefix("torch.")


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """One of several names."""
    __tracebackhide__ = True
    if not isinstance(value, str) or value not in choices:
        legal = ", ".join(repr(choice) for choice in choices)
        raise DeclarationError(f"{name} must be one of {legal}, got {value!r}{_closest(str(value), choices)}")
    return value


def whole(name: str, value: Any, low: int) -> int:
    """A whole number that is not too small."""
    __tracebackhide__ = True
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise DeclarationError(f"{name} must be a whole number >= {low}, got {value!r}")
    return value


def real(name: str, value: Any, *, above: float = -math.inf) -> float:
    """A finite number."""
    __tracebackhide__ = True
    legal = "a finite number" if above == -math.inf else f"a finite number above {above:g}"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= above:
        raise DeclarationError(f"{name} must be {legal}, got {value!r}")
    return float(value)


def checked_sizes(name: str, value: Any, lengths: tuple[int, ...], example: str) -> tuple[int, ...]:
    """A tuple of sizes."""
    __tracebackhide__ = True
    sizes = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    whole = all(isinstance(size, int) and not isinstance(size, bool) and size >= 1 for size in sizes)
    if len(sizes) not in lengths or not whole:
        raise DeclarationError(f"{name} must be whole numbers >= 1 as in {name}={example}, got {value!r}")
    return sizes


def pair(name: str, value: Any) -> Ends:
    """Two numbers that rise."""
    __tracebackhide__ = True
    items = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    if len(items) != 2:
        raise DeclarationError(f"{name} must be two numbers (low, high), got {value!r}")
    low, high = real(f"{name}'s low end", items[0]), real(f"{name}'s high end", items[1])
    if not low < high:
        raise DeclarationError(f"{name} must rise from low to high, got ({low:g}, {high:g})")
    return low, high


def checked_range(value: Any) -> Ends | None:
    """Two ends, from ``"[-1,1]"`` or from two numbers; None stays."""
    __tracebackhide__ = True
    if value is None:
        return None
    if isinstance(value, str):
        number = r"\s*([-+]?\d+(?:\.\d+)?)\s*"
        found = re.fullmatch(rf"\s*\[{number},{number}\]\s*", value)
        if found is None:
            raise DeclarationError(f'range must be written as "[-1,1]" or (-1.0, 1.0), got {value!r}')
        return pair("range", (float(found[1]), float(found[2])))
    return pair("range", value)


def checked_luma(value: Any) -> tuple[float, float, float] | str | None:
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


def checked_crop(value: Any, shape: tuple[int, ...], layout: str) -> tuple[int, int, int, int] | None:
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


def checked_clip(value: Any) -> Ends | None:
    """The range that a sampler clips to, from two numbers or from its configuration."""
    __tracebackhide__ = True
    if value is None:
        return None
    clipped = getattr(value, "is_clipped", None)
    if clipped is not None:
        if not clipped:
            raise DeclarationError(f"clip was given {type(value).__name__}(…) that does not clip: leave clip out")
        reach = float(getattr(value, "clip_range", 1.0))
        return -reach, reach
    return pair("clip", value)


def checked_inverse(value: Any) -> Callable[..., Any] | None:
    """A function; None stays."""
    __tracebackhide__ = True
    if value is None:
        return None
    if not callable(value) or isinstance(value, type):
        raise DeclarationError(f"inverse must be a function, model output -> frame, got {value!r}")
    function: Callable[..., Any] = value
    return function


def check_frame(checked: Mapping[str, Any]) -> None:
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


def checked_function(function: Any, decorator: str, wanted: str, arguments: int) -> tuple[str, tuple[str, int]]:
    """Name and source of a function that takes so many positional arguments."""
    __tracebackhide__ = True
    if getattr(type(function), "is_sampler_under_test", False):
        raise DeclarationError(f"{function.name} is declared twice: write one @{decorator} per function")
    if not callable(function) or isinstance(function, type):
        raise DeclarationError(f"@{decorator} was put on {function!r}: put it on a function {wanted}")
    source = _source_of(function)
    name = getattr(function, "__name__", type(function).__name__)
    where = f"{name} ({source[0]}:{source[1]})"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(f"{where} is asynchronous: write a plain function {wanted}")
    if arguments and inspect.isgeneratorfunction(function):
        raise DeclarationError(
            f"{where} is a generator: write a plain function {wanted} that returns the model's input"
        )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise DeclarationError(f"{where} has no signature that can be read: wrap it, def {wanted}") from None
    placed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in placed if p.default is p.empty]
    enough = len(placed) >= arguments or any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if not enough or len(required) > arguments:
        given = ", ".join(p.name for p in placed) or "none"
        should = "one, the frame" if arguments else "none"
        raise DeclarationError(
            f"{where} takes {len(required)} positional arguments ({given}), should take {should}: write def {wanted}"
        )
    return name, source


def checked_expectations(expected: Any, kind: str, example: str) -> dict[str, str]:
    """Check ids of this kind, each with a reason."""
    __tracebackhide__ = True
    if expected is None:
        return {}
    if not isinstance(expected, Mapping):
        raise DeclarationError(
            f"expected_failures must be a dict of check id to reason, got {expected!r}: write "
            f'expected_failures={{"{example}": "why it is known to fail"}}'
        )
    known = check_ids(kind)
    for id, reason in expected.items():
        if id not in known:
            raise DeclarationError(f"expected_failures names {id!r}, which is no check{_closest(str(id), known)}")
        if not isinstance(reason, str) or not reason.strip():
            raise DeclarationError(f"expected_failures[{id!r}] needs a reason: say why it is known to fail")
    return dict(expected)
