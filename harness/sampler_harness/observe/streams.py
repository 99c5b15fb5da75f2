"""Which random numbers a draw is made of, read off its generator's state before and after it.

What a generator returns is replaced; whether it would have returned something new is not seen from that. Two draws that
start from one state are one tensor, and two stretches of one stream that overlap share numbers.

Context: the CPU's generator is a Mersenne Twister, whose state is a block of 624 words and a place in it; that of CUDA
is a seed and an offset (Philox). Choice: compare states, never values, so that nothing hangs on which numbers a seed
gives; of a generator whose state is neither, only whether two states are equal. Reversed by: a torch release that keeps
states otherwise (``tests/unit/test_streams.py`` holds the bytes that are read here against what torch draws).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from .tape import Draw

__all__ = ["Follower", "Overlap", "State", "Stretch", "overlaps", "state_of"]

#: The CPU's state in bytes: seed, ``left`` and ``seeded``, ``next``, 624 words in 8 bytes each, then the normals that
#: are kept back for the next draw.
_TWISTER_BYTES = 5056
_WORDS = 624
_BLOCK = slice(24, 24 + 8 * _WORDS)
#: CUDA's: seed and offset.
_PHILOX_BYTES = 16
#: Blocks that are walked through in search of another draw's start: 15 million numbers, about a third of a second.
WALKED = 25_000


class State(NamedTuple):
    """A generator's state, as far as it decides what comes next.

    Attributes:
        kind: of generator.
        stream: digest of a twister's block, seed of a Philox generator, digest of any other's whole state.
        place: in the block, or after the seed.
        kept: normals that are kept back for the next draw.
    """

    kind: Literal["twister", "philox", "other"]
    stream: bytes
    place: int = 0
    kept: bytes = b""


@dataclass(frozen=True)
class Stretch:
    """Which part of a generator's stream a draw is made of.

    Attributes:
        before: state before it.
        after: state after it.
        words: a twister's block before it, where no earlier draw of the run ended; else None.
        fresh: a twister that was seeded and not drawn from since.
        strides: of the result in memory, which is filled in that order.
    """

    before: State
    after: State
    words: bytes | None = None
    fresh: bool = False
    strides: tuple[int, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was taken from the generator: of no elements, say."""
        return self.before == self.after


def state_of(raw: bytes, block: bytes | None = None) -> State:
    """A state from its bytes.

    Args:
        raw: as ``torch.Generator.get_state`` has them.
        block: digest of a twister's block, where it is known.
    """
    if len(raw) == _PHILOX_BYTES:
        return State("philox", raw[:8], int.from_bytes(raw[8:], "little", signed=True))
    if len(raw) != _TWISTER_BYTES:
        return State("other", _digest(raw))
    left, following = int.from_bytes(raw[8:12], "little"), int.from_bytes(raw[16:24], "little")
    # Of a block that was just seeded no number is ever returned: it counts as used up.
    place = _WORDS if left == 1 else following
    kept = (raw[5016:5040] if raw[5040] else b"") + (raw[5048:5052] if raw[5052] else b"")
    return State("twister", block or _digest(raw[_BLOCK]), place, kept)


def _digest(raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=16).digest()


