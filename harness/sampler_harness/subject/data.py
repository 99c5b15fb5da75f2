"""What a user declares of batches of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from sampler_harness.pinned import Expected
from sampler_harness.wording import counted

from .base import decorator
from .functions import DeclarationError, Wanted
from .images import ImageSubject, image_options
from .options import DTYPES, choice, expectations, numpy_or_torch_name, whole

__all__ = ["DataSubject", "data_under_test"]


@dataclass(frozen=True, eq=False, repr=False)
class DataSubject(ImageSubject):
    """A function that returns batches, and everything that was declared of them.

    It is called with nothing and returns an iterable of batches.

    Attributes are what :func:`data_under_test` takes, the dtype by its name.
    """

    _: KW_ONLY
    dtype: str | None = "float32"
    batches: int = 16
    images: Any = None
    levels: int | None = 256
    horizon: int | None = None

    kind: ClassVar[str] = "data"
    title: ClassVar[str] = "data"

    def _further(self) -> list[str]:
        horizon = [f"sequences of {counted(self.horizon, 'step')}"] if self.horizon else []
        return [*horizon, *([self.dtype] if self.dtype else [])]


def data_under_test(
    *,
    range: Any = "[-1,1]",
    channels: int = 1,
    size: tuple[int, int] | None = None,
    dtype: Any = "float32",
    batches: int = 16,
    images: Any = None,
    levels: int | None = 256,
    horizon: int | None = None,
    latent_scale: float | None = None,
    expected_failures: Mapping[str, str | Expected] | None = None,
) -> Callable[[Callable[..., Any]], DataSubject]:
    """Declare that the function below returns batches as the training loop gets them.

    The function is ``my_batches()``; it returns an iterable of batches (or yields them): tensors or arrays ``(B, C, H,
    W)`` or clips ``(B, T, C, H, W)``, tuples with the images first, or dicts. With ``horizon`` they are sequences of
    vectors with an axis of time, as actions of a policy: ``(B, T, C)``.

    Args:
        range: of the values, ``"[-1,1]"`` or ``(-1.0, 1.0)``; None: told, not judged.
        channels: of each image, >= 1.
        size: ``(height, width)`` of each image; None to be told.
        dtype: of the images; None: told, not judged.
        batches: how many of them to look at, >= 1.
        images: key, index or function that gives a batch's images, where it is a tuple or dict.
        levels: gray levels of the source that the range stands for; None for a continuous source, as of sequences.
        horizon: number of time steps T of sequences ``(B, T, C)``, of which ``channels`` is C; None for images.
        latent_scale: what an autoencoder's latents were multiplied by, where the batches hold latents.
        expected_failures: check id to the reason why it is known to fail; or an :class:`Expected`, with what it shows.

    Returns:
        A decorator that turns the function into a :class:`DataSubject`, which can still be called.

    Raises:
        DeclarationError: where the declaration is wrong; the message says what to write instead.
    """
    given = dict(locals())
    __tracebackhide__ = True

    def checked() -> dict[str, Any]:
        __tracebackhide__ = True
        if horizon is not None and (size is not None or latent_scale is not None):
            raise DeclarationError("horizon is of sequences, which have no size and are no latents: leave these out")
        if images is not None and not (callable(images) or isinstance(images, (str, int))):
            raise DeclarationError(f"images must be a key, an index or a function of a batch, got {images!r}")
        options = {
            **image_options(given),
            "dtype": None if dtype is None else choice("dtype", numpy_or_torch_name(dtype), (*DTYPES, "uint8")),
            "batches": whole("batches", batches, 1),
            "images": images,
            "levels": None if levels is None or horizon is not None else whole("levels", levels, 2),
            "horizon": None if horizon is None else whole("horizon", horizon, 1),
            "expected_failures": expectations(expected_failures, "data", "data/contrast"),
        }
        # Of latents no range is known: what a range is declared for are pixels.
        return options if latent_scale is None else {**options, "range": None}

    return decorator(DataSubject, Wanted("data_under_test", "my_batches()", ()), checked)
