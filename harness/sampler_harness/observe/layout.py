"""From draws to fields: one field is one unit normal per element of the sample.

A *primitive* is a field, not a call: ``randn(steps, *shape)`` is many fields, draws item by item that fill the
sample are one. Fields are guessed from the sizes of the draws (in order, row-major), and the guess is checked by
where impulses arrive; where it fails, the map from sample elements to places in the draw is measured with a
coded draw (:func:`Layout.coded`): noise drawn in another layout, moved about, negated or cut down, or shared between
items or channels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .tape import Draw

__all__ = ["Field", "IntArray", "Layout", "NoLayout", "Part"]

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


class NoLayout(ValueError):
    """The draws cannot be read as fields of the sample's size."""


@dataclass(frozen=True)
class Field:
    """One primitive: where each element of the sample's unit normal is drawn.

    Attributes:
        parts: draw indices that make it up, in order.
        draw_of: for each sample element which draw it comes from (index into ``parts``).
        offset_of: for each sample element its flat offset in that draw; -1 where none arrives.
        signs: 1 or -1 for each sample element: a normal that is negated is a normal; None where none is.
    """

    parts: tuple[int, ...]
    draw_of: IntArray
    offset_of: IntArray
    signs: FloatArray | None = None


class Part(NamedTuple):
    """What of a draw comes in at one row: a field, or a part of one.

    Attributes:
        draw: index of it.
        calls_before: how many times the model had been called when it was made.
        row: the row that it comes in at, counted from there.
        offsets: for each sample element its flat offset in the draw; -1 where none arrives.
        signs: 1 or -1 for each sample element.
    """

    draw: int
    calls_before: int
    row: int
    offsets: IntArray
    signs: FloatArray

    def completes(self, others: Sequence[Part]) -> bool:
        """Whether it comes in with some parts, where none of them does."""
        first = others[0]
        together = (first.calls_before, first.row) == (self.calls_before, self.row)
        return together and not any(bool(((one.offsets >= 0) & (self.offsets >= 0)).any()) for one in others)


