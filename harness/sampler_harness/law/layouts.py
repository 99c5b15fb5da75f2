"""How a sampler's draws make unit normals of the sample's size: guessed from their sizes, then measured."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

from sampler_harness.observe.layout import Layout, NoLayout
from sampler_harness.observe.trace import Problem

from .coded import coded_alike, coded_apart, too_many
from .heard import reach_nothing, unheard
from .reading import Reader, Reading

__all__ = ["layout_by_size", "read_with_layout"]

#: What is said of noise that would have to be followed draw by draw in a long run.
NOT_FOLLOWED = (
    "what is drawn is moved about, each time in a way of its own, and a run of so many steps draws too often for each "
    "to be followed: whether every element gets a normal of its own cannot be told. Declare fewer steps"
)
#: Draws of other sizes than the sample's that are asked one by one whether they reach anything.
MOST_ODD = 64


def read_with_layout(reader: Reader) -> tuple[Reading, Layout | None]:
    """The first way to read the draws that fits where impulses arrive, and what was read so.

    Args:
        reader: of the case.

    Returns:
        The reading, and None in place of a layout where the draws cannot be read as fields: outputs can all the same.
    """
    best: tuple[Reading, Layout | None] | None = None
    once: tuple[Reading, Layout | None] | None = None
    for layout in _candidates(reader):
        reading = reader.read(layout, phase=0, sign=1.0)
        if reading.problem is not None:
            return reading, layout
        if _fits(reader, reading, layout):
            if _fits_again(reader, layout):
                return reading, layout
            once = once or (reading, layout)
        if best is None or (all(reading.arrived) and not all(best[0].arrived)):
            best = reading, layout
    found = once or best
    if found is None or (once is None and too_many(reader)):
        silent = reader.read(Layout((), reader.case.numel, "none"), phase=0, sign=1.0)
        if found is None:
            return silent, None
        if not silent.leaks and silent.problem is None:
            return dataclasses.replace(found[0], problem=Problem("unread", NOT_FOLLOWED)), found[1]
    return found


def layout_by_size(reader: Reader) -> Layout | None:
    """Draws read as fields by their sizes alone, where it cannot be followed where they arrive.

    Args:
        reader: of the case.
    """
    for make in (_plain, _of_what_is_heard):
        with contextlib.suppress(NoLayout):
            return make(reader)
    return None


def _candidates(reader: Reader) -> Iterator[Layout]:
    makes: tuple[Callable[[Reader], Layout | None], ...] = (
        _plain, _trailing, coded_alike, coded_apart, _of_what_is_heard,
    )  # fmt: skip
    for make in makes:
        try:
            layout = make(reader)
        except NoLayout:
            continue
        if layout is not None:
            yield layout


def _fits(reader: Reader, reading: Reading, layout: Layout) -> bool:
    """Nothing was seen where nothing belongs, and what was not seen at all is not there to be seen.

    An impulse in a part of a draw that is cut off is not seen, wherever the rest of the draw goes.
    """
    if reading.leaks:
        return False
    heard = {part for field, seen in zip(layout.fields, reading.arrived, strict=True) if seen for part in field.parts}
    draws = reader.zero.draws
    size = reader.case.numel
    lost = {p for f in layout.fields for p in f.parts if p not in heard and draws[p].numel != size}
    return not lost or reach_nothing(reader, sorted(lost))


def _fits_again(reader: Reader, layout: Layout) -> bool:
    """Whether draws arrive where they should at other elements too: at those of the first reading all may stay put.

    Of noise that is drawn with its channels last one element in a hundred stays where it is, of three columns that are
    flipped a third does. The second reading is the bundle's own, so that asking for it costs nothing.
    """
    return not reader.read_again(layout).leaks


def _plain(reader: Reader) -> Layout | None:
    return Layout.plain(reader.zero.draws, reader.case.numel, same=reader.same)


def _trailing(reader: Reader) -> Layout | None:
    size = reader.case.numel
    several = any(d.gaussian and d.numel > size for d in reader.zero.draws)
    return Layout.plain(reader.zero.draws, size, trailing=True, same=reader.same) if several else None


def _of_what_is_heard(reader: Reader) -> Layout | None:
    """The draws that reach something, read in order: others may be of any size. None where all reach something.

    A generator is moved on by a draw of whatever size, that is thrown away.
    """
    size = reader.case.numel
    odd = [i for i, d in enumerate(reader.zero.draws) if d.gaussian and d.numel % size]
    silent = unheard(reader, odd) if 0 < len(odd) <= MOST_ODD else []
    return Layout.plain(reader.zero.draws, size, same=reader.same, without=silent) if silent else None
