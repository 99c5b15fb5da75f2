"""What a sampler was found to be: plain data, which reports read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Identity", "Name", "Outcome"]

#: ``"exact"``: a name has its law in every run; ``"nearest"``: none has, and one is near; ``"none"``: none is;
#: ``"unread"``: it could not be run, or its law could not be read.
Outcome = Literal["exact", "nearest", "none", "unread"]


@dataclass(frozen=True)
class Name:
    """A reference with fields that a sampler may be.

    Attributes:
        reference: the class.
        fields: those that are not at their defaults, by name; levels and tables that are written out are left out.
        method: the method and its numbers, for a person.
        grid: the grid and its ends, for a person.
        process: what the model is told and predicts, for a person.
        by_hand: whether the levels are given by hand, and no grid of that name is known.
        length: how long the description is; of several names the shortest is told first.
        family: names that differ in digits alone have one.
        declaration: that would have it checked, as a person writes it.
        open: what its law leaves open: sentences.
    """

    reference: str
    fields: Mapping[str, Any] = field(hash=False)
    method: str
    grid: str
    process: str
    by_hand: bool
    length: float
    family: str
    declaration: str = ""
    open: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """The name as one phrase."""
        return ", ".join(part for part in (self.method, self.grid, self.process) if part)


@dataclass(frozen=True)
class Identity:
    """What a sampler is.

    Attributes:
        target: as a person named it.
        outcome: how sure that is.
        names: those that have its law, the shortest first; of ``"nearest"`` the one that comes closest.
        told: why it is not exact: sentences.
        like: what the sampler is like, whatever it is called: sentences.
        runs: with what it was run.
        left_out: runs that could not be made.
        seconds: that it took.
    """

    target: str
    outcome: Outcome
    names: tuple[Name, ...] = ()
    told: tuple[str, ...] = ()
    like: tuple[str, ...] = ()
    runs: str = ""
    left_out: tuple[str, ...] = ()
    seconds: float = 0.0
