"""What the checks of a data set look at: figures of its batches, gathered in one pass, images themselves not kept."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sampler_harness.evidence import AnyEvidence
from sampler_harness.subject.data import DataSubject
from sampler_harness.verdict import Coverage

from .patterns import Array
from .probing import keywords_for, told
from .reading import Unreadable, article, as_array, dtype_name

__all__ = ["Batch", "DataEvidence", "Values"]

#: Share of the declared number of batches that each budget looks at.
SHARE = {"quick": 0.5, "standard": 1.0, "thorough": 4.0}
#: Values that differ are counted up to here: more of them is a continuum.
MANY = 4096
#: Values of a batch that are looked at for that.
SAMPLED = 65_521
#: An axis of channels is no longer than this where it is looked for.
FEW_CHANNELS = 4


@dataclass(frozen=True)
class Batch:
    """One batch as it came.

    Attributes:
        index: which.
        shape: of the images as returned.
        dtype: its name.
        items: how many images, time steps counted.
        not_finite: item and place of the first value that is NaN or infinite, and which of the two; None.
        frames: a digest of each image.
        flat: how many images have one value everywhere.
    """

    index: int
    shape: tuple[int, ...]
    dtype: str
    items: int
    not_finite: tuple[tuple[int, ...], str] | None
    frames: tuple[bytes, ...]
    flat: int


@dataclass
class Values:
    """Figures of all images together.

    Attributes:
        low: smallest value.
        high: largest.
        count: how many values.
        total: their sum.
        squares: sum of their squares.
        outside: how many lie outside of the declared range.
        excess: sum of the distances by which they do.
        distinct: the values that occur, sorted; None where they are more than ``MANY``.
        jumps: neighbors that are nearly the whole declared range apart.
        continued: those of them that go on smoothly if values wrap around at the range's ends.
        equal_channels: in every image all channels are the same.
        rough: mean step between neighbors along height and width.
        unshuffled: the same, after a reshape of (H, W, C) to (C, H, W) is undone.
        at_floor: how many values are exactly 0.
    """

    low: float = math.inf
    high: float = -math.inf
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    outside: int = 0
    excess: float = 0.0
    distinct: Array | None = field(default_factory=lambda: np.zeros(0))
    jumps: int = 0
    continued: int = 0
    equal_channels: bool = True
    rough: Array = field(default_factory=lambda: np.zeros(2))
    unshuffled: Array = field(default_factory=lambda: np.zeros(2))
    at_floor: int = 0

    @property
    def spread(self) -> float:
        """Standard deviation over everything."""
        if self.count == 0:
            return 0.0
        mean = self.total / self.count
        return math.sqrt(max(self.squares / self.count - mean * mean, 0.0))

    def add(self, images: Array, ends: tuple[float, float], *, pictures: bool = True) -> None:
        """Take in finite images ``(N, C, H, W)``; of what is no picture nothing is asked of neighbors."""
        low, high = ends
        self.low, self.high = min(self.low, float(images.min())), max(self.high, float(images.max()))
        self.count += images.size
        self.total += float(images.sum())
        self.squares += float((images * images).sum())
        slack = (high - low) / 255 / 100
        beyond = np.maximum(np.maximum(low - images, images - high), 0.0)
        self.outside += int((beyond > slack).sum())
        self.excess += float(beyond.sum())
        self.at_floor += int((images == 0.0).sum())
        if self.distinct is not None:
            # Large batches are sampled; the ends are always among what is kept.
            some = images.reshape(-1)[:: max(images.size // SAMPLED, 1)]
            here = np.union1d(self.distinct, np.concatenate((some, [images.min(), images.max()])))
            self.distinct = here if len(here) <= MANY else None
        if images.shape[1] > 1:
            self.equal_channels = self.equal_channels and bool((images == images[:, :1]).all())
        if not pictures:
            return
        self._count_jumps(images, high - low)
        if images.shape[1] == 3 and min(images.shape[2:]) > 3:
            self.rough += _roughness(images)
            count, _, height, width = images.shape
            self.unshuffled += _roughness(images.reshape(count, height, width, 3).transpose(0, 3, 1, 2))

    def _count_jumps(self, images: Array, span: float) -> None:
        """Steps of nearly the whole range between neighbors, and those that a wrap-around explains."""
        if images.shape[3] < 4:
            return
        level = span / 255
        step = np.diff(images, axis=3) / level
        before, here, after = step[..., :-2], step[..., 1:-1], step[..., 2:]
        jump = np.abs(here) >= 0.75 * 255
        unwrapped = here - 256 * np.sign(here)
        # Both neighbors' steps go on in the direction that the unwrapped step has, at about its pace.
        smooth = (np.abs(unwrapped - before) <= 4) & (np.abs(unwrapped - after) <= 4)
        moving = (before * unwrapped > 0.25) & (after * unwrapped > 0.25)
        self.jumps += int(jump.sum())
        self.continued += int((jump & smooth & moving).sum())


def _roughness(images: Array) -> Array:
    """Mean step between neighbors along height and along width."""
    return np.array([np.abs(np.diff(images, axis=axis)).mean() for axis in (2, 3)])


class DataEvidence(AnyEvidence[DataSubject]):
    """All that is gathered of one data set.

    ``quick`` looks at half of the declared batches, ``thorough`` at four times as many.
    """

    def prepare(self) -> None:
        """No batch has come yet."""
        self.problem: str | None = None
        self.channels_last = False
        self.batches: list[Batch] = []
        self.values = Values()

    @property
    def ends(self) -> tuple[float, float]:
        """The declared range, or one to count by where none is declared."""
        return self.subject.range if self.subject.range is not None else (-1.0, 1.0)

    @property
    def wanted(self) -> int:
        """How many batches to look at."""
        return max(math.ceil(self.subject.batches * SHARE[self.budget.name]), 1)

    @property
    def items(self) -> int:
        """How many images came."""
        return sum(batch.items for batch in self.batches)

    def coverage(self) -> Coverage:
        """Batches looked at."""
        declared = {name for name, value in self.subject.fields.items() if value is not None}
        told = tuple(name for name in ("size",) if name not in declared)
        return Coverage(
            fields={"batches": f"{len(self.batches)}/{self.wanted}", "images": f"{self.items}/{self.items}"},
            not_varied=told,
            cases=len(self.batches),
            model_calls=0,
        )

    def measure_all(self) -> None:
        """Look at the batches."""
        offered: dict[str, Any] = {"device": self.device, **self.fixtures}
        name = self.subject.name
        try:
            given = self.subject.function(**keywords_for(self.subject.function, offered))
        except (Exception, SystemExit) as error:
            self.problem = f"{name} raised {told(error)}"
            return
        if not isinstance(given, Iterable) or isinstance(given, (str, bytes)):
            what = "None (is a return missing?)" if given is None else article(type(given).__name__)
            self.problem = (
                f"{name} returned {what}, should be an iterable of batches: a DataLoader, a list, a generator"
            )
            return
        shape: Any = getattr(given, "shape", None)
        if shape is not None:
            self.problem = (
                f"{name} returned one {type(given).__name__} of shape {tuple(shape)}, should be an iterable of "
                "batches: return [batch], or yield them"
            )
            return
        self._gather(given)

    def _gather(self, given: Iterable[Any]) -> None:
        name = self.subject.name
        iterator = itertools.islice(iter(given), self.wanted)
        for index in itertools.count():
            try:
                held = next(iterator)
            except StopIteration:
                break
            except (Exception, SystemExit) as error:
                self.problem = f"{name} raised {told(error)} at batch {index}"
                return
            try:
                self._take(index, _images_of(held, self.subject.images))
            except Unreadable as error:
                self.problem = f"batch {index} of {name}: {error}"
                return
        if not self.batches:
            self.problem = f"{name} yields no batch at all: is the data set empty, or was a generator used up?"

    def _take(self, index: int, images: Any) -> None:
        array = as_array(images, "its images are")
        dtype = dtype_name(images) if hasattr(images, "dtype") else str(array.dtype)
        horizon = self.subject.horizon
        if horizon is not None and array.ndim != 3:
            raise Unreadable(f"its sequences have shape {array.shape}, should be (batch, time, channels)")
        if array.ndim not in (3, 4, 5):
            raise Unreadable(
                f"its images have shape {array.shape}, should be (batch, channels, height, width), or with time "
                "(batch, time, channels, height, width)"
            )
        if array.size == 0:
            self.batches.append(Batch(index, tuple(array.shape), dtype, 0, None, (), 0))
            return
        channels = self.subject.channels
        if horizon is not None:
            # As pictures one row high: what is looked at along the width is then looked at along time.
            self._keep(index, array, dtype, np.swapaxes(array, 1, 2)[:, :, None])
            return
        if array.ndim == 3:
            stacked = array[None] if channels > 1 and array.shape[0] == channels else array[:, None]
        else:
            stacked = array.reshape(-1, *array.shape[-3:])
        last = stacked.shape[3] == channels != stacked.shape[1] or (
            stacked.shape[1] != channels and stacked.shape[3] <= FEW_CHANNELS < stacked.shape[1]
        )
        self.channels_last = self.channels_last or last
        self._keep(index, array, dtype, stacked.transpose(0, 3, 1, 2) if last else stacked)

    def _keep(self, index: int, array: Any, dtype: str, stacked: Any) -> None:
        """Take in the figures of a batch.

        Args:
            index: which.
            array: as it came.
            dtype: as it was declared to its makers.
            stacked: the same as ``(N, C, H, W)``.
        """
        stacked = np.ascontiguousarray(stacked, dtype=np.float64)
        finite = np.isfinite(stacked)
        found = None
        if not finite.all():
            place = np.unravel_index(int((~finite).argmax()), stacked.shape)
            found = tuple(int(i) for i in place), "NaN" if np.isnan(stacked[place]) else "infinity"
        flat = stacked.reshape(len(stacked), -1)
        digests = tuple(hashlib.sha256(row.tobytes()).digest() for row in flat)
        even = int((flat == flat[:, :1]).all(axis=1).sum())
        self.batches.append(Batch(index, tuple(array.shape), dtype, len(stacked), found, digests, even))
        sound = stacked[finite.all(axis=(1, 2, 3))]
        if sound.size:
            self.values.add(sound, self.ends, pictures=self.subject.horizon is None)


def _is_images(value: Any) -> bool:
    return getattr(value, "ndim", 0) >= 3


def _images_of(batch: Any, chosen: str | int | Callable[[Any], Any] | None) -> Any:
    """The images of a batch: itself, the first of a tuple, the one entry of a dict that can be images.

    Raises:
        Unreadable: where there are none, or it is not clear which they are.
    """
    if callable(chosen):
        try:
            return chosen(batch)
        except Exception as error:
            raise Unreadable(f"images= raised {told(error)} on it") from error
    if chosen is not None:
        try:
            return batch[chosen]
        except (KeyError, IndexError, TypeError) as error:
            held = ", ".join(map(str, batch)) if isinstance(batch, Mapping) else f"a {type(batch).__name__}"
            raise Unreadable(f"it has no {chosen!r} ({held}): give images= what names its images") from error
    if isinstance(batch, Mapping):
        found = [key for key, value in batch.items() if _is_images(value)]
        if len(found) != 1:
            raise Unreadable(
                f"it is a dict of {', '.join(map(str, batch)) or 'nothing'}, of which {len(found)} can be images: "
                "give images= the key"
            )
        return batch[found[0]]
    if isinstance(batch, (tuple, list)):
        if not batch:
            raise Unreadable("it is empty")
        # A list of single images is a batch that nobody stacked; a tuple with a label is not.
        shapes = {tuple(getattr(item, "shape", ())) for item in batch}
        if len(batch) > 1 and all(_is_images(item) and item.ndim == 3 for item in batch):
            if len(shapes) > 1:
                shown = ", ".join(map(str, sorted(shapes)[:3]))
                raise Unreadable(f"its images have different shapes ({shown}): resize or pad them to one")
            return np.stack([as_array(item, "its images are") for item in batch])
        if not _is_images(batch[0]):
            raise Unreadable(
                f"it is a {type(batch).__name__} whose first entry is a {type(batch[0]).__name__}, not images: give "
                "images= the index"
            )
        return batch[0]
    if batch is None:
        raise Unreadable("it is None")
    return batch