class Follower:
    """Reads generators' states during one run; a block that did not change is not read twice."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[torch.Generator, bytes, State]] = {}
        self._ends: set[State] = set()

    def _read(self, generator: torch.Generator) -> tuple[bytes, State]:
        raw = generator.get_state().numpy().tobytes()
        _, earlier, state = self._last.get(id(generator), (generator, b"", None))
        if state is None or raw != earlier:
            same = state is not None and state.kind == "twister" and raw[_BLOCK] == earlier[_BLOCK]
            state = state_of(raw, state.stream if same and state is not None else None)
            self._last[id(generator)] = (generator, raw, state)  # kept, so that no other generator takes its id
        return raw, state

    def before(self, generator: torch.Generator) -> Stretch:
        """What is known of a draw before it is made.

        Args:
            generator: that is drawn from.
        """
        raw, state = self._read(generator)
        if state.kind != "twister":
            return Stretch(state, state)
        fresh = raw[8:12] == b"\1\0\0\0" and raw[16:24] == bytes(8)
        return Stretch(state, state, None if state in self._ends else raw[_BLOCK], fresh)

    def after(self, generator: torch.Generator, began: Stretch, result: torch.Tensor) -> Stretch:
        """The stretch of a draw that was made.

        Args:
            generator: that was drawn from.
            began: from :meth:`before`.
            result: what was drawn.
        """
        _, state = self._read(generator)
        self._ends.add(state)
        return Stretch(began.before, state, began.words, began.fresh, tuple(result.stride()))


@dataclass(frozen=True)
class Overlap:
    """Two draws that are made of the same random numbers.

    Attributes:
        draw: index of the later one.
        earlier: index of the first one that has them.
        whole: both are the same numbers in the same places; else they share a part.
    """

    draw: int
    earlier: int
    whole: bool


def overlaps(draws: Sequence[Draw], among: Collection[int] | None = None) -> tuple[Overlap, ...]:
    """Gaussian draws that take random numbers which an earlier one took, each with the first such one.

    Args:
        draws: of a run that noted their stretches.
        among: draws that count; None for all.
    """
    known = [(i, s) for i, d in enumerate(draws) if (s := d.stretch) is not None and not s.is_empty]
    counted = [(i, s) for i, s in known if draws[i].gaussian and (among is None or i in among)]
    found: dict[int, Overlap] = {}
    alike: dict[State, list[int]] = {}
    for index, stretch in counted:
        others = alike.setdefault(stretch.before, [])
        if others:
            same = [i for i in others if _are_one(draws[i], draws[index])]
            found[index] = Overlap(index, same[0] if same else others[0], bool(same))
        others.append(index)
    for index, earlier in _crossing([s for _, s in known], counted):
        found.setdefault(index, Overlap(index, earlier, whole=False))
    return tuple(found[index] for index in sorted(found))


def _are_one(one: Draw, other: Draw) -> bool:
    """Whether two draws from one state are the same tensor: of one dtype, filled in the same order."""
    assert one.stretch is not None
    assert other.stretch is not None
    if one.stretch.after != other.stretch.after or one.dtype != other.dtype:
        return False
    strides = one.stretch.strides, other.stretch.strides
    if strides == (_contiguous(one.shape), _contiguous(other.shape)):
        return one.numel == other.numel
    return one.shape == other.shape and strides[0] == strides[1]


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def _crossing(known: Sequence[Stretch], counted: Sequence[tuple[int, Stretch]]) -> Iterator[tuple[int, int]]:
    """Draws whose stretch meets an earlier one's of the same stream, with the first that it meets."""
    blocks = _Blocks()
    twisters = [s for s in known if s.before.kind == "twister"]
    for stretch in () if _simple(twisters) else twisters:
        blocks.walk(stretch)
    taken: dict[int | bytes, list[tuple[int, int, int]]] = {}
    for index, stretch in counted:
        placed = blocks.place(stretch)
        if placed is not None:
            stream, start, end = placed
            taken.setdefault(stream, []).append((start, end, index))
    for parts in taken.values():
        ends = accumulate((end for _, end, _ in sorted(parts)), max)
        if all(end <= start for end, (start, _, _) in zip(ends, sorted(parts)[1:], strict=False)):
            continue  # as nearly always
        for start, end, index in parts:
            earlier = next((i for a, b, i in parts if i < index and a < end and start < b), None)
            if earlier is not None:
                yield index, earlier


def _simple(twisters: Sequence[Stretch]) -> bool:
    """Whether no stretch can lie in another: a stream that was just seeded begins inside of none."""
    started = [s.fresh for s in twisters if s.words is not None]
    return (len(started) < 2 or all(started)) and len({s.before for s in twisters}) == len(twisters)


class _Blocks:
    """Numbers the blocks of a run's twisters, stream by stream, as far as its draws reach."""

    def __init__(self) -> None:
        self._number: dict[bytes, tuple[int, int]] = {}
        self._words: dict[bytes, bytes] = {}
        self._next: dict[bytes, bytes] = {}
        self._left = WALKED

    def walk(self, stretch: Stretch) -> None:
        """Number the blocks of a draw."""
        here = stretch.before.stream
        if here not in self._number:
            if stretch.words is None:
                return  # behind a walk that was given up
            self._number[here] = (len(self._number), 0)
            self._words[here] = stretch.words
        while here != stretch.after.stream and self._left > 0:
            following = self._next.get(here) or self._turned(here)
            stream, number = self._number[here]
            known = self._number.get(following)
            if known is None:
                self._number[following] = (stream, number + 1)
            elif known[0] != stream:
                self._join(known, (stream, number + 1))
            here = following

    def _turned(self, block: bytes) -> bytes:
        """The block that follows."""
        self._left -= 1
        twister = np.random.MT19937()
        state = twister.state
        words = np.frombuffer(self._words.pop(block), "<u8")
        twister.state = {**state, "state": {"key": words.astype(np.uint32), "pos": _WORDS}}
        twister.random_raw(_WORDS)
        following = twister.state["state"]["key"].astype("<u8").tobytes()
        digest = _digest(following)
        self._next[block] = digest
        self._words[digest] = following
        return digest

    def _join(self, known: tuple[int, int], other: tuple[int, int]) -> None:
        """A walk has come to where another stream was found: they are one."""
        (stream, number), (name, at) = known, other
        for block, (which, where) in self._number.items():
            if which == stream:
                self._number[block] = (name, where - number + at)

    def place(self, stretch: Stretch) -> tuple[int | bytes, int, int] | None:
        """Stream, start and end of a draw; None where that is not known."""
        if stretch.before.kind == "philox":
            return stretch.before.stream, stretch.before.place, stretch.after.place
        start, end = self._number.get(stretch.before.stream), self._number.get(stretch.after.stream)
        if start is None or end is None or start[0] != end[0]:
            return None
        return start[0], _WORDS * start[1] + stretch.before.place, _WORDS * end[1] + stretch.after.place