@dataclass(frozen=True)
class Layout:
    """All fields of a run.

    Attributes:
        fields: one per primitive, in the order in which they were drawn.
        size: elements of the sample.
        kind: ``"plain"``, ``"trailing"`` or ``"coded"``: how it was found.
        shared: for a coded layout, how many sample elements share a drawn number with another one.
        missing: how many sample elements receive none.
        repeated: draws that are an earlier one again, to that one: they make no field of their own.
    """

    fields: tuple[Field, ...]
    size: int
    kind: str
    shared: int = 0
    missing: int = 0
    repeated: Mapping[int, int] = field(default_factory=dict)

    @staticmethod
    def plain(
        draws: Sequence[Draw],
        size: int,
        *,
        trailing: bool = False,
        same: Mapping[int, int] | None = None,
        without: Collection[int] = (),
    ) -> Layout:
        """Read draws in order: whole fields, several fields in one draw, or several draws to one field.

        Args:
            draws: the Gaussian draws and others of a run; only Gaussian ones make fields.
            size: elements of the sample.
            trailing: in a draw of several fields, the last axis counts them, not the first.
            same: draws that are an earlier one again, to that one.
            without: draws that make no field, since they reach nothing.

        Raises:
            NoLayout: where sizes do not add up to whole fields.
        """
        identity = np.arange(size)
        fields: list[Field] = []
        pending: list[int] = []
        filled = 0
        for index, draw in enumerate(draws):
            if not draw.gaussian or draw.numel == 0 or index in without:
                continue
            if filled == 0 and draw.numel % size == 0:
                count = draw.numel // size
                for j in range(count):
                    offsets = identity * count + j if trailing else identity + j * size
                    fields.append(Field((index,), np.zeros(size, dtype=np.int64), offsets))
                continue
            pending.append(index)
            filled += draw.numel
            if filled > size:
                raise NoLayout(
                    f"draw {index} of shape {draw.shape} does not fill the sample of {size} elements together "
                    "with the draws before it"
                )
            if filled == size:
                sizes = [draws[i].numel for i in pending]
                which = np.repeat(np.arange(len(pending)), sizes)
                offset = np.concatenate([np.arange(n) for n in sizes])
                fields.append(Field(tuple(pending), which, offset))
                pending, filled = [], 0
        if pending:
            raise NoLayout(f"{filled} drawn numbers are left that do not fill a sample of {size} elements")
        kept, repeated = _once(fields, same or {})
        return Layout(kept, size, "trailing" if trailing else "plain", repeated=repeated)

    @staticmethod
    def coded(parts: Sequence[Part], size: int, *, same: Mapping[int, int] | None = None) -> Layout:
        """Fields as measured: parts that come in together and meet nowhere are one field.

        Args:
            parts: in the order in which they were drawn.
            size: elements of the sample.
            same: draws that are an earlier one again, to that one.
        """
        gathered: list[list[Part]] = []
        unfilled: list[list[Part]] = []
        for part in parts:
            found = next((one for one in unfilled if part.completes(one)), None)
            if found is None:
                gathered.append([part])
                if bool((part.offsets < 0).any()):
                    unfilled.append(gathered[-1])
            else:
                found.append(part)
        fields = [_field(one, size) for one in gathered]
        shared = missing = 0
        for one in fields:
            used = one.offset_of >= 0
            places = np.stack([one.draw_of[used], one.offset_of[used]])
            shared = max(shared, places.shape[1] - np.unique(places, axis=1).shape[1])
            missing = max(missing, size - places.shape[1])
        kept, repeated = _once(fields, same or {})
        return Layout(kept, size, "coded", int(shared), int(missing), repeated)

    def place(self, field: int, element: int) -> tuple[int, int] | None:
        """Draw index and flat offset that feed ``element`` of primitive ``field``; None where nothing does."""
        one = self.fields[field]
        offset = int(one.offset_of[element])
        return None if offset < 0 else (one.parts[int(one.draw_of[element])], offset)

    def sign(self, field: int, element: int) -> float:
        """-1 where ``element`` of primitive ``field`` is drawn negated."""
        signs = self.fields[field].signs
        return 1.0 if signs is None else float(signs[element])

    def arrivals(self, field: int, element: int) -> IntArray:
        """Sample elements that receive the same drawn number as ``element`` does."""
        if self.kind != "coded":
            return np.array([element])  # no number is drawn for two elements
        one = self.fields[field]
        same = (one.offset_of == one.offset_of[element]) & (one.draw_of == one.draw_of[element])
        return np.flatnonzero(same)

    def values(
        self, draw_values: Sequence[np.ndarray[Any, np.dtype[np.float64]]]
    ) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The unit normals as fields, shape ``(number of fields, size)``, from the raw draws."""
        out = np.zeros((len(self.fields), self.size))
        for i, one in enumerate(self.fields):
            for j, part in enumerate(one.parts):
                mine = (one.draw_of == j) & (one.offset_of >= 0)
                out[i, mine] = draw_values[part].reshape(-1)[one.offset_of[mine]]
            if one.signs is not None:
                out[i] *= one.signs
        return out

    def drawn(self, fields: Sequence[FloatArray], sizes: Mapping[int, int]) -> dict[int, FloatArray]:
        """The raw draws, flat, that give these unit normals; zeros where a number reaches nothing.

        Args:
            fields: ``(number of fields, size)``.
            sizes: elements of each draw.
        """
        raw: dict[int, FloatArray] = {}
        for one, values in zip(self.fields, fields, strict=True):
            signed = values if one.signs is None else values * one.signs
            for j, part in enumerate(one.parts):
                mine = (one.draw_of == j) & (one.offset_of >= 0)
                raw.setdefault(part, np.zeros(sizes[part]))[one.offset_of[mine]] = signed[mine]
        return raw


def _field(parts: Sequence[Part], size: int) -> Field:
    """One field of parts that meet nowhere."""
    which = np.zeros(size, dtype=np.int64)
    offsets = np.full(size, -1, dtype=np.int64)
    signs = np.ones(size)
    for number, part in enumerate(parts):
        mine = part.offsets >= 0
        which[mine], offsets[mine], signs[mine] = number, part.offsets[mine], part.signs[mine]
    return Field(tuple(part.draw for part in parts), which, offsets, signs if bool((signs < 0).any()) else None)


def _once(fields: Sequence[Field], same: Mapping[int, int]) -> tuple[tuple[Field, ...], dict[int, int]]:
    """Fields without those that are an earlier one again, element for element, and the draws that made only such ones.

    Where only a part of a field is drawn again, or for other elements, it stays a field of its own.
    """
    seen: set[tuple[tuple[int, ...], bytes, bytes, bytes]] = set()
    kept: list[Field] = []
    for one in fields:
        parts = tuple(same.get(part, part) for part in one.parts)
        signs = b"" if one.signs is None else one.signs.tobytes()
        key = (parts, one.draw_of.tobytes(), one.offset_of.tobytes(), signs)
        if key not in seen or parts == one.parts:
            kept.append(one)
        seen.add(key)
    in_fields = {part for one in kept for part in one.parts}
    return tuple(kept), {draw: first for draw, first in same.items() if draw not in in_fields}
