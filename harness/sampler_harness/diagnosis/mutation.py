"""One edit of one function, put into its tree and taken out again."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sampler_harness.law.program import Function

__all__ = ["Mutation", "Slot"]

Slot = tuple[ast.AST, str, int | None]


@dataclass
class Mutation:
    """One edit of one function.

    Attributes:
        function: whose tree it changes.
        slot: node, field and index in which something else is put.
        old: what stands there.
        new: what is put there.
    """

    function: Function
    slot: Slot
    old: Any
    new: Any

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The tree edited, for a while."""
        _put(self.slot, self.new)
        try:
            yield
        finally:
            _put(self.slot, self.old)


def _put(slot: Slot, node: Any) -> None:
    parent, field, index = slot
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node
