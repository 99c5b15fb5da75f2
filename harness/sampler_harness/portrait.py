"""What a page draws of one sampler: its law beside the one that it should have, and one run beside the reference's.

Plain data that JSON holds, at the bottom of the package: it is carried by a verdict and travels between pytest's
workers. Nothing here judges; a verdict is the same with and without a portrait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sampler_harness.plain import from_plain, plain

__all__ = ["BROKEN", "Entry", "Filmstrip", "LawPicture", "Portrait"]

Rows = tuple[tuple[float, ...], ...]

#: Stands in a frame for a value that is NaN or infinite.
BROKEN = -99_999


@dataclass(frozen=True)
class Entry:
    """One entry of a law that is off.

    Attributes:
        row: the model input that it is read in; the number of calls for the returned sample.
        part: what is weighed there, in words.
        got: its weight in the sampler.
        should_be: its weight in what the sampler is held against.
        ratio: deviation over tolerance, capped.
    """

    row: int
    part: str
    got: float
    should_be: float
    ratio: float


@dataclass(frozen=True)
class LawPicture:
    """One law as a picture has it. A long chain is drawn in blocks: of each the entry of largest magnitude.

    Attributes:
        calls: model calls of a run.
        times: what the model is told at each call.
        fresh: standard deviation of the noise that each row brings in; one more than calls, the sample's last.
        rows: the first row of each row of the picture; the last one is the sample's.
        outputs: the first call of each column of outputs.
        noise: the first row whose noise each column of noise stands for.
        weights: for each row of the picture the weights of outputs, of noise, and the constant where there is one.
        has_constant: whether the last column is a constant that is added.
    """

    calls: int
    times: tuple[float, ...]
    fresh: tuple[float, ...]
    rows: tuple[int, ...]
    outputs: tuple[int, ...]
    noise: tuple[int, ...]
    weights: Rows
    has_constant: bool = False

    @property
    def is_in_blocks(self) -> bool:
        """Whether a row of the picture stands for several rows of the law."""
        return self.rows != tuple(range(len(self.rows)))


@dataclass(frozen=True)
class Filmstrip:
    """One run of the sampler and one of what it is held against, on the same noise and the same exact denoiser.

    Attributes:
        kind: ``"image"`` (red, green and blue, or gray) or ``"lines"``.
        shape: of one frame: ``(channels, height, width)``, or ``(lines, length)``.
        titles: of the columns; the last is the returned sample.
        own: for each column the frame's values, flat, in thousandths (``BROKEN`` where not finite); None where the run
            did not get there.
        reference: the same of what it is held against.
        apart: root mean squared difference of each column, in units of the reference's scale there; None where there
            are no two frames to compare.
        detail: differences between neighboring values of the final sample, root mean squared: the sampler's and the
            reference's; None where a run did not end.
        noise: in a sentence, how the two runs were given the same noise.
    """

    kind: str
    shape: tuple[int, ...]
    titles: tuple[str, ...]
    own: tuple[tuple[int, ...] | None, ...]
    reference: tuple[tuple[int, ...] | None, ...]
    apart: tuple[float | None, ...]
    detail: tuple[float, float] | None
    noise: str


@dataclass(frozen=True)
class Portrait:
    """What a page draws of one sampler in one configuration.

    Attributes:
        configuration: ready to paste.
        shape: of the sample.
        dtype: name of the torch dtype.
        reference: name of what the sampler is held against.
        why: in a sentence, why this configuration is drawn.
        own: the sampler's law; None where it has none that can be measured.
        should_be: the law that it should have; None where there is none for this configuration.
        ratio: signed deviation over tolerance, capped, for the rows and columns that both have; empty where the two
            cannot be laid side by side.
        late: rows in which the model is told a wrong time.
        first_row: the first row that differs and does not follow from an earlier one; None where none does.
        first_told: what differs in it, in a sentence.
        worst: the entries that are most off, the earliest row first.
        filmstrip: one run beside the reference's; None where there could be none.
        missing: what is not drawn and why, a sentence each.
    """

    configuration: str
    shape: tuple[int, ...]
    dtype: str
    reference: str
    why: str = ""
    own: LawPicture | None = None
    should_be: LawPicture | None = None
    ratio: Rows = ()
    late: tuple[int, ...] = ()
    first_row: int | None = None
    first_told: str = ""
    worst: tuple[Entry, ...] = ()
    filmstrip: Filmstrip | None = None
    missing: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Only values that JSON has."""
        data: dict[str, Any] = plain(self)
        return data

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Portrait:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: when it is something else.
        """
        try:
            found: Portrait = from_plain(Portrait, data)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a portrait: {error!r}") from error
        return found
