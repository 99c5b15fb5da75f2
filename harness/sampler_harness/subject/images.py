"""What declarations of preprocessing and of data share: images in a declared range."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from .base import AnySubject
from .functions import DeclarationError
from .options import pair, real, sizes, whole

__all__ = ["Ends", "ImageSubject", "image_options"]

Ends = tuple[float, float]


@dataclass(frozen=True, eq=False, repr=False)
class ImageSubject(AnySubject):
    """A function that gives images, and what was declared of them.

    Attributes:
        range: of the values, data units: what black and white become; None where nothing is declared.
        channels: of each image.
        size: height and width of each image; None to be told.
        latent_scale: what an autoencoder's latents are multiplied by; None for pixels.
        fields: what was declared, by name.
    """

    _: KW_ONLY
    range: Ends | None = (-1.0, 1.0)
    channels: int = 1
    size: tuple[int, int] | None = None
    latent_scale: float | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reference_name(self) -> str:
        """What it is held against, for a person."""
        parts = ["any range" if self.range is None else f"[{self.range[0]:g},{self.range[1]:g}]"]
        parts += ["1 channel" if self.channels == 1 else f"{self.channels} channels"]
        parts += [f"{self.size[0]}x{self.size[1]}"] if self.size else []
        parts += self._further()
        parts += [f"latents times {self.latent_scale:g}"] if self.latent_scale is not None else []
        return ", ".join(parts)

    def _further(self) -> list[str]:
        """What else is declared of the values, for a person."""
        return []


def image_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """What both declare, in the form that the subject keeps.

    Args:
        given: the decorator's own arguments.
    """
    __tracebackhide__ = True
    size, scale = given["size"], given["latent_scale"]
    return {
        "fields": given,
        "range": _checked_range(given["range"]),
        "channels": whole("channels", given["channels"], 1),
        "size": None if size is None else sizes("size", size, (2,), "(84, 84)"),
        "latent_scale": None if scale is None else real("latent_scale", scale, above=0.0),
    }


def _checked_range(value: Any) -> Ends | None:
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
